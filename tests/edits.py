"""Small edits of the rules of the registry, planted one at a time."""

from __future__ import annotations

import ast
import copy
from contextlib import contextmanager

import numpy as np
from cases import CASES, active

from minigrad_ae.autodiff.check import _apply
from minigrad_ae.ops import REGISTRY

CHANGE = 1e-6


def edits(node: ast.expr) -> list[ast.expr]:
    """What an expression can be replaced by."""
    result: list[ast.expr] = [
        ast.BinOp(node, ast.Mult(), ast.Constant(1.0001)),
        ast.UnaryOp(ast.USub(), node),
        ast.parse(f"swapaxes({ast.unparse(node)}, -1, -2)", mode="eval").body,
    ]
    if isinstance(node, ast.BinOp):
        result.append(node.left)  # the second factor, divisor or term dropped
        if not isinstance(node.op, ast.Div):
            result.append(
                node.right
                if not isinstance(node.op, ast.Sub)
                else ast.UnaryOp(ast.USub(), node.right)
            )
    return result


def mutants(rule: str) -> list[str]:
    """The texts of all edits, one per place and kind."""
    tree = ast.parse(rule, mode="eval")
    places = [
        (path, field, k)
        for path, node in enumerate(ast.walk(tree))
        for field, k in expressions(node)
    ]
    texts = []
    for path, field, k in places:
        for number in range(len(edits(child(list(ast.walk(tree))[path], field, k)))):
            edited = copy.deepcopy(tree)
            parent = list(ast.walk(edited))[path]
            new = edits(child(parent, field, k))[number]
            if k is None:
                setattr(parent, field, new)
            else:
                getattr(parent, field)[k] = new
            texts.append(ast.unparse(ast.fix_missing_locations(edited)))
    return sorted(set(texts) - {ast.unparse(tree)})


def expressions(node: ast.AST) -> list[tuple[str, int | None]]:
    """The places below `node` that hold a value (not the name of a function, nor what an attribute
    is taken of).
    """
    if isinstance(node, ast.Attribute):
        return []
    skip = {"func", "slice"}
    places: list[tuple[str, int | None]] = []
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.expr) and field not in skip:
            places.append((field, None))
        elif isinstance(value, list):
            places += [
                (field, k)
                for k, v in enumerate(value)
                if isinstance(v, ast.expr) and not isinstance(v, ast.Starred)
            ]
    return places


def child(node: ast.AST, field: str, k: int | None) -> ast.expr:
    value = getattr(node, field)
    return value if k is None else value[k]


@contextmanager
def planted(name, argument, text):
    """The mutant in its slot; yields the (input number, case) on which it gives another
    gradient.
    """
    op = REGISTRY[name]
    slot = list(op.rules).index(argument)
    pairs = [
        (k, case) for case in CASES[name] for k in active(name, case) if op.variadic or k == slot
    ]
    right = [gradient(name, k, case) for k, case in pairs]
    original = op.vjps[slot]
    op.vjps[slot] = op.compile(argument, text)
    try:
        yield [
            pair for pair, r in zip(pairs, right, strict=True) if changed(r, gradient(name, *pair))
        ]
    finally:
        op.vjps[slot] = original


def gradient(name, k, case):
    """The gradient for input k with the rules as they stand, or None where a rule fails."""
    op = REGISTRY[name]
    with np.errstate(all="ignore"):
        y = np.asarray(op.forward(*case.inputs, **case.params))
        u = np.random.default_rng(5).standard_normal(y.shape)
        try:
            g = _apply(op, k, u, y, list(case.inputs), case.params)
        except Exception:
            return None
    return g if g.shape == case.inputs[k].shape else None


def changed(right, wrong) -> bool:
    if right.size == 0:
        return False
    return wrong is None or not np.max(np.abs(right - wrong)) <= CHANGE * max(
        1e-300, np.max(np.abs(right))
    )
