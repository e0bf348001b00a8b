"""A claim: a sentence of the chapter, the exact answer, what the code measures, and a bug that it
must catch.

A claim is written as its measurement, with everything else in the decorator:

    @claim("fan-out", "a value that is used twice receives both gradients", expected=4.0,
    tolerance=0.0,
           reason="small integers are exact", sabotage=edit(engine.backpropagate, "known +
           contribution", "contribution"))
    def _(run): ...

`expected` comes from `analytic/` or from a formula that is written out, never from what is
measured; the tolerance comes with its reason (rounding, order of convergence, 4 standard errors).
A sabotage changes production code and nothing else (see `bugs`).  A claim has caught it if it still
ran to a finite number and missed by more than ten tolerances.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..experiments.run import Run, generator, mean_and_error

__all__ = ["CLAIMS", "EPS", "Claim", "Result", "Run", "claim", "generator", "mean_and_error"]
EPS = float(np.finfo(float).eps)  # twice the rounding of a float64, relative


@dataclass(frozen=True)
class Result:
    """One row of the ledger; the JSON form has these fields and no others."""

    id: str
    topic: str
    statement: str
    expected: float
    measured: float
    tolerance: float
    passed: bool


@dataclass(frozen=True)
class Claim:
    """See the top of this file.  `expected` and `tolerance` may be functions of the run."""

    id: str
    topic: str
    statement: str
    expected: float | Callable[[Run], float]
    tolerance: float | Callable[[Run], float]
    reason: str
    sabotage: Callable[[], AbstractContextManager[Any]]
    measure: Callable[[Run], float]
    thorough: bool = False  # takes seconds: the short form of a lesson leaves it to `verify`

    def _allowed(self, run: Run) -> tuple[float, float]:
        """(expected, tolerance), computed where they are functions of the run."""
        expected = self.expected(run) if callable(self.expected) else self.expected
        tolerance = self.tolerance(run) if callable(self.tolerance) else self.tolerance
        return float(expected), float(tolerance)

    def check(self, run: Run) -> Result:
        """Measure and compare.  What raises propagates: an exception is an error, not a miss."""
        expected, tolerance = self._allowed(run)
        measured = float(self.measure(run))
        passed = math.isfinite(measured) and abs(measured - expected) <= tolerance
        # JSON knows neither infinity nor NaN
        largest = math.copysign(sys.float_info.max, measured)
        finite = measured if math.isfinite(measured) else largest
        return Result(self.id, self.topic, self.statement, expected, finite, tolerance, passed)

    def caught(self, run: Run) -> tuple[str, float]:
        """('caught', 'missed' or 'ERROR ...', by how many tolerances) under this claim's own
        sabotage.
        """
        expected, tolerance = self._allowed(run)
        try:
            with self.sabotage():
                measured = float(self.measure(Run(run.fast, run.full, run.seed, run.starts)))
        except Exception as error:
            return f"ERROR {type(error).__name__}: {error}".splitlines()[0], math.nan
        if not math.isfinite(measured):
            return "ERROR not a finite number", math.nan
        miss = abs(measured - expected)
        if not tolerance:
            return ("caught", math.inf) if miss else ("missed", 0.0)
        ratio = miss / tolerance
        return ("caught" if ratio > 10 else "missed"), ratio


CLAIMS: list[Claim] = []


def claim(
    id: str,
    statement: str,
    *,
    expected: float | Callable[[Run], float],
    tolerance: float | Callable[[Run], float],
    reason: str,
    sabotage: Callable[[], AbstractContextManager[Any]],
    thorough: bool = False,
) -> Callable[[Callable[[Run], float]], Claim]:
    """Decorator: register the function below it as the measurement of a claim.  The topic is the
    name of the file, up to a double underscore: ``02_linear_autoencoder__landscape.py`` continues
    ``02_linear_autoencoder.py``.
    """

    def register(measure: Callable[[Run], float]) -> Claim:
        topic = Path(measure.__code__.co_filename).stem.removeprefix("lesson_")
        made = Claim(id, topic, statement, expected, tolerance, reason, sabotage, measure, thorough)
        if any(c.id == id for c in CLAIMS):
            raise ValueError(f"two claims are called {id!r}")
        CLAIMS.append(made)
        return made

    return register
