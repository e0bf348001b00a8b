"""What several models share: how data come in, encoder and decoder, the likelihood by weighting.

`Autoencoder` is z = encoder(x), y = decoder(z) with the sum-of-squares error; `VariationalModel`
has a distribution in place of the point z.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..autodiff.graph import Value, no_grad
from ..errors import ShapeError
from ..nn import Module, Parameter
from ..tensors import tensor
from .densities import log_normal

AT_ONCE = 2**22  # numbers that the decoder makes at once in `log_likelihood`


class Autoencoder(Module):
    """z = encoder(x), y = decoder(z), and the sum-of-squares error.

    A model makes ``n_features``, ``encoder`` and ``decoder``, and overrides what it does
    differently.
    """

    n_features: int
    encoder: Any
    decoder: Any

    def encode(self, x: Any) -> Any:
        """The code z of each row of x.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows; an array is cast to the dtype of the weights.

        Returns
        -------
        Tensor, (n, M)
            z, one row for each datum.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        """
        return self.encoder(self._rows(x))

    def decode(self, z: Any) -> Any:
        """The outputs y for given codes.

        Parameters
        ----------
        z : Tensor or array_like, (n, M)
            Codes, one row for each datum.

        Returns
        -------
        Tensor, (n, D)
            y, in the units of the data.
        """
        return self.decoder(z)

    def forward(self, x: Any) -> Any:
        """Reconstruct: decode what `encode` makes of x.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.

        Returns
        -------
        Tensor, (n, D)
            y, the reconstruction of each row.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        """
        return self.decode(self.encode(x))

    def loss(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        """E = 1/2 sum over data and features of (y - x)^2.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        rng : numpy.random.Generator, optional
            Not used: nothing is drawn.  It is there because other models need it.

        Returns
        -------
        Tensor, ()
            E, a sum over features and data, with the slides' factor 1/2.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        """
        x = self._rows(x)
        return ops.half_squared_error(self.forward(x), x)

    def _rows(self, x: Any) -> Any:
        """x (n, D) as a tensor; an array is cast to the dtype of the weights."""
        x = x if isinstance(x, Value) else tensor(x, dtype=self._dtype)
        return fitting(x, self.n_features)

    @property
    def _dtype(self) -> Any:
        return self.encoder.weight.dtype


class VariationalModel(Autoencoder):
    """p(z) = N(0, I), a decoder p(x | z), and an encoder q(z | x) = N(mu, diag e^log_var).

    A model adds what it draws (`_draw`), its log p(x | z) (`_log_prob`), and what it says of
    arguments that are not possible (`_weight`, `_samples`).
    """

    _draw: Any
    _log_prob: Any
    _weight: Any
    _samples: Any

    @property
    def beta(self) -> float:
        """Weight of the KL term in `loss`, a float >= 0; it may be set while training goes on."""
        return self._beta

    @beta.setter
    def beta(self, value: float) -> None:
        self._beta: float = self._weight(value)

    def forward(self, x: Any) -> Any:
        """Reconstruct x through the mean of q(z | x), without sampling.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.

        Returns
        -------
        Tensor, (n, D)
            E[x | z] at the mean z = mu.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        """
        return self.decode(self.encode(x)[0])

    def log_weights(self, x: Any, rng: np.random.Generator, n_samples: int) -> Any:
        """Logarithms of importance weights, log w = log p(x | z) + log p(z) - log q(z | x).

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        rng : numpy.random.Generator
            Draws z from q(z | x), k times for each datum.
        n_samples : int
            k, the number of draws for each datum, >= 1.

        Returns
        -------
        Tensor, (k, n)
            log w in nats, sums over features and units.  Their mean over the draws is the bound for
            beta = 1, with a KL term that is sampled too.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        DtypeError
            If `rng` is not a generator.
        DataError
            If `n_samples` is below 1.
        """
        x = self._rows(x)
        mu, log_var = self.encode(x)
        return self._log_weights(x, mu, log_var, rng, n_samples)

    def _log_weights(self, x: Any, mu: Any, log_var: Any, rng: Any, n_samples: int) -> Any:
        z = self._draw(mu, log_var, rng, n_samples)
        return self._log_prob(x, z) + log_normal(z) - log_normal(z, mu, log_var)

    def log_likelihood(self, x: Any, rng: np.random.Generator, n_samples: int) -> np.ndarray:
        """Estimate log p(x) of each datum by importance weighting, without a graph.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        rng : numpy.random.Generator
            Draws z from q(z | x), k times for each datum.
        n_samples : int
            k, the number of draws for each datum, >= 1; it may be large, as they are taken in
            parts.

        Returns
        -------
        ndarray, (n,)
            log 1/k sum_j w_nj in float64, in nats, a sum over features.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        DtypeError
            If `rng` is not a generator.
        DataError
            If `n_samples` is below 1.

        Notes
        -----
        On average it is L_k <= log p(x), which rises to log p(x) with k; it is below by about chi^2
        / 2k, chi^2 that of p(z | x) against q(z | x).  Where q is the posterior itself, every
        weight is p(x) and one draw is enough.

        References
        ----------
        Burda, Grosse & Salakhutdinov (2016), Importance weighted autoencoders.
        """
        x, k = self._rows(x), self._samples(n_samples)
        part = max(1, AT_ONCE // (len(x) * self.n_features))
        total = np.full(len(x), -np.inf)
        with no_grad():
            mu, log_var = self.encode(x)
            for done in range(0, k, part):
                log_w = self._log_weights(x, mu, log_var, rng, min(part, k - done)).numpy()
                log_sum = np.logaddexp.reduce(log_w, axis=0, dtype=np.float64)
                total = np.logaddexp(total, log_sum)
        return np.asarray(total - math.log(k))


def fitting(x: Any, n_features: int) -> Any:
    """x itself if its shape is (n, n_features), n >= 1, or a ShapeError."""
    shape = x.shape
    if len(shape) != 2 or shape[1] != n_features or shape[0] == 0:
        raise ShapeError(
            "the data do not fit the autoencoder",
            f"got shape {shape}, expected (n, {n_features}), n >= 1",
            "rows are data and columns are features; one data point x goes in as x[None, :]",
        )
    return x


def name_as_on_the_slides(*layers: Any) -> None:
    """Call the weights W1, W2, ... and the biases b1, b2, ..., as the inspector will show them."""
    for k, layer in enumerate(layers, start=1):
        if isinstance(layer.weight, Parameter):  # not where it is computed, as a tied one is
            layer.weight.name = f"W{k}"
        if layer.bias is not None:
            layer.bias.name = f"b{k}"
