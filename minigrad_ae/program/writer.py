"""The names and expressions of a graph as plain NumPy text: what `emit_numpy` prints and what a
compiled step is made from.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..autodiff import engine
from ..autodiff.graph import Value
from ..autodiff.rules import NAMES
from ..inspect.record.names import name_values, unique
from ..inspect.record.notation import computes, in_names, rule_of
from .inline import Inliner, Library
from .literals import array_text, setting

_SPOKEN_FOR = {*dir(builtins), *keyword.kwlist, "np", "unpack", "strided", "SIX"}


def identifier(name: str) -> str:
    """`name` with what cannot stand in a Python name as '_': 'encoder.weight' becomes
    'encoder_weight'.
    """
    name = unicodedata.normalize("NFKC", name)
    clean = "".join(c if f"a{c}".isidentifier() else "_" for c in name)
    if not clean.strip("_"):
        return "x"
    clean = clean if clean == name else clean.strip("_")
    return clean if clean.isidentifier() else f"_{clean}"


class Writer:
    """Names for all values of a graph and their gradients, and its expressions in these names.

    order : the values, inputs before outputs, the loss last.
    """

    def __init__(self, order: Sequence[Value], scopes: Any) -> None:
        self.order, self.loss = order, order[-1]
        self.library = Library(self.constant)
        self.vars: dict[int, str] = {id(self.loss): "loss"}
        self.grads: dict[int, str] = {}
        self.sections: dict[str, list[str]] = {"data": [], "forward": [], "backward": []}
        self.literals: dict[Any, ast.expr] = {}
        self.alive: list[Any] = []
        self.labels = name_values(order, scopes)
        self.choose_names()

    def choose_names(self) -> None:
        """An identifier for every value and gradient; ``loss`` and ``grad_<leaf>`` come first."""
        taken = self.library.taken
        taken |= {"loss"} if self.loss.op is not None else set()
        leaves = [v for v in self.order if v.op is None]
        for v in leaves:
            self.grads[id(v)] = unique(f"grad_{identifier(self.labels[id(v)])}", taken)
        taken |= _SPOKEN_FOR
        for v in [*leaves, *self.order]:
            self.vars[id(v)] = self.vars.get(id(v)) or unique(identifier(self.labels[id(v)]), taken)
            if id(v) not in self.grads:
                self.grads[id(v)] = unique(f"grad_{self.vars[id(v)]}", taken)

    # --- data ---
    def declare(self, name: str, array: np.ndarray) -> ast.expr:
        """``name = np.array(...)``, once, at the top."""
        text = array_text(array)
        if text.startswith("np.array(") and len(name) <= 12:  # rows below one another
            text = text.replace("\n   ", "\n" + " " * (len(name) + len(" = np.array(")))
        self.line("data", name, text, array.shape)
        return ast.Name(name)

    def constant(self, array: np.ndarray, label: str = "index", key: Any = None) -> ast.expr:
        """The name of a constant array; one that is short is written in place."""
        text = array_text(array)
        if text.startswith(("np.ones(", "np.zeros(", "np.eye(")):
            return ast.Name(text)
        key = key or (array.tobytes(), array.shape, array.strides, str(array.dtype))
        if key not in self.literals:
            self.alive.append(array)
            self.literals[key] = self.declare(unique(identifier(label), self.library.taken), array)
        return self.literals[key]

    def input(self, value: Value, k: int) -> ast.expr:
        """The expression for input number `k` of `value`, in the dtype in which the op sees it."""
        a, array = value.inputs[k], value.arrays[k]
        if not isinstance(a, Value):
            if array.ndim == 0:
                plain = type(a) in (int, float) and abs(a) < 1e9 and array == a
                return setting(a if plain else array, self.constant)
            return self.constant(array, self.labels.get(id(a), "c"), (id(a), str(array.dtype)))
        if id(a) not in self.vars:  # a tensor without gradient
            self.vars[id(a)] = unique(identifier(self.labels[id(a)]), self.library.taken)
            self.declare(self.vars[id(a)], a._data)
        name = self.vars[id(a)]
        if array.dtype == a._data.dtype:
            return ast.Name(name)
        key = (id(a), str(array.dtype))
        if key not in self.literals:
            cast = unique(f"{name}_{array.dtype}", self.library.taken)
            self.line("forward", cast, f"{name}.astype(np.{array.dtype})", array.shape)
            self.literals[key] = ast.Name(cast)
        return self.literals[key]

    # --- lines ---
    def line(self, section: str, name: str, expression: str, shape: tuple[int, ...]) -> None:
        """``name = expression  # shape``."""
        text = f"{name} = {expression}"
        if "\n" in text:
            text = f"# {shape}\n{text}"
        elif shape:
            text += f"  # {shape}"
        self.sections[section].append(text)
        self.library.shapes[name] = shape

    def is_constant(self, thing: Any) -> bool:
        """Whether a setting or a number is the same whenever the program runs."""
        return True

    def inliner(self, value: Value, i: int | None) -> Inliner:
        """What the names in the expressions of `value` stand for: in its forward (i None), or in
        the rule for input i.
        """
        op: Any = value.op
        exprs = [self.input(value, k) for k in range(len(value.inputs))]
        params = {**op.defaults, **value.params}
        params.pop("i", None)
        if i is not None and op.variadic:
            params["i"] = i
        names: dict[str, Any] = {k: setting(v, self.constant) for k, v in params.items()}
        values: dict[str, Any] = dict(params)
        constant = {k for k, v in params.items() if self.is_constant(v)}
        if op.variadic:
            (name,) = op.rules
            names[name], values[name] = exprs, tuple(value.arrays)
        else:
            names |= zip(op.rules, exprs, strict=True)
            values |= zip(op.rules, value.arrays, strict=True)
            for k, a in zip(op.rules, value.inputs, strict=True):
                if not isinstance(a, Value) and values[k].ndim == 0 and self.is_constant(a):
                    constant.add(k)
        if i is not None:
            stand_in = np.broadcast_to(np.ones((), value._data.dtype), value._data.shape)
            names |= {"g": ast.Name(self.grads[id(value)]), "y": ast.Name(self.vars[id(value)])}
            values |= {"g": stand_in, "y": value._data}
        return Inliner(self.library, NAMES, names, values, frozenset(constant))

    def forward_text(self, value: Value) -> str:
        """The right-hand side of the line that computes `value`."""
        inliner = self.inliner(value, None)
        return inliner.text(self.call_of(value.op, inliner))

    def call_of(self, op: Any, inliner: Inliner) -> str:
        """The forward of an op in its own names: its expression, or a call."""
        if op.forward_text:
            return op.forward_text  # type: ignore[no-any-return]
        inputs = [f"*{n}" if op.variadic else n for n in op.rules]
        settings = [f"{k}={k}" for k in inliner.names if k in op.defaults]
        return f"{op.name}({', '.join([*inputs, *settings])})"

    def in_own_terms(self, value: Value, i: int | None = None) -> str:
        """The forward of an op (i None) or a rule as the registry has it, in the program's names:
        what a kernel does instead.
        """
        op: Any = value.op
        inputs = [ast.unparse(self.input(value, k)) for k in range(len(value.inputs))]
        if i is None:
            return computes(value, inputs)
        names = dict(zip(op.rules, inputs, strict=True))
        names |= {"g": self.grads[id(value)], "y": self.vars[id(value)]}
        return in_names(rule_of(op, i), names)

    def rule_text(self, value: Value, i: int) -> str:
        """What the rule for input number i makes of the gradient of `value`."""
        return self.inliner(value, i).text(rule_of(value.op, i))


def fitted_text(
    text: str, raw_shape: tuple[int, ...], raw_dtype: Any, shape: tuple[int, ...], dtype: Any
) -> str:
    """A contribution to a gradient in the shape and dtype of the input, as the engine makes it."""
    axes = engine.summed_axes(raw_shape, shape)
    if axes:
        text = f"np.sum({text}, axis={axes[0] if len(axes) == 1 else axes})"
        left = tuple(n for k, n in enumerate(raw_shape) if k not in axes)
        if left != shape:
            text = f"{text}.reshape({shape})"
    if raw_dtype != dtype:
        text = f"({text}).astype(np.{dtype})"
    return text
