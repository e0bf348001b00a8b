"""Seeded mini-batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..arguments import counted, flag, generator, plain, span, whole_number
from ..errors import DataError, ShapeError

Array = NDArray[Any]


@overload
def batches(
    X: Array, size: int, rng: np.random.Generator, *, drop_last: bool = False
) -> Iterator[Array]: ...
@overload
def batches(
    X: Array, size: int, rng: np.random.Generator, *others: Array, drop_last: bool = False
) -> Iterator[tuple[Array, ...]]: ...
def batches(
    X: Array, size: int, rng: np.random.Generator, *others: Array, drop_last: bool = False
) -> Iterator[Array] | Iterator[tuple[Array, ...]]:
    """One epoch: the rows of X in a random order, ``size`` at a time.

    Each row comes exactly once.  The order is drawn when this is called, once an epoch, so the same
    seed gives the same epochs.

    Parameters
    ----------
    X : array_like, (n, ...)
        One datum a row.
    size : int
        Rows in a batch, 1 to n.
    rng : numpy.random.Generator
        What the order is drawn from.
    *others : array_like, (n, ...)
        Labels, weights, clean targets: arrays with as many rows, which are kept together.
    drop_last : bool, optional
        Leave out the last batch where it is shorter; otherwise it holds what is left over.

    Returns
    -------
    iterator of ndarray, (size, ...), or of tuples of them
        Copies of rows of X; with `others`, tuples ``(x, other, ...)``.

    Raises
    ------
    ShapeError
        If the numbers of rows differ.
    DataError
        For an empty X, or a size outside 1..n.
    DtypeError
        For a size that is not a whole number, or an `rng` that is not a Generator.  All are raised
        before the first batch.

    Notes
    -----
    A loss that is a *sum* over the batch is smaller on the short last batch; a mean weighs its rows
    more.

    Examples
    --------
    >>> X, y = np.arange(5.0), np.arange(5) ** 2
    >>> epoch = list(mg.data.batches(X, 2, np.random.default_rng(0), y))
    >>> [len(x) for x, _ in epoch], all((x**2 == t).all() for x, t in epoch)
    ([2, 2, 1], True)
    >>> sorted(np.concatenate([x for x, _ in epoch]).tolist())
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    rng = generator(rng, "batches", "the order of the rows")
    flag(drop_last, "batches: drop_last")
    arrays = [plain(array, "an array to be batched") for array in (X, *others)]
    if any(array.ndim == 0 for array in arrays) or len({len(array) for array in arrays}) > 1:
        raise ShapeError(
            "the arrays to be batched together have different numbers of rows",
            "shapes " + ", ".join(str(array.shape) for array in arrays),
            "give arrays with one row for each datum, in the same order",
        )
    n = len(arrays[0])
    where = f"size = {size}, X has {counted(n, 'row')}"
    if n == 0:
        raise DataError("there are no rows to batch", where, "give data")
    size = whole_number(
        size,
        "the batch size",
        f"choose a size {span(1, n)}; {n} is one batch of everything",
        high=n,
        what=f"a batch size of {size} is out of range",
        where=where,
    )
    order = rng.permutation(n)
    starts = range(0, n - size + 1 if drop_last else n, size)
    picks = (order[start : start + size] for start in starts)
    if others:
        return (tuple(array[pick] for array in arrays) for pick in picks)
    return (arrays[0][pick] for pick in picks)
