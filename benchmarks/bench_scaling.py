"""How the time of a training step grows with width and batch, beside what the machine could do at
most (one thread).

    python benchmarks/bench_scaling.py [--json FILE] [--rounds N]

The step: a two-layer autoencoder width-width-width, tanh, half the squared error, Adam, float32.
Its matrix products and, in the same round, the machine's peak of fused multiply-adds are timed
beside it, so a fraction of the peak does not depend on what the processor's clock was doing.  The
second roof is memory: each parameter is moved at least ten times in a step (forward, backward,
gradient, and seven times in Adam), each activation too.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.timing import clock, interleave, pin, restart_with, timer_for, turn

WIDTHS, BATCH = (32, 64, 128, 256, 512, 1024, 2048), 128
BATCHES, WIDTH = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096), 512
LARGE = (1024, 1024)  # width, batch
GOALS = {"product": 0.80, "step": 0.75}  # of the peak, at large sizes
LATENCY = 4  # ticks of a fused multiply-add: AMD since Zen 3, Intel since Skylake, Arm's Neoverse
MOVES = 10  # of each number between memory and processor, at least


def sizes() -> list[tuple[str, int, int]]:
    """(series, width, batch), small ones first."""
    rows = (
        [("width", w, BATCH) for w in WIDTHS]
        + [("batch", WIDTH, b) for b in BATCHES]
        + [("large", *LARGE)]
    )
    return sorted(rows, key=lambda r: flops(r[1], r[2]))


def flops(width: int, batch: int) -> float:
    """In the five matrix products of a step: two forward, two for the weights, one for the hidden
    layer.
    """
    return 5 * 2.0 * batch * width * width


def moved(width: int, batch: int) -> float:
    """Bytes between memory and processor in a step, at least, when nothing fits the caches."""
    return 4.0 * MOVES * (2 * width * width + batch * width)


def contenders(width: int, batch: int) -> dict[str, Callable[[], Any]]:
    """The step, and its products alone."""
    import numpy as np

    import minigrad_ae as mg
    from minigrad_ae import nn, ops, optim

    rng = np.random.default_rng(0)
    layers = [
        nn.Linear(width, width, activation=a, rng=rng, dtype=np.float32) for a in ("tanh", None)
    ]
    params = [p for layer in layers for p in layer.parameters()]
    optimizer, x = (
        optim.Adam(params, lr=1e-4),
        mg.tensor(rng.random((batch, width)), dtype=np.float32),
    )

    def step() -> None:
        optimizer.zero_grad()
        loss = ops.half_squared_error(layers[1](layers[0](x)), x) / batch
        loss.backward()
        optimizer.step()

    a, w = x.data, layers[0].weight.data

    def products() -> None:
        h = mg.kernels.matmul(a, w)  # forward
        mg.kernels.matmul(h, w)
        mg.kernels.matmul(a.T, h)  # both weights
        mg.kernels.matmul(h.T, a)
        mg.kernels.matmul(h, w.T)  # the hidden layer

    check(mg, np, a, w)
    return {"step": step, "product": products}


def check(mg: Any, np: Any, a: Any, w: Any) -> None:
    """A fast wrong product is not timed."""
    for left, right in ((a, w), (a, w.T), (a.T, a)):
        bound = left.shape[1] * np.finfo(np.float32).eps * (np.abs(left) @ np.abs(right))
        if not np.all(np.abs(mg.kernels.matmul(left, right) - left @ right) <= 2 * bound + 1e-30):
            raise ValueError(
                f"the product of {left.shape} and {right.shape} is wrong: nothing was timed"
            )


def measure(rounds: int, budget: float) -> list[dict[str, Any]]:
    from minigrad_ae.kernels import roofline

    rows = []
    for series, width, batch in sizes():
        work = flops(width, batch)
        runs = {
            name: turn(run, 0.02, timer_for(1)) for name, run in contenders(width, batch).items()
        }
        runs["peak"] = lambda: 1.0 / roofline.peak_flops(rounds=20)  # seconds per operation
        once = max(0.04, 2.2 * work / 5e10)
        race = interleave(runs, max(3, min(rounds, int(budget / once))))
        seconds = {name: race.median(name) for name in ("step", "product")}
        fraction = {name: work * 1.0 / race.ratio(name, "peak") for name in seconds}
        rows.append(
            {
                "series": series,
                "width": width,
                "batch": batch,
                "flops": work,
                "bytes": moved(width, batch),
                "seconds": seconds["step"],
                "gflops": work / seconds["step"] / 1e9,
                "fraction_of_peak": fraction,
                "peak_gflops": 1e-9 / race.median("peak"),
                "rounds_kept": race.kept,
                "rounds_dropped": race.dropped,
            }
        )
        took = f"{work / 1e6:10.1f} MFLOP  {seconds['step'] * 1e3:9.3f} ms a step"
        share = (
            f"{fraction['step']:5.0%} of the peak, its products alone {fraction['product']:5.0%}"
        )
        print(f"width {width:5d}  batch {batch:5d}  {took}   {share}", flush=True)
    return rows


def roofs(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The two roofs, what the first is checked by, and what does not fit."""
    import numpy as np

    from minigrad_ae.cli.processor import processor
    from minigrad_ae.kernels import roofline

    a = np.ones((1024, 1024), np.float32)
    blas = turn(lambda: a @ a, 0.2, timer_for(1))
    found = {
        "peak_gflops": max(r["peak_gflops"] for r in rows),
        "bandwidth_gbytes": roofline.bandwidth() / 1e9,
        "openblas_gflops": 2.0 * 1024**3 / min(blas() for _ in range(5)) / 1e9,
        "clock_ghz": max(clock_rate() for _ in range(5)) / 1e9,
    }
    return found | {"notes": misfits(found, processor()["vector_bits"])}


def misfits(found: dict[str, Any], bits: int) -> list[str]:
    """What about the measured peak cannot be, in words."""
    peak, blas, notes = found["peak_gflops"], found["openblas_gflops"], []
    if blas > 1.02 * peak:
        notes.append(f"OpenBLAS reaches {blas:.0f} GFLOP/s: the peak is measured too low")
    a_tick = peak / found["clock_ghz"]
    one_unit = 2 * bits / 32  # a multiply and an add in each lane of float32
    if not 0.85 * one_unit <= a_tick <= 2.1 * one_unit:
        notes.append(
            f"the peak is {a_tick:.1f} operations a tick, where one or two units of {bits} bits "
            f"would do {one_unit:.0f} or {2 * one_unit:.0f}"
        )
    return notes


def clock_rate(steps: int = 2_000_000) -> float:
    """Ticks a second, from a chain of fused multiply-adds in which each waits for the last."""
    chain = _chain()
    chain(1.0, 0.5, steps)
    return LATENCY * steps / clock(lambda: chain(1.0, 0.5, steps))


@cache
def _chain() -> Any:
    import numba

    @numba.njit(fastmath={"contract"})
    def chain(x: float, a: float, steps: int) -> float:
        for _ in range(steps):
            x = x * a + a
        return x

    return chain


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--budget", type=float, default=3.0, help="seconds for each size")
    options = parser.parse_args(argv)
    restart_with(1)
    pinned = pin(1)
    print(pinned)
    import minigrad_ae as mg

    mg.kernels.set_num_threads(1)
    rows = measure(options.rounds, options.budget)
    limits = roofs(rows)
    largest = next(r for r in rows if r["series"] == "large")
    reached = ", ".join(
        f"{name} {largest['fraction_of_peak'][name]:.0%} (goal {goal:.0%})"
        for name, goal in GOALS.items()
    )
    print(
        f"roofs: {limits['peak_gflops']:.0f} GFLOP/s (OpenBLAS {limits['openblas_gflops']:.0f}, "
        f"clock {limits['clock_ghz']:.2f} GHz), {limits['bandwidth_gbytes']:.0f} GB/s;  at width "
        f"and batch 1024: {reached}",
        *limits["notes"],
        sep="\n",
    )
    if options.json:
        found = {"pinned": pinned, "roofs": limits, "goals": GOALS, "rows": rows}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
