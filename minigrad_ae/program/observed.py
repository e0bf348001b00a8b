"""One step in eager mode, observed: which ops ran on what, and what NumPy did in between."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import get_ident
from typing import Any

import numpy as np

from ..arguments import LEFT
from ..autodiff.graph import Value, Watcher, watchers
from .follow import Followed, Line, Lines, bare

LEFT.add(Followed)


@dataclass
class Step:
    """An op that ran: `inputs` as they were given, `arrays` as it computed with them."""

    result: Value
    op: Any
    inputs: Sequence[Any]
    arrays: Sequence[Any]
    params: dict[str, Any]


@dataclass
class Observation(Watcher):
    """What one call of a function did.

    lines    with the story in `lines.found`: NumPy's lines and the ops, in their order
    names    of the arguments
    source   {id: what a value or array got its numbers from, if not from an op}
    values   {number of an array: the value whose numbers were read}
    """

    lines: Lines
    names: list[str] = field(default_factory=list)
    source: dict[int, Any] = field(default_factory=dict)
    values: dict[int, Value] = field(default_factory=dict)
    kept: list[Any] = field(default_factory=list)  # so that no id is given twice
    thread: int = 0

    def run(self, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
        """``function(*arguments)``, observed."""
        self.thread = get_ident()
        given = [self.given(k, a) for k, a in enumerate(arguments)]
        watchers.append(self)
        try:
            return function(*given)
        finally:
            watchers.remove(self)
            self.lines.open = False

    def given(self, number: int, argument: Any) -> Any:
        """An argument as the function sees it."""
        if isinstance(argument, Value) and argument.requires_grad:
            return argument  # as a leaf that the function closes over
        if isinstance(argument, Value):
            self.note(argument, self.lines.named(argument._data, number))
            return argument
        if isinstance(argument, np.ndarray | np.random.Generator):
            return self.lines.follow(number, argument)
        return argument

    def note(self, thing: Any, source: Any) -> None:
        """`thing` has the numbers of `source`."""
        self.source[id(thing)] = source
        self.kept.append(thing)

    # --- what a watcher hears ---
    def computed(self, result: Value, op: Any, args: Any, arrays: Any, params: Any) -> None:
        if get_ident() == self.thread:
            self.lines.found.append(Step(result, op, args, arrays, params))

    def copied(self, source: Any, copy: Any) -> None:
        if get_ident() != self.thread:
            return
        if isinstance(source, Value) and isinstance(copy, Value) and copy._data is source._data:
            self.note(copy, source)  # detached
            return
        if isinstance(source, Value):
            source = self.read(source, source._data)
        if isinstance(source, Followed):
            array = copy._data if isinstance(copy, Value) else copy
            line = Line(np.array, (source,), {"dtype": array.dtype, "order": "C"})
            self.note(copy, self.lines.add(line, array))

    def read(self, value: Value, array: np.ndarray) -> np.ndarray:
        if get_ident() != self.thread:
            return array
        number = len(self.lines.values)
        self.lines.values.append(value._data)
        self.values[number] = value
        self.kept.append(value)
        followed: np.ndarray = self.lines.named(value._data, number)
        return followed

    def begins(self, order: list[Value]) -> None:
        if get_ident() == self.thread:
            self.lines.lose("a backward pass is made inside")


def observe(function: Callable[..., Any], arguments: Sequence[Any]) -> tuple[Observation, Any]:
    """(what it did, what it returned)."""
    seen = Observation(Lines([bare(a) for a in arguments]), names_of(function, arguments))
    return seen, seen.run(function, arguments)


def names_of(function: Callable[..., Any], arguments: Sequence[Any]) -> list[str]:
    """What the function calls its arguments."""
    try:
        bound = inspect.signature(function).bind(*arguments)
    except (TypeError, ValueError):
        return [f"argument_{k + 1}" for k in range(len(arguments))]
    names = []
    for name, value in bound.arguments.items():
        several = bound.signature.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
        names += [f"{name}_{k + 1}" for k in range(len(value))] if several else [name]
    return names


def data_of(things: Sequence[Any]) -> list[Any]:
    """Tensors as their arrays, all else as it is."""
    return [t._data if isinstance(t, Value) else t for t in things]


# --- what of it a program needs ---


def needed(seen: Observation, outputs: Sequence[Value]) -> list[Any]:
    """The part of the story that the outputs, the conditions and the draws need."""
    numbers: set[int] = set()
    values: set[int] = set()

    def want(things: Sequence[Any]) -> None:
        for thing in parts(list(things)):
            source = seen.source.get(id(thing))
            if isinstance(thing, Followed):
                numbers.add(thing.number)
                if thing.number in seen.values:
                    want([seen.values[thing.number]])
            elif source is not None:
                want([source])
            elif isinstance(thing, Value):
                values.add(id(thing))

    want(outputs)
    story = []
    for item in reversed(seen.lines.found):
        if isinstance(item, Step):
            if id(item.result) in values:
                want([*item.inputs, item.params])
                story.append(item)
        elif not item.outputs or item.generator is not None or numbers & set(item.outputs):
            want([item.args, item.named])
            story.append(item)
    return story[::-1]


def shown(step: Step) -> Value:
    """The result with its history, also of an op that no gradient flows through."""
    if step.result.op is not None:
        return step.result
    y, none = step.result._data, ()
    return Value.computed(y, step.op, step.inputs, step.arrays, step.params, none, None, None)  # type: ignore[no-any-return]


def parts(thing: Any) -> list[Any]:
    """All that is in tuples, lists, dicts and slices, one below the other."""
    if isinstance(thing, dict):
        return [p for t in thing.values() for p in parts(t)]
    if isinstance(thing, tuple | list):
        return [p for t in thing for p in parts(t)]
    if isinstance(thing, slice):
        return [thing.start, thing.stop, thing.step]
    return [thing]
