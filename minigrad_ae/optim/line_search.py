"""A line search for the strong Wolfe conditions that still works where differences of the loss are
only rounding.

Along a line, phi(a) = f(x + a d) with phi'(0) < 0.  Wanted is a step a with (Nocedal & Wright 2006,
eq. 3.7)

    phi(a) <= phi(0) + c1 a phi'(0)       it goes down, by a fair part of what the slope promises
    abs(phi'(a)) <= c2 abs(phi'(0))       it is flatter there

The search brackets such a step (algorithm 3.5) and closes in on it by cubic interpolation
(algorithm 3.6).

Near a minimum the decrease is second order, smaller than the rounding error of f, although the
slope, which is first order, still has correct digits.  So losses are compared up to `noise`, the
rounding error of f; where they do not differ by more, the slopes decide.  This is the idea of the
approximate Wolfe conditions (Hager & Zhang 2005, eq. 1.7).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Trial:
    """A point on the line: the step a, phi(a) (inf where it or its slope is not finite), phi'(a),
    and what belongs to it.
    """

    step: float
    value: float
    slope: float
    point: Any = None


class LineSearch:
    """The search from phi(0), which `start` holds.

    evaluate : step -> Trial.   noise : differences of the loss up to it mean nothing.   limit :
    evaluations at most.
    """

    def __init__(
        self,
        evaluate: Callable[[float], Trial],
        start: Trial,
        c1: float = 1e-4,
        c2: float = 0.9,
        noise: float = 0.0,
        limit: int = 30,
    ) -> None:
        self.evaluate, self.start = evaluate, start
        self.c1, self.c2, self.noise, self.left = c1, c2, noise, limit

    def search(self, first: float) -> tuple[Trial, str]:
        """Bracket, beginning with the step `first` > 0 (Nocedal & Wright, algorithm 3.5).

        Returns the trial where it ends and how: 'wolfe'; 'approximate', the same up to noise; or
        'failed', with the best trial, maybe step 0.
        """
        before, step = self.start, first
        while self.left > 0:
            self.left -= 1
            trial = self.evaluate(step)
            if self._too_high(trial, before):
                return self._zoom(before, trial)
            if self._flat(trial):
                return self._accept(trial)
            if trial.slope >= 0:
                return self._zoom(trial, before)
            before, step = trial, _beyond(before, trial)
        return before, "failed"

    def _zoom(self, low: Trial, high: Trial) -> tuple[Trial, str]:
        """Close in (algorithm 3.6).  `low` is the lowest so far, and its slope falls towards
        `high`.
        """
        widths = [math.inf, math.inf]
        while self.left > 0:
            width = abs(high.step - low.step)
            slow = width > 0.66 * widths[-2]
            widths.append(width)
            step = low.step + (high.step - low.step) * (
                0.5 if slow else _inside(low, high, self.noise)
            )
            if step in (low.step, high.step):  # neighbours in floating point
                break
            self.left -= 1
            trial = self.evaluate(step)
            if self._too_high(trial, low):
                high = trial
                continue
            if self._flat(trial):
                return self._accept(trial)
            if trial.slope * (high.step - low.step) >= 0:
                high = low
            low = trial
        return low, "failed"

    def _promised(self, trial: Trial) -> float:
        """phi(0) + c1 a phi'(0)."""
        return self.start.value + self.c1 * trial.step * self.start.slope

    def _too_high(self, trial: Trial, lowest: Trial) -> bool:
        limit = min(self._promised(trial), lowest.value) + self.noise
        return not trial.value <= limit  # also for NaN

    def _flat(self, trial: Trial) -> bool:
        return abs(trial.slope) <= self.c2 * abs(self.start.slope)

    def _accept(self, trial: Trial) -> tuple[Trial, str]:
        return trial, "wolfe" if trial.value <= self._promised(trial) else "approximate"


def cubic_minimum(a: Trial, b: Trial) -> float | None:
    """Where the cubic through values and slopes at `a` and `b` has its minimum (eq. 3.59); None if
    it has none.
    """
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    root = d1 * d1 - a.slope * b.slope
    if not 0 <= root < math.inf:
        return None
    d2 = math.copysign(math.sqrt(root), b.step - a.step)
    denominator = b.slope - a.slope + 2 * d2
    if denominator == 0:
        return None
    return b.step - (b.step - a.step) * (b.slope + d2 - d1) / denominator


def _inside(low: Trial, high: Trial, noise: float) -> float:
    """Where to try next between `low` (0) and `high` (1): not within a tenth of the ends."""
    width = high.step - low.step
    if not math.isfinite(high.value):
        return 0.1
    guess = None
    if abs(high.value - low.value) > noise:
        guess = cubic_minimum(low, high)
    # the values say nothing: where the straight line through the slopes is zero
    elif low.slope * high.slope < 0:
        guess = low.step - low.slope * width / (high.slope - low.slope)
    return 0.5 if guess is None else float(np.clip((guess - low.step) / width, 0.1, 0.9))


def _beyond(before: Trial, last: Trial) -> float:
    """The next step out: the cubic's minimum, 1.5 to 10 times as far as the last advance."""
    advance = last.step - before.step
    nearest, farthest = last.step + 0.5 * advance, last.step + 9 * advance
    guess = cubic_minimum(before, last)
    return farthest if guess is None or guess <= last.step else min(max(guess, nearest), farthest)
