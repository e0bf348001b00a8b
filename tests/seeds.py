"""Reads the ledger at many seeds: ``python tests/seeds.py [--seeds 50] [--first 0] [--full]``.

``nox -s seeds`` does so, in its short form unless ``--full``; a claim that holds at seed 0 only
would be luck.  Of each claim it is said at how many of the seeds it holds, and at which it fails.
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from minigrad_ae.claims import Run, claims, ledger
from minigrad_ae.files import write_json


def failing(seed: int, fast: bool) -> tuple[int, list[str], float]:
    """The seed, the claims that do not hold at it, and the CPU-seconds that reading them took."""
    start = time.process_time()
    results = ledger.read(claims(), Run(fast=fast, seed=seed))
    return seed, [r.id for r in results if not r.passed], time.process_time() - start


def summary(found: dict[int, list[str]], fast: bool) -> dict[str, Any]:
    """What is written: the seeds, and for each claim how many hold, and where it fails."""
    rows = {}
    for c in claims():
        fails = sorted(seed for seed, ids in found.items() if c.id in ids)
        rows[c.id] = {"kind": c.kind, "holds": len(found) - len(fails), "fails": fails}
    return {"fast": fast, "seeds": sorted(found), "claims": rows}


def main(arguments: list[str]) -> int:
    """Read, say and write; 1 if a claim fails at one of the seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50, help="how many")
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--full", action="store_true", help="the problems of `verify`, not --fast")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", default="benchmarks/results/seeds.json")
    args = parser.parse_args(arguments)
    chosen = range(args.first, args.first + args.seeds)
    found: dict[int, list[str]] = {}
    with ProcessPoolExecutor(args.processes) as pool:
        for seed, ids, seconds in pool.map(failing, chosen, [not args.full] * len(chosen)):
            found[seed] = ids
            print(f"seed {seed:>3}  {seconds:6.1f} s  {', '.join(ids) or 'all hold'}", flush=True)
            write_json(args.out, summary(found, not args.full))
    missed = {i: row for i, row in summary(found, not args.full)["claims"].items() if row["fails"]}
    for i, row in missed.items():
        print(f"{i:<34} {row['kind']:<12} holds at {row['holds']} of {len(found)}")
    print(f"{len(claims()) - len(missed)} of {len(claims())} claims hold at every seed")
    return bool(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
