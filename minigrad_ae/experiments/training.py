"""How experiments train: by L-BFGS, in steps of gradient descent, and by Adam in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import numpy as np

from ..nn import Module
from ..optim import SGD, Adam, cosine_schedule
from ..tensors import Tensor
from ..train import History, fit

ModelT = TypeVar("ModelT", bound=Module)


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
