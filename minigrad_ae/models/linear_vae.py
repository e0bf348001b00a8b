"""The linear variational autoencoder: a VAE whose bound needs no sampling (Bishop & Bishop, section
19.2).

    p(z) = N(0, I),   p(x | z) = N(W z + mu, sigma^2 I),   q(z | x) = N(V (x - mu), diag(d))
    ELBO = E_q log p(x | z) - beta KL(q(z | x) || p(z))

Both terms are sums of squares in closed form.  For beta = 1 the bound is tight at its maximum,
where the model is probabilistic PCA (Lucas, Tucker, Grosse & Norouzi, NeurIPS 2019, arXiv
1911.02469).  All values are in nats.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..arguments import flag, generator, real_number, whole_number
from ..autodiff.graph import no_grad
from ..data import centre, check_matrix
from ..errors import DataError
from ..nn import Linear, Module, Parameter, init
from ..nn.module import Renamed
from ..optim import LBFGS
from ..tensors import Tensor, tensor
from .checks import rows
from .densities import LN_2PI, log_normal
from .linear import Fit

HISTORY = 100  # pairs that L-BFGS keeps: small variances make the bound badly conditioned
VANISHED = 1e-10  # a learnt variance below this part of the data's mean square is on its way to 0


class LinearVAE(Module):
    """Linear decoder and linear encoder; its loss is exact, or sampled as in any other VAE.

    n_features, n_latent : D and M, 1 <= M <= D
    beta   : weight of the KL term in `loss`, >= 0; an attribute, which may be changed on the way
             (KL warm-up)
    sigma2 : variance (not standard deviation) of the decoder's noise, > 0; learn_sigma2 : train it
    from there
    rng    : where the start weights come from (Xavier normal); dtype : float64 or float32

    ``encoder`` and ``decoder`` are layers: V^T = encoder.weight (D, M), W^T = decoder.weight (M,
    D), and mu = decoder.bias (D,), also called ``mean``.  ``log_var`` (M,) is ln d, the same for
    every x (which is best); ``log_sigma2`` () is frozen unless learnt.  Raises DataError for
    n_latent, sigma2 or beta outside these ranges.
    """

    encoder_weight, decoder_weight = Renamed("encoder.weight"), Renamed("decoder.weight")
    mean = Renamed("decoder.bias")

    def __init__(
        self,
        n_features: int,
        n_latent: int,
        *,
        beta: float = 1.0,
        sigma2: float = 1.0,
        learn_sigma2: bool = False,
        rng: np.random.Generator,
        dtype: Any = np.float64,
    ) -> None:
        super().__init__()
        self.n_features = whole_number(n_features, "LinearVAE: n_features")
        self.n_latent = whole_number(
            n_latent,
            "LinearVAE: n_latent",
            "choose whole numbers with 1 <= n_latent <= n_features",
            high=n_features,
            what=f"LinearVAE: n_latent = {n_latent} is not possible",
            where=f"n_features = {n_features}",
        )
        variance = real_number(
            sigma2,
            "LinearVAE: sigma2",
            "(0, inf)",
            "choose sigma2 > 0",
            what=f"LinearVAE: sigma2 = {sigma2} is not possible",
            where="sigma2 is the variance of the decoder's noise, the square of its standard "
            "deviation",
        )
        self.beta, self.learn_sigma2 = beta, flag(learn_sigma2, "learn_sigma2")
        drawn = {"rng": rng, "dtype": dtype, "init": init.xavier_normal}
        self.encoder = Linear(n_features, n_latent, bias=False, **drawn)
        self.log_var = Parameter(np.zeros(n_latent, dtype))
        self.decoder: Any = Linear(n_latent, n_features, **drawn)  # with a bias, for certain
        self.log_sigma2 = Parameter(math.log(variance), dtype=dtype)
        self.log_sigma2.requires_grad = self.learn_sigma2
        self.record: Fit | None = None
        for path, p in self.named_parameters():
            p.name = path

    @property
    def sigma2(self) -> float:
        """The variance of the decoder's noise."""
        return math.exp(self.log_sigma2.item())

    @property
    def beta(self) -> float:
        """Weight of the KL term in `loss`."""
        return self._beta

    @beta.setter
    def beta(self, value: float) -> None:
        self._beta = _checked_beta(value)

    # --- the two distributions ---
    def encode(self, x: Any) -> tuple[Any, Any]:
        """x (n, D) -> mu, log_var, (n, M) each, of q(z | x)."""
        mu = (self._checked(x) - self.decoder.bias) @ self.encoder.weight
        return mu, ops.broadcast_to(self.log_var, mu.shape)

    def decode(self, z: Any) -> Any:
        """z (..., M) -> E[x | z] (..., D)."""
        return z @ self.decoder.weight + self.decoder.bias

    def forward(self, x: Any) -> Any:
        """x (n, D) -> its reconstruction (n, D) through the mean of q, without sampling."""
        return self.decode(self.encode(x)[0])

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """(n, D) draws of x from the model: z from the prior, then x from p(x | z)."""
        n = whole_number(n, "LinearVAE.sample: n")
        rng = generator(rng, "LinearVAE", "z from the prior")
        with no_grad():
            means = self.decode(
                tensor(rng.standard_normal((n, self.n_latent)), dtype=self.decoder.bias.dtype)
            ).numpy()
        return np.asarray(
            means + math.sqrt(self.sigma2) * rng.standard_normal(means.shape).astype(means.dtype)
        )

    # --- the bound ---
    def bound(
        self, x: Any, rng: np.random.Generator | None = None, n_samples: int = 1, beta: float = 1.0
    ) -> Any:
        """(n,): `bound_of` the encoder's own q(z | x), for each row of x (n, D)."""
        return self.bound_of(x, *self.encode(x), rng, n_samples, beta)

    def bound_of(
        self,
        x: Any,
        mu: Any,
        log_var: Any,
        rng: np.random.Generator | None = None,
        n_samples: int = 1,
        beta: float = 1.0,
    ) -> Any:
        """(n,): E_q log p(x | z) - beta KL(q || p(z)) for each row of x (n, D) and any q = N(mu,
        diag e^log_var), (n, M) each.

        Without `rng` it is exact.  With it, the first term is the mean over `n_samples` draws of z;
        the KL term stays analytic.  Raises ShapeError where x does not fit, DataError for beta < 0
        and n_samples < 1.
        """
        x, beta = self._checked(x), _checked_beta(beta)
        n_samples = _checked_samples(n_samples)
        if rng is None:
            likelihood = self.expected_log_likelihood(x, mu, log_var)
        else:
            z = self.draw(mu, log_var, rng, n_samples)
            likelihood = ops.mean(log_normal(x, self.decode(z), self.log_sigma2), axis=0)
        kl = 0.5 * ops.sum(mu**2 + ops.exp_remainder(log_var), axis=1)
        return likelihood - beta * kl

    def elbo(
        self, x: Any, rng: np.random.Generator | None = None, n_samples: int = 1, beta: float = 1.0
    ) -> Any:
        """`bound`, *summed over the data*: a scalar."""
        return ops.sum(self.bound(x, rng, n_samples, beta))

    def loss(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        """-`elbo` with this model's beta, *summed over features and data*: exact; with an `rng`,
        from one draw of z each.
        """
        return -self.elbo(x, rng, beta=self.beta)

    def expected_log_likelihood(self, x: Any, mu: Any, log_var: Any) -> Any:
        """(n,), E_q log p(x | z) = -1/2 [D ln 2 pi sigma^2 + E_q ||x - W z - mean||^2 / sigma^2]
        for each row of x (n, D).

        The expected square is ||x - y||^2, y the decoded mean of q, plus sum_m e^log_var_m
        ||w_m||^2, the noise in z.
        """
        spread = ops.exp(log_var) * ops.sum(self.decoder.weight**2, axis=1)
        squared_error = ops.sum((x - self.decode(mu)) ** 2, axis=1) + ops.sum(spread, axis=1)
        return -0.5 * (
            self.n_features * (LN_2PI + self.log_sigma2) + squared_error * ops.exp(-self.log_sigma2)
        )

    def draw(self, mu: Any, log_var: Any, rng: np.random.Generator, n_samples: int) -> Any:
        """(n_samples, n, M): z = mu + sigma epsilon, epsilon ~ N(0, I), fresh for each datum and
        sample.
        """
        n_samples = _checked_samples(n_samples)
        rng = generator(rng, "LinearVAE", "z from q(z | x)")
        return ops.reparameterise(
            mu, log_var, rng.standard_normal((n_samples, *mu.shape)).astype(mu.dtype)
        )

    # --- the likelihood itself, by importance weighting ---
    def log_weights(self, x: Any, rng: np.random.Generator, n_samples: int) -> Any:
        """(n_samples, n): ln w = log p(x | z) + log p(z) - log q(z | x) at draws z from q.  Their
        mean is the bound.
        """
        x = self._checked(x)
        mu, log_var = self.encode(x)
        z = self.draw(mu, log_var, rng, n_samples)
        return (
            log_normal(x, self.decode(z), self.log_sigma2)
            + log_normal(z)
            - log_normal(z, mu, log_var)
        )

    def log_likelihood(self, x: Any, rng: np.random.Generator, n_samples: int) -> np.ndarray:
        """(n,), ln (1/k) sum_k w, k = n_samples: on average L_k <= log p(x), which rises to it
        (Burda et al. 2016).
        """
        with no_grad():
            log_w = self.log_weights(x, rng, n_samples)
            return np.asarray(ops.logsumexp(log_w, axis=0).numpy() - math.log(n_samples))

    # --- training to the maximum ---
    def fit(
        self,
        X: Any,
        rng: np.random.Generator | None = None,
        *,
        tolerance: float = 1e-9,
        max_evaluations: int = 20_000,
    ) -> Fit:
        """Maximise the exact bound by L-BFGS; X (n, D).  Leaves its report in ``record`` and
        returns it.

        rng : draws new start weights first; None starts from the present ones.  Either way they are
        weights for the data divided by one number, so that their mean square is 1 (sigma^2 is not:
        it is in the units of X).
        tolerance : ends when no entry of the gradient of the mean loss is larger (in those units).

        Nothing here looks at an eigenvalue.  mu = the mean of X is best for any weights.  The bound
        is quadratic in x - mu, so it depends on X through X^T X = R^T R and n alone: R of a QR
        decomposition stands in for the centred rows, and one row at mu, n - len(R) times, for what
        does not depend on x.  Raises DataError where sigma^2 would be learnt as 0.
        """
        whole_number(max_evaluations, "LinearVAE.fit: max_evaluations")
        fix = "0 goes down to the rounding of the loss"
        real_number(tolerance, "LinearVAE.fit: tolerance", "[0, inf)", fix)
        # in float64: the mean of float32 data would be a wrong mu
        X = check_matrix(X, "X", min_rows=1).astype(np.float64, copy=False)
        self._checked(X[:1])
        if rng is not None:
            for weight in (self.encoder.weight, self.decoder.weight):
                weight.data = init.xavier_normal(weight.shape, rng, weight.dtype)
        centred, mean = centre(X)
        unit = float(np.sqrt(np.mean(centred**2))) or 1.0
        R = np.asarray(np.linalg.qr(centred, mode="r")) if len(X) > X.shape[1] else centred
        rows = tensor(
            np.vstack([R / unit, np.zeros((1, R.shape[1]))]), dtype=self.decoder.bias.dtype
        )
        times = np.append(np.ones(len(R)), len(X) - len(R)).astype(rows.dtype) / rows.dtype.type(
            len(X)
        )
        self.decoder.bias.data = np.zeros(self.n_features)
        self.log_sigma2.data = self.log_sigma2.data - 2 * math.log(unit)
        losses: list[float] = []
        try:
            optimiser = self._maximise(rows, times, tolerance, max_evaluations, losses)
        finally:
            self.decoder.bias.data = mean
            self.decoder.weight.data = self.decoder.weight.data * unit
            self.encoder.weight.data = self.encoder.weight.data / unit
            self.log_sigma2.data = self.log_sigma2.data + 2 * math.log(unit)
        # densities have units
        losses = [len(X) * (loss + self.n_features * math.log(unit)) for loss in losses]
        with no_grad():
            self.record = Fit(
                losses[0],
                float(self.loss(X)),
                optimiser.evaluations,
                losses,
                reason=str(optimiser.reason),
                finished=optimiser.finished,
            )
        return self.record

    def _maximise(
        self, rows: Tensor, times: np.ndarray, tolerance: float, limit: int, losses: list[float]
    ) -> LBFGS:
        """Minimise the mean over data of - ELBO, each row of `rows` counted `times` (its share); mu
        stays where it is.
        """
        trained = [p for p in self.parameters() if p is not self.decoder.bias]
        optimiser = LBFGS(
            trained,
            history=HISTORY,
            max_iter=limit,
            max_evaluations=limit,
            gradient_tolerance=tolerance,
        )

        def closure() -> Tensor:
            loss = -ops.sum(times * self.bound(rows, beta=self.beta))
            loss.backward()
            losses.append(float(loss))
            if self.learn_sigma2 and self.sigma2 < VANISHED and losses[-1] == min(losses):
                raise DataError(
                    "LinearVAE: the learnt sigma^2 has no optimum above 0",
                    f"M = {self.n_latent} units represent the data exactly; it is below "
                    f"{VANISHED:g} of their mean square",
                    "choose fewer units, or fix sigma2",
                )
            return loss

        optimiser.step(closure)
        return optimiser

    def _checked(self, x: Any) -> Tensor:
        return rows(x, self.n_features, self.decoder.bias.dtype)


def _checked_beta(beta: float) -> float:
    return real_number(
        beta,
        "LinearVAE: beta",
        "[0, inf)",
        "choose beta >= 0",
        what=f"LinearVAE: beta = {beta} is not possible",
        where="beta weighs the KL term; 1 is the evidence lower bound",
    )


def _checked_samples(n_samples: int) -> int:
    return whole_number(
        n_samples,
        "LinearVAE: n_samples",
        "choose a whole number n_samples >= 1",
        what=f"LinearVAE: n_samples = {n_samples} draws of z are not possible",
        where="the bound averages over them",
    )
