"""The backward pass of a program: the engine's order and the engine's rules, each gradient in its
place as long as somebody needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff import engine
from ..autodiff.graph import Value
from ..autodiff.operation import REGISTRY
from .forward import Forward
from .listing import Story
from .literals import array_text
from .memory import Impossible, laid_out_as

RULE_OF_SLICES = REGISTRY["getitem"].vjps[0]  # a test may plant another


class Backward(Forward):
    """What fills the places of the gradients."""

    sender: Value  # the one whose op's rules are at work

    def backward(self) -> dict[Value, np.ndarray]:
        """The gradients of the leaves, each in an array of its own."""
        seed = np.ones_like(self.loss._data)  # it stays, and so must its place
        found: dict[Value, np.ndarray] = {}
        self.sender = self.loss
        self.receive(found, self.loss, seed, "1", lambda _: array_text(seed), "constant")
        for value in reversed(engine.topological(self.loss)):
            if value.hooks or (value.retains_grad and value.op is not None):
                raise Impossible("a tensor has a hook, or retains its gradient")
            if value.op is None or value not in found:
                continue
            self.send(found, value)
            for array in (found.pop(value), self.env[self.vars[id(value)]]):
                if not any(value is output for output in self.outputs):
                    self.memory.drop(array)
            for array in self.saved.get(id(value), ()):
                self.memory.drop(array)
        return {leaf: self.alone(leaf, g, found) for leaf, g in found.items()}

    def send(self, found: dict[Value, np.ndarray], value: Value) -> None:
        """What a value, whose gradient is complete, gives its inputs."""
        self.sender, op = value, value.op
        if id(value) in self.saved and op.vjps == op.twin.rules:
            arrays, params = self.arguments(value)
            gradients: list[Any] = [None] * len(arrays)
            for i, _ in value.edges:
                gradients[i] = self.keep(value.arrays[i].shape, value._data.dtype)
            g, y = found[value], self.env[self.vars[id(value)]]
            work = (gradients, g, y, self.saved[id(value)], *arrays)
            self.written(lambda: op.twin.backward(*work, **params))
            self.end_line()
            for i, x in value.edges:
                text, code = self.in_own_terms(value, i), self.code(value, i, x)
                self.receive(found, x, self.fitted(gradients[i], x), text, code, "kernel")
                self.end_line()
            return
        for i, x in value.edges:
            text, raw = self.spread(value, found[value]) or self.lowered(value, i)
            code = self.code(value, i, x)
            self.receive(found, x, self.fitted(raw, x), text, code)
            self.end_line()

    def spread(self, value: Value, g: np.ndarray) -> tuple[str, np.ndarray] | None:
        """The gradient of what slices were taken of: zeros, and g in their place.

        The rule's `index_add`, without the array that it makes; None where something else was
        picked.
        """
        if value.op.name != "getitem" or value.op.vjps[0] is not RULE_OF_SLICES:
            return None
        x, index = value.inputs[0], value.params["index"]
        picked = x._data[index]
        if not (isinstance(picked, np.ndarray) and np.may_share_memory(picked, x._data)):
            return None
        out = self.keep(x._data.shape, g.dtype)
        self.add(out.fill, 0)
        self.add(np.copyto, out[index], g)
        return self.in_own_terms(value, 0), out

    def fitted(self, raw: np.ndarray, x: Value) -> np.ndarray:
        """A contribution in the shape and dtype of the input, as the engine makes it."""
        data, axes = x._data, engine.summed_axes(raw.shape, x._data.shape)
        if axes:
            out = laid_out_as(np.add.reduce(raw, axes), self.keep)
            self.add(np.add.reduce, raw, axes, None, out)
            self.memory.drop(raw)
            raw = out.reshape(data.shape)
        if raw.dtype != data.dtype:
            out = laid_out_as(raw.astype(data.dtype), self.keep)
            self.add(np.copyto, out, raw)
            self.memory.drop(raw)
            raw = out
        if raw.shape != data.shape:
            raise Impossible("a gradient has another shape than its input")
        return raw

    def receive(
        self,
        found: dict[Value, np.ndarray],
        x: Value,
        new: np.ndarray,
        text: str,
        write: Callable[[Story], str],
        kind: str = "numpy",
    ) -> None:
        """Add a contribution to the gradient of x."""
        known, name = found.get(x), self.grads[id(x)]
        if known is not None:
            total = laid_out_as(known + new, self.keep)
            self.add(np.add, known, new, total)
            for array in (known, new):
                self.memory.drop(array)
            new, text = total, f"{name} + ({text})"
        found[x] = self.env[name] = new
        sender = self.vars[id(self.sender)]
        self.say(name, text, new, kind, write, adds=known is not None, of=sender)

    def alone(self, leaf: Value, g: np.ndarray, found: dict[Value, np.ndarray]) -> np.ndarray:
        """A leaf's gradient in an array that nothing else uses."""
        others = [a for v, a in found.items() if v is not leaf]
        ours = self.memory.owner(g) is not None and g.flags.c_contiguous
        if ours and not any(np.may_share_memory(g, a) for a in others):
            return g
        own = self.keep(g.shape, g.dtype)
        self.add(np.copyto, own, g)
        return own
