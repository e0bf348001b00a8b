"""What several models share: how data come in, encoder and decoder, the likelihood by importance
weighting.
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
    """z = encoder(x), y = decoder(z), and the sum-of-squares error."""

    n_features: int
    encoder: Any
    decoder: Any

    def encode(self, x: Any) -> Any:
        """x (n, D) -> z (n, M)."""
        return self.encoder(self._rows(x))

    def decode(self, z: Any) -> Any:
        """z (n, M) -> y (n, D)."""
        return self.decoder(z)

    def forward(self, x: Any) -> Any:
        """x (n, D) -> its reconstruction y (n, D)."""
        return self.decode(self.encode(x))

    def loss(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        """E = 1/2 sum over n and features of (y - x)^2, a scalar.  (`rng` is not used.)"""
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
        """Weight of the KL term in `loss`."""
        return self._beta

    @beta.setter
    def beta(self, value: float) -> None:
        self._beta: float = self._weight(value)

    def forward(self, x: Any) -> Any:
        """x (n, D) -> its reconstruction (n, D) through the mean of q, without sampling."""
        return self.decode(self.encode(x)[0])

    def log_weights(self, x: Any, rng: np.random.Generator, n_samples: int) -> Any:
        """(k, n), k = `n_samples`: log w = log p(x | z) + log p(z) - log q(z | x) at k draws of z
        from q for each datum.  Their mean is the bound.
        """
        x = self._rows(x)
        mu, log_var = self.encode(x)
        return self._log_weights(x, mu, log_var, rng, n_samples)

    def _log_weights(self, x: Any, mu: Any, log_var: Any, rng: Any, n_samples: int) -> Any:
        z = self._draw(mu, log_var, rng, n_samples)
        return self._log_prob(x, z) + log_normal(z) - log_normal(z, mu, log_var)

    def log_likelihood(self, x: Any, rng: np.random.Generator, n_samples: int) -> np.ndarray:
        """(n,) estimates of log p(x_n; w): log 1/k sum_j w_nj, k = `n_samples`, without a graph,
        the draws taken in parts (k may be large).

        On average it is L_k <= log p(x), which rises to it with k (Burda et al. 2016); it is below
        by about chi^2 / 2k.
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
