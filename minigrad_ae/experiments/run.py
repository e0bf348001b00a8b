"""What every experiment uses: a run with its settings and the results that several claims share,
generators, and three ways to train: by L-BFGS, by gradient descent, and by Adam in batches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from ..nn import Module
from ..optim import SGD, Adam, cosine_schedule
from ..tensors import Tensor
from ..train import History, fit

ModelT = TypeVar("ModelT", bound=Module)


class Run:
    """One reading of the ledger: its settings, and the results that several claims share.

    Parameters
    ----------
    fast : bool, optional
        Smaller problems and fewer starts; the claims and their statements stay the same.
    full : bool, optional
        Also make again what takes minutes and is shipped.
    seed : int, optional
        What every generator of the run starts from.
    starts : int or None, optional
        Random starts where a claim is about all of them; None for 20, or 2 with `fast`.

    Attributes
    ----------
    fast, full : bool
        As given.
    seed : int
        As given.
    starts : int
        At least 1.

    Examples
    --------
    A result is computed once in a run, so a lesson and its claims see the same trained model:

    >>> def drawn(run, n):
    ...     return np.random.default_rng(run.seed).random(n)
    >>> run = mg.claims.Run(fast=True)
    >>> run.shared(drawn, 3) is run.shared(drawn, 3)
    True
    >>> run.shared(drawn, 3) is mg.claims.Run(fast=True).shared(drawn, 3)
    False
    """

    def __init__(
        self, fast: bool = False, full: bool = False, seed: int = 0, starts: int | None = None
    ) -> None:
        self.fast, self.full, self.seed = fast, full, seed
        # random starts where a claim is about all of them
        self.starts = starts or (2 if fast else 20)
        self._shared: dict[Any, Any] = {}

    def shared(self, make: Callable[..., Any], *key: Any) -> Any:
        """What ``make(run, *key)`` returns, computed once in this run.

        Parameters
        ----------
        make : callable
            Called as ``make(run, *key)``; known by its module and name, so not a lambda.
        *key : hashable
            What the result depends on besides the run: a size, the number of a start.

        Returns
        -------
        object
            The same object at every call with this `make` and `key`.
        """
        name = (make.__module__, make.__qualname__, *key)
        if name not in self._shared:
            self._shared[name] = make(self, *key)
        return self._shared[name]


def generator(run: Run, *key: int) -> np.random.Generator:
    """A generator for one purpose, which has the number `key`."""
    return np.random.default_rng([run.seed, *key])


def mean_and_error(values: Any) -> tuple[float, float]:
    """(mean, its standard error)."""
    values = np.asarray(values)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


# --- training -------------------------------------------------------------------------------------


def closure(
    loss: Callable[[], Tensor], watch: Callable[[float], Any] | None = None
) -> Callable[[], Tensor]:
    """What `LBFGS.step` calls: ``loss()`` and its gradient; `watch` is called with each value."""

    def evaluate() -> Tensor:
        found = loss()
        found.backward()
        if watch is not None:
            watch(found.item())
        return found

    return evaluate


def descent(optimizer: SGD | Adam, loss: Callable[[], Tensor], steps: int) -> Iterator[float]:
    """The loss before each of `steps` steps of the optimiser, and after the last."""
    for _ in range(steps):
        optimizer.zero_grad()
        found = loss()
        found.backward()
        yield found.item()
        optimizer.step()
    yield loss().item()


def adam(
    model: Any,
    X: Any,
    *,
    lr: float,
    epochs: int,
    batch: int,
    rng: np.random.Generator,
    noise: np.random.Generator | None = None,
) -> History:
    """Train by Adam with a rate that falls to 0 along a cosine; other arguments as in `fit`."""
    optimizer = Adam(model.parameters(), lr=lr)
    schedule = cosine_schedule(optimizer, epochs * -(-len(X) // batch))
    return fit(
        model,
        X,
        optimizer=optimizer,
        epochs=epochs,
        rng=rng,
        batch_size=batch,
        noise=noise,
        schedule=schedule,
        progress=False,
    )


def with_weights(model: ModelT, *values: Any) -> ModelT:
    """The model with copies of these arrays as its parameters, in their order."""
    for p, value in zip(model.parameters(), values, strict=True):
        p.data = np.array(value, p.dtype)
    return model
