"""What training has done so far, and what a callback sees of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from ..arguments import real_number, whole_number
from ..errors import DataError
from ..generators import state_of
from ..optim import SGD, Adam


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
    updates : list of dict, optional
        ``{"epoch": k, "encoder.weight": 0.0012, ...}``: how far the last step of an epoch moved
        each weight (parameters of two axes or more), as a part of its size; None for one that was
        0. Of at most 200 epochs, evenly spread; see `plot_updates`.

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
    updates: list[dict[str, Any]] = field(default_factory=list)

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
            ``{"loss": [...], "steps": ..., "begun": ..., "updates": [...]}``.
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


def epoch_begun(history: History, steps: int, rng: np.random.Generator) -> dict[str, Any]:
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
