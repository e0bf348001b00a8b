"""Steps of optimisers for gradients that are in the same arrays each time, as `mg.compile` has them.

The update is written down once, as calls of kernels and of NumPy's functions, and from then on made
by a tape (kernels/native.py): no copies, and no question asked twice.  Parameters, moments and
gradients are looked at before each step: where anything is not as it was, the answer is False,
nothing has changed, and the optimiser's own `step` does it, or says what is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..autodiff.staleness import touch
from ..kernels.calls import Calls, store
from ..kernels.handlers import available
from ..kernels.native import Tape, prepared
from ..kernels.optim import _adam, _square, adam_numbers
from ..tensors import Tensor

Gradients = Mapping[Tensor, np.ndarray]
SETTINGS = 7  # numbers that Adam's kernel wants beside the arrays


class PreparedStep:
    """``prepared_step()`` makes one step and returns True, or changes nothing and returns False."""

    def __init__(self, optimizer: Any, gradients: Gradients) -> None:
        pairs = zip(optimizer.params, optimizer.state, strict=True)
        own = [(p, gradients[p], state) for p, state in pairs if p in gradients]
        self.optimizer, self.states = optimizer, optimizer.state
        self.own = [(p, p._data, g, state) for p, g, state in own]
        self.params = [p for p, _, _ in own]
        names = optimizer.arrays
        self.moments = [(s, name, s[name]) for _, _, s in own for name in names if name in s]
        self.squares, self.ones = np.zeros(len(own)), np.ones(len(own))
        self.lengths = prepared(
            [
                (store, (self.squares[k : k + 1].reshape(()), _square, g.reshape(-1)))
                for k, (_, g, _) in enumerate(own)
            ]
        )

    def __call__(self) -> bool:
        if not self.as_it_was():
            return False
        self.update()
        touch(self.params)
        return True

    def as_it_was(self) -> bool:
        """Whether all arrays are where they were, and no gradient is NaN or infinite."""
        if self.optimizer.state is not self.states:
            return False
        if any(p._data is not data or p._grad is not g for p, data, g, _ in self.own):
            return False
        if any(state.get(name) is not array for state, name, array in self.moments):
            return False
        for work in self.lengths:
            work()
        return math.isfinite(self.ones.dot(self.squares))

    def update(self) -> None:
        """Write to parameters and moments."""
        raise NotImplementedError


def can_be_prepared(optimizer: Any, gradients: Gradients, begun: bool) -> bool:
    """Whether all arrays are in one piece and of one dtype, and (begun) the moments are there."""
    if not available():
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

    def __init__(self, optimizer: Any, gradients: Gradients) -> None:
        super().__init__(optimizer, gradients)
        calls: Calls = []
        for p, data, g, state in self.own:
            flat = (a.reshape(-1) for a in (data, g, state["m"], state["v"]))
            calls.append((_adam, (*flat, *self.numbers(p, 1))))
        (tape,) = prepared(calls)
        assert isinstance(tape, Tape)
        self.tape, self.floats = tape, tape.numbers.view(np.float64)
        ends = np.array([*tape.starts[1:], len(tape.numbers)])
        self.places = ends[:, None] - np.arange(SETTINGS, 0, -1)

    def numbers(self, p: Tensor, t: int) -> tuple[float, ...]:
        """What the kernel has to know for this parameter at step t."""
        return adam_numbers(t, *self.optimizer._settings(p))

    def update(self) -> None:
        steps = [state["t"] + 1 for _, _, _, state in self.own]
        for (_, _, _, state), t in zip(self.own, steps, strict=True):
            state["t"] = t
        kinds = list(zip(steps, map(self.optimizer.factor_and_decay, self.params), strict=True))
        if kinds.count(kinds[0]) == len(kinds):
            self.floats[self.places] = self.numbers(self.params[0], steps[0])
        else:
            for p, t, place in zip(self.params, steps, self.places, strict=True):
                self.floats[place] = self.numbers(p, t)
        self.tape()


class SGDStep(PreparedStep):
    """What SGD says in NumPy, in place: v <- momentum v + g, p <- p - lr v."""

    def __init__(self, optimizer: Any, gradients: Gradients) -> None:
        super().__init__(optimizer, gradients)
        self.settings: dict[Any, tuple[np.ndarray, ...]] = {}
        self.asked = self.kind()
        calls: Calls = []
        for _, data, g, state in self.own:
            calls += self.calls(data, g, state)
        self.works = prepared(calls)

    def kind(self) -> tuple[bool, bool, bool]:
        """Which terms there are."""
        sgd = self.optimizer
        return bool(sgd.weight_decay), bool(sgd.momentum), bool(sgd.nesterov)

    def setting(self, name: str, dtype: Any) -> np.ndarray:
        """The optimiser's number of this name, in an array of this dtype."""
        if (name, dtype) not in self.settings:
            self.settings[name, dtype] = np.zeros((), dtype)
        return self.settings[name, dtype]

    def calls(self, p: np.ndarray, g: np.ndarray, state: dict[str, Any]) -> Calls:
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

    def as_it_was(self) -> bool:
        return self.asked == self.kind() and super().as_it_was()

    def update(self) -> None:
        for (name, _), array in self.settings.items():
            array[...] = getattr(self.optimizer, name)
        for work in self.works:
            work()
