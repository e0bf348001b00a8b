"""Questions about the smallest or largest number of an array, such as ``x.min() >= 0``: found among
the lines that a function does with NumPy, to be asked on the tape.

``x.min() >= 0`` is three lines for Python: the minimum, the comparison, the answer.  They come to
``np.all(x >= 0)``, also where x holds NaN: then both are False.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .follow import Followed, Line

# what is true of all numbers where it is true of this one
OF = {np.greater_equal: "min", np.greater: "min", np.less_equal: "max", np.less: "max"}


@dataclass(frozen=True)
class Limit:
    """``np.all(comparison(array, bound))``."""

    array: Followed
    comparison: np.ufunc
    bound: float


def find_limits(
    story: Sequence[Any], reads: Mapping[int, int]
) -> tuple[dict[int, Limit], set[int]]:
    """({id of a line that asks: its limit}, the ids of lines that are not needed then).

    `reads` says how often the array of each number is read.
    """
    makers = {n: i for i in story if isinstance(i, Line) for n in i.outputs if not i.several}
    found: dict[int, Limit] = {}
    spare: set[int] = set()
    left = Counter(reads)

    def maker(thing: Any) -> Line | None:
        return makers.get(thing.number) if isinstance(thing, Followed) else None

    def release(line: Line) -> None:
        """One reader of its result less."""
        left[line.outputs[0]] -= 1
        if left[line.outputs[0]] == 0:
            spare.add(id(line))

    for line in story:
        if not asks(line):
            continue
        compared = maker(line.args[0])
        extreme = maker(compared.args[0]) if compared and compares(compared) else None
        if not (compared and extreme and is_extreme(extreme, OF[compared.function.__self__])):
            continue
        release(compared)
        if id(compared) in spare:
            release(extreme)
        array, real = extreme.args[0], maker(extreme.args[0])
        if real and real.function is np.real:  # of real numbers
            array = real.args[0]
            if id(extreme) in spare:
                release(real)
        found[id(line)] = Limit(array, compared.function.__self__, compared.args[1])
    return found, spare


def asks(line: Any) -> bool:
    """Whether a program holds only where the answer is True."""
    named = isinstance(line, Line) and getattr(line.function, "__name__", "") == "__bool__"
    return named and line.expected is True


def compares(line: Line) -> bool:
    """Whether it compares a number with a plain one that every dtype has."""
    known = getattr(line.function, "__self__", None) in OF and not line.named
    if not known or len(line.args) != 2 or type(line.args[1]) not in (int, float):
        return False
    return float(np.float32(line.args[1])) == line.args[1]


def is_extreme(line: Line, name: str) -> bool:
    """Whether it is this method of an array of float32 or float64, for all of it."""
    method = getattr(line.function, "__name__", "") == name and line.generator is None
    if not method or len(line.args) != 1 or line.named or not isinstance(line.args[0], Followed):
        return False
    return line.args[0].dtype.char in "fd"
