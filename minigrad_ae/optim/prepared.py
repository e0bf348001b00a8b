"""Steps of optimisers for gradients that are in the same arrays each time: for `mg.compile`.

The update is written down once, as calls of kernels and of NumPy's functions, which a program makes
after its own (kernels/native.py): no copies, and no question asked twice.  Parameters and moments
are looked at before each step, the gradients on the way: where anything is not as it was, nothing
has changed, and the optimiser's own `step` does it, or says what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..autodiff.staleness import touch
from ..kernels.calls import Calls, NotFinite, demand, store
from ..kernels.handlers import available
from ..kernels.native import Tape
from ..kernels.optim import _adam, _square, adam_numbers
from ..tensors import Tensor

Gradients = Mapping[Tensor, np.ndarray]
SETTINGS = 7  # numbers that Adam's kernel wants beside the arrays


class PreparedStep:
    """A step as `calls`, which raise NotFinite before anything changes.

    ``ready()`` asks whether they can be made and writes the settings of the step, ``done()`` leaves
    the gradients and counts it.
    """

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

    def ready(self) -> bool:
        """Whether the moments are where they were (of the parameters the program knows); the
        settings are written then.
        """
        raise NotImplementedError

    def done(self) -> None:
        """The calls have been made."""
        for p in self.without:
            p._grad = None
        for leaf, g in self.gradients:
            leaf._grad = g
        touch(self.params)


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
        self.steps: list[int] = []
        self.others: list[float] = []  # settings on the tape that are not others at each step
        super().__init__(optimizer, gradients)
        self.moments = [(state, state["m"], state["v"]) for state in self.own]

    def updates(self, gradients: list[np.ndarray]) -> Calls:
        calls: Calls = []
        for p, g, state in zip(self.params, gradients, self.own, strict=True):
            flat = (a.reshape(-1) for a in (p._data, g, state["m"], state["v"]))
            calls.append((_adam, (*flat, *adam_numbers(1, *self.optimizer._settings(p)))))
        return calls

    def on_tape(self, tape: Tape) -> None:
        ends = [*tape.starts[1:], len(tape.numbers)][-len(self.params) :]
        between = ends[-1] - tape.starts[-1]  # entries of one kind: they are of one length
        first = tape.numbers.view(np.float64)[ends[0] - SETTINGS :]
        self.rates, self.roots, *_ = as_strided(first, (SETTINGS, len(ends)), (8, 8 * between))
        self.table = as_strided(first, (len(ends), SETTINGS), (8 * between, 8))
        self.others = []

    def ready(self) -> bool:
        if self.optimizer.state is not self.states:
            return False
        self.steps = steps = []
        try:
            for state, m, v in self.moments:
                if state["m"] is not m or state["v"] is not v:
                    return False
                steps.append(state["t"] + 1)
        except KeyError:  # a state that was emptied
            return False
        self.set(steps)
        return True

    def set(self, steps: list[int]) -> None:
        """Write the settings of these steps."""
        settings = self.optimizer._settings
        if not self.alike or steps.count(steps[0]) < len(steps):
            pairs = zip(self.params, steps, strict=True)
            self.table[:], self.others = [adam_numbers(t, *settings(p)) for p, t in pairs], []
            return
        rate, root, *others = numbers = adam_numbers(steps[0], *settings(self.params[0]))
        if others == self.others:  # as almost always
            self.rates.fill(rate)
            self.roots.fill(root)
        else:
            self.table[:], self.others = numbers, others

    def done(self) -> None:
        for state, t in zip(self.own, self.steps, strict=True):
            state["t"] = t
        super().done()


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

    def ready(self) -> bool:
        if self.optimizer.state is not self.states or self.asked != kind(self.optimizer):
            return False
        for state, v in self.velocities:
            if state.get("velocity") is not v:
                return False
        for (name, _), array in self.settings.items():
            array[...] = getattr(self.optimizer, name)
        return True


def kind(sgd: Any) -> tuple[bool, bool, bool]:
    """Which terms there are."""
    return bool(sgd.weight_decay), bool(sgd.momentum), bool(sgd.nesterov)
