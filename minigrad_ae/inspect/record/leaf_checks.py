"""End to end: does the gradient that a leaf received agree with the loss as a whole?

Each rule is checked where it stands (`witness`); this is the other half.  The leaf takes a complex
step in a random direction v, everything that depends on it is computed once more, and Im L / h must
be <gradient, v>: so nothing was forgotten, sent twice, or sent to the wrong place on the way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autodiff import engine
from ...autodiff.check import STEP
from ...autodiff.graph import Value
from .witness import Verdict, in_float64

BUDGET = 40_000_000  # elements that are computed once more, for all leaves together: about a second
AN_OP = 1000  # elements that could be computed while Python calls one op


@dataclass(frozen=True, kw_only=True)
class LeafCheck(Verdict):
    """The derivative of the loss along a random direction: `analytic` by the gradient, `numeric` by
    the loss itself.

    A 'kink' is an op on the way that is not differentiable there.  `error` is relative to the
    largest sum of terms on the way; half of the digits are asked for (`tolerance`), since terms may
    cancel where ways meet.
    """

    node: int
    name: str


def check_leaves(
    order: Sequence[Value],
    gradients: Mapping[int, np.ndarray],
    names: Mapping[int, str],
    ids: Mapping[int, int],
    rng: np.random.Generator,
) -> list[LeafCheck]:
    """A check for each leaf of a graph.  order : `engine.topological`.   gradients : {id of a
    value: what it received}.
    """
    left, found = BUDGET, []
    for leaf in (v for v in order if v.op is None and id(v) in gradients):
        way = _way(order, leaf) if left >= 0 else []
        facts: dict[str, Any] = {"status": "skipped"}
        left -= sum(v._data.size + AN_OP for v in way)
        if left < 0:
            facts["reason"] = "the graph is too large to compute it once more for every leaf"
        elif any(v.hooks for v in (leaf, *way)):
            facts["reason"] = "a hook changes the gradient on its way"
        else:
            facts = _compare(leaf, way, gradients, rng)
        found.append(LeafCheck(node=ids[id(leaf)], name=names[id(leaf)], **facts))
    return found


def _way(order: Sequence[Value], leaf: Value) -> list[Value]:
    """Everything that was computed from `leaf`, in order."""
    path = engine.towards(list(order), {leaf}) - {leaf}
    return [value for value in order if value in path]


@np.errstate(all="ignore")
def _compare(
    leaf: Value, way: Sequence[Value], gradients: Mapping[int, np.ndarray], rng: np.random.Generator
) -> dict[str, Any]:
    """The facts of a `LeafCheck`."""
    x, g = np.asarray(leaf._data, np.float64), np.asarray(gradients[id(leaf)], np.float64)
    v = rng.standard_normal(x.shape) * np.where(x == 0, 1, np.minimum(np.abs(x), 1))
    moved: dict[Value, Any] = {leaf: x + 1j * STEP * v}
    sizes = [float(np.sum(np.abs(g * v)))]
    for value in way:
        y = _again(value, moved)
        if y is None:
            name = value.op.name if value.op else ""
            return {"status": "kink", "reason": f"{name} is not differentiable at this point"}
        moved[value] = y
        received = gradients.get(id(value))
        sizes.append(0.0 if received is None else float(np.sum(np.abs(received * y.imag))) / STEP)
    numeric, analytic = float(np.sum(y.imag)) / STEP, float(np.sum(g * v))
    numbers = {"analytic": analytic, "numeric": numeric}
    if not (np.isfinite(numeric) and np.isfinite(analytic) and np.isfinite(max(sizes))):
        return {"status": "skipped", "reason": "the numbers are not finite", **numbers}
    error = abs(analytic - numeric) / (max(sizes) or 1.0)
    tolerance = float(np.sqrt(np.finfo(leaf._data.dtype).eps))
    status = "ok" if error <= tolerance else "failed"
    return {"status": status, **numbers, "error": error, "tolerance": tolerance}


def _again(value: Value, moved: Mapping[Value, Any]) -> Any:
    """The result of an op with its inputs moved, as a complex array; None if one of them is on a
    kink.
    """
    op: Any = value.op
    arrays = in_float64(value)
    for i, x in value.edges:
        if x not in moved:
            continue
        if op.kink is not None:
            kinks = np.asarray(
                op.kink(*(np.real(a) for a in arrays), **value.params)[i], np.float64
            )
            if np.any((engine.unbroadcast(kinks, x._data.shape) != 0) & (moved[x].imag != 0)):
                return None
        arrays[i] = moved[x]
    return np.asarray(op.forward(*arrays, **value.params), complex)
