"""Ops: the law, the forward and one rule per input, in one block; and the registry of all of
them.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from types import MethodType
from typing import Any

import numpy as np

from ..errors import DataError, DtypeError
from .graph import Value, grad_mode, watchers
from .messages import NUMPY_ERRORS, constant, explain
from .origin import caller
from .rules import NAMES, arrays_read, compile_expression

REGISTRY: dict[str, Op] = {}
FLOATS = (np.float64, np.float32, np.complex128, np.complex64)
FLOAT_CODES = "dfDF"  # the same as NumPy's one-letter codes
ARRAYS = {np.ndarray, *FLOATS}  # types that carry a dtype; NumPy makes a number of what has no axes


@dataclass(frozen=True)
class Notes:
    """What messages and the inspector say of an op, beside its law and its rules; all optional.

    Parameters
    ----------
    symbol : str
        In the picture of a graph: '+' for add.
    written : str
        In a listing, by the names of inputs and settings: '{x}[{index}]'.
    hint : str
        What to do about shapes that do not fit.
    remedy : str
        What to do about a result or a slope that is not finite.
    edges : tuple of float
        Arguments at which the slope is infinite.
    overflows : bool
        Whether its slope is finite, so that a gradient which is not has grown too large.
    insensitive : bool
        Whether some gradients (of a shift, a stretch) cancel inside its rule.
    not_finite : callable, optional
        (op, x, y, arrays) -> why a result is not finite; x and y are the numbers at one element.
    steep : callable, optional
        (op, x, y) -> why the slope is not finite there; '' if it is.
    lost : callable, optional
        (case) -> why next to nothing came through; `ops.notes.Case` says of what.
    enlarges : callable, optional
        (op, arrays) -> why its rule sent more than it got.
    withholds : callable, optional
        (op, arrays, i, place) -> why its rule for input i sends 0 there; '' if it does not.

    Examples
    --------
    >>> mg.ops.REGISTRY["matmul"].notes.symbol
    '@'
    """

    symbol: str = ""
    written: str = ""
    hint: str = "check the shapes"
    remedy: str = ""
    edges: tuple[float, ...] = ()
    overflows: bool = False
    insensitive: bool = False
    not_finite: Callable[[Op, float, float, Any], str] | None = None
    steep: Callable[[Op, float | None, float | None], str] | None = None
    lost: Callable[[Any], str] | None = None
    enlarges: Callable[[Op, Any], str] | None = None
    withholds: Callable[[Op, Any, int, Any], str] | None = None


class Op:
    """A differentiable function: its law, its forward, one rule per input, and why the rules hold.

    On arrays it is its forward and returns an array; with a `Value` among its inputs it records.
    Made by `op`, which registers it.

    Parameters
    ----------
    name : str
        What it is called.
    law : str
        What it computes: "y = tanh x".
    forward : str or callable
        An expression in the inputs and settings, or a function of them.
    rules : dict of str to (str or None)
        {input: expression in g = dL/dy, y, inputs and settings}; None for an input without a
        gradient, such as a condition.
    params : str
        The settings, as in a signature: "axis=None, keepdims=False".
    kink : str or None
        An expression: per input a mask of the places where the op is not differentiable.
    why : str
        Why the rules hold.
    notes : Notes or None
        What messages and the inspector say of it.
    public : bool
        Whether it is a function of ``mg``, and takes part in NumPy's: ``np.tanh(t)``.

    Attributes
    ----------
    forward_text : str or None
        The expression of the forward; None where it is a function.
    vjps : list of callable
        The compiled rules: ``vjps[i](g, y, *inputs, **params)``. They are looked up at each
        application, so a test can plant a fault. A variadic op has one, which also takes ``i=``.
    method : bool
        Whether it is a method of `Tensor`: it is public, and a tensor comes first.
    twin : object or None
        Place for a compiled kernel that does the same, faster.

    Examples
    --------
    >>> mg.tanh.law, mg.tanh.rules
    ('y = tanh x', {'x': 'g * (1 - y * y)'})
    """

    def __init__(
        self,
        name: str,
        law: str,
        forward: str | Callable[..., Any],
        rules: dict[str, str | None],
        params: str,
        kink: str | None,
        why: str,
        notes: Notes | None,
        public: bool,
    ) -> None:
        self.name, self.law, self.why, self.rules = name, law, why, rules
        self.notes, self.public = notes or Notes(), public
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
        # a tensor comes first
        self.method = public and not self.variadic and next(iter(rules.values())) is not None
        self.active = (
            repeat(True) if self.variadic else [rule is not None for rule in rules.values()]
        )
        self.signature_text = [str(p.replace(annotation=p.empty)) for p in kinds.values()]
        self.vjps = [self.compile(argument, rule) for argument, rule in rules.items()]
        self.kink = (
            compile_expression(f"kink.{name}", ", ".join(self.signature_text), kink)
            if kink
            else None
        )
        self.twin: Any = None
        self.__name__, self.__doc__ = name, documented(self, kink)

    def compile(self, argument: str, rule: str | None) -> Any:
        """The function of a rule.

        Parameters
        ----------
        argument : str
            The input that it is for.
        rule : str or None
            Its expression.

        Returns
        -------
        callable or None
            ``f(g, y, *inputs, **params)``; None of None.
        """
        if rule is None:
            return None
        variadic = ["i"] if self.variadic else []
        signature = ", ".join(
            ["g", "y", self.signature_text[0], *variadic, *self.signature_text[1:]]
        )
        return compile_expression(f"rule.{self.name}.{argument}", signature, rule)

    def argument(self, i: int) -> str:
        """The name of input number `i`.

        Parameters
        ----------
        i : int
            Counted from 0.

        Returns
        -------
        str
            'A'; or 'xs[2]' for a variadic op.
        """
        names = list(self.rules)
        return f"{names[0]}[{i}]" if self.variadic else names[i]

    def reads(self, i: int, n: int) -> set[int]:
        """Which inputs a rule reads element by element.

        Parameters
        ----------
        i : int
            The input that the rule is for.
        n : int
            How many inputs there are.

        Returns
        -------
        set of int
            Their numbers; -1 stands for y.
        """
        names, rule = (
            list(self.rules),
            self.rules[next(iter(self.rules))] if self.variadic else list(self.rules.values())[i],
        )
        read = arrays_read(rule or "0")
        found = {-1} if "y" in read else set[int]()
        if not self.variadic:
            return found | {
                k
                for k, name in enumerate(names)
                if name in read or any(r.startswith(f"{name}[") for r in read)
            }
        for text in read:
            if text == names[0] or text.startswith(f"{names[0]}["):
                part = eval(text, {names[0]: tuple(range(n)), "i": i})
                found |= set(part if isinstance(part, tuple) else (part,))
        return found

    def __get__(self, instance: Any, owner: type) -> Any:
        """An op in a class body is a method: ``Tensor.exp = exp``."""
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> Any:
        """Copied and pickled by name: there is one op of a name, also in another process."""
        return registered, (self.name,)

    def __repr__(self) -> str:
        return f"<op {self.name}: {self.law}>"

    def __call__(self, *args: Any, **params: Any) -> Any:
        for a in args:
            if isinstance(a, Value):
                return self.record(args, params)
        x = args[0] if args else None
        if self.arity != 1 or type(x) is not np.ndarray or x.dtype.char not in FLOAT_CODES:
            args, params = self.settle(args, params)
            if any(isinstance(a, Value) for a in args):  # given by name
                return self.record(args, params)
        try:
            return self.forward(*args, **params)
        except NUMPY_ERRORS as error:
            raise explain(self, args, error) from None

    def settle(
        self, args: tuple[Any, ...], params: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The inputs of a call without a tensor, ready for the forward: floats of one dtype.

        Arrays of one dtype and Python's numbers beside them stay as they are; whole numbers,
        booleans, lists, several dtypes, and inputs given by name are looked at one by one.

        Parameters
        ----------
        args : tuple
            What was given by position.
        params : dict
            What was given by name.

        Returns
        -------
        (tuple, dict)
            Inputs and settings.
        """
        dtype, ready = None, len(args) >= len(self.rules)
        for a, active in zip(args, self.active, strict=False):
            kind = type(a)
            if kind in ARRAYS and a.dtype.char in FLOAT_CODES:
                ready = ready and (dtype is None or dtype == a.dtype)
                dtype = a.dtype
            elif kind is not float and kind is not int and (active or kind is not np.ndarray):
                ready = False
        if ready and dtype is not None:
            return args, params
        args, params = self.arrange(args, params)
        if any(isinstance(a, Value) for a in args):
            return args, params
        return tuple(promoted(self, args)), params

    def arrange(
        self, args: tuple[Any, ...], params: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Inputs given by name, and settings given by position, each in its place.

        ``sum(x, 0)`` means ``sum(x, axis=0)``.

        Parameters
        ----------
        args : tuple
            What was given by position.
        params : dict
            What was given by name.

        Returns
        -------
        (tuple, dict)
            Inputs and settings.

        Raises
        ------
        DtypeError
            If there are more arguments than the op takes.
        """
        if self.variadic:
            return args, params
        settings = args[self.arity :]
        if len(settings) > len(self.defaults):
            signature = f"the signature is {self.name}{self.__signature__}"
            raise DtypeError(f"{self.name}: too many arguments", f"got {len(args)}", signature)
        named = [k for k in list(self.rules)[len(args) :] if k in params]
        rest = {k: v for k, v in params.items() if k not in named}
        return (*args[: self.arity], *(params[k] for k in named)), {
            **dict(zip(self.defaults, settings, strict=False)),
            **rest,
        }

    def record(self, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Compute, and remember how: the forward half of reverse-mode differentiation.

        Parameters
        ----------
        args : tuple
            Inputs by position, at least one of them a `Value`.
        params : dict
            Settings by name.

        Returns
        -------
        Value
            The result, with its history where a gradient is required.

        Raises
        ------
        ShapeError, RangeError, DtypeError
            NumPy's complaint about the arguments, with their shapes and where they came from.
        """
        if len(args) != self.arity:
            args, params = self.arrange(args, params)
        saved = None
        try:
            arrays, edges = self.collect(args)
            computed = None if self.twin is None else self.twin.compute(arrays, params)
            if computed is not None:
                y, saved = computed
            else:
                y = self.forward(*arrays, **params) if params else self.forward(*arrays)
        except NUMPY_ERRORS as error:
            raise explain(self, args, error) from None
        if type(y) is not np.ndarray:  # NumPy makes a number of what has no axes
            y = np.asarray(y)
        if edges and grad_mode.enabled:
            result = Value.result_class.computed(
                y, self, args, arrays, params, edges, caller(), saved
            )
        else:
            result = Value.result_class.new(y)
            if not grad_mode.enabled:
                result.params = {"by": "no_grad", "op": self.name, "borrowed": y.base is not None}
                result.origin = grad_mode.origin
            elif y.base is not None:  # it may look into what a graph computed and was detached from
                result.params = {"by": "constants", "borrowed": True}
        for watcher in watchers:
            watcher.computed(result, self, args, arrays, params)
        return result

    def collect(self, args: tuple[Any, ...]) -> tuple[Sequence[Any], Sequence[tuple[int, Value]]]:
        """The inputs as arrays of one dtype; and those that a gradient flows to.

        Short cuts for one or two inputs and for values and arrays of one dtype; `promoted` is the
        general case. A dtype is one object, except in an unpickled array: ``is`` answers fast,
        ``==`` answers right.

        Parameters
        ----------
        args : tuple
            Inputs by position, at least one of them a `Value`.

        Returns
        -------
        (sequence of ndarray, sequence of (int, Value))
            All inputs; and those with a gradient, with their numbers.
        """
        a, b = args[0], args[-1]
        if len(args) == 1:
            return (a._data,), ((0, a),) if a.requires_grad else ()
        if len(args) == 2 and isinstance(a, Value) and not self.passive:
            x, edge = a._data, ((0, a),) if a.requires_grad else ()
            if type(b) is float or type(b) is int:
                return (x, np.array(b, x.dtype)), edge
            if isinstance(b, Value) and (b._data.dtype is x.dtype or b._data.dtype == x.dtype):
                return (x, b._data), (*edge, (1, b)) if b.requires_grad else edge
        elif (
            (type(a) is float or type(a) is int)
            and len(args) == 2
            and isinstance(b, Value)
            and not self.passive
        ):
            return (np.array(a, b._data.dtype), b._data), ((1, b),) if b.requires_grad else ()
        arrays: list[Any] = []
        edges, plain = [], not self.passive
        # one loop: asked at every op, and twice as fast as three comprehensions
        for k, each in enumerate(args):
            x = each._data if isinstance(each, Value) else each
            arrays.append(x)
            if x is not each and each.requires_grad and (self.variadic or self.vjps[k] is not None):
                edges.append((k, each))
            plain = (
                plain
                and type(x) is np.ndarray
                and (x.dtype is arrays[0].dtype or x.dtype == arrays[0].dtype)
            )
        if plain:
            return arrays, edges
        # whoever follows an array has kept what was given; ops compute with plain ones
        cast = promoted(self, args)
        return [np.asarray(x) if isinstance(x, np.ndarray) else x for x in cast], edges


def op(
    name: str,
    law: str,
    *,
    forward: str | Callable[..., Any],
    params: str = "",
    why: str,
    kink: str | None = None,
    notes: Notes | None = None,
    public: bool = True,
    **rules: str | None,
) -> Op:
    """Register an op: one block says everything there is to say about it.

    Parameters
    ----------
    name : str
        What it is called.
    law : str
        What it computes: "y = tanh x".
    forward : str or callable
        An expression in the inputs and settings, or a function of them.
    params : str
        The settings, as in a signature: "axis=None, keepdims=False".
    why : str
        Why the rules hold.
    kink : str, optional
        An expression: per input a mask of the places where the op is not differentiable.
    notes : Notes, optional
        What messages and the inspector say of it.
    public : bool
        Whether it is a function of ``mg``, and a method of `Tensor` if a tensor comes first.
    **rules : str or None
        {input: expression in g = dL/dy, y, inputs and settings}; None for an input without a
        gradient, such as a condition.

    Returns
    -------
    Op
        The op, which is in `REGISTRY` now.

    Examples
    --------
    A registered op is a law with its rules (CONTRIBUTING.md adds one, step by step):

    >>> mg.ops.REGISTRY["mul"].rules
    {'a': 'g * b', 'b': 'g * a'}
    """
    REGISTRY[name] = NAMES[name] = Op(name, law, forward, rules, params, kink, why, notes, public)
    return REGISTRY[name]


def documented(op: Op, kink: str | None) -> str:
    """The docstring of an op, in NumPy's format, from what its block says."""
    inputs = [_parameter(name, rule) for name, rule in op.rules.items()]
    settings = [_setting(name, default) for name, default in op.defaults.items()]
    rules = [f"    dL/d{name} = {rule}" for name, rule in op.rules.items() if rule]
    kinks = f"\n\nNot differentiable at the elements where, per input: ``{kink}``." if kink else ""
    return "\n".join(
        [
            f"{op.law}.",
            "\nParameters\n----------",
            *inputs,
            *settings,
            "\nReturns\n-------",
            "Tensor or ndarray",
            "    y; an array where no input is a tensor.",
            "\nNotes\n-----",
            f"The rules, where g = dL/dy is what comes in:\n\n{chr(10).join(rules)}",
            f"\nWhy: {op.why}.{kinks}",
        ]
    )


def _parameter(name: str, rule: str | None) -> str:
    what = "An input, with a gradient." if rule else "An input to which no gradient flows."
    return f"{name} : Tensor or array_like\n    {what}"


def _setting(name: str, default: Any) -> str:
    given = "must be given" if default is inspect.Parameter.empty else f"default {default!r}"
    return f"{name} : {given}\n    A setting, not differentiated."


def registered(name: str) -> Op:
    """The op of this name, for `pickle` and `copy`.  Raises DataError where it is not
    registered.
    """
    if name not in REGISTRY:
        raise DataError(
            f"no op is called {name!r}",
            "a pickle holds its name only",
            "import the module that makes it first",
        )
    return REGISTRY[name]


def promoted(op: Op, args: tuple[Any, ...]) -> list[Any]:
    """The inputs as arrays of one dtype, those without a gradient (conditions) as they are; what
    follows them unchanged.

    Arrays and values promote as in NumPy; what is 0-d and no value is weak.  Whole numbers,
    booleans and floats of other sizes become float64.  Complex numbers are for complex steps:
    beside values they need a value that is complex.
    """
    values = [a for a in args if isinstance(a, Value)]
    kinds = "biufc" if not values or any(a._data.dtype.kind == "c" for a in values) else "biuf"
    inputs = list(zip(range(len(args)), args, op.active, strict=False))
    arrays = []
    for k, a, on in inputs:
        if isinstance(a, Value):
            arrays.append(a._data)
        else:
            arrays.append(constant(f"{op.name}: {op.argument(k)}", a, kinds if on else ""))
    given = [(a, x) for (_, a, on), x in zip(inputs, arrays, strict=True) if on]
    strong = [x.dtype for a, x in given if isinstance(a, Value) or x.ndim]
    strong = strong or [x.dtype for a, x in given if isinstance(a, np.ndarray | np.generic)]
    dtype = np.result_type(*strong) if strong else np.dtype(float)
    if dtype not in FLOATS:
        dtype = np.dtype(float)
    cast = [
        x.astype(dtype, copy=False) if on else x
        for (_, _, on), x in zip(inputs, arrays, strict=True)
    ]
    return [*cast, *args[len(cast) :]]
