"""What the engine costs beside NumPy's own arithmetic: forward and backward of one op on a
10-element array.

    python benchmarks/bench_overhead.py [--json FILE] [--rounds N]

Ours and HIPS autograd's (if it is installed: ``pip install minigrad_ae[bench]``) are timed in turn,
in short rounds, on the same chains; what is printed are medians over the rounds, in microseconds
per op.  The goal is a ratio of at most 0.4 on the mix.  The second table shows time against the
length of the chain: a walk that visits each edge once costs the same per op at every length.
Python's cyclic garbage collector is off there, as in timeit: a graph has no cycles, but the
collector looks through all of a large one again and again (about 1.7 times the time at 100,000
ops). The third table is what the mutation guard costs (`minigrad_ae/guard.py`): at most 10 %.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad_ae as mg
from minigrad_ae.autodiff import engine

try:
    import autograd
    import autograd.numpy as anp
except ImportError:
    autograd = None

GOAL = 0.4
GUARD = 0.10  # of the time of an op
LENGTH = 50  # ops in a chain
X, W = np.linspace(0.1, 1.0, 10), np.linspace(0.9, 1.1, 10)

# name: (step(functions, x, w), ops in it)
STEPS: dict[str, tuple[Callable[[Any, Any, Any], Any], int]] = {
    "sin": (lambda f, x, w: f.sin(x), 1),
    "tanh": (lambda f, x, w: f.tanh(x), 1),
    "mul by tensor": (lambda f, x, w: x * w, 1),
    "add": (lambda f, x, w: x + w, 1),
    "mul by scalar": (lambda f, x, w: x * 0.9, 1),
    "mix": (lambda f, x, w: f.exp((f.sin(x) * w + w) * 0.5), 5),
}


def ours(step: Callable[[Any, Any, Any], Any], repeats: int) -> Any:
    """Forward and backward of `repeats` steps; the gradients of the sum."""
    x, w = mg.tensor(X, requires_grad=True), mg.tensor(W, requires_grad=True)
    y = x
    for _ in range(repeats):
        y = step(mg, y, w)
    y.sum().backward()
    return x.grad, w.grad


def theirs(step: Callable[[Any, Any, Any], Any], repeats: int) -> Any:
    """The same with HIPS autograd."""

    def loss(leaves: Any) -> Any:
        y, w = leaves
        for _ in range(repeats):
            y = step(anp, y, w)
        return anp.sum(y)

    return autograd.grad(loss)((X, W))


def seconds(run: Callable[..., Any], *args: Any) -> float:
    start = time.perf_counter()
    run(*args)
    return time.perf_counter() - start


def against_autograd(rounds: int) -> list[dict[str, Any]]:
    """One row per step: microseconds per op, ours and theirs, taken in turn."""
    rows = []
    for name, (step, ops) in STEPS.items():
        repeats = LENGTH // ops
        times: dict[str, list[float]] = {"ours": [], "autograd": []}
        for number in range(rounds + 3):  # the first three warm up
            for label, run in (("ours", ours), ("autograd", theirs)):
                if run is ours or autograd is not None:
                    spent = seconds(run, step, repeats)
                    if number >= 3:
                        times[label].append(spent / LENGTH * 1e6)
        medians = {label: statistics.median(t) for label, t in times.items() if t}
        ratio = medians["ours"] / medians["autograd"] if "autograd" in medians else None
        rows.append({"step": name, "us_per_op": medians, "ratio": ratio})
    return rows


def against_length(rounds: int) -> list[dict[str, Any]]:
    """Microseconds per op, forward and backward, for chains of growing length."""
    step = STEPS["mix"][0]
    gc.disable()
    rows = []
    for length in (100, 1_000, 10_000, 100_000):
        spent = [
            seconds(ours, step, length // 5) for _ in range(max(1, min(rounds, 20_000 // length)))
        ]
        rows.append({"ops": length, "us_per_op": statistics.median(spent) / length * 1e6})
    gc.enable()
    return rows


def of_the_guard(rounds: int) -> list[dict[str, Any]]:
    """What the question "was a leaf changed since?" adds to forward and backward, per op, with and
    without such changes.

    Without it is with a guard that asks nothing, in turn.  "elsewhere": a leaf of another graph was
    given new data after the forward pass, as when two models are trained in turn.
    """
    step, rows = STEPS["mix"][0], []
    asks, elsewhere = engine.refuse_changed, mg.tensor(W, requires_grad=True)

    def run(touch: bool) -> None:
        x, w = mg.tensor(X, requires_grad=True), mg.tensor(W, requires_grad=True)
        y = x
        for _ in range(LENGTH // STEPS["mix"][1]):
            y = step(mg, y, w)
        loss = y.sum()
        if touch:
            elsewhere.data = W
        loss.backward()

    for touch in (False, True):
        times: dict[str, list[float]] = {"guarded": [], "unguarded": []}
        for _ in range(rounds):
            for label, guard in (("guarded", asks), ("unguarded", lambda order, path=None: None)):
                engine.refuse_changed = guard
                times[label].append(seconds(run, touch) / LENGTH * 1e6)
        medians = {label: statistics.median(t) for label, t in times.items()}
        rows.append(
            {
                "changes": "elsewhere" if touch else "none",
                "us_per_op": medians,
                "overhead": medians["guarded"] / medians["unguarded"] - 1,
            }
        )
    engine.refuse_changed = asks
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the numbers here")
    parser.add_argument("--rounds", type=int, default=200)
    options = parser.parse_args()
    overhead, lengths = against_autograd(options.rounds), against_length(options.rounds)
    guard = of_the_guard(options.rounds)
    print(f"{'us per op':>16} {'ours':>8} {'autograd':>9} {'ratio':>6}")
    for row in overhead:
        mine, other = row["us_per_op"]["ours"], row["us_per_op"].get("autograd", float("nan"))
        print(f"{row['step']:>16} {mine:8.2f} {other:9.2f} {mine / other:6.2f}")
    print(f"\n{'ops in a chain':>16} {'us per op':>9}")
    for row in lengths:
        print(f"{row['ops']:>16,} {row['us_per_op']:9.2f}")
    print(
        f"\n{'changed leaves':>16} {'guarded':>8} {'without':>9} {'costs':>6}   (goal: at most "
        f"{GUARD:.0%})"
    )
    for row in guard:
        with_it, without = row["us_per_op"]["guarded"], row["us_per_op"]["unguarded"]
        print(f"{row['changes']:>16} {with_it:8.2f} {without:9.2f} {row['overhead']:6.1%}")
    if options.json:
        result = {
            "unit": "microseconds per op, forward and backward, 10 elements, float64",
            "numpy": np.__version__,
            "goal": GOAL,
            "overhead": overhead,
            "length": lengths,
            "guard": {"goal": GUARD, "rows": guard},
        }
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
