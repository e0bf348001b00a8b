"""Whole training steps (loss, gradients, Adam; float32): ours on the tape and compiled
(`mg.compile`), torch, HIPS autograd, torch.compile, JAX and PyTensor in Numba mode.

    python benchmarks/bench_steps.py [--json FILE] [--rounds N] [--threads 1 2] [--models 0 1 ...]

Each contender has a process of its own, and the processes take turns (timing.py).  Nothing is timed
before the losses of the first steps agree, from the same weights, data and noise: a fast wrong step
counts as a failure, exit code 1.  Beside the times stand the seconds until a first loss, in which
whoever compiles does so, and what our steps ask of the machine (footprint.py).  `--quick` leaves
out what compiles a transformer for minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from benchmarks.machine import installed
from benchmarks.step_models import MODELS
from benchmarks.step_peers import LIBRARIES
from benchmarks.timing import Worker, busy, environment, gauge, interleave, pin

CHECKED, TOLERANCE = 5, 2e-5  # first losses that are compared, and the relative difference allowed
FOLDER = Path(__file__).parent
OURS = ("tape", "compiled")
SLOW = ("torch.compile", "pytensor")  # a minute or two, for one of the masked autoencoders
ONE_THREAD = ("autograd", "pytensor")  # for which a second thread is nothing new


def disagreement(losses: dict[str, list[float]], reference: str) -> dict[str, float]:
    """The largest relative difference of each contender's losses from those of `reference`."""
    true = np.array(losses[reference])
    # NaN stays NaN
    return {name: float(np.max(np.abs(np.array(own) / true - 1))) for name, own in losses.items()}


def race(
    number: int, workers: dict[str, Worker], threads: int, rounds: int, seconds: float
) -> dict[str, Any]:
    """One row: every contender on model `number`.  ValueError where the losses do not agree."""
    model = MODELS[number]
    answers = {
        name: w.ask(model=number, steps=CHECKED, seconds=seconds) for name, w in workers.items()
    }
    losses = {name: answer["losses"] for name, answer in answers.items()}
    others = [name for name in losses if name not in OURS]
    reference = "torch" if "torch" in losses else next(iter(others), "tape")
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
    pairs = {ours: [name for name in workers if name != ours] for ours in OURS if ours in workers}
    return {
        "model": model.name,
        "batch": model.batch,
        "threads": threads,
        "microseconds": {name: result.median(name) * 1e6 for name in workers},
        "ratio": {
            ours: {name: result.ratio(name, ours) for name in names}
            for ours, names in pairs.items()
        },
        "quartiles": {
            ours: {name: result.spread(name, ours) for name in names}
            for ours, names in pairs.items()
        },
        "seconds_to_first_loss": {name: answer["first"] for name, answer in answers.items()},
        "losses": losses["tape"] if "tape" in losses else losses[reference],
        "largest_difference": max(apart.values()),
        "busy": busy(result, threads),
        "rounds_kept": result.kept,
        "rounds_dropped": result.dropped,
    }


def footprint(number: int) -> dict[str, Any]:
    """What our steps of a model ask of the machine; measured in a process of its own."""
    command = [sys.executable, str(FOLDER / "footprint.py"), str(number)]
    done = subprocess.run(command, env=environment(1), stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


def contenders(threads: int, masked: bool, quick: bool) -> list[str]:
    """Those that are installed, and worth it for this kind of model."""
    names = [name for name, package in LIBRARIES.items() if installed(package)]
    if threads > 1:
        names = [name for name in names if name not in ONE_THREAD]
    return [name for name in names if not (masked and quick and name in SLOW)]


def run(
    threads: int, models: list[int], rounds: int, seconds: float, quick: bool
) -> Iterator[dict[str, Any]]:
    """All rows for one number of threads."""
    workers: dict[str, Worker] = {}
    try:
        for number in models:
            names = contenders(threads, MODELS[number].start is not None, quick)
            for name in (n for n in names if n not in workers):
                workers[name] = Worker(FOLDER / "step_peers.py", threads, name, str(threads))
            chosen = {name: workers[name] for name in names}
            row = race(number, chosen, threads, rounds, seconds)
            if threads == 1:
                row["footprint"] = footprint(number)
            report(row)
            yield row
    finally:
        for worker in workers.values():
            worker.close()


def report(row: dict[str, Any]) -> None:
    """Three lines: the tape's times over which the others' stand, the same compiled, the rest."""
    for ours, ratios in row["ratio"].items():
        others = "  ".join(f"{n} x{r:.2f}" for n, r in ratios.items())
        took = f"{row['microseconds'][ours]:8.0f} us"
        print(f"{row['model'][:34]:34} {row['threads']} thr {ours:8} {took}  {others}", flush=True)
    notes = [f"{row['rounds_dropped']} of {row['rounds_dropped'] + row['rounds_kept']} rounds"]
    notes[0] += " dropped"
    if row["busy"]:
        notes.append("the machine is busy: figures for two threads mean little")
    for ours, own in row.get("footprint", {}).items():
        notes.append(f"{ours}: {own['faults']} page faults, {own['peak'] / 1e6:.2f} MB at most")
    print(" " * 40 + "; ".join(notes), flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=0.015, help="of each turn")
    parser.add_argument("--threads", type=int, nargs="+", default=[2, 1])
    parser.add_argument("--models", type=int, nargs="+", default=list(range(len(MODELS))))
    parser.add_argument("--quick", action="store_true", help="no long compilations")
    options = parser.parse_args(argv)
    missing = sorted({p for p in LIBRARIES.values() if not installed(p)})
    if missing:
        print(f"not installed, left out: {', '.join(missing)}   (pip install 'minigrad_ae[bench]')")
    rows: list[dict[str, Any]] = []
    pinned: list[str] = []
    found = {"pinned": pinned, "missing": missing, "rows": rows}
    for threads in sorted(options.threads, reverse=True):  # pinning only ever narrows
        pinned.append(pin(threads))
        print(pinned[-1])
        chosen = (options.models, options.rounds, options.seconds, options.quick)
        for row in run(threads, *chosen):
            rows.append(row)
            if options.json:  # after each row: the next may take minutes
                options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
