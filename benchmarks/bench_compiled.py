"""Whole training steps by a compiled program (`mg.compile`) against the tape, torch and JAX, in
turns; with page faults and memory.

    python benchmarks/bench_compiled.py [--json FILE] [--rounds N] [--threads 1] [--models 0 1 ...]

As bench_steps.py: a process for each library, nothing is timed before the first losses agree.  The
ratios are the others' time over the program's.  Page faults are those of a step after two dozen;
`program` is the memory of the program's arrays, `first` the seconds of the first two calls, which
make it and compare it, beyond two steps on the tape.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.bench_steps import PEERS, race
from benchmarks.step_models import MODELS
from benchmarks.step_peers import LIBRARIES, ours, program_of
from benchmarks.timing import Worker, installed, machine, pin

WARM, COUNTED = 24, 8  # steps before, and while, page faults are counted
OTHERS = ("torch", "torch fused", "jax")


def footprint(number: int) -> dict[str, float]:
    """Page faults and megabytes of a program, and the seconds that making it takes."""
    tape = ours(MODELS[number], 1)
    for _ in range(WARM):  # kernels are loaded
        tape()
    start = time.perf_counter()
    tape(), tape()
    usual = time.perf_counter() - start
    step, compiled = program_of(MODELS[number], 1)
    start = time.perf_counter()
    step(), step()
    first = time.perf_counter() - start - usual
    for _ in range(WARM):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(COUNTED):
        step()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    size = compiled.program.nbytes / 1e6
    return {"faults": faults / COUNTED, "program": size, "first": first}


def row_of(number: int, threads: int, rounds: int, seconds: float) -> dict[str, Any]:
    """Times, ratios to the program's, and its footprint, of one model."""
    names = ["ours", "compiled", *(n for n in OTHERS if installed(LIBRARIES[n]))]
    workers = {name: Worker(PEERS, threads, name, str(threads)) for name in names}
    try:
        row = race(number, workers, threads, rounds, seconds)
    finally:
        for worker in workers.values():
            worker.close()
    times = row["microseconds"]
    row["ratio"] = {n: t / times["compiled"] for n, t in times.items() if n != "compiled"}
    del row["quartiles"], row["goal"]
    command = [sys.executable, __file__, "--footprint", str(number)]
    own = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return row | json.loads(own.splitlines()[-1])


def main(argv: list[str] | None = None) -> int:
    """Print the rows, and write them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=0.015, help="of each turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", type=int, nargs="+", default=list(range(len(MODELS))))
    parser.add_argument("--footprint", type=int, help="of this model, in this process")
    options = parser.parse_args(argv)
    if options.footprint is not None:
        print(json.dumps(footprint(options.footprint)))
        return 0
    pinned = pin(options.threads)
    print(pinned)
    rows = []
    for number in options.models:
        rows.append(row_of(number, options.threads, options.rounds, options.seconds))
        row, times = rows[-1], rows[-1]["microseconds"]
        ratios = "  ".join(f"{n} x{r:.2f}" for n, r in row["ratio"].items())
        print(
            f"{row['model']:34s} {times['compiled']:9.0f} us  {ratios}  faults {row['faults']:.1f}"
            f"  {row['program']:.1f} MB  first {row['first']:.2f} s"
            + ("  (the machine is busy)" if row["busy"] else ""),
            flush=True,
        )
    if options.json:
        head = {"machine": machine(), "pinned": pinned}
        text = json.dumps(head | {"rows": rows}, indent=1) + "\n"
        options.json.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
