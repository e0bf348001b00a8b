"""The register tile: 4 rows by 2 vectors of C stay in registers while k runs.

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

from minigrad_ae.kernels.jit import TILE, jit, overload

ROWS = 4
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


@jit(TILE)
def load(row: Any, i: int, zero: Any) -> Any:
    """``row[i : i + len(zero)]`` as a register."""
    if len(zero) == 8:
        return (row[i], row[i + 1], row[i + 2], row[i + 3], row[i + 4], row[i + 5], row[i + 6], row[i + 7])
    else:
        return (row[i], row[i + 1], row[i + 2], row[i + 3])


@jit(TILE)
def fma(c: Any, s: Any, v: Any) -> Any:
    """c + s v in every lane: one fused multiply-add."""
    if len(c) == 8:
        return (
            c[0] + s * v[0], c[1] + s * v[1], c[2] + s * v[2], c[3] + s * v[3],
            c[4] + s * v[4], c[5] + s * v[5], c[6] + s * v[6], c[7] + s * v[7],
        )  # fmt: skip
    else:
        return (c[0] + s * v[0], c[1] + s * v[1], c[2] + s * v[2], c[3] + s * v[3])


@jit(TILE)
def store(row: Any, i: int, v: Any) -> None:
    """``row[i : i + len(v)] = v``."""
    row[i], row[i + 1], row[i + 2], row[i + 3] = v[0], v[1], v[2], v[3]
    if len(v) == 8:
        row[i + 4], row[i + 5], row[i + 6], row[i + 7] = v[4], v[5], v[6], v[7]


@jit(TILE)
def tile(at: Any, i0: int, i1: int, i2: int, i3: int, b: Any, c0: Any, c1: Any, c2: Any, c3: Any, zero: Any) -> None:
    """Add A B to four rows of C: ``c_r += at[:, i_r] @ b`` for r = 0..3.

    at (K, M), A transposed; i0..i3 four of its columns; b (K, 2 len(zero)), contiguous; c0..c3 (>= 2 len(zero),).
    """
    n = len(zero)
    p0, p1 = load(c0, 0, zero), load(c0, n, zero)
    q0, q1 = load(c1, 0, zero), load(c1, n, zero)
    r0, r1 = load(c2, 0, zero), load(c2, n, zero)
    s0, s1 = load(c3, 0, zero), load(c3, n, zero)
    for k in range(b.shape[0]):
        column, row = at[k], b[k]
        v, w = load(row, 0, zero), load(row, n, zero)
        p0, p1 = fma(p0, column[i0], v), fma(p1, column[i0], w)
        q0, q1 = fma(q0, column[i1], v), fma(q1, column[i1], w)
        r0, r1 = fma(r0, column[i2], v), fma(r1, column[i2], w)
        s0, s1 = fma(s0, column[i3], v), fma(s1, column[i3], w)
    store(c0, 0, p0)
    store(c0, n, p1)
    store(c1, 0, q0)
    store(c1, n, q1)
    store(c2, 0, r0)
    store(c2, n, r1)
    store(c3, 0, s0)
    store(c3, n, s1)
