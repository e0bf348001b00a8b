"""Softmax and log-softmax over the last axis, forward and backward: one row at a time, in cache.

Sums run in vector lanes (REDUCTION flags); exp keeps its own exact flags.  NaN and +Inf in a row
spread as in NumPy; of a row of -Inf the softmax is 0 and the log-softmax -Inf.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.errors import ShapeError
from minigrad_ae.kernels import scalar
from minigrad_ae.kernels.backend import chunks, filled_by, in_parallel
from minigrad_ae.kernels.calls import call, contiguous
from minigrad_ae.kernels.jit import REDUCTION, jit
from minigrad_ae.kernels.row_vectors import normalise, shift

Array = np.ndarray
GRAIN = 1 << 14  # numbers per thread
BLOCK = 1 << 11  # numbers that stay in the first-level cache


@jit(REDUCTION)
def _exp_of_shifted(x: Any, shifted: Any, powers: Any) -> None:
    """shifted = x - row maximum (0 where that is infinite; NaN is passed over, and comes back in
    the sum of exponentials); powers = e^shifted.

    The exponentials of all rows are one flat loop: rows of 17 alone would leave half the vector
    lanes empty.  It reads one array and writes another: LLVM vectorises a loop only where it finds
    that the two do not overlap.
    """
    shift(x, 0, x.shape[0], x.shape[1], shifted, 0)
    flat, out = shifted.reshape(-1), powers.reshape(-1)
    for i in range(flat.size):
        out[i] = scalar.exp(flat[i])


@jit(REDUCTION, allocates=True)
def _softmax(x: Any, y: Any) -> None:
    columns = x.shape[1]
    step = max(1, BLOCK // columns)
    shifted, powers = np.empty((step, columns), x.dtype), np.empty((step, columns), x.dtype)
    for start in range(0, x.shape[0], step):
        block = x[start : start + step]
        rows = block.shape[0]
        _exp_of_shifted(block, shifted[:rows], powers[:rows])
        normalise(powers, 0, rows, columns, y, start * columns)


@jit(REDUCTION)
def _softmax_backward(g: Any, y: Any, out: Any) -> None:
    for r in range(g.shape[0]):
        row, weight, to = g[r], y[r], out[r]
        inner = g.dtype.type(0)
        for i in range(row.size):
            inner += row[i] * weight[i]
        for i in range(row.size):
            to[i] = weight[i] * (row[i] - inner)


@jit(REDUCTION, allocates=True)
def _log_softmax(x: Any, y: Any) -> None:
    step = max(1, BLOCK // x.shape[1])
    powers = np.empty((step, x.shape[1]), x.dtype)
    for start in range(0, x.shape[0], step):
        block = y[start : start + step]
        _exp_of_shifted(x[start : start + step], block, powers[: block.shape[0]])
        for r in range(block.shape[0]):
            row, power, total = block[r], powers[r], x.dtype.type(0)
            for i in range(row.size):
                total += power[i]
            if total == 0:
                total = x.dtype.type(1)
            log_total = np.log(total)
            for i in range(row.size):
                row[i] -= log_total


@jit(REDUCTION)
def _log_softmax_backward(g: Any, y: Any, out: Any) -> None:
    for r in range(g.shape[0]):
        row, log_weight, to = g[r], y[r], out[r]
        total = g.dtype.type(0)
        for i in range(row.size):
            total += row[i]
        for i in range(row.size):
            to[i] = row[i] - scalar.exp(log_weight[i]) * total


KERNELS = {
    "softmax": _softmax,
    "softmax_backward": _softmax_backward,
    "log_softmax": _log_softmax,
    "log_softmax_backward": _log_softmax_backward,
}


def fill(name: str, inputs: tuple[Array, ...], out: Array) -> Array:
    """``out``, filled by one of KERNELS: arrays (..., columns) of one shape and dtype as (rows,
    columns), a piece of the rows per thread.
    """
    kernel = KERNELS[name]
    if 0 < out.size < 2 * GRAIN and out.ndim == 2:
        call(kernel, *map(contiguous, inputs), out)
    elif out.ndim < 1:
        raise ShapeError(
            f"{name}: needs an axis to run along",
            "the arguments are 0-d",
            "give at least one axis",
        )
    elif out.size:
        columns = out.shape[-1]
        views = [contiguous(a).reshape(-1, columns) for a in inputs]
        views.append(out.reshape(-1, columns))
        pieces = chunks(len(views[0]), max(1, GRAIN // columns))
        in_parallel(kernel, [tuple(v[i:j] for v in views) for i, j in pieces])
    return out


def _shifted(x: Array) -> Array:
    """x - row maximum, so that its exponential cannot overflow."""
    top = x.max(-1, keepdims=True, initial=-np.inf)
    return x - np.where(np.isinf(top), 0, top)


@filled_by(fill)
def softmax(x: Array, out: Array | None = None) -> Array:
    """The softmax of each row: ``e / e.sum(-1)``, ``e = np.exp(x - x.max(-1))``.

    Parameters
    ----------
    x : ndarray, (..., columns), float32 or float64
        Scores; -Inf excludes a column.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `x`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of x
        Weights that are not negative and sum to 1 along the last axis; 0 in a row of -Inf.

    Raises
    ------
    DtypeError
        Where `x` is not a float32 or float64 array.
    ShapeError
        Where `out` does not fit, or `x` has no axis.

    Examples
    --------
    >>> weights = mg.kernels.softmax(np.log([[1.0, 1.0, 2.0], [1.0, 2.0, 5.0]]))
    >>> weights.round(6).tolist()
    [[0.25, 0.25, 0.5], [0.125, 0.25, 0.625]]
    """
    e = np.exp(_shifted(x))
    total = e.sum(-1, keepdims=True)
    return np.divide(e, np.where(total == 0, 1, total), out=out)


@filled_by(fill)
def softmax_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """The gradient of `softmax` from its result: ``y * (g - (g * y).sum(-1))``.

    Parameters
    ----------
    g : ndarray, (..., columns), float32 or float64
        The gradient of the loss with respect to the result.
    y : ndarray, shape and dtype of g
        The result of `softmax`.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `g`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of g
        The gradient of the loss with respect to the scores; it sums to 0 along the last axis.

    Raises
    ------
    DtypeError
        Where `g` and `y` are not both float32 or both float64 arrays.
    ShapeError
        Where the shapes differ, `out` does not fit, or there is no axis.

    Examples
    --------
    >>> y = np.array([[0.25, 0.25, 0.5]])
    >>> mg.kernels.softmax_backward(np.array([[1.0, 1.0, 1.0]]), y).tolist()  # they sum to 1
    [[0.0, 0.0, 0.0]]
    """
    return np.multiply(y, g - (g * y).sum(-1, keepdims=True), out=out)


@filled_by(fill)
def log_softmax(x: Array, out: Array | None = None) -> Array:
    """The logarithm of the softmax: ``x - max - log(exp(x - max).sum(-1))``.

    Parameters
    ----------
    x : ndarray, (..., columns), float32 or float64
        Scores; -Inf excludes a column.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `x`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of x
        Log-probabilities, at most 0; -Inf in a row of -Inf.

    Raises
    ------
    DtypeError
        Where `x` is not a float32 or float64 array.
    ShapeError
        Where `out` does not fit, or `x` has no axis.

    Examples
    --------
    >>> bool(np.allclose(mg.kernels.log_softmax(np.zeros((1, 4))), -np.log(4)))
    True
    """
    shifted = _shifted(x)
    total = np.exp(shifted).sum(-1, keepdims=True)
    return np.subtract(shifted, np.log(np.where(total == 0, 1, total)), out=out)


@filled_by(fill)
def log_softmax_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """The gradient of `log_softmax` from its result: ``g - np.exp(y) * g.sum(-1)``.

    Parameters
    ----------
    g : ndarray, (..., columns), float32 or float64
        The gradient of the loss with respect to the result.
    y : ndarray, shape and dtype of g
        The result of `log_softmax`.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `g`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of g
        The gradient of the loss with respect to the scores; it sums to 0 along the last axis.

    Raises
    ------
    DtypeError
        Where `g` and `y` are not both float32 or both float64 arrays.
    ShapeError
        Where the shapes differ, `out` does not fit, or there is no axis.
    """
    return np.subtract(g, np.exp(y) * g.sum(-1, keepdims=True), out=out)
