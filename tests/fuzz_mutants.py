"""How many faults in the rules of the registry random programs find: every small edit of every rule
(`edits.py`, those of tests/test_mutation.py), planted in turn.

    nox -s fuzz-mutants                    all of them (minutes)
    nox -s fuzz-mutants -- --sample 100    so many, spread evenly

A fault is found where a complex step disagrees with the gradient, or the faulty rule fails, on one
of 200 random programs that contain its op as a step: each begins as the fuzz run's do, and its
first step becomes one of that op.  Many programs beside these have the op too, below a
composition; they are not asked, so what is found here is a lower bound of 200 such programs.

Not counted are faults that change no gradient on any input set of tests/cases.py; they are the
same function.  The result is tests/fuzz_mutants.json; what was not found stands in it.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
from edits import mutants, planted
from opinions import always_the_same, complex_step
from random_programs import APPLY, REAL_ONLY, Program, programs

from minigrad_ae.ops import REGISTRY

RESULTS = Path(__file__).parent / "fuzz_mutants.json"
MANY = 200


def with_op(name: str) -> list[Program]:
    """Programs whose first step is of this op."""
    drawn: list[Program] = []

    @always_the_same(MANY)
    @hypothesis.given(programs)
    def draw(program: Program) -> None:
        (_, which, seed), *others = program.steps
        drawn.append(replace(program, steps=((name, which, seed), *others)))

    draw()
    return drawn


def found_after(drawn: list[Program]) -> int | None:
    """The number of the first program on which the rules as they stand disagree."""
    for number, program in enumerate(drawn, 1):
        try:
            if not complex_step(program) <= 1:
                return number
        except Exception:  # a rule that fails is noticed at once
            return number
    return None


def faults() -> Iterator[tuple[str, str, str]]:
    for name in APPLY:
        for argument, rule in REGISTRY[name].rules.items():
            if rule and name not in REAL_ONLY:
                for text in mutants(rule):
                    yield name, argument, text


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="stop after this time")
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args(arguments)
    every, start = list(faults()), time.perf_counter()
    chosen = every[:: max(1, len(every) // asked.sample)] if asked.sample else every
    rows: list[dict[str, Any]] = []
    warnings.simplefilter("ignore", RuntimeWarning)
    drawn: dict[str, list[Program]] = {}
    for name, argument, text in chosen:
        if time.perf_counter() - start > 60 * asked.minutes:
            break
        if name not in drawn:
            drawn[name] = with_op(name)
        with planted(name, argument, text) as wrong, np.errstate(all="ignore"):
            number = found_after(drawn[name]) if wrong else None
        row = {"op": name, "argument": argument, "rule": text, "programs": number}
        rows.append(row | {"the same function": not wrong})
    counted = [row for row in rows if not row["the same function"]]
    left = [row for row in counted if row["programs"] is None]
    result = {
        "faults": len(every),
        "asked": len(rows),
        "the same function": len(rows) - len(counted),
        "found": len(counted) - len(left),
        "share": round(1 - len(left) / max(1, len(counted)), 4),
        "median number of programs": float(
            np.median([row["programs"] for row in counted if row["programs"]])
        ),
        "not found": [f"{row['op']}, {row['argument']}: {row['rule']}" for row in left],
        "minutes": round((time.perf_counter() - start) / 60, 1),
    }
    asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print({key: value for key, value in result.items() if key != "not found"})
    return result["share"] < 0.95


if __name__ == "__main__":
    raise SystemExit(main())
