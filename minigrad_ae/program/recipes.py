"""What the emitter knows of functions: how to read one, where to put it, and how to say a call in
fewer words.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..autodiff.operation import Op
from ..autodiff.rules import NAMES
from ..errors import GradientError

SMALL = 15  # syntax nodes; a longer helper is not written out in place


class Library:
    """The functions at the top of a program, what its variables' shapes are, and how it writes an
    array constant.
    """

    def __init__(self, constant: Callable[[np.ndarray], ast.expr]) -> None:
        self.sources: dict[str, str] = {}
        self.taken: set[str] = set()
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.constant = constant
        self._names: dict[str, str] = {}

    def add(self, name: str, signature: str, body: Sequence[ast.stmt], comment: str) -> str:
        """The name under which the function is to be called; a function that is already there is
        not written again.
        """
        text = textwrap.indent(
            "\n".join(ast.unparse(ast.fix_missing_locations(s)) for s in body), "    "
        )
        key = f"({signature}):  # {comment}\n{text}"
        if key not in self._names:
            choice = name
            while choice in self.taken:
                choice += "_"
            self.taken.add(choice)
            self._names[key] = choice
            self.sources[choice] = f"def {choice}{key}"
        return self._names[key]


def recipe(
    function: Any,
) -> tuple[str, inspect.Signature, Mapping[str, Any], list[str], list[ast.stmt], str]:
    """(name, signature, globals, names it assigns, statements, comment) of an op or helper."""
    if isinstance(function, Op) and function.forward_text:
        body: list[ast.stmt] = [ast.Return(ast.parse(function.forward_text, mode="eval").body)]
        return function.name, function.__signature__, NAMES, [], body, function.law
    plain = inspect.unwrap(function.forward if isinstance(function, Op) else function)
    try:
        tree: Any = ast.parse(textwrap.dedent(inspect.getsource(plain))).body[0]
    except (OSError, TypeError, SyntaxError):
        tree = None
    if not isinstance(tree, ast.FunctionDef):
        raise GradientError(
            f"emit_numpy: the source of {getattr(function, 'name', function)!r} cannot be read",
            f"it is {plain!r}",
            "write the forward as an expression, or as a def in a file",
        )
    stored = sorted(
        {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    )
    comment = (
        function.law if isinstance(function, Op) else (ast.get_docstring(tree) or "").split("\n")[0]
    )
    name = function.name if isinstance(function, Op) else tree.name
    return name, inspect.signature(plain), plain.__globals__, stored, tree.body, comment or name


def may_stand_here(function: Any, body: ast.expr, stands: Mapping[str, Any]) -> bool:
    """Short enough, and no computation would be written twice."""
    nodes = [
        n
        for n in ast.walk(body)
        if not isinstance(n, ast.expr_context | ast.operator | ast.unaryop)
    ]
    if len(nodes) > SMALL and not (isinstance(function, Op) and function.forward_text):
        return False
    uses = [n.id for n in nodes if isinstance(n, ast.Name)]
    return all(
        uses.count(k) < 2 or isinstance(v, ast.Name | ast.Constant | list)
        for k, v in stands.items()
    )


def is_default(signature: inspect.Signature, key: str, value: ast.expr) -> bool:
    p = signature.parameters.get(key)
    return (
        p is not None
        and isinstance(value, ast.Constant)
        and p.default is not p.empty
        and value.value is p.default
    )


def is_numpy(function: Any) -> bool:
    return str(getattr(function, "__module__", None) or "numpy").split(".")[0] in (
        "numpy",
        "builtins",
    )


def as_slice(node: ast.expr) -> ast.expr:
    """``slice(1, 3)`` between brackets is ``1:3``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "slice":
        ends = [None if isinstance(a, ast.Constant) and a.value is None else a for a in node.args]
        return ast.Slice(*ends)
    return node


def tidy(call: ast.Call, shapes: Mapping[str, tuple[int, ...]]) -> ast.expr:
    """Leave out what says nothing: ``axis=None``, a reshape to the same shape, ``swapaxes`` of a
    matrix (``.T``).
    """
    name = ast.unparse(call.func)
    if name.startswith("np."):
        call.keywords = [
            k for k in call.keywords if ast.unparse(k) not in ("axis=None", "keepdims=False")
        ]
    args = [ast.unparse(a) for a in call.args]
    if name == "np.transpose" and args[1:] in ([], ["None"]):
        return ast.Attribute(call.args[0], "T", ast.Load())
    if (
        name.endswith(".swapaxes")
        and args in (["-1", "-2"], ["-2", "-1"])
        and isinstance(call.func, ast.Attribute)
    ):
        x = call.func.value
        if isinstance(x, ast.Name) and len(shapes.get(x.id, ())) == 2:
            return ast.Attribute(x, "T", ast.Load())
        return ast.Call(ast.Name("np.swapaxes"), [x, *call.args], [])
    if (
        name in ("np.reshape", "np.broadcast_to")
        and args[0] in shapes
        and args[1] == str(shapes[args[0]])
    ):
        return call.args[0]
    if (
        name == "np.broadcast_to"
        and isinstance(call.args[0], ast.Call)
        and args[0].startswith("np.reshape(")
    ):
        inner, shape = (ast.unparse(a) for a in call.args[0].args)
        # broadcasting does it too
        if inner in shapes and any(shape == str((1,) * k + shapes[inner]) for k in range(1, 9)):
            call.args[0] = call.args[0].args[0]
    return call
