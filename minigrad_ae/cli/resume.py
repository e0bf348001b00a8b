"""What a run of ``minigrad-ae train`` left in its folder: compared with what is asked of it now,
and taken up again.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import checkpoint
from ..arguments import real_number, whole_number
from ..data import Scaling
from ..errors import CheckpointError
from ..nn import Module
from ..optim import Optimizer
from ..train import History

# options that may differ on --resume
MAY_CHANGE = {"epochs", "every", "resume", "overwrite", "checkpoint", "command", "handler", "words"}
SCALES = ("one", "column", "none")


def settings_of(options: Namespace) -> dict[str, Any]:
    """What must be the same on --resume, and is kept for it."""
    return {name: value for name, value in vars(options).items() if name not in MAY_CHANGE}


def data_sum(X: np.ndarray, X_test: np.ndarray) -> str:
    """What the rows are known by: a SHA-256 of those to learn from and of those held out."""
    return checkpoint.digest({"train": X, "test": X_test})


@dataclass
class Kept:
    """What is kept with a model: of which epoch it is, and everything else that a run needs."""

    path: Path | None
    meta: dict[str, Any]
    scaling: Scaling | None
    generators: dict[str, np.random.Generator]


@dataclass
class Begun:
    """What a run left in its folder, as it says itself."""

    path: Path
    settings: dict[str, Any]
    history: History
    data: str | None
    optimizer: dict[str, Any]

    @staticmethod
    def read(path: Path) -> Begun:
        """From the checkpoint; CheckpointError where no run of this command left it."""
        header = checkpoint.described(path)
        try:
            if not header["generators"].keys() >= {"shuffle", "noise"}:
                raise KeyError
            meta = header["meta"]
            # before there was scaling, data were as they are, and rates stayed
            settings = {"scale": "none", "fall": None, **meta["settings"]}
            real_number(settings["lr"], "lr", "[0, inf)", "")
            if settings["fall"] is not None:
                real_number(settings["fall"], "fall", "(0, inf)", "")
            if settings["scale"] not in SCALES:
                raise ValueError
            history = _history(meta["history"])
            return Begun(path, settings, history, meta.get("data"), header["optimizer"])
        except (LookupError, TypeError, ValueError):
            raise CheckpointError(
                "--resume: the checkpoint has no training to continue",
                f"{path}: a model alone, not written by minigrad-ae train",
                "load it with mg.checkpoint.load; or start again in another folder",
            ) from None

    def complete(self, options: Namespace) -> None:
        """Take from here what is not given."""
        options.fall = self.settings["fall"]
        for name in ("lr", "scale"):
            if getattr(options, name, None) is None:
                setattr(options, name, self.settings[name])

    def demand_same(self, options: Namespace, data: str, optimizer: Optimizer) -> None:
        """Refuse to go on with other options (one that came later had its default), other data or
        another optimiser; all that differs is said.  The same rows may lie in another file.
        """
        now, then = settings_of(options), self.settings
        both = now.keys() & then.keys() - ({"data"} if data == self.data else set())
        differ = [
            f"{flag_of(n)} was {then[n]}, is {now[n]}" for n in sorted(both) if now[n] != then[n]
        ]
        if self.data not in (None, data):
            differ.append(f"--data has other rows (SHA-256 was {self.data!s:.8}, is {data:.8})")
        differ += _differences(self.optimizer, optimizer)
        if differ:
            raise CheckpointError(
                "--resume: the options are not those of the checkpoint",
                f"{self.path}: {' '.join('; '.join(differ).split())}",
                "repeat the options",
            )

    def restored(self, model: Module, optimizer: Optimizer, meta: dict[str, Any]) -> Kept:
        """Put what was kept into the model and the optimiser; returns the rest, to go on with."""
        found = checkpoint.load(self.path, model)
        optimizer.load_state_dict(found.optimizer or {})
        draws = {name: found.generators[name] for name in ("shuffle", "noise")}
        return Kept(self.path, meta, found.scaling, draws)

    def said(self, epochs: int) -> str:
        """Where it goes on, in a line."""
        done, left = self.history.epochs, max(0, epochs - self.history.epochs)
        within = f", step {self.history.steps}" if self.history.begun else ""
        return f"continuing after epoch {done}{within}, with {self.path}; epochs left: {left}"


def flag_of(name: str) -> str:
    """'--batch-size' for batch_size."""
    return "MODEL" if name == "model" else f"--{name.replace('_', '-')}"


def _differences(then: Mapping[str, Any], now: Optimizer) -> Iterator[str]:
    if then["class"] != type(now).__name__:
        yield f"the optimiser was {then['class']}, is {type(now).__name__}"
        return
    before = then.get("settings", {})  # older versions kept none
    for name, value in now.settings().items():
        if isinstance(before, dict) and before.get(name, value) != value:
            yield f"{name} of {then['class']} was {before[name]}, is {value}"


def _history(kept: dict[str, Any]) -> History:
    """The record of a training, of numbers throughout; what is amiss raises an error."""
    history = History(**kept)
    if not isinstance(history.loss, list):
        raise TypeError
    for loss in history.loss:
        real_number(loss, "a loss", "(-inf, inf)", "")
    whole_number(history.steps, "steps", low=0)
    return history
