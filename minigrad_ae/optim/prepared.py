"""Steps of optimisers for gradients that are in the same arrays each time: for `mg.compile`.

The update is written down once, as calls of kernels and of NumPy's functions, which a program makes
after its own (kernels/native.py): no copies, and no question asked twice.  What is left for Python
are a few lines, which are written for the parameters at hand (autodiff/written.py): parameters and
moments are looked at before each step, the gradients on the way.  Where anything is not as it was,
nothing has changed, and the optimiser's own `step` does it, or says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..autodiff.staleness import stamp
from ..autodiff.written import Written
from ..kernels.calls import Calls, NotFinite, demand, store
from ..kernels.handlers import available
from ..kernels.native import Tape
from ..kernels.optim import _adam, _square, adam_numbers, adam_rates
from ..tensors import Tensor

Gradients = Mapping[Tensor, np.ndarray]
SETTINGS = 7  # numbers that Adam's kernel wants beside the arrays


class PreparedStep:
    """A step as `calls`, which raise NotFinite before anything changes.

    ``ready()`` asks whether they can be made and writes the settings of the step, ``done()`` leaves
    the gradients and counts it: functions that are written for these parameters.
    """

    ready: Callable[[], bool | None]
    done: Callable[[], None]

    def __init__(self, optimizer: Any, gradients: Gradients) -> None:
        pairs = zip(optimizer.params, optimizer.state, strict=True)
        own = [(p, state) for p, state in pairs if p in gradients]
        self.optimizer, self.states = optimizer, optimizer.state
        self.params = [p for p, _ in own]
        self.own = [state for _, state in own]
        self.gradients = list(gradients.items())
        self.without = [p for p in optimizer.params if p not in gradients]
        flat = [gradients[p].reshape(-1) for p in self.params]
        squares, finite = np.zeros(len(flat)), np.zeros(len(flat), bool)
        self.calls: Calls = [
            (store, (squares[k : k + 1].reshape(()), _square, g)) for k, g in enumerate(flat)
        ]
        self.calls += [
            (np.less, (squares, np.full(len(flat), np.inf), finite)),
            (demand, (finite, NotFinite)),
            *self.updates([gradients[p] for p in self.params]),
        ]

    def updates(self, gradients: list[np.ndarray]) -> Calls:
        """What writes to parameters and moments."""
        raise NotImplementedError

    def on_tape(self, tape: Tape) -> None:
        """The calls are the last ones of this tape."""
        w = Written("ready", "")
        w.say("try:")
        self.say_ready(w)
        w.say("return True", 2)
        w.say("except KeyError: return None  # a state that was emptied")
        self.ready = w.function()
        w = Written("done", "")
        self.say_done(w)
        self.done = w.function()

    def say_ready(self, w: Written) -> None:
        """Return None unless the moments are where they were (of the parameters the program knows);
        then write the settings.
        """
        w.unless(
            [f"{w.name('optimizer', self.optimizer)}.state is {w.name('states', self.states)}"]
        )

    def say_done(self, w: Written) -> None:
        """The calls have been made: what changes at each step beside numbers."""
        w.say(f"now, line = {w.name('stamp', stamp)}()")
        for leaf, g in self.gradients:
            w.say(f"{w.name('leaf', leaf)}._grad = {w.name('gradient', g)}")
        for p in self.without:
            w.say(f"{w.name('leaf', p)}._grad = None")
        for p in self.params:
            w.say(f"{w.name('leaf', p)}.changed, {w.name('leaf', p)}.origin = now, line")


def can_be_prepared(optimizer: Any, gradients: Gradients, begun: bool) -> bool:
    """Whether all arrays are in one piece and of one dtype, and (begun) the moments are there."""
    if not available() or not vars(optimizer).keys().isdisjoint(("step", "zero_grad")):
        return False
    for p, state in zip(optimizer.params, optimizer.state, strict=True):
        if p in gradients:
            arrays = [p._data, gradients[p], *(state.get(n) for n in optimizer.arrays if begun)]
            if not all(fits(a, p._data.dtype) for a in arrays):
                return False
    return True


def fits(array: Any, dtype: Any) -> bool:
    """An array of float32 or float64, this one, that lies row by row."""
    return type(array) is np.ndarray and array.dtype == dtype and array.flags.c_contiguous


class AdamStep(PreparedStep):
    """One call of Adam's kernel for each parameter; its settings are written on the tape."""

    def __init__(self, optimizer: Any, gradients: Gradients, alike: bool) -> None:
        self.alike = alike  # whether factor and decay are those of all parameters
        self.settings: Any = None  # on the tape, but for the two numbers that change at each step
        self.places: list[tuple[Any, int]] = []
        super().__init__(optimizer, gradients)

    def updates(self, gradients: list[np.ndarray]) -> Calls:
        calls: Calls = []
        for p, g, state in zip(self.params, gradients, self.own, strict=True):
            flat = (a.reshape(-1) for a in (p._data, g, state["m"], state["v"]))
            calls.append((_adam, (*flat, *adam_numbers(1, *self.optimizer._settings(p)))))
        return calls

    def on_tape(self, tape: Tape) -> None:
        ends = [*tape.starts[1:], len(tape.numbers)][-len(self.params) :]
        doubles: Any = tape.numbers.view(np.float64)
        numbers = memoryview(doubles)
        self.places, self.settings = [(numbers, end - SETTINGS) for end in ends], None
        super().on_tape(tape)

    def say_ready(self, w: Written) -> None:
        """As almost always all parameters have had the same number of steps, and settings stay:
        then two numbers a parameter are written.
        """
        super().say_ready(w)
        step, optimizer = w.name("step", self), w.name("optimizer", self.optimizer)
        states = [w.name("state", state) for state in self.own]
        for name, state in zip(states, self.own, strict=True):
            w.unless([f"{name}[{n!r}] is {w.name(n, state[n])}" for n in ("m", "v")])
        w.say(f"t = {states[0]}['t']", 2)
        usual = [f"{step}.alike", *[f"{state}['t'] == t" for state in states[1:]]]
        usual.append(f"{step}.settings == {w.name('now', self.now)}()")
        w.say(f"if {' and '.join(usual)}:", 2)
        rates = f"{w.name('rates', adam_rates)}(t + 1, {optimizer}.lr, *{optimizer}.betas)"
        w.say(f"rate, root = {rates}", 3)
        for numbers, at in self.places:
            row = w.name("tape", numbers)
            w.say(f"{row}[{at}] = rate; {row}[{at + 1}] = root", 3)
        w.say("else:", 2)
        w.say(f"{step}.write_all()", 3)

    def say_done(self, w: Written) -> None:
        super().say_done(w)
        for state in self.own:
            w.say(f"{w.name('state', state)}['t'] += 1")

    def now(self) -> Any:
        """The settings that stay from step to step; where a decay depends on the rate, with it."""
        o = self.optimizer
        return o.betas, o.eps, o.weight_decay, o.decoupled, o.decoupled and o.weight_decay * o.lr

    def write_all(self) -> None:
        """All settings of the next step, of each parameter by itself."""
        self.settings = self.now()
        for p, state, (row, at) in zip(self.params, self.own, self.places, strict=True):
            numbers = adam_numbers(state["t"] + 1, *self.optimizer._settings(p))
            for k, number in enumerate(numbers):
                row[at + k] = number


class SGDStep(PreparedStep):
    """What SGD says in NumPy, in place: v <- momentum v + g, p <- p - lr v."""

    def __init__(self, optimizer: Any, gradients: Gradients) -> None:
        self.settings: dict[Any, np.ndarray] = {}
        self.asked = kind(optimizer)
        super().__init__(optimizer, gradients)
        self.velocities = [(state, state.get("velocity")) for state in self.own]

    def setting(self, name: str, dtype: Any) -> np.ndarray:
        """The optimiser's number of this name, in an array of this dtype."""
        if (name, dtype) not in self.settings:
            self.settings[name, dtype] = np.zeros((), dtype)
        return self.settings[name, dtype]

    def updates(self, gradients: list[np.ndarray]) -> Calls:
        calls: Calls = []
        for p, g, state in zip(self.params, gradients, self.own, strict=True):
            calls += self.update(p._data, g, state)
        return calls

    def update(self, p: np.ndarray, g: np.ndarray, state: dict[str, Any]) -> Calls:
        """The step of one parameter."""
        decays, moves, nesterov = self.asked
        rate, decay, momentum = (
            self.setting(name, p.dtype) for name in ("lr", "weight_decay", "momentum")
        )
        step, total = np.empty_like(p), np.empty_like(p)
        calls: Calls = []
        if decays:
            calls += [(np.multiply, (decay, p, total)), (np.add, (g, total, total))]
            g = total
        if moves:
            v = state["velocity"]
            calls += [(np.multiply, (momentum, v, v)), (np.add, (v, g, v))]
            if nesterov:
                calls += [(np.multiply, (momentum, v, step)), (np.add, (g, step, step))]
                g = step
            else:
                g = v
        return [*calls, (np.multiply, (rate, g, step)), (np.subtract, (p, step, p))]

    def say_ready(self, w: Written) -> None:
        super().say_ready(w)
        optimizer = w.name("optimizer", self.optimizer)
        w.unless([f"{w.name('kind', kind)}({optimizer}) == {self.asked}"])
        for state, v in self.velocities:
            known = w.name("velocity", v)
            w.unless([f"{w.name('state', state)}.get('velocity') is {known}"])
        for (name, _), array in self.settings.items():
            w.say(f"{w.name(name, array)}[...] = {optimizer}.{name}", 2)


def kind(sgd: Any) -> tuple[bool, bool, bool]:
    """Which terms there are."""
    return bool(sgd.weight_decay), bool(sgd.momentum), bool(sgd.nesterov)
