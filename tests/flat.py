"""Whether memory and file handles stay flat while steps are made: eager, compiled, and kept.

    python tests/flat.py                5,000 steps each; about two minutes

Of each way 2,000 steps are made first (buffers, caches, the compiled program); then resident
memory, open files and living objects are read after every 250.  What was found is written to
tests/flat.json.
"""

from __future__ import annotations

import argparse
import gc
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from minigrad_ae import checkpoint, files, models, optim, train

ROOT = Path(__file__).parent.parent
PROCESS = Path("/", "proc", "self")  # Linux's own account
WARM, EVERY = 2000, 250
# bytes: a leak of one float of a step would be 24,000 in 3,000 steps, one array of a step's
# smallest (16 numbers, with its header) a million; the allocator's own steps are 135,168
MOST = 1_000_000


def readings() -> dict[str, int]:
    """Resident bytes, open files, and objects that the collector knows."""
    gc.collect()
    pages = int((PROCESS / "statm").read_text(encoding="ascii").split()[1])
    found = {"bytes": pages * os.sysconf("SC_PAGE_SIZE")}
    found["files"] = len(os.listdir(PROCESS / "fd"))
    found["objects"] = len(gc.get_objects())
    return found


def steps(count: int, compile: bool, keep: Path | None) -> list[dict[str, int]]:
    """The readings of so many steps of a variational autoencoder."""
    X = np.random.default_rng(0).random((256, 16))
    model = models.VariationalAutoencoder(16, 2, hidden=(16,), rng=np.random.default_rng(1))
    draws = {"shuffle": np.random.default_rng(2), "noise": np.random.default_rng(3)}
    found: list[dict[str, int]] = []

    def read(state: train.State) -> bool:
        if keep is not None and state.step % 10 == 0:
            meta = {"step": state.step}
            kept = {"optimizer": state.optimizer, "generators": draws}
            checkpoint.save(keep, model, meta=meta, **kept)
            checkpoint.load(keep)
        if state.step >= WARM and state.step % EVERY == 0:
            found.append(readings())
        return state.step == count

    train.fit(
        model,
        X,
        optimizer=optim.Adam(model.parameters()),
        epochs=count,
        batch_size=64,
        rng=draws["shuffle"],
        noise=draws["noise"],
        each_step=[read],
        progress=False,
        compile=compile,
    )
    return found


def growth(found: list[dict[str, int]]) -> dict[str, int]:
    """By how much each reading grew, from the least of the first half to the least of the rest."""
    half = len(found) // 2
    return {
        what: min(r[what] for r in found[half:]) - min(r[what] for r in found[:half])
        for what in found[0]
    }


def run(count: int) -> dict[str, Any]:
    """{way: how many steps, and the growth}."""
    with tempfile.TemporaryDirectory() as folder:
        ways: dict[str, Callable[[], Any]] = {
            "eager": lambda: steps(count, False, None),
            "compiled": lambda: steps(count, True, None),
            "kept and loaded": lambda: steps(count, True, Path(folder, "a.npz")),
        }
        return {way: {"steps": count, **growth(make())} for way, make in ways.items()}


def report() -> int:
    """Run, write what was found, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "flat.json")
    args = parser.parse_args()
    found = run(args.steps)
    machine = f"{platform.system()}, Python {platform.python_version()}, NumPy {np.__version__}"
    files.write_json(args.out, {"machine": machine, "most bytes": MOST, "growth": found})
    for way, each in found.items():
        print(f"{way}: {each}")
    flat = all(e["bytes"] < MOST and e["files"] <= 0 and e["objects"] <= 50 for e in found.values())
    return int(not flat)


if __name__ == "__main__":
    raise SystemExit(report())
