"""Stacks of small matrices: products, each matrix in cache from start to end.

The matrices of attention are about 17 x 16: too small to be worth packing, so that the tile reads B
where it lies.
"""

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
from minigrad_ae.kernels.calls import contiguous
from minigrad_ae.kernels.jit import ELEMENTWISE, jit
from minigrad_ae.kernels.ladder import triple_loop
from minigrad_ae.kernels.reference import quiet
from minigrad_ae.kernels.tile import fma, load, store, vector_of_zeros

Array = np.ndarray
GRAIN_FLOPS = 2e6  # work per thread


@jit(ELEMENTWISE, always_inline=True)
def _tiles(a: Any, b: Any, c: Any) -> None:
    """c = a @ b for one small matrix each, C order, in tiles of 3 rows by 3 vectors; at least 3
    rows and one vector.

    Tiles and vectors that would stick out are moved back until they fit, and compute some elements
    a second time: 17 columns are 3 vectors of 8.  (As one function: cut in two, LLVM no longer sees
    that no index is negative.)
    """
    zero = vector_of_zeros(c)
    rows, last = c.shape[0], c.shape[1] - len(zero)
    for start in range(0, rows, 3):
        i = min(start, rows - 3)
        a0, a1, a2 = a[i], a[i + 1], a[i + 2]
        c0, c1, c2 = c[i], c[i + 1], c[i + 2]
        for j in range(0, c.shape[1], 3 * len(zero)):
            j0, j1, j2 = min(j, last), min(j + len(zero), last), min(j + 2 * len(zero), last)
            p0 = p1 = p2 = q0 = q1 = q2 = r0 = r1 = r2 = zero
            for k in range(b.shape[0]):
                row, x, y, z = b[k], a0[k], a1[k], a2[k]
                v = load(row[j0:], zero)
                p0, q0, r0 = fma(p0, x, v), fma(q0, y, v), fma(r0, z, v)
                v = load(row[j1:], zero)
                p1, q1, r1 = fma(p1, x, v), fma(q1, y, v), fma(r1, z, v)
                v = load(row[j2:], zero)
                p2, q2, r2 = fma(p2, x, v), fma(q2, y, v), fma(r2, z, v)
            store(c0[j0:], p0)
            store(c0[j1:], p1)
            store(c0[j2:], p2)
            store(c1[j0:], q0)
            store(c1[j1:], q1)
            store(c1[j2:], q2)
            store(c2[j0:], r0)
            store(c2[j1:], r1)
            store(c2[j2:], r2)


@jit(ELEMENTWISE, always_inline=True)
def product(a: Any, b: Any, c: Any) -> None:
    """c = a @ b for one small matrix each, C order."""
    if c.shape[0] < 3 or c.shape[1] < len(vector_of_zeros(c)):
        triple_loop(a, b, c)
    else:
        _tiles(a, b, c)


@jit(ELEMENTWISE)
def turn(x: Any, out: Any) -> None:
    """out = x^T"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[j, i] = x[i, j]


@jit(ELEMENTWISE)
def _batched(a: Any, b: Any, transposed: bool, c: Any) -> None:
    scratch = np.empty((a.shape[2], c.shape[2]), c.dtype)
    for n in range(c.shape[0]):
        if transposed:
            turn(b[n], scratch)
            product(a[n], scratch, c[n])
        else:
            product(a[n], b[n], c[n])


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
    if not out.size:
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
