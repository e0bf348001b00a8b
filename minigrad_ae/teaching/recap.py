"""The end of a lesson: what this run measured, and the ledger's rows on the shipped data."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from ..claims import Run, ledger


@dataclass(frozen=True)
class Measured:
    """A number of this run, and what it is held to: an exact answer, a bound, or nothing."""

    what: str
    value: float
    exact: float | None = None
    tolerance: float = 0.0
    at_most: float | None = None
    at_least: float | None = None

    @property
    def holds(self) -> bool | None:
        """Whether theory and measurement agree; None where nothing is held to."""
        if self.exact is not None:
            return abs(self.value - self.exact) <= self.tolerance
        if self.at_most is not None:
            return self.value <= self.at_most
        if self.at_least is not None:
            return self.value >= self.at_least
        return None

    def line(self) -> str:
        """The row of the table."""
        theory, tolerance = "", ""
        if self.exact is not None:
            theory, tolerance = f"{self.exact:.6g}", f"{self.tolerance:.1e}"
        elif self.at_most is not None:
            theory = f"<= {self.at_most:.4g}"
        elif self.at_least is not None:
            theory = f">= {self.at_least:.4g}"
        verdict = {True: "holds", False: "NOT", None: ""}[self.holds]
        start = f"{self.what:<50} {self.value:>12.6g}"
        return f"{start} {theory:>12} {tolerance:>9}  {verdict}".rstrip()


def this_run(rows: list[Measured]) -> bool:
    """Print what this run measured; False if a row is not what theory says."""
    print(f"{'this run':<50} {'measured':>12} {'theory':>12} {'tolerance':>9}")
    for row in rows:
        print(row.line())
    return not any(row.holds is False for row in rows)


def the_ledger(topic: str, run: Run) -> bool:
    """Print the lesson's claims beside what they are held to; False if one fails."""
    claims = ledger.claims(topic)
    short = [c for c in claims if run.full or not c.thorough]
    results = ledger.read(short, run, sys.stdout)
    print(ledger.table(results))
    if len(short) < len(claims):
        more = len(claims) - len(short)
        print(f"{more} more claims take longer: `minigrad-ae verify` reads them too")
    return all(r.passed for r in results)


def contradiction(here: bool, there: bool) -> str:
    """What to say where this run and the ledger do not agree; '' where they do."""
    if here and not there:
        return (
            "A claim of the ledger FAILS, although this run is as theory says: "
            "`minigrad-ae verify` shows it by itself."
        )
    if there and not here:
        return (
            "A row of this run is NOT what theory says, although the ledger holds on the shipped "
            "data.\nThe ledger says nothing about your data and settings: undo the last change of "
            "the first cell, and see which one did it."
        )
    return ""
