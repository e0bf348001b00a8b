"""How a rule and a forward are written for people: one expression, written in several ways."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import Any

import numpy as np

from ...autodiff.graph import Value
from ...autodiff.operation import Op

BAR = "\u0304"  # combining macron: x + BAR is read "x bar", the gradient dL/dx
LINE = "\u0305"  # combining overline, for names of several letters


class _BarNotation(ast.NodeTransformer):
    """g -> y-bar; swapaxes(B, -1, -2) -> B transposed; y * y -> y squared; broadcasting as on
    paper.

    What only prepares an array for broadcasting is left out, and ``broadcast_to(g, x.shape)`` is
    ``g * ones(x.shape)``.
    """

    def __init__(self, ascii: bool) -> None:
        self.transposed, self.squared = ("^T", "^2") if ascii else ("ᵀ", "²")
        self.g = "g" if ascii else "y" + BAR

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Name(self.g) if node.id == "g" else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        name = ast.unparse(node.func)
        if name in ("reshape", "broadcast_to") and ast.unparse(node.args[1]).startswith(
            ("kept(", "joint(")
        ):
            return self.visit(node.args[0])  # type: ignore[no-any-return]
        if name == "broadcast_to":
            ones = ast.Call(ast.Name("ones"), node.args[1:], [])
            return ast.BinOp(self.visit(node.args[0]), ast.Mult(), ones)
        if name == "swapaxes" and [ast.unparse(a) for a in node.args[1:]] == ["-1", "-2"]:
            return ast.Name(f"{ast.unparse(self.visit(node.args[0]))}{self.transposed}")
        return self.generic_visit(node)  # type: ignore[return-value]

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        if (
            isinstance(node.op, ast.Mult)
            and isinstance(node.left, ast.Name)
            and ast.dump(node.left) == ast.dump(node.right)
        ):
            return ast.Name(f"{ast.unparse(self.visit(node.left))}{self.squared}")
        return self.generic_visit(node)  # type: ignore[return-value]


@lru_cache(maxsize=4096)
def bar_notation(argument: str, rule: str, ascii: bool = False) -> str:
    """``bar_notation("A", "g @ swapaxes(B, -1, -2)")`` is 'Ā = ȳ @ Bᵀ', or 'dL/dA = g @ B^T' in
    ASCII.
    """
    right = ast.unparse(_BarNotation(ascii).visit(ast.parse(rule, mode="eval")))
    if ascii:
        return f"dL/d{argument} = {right}"
    barred = argument + BAR if len(argument) == 1 else "".join(c + LINE for c in argument)
    return f"{barred} = {right}".replace(" * ", " · ")


def rule_of(op: Op, i: int) -> str:
    """The expression of the rule for input number `i`."""
    return str(list(op.rules.values())[0 if op.variadic else i])


def bytes_saved(value: Value) -> int:
    """Bytes of the arrays that the rules of `value` read in the backward pass."""
    op: Any = value.op
    read = set().union(*(op.reads(i, len(value.arrays)) for i, _ in value.edges))
    arrays = [value._data if k == -1 else value.arrays[k] for k in read]
    return sum({id(a): a.nbytes for a in arrays}.values())


class _Rename(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Name(self.names.get(node.id, node.id))


def in_names(expression: str, names: dict[str, str]) -> str:
    """An expression with other names in it: 'g * y' with {'y': 'h'} is 'g * h'."""
    return ast.unparse(_Rename(names).visit(ast.parse(expression, mode="eval")))


def subscript(index: Any) -> str:
    """An index as one writes it: ':, 2:', '0', '[0, 2], ...'; an array of many numbers by its
    shape.
    """
    if isinstance(index, tuple):
        return ", ".join(subscript(part) for part in index)
    if isinstance(index, slice):
        ends = ["" if end is None else str(end) for end in (index.start, index.stop, index.step)]
        return ":".join(ends if ends[2] else ends[:2])
    if isinstance(index, np.ndarray | list):
        index = np.asarray(index)
        return (
            str(index.tolist())
            if index.ndim == 1 and index.size <= 6 and index.dtype != bool
            else f"array{index.shape}"
        )
    return "..." if index is Ellipsis else str(index)


def computes(value: Value, inputs: list[str]) -> str:
    """The right-hand side that made `value`: 'H + b', 'tanh(a)', 'sum(S, axis=0)'."""
    op: Any = value.op
    if op.forward_text and not value.params:
        tree = ast.parse(op.forward_text, mode="eval").body
        parts = ast.iter_child_nodes(tree)
        if isinstance(tree, ast.BinOp | ast.UnaryOp) and not any(
            isinstance(p, ast.Call | ast.BinOp) for p in parts
        ):
            return ast.unparse(_Rename(dict(zip(op.rules, inputs, strict=True))).visit(tree))
    if op.notes.written:
        settings = {k: subscript(v) for k, v in value.params.items()}
        return str(op.notes.written.format(**dict(zip(op.rules, inputs, strict=True)), **settings))
    params = [
        f"{k}={v}" if not hasattr(v, "ndim") else f"{k}=array{v.shape}"
        for k, v in value.params.items()
        if v is not None  # activation=None says nothing
    ]
    return f"{op.name}({', '.join([*inputs, *params])})"
