"""An expression of NumPy as calls that fill arrays: the same numbers, and no memory asked for.

``g * (1 - y * y)`` becomes three calls, ``np.multiply(y, y, a)``, ``np.subtract(1, a, b)`` and
``np.multiply(g, b, out)``, with a, b and out made once.  What only looks at an array in another way
(a slice, a transpose, a reshape) is done here and now and is no call at all: the arrays stay where
they are.  A function without a place for its result is called as it is, and what it returns is
copied.  The calls are made while they are written down, so that every result is there to be
compared.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..autodiff.rules import quiet
from ..kernels.calls import Calls, Empty, choose
from .memory import laid_out_as

# Python's signs by the names of their syntax nodes, and NumPy's functions
OPERATORS = """Add add, Sub subtract, Mult multiply, Div divide, Pow power, Mod remainder,
MatMult matmul, BitAnd bitwise_and, BitOr bitwise_or, USub negative, Invert invert, Lt less,
LtE less_equal, Gt greater, GtE greater_equal, Eq equal, NotEq not_equal"""
FUNCTIONS = {sign: getattr(np, name) for sign, name in map(str.split, OPERATORS.split(","))}
REDUCTIONS = {np.sum: np.add.reduce, np.prod: np.multiply.reduce}
REDUCTIONS |= {np.max: np.maximum.reduce, np.min: np.minimum.reduce}
_matmul = quiet(np.matmul)


class Lowering:
    """Takes expressions apart.

    names  what their names stand for: arrays in their places, functions, settings
    empty  ``empty(shape, dtype)``: memory for what is in between
    calls  what has to be done again, with other numbers in the arrays
    """

    def __init__(self, names: Mapping[str, Any], empty: Empty) -> None:
        self.names, self.empty = names, empty
        self.calls: Calls = []

    def array(self, text: str, lasting: Empty) -> np.ndarray:
        """The value of an expression, as an array: made by ``lasting``, or a view of another."""
        found = self.value(ast.parse(text, mode="eval").body, lasting)
        return found if isinstance(found, np.ndarray) else np.asarray(found)

    def value(self, node: ast.expr, empty: Empty | None = None) -> Any:
        """The value of a node: an array in its place, or a number, tuple, dtype."""
        empty = empty or self.empty
        if not (self.reads_arrays(node) or any(isinstance(n, ast.Slice) for n in ast.walk(node))):
            return eval(ast.unparse(node), dict(self.names))
        match node:
            case ast.Name():
                return self.names[node.id]
            case ast.BinOp():
                return self.apply(meaning(node.op), [node.left, node.right], {}, empty)
            case ast.UnaryOp():
                return self.apply(meaning(node.op), [node.operand], {}, empty)
            case ast.Compare(ops=[comparison], comparators=[right]):
                return self.apply(meaning(comparison), [node.left, right], {}, empty)
            case ast.Subscript():
                return self.apply(operator.getitem, [node.value, node.slice], {}, empty)
            case ast.Slice():
                return slice(*(n and self.value(n) for n in (node.lower, node.upper, node.step)))
            case ast.Attribute():
                return getattr(self.value(node.value), node.attr)
            case ast.Tuple() | ast.List():
                return tuple(self.value(each) for each in node.elts)
            case ast.Call():
                return self.call(node, empty)
        raise NotImplementedError(ast.unparse(node))

    def call(self, node: ast.Call, empty: Empty) -> Any:
        """A function or a method of an array."""
        keywords = {str(k.arg): k.value for k in node.keywords}
        if isinstance(node.func, ast.Attribute) and self.reads_arrays(node.func.value):
            method = getattr(np.ndarray, node.func.attr)
            return self.apply(method, [node.func.value, *node.args], keywords, empty)
        function = eval(ast.unparse(node.func), dict(self.names))
        return self.apply(function, node.args, keywords, empty)

    def reads_arrays(self, node: ast.expr) -> bool:
        """Whether numbers of an array go in."""
        names = (n for n in ast.walk(node) if isinstance(n, ast.Name))
        return any(isinstance(self.names.get(n.id), np.ndarray) for n in names)

    def apply(
        self, function: Any, nodes: list[ast.expr], keywords: Mapping[str, ast.expr], empty: Empty
    ) -> Any:
        """The function of these arguments, now and whenever the calls are made."""
        args = [self.value(n) for n in nodes]
        named = {k: self.value(n) for k, n in keywords.items()}
        function = _matmul if function is np.matmul else function
        result = function(*args, **named)
        if not isinstance(result, np.ndarray | np.generic):
            return result  # a shape, a number of axes
        arrays = [a for a in args if isinstance(a, np.ndarray)]
        if isinstance(result, np.ndarray) and any(np.may_share_memory(result, a) for a in arrays):
            return result  # another way to look at what is there
        out = laid_out_as(result, empty)
        out[...] = result
        self.calls.append(filling(function, args, named, out))
        return out


def meaning(sign: ast.AST) -> Callable[..., Any]:
    """NumPy's function for a sign."""
    return FUNCTIONS[type(sign).__name__]  # type: ignore[no-any-return]


def filling(
    function: Any, args: list[Any], named: Mapping[str, Any], out: np.ndarray
) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A call that writes ``function(*args, **named)`` to `out`."""
    if not named and function in (np.maximum, np.minimum):  # NumPy wants out by its name there
        return partial(function, out=out), tuple(args)
    if not named and (isinstance(function, np.ufunc) or function is _matmul):
        return function, (*in_dtype(args, out.dtype), out)
    if function is np.where and len(args) == 3:
        return choose, (*args, out)
    if function in REDUCTIONS and len(args) == 1 and named.keys() <= {"axis", "keepdims"}:
        settings = named.get("axis"), None, out, named.get("keepdims", False)
        return REDUCTIONS[function], (args[0], *settings)
    return refill, (out, function, tuple(args), dict(named))


def in_dtype(args: list[Any], dtype: Any) -> list[Any]:
    """Python's numbers beside arrays of this dtype as arrays of it, which NumPy takes faster."""
    if any(isinstance(a, np.ndarray) and a.dtype != dtype for a in args) or dtype.kind != "f":
        return args
    return [np.array(a, dtype) if type(a) in (int, float) else a for a in args]


def refill(out: np.ndarray, function: Any, args: tuple[Any, ...], named: dict[str, Any]) -> None:
    """``out = function(*args, **named)``, of a function that has no place for its result."""
    out[...] = function(*args, **named)
