"""Change a number and watch: what the page needs to compute forward and backward by itself.

All numbers to the last digit, the settings of the ops, and the ops' forwards and rules as
JavaScript.  The page first computes everything again and compares; it uses only what came out as
recorded.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...autodiff.operation import REGISTRY
from ..record.steps import EXACT, Node, Recording, Step
from .javascript import Translation, Untranslatable, quoted


def why_not(trace: Recording, steps: Sequence[Step]) -> str:
    """Why nothing can be changed on the page; '' if it can."""
    if len(steps) < trace.total:
        return "not all steps are on this page"
    if any(n.exact is None for n in trace.nodes):
        return f"its arrays have more than {EXACT:,} numbers together"
    if any(n.op and n.op not in REGISTRY for n in trace.nodes):
        return "it has an op that is not registered any more"
    other = next((n for n in trace.nodes if n.op and n.dtype != "float64"), None)
    if other:
        return f"{other.name} is {other.dtype}, and the page computes in float64"
    return ""


def numbers(trace: Recording, steps: Sequence[Step]) -> dict[str, Any]:
    """Values, gradients and settings to the last bit, as small JSON; or ``{"off": why not}``."""
    reason = why_not(trace, steps)
    if reason:
        return {"off": reason}
    blobs = _Blobs()
    values = [blobs.number(n.exact) for n in trace.nodes]
    gradients = [
        [blobs.number(s.incoming), [blobs.number(c.added) for c in s.contributions]] for s in steps
    ]
    made = {n.id: _settings(n, trace.nodes) for n in trace.nodes if n.op}
    settings = {k: given for k, given in made.items() if given}
    told = {"values": values, "steps": gradients, "settings": settings}
    return {**told, "blobs": list(blobs.known)}


class _Blobs:
    """Arrays as base64 of their bytes, each once."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def number(self, array: Any) -> int:
        data = np.ascontiguousarray(array, dtype="<f8").tobytes()
        return self.known.setdefault(base64.b64encode(data).decode(), len(self.known))


def _settings(node: Node, nodes: Sequence[Node]) -> list[Any] | str:
    """The settings of an op in the order of its definition; a word where one cannot be written."""
    defaults: dict[str, Any] = REGISTRY[str(node.op)].defaults
    given = {**defaults, **(node.settings or {})}
    # an index is one of the input, but of the result where its shape is a setting (index_add)
    shape = given.get("shape", nodes[node.parents[0]].shape)
    try:
        return [_setting(name, given[name], shape) for name in defaults]
    except TypeError as error:
        return str(error)


def _setting(name: str, value: Any, shape: tuple[int, ...]) -> Any:
    """A setting as JSON; an index as the places that it picks from an array of `shape`."""
    if name == "index":
        picked = np.arange(math.prod(shape)).reshape(shape)[value]
        return {"shape": list(np.shape(picked)), "places": np.ravel(picked).tolist()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, tuple | list):
        return [_setting("", part, shape) for part in value]
    raise TypeError(f"its setting {name} is a {type(value).__name__}")


def program(trace: Recording) -> str:
    """The ops of a trace as JavaScript: ``laws[op]`` is its inputs, forward and rules, or why there
    are none.
    """
    translation, laws = Translation(), []
    for name in sorted({n.op for n in trace.nodes if n.op}):
        try:
            law = translation.op(REGISTRY[name])
        except Untranslatable as reason:
            law = quoted(str(reason))
        laws.append(f"{quoted(name)}: {law},\n")
    functions = [f"const {name} = {text};\n" for name, text in translation.functions.items()]
    head = "// --- the ops of this graph, translated from their definitions in Python ---\n"
    return f"{head}{''.join(functions)}const laws = {{\n{''.join(laws)}}};\n"
