"""Seeded mini-batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ..arguments import flag, generator, plain, whole_number
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

    Yields arrays of ``size`` rows; with ``others`` (labels, weights, clean targets: arrays with as
    many rows) it yields tuples ``(x, other, ...)`` with the rows kept together.  Each row comes
    exactly once; the last batch holds what is left over, unless ``drop_last`` leaves it out.  The
    order is drawn from ``rng`` when this is called, once an epoch, so the same seed gives the same
    epochs.  The batches are copies.

    A loss that is a *sum* over the batch is smaller on the short last batch; a mean weighs its rows
    more.

    Raises, before the first batch: ShapeError if the numbers of rows differ, DataError for an empty
    X or a size outside 1..n, DtypeError for a size that is not a whole number or an ``rng`` that is
    not a np.random.Generator.
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
    where = f"size = {size}, X has {n} rows"
    if n == 0:
        raise DataError("there are no rows to batch", where, "give data")
    size = whole_number(
        size,
        "the batch size",
        f"choose a size from 1 to {n}; {n} is one batch of everything",
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
