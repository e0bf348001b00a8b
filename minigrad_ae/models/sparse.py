"""The sparse autoencoder: a penalty, not a bottleneck, constrains the code (Bishop & Bishop,
section 19.1.3).

    z = f(x W_enc + b_enc),   y = z W_dec + b_dec,   E~(w) = E(w) + lambda sum_n sum_k |z_nk|

As the slide writes it the penalty means nothing: (z / c, c W_dec) is the same reconstruction with a
penalty c times smaller, so E~ falls as the decoder grows and has no minimum.  The decoder has to be
held: its rows at length 1, which is the default, or by a weight decay.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..arguments import choice, real_number, whole_number
from ..nn import Linear, init
from ..nn.module import Renamed
from ..ops.functional import ACTIVATIONS
from ..tensors import Tensor
from .base import Autoencoder, name_as_on_the_slides

CONSTRAINTS = ("unit", "decay", "none")


class SparseAutoencoder(Autoencoder):
    """A penalty on the code: E + lam sum |z|; n_latent may exceed n_features.

    E = 1/2 sum (y - x)^2 and the penalty are both sums over the data; E is one over features too,
    the penalty over units.

    Parameters
    ----------
    n_features : int
        D, the number of features of a datum, >= 1.
    n_latent : int
        K, the number of latent units, >= 1.
    lam : float, optional
        The weight of sum |z|, >= 0.  For a mean over n data it stays the same, as both terms are
        divided by n.
    constraint : str, optional
        What keeps the decoder from growing without bound.  "unit": row k of the decoder is w_k /
        ||w_k||, so that z_k is measured in units of the data.  "decay": decay/2 ||W_dec||^2 is
        added to the loss, whatever the number of data in it.  "none": nothing, the slide's
        objective, which has no minimum.
    decay : float, optional
        The weight of that term, > 0 with "decay", and of no use otherwise.
    activation : str or None, optional
        f, one of the names that `mg.linear` knows; with "relu" a unit can be exactly 0.
    rng : numpy.random.Generator
        Draws the start weights: W_enc Xavier normal, W_dec = W_enc^T.
    dtype : dtype, optional
        float64 or float32, of all parameters.

    Attributes
    ----------
    encoder : nn.Linear
        W_enc = encoder.weight (D, K) and b_enc = encoder.bias (K,).
    decoder : nn.Linear
        W_dec = decoder.weight (K, D), whose rows `decode` uses at length 1 under "unit", and
        b_dec = decoder.bias (D,).

    Raises
    ------
    DataError
        If a setting is not possible: a size below 1, lam < 0, an unknown constraint or activation,
        decay <= 0 with "decay".
    DtypeError
        If a number is not one, `rng` not a generator, or `dtype` another one.

    References
    ----------
    Bishop & Bishop (2024), section 19.1.3.

    Examples
    --------
    Under "unit" the length of the decoder's rows does not matter, so that nothing is gained by
    letting them grow.

    >>> X = np.random.default_rng(0).standard_normal((20, 3))
    >>> model = mg.models.SparseAutoencoder(3, 5, lam=0.2, rng=np.random.default_rng(1))
    >>> before = model.loss(X).item()
    >>> model.decoder.weight.data = 10 * model.decoder.weight.data
    >>> bool(np.isclose(model.loss(X).item(), before))
    True
    """

    encoder_weight, encoder_bias = Renamed("encoder.weight"), Renamed("encoder.bias")
    decoder_weight, decoder_bias = Renamed("decoder.weight"), Renamed("decoder.bias")

    def __init__(
        self,
        n_features: int,
        n_latent: int,
        *,
        lam: float = 0.1,
        constraint: str = "unit",
        decay: float = 1.0,
        activation: str | None = "relu",
        rng: np.random.Generator,
        dtype: Any = np.float64,
    ) -> None:
        self.n_features = whole_number(n_features, "SparseAutoencoder: n_features")
        self.n_latent = whole_number(n_latent, "SparseAutoencoder: n_latent")
        self.lam = real_number(
            lam,
            "SparseAutoencoder: lam",
            "[0, inf)",
            "choose lam >= 0; a negative weight would reward large codes without bound",
            what=f"SparseAutoencoder: lam = {lam} is not possible",
            where="lam weighs the sum of |z| in the loss",
        )
        self.constraint = choice(constraint, CONSTRAINTS, "SparseAutoencoder", "constraint")
        self.activation = choice(activation, ACTIVATIONS, "SparseAutoencoder", "activation")
        self.decay = real_number(
            decay,
            "SparseAutoencoder: decay",
            "(0, inf)" if constraint == "decay" else "(-inf, inf)",
            "choose decay > 0: without it the objective has no minimum",
            what=f"SparseAutoencoder: decay = {decay} is not possible",
            where="constraint='decay' adds decay/2 ||W_dec||^2",
        )
        self.encoder = Linear(
            n_features,
            n_latent,
            activation=activation,
            rng=rng,
            dtype=dtype,
            init=init.xavier_normal,
        )
        self.decoder = Linear(
            n_latent,
            n_features,
            rng=rng,
            dtype=dtype,
            init=lambda *_: self.encoder.weight.data.T,
        )
        name_as_on_the_slides(self.encoder, self.decoder)

    def decoding_weight(self) -> Tensor:
        """The decoder's weight as `decode` uses it.

        Returns
        -------
        Tensor, (K, D)
            One dictionary element in each row; of length 1 under the constraint "unit".
        """
        W: Tensor = self.decoder.weight
        if self.constraint == "unit":
            W = ops.unit_rows(W)
        return W

    def encode(self, x: Any) -> Any:
        """The code z = f(x W_enc + b_enc) of each row of x.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows; an array is cast to the dtype of the weights.

        Returns
        -------
        Tensor, (n, K)
            z, one row for each datum.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        """
        W, b = self.encoder.weight, self.encoder.bias
        return ops.linear(self._rows(x), W, b, activation=self.activation)

    def decode(self, z: Any) -> Any:
        """The outputs y = z W_dec + b_dec, with `decoding_weight` for W_dec.

        Parameters
        ----------
        z : Tensor or array_like, (n, K)
            Codes, one row for each datum.

        Returns
        -------
        Tensor, (n, D)
            y, in the units of the data.
        """
        return ops.linear(z, self.decoding_weight(), self.decoder.bias)

    def loss(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        """E~ = 1/2 sum (y - x)^2 + lam sum |z|, plus the decay where there is one.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        rng : numpy.random.Generator, optional
            Not used: nothing is drawn.

        Returns
        -------
        Tensor, ()
            A sum over data and features, and over data and units; decay/2 ||W_dec||^2 is added
            once.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        """
        x = self._rows(x)
        z = self.encode(x)
        total = ops.half_squared_error(self.decode(z), x) + self.lam * ops.l1_norm(z)
        if self.constraint == "decay":
            total = total + self.decay / 2 * ops.sum(self.decoder.weight**2)
        return total

    def describe(self) -> str:
        """Its own line in the tree of modules.

        Returns
        -------
        str
            Sizes, lam and constraint, such as 'SparseAutoencoder(64 -> 100, lam=0.1, unit)'.
        """
        return (
            f"SparseAutoencoder({self.n_features} -> {self.n_latent}, lam={self.lam:g}, "
            f"{self.constraint})"
        )
