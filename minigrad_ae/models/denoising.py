"""The denoising autoencoder: any autoencoder, trained to undo noise (Bishop & Bishop, section
19.1.4).

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
    """Another autoencoder, trained to give back the clean x for a noisy one.

    Its encoder, decoder and parameters are the same objects; only the loss is another: the sum over
    features and data of (y(x~) - x)^2, without the factor 1/2.

    Parameters
    ----------
    autoencoder : Module
        A `LinearAutoencoder`, `TwoLayerAutoencoder`, `DeepAutoencoder` ...: what has
        ``n_features``, ``encode`` and ``decode``.  Its own loss, and with it any penalty, is not
        used.
    drop : float, optional
        The probability with which each entry is set to zero, by itself; 0 <= drop < 1.
    sigma : array_like, () or (D,), optional
        The standard deviation of Gaussian noise in the units of x, one number or one for each
        feature; >= 0.  With both kinds of noise, entries are zeroed first.

    Attributes
    ----------
    autoencoder : Module
        What was passed.
    encoder, decoder : Module
        The autoencoder's own.
    drop : float
        As passed.
    sigma : ndarray, () or (D,)
        As passed, in float64.

    Raises
    ------
    DtypeError
        If what is passed is not an autoencoder.
    DataError
        If the noise is not possible: drop outside [0, 1), sigma < 0.
    ShapeError
        If sigma has another length.

    References
    ----------
    Bishop & Bishop (2024), section 19.1.4.

    Examples
    --------
    Without noise the loss is twice that of the autoencoder, whose slide has a factor 1/2.

    >>> X = np.random.default_rng(0).standard_normal((20, 3))
    >>> plain = mg.models.DeepAutoencoder(3, 2, n_hidden=4, rng=np.random.default_rng(1))
    >>> noisy = mg.models.DenoisingAutoencoder(plain)
    >>> bool(np.isclose(noisy.loss(X, np.random.default_rng(2)).item(), 2 * plain.loss(X).item()))
    True
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
        """The encoder of the autoencoder inside, a module."""
        return self.autoencoder.encoder

    @property
    def decoder(self) -> Any:
        """The decoder of the autoencoder inside, a module."""
        return self.autoencoder.decoder

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The parameters of the autoencoder inside, in its order.

        Returns
        -------
        iterator of (str, Parameter)
            ('autoencoder.encoder.weight', parameter) and so on.
        """
        return ((f"autoencoder.{name}", p) for name, p in self.autoencoder.named_parameters())

    def corrupt(self, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A noisy copy x~ of x, another one at every call.

        Parameters
        ----------
        x : ndarray, (n, D)
            Clean data in rows; they stay as they are.
        rng : numpy.random.Generator
            Draws the noise, its own for every entry.

        Returns
        -------
        ndarray, (n, D)
            Entries zeroed first, then Gaussian noise added; x itself if there is no noise.
        """
        if self.drop:
            x = zero_random_subset(x, self.drop, rng)
        return with_noise(x, self.sigma, rng) if self.sigma.any() else x

    def encode(self, x: Any) -> Any:
        """The code z that the autoencoder inside gives x, noisy or not.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows; no noise is added.

        Returns
        -------
        Tensor, (n, M)
            z, one row for each datum.
        """
        return self.autoencoder.encode(x)

    def decode(self, z: Any) -> Any:
        """The outputs y of the autoencoder inside.

        Parameters
        ----------
        z : Tensor or array_like, (n, M)
            Codes, one row for each datum.

        Returns
        -------
        Tensor, (n, D)
            y, in the units of the data: what the network takes for the clean x.
        """
        return self.autoencoder.decode(z)

    def loss(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        """E = sum over data and features of (y(x~) - x)^2, without 1/2.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Clean data in rows: the target.
        rng : numpy.random.Generator
            Draws the noise; it is needed, as there is no hidden noise.

        Returns
        -------
        Tensor, ()
            E, a sum over features and data.

        Raises
        ------
        DtypeError
            If there is no `rng`.
        ShapeError
            If x is not a matrix of D columns with at least one row.
        """
        rng = generator(rng, "DenoisingAutoencoder.loss", "the noise")
        x = self._rows(x)
        noisy = tensor(self.corrupt(x.numpy(), rng), name="noisy")
        return 2 * ops.half_squared_error(self.forward(noisy), x)  # no 1/2 on this slide

    @property
    def _dtype(self) -> Any:
        return next(self.autoencoder.named_parameters())[1].dtype

    def describe(self) -> str:
        """Its own line in the tree of modules.

        Returns
        -------
        str
            The noise, such as 'DenoisingAutoencoder(drop 0.3, sigma 0.1)'; the mean of several
            sigmas.
        """
        noise = [f"drop {self.drop:g}"] if self.drop else []
        if self.sigma.any():
            noise.append(f"sigma {self.sigma.mean():g}")
        return f"DenoisingAutoencoder({', '.join(noise) or 'no noise'})"
