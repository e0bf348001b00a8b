"""Position codes: what tells a transformer where a token stands.  Without them it treats tokens as
a set.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import choice, whole_number
from ..errors import DataError
from ..room import demand_room_for
from . import init
from .module import Parameter

POSITIONS = ("learnt", "sincos", None)
# of learnt codes at the start.  On 8 x 8 digits the usual .02 leaves the net at the mean picture
# for long
SPREAD = 0.5


def sincos(rows: int, columns: int, width: int, dtype: Any = np.float64) -> np.ndarray:
    """(rows * columns, width): sines and cosines of the row in one half, of the column in the other
    (He et al. 2022).

    Frequencies 10000^(-k / (width / 4)), k = 0 ... width / 4 - 1 (Vaswani et al. 2017).  DataError
    unless 4 divides width.
    """
    if whole_number(width, "width") % 4:
        raise DataError(
            "sine-cosine positions need a width that 4 divides",
            f"width {width}",
            "change the width",
        )
    frequency = 10_000.0 ** -(np.arange(width // 4) / (width // 4))
    row, column = np.indices((rows, columns)).reshape(2, -1, 1) * frequency
    return np.concatenate(
        [np.sin(row), np.cos(row), np.sin(column), np.cos(column)], axis=1
    ).astype(dtype)


def position_codes(
    kind: str | None, grid: tuple[int, int], width: int, rng: Any, dtype: Any
) -> Parameter:
    """(L, width) codes: "learnt" from normal numbers, "sincos" (fixed), or None (zeros, fixed: no
    position is known).
    """
    choice(kind, POSITIONS, "positions", "position code", "use 'learnt', 'sincos' or None")
    shape = (grid[0] * grid[1], width)
    if kind == "learnt":
        return Parameter(init.normal(shape, rng, dtype, std=SPREAD))
    demand_room_for(shape)
    codes = Parameter(sincos(*grid, width, dtype) if kind == "sincos" else np.zeros(shape, dtype))
    codes.requires_grad = False
    return codes
