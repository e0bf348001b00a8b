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


class Op:
    """A differentiable function: its law, its forward, one rule per input, and why the rules hold.

    On arrays it is its forward and returns an array; with a `Value` among its inputs it records.

    name, law, why   what the op is called, what it computes, why its rules hold
    forward          ``forward(*inputs, **params) -> array``
    forward_text     the expression of the forward, or None where it is a function
    rules            {input: expression}; None for an input without a gradient, such as a condition
    vjps             the compiled rules: ``vjps[i](g, y, *inputs, **params)``.  They are looked up at each
                     application, so a test can plant a fault.  A variadic op has one, which also takes ``i=``.
    kink             ``kink(*inputs, **params) -> mask`` per input (a tuple): where it is not differentiable
    twin             place for a compiled kernel that does the same, faster
    """

    def __init__(self, name: str, law: str, forward: str | Callable[..., Any], rules: dict[str, str | None], params: str,
                 kink: str | Callable[..., Any] | None, why: str) -> None:  # fmt: skip
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
        self.vjps = [self.compile(argument, rule) for argument, rule in rules.items()]
        self.kink = compile_expression(f"kink.{name}", signature, kink) if isinstance(kink, str) else kink
        self.twin = None
        lines = [law, "", *(f"d{a}: {r}" for a, r in rules.items() if r), "", why]
        self.__name__, self.__doc__ = name, "\n".join(lines).strip()

    def compile(self, argument: str, rule: str | None) -> Any:
        """The function of a rule; `None` stays None."""
        if rule is None:
            return None
        parts = [str(p) for p in self.__signature__.replace(return_annotation=inspect.Signature.empty).parameters.values()]
        if self.variadic:
            parts.insert(1, "i")
        return compile_expression(f"rule.{self.name}.{argument}", ", ".join(["g", "y", *parts]), rule)

    def vjp(self, i: int) -> Any:
        """The rule of input number `i`, as ``f(g, y, *inputs, **params)``; None if the input has none."""
        if not self.variadic:
            return self.vjps[i]
        return lambda g, y, *inputs, **params: self.vjps[0](g, y, *inputs, i=i, **params)

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
        return self.compute(args, params, args)

    def compute(self, arrays: Sequence[Any], params: dict[str, Any], args: Sequence[Any]) -> Any:
        """The forward; what NumPy says about shapes becomes a three-line error."""
        try:
            return self.forward(*arrays, **params)
        except MinigradError:
            raise
        except (ValueError, IndexError, TypeError) as error:
            raise _explain(self, args[: self.arity], error) from None

    def record(self, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute, and remember how: the forward half of reverse-mode differentiation."""
        if len(args) > self.arity:
            params = {**dict(zip(self.defaults, args[self.arity :], strict=False)), **params}
            args = args[: self.arity]
        elif len(args) < self.arity and not self.variadic:
            args = (*args, *(params.pop(k) for k in list(self.rules)[len(args) :] if k in params))
        arrays = common_arrays(self, args)
        y = self.compute(arrays, params, args)
        out: Any = Value.result_class.new(y if type(y) is np.ndarray else np.asarray(y))
        if grad_mode.enabled:
            for k, a in enumerate(args):
                if isinstance(a, Value) and a.requires_grad and (not self.passive or self.vjps[k] is not None):
                    out.requires_grad = True
                    out.op, out.inputs, out.arrays, out.params, out.origin = self, args, arrays, params, caller()
                    break
        return out


class _Bound:
    """An op with its first input filled in: what ``x.tanh`` is."""

    __slots__ = ("instance", "op")

    def __init__(self, op: Op, instance: Any) -> None:
        self.op, self.instance = op, instance

    def __call__(self, *args: Any, **params: Any) -> Any:
        return self.op.record((self.instance, *args), params)


def op(name: str, law: str, *, forward: str | Callable[..., Any], params: str = "", why: str,
       kink: str | Callable[..., Any] | None = None, **rules: str | None) -> Op:  # fmt: skip
    """Register an op.  One block says everything there is to say about it; see `Op` for the parts."""
    REGISTRY[name] = NAMES[name] = Op(name, law, forward, rules, params, kink, why)
    return REGISTRY[name]


def common_arrays(op: Op, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments as arrays of one dtype.  Scalars are weak: they take the dtype of the values they meet."""
    dtype = None
    for a in args:
        if not isinstance(a, Value) or (dtype is not None and a._data.dtype is not dtype):
            break
        dtype = a._data.dtype
    else:
        if not op.passive:
            return tuple([a._data for a in args])
    active = [True] * len(args) if op.variadic else [rule is not None for rule in op.rules.values()]
    arrays = [a._data if isinstance(a, Value) else np.asarray(a) for a in args]
    strong = [x.dtype for a, x, on in zip(args, arrays, active, strict=False) if on and (isinstance(a, Value) or x.ndim)]
    dtype = np.result_type(*strong) if strong else np.dtype(float)
    if dtype.kind not in "fc":
        dtype = np.dtype(float)
    return tuple([x.astype(dtype, copy=False) if on else x for x, on in zip(arrays, active, strict=False)])


def _explain(op: Op, args: Sequence[Any], error: Exception) -> MinigradError:
    """NumPy's complaint about an op's arguments, with their shapes and where they came from."""

    def describe(i: int, a: Any) -> str:
        origin = f" from {where(a)}" if isinstance(a, Value) and (a.op or a.name) else ""
        return f"{op.argument(i)} {np.shape(a._data if isinstance(a, Value) else a)}{origin}"

    kind = DtypeError if isinstance(error, TypeError) else ShapeError
    shapes = ", ".join(describe(i, a) for i, a in enumerate(args) if i < len(op.rules) or op.variadic)
    return kind(f"{op.name}: {str(error).splitlines()[0]}", shapes, f"the law is {op.law}; {HINTS.get(op.name, 'check the shapes')}")


HINTS = {
    "matmul": "the last axis of A must be as long as the last but one of B (for vectors: the only one)",
    "reshape": "the new shape must have as many elements as the old one",
    "concatenate": "all shapes must agree except along axis",
    "getitem": "the index must lie inside the shape",
}