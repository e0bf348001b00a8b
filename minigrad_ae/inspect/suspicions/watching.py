"""What can only be seen over several backward passes, written down while they run.

A few numbers are kept for each trained leaf, and one copy of its data; of the rest, counts.
Nothing of this happens outside a ``with mg.watch():`` block.
"""

from __future__ import annotations

import threading
import weakref
import zlib
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ...autodiff.graph import Value, Watcher, watchers
from ...autodiff.origin import caller

Origin = Any  # (code object, instruction)
KEPT = 500  # steps, sites and layers that are remembered


@dataclass
class Life:
    """What became of one leaf: all counts are of backward passes that reached it."""

    leaf: Any  # a weak reference
    numbers: np.ndarray  # as they were in the last pass
    passes: int = 0
    moves: int = 0  # passes before which its numbers had changed
    summed: int = 0  # passes that are in its `.grad`
    spoilt: int = 0  # how often it moved since `.grad` was cleared
    thrown: int = 0  # gradients that were cleared although nothing had moved
    # (number of the pass, |change| / |numbers before it|)
    ratios: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=KEPT))
    # of the first leaf of a graph: {line: {checksum of the noise: moves by then}}
    noise: dict[Origin, dict[int, int]] = field(default_factory=dict)
    again: dict[Origin, int] = field(default_factory=dict)  # {line: steps with noise of before}

    def note_noise(self, site: Origin, numbers: int) -> None:
        """Noise was used in this line: is it that of an earlier step?"""
        known = self.noise.setdefault(site, {})
        if known.get(numbers, self.moves) < self.moves:
            self.again[site] = self.again.get(site, 0) + 1
        known[numbers] = self.moves
        if len(known) > KEPT:
            known.pop(next(iter(known)))


@dataclass
class Layer:
    """The units of one ReLU: since which pass each is 0 for all rows; 0 for one that is not."""

    since: np.ndarray


class History(Watcher):
    """What was seen of a training: one `Life` for each leaf, and counts."""

    kept: ClassVar[list[History]] = []  # the last few

    def __init__(self) -> None:
        self.thread = 0
        self.passes = self.moves = self.one_row = self.more_rows = 0
        self.file = ""  # from which backward() was called
        self.lives: dict[int, Life] = {}
        self.layers: dict[tuple[Origin, int], Layer] = {}
        self.copies: dict[int, tuple[Any, Origin]] = {}  # {id: (weak reference, line)}
        self.row = 0  # a checksum of the last batch of one row
        self.masked: list[Origin] = []  # no_grad blocks in which a mask was drawn
        self._before: list[tuple[Value, bool]] = []

    def life(self, leaf: Any) -> Life | None:
        """What is known of a leaf."""
        found = self.lives.get(id(leaf))
        return found if found is not None and found.leaf() is leaf else None

    # --- what a watcher hears ---
    def computed(self, result: Value, op: Any, args: Any, arrays: Any, params: Any) -> None:
        if threading.get_ident() != self.thread:
            return
        if op.name == "mul" and _by_no_grad(result) and has_mask(args, arrays):
            self.masked = [*self.masked, result.origin][-KEPT:]

    def copied(self, source: Any, copy: Any) -> None:
        if threading.get_ident() != self.thread or not isinstance(copy, Value):
            return
        # the array of a computed tensor is read-only
        if isinstance(source, np.ndarray) and not source.flags.writeable:
            self.copies[id(copy)] = weakref.ref(copy), caller(2)
            if len(self.copies) > KEPT:
                self.copies.pop(next(iter(self.copies)))

    def copy_of(self, x: Any) -> Origin | None:
        """The line in which `x` was made as a copy of the numbers of a computed tensor."""
        found = self.copies.get(id(x))
        return found[1] if found is not None and found[0]() is x else None

    def begins(self, order: list[Value]) -> None:
        if threading.get_ident() != self.thread:
            return
        leaves = [v for v in order if v.op is None and v.requires_grad]
        self._before = [(leaf, leaf._grad is None) for leaf in leaves]
        self._order = order

    def deposited(self, root: Value) -> None:
        if threading.get_ident() != self.thread or not self._before:
            return
        origin = caller(2)
        self.file = origin[0].co_filename if origin else self.file
        self.passes += 1
        moved = [self.follow(leaf, cleared) for leaf, cleared in self._before]
        self.moves += any(moved)
        made = [v for v in self._order if v.op is not None]
        self.look_at_units(made)
        self.look_at_noise(made, self.life(self._before[0][0]))
        self.look_at_batch(batch_of(made))
        self._before, self._order = [], []

    # --- the leaves ---
    def follow(self, leaf: Value, cleared: bool) -> bool:
        """One pass more of a leaf, whose gradient was `cleared` before it; whether it had moved."""
        life, now = self.life(leaf), leaf._data
        if life is None:
            self.forget()
            life = self.lives[id(leaf)] = Life(weakref.ref(leaf), now.copy())
            life.passes = life.summed = 1
            return False
        moved = not np.array_equal(now, life.numbers, equal_nan=True)
        life.passes += 1
        life.moves += moved
        life.thrown += cleared and not moved
        if cleared:
            life.spoilt = life.summed = 0
        elif moved:
            life.spoilt += 1
        life.summed += 1
        if moved:
            life.ratios.append((self.passes, ratio(now, life.numbers)))
            life.numbers = now.copy()
        return moved

    def forget(self) -> None:
        """Leave out leaves that are gone: some programs make new ones at each step."""
        if len(self.lives) > KEPT:
            self.lives = {k: life for k, life in self.lives.items() if life.leaf() is not None}

    # --- noise and batches ---
    def look_at_noise(self, made: Iterable[Value], life: Life | None) -> None:
        """Note the noise of a graph with one of its leaves, whose moves count the steps."""
        if life is None:
            return
        for v in made:
            for k in _drawn(v):
                life.note_noise(v.origin, checksum(v.arrays[k]))

    def look_at_batch(self, batch: np.ndarray | None) -> None:
        """Count batches of one row, each another one, and those of several."""
        if batch is None:
            return
        if batch.ndim > 1 and len(batch) > 1:
            self.more_rows += 1
        elif (row := checksum(batch)) != self.row:
            self.row = row
            self.one_row += 1

    # --- the units ---
    def look_at_units(self, made: Iterable[Value]) -> None:
        """Note which units of each ReLU are 0 for all rows, and since when."""
        seen: dict[Origin, int] = {}
        for v in made:
            if not is_relu(v) or v._data.ndim < 2 or len(v._data) < 2:
                continue
            number = seen[v.origin] = seen.get(v.origin, -1) + 1
            dead = dead_units(v)
            layer = self.layers.get((v.origin, number))
            if layer is None or layer.since.shape != dead.shape:
                layer = self.layers[v.origin, number] = Layer(np.zeros(dead.shape, int))
            begun = np.where(layer.since > 0, layer.since, self.passes)
            layer.since = np.where(dead, begun, 0)
        if len(self.layers) > KEPT:
            self.layers = dict(list(self.layers.items())[-KEPT:])


class watch:
    """A block whose training is watched, so that `mg.suspect` can also say what went wrong over
    several steps.

    In the block, every backward pass is noted: whether each parameter moved and how far, whether
    its gradient was cleared, which units died, whether noise was drawn anew. `mg.suspect`,
    `mg.trace` and `mg.why` ask for it, in the block and after it.

    Notes
    -----
    It keeps one copy of the parameters and a few numbers for each, of at most 500 steps. Steps
    that `mg.compile` made a program of run on the tape in the block, so that they are seen; the
    numbers are the same, bit for bit. The block watches one thread, and may be nested.

    Examples
    --------
    The gradient of w was never cleared, so the third step used the sum of three:

    >>> w = mg.tensor([1.0, 2.0], requires_grad=True, name="w")
    >>> with mg.watch():
    ...     for _ in range(3):
    ...         loss = (w * w).sum()
    ...         loss.backward()
    ...         w.data -= 0.1 * w.grad
    >>> for found in mg.suspect(loss):
    ...     print(found.what)
    gradient accumulated over steps
    """

    def __init__(self) -> None:
        self._seen = History()

    def __enter__(self) -> watch:
        self._seen.thread = threading.get_ident()
        watchers.append(self._seen)
        History.kept = [*History.kept, self._seen][-2:]
        return self

    def __exit__(self, *exc: object) -> None:
        watchers.remove(self._seen)


# --- small questions about values ---


def is_constant(x: Any) -> bool:
    """An array, or a tensor without gradient."""
    return not x.requires_grad if isinstance(x, Value) else isinstance(x, np.ndarray)


def batch_of(made: Iterable[Value]) -> np.ndarray | None:
    """The data that the first product of a graph reads: x of ``x @ W``."""
    for v in made:
        if v.op.name in ("matmul", "linear") and is_constant(v.inputs[0]):
            x = v.inputs[0]
            return x._data if isinstance(x, Value) else x
    return None


def is_relu(v: Value) -> bool:
    """Whether a value is max(0, something)."""
    fused = v.op.name == "linear" and v.params.get("activation") == "relu"
    floor = v.op.name == "maximum" and any(np.ndim(x) == 0 and np.all(x == 0) for x in v.arrays)
    return v.op.name == "relu" or fused or floor


def dead_units(v: Value) -> np.ndarray:
    """Which units of (..., units) are 0 for all rows."""
    y = v._data
    dead: np.ndarray = (y == 0).all(axis=tuple(range(y.ndim - 1)))
    return dead


def ratio(now: np.ndarray, before: np.ndarray) -> float:
    """|now - before| / |before|; NaN where that is 0 or not finite."""
    with np.errstate(all="ignore"):
        size = float(np.linalg.norm(before))
        return float(np.linalg.norm(now - before)) / size if size else float("nan")


def checksum(array: np.ndarray) -> int:
    """A checksum of the bytes."""
    return zlib.crc32(np.ascontiguousarray(array).tobytes())


def looks_normal(array: np.ndarray) -> bool:
    """Whether the first, second and fourth moments are those of N(0, 1), within four standard
    errors.
    """
    n = array.size
    if n < 16 or array.dtype.kind != "f" or not np.isfinite(array).all():
        return False
    moments = [np.mean(array), np.mean(array**2) - 1, np.mean(array**4) - 3]
    errors = [1.0, 2**0.5, 96**0.5]  # standard deviations of x, x^2 and x^4
    return all(abs(m) < 4 * e / n**0.5 for m, e in zip(moments, errors, strict=True))


def has_mask(inputs: Any, arrays: Any) -> bool:
    """Whether one factor of a product is a constant array of zeros and ones, as dropout's is."""
    if np.shape(arrays[0]) != np.shape(arrays[1]):
        return False
    masks = (a for x, a in zip(inputs, arrays, strict=True) if is_constant(x) and np.size(a) > 1)
    return any(bool(((a == 0) | (a == 1)).all()) for a in masks)


def _drawn(v: Value) -> list[int]:
    """The numbers of the inputs that were drawn at random, as far as one can see."""
    if v.op.name == "reparameterise":
        return [2] if is_constant(v.inputs[2]) else []
    if v.op.name != "mul" or np.shape(v.arrays[0]) != np.shape(v.arrays[1]):
        return []
    return [k for k in (0, 1) if is_constant(v.inputs[k]) and looks_normal(v.arrays[k])]


def _by_no_grad(result: Value) -> bool:
    return isinstance(result.params, dict) and result.params.get("by") == "no_grad"
