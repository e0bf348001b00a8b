"""A model together with the scaling of its data: rows of the table go in, and come out."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data import Scaling
from ..nn import Module
from .components import offset_of
from .linear import LinearAutoencoder


class Scaled(Module):
    """A model that saw (x - mean) / factor, in the units of x.

    Parameters
    ----------
    model : Module
        One of the models of the chapter, trained on scaled rows.
    scaling : data.Scaling
        What was done to the rows before.

    Examples
    --------
    >>> X = np.array([[10.0, 400.0], [30.0, 200.0], [50.0, 0.0]])
    >>> scaling = mg.data.Scaling.learn(X)
    >>> model = mg.models.DeepAutoencoder(2, 1, 3, rng=np.random.default_rng(0))
    >>> both = mg.models.scaled.Scaled(model, scaling)
    >>> bool(np.allclose(both(X).numpy(), scaling.undo(model(scaling.apply(X)).numpy())))
    True
    """

    def __init__(self, model: Any, scaling: Scaling) -> None:
        self.model, self.scaling = model, scaling

    def encode(self, x: Any) -> Any:
        """The code of each row, as the model gives it.

        Parameters
        ----------
        x : array_like, (n, D)
            Rows in the units of the table.

        Returns
        -------
        Tensor, (n, M)
            z; of a variational model mean and log-variance of q(z | x).
        """
        return self.model.encode(self.scaling.apply(x))

    def decode(self, z: Any) -> Any:
        """The outputs for given codes.

        Parameters
        ----------
        z : Tensor or array_like, (n, M)
            Codes, one row for each datum.

        Returns
        -------
        Tensor, (n, D)
            y, in the units of the table.
        """
        return self._undone(self.model.decode(z))

    def forward(self, x: Any) -> Any:
        """Reconstruct.

        Parameters
        ----------
        x : array_like, (n, D)
            Rows in the units of the table.

        Returns
        -------
        Tensor, (n, D)
            y, in the same units.
        """
        return self._undone(self.model(self.scaling.apply(x)))

    def _undone(self, y: Any) -> Any:
        return y * self.scaling.factor + self.scaling.mean


def in_units_of_the_table(model: Any, scaling: Scaling | None) -> Any:
    """The model for rows as they were before `scaling`; without one, the model itself."""
    if scaling is None:
        return model
    if isinstance(model, LinearAutoencoder) and model.l2 == 0:
        return _absorbed(model, scaling)
    return Scaled(model, scaling)


def _absorbed(model: LinearAutoencoder, scaling: Scaling) -> LinearAutoencoder:
    """The linear autoencoder that does the scaling by its own weights and offsets: in float64, as
    the offsets have to cancel the mean of the table.
    """
    new = LinearAutoencoder(model.n_features, model.n_latent, rng=np.random.default_rng(0))
    factor = np.broadcast_to(scaling.factor, (model.n_features,))
    W = model.encoder.weight.numpy() / factor[:, None]
    new.encoder.weight.data = W
    new.encoder.bias.data = offset_of(model.encoder) - scaling.mean @ W
    new.decoder.weight.data = model.decoder.weight.numpy() * factor
    new.decoder.bias.data = offset_of(model.decoder) * factor + scaling.mean
    return new
