"""Matrix product C = A B, with A and B as they lie in memory: A B, A B^T and A^T B by the same
code.

NumPy definition: ``a @ b``.  What makes it fast, each thing a rung of ladder.py: a tile of C in
registers (micro.py), B and A laid out in the order of use where that pays (layout.py), blocks that
fit the caches.  Flags: ``contract`` only, and every element of C is one sum in order of k; but for
`dots_of_rows`, where the sum runs in vector lanes.  NaN and Inf spread as in a plain loop, and the
bits do not depend on the number of threads.  Numbers too small to have all their digits count as 0
(subnormal.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.errors import ShapeError
from minigrad_ae.kernels import reference
from minigrad_ae.kernels.backend import (
    FLOATS,
    check_floats,
    check_out,
    chunks,
    compiled_form_of,
    in_parallel,
    state,
)
from minigrad_ae.kernels.calls import call, contiguous, room
from minigrad_ae.kernels.jit import ELEMENTWISE, jit
from minigrad_ae.kernels.layout import lay_out_a, lay_out_b
from minigrad_ae.kernels.micro import ADDED, BIASED, FRESH, ROWS, SQUARE, dots, tile
from minigrad_ae.kernels.subnormal import drop, restore
from minigrad_ae.kernels.vectors import lanes

Array = np.ndarray
K_BLOCK = 512  # with a panel of B of 512 x 128 bytes, 64 KiB, ...
BLOCK_TILES = 10  # ... and a block of A of 120 x 512 float32, 240 KiB, fit a second-level cache
FEW_ROWS = 24  # of A: for these B is read where it lies, where its rows lie in a row
MANY_COLUMNS = 128  # of B: for these A is laid out, where its own order is not as good
ONE_BLOCK = 12  # tiles of A, at most, that are one block: then panels of B are needed once, ...
LARGE = 32 << 10  # ... and where they are more numbers than these, one is laid out at a time
WIDE_ROW = 2048  # bytes: rows of A^T this long come to fight for the same cache lines
NARROW = 8  # C of at most so many rows or columns can be computed in another way: ...
DEEP = 32  # ... by dots, where k is so many times as long
COLUMNS = 64  # threads split C at multiples of this many columns ...
PARALLEL_FLOPS = 4e6  # ... above this much work; handing it to a thread costs about 20 microseconds


@jit(ELEMENTWISE, allocates=True)
def gemm(
    a: Any,
    a_turned: bool,
    b: Any,
    b_turned: bool,
    bias: Any,
    c: Any,
    begins: int,
    i_from: int,
    i_to: int,
    j_from: int,
    j_to: int,
) -> None:
    """``c += A B``, ``A B`` or ``bias + A B``, as it begins (micro.py), in the rows ``i_from:i_to``
    and the columns ``j_from:j_to``; a, b and c (M, N) in C order, bias (N,).

    ``a`` holds A (M, K), or its transpose (turned); ``b`` holds B (K, N), or its transpose.  One
    compiled version serves all four.  K in blocks: a panel of B (K_BLOCK x width) and a block of A
    (M_BLOCK x K_BLOCK) share the second-level cache while all rows of the one run along the other,
    a tile at a time.  Each element of C sums over k in one order, whatever the ranges, so that the
    bits do not depend on how the work is divided among threads.
    """
    n = lanes(c)
    width, rows, columns = 2 * n, i_to - i_from, j_to - j_from
    depth, a_row, a_k = a.shape[1], a.shape[1], 1
    if a_turned:
        depth, a_row, a_k = a.shape[0], 1, a.shape[1]
    # blocks and tiles of equal size: 784 is 2 x 392, and not 512 + 272
    step = -(-depth // -(-depth // K_BLOCK))
    tiles = -(-rows // ROWS)
    height = -(-rows // tiles)
    block = height * (tiles if tiles <= ONE_BLOCK else BLOCK_TILES)
    # where whole panels of B can be read as they lie, its last columns are laid out
    in_place = columns // width * width if rows <= FEW_ROWS and not b_turned else 0
    laid_out = -(-columns // width) * width - in_place
    group = width if tiles <= ONE_BLOCK and step * laid_out > LARGE else columns
    panels = np.empty(step * min(-(-group // width) * width, laid_out), c.dtype)
    lay_a = columns > MANY_COLUMNS and (not a_turned or a_k * c.itemsize >= WIDE_ROW)
    strips = np.empty(block * step + n if lay_a else 0, c.dtype)
    # all of one type, so that the tiles are compiled once
    of_a, of_b, to_c = a.reshape(-1), b.reshape(-1), c.reshape(-1)
    before = drop()
    for k in range(0, depth, step):
        size = min(step, depth - k)
        for j_group in range(0, columns, group):
            first, last = max(j_group, in_place), min(j_group + group, columns)
            for j in range(first, last, width):
                few, at = min(width, columns - j), (j - first) * size
                lay_out_b(b, b_turned, k, size, j_from + j, few, panels, at, n)
            for i in range(i_from, i_to, block):
                end = min(i + block, i_to)
                if lay_a and j_group == 0:
                    lay_out_a(a, a_turned, k, size, i, end - i, height, strips, n)
                for j in range(j_group, last, width):
                    few, to = min(width, columns - j), j_from + j
                    b_at, b_k = k * b.shape[1] + to, b.shape[1]
                    if j >= in_place:
                        b_at, b_k = (j - first) * size, width
                    for r in range(i, end, height):
                        high = min(height, end - r)
                        place = r * c.shape[1] + to
                        how = begins if k == 0 else ADDED
                        rest = bias, to, to_c, place, c.shape[1], size, few, how, high
                        if lay_a and j >= in_place:
                            tile(strips, (r - i) * size, 1, height, panels, b_at, b_k, *rest)
                        elif lay_a:
                            tile(strips, (r - i) * size, 1, height, of_b, b_at, b_k, *rest)
                        elif j >= in_place:
                            tile(of_a, r * a_row + k * a_k, a_row, a_k, panels, b_at, b_k, *rest)
                        else:
                            tile(of_a, r * a_row + k * a_k, a_row, a_k, of_b, b_at, b_k, *rest)
    restore(before)


@jit(ELEMENTWISE)
def rows_of_b(a: Any, b: Any, c: Any, fresh: bool) -> None:
    """``c += A B``, or ``=`` where c is `fresh`, for few rows: B is read once a row of A, from
    start to end as it lies.
    """
    before = drop()
    if fresh:
        c[:] = 0
    depth = b.shape[0]
    for i in range(c.shape[0]):
        x, to = a[i], c[i]
        for k in range(0, depth - 3, 4):
            x0, x1, x2, x3 = x[k], x[k + 1], x[k + 2], x[k + 3]
            b0, b1, b2, b3 = b[k], b[k + 1], b[k + 2], b[k + 3]
            for j in range(to.size):
                total = (to[j] + x0 * b0[j]) + x1 * b1[j]
                to[j] = (total + x2 * b2[j]) + x3 * b3[j]
        for k in range(depth // 4 * 4, depth):
            x0, b0 = x[k], b[k]
            for j in range(to.size):
                to[j] += x0 * b0[j]
    restore(before)


@jit(ELEMENTWISE)
def dots_of_rows(a: Any, bt: Any, c: Any, fresh: bool) -> None:
    """``c += A B``, or ``=`` where c is `fresh`: rows of A times rows of B^T, lanes along k."""
    (rows, depth), columns, before = a.shape, bt.shape[0], drop()
    for i in range(0, rows, SQUARE):
        for j in range(0, columns, SQUARE):
            high, few = min(SQUARE, rows - i), min(SQUARE, columns - j)
            to = c, i * columns + j, columns, 1, depth, fresh
            dots(a, i * depth, depth, bt, j * depth, depth, *to, high, few)
    restore(before)


@compiled_form_of(reference.matmul)
def matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """The matrix product ``a @ b``.

    Parameters
    ----------
    a : ndarray, (M, K), float32 or float64
        Of any strides: a transposed view costs nothing.
    b : ndarray, (K, N), dtype of a
        Of any strides.
    out : ndarray, (M, N), optional
        Where to write the result: contiguous, of the dtype of `a`, and in other memory than `a` and
        `b`.  A new array by default.

    Returns
    -------
    ndarray, (M, N)
        Each element is one sum in order of k.

    Raises
    ------
    DtypeError
        Where `a` and `b` are not both float32 or both float64 arrays.
    ShapeError
        Where the inner sizes differ, an argument is not a matrix, or `out` does not fit or overlaps
        an argument.

    Notes
    -----
    Where the result has at most 8 rows or columns, both arguments lie in memory along the sum, and
    it is long, it runs in vector lanes instead.

    Examples
    --------
    >>> A = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> mg.kernels.matmul(A, np.linalg.inv(A)).round(6).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    kind = getattr(a, "dtype", None)
    try:
        (m, depth), (rows, n) = a.shape, b.shape
        fits = depth == rows and kind == b.dtype and type(a) is np.ndarray is type(b)
    except (AttributeError, ValueError):  # not an array, or not a matrix
        fits = False
    if not fits or kind not in FLOATS:
        check_floats("matmul", a=a, b=b)
        if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
            raise ShapeError(
                "matmul: inner sizes differ or an argument is not a matrix",
                f"a {a.shape}, b {b.shape}",
                "a needs as many columns as b has rows; for stacks of matrices use batched_matmul",
            )
        (m, depth), (rows, n) = a.shape, b.shape
    if out is None:
        out = np.empty((m, n), a.dtype)
    else:
        check_floats("matmul", out=out)
        if np.may_share_memory(out, a) or np.may_share_memory(out, b):
            raise ShapeError(
                "matmul: out overlaps an argument",
                "out shares memory with a or b",
                "pass another array",
            )
        check_out("matmul", out, (m, n), a.dtype)
    accumulate(a, b, out, fresh=True)
    return out


def accumulate(
    a: Array, b: Array, c: Array, fresh: bool = False, bias: Array | None = None
) -> None:
    """Add the product ``a @ b`` to `c`, or to a bias, unchecked.

    Parameters
    ----------
    a : ndarray, (M, K), float32 or float64
        Of any strides.
    b : ndarray, (K, N), dtype of a
        Of any strides.
    c : ndarray, (M, N), dtype of a
        Contiguous, and in other memory; it is written to.
    fresh : bool, optional
        Whether `c` holds nothing yet: ``c = a @ b``.
    bias : ndarray, (N,) or (), dtype of a, optional
        What each row starts from, and `c` holds nothing yet either: ``c = bias + a @ b``.  The sums
        begin with it, so that it costs nothing.

    Examples
    --------
    >>> a, b, c = np.ones((2, 3)), np.ones((3, 4)), np.full((2, 4), 10.0)
    >>> mg.kernels.accumulate(a, b, c)
    >>> c.tolist()
    [[13.0, 13.0, 13.0, 13.0], [13.0, 13.0, 13.0, 13.0]]
    """
    (m, k), n = a.shape, c.shape[1]
    if m <= NARROW or n <= NARROW or not k:
        _accumulate_narrow(a, b, c, fresh, bias)
    elif bias is None or bias.shape == (n,):
        _accumulate_tiles(a, b, c, fresh, bias)
    else:
        call(np.copyto, c, bias)
        _accumulate_tiles(a, b, c, False)


def _accumulate_narrow(a: Array, b: Array, c: Array, fresh: bool, bias: Array | None) -> None:
    """The same where C has few rows or columns, or none, or the sums are empty."""
    (m, k), n = a.shape, c.shape[1]
    in_rows = a.flags.c_contiguous if n <= m else b.T.flags.c_contiguous
    in_dots = min(m, n) <= NARROW and in_rows and k >= DEEP * min(m, n)
    turned_round = n <= NARROW and n < m and not in_rows
    in_tiles = not (in_dots or turned_round or m == 1)
    nothing = a.size == 0 or b.size == 0
    if bias is not None and (nothing or not in_tiles or bias.shape != (n,)):
        call(np.copyto, c, bias)
        bias = None
    elif nothing and fresh:
        call(c.fill, 0)
    if nothing:
        pass
    elif in_dots:
        _accumulate_dots(contiguous(a), contiguous(b.T), c, fresh)
    elif in_tiles:
        _accumulate_tiles(a, b, c, fresh, bias)
    elif m == 1:
        call(rows_of_b, contiguous(a), contiguous(b), c, fresh)
    elif n == 1:
        call(rows_of_b, contiguous(b.T), contiguous(a.T), c.reshape(1, m), fresh)
    else:
        # a panel would be mostly empty; but C^T = B^T A^T has few rows
        turned = room((n, m), c.dtype)
        _accumulate_tiles(b.T, a.T, turned, fresh=True)
        if fresh:
            call(np.copyto, c, turned.T)
        else:
            call(np.add, c, turned.T, c)


def _accumulate_tiles(a: Array, b: Array, c: Array, fresh: bool, bias: Array | None = None) -> None:
    (m, n), threads = c.shape, state.threads
    a_turned, b_turned = not a.flags.c_contiguous, not b.flags.c_contiguous
    if a_turned:
        a, a_turned = _stored(a)
    if b_turned:
        b, b_turned = _stored(b)
    if bias is None:
        row, begins = c[0], FRESH if fresh else ADDED
    else:
        row, begins = contiguous(bias), BIASED
    if threads == 1 or 2.0 * a.size * n < PARALLEL_FLOPS:
        call(gemm, a, a_turned, b, b_turned, row, c, begins, 0, m, 0, n)
        return
    operands = a, a_turned, b, b_turned, row, c, begins
    if n >= 2 * COLUMNS * threads:
        in_parallel(gemm, [(*operands, 0, m, *columns) for columns in chunks(n, COLUMNS)])
    else:
        in_parallel(gemm, [(*operands, *rows, 0, n) for rows in chunks(m, ROWS)])


def _accumulate_dots(a: Array, bt: Array, c: Array, fresh: bool) -> None:
    rows = max(1, int(PARALLEL_FLOPS / 2 / bt.size))  # per thread
    in_parallel(dots_of_rows, [(a[i:j], bt, c[i:j], fresh) for i, j in chunks(len(a), rows)])


def _stored(x: Array) -> tuple[Array, bool]:
    """The transpose of ``x`` and True, where that is in C order; else a copy of x that is."""
    return (x.T, True) if x.flags.f_contiguous else (contiguous(x), False)
