"""The register tile: 4 rows by 2 vectors of C stay in registers while k runs.

A vector register holds 64 bytes (AVX-512) or 32: 16 or 8 float32, 8 or 4 float64.  Here it is a
tuple of that many numbers, and ``load``, ``fma`` and ``store`` write out what happens to each lane;
LLVM's SLP vectoriser turns each of their calls into one machine instruction.  ``zero`` is a register
full of zeros: ``len(zero)`` is known when compiling, so the branches that do not fit are dropped,
and one source serves both dtypes and both widths.

8 accumulators, 2 vectors of B and 1 element of A make 11 of the 16 registers of AVX2; two FMA units
with a latency of 4 cycles are kept busy by exactly 8 independent sums.  That is the whole secret of
a fast matrix product.
"""

from __future__ import annotations

from typing import Any

from minigrad_ae.kernels.jit import ELEMENTWISE, jit, known_when_compiling
from minigrad_ae.kernels.width import AVX512

ROWS = 4
WIDE = 2 if AVX512 else 1  # the widest register, in units of 32 bytes


@known_when_compiling
def wide_vector_of_zeros(a: Any) -> Any:
    """The widest register of this machine."""
    return (a.dtype.type(0),) * (WIDE * 32 // a.itemsize)


# Each of the three is one function with all its lanes in it: Numba optimises a function before it
# copies it into its callers, and one for four lanes would stay an instruction of four lanes.


@jit(ELEMENTWISE)
def load(row: Any, zero: Any) -> Any:
    """``row[: len(zero)]`` as a register."""
    first = row[0], row[1], row[2], row[3]
    if len(zero) == 4:
        return first
    second = row[4], row[5], row[6], row[7]
    if len(zero) == 8:
        return first + second
    third = row[8], row[9], row[10], row[11]
    fourth = row[12], row[13], row[14], row[15]
    return first + second + third + fourth


@jit(ELEMENTWISE)
def fma(c: Any, s: Any, v: Any) -> Any:
    """c + s v in every lane: one fused multiply-add."""
    c0, c1, c2, c3 = c[:4]
    v0, v1, v2, v3 = v[:4]
    first = c0 + s * v0, c1 + s * v1, c2 + s * v2, c3 + s * v3
    if len(c) == 4:
        return first
    c0, c1, c2, c3 = c[4:8]
    v0, v1, v2, v3 = v[4:8]
    second = c0 + s * v0, c1 + s * v1, c2 + s * v2, c3 + s * v3
    if len(c) == 8:
        return first + second
    c0, c1, c2, c3 = c[8:12]
    v0, v1, v2, v3 = v[8:12]
    third = c0 + s * v0, c1 + s * v1, c2 + s * v2, c3 + s * v3
    c0, c1, c2, c3 = c[12:16]
    v0, v1, v2, v3 = v[12:16]
    fourth = c0 + s * v0, c1 + s * v1, c2 + s * v2, c3 + s * v3
    return first + second + third + fourth


@jit(ELEMENTWISE)
def store(row: Any, v: Any) -> None:
    """``row[: len(v)] = v``."""
    row[0], row[1], row[2], row[3] = v[:4]
    if len(v) >= 8:
        row[4], row[5], row[6], row[7] = v[4:8]
    if len(v) == 16:
        row[8], row[9], row[10], row[11] = v[8:12]
        row[12], row[13], row[14], row[15] = v[12:16]


@jit(ELEMENTWISE, always_inline=True)
def tile(at: Any, i: int, b: Any, c: Any, row: int, j: int, zero: Any) -> None:
    """``c[row : row + 4, j : j + width] += at[:, i : i + 4].T @ b``, width = 2 len(zero).

    at (K, M), A transposed; b (K, width), contiguous.  The second vector of each row is loaded from
    a slice of its own: LLVM then sees two vectors, and not one run of numbers that it cuts up as it
    likes.
    """
    n = len(zero)
    a4 = at[:, i : i + ROWS]
    c0, d0 = c[row, j:], c[row, j + n :]
    c1, d1 = c[row + 1, j:], c[row + 1, j + n :]
    c2, d2 = c[row + 2, j:], c[row + 2, j + n :]
    c3, d3 = c[row + 3, j:], c[row + 3, j + n :]
    p0, p1 = load(c0, zero), load(d0, zero)
    q0, q1 = load(c1, zero), load(d1, zero)
    r0, r1 = load(c2, zero), load(d2, zero)
    s0, s1 = load(c3, zero), load(d3, zero)
    for k in range(b.shape[0]):
        x, y = a4[k], b[k]
        v, w = load(y, zero), load(y[n:], zero)
        p0, p1 = fma(p0, x[0], v), fma(p1, x[0], w)
        q0, q1 = fma(q0, x[1], v), fma(q1, x[1], w)
        r0, r1 = fma(r0, x[2], v), fma(r1, x[2], w)
        s0, s1 = fma(s0, x[3], v), fma(s1, x[3], w)
    store(c0, p0)
    store(d0, p1)
    store(c1, q0)
    store(d1, q1)
    store(c2, r0)
    store(d2, r1)
    store(c3, s0)
    store(d3, s1)
