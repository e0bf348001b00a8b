"""The lines of a program in words: what `print(step.program)` and its NumPy text say."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from ..autodiff.graph import Value
from ..inspect.record.notation import rule_of
from .follow import Followed, Line
from .inline import Inliner
from .listing import Code, called, named_after
from .literals import setting as literal
from .places import Places


class Words(Places):
    """Text of ops, of rules, and of the function's own lines."""

    def code(self, value: Value, i: int | None = None, x: Value | None = None) -> Code:
        """The NumPy text of an op's forward (i None) or rule, which is written when it is read."""
        op: Any = value.op
        inliner = self.inliner(value, i)
        text = rule_of(op, i) if i is not None else self.call_of(op, inliner)
        return Code(inliner, text, None if x is None else outline(x._data))

    def inliner(self, value: Value, i: int | None) -> Inliner:
        """As always, but of arrays in their places: those of the observed step may go."""
        found = super().inliner(value, i)
        for name, stands in found.names.items():
            if isinstance(stands, ast.Name) and isinstance(self.env.get(stands.id), np.ndarray):
                found.values[name] = self.env[stands.id]  # type: ignore[index]
            elif isinstance(stands, list) and name in value.op.rules:
                nodes = (self.env.get(ast.unparse(n)) for n in stands)
                old = found.values[name]
                new = (a if b is None else b for a, b in zip(old, nodes, strict=True))
                found.values[name] = tuple(new)  # type: ignore[index]
        return found

    def say_line(self, line: Line) -> None:
        """A line of the function itself."""
        names = [self.fresh(named_after(line.function)) for _ in line.outputs]
        self.spoken |= zip(line.outputs, names, strict=True)
        args = [self.in_words(a) for a in line.args]
        named = {k: self.in_words(v) for k, v in line.named.items()}
        generator = "" if line.generator is None else self.spoken[line.generator]
        text = called(line.function, args, named, generator)
        shown = text or f"{named_after(line.function)}({', '.join(args)})"
        if not names:
            answer = f" == {line.expected!r}"
            self.say("", shown + answer, None, "asked", lambda _: text and text + answer)
            return
        first = outline(np.asarray(self.seen.lines.values[line.outputs[0]]))
        self.say(", ".join(names), shown, first, "yours", lambda _: text)

    def in_words(self, thing: Any) -> str:
        """An argument of NumPy's line as text."""
        if isinstance(thing, Followed):
            if thing.number in self.seen.values:
                return ast.unparse(self.place(self.seen.values[thing.number]))
            return self.spoken[thing.number]
        if isinstance(thing, tuple | list):
            inside = ", ".join(self.in_words(t) for t in thing) + "," * (len(thing) == 1)
            return f"[{inside}]" if isinstance(thing, list) else f"({inside})"
        if isinstance(thing, slice):
            return f"slice({', '.join(map(self.in_words, (thing.start, thing.stop, thing.step)))})"
        if isinstance(thing, np.ndarray) and thing.ndim:
            return ast.unparse(self.constant(thing))
        if thing is Ellipsis:
            return "..."
        if isinstance(thing, type) and not issubclass(thing, np.generic):
            return thing.__name__
        return ast.unparse(literal(thing, self.constant))


def outline(array: np.ndarray) -> np.ndarray:
    """Its shape and dtype, and no memory."""
    return np.broadcast_to(np.zeros((), array.dtype), array.shape)
