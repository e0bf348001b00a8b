"""From one observed step to a program: every array has its place, every op its calls.

A tower, each floor a file that is read by itself: `places` (names, memory, what is written down),
`words` (how a line is shown), `forward` and `backward` (what fills the places), and here the order
in which all of it happens: the forward pass as it ran, then the backward pass.
"""

from __future__ import annotations

import ast

import numpy as np

from ..autodiff.graph import Value
from .backward import Backward
from .follow import Followed, Line
from .listing import Story
from .observed import parts
from .program import Program


class Planner(Backward):
    """Gives every value of a step a place, and writes down what fills it."""

    def program(self) -> Program:
        """The program, whose arrays hold the numbers of the step that was observed."""
        for item in self.story:
            if isinstance(item, Line):
                self.reads(item)
                self.items.append(item)
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

    def reads(self, line: Line) -> None:
        """What a line of NumPy reads of the graph has to have its place by now."""
        for thing in parts((line.args, line.named)):
            if isinstance(thing, Followed) and thing.number in self.seen.values:
                node = self.place(self.seen.values[thing.number])
                self.static[thing.number] = self.array_of(node)
