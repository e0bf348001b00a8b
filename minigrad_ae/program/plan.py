"""From one observed step to a program: every array has its place, every op its calls.

A tower, each floor a file that is read by itself: `places` (names, memory, what is written down),
`words` (how a line is shown), `forward` and `backward` (what fills the places), and here the order
in which all of it happens: the forward pass as it ran, then the backward pass.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence, Set
from typing import Any

import numpy as np

from ..autodiff.graph import Value
from ..kernels.calls import demand
from .backward import Backward
from .follow import Changed, Followed, Line
from .limits import find_limits
from .listing import Story
from .memory import Memory
from .observed import Observation, parts
from .program import Program


def planned(
    seen: Observation, loss: Value, others: Sequence[Value], scopes: Any, moving: Set[Value]
) -> Program:
    """The program of an observed step, in as little memory as it is found to need."""
    trial = Planner(seen, loss, others, scopes, moving, Memory())
    trial.program()
    shared = trial.memory.lives.share()
    del trial
    return Planner(seen, loss, others, scopes, moving, Memory(shared)).program()


class Planner(Backward):
    """Gives every value of a step a place, and writes down what fills it."""

    def program(self) -> Program:
        """The program, whose arrays hold the numbers of the step that was observed."""
        self.limits, self.spare = find_limits(self.story, self.how_often_read())
        for item in self.story:
            if isinstance(item, Line):
                self.do(item)
                self.say_line(item)
            else:
                self.forward(item)
        self.boundary = len(self.listing)
        gradients = self.backward()
        outputs = [self.array_of(self.place(output)) for output in self.outputs]
        program = Program(self.items, self.static, outputs, gradients, list(self.leaves.values()))
        program.lines, program.boundary = self.listing, self.boundary
        program.nbytes, program.story = self.memory.nbytes, self.to_be_read(gradients)
        return program

    def to_be_read(self, gradients: dict[Value, np.ndarray]) -> Story:
        """What the text of the program needs."""
        arrays = {k: v for k, v in self.env.items() if isinstance(v, np.ndarray)}
        lines, boundary, kept = self.listing, self.boundary, (self.memory, self.library)
        story = Story(lines, boundary, self.parameters, arrays, self.given, *kept)
        story.results = [ast.unparse(self.place(output)) for output in self.outputs]
        story.gradients = {self.vars[id(x)]: self.grads[id(x)] for x in gradients}
        story.made = self.made
        return story

    def do(self, line: Line) -> None:
        """A line of the function itself: as it is, on the tape, or not at all."""
        limit = self.limits.get(id(line))
        if limit is not None:
            x = self.array_of(self.feed(limit.array))
            flags = self.spend(x.shape, np.bool_)
            self.add(limit.comparison, x, np.array(limit.bound, x.dtype), flags)
            self.add(demand, flags, Changed)
            self.end_line()
        elif id(line) not in self.spare:
            self.reads(line)
            self.items.append(line)

    def how_often_read(self) -> Counter[int]:
        """{number of an array: how often lines, ops and outputs read it}."""
        read: list[Any] = list(self.outputs)
        for item in self.story:
            line = isinstance(item, Line)
            read += parts([item.args, item.named] if line else [[*item.inputs], item.params])
        for k, thing in enumerate(read):
            while id(thing) in self.seen.source:  # detached, or read from an array
                thing = read[k] = self.seen.source[id(thing)]
        return Counter(thing.number for thing in read if isinstance(thing, Followed))

    def reads(self, line: Line) -> None:
        """What a line of NumPy reads of the graph has to have its place by now."""
        for thing in parts((line.args, line.named)):
            if isinstance(thing, Followed) and thing.number in self.seen.values:
                node = self.place(self.seen.values[thing.number])
                self.static[thing.number] = self.array_of(node)
