"""Is this a matrix that can be learned from?  If not: what is wrong, where, and how to fix it."""

from __future__ import annotations

import logging
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arguments import unmasked, whole_number
from ..errors import DataError, DtypeError, ShapeError

log = logging.getLogger(__name__)
UNFIT = {  # kind of a dtype: what it holds, how to fix it
    "O": ("Python objects", "find the entries that are not numbers, then X.astype(np.float64)"),
    "U": ("text", "if every entry is a number: X.astype(np.float64)"),
    "S": ("text", "if every entry is a number: X.astype(np.float64)"),
    "c": ("complex numbers", "choose a real part: X.real, or np.abs(X)"),
    "f": ("floats of a size that is not supported", "X.astype(np.float64)"),
}


def check_matrix(X: ArrayLike, name: str = "X", min_rows: int = 1) -> NDArray[np.floating]:
    """Check that X is a matrix that can be learned from.

    If it is not, the error says what is wrong, where, and how to fix it.

    float32 and float64 are returned as they are, without a copy; integers and booleans become
    float64, which is said once, in the log.  X is never changed.

    Parameters
    ----------
    X : array_like, (n, D)
        The data, one datum a row.
    name : str, optional
        What messages call it (their code always calls it X).
    min_rows : int, optional
        The smallest n that is allowed; at least 1 row and 1 column are needed in any case.

    Returns
    -------
    ndarray, (n, D)
        Finite numbers, float32 or float64.

    Raises
    ------
    DtypeError
        For object, text, complex, float16 and other dtypes.
    ShapeError
        Unless there are 2 dimensions.
    DataError
        For no rows or columns, fewer than `min_rows` rows, masked entries, NaN or infinite entries
        (with the first row and column, counted from 0, and how many), and entries so large that a
        squared error would overflow.

    Examples
    --------
    >>> mg.data.check_matrix([[1, 2], [3, 4]]).dtype.name
    'float64'
    >>> mg.data.check_matrix([[1.0, np.nan]])
    Traceback (most recent call last):
    minigrad_ae.errors.DataError: X has 1 entry not finite: 1 NaN, 0 infinite
      the first is nan at row 0, column 1 (from 0); X has shape (1, 2)
      fix: drop those rows, X[np.isfinite(X).all(axis=1)], or fill the entries in
    """
    min_rows = whole_number(min_rows, "check_matrix: min_rows", low=0)
    X = unmasked(X, name)
    try:
        array = np.asarray(X)
    except ValueError:  # nested lists of different lengths
        raise ShapeError(
            f"{name} is not a matrix",
            "its rows differ in length",
            "give rows of equal length, one for each datum",
        ) from None
    if array.dtype.kind in "iub":
        _say_once(str(array.dtype))
        array = array.astype(np.float64)
    _require_form(array, name, min_rows)
    _require_finite(array, name)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _require_form(array: NDArray[Any], name: str, min_rows: int) -> None:
    """Floats, in two dimensions, with rows enough."""
    if array.dtype.type not in (np.float32, np.float64):
        other = "no numbers", "make a float64 array of the columns of X that are numbers"
        reason, fix = UNFIT.get(array.dtype.kind, other)
        raise DtypeError(
            f"{name} holds {reason}; float32 or float64 is needed",
            f"{name} has dtype {array.dtype} and shape {array.shape}",
            fix,
        )
    if array.ndim != 2:
        fixes = {
            0: "give a matrix, with a row for each datum and a column for each feature",
            1: "X[None, :] if it is one datum, X[:, None] if it is one feature",
        }
        raise ShapeError(
            f"{name} must have 2 dimensions (data in rows, features in columns), not {array.ndim}",
            f"{name} has shape {array.shape}",
            fixes.get(array.ndim, "flatten each datum: X.reshape(len(X), -1)"),
        )
    if array.size == 0:
        raise DataError(
            f"{name} is empty",
            f"{name} has shape {array.shape}",
            "give at least one row and one column",
        )
    if len(array) < min_rows:
        raise DataError(
            f"{name} has too few rows: {len(array)}, at least {min_rows} are needed",
            f"{name} has shape {array.shape}",
            "give more data; if the data stand in columns, transpose it",
        )


def _require_finite(array: NDArray[Any], name: str) -> None:
    """Finite entries, and a finite sum of their squares."""
    bad = ~np.isfinite(array)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        count, nans = np.count_nonzero(bad), np.count_nonzero(np.isnan(array))
        first = f"{array[row, column]} at row {row}, column {column} (from 0)"
        raise DataError(
            f"{name} has {count} {'entry' if count == 1 else 'entries'} not finite: "
            f"{nans} NaN, {count - nans} infinite",
            f"the first is {first}; {name} has shape {array.shape}",
            "drop those rows, X[np.isfinite(X).all(axis=1)], or fill the entries in",
        )
    largest = float(np.abs(array).max())
    limit = float(np.sqrt(np.finfo(array.dtype).max / array.size))
    if largest > limit:
        raise DataError(
            f"{name} has entries so large that the sum of their squares is beyond {array.dtype}",
            f"the largest is {largest:.6g}, the limit {limit:.6g}; {name} has shape {array.shape}",
            "choose a larger unit: divide all of X by one number",
        )


def demand_squares(X: NDArray[np.floating], dtype: Any = np.float64) -> None:
    """DataError for data, not all zero, so small that the squares of which a loss in `dtype` is
    made underflow.
    """
    largest, kind = float(np.abs(X).max(initial=0)), np.finfo(dtype)
    limit = float(np.sqrt(float(kind.tiny) / float(kind.eps)))
    if 0 < largest < limit:
        raise DataError(
            f"X has entries so small that their squares are lost in {kind.dtype}",
            f"the largest is {largest:.6g}, the limit {limit:.6g}; X has shape {X.shape}",
            "choose a smaller unit: divide all of X by one small number, such as its largest entry",
        )


def demand_differences(X: NDArray[np.floating]) -> None:
    """DataError for several data (n, ...) that are all the same; one alone may be learned by
    heart.
    """
    if len(X) > 1 and (X[0] == X).all():
        first = ", ".join(f"{v:.4g}" for v in X[0].ravel()[:3])
        raise DataError(
            "there is nothing to learn: all rows of X are the same",
            f"X has shape {X.shape}, and each row begins {first}",
            "check how the data were read; a constant needs no autoencoder",
        )


@cache  # once for each dtype
def _say_once(dtype: str) -> None:
    log.warning("%s data are converted to float64", dtype)
