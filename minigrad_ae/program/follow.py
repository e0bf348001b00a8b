"""What a step does with NumPy before the graph sees it, written down line by line.

`mg.compile` hands its function arrays and generators that are followed.  What NumPy makes of them
is followed, too, and every call is a `Line`: ``order = draws.argsort(axis=1)``.  Where Python wants
to know a number (``if x.max() > 1``), the answer becomes a condition under which the lines hold.
What cannot be followed (a change in place) is noted, and then the step stays on the tape.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..autodiff.graph import Value


class Changed(Exception):
    """A condition of a program does not hold for these arguments."""


@dataclass
class Line:
    """One call: of a function, or of a method of the argument number `generator`.

    `outputs` says for each result under which number it is known from then on; a condition has none
    and an `expected` answer.
    """

    function: Any
    args: tuple[Any, ...]
    named: dict[str, Any]
    outputs: list[int] = field(default_factory=list)
    several: bool = False
    generator: int | None = None
    expected: Any = None


class Followed(np.ndarray):
    """An array whose story is known: number `number` of `lines`."""

    lines: Lines | None
    number: int

    def __array_finalize__(self, obj: Any) -> None:
        self.lines, self.number = None, -1
        if isinstance(obj, Followed) and obj.lines is not None and obj.lines.open:
            obj.lines.lose("an array is looked at in a way that is not followed")

    def view(self, *args: Any, **named: Any) -> Any:
        """Itself, another object; or the same bytes as something else."""
        if args == (np.ndarray,):
            return super().view(np.ndarray)
        if args or named:
            return run(self.lines, Method("view"), (self, *args), named)
        return self if self.lines is None else self.lines.named(bare(self), self.number)

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **named: Any) -> Any:
        if any(isinstance(a, Value) for a in args):
            return NotImplemented
        lines = lines_of((args, named))
        if named.get("out") is not None and lines is not None:
            lines.lose(f"np.{ufunc.__name__} writes into an array")
        return run(lines, getattr(ufunc, method), args, named)

    def __array_function__(self, func: Any, types: Any, args: Any, named: Any) -> Any:
        if any(isinstance(a, Value) for a in (*args, *named.values())):
            return NotImplemented
        return run(lines_of((args, named)), func, args, named)

    def __getitem__(self, index: Any) -> Any:
        return run(lines_of((self, index)), operator.getitem, (self, index), {})

    def __setitem__(self, index: Any, value: Any) -> None:
        if self.lines is not None:
            self.lines.lose("an element is assigned")
        super().__setitem__(index, bare(value))

    @property
    def T(self) -> Any:
        return run(self.lines, np.transpose, (self,), {})


class Method:
    """The method of this name, of an array or of a number that NumPy made."""

    def __init__(self, name: str) -> None:
        self.__name__ = name

    def __call__(self, x: Any, *args: Any, **named: Any) -> Any:
        return getattr(x, self.__name__)(*args, **named)


def _method(name: str) -> Callable[..., Any]:
    plain = Method(name)

    def method(self: Any, *args: Any, **named: Any) -> Any:
        return run(lines_of((self, args, named)), plain, (self, *args), named)

    return method


def _in_place(name: str) -> Callable[..., Any]:
    plain = getattr(np.ndarray, name)

    def method(self: Any, *args: Any, **named: Any) -> Any:
        if self.lines is not None:
            self.lines.lose(f"{name} changes an array in place")
        return plain(self.view(np.ndarray), *args, **named)

    return method


def _question(name: str) -> Callable[..., Any]:
    plain = Method(name)

    def ask(self: Any, *args: Any) -> Any:
        answer = plain(self.view(np.ndarray), *args)
        if self.lines is not None:
            self.lines.found.append(Line(plain, (self, *args), {}, expected=answer))
        return answer

    return ask


METHODS = """all any argmax argmin argpartition argsort astype choose clip compress copy cumprod
cumsum diagonal dot flatten max mean min nonzero prod ravel repeat reshape round searchsorted
squeeze std sum swapaxes take trace transpose var""".split()
ABOUT_SHAPES = {np.shape, np.ndim, np.size, np.result_type, np.may_share_memory, np.iscomplexobj}
for _name in METHODS:
    if hasattr(np.ndarray, _name):
        setattr(Followed, _name, _method(_name))
for _name in ("fill", "sort", "partition", "put", "itemset", "resize", "setfield"):
    if hasattr(np.ndarray, _name):
        setattr(Followed, _name, _in_place(_name))
for _name in ("__bool__", "__float__", "__int__", "__index__", "item", "tolist"):
    setattr(Followed, _name, _question(_name))


class FollowedGenerator(np.random.Generator):
    """Draws as the generator that was passed does, and from its state; every draw is a line."""

    def __init__(self, lines: Lines, number: int, passed: np.random.Generator) -> None:
        super().__init__(passed.bit_generator)
        self.lines, self.number, self.passed = lines, number, passed


def _draw(name: str) -> Callable[..., Any]:
    def draw(self: FollowedGenerator, *args: Any, **named: Any) -> Any:
        function = getattr(self.passed, name)
        if name == "shuffle" or named.get("out") is not None:
            self.lines.lose(f"Generator.{name} writes into an array")
        result = function(*bare(args), **bare(named))
        return self.lines.add(Line(name, args, named, generator=self.number), result)

    return draw


DRAWS = [n for n in dir(np.random.Generator) if not n.startswith("_")]
for _name in DRAWS:
    if callable(getattr(np.random.Generator, _name)) and _name != "spawn":
        setattr(FollowedGenerator, _name, _draw(_name))


class Lines:
    """What was done: numbers 0, 1, ... are the arguments, the others results of lines.

    `lost` says why it could not be followed, '' if it could.
    """

    def __init__(self, arguments: Sequence[Any]) -> None:
        self.found: list[Any] = []
        self.values: list[Any] = list(arguments)
        self.lost = ""
        self.open = True

    def follow(self, number: int, value: Any) -> Any:
        """An argument as the function is to see it."""
        if isinstance(value, np.random.Generator):
            return FollowedGenerator(self, number, value)
        return self.named(value, number)

    def named(self, array: np.ndarray, number: int) -> Any:
        """The array, as number `number`."""
        view: Any = np.ndarray.view(np.asarray(array), Followed)
        view.lines, view.number = self, number
        return view

    def lose(self, why: str) -> None:
        """Note, once, what cannot be followed, and in which line."""
        if self.open and not self.lost:
            self.lost = f"{why} ({place()})"

    def add(self, line: Line, result: Any) -> Any:
        """Write a line down; its result, followed."""
        if not self.open:
            return result
        parts = result if isinstance(result, tuple | list) else [result]
        if not all(isinstance(p, np.ndarray | np.generic | float | int) for p in parts):
            if result is None:
                self.lose(f"{getattr(line.function, '__name__', line.function)} works in place")
            return result
        line.several = isinstance(result, tuple | list)
        line.outputs = list(range(len(self.values), len(self.values) + len(parts)))
        self.values += parts
        self.found.append(line)
        numbered = [self.named(p, k) for p, k in zip(parts, line.outputs, strict=True)]
        return like(result, numbered) if line.several else numbered[0]


def run(lines: Lines | None, function: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """``function(*args, **named)`` on plain arrays, written down where there is something to
    follow.
    """
    result = function(*bare(args), **bare(named))
    if lines is None or function in ABOUT_SHAPES:
        return result
    if type(result) in (bool, int, float, str):  # np.array_equal: an answer about numbers
        lines.found.append(Line(function, args, named, expected=result))
        return result
    return lines.add(Line(function, args, named), result)


def place() -> str:
    """'lesson.py:12', the innermost line that is neither here nor in NumPy."""
    frame = sys._getframe(1)
    inside = str(Path(__file__).parent), str(Path(np.__file__).parent)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(inside):
        frame = frame.f_back
    return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"


def lines_of(things: Any) -> Lines | None:
    """The story that one of these belongs to; None where none is followed any more."""
    if isinstance(things, Followed):
        return things.lines if things.lines is not None and things.lines.open else None
    if isinstance(things, dict):
        things = list(things.values())
    if isinstance(things, tuple | list):
        return next((found for t in things if (found := lines_of(t)) is not None), None)
    return None


def like(sequence: Any, things: list[Any]) -> Any:
    """A tuple, list or named tuple as `sequence`, of these things."""
    kind = type(sequence)
    return kind._make(things) if hasattr(kind, "_make") else kind(things)


def bare(thing: Any) -> Any:
    """The same with plain arrays."""
    if isinstance(thing, Followed):
        return thing.view(np.ndarray)
    if isinstance(thing, tuple | list):
        return like(thing, [bare(t) for t in thing])
    if isinstance(thing, dict):
        return {k: bare(v) for k, v in thing.items()}
    return thing
