"""What comes into the graph: pixels, copies without a history, noise."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...autodiff.graph import Value
from ...autodiff.origin import source_line
from .question import Answers, suspicion
from .scene import Scene
from .source import Line, called, line_of, nodes_of, place

PIXELS = {15, 16, 127, 128, 255, 256}  # by what pixels are divided
WHOLE = {"int", "int8", "int16", "int32", "int64", "uint8", "long"}
COPIES = {"tensor", "Parameter", "array", "asarray", "Tensor"}
PLAIN = {"numpy", "tolist", "item"}  # methods that leave the graph; so does the attribute data


# --- pixels ---------------------------------------------------------------------------------------


@suspicion(
    "pixels divided as whole numbers",
    "// drops what is behind the decimal point, and nearly all pixels become 0: divide by /",
)
def whole_pixels(scene: Scene) -> Answers:
    """Data of nothing but 0 and 1 (or a few whole numbers) that a `//` made."""
    arrays = [array for array, _ in scene.constants()]
    arrays += [np.asarray(scene.data)] if scene.data is not None else []
    coarse = next((a for a in arrays if a.ndim > 1 and only_whole(a)), None)
    if coarse is None:
        return
    zeros = 1 - np.count_nonzero(coarse) / coarse.size
    for line in whole_divisions(scene):
        yield f"data {coarse.shape} are whole numbers, {zeros:.1%} of them 0", line


def only_whole(array: np.ndarray) -> bool:
    """Whether an array has whole numbers only, from 0 to 17 at the most."""
    if array.dtype.kind not in "fiu" or array.size == 0:
        return False
    low, high = float(array.min()), float(array.max())
    return low >= 0 and high <= max(PIXELS) // min(PIXELS) and not np.any(array % 1)


def whole_divisions(scene: Scene) -> Iterator[Line]:
    """Lines like ``X // 255``, ``X // X.max()`` and ``(X / 255).astype(int)``."""
    for file, node in nodes_of(scene.files):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv):
            if is_pixel_scale(node.right):
                yield line_of(file, node)
        elif called(node) == "astype" and isinstance(node, ast.Call) and node.args:
            kind = node.args[0]
            name = getattr(kind, "attr", None) or getattr(kind, "id", None)
            name = name or getattr(kind, "value", None)
            whole = getattr(node.func, "value", None)
            if name in WHOLE and isinstance(whole, ast.BinOp) and isinstance(whole.op, ast.Div):
                yield line_of(file, node)


def is_pixel_scale(node: ast.AST) -> bool:
    """255 and its like, or a call of max."""
    return called(node) in ("max", "amax") or getattr(node, "value", None) in PIXELS


# --- cut graphs -----------------------------------------------------------------------------------


@suspicion(
    "the graph is cut",
    "no gradient comes through a copy of the numbers: use the tensor itself",
)
def cut_graph(scene: Scene) -> Answers:
    """Parameters that get no gradient, and a line that copies numbers out of the graph."""
    lost = scene.unreached()
    if not lost or not scene.leaves or len(lost) == len(scene.trainable):
        return
    names = ", ".join(p.name or f"a parameter {p._data.shape}" for p in lost[:3])
    reason = f"no gradient reaches {names}" + (f" and {len(lost) - 3} more" if lost[3:] else "")
    constants = [x for v in scene.made for x in v.inputs if isinstance(x, Value) and not x.op]
    for x in (x for x in constants if x.params and not x.requires_grad):
        if x.params["by"] in ("detach", "no_grad"):
            yield reason, source_line(x)
            return
    if scene.history is None:
        yield from ((reason, line) for line in copies(scene))
        return
    copied = (scene.history.copy_of(x) for x in constants)
    yield from ((reason, place(origin)) for origin in copied if origin is not None)


def copies(scene: Scene) -> Iterator[Line]:
    """Lines like ``mg.tensor(h.numpy())`` in the functions that made the graph."""
    spans = {(v.origin[0].co_filename, v.origin[0].co_firstlineno) for v in scene.made if v.origin}
    for file, node in nodes_of(scene.files):
        if not isinstance(node, ast.Call) or called(node) not in COPIES or not node.args:
            continue
        copied = any(leaves_graph(part) for part in ast.walk(node.args[0]))
        if copied and any(file == name and first <= node.lineno for name, first in spans):
            yield line_of(file, node)


def leaves_graph(node: ast.AST) -> bool:
    """``h.numpy()``, ``h.data``, ``h.tolist()``."""
    return called(node) in PLAIN or (isinstance(node, ast.Attribute) and node.attr == "data")


# --- noise ----------------------------------------------------------------------------------------


@suspicion(
    "the same noise again",
    "draw it anew at each step, from one generator that is made once, before the loop",
)
def same_noise(scene: Scene) -> Answers:
    """Noise that came again after the parameters had moved."""
    lives = [scene.history.life(x) for x in scene.leaves] if scene.history else []
    again: dict[Any, int] = {}
    for life in (life for life in lives if life is not None):
        again |= life.again
    for v in scene.made:
        if v.origin in again:
            times = again[v.origin]
            reason = f"what {v.op.name} drew here has the numbers of an earlier step"
            yield f"{reason}, {times} times", scene.at(v)
