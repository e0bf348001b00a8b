"""A claim: a sentence of the chapter, what it is held to, what the code measures, and a bug that it
must catch.

A claim is written as its measurement, with everything else in the decorator:

    @claim("fan-out", "a value that is used twice receives both gradients", kind="exact",
           expected=4.0, tolerance=0.0, reason="small integers are exact",
           sabotage=edit(engine.backpropagate, "add(known, new)", "new"))
    def _(run): ...

Its kind says what it is held to: `exact`, a closed form or an identity; `bound`, a side that theory
forbids; `statistical`, an exact value to which a sample comes within standard errors; `empirical`,
a bar or a count that its statement names, which no theory gives.

`expected` comes from `analytic/` or from a formula that is written out, never from what is
measured; the tolerance comes with its reason (rounding, order of convergence, 5 standard errors).
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

from ..arguments import choice
from ..experiments.run import Run, generator, mean_and_error

__all__ = [
    "CLAIMS",
    "EPS",
    "KINDS",
    "Claim",
    "Result",
    "Run",
    "claim",
    "generator",
    "mean_and_error",
]
EPS = float(np.finfo(float).eps)  # twice the rounding of a float64, relative
KINDS = ("exact", "bound", "statistical", "empirical")


@dataclass(frozen=True)
class Result:
    """One row of the ledger; its JSON form has these fields and no others.

    Parameters
    ----------
    id : str
        Name of the claim, such as ``"fan-out"``; no other claim has it.
    topic : str
        The lesson it belongs to, such as ``"01_backpropagation"``.
    statement : str
        The sentence of the chapter, with the number that is measured.
    expected : float
        What it is held to.
    measured : float
        What the code gave; the largest float where that is infinite or NaN, which JSON lacks.
    tolerance : float
        How far apart the two may be.
    passed : bool
        ``abs(measured - expected) <= tolerance``, and the measurement was finite.

    Examples
    --------
    >>> fan_out = mg.claims.claims("01_backpropagation")[1]
    >>> result = fan_out.check(mg.claims.Run(fast=True))
    >>> result.statement
    'a value that is used twice adds both gradients: b = a + a, c = b + b, dc/da'
    >>> result.expected, result.measured, result.tolerance, result.passed
    (4.0, 4.0, 0.0, True)
    """

    id: str
    topic: str
    statement: str
    expected: float
    measured: float
    tolerance: float
    passed: bool


@dataclass(frozen=True)
class Claim:
    """A sentence of the chapter with what it is held to, its measurement, and a bug it must catch.

    Written with the decorator `claim`; `mg.claims.claims` lists those of the lessons.

    Parameters
    ----------
    id : str
        Name of the claim; no other has it.
    topic : str
        The lesson it belongs to.
    kind : {"exact", "bound", "statistical", "empirical"}
        What it is held to: a closed form or an identity; a side that theory forbids; an exact
        value, to within standard errors; a bar or a count that the statement names.
    statement : str
        The sentence, with the number that is measured.
    expected : float or callable
        What it is held to, or a function of the run that computes it: from `mg.analytic` or a
        formula that is written out, never from what is measured.
    tolerance : float or callable
        How far off the measurement may be, or a function of the run that computes it.
    reason : str
        Why that far: rounding, order of convergence, 5 standard errors.
    sabotage : callable
        Returns a context manager that plants a bug in production code.
    measure : callable
        ``measure(run) -> float``.
    thorough : bool, optional
        Whether it takes seconds: a lesson leaves it to ``verify``, unless run with ``--full``.

    Examples
    --------
    >>> fan_out = mg.claims.claims("01_backpropagation")[1]
    >>> fan_out.kind, fan_out.reason
    ('exact', 'small integers are exact')
    >>> fan_out.check(mg.claims.Run(fast=True)).passed
    True

    With its bug planted (a gradient that arrives overwrites the one that is there), it fails:

    >>> fan_out.caught(mg.claims.Run(fast=True))
    ('caught', inf)
    """

    id: str
    topic: str
    kind: str
    statement: str
    expected: float | Callable[[Run], float]
    tolerance: float | Callable[[Run], float]
    reason: str
    sabotage: Callable[[], AbstractContextManager[Any]]
    measure: Callable[[Run], float]
    thorough: bool = False  # takes seconds: a lesson leaves it to `verify`

    def _allowed(self, run: Run) -> tuple[float, float]:
        """(expected, tolerance), computed where they are functions of the run."""
        expected = self.expected(run) if callable(self.expected) else self.expected
        tolerance = self.tolerance(run) if callable(self.tolerance) else self.tolerance
        return float(expected), float(tolerance)

    def check(self, run: Run) -> Result:
        """Measure and compare.

        Parameters
        ----------
        run : Run
            The settings, and what other claims have computed already.

        Returns
        -------
        Result
            The row of the ledger.

        Notes
        -----
        What the measurement raises propagates: an exception is an error, not a miss.
        """
        expected, tolerance = self._allowed(run)
        measured = float(self.measure(run))
        passed = math.isfinite(measured) and abs(measured - expected) <= tolerance
        if not math.isfinite(measured):  # JSON knows neither infinity nor NaN
            measured = math.copysign(sys.float_info.max, measured)
        return Result(self.id, self.topic, self.statement, expected, measured, tolerance, passed)

    def caught(self, run: Run) -> tuple[str, float]:
        """Whether the claim notices its own bug.

        Parameters
        ----------
        run : Run
            Its settings; nothing that it holds is used while the bug is there.

        Returns
        -------
        verdict : str
            'caught' where the measurement ran to a finite number and missed by more than ten
            tolerances, 'missed', or 'ERROR ...' where it raised or was not finite.
        ratio : float
            By how many tolerances it missed; infinite where none is allowed, NaN after an error.
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
    kind: str,
    expected: float | Callable[[Run], float],
    tolerance: float | Callable[[Run], float],
    reason: str,
    sabotage: Callable[[], AbstractContextManager[Any]],
    thorough: bool = False,
) -> Callable[[Callable[[Run], float]], Claim]:
    """Decorator that makes the function below it the measurement of a claim.

    Parameters
    ----------
    id : str
        Name of the claim; no other has it.
    statement : str
        The sentence of the chapter, with the number that is measured.
    kind : {"exact", "bound", "statistical", "empirical"}
        What it is held to; see `Claim`.
    expected : float or callable
        The number, or a function of the run that computes it.
    tolerance : float or callable
        How far off the measurement may be, or a function of the run that computes it.
    reason : str
        Why that far.
    sabotage : callable
        Returns a context manager that plants a bug in production code (see `bugs`).
    thorough : bool, optional
        Whether it takes seconds: a lesson leaves it to ``verify``, unless run with ``--full``.

    Returns
    -------
    callable
        Takes ``measure(run) -> float``, and returns the `Claim`, which is now in `CLAIMS`.  Its
        topic is the name of the file that `measure` is written in, without ``lesson_``.

    Raises
    ------
    ValueError
        If another claim has this id.
    DataError
        If there is no such kind.
    """

    choice(kind, KINDS, f"claim {id!r}", "kind of claim")

    def register(measure: Callable[[Run], float]) -> Claim:
        topic = Path(measure.__code__.co_filename).stem.removeprefix("lesson_")
        held_to = (kind, statement, expected, tolerance, reason)
        made = Claim(id, topic, *held_to, sabotage, measure, thorough)
        if any(c.id == id for c in CLAIMS):
            raise ValueError(f"two claims are called {id!r}")
        CLAIMS.append(made)
        return made

    return register
