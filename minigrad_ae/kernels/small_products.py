"""The product of two small matrices, about 17 x 16, that are blocks of larger ones: the heads of
attention.

NumPy definition: ``a @ b``.  Such a matrix has a few tiles only, so that what surrounds a tile
counts: B is laid out in vectors of columns first, and then a tile reads nothing else but A.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.kernels.jit import ELEMENTWISE, REDUCTION, jit
from minigrad_ae.kernels.tile import fma, load, store, vector_of_zeros


@jit(ELEMENTWISE)
def room(a: Any, depth: int) -> Any:
    """What `product` works in: two vectors of columns of B, up to ``depth`` long, and zeros."""
    return np.zeros((3, max(depth, 8), len(vector_of_zeros(a))), a.dtype)


@jit(REDUCTION)
def by_definition(
    a: Any,
    a_turned: bool,
    b: Any,
    b_turned: bool,
    c: Any,
    rows: int,
    depth: int,
    columns: int,
    at: Any,
) -> None:
    """`product` by the definition, for matrices smaller than a tile."""
    a_row, a_at, b_row, b_at, c_row, c_at = at
    for i in range(rows):
        for j in range(columns):
            total = c.dtype.type(0)
            if b_turned and not a_turned:
                x, y = a[a_row + i, a_at:], b[b_at + j, b_row:]
                for k in range(depth):
                    total += x[k] * y[k]
            else:
                for k in range(depth):
                    factor = a[a_row + k, a_at + i] if a_turned else a[a_row + i, a_at + k]
                    total += factor * b[b_row + k, b_at + j]
            c[c_row + i, c_at + j] = total


@jit(ELEMENTWISE, always_inline=True)
def tile_of_vectors(
    at: Any, i: int, b0: Any, b1: Any, c: Any, row: int, j0: int, j1: int, nil: Any, zero: Any
) -> None:
    """Four rows of two vectors of c: those that begin at columns j0 and j1 become at[:, i : i +
    4].T times b0 and b1.

    The sums start from rows of zeros in memory, not from ``zero``: LLVM joins vectors that start
    alike, and then takes them apart again at every k.
    """
    a4 = at[:, i : i + 4]
    p0, p1 = load(nil[0], zero), load(nil[1], zero)
    q0, q1 = load(nil[2], zero), load(nil[3], zero)
    r0, r1 = load(nil[4], zero), load(nil[5], zero)
    s0, s1 = load(nil[6], zero), load(nil[7], zero)
    for k in range(b0.shape[0]):
        x, v, w = a4[k], load(b0[k], zero), load(b1[k], zero)
        p0, p1 = fma(p0, x[0], v), fma(p1, x[0], w)
        q0, q1 = fma(q0, x[1], v), fma(q1, x[1], w)
        r0, r1 = fma(r0, x[2], v), fma(r1, x[2], w)
        s0, s1 = fma(s0, x[3], v), fma(s1, x[3], w)
    store(c[row, j0:], p0)
    store(c[row, j1:], p1)
    store(c[row + 1, j0:], q0)
    store(c[row + 1, j1:], q1)
    store(c[row + 2, j0:], r0)
    store(c[row + 2, j1:], r1)
    store(c[row + 3, j0:], s0)
    store(c[row + 3, j1:], s1)


@jit(ELEMENTWISE, always_inline=True)
def vector_of_columns(b: Any, turned: bool, row: int, column: int, panel: Any, zero: Any) -> None:
    """panel = as many columns of B, from ``row`` and ``column`` on, as a vector has; ``b`` holds B
    or B^T (turned).
    """
    if turned:
        for l in range(panel.shape[1]):
            of = b[column + l, row:]
            for k in range(panel.shape[0]):
                panel[k, l] = of[k]
    else:
        for k in range(panel.shape[0]):
            store(panel[k], load(b[row + k, column:], zero))


@jit(ELEMENTWISE, always_inline=True)
def product(
    a: Any,
    a_turned: bool,
    b: Any,
    b_turned: bool,
    c: Any,
    rows: int,
    depth: int,
    columns: int,
    at: Any,
    work: Any,
) -> None:
    """c = A B for blocks that begin at the rows and columns ``at`` in A, B and c; a and b hold A
    and B, or their transposes.

    Tiles of 4 rows by 2 vectors: eight sums hide the latency of the two multiply-add units.  A tile
    that would stick out is moved back until it fits, and computes some elements a second time.
    ``work`` comes from `room`.
    """
    a_row, a_at, b_row, b_at, c_row, c_at = at
    zero = vector_of_zeros(c)
    n = len(zero)
    if rows < 4 or columns < n:
        by_definition(a, a_turned, b, b_turned, c, rows, depth, columns, at)
        return
    b0, b1, nil = work[0, :depth], work[1, :depth], work[2]
    of = a if a_turned else a.T
    of_row, of_at = (a_row, a_at) if a_turned else (a_at, a_row)
    of = of[of_row : of_row + depth, of_at : of_at + rows]
    # A column or two beyond whole vectors are not worth tiles of their own, where they are products
    # of rows with rows.
    left = columns % n if b_turned and not a_turned and columns % n <= 2 else 0
    last = columns - left - n
    for j in range(0, columns - left, 2 * n):
        j0, j1 = min(j, last), min(j + n, last)
        vector_of_columns(b, b_turned, b_row, b_at + j0, b0, zero)
        vector_of_columns(b, b_turned, b_row, b_at + j1, b1, zero)
        for start in range(0, rows, 4):
            i = min(start, rows - 4)
            tile_of_vectors(of, i, b0, b1, c, c_row + i, c_at + j0, c_at + j1, nil, zero)
    if left:
        beyond = columns - left
        at = (a_row, a_at, b_row, b_at + beyond, c_row, c_at + beyond)
        by_definition(a, a_turned, b, b_turned, c, rows, depth, left, at)
