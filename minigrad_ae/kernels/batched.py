"""Stacks of small matrices: their products, each matrix in cache from start to end."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad_ae.errors import ShapeError
from minigrad_ae.kernels.backend import (
    check_floats,
    check_out,
    chunks,
    compiled_form_of,
    in_parallel,
)
from minigrad_ae.kernels.calls import call, contiguous
from minigrad_ae.kernels.jit import ELEMENTWISE, jit
from minigrad_ae.kernels.reference import quiet
from minigrad_ae.kernels.small_products import product, room
from minigrad_ae.kernels.subnormal import drop, restore

Array = np.ndarray
GRAIN_FLOPS = 2e6  # work per thread


@jit(ELEMENTWISE, allocates=True)
def _batched(a: Any, b: Any, transposed: bool, c: Any) -> None:
    _batched_in(room(a, a.shape[2]), a, b, transposed, c)


@jit(ELEMENTWISE)
def _batched_in(panel: Any, a: Any, b: Any, transposed: bool, c: Any) -> None:
    (rows, depth), columns = a.shape[1:], c.shape[2]
    at, before = (0, 0, 0, 0, 0, 0), drop()
    for n in range(c.shape[0]):
        product(a[n], False, b[n], transposed, c[n], rows, depth, columns, at, panel)
    restore(before)


@quiet
def _batched_definition(a: Array, b: Array, out: Array | None = None) -> Array:
    return np.matmul(a, b, out=out)


@compiled_form_of(_batched_definition)
def batched_matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """The products of two stacks of matrices, ``a @ b``.

    Parameters
    ----------
    a : ndarray, (..., M, K), float32 or float64
        At least one leading axis.
    b : ndarray, (..., K, N), dtype of a
        The same leading axes (nothing is broadcast); it may be a transposed view.
    out : ndarray, (..., M, N), optional
        Where to write the result, contiguous.  A new array by default.

    Returns
    -------
    ndarray, (..., M, N)
        One product for each pair of matrices.

    Raises
    ------
    DtypeError
        Where `a` and `b` are not both float32 or both float64 arrays.
    ShapeError
        Where the shapes do not fit, or `out` does not.

    Examples
    --------
    >>> a = np.stack([np.eye(3), 2 * np.eye(3)])
    >>> b = np.ones((2, 3, 4))
    >>> mg.kernels.batched_matmul(a, b).sum(axis=(1, 2)).tolist()
    [12.0, 24.0]
    """
    check_floats("batched_matmul", a=a, b=b)
    stacks = a.ndim >= 3 and a.ndim == b.ndim and a.shape[:-2] == b.shape[:-2]
    if not stacks or a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            "batched_matmul: shapes do not fit",
            f"a {a.shape}, b {b.shape}",
            "needed: (..., M, K) and (..., K, N), leading axes equal (broadcast them first)",
        )
    shape = (*a.shape[:-1], b.shape[-1])
    out = check_out("batched_matmul", out, shape, a.dtype)
    if not (a.size and b.size):  # sums of nothing
        call(out.fill, 0)
        return out
    transposed = not b.flags.c_contiguous
    stored = contiguous(b.swapaxes(-1, -2) if transposed else b)
    left, right, result = _stack(contiguous(a)), _stack(stored), _stack(out)
    work = 2.0 * shape[-2] * shape[-1] * a.shape[-1]
    pieces = chunks(len(result), max(1, int(GRAIN_FLOPS / max(work, 1))))
    in_parallel(_batched, [(left[i:j], right[i:j], transposed, result[i:j]) for i, j in pieces])
    return out


def _stack(a: Array) -> Array:
    """All leading axes as one.  (``reshape(-1, ...)`` cannot tell how many matrices there are when
    they are empty.)
    """
    return a.reshape(math.prod(a.shape[:-2]), *a.shape[-2:])
