"""NumPy, through `through`; ``array`` is the one function that hands no tensors over by itself."""

from __future__ import annotations

import sys
from typing import Any

import numpy

import minigrad_ae as mg

from .through import Through

linalg, fft, random = Through(numpy.linalg, "np.linalg"), Through(numpy.fft, "np.fft"), numpy.random
for _module, _name in ((linalg, "linalg"), (fft, "fft"), (random, "random")):
    sys.modules[f"autograd.numpy.{_name}"] = _module
_numpy = Through(numpy, "np")


def array(data: Any, *args: Any, **kwargs: Any) -> Any:
    """``np.array``, and of tensors in lists ``mg.stack``."""
    if isinstance(data, mg.Tensor):
        return data
    if isinstance(data, list | tuple):
        rows = [array(row) for row in data]
        if any(isinstance(row, mg.Tensor) for row in rows):
            return mg.stack(rows)
    return numpy.array(data, *args, **kwargs)


def stack(arrays: Any, *args: Any, **kwargs: Any) -> Any:
    """``np.stack``, also of what only an iterator gives."""
    return _numpy.stack(list(arrays), *args, **kwargs)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return getattr(_numpy, name)
