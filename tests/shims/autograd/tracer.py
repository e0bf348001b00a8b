"""What is traced is a tensor."""

from typing import Any

from absent import Absent

import minigrad_ae as mg


def isbox(x: Any) -> bool:
    return isinstance(x, mg.Tensor)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return Absent(f"tracer.{name}")
