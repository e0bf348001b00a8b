"""The parameters of a small model in a row, so that a step is one call of a kernel instead of one
for each of them.

A call costs a microsecond or two before it does anything: for a model of a few thousand numbers,
more than the step itself.  Parameters keep their own arrays: they are copied into the row and back.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import kernels
from ..autodiff.staleness import touch
from ..tensors import Tensor

# numbers in a parameter, on average: for more, copies cost as much as the calls that they save
LONGEST = 1 << 12
FLOATS = {np.dtype(np.float32), np.dtype(np.float64)}


def places(params: list[Tensor]) -> list[tuple[slice, tuple[int, ...]]]:
    """Where each parameter lies in a row of all of them, and its shape."""
    ends = np.cumsum([p.size for p in params]).tolist()
    return [(slice(end - p.size, end), p.shape) for p, end in zip(params, ends, strict=True)]


class Row:
    """All `params` one after the other, ``p``, and likewise their gradients ``g`` and Adam's
    moments ``m`` and ``v``.

    The moments in `states`, one dict {m, v, t} per parameter, become views of the row at its first
    step.
    """

    def __init__(self, params: list[Tensor], states: list[dict[str, Any]]) -> None:
        self.params, self.states, self.dtype = params, states, params[0].dtype
        size = sum(p.size for p in params)
        self.p, self.g, self.m, self.v = (np.zeros(size, self.dtype) for _ in range(4))
        self.places = places(params)
        self.back = [self.p[place].reshape(shape) for place, shape in self.places]
        self.linked = False

    def filled(self) -> bool:
        """Copy parameters and gradients into the row; False if a gradient is missing or not finite,
        or steps differ.
        """
        t, gradients = self.states[0].get("t", 0), []
        for p, state in zip(self.params, self.states, strict=True):
            g = p.grad
            like = type(g) is np.ndarray and g.dtype == self.dtype and g.shape == p._data.shape
            if not like or state.get("t", 0) != t:
                return False
            gradients.append(g.reshape(-1))
        np.concatenate(gradients, out=self.g)
        np.concatenate([p._data.reshape(-1) for p in self.params], out=self.p)
        return math.isfinite(kernels.optim.square(self.g))

    def step(self, *settings: Any) -> None:
        """One step of Adam for all (settings: see `kernels.optim.adam_numbers`); the parameters'
        arrays are written to.
        """
        if not self.linked:
            self._link()
        t = self.states[0]["t"] + 1
        kernels.optim.adam(self.p, self.g, self.m, self.v, kernels.optim.adam_numbers(t, *settings))
        for p, new, state in zip(self.params, self.back, self.states, strict=True):
            p._data[...] = new
            state["t"] = t
        touch(self.params)

    def _link(self) -> None:
        for state, (place, shape) in zip(self.states, self.places, strict=True):
            for name, moments in (("m", self.m), ("v", self.v)):
                view = moments[place].reshape(shape)
                view[...] = state.get(name, 0)
                state[name] = view
            state.setdefault("t", 0)
        self.linked = True


class Rows:
    """The rows of a small model, one for each of `kinds` (one per parameter): none where a row
    would be long or mixed.
    """

    def __init__(
        self, params: list[Tensor], states: list[dict[str, Any]], kinds: list[Any]
    ) -> None:
        self.kinds, self.states = kinds, states
        dtypes = {p.dtype for p in params}
        short = sum(p.size for p in params) <= LONGEST * len(params)
        wanted = dict.fromkeys(kinds) if short and len(dtypes) == 1 and dtypes <= FLOATS else ()
        members = [[k for k, other in enumerate(kinds) if other == kind] for kind in wanted]
        self.rows = [Row([params[k] for k in own], [states[k] for k in own]) for own in members]
