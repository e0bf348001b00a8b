"""Was this one rule right, here, at these numbers?  The local check beside every number of a trace.

Two questions are asked of the forward alone, both by a complex step (see `check`).  Is the rule
right as a whole: a random vector comes in, `check.rule_error`?  And is what it sent *in this pass*
right, element by element: the four largest entries and a random one?  The second gives the two
numbers that are shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autodiff import engine
from ...autodiff.check import FLOOR, RELATIVE, STEP, rule_error
from ...autodiff.graph import Value


@dataclass(frozen=True)
class Verdict:
    """How a gradient compares with what the forward says.

    status      'ok', 'failed', 'kink' (not differentiable there) or 'skipped' (reason says why)
    analytic    the number by the rules, and `numeric` the forward's
    error       their distance, relative to the terms that were added up
    """

    status: str
    analytic: float | None = None
    numeric: float | None = None
    error: float | None = None
    tolerance: float | None = None
    reason: str = ""

    @property
    def ok(self) -> bool:
        """Not wrong: agreed, or could not be judged."""
        return self.status != "failed"

    @property
    def judged(self) -> bool:
        """Agreed or wrong, not left open."""
        return self.status in ("ok", "failed")


@dataclass(frozen=True)
class Check(Verdict):
    """How a rule compares with its forward.

    index       the element where the two agree least: `analytic` and `numeric` are the numbers
                there
    digits      -log10 of the error, at most 16
    n           how many elements were compared one by one
    """

    tolerance: float | None = RELATIVE
    index: tuple[int, ...] | None = None
    n: int = 0

    @property
    def digits(self) -> float | None:
        """Digits of agreement, at most 16."""
        if self.error is None or not np.isfinite(self.error):
            return None
        return 16.0 if self.error < 1e-16 else float(-np.log10(self.error))


NOT_ASKED = Check("skipped", reason="numeric=False")


@np.errstate(all="ignore")
def local_check(value: Value, i: int, g: Any, rng: np.random.Generator) -> Check:
    """Compare the rule for input number `i` of `value` with a complex step of its forward, in
    float64.
    """
    op: Any = value.op
    whole, complaint = rule_error(op, i, value.arrays, value.params, rng)
    if np.isnan(whole):
        return Check("skipped", reason=complaint)
    arrays = in_float64(value)
    x, g = arrays[i], np.asarray(g, np.float64)
    if x.size == 0:
        return Check("failed" if complaint else "skipped", reason=complaint or "no elements")
    smooth = np.isfinite(x)
    if op.kink is not None:
        kinks = np.asarray(op.kink(*arrays, **value.params)[i], np.float64)
        smooth &= engine.unbroadcast(kinks, x.shape) == 0
    try:
        sent = _sent(value, i, g, arrays)
        if not np.any(smooth & (sent != 0)) and not smooth.all():
            kink = "not differentiable where something was sent"
            return Check("failed" if complaint else "kink", reason=complaint or kink)
        compared = [
            _compare(value, i, g, arrays, sent, flat) for flat in _choose(sent, smooth, rng)
        ]
    except Exception as error:
        raised = f"{type(error).__name__}: {error}".splitlines()[0]
        return Check("failed", error=whole, reason=complaint or raised)
    index, analytic, numeric, miss, bound = max(
        compared, key=lambda c: c[3] / c[4] if c[3] == c[3] else -1.0
    )
    numbers: dict[str, Any] = {"analytic": analytic, "numeric": numeric, "index": index}
    numbers["n"] = len(compared)
    if not (np.isfinite(analytic) and np.isfinite(numeric)) and not complaint:
        return Check("skipped", reason="the numbers are not finite", **numbers)
    if miss > bound and not complaint:
        complaint = "rule and forward differ at this element"
    status = "failed" if complaint else "ok"
    return Check(status, error=max(miss, whole), reason=complaint, **numbers)


def in_float64(value: Value) -> list[Any]:
    """The inputs of an op: in float64 where a gradient may flow, any other as it is."""
    op: Any = value.op
    return [
        np.asarray(a, np.float64) if on else a
        for a, on in zip(value.arrays, op.active, strict=False)
    ]


def _sent(value: Value, i: int, g: np.ndarray, arrays: list[np.ndarray]) -> np.ndarray:
    """The contribution to input `i` once more, in float64."""
    op: Any = value.op
    y = np.asarray(op.forward(*arrays, **value.params))
    rule, extra = (op.vjps[0], {"i": i}) if op.variadic else (op.vjps[i], {})
    raw = np.asarray(rule(g, y, *arrays, **value.params, **extra))
    return np.asarray(engine.unbroadcast(raw, arrays[i].shape))


def _choose(sent: np.ndarray, smooth: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Four entries where most was sent, and a random one; never on a kink."""
    places = np.flatnonzero(smooth)
    size = np.nan_to_num(np.abs(sent.ravel()[places]), nan=np.inf)
    largest = places[np.argsort(-size, kind="stable")[:4]]
    return list(dict.fromkeys([*largest.tolist(), int(rng.choice(places))]))


def _compare(
    value: Value, i: int, g: np.ndarray, arrays: list[np.ndarray], sent: np.ndarray, flat: int
) -> tuple[tuple[int, ...], float, float, float, float]:
    """(index, the rule's number, the forward's number, relative error, what it may be) at one
    element.
    """
    op: Any = value.op
    x = arrays[i]
    index = tuple(int(k) for k in np.unravel_index(flat, x.shape))
    scale = min(abs(float(x[index])), 1.0) or 1.0
    moved = x.astype(complex)
    moved[index] += 1j * STEP * scale
    slope = np.asarray(op.forward(*arrays[:i], moved, *arrays[i + 1 :], **value.params)).imag / (
        STEP * scale
    )
    terms = np.where(slope == 0, 0, g * slope)
    analytic, numeric = float(sent[index]), float(np.sum(terms))
    size = float(np.sum(np.abs(terms))) + abs(analytic) or 1.0
    floor = FLOOR * float(np.linalg.norm(g)) / scale
    return index, analytic, numeric, abs(analytic - numeric) / size, RELATIVE + floor / size
