"""Is this checkout slower than it was at another commit?  Ours against ours, on one thread.

    python benchmarks/bench_against.py COMMIT [--pairs N] [--bar RATIO] [--rows NAME ...]

COMMIT is checked out into a temporary git worktree.  Each side runs in a process of its own with
its own package, but both run the workloads of *this* checkout, through the public names only: the
op mixes of bench_overhead.py and the training steps of step_models.py.  The processes take turns of
about 50 ms on one core, and their processor time is read; they are restarted a few times,
because where memory happens to lie is worth a few per cent.

Printed are the median over pairs of (time now / time then), and its 95 % interval from the ranks of
the ratios (binomial).  Exit code 1 where an interval reaches above the bar.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SLICE = 0.05  # seconds in a turn
STARTS = 3  # times that the processes are started
LENGTH = 50  # ops in a chain
BAR = 1.05

# name: (step(mg, x, w), ops in it), as in bench_overhead.py
MIXES: dict[str, tuple[Callable[[Any, Any, Any], Any], int]] = {
    "add": (lambda mg, x, w: x + w, 1),
    "mul": (lambda mg, x, w: x * w, 1),
    "tanh": (lambda mg, x, w: mg.tanh(x), 1),
    "mix": (lambda mg, x, w: mg.exp((mg.sin(x) * w + w) * 0.5), 5),
}


# --- the process of one side ----------------------------------------------------------------------


def chain(name: str) -> Callable[[], Any]:
    """Forward and backward of a chain of small ops on ten elements."""
    import numpy as np

    import minigrad_ae as mg

    step, ops = MIXES[name]

    def run() -> None:
        x = mg.tensor(np.linspace(0.1, 1.0, 10), requires_grad=True)
        w = mg.tensor(np.linspace(0.9, 1.1, 10), requires_grad=True)
        y = x
        for _ in range(LENGTH // ops):
            y = step(mg, y, w)
        y.sum().backward()

    return run


def training(name: str) -> Callable[[], Any]:
    """Loss, gradients and a step of Adam for a model of step_models.py."""
    from benchmarks.step_models import MODELS
    from benchmarks.step_peers import ours

    return ours(next(model for model in MODELS if model.name == name), threads=1)


def serve() -> None:
    """Answer ``{"row": name}`` with the seconds of one call, and the first request with the place
    of the package.
    """
    import minigrad_ae

    # from here on: the workloads are this checkout's, the package is the side's
    sys.path.insert(0, str(ROOT))
    from benchmarks.timing import timer_for, turn

    contenders: dict[str, Callable[[], float]] = {}
    for line in sys.stdin:
        row = json.loads(line)["row"]
        if row is None:
            print(json.dumps(str(Path(minigrad_ae.__file__).resolve().parents[1])), flush=True)
            continue
        if row not in contenders:
            work = chain(row) if row in MIXES else training(row)
            contenders[row] = turn(work, SLICE, timer_for(1))
        print(json.dumps(contenders[row]()), flush=True)


# --- both sides -----------------------------------------------------------------------------------


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The files of a commit in a temporary worktree of git."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve() / "then"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(place), commit], check=True)
        try:
            yield place
        finally:
            subprocess.run([*git, "remove", "--force", str(place)], check=True)


@contextmanager
def processes(then: Path) -> Iterator[dict[str, Any]]:
    """One process a side; each says where its package lies, so that nothing is compared with
    itself.
    """
    from benchmarks.timing import Worker, environment

    workers = {}
    try:
        for side, root in (("now", ROOT), ("then", then)):
            workers[side] = Worker(Path(__file__), 1, "--serve", env=environment(1, root))
            found = workers[side].ask(row=None)
            if found != str(root):
                raise RuntimeError(
                    f"{side}: the package was imported from {found}, expected {root}"
                )
        yield workers
    finally:
        for worker in workers.values():
            worker.close()


def compare(workers: dict[str, Any], row: str, pairs: int) -> list[tuple[float, float]]:
    """(now, then) in seconds, `pairs` times; who goes first alternates.  One pair before them warms
    up.
    """
    found = []
    for number in range(pairs + 1):
        sides = ("now", "then") if number % 2 else ("then", "now")
        times = {side: workers[side].ask(row=row) for side in sides}
        found.append((times["now"], times["then"]))
    return found[1:]


def interval(ratios: list[float]) -> tuple[float, float]:
    """A 95 % interval of the median: between the ranks outside which fewer than 2.5 % of fair coins
    would fall.
    """
    ordered, n = sorted(ratios), len(ratios)
    outside, rank = 0.5**n, 0
    while outside + math.comb(n, rank + 1) * 0.5**n <= 0.025:
        rank += 1
        outside += math.comb(n, rank) * 0.5**n
    return ordered[rank], ordered[n - 1 - rank]


def main() -> int:
    sys.path.insert(0, str(ROOT))
    from benchmarks.step_models import MODELS
    from benchmarks.timing import pin, restart_with

    names = [*MIXES, *(model.name for model in MODELS)]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("commit", help="what this checkout is compared with")
    parser.add_argument("--pairs", type=int, default=60, help="per row, in all")
    parser.add_argument("--bar", type=float, default=BAR, help="of the interval's upper end")
    parser.add_argument(
        "--rows", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    options = parser.parse_args()
    restart_with(1)
    times: dict[str, list[tuple[float, float]]] = {row: [] for row in options.rows}
    print(f"now against {options.commit}: {pin(1)}, processor time", flush=True)
    with checkout(options.commit) as then:
        for _ in range(STARTS):
            with processes(then) as workers:
                for row in options.rows:
                    times[row] += compare(workers, row, max(2, options.pairs // STARTS))
    slower = []
    print(f"{'':32} {'now (us)':>9} {'then (us)':>9} {'ratio':>6}  95 % interval")
    for row, found in times.items():
        now, before = (statistics.median(side) * 1e6 for side in zip(*found, strict=True))
        ratios = [a / b for a, b in found]
        low, high = interval(ratios)
        mark = "  above the bar" if high > options.bar else ""
        print(
            f"{row:32} {now:9.1f} {before:9.1f} {statistics.median(ratios):6.3f}  {low:.3f} to "
            f"{high:.3f}{mark}"
        )
        if mark:
            slower.append(row)
    print(
        f"{len(slower)} of {len(times)} rows reach above {options.bar}"
        + (": " + ", ".join(slower) if slower else "")
    )
    return 1 if slower else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        sys.exit(main())
