"""Questions for the learner, and what each well-known wrong answer says about the one who gave it.

For every contribution one entry is asked for.  The wrong answers are computed here, from the arrays
of the trace, so that the page only compares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...display import corner, number
from ..record.steps import Contribution, Step

# code: what to say.  The page shows these sentences.
HINTS = {
    "sum": "You forgot to sum: the value was stretched (broadcast), so its gradient is the sum "
    "over the copies.",
    "mean": "You took the mean over the copies; the gradient of a value used many times is the "
    "sum.",
    "transposed": "That is transposed: check which factor comes first, and which one is "
    "transposed.",
    "sign": "Right size, wrong sign.",
    "incoming": "That is the incoming gradient itself: multiply it by the local slope of the op.",
    "local": "That is the local slope alone: multiply it by the incoming gradient.",
    "forward": "That is a forward value, not a gradient.",
    "total": "That is the total after this contribution; asked is what this step adds.",
    "double": "Twice too large: is there a factor 2 (from a square, or from a second use) that "
    "does not belong here?",
    "half": "Half of it: the square brings a factor 2, or the value is used twice.",
    "scalar": "The gradient has the shape of the value it belongs to, not the shape of the loss.",
    "shape": "The gradient has the shape of the value it belongs to.",
}


def question(
    step: Step, c: Contribution, value: Mapping[str, Any], limit: int
) -> dict[str, Any] | None:
    """{index, answer, wrong: [[number, code]], shapes: [[shape, code]]} for one contribution; None
    if nothing can be asked.

    value : summary of the forward value that the contribution belongs to.
    """
    head = corner(c.added, limit)
    if head.size == 0 or not np.isfinite(head).all():
        return None
    index = tuple(int(k) for k in np.unravel_index(int(np.argmax(np.abs(head))), head.shape))
    right = float(c.added[index])
    wrong = [
        (x, code)
        for x, code in _wrong(step, c, index, right, value)
        if np.isfinite(x) and not close(x, right)
    ]
    unique: list[tuple[float, str]] = []
    for x, code in wrong:
        if not any(close(x, y) for y, _ in unique):
            unique.append((x, code))
    values = [[number(x), code] for x, code in unique]
    shapes = [[list(s), code] for s, code in _wrong_shapes(c, step.incoming.shape).items()]
    asked = {"index": list(index), "answer": number(right), "wrong": values}
    return {**asked, "shape": list(c.shape), "shapes": shapes}


def close(x: float, right: float) -> bool:
    """Good to one per cent: what a person computes by hand or by eye."""
    return abs(x - right) <= 0.01 * abs(right) + 1e-12


def _wrong(
    step: Step, c: Contribution, index: tuple[int, ...], right: float, value: Mapping[str, Any]
) -> list[tuple[float, str]]:
    found: list[tuple[float, str]] = []
    if c.axes and c.raw is not None:
        found += [(x, "sum") for x in _unsummed(c, index)]
        count = int(np.prod([c.raw_shape[k] for k in c.axes]))
        found.append((right / count, "mean"))
    found.append((-right, "sign"))
    if c.added.ndim >= 2:
        swapped = (*index[:-2], index[-1], index[-2])
        if all(k < n for k, n in zip(swapped, c.shape, strict=True)):
            found.append((float(c.added[swapped]), "transposed"))
    if step.incoming.shape == c.shape:
        g = float(step.incoming[index])
        found.append((g, "incoming"))
        if g not in (0.0, 1.0):
            found.append((right / g, "local"))
    if c.before is not None:
        found.append((float(c.after[index]), "total"))
    if all(k < n for k, n in zip(index, value["head_shape"], strict=True)):
        place = int(np.ravel_multi_index(index, value["head_shape"])) if index else 0
        found.append((float(value["head"][place]), "forward"))
    return [*found, (2 * right, "double"), (right / 2, "half")]


def _unsummed(c: Contribution, index: tuple[int, ...]) -> list[float]:
    """The entries that should have been added up, the first of them: what stands there without a
    sum.
    """
    assert c.raw is not None
    lead = len(c.raw_shape) - len(c.shape)
    own = (slice(None) if lead + k in c.axes else j for k, j in enumerate(index))
    place: Any = (..., *own)
    return [float(x) for x in np.ravel(c.raw[place])[:8]]


def _wrong_shapes(c: Contribution, incoming: tuple[int, ...]) -> dict[tuple[int, ...], str]:
    found = {c.raw_shape: "sum"}
    for shape, code in ((c.shape[::-1], "transposed"), ((), "scalar"), (incoming, "shape")):
        found.setdefault(shape, code)
    return {shape: code for shape, code in found.items() if shape != c.shape}
