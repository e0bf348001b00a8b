"""`fit`: batches, loss, backward, step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from ..arguments import choice, flag, generator, plain, whole_number
from ..data import batches, check_matrix
from ..data.progress import progress_of
from ..data.validate import demand_differences, demand_squares
from ..errors import DataError
from ..generators import generator_in
from ..optim import LBFGS, SGD, Adam
from .demands import callable_or_error, demand_trainable, listed, record
from .history import Callback, History, State, epoch_begun
from .interrupts import Postponed
from .steps import Steps
from .updates import Updates


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
        The loss of every epoch, the number of steps, and how far steps move the weights; `history`
        itself if it was given.

    Raises
    ------
    DataError
        For data that are empty, not finite, or all the same; for ``epochs`` or ``batch_size`` < 1;
        for another `compile`; for an optimiser that needs the same loss again and again (L-BFGS);
        and where the loss becomes NaN or infinite.
    GradientError
        Where a gradient becomes NaN or infinite.
    DtypeError
        Without a generator: `rng`, or `noise` where the loss draws random numbers; for a model
        without loss, an optimiser without steps, callbacks that are no functions.

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
    demand_trainable(model, optimizer)
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
    history = record(history)
    if schedule is not None:
        callable_or_error(schedule, "schedule", "mg.optim.cosine_schedule(lr, steps)")
    callbacks, each_step = listed(callbacks, "callbacks"), listed(each_step, "each_step")
    size = min(batch_size, len(X))
    steps = -(-len(X) // size)
    left = steps * max(epochs - history.epochs, 0)
    maker, updates = Steps(model, optimizer, noise, left, compile), Updates(model, epochs, history)
    mode = model.training
    model.train()
    try:
        with (
            progress_of(epochs, history.epochs, steps, progress) as shown,
            Postponed() as stop,
        ):
            for epoch in range(history.epochs + 1, epochs + 1):
                begun = epoch_begun(history, steps, rng)
                for batch in _rest_of(begun, X, size, rng):
                    if schedule is not None:
                        optimizer.lr = schedule(history.steps)
                    last = begun["steps"] == steps - 1
                    if last:
                        updates.begin(epoch)
                    here = f"step {history.steps + 1}, in epoch {epoch} of {epochs}"
                    begun["total"] += maker.step(batch, here)
                    begun["steps"] += 1
                    history.steps += 1
                    if last:
                        updates.end(epoch)
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


def _rest_of(
    begun: dict[str, Any], X: np.ndarray, size: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """The batches of an epoch that are still to come."""
    if begun["steps"]:  # `rng` has drawn their order before, and may have drawn other numbers since
        rng = generator_in(begun["order"])
    return islice(batches(X, size, rng), begun["steps"], None)


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
