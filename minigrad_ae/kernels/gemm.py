"""Matrix product C = A B, with A and B as they lie in memory: A B, A B^T and A^T B by the same
code.

NumPy definition: ``a @ b``.  What makes it fast, each thing a rung of ladder.py: a tile of C in
registers (tile.py), B (and A^T, where its rows are long) laid out in the order of use, blocks that
fit the caches.  Flags: ``contract`` only, and every element of C is one sum in order of k; but for
`dots`, where the sum runs in vector lanes.  NaN and Inf spread as in a plain loop, and the bits do
not depend on the number of threads.
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
from minigrad_ae.kernels.jit import ELEMENTWISE, REDUCTION, jit
from minigrad_ae.kernels.tile import ROWS, load, store, tile, wide_vector_of_zeros

Array = np.ndarray
K_BLOCK = 512  # with a panel of B of 512 x 128 bytes, 64 KiB, ...
# ... and a block of A of 120 x 512 float32, 240 KiB, fit a second-level cache; a multiple of ROWS
M_BLOCK = 120
NARROW = 8  # C of so few columns is computed in another way
COLUMNS = 64  # threads split C at multiples of this many columns ...
PARALLEL_FLOPS = 4e6  # ... above this much work; handing it to a thread costs about 20 microseconds
# bytes: rows of A^T this long lie a power of two apart often enough to fight for the same cache
# lines
WIDE_ROW = 2048


@jit(ELEMENTWISE)
def pack(
    b: Any, turned: bool, k0: int, size: int, j_from: int, j_to: int, panels: Any, zero: Any
) -> None:
    """Copy ``B[k0 : k0 + size, j_from:j_to]`` into panels (number, k, width).  ``b`` holds B, or
    its transpose (turned).

    What the last panel has beyond j_to is whatever was in memory: it meets elements of C that are
    thrown away.
    """
    n, width, columns = len(zero), panels.shape[2], j_to - j_from
    whole = columns // width
    if turned:
        # what so many steps of k touch of a panel stays in the first-level cache
        for start in range(0, size, 32):
            few = min(32, size - start)
            for j in range(columns):
                row, column = b[j_from + j, k0 + start :], panels[j // width, start:, j % width]
                for k in range(few):
                    column[k] = row[k]
    else:
        for k in range(size):
            row = b[k0 + k, j_from:]
            for p in range(whole):
                of, to = row[p * width :], panels[p, k]
                store(to, load(of, zero))
                store(to[n:], load(of[n:], zero))
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
def put_aside(a: Any, turned: bool, k0: int, size: int, i: int, m: int, strip: Any) -> None:
    """``strip[:size, :m] = A[i : i + m, k0 : k0 + size].T``; ``a`` holds A, or its transpose
    (turned).
    """
    nought = k0 - k0
    if turned:
        copy(a, k0, i, strip, nought, nought, size, m)
    else:
        copy(a, i, k0, strip.T, nought, nought, m, size)


@jit(ELEMENTWISE)
def ragged(
    at: Any, i: int, b: Any, c: Any, row: int, j: int, m: int, n: int, edge: Any, zero: Any
) -> None:
    """`tile` where it sticks out of C: computed beside it, and m rows by n columns copied back."""
    nought = n - n
    copy(c, row, j, edge, nought, nought, m, n)
    tile(at, i, b, edge, nought, nought, zero)
    copy(edge, nought, nought, c, row, j, m, n)


@jit(ELEMENTWISE)
def gemm(
    a: Any,
    a_turned: bool,
    b: Any,
    b_turned: bool,
    c: Any,
    fresh: bool,
    i_from: int,
    i_to: int,
    j_from: int,
    j_to: int,
) -> None:
    """``c[i_from:i_to, j_from:j_to] += (A B)[i_from:i_to, j_from:j_to]``, or ``=`` where c is
    `fresh`; a, b and c (M, N) in C order.

    ``a`` holds A (M, K), or its transpose (turned); ``b`` holds B (K, N), or its transpose.  One
    compiled version serves all four.  K in blocks: a panel of B (K_BLOCK x width) and a block of A
    (M_BLOCK x K_BLOCK) share the second-level cache while all rows of the one run along the other,
    a tile at a time.  Each element of C sums over k in one order, whatever the ranges, so that the
    bits do not depend on how the work is divided among threads.
    """
    if fresh:
        c[i_from:i_to, j_from:j_to] = 0
    at = a if a_turned else a.T
    depth = at.shape[0]
    zero = wide_vector_of_zeros(c)
    width = 2 * len(zero)
    n_panels = (j_to - j_from + width - 1) // width
    panels = np.empty((n_panels, min(depth, K_BLOCK), width), c.dtype)
    packed = a_turned and n_panels * width > 3 * COLUMNS and at.shape[1] * c.itemsize >= WIDE_ROW
    strip = np.empty((min(depth, K_BLOCK), M_BLOCK if packed else ROWS), c.dtype)[:, :]
    edge = np.empty((ROWS, width), c.dtype)
    # numbers that are not known while compiling: for known ones a function would be compiled again
    nought = depth - depth
    # blocks of equal size: 784 is 2 x 392, and not 512 + 272
    step = -(-depth // -(-depth // K_BLOCK))
    for k in range(0, depth, step):
        size = min(step, depth - k)
        rows = at[k : k + size]
        pack(b, b_turned, k, size, j_from, j_to, panels, zero)
        for block in range(i_from, i_to, M_BLOCK):
            end = min(block + M_BLOCK, i_to)
            # rows that do not fill a tile: put aside, with room for the missing ones
            left = (end - block) % ROWS
            whole = end - left
            first = block if packed else whole
            if packed or left:
                put_aside(a, a_turned, k, size, first, end - first, strip)
            source, shift = (strip, block) if packed else (rows, nought)
            for p in range(n_panels):
                j, panel = j_from + p * width, panels[p, :size]
                n = min(width, j_to - j)
                if n == width:
                    for i in range(block, whole, ROWS):
                        tile(source, i - shift, panel, c, i, j, zero)
                else:
                    for i in range(block, whole, ROWS):
                        ragged(source, i - shift, panel, c, i, j, ROWS + nought, n, edge, zero)
                if left:
                    ragged(strip, whole - first, panel, c, whole, j, left, n, edge, zero)


@jit(REDUCTION)
def dots(a: Any, bt: Any, c: Any, fresh: bool) -> None:
    """``c += A B``, or ``=`` where c is `fresh`, for few columns: rows of A times rows of B^T,
    lanes along k, four columns at a time.
    """
    if fresh:
        c[:] = 0
    zero, last = c.dtype.type(0), c.shape[1] - 1
    for i in range(c.shape[0]):
        for j in range(0, c.shape[1], 4):
            j1, j2, j3 = min(j + 1, last), min(j + 2, last), min(j + 3, last)
            x, y0, y1, y2, y3 = a[i], bt[j], bt[j1], bt[j2], bt[j3]
            p = q = r = s = zero
            for k in range(x.size):
                p, q = p + x[k] * y0[k], q + x[k] * y1[k]
                r, s = r + x[k] * y2[k], s + x[k] * y3[k]
            c[i, j] += p
            if j < last:
                c[i, j + 1] += q
            if j + 1 < last:
                c[i, j + 2] += r
            if j + 2 < last:
                c[i, j + 3] += s


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
    Where the result has at most 8 columns and more rows than that, the sum runs in vector lanes
    instead.

    Examples
    --------
    >>> A = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> mg.kernels.matmul(A, np.linalg.inv(A)).round(6).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if type(a) is not np.ndarray or type(b) is not np.ndarray:
        check_floats("matmul", a=a, b=b)
    try:
        (m, depth), (rows, n) = a.shape, b.shape
        fits = depth == rows and a.dtype == b.dtype and a.dtype in FLOATS
    except (AttributeError, ValueError):  # not an array, or not a matrix
        fits = False
    if not fits:
        check_floats("matmul", a=a, b=b)
        raise ShapeError(
            "matmul: inner sizes differ or an argument is not a matrix",
            f"a {a.shape}, b {b.shape}",
            "a needs as many columns as b has rows; for stacks of matrices use batched_matmul",
        )
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


def accumulate(a: Array, b: Array, c: Array, fresh: bool = False) -> None:
    """Add the product ``a @ b`` to `c`, unchecked.

    Start from a bias in `c` and the bias costs nothing.

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

    Examples
    --------
    >>> a, b, c = np.ones((2, 3)), np.ones((3, 4)), np.full((2, 4), 10.0)
    >>> mg.kernels.accumulate(a, b, c)
    >>> c.tolist()
    [[13.0, 13.0, 13.0, 13.0], [13.0, 13.0, 13.0, 13.0]]
    """
    if a.size == 0 or b.size == 0:  # a sum of nothing
        if fresh:
            call(c.fill, 0)
        return
    (m, n), threads = c.shape, state.threads
    if n <= NARROW < m:
        _accumulate_narrow(a, b, c, fresh)
        return
    operands = (*_stored(a), *_stored(b), c, fresh)
    if threads == 1 or 2.0 * a.size * n < PARALLEL_FLOPS:
        call(gemm, *operands, 0, m, 0, n)
    elif n >= 2 * COLUMNS * threads:
        pieces = chunks(n, COLUMNS)
        in_parallel(gemm, [(*operands, 0, m, *columns) for columns in pieces])
    else:
        pieces = chunks(m, ROWS)
        in_parallel(gemm, [(*operands, *rows, 0, n) for rows in pieces])


def _accumulate_narrow(a: Array, b: Array, c: Array, fresh: bool) -> None:
    """Few columns: a panel would be mostly empty.  Where A lies row by row, dots; else C^T = B^T
    A^T, which has few rows.
    """
    if a.flags.c_contiguous:
        bt = contiguous(b.T)
        if state.threads == 1:
            call(dots, a, bt, c, fresh)
        else:
            rows = max(1, int(PARALLEL_FLOPS / 2 / b.size))  # per thread
            in_parallel(dots, [(a[i:j], bt, c[i:j], fresh) for i, j in chunks(len(a), rows)])
    else:
        turned = room(c.shape[::-1], c.dtype)
        accumulate(b.T, a.T, turned, fresh=True)
        if fresh:
            call(np.copyto, c, turned.T)
        else:
            call(np.add, c, turned.T, c)


def _stored(x: Array) -> tuple[Array, bool]:
    """``x`` in C order, or its transpose in C order and True; a copy only where neither lies in
    memory.
    """
    if x.flags.c_contiguous:
        return x, False
    return (x.T, True) if x.flags.f_contiguous else (contiguous(x), False)
