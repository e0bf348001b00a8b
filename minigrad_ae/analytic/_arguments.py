"""The few checks that the closed forms share (they may not import those of the data)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import arguments
from ..arguments import extent, inside, plain, span
from ..errors import DataError, DtypeError, ShapeError

Array = NDArray[np.float64]
SMALLEST = 1e-150  # its square and that of its inverse are numbers of float64


def real_array(value: ArrayLike, name: str, ndim: int | None) -> Array:
    """``value`` as a float64 array, finite and not empty; of ``ndim`` dimensions unless None."""
    array = plain(value, name)
    if array.dtype.kind not in "fiub":
        raise DtypeError(
            f"{name} does not hold real numbers",
            f"{name} has dtype {array.dtype} and shape {array.shape}",
            f"convert it first, for example np.asarray({name}, dtype=np.float64)",
        )
    if ndim is not None and array.ndim != ndim:
        raise ShapeError(
            f"{name} must have {ndim} dimension{'s' if ndim > 1 else ''}, not {array.ndim}",
            f"{name} has shape {array.shape}",
            "give one row for each datum and one column for each feature"
            if ndim == 2
            else "give a flat array",
        )
    if array.size == 0:
        raise DataError(
            f"{name} is empty", f"{name} has shape {array.shape}", "give at least one number"
        )
    if not np.isfinite(array).all():
        raise DataError(
            f"{name} has entries that are NaN or infinite",
            f"{int((~np.isfinite(array)).sum())} of {array.size} entries, shape {array.shape}",
            "remove or fill them before the analysis",
        )
    return array.astype(np.float64)


def whole_number(value: Any, name: str, low: int, high: int, why: str) -> int:
    """``value`` as an int with ``low <= value <= high``; ``why`` says whence the limits come."""
    what, fix = f"{name} = {value} is out of range", f"choose {name} {span(low, high)}"
    if high < low:
        what, fix = f"no {name} is possible here", f"{name} begins at {low}: give larger data"
    return arguments.whole_number(value, name, fix, low, high, what=what, where=why)


def real_number(value: Any, name: str, interval: str, fix: str) -> float:
    """``value`` as a float inside ``interval``, written as in mathematics: "(0, inf)", "[0, 1)"."""
    array = plain(value, name)
    if array.ndim != 0 or array.dtype.kind not in "fiub":
        raise DtypeError(
            f"{name} must be one real number", f"{name} = {value!r} ({type(value).__name__})", fix
        )
    within(array, name, interval, fix)
    return float(array)


def squarable(value: Any, name: str, interval: str, fix: str) -> float:
    """`real_number`, whose square and the square of its inverse are numbers of float64."""
    number = real_number(value, name, interval, fix)
    if number and not SMALLEST < abs(number) < 1 / SMALLEST:
        raise DataError(
            f"the square of {name} is outside the range of float64",
            f"{name} = {number:.6g}",
            f"choose another unit: {name} between {SMALLEST:g} and {1 / SMALLEST:g}",
        )
    return number


def within(value: ArrayLike, name: str, interval: str, fix: str) -> None:
    """Raise DataError unless every entry lies in ``interval``, such as "[0, 1)"; NaN never does."""
    array = plain(value, name)
    if not inside(array, interval).all():
        found = (
            f"{name} = {array:.6g}"
            if array.ndim == 0
            else f"its entries {extent(array.min(), array.max())}"
        )
        raise DataError(f"{name} must lie in {interval}", found, fix)


def of_shape(value: ArrayLike, name: str, shape: tuple[int | None, ...], fix: str) -> Array:
    """`real_array` of this shape; None stands for any length."""
    array = real_array(value, name, len(shape))
    if any(
        want is not None and want != have for want, have in zip(shape, array.shape, strict=True)
    ):
        wanted = ", ".join("any" if want is None else str(want) for want in shape)
        raise ShapeError(
            f"{name} does not fit the others",
            f"{name} has shape {array.shape}, not ({wanted})",
            fix,
        )
    return array


def one_or_each(
    value: ArrayLike, name: str, each: str, size: int, interval: str, fix: str
) -> Array:
    """(size,), inside ``interval``: one number for all, or one for each "feature" (``each``)."""
    array = real_array(np.atleast_1d(plain(value, name)), name, 1)
    if len(array) not in (1, size):
        raise ShapeError(
            f"{name} must be one number, or one for each {each}",
            f"{name} has shape {array.shape}, not () or ({size},)",
            fix,
        )
    within(array, name, interval, fix)
    return np.broadcast_to(array, (size,))


def probabilities(value: ArrayLike, name: str, size: int | None = None) -> Array:
    """A flat array (of this size) of positive numbers that sum to 1."""
    p = of_shape(value, name, (size,), "give one probability for each")
    if (p <= 0).any() or abs(p.sum() - 1) > 1e-12:
        raise DataError(
            f"{name} must be positive and sum to 1",
            f"the smallest is {p.min():.6g}, the sum is {p.sum():.12g}",
            "divide them by their sum",
        )
    return p


def covariance(value: ArrayLike, name: str, size: int | None = None) -> Array:
    """(size, size): symmetric, no eigenvalue negative, both up to 1e-10 of its largest entry."""
    matrix = real_array(value, name, 2)
    size = len(matrix) if size is None else size
    if matrix.shape != (size, size):
        raise ShapeError(
            f"{name} is not a {size} x {size} covariance",
            f"{name} has shape {matrix.shape}",
            "use X.T @ X / len(X)",
        )
    slack = 1e-10 * np.abs(matrix).max()
    asymmetry = np.abs(matrix - matrix.T).max()
    if asymmetry > slack or not _has_cholesky(matrix + slack * np.eye(size)):
        raise DataError(
            f"{name} is not a covariance",
            f"asymmetry {asymmetry:.6g}, smallest eigenvalue "
            f"{np.linalg.eigvalsh(matrix).min():.6g}",
            "a covariance is symmetric and has no negative eigenvalue: X.T @ X / len(X)",
        )
    return matrix


def _has_cholesky(matrix: Array) -> bool:
    """Whether all eigenvalues are positive, or all zero; a tenth of the cost of computing them."""
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return not matrix.any()
    return True


@contextmanager
def solvable(name: str, where: str, fix: str) -> Iterator[None]:
    """A system that is solved inside, called `name`; DataError where it is singular."""
    try:
        yield
    except np.linalg.LinAlgError as error:
        raise DataError(f"{name} cannot be solved for: {error}", where, fix) from None


def unit(array: ArrayLike) -> float:
    """A power of two near the largest entry: dividing by it does not round, and what is left has
    products that neither overflow nor underflow.  1 where all entries are 0.
    """
    return float(2.0 ** np.frexp(np.abs(array).max())[1])


def spectrum(s: ArrayLike) -> Array:
    """Eigenvalues of XᵀX: a flat array, none negative, sorted from the largest to the smallest."""
    return _falling(s, "s", "XᵀX", "use pca(X).eigenvalues, or np.sort(s)[::-1]")


def variances(l: ArrayLike) -> Array:
    """Eigenvalues of the covariance XᵀX / N, checked in the same way."""
    return _falling(
        l, "l", "the covariance XᵀX / N", "use pca(X).eigenvalues / N, or np.sort(l)[::-1]"
    )


def with_units(values: Array, name: str, M: int, low: int = 1) -> tuple[Array, int]:
    """The eigenvalues ``values`` (D,), and M, a number of latent units, from ``low`` to D."""
    D = len(values)
    return values, whole_number(M, "M", low, D, f"{name} has {D} eigenvalues")


def _falling(value: ArrayLike, name: str, matrix: str, fix: str) -> Array:
    values = real_array(value, name, 1)
    if (values < 0).any() or (np.diff(values) > 0).any():
        raise DataError(
            f"{name} must be eigenvalues of {matrix}, largest first",
            f"{name} has {int((values < 0).sum())} negative and {int((np.diff(values) > 0).sum())} "
            "increasing steps",
            fix,
        )
    return values
