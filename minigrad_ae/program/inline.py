"""From the expression of an op to plain NumPy text: names put in, calls to other ops written out,
settings folded.

This is partial evaluation of the very expressions that the engine runs.  What is known when the
program is written (shapes, settings, constants) becomes a number; what the engine allows for and
the program never meets (tensors, complex numbers) goes; a call to another op becomes its NumPy
text, or a function at the top of the program.
"""

from __future__ import annotations

import ast
import copy
import inspect
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from ..autodiff.graph import Value
from ..autodiff.operation import Op
from ..autodiff.rules import NAMES
from ..errors import GradientError
from ..inspect.record.names import Taken
from .literals import setting

_SHAPE = ("shape", "dtype", "ndim", "size")
_LITERALS = (int, float, str, bool, tuple, type(None))
SMALL = 15  # syntax nodes; a longer helper is not written out in place


@dataclass
class Library:
    """The functions at the top of a program, what its variables' shapes are, and how it writes an
    array constant.
    """

    constant: Callable[[np.ndarray], ast.expr]
    taken: Taken = field(default_factory=Taken)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)  # {all that follows the name: the name}

    def add(self, name: str, signature: str, body: Sequence[ast.stmt], comment: str) -> str:
        """The name under which the function is to be called; a function that is already there is
        not written again.
        """
        lines = (ast.unparse(ast.fix_missing_locations(statement)) for statement in body)
        text = textwrap.indent("\n".join(lines), "    ")
        key = f"({signature}):  # {comment}\n{text}"
        if key not in self.functions:
            while name in self.taken:
                name += "_"
            self.taken.add(name)
            self.functions[key] = name
        return self.functions[key]


@lru_cache(maxsize=256)
def _definition(function: Any) -> Any:
    """The syntax tree of a function, which nobody changes; None where there is no source."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError):
        return None


def recipe(
    function: Any,
) -> tuple[str, inspect.Signature, Mapping[str, Any], list[str], list[ast.stmt], str]:
    """(name, signature, globals, names it assigns, statements, comment) of an op or helper."""
    if isinstance(function, Op) and function.forward_text:
        body: list[ast.stmt] = [ast.Return(ast.parse(function.forward_text, mode="eval").body)]
        return function.name, function.__signature__, NAMES, [], body, function.law
    plain = inspect.unwrap(function.forward if isinstance(function, Op) else function)
    tree = _definition(plain)
    if not isinstance(tree, ast.FunctionDef):
        raise GradientError(
            f"emit_numpy: the source of {getattr(function, 'name', function)!r} cannot be read",
            f"it is {plain!r}",
            "write the forward as an expression, or as a def in a file",
        )
    names = [n for n in ast.walk(tree) if isinstance(n, ast.Name)]
    stored = sorted({n.id for n in names if isinstance(n.ctx, ast.Store)})
    name, comment = tree.name, (ast.get_docstring(tree) or "").split("\n")[0]
    if isinstance(function, Op):
        name, comment = function.name, function.law
    return name, inspect.signature(plain), plain.__globals__, stored, tree.body, comment or name


class Inliner(ast.NodeTransformer):
    """Rewrites one expression (or the body of one function).

    scope     the names it may use, apart from its own: `NAMES`, or the globals of the function
    names     what its own names stand for: an expression, or a list of them for a variadic input
    values    the arrays and settings behind these names, as far as they are known
    constant  those of them that are the same in every run: settings, and numbers in the user's code
    shapes    of the program's variables; empty in a function, where its arguments may be called
              like them
    """

    def __init__(
        self,
        library: Library,
        scope: Mapping[str, Any],
        names: Mapping[str, Any],
        values: Mapping[str, Any] | None = None,
        constant: frozenset[str] = frozenset(),
        in_function: bool = False,
    ) -> None:
        self.library, self.scope, self.names = library, scope, names
        self.values, self.constant, self.in_function = values or {}, constant, in_function
        self.shapes: Mapping[str, tuple[int, ...]] = {} if in_function else library.shapes

    # --- what is known ---
    def known(self, node: ast.AST, names: frozenset[str]) -> bool:
        """Whether a value depends on `names` and on shapes only (and on at least one of them)."""
        inside = [n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id in self.names]
        attributes = [n for n in ast.walk(node) if isinstance(n, ast.Attribute)]
        shaped = {id(n.value) for n in attributes if self.is_shape(n)}
        return bool(inside) and all(n.id in names or id(n) in shaped for n in inside)

    def is_shape(self, node: ast.Attribute) -> bool:
        """``x.shape`` and its like, of an x that is known."""
        x = node.value
        return node.attr in _SHAPE and isinstance(x, ast.Name) and x.id in self.values

    def is_number(self, node: ast.AST) -> bool:
        """``math.sqrt(2 / math.pi)``: of numbers and the module math alone."""
        names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
        things = [None if n.id in self.names else self.scope.get(n.id) for n in names]
        return bool(names) and all(t is math or type(t) in (int, float) for t in things)

    @np.errstate(all="ignore")
    def evaluate(self, node: ast.expr, also: Mapping[str, Any] | None = None) -> Any:
        """The value of an expression of what is known, and of the names in `also`."""
        return eval(ast.unparse(node), dict(self.scope), {**self.values, **(also or {})})

    def literal(self, value: Any) -> ast.expr:
        return setting(value, self.library.constant)

    def resolve(self, node: ast.expr) -> Any:
        """The global object that a name or a dotted name stands for, or None."""
        if isinstance(node, ast.Name) and node.id not in self.names:
            return self.scope.get(node.id)
        if isinstance(node, ast.Attribute):
            base = self.resolve(node.value)
            return getattr(base, node.attr, None) if isinstance(base, ModuleType) else None
        return None

    # --- the rewriting ---
    def text(self, expression: str) -> str:
        """An expression as plain NumPy text."""
        tree = self.visit(ast.parse(expression, mode="eval").body)
        return ast.unparse(ast.fix_missing_locations(tree))

    def visit(self, node: Any) -> Any:
        foldable = isinstance(
            node, ast.Call | ast.BinOp | ast.UnaryOp | ast.Compare | ast.IfExp | ast.Attribute
        )
        if foldable and (self.known(node, self.constant) or self.is_number(node)):
            return self.literal(self.evaluate(node))
        return super().visit(node)

    def block(self, statements: Sequence[ast.stmt]) -> list[ast.stmt]:
        """Statements of a function; what cannot be reached is left out."""
        result: list[ast.stmt] = []
        for statement in statements:
            found = self.visit(statement) or []
            result += found if isinstance(found, list) else [found]
            if result and isinstance(result[-1], ast.Return | ast.Raise):
                break
        return result

    def visit_If(self, node: ast.If) -> ast.If | list[ast.stmt]:
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            return self.block(node.body if test.value else node.orelse)
        return ast.If(test, self.block(node.body), self.block(node.orelse))

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        """A docstring goes."""
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST | None:
        node = self.generic_visit(node)  # type: ignore[assignment]
        left, right = (ast.unparse(e).strip("()") for e in (node.targets[0], node.value))
        return None if left == right else node  # x = x.real

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self.names:
            stands = copy.deepcopy(self.names[node.id])
            return ast.Tuple(stands, ast.Load()) if isinstance(stands, list) else stands
        thing = self.scope.get(node.id)
        return self.literal(thing) if node.id in self.scope and type(thing) in _LITERALS else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if node.attr == "real":
            return self.visit(node.value)
        thing = None if self.resolve(node.value) is np else self.resolve(node)
        if type(thing) in _LITERALS and thing is not None:
            return self.literal(thing)
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_IfExp(self, node: ast.IfExp) -> ast.expr:
        test = self.visit(node.test)
        if isinstance(test, ast.Constant):
            return self.visit(node.body if test.value else node.orelse)
        return ast.IfExp(test, self.visit(node.body), self.visit(node.orelse))

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        decides = isinstance(node.op, ast.Or)
        parts = [self.visit(v) for v in node.values]
        if any(isinstance(p, ast.Constant) and bool(p.value) is decides for p in parts):
            return ast.Constant(decides)
        parts = [p for p in parts if not isinstance(p, ast.Constant)]
        if len(parts) > 1:
            return ast.BoolOp(node.op, parts)
        return parts[0] if parts else ast.Constant(not decides)

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if isinstance(node.value, ast.Name) and isinstance(self.names.get(node.value.id), list):
            return self.several(node)[0]
        base, index = self.visit(node.value), self.visit(node.slice)
        if isinstance(base, ast.Name) and self.shapes.get(base.id) == ():
            # NumPy's numbers know fewer indices than arrays
            base = ast.Call(ast.Name("np.asarray"), [base], [])
        if isinstance(index, ast.Tuple):
            index = ast.Tuple([as_slice(p) for p in index.elts], ast.Load())
        return ast.Subscript(base, as_slice(index), ast.Load())

    def several(self, node: ast.expr) -> list[ast.expr]:
        """The expressions that ``*node`` stands for: parts of a variadic input, or a list of
        constants.
        """
        if isinstance(node, ast.Name) and isinstance(self.names.get(node.id), list):
            return list(self.names[node.id])
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            name, stands = node.value.id, self.names[node.value.id]
            picked = self.evaluate(node, {name: np.arange(len(stands))})
            return [stands[k] for k in np.atleast_1d(picked)]
        return [self.literal(v) for v in self.evaluate(node)]

    def visit_Call(self, node: ast.Call) -> ast.expr:
        function = self.resolve(node.func)
        if ast.unparse(node.func) == "isinstance":
            kind = self.resolve(node.args[1])
            if kind in (Value, np.ndarray):
                return ast.Constant(kind is np.ndarray)
            return self.generic_visit(node)  # type: ignore[return-value]
        if function is np.iscomplexobj:
            return ast.Constant(False)
        if function is np.real:
            return self.visit(node.args[0])
        ours = isinstance(function, Op) or (inspect.isfunction(function) and not is_numpy(function))
        if ours and not isinstance(function, Op) and self.known(node, frozenset(self.values)):
            result = self.evaluate(node)
            # slices, subscripts: the same in every run
            if not isinstance(result, np.ndarray | np.generic):
                return self.literal(result)
        original = copy.deepcopy(node)  # visiting changes a tree in place
        args: list[ast.expr] = []
        for a in node.args:
            args += (
                self.several(a.value)
                if isinstance(a, ast.Starred) and not self.in_function
                else [self.argument(a, ours)]
            )
        keywords = {str(k.arg): self.visit(k.value) for k in node.keywords}
        if ours:
            return self.expand(function, args, keywords, original)
        settings = [ast.keyword(k, v) for k, v in keywords.items()]
        return tidy(ast.Call(self.visit(node.func), args, settings), self.shapes)

    def argument(self, node: ast.expr, ours: bool) -> ast.expr:
        """An argument; a folded float32 keeps its type, for ``np.where(c, 1, 2.0)`` would be
        float64.
        """
        if ours and not isinstance(node, ast.Name) and self.known(node, self.constant):
            value = self.evaluate(node)
            if getattr(value, "dtype", None) == np.float32 and value.ndim == 0:
                return ast.Call(ast.Name("np.float32"), [self.literal(value)], [])
        return self.visit(node)  # type: ignore[no-any-return]

    def expand(
        self, function: Any, args: list[ast.expr], keywords: dict[str, ast.expr], original: ast.Call
    ) -> ast.expr:
        """A call to an op or helper: its text, or a call to its copy at the top of the program."""
        name, signature, scope, stored, statements, comment = recipe(function)
        bound = signature.bind(*args, **keywords)
        facts: dict[str, Any] = {}
        if len(original.args) == len(args) and self.values:
            given = {str(k.arg): k.value for k in original.keywords}
            for key, n in signature.bind(*original.args, **given).arguments.items():
                if isinstance(n, ast.expr) and self.known(n, self.constant):
                    facts[key] = self.evaluate(n)
        own = {n: ast.Name(n) for n in (*signature.parameters, *stored)}
        inner = Inliner(self.library, scope, own, facts, frozenset(facts), in_function=True)
        body = inner.block(copy.deepcopy(statements))
        if len(body) == 1 and isinstance(body[0], ast.Return) and body[0].value is not None:
            stands = {k: list(v) if isinstance(v, tuple) else v for k, v in bound.arguments.items()}
            for key, p in signature.parameters.items():
                if key not in stands and p.default is not p.empty:
                    stands[key] = self.literal(p.default)
            if may_stand_here(function, body[0].value, stands):
                return Inliner(self.library, {}, stands, dict.fromkeys(stands)).visit(body[0].value)  # type: ignore[no-any-return]
        text = ", ".join(str(p.replace(annotation=p.empty)) for p in signature.parameters.values())
        called = self.library.add(name, text, body, comment)
        passed = [ast.keyword(k, v) for k, v in keywords.items() if not is_default(signature, k, v)]
        return ast.Call(ast.Name(called), args, passed)


# --- in fewer words -------------------------------------------------------------------------------


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
    return p is not None and isinstance(value, ast.Constant) and value.value is p.default


def is_numpy(function: Any) -> bool:
    module = str(getattr(function, "__module__", None) or "numpy")
    return module.split(".")[0] in ("numpy", "builtins")


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
    swaps_last = name.endswith(".swapaxes") and args in (["-1", "-2"], ["-2", "-1"])
    if swaps_last and isinstance(call.func, ast.Attribute):
        x = call.func.value
        if isinstance(x, ast.Name) and len(shapes.get(x.id, ())) == 2:
            return ast.Attribute(x, "T", ast.Load())
        return ast.Call(ast.Name("np.swapaxes"), [x, *call.args], [])
    if name not in ("np.reshape", "np.broadcast_to"):
        return call
    first = call.args[0]
    if args[1] == str(shapes.get(args[0])):
        return first
    if (
        name == "np.broadcast_to"
        and isinstance(first, ast.Call)
        and args[0].startswith("np.reshape(")
    ):
        inner, shape = (ast.unparse(a) for a in first.args)
        # broadcasting does it too
        if inner in shapes and any(shape == str((1,) * k + shapes[inner]) for k in range(1, 9)):
            call.args[0] = first.args[0]
    return call
