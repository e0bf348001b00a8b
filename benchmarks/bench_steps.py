"""Whole training steps (loss, gradients, Adam; float32) against torch, HIPS autograd and JAX, on
one and two threads.

    python benchmarks/bench_steps.py [--json FILE] [--rounds N] [--threads 1 2] [--models 0 1 ...]

Each library has a process of its own, and the processes take turns (timing.py).  Nothing is timed
before the losses of the first steps agree, from the same weights, data and noise: a fast wrong step
counts as a failure, exit code 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.step_models import MODELS, Model
from benchmarks.step_peers import LIBRARIES
from benchmarks.timing import Worker, busy, gauge, installed, interleave, machine, pin

CHECKED, TOLERANCE = 5, 2e-5  # first losses that are compared, and the relative difference allowed
PEERS = Path(__file__).with_name("step_peers.py")


def disagreement(losses: dict[str, list[float]], reference: str) -> dict[str, float]:
    """The largest relative difference of each library's losses from those of `reference`."""
    true = np.array(losses[reference])
    # NaN stays NaN
    return {name: float(np.max(np.abs(np.array(own) / true - 1))) for name, own in losses.items()}


def race(
    number: int, workers: dict[str, Worker], threads: int, rounds: int, seconds: float
) -> dict[str, Any]:
    """One row: every library on model `number`.  ValueError where the losses do not agree."""
    model = MODELS[number]
    losses = {
        name: w.ask(model=number, steps=CHECKED, seconds=seconds) for name, w in workers.items()
    }
    reference = "torch" if "torch" in losses else next((n for n in losses if n != "ours"), "ours")
    apart = disagreement(losses, reference)
    if not all(difference <= TOLERANCE for difference in apart.values()):
        raise ValueError(
            f"{model.name}: losses differ from {reference}'s by {apart}: nothing was timed"
        )
    result = interleave(
        {name: (lambda w=w: w.ask(turn=number)) for name, w in workers.items()},
        rounds,
        gauge(threads),
    )
    peers = [name for name in workers if name != "ours"]
    return {
        "model": model.name,
        "batch": model.batch,
        "threads": threads,
        "microseconds": {name: result.median(name) * 1e6 for name in workers},
        "ratio": {name: result.ratio(name) for name in peers},
        "quartiles": {name: result.spread(name) for name in peers},
        "goal": goals(model, threads),
        "losses": losses["ours"],
        "largest_difference": max(apart.values()),
        "busy": busy(result, threads),
        "rounds_kept": result.kept,
        "rounds_dropped": result.dropped,
    }


def goals(model: Model, threads: int) -> dict[str, float]:
    return dict(model.goals.get(threads, {}))


def run(threads: int, models: list[int], rounds: int, seconds: float) -> list[dict[str, Any]]:
    """All rows for one number of threads; missing peers are reported and left out."""
    names = [name for name, package in LIBRARIES.items() if installed(package)]
    if threads > 1:
        names = [name for name in names if name != "autograd"]
    workers = {name: Worker(PEERS, threads, name, str(threads)) for name in names}
    rows = []
    try:
        for number in models:
            row = race(number, workers, threads, rounds, seconds)
            rows.append(row)
            report(row)
    finally:
        for worker in workers.values():
            worker.close()
    return rows


def report(row: dict[str, Any]) -> None:
    ratios = "  ".join(
        f"{n} x{r:.2f}" + (f" (goal {row['goal'][n]})" if n in row["goal"] else "")
        for n, r in row["ratio"].items()
    )
    dropped = (
        f"{row['rounds_dropped']} of {row['rounds_dropped'] + row['rounds_kept']} rounds dropped"
    )
    dropped += "; the machine is busy: figures for two threads mean little" if row["busy"] else ""
    took = f"{row['microseconds']['ours']:8.0f} us"
    print(f"{row['model']:24s} {row['threads']} thr {took}  {ratios}   [{dropped}]", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--seconds", type=float, default=0.015, help="of each turn")
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1])
    parser.add_argument("--models", type=int, nargs="+", default=list(range(len(MODELS))))
    options = parser.parse_args(argv)
    missing = sorted({p for p in LIBRARIES.values() if not installed(p)})
    if missing:
        print(f"not installed, left out: {', '.join(missing)}   (pip install 'minigrad_ae[bench]')")
    rows, pinned = [], []
    for threads in sorted(options.threads, reverse=True):  # pinning only ever narrows
        pinned.append(pin(threads))
        print(pinned[-1])
        rows += run(threads, options.models, options.rounds, options.seconds)
    if options.json:
        head = {"machine": machine(), "pinned": pinned, "missing": missing}
        options.json.write_text(
            json.dumps(head | {"rows": rows}, indent=1) + "\n", encoding="utf-8"
        )
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
