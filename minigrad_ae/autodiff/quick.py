"""NumPy as the rules see it: what their texts call ``np``.

The Python that NumPy puts around three functions takes longer than small arrays do: `np.sum` of 64
numbers 2.3 microseconds, of which .9 are the sum.  Here they are what is inside.  Same bits, same
errors.
"""

from __future__ import annotations

from typing import Any

import numpy as np


class Quick:
    """NumPy, but for the functions below."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        setattr(self, name, found)  # asked once
        return found


def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """`numpy.sum` of an array."""
    add: Any = np.add.reduce
    return add(x, axis, None, None, keepdims)


def reshape(x: Any, shape: Any) -> Any:
    """`numpy.reshape` of an array."""
    return x.reshape(shape) if type(x) is np.ndarray else np.reshape(x, shape)


def broadcast_to(x: Any, shape: Any) -> Any:
    """`numpy.broadcast_to`: here one number, everywhere the same."""
    few = type(x) is np.ndarray and x.size == 1 and type(shape) is tuple and len(shape) >= x.ndim
    if not few:
        return np.broadcast_to(x, shape)
    repeated = np.ndarray(shape, x.dtype, x, 0, (0,) * len(shape))
    repeated.flags.writeable = False
    return repeated


quick: Any = Quick()
quick.sum, quick.reshape, quick.broadcast_to = sum, reshape, broadcast_to
