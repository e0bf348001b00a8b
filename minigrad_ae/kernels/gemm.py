"""Matrix product C = A B, with A and B as they lie in memory: A B, A B^T and A^T B by the same code.

NumPy definition: ``a @ b``.  What makes it fast, each thing a rung of ladder.py: a tile of C in registers (tile.py), B
(and A^T, where its rows are long) packed into panels as wide as the tile, blocks that fit the caches.  Flags:
``contract`` only; every element of C is one sum in order of k, so NaN and Inf come out as in a plain loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.errors import ShapeError
from minigrad_ae.kernels import reference
from minigrad_ae.kernels.backend import FLOATS, check_floats, check_out, chunks, get_num_threads, in_parallel, twin_of
from minigrad_ae.kernels.jit import ELEMENTWISE, jit
from minigrad_ae.kernels.tile import ROWS, load, store, tile, wide_vector_of_zeros

Array = np.ndarray
K_BLOCK = 256  # a panel of B: 256 x 64 bytes = 16 KiB, half of a first-level cache (with AVX-512 all of it)
M_BLOCK = 120  # a block of A: 120 x 256 float32 = 120 KiB; a multiple of ROWS
COLUMNS = 64  # threads split C at multiples of this many columns ...
PARALLEL_FLOPS = 4e6  # ... above this much work; handing it to a thread costs about 20 microseconds
WIDE_ROW = 2048  # bytes: rows of A^T this long lie a power of two apart often enough to fight for the same cache lines


@jit(ELEMENTWISE)
def pack(x: Any, turned: bool, k0: int, size: int, j_from: int, j_to: int, panels: Any, zero: Any) -> None:
    """Copy ``X[k0 : k0 + size, j_from:j_to]`` into panels (number, k, width), filling up with zeros.

    ``x`` holds X, or its transpose (turned).  For B the panels are as wide as the tile, for A^T as wide as it is high.
    """
    width, columns = panels.shape[2], j_to - j_from
    whole = columns // width
    if whole * width < columns:
        panels[whole] = 0
    if turned:
        for j in range(columns):
            row, column = x[j_from + j, k0:], panels[j // width, :, j % width]
            for k in range(size):
                column[k] = row[k]
    else:
        for k in range(size):
            row = x[k0 + k, j_from:]
            for p in range(whole):
                of, to = row[p * width :], panels[p, k]
                if width == ROWS:
                    to[0], to[1], to[2], to[3] = of[0], of[1], of[2], of[3]
                else:
                    store(to, 0, load(of, 0, zero))
                    store(to[len(zero) :], 0, load(of[len(zero) :], 0, zero))
            for j in range(whole * width, columns):
                panels[whole, k, j - whole * width] = row[j]


@jit(ELEMENTWISE)
def copy(of: Any, i: int, j: int, to: Any, row: int, column: int, m: int, n: int) -> None:
    """``to[row : row + m, column : column + n] = of[i : i + m, j : j + n]``"""
    for r in range(m):
        source, target = of[i + r, j:], to[row + r, column:]
        for l in range(n):
            target[l] = source[l]


@jit(ELEMENTWISE)
def gemm(a: Any, a_turned: bool, b: Any, b_turned: bool, c: Any, i_from: int, i_to: int, j_from: int, j_to: int) -> None:
    """``c[i_from:i_to, j_from:j_to] += (A B)[i_from:i_to, j_from:j_to]``; a, b and c (M, N) in C order.

    ``a`` holds A (M, K), or its transpose (turned); ``b`` holds B (K, N), or its transpose.  One compiled version serves
    all four.  K in blocks: one panel of B (K_BLOCK x width) stays in the first-level cache while all rows of a block of A
    (M_BLOCK x K_BLOCK, second-level cache) run along it.  Each element of C sums over k in one order, whatever the
    ranges, so that the bits do not depend on how the work is divided among threads.
    """
    at = a if a_turned else a.T
    depth = at.shape[0]
    zero = wide_vector_of_zeros(c)
    width = 2 * len(zero)
    n_panels = (j_to - j_from + width - 1) // width
    panels = np.empty((n_panels, min(depth, K_BLOCK), width), c.dtype)
    packed = a_turned and n_panels * width > 3 * COLUMNS and at.shape[1] * c.itemsize >= WIDE_ROW
    strips = np.empty((M_BLOCK // ROWS if packed else 1, min(depth, K_BLOCK), ROWS), c.dtype)
    edge = np.zeros((ROWS, width), c.dtype)
    nought = depth - depth  # a 0 that is not known while compiling: for a known one tile and copy would be compiled again
    step = -(-depth // -(-depth // K_BLOCK))  # blocks of equal size: 784 is 4 x 196, and not 3 x 256 + 16
    for k in range(0, depth, step):
        size = min(step, depth - k)
        rows = at[k : k + size]
        pack(b, b_turned, k, size, j_from, j_to, panels, zero)
        for block in range(i_from, i_to, M_BLOCK):
            end = min(block + M_BLOCK, i_to)
            left = (end - block) % ROWS  # rows that do not fill a tile: a strip of their own, filled up with zeros
            if packed or left:
                pack(a, not a_turned, k, size, block if packed else end - left, end, strips, zero)
            for p in range(n_panels):
                j, panel = j_from + p * width, panels[p, :size]
                n = min(width, j_to - j)
                for i in range(block, end, ROWS):
                    m = min(ROWS, end - i)
                    strip, first = rows, i
                    if packed:
                        strip, first = strips[(i - block) // ROWS, :size], nought
                    elif m < ROWS:
                        strip, first = strips[0, :size], nought
                    if m == ROWS and n == width:
                        tile(strip, first, panel, c, i, j, zero)
                    else:  # the tile sticks out of C: computed beside it
                        copy(c, i, j, edge, nought, nought, m, n)
                        tile(strip, first, panel, edge, nought, nought, zero)
                        copy(edge, nought, nought, c, i, j, m, n)


@twin_of(reference.matmul)
def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """``a @ b`` for a (M, K) and b (K, N), float32 or float64 of any strides; ``out`` (M, N), contiguous."""
    try:
        (m, depth), (rows, n) = a.shape, b.shape
        fits = depth == rows and a.dtype == b.dtype and a.dtype in FLOATS
    except (AttributeError, ValueError):  # no array, or no matrix
        fits = False
    if not fits:
        check_floats("matmul", a=a, b=b)
        raise ShapeError(
            "matmul: inner sizes differ or an argument is not a matrix", f"a {a.shape}, b {b.shape}",
            "a needs as many columns as b has rows; for stacks of matrices use batched_matmul",
        )  # fmt: skip
    if out is None:
        out = np.zeros((m, n), a.dtype)
    else:
        if np.may_share_memory(out, a) or np.may_share_memory(out, b):
            raise ShapeError("matmul: out overlaps an argument", "out shares memory with a or b", "pass another array")
        check_out("matmul", out, (m, n), a.dtype)[:] = 0
    if m and n and depth:
        accumulate(a, b, out)
    return out


def accumulate(a: Array, b: Array, c: Array) -> None:
    """``c += a @ b``, unchecked: start from a bias in ``c`` and the bias costs nothing."""
    (a, a_turned), (b, b_turned), (m, n), threads = _stored(a), _stored(b), c.shape, get_num_threads()
    if threads == 1 or 2.0 * a.size * n < PARALLEL_FLOPS:
        gemm(a, a_turned, b, b_turned, c, 0, m, 0, n)
    elif n >= 2 * COLUMNS * threads:
        in_parallel(gemm, [(a, a_turned, b, b_turned, c, 0, m, *piece) for piece in chunks(n, COLUMNS)])
    else:
        in_parallel(gemm, [(a, a_turned, b, b_turned, c, *piece, 0, n) for piece in chunks(m, ROWS)])


def _stored(x: Array) -> tuple[Array, bool]:
    """``x`` in C order, or its transpose in C order and True; a copy only where neither lies in memory."""
    if x.flags.c_contiguous:
        return x, False
    return (x.T, True) if x.flags.f_contiguous else (np.ascontiguousarray(x), False)
