"""Matrix product C = A B, with A and B as they lie in memory: A B, A B^T and A^T B without a copy of either.

NumPy definition: ``a @ b``.  What makes it fast, each thing a rung of ladder.py: a tile of C in registers (tile.py), B
packed into panels as wide as the tile, blocks that fit the caches.  Flags: ``contract`` only; every element of C is one
sum in order of k, so NaN and Inf come out as in a plain loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.errors import ShapeError
from minigrad_ae.kernels import reference
from minigrad_ae.kernels.backend import FLOATS, check_floats, check_out, chunks, get_num_threads, in_parallel, twin_of
from minigrad_ae.kernels.jit import ELEMENTWISE, jit
from minigrad_ae.kernels.tile import ROWS, tile, vector_of_zeros

Array = np.ndarray
K_BLOCK = 256  # a panel of B: 256 x 64 bytes = 16 KiB, half of a first-level cache
M_BLOCK = 120  # a block of A: 120 x 256 float32 = 120 KiB; a multiple of ROWS
COLUMNS = 64  # threads split C at multiples of this many columns ...
PARALLEL_FLOPS = 4e6  # ... above this much work; handing it to a thread costs about 20 microseconds
WIDE_ROW = 2048  # bytes: rows of A^T this long lie a power of two apart often enough to fight for the same cache lines


@jit(ELEMENTWISE)
def pack(b: Any, transposed: bool, k0: int, j: int, panel: Any) -> None:
    """Copy ``B[k0:, j:]`` into ``panel`` (k, w), filling up with zeros; ``b`` holds B, or its transpose."""
    depth, width = panel.shape
    if transposed:
        n = min(width, b.shape[0] - j)
        if n < width:
            panel[:] = 0
        for l in range(n):
            row, column = b[j + l, k0:], panel[:, l]
            for k in range(depth):
                column[k] = row[k]
    else:
        n = min(width, b.shape[1] - j)
        if n == width:
            for k in range(depth):
                row, to = b[k0 + k, j:], panel[k]
                for l in range(width):
                    to[l] = row[l]
        else:
            panel[:] = 0
            for k in range(depth):
                row, to = b[k0 + k, j:], panel[k]
                for l in range(n):
                    to[l] = row[l]

@jit(ELEMENTWISE)
def tile_at_edge(at: Any, i: int, last: int, b: Any, c: Any, j: int, n: int, edge: Any, zero: Any) -> None:
    """A tile that sticks out of C: computed in ``edge`` (ROWS, width); the rows of ``c`` and n columns are copied."""
    for r in range(c.shape[0]):
        for l in range(n):
            edge[r, l] = c[r, j + l]
    tile(at, i, last, b, edge, 0, 0, zero)
    for r in range(c.shape[0]):
        for l in range(n):
            c[r, j + l] = edge[r, l]


@jit(ELEMENTWISE)
def gemm(at: Any, b: Any, transposed: bool, c: Any, i_from: int, i_to: int, j_from: int, j_to: int) -> None:
    """``c[i_from:i_to, j_from:j_to] += (A B)[i_from:i_to, j_from:j_to]``.

    at (K, M) is A transposed, C or Fortran order; ``b`` holds B (K, N), or B transposed (N, K), in C order; c (M, N).
    K in blocks: one panel of B (K_BLOCK x width) stays in the first-level cache while all rows of a block of A
    (M_BLOCK x K_BLOCK, second-level cache) run along it.  Each element of C sums over k in one order, whatever the
    ranges, so that the bits do not depend on how the work is divided among threads.
    """
    depth = at.shape[0]
    zero = vector_of_zeros(c)
    width = 2 * len(zero)
    n_panels = (j_to - j_from + width - 1) // width
    panels = np.empty((n_panels, min(depth, K_BLOCK), width), c.dtype)
    edge = np.zeros((ROWS, width), c.dtype)
    for k in range(0, depth, K_BLOCK):
        k_size = min(K_BLOCK, depth - k)
        a_block = at[k : k + k_size]
        for p in range(n_panels):
            pack(b, transposed, k, j_from + p * width, panels[p, :k_size])
        for i_block in range(i_from, i_to, M_BLOCK):
            i_end = min(i_block + M_BLOCK, i_to)
            for p in range(n_panels):
                b_block = panels[p, :k_size]
                j = j_from + p * width
                n = min(width, j_to - j)
                for i in range(i_block, i_end, ROWS):
                    m = min(ROWS, i_end - i)
                    if m == ROWS and n == width:
                        tile(a_block, i, i_end - 1, b_block, c, i, j, zero)
                    else:
                        tile_at_edge(a_block, i, i_end - 1, b_block, c[i : i + m], j, n, edge, zero)

@jit(ELEMENTWISE)
def transpose(x: Any, out: Any) -> None:
    """out = x^T, in squares of 4 x 4: each cache line is used four times while it is there."""
    rows, columns = x.shape
    for r in range(rows // 4):
        a, b, c, d = x[4 * r], x[4 * r + 1], x[4 * r + 2], x[4 * r + 3]
        for j in range(columns):
            to = out[j, 4 * r :]
            to[0], to[1], to[2], to[3] = a[j], b[j], c[j], d[j]
    for r in range(rows // 4 * 4, rows):
        for j in range(columns):
            out[j, r] = x[r, j]


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
    at = a.T if a.flags.c_contiguous else _as_stored(a)
    stored, transposed = (b, False) if b.flags.c_contiguous else (np.ascontiguousarray(b.T), True)
    m, n = c.shape
    if 2.0 * m * n * len(b) < PARALLEL_FLOPS or get_num_threads() == 1:
        gemm(at, stored, transposed, c, 0, m, 0, n)
    elif n >= 2 * COLUMNS * get_num_threads():
        in_parallel(gemm, [(at, stored, transposed, c, 0, m, *piece) for piece in chunks(n, COLUMNS)])
    else:
        in_parallel(gemm, [(at, stored, transposed, c, *piece, 0, n) for piece in chunks(m, ROWS)])


def _as_stored(a: Array) -> Array:
    """``a.T`` in C order (``a`` is a transposed view) or in Fortran order (a copy): gemm is compiled for these two."""
    if not a.flags.f_contiguous:
        return np.ascontiguousarray(a).T
    if a.shape[0] * a.itemsize < WIDE_ROW:
        return a.T
    rows = np.empty(a.shape, a.dtype)
    transpose(a.T, rows)
    return rows.T
