"""Places for the arrays of a program: a block is used again as soon as nobody needs its array."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from typing import Any

import numpy as np

from ..kernels.calls import Empty

LINE = 64  # bytes of a cache line: where blocks begin


class Memory:
    """Hands out arrays, and takes their blocks back when the last of their users lets go."""

    def __init__(self) -> None:
        self.blocks: dict[int, np.ndarray] = {}
        self.free: dict[int, list[np.ndarray]] = defaultdict(list)
        self.users: Counter[int] = Counter()

    def empty(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array without contents, with one user."""
        dtype = np.dtype(dtype)
        size = math.prod(shape) * dtype.itemsize
        block = self._block(max(LINE, -(-size // LINE) * LINE))
        start = -block.ctypes.data % LINE
        array: np.ndarray = block[start : start + size].view(dtype).reshape(shape)
        self.users[id(block)] = 1
        return array

    def like(self, array: np.ndarray) -> np.ndarray:
        """The same for an array of this shape and dtype that lies as this one does."""
        return laid_out_as(array, self.empty)

    def _block(self, size: int) -> np.ndarray:
        if self.free[size]:
            return self.free[size].pop()
        block = np.empty(size + LINE, np.uint8)
        self.blocks[id(block)] = block
        return block

    def owner(self, array: np.ndarray) -> np.ndarray | None:
        """The block in which an array lies, None of one that was not made here."""
        while isinstance(array.base, np.ndarray):
            array = array.base
        return self.blocks.get(id(array))

    def hold(self, array: np.ndarray) -> None:
        """One user more."""
        block = self.owner(array)
        if block is not None:
            self.users[id(block)] += 1

    def drop(self, array: np.ndarray) -> None:
        """One user less."""
        block = self.owner(array)
        if block is None:
            return
        self.users[id(block)] -= 1
        if self.users[id(block)] == 0:
            self.free[block.size - LINE].append(block)

    @property
    def nbytes(self) -> int:
        """Bytes of all blocks."""
        return sum(block.nbytes for block in self.blocks.values())


def laid_out_as(result: Any, empty: Empty) -> np.ndarray:
    """An array like `result`, its axes in the same order in memory: sums run in that order."""
    strides = np.asarray(result).strides
    order = sorted(range(len(strides)), key=lambda k: -abs(strides[k]))
    stored = empty(tuple(result.shape[k] for k in order), result.dtype)
    return stored.transpose(np.argsort(order)) if len(order) > 1 else stored
