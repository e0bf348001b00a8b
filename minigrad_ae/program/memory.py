"""Places for the arrays of a program: blocks of memory, each with one array at a time.

A program is planned twice.  The first time it is found out from when to when each array is needed;
the second time they lie in the blocks into which they fit (`Lives.share`).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..kernels.calls import Empty

LINE = 64  # bytes of a cache line: where blocks begin


class Impossible(Exception):
    """Why an observed step cannot become a program."""


class Memory:
    """Hands out arrays, and takes their blocks back when the last of their users lets go.

    `shared`, for the second time: the number of the block for each array, and the blocks' sizes.
    """

    def __init__(self, shared: tuple[Sequence[int], Sequence[int]] | None = None) -> None:
        self.blocks: dict[int, np.ndarray] = {}
        self.free: dict[int, list[np.ndarray]] = defaultdict(list)
        self.users: Counter[int] = Counter()
        self.lives = Lives()
        self.numbers: Sequence[int] | None = None
        if shared is not None:
            self.numbers, sizes = shared
            self.in_order = [self._new(size) for size in sizes]

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
        number = len(self.lives)
        if self.numbers is not None:
            block = self.in_order[self.numbers[number]] if number < len(self.numbers) else None
            if block is None or self.users[id(block)] or block.size - LINE < size:
                raise Impossible("planned twice, it became two programs")
        else:
            block = self.free[size].pop() if self.free[size] else self._new(size)
        self.lives.begin(id(block), size)
        return block

    def _new(self, size: int) -> np.ndarray:
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
            self.lives.end(id(block))
            self.free[block.size - LINE].append(block)

    @property
    def nbytes(self) -> int:
        """Bytes of all blocks."""
        return sum(block.nbytes for block in self.blocks.values())


class Lives:
    """From when to when each array was needed: its bytes, and a number with a bit for each moment.

    A moment is the begin or the end of a life.
    """

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.spans: list[tuple[int, int | None]] = []
        self.in_block: dict[int, int] = {}  # {block: the array that is in it}
        self.moment = 0

    def __len__(self) -> int:
        return len(self.sizes)

    def begin(self, block: int, size: int) -> None:
        self.in_block[block] = len(self)
        self.sizes.append(size)
        self.spans.append((self.moment, None))
        self.moment += 1

    def end(self, block: int) -> None:
        number = self.in_block[block]
        self.spans[number] = self.spans[number][0], self.moment
        self.moment += 1

    def share(self) -> tuple[list[int], list[int]]:
        """(the block of each array, the size of each block): the largest arrays first, each in the
        smallest block that nobody needs while it lives, or in a new one.
        """
        numbers = [0] * len(self)
        sizes: list[int] = []
        busy: list[int] = []  # the lives in each block
        for k in sorted(range(len(self)), key=lambda k: -self.sizes[k]):
            begin, end = self.spans[k]
            life = (1 << (self.moment if end is None else end)) - (1 << begin)
            idle = (b for b in reversed(range(len(busy))) if not busy[b] & life)
            number = next(idle, len(busy))
            if number == len(busy):
                sizes.append(self.sizes[k])
                busy.append(0)
            busy[number] |= life
            numbers[k] = number
        return numbers, sizes


def laid_out_as(result: Any, empty: Empty) -> np.ndarray:
    """An array like `result`, its axes in the same order in memory: sums run in that order."""
    strides = np.asarray(result).strides
    order = sorted(range(len(strides)), key=lambda k: -abs(strides[k]))
    stored = empty(tuple(result.shape[k] for k in order), result.dtype)
    return stored.transpose(np.argsort(order)) if len(order) > 1 else stored
