"""Random programs, others at each seed, before all judges of tests/opinions.py.

    nox -s fuzz                        10,000 of them (half an hour)
    nox -s fuzz -- 2000 --seed 7       fewer, others

The result is tests/fuzz.json: how many programs were judged and by whom, how often each function
took part, and every disagreement, shrunk by hypothesis to the fewest steps.  It is written after
each round, so that a run which is stopped has said what it did.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections import Counter
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hypothesis
from opinions import JUDGES, always_the_same
from random_programs import STEPS, Program, programs

RESULTS = Path(__file__).parent / "fuzz.json"
ROUND = 250  # programs: after a disagreement, the next round goes on with others
RARELY = {"compiled": 40, "complex step of the gradient": 5}  # they take long: every so manieth


INSTALLED = [name for name in JUDGES if name != "PyTorch" or find_spec("torch")]


def agreed(name: str, program: Program) -> float:
    """How far the judge's numbers are from ours; AssertionError if they are too far."""
    apart = JUDGES[name](program)
    assert apart <= 1, f"{apart:.3g} tolerances apart"
    return apart


class Run:
    """What was judged, and what was found."""

    def __init__(self) -> None:
        self.judged: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.worst: dict[str, float] = {}
        self.disagreements: list[dict[str, str]] = []
        self.programs = 0
        self.last = ""  # the judge whose turn it was

    def judge(self, program: Program) -> None:
        """By all whose turn it is; AssertionError where one disagrees."""
        self.programs += 1
        self.steps.update(name for name, *_ in program.steps)
        for name in INSTALLED:
            if self.programs % RARELY.get(name, 1) == 0:
                self.judged[name] += 1
                self.last = name
                self.worst[name] = max(self.worst.get(name, 0.0), agreed(name, program))

    def round(self, n: int, seed: int) -> None:
        """`n` programs, or up to the first disagreement, which is shrunk."""
        failed: list[tuple[Program, str]] = []

        @hypothesis.seed(seed)
        @hypothesis.settings(always_the_same(n), derandomize=False)
        @hypothesis.given(programs)
        def judge(program: Program) -> None:
            try:
                if failed:  # being shrunk, which is not counted
                    agreed(self.last, program)
                else:
                    self.judge(program)
            except Exception as error:
                failed.append((program, f"{self.last}: {type(error).__name__}: {error}"))
                raise

        try:
            judge()
        except Exception:
            program, error = failed[-1]
            self.disagreements.append({"program": repr(program), "error": error, "seed": str(seed)})


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("programs", nargs="?", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    run, start = Run(), time.perf_counter()
    for k in range(-(-asked.programs // ROUND)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            run.round(min(ROUND, asked.programs - k * ROUND), asked.seed * 10_000 + k)
        asked.out.write_text(
            json.dumps(table(run, asked.seed, start), indent=1) + "\n", encoding="utf-8"
        )
        print(f"{run.programs} programs, {len(run.disagreements)} disagreements", flush=True)
    return bool(run.disagreements)


def table(run: Run, seed: int, start: float) -> dict[str, Any]:
    packages = ["numpy", "numba", "hypothesis", *(["torch"] if find_spec("torch") else [])]
    return {
        "programs": run.programs,
        "disagreements": run.disagreements,
        "judged": dict(run.judged),
        "worst, in tolerances": {k: float(f"{v:.3g}") for k, v in run.worst.items()},
        "steps that took no part": sorted(set(STEPS) - set(run.steps)),
        "steps": dict(sorted(run.steps.items())),
        "seed": seed,
        "versions": {name: version(name) for name in packages},
        "python": sys.version.split()[0],
        "minutes": round((time.perf_counter() - start) / 60, 1),
    }


if __name__ == "__main__":
    raise SystemExit(main())
