"""The linear variational autoencoder: a VAE whose bound needs no sampling (Bishop & Bishop, section 19.2).

    p(z) = N(0, I),   p(x | z) = N(W z + mu, sigma^2 I),   q(z | x) = N(V (x - mu), diag(d))
    ELBO = E_q log p(x | z) - beta KL(q(z | x) || p(z))

Both terms are sums of squares in closed form.  For beta = 1 the bound is tight at its maximum, where the model is
probabilistic PCA (Lucas, Tucker, Grosse & Norouzi, NeurIPS 2019, arXiv 1911.02469).  All values are in nats.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..data import centre, check_matrix
from ..errors import DataError, ShapeError
from ..graph import no_grad
from ..nn import Module, Parameter, init
from ..optim import LBFGS
from ..tensor import Tensor, tensor
from .linear import Fit

HISTORY = 100  # pairs that L-BFGS keeps: small variances make the bound badly conditioned
VANISHED = 1e-12  # a learnt variance below this part of the data's mean square is on its way to 0


class LinearVAE(Module):
    """Linear decoder and linear encoder; its loss is exact, or sampled as in any other VAE.

    n_features, n_latent : D and M, 1 <= M <= D
    beta   : weight of the KL term, >= 0; an attribute, which may be changed between steps (KL warm-up)
    sigma2 : variance (not standard deviation) of the decoder's noise, > 0; learn_sigma2 : train it from there
    rng    : where the start weights come from (Xavier normal); dtype : float64 or float32

    ``encoder_weight`` (D, M) and ``decoder_weight`` (M, D) act as ``x @ weight``: they are V^T and W^T.  ``mean`` (D,)
    is mu, ``log_var`` (M,) is ln d, the same for every x (which is best), ``log_sigma2`` () is there if it is learnt.
    """

    def __init__(self, n_features: int, n_latent: int, *, beta: float = 1.0, sigma2: float = 1.0,
                 learn_sigma2: bool = False, rng: np.random.Generator, dtype: Any = np.float64) -> None:  # fmt: skip
        super().__init__()
        if not 1 <= n_latent <= n_features:
            raise DataError(
                f"LinearVAE: n_latent = {n_latent} is not possible",
                f"n_features = {n_features}",
                "choose 1 <= n_latent <= n_features",
            )
        if not (math.isfinite(sigma2) and sigma2 > 0):
            raise DataError(
                f"LinearVAE: sigma2 = {sigma2} is not possible",
                "sigma2 is the variance of the decoder's noise, the square of its standard deviation",
                "choose sigma2 > 0",
            )
        self.n_features, self.n_latent, self.beta = n_features, n_latent, _checked_beta(beta)
        self.encoder_weight = Parameter(init.xavier_normal((n_features, n_latent), rng, dtype))
        self.log_var = Parameter(np.zeros(n_latent, dtype))
        self.decoder_weight = Parameter(init.xavier_normal((n_latent, n_features), rng, dtype))
        self.mean = Parameter(np.zeros(n_features, dtype))
        self.learn_sigma2 = learn_sigma2
        self.log_sigma2: Any = math.log(sigma2)
        if learn_sigma2:
            self.log_sigma2 = Parameter(np.asarray(self.log_sigma2, dtype))
        self.record: Fit | None = None

    @property
    def sigma2(self) -> float:
        """The variance of the decoder's noise."""
        return math.exp(float(self.log_sigma2))

    # --- the two distributions ---
    def encode(self, x: Any) -> tuple[Any, Any]:
        """x (n, D) -> mean (n, M) and log-variance (M,) of q(z | x)."""
        return (self._checked(x) - self.mean) @ self.encoder_weight, self.log_var

    def decode(self, z: Any) -> Any:
        """z (..., M) -> mean (..., D) of p(x | z)."""
        return z @ self.decoder_weight + self.mean

    def forward(self, x: Any) -> Any:
        """x (n, D) -> its reconstruction (n, D): the decoded mean of q(z | x)."""
        return self.decode(self.encode(x)[0])

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, D) draws of x from the model: z from the prior, then x from p(x | z)."""
        with no_grad():
            means = self.decode(tensor(rng.standard_normal((n, self.n_latent)), dtype=self.mean.dtype)).numpy()
        return np.asarray(means + math.sqrt(self.sigma2) * rng.standard_normal(means.shape).astype(means.dtype))

    # --- the bound ---
    def elbo(self, x: Any, rng: np.random.Generator | None = None, n_samples: int = 1, beta: float | None = None) -> Any:
        """(n,), the bound on log p(x) for each row of x (n, D); sums over features and units.

        Without `rng` exact.  With it, the first term is a mean over `n_samples` draws of z, the KL term stays exact.
        beta : None for the model's own.  Raises ShapeError where x does not fit, DataError for beta < 0, n_samples < 1.
        """
        x = self._checked(x)
        mean, log_var = self.encode(x)
        if rng is None:
            likelihood = self.log_normal(self.expected_squared_error(x))
        else:
            z = self.draw(mean, log_var, rng, n_samples)
            likelihood = ops.mean(self.log_conditional(x, z), axis=0)
        kl = ops.sum(kl_to_prior(mean, log_var), axis=1)
        return likelihood - (self.beta if beta is None else _checked_beta(beta)) * kl

    def loss(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        """- sum over n of `elbo`: exact, or with one draw of z for each datum if there is an `rng`.  A scalar."""
        return -ops.sum(self.elbo(x, rng))

    def expected_squared_error(self, x: Any) -> Any:
        """(n,), E_q ||x - W z - mu||^2 = ||x - y(x)||^2 + sum_m d_m ||w_m||^2 for each row of x (n, D)."""
        x = self._checked(x)
        spread = ops.exp(self.log_var) * ops.sum(self.decoder_weight**2, axis=1)
        return ops.sum((x - self.forward(x)) ** 2, axis=1) + ops.sum(spread)

    def log_normal(self, squared_error: Any) -> Any:
        """-1/2 (D ln 2 pi sigma^2 + squared_error / sigma^2): log N(x; y, sigma^2 I), squared_error = ||x - y||^2."""
        log_volume = self.n_features * (math.log(2 * math.pi) + self.log_sigma2)
        return -0.5 * (log_volume + squared_error * ops.exp(-1.0 * self.log_sigma2))

    def log_conditional(self, x: Any, z: Any) -> Any:
        """log p(x | z), summed over features; z (..., n, M) -> (..., n)."""
        return self.log_normal(ops.sum((self._checked(x) - self.decode(z)) ** 2, axis=-1))

    def draw(self, mean: Any, log_var: Any, rng: np.random.Generator, n_samples: int) -> Any:
        """(n_samples, n, M): z = mean + sigma epsilon, epsilon ~ N(0, I), fresh for each datum and sample."""
        if n_samples < 1:
            raise DataError(
                f"LinearVAE: n_samples = {n_samples} draws of z are not possible",
                "the bound averages over them",
                "choose n_samples >= 1",
            )
        epsilon = rng.standard_normal((n_samples, *mean.shape)).astype(mean.dtype)
        return mean + ops.exp(0.5 * log_var) * epsilon

    # --- the likelihood, by importance weighting ---
    def log_weights(self, x: Any, rng: np.random.Generator, n_samples: int) -> Any:
        """(n_samples, n), ln w = log p(x | z) + log p(z) - log q(z | x) for draws z from q: their mean is the ELBO."""
        x = self._checked(x)
        mean, log_var = self.encode(x)
        z = self.draw(mean, log_var, rng, n_samples)
        log_prior = -0.5 * ops.sum(math.log(2 * math.pi) + z**2, axis=-1)
        log_q = -0.5 * ops.sum(math.log(2 * math.pi) + log_var + (z - mean) ** 2 * ops.exp(-log_var), axis=-1)
        return self.log_conditional(x, z) + log_prior - log_q

    def log_likelihood(self, x: Any, rng: np.random.Generator, n_samples: int = 100) -> Any:
        """(n,), ln (1/k) sum_k w, the bound L_k <= log p(x), k = n_samples; it rises to log p(x) (Burda et al. 2016)."""
        return ops.logsumexp(self.log_weights(x, rng, n_samples), axis=0) - math.log(n_samples)

    # --- what the units do ---
    def kl(self, x: Any) -> np.ndarray:
        """(M,), KL(q(z_m | x) || p(z_m)) unit by unit, the mean over the rows of x (n, D)."""
        with no_grad():
            return np.asarray(kl_to_prior(*self.encode(x)).numpy().mean(axis=0))

    def active_units(self, x: Any, threshold: float = 0.01) -> int:
        """How many units have a posterior mean whose variance over the rows of x exceeds `threshold` (Burda et al. 2016)."""
        with no_grad():
            return int(np.sum(self.encode(x)[0].numpy().var(axis=0) > threshold))

    # --- training to the maximum ---
    def fit(self, X: Any, rng: np.random.Generator | None = None, *, tolerance: float = 1e-9,
            max_evaluations: int = 20_000) -> Fit:  # fmt: skip
        """Maximise the exact bound by L-BFGS; X (n, D).  Leaves its report in ``record`` and returns it.

        rng : draws new start weights first; None starts from the present ones.  Either way they are weights for the
        data divided by one number, so that their mean square is 1 (sigma^2 is not: it is in the units of X).
        tolerance : ends when no entry of the gradient of the mean loss is larger (in those units).

        Nothing here looks at an eigenvalue.  mu = the mean of X is best for any weights.  The bound is quadratic in x - mu,
        so it depends on X through X^T X = R^T R and n alone: R of a QR decomposition stands in for the centred rows, and
        one row at mu, n - len(R) times, for what does not depend on x.  Raises DataError where sigma^2 would be learnt as 0.
        """
        X = check_matrix(X, "X", min_rows=1)
        self._checked(X[:1])
        if rng is not None:
            for weight in (self.encoder_weight, self.decoder_weight):
                weight.data = init.xavier_normal(weight.shape, rng, weight.dtype)
        centred, mean = centre(X)
        unit = float(np.sqrt(np.mean(centred**2))) or 1.0
        R = np.asarray(np.linalg.qr(centred, mode="r")) if len(X) > X.shape[1] else centred
        rows = tensor(np.vstack([R / unit, np.zeros((1, R.shape[1]))]), dtype=self.mean.dtype)
        times = np.append(np.ones(len(R)), len(X) - len(R)).astype(rows.dtype) / rows.dtype.type(len(X))
        self.mean.data = np.zeros(self.n_features)
        self._change_noise(1 / unit)
        losses: list[float] = []
        try:
            optimiser = self._maximise(rows, times, tolerance, max_evaluations, losses)
            vanished = self.learn_sigma2 and self.sigma2 < VANISHED
        finally:
            self.mean.data = mean
            self.decoder_weight.data = self.decoder_weight.data * unit
            self.encoder_weight.data = self.encoder_weight.data / unit
            self._change_noise(unit)
        if vanished:
            raise DataError(
                "LinearVAE: the learnt sigma^2 has no optimum above 0",
                f"M = {self.n_latent} units represent these data exactly (X has shape {X.shape})",
                "choose fewer units, or fix sigma2",
            )
        losses = [len(X) * (loss + self.n_features * math.log(unit)) for loss in losses]  # densities have units
        with no_grad():
            self.record = Fit(losses[0], float(self.loss(X)), optimiser.evaluations, losses, reason=str(optimiser.reason))
        return self.record

    def _maximise(self, rows: Tensor, times: np.ndarray, tolerance: float, limit: int, losses: list[float]) -> LBFGS:
        """Minimise the mean over data of - ELBO, each row of `rows` counted `times` (its share); mu stays where it is."""
        trained = [p for p in self.parameters() if p is not self.mean]
        optimiser = LBFGS(trained, history=HISTORY, max_iter=limit, max_evaluations=limit, gradient_tolerance=tolerance)

        def closure() -> Tensor:
            loss = -ops.sum(times * self.elbo(rows))
            loss.backward()
            losses.append(float(loss))
            return loss

        optimiser.step(closure)
        return optimiser

    def _change_noise(self, factor: float) -> None:
        """sigma^2 for data multiplied by `factor`."""
        if self.learn_sigma2:
            self.log_sigma2.data = self.log_sigma2.data + 2 * math.log(factor)
        else:
            self.log_sigma2 += 2 * math.log(factor)

    def _checked(self, x: Any) -> Any:
        x = x if isinstance(x, Tensor) else tensor(x, dtype=self.mean.dtype)
        if x.ndim != 2 or x.shape[1] != self.n_features:
            raise ShapeError(
                "the data do not fit the linear VAE",
                f"got shape {x.shape}, expected (n, {self.n_features})",
                "rows are data and columns are features; one data point x goes in as x[None, :]",
            )
        return x


def kl_to_prior(mean: Any, log_var: Any) -> Any:
    """KL(N(mean, e^log_var) || N(0, 1)) = 1/2 (-1 - log_var + mean^2 + e^log_var), entry by entry: sum it over units."""
    return 0.5 * (mean**2 + ops.expm1(log_var) - log_var)


def _checked_beta(beta: float) -> float:
    if not (math.isfinite(beta) and beta >= 0):
        raise DataError(
            f"LinearVAE: beta = {beta} is not possible",
            "beta weighs the KL term; 1 is the evidence lower bound",
            "choose beta >= 0",
        )
    return float(beta)
