"""Two layers of weights with non-linear hidden units: no advantage over PCA (Bishop & Bishop,
section 19.1.1).

    z = h(W1 x + b1),   y = W2 z + b2,   E(w) = 1/2 sum_n ||y(x_n; w) - x_n||^2

The outputs are linear, so all y lie in a plane of M dimensions, and no plane is closer to the data
than PCA's: whatever h and the weights are, E >= 1/2 sum_{j>M} s_j on the data it is trained on
(Bourlard & Kamp 1988).  For tanh and sigmoid units this is an infimum, approached where the units
are nearly linear, as W1 -> 0 and W2 -> infinity; it is attained with ReLU units whose biases keep
them in their linear half.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import choice, whole_number
from ..errors import DataError
from ..nn import Linear
from .base import Autoencoder, name_as_on_the_slides

ACTIVATIONS = ("tanh", "sigmoid", "relu")


class TwoLayerAutoencoder(Autoencoder):
    """The slide's network with M < D hidden units; the loss is a sum over features and data, with
    the factor 1/2.

    n_features, n_latent : D and M, 1 <= M < D
    activation : h, "tanh", "sigmoid" or "relu"
    rng : where the start weights come from (Xavier uniform; biases start at 0); dtype : float64 or
    float32

    ``encoder`` and ``decoder`` are `nn.Linear` layers: W1^T = encoder.weight (D, M), W2^T =
    decoder.weight (M, D).

    Raises DataError for settings that are not possible; when called, ShapeError for data of another
    width.
    """

    def __init__(
        self,
        n_features: int,
        n_latent: int,
        *,
        activation: str = "tanh",
        rng: np.random.Generator,
        dtype: Any = np.float64,
    ) -> None:
        self.n_features = whole_number(n_features, "TwoLayerAutoencoder: n_features")
        self.n_latent = whole_number(n_latent, "TwoLayerAutoencoder: n_latent")
        if n_latent >= n_features:
            raise DataError(
                f"TwoLayerAutoencoder: {n_latent} hidden units are no bottleneck for {n_features} "
                "features",
                f"n_features = {n_features}, n_latent = {n_latent}",
                "choose n_latent < n_features; from M = D on PCA's error is 0, and there is "
                "nothing to compare with",
            )
        self.activation = choice(activation, ACTIVATIONS, "TwoLayerAutoencoder", "activation")
        self.encoder = Linear(n_features, n_latent, activation=activation, rng=rng, dtype=dtype)
        self.decoder = Linear(n_latent, n_features, rng=rng, dtype=dtype)
        name_as_on_the_slides(self.encoder, self.decoder)

    def describe(self) -> str:
        """Its own line in the tree of modules."""
        return (
            f"TwoLayerAutoencoder({self.n_features} -> {self.n_latent} -> {self.n_features}, "
            f"{self.activation})"
        )
