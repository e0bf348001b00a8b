"""The denoising autoencoder: any autoencoder, trained to undo noise (Bishop & Bishop, section
19.1.5).

    x~_n = x_n with noise, drawn again at every visit,    E(w) = sum_n ||y(x~_n; w) - x_n||^2    (no
    factor 1/2)

The target is the clean x.  Of all functions the best is y(x~) = E[x | x~], so that (y - x~) /
sigma^2 is the score, the gradient of the log density of x~, where the noise is Gaussian (Vincent
2011; Alain & Bengio 2014).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import ops
from ..arguments import generator, real_number, real_numbers
from ..data import zero_random_subset
from ..data.corruptions import with_noise
from ..errors import DtypeError, ShapeError
from ..nn import Module, Parameter
from ..tensors import tensor
from .base import Autoencoder


class DenoisingAutoencoder(Autoencoder):
    """`autoencoder` with another loss; its encoder, decoder and parameters are the same objects.

    autoencoder : a `LinearAutoencoder`, `TwoLayerAutoencoder`, `DeepAutoencoder` ...: what has
    ``n_features``, ``encode``
                  and ``decode``.  Its own loss, and with it any penalty, is not used
    drop  : the probability with which each entry is set to zero, by itself; 0 <= drop < 1
    sigma : the standard deviation of Gaussian noise in the units of x, one number or one for each
    feature; >= 0

    With both, entries are zeroed first.  Raises DtypeError for what is not an autoencoder,
    DataError for impossible noise, ShapeError for a sigma of another length; when called,
    ShapeError for data of another width.
    """

    def __init__(self, autoencoder: Any, *, drop: float = 0.0, sigma: ArrayLike = 0.0) -> None:
        parts = [hasattr(autoencoder, name) for name in ("n_features", "encode", "decode")]
        if not all([isinstance(autoencoder, Module), *parts]):
            raise DtypeError(
                "DenoisingAutoencoder trains an autoencoder, and this is none",
                f"got {autoencoder!r:.60}",
                "pass one of mg.models, e.g. DenoisingAutoencoder(DeepAutoencoder(64, 8, rng=rng), "
                "sigma=0.3)",
            )
        sigma = real_numbers(
            sigma,
            "DenoisingAutoencoder: sigma",
            "[0, inf)",
            "sigma is a standard deviation in the units of x, e.g. 0.3",
        )
        if sigma.shape not in ((), (autoencoder.n_features,)):
            raise ShapeError(
                "DenoisingAutoencoder: sigma must be one number, or one for each feature",
                f"sigma has shape {sigma.shape}, the autoencoder {autoencoder.n_features} features",
                "pass one standard deviation, in the units of x",
            )
        self.drop = real_number(
            drop,
            "DenoisingAutoencoder: drop",
            "[0, 1)",
            "drop is the probability that an entry is set to zero, e.g. 0.3",
        )
        self.autoencoder, self.n_features, self.sigma = autoencoder, autoencoder.n_features, sigma

    @property
    def encoder(self) -> Any:
        """The autoencoder's own."""
        return self.autoencoder.encoder

    @property
    def decoder(self) -> Any:
        """The autoencoder's own."""
        return self.autoencoder.decoder

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The autoencoder's, in its order."""
        return ((f"autoencoder.{name}", p) for name, p in self.autoencoder.named_parameters())

    def corrupt(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """x~: a noisy copy of the array x (n, D), another one at every call."""
        if self.drop:
            x = zero_random_subset(x, self.drop, rng)
        return with_noise(x, self.sigma, rng) if self.sigma.any() else x

    def encode(self, x: Any) -> Any:
        """x (n, D), noisy or not -> z (n, M)."""
        return self.autoencoder.encode(x)

    def decode(self, z: Any) -> Any:
        """z (n, M) -> y (n, D)."""
        return self.autoencoder.decode(z)

    def loss(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        """E = sum over n and features of (y(x~) - x)^2, without 1/2; x (n, D) is clean, the noise
        comes from `rng`.

        Raises DtypeError without an `rng`: there is no hidden noise.
        """
        rng = generator(rng, "DenoisingAutoencoder.loss", "the noise")
        x = self._rows(x)
        noisy = tensor(self.corrupt(x.numpy(), rng), name="noisy")
        return 2 * ops.half_squared_error(self.forward(noisy), x)  # no 1/2 on this slide

    @property
    def _dtype(self) -> Any:
        return next(self.autoencoder.named_parameters())[1].dtype

    def describe(self) -> str:
        """Its own line in the tree of modules."""
        noise = [f"drop {self.drop:g}"] if self.drop else []
        if self.sigma.any():
            noise.append(f"sigma {self.sigma.mean():g}")
        return f"DenoisingAutoencoder({', '.join(noise) or 'no noise'})"
