"""The ledger: every claim of every lesson, read against what it is held to, or each under its own
bug.
"""

from __future__ import annotations

import importlib
import math
import os
import re
import sys
import textwrap
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any, TextIO

from ..arguments import choice, members
from ..files import write_json
from .definition import CLAIMS, KINDS, Claim, Result, Run

NUMBER = re.compile(r"\d*\.?\d+")


def topics() -> list[str]:
    """The names of the lessons that have claims: the files of this folder.

    Returns
    -------
    list of str
        In the order of the lessons.

    Examples
    --------
    >>> mg.claims.topics()[:2]
    ['01_backpropagation', '02_linear_autoencoder']
    """
    return sorted(
        path.stem.removeprefix("lesson_") for path in Path(__file__).parent.glob("lesson_*.py")
    )


def claims(topic: str | None = None) -> list[Claim]:
    """The claims of one lesson, or of all, in their order.

    Parameters
    ----------
    topic : str or None, optional
        One of `topics`; None for all of them.

    Returns
    -------
    list of Claim
        Not measured yet.

    Raises
    ------
    DataError
        If there is no such topic.

    Examples
    --------
    >>> [each.id for each in mg.claims.claims("01_backpropagation")[:3]]
    ['chain-rule', 'fan-out', 'one-visit-per-edge']
    """
    fix = "name a lesson; topics() lists them"
    wanted = topics() if topic is None else [choice(topic, topics(), "claims", "topic", fix)]
    for name in wanted:
        importlib.import_module(f"{__package__}.lesson_{name}")
    return [c for name in wanted for c in CLAIMS if c.topic == name]


def counts(selected: Iterable[Claim] | None = None) -> dict[str, int]:
    """How many different statements there are of each kind.

    Claims of a lesson whose statements differ in a number only (a size, a seed) are one.

    Parameters
    ----------
    selected : iterable of Claim or None, optional
        Which claims; None for those of all lessons.

    Returns
    -------
    dict of str to int
        By kind: exact, bound, statistical, empirical.

    Raises
    ------
    DtypeError
        If they are not claims.

    Examples
    --------
    >>> mg.claims.counts(mg.claims.claims("01_backpropagation"))
    {'exact': 17, 'bound': 0, 'statistical': 0, 'empirical': 0}
    >>> six = [c for c in mg.claims.claims() if c.id.startswith("digits-loss")]
    >>> len(six), mg.claims.counts(six)["exact"]
    (6, 1)
    """
    everything = (
        claims() if selected is None else members(selected, Claim, "selected", "pass claims")
    )
    different = {(c.topic, NUMBER.sub("#", c.statement)): c.kind for c in everything}
    return {kind: list(different.values()).count(kind) for kind in KINDS}


def read(selected: Iterable[Claim], run: Run, out: TextIO | None = None) -> list[Result]:
    """Check the claims one after the other; one that raises is reported on `out` and counts as
    failed.
    """
    results = []
    for c in selected:
        try:
            results.append(c.check(run))
        except Exception as error:
            print(f"{c.id}: {type(error).__name__}: {error}", file=out or sys.stderr)
            results.append(Result(c.id, c.topic, c.statement, 0.0, sys.float_info.max, 0.0, False))
    return results


def table(results: Sequence[Result]) -> str:
    """Results as lines of ``claim | kind | expected | measured | tolerance | verdict``.

    Parameters
    ----------
    results : sequence of Result
        One row each; a long statement takes several lines.  The kind is that of the claim with
        this id, and blank where there is none.

    Returns
    -------
    str
        At most 100 columns wide, with a heading.

    Raises
    ------
    DtypeError
        If they are not results.

    Examples
    --------
    >>> result = mg.claims.claims("01_backpropagation")[1].check(mg.claims.Run(fast=True))
    >>> print(mg.claims.table([result]).splitlines()[-1].split()[-6:])
    ['dc/da', 'exact', '4', '4', '0.0e+00', 'PASS']
    """
    kinds = {c.id: c.kind for c in CLAIMS}
    heads = f"{'claim':<43} {'kind':<11} {'expected':>12} {'measured':>12} {'tolerance':>9}"
    lines = [f"{heads}  verdict"]
    for r in members(results, Result, "results", "pass what verify() returned"):
        *above, last = textwrap.wrap(r.statement, 43, subsequent_indent="  ")
        verdict = "PASS" if r.passed else "FAIL"
        numbers = f"{r.expected:>12.6g} {r.measured:>12.6g} {r.tolerance:>9.1e}"
        lines += [*above, f"{last:<43} {kinds.get(r.id, ''):<11} {numbers}  {verdict}"]
    return "\n".join(lines)


def verify(run: Run, topic: str | None = None, out: TextIO | None = None) -> list[Result]:
    """Read the ledger, lesson by lesson, and print it.

    Parameters
    ----------
    run : Run
        The settings; what it computes is shared by all claims.
    topic : str or None, optional
        One of `topics`; None for all of them.
    out : text file or None, optional
        Where to print; None for the standard output.

    Returns
    -------
    list of Result
        A row for each claim.  One that raises is printed, and counts as failed.
    """
    results: list[Result] = []
    for name in topics() if topic is None else [topic]:
        start = time.perf_counter()
        part = read(claims(name), run, out)
        seconds = time.perf_counter() - start
        print(f"\n{name}  ({seconds:.1f} s)\n{table(part)}", file=out, flush=True)
        results += part
    good = sum(r.passed for r in results)
    counted = counts(claims(topic))
    kinds = ", ".join(f"{n} {kind}" for kind, n in counted.items() if n)
    print(f"\n{good} of {len(results)} claims hold", file=out)
    print(f"{sum(counted.values())} different statements: {kinds}", file=out)
    return results


def sabotage(run: Run, out: TextIO | None = None) -> list[dict[str, Any]]:
    """Each claim under its own bug: the ledger is worth what its claims would notice.

    Parameters
    ----------
    run : Run
        The settings.
    out : text file or None, optional
        Where a line for each claim is printed; None for the standard output.

    Returns
    -------
    list of dict
        ``id``, ``topic``, ``verdict`` and ``caught`` of each claim; see `Claim.caught`.
    """
    rows: list[dict[str, Any]] = []
    for c in claims():
        verdict, ratio = c.caught(run)
        caught, miss = verdict == "caught", f"{ratio:.3g} tolerances off"
        if math.isinf(ratio):
            miss = "off by a number where none is allowed"
        line = f"{c.topic:<24} {c.id:<34} {verdict:<8} {miss if caught else ''}"
        print(line, file=out, flush=True)
        rows.append({"id": c.id, "topic": c.topic, "verdict": verdict, "caught": caught})
    print(f"\n{sum(r['caught'] for r in rows)} of {len(rows)} bugs caught by their claim", file=out)
    return rows


def matrix(run: Run, out: TextIO | None = None) -> list[dict[str, Any]]:
    """Every bug against every claim: which claims notice it?  (minutes)"""
    rows = []
    everything = claims()
    for planted in everything:
        with planted.sabotage():
            results = read(everything, Run(run.fast, run.full, run.seed), StringIO())
        noticed = [r.id for r in results if not r.passed]
        line = f"bug of {planted.id:<34} noticed by {len(noticed):>3}: {', '.join(noticed)[:90]}"
        print(line, file=out, flush=True)
        rows.append({"id": planted.id, "noticed": noticed, "caught": planted.id in noticed})
    return rows


def write_results(path: str | os.PathLike[str], results: Iterable[Result]) -> None:
    """The ledger in its JSON form."""
    write_json(path, [asdict(r) for r in results])
