"""From formula to function: a rule is one Python expression, compiled once, readable for ever
after.

The text of a rule is its definition.  `compile_expression` makes the function that the engine
calls; the inspector prints the same text; `emit_numpy` substitutes names in it; and its free names
tell which arrays the rule reads.  For large float arrays some ops have a Numba kernel
(`ops/bindings.py`), which is a second text of the same rule: it runs instead, and
tests/test_bindings.py holds it to this one.  A trace, a check, gradients of gradients and
``mg.kernels.use("numpy")`` always run this one.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

# Every name that an expression may use: NumPy, each registered op, each composition, and the
# helpers of `ops/calculus.py`.  Names are looked up when the expression runs, so the order of
# definition does not matter.
NAMES: dict[str, Any] = {}
SHAPE_ONLY = {"shape", "ndim", "dtype", "size"}  # attributes that need no elements


# For expressions with a matrix product.  A BLAS may compute on what lies beside its operands: never
# seen in the result, but it raises floating-point flags at random (OpenBLAS 0.3.31 for float32 rows
# of five; Accelerate for many shapes).
quiet = np.errstate(all="ignore")


def compile_expression(title: str, signature: str, expression: str) -> Callable[..., Any]:
    """The function ``def f(signature): return expression``, whose source line shows in a traceback.

    title: 'forward.tanh' or 'rule.tanh.x'; the function is named by what follows the first dot.
    """
    filename = f"<{title}>"
    name = "_".join(title.split(".")[1:])
    source = f"def {name}({signature}):\n    return {expression}\n"
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    scope: dict[str, Any] = {}
    exec(compile(source, filename, "exec"), NAMES, scope)
    function: Callable[..., Any] = scope.popitem()[1]
    return quiet(function) if "@" in expression else function


def free_names(expression: str) -> frozenset[str]:
    """The names an expression reads: ``free_names("g * (1 - y * y)") == {"g", "y"}``."""
    return frozenset(
        node.id
        for node in ast.walk(ast.parse(expression, mode="eval"))
        if isinstance(node, ast.Name)
    )


@cache
def arrays_read(rule: str) -> frozenset[str]:
    """The names whose *elements* a rule reads (``x.shape`` needs no elements): what must be as it
    was when the backward pass comes.

    For a variadic input, ``xs[:i]`` stands for the part that is read.
    """
    found: set[str] = set()

    def look(node: ast.AST) -> None:
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.attr in SHAPE_ONLY
        ):
            return
        if isinstance(node, ast.Call) and getattr(
            NAMES.get(ast.unparse(node.func)), "reads_shapes", False
        ):
            return
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            found.add(ast.unparse(node))
            return look(node.slice)
        if isinstance(node, ast.Name):
            found.add(node.id)
        for child in ast.iter_child_nodes(node):
            look(child)

    look(ast.parse(rule, mode="eval"))
    return frozenset(found)
