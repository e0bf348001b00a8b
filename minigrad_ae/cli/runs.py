"""A run of ``minigrad-ae train`` in its folder: it is alone there, keeps its model when it is due,
and Ctrl-C or SIGTERM leaves it whole.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .. import checkpoint
from ..errors import CheckpointError, DataError, MinigradError
from ..files import can_be_written, previous_of
from ..locks import alone_in
from ..room import spelt
from ..train import History, State
from .resume import Kept

LINES = 50  # about as many epochs are printed and kept


def interval(text: str) -> int | float:
    """The type of ``--every``: a number of steps, an int, or seconds, a float: 500, 30s."""
    with suppress(ValueError):
        if text.endswith("s") and 0 < float(text[:-1]) < float("inf"):
            return float(text[:-1])
        if text.isascii() and text.isdigit() and int(text) > 0:
            return int(text)
    raise ArgumentTypeError(f"{text!r:.40} is neither a number of steps, as 500, nor seconds: 30s")


OPTIONS: dict[str, Any] = {
    "--checkpoint": {
        "type": Path,
        "metavar": "DIR",
        "help": "keep the model here, in checkpoint.npz, after every epoch, or every second",
    },
    "--every": {
        "type": interval,
        "metavar": "N",
        "help": "keep it within an epoch too: every N steps (500), or seconds (30s)",
    },
    "either": {
        "--resume": {"action": "store_true", "help": "go on with the model in --checkpoint"},
        "--overwrite": {
            "action": "store_true",
            "help": "begin anew where --checkpoint holds an older run",
        },
    },
}


# --- the folder -----------------------------------------------------------------------------------


def path_of(options: Namespace) -> Path | None:
    """Where the checkpoint is or will be; None where nothing is kept."""
    if options.checkpoint is None:
        for name in ("resume", "every"):
            if getattr(options, name, None):
                raise DataError(
                    f"--{name} without --checkpoint",
                    "there is nothing to resume" if name == "resume" else "nothing is kept",
                    "name the folder: --checkpoint DIR",
                )
        return None
    path: Path = options.checkpoint / checkpoint.FILE
    if path.exists() and not (options.resume or options.overwrite):
        raise CheckpointError(
            "there is a checkpoint of an older run",
            f"{path}",
            "continue it: --resume; start again: --overwrite; or name another folder",
        )
    return path


@contextmanager
def folder_of(options: Namespace, path: Path | None) -> Iterator[Callable[[], None]]:
    """The run's folder, which is there and can be written to, and in which no other run is at work:
    all of it is known before the time for training is spent.

    What is yielded says so again, as long as the folder is there; CheckpointError, or FileError
    that names the other run, where it is not so.
    """
    if path is None:
        yield lambda: None
        return
    if options.resume and not path.parent.is_dir():
        checkpoint.described(path)  # says that there is none
    with _alone_in_folder(path.parent) as again:
        _demand_place(path)
        yield again


def _demand_place(path: Path) -> None:
    """Refuse what no checkpoint can take the place of, where it will be and where the one before it
    will: a folder, a device, a link that leads nowhere.
    """
    for each in (path, previous_of(path)):
        fault = ""
        if each.is_dir():
            fault = "is a folder"
        elif each.exists() and not each.is_file():
            fault = "is not a file"
        elif not can_be_written(each):
            fault = f"leads to {os.path.realpath(each)}, where nothing can be written"
        if fault:
            raise CheckpointError(
                "the checkpoint cannot be written", f"{each} {fault}", "name another folder"
            )


@contextmanager
def _alone_in_folder(folder: Path) -> Iterator[Callable[[], None]]:
    doing, lock = "made", alone_in(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        doing = "written to"
        again = lock.__enter__()
    except MinigradError:
        raise
    except OSError as error:
        where = f"--checkpoint {folder}: {error.strerror}"
        raise CheckpointError(
            f"the folder for the checkpoint cannot be {doing}", where, "name another one"
        ) from None
    try:
        yield again
    finally:
        lock.__exit__(None, None, None)


def demand_disk(path: Path | None, size: int) -> None:
    """Refuse a disk that has no room for a checkpoint of `size` bytes."""
    free = None if path is None else shutil.disk_usage(path.parent).free
    if free is not None and free < size:
        raise CheckpointError(
            "there is no room for the checkpoint",
            f"{path}: about {spelt(size)} are needed, {spelt(free)} are free",
            "make room, or name a folder on another disk: --checkpoint DIR",
        )


# --- keeping --------------------------------------------------------------------------------------


class Keeper:
    """Callbacks: after an epoch one says the loss, in the units of the table, and keeps the model;
    after a step the other keeps it where that is due, or training ends.

    Of many short epochs it says and keeps some: every one that lasts a second, and at least
    `LINES` in all.
    """

    def __init__(
        self,
        kept: Kept,
        epochs: int,
        every: int | float | None,
        history: History,
        in_units: Callable[[Any, float], float],
        alone: Callable[[], None],
    ) -> None:
        self.kept, self.epochs, self.interval = kept, epochs, every
        self.in_units, self.alone = in_units, alone
        self.step_kept = history.steps  # of the model that is kept; 0: none is
        self.every = -(-epochs // LINES)
        self.time = time.monotonic()

    def after_epoch(self, state: State) -> None:
        """Say the loss, and keep the model."""
        from tqdm import tqdm

        late = time.monotonic() - self.time >= 1.0
        round_one = state.epoch % self.every == 0 or state.epoch in (1, self.epochs)
        if not (late or round_one):
            return
        loss = self.in_units(state.model, state.loss)
        # above the bar, where there is one
        tqdm.write(f"epoch {state.epoch:>4}  loss {loss:.10g}")
        sys.stdout.flush()
        self.keep(state)

    def after_step(self, state: State) -> None:
        """Keep the model, if that is due."""
        if isinstance(self.interval, int):
            due = state.step % self.interval == 0
        else:
            due = self.interval is not None and time.monotonic() - self.time >= self.interval
        if due or state.stopping:
            self.keep(state)

    def keep(self, state: State) -> None:
        """Write the checkpoint, unless another run has begun in the folder meanwhile."""
        if self.kept.path is not None:
            self._demand_alone()
            checkpoint.save(
                self.kept.path,
                state.model,
                optimizer=state.optimizer,
                generators=self.kept.generators,
                meta={**self.kept.meta, "history": state.history.as_dict()},
                scaling=self.kept.scaling,
            )
            self.step_kept = state.step
        self.time = time.monotonic()

    def _demand_alone(self) -> None:
        try:
            self.alone()
        except MinigradError:
            raise
        except OSError:  # the folder is not there any more: what writes into it says so
            pass


# --- ending ---------------------------------------------------------------------------------------


class Terminated(KeyboardInterrupt):
    """SIGTERM: what a batch system or a shutdown sends before it kills."""


@contextmanager
def answering_sigterm() -> Iterator[None]:
    """In here SIGTERM is an exception, as Ctrl-C is."""

    def raise_it(number: int, frame: Any) -> None:
        raise Terminated

    try:
        usual = signal.signal(signal.SIGTERM, raise_it)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, usual)


def code_of(stop: KeyboardInterrupt) -> int:
    """The exit code that a shell expects of what a signal ended."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


def interrupted(stop: KeyboardInterrupt, keeper: Keeper, options: Namespace) -> int:
    """Say what is kept and how to go on; returns the exit code."""
    said = "nothing was kept"
    if keeper.kept.path and keeper.step_kept:
        said = f"step {keeper.step_kept} is in {keeper.kept.path}; to go on:\n  {command(options)}"
    print(f"\nminigrad-ae: interrupted; {said}", file=sys.stderr)
    return code_of(stop)


def command(options: Namespace) -> str:
    """The command that goes on with this run."""
    words = [word for word in options.words if word != "--overwrite"]
    if "--resume" not in words:
        words.append("--resume")
    words = ["python", "-m", "minigrad_ae", *words]
    return subprocess.list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
