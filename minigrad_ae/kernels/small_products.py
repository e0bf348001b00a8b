"""The product of two small matrices, about 17 x 16, that are blocks of larger ones: the heads of
attention, and stacks of matrices.

NumPy definition: ``a @ b``.  Such a matrix has a few tiles only (micro.py), so that nothing is laid
out that can be read where it lies, and nothing is cut into blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.kernels.jit import ELEMENTWISE, jit
from minigrad_ae.kernels.layout import lay_out_b
from minigrad_ae.kernels.micro import FRESH, ROWS, tile
from minigrad_ae.kernels.vectors import lanes


@jit(ELEMENTWISE, allocates=True)
def room(a: Any, depth: int) -> Any:
    """What `product` works in: two vectors of columns of B, up to ``depth`` long."""
    return np.empty(2 * lanes(a) * depth, a.dtype)


@jit(ELEMENTWISE, inline=True)
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
    panel: Any,
) -> None:
    """c = A B for blocks that begin at the rows and columns ``at`` in a, B and c; a and b hold A
    and B, or their transposes, all in C order.

    Each element is one sum in order of k.  ``panel`` comes from `room`.
    """
    a_row, a_at, b_row, b_at, c_row, c_at = at
    n = lanes(c)
    a_from, along, across = a_row * a.shape[1] + a_at, a.shape[1], 1
    if a_turned:
        along, across = across, along
    height = -(-rows // -(-rows // ROWS))
    # all of one type, so that the tiles are compiled once
    of_a, of_b, to_c = a.reshape(-1), b.reshape(-1), c.reshape(-1)
    for j in range(0, columns, 2 * n):
        few, left = min(2 * n, columns - j), b_at + j
        # a tile reads whole vectors of B
        in_place = not b_turned and left + -(-few // n) * n <= b.shape[1]
        if not in_place:
            lay_out_b(b, b_turned, b_row, depth, left, few, panel, 0, n)
        for i in range(0, rows, height):
            high, start = min(height, rows - i), a_from + i * along
            to = (c_row + i) * c.shape[1] + c_at + j
            rest = panel, 0, to_c, to, c.shape[1], depth, few, FRESH, high
            if in_place:
                first = b_row * b.shape[1] + left
                tile(of_a, start, along, across, of_b, first, b.shape[1], *rest)
            else:
                tile(of_a, start, along, across, panel, 0, 2 * n, *rest)
