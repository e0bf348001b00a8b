"""Containers are Python's own: the shim takes them apart."""

import builtins
from typing import Any


def __getattr__(name: str) -> Any:
    return getattr(builtins, name)
