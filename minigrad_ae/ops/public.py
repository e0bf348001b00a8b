"""The functions that users see: those of ``mg``, which ``np.tanh(tensor)`` finds, too, and the
methods of `Tensor`.

Nothing is listed here.  What an op or a composition says of itself (`public`, `method`) decides.
`public.pyi` beside this file is written from it (``python tests/freeze.py stub``), so that editors
and type checkers know the names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..autodiff.operation import REGISTRY
from . import algebra, arrays, elementwise, functional, losses, rearranged, reduce  # noqa: F401
from .compositions import COMPOSITIONS

# a composition stands in front of the op of its name
_OFFERED: dict[str, Any] = {**REGISTRY, **COMPOSITIONS}
PUBLIC: dict[str, Callable[..., Any]] = {
    name: function for name, function in sorted(_OFFERED.items()) if function.public
}
METHODS: dict[str, Callable[..., Any]] = {
    name: function for name, function in sorted(_OFFERED.items()) if function.method
}
Methods = type("Methods", (), {"__slots__": (), "__doc__": "Functions as methods.", **METHODS})
globals().update(PUBLIC)
__all__ = list(PUBLIC)
