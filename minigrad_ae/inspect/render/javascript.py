"""From formula to page: the syntax trees of forwards and rules, written as JavaScript.

No formula is typed twice.  An op's expressions, and the functions they call, are read as Python
and written as calls of the small array library in ``web/nd.js``: ``g * (1 - y * y)`` becomes
``nd.mul($g, nd.sub(1, nd.mul($y, $y)))``.  What is not in the list below has no translation, and
the page says so beside the op.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import json
import math
import re
import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...autodiff.graph import Value
from ...autodiff.operation import Op
from ...autodiff.rules import NAMES

UNARY = (
    "exp log log1p expm1 log2 log10 exp2 sqrt cbrt sin cos tan arcsin arccos arctan "
    "sinh cosh tanh abs sign floor isnan isfinite isinf ones_like zeros_like"
)
# Functions of nd.js by their names in NumPy, and the parameters that they take
NUMPY = dict.fromkeys(UNARY.split(), "x") | {
    "maximum": "a b",
    "hypot": "a b",
    "remainder": "a b",
    "power": "a b",
    "where": "condition a b",
    "sum": "x axis keepdims",
    "max": "x axis keepdims initial",
    "reshape": "x shape",
    "transpose": "x axes",
    "broadcast_to": "x shape",
    "concatenate": "xs axis",
}
# By their names in the rules: what only moves elements about, or looks at shapes
MOVES = {
    "matmul": "a b",
    "swapaxes": "x axis1 axis2",
    "index_add": "x index shape",
    "part": "xs i axis",
    "kept": "shape axis",
    "joint": "a b",
    "inverse": "axes",
    "real": "x",
}
BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.Pow: "power",
    ast.MatMult: "matmul",
    ast.FloorDiv: "quotient",
    ast.BitAnd: "and",
    ast.BitOr: "or",
}
COMPARED: dict[type[ast.cmpop], str] = {
    ast.Eq: "eq",
    ast.NotEq: "ne",
    ast.Lt: "lt",
    ast.LtE: "le",
    ast.Gt: "gt",
    ast.GtE: "ge",
}


class Untranslatable(Exception):
    """There is no JavaScript for this; the text says for what."""


class Translation:
    """JavaScript for ops, and for all that they call: each function once."""

    def __init__(self) -> None:
        self.functions: dict[str, str] = {}
        self.names: dict[Any, str] = {}
        self.begun: set[Any] = set()

    def op(self, op: Op) -> str:
        """``{inputs, forward, rules}`` of an op, as a JavaScript object; `inputs` is null where
        an op takes any number of them, as one list.

        Raises
        ------
        Untranslatable
            If its forward has no translation; a rule without one is a word why instead.
        """
        rules = [self.rule(op, name, rule) for name, rule in op.rules.items()]
        inputs = "null" if op.variadic else json.dumps(list(op.rules))
        return f"{{inputs: {inputs}, forward: {self.forward(op)}, rules: [{', '.join(rules)}]}}"

    def rule(self, op: Op, name: str, rule: str | None) -> str:
        """The function of a rule; in quotes why there is none."""
        if rule is None:
            return "null"
        first, *settings = _signature(op)
        names = ["g", "y", first, *(["i"] if op.variadic else []), *settings]
        try:
            body = _Expression(self, NAMES, set(names)).text(rule)
        except Untranslatable as reason:
            return quoted(f"the rule for {name}: {reason}")
        return f"({_parameters(names)}) => {body}"

    def forward(self, op: Op) -> str:
        """The name of the function of its forward."""
        if op.name in MOVES:
            return f"nd.{op.name}"
        if op.forward_text is None:
            return self.function(op.forward)
        if op not in self.names:
            signature = _signature(op)
            body = _Expression(self, NAMES, set(signature)).text(op.forward_text)
            self.define(op, op.name, f"({_parameters(signature)}) => {body}")
        return self.names[op]

    def function(self, function: Callable[..., Any]) -> str:
        """The name of a Python function's translation."""
        plain = inspect.unwrap(function)
        if plain not in self.names:
            if plain in self.begun:
                raise Untranslatable(f"{_name(plain)} calls itself")
            self.begun.add(plain)
            tree = _source(plain)
            names = [a.arg for a in tree.args.args]
            defaults = [None] * (len(names) - len(tree.args.defaults)) + tree.args.defaults
            if tree.args.vararg:  # the list of all inputs
                names = [tree.args.vararg.arg, *(a.arg for a in tree.args.kwonlyargs)]
                defaults = [None, *tree.args.kw_defaults]
            scope = {**vars(builtins), **plain.__globals__}
            writer = _Body(self, scope, set(names))
            given = ", ".join(
                f"${n}" if d is None else f"${n} = {writer.visit(d)}"
                for n, d in zip(names, defaults, strict=True)
            )
            self.define(plain, plain.__name__, f"({given}) => {{ {writer.block(tree.body)} }}")
        return self.names[plain]

    def define(self, key: Any, name: str, text: str) -> None:
        """Give a function a name of its own."""
        name = "f$" + re.sub(r"\W", "_", name).lstrip("_")
        while name in self.functions:
            name += "_"
        self.names[key], self.functions[name] = name, text


class _Expression(ast.NodeVisitor):
    """One Python expression to JavaScript.  Names of Python get a $, so that none is a word of
    JavaScript.
    """

    def __init__(self, library: Translation, scope: Mapping[str, Any], local: set[str]) -> None:
        self.library, self.scope, self.local = library, scope, local

    def text(self, expression: str) -> str:
        return str(self.visit(ast.parse(expression, mode="eval").body))

    def generic_visit(self, node: ast.AST) -> Any:
        raise Untranslatable(f"no translation of {ast.unparse(node)!r}")

    def all(self, nodes: list[ast.expr]) -> list[str]:
        return [self.visit(node) for node in nodes]

    # --- values ---

    def visit_Constant(self, node: ast.Constant) -> str:
        return literal(node.value)

    def visit_Name(self, node: ast.Name) -> str:
        return f"${node.id}" if node.id in self.local else literal(self.meant(node))

    def visit_Tuple(self, node: ast.Tuple) -> str:
        return f"[{', '.join(self.all(node.elts))}]"

    visit_List: Any = visit_Tuple

    def visit_Starred(self, node: ast.Starred) -> str:
        return f"...{self.visit(node.value)}"

    def visit_Attribute(self, node: ast.Attribute) -> str:
        if self.fixed(node):
            return literal(self.meant(node))
        value = self.visit(node.value)
        if node.attr == "real":
            return value  # there are no complex numbers on the page
        if node.attr in ("shape", "ndim", "size"):
            return f"{value}.{node.attr}"
        return self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> str:
        value, index = self.visit(node.value), node.slice
        if isinstance(index, ast.Slice) and index.step is None:
            ends = [
                literal(None) if e is None else self.visit(e) for e in (index.lower, index.upper)
            ]
            return f"nd.some({value}, {', '.join(ends)})"
        return f"nd.at({value}, {self.visit(index)})"

    # --- operators ---

    def visit_BinOp(self, node: ast.BinOp) -> str:
        if type(node.op) not in BINARY:
            return self.generic_visit(node)
        both = f"{self.visit(node.left)}, {self.visit(node.right)}"
        return f"nd.{BINARY[type(node.op)]}({both})"

    def visit_UnaryOp(self, node: ast.UnaryOp) -> str:
        value = self.visit(node.operand)
        if isinstance(node.op, ast.USub):
            return f"-{value}" if isinstance(node.operand, ast.Constant) else f"nd.neg({value})"
        return f"!{value}" if isinstance(node.op, ast.Not) else self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> str:
        parts = self.all(node.values)
        if isinstance(node.op, ast.And):
            return f"({' && '.join(parts)})"
        parts = [part for part in parts if part != "false"]
        return f"({' || '.join(parts)})" if parts else "false"

    def visit_Compare(self, node: ast.Compare) -> str:
        if len(node.ops) > 1:
            return self.generic_visit(node)
        a, b, sign = self.visit(node.left), self.visit(node.comparators[0]), type(node.ops[0])
        if sign in (ast.Is, ast.IsNot):
            return f"({a} {'===' if sign is ast.Is else '!=='} {b})"
        return f"nd.{COMPARED[sign]}({a}, {b})" if sign in COMPARED else self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> str:
        test = self.visit(node.test)
        if test == "false":
            return str(self.visit(node.orelse))
        return f"({test} ? {self.visit(node.body)} : {self.visit(node.orelse)})"

    # --- calls ---

    def visit_Call(self, node: ast.Call) -> str:
        f = node.func
        if isinstance(f, ast.Attribute) and not self.fixed(f):
            if f.attr == "astype":  # every number of the page is a float64
                return str(self.visit(f.value))
            if f.attr == "type" and len(node.args) == 1:  # a.dtype.type(0.5)
                return str(self.visit(node.args[0]))
            return self.generic_visit(node)
        target, name = self.meant(f), ast.unparse(f).rpartition(".")[2]
        if target is np.iscomplexobj or (
            target is isinstance and self.meant(node.args[1]) is Value
        ):
            return "false"  # the page has neither complex numbers nor tensors
        if target in (np.asarray, np.real):
            return str(self.visit(node.args[0]))
        if str(getattr(target, "__module__", "")).partition(".")[0] == "numpy" or (
            getattr(np, name, None) is target or getattr(NAMES["np"], name, None) is target
        ):
            return self.call(f"nd.{name}", NUMPY.get(name), node)
        if name in MOVES and (isinstance(target, Op) or NAMES.get(name) is target):
            return self.call(f"nd.{name}", MOVES[name], node)
        if getattr(math, name, None) is target and name in NUMPY:
            return self.call(f"nd.{name}", NUMPY[name], node)
        if isinstance(target, Op) and not target.variadic:
            return self.call(self.library.forward(target), " ".join(_signature(target)), node)
        if callable(target) and inspect.isfunction(inspect.unwrap(target)):
            parameters = inspect.signature(inspect.unwrap(target)).parameters
            return self.call(self.library.function(target), " ".join(parameters), node)
        return self.generic_visit(node)

    def call(self, function: str, parameters: str | None, node: ast.Call) -> str:
        """A call by position."""
        if parameters is None:
            raise Untranslatable(f"{ast.unparse(node.func)} is not among the page's functions")
        given = {k.arg: self.visit(k.value) for k in node.keywords if k.arg}
        names = parameters.split()[len(node.args) :]
        if set(given) - set(names) or any(k.arg is None for k in node.keywords):
            return self.generic_visit(node)
        rest = [given.get(name, "undefined") for name in names]
        while rest and rest[-1] == "undefined":
            rest.pop()
        return f"{function}({', '.join([*self.all(node.args), *rest])})"

    # --- names ---

    def fixed(self, node: ast.expr) -> bool:
        """Whether it names something of a module: np.inf, elementwise.tanh."""
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id not in self.local

    def meant(self, node: ast.expr) -> Any:
        """What a name stands for in the module it is written in."""
        if isinstance(node, ast.Name) and node.id not in self.local and node.id in self.scope:
            return self.scope[node.id]
        if isinstance(node, ast.Attribute):
            owner = self.meant(node.value)
            if hasattr(owner, node.attr):
                return getattr(owner, node.attr)
        raise Untranslatable(f"no translation of {ast.unparse(node)!r}")


class _Body(_Expression):
    """The statements of a small function: assignments, conditions, counted loops, a result."""

    def block(self, statements: list[ast.stmt]) -> str:
        """The statements, with what they assign declared before them."""
        nodes = [n for s in statements for n in ast.walk(s)]
        stored = (n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
        assigned = [n for n in dict.fromkeys(stored) if n not in self.local]
        self.local |= set(assigned)
        declared = [f"let {', '.join(f'${n}' for n in assigned)};"] if assigned else []
        return " ".join([*declared, self.several(statements)])

    def several(self, statements: list[ast.stmt]) -> str:
        return " ".join(filter(None, map(self.visit, statements)))

    def visit_Expr(self, node: ast.Expr) -> str:
        return "" if isinstance(node.value, ast.Constant) else str(self.generic_visit(node))

    def visit_Return(self, node: ast.Return) -> str:
        return f"return {self.visit(node.value)};" if node.value else self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> str:
        targets = [self.visit(t) for t in node.targets]
        return f"{' = '.join([*targets, self.visit(node.value)])};"

    def visit_If(self, node: ast.If) -> str:
        test = self.visit(node.test)
        if test == "false":
            return self.several(node.orelse)
        rest = f" else {{ {self.several(node.orelse)} }}" if node.orelse else ""
        return f"if ({test}) {{ {self.several(node.body)} }}{rest}"

    def visit_For(self, node: ast.For) -> str:
        call = node.iter
        if not isinstance(call, ast.Call) or ast.unparse(call.func) != "range" or node.orelse:
            return str(self.generic_visit(node))
        if not all(isinstance(arg, ast.Constant | ast.UnaryOp) for arg in call.args):
            return str(self.generic_visit(node))
        listed = json.dumps(list(range(*map(ast.literal_eval, call.args))))
        return f"for ({self.visit(node.target)} of {listed}) {{ {self.several(node.body)} }}"

    def visit_With(self, node: ast.With) -> str:
        if not all(ast.unparse(i.context_expr).startswith("np.errstate") for i in node.items):
            return str(self.generic_visit(node))
        return self.several(node.body)


def literal(value: Any) -> str:
    """A number, a word, a truth value or None."""
    if value is None or isinstance(value, bool | np.bool_):
        return {None: "null", True: "true", False: "false"}[value if value is None else bool(value)]
    if isinstance(value, int | float | np.number) and not isinstance(value, complex):
        text = repr(float(value)) if isinstance(value, float | np.floating) else str(int(value))
        return {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN"}.get(text, text)
    if isinstance(value, str):
        return quoted(value)
    raise Untranslatable(f"no translation of a {type(value).__name__}")


def quoted(text: str) -> str:
    """A string of JavaScript, which cannot end the script that it stands in."""
    return json.dumps(text).replace("<", "\\u003c")


def _source(function: Any) -> ast.FunctionDef:
    """The syntax tree of a function."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, TypeError, SyntaxError):
        raise Untranslatable(f"{_name(function)} has no source to read") from None
    if not isinstance(tree, ast.FunctionDef):
        raise Untranslatable(f"{_name(function)} is not a plain function")
    return tree


def _signature(op: Op) -> list[str]:
    return [*op.rules, *op.defaults]


def _parameters(names: list[str]) -> str:
    return ", ".join(f"${name}" for name in names)


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", function))
