"""The sparse autoencoder: a penalty, not a bottleneck, constrains the code (Bishop & Bishop,
section 19.1.4).

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
    """E + lam sum |z|, both sums over the data, with the slide's factor 1/2 in E; n_latent may
    exceed n_features.

    n_features, n_latent : D, and K latent units
    lam        : the weight of sum |z|, >= 0; for a mean over n data it stays the same, as both
                 terms are divided by n
    constraint : what keeps the decoder from growing without bound:
                 "unit"   row k of the decoder is w_k / ||w_k||, so that z_k is measured in units of
                          the data
                 "decay"  decay/2 ||W_dec||^2 is added to the loss, whatever the number of data in
                          it
                 "none"   nothing: the slide's objective, which has no minimum
    decay      : see there; > 0 with "decay", and of no use otherwise
    activation : f, one of the names that `mg.linear` knows; with "relu" a unit can be exactly 0
    rng        : where the start weights come from (Xavier normal; W_dec starts as W_enc^T); dtype :
                 float64 or float32

    ``encoder`` and ``decoder`` are `nn.Linear` layers: W_enc = encoder.weight (D, K), W_dec =
    decoder.weight (K, D), of which `decode` uses the rows at length 1 under "unit".

    Raises DataError for settings that are not possible; when called, ShapeError for data of another
    width.
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
        """(K, D): the decoder's weight as it is used, one dictionary element in each row."""
        W = self.decoder.weight
        return ops.unit_rows(W) if self.constraint == "unit" else W

    def encode(self, x: Any) -> Any:
        """x (n, D) -> z (n, K)."""
        W, b = self.encoder.weight, self.encoder.bias
        return ops.linear(self._rows(x), W, b, activation=self.activation)

    def decode(self, z: Any) -> Any:
        """z (n, K) -> y (n, D)."""
        return ops.linear(z, self.decoding_weight(), self.decoder.bias)

    def loss(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        """E~ = 1/2 sum over n and features of (y - x)^2 + lam sum over n and k of |z|, plus the
        decay; a scalar.

        (`rng` is not used.)
        """
        x = self._rows(x)
        z = self.encode(x)
        total = ops.half_squared_error(self.decode(z), x) + self.lam * ops.l1_norm(z)
        if self.constraint == "decay":
            total = total + self.decay / 2 * ops.sum(self.decoder.weight**2)
        return total

    def describe(self) -> str:
        """Its own line in the tree of modules."""
        return (
            f"SparseAutoencoder({self.n_features} -> {self.n_latent}, lam={self.lam:g}, "
            f"{self.constraint})"
        )
