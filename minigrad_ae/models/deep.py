"""The deep autoencoder: four layers of weights, a non-linear form of PCA (Bishop & Bishop, section
19.1.2).

    F1: x -> z    h1 = s(W1 x + b1),   z = W2 h1 + b2       from D features to M numbers
    F2: z -> y    h2 = s(W3 z + b3),   y = W4 h2 + b4       and back
    E(w) = 1/2 sum_n ||y(x_n; w) - x_n||^2

Layers 1 and 3 are sigmoidal, the code z and the outputs y linear.  F1 is a curved projection, and
F2 lays an M-dimensional surface into the data space that need not be flat.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..arguments import choice, unmasked, whole_number
from ..nn import Linear, Sequential
from ..nn.module import Renamed
from .base import Autoencoder, name_as_on_the_slides

ACTIVATIONS = ("sigmoid", "tanh", "relu")


class DeepAutoencoder(Autoencoder):
    """The slide's network, D-H-M-H-D; the loss is a sum over features and data, with the factor
    1/2.

    n_features, n_latent : D and M, which has to be chosen before training
    n_hidden   : H, the units of the layers 1 and 3
    activation : s, "sigmoid" as on the slide, "tanh" or "relu"
    rng : where the start weights come from (Xavier uniform; biases start at 0); dtype : float64 or
    float32

    ``encoder`` is F1 and ``decoder`` F2, two `nn.Linear` layers each, which compute
    s(x @ weight + bias); ``layer1`` ... ``layer4`` are the same layers, numbered as on the slide.

    Raises DataError for settings that are not possible; when called, ShapeError for data of another
    width.
    """

    layer1, layer2 = Renamed("encoder.0"), Renamed("encoder.1")
    layer3, layer4 = Renamed("decoder.0"), Renamed("decoder.1")

    def __init__(
        self,
        n_features: int,
        n_latent: int,
        n_hidden: int = 64,
        *,
        activation: str = "sigmoid",
        rng: np.random.Generator,
        dtype: Any = np.float64,
    ) -> None:
        self.n_features = whole_number(n_features, "DeepAutoencoder: n_features")
        self.n_latent = whole_number(n_latent, "DeepAutoencoder: n_latent")
        self.n_hidden = whole_number(n_hidden, "DeepAutoencoder: n_hidden")
        self.activation = choice(activation, ACTIVATIONS, "DeepAutoencoder", "activation")
        self.encoder = Sequential(
            Linear(n_features, n_hidden, activation=activation, rng=rng, dtype=dtype),
            Linear(n_hidden, n_latent, rng=rng, dtype=dtype),
        )
        self.decoder = Sequential(
            Linear(n_latent, n_hidden, activation=activation, rng=rng, dtype=dtype),
            Linear(n_hidden, n_features, rng=rng, dtype=dtype),
        )
        name_as_on_the_slides(*self.encoder, *self.decoder)

    def start_at(self, mean: Any) -> None:
        """Set the output bias to `mean` (D,), the mean of the data, which spares training the time
        to find it.
        """
        bias = self.decoder[1].bias
        bias.data = np.array(unmasked(mean, "mean"), bias.dtype).reshape(self.n_features)

    @property
    def _dtype(self) -> Any:
        return self.layer1.weight.dtype

    def describe(self) -> str:
        """Its own line in the tree of modules."""
        sizes = (self.n_features, self.n_hidden, self.n_latent, self.n_hidden, self.n_features)
        return f"DeepAutoencoder({' -> '.join(map(str, sizes))}, {self.activation})"
