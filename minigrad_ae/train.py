"""The training loop: batches, loss, backward, step.

for epoch in 1, 2, ...:   for each batch:   w <- w - step(d/dw loss(batch) / len(batch))
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .arguments import flag, generator, plain, whole_number
from .data import batches, check_matrix
from .data.progress import progress_of
from .data.validate import demand_squares
from .errors import DataError, DtypeError, GradientError
from .optim import LBFGS, SGD, Adam


@dataclass
class History:
    """What training has done so far.

    loss : after each epoch the mean over data of the model's loss, as measured *while* the weights
    moved.
    steps : optimiser steps in all epochs together.
    """

    loss: list[float] = field(default_factory=list)
    steps: int = 0

    @property
    def epochs(self) -> int:
        """Epochs that are complete."""
        return len(self.loss)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; ``History(**dict)`` restores it, exact to the last bit."""
        return asdict(self)


@dataclass(frozen=True)
class State:
    """What a callback sees after an epoch (they count from 1)."""

    model: Any
    optimizer: SGD | Adam
    epoch: int
    step: int
    loss: float
    history: History


Callback = Callable[[State], Any]


def fit(
    model: Any,
    X: Any,
    *,
    optimizer: SGD | Adam,
    epochs: int,
    rng: np.random.Generator,
    batch_size: int = 64,
    noise: np.random.Generator | None = None,
    schedule: Callable[[int], float] | None = None,
    callbacks: Iterable[Callback] = (),
    progress: bool = True,
    history: History | None = None,
) -> History:
    """Train `model` on the rows of X (n, ...), which are cast to its dtype; returns the history.

    model : one with ``loss(x, rng)``.  Each step minimises ``model.loss(batch, rng=noise) /
    len(batch)``: the mean over data of a loss that is a sum.

    batch_size : more than n means all rows.  rng : shuffles them, once an epoch.  noise : is handed
    to the loss (one generator per purpose).
    schedule : ``schedule(k)`` is the learning rate of step k = 0, 1, ...; see
    `mg.optim.cosine_schedule`.
    callbacks : each is called as ``callback(state)`` after every epoch; one that returns True ends
    the training.
    progress : a bar on a terminal, otherwise at most ten lines, both on standard error.
    history : of a run to go on with; `epochs` counts from its beginning.  With model, optimiser and
    generators in the state they had at its last epoch, the rest is what one uninterrupted run would
    have done, bit for bit.

    The model is in training mode here, and afterwards in the mode it was in.  Ctrl-C takes effect
    when the step that is being made is complete; a second one at once.

    Raises DataError for data that are empty, not finite, or all the same, for ``epochs`` < 1, and
    where the loss becomes NaN or infinite; GradientError where a gradient does; and what `batches`
    and the model's loss raise.
    """
    if isinstance(optimizer, LBFGS):
        raise DataError(
            "fit makes one step per batch, and L-BFGS needs the same loss again and again",
            "got optimizer=LBFGS(...)",
            "call optimizer.step(closure) with all the data; or use SGD or Adam here",
        )
    epochs = whole_number(
        epochs,
        "fit: epochs",
        "pass epochs=1 or more",
        what="fit: at least one epoch is needed",
        where=f"got epochs={epochs}",
    )
    batch_size = whole_number(
        batch_size, "fit: batch_size", what=f"fit: a batch size of {batch_size} is out of range"
    )
    rng = generator(rng, "fit", "the order of the rows")
    if noise is not None:
        generator(noise, "fit", "the noise of the loss")
    flag(progress, "fit: progress")
    X = _checked(X, model.parameters()[0].dtype)
    history = History() if history is None else history
    size = min(batch_size, len(X))
    steps = -(-len(X) // size)
    callbacks = list(callbacks)
    mode = model.training
    model.train()
    try:
        with (
            progress_of(epochs, history.epochs, steps, progress) as shown,
            _interruptible() as interrupted,
        ):
            for epoch in range(history.epochs + 1, epochs + 1):
                total = 0.0
                for batch in batches(X, size, rng):
                    if schedule is not None:
                        optimizer.lr = schedule(history.steps)
                    total += _step(
                        model,
                        batch,
                        optimizer,
                        noise,
                        f"step {history.steps + 1}, in epoch {epoch} of {epochs}",
                    )
                    history.steps += 1
                    shown.step()
                    if interrupted():
                        raise KeyboardInterrupt
                history.loss.append(total / len(X))
                shown.epoch(epoch, history.loss[-1])
                state = State(model, optimizer, epoch, history.steps, history.loss[-1], history)
                answers = [callback(state) for callback in callbacks]
                if any(answer is True for answer in answers):
                    break
    finally:
        model.train(mode)
    return history


def _step(
    model: Any,
    batch: np.ndarray,
    optimizer: SGD | Adam,
    noise: np.random.Generator | None,
    where: str,
) -> float:
    """One step down the mean loss of a batch; returns its summed loss, before the step."""
    optimizer.zero_grad()
    loss = _loss(model, batch, noise)
    value = float(loss.item())
    if not math.isfinite(value):
        raise DataError(
            f"the loss is {value}",
            f"at {where}; learning rate {optimizer.lr:.3g}",
            "lower the learning rate; run this batch under mg.detect_anomaly() to see which "
            "operation it comes from",
        )
    (loss / len(batch)).backward()
    try:
        optimizer.step()
    except GradientError as error:
        raise GradientError(error.what, f"at {where}: {error.where}", error.fix) from None
    return value


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


def _checked(X: Any, dtype: Any) -> np.ndarray:
    """X in `dtype`, as an array of finite floats whose rows are not all the same (one row alone may
    be learned by heart).
    """
    X = plain(X, "X")
    flat = check_matrix(X.reshape(len(X), -1) if X.ndim > 2 and X.size else X)
    if len(flat) > 1 and (flat == flat[0]).all():
        raise DataError(
            "there is nothing to learn: all rows of X are the same",
            f"X has shape {X.shape}, and each row begins "
            f"{', '.join(f'{v:.4g}' for v in flat[0, :3])}",
            "check how the data were read; a constant needs no autoencoder",
        )
    with np.errstate(over="ignore"):
        cast = (
            flat
            if flat.dtype == dtype
            else check_matrix(flat.astype(dtype), f"X, cast to {np.dtype(dtype)},")
        )
    demand_squares(flat, dtype)
    return cast.reshape(X.shape)


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether Ctrl-C was pressed; a second one interrupts at once, as
    it usually does.
    """
    pressed = threading.Event()
    usual = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(usual):
        yield pressed.is_set
        return

    def once(number: int, frame: Any) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, once)
    try:
        yield pressed.is_set
    finally:
        signal.signal(signal.SIGINT, usual)
