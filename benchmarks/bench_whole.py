"""Whole programs: what an import costs, a lesson, and an epoch of a variational autoencoder on
MNIST on the tape and by `fit(compile="auto")`, in turns.

    python benchmarks/bench_whole.py [--json FILE] [--rounds N]

One thread, processor time.  Imports and the lesson have processes of their own, kernels compiled
before; without MNIST (`minigrad-ae data mnist`) that part is left out.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.machine import installed
from benchmarks.timing import environment, interleave, pin, restart_with

IMPORTED = {"numpy": "numpy", "minigrad_ae": "numba", "torch": "torch", "jax": "jax"}
EPOCHS = 2  # of a training, so that it is worth compiling


def spent(*arguments: str) -> float:
    """Processor seconds of a Python process."""

    def used() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return children.ru_utime + children.ru_stime

    before = used()
    env = environment(1) | {"MPLBACKEND": "Agg"}
    command = [sys.executable, *arguments]
    subprocess.run(command, env=env, stdout=subprocess.DEVNULL, check=True)
    return used() - before


def imports(rounds: int) -> dict[str, float]:
    """Seconds beyond those of a process that imports nothing."""
    names = [name for name, package in IMPORTED.items() if installed(package)]
    runs = {name: (lambda name=name: spent("-c", f"import {name}")) for name in names}
    race = interleave({"nothing": lambda: spent("-c", ""), **runs}, rounds)
    return {name: race.median(name) - race.median("nothing") for name in names}


def lesson(number: int, rounds: int) -> float:
    """Processor seconds of a lesson in its short form."""
    with tempfile.TemporaryDirectory() as out:
        command = ["-m", "minigrad_ae", "lesson", str(number), "--fast", "--out", out]
        spent(*command)  # kernels are compiled
        return statistics.median(spent(*command) for _ in range(rounds))


def epochs(rounds: int) -> dict[str, Any]:
    """Seconds of an epoch on the tape and compiled, and the second over the first.  ValueError
    where the losses are not the same numbers.
    """
    import numpy as np

    from minigrad_ae.data import mnist
    from minigrad_ae.models import VariationalAutoencoder
    from minigrad_ae.optim import Adam
    from minigrad_ae.train import fit

    images = mnist(split="train", dtype=np.float32)[0]
    losses: dict[Any, list[float]] = {}

    def training(how: Any) -> float:
        start, shuffle, noise = (np.random.default_rng(seed) for seed in range(3))
        model = VariationalAutoencoder(
            784, 20, hidden=(400,), activation="relu", rng=start, dtype=np.float32
        )
        adam = Adam(model.parameters(), lr=1e-3)
        settings = {"rng": shuffle, "noise": noise, "batch_size": 128, "progress": False}
        before = time.process_time()
        history = fit(model, images, optimizer=adam, epochs=EPOCHS, compile=how, **settings)
        losses[how] = history.loss
        return (time.process_time() - before) / EPOCHS

    race = interleave({"tape": lambda: training(False), "auto": lambda: training("auto")}, rounds)
    if losses[False] != losses["auto"]:
        raise ValueError(f"an epoch's losses differ: {losses}")
    return {
        "epochs": EPOCHS,
        "tape": race.median("tape"),
        "auto": race.median("auto"),
        "ratio": race.ratio("auto", "tape"),
        "quartiles": race.spread("auto", "tape"),
        "loss": losses["auto"],
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    restart_with(1)
    pinned = pin(1)
    print(pinned)
    from minigrad_ae.data.mnist_files import is_there

    found: dict[str, Any] = {"pinned": pinned, "import": imports(options.rounds + 4)}
    print("import: " + ", ".join(f"{name} {s:.2f} s" for name, s in found["import"].items()))
    found["lesson"] = lesson(2, options.rounds)
    print(f"lesson 2: {found['lesson']:.1f} s", flush=True)
    if is_there():
        own = found["mnist"] = epochs(options.rounds)
        print(f"an epoch on MNIST: {own['tape']:.1f} s, compiled {own['ratio']:.2f} of it")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ValueError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
