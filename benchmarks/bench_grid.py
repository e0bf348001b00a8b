"""Matrix products of every shape against OpenBLAS: m, k and n of 1 to 1,024, odd ones among them,
A B, A^T B and A B^T; float32, one thread.

    taskset -c 1 python benchmarks/bench_grid.py [--json FILE] [--figure FILE] [--sizes 1 37 ...]

Each product is timed in two ways: as `mg.kernels.matmul` against ``a @ b``, which is what somebody
who calls it gets, and without Python around it, as compiled steps make it: several times on one
tape (kernels/native.py), against ``np.matmul(a, b, out=c)``.  The contenders take turns; a ratio is
the median over rounds of their time over ours.  What is below .6 is timed five times more, and the
median of medians is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

FIGURES = ROOT / "figures"
SIZES = (1, 2, 3, 7, 8, 17, 37, 64, 100, 129, 784, 1024)
LETTERS = {"NN": "A B", "TN": "A$^T$ B", "NT": "A B$^T$"}
AGAIN, TIMES = 0.6, 5
SHOWN = 20  # of the slowest
LARGE = 64**3  # multiply-adds: above, the call itself counts little


def seconds(function: Callable[[], Any], repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        function()
    return (time.perf_counter() - start) / repeats


def ratio(ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int, rounds: int) -> float:
    """The median of their time over ours."""
    pairs = [(seconds(ours, repeats), seconds(theirs, repeats)) for _ in range(rounds)]
    return statistics.median(b / a for a, b in pairs)


def contenders(kind: str, m: int, k: int, n: int) -> dict[str, tuple[Any, Any, int]]:
    """{way: (ours, theirs, repeats)}; the product is checked."""
    import numpy as np

    from minigrad_ae import kernels
    from minigrad_ae.kernels.calls import recorded
    from minigrad_ae.kernels.native import prepared

    rng = np.random.default_rng(0)
    a = rng.standard_normal((m, k)).astype(np.float32)
    b = rng.standard_normal((k, n)).astype(np.float32)
    a = np.asfortranarray(a) if kind == "TN" else a
    b = np.asfortranarray(b) if kind == "NT" else b
    c = np.empty((m, n), np.float32)
    with recorded() as calls:
        kernels.accumulate(a, b, c, fresh=True)
    bound = k * np.finfo(np.float32).eps * (np.abs(a) @ np.abs(b))
    if not np.all(np.abs(c - a @ b) <= 2 * bound):
        raise ValueError(f"{kind} {m} x {k} x {n}: a wrong product")
    few = max(1, int(2e5 / (m * k * n + 2e3)))
    (run,) = prepared(calls * few)

    def blas() -> None:
        for _ in range(few):
            np.matmul(a, b, out=c)

    return {
        "kernel": (run, blas, 1),
        "call": (lambda: kernels.matmul(a, b), lambda: a @ b, few),
    }


def measured(sizes: tuple[int, ...], rounds: int) -> Iterator[dict[str, Any]]:
    for kind, m, k, n in product(LETTERS, sizes, sizes, sizes):
        row: dict[str, Any] = {"kind": kind, "shape": [m, k, n]}
        for way, (ours, theirs, repeats) in contenders(kind, m, k, n).items():
            found = ratio(ours, theirs, repeats, rounds)
            if found < AGAIN:
                more = [ratio(ours, theirs, repeats, rounds) for _ in range(TIMES)]
                found = statistics.median([found, *more])
            row[way] = round(found, 3)
        yield row


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """For each layout and way: geometric mean, 5th percentile and smallest; of all shapes, and of
    those with some work.
    """
    told: dict[str, Any] = {}
    for kind in LETTERS:
        for way in ("kernel", "call"):
            for name, least in (("all", 0), ("large", LARGE)):
                of = sorted(
                    row[way]
                    for row in rows
                    if row["kind"] == kind
                    and row["shape"][0] * row["shape"][1] * row["shape"][2] >= least
                )
                if of:
                    told[f"{kind} {way} {name}"] = {
                        "shapes": len(of),
                        "mean": round(statistics.geometric_mean(of), 3),
                        "p5": of[len(of) // 20],
                        "least": of[0],
                    }
    return told


def draw(rows: list[dict[str, Any]], sizes: tuple[int, ...], processor: str, path: Path) -> None:
    """m downwards and n to the right; in each field all k, the smallest on the left."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.colors import TwoSlopeNorm

    count = len(sizes)
    figure, axes = plt.subplots(1, 3, figsize=(15, 5.6), layout="constrained", sharey=True)
    norm, picture = TwoSlopeNorm(1.0, 0.4, 2.0), None
    for axis, (kind, letters) in zip(axes, LETTERS.items(), strict=True):
        of = [row["kernel"] for row in rows if row["kind"] == kind]
        field = np.array(of).reshape(count, count, count)  # m, k, n
        flat = field.transpose(0, 2, 1).reshape(count, count * count)
        picture = axis.imshow(flat, norm=norm, cmap="RdBu", aspect="auto", interpolation="none")
        mean, p5 = statistics.geometric_mean(of), sorted(of)[len(of) // 20]
        axis.set_title(f"{letters}: mean {mean:.2f}, 5th percentile {p5:.2f}")
        axis.set_xticks(np.arange(count) * count + (count - 1) / 2, map(str, sizes))
        axis.set_yticks(range(count), map(str, sizes))
        for edge in range(1, count):
            axis.axvline(edge * count - 0.5, color="white", linewidth=1)
            axis.axhline(edge - 0.5, color="white", linewidth=1)
        axis.set_xlabel(f"n, and in each field k = {sizes[0]} to {sizes[-1]}")
    axes[0].set_ylabel("m")
    figure.colorbar(picture, ax=axes, label="OpenBLAS's time / ours")
    figure.suptitle(f"Products m x k x n, float32, one thread, {processor}")
    figure.savefig(path, dpi=90)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    options = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # read when NumPy is loaded
        os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")
        os.execv(sys.executable, [sys.executable, *sys.argv])

    from minigrad_ae import kernels
    from minigrad_ae.cli.processor import processor, slug

    kernels.set_num_threads(1)
    sizes = tuple(options.sizes)
    rows = list(measured(sizes, options.rounds))
    told = summary(rows)
    slowest = sorted(rows, key=lambda row: row["kernel"])[:SHOWN]
    for name, found in told.items():
        print(f"{name:18} " + "  ".join(f"{key} {value}" for key, value in found.items()))
    if options.json:
        report = {"sizes": sizes, "summary": told, "slowest": slowest}
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    name = slug(processor())
    draw(rows, sizes, name, options.figure or FIGURES / f"gemm_grid_{name}.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
