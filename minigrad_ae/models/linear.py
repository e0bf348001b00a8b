"""The linear autoencoder: two layers of weights, M < D (Bishop & Bishop, section 19.1.1).

    z = W1 x + b1,   y = W2 z + b2,   E(w) = 1/2 sum_n ||y(x_n; w) - x_n||^2

At its minimum, y projects x onto the first M principal components of the data (Baldi & Hornik
1989).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import ops
from ..arguments import flag, real_number, whole_number
from ..autodiff.graph import no_grad
from ..data import centre, check_matrix, scale
from ..data.validate import demand_squares
from ..nn import Linear, Module, Parameter, init
from ..nn.module import Renamed
from ..optim import LBFGS
from ..tensors import Tensor, tensor
from .checks import name_as_on_the_slides, rows

# pairs that L-BFGS keeps: more help data with columns of very different size, and cost time
HISTORY = 30
# largest entry of the gradient at which a penalised stage of `fit` hands over to the next
STAGE_TOLERANCE = 1e-5


@dataclass
class Fit:
    """What `LinearAutoencoder.fit` did; losses are E in the units of the data, penalty included
    where there is one.
    """

    start_loss: float
    loss: float = float("nan")
    evaluations: int = 0
    # the loss without penalty after each iteration of L-BFGS
    losses: list[float] = field(default_factory=list)
    penalties: list[float] = field(default_factory=list)  # lambda in each stage
    reason: str = ""
    finished: bool = True  # False where a limit ended the run: it would have gone on


class TiedDecoder(Module):
    """y = z W^T + b with the weight W (D, M) of the layer `encoder`; the offset b (D,) is its own.

    ``weight`` (M, D) is computed from the encoder's, and so is no parameter.
    """

    def __init__(self, encoder: Linear, bias: bool, dtype: Any) -> None:
        self.encoder = encoder
        n_features = encoder.weight.shape[0]
        self.bias = Parameter(np.zeros(n_features, dtype)) if bias else None

    @property
    def weight(self) -> Tensor:
        return self.encoder.weight.T

    def forward(self, z: Any) -> Any:
        return ops.linear(z, self.weight, self.bias)


class LinearAutoencoder(Module):
    """y = (x W_enc + b_enc) W_dec + b_dec; the loss is a sum over features and data, with the
    slide's factor 1/2.

    n_features, n_latent : D and M, 1 <= M <= D
    bias   : offsets b_enc (M,) and b_dec (D,).  Without them, data that are not centred lead to the
             principal components of the second moments X^T X instead of the covariance
    tied   : W_dec = W_enc^T, one matrix
    l2     : adds l2/2 (||W_enc||^2 + ||W_dec||^2); the offsets are never decayed
    rng    : where the start weights come from (Xavier normal); dtype : float64 or float32

    ``encoder`` and ``decoder`` are layers: W1^T = encoder.weight (D, M), W2^T = decoder.weight
    (M, D), b1 = encoder.bias (M,) and b2 = decoder.bias (D,), or None.
    """

    encoder_weight, encoder_bias = Renamed("encoder.weight"), Renamed("encoder.bias")
    decoder_weight, decoder_bias = Renamed("decoder.weight"), Renamed("decoder.bias")

    def __init__(
        self,
        n_features: int,
        n_latent: int,
        *,
        bias: bool = True,
        tied: bool = False,
        l2: float = 0.0,
        rng: np.random.Generator,
        dtype: Any = np.float64,
    ) -> None:
        super().__init__()
        self.n_features = whole_number(n_features, "LinearAutoencoder: n_features")
        self.n_latent = whole_number(
            n_latent,
            "LinearAutoencoder: n_latent",
            "choose 1 <= n_latent <= n_features; fewer than n_features for a bottleneck",
            high=n_features,
            what=f"LinearAutoencoder: n_latent = {n_latent} is not possible",
            where=f"n_features = {n_features}",
        )
        self.l2 = real_number(
            l2,
            "LinearAutoencoder: l2",
            "[0, inf)",
            "choose l2 >= 0",
            what=f"LinearAutoencoder: l2 = {l2} is not possible",
            where="a penalty",
        )
        self.tied, self.bias = flag(tied, "tied"), flag(bias, "bias")
        drawn = {"rng": rng, "dtype": dtype, "init": init.xavier_normal}
        self.encoder = Linear(n_features, n_latent, self.bias, **drawn)
        self.decoder: Linear | TiedDecoder = (
            TiedDecoder(self.encoder, self.bias, dtype)
            if self.tied
            else Linear(n_latent, n_features, self.bias, **drawn)
        )
        name_as_on_the_slides(self.encoder, self.decoder)
        self.record: Fit | None = None

    def decoding_weight(self) -> Tensor:
        """(M, D): the decoder's weight, which is the encoder's transposed if they are tied."""
        return self.decoder.weight

    def encode(self, x: Any) -> Any:
        """x (n, D) -> z (n, M)."""
        x = self._checked(x)
        W = self.encoder.weight
        return ops.linear(x, W, self.encoder.bias) if self.bias else x @ W

    def decode(self, z: Any) -> Any:
        """z (n, M) -> y (n, D)."""
        W = self.decoder.weight
        return ops.linear(z, W, self.decoder.bias) if self.bias else z @ W

    def forward(self, x: Any) -> Any:
        """x (n, D) -> its reconstruction y (n, D)."""
        return self.decode(self.encode(x))

    def loss(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        """E = 1/2 sum over n and features of (y - x)^2, plus the L2 penalty; a scalar.  (`rng` is
        not used.)
        """
        x = self._checked(x)
        return self.penalised(half_squared_error(self.forward(x), x), self.l2)

    def penalised(self, error: Any, l2: float) -> Any:
        """`error` + l2/2 (||W_enc||^2 + ||W_dec||^2)."""
        if l2 == 0:
            return error
        return error + l2 / 2 * (ops.sum(self.encoder.weight**2) + ops.sum(self.decoder.weight**2))

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """The weights before the offsets.  Optimisers know parameters by this order: an older
        state of an optimiser fits.
        """
        return iter(sorted(super().named_parameters(), key=lambda named: -named[1].ndim))

    def weights(self) -> list[Parameter]:
        """The one or two matrices that are trained."""
        return [p for p in self.parameters() if p.ndim == 2]

    def _checked(self, x: Any) -> Any:
        return rows(x, self.n_features, self.encoder.weight.dtype)

    def fit(
        self,
        X: Any,
        rng: np.random.Generator | None = None,
        *,
        tolerance: float = 1e-12,
        max_evaluations: int = 20_000,
    ) -> Fit:
        """Train to the minimum by L-BFGS; X (n, D).  Leaves its report in ``record`` and returns
        it.

        rng : draws new start weights first; None starts from the present ones.
        tolerance : the last stage ends when no entry of the gradient is larger (data scaled to mean
        square 1), or when the loss no longer resolves a step; the others at 1e-5.
        max_evaluations : of the loss and its gradient, in all stages together.

        Three things make it short, and none of them looks at an eigenvalue.  The loss depends on X
        only through X^T X = R^T R, so R of a QR decomposition (D x D) stands in for X.  The best
        offsets are known for any weights, b_dec = mean - (mean W_enc + b_enc) W_dec, so centred
        data and no offsets leave the same problem.  And a penalty lambda, from ||X||^2 / D down to
        its final value, keeps the two layers balanced on the way (Kunin et al. 2019): without it,
        every invertible C gives the equally good (W_enc C, C^-1 W_dec), and some of them are far
        away.
        """
        whole_number(max_evaluations, "LinearAutoencoder.fit: max_evaluations")
        fix = "0 goes down to the rounding of the loss"
        real_number(tolerance, "LinearAutoencoder.fit: tolerance", "[0, inf)", fix)
        given = check_matrix(X, "X", min_rows=1)
        X = given.astype(np.float64, copy=False)  # the mean of float32 data would be a wrong offset
        self._checked(X[:1])
        if rng is not None:
            self._restart(rng)
        with no_grad():
            report = Fit(start_loss=float(self.loss(X)))
        mean = np.zeros(X.shape[1])
        if self.bias:
            X, mean = centre(X)
        demand_squares(X)
        R, unit = scale(np.linalg.qr(X, mode="r") if len(X) > X.shape[1] else X)
        data = tensor(R, dtype=self.encoder.weight.dtype)
        final = self.l2 / unit**2
        stages = [
            lam
            for lam in float(np.sum(R**2)) / X.shape[1] * 100.0 ** -np.arange(0.0, 4.0)
            if lam > final
        ]
        for lam in stages:
            self._minimise(data, lam, unit, STAGE_TOLERANCE, max_evaluations, report)
        self._minimise(data, final, unit, tolerance, max_evaluations, report)
        if self.bias:
            self._centre_on(mean)
        report.penalties = [lam * unit**2 for lam in [*stages, final]]
        with no_grad():
            report.loss = float(self.loss(given))
        self.record = report
        return report

    def _minimise(
        self, data: Tensor, lam: float, unit: float, tolerance: float, limit: int, report: Fit
    ) -> None:
        if report.evaluations >= limit:
            report.reason, report.finished = "evaluation limit", False
            return
        optimiser = LBFGS(
            self.weights(),
            history=HISTORY,
            max_iter=limit,
            max_evaluations=limit - report.evaluations,
            gradient_tolerance=tolerance,
        )

        def closure() -> Tensor:
            error = half_squared_error(data @ self.encoder.weight @ self.decoder.weight, data)
            loss = self.penalised(error, lam)
            loss.backward()
            report.evaluations += 1
            report.losses.append(float(error) * unit**2)
            return loss

        optimiser.step(closure)
        report.reason, report.finished = str(optimiser.reason), optimiser.finished

    def _centre_on(self, mean: np.ndarray) -> None:
        """The offsets that are best for these weights: y(mean) = mean."""
        b1, b2 = self.encoder.bias, self.decoder.bias
        assert b1 is not None and b2 is not None
        b1.data = np.zeros(self.n_latent)
        projected = mean @ self.encoder.weight.data @ self.decoder.weight.data
        b2.data = mean - projected

    def _restart(self, rng: np.random.Generator) -> None:
        for weight in self.weights():
            weight.data = init.xavier_normal(weight.shape, rng, weight.dtype)


def half_squared_error(y: Any, x: Any) -> Any:
    """E = 1/2 sum (y - x)^2 over all elements: the slides' sum-of-squares error, a sum over
    features and data.
    """
    return ops.half_squared_error(y, x)
