"""Rules as mathematics: the syntax tree of a rule as MathML, which browsers draw by themselves.

A formula is a list, [tag, part, ...], down to texts; the page makes elements of it, never markup.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Any

from ...autodiff.rules import free_names

Math = list[Any]

SYMBOLS = {"mu": "μ", "sigma": "σ", "log_var": "log σ²"}
NUMBERS: dict[str, Math] = {  # of ops/calculus.py
    "ln_2": ["mrow", ["mi", "ln"], ["mn", "2"]],
    "ln_10": ["mrow", ["mi", "ln"], ["mn", "10"]],
    "sqrt_half": ["msqrt", ["mfrac", ["mn", "1"], ["mn", "2"]]],
    "two_over_sqrt_pi": ["mfrac", ["mn", "2"], ["msqrt", ["mi", "π"]]],
    "inv_sqrt_2pi": ["mfrac", ["mn", "1"], ["msqrt", ["mn", "2"], ["mi", "π"]]],
    "sqrt_2_over_pi": ["msqrt", ["mfrac", ["mn", "2"], ["mi", "π"]]],
}
BETWEEN: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "−",
    ast.Mult: "·",
    ast.MatMult: "\u2009",
    ast.BitAnd: "\u00a0and\u00a0",
    ast.BitOr: "\u00a0or\u00a0",
}
COMPARED: dict[type[ast.AST], str] = {
    ast.Eq: "=",
    ast.NotEq: "≠",
    ast.Lt: "<",
    ast.LtE: "≤",
    ast.Gt: ">",
    ast.GtE: "≥",
}
# how strongly an operator binds; what binds less is put in brackets
STRENGTH: dict[type[ast.AST], int] = {
    ast.BitOr: 1,
    ast.BitAnd: 1,
    ast.Compare: 2,
    ast.Add: 3,
    ast.Sub: 3,
    ast.USub: 4,
    ast.Mult: 4,
    ast.MatMult: 5,
    ast.Pow: 8,
}
ATOM = 9
UNSEEN = {"real", "reshape", "rows"}  # they change how a number is stored, not which it is
NAMED = {"log": "ln", "arcsin": "arcsin", "sign": "sgn"}


@lru_cache(maxsize=4096)
def equation(argument: str, rule: str) -> Math:
    """``equation("x", "g / x")`` is x̄ = ȳ / x, with the fraction drawn as one."""
    right = _Formula().visit(ast.parse(rule, mode="eval").body)
    return ["math", _bar(argument), ["mo", "="], right]


def _bar(name: str) -> Math:
    return ["mover", _name(name), ["mo", "¯" if len(name) == 1 else "‾"]]  # the longer one grows


def _name(name: str) -> Math:
    return NUMBERS.get(name) or ["mi", SYMBOLS.get(name, name)]


class _Formula(ast.NodeVisitor):
    """One expression; g, the incoming gradient, is written ȳ."""

    def generic_visit(self, node: ast.AST) -> Math:
        return ["mtext", ast.unparse(node)]

    def bound(self, node: ast.expr, strength: int) -> Math:
        """A part, in brackets if it binds less than what it stands in."""
        part: Math = self.visit(node)
        return part if _strength(node) >= strength else ["mrow", ["mo", "("], part, ["mo", ")"]]

    def visit_Name(self, node: ast.Name) -> Math:
        return _bar("y") if node.id == "g" else _name(node.id)

    def visit_Constant(self, node: ast.Constant) -> Math:
        return ["mn", str(node.value)]

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Math:
        if not isinstance(node.op, ast.USub):
            return self.generic_visit(node)
        return ["mrow", ["mo", "−"], self.bound(node.operand, 4)]

    def visit_BinOp(self, node: ast.BinOp) -> Math:
        a, b, sign = node.left, node.right, type(node.op)
        if sign is ast.Div:
            return ["mfrac", self.visit(a), self.visit(b)]
        if sign is ast.Pow:
            return ["msup", self.bound(a, ATOM), self.visit(b)]
        if sign is ast.Mult and isinstance(a, ast.Name) and ast.dump(a) == ast.dump(b):
            return ["msup", self.visit(a), ["mn", "2"]]
        if sign not in BETWEEN:
            return self.generic_visit(node)
        own = STRENGTH[sign]
        after = own + (sign in (ast.Sub, ast.MatMult))  # a − (b + c)
        return ["mrow", self.bound(a, own), ["mo", BETWEEN[sign]], self.bound(b, after)]

    def visit_Compare(self, node: ast.Compare) -> Math:
        parts = self.bound(node.left, 3)
        for sign, right in zip(node.ops, node.comparators, strict=True):
            word = COMPARED.get(type(sign), "is")
            parts = ["mrow", parts, ["mo", word], self.bound(right, 3)]
        return parts

    def visit_Call(self, node: ast.Call) -> Math:
        name, args = ast.unparse(node.func), node.args
        written = getattr(self, f"of_{name}", None)
        if written is not None:
            result: Math = written(*args)
            return result
        if name in UNSEEN:
            return self.visit(args[0])  # type: ignore[no-any-return]
        listed: list[Math] = []
        for arg in args:
            listed += [["mo", ","], self.visit(arg)] if listed else [self.visit(arg)]
        return ["mrow", ["mi", NAMED.get(name, name)], ["mo", "("], *listed, ["mo", ")"]]

    # --- functions that have a form of their own ---

    def of_swapaxes(self, x: ast.expr, *axes: ast.expr) -> Math:
        return ["msup", self.bound(x, ATOM), ["mi", "T"]]

    def of_sqrt(self, x: ast.expr) -> Math:
        return ["msqrt", self.visit(x)]

    def of_slope(self, g: ast.expr, y: ast.expr, activation: ast.expr) -> Math:
        return ["mrow", self.visit(g), ["mo", "·"], ["mi", "f′"]]

    def of_exp(self, x: ast.expr) -> Math:
        return ["msup", ["mi", "e"], self.visit(x)]

    def of_expm1(self, x: ast.expr) -> Math:
        return ["mrow", ["mo", "("], self.of_exp(x), ["mo", "−"], ["mn", "1"], ["mo", ")"]]

    def of_power(self, x: ast.expr, p: ast.expr) -> Math:
        return ["msup", self.bound(x, ATOM), self.visit(p)]

    def of_sum(self, x: ast.expr, *_: ast.expr) -> Math:
        return ["mrow", ["mo", "∑"], self.bound(x, 4)]

    def of_broadcast_to(self, x: ast.expr, shape: ast.expr) -> Math:
        part: Math = self.visit(x)
        if ast.unparse(_seen(x)) != "g":  # what is spread goes without saying
            return part
        return ["mrow", part, ["mtext", ",\u00a0to each place"]]

    def of_transpose(self, x: ast.expr, *axes: ast.expr) -> Math:
        return ["mrow", self.visit(x), ["mtext", "\u00a0with its axes put back"]]

    def of_getitem(self, x: ast.expr, index: ast.expr) -> Math:
        return ["msub", self.bound(x, ATOM), self.visit(index)]

    def of_index_add(self, x: ast.expr, index: ast.expr, shape: ast.expr) -> Math:
        return [
            "mrow",
            self.visit(x),
            ["mtext", "\u00a0added up in the places\u00a0"],
            self.visit(index),
        ]

    def of_where(self, condition: ast.expr, a: ast.expr, b: ast.expr) -> Math:
        rows = [(self.visit(a), [["mtext", "where\u00a0"], self.visit(condition)])]
        rows.append((self.visit(b), [["mtext", "elsewhere"]]))
        table = [["mtr", ["mtd", value], ["mtd", *words]] for value, words in rows]
        return ["mrow", ["mo", "{"], ["mtable", *table]]


def _seen(node: ast.expr) -> ast.expr:
    """What is written of a part: without what only changes how numbers are stored."""
    while isinstance(node, ast.Call):
        name, first = ast.unparse(node.func), node.args[0]
        spread = name == "broadcast_to" and "g" not in free_names(ast.unparse(first))
        if name not in UNSEEN and not spread:
            break
        node = first
    return node


def _strength(node: ast.expr) -> int:
    node = _seen(node)
    if isinstance(node, ast.BinOp | ast.UnaryOp):
        return STRENGTH.get(type(node.op), ATOM)
    if isinstance(node, ast.Compare):
        return STRENGTH[ast.Compare]
    wide = ("broadcast_to", "transpose", "index_add", "sum", "where", "slope")
    return 3 if isinstance(node, ast.Call) and ast.unparse(node.func) in wide else ATOM
