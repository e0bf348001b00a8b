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

from ..arguments import choice, plain, whole_number
from ..errors import ShapeError
from ..nn import Linear, Sequential
from ..nn.module import Renamed
from .base import Autoencoder, name_as_on_the_slides

ACTIVATIONS = ("sigmoid", "tanh", "relu")


class DeepAutoencoder(Autoencoder):
    """The slide's network, D-H-M-H-D: a code that is a curved function of the data.

    The loss is 1/2 sum (y - x)^2, a sum over features and data.

    Parameters
    ----------
    n_features : int
        D, the number of features of a datum, >= 1.
    n_latent : int
        M, the number of units of the code, >= 1, which has to be chosen before training.
    n_hidden : int, optional
        H, the units of the layers 1 and 3, >= 1.
    activation : str, optional
        s, of the layers 1 and 3: "sigmoid" as on the slide, "tanh" or "relu".
    rng : numpy.random.Generator
        Draws the start weights (Xavier uniform); the biases start at 0.
    dtype : dtype, optional
        float64 or float32, of all parameters.

    Attributes
    ----------
    encoder : nn.Sequential
        F1, two `nn.Linear` layers, which compute s(x @ weight + bias) and z = h1 @ weight + bias.
    decoder : nn.Sequential
        F2, two layers alike, from z to y.
    layer1, layer2, layer3, layer4 : nn.Linear
        The same layers, numbered as on the slide.

    Raises
    ------
    DataError
        If a size is below 1, or the activation is unknown.
    DtypeError
        If a size is not a whole number, `rng` not a generator, or `dtype` another one.

    References
    ----------
    Bishop & Bishop (2024), section 19.1.2.

    Examples
    --------
    A last layer that answers with the mean leaves half of the sum of squares around it.

    >>> X = np.array([[0.0, 0.0], [2.0, 0.0]])
    >>> model = mg.models.DeepAutoencoder(2, 1, n_hidden=3, rng=np.random.default_rng(0))
    >>> model.layer4.weight.data = np.zeros((3, 2))
    >>> model.start_at(X.mean(axis=0))
    >>> model.loss(X).item()
    1.0
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
        """Set the output bias to the mean of the data, which spares training the time to find it.

        Parameters
        ----------
        mean : array_like, (D,)
            The mean of the training data, in their units.

        Raises
        ------
        DataError
            If entries of `mean` are masked.
        ShapeError
            If `mean` does not have D entries.
        """
        bias = self.decoder[1].bias
        mean = plain(mean, "mean", bias.dtype)
        if mean.size != self.n_features:
            wanted = f"got shape {mean.shape}, expected ({self.n_features},)"
            raise ShapeError("mean must have one number for each feature", wanted, "X.mean(axis=0)")
        bias.data = np.array(mean).reshape(self.n_features)

    @property
    def _dtype(self) -> Any:
        return self.encoder[0].weight.dtype

    def describe(self) -> str:
        """Its own line in the tree of modules.

        Returns
        -------
        str
            Sizes and activation, such as 'DeepAutoencoder(64 -> 32 -> 8 -> 32 -> 64, sigmoid)'.
        """
        sizes = (self.n_features, self.n_hidden, self.n_latent, self.n_hidden, self.n_features)
        return f"DeepAutoencoder({' -> '.join(map(str, sizes))}, {self.activation})"
