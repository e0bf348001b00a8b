"""The register tile: 4 rows by 2 vectors of C stay in registers while k runs.

A vector register holds 64 bytes (AVX-512) or 32: 16 or 8 float32, 8 or 4 float64.  Here it is a
tuple of that many numbers, and ``load``, ``fma`` and ``store`` write out what happens to each lane;
LLVM's SLP vectoriser turns every such line into one machine instruction.  ``zero`` is a register
full of zeros: ``len(zero)`` is known when compiling, so the branches that do not fit are dropped,
and one source serves both dtypes and both widths.

8 accumulators, 2 vectors of B and 1 element of A make 11 of the 16 registers of AVX2; two FMA units
with a latency of 4 cycles are kept busy by exactly 8 independent sums.  That is the whole secret of
a fast matrix product.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.kernels.jit import AVX512, ELEMENTWISE, jit, overload

ROWS = 4
WIDE = 2 if AVX512 else 1  # the widest register, in units of 32 bytes


def vector_of_zeros(a: Any) -> Any:
    """A register of 8 zeros of the dtype of ``a``, for small matrices; of 4 for float64 without
    AVX-512.
    """
    return (a.dtype.type(0),) * (8 if a.itemsize == 4 else 4 * WIDE)


def wide_vector_of_zeros(a: Any) -> Any:
    """The widest register of this machine."""
    return (a.dtype.type(0),) * (WIDE * 32 // a.itemsize)


@overload(vector_of_zeros)
def _vector_of_zeros(a):  # type: ignore[no-untyped-def]  # Numba compares signatures, annotations included
    zero: Any = (np.float32(0),) * 8 if a.dtype.bitwidth == 32 else (np.float64(0),) * (4 * WIDE)
    return lambda a: zero


@overload(wide_vector_of_zeros)
def _wide_vector_of_zeros(a):  # type: ignore[no-untyped-def]
    zero: Any = (
        (np.float32(0),) * (8 * WIDE) if a.dtype.bitwidth == 32 else (np.float64(0),) * (4 * WIDE)
    )
    return lambda a: zero


@jit(ELEMENTWISE)
def load(row: Any, i: int, zero: Any) -> Any:
    """``row[i : i + len(zero)]`` as a register."""
    if len(zero) == 16:
        return (
            row[i], row[i + 1], row[i + 2], row[i + 3], row[i + 4], row[i + 5], row[i + 6], row[i + 7],
            row[i + 8], row[i + 9], row[i + 10], row[i + 11], row[i + 12], row[i + 13], row[i + 14], row[i + 15],
        )  # fmt: skip
    elif len(zero) == 8:
        return (
            row[i],
            row[i + 1],
            row[i + 2],
            row[i + 3],
            row[i + 4],
            row[i + 5],
            row[i + 6],
            row[i + 7],
        )
    else:
        return (row[i], row[i + 1], row[i + 2], row[i + 3])


@jit(ELEMENTWISE)
def fma(c: Any, s: Any, v: Any) -> Any:
    """c + s v in every lane: one fused multiply-add."""
    if len(c) == 16:
        return (
            c[0] + s * v[0], c[1] + s * v[1], c[2] + s * v[2], c[3] + s * v[3],
            c[4] + s * v[4], c[5] + s * v[5], c[6] + s * v[6], c[7] + s * v[7],
            c[8] + s * v[8], c[9] + s * v[9], c[10] + s * v[10], c[11] + s * v[11],
            c[12] + s * v[12], c[13] + s * v[13], c[14] + s * v[14], c[15] + s * v[15],
        )  # fmt: skip
    elif len(c) == 8:
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
    if len(v) >= 8:
        row[i + 4], row[i + 5], row[i + 6], row[i + 7] = v[4], v[5], v[6], v[7]
    if len(v) == 16:
        row[i + 8], row[i + 9], row[i + 10], row[i + 11] = v[8], v[9], v[10], v[11]
        row[i + 12], row[i + 13], row[i + 14], row[i + 15] = v[12], v[13], v[14], v[15]


@jit(ELEMENTWISE, always_inline=True)
def tile(at: Any, i: int, b: Any, c: Any, row: int, j: int, zero: Any) -> None:
    """``c[row : row + 4, j : j + width] += at[:, i : i + 4].T @ b``, width = 2 len(zero).

    at (K, M), A transposed; b (K, width), contiguous.  The second vector of each row is loaded from
    a slice of its own: LLVM then sees two vectors, and not one run of numbers that it cuts up as it
    likes.
    """
    n = len(zero)
    a4 = at[:, i : i + ROWS]
    c0, c1, c2, c3 = c[row, j:], c[row + 1, j:], c[row + 2, j:], c[row + 3, j:]
    d0, d1, d2, d3 = c[row, j + n :], c[row + 1, j + n :], c[row + 2, j + n :], c[row + 3, j + n :]
    p0, p1 = load(c0, 0, zero), load(d0, 0, zero)
    q0, q1 = load(c1, 0, zero), load(d1, 0, zero)
    r0, r1 = load(c2, 0, zero), load(d2, 0, zero)
    s0, s1 = load(c3, 0, zero), load(d3, 0, zero)
    for k in range(b.shape[0]):
        x, y = a4[k], b[k]
        v, w = load(y, 0, zero), load(y[n:], 0, zero)
        p0, p1 = fma(p0, x[0], v), fma(p1, x[0], w)
        q0, q1 = fma(q0, x[1], v), fma(q1, x[1], w)
        r0, r1 = fma(r0, x[2], v), fma(r1, x[2], w)
        s0, s1 = fma(s0, x[3], v), fma(s1, x[3], w)
    store(c0, 0, p0)
    store(d0, 0, p1)
    store(c1, 0, q0)
    store(d1, 0, q1)
    store(c2, 0, r0)
    store(d2, 0, r1)
    store(c3, 0, s0)
    store(d3, 0, s1)
