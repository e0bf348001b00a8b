"""From the textbook product to the fast one, a rung at a time.  C = A B; A (M, K), B (K, N) in C
order.

Each rung changes one thing; ``lessons/extra_gemm_ladder.py`` measures them.  The top rung is
``gemm.matmul``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.kernels.gemm import matmul
from minigrad_ae.kernels.jit import ELEMENTWISE, REDUCTION, jit
from minigrad_ae.kernels.tile import ROWS, tile, wide_vector_of_zeros

Array = np.ndarray


@jit(ELEMENTWISE)
def triple_loop(a: Any, b: Any, c: Any) -> None:
    """Rung 0, the definition: c_ij = sum_k a_ik b_kj.  Walks down the columns of B, a new cache
    line every step.
    """
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            total = c.dtype.type(0)
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            c[i, j] = total


@jit(ELEMENTWISE)
def row_by_row(a: Any, b: Any, c: Any) -> None:
    """Rung 1, swap two loops: along a row of B memory is contiguous, and the loop over j fills
    vector lanes.
    """
    c[:] = 0
    for i in range(c.shape[0]):
        to = c[i]
        for k in range(a.shape[1]):
            scale, row = a[i, k], b[k]
            for j in range(row.size):
                to[j] += scale * row[j]


@jit(ELEMENTWISE)
def four_rows_of_b(a: Any, b: Any, c: Any) -> None:
    """Rung 2, four steps of k at once: C is loaded and stored a quarter as often."""
    c[:] = 0
    depth = a.shape[1]
    for i in range(c.shape[0]):
        to = c[i]
        for k in range(0, depth - 3, 4):
            x0, x1, row0, row1 = a[i, k], a[i, k + 1], b[k], b[k + 1]
            x2, x3, row2, row3 = a[i, k + 2], a[i, k + 3], b[k + 2], b[k + 3]
            for j in range(to.size):
                half = x0 * row0[j] + x1 * row1[j]
                to[j] += half + x2 * row2[j] + x3 * row3[j]
        for k in range(depth // 4 * 4, depth):
            scale, row = a[i, k], b[k]
            for j in range(to.size):
                to[j] += scale * row[j]


@jit(REDUCTION)
def square_of_sums(a: Any, bt: Any, c: Any) -> None:
    """Rung 3, 3 x 3 sums in registers, vector lanes along k: 6 loads for 9 multiply-adds.  Takes B
    transposed.
    """
    rows, columns = c.shape
    zero = c.dtype.type(0)
    for i in range(0, rows, 3):
        i1, i2 = min(i + 1, rows - 1), min(i + 2, rows - 1)
        x0, x1, x2 = a[i], a[i1], a[i2]
        for j in range(0, columns, 3):
            j1, j2 = min(j + 1, columns - 1), min(j + 2, columns - 1)
            y0, y1, y2 = bt[j], bt[j1], bt[j2]
            s00 = s01 = s02 = s10 = s11 = s12 = s20 = s21 = s22 = zero
            for k in range(a.shape[1]):
                u, v, w = y0[k], y1[k], y2[k]
                s00, s01, s02 = s00 + x0[k] * u, s01 + x0[k] * v, s02 + x0[k] * w
                s10, s11, s12 = s10 + x1[k] * u, s11 + x1[k] * v, s12 + x1[k] * w
                s20, s21, s22 = s20 + x2[k] * u, s21 + x2[k] * v, s22 + x2[k] * w
            c[i, j], c[i, j1], c[i, j2] = s00, s01, s02
            c[i1, j], c[i1, j1], c[i1, j2] = s10, s11, s12
            c[i2, j], c[i2, j1], c[i2, j2] = s20, s21, s22


@jit(ELEMENTWISE, allocates=True)
def register_tile(at: Any, b: Any, c: Any) -> None:
    """Rung 4, the tile of tile.py: lanes along j, nothing to add up at the end.  Sizes must be
    multiples of it.
    """
    zero = wide_vector_of_zeros(c)
    width = 2 * len(zero)
    panel = np.empty((b.shape[0], width), c.dtype)
    c[:] = 0
    for j in range(0, c.shape[1], width):
        panel[:] = b[:, j : j + width]
        for i in range(0, c.shape[0], ROWS):
            tile(at, i, panel, c, i, j, zero)


def rungs(a: Array, b: Array) -> dict[str, Any]:
    """The rungs that these matrices allow, lowest first: name -> a function without arguments that
    returns C.
    """

    def into(kernel: Any, *args: Array) -> Any:
        c = np.empty((a.shape[0], b.shape[1]), a.dtype)
        return lambda: (kernel(*args, c), c)[1]

    ladder = {
        "triple loop": into(triple_loop, a, b),
        "row by row": into(row_by_row, a, b),
        "four rows of B": into(four_rows_of_b, a, b),
        "3 x 3 sums (B transposed)": into(square_of_sums, a, np.ascontiguousarray(b.T)),
    }
    if a.shape[0] % ROWS == 0 and b.shape[1] % (2 * len(wide_vector_of_zeros(b))) == 0:
        ladder["register tile"] = into(register_tile, a.T, b)
    return ladder | {"blocked and packed": lambda: matmul(a, b)}
