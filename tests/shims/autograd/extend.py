"""The spaces; rules of one's own are made otherwise (CONTRIBUTING.md, An op)."""

from typing import Any

from absent import Absent

from .core import vspace  # noqa: F401


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return Absent(f"extend.{name}")
