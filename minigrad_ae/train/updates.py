"""How far the steps of a training move its weights."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from .history import History

MOST = 200  # epochs that are measured; of more, every so manieth
USUAL = 1e-3  # |update| / |weights| of a step, where training goes well: the order of magnitude
_log = logging.getLogger("minigrad_ae")


class Updates:
    """Measures the last step of an epoch: for each parameter of two axes or more, the length of
    what the step added over the length of what was there.

    Biases are left out: they begin at 0.
    """

    def __init__(self, model: Any, epochs: int, history: History) -> None:
        self.history, self.every = history, -(-epochs // MOST)
        self.weights = [(name, p) for name, p in model.named_parameters() if p._data.ndim > 1]
        self.before: list[np.ndarray] = []

    def begin(self, epoch: int) -> None:
        """The last step of this epoch comes next."""
        if epoch % self.every == 0:
            self.before = [p._data.copy() for _, p in self.weights]

    def end(self, epoch: int) -> None:
        """It was made."""
        if not self.before:
            return
        pairs = zip(self.weights, self.before, strict=True)
        ratios = {name: ratio(p._data, before) for (name, p), before in pairs}
        self.before = []
        self.history.updates.append({"epoch": epoch, **ratios})
        most = max(ratios, key=lambda name: ratios[name] or 0.0)
        _log.info(
            "fit: epoch %d: its last step changed %s by %.2g of its size, the most of all",
            epoch,
            most,
            ratios[most] or np.nan,
        )


def ratio(now: np.ndarray, before: np.ndarray) -> float | None:
    """|now - before| / |before|; None where that is 0."""
    size = float(np.linalg.norm(before))
    return float(np.linalg.norm(now - before)) / size if size else None


def plot_updates(history: History, ax: Any = None) -> Any:
    """Draw the ratio of updates to weights, a line for each weight, on a logarithmic scale.

    Parameters
    ----------
    history : History
        What `fit` returned.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a figure of its own by default.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on, with the usual 1e-3 as a dashed line.

    Raises
    ------
    DataError
        Where `history` has no updates: no epoch is complete, or the model has no weights.

    Notes
    -----
    Lines at 1e-5 learn next to nothing: raise the learning rate. Lines above 1e-1 throw away what
    was learned: lower it. A line far below the others belongs to a layer that learns less than the
    rest.

    Examples
    --------
    >>> X = np.random.default_rng(0).standard_normal((10, 3))
    >>> model = mg.models.LinearAutoencoder(3, 2, rng=np.random.default_rng(1))
    >>> adam = mg.optim.Adam(model.parameters(), lr=1e-3)
    >>> rng = np.random.default_rng(2)
    >>> history = mg.train.fit(model, X, optimizer=adam, epochs=5, rng=rng, progress=False)
    >>> len(mg.train.plot_updates(history).lines)  # two weights, and the usual ratio
    3
    """
    from matplotlib.figure import Figure

    from ..errors import DataError

    if not history.updates:
        raise DataError(
            "plot_updates: nothing was measured",
            f"a history of {history.epochs} epochs without updates",
            "pass what mg.train.fit returned, after an epoch or more of a model with weights",
        )
    if ax is None:
        ax = Figure(figsize=(6.4, 4.0), layout="constrained").subplots()
    names = [name for name in history.updates[-1] if name != "epoch"]
    for name in names:
        measured = [(u["epoch"], u[name]) for u in history.updates if u.get(name)]
        ax.plot(*zip(*measured, strict=True), label=name) if measured else None
    ax.axhline(USUAL, color="0.5", linestyle="--", linewidth=1)
    ax.set(yscale="log", xlabel="epoch", ylabel="|update| / |weights| of its last step")
    ax.legend(fontsize="small")
    return ax
