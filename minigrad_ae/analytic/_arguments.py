"""The few checks that the closed forms share (they may not import the package's own validation)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, DtypeError, ShapeError

Array = NDArray[np.float64]


def real_array(value: ArrayLike, name: str, ndim: int) -> Array:
    """``value`` as a float64 array of ``ndim`` dimensions, finite and not empty."""
    try:
        array = np.asarray(value)
    except ValueError:  # ragged nested lists
        raise ShapeError(
            f"{name} is not a regular array", "its rows differ in length", "give rows of equal length"
        ) from None
    if array.dtype.kind not in "fiub":
        raise DtypeError(
            f"{name} does not hold real numbers",
            f"{name} has dtype {array.dtype} and shape {array.shape}",
            f"convert it first, for example np.asarray({name}, dtype=np.float64)",
        )
    if array.ndim != ndim:
        raise ShapeError(
            f"{name} must have {ndim} dimension{'s' if ndim > 1 else ''}, not {array.ndim}",
            f"{name} has shape {array.shape}",
            "give one row for each datum and one column for each feature" if ndim == 2 else "give a flat array",
        )
    if array.size == 0:
        raise DataError(f"{name} is empty", f"{name} has shape {array.shape}", "give at least one number")
    if not np.isfinite(array).all():
        raise DataError(
            f"{name} has entries that are NaN or infinite",
            f"{int((~np.isfinite(array)).sum())} of {array.size} entries, shape {array.shape}",
            "remove or fill them before the analysis",
        )
    return array.astype(np.float64)


def whole_number(value: Any, name: str, low: int, high: int, why: str) -> int:
    """``value`` as an int with ``low <= value <= high``; ``why`` says where the limits come from."""
    try:
        number = operator.index(value)
    except TypeError:
        raise DtypeError(
            f"{name} must be a whole number", f"{name} = {value!r} ({type(value).__name__})", f"give {name} as an int"
        ) from None
    if not low <= number <= high:
        raise DataError(f"{name} = {number} is out of range", why, f"choose {name} from {low} to {high}")
    return number


def spectrum(s: ArrayLike) -> Array:
    """Eigenvalues of XᵀX: a flat array, none negative, sorted from the largest to the smallest."""
    values = real_array(s, "s", 1)
    if (values < 0).any() or (np.diff(values) > 0).any():
        raise DataError(
            "s must be eigenvalues of XᵀX, largest first",
            f"s has {int((values < 0).sum())} negative and {int((np.diff(values) > 0).sum())} increasing steps",
            "use pca(X).eigenvalues, or np.sort(s)[::-1]",
        )
    return values
