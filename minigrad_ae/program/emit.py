"""The forward and backward pass of a graph as the NumPy program that a person would have written by
hand.

Printed from the expressions that the engine runs (`inline`), in the order in which it runs them
(`record.walk`), so that the program gives the same bits.
"""

from __future__ import annotations

import ast
import builtins
import keyword
import unicodedata
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..autodiff import engine
from ..autodiff.graph import Value
from ..autodiff.origin import where
from ..autodiff.rules import NAMES
from ..errors import GradientError
from ..inspect.record.applications import Application, demand_loss, walk
from ..inspect.record.names import caller_scopes, name_values, unique
from ..inspect.record.notation import rule_of
from .inline import Inliner, Library
from .literals import STRIDED, UNPACK, array_text, setting

_HEAD = "# A loss and its gradients, step by step.  Needs NumPy only.\nimport numpy as np"
_HELPERS = {"unpack": UNPACK, "strided": STRIDED}
_SPOKEN_FOR = {*dir(builtins), *keyword.kwlist, "np", "unpack", "strided", "SIX"}


def emit_numpy(loss: Value, scope: Mapping[str, Any] | None = None) -> str:
    """A loss and its gradients as the NumPy program that a person would have written by hand.

    It imports numpy and nothing else; afterwards ``loss`` and ``grad_<name>`` of each leaf are
    there.  Value and gradients are those of ``loss.backward()``, bit for bit.

    Parameters
    ----------
    loss : Tensor, one element
        What the backward pass starts from.
    scope : mapping of str to object, optional
        The variables to take names from; by default the caller's.

    Returns
    -------
    str
        The program.

    Raises
    ------
    DtypeError
        If `loss` is not a tensor.
    GradientError
        If `loss` has more than one element; if nothing in its graph requires a gradient; or if the
        graph has a hook, or an op of one's own whose source cannot be read.

    Notes
    -----
    Leaves are exact literals (packed above 4,096 elements) and have their names from ``name=`` or
    the caller's variables, as far as they are identifiers; unnamed ones are x0, x1, ...

    Examples
    --------
    >>> x = mg.tensor([3.0, 4.0], requires_grad=True, name="x")
    >>> program = mg.emit_numpy((x * x).sum())
    >>> print(program[program.index("# forward") :])
    # forward
    mul_1 = x * x  # (2,)
    loss = np.sum(mul_1)
    ...
    >>> found = {}
    >>> exec(program, found)
    >>> found["grad_x"]
    array([6., 8.])
    """
    demand_loss(loss, "emit_numpy")
    return _Program(loss, [scope] if scope is not None else caller_scopes(1)).text()


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


class _Program:
    def __init__(self, loss: Value, scopes: Any) -> None:
        self.loss = loss
        self.order = engine.topological(loss)
        self.library = Library(self.constant)
        self.vars: dict[int, str] = {id(loss): "loss"}
        self.grads: dict[int, str] = {}
        self.sections: dict[str, list[str]] = {"data": [], "forward": [], "backward": []}
        self.literals: dict[Any, ast.expr] = {}
        self.alive: list[Any] = []
        self.labels = name_values(self.order, scopes)
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
        constant = set(params)
        if op.variadic:
            (name,) = op.rules
            names[name], values[name] = exprs, tuple(value.arrays)
        else:
            names |= zip(op.rules, exprs, strict=True)
            values |= zip(op.rules, value.arrays, strict=True)
            inputs = zip(op.rules, value.inputs, strict=True)
            constant |= {k for k, a in inputs if not isinstance(a, Value) and values[k].ndim == 0}
        if i is not None:
            stand_in = np.broadcast_to(np.ones((), value._data.dtype), value._data.shape)
            names |= {"g": ast.Name(self.grads[id(value)]), "y": ast.Name(self.vars[id(value)])}
            values |= {"g": stand_in, "y": value._data}
        return Inliner(self.library, NAMES, names, values, frozenset(constant))

    def compute(self, value: Value) -> None:
        """The forward line of `value`."""
        op: Any = value.op
        inliner = self.inliner(value, None)
        text = op.forward_text
        if not text:
            inputs = [f"*{n}" if op.variadic else n for n in op.rules]
            settings = [f"{k}={k}" for k in inliner.names if k in op.defaults]
            text = f"{op.name}({', '.join([*inputs, *settings])})"
        self.line("forward", self.vars[id(value)], inliner.text(text), value._data.shape)

    def contribute(self, a: Application) -> None:
        """The backward line of one rule application."""
        op: Any = a.value.op
        text = self.inliner(a.value, a.i).text(rule_of(op, a.i))
        name, shape, dtype = self.grads[id(a.x)], a.x._data.shape, a.x._data.dtype
        if a.axes:
            text = f"np.sum({text}, axis={a.axes[0] if len(a.axes) == 1 else a.axes})"
            left = tuple(n for k, n in enumerate(a.raw_shape) if k not in a.axes)
            if left != shape:
                text = f"{text}.reshape({shape})"
        if a.raw.dtype != dtype:
            text = f"({text}).astype(np.{dtype})"
        if a.nth > 1:
            text = f"{name} + ({text})"
        # written anew, without brackets that are not needed
        self.line("backward", name, ast.unparse(ast.parse(text)), shape)

    def text(self) -> str:
        """The whole program."""
        for value in self.order:
            if value.hooks:
                raise GradientError(
                    "emit_numpy: a hook cannot be written as NumPy text",
                    f"it hangs on {where(value)}",
                    "take the hook out first: call what register_hook returned",
                )
            if value.op is None:
                self.declare(self.vars[id(value)], value._data)
        for value in self.order:
            if value.op is not None:
                self.compute(value)
        seed = np.ones(self.loss._data.shape, self.loss._data.dtype)
        self.line("backward", self.grads[id(self.loss)], array_text(seed), seed.shape)
        for application in walk(self.loss):
            self.contribute(application)
        data = "\n".join(self.sections["data"])
        helpers = [text for name, text in _HELPERS.items() if f"{name}(" in data]
        helpers += [f"def {name}{rest}" for rest, name in self.library.functions.items()]
        parts = [_HEAD, *(f"\n{text}\n" for text in helpers)]
        for title, lines in self.sections.items():
            parts += [f"\n# {title}", *lines]
        return "\n".join(parts) + "\n"
