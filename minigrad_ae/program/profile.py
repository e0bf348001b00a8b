"""What each line of a program costs: operations, bytes, time, and how far that is from the most
that the machine can do.

The roofline model (Williams, Waterman & Patterson 2009): a line that does F operations on B bytes
cannot take less than F / peak seconds, nor less than B / bandwidth.  The larger of the two is its
roof.
"""

from __future__ import annotations

import ast
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from .listing import Listed, Story

Piece = Sequence[Callable[[list[Any]], None]]
HEADS = "line", "how", "us", "share", "flops", "bytes", "GF/s", "of roof"


# --- operations and bytes -------------------------------------------------------------------------


class Counted(np.ndarray):
    """An array that adds up the operations that are done with it.

    A product of (m, k) and (k, n) has 2 m k n, a reduction one per number that goes in, any other
    function one per number that comes out (also exp and division).  Views have none.
    """

    flops = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **named: Any) -> Any:
        plain = [uncounted(a) for a in args]
        result = getattr(ufunc, method)(*plain, **{k: uncounted(v) for k, v in named.items()})
        if ufunc is np.matmul:
            Counted.flops += 2 * np.size(result) * np.shape(plain[0])[-1]
        else:
            Counted.flops += np.size(plain[0] if method == "reduce" else result)
        return counted(result)

    def __array_function__(self, func: Any, types: Any, args: Any, named: Any) -> Any:
        result = super().__array_function__(func, types, args, named)
        if func is np.where and len(args) == 3:
            Counted.flops += np.size(result)
        if func is np.einsum:
            Counted.flops += 2 * math.prod(extents(*args).values())
        return counted(result)


def uncounted(thing: Any) -> Any:
    return thing.view(np.ndarray) if isinstance(thing, Counted) else thing


def counted(thing: Any) -> Any:
    numbers = isinstance(thing, np.ndarray | np.generic)
    return np.asarray(thing).view(Counted) if numbers else thing


def extents(subscripts: str, *arrays: np.ndarray) -> dict[str, int]:
    """{letter: extent} of a sum of products."""
    inputs = subscripts.split("->")[0].split(",")
    found: dict[str, int] = {}
    for letters, array in zip(inputs, arrays, strict=True):
        found |= zip(letters.strip(), array.shape, strict=True)
    return found


@dataclass(frozen=True)
class Cost:
    """Operations, and bytes that are moved at least: every array is read and written once.

    read : {array or slice of one: its bytes}
    """

    flops: int = 0
    read: dict[str, int] = field(default_factory=dict)
    written: int = 0

    @property
    def nbytes(self) -> int:
        return sum(self.read.values()) + self.written

    def __add__(self, other: Cost) -> Cost:
        """Of lines that a kernel does together: it reads an array once."""
        both = self.read | other.read
        return Cost(self.flops + other.flops, both, self.written + other.written)

    def __str__(self) -> str:
        return f"{amount(self.flops)} flops, {amount(self.nbytes)} bytes"


def costs(story: Story) -> list[Cost]:
    """What every line costs, from the shapes of its NumPy text; lines of the function itself
    are not counted."""
    story.assignments()
    story.value("0")  # its functions are there
    names = {name: array.view(Counted) for name, array in story.arrays.items()}
    return [cost(story, line, names) for line in story.lines]


def cost(story: Story, line: Listed, names: dict[str, Any]) -> Cost:
    if line.array is None or line.kind in ("view", "constant", "yours"):
        return Cost()
    if line.kind == "given":
        return Cost(0, {f"argument {line.name}": line.array.nbytes}, line.array.nbytes)
    text = line.write(story)
    Counted.flops = 0
    with np.errstate(all="ignore"):
        eval(text, story.functions, names)
    read = reads(ast.parse(text, mode="eval").body, names)
    found = Cost(Counted.flops, read, line.array.nbytes)
    part = {f"{line.name}, so far": line.array.nbytes}
    return found + Cost(line.array.size, part) if line.adds else found


def reads(node: ast.AST, names: dict[str, Any]) -> dict[str, int]:
    """{array or slice of one: its bytes} that an expression reads."""
    if isinstance(node, ast.Name):
        return {node.id: names[node.id].nbytes} if node.id in names else {}
    of_array = isinstance(node, ast.Subscript) and ast.unparse(node.value) in names
    if isinstance(node, ast.Subscript) and of_array and all_slices(node.slice):
        text = ast.unparse(node)
        return {text: eval(text, {}, names).nbytes}
    found: dict[str, int] = {}
    for child in ast.iter_child_nodes(node):
        found |= reads(child, names)
    return found


def all_slices(index: ast.expr) -> bool:
    """Whether an index is made of slices and numbers alone."""
    parts = index.elts if isinstance(index, ast.Tuple) else [index]
    return all(isinstance(p, ast.Slice | ast.Constant) for p in parts)


# --- time -----------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def roofs() -> tuple[float, float]:
    """Operations (float32) and bytes a second of one core, measured once per process."""
    from ..kernels import roofline  # Numba comes with it

    return roofline.peak_flops(rounds=10), roofline.bandwidth(rounds=5)


@dataclass(frozen=True)
class Row:
    """A line, with those that its kernel does along with it.

    lines : which ones, by their numbers
    seconds : median
    share : of the whole step
    of_roof : the time at the roof as a part of the time; above 1 where caches are faster than
        memory
    """

    label: str
    how: str
    lines: tuple[int, ...]
    seconds: float
    share: float
    cost: Cost
    of_roof: float

    def cells(self) -> tuple[str, ...]:
        """What stands in the table."""
        spent = f"{1e6 * self.seconds:.2f}", f"{self.share:.1%}"
        if not self.cost.nbytes:
            return (self.label, self.how, *spent, "-", "-", "-", "-")
        speed = self.cost.flops / self.seconds / 1e9
        moved = amount(self.cost.flops), amount(self.cost.nbytes)
        return (self.label, self.how, *spent, *moved, f"{speed:.2f}", f"{self.of_roof:.0%}")


class Profile:
    """The rows of a profile, in the order in which they run; printed it is a table.

    Attributes
    ----------
    rows : list of Row
    seconds : float
        The sum of the medians.
    peak, bandwidth : float
        The roofs: operations per second (float32) and bytes per second, of one core.
    """

    def __init__(self, rows: list[Row], peak: float, bandwidth: float) -> None:
        self.rows, self.peak, self.bandwidth = rows, peak, bandwidth
        self.program: Any = None  # whose
        self.seconds = sum(row.seconds for row in rows)

    def __str__(self) -> str:
        table = [HEADS, *(row.cells() for row in self.rows)]
        table = [(shortened(label), *rest) for label, *rest in table]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for cells in table:
            left = [cell.ljust(width) for cell, width in zip(cells[:2], widths, strict=False)]
            right = [c.rjust(width) for c, width in zip(cells[2:], widths[2:], strict=True)]
            lines.append("  ".join([*left, *right]).rstrip())
        roof = f"{self.peak / 1e9:.0f} GF/s (float32), {self.bandwidth / 1e9:.1f} GB/s, one core"
        return "\n".join([*lines, f"{1e6 * self.seconds:.1f} us a step; the roof: {roof}"])


def measured(story: Story, pieces: Sequence[Piece], run: Any, rounds: int) -> Profile:
    """Time the lines, one after the other, `rounds` times.

    pieces : what does each line
    run : ``run()`` gives the numbered values with which a step begins
    """
    times = np.zeros((rounds + 1, len(pieces)))
    for number in range(rounds + 1):
        values = run()
        for k, piece in enumerate(pieces):
            start = time.perf_counter()
            for part in piece:
                part(values)
            times[number, k] = time.perf_counter() - start
    medians = np.maximum(np.median(times[1:], axis=0), 1e-9)  # the first one warms the caches
    peak, bandwidth = roofs()
    rows: list[Row] = []
    together = groups(story.lines)
    whole = float(sum(medians[k] for group in together for k in group))
    for group in together:
        seconds = float(sum(medians[k] for k in group))
        spent = sum((story_costs(story)[k] for k in group), Cost())
        first = story.lines[group[0]]
        size = 4 if first.dtype is None else first.dtype.itemsize
        roof = max(spent.flops * (size / 4) / peak, spent.nbytes / bandwidth)
        label = first.label + "".join(f"; {story.lines[k].name}" for k in group[1:])
        rest = seconds / whole, spent, roof / seconds
        rows.append(Row(label, first.how, tuple(group), seconds, *rest))
    return Profile(rows, peak, bandwidth)


def story_costs(story: Story) -> list[Cost]:
    """Counted once."""
    if story.costs is None:
        story.costs = costs(story)
    return story.costs


def groups(lines: Sequence[Listed]) -> list[list[int]]:
    """Lines that take time, each with those that its kernel does along with it."""
    found: list[list[int]] = []
    kernel: list[int] = []
    for number, line in enumerate(lines):
        if line.kind == "kernel" and not line.calls:
            kernel.append(number)
        elif line.calls:
            found.append([number])
            if line.kind == "kernel":
                kernel = found[-1]
    return found


def amount(n: float) -> str:
    """``131 k``: three digits and the power of a thousand."""
    for size, sign in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if n >= size:
            return f"{n / size:.3g}{sign}"
    return f"{n:.0f}"


def shortened(text: str, width: int = 60) -> str:
    return text if len(text) <= width else text[: width - 3] + "..."
