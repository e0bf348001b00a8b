"""The forward pass of a program: the kernel where one ran, and otherwise the op's own expression,
taken apart by `lower`.
"""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from ..autodiff.graph import Value
from ..autodiff.rules import NAMES
from ..inspect.record.notation import rule_of
from .lower import Lowering
from .memory import Impossible
from .observed import Step
from .words import Words


class Forward(Words):
    """What fills the place of a result."""

    def forward(self, step: Step) -> None:
        """One op."""
        value = self.shown[id(step.result)]
        name, op = self.vars[id(value)], value.op
        arrays, params = self.arguments(value)
        if self.by_kernel(value, step):
            shapes = op.twin.shapes(*arrays, **params)
            filled = [self.keep(shape, value._data.dtype) for shape in shapes]
            self.written(lambda: op.twin.forward(filled, *arrays, **params))
            array, self.saved[id(value)] = filled[0], filled[1:]
            text, kind = self.in_own_terms(value), "kernel"
        else:
            (text, array), kind = self.lowered(value), "numpy"
        self.say(name, text, array, kind, self.code(value))
        self.made[name] = op.name, tuple(self.origin(value, k) for k in range(len(value.inputs)))
        if array.shape != value._data.shape or array.dtype != value._data.dtype:
            raise Impossible(f"{op.name} was not written as it runs")
        self.env[name] = array
        self.end_line()

    def by_kernel(self, value: Value, step: Step) -> bool:
        """Whether a kernel computed it."""
        if value is step.result:
            return value.saved is not None
        twin = value.op.twin
        return twin is not None and twin.compute(list(step.arrays), step.params) is not None

    def origin(self, value: Value, k: int) -> str:
        """The name of an input, before it was cast; a number as text."""
        a = value.inputs[k]
        return ast.unparse(self.place(a) if isinstance(a, Value) else self.input(value, k))

    def arguments(self, value: Value) -> tuple[list[Any], dict[str, Any]]:
        """The inputs and settings of an op, in their places."""
        arrays = []
        for k in range(len(value.inputs)):
            node = self.input(value, k)
            there = self.env.get(ast.unparse(node))
            arrays.append(there if isinstance(there, np.ndarray) else value.arrays[k])
        return arrays, {k: self.setting(v) for k, v in value.params.items()}

    def setting(self, setting: Any) -> Any:
        """A setting, with the arrays in it in their places."""
        if isinstance(setting, tuple | list):
            return type(setting)(self.setting(s) for s in setting)
        if isinstance(setting, np.ndarray) and setting.ndim:
            return self.array_of(self.constant(setting))
        return setting

    # --- expressions, of ops and of rules ---
    def lowered(self, value: Value, i: int | None = None) -> tuple[str, np.ndarray]:
        """An op's forward (i None) or rule: its text and its array.

        With an index that is another one at each call nothing can be worked out beforehand: then
        the ops in the expression are called as they are.
        """
        if all(self.is_constant(v) for v in value.params.values()):
            text = self.forward_text(value) if i is None else self.rule_text(value, i)
            for rest, name in self.library.functions.items():
                if name not in self.env:
                    exec(f"def {name}{rest}", self.env)
            return text, self.filled(text, self.env)
        text = self.in_own_terms(value, i)
        return text, self.filled(*self.as_it_is(value, i))

    def as_it_is(self, value: Value, i: int | None) -> tuple[str, dict[str, Any]]:
        """An expression as the registry has it, and what its names stand for."""
        op, (arrays, params) = value.op, self.arguments(value)
        if op.variadic:
            raise Impossible(f"{op.name} has a setting that is another one at each call")
        inputs = dict(zip(op.rules, arrays, strict=True))
        names = {**NAMES, **inputs, **op.defaults, **params}
        if i is not None:
            names |= {"g": self.env[self.grads[id(value)]], "y": self.env[self.vars[id(value)]]}
            return rule_of(op, i), names
        if op.forward_text:
            return op.forward_text, names
        settings = ", ".join(f"{k}={k}" for k in params)
        names["forward"] = op.forward
        return f"forward({', '.join([*op.rules, settings])})", names

    def filled(self, text: str, names: dict[str, Any]) -> np.ndarray:
        """The array of an expression."""
        lowering, made = Lowering(names, self.spend), []

        def lasting(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
            made.append(self.keep(shape, dtype))
            return made[-1]

        with np.errstate(all="ignore"):
            array = lowering.array(text, lasting)
        self.items += lowering.calls
        self.take_over(array, made)
        return array
