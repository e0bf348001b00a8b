"""How everything here is timed: contenders take turns, a gauge watches for other people's work,
medians are reported.

    race = interleave({"ours": turn(ours), "torch": turn(theirs)}, rounds=25)
    race.median("ours"), race.ratio("torch", "ours")         # seconds; > 1 means that ours is
    faster

A ratio is the median over rounds of (their time / our time): a disturbance that lasts hits both.
Before and after each round a fixed loop of arithmetic is timed; rounds in which it was slower than
at its best by more than `LIMIT` were shared with somebody else's work: they are dropped, and
counted.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 1.25  # times the gauge's best: slower, and the round is dropped
BLOCK = 2e-4  # seconds: long beside the clock, short beside the time slice of another process
LEAST = 1 / 3  # of the rounds are kept in any case: the calmest
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


Timer = Callable[[], float]


def timer_for(threads: int) -> Timer:
    """On one thread the processor's time, which does not run while another process has the core;
    else the wall's.
    """
    return time.process_time if threads == 1 else time.perf_counter


def clock(function: Callable[[], Any], repeats: int = 1, timer: Timer = time.perf_counter) -> float:
    """Seconds per call."""
    start = timer()
    for _ in range(repeats):
        function()
    return (timer() - start) / repeats


def turn(
    function: Callable[[], Any], seconds: float = 0.01, timer: Timer = time.perf_counter
) -> Callable[[], float]:
    """A contender: when called it runs `function` for about `seconds` and returns the time of one
    call.

    That time is the median over short blocks of calls, so that losing the core for a moment spoils
    one block only.
    """
    function()
    once = max(min(clock(function) for _ in range(3)), 1e-7)
    repeats = max(1, round(BLOCK / once))
    blocks = max(1, round(seconds / (repeats * once)))
    return lambda: statistics.median(clock(function, repeats, timer) for _ in range(blocks))


def gauge(threads: int = 1) -> Callable[[], float]:
    """A watch over `threads` cores: it returns the seconds of a fixed piece of work done on all of
    them at once.

    (A checksum: it releases the interpreter's lock, and 256 KiB stay in the second-level cache.)
    """
    data, pool = bytes(1 << 18), ThreadPoolExecutor(threads)

    def work(_: int) -> None:
        hashlib.sha256(data).digest()

    def watch() -> float:
        start = time.perf_counter()
        list(pool.map(work, range(threads)))
        return time.perf_counter() - start

    return watch


def busy(race: Race, threads: int) -> bool:
    """Whether some of the cores were somebody else's: work on all of them took much longer than the
    same on one.

    A ratio from such a race says who suffers more, not who is faster: a library that waits for its
    threads at each step (OpenMP) becomes a hundred times as slow when one of two cores is taken.
    """
    alone = gauge(1)
    return threads > 1 and race.gauge > LIMIT * min(alone() for _ in range(200))


@dataclass
class Race:
    """The rounds that counted: seconds per call of each contender, in step; and what was
    dropped.
    """

    times: dict[str, list[float]]
    kept: int
    dropped: int
    gauge: float = 0.0  # its median among the rounds kept, in seconds

    def median(self, name: str) -> float:
        return statistics.median(self.times[name])

    def ratio(self, name: str, ours: str = "ours") -> float:
        """Median over rounds of (time of `name`) / (time of `ours`)."""
        return statistics.median(
            t / o for t, o in zip(self.times[name], self.times[ours], strict=True)
        )

    def spread(self, name: str, ours: str = "ours") -> tuple[float, float]:
        """The quartiles of that ratio."""
        ratios = sorted(t / o for t, o in zip(self.times[name], self.times[ours], strict=True))
        return ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]


def interleave(
    contenders: Mapping[str, Callable[[], float]],
    rounds: int = 25,
    watch: Callable[[], float] | None = None,
) -> Race:
    """Let the contenders take turns, `rounds` times; each returns the seconds of one call (see
    `turn`).
    """
    if not contenders or rounds < 1:
        raise ValueError("a race needs a contender and a round")
    names, taken, gauged = list(contenders), [], []
    watch = watch or gauge()
    for number in range(rounds):
        # nobody always follows the same neighbour
        order = names[number % len(names) :] + names[: number % len(names)]
        before = watch()
        times = {name: contenders[name]() for name in order}
        taken.append(times)
        gauged.append(max(before, watch()))
    chosen = calm(gauged)
    return Race(
        {name: [taken[k][name] for k in chosen] for name in names},
        kept=len(chosen),
        dropped=rounds - len(chosen),
        gauge=statistics.median(gauged[k] for k in chosen),
    )


def calm(gauged: list[float]) -> list[int]:
    """The numbers of the rounds to keep, in order: gauge within `LIMIT` of its best, or at least
    the calmest third.
    """
    ranked = sorted(range(len(gauged)), key=gauged.__getitem__)
    within = [k for k in ranked if gauged[k] <= LIMIT * gauged[ranked[0]]]
    least = max(1, round(LEAST * len(gauged)))
    return sorted(within if len(within) >= least else ranked[:least])


# --- threads and processes ------------------------------------------------------------------------


def environment(threads: int, root: Path = ROOT) -> dict[str, str]:
    """The environment of a process in which every library starts with this number of threads; our
    package is in `root`.
    """
    path = os.pathsep.join(p for p in (str(root), os.environ.get("PYTHONPATH", "")) if p)
    return {**os.environ, **dict.fromkeys(THREADS, str(threads)), "PYTHONPATH": path}


def pin(threads: int) -> str:
    """Hold this process to the last `threads` cores; returns what was done, in words.  Children
    inherit it.
    """
    if not hasattr(os, "sched_setaffinity"):
        return f"{threads} thread(s), not pinned"
    cores = sorted(os.sched_getaffinity(0))[-threads:]
    os.sched_setaffinity(0, cores)
    return f"{threads} thread(s), pinned to core(s) {', '.join(map(str, cores))}"


def restart_with(threads: int) -> None:
    """Restart this script unless its libraries were loaded for this number of threads: they look
    only once.
    """
    if any(os.environ.get(name) != str(threads) for name in THREADS):
        os.execve(sys.executable, [sys.executable, *sys.argv], environment(threads))


class Worker:
    """A contender in a process of its own: `Worker(script, threads, *args)`, then `ask(request) ->
    answer` in JSON.

    Thread pools of several libraries in one process slow each other down; processes that take turns
    do not.
    """

    def __init__(
        self, script: Path, threads: int, *args: str, env: Mapping[str, str] | None = None
    ) -> None:
        self.errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115  # no pipe: nobody reads it meanwhile
        self.process = subprocess.Popen(
            [sys.executable, str(script), *args],
            env=env or environment(threads),
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
        )

    def ask(self, **request: Any) -> Any:
        """Send a request; wait for the answer.  RuntimeError with the end of its error output where
        it died.
        """
        assert self.process.stdin and self.process.stdout
        with suppress(BrokenPipeError):  # if it is gone, the empty answer says so
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.errors.seek(0)
            raise RuntimeError(self.errors.read().strip()[-500:] or "the process ended")
        return json.loads(line)

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout, self.errors):
            if pipe and not pipe.closed:
                with suppress(BrokenPipeError):
                    pipe.close()
        self.process.wait(timeout=30)
