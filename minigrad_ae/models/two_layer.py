"""Two layers of weights with non-linear hidden units: no advantage over PCA (Bishop & Bishop,
section 19.1.1).

    z = h(W1 x + b1),   y = W2 z + b2,   E(w) = 1/2 sum_n ||y(x_n; w) - x_n||^2

The outputs are linear, so all y lie in a plane of M dimensions, and no plane is closer to the data
than PCA's: whatever h and the weights are, E >= 1/2 sum_{j>M} s_j on the data it is trained on
(Bourlard & Kamp 1988).  For tanh and sigmoid units this is an infimum, approached where the units
are nearly linear, as W1 -> 0 and W2 -> infinity (on as few as D + 1 points in general position
weights can attain it); it is attained with ReLU units whose biases keep them in their linear half.
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
    """The slide's network with M < D hidden units: z = h(W1 x + b1), y = W2 z + b2.

    The loss is 1/2 sum (y - x)^2, a sum over features and data.

    Parameters
    ----------
    n_features : int
        D, the number of features of a datum, >= 1.
    n_latent : int
        M, the number of hidden units, 1 <= M < D.
    activation : str, optional
        h: "tanh", "sigmoid" or "relu".
    rng : numpy.random.Generator
        Draws the start weights (Xavier uniform); the biases start at 0.
    dtype : dtype, optional
        float64 or float32, of all parameters.

    Attributes
    ----------
    encoder : nn.Linear
        W1^T = encoder.weight (D, M) and b1 = encoder.bias (M,), with the activation.
    decoder : nn.Linear
        W2^T = decoder.weight (M, D) and b2 = decoder.bias (D,).

    Raises
    ------
    DataError
        If a size is below 1, M >= D, or the activation is unknown.
    DtypeError
        If a size is not a whole number, `rng` not a generator, or `dtype` another one.

    References
    ----------
    Bishop & Bishop (2024), section 19.1.1; Bourlard & Kamp (1988).

    Examples
    --------
    Its outputs lie in a plane, so it cannot be better than PCA, whatever the weights are.

    >>> X = np.random.default_rng(0).standard_normal((50, 3))
    >>> model = mg.models.TwoLayerAutoencoder(3, 2, rng=np.random.default_rng(1))
    >>> bool(model.loss(X).item() > mg.analytic.pca(X).optimal_loss(2))
    True
    >>> sum(p.size for p in model.parameters())  # 3 * 2 + 2 and 2 * 3 + 3
    17
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
        """Its own line in the tree of modules.

        Returns
        -------
        str
            Sizes and activation, such as 'TwoLayerAutoencoder(64 -> 8 -> 64, tanh)'.
        """
        return (
            f"TwoLayerAutoencoder({self.n_features} -> {self.n_latent} -> {self.n_features}, "
            f"{self.activation})"
        )
