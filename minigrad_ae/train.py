"""The training loop: batches, loss, backward, step.

for epoch in 1, 2, ...:   for each batch:   w <- w - step(d/dw loss(batch) / len(batch))
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from signal import SIGINT, SIGTERM
from statistics import median
from typing import Any

import numpy as np

from .arguments import choice, flag, generator, plain, real_number, whole_number
from .data import batches, check_matrix
from .data.progress import progress_of
from .data.validate import demand_differences, demand_squares
from .errors import DataError, DtypeError, GradientError
from .generators import generator_in, state_of
from .optim import LBFGS, SGD, Adam
from .program import CompiledStep

_log = logging.getLogger("minigrad_ae")


@dataclass
class History:
    """What training has done so far: a record that `fit` extends.

    Parameters
    ----------
    loss : list of float, optional
        After each epoch the model's loss (sum over features, mean over data), as measured *while*
        the weights moved.
    steps : int, optional
        Optimiser steps in all epochs together.
    begun : dict or None, optional
        Of an epoch that has begun and is not complete: ``steps`` made in it, ``total`` of their
        summed losses, and ``order``, the state of `fit`'s generator from which its order of the
        rows is drawn.

    Examples
    --------
    >>> history = mg.train.History(loss=[3.5, 2.25], steps=8)
    >>> history.epochs
    2
    >>> mg.train.History(**history.as_dict()) == history
    True
    """

    loss: list[float] = field(default_factory=list)
    steps: int = 0
    begun: dict[str, Any] | None = None

    @property
    def epochs(self) -> int:
        """Epochs that are complete."""
        return len(self.loss)

    def as_dict(self) -> dict[str, Any]:
        """The attributes by name, for JSON.

        ``History(**history.as_dict())`` restores it, exact to the last bit.

        Returns
        -------
        dict
            ``{"loss": [...], "steps": ..., "begun": ...}``.
        """
        return asdict(self)


@dataclass(frozen=True)
class State:
    """What a callback of `fit` sees after an epoch, or after a step, under the names below.

    Parameters
    ----------
    model : Module
        The model in training.
    optimizer : SGD or Adam
        Its optimiser.
    epoch, step : int
        The epoch, and the last step that is complete; both count from 1.
    loss : float
        Of this epoch so far (sum over features, mean over data), as measured while the weights
        moved.
    history : History
        Of all so far.
    stopping : bool, optional
        Whether training is about to be ended by Ctrl-C, or by another signal that the program
        answers: the last chance to keep the model.

    Examples
    --------
    >>> X = np.arange(12.0).reshape(4, 3)
    >>> model = mg.models.LinearAutoencoder(3, 1, rng=np.random.default_rng(0))
    >>> sgd = mg.optim.SGD(model.parameters(), lr=1e-4)
    >>> def show(state):
    ...     print(state.epoch, state.step, state.loss == state.history.loss[-1])
    >>> rng = np.random.default_rng(0)
    >>> _ = mg.train.fit(model, X, optimizer=sgd, epochs=2, rng=rng, batch_size=2,
    ...                  callbacks=[show], progress=False)
    1 2 True
    2 4 True
    """

    model: Any
    optimizer: SGD | Adam
    epoch: int
    step: int
    loss: float
    history: History
    stopping: bool = False


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
    each_step: Iterable[Callback] = (),
    progress: bool = True,
    history: History | None = None,
    compile: bool | str = "auto",
) -> History:
    """Train `model` on the rows of X, epoch by epoch in shuffled batches.

    Each step minimises ``model.loss(batch, rng=noise) / len(batch)``: the mean over data of a loss
    that is a sum.

    Parameters
    ----------
    model : Module
        One with ``loss(x, rng)``.
    X : array_like, (N, ...)
        The data, a row for each; cast to the dtype of the model.
    optimizer : SGD or Adam
        Of ``model.parameters()``.
    epochs : int
        Passes through the data, counted from the beginning of `history`.
    rng : numpy.random.Generator
        Shuffles the rows, once an epoch.
    batch_size : int, optional
        Rows in a step; more than N means all of them.
    noise : numpy.random.Generator, optional
        Handed to the loss: one generator per purpose.
    schedule : callable, optional
        ``schedule(k)`` is the learning rate of step k = 0, 1, ...; see `mg.optim.cosine_schedule`.
    callbacks : iterable of callable, optional
        Each is called as ``callback(state)`` after every epoch, with a `State`; one that returns
        True ends the training.
    each_step : iterable of callable, optional
        The same, called after every step, the last of an epoch before `callbacks`.
    progress : bool, optional
        Whether to show a bar on a terminal, otherwise at most ten lines, both on standard error.
    history : History, optional
        Of a run to go on with.
    compile : {"auto", True, False}, optional
        Whether steps run as a program (`mg.compile`): the same numbers, bit for bit, in less time.
        "auto" times the first steps, and compiles where the steps that are left would save more
        than making the program takes; a few hundred steps of a small model never do.  What was done
        is logged, at level INFO, as "minigrad_ae".

    Returns
    -------
    History
        The loss of every epoch, and the number of steps; `history` itself if it was given.

    Raises
    ------
    DataError
        For data that are empty, not finite, or all the same; for ``epochs`` or ``batch_size`` < 1;
        for another `compile`; for an optimiser that needs the same loss again and again (L-BFGS);
        and where the loss becomes NaN or infinite.
    GradientError
        Where a gradient becomes NaN or infinite.
    DtypeError
        Without a generator: `rng`, or `noise` where the loss draws random numbers.

    Notes
    -----
    With model, optimiser, generators and `history` in the state they had after any step, the rest
    is what one uninterrupted run would have done, bit for bit.

    The model is in training mode here, and afterwards in the mode it was in.  Ctrl-C, and SIGTERM
    where the program has a handler for it, take effect when the step that is being made is
    complete, and `each_step` has seen it; a second one at once.

    What `mg.data.batches` and the model's loss raise is raised here, too.

    Examples
    --------
    10 rows in batches of 4 are 3 steps an epoch:

    >>> X = np.random.default_rng(0).standard_normal((10, 3))
    >>> model = mg.models.LinearAutoencoder(3, 2, rng=np.random.default_rng(1))
    >>> sgd = mg.optim.SGD(model.parameters(), lr=0.05)
    >>> rng = np.random.default_rng(2)
    >>> history = mg.train.fit(model, X, optimizer=sgd, epochs=5, rng=rng, batch_size=4,
    ...                        progress=False)
    >>> history.epochs, history.steps, history.loss[-1] < history.loss[0]
    (5, 15, True)
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
    if compile is not True and compile is not False:
        choice(compile, ("auto",), "fit", "compile")
    X = _checked(X, model.parameters()[0].dtype)
    history = History() if history is None else history
    size = min(batch_size, len(X))
    steps = -(-len(X) // size)
    callbacks, each_step = list(callbacks), list(each_step)
    left = steps * max(epochs - history.epochs, 0)
    maker = _Steps(model, optimizer, noise, left, compile)
    mode = model.training
    model.train()
    try:
        with (
            progress_of(epochs, history.epochs, steps, progress) as shown,
            _Postponed() as stop,
        ):
            for epoch in range(history.epochs + 1, epochs + 1):
                begun = _begun(history, steps, rng)
                for batch in _rest_of(begun, X, size, rng):
                    if schedule is not None:
                        optimizer.lr = schedule(history.steps)
                    here = f"step {history.steps + 1}, in epoch {epoch} of {epochs}"
                    begun["total"] += maker.step(batch, here)
                    begun["steps"] += 1
                    history.steps += 1
                    shown.step()
                    if each_step:
                        mean = begun["total"] / min(begun["steps"] * size, len(X))
                        now = model, optimizer, epoch, history.steps, mean, history
                        if _one_ends(each_step, State(*now, stopping=stop.asked)):
                            return history
                    stop.now()
                history.loss.append(begun["total"] / len(X))
                history.begun = None
                shown.epoch(epoch, history.loss[-1])
                now = model, optimizer, epoch, history.steps, history.loss[-1], history
                if _one_ends(callbacks, State(*now)):
                    break
    finally:
        model.train(mode)
    return history


def _one_ends(callbacks: list[Callback], state: State) -> bool:
    """Call all of them; whether one of them ends the training."""
    answers = [callback(state) for callback in callbacks]
    return any(answer is True for answer in answers)


def _begun(history: History, steps: int, rng: np.random.Generator) -> dict[str, Any]:
    """The epoch of `steps` steps that is to be made, or to be made to its end."""
    if history.begun is None:
        history.begun = {"steps": 0, "total": 0.0, "order": state_of(rng)}
    begun, fix = history.begun, "pass the data and batch_size of that training, or a new History()"
    if not isinstance(begun, dict) or begun.keys() != {"steps", "total", "order"}:
        raise DataError("fit: history.begun cannot be understood", f"got {begun!r:.60}", fix)
    real_number(begun["total"], "fit: the total of history.begun", "(-inf, inf)", fix)
    name = "fit: the steps of the epoch that has begun"
    whole_number(begun["steps"], name, fix, low=0, high=steps)
    return begun


def _rest_of(
    begun: dict[str, Any], X: np.ndarray, size: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """The batches of an epoch that are still to come."""
    if begun["steps"]:  # `rng` has drawn their order before, and may have drawn other numbers since
        rng = generator_in(begun["order"])
    return islice(batches(X, size, rng), begun["steps"], None)


class _Steps:
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
        tape = median(self.times[False])
        if not by_program:
            self.auto = tape * self.left / 3 > self.WORTH
            if self.auto:
                self.program = self.compiled()
                _log.info("fit: %d steps of %.2g s are left: compiling", self.left, tape)
            return
        self.auto, program = False, median(times)
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


def _checked(X: Any, dtype: Any) -> np.ndarray:
    """X in `dtype`, as an array of finite floats whose rows are not all the same (one row alone may
    be learned by heart).
    """
    X = plain(X, "X")
    flat = check_matrix(X.reshape(len(X), -1) if X.ndim > 2 and X.size else X)
    demand_differences(X)
    with np.errstate(over="ignore"):
        cast = (
            flat
            if flat.dtype == dtype
            else check_matrix(flat.astype(dtype), f"X, cast to {np.dtype(dtype)},")
        )
    demand_squares(flat, dtype)
    return cast.reshape(X.shape)


class _Postponed:
    """Signals that a program answers, Ctrl-C above all: the first waits for `now`, a second one is
    answered at once, as usual.
    """

    def __init__(self) -> None:
        self.came: int | None = None
        self.usual: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            handlers = {number: signal.getsignal(number) for number in (SIGINT, SIGTERM)}
            self.usual = {number: usual for number, usual in handlers.items() if callable(usual)}

    @property
    def asked(self) -> bool:
        """Whether one is waiting."""
        return self.came is not None

    def __enter__(self) -> _Postponed:
        for number in self.usual:
            signal.signal(number, self._first)
        return self

    def __exit__(self, *_: object) -> None:
        for number, usual in self.usual.items():
            signal.signal(number, usual)

    def _first(self, number: int, frame: Any) -> None:
        self.came = number
        self.__exit__()

    def now(self) -> None:
        """Let the program answer the one that is waiting; where that raises nothing, go on."""
        if self.came is None:
            return
        came, self.came = self.came, None
        self.usual[came](came, None)
        self.__enter__()
