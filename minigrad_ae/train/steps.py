"""The steps of a training, on the tape or by a program."""

from __future__ import annotations

import logging
import math
import time
from typing import Any

import numpy as np

from ..errors import DataError, DtypeError, GradientError
from ..program import CompiledStep

_log = logging.getLogger("minigrad_ae")


class Steps:
    """Makes the steps of a training, on the tape or, where that pays, by a program.

    With "auto" the first steps are timed.  A program pays if a third of the time of the steps that
    are left, which it saves at least on small models, is more than `WORTH` seconds; if it then
    turns out to be slower, the tape has it again.
    """

    TIMED, WORTH = 32, 2.0

    def __init__(self, model: Any, optimizer: Any, noise: Any, left: int, wanted: Any) -> None:
        self.model, self.optimizer, self.noise = model, optimizer, noise
        self.left, self.auto = left, wanted == "auto"
        self.times: dict[bool, list[float]] = {False: [], True: []}  # {by program: seconds}
        self.program: Any = self.compiled() if wanted is True else None

    def compiled(self) -> CompiledStep:
        """The mean loss of a batch and its sum, as a program."""
        model = self.model  # of what a function closes over, changes are looked for

        def losses(batch: Any, noise: Any) -> Any:
            loss = _loss(model, batch, noise)
            return loss / len(batch), loss

        return CompiledStep(losses, quiet=self.auto)

    def step(self, batch: np.ndarray, where: str) -> float:
        """One step down the mean loss of a batch; returns its summed loss, before the step."""
        start = time.perf_counter()
        self.optimizer.zero_grad()
        loss = _loss(self.model, batch, self.noise) if self.program is None else None
        if loss is None:
            _, total = self.program(batch, self.noise)
            value = total.item()
        else:
            value = float(loss.item())
        if not math.isfinite(value):
            raise DataError(
                f"the loss is {value}",
                f"at {where}; learning rate {self.optimizer.lr:.3g}",
                "lower the learning rate; run this batch under mg.detect_anomaly() to see which "
                "operation it comes from",
            )
        if loss is not None:
            (loss / len(batch)).backward()
        try:
            self.optimizer.step()
        except GradientError as error:
            raise GradientError(error.what, f"at {where}: {error.where}", error.fix) from None
        self.left -= 1
        if self.auto:
            self.decide(time.perf_counter() - start)
        return value

    def decide(self, seconds: float) -> None:
        """Compile, or go back to the tape, or ask no more."""
        by_program = self.program is not None
        times = self.times[by_program]
        times.append(seconds)
        if len(times) < self.TIMED:
            return
        tape = float(np.median(self.times[False]))
        if not by_program:
            self.auto = tape * self.left / 3 > self.WORTH
            if self.auto:
                self.program = self.compiled()
                _log.info("fit: %d steps of %.2g s are left: compiling", self.left, tape)
            return
        self.auto, program = False, float(np.median(times))
        if program > tape or self.program.reason:
            self.program = None
            _log.info("fit: back to the tape (%.2g s a step, %.2g compiled)", tape, program)
        else:
            _log.info("fit: compiled, %.2g s a step instead of %.2g", program, tape)


def _loss(model: Any, batch: np.ndarray, noise: np.random.Generator | None) -> Any:
    """The model's loss; what lacks a generator is told that `fit` calls it `noise`."""
    try:
        return model.loss(batch, rng=noise)
    except DtypeError as error:
        if noise is not None or error.where != "got rng=None":
            raise
        raise DtypeError(
            f"fit: the loss of a {type(model).__name__} draws random numbers",
            "got noise=None (rng is for the order of the data)",
            "pass noise=np.random.default_rng(seed), a generator of its own",
        ) from None
