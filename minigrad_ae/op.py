"""Ops: the law, the forward and one rule per input, in one block; and the registry of all of them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .errors import DtypeError, MinigradError, ShapeError
from .graph import Value, caller, grad_mode, where
from .rules import NAMES, compile_expression

REGISTRY: dict[str, Op] = {}
NUMBERS = (float, int)
NUMPY_ERRORS = (ValueError, IndexError, TypeError)


class Op:
    """A differentiable function: its law, its forward, one rule per input, and why the rules hold.

    On arrays it is its forward and returns an array; with a `Value` among its inputs it records.

    name, law, why   what the op is called, what it computes, why its rules hold
    forward          ``forward(*inputs, **params) -> array``
    forward_text     the expression of the forward, or None where it is a function
    rules            {input: expression}; None for an input without a gradient, such as a condition
    vjps             the compiled rules: ``vjps[i](g, y, *inputs, **params)``.  They are looked up at each
                     application, so a test can plant a fault.  A variadic op has one, which also takes ``i=``.
    kink             ``kink(*inputs, **params)``: per input a mask of the places where the op is not differentiable
    twin             place for a compiled kernel that does the same, faster
    """

    def __init__(self, name: str, law: str, forward: str | Callable[..., Any], rules: dict[str, str | None], params: str,
                 kink: str | None, why: str) -> None:  # fmt: skip
        self.name, self.law, self.why, self.rules = name, law, why, rules
        self.forward_text = forward if isinstance(forward, str) else None
        signature = ", ".join(filter(None, [*rules, params]))
        if isinstance(forward, str):
            forward = compile_expression(f"forward.{name}", signature, forward)
        self.forward = forward
        self.__signature__ = inspect.signature(forward)
        kinds = self.__signature__.parameters
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in kinds.values())
        self.defaults = {k: p.default for k, p in kinds.items() if k not in rules}
        self.arity = sys.maxsize if self.variadic else len(rules)
        self.passive = any(rule is None for rule in rules.values())
        self.signature_text = [str(p.replace(annotation=p.empty)) for p in kinds.values()]
        self.vjps = [self.compile(argument, rule) for argument, rule in rules.items()]
        self.kink = compile_expression(f"kink.{name}", ", ".join(self.signature_text), kink) if kink else None
        self.twin = None
        lines = [law, "", *(f"d{a}: {r}" for a, r in rules.items() if r), "", why]
        self.__name__, self.__doc__ = name, "\n".join(lines).strip()

    def compile(self, argument: str, rule: str | None) -> Any:
        """The function of a rule; `None` stays None."""
        if rule is None:
            return None
        variadic = ["i"] if self.variadic else []
        signature = ", ".join(["g", "y", self.signature_text[0], *variadic, *self.signature_text[1:]])
        return compile_expression(f"rule.{self.name}.{argument}", signature, rule)

    def argument(self, i: int) -> str:
        """The name of input number `i`: 'A', or 'xs[2]' for a variadic op."""
        names = list(self.rules)
        return f"{names[0]}[{i}]" if self.variadic else names[i]

    def __get__(self, instance: Any, owner: type) -> Any:
        """An op in a class body is a method: ``Tensor.exp = exp``."""
        return self if instance is None else _Bound(self, instance)

    def __repr__(self) -> str:
        return f"<op {self.name}: {self.law}>"

    def __call__(self, *args: Any, **params: Any) -> Any:
        for a in args:
            if isinstance(a, Value):
                return self.record(args, params)
        if len(args) < self.arity and not self.variadic:  # inputs given by name
            args = (*args, *(params.pop(k) for k in list(self.rules)[len(args) :] if k in params))
            if any(isinstance(a, Value) for a in args):
                return self.record(args, params)
        args = tuple(np.asarray(a) if type(a) in (list, tuple) and k < self.arity else a for k, a in enumerate(args))
        try:
            return self.forward(*args, **params)
        except NUMPY_ERRORS as error:
            raise _explain(self, args[: self.arity], error) from None

    def positional(self, args: tuple[Any, ...], params: dict[str, Any]) -> dict[str, Any]:
        """``sum(x, 0)`` means ``sum(x, axis=0)``."""
        given = args[self.arity :]
        if len(given) > len(self.defaults):
            raise DtypeError(
                f"{self.name}: too many arguments", f"got {len(args)}", f"the signature is {self.name}{self.__signature__}"
            )
        return {**dict(zip(self.defaults, given, strict=False)), **params}

    def record(self, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute, and remember how: the forward half of reverse-mode differentiation."""
        if len(args) > self.arity:
            params, args = self.positional(args, params), args[: self.arity]
        elif len(args) < self.arity and not self.variadic:
            args = (*args, *(params.pop(k) for k in list(self.rules)[len(args) :] if k in params))
        arrays = common_arrays(self, args)
        try:
            y = self.forward(*arrays, **params)
        except NUMPY_ERRORS as error:
            raise _explain(self, args, error) from None
        out: Any = Value.result_class.new(y if type(y) is np.ndarray else np.asarray(y))
        if grad_mode.enabled:
            edges = [(k, a) for k, a in enumerate(args) if isinstance(a, Value) and a.requires_grad]
            if edges and self.passive:
                edges = [(k, a) for k, a in edges if self.vjps[k] is not None]
            if edges:
                out.requires_grad = True
                out.op, out.inputs, out.arrays, out.params, out.edges = self, args, arrays, params, edges
                out.origin = caller()
        return out


class _Bound:
    """An op with its first input filled in: what ``x.tanh`` is."""

    __slots__ = ("instance", "op")

    def __init__(self, op: Op, instance: Any) -> None:
        self.op, self.instance = op, instance

    def __call__(self, *args: Any, **params: Any) -> Any:
        return self.op.record((self.instance, *args), params)


def op(name: str, law: str, *, forward: str | Callable[..., Any], params: str = "", why: str,
       kink: str | None = None, **rules: str | None) -> Op:  # fmt: skip
    """Register an op.  One block says everything there is to say about it; see `Op` for the parts."""
    REGISTRY[name] = NAMES[name] = Op(name, law, forward, rules, params, kink, why)
    return REGISTRY[name]


def common_arrays(op: Op, args: tuple[Any, ...]) -> list[Any]:
    """The arguments as arrays of one dtype.  Scalars are weak: they take the dtype of the values they meet."""
    if len(args) == 1 and isinstance(args[0], Value):
        return [args[0]._data]
    dtype: Any = None
    simple = not op.passive
    for a in args:
        if isinstance(a, Value):
            if dtype is None:
                dtype = a._data.dtype
            elif a._data.dtype is not dtype:
                simple = False
        elif not isinstance(a, NUMBERS):
            simple = False
    if simple:
        return [a._data if isinstance(a, Value) else np.array(a, dtype) for a in args]
    active = [True] * len(args) if op.variadic else [rule is not None for rule in op.rules.values()]
    arrays = [a._data if isinstance(a, Value) else np.asarray(a) for a in args]
    strong = [x.dtype for a, x, on in zip(args, arrays, active, strict=False) if on and (isinstance(a, Value) or x.ndim)]
    dtype = np.result_type(*strong) if strong else np.dtype(float)
    if dtype.kind not in "fc":
        dtype = np.dtype(float)
    return [x.astype(dtype, copy=False) if on else x for x, on in zip(arrays, active, strict=False)]


def _explain(op: Op, args: Sequence[Any], error: Exception) -> MinigradError:
    """NumPy's complaint about an op's arguments, with their shapes and where they came from."""

    if isinstance(error, MinigradError):
        return error

    def describe(i: int, a: Any) -> str:
        origin = f" from {where(a)}" if isinstance(a, Value) and (a.op or a.name) else ""
        return f"{op.argument(i)} {np.shape(a._data if isinstance(a, Value) else a)}{origin}"

    shapes = ", ".join(describe(i, a) for i, a in enumerate(args) if i < len(op.rules) or op.variadic)
    text = f"{op.name}: {str(error).splitlines()[0]}"
    if isinstance(error, TypeError):
        return DtypeError(text, shapes, f"the signature is {op.name}{op.__signature__}")
    return ShapeError(text, shapes, f"the law is {op.law}; {HINTS.get(op.name, 'check the shapes')}")


HINTS = {
    "matmul": "the last axis of A must be as long as the last but one of B (for vectors: the only one)",
    "reshape": "the new shape must have as many elements as the old one",
    "concatenate": "all shapes must agree except along axis",
    "getitem": "the index must lie inside the shape",
}
