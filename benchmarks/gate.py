"""Whether this checkout became slower than a commit: training steps on the tape and compiled, and
the import, the processes of both sides in turns.

    python benchmarks/gate.py COMMIT [--rounds N] [--bar RATIO] [--rows NAME ...] [--lessons 2 ...]

The workloads are those of this checkout (step_models.py); the package is each side's own.  A round
starts a process for each side, since where memory happens to lie is worth a few per cent, and the
two take turns of about 50 ms on one core; of each row its ratio is the median over turns of (time
now / time then), in processor time.  The rounds' ratios are independent, and the 95 % interval of
their median lies between two of them: ranks outside which fewer than 2.5 % of fair coins would fall
on each side (of 7 rounds the least and the greatest).

A row passes where its interval ends below the bar, and is slower where it begins above: only then
the gate fails.  What lies across it is unclear and gets as many rounds again, five times at most.

Two figures have no noise, and are compared as they are: how many calls of our own functions a step
makes, and how many pages it brings in.  More calls, or more than `PAGES` more pages, fail the gate
as well, unless the whole interval says that the step became faster.
Exit code 0 where everything passes, 1 where something is slower, 2 where something stays unclear.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ROUNDS, AGAIN = 7, 5
TURNS, SLICE = 3, 0.05  # of a side and row in a round; seconds of each
BAR = 1.08
PAGES = 2.0  # a step
IMPORT = "import minigrad_ae"
LESSON = "lesson"
Times = dict[str, list[float]]  # row: seconds, one a turn


# --- the process of one side ----------------------------------------------------------------------


def serve() -> None:
    """Answer ``{"row": name}`` with the seconds of a step, ``{"count": name}`` with its calls and
    page faults, and anything else with the place of the package and the seconds of its import.
    """
    before = time.process_time()
    import minigrad_ae

    started = time.process_time() - before
    # from here on: the workloads are this checkout's, the package is the side's
    sys.path.insert(0, str(ROOT))
    from benchmarks import footprint, step_models, step_peers
    from benchmarks.timing import timer_for, turn

    models = {model.name: model for model in step_models.MODELS}
    steps: dict[str, Any] = {}
    turns: dict[str, Callable[[], float]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        name = request.get("row") or request.get("count")
        if name and name not in steps:
            how, model = name.split(": ")
            steps[name] = step_peers.STEPS[how](models[model], 1)
            turns[name] = turn(steps[name], SLICE, timer_for(1))
        if "row" in request:
            answer: Any = turns[name]()
        elif "count" in request:
            faults = footprint.page_faults(steps[name])
            answer = {"calls": footprint.calls(steps[name]), "faults": faults}
        else:
            answer = str(Path(minigrad_ae.__file__).resolve().parents[1]), started
        print(json.dumps(answer), flush=True)


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
def processes(sides: dict[str, Path]) -> Iterator[tuple[dict[str, Any], dict[str, float]]]:
    """A process for each side, and the seconds of its import.  Each says where its package lies, so
    that nothing is compared with itself.
    """
    from benchmarks.timing import Worker, environment

    workers, started = {}, {}
    try:
        for side, root in sides.items():
            workers[side] = Worker(Path(__file__), 1, "--serve", env=environment(1, root))
            found, started[side] = workers[side].ask()
            if found != str(root):
                raise RuntimeError(f"{side}: {found} was imported, expected {root}")
        yield workers, started
    finally:
        for worker in workers.values():
            worker.close()


def one_round(sides: dict[str, Path], rows: list[str], counted: dict[str, Any]) -> dict[str, float]:
    """{row: time now / time then}; `counted` is filled with calls and page faults where it has
    none.
    """
    ratios = {}
    with processes(sides) as (workers, started):
        for row in rows:
            if row == IMPORT:
                ratios[row] = started["now"] / started["then"]
            elif row.startswith(LESSON):
                ratios[row] = turns_of(lambda side, row=row: lesson(sides[side], row), 1)
            else:
                ratios[row] = turns_of(lambda side, row=row: workers[side].ask(row=row), TURNS)
                if row not in counted:
                    counted[row] = {side: w.ask(count=row) for side, w in workers.items()}
    return ratios


def turns_of(seconds: Callable[[str], float], turns: int) -> float:
    """The median over turns of (now / then); who goes first alternates."""
    found = []
    for number in range(turns):
        order = ("now", "then") if number % 2 else ("then", "now")
        times = {side: seconds(side) for side in order}
        found.append(times["now"] / times["then"])
    return statistics.median(found)


def lesson(root: Path, row: str) -> float:
    """Processor seconds of a lesson in its short form."""
    from benchmarks.timing import environment

    def spent() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    with tempfile.TemporaryDirectory() as out:
        number = row.removeprefix(LESSON).strip()
        command = [sys.executable, "-m", "minigrad_ae", "lesson", number, "--fast", "--out", out]
        before = spent()
        env = environment(1, root) | {"MPLBACKEND": "Agg"}
        subprocess.run(command, env=env, cwd=out, stdout=subprocess.DEVNULL, check=True)
        return spent() - before


# --- the verdict ----------------------------------------------------------------------------------


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


def verdict(ratios: list[float], bar: float) -> str:
    low, high = interval(ratios)
    if high < bar:
        return "passes"
    return "slower" if low > bar else "unclear"


def heavier(now: dict[str, float], then: dict[str, float]) -> bool:
    """Whether a step makes more calls, or brings in more pages."""
    pages = (now["faults"] or 0) - (then["faults"] or 0)
    return now["calls"] > then["calls"] or pages > PAGES


def compared(
    measure: Callable[[list[str]], dict[str, float]], rows: list[str], rounds: int, bar: float
) -> Times:
    """{row: its ratios}; rows that stay unclear are measured again, `AGAIN` times at most."""
    found: Times = {row: [] for row in rows}
    left = rows
    for _ in range(AGAIN):
        for _ in range(rounds):
            for row, ratio in measure(left).items():
                found[row].append(ratio)
        left = [row for row in left if verdict(found[row], bar) == "unclear"]
        if not left:
            break
    return found


def main() -> int:
    sys.path.insert(0, str(ROOT))
    from benchmarks.step_models import MODELS
    from benchmarks.timing import pin, restart_with

    names = [IMPORT, *(f"{how}: {m.name}" for how in ("tape", "compiled") for m in MODELS)]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("commit", help="what this checkout is compared with")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--bar", type=float, default=BAR)
    parser.add_argument("--rows", nargs="+", default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--lessons", nargs="+", default=[], help="their short forms, too")
    options = parser.parse_args()
    restart_with(1)
    rows = [*options.rows, *(f"{LESSON} {number}" for number in options.lessons)]
    counted: dict[str, Any] = {}
    print(f"now against {options.commit}: {pin(1)}, processor time", flush=True)
    with checkout(options.commit) as then:
        sides = {"now": ROOT, "then": then}
        if not (then / "minigrad_ae" / "program" / "compiled.py").is_file():
            rows = [row for row in rows if not row.startswith("compiled")]
        one_round(sides, rows, {})  # kernels are compiled, files are read
        found = compared(
            lambda left: one_round(sides, left, counted), rows, options.rounds, options.bar
        )
    return report(found, counted, options.bar)


def report(found: Times, counted: dict[str, Any], bar: float) -> int:
    """Print a line a row; the exit code."""
    print(f"{'':46} {'ratio':>6}  95 % interval   rounds  calls now, then  page faults")
    verdicts = {}
    for row, ratios in found.items():
        verdicts[row] = verdict(ratios, bar)
        low, high = interval(ratios)
        counts = ""
        if row in counted:
            now, then = counted[row]["now"], counted[row]["then"]
            counts = f"{now['calls']:6} {then['calls']:6}   {now['faults']} {then['faults']}"
            if heavier(now, then) and high >= 1:
                verdicts[row] = "slower"
        print(
            f"{row[:46]:46} {statistics.median(ratios):6.3f}  {low:.3f} to {high:.3f} "
            f"{len(ratios):6}  {counts:32} {verdicts[row]}"
        )
    tally = {word: list(verdicts.values()).count(word) for word in ("passes", "slower", "unclear")}
    print(f"the bar is {bar}: " + ", ".join(f"{n} {word}" for word, n in tally.items()))
    return 1 if tally["slower"] else 2 if tally["unclear"] else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--serve"]:
        serve()
    else:
        sys.exit(main())
