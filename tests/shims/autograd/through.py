"""The functions of NumPy and SciPy: of tensors they are minigrad_ae's, or absent.

NumPy hands tensors over by itself (NEP 13 and 18), and what minigrad_ae then refuses, because it
has no such function, is absent.  SciPy hands nothing over: its functions of our names are named.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from absent import absent, absent_if_refused

import minigrad_ae as mg

OURS = {
    "scipy.special.erf": mg.erf,
    "scipy.special.expit": mg.sigmoid,
    "scipy.special.logsumexp": mg.logsumexp,
}


def has_tensor(x: Any) -> bool:
    """Whether `x` is a tensor, or a tuple, list or dict that holds one."""
    if isinstance(x, dict):
        return has_tensor(list(x.values()))
    if isinstance(x, tuple | list):
        return any(map(has_tensor, x))
    return isinstance(x, mg.Tensor)


class Through(ModuleType):
    """A module, or something that can be called, in `theirs`."""

    def __init__(self, theirs: Any, name: str) -> None:
        super().__init__(name)
        self.theirs = theirs

    def __getattr__(self, name: str) -> Any:
        if not hasattr(self.theirs, name) and not name.startswith("__"):
            absent(f"{self.__name__}.{name}")
        found = getattr(self.theirs, name)
        if isinstance(found, type) or not (callable(found) or isinstance(found, ModuleType)):
            return found
        return Through(found, f"{self.__name__}.{name}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        name, function = self.__name__, self.theirs
        if name.startswith("scipy.") and has_tensor([args, kwargs]):
            function = OURS[name] if name in OURS else absent(name)
        try:
            return function(*args, **kwargs)
        except (TypeError, ValueError) as error:
            absent_if_refused(name, error)
            raise


def opened(name: str) -> Through:
    return Through(import_module(name), name)


SCIPY = {
    f"scipy.{part}": opened(f"scipy.{part}")
    for part in ("integrate", "linalg", "signal", "special", "stats")
}
scipy = Through(ModuleType("scipy"), "scipy")
for _name, _module in SCIPY.items():
    setattr(scipy, _name.split(".")[1], _module)
SCIPY["scipy.stats.multivariate_normal"] = SCIPY["scipy.stats"].multivariate_normal
