"""An array in a few numbers, for a screen or a file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def number(x: Any) -> float | str:
    """A float, or 'nan', 'inf', '-inf': JSON has no word for these."""
    x = float(x)
    return x if math.isfinite(x) else str(x)


def head_shape(shape: tuple[int, ...], limit: int) -> tuple[int, ...]:
    """The corner of an array of `shape` that has at most `limit` elements: the longest axis is halved until it fits."""
    corner = list(shape)
    while math.prod(corner) > max(limit, 0):
        k = max(range(len(corner)), key=corner.__getitem__) if corner else 0
        if not corner or corner[k] == 1:
            return (0,)
        corner[k] = (corner[k] + 1) // 2
    return tuple(corner)


def summary(array: Any, limit: int) -> dict[str, Any]:
    """Shape, dtype, extremes and mean of the finite elements, counts of NaN and Inf, and the first elements."""
    array = np.asarray(array)
    values = array.astype(np.float64)
    finite = values[np.isfinite(values)]
    corner = head_shape(array.shape, limit)
    head = values[tuple(slice(n) for n in corner)] if corner != (0,) or array.shape == (0,) else np.zeros(0)
    with np.errstate(over="ignore"):
        low, high, mean = (number(f(finite)) if finite.size else None for f in (np.min, np.max, np.mean))
    return {
        "shape": list(array.shape), "dtype": str(array.dtype), "min": low, "max": high, "mean": mean,
        "nan": int(np.isnan(values).sum()), "inf": int(np.isinf(values).sum()),
        "head": [number(v) for v in head.ravel()], "head_shape": list(corner),
    }  # fmt: skip


def brief(array: Any, width: int) -> str:
    """The first elements on one line of at most `width` characters: '[[0.1 2.3] [4.5 ...'."""
    array = np.asarray(array)
    few = array[tuple(slice(6) for _ in array.shape)]
    text = np.array2string(few, precision=4, threshold=40, edgeitems=3, max_line_width=10_000)
    text = " ".join(text.split())
    return text if len(text) <= width and few.size == array.size else text[: max(0, width - 4)].rstrip() + " ..."


def is_finite(array: Any) -> bool:
    """Neither NaN nor Inf anywhere."""
    return bool(np.isfinite(array).all())
