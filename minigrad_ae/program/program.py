"""A step as a program: calls on arrays that stay where they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import whole_number
from ..autodiff.graph import Value
from ..autodiff.written import Written
from ..errors import DataError
from .follow import Changed, Followed, Line
from .listing import Listed, Story
from .observed import data_of
from .profile import Profile, measured, story_costs


@dataclass(frozen=True)
class Slot:
    """The array of this number, among the arguments and what NumPy's lines made."""

    number: int


class Program:
    """One step, forward and backward, for arguments of given shapes and dtypes.

    Attributes
    ----------
    lines : list of Listed
        What it does, in order.
    nbytes : int
        Bytes of its arrays, without leaves, constants and arguments.
    """

    def __init__(
        self,
        items: Sequence[Any],
        static: list[Any],
        outputs: list[np.ndarray],
        gradients: dict[Value, np.ndarray],
        leaves: list[Value],
    ) -> None:
        self.static, self.outputs, self.gradients = static, outputs, gradients
        self.leaves = [(leaf, leaf._data, leaf.requires_grad) for leaf in leaves]
        self.lines: list[Listed] = []
        self.boundary = self.nbytes = 0  # the number of lines of the forward pass
        self.story: Story | None = None
        self.items = items
        self.parts = segments(items)
        self.proved = False  # whether its numbers were compared at another call
        self.draws = any(isinstance(i, Line) and i.generator is not None for i in items)
        self.update: Any = None  # the optimiser's step for its gradients
        self.short: Any = None  # the short way, see again.py, ...
        self.runs = 0  # ... and how often another was taken
        self.with_update: list[Any] = []

    def fits(self) -> bool:
        """Whether the leaves are where they were, and want what they wanted."""
        for leaf, array, wants in self.leaves:
            if leaf._data is not array or leaf.hooks or leaf.requires_grad is not wants:
                return False
        return True

    def conditions(self, w: Written) -> list[str]:
        """The same in words, for `again`."""
        found = []
        for leaf, array, wants in self.leaves:
            own = w.name("leaf", leaf)
            found.append(f"{own}._data is {w.name('data', array)} and not {own}.hooks")
            found.append(f"{own}.requires_grad is {wants}")
        return found

    def moved(self) -> set[Value]:
        """Leaves that were given another array since."""
        return {leaf for leaf, array, _ in self.leaves if leaf._data is not array}

    def run(self, arguments: Sequence[Any], update: bool = False) -> None:
        """Make all calls, and those of the update.  Changed where a condition does not hold."""
        values = self.static.copy()
        values[: len(arguments)] = arguments
        for part in self.with_update if update else self.parts:
            part(values)

    def take(self, update: Any) -> None:
        """Make an optimiser's step the end of the program, on the tape of what is before it."""
        from ..kernels.native import Tape, in_one

        if not {leaf for leaf, _, _ in self.leaves}.issuperset(update.params):
            return  # `fits` does not look at all of them
        if not self.gradients.keys() <= set(update.params):
            return  # others have gradients that add up
        parts = in_one([*self.parts, *segments(update.calls)])
        if isinstance(parts[-1], Tape):
            update.on_tape(parts[-1])
            self.update, self.with_update = update, parts

    @property
    def source(self) -> str:
        """The program as a Python module that needs NumPy only.

        It has a function ``step(<arguments>, <leaves>)``, which returns the loss (or a tuple of
        all that the step returns) and ``{name: gradient}``. What the step computes by NumPy has the
        same bits there, what it computes by a kernel is shown as the NumPy expression that defines
        the kernel. Its arrays are made once, in blocks of memory as in the program. `arrays` are
        those that it is to be called with, beside the arguments.
        """
        return self.story.source() if self.story else ""

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """{name: array} of leaves, and of constants above 4,096 numbers, as they are now."""
        return self.story.passed() if self.story else {}

    def profile(self, *arguments: Any, rounds: int = 20) -> Profile:
        """Where the time of a step goes, line by line.

        Each line is run and timed by itself, in the order of the step; its operations and bytes
        are counted from the shapes, and compared with the roof of this machine: the lower of its
        peak and of what its memory can deliver.

        Parameters
        ----------
        *arguments
            As of the step.
        rounds : int
            How often; times are medians.

        Returns
        -------
        Profile
            Printed it is a table; its ``rows`` hold the numbers.

        Raises
        ------
        DataError
            If there are more or fewer arguments than the step has, or the program does not hold for
            them.

        Notes
        -----
        Operations: 2 m k n of a product, one per number that any other function gives; bytes: each
        array is read and written once. A call from Python adds some tenths of a microsecond to each
        line, which the program itself does not spend.  What is in a cache comes faster than the
        roof says, so a small line may be above 100 %.  Gradients and generators stay as they were.

        References
        ----------
        Williams, Waterman & Patterson, *Roofline: an insightful visual performance model for
        multicore architectures*, Communications of the ACM 52(4), 2009.
        """
        rounds = whole_number(rounds, "profile: rounds", "how often each line is timed")
        story: Any = self.story
        if len(arguments) != len(story.parameters):
            raise DataError(
                "profile: arguments as of the step are needed",
                f"got {len(arguments)}, the step has {len(story.parameters)}",
                f"pass ({', '.join(story.parameters)})",
            )
        given = data_of(arguments)
        generators = [a.bit_generator for a in given if isinstance(a, np.random.Generator)]
        states = [g.state for g in generators]
        kept = [*self.outputs, *self.gradients.values()]
        before = [array.copy() for array in kept]
        pieces = [segments(self.items[line.items]) for line in self.lines]
        try:
            found = measured(story, pieces, lambda: [*given, *self.static[len(given) :]], rounds)
        except Changed:
            raise DataError(
                "profile: the program does not hold for these arguments",
                "a condition comes out otherwise: another branch, another program",
                "call the step with them first, and take its program then",
            ) from None
        finally:
            for generator, state in zip(generators, states, strict=True):
                generator.state = state
            for array, numbers in zip(kept, before, strict=True):
                array[...] = numbers
        found.program = self
        return found

    def __str__(self) -> str:
        lines = [str(line) for line in self.lines]
        if self.story:
            spent = story_costs(self.story)
            lines = [f"{t}, {c}" if c.nbytes else t for t, c in zip(lines, spent, strict=True)]
        lines.insert(self.boundary, "\n# backward")
        return "\n".join(["# forward", *lines])


def segments(items: Sequence[Any]) -> list[Callable[[list[Any]], None]]:
    """Functions of the numbered values: runs of calls, and between them NumPy's lines."""
    from ..kernels.native import Tape, prepared  # Numba comes with it

    found: list[Callable[[list[Any]], None]] = []
    calls: list[Any] = []
    for item in [*items, None]:
        if isinstance(item, tuple) and not isinstance(item[0], Slot):
            calls.append(item)
            continue
        if calls:
            works = prepared(calls)
            found += [work if isinstance(work, Tape) else alone(work) for work in works]
            calls = []
        if isinstance(item, Line):
            found.append(doing(item))
        elif item is not None:
            found.append(filling_in(*item))
    return found


def alone(work: Callable[[], None]) -> Callable[[list[Any]], None]:
    """Calls that need none of the values."""
    return lambda values: work()


def filling_in(slot: Slot, buffer: np.ndarray) -> Callable[[list[Any]], None]:
    number = slot.number

    def segment(values: list[Any]) -> None:
        buffer[...] = values[number]

    return segment


def doing(line: Line) -> Callable[[list[Any]], None]:
    """A line of NumPy as a function of the numbered values."""
    args, named = resolver(line.args), resolver(line.named)
    function, outputs, generator = line.function, line.outputs, line.generator
    expected = line.expected

    def segment(values: list[Any]) -> None:
        called = function if generator is None else getattr(values[generator], function)
        result = called(*args(values), **named(values))
        if line.several:
            for number, part in zip(outputs, result, strict=True):
                values[number] = part
        elif outputs:
            values[outputs[0]] = result
        elif result != expected:
            raise Changed

    return segment


def resolver(thing: Any) -> Callable[[list[Any]], Any]:
    """A function that puts the numbered values into their places."""
    if isinstance(thing, Followed):
        number = thing.number
        return lambda values: values[number]
    if isinstance(thing, dict):
        if not thing:
            return lambda values: thing
        inside = {k: resolver(v) for k, v in thing.items()}
        return lambda values: {k: r(values) for k, r in inside.items()}
    if isinstance(thing, tuple | list):
        kind, each = type(thing), [resolver(t) for t in thing]
        if len(each) == 1 and kind is tuple:
            (only,) = each
            return lambda values: (only(values),)
        return lambda values: kind([r(values) for r in each])
    if isinstance(thing, slice):
        ends = resolver((thing.start, thing.stop, thing.step))
        return lambda values: slice(*ends(values))
    return lambda values: thing
