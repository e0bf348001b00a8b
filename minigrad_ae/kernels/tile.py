"""The register tile: 5 rows by 2 vectors of C stay in registers while k runs.

A vector register of 32 bytes holds 8 float32 or 4 float64.  Here it is a tuple of that many numbers, and ``load``,
``fma`` and ``store`` write out what happens to each lane; LLVM's SLP vectoriser turns every such line into one machine
instruction.  ``zero`` is a register full of zeros: ``len(zero)`` is known when compiling, so the branch that does
not fit the dtype is dropped, and one source serves both.

8 accumulators, 2 vectors of B and 1 element of A make 11 of the 16 registers of AVX2; two FMA units with a latency of
4 cycles are kept busy by exactly 8 independent sums.  That is the whole secret of a fast matrix product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.kernels.jit import ELEMENTWISE, jit, overload

ROWS = 5
VECTOR_BYTES = 32


def vector_of_zeros(a: Any) -> Any:
    """A register of zeros of the dtype of ``a``: 8 for float32, 4 for float64."""
    return (a.dtype.type(0),) * (VECTOR_BYTES // a.itemsize)


@overload(vector_of_zeros)
def _vector_of_zeros(a):  # type: ignore[no-untyped-def]  # Numba compares signatures, annotations included
    if a.dtype.bitwidth == 32:
        zero: Any = (np.float32(0),) * 8
    else:
        zero = (np.float64(0),) * 4
    return lambda a: zero


@jit(ELEMENTWISE)
def load(row: Any, i: int, zero: Any) -> Any:
    """``row[i : i + len(zero)]`` as a register."""
    if len(zero) == 8:
        return (row[i], row[i + 1], row[i + 2], row[i + 3], row[i + 4], row[i + 5], row[i + 6], row[i + 7])
    else:
        return (row[i], row[i + 1], row[i + 2], row[i + 3])


@jit(ELEMENTWISE)
def fma(c: Any, s: Any, v: Any) -> Any:
    """c + s v in every lane: one fused multiply-add."""
    if len(c) == 8:
        return (
            c[0] + s * v[0], c[1] + s * v[1], c[2] + s * v[2], c[3] + s * v[3],
            c[4] + s * v[4], c[5] + s * v[5], c[6] + s * v[6], c[7] + s * v[7],
        )  # fmt: skip
    else:
        return (c[0] + s * v[0], c[1] + s * v[1], c[2] + s * v[2], c[3] + s * v[3])


@jit(ELEMENTWISE)
def store(row: Any, i: int, v: Any) -> None:
    """``row[i : i + len(v)] = v``."""
    row[i], row[i + 1], row[i + 2], row[i + 3] = v[0], v[1], v[2], v[3]
    if len(v) == 8:
        row[i + 4], row[i + 5], row[i + 6], row[i + 7] = v[4], v[5], v[6], v[7]


@jit(ELEMENTWISE)
def tile(at: Any, i: int, last: int, b: Any, c: Any, row: int, j: int, zero: Any) -> None:
    """``c[row : row + 5, j : j + width] += at[:, i : i + 5].T @ b``, width = 2 len(zero).

    at (K, M), A transposed; b (K, width), contiguous.  Rows of A beyond ``last`` are taken to be row ``last``.
    The second vector of a row of B is loaded from a slice of its own: LLVM then sees two vectors, not one of 16 lanes.
    """
    n = len(zero)
    i1, i2, i3, i4 = min(i + 1, last), min(i + 2, last), min(i + 3, last), min(i + 4, last)
    c0, c1, c2, c3, c4 = c[row, j:], c[row + 1, j:], c[row + 2, j:], c[row + 3, j:], c[row + 4, j:]
    p0, p1 = load(c0, 0, zero), load(c0, n, zero)
    q0, q1 = load(c1, 0, zero), load(c1, n, zero)
    r0, r1 = load(c2, 0, zero), load(c2, n, zero)
    s0, s1 = load(c3, 0, zero), load(c3, n, zero)
    t0, t1 = load(c4, 0, zero), load(c4, n, zero)
    for k in range(b.shape[0]):
        x, y = at[k], b[k]
        v, w = load(y, 0, zero), load(y[n:], 0, zero)
        p0, p1 = fma(p0, x[i], v), fma(p1, x[i], w)
        q0, q1 = fma(q0, x[i1], v), fma(q1, x[i1], w)
        r0, r1 = fma(r0, x[i2], v), fma(r1, x[i2], w)
        s0, s1 = fma(s0, x[i3], v), fma(s1, x[i3], w)
        t0, t1 = fma(t0, x[i4], v), fma(t1, x[i4], w)
    store(c0, 0, p0)
    store(c0, n, p1)
    store(c1, 0, q0)
    store(c1, n, q1)
    store(c2, 0, r0)
    store(c2, n, r1)
    store(c3, 0, s0)
    store(c3, n, s1)
    store(c4, 0, t0)
    store(c4, n, t1)
