"""Runs that are killed at any moment, and end with the bits of those that were not.

    python tests/kill.py                          300 SIGKILLs, 100 SIGTERMs, 40 SIGKILLs in lessons
    python tests/kill.py --kills 15 --terms 5 --lessons 0        what CI does

A run is killed after a time drawn from [0, what it takes whole], its checkpoint must be whole and
no older than the last one, and it goes on until it ends: then the file must be, byte for byte, that
of the run that was never stopped.  SIGTERM must end it with 143, and the printed command goes on.
What was found is written to tests/kill.json.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

import minigrad_ae as mg
from minigrad_ae import checkpoint, files, optim, train
from minigrad_ae.cli import main
from minigrad_ae.cli.model_options import MODELS, USED_BY, complete

ROOT = Path(__file__).parent.parent
EPOCHS, BATCH = 12, 8
FAULTS = ("lost", "other bits", "half files", "left behind")
Start = Callable[[Path], Any]  # what a child does, in a folder


# --- runs -----------------------------------------------------------------------------------------


def data(folder: Path) -> Path:
    """48 pictures of 4 x 4 pixels in [0, 1]."""
    rng = np.random.default_rng(0)
    X = 0.5 + 0.2 * rng.standard_normal((48, 3)) @ rng.standard_normal((3, 16))
    np.save(folder / "X.npy", np.clip(X, 0, 1))
    return folder / "X.npy"


def commands(X: Path) -> Iterator[tuple[str, list[str]]]:
    """(name, words) of a run of the command for every model."""
    for model in MODELS:
        words = ["train", model, "--data", str(X), "--latent", "2", "--lr", "0.01"]
        words += ["--batch-size", str(BATCH), "--epochs", str(EPOCHS), "--every", "3"]
        words += ["--hidden", "8"] if model in USED_BY["hidden"][1] else []
        yield f"{model}, command", words
        if model == "vae":
            yield "vae Gaussian, command", [*words, "--likelihood", "gaussian"]


def by_command(words: list[str]) -> Start:
    """The run of a command; it goes on where there is a checkpoint."""

    def start(folder: Path) -> int:
        on = ["--resume"] if (folder / checkpoint.FILE).exists() else []
        return main([*words, "--checkpoint", str(folder), *on])

    return start


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda p: optim.SGD(p, 1e-3),
    "SGD, momentum": lambda p: optim.SGD(p, 1e-3, momentum=0.9, nesterov=True),
    "Adam": lambda p: optim.Adam(p, 1e-2),
    "AdamW": lambda p: optim.AdamW(p, 1e-2, matrices_only=True),
}


def model_of(name: str) -> Any:
    """As the command makes it."""
    words = ["--latent", "2", *(["--likelihood", "gaussian"] if "Gaussian" in name else [])]
    options = mg.cli.build_parser().parse_args(["train", name.split()[0], *words])
    complete(options)
    return MODELS[options.model](options, 16, rng=np.random.default_rng(1), dtype="float64")


def by_functions(name: str, make: Callable[[Any], Any], X: Path) -> Start:
    """The same with `mg.train.fit` and `mg.checkpoint`, kept after every second step."""

    def start(folder: Path) -> None:
        path, model = folder / checkpoint.FILE, model_of(name)
        optimizer, history = make(model.parameters()), train.History()
        draws = {"shuffle": np.random.default_rng(2), "noise": np.random.default_rng(3)}
        if path.exists():
            found = checkpoint.load(path, model)
            optimizer.load_state_dict(found.optimizer)
            history, draws = train.History(**found.meta["history"]), found.generators

        def keep(state: train.State) -> None:
            if state.step % 2 == 0:
                kept = {"optimizer": optimizer, "generators": draws}
                checkpoint.save(path, model, **kept, meta={"history": history.as_dict()})

        train.fit(
            model,
            np.load(X),
            optimizer=optimizer,
            epochs=EPOCHS,
            rng=draws["shuffle"],
            noise=draws["noise"],
            batch_size=BATCH,
            each_step=[keep],
            callbacks=[keep],
            progress=False,
            history=history,
        )

    return start


def by_lbfgs(name: str, X: Path) -> Start:
    """An iteration of L-BFGS at a time, on all the data."""

    def start(folder: Path) -> None:
        path, model, rows = folder / checkpoint.FILE, model_of(name), np.load(X)
        optimizer, done = optim.LBFGS(model.parameters(), max_iter=1), 0
        if path.exists():
            found = checkpoint.load(path, model)
            optimizer.load_state_dict(found.optimizer)
            done = found.meta["history"]["steps"]

        def closure() -> Any:
            optimizer.zero_grad()
            loss = model.loss(rows)
            loss.backward()
            return loss

        for step in range(done + 1, 41):
            optimizer.step(closure)
            meta = {"history": {"steps": step}}
            checkpoint.save(path, model, optimizer=optimizer, meta=meta)

    return start


def all_runs(X: Path) -> dict[str, Start]:
    """{name: run}, every model with every optimiser."""
    found = {name: by_command(words) for name, words in commands(X)}
    names = [name.removesuffix(", command") for name in found]
    for name in names:
        for kind, make in OPTIMIZERS.items():
            found[f"{name}, {kind}"] = by_functions(name, make, X)
    for name in ("linear", "two-layer", "deep", "sparse"):
        found[f"{name}, L-BFGS"] = by_lbfgs(name, X)
    return found


# --- children -------------------------------------------------------------------------------------


def child(start: Start, folder: Path) -> int:
    """The process number of a child that does it; what it says goes to a file."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        said = os.open(folder / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(said, 1)
        os.dup2(said, 2)
        sys.stdout = open(1, "w", closefd=False, encoding="utf-8")  # noqa: SIM115  (of this process alone)
        sys.stderr = open(2, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
        signal.signal(signal.SIGINT, signal.default_int_handler)
        code = int(start(folder) or 0)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def ended(number: int) -> int:
    """Its exit code, or the negative number of the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def killed(start: Start, folder: Path, after: float, by: signal.Signals) -> int | None:
    """How a child ended that got the signal after so many seconds; None where it was done."""
    number = child(start, folder)
    deadline = time.perf_counter() + after
    while time.perf_counter() < deadline:
        if os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            code = ended(number)
            if code:
                raise AssertionError(f"{code}: {(folder / 'said').read_text('utf-8')}")
            return None
        time.sleep(0.0005)
    os.kill(number, by)
    return ended(number) or None  # it may have been done just before


def step_of(folder: Path) -> int:
    """The step of the checkpoint, which must be whole; 0 where there is none yet."""
    path = folder / checkpoint.FILE
    return int(checkpoint.load(path).meta["history"]["steps"]) if path.exists() else 0


def printed(folder: Path) -> list[str]:
    """The commands to go on with that were printed: none by a run that was stopped while it was
    still reading its data.
    """
    lines = (folder / "said").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.startswith("  python -m minigrad_ae")]


def by_words(printed: str) -> Start:
    """The run of a command that was printed."""
    words = shlex.split(printed)[3:]
    return lambda folder: main(words)


# --- what is found --------------------------------------------------------------------------------


def attack(name: str, start: Start, folder: Path, kills: int, terms: int, rng: Any) -> Counter[str]:
    """Kill a run so often, let it end, and compare."""
    found: Counter[str] = Counter()
    whole = folder / "whole"
    whole.mkdir(parents=True)
    begin = time.perf_counter()
    if ended(child(start, whole)):
        raise AssertionError(f"{name}: {(whole / 'said').read_text('utf-8')}")
    takes = time.perf_counter() - begin
    expected = (whole / checkpoint.FILE).read_bytes()
    signals = [signal.SIGKILL] * kills + [signal.SIGTERM] * terms
    rng.shuffle(signals)
    turn = 0
    while signals:
        here, step, then = folder / f"run {turn}", 0, start
        here.mkdir()
        turn += 1
        while True:
            sent = signals[0] if signals else None
            # not so early each time that the run never gets on
            after, begin = rng.uniform(0, takes) if sent else 600.0, time.perf_counter()
            code = killed(then, here, after, sent or signal.SIGKILL)
            if code is None:  # faster than it was: the machine was busy then
                takes = min(takes, time.perf_counter() - begin)
                break
            signals = signals[1:]
            found[sent.name] += 1
            kept = step_of(here)
            found["lost"] += kept < step
            step, then = kept, start
            if sent is signal.SIGTERM and code == 128 + sent:
                found["answered"] += 1
                if kept and printed(here):
                    then = by_words(printed(here)[-1])
                    found["by the printed command"] += 1
            elif code != -sent:
                raise AssertionError(f"{name}: {sent.name} ended it with {code}")
        found["ends"] += 1
        found["other bits"] += (here / checkpoint.FILE).read_bytes() != expected
        found["left behind"] += any(here.glob(".*.part"))
    return found


def lesson(number: int) -> Start:
    """A lesson in its short form."""
    return lambda folder: main(["lesson", str(number), "--fast", "--out", str(folder / "out")])


def written(folder: Path) -> dict[str, bytes]:
    """{name: bytes} of what a lesson gave its name."""
    out = folder / "out"
    paths = sorted(out.rglob("*")) if out.exists() else []
    return {str(p.relative_to(out)): p.read_bytes() for p in paths if p.suffix in (".png", ".json")}


def attack_lesson(number: int, folder: Path, kills: int, rng: Any) -> Counter[str]:
    """Kill a lesson so often: each file that has its name is whole, and the end is as ever."""
    found: Counter[str] = Counter()
    start, whole = lesson(number), folder / "whole"
    whole.mkdir(parents=True)
    begin = time.perf_counter()
    if ended(child(start, whole)):
        raise AssertionError(f"lesson {number}: {(whole / 'said').read_text('utf-8')}")
    takes, expected = time.perf_counter() - begin, written(whole)
    here = folder / "killed"
    here.mkdir()
    while found["SIGKILL"] < kills:
        begin = time.perf_counter()
        if killed(start, here, rng.uniform(0, takes), signal.SIGKILL) is None:
            takes = min(takes, time.perf_counter() - begin)
        else:
            found["SIGKILL"] += 1
        found["half files"] += any(expected[k] != v for k, v in written(here).items())
    if ended(child(start, here)):
        raise AssertionError(f"lesson {number}: {(here / 'said').read_text('utf-8')}")
    found["ends"] += 1
    found["other bits"] += written(here) != expected
    found["left behind"] += any((here / "out").rglob(".*.part"))
    return found


def share(total: int, parts: int) -> list[int]:
    """`total` in so many parts, as even as can be."""
    return [total // parts + (k < total % parts) for k in range(parts)]


def run(
    kills: int,
    terms: int,
    lessons: int,
    seed: int = 0,
    most: int | None = None,
    so_far: Callable[[Any], object] = lambda found: None,
) -> Any:
    """Counts, over the first `most` runs (all of them); `so_far` sees them after each run."""
    rng = np.random.default_rng(seed)
    runs: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chosen = all_runs(data(folder))
        names = list(chosen) if most is None else list(rng.choice(list(chosen), most, False))
        commanded = [n for n in names if n.endswith("command")]
        of_terms = dict(zip(commanded, share(terms, len(commanded) or 1), strict=False))
        for number, (each, count) in enumerate(zip(names, share(kills, len(names)), strict=True)):
            where = folder / f"{number}"
            runs[each] = attack(each, chosen[each], where, count, of_terms.get(each, 0), rng)
            print(each, dict(runs[each]), flush=True)
            so_far(summary(runs))
        for number, count in enumerate(share(lessons, 11), 1):
            if count:
                found = attack_lesson(number, folder / f"lesson {number}", count, rng)
                runs[f"lesson {number}"] = found
                print(f"lesson {number}", dict(found), flush=True)
                so_far(summary(runs))
    return summary(runs)


def summary(runs: dict[str, Counter[str]]) -> dict[str, Any]:
    """The counts of each run and of all together; those of faults always stand there."""
    summed: Counter[str] = Counter(dict.fromkeys(FAULTS, 0))
    for found in runs.values():
        summed.update(found)
    return {"all": dict(summed), "runs": {each: dict(found) for each, found in runs.items()}}


def report() -> int:
    """Run, write what was found after each run, and print the sums."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--terms", type=int, default=100)
    parser.add_argument("--lessons", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "kill.json")
    args = parser.parse_args()
    begin = time.perf_counter()
    where = f"{platform.system()}, Python {platform.python_version()}, NumPy {np.__version__}"
    asked = {"SIGKILL": args.kills, "SIGTERM": args.terms, "in lessons": args.lessons}

    def write(found: Any) -> None:
        minutes = round((time.perf_counter() - begin) / 60, 1)
        words = {"asked for": asked, "seed": args.seed, "machine": where, "minutes": minutes}
        files.write_json(args.out, words | found)

    found = run(args.kills, args.terms, args.lessons, args.seed, so_far=write)
    print(found["all"])
    return int(any(found["all"][fault] for fault in FAULTS))


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        raise SystemExit(report())
