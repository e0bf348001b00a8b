"""What the source calls a value whose variable is gone, since the function that made it has
returned: the variable to which its line assigns it, or as which it is handed to an op.

A value knows the instruction that made it, and Python knows where in the text an instruction is
written; so the expression is found by its place, never by its looks.  Where more than one name is
possible there is none.
"""

from __future__ import annotations

import ast
import builtins
import linecache
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np

from ...autodiff.graph import Value

Place = tuple[Any, Any, Any, Any]  # first line, last line, first column, last column
Origin = tuple[CodeType, int]

# the op that an operator calls
OPERATORS: dict[type, str] = {
    ast.Add: "add",
    ast.Sub: "sub",
    ast.Mult: "mul",
    ast.Div: "div",
    ast.Mod: "remainder",
    ast.Pow: "power",
    ast.MatMult: "matmul",
    ast.USub: "neg",
}
EXPRESSIONS = (ast.BinOp, ast.UnaryOp, ast.Call, ast.Subscript, ast.AugAssign)
# they return several values, of which a graph may have met one
SEVERAL = {"split", "grad", "hvp", "jacobian", "hessian"}
BUILTINS = set(dir(builtins)) - {"sum", "abs"}  # so do list, map, next, ...


class Text:
    """The text of a file: its expressions by their places, and what each is a part of."""

    def __init__(self, text: str) -> None:
        self.nodes: dict[Place, ast.AST] = {}
        self.above: dict[ast.AST, ast.AST] = {}
        self.modules: set[str] = set()  # names that an import binds
        for node in ast.walk(ast.parse(text)):
            self.above |= dict.fromkeys(ast.iter_child_nodes(node), node)
            if isinstance(node, ast.Import | ast.ImportFrom):
                self.modules |= {a.asname or a.name.partition(".")[0] for a in node.names}
            if isinstance(node, EXPRESSIONS):
                self.nodes[_place(node)] = node
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                self.nodes[_method_place(node, node.func)] = node

    def target(self, node: ast.AST) -> ast.AST | None:
        """What the whole value of an expression is assigned to."""
        if isinstance(node, ast.AugAssign):
            return node.target
        up = self.above[node]
        while isinstance(up, ast.IfExp) and node is not up.test:
            node, up = up, self.above[up]
        if isinstance(up, ast.AnnAssign | ast.NamedExpr):
            return up.target
        if isinstance(up, ast.Assign):
            return next((t for t in up.targets if _variable(t)), up.targets[0])
        if isinstance(up, ast.Tuple):  # a, b = f(x), g(x)
            return self.part(up, up.elts.index(node))  # type: ignore[arg-type]
        return None

    def part(self, values: ast.Tuple, k: int) -> ast.AST | None:
        """What part `k` of a tuple is assigned to."""
        assignment = self.above[values]
        if not isinstance(assignment, ast.Assign) or assignment.value is not values:
            return None
        targets = _parts(assignment.targets[0])
        return targets[k] if len(targets) == len(values.elts) else None


def _place(node: Any) -> Place:
    return node.lineno, node.end_lineno, node.col_offset, node.end_col_offset


def _method_place(node: ast.Call, method: ast.Attribute) -> Place:
    """Where Python says that a call is whose dots are on several lines: from the method's name
    on.
    """
    end: Any = method.end_col_offset
    return method.end_lineno, node.end_lineno, end - len(method.attr), node.end_col_offset


def _parts(target: ast.AST) -> list[ast.expr]:
    """The targets of ``a, b = ...``; none where one of them is starred."""
    if not isinstance(target, ast.Tuple | ast.List):
        return []
    starred = any(isinstance(t, ast.Starred) for t in target.elts)
    return [] if starred else target.elts


def _variable(node: ast.AST | None) -> str:
    """The name of a variable, or of an attribute of `self`; '' of anything else."""
    if isinstance(node, ast.Attribute) and _variable(node.value) == "self":
        return "" if node.attr.startswith("_") else node.attr
    if not isinstance(node, ast.Name) or node.id.startswith("_"):
        return ""
    return node.id


@lru_cache(maxsize=64)
def _read(text: str) -> Text | None:
    try:
        return Text(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


@lru_cache(maxsize=1024)
def _places(code: CodeType) -> list[Place]:
    """The place of each instruction; none before Python 3.11."""
    known = getattr(code, "co_positions", None)
    return list(known()) if known else []


def source_names(order: Sequence[Value]) -> dict[int, str]:
    """{id: name} of the values and constants of a graph that their source names without ambiguity.

    order : inputs before outputs (`engine.topological`).
    """
    return _Reading(order).names()


class _Reading:
    """The names that the source gives to the values and constants of one graph."""

    def __init__(self, order: Sequence[Value]) -> None:
        self.texts: dict[str, Text | None] = {}
        self.spots: dict[Origin, tuple[Text, ast.AST] | None] = {}
        self.made = [v for v in order if v.op is not None and v.origin is not None]
        # values that are not the whole of what their line computed
        self.inner = {x for v in self.made for x in v.inputs if self.same_call(x, v)}

    def names(self) -> dict[int, str]:
        """{id: name} of what the source names without ambiguity."""
        assigned: dict[int, str] = {}
        passed: dict[int, set[str]] = defaultdict(set)
        unpacked: dict[Origin, list[Value]] = defaultdict(list)
        for v in self.made:
            spot = self.spot(v)
            if spot is None:
                continue
            text, node = spot
            for k, name in self.handed(v, text, node):
                passed[id(v.inputs[k])].add(name)
            if v in self.inner or _gives_several(node):
                unpacked[v.origin].append(v)  # type: ignore[index]
            elif name := _variable(text.target(node)):
                assigned[id(v)] = name
        for parts in unpacked.values():
            assigned |= self.unpacked(parts)
        unique = {thing: names.pop() for thing, names in passed.items() if len(names) == 1}
        return unique | assigned

    def same_call(self, x: Any, v: Value) -> bool:
        """Whether one call made `x` and `v`; not if it calls their op alone, again and again in a
        loop.
        """
        if not isinstance(x, Value) or x.op is None or x.origin != v.origin:
            return False
        spot = self.spot(v)
        again = spot is not None and x.op is v.op and _called(spot[1]) == v.op.name
        return not again or v.op.name == "matmul"  # of vectors it is several ops

    def spot(self, v: Value) -> tuple[Text, ast.AST] | None:
        """The expression that made `v`, in its text."""
        assert v.origin is not None
        if v.origin not in self.spots:
            self.spots[v.origin] = self.find(*v.origin)
        return self.spots[v.origin]

    def find(self, code: CodeType, instruction: int) -> tuple[Text, ast.AST] | None:
        file, places = code.co_filename, _places(code)
        if file not in self.texts:
            self.texts[file] = _read("".join(linecache.getlines(file)))
        text = self.texts[file]
        if text is None or not places:
            return None
        node = text.nodes.get(places[instruction // 2])
        return None if node is None else (text, node)

    def unpacked(self, parts: Sequence[Value]) -> dict[int, str]:
        """The names of ``a, b = split(x, 2)``, if all parts of one value are there."""
        spot = self.spot(parts[0])
        assert spot is not None
        text, node = spot
        assignment, source = text.above[node], parts[0].inputs[0]
        several = isinstance(assignment, ast.Assign) and _function(node) == "split"
        targets = _parts(assignment.targets[0]) if several else []  # type: ignore[attr-defined]
        picked = [str(v.params.get("index")) for v in parts]
        whole = all(v.op.name == "getitem" and v.inputs[0] is source for v in parts)
        if not whole or len(targets) != len(set(picked)) or len(targets) != len(parts):
            return {}
        in_order = sorted(parts, key=lambda v: v.serial)
        named = zip(in_order, map(_variable, targets), strict=True)
        return {id(v): name for v, name in named if name}

    def handed(self, v: Value, text: Text, node: ast.AST) -> Iterator[tuple[int, str]]:
        """(number, name) of the inputs that are variables on the line of `v`."""
        if v in self.inner or any(self.same_call(x, v) for x in v.inputs):
            return
        for k, expression in enumerate(_operands(v, text, node)):
            name = _variable(expression)
            if name and not _is_leaf_or_number(v.inputs[k]):
                yield k, name


def _is_leaf_or_number(x: Any) -> bool:
    """Numbers stand for themselves; and leaves keep the names that programs know: x0, x1, ..."""
    return x.op is None and x.requires_grad if isinstance(x, Value) else np.ndim(x) == 0


def _function(node: ast.AST) -> str:
    """The last name of what is called: 'split' of ``mg.split(x, 2)``."""
    called = getattr(node, "func", None)
    return str(getattr(called, "attr", None) or getattr(called, "id", ""))


def _gives_several(node: ast.AST) -> bool:
    """Whether what is called may return more than one value."""
    name = _function(node)
    alone = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return name in SEVERAL or (alone and name in BUILTINS)


def _root(node: ast.AST) -> str:
    """The first name of a dotted one: 'mg' of ``mg.ops``."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return _variable(node)


def _called(node: Any) -> str:
    """The op that an expression calls, if it is one."""
    if isinstance(node, ast.Subscript):
        return "getitem"
    operator = getattr(node, "op", None)
    return OPERATORS.get(type(operator), "") if operator else _function(node)


def _operands(v: Value, text: Text, node: ast.AST) -> list[ast.expr]:
    """The expressions of the inputs of an op, in order, if `node` is a call of this very op."""
    op: Any = v.op
    if _called(node) != op.name or op.variadic:
        return []
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.AugAssign):
        return [node.target, node.value]
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.Subscript):
        return [node.value]
    assert isinstance(node, ast.Call)
    before_dot = [node.func.value] if isinstance(node.func, ast.Attribute) else []
    of_module = any(_root(part) in text.modules for part in before_dot)
    # of a module (mg.ops) or a method of the first input
    given = node.args if of_module else [*before_dot, *node.args]
    whole = len(given) == len(v.inputs) and not node.keywords
    return given if whole and not any(isinstance(a, ast.Starred) for a in given) else []
