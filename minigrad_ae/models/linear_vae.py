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
from ..arguments import flag, generator, plain, real_number, whole_number
from ..autodiff.graph import Value, no_grad
from ..data import centre
from ..errors import DataError
from ..nn import Linear, Parameter, init
from ..nn.module import Renamed
from ..optim import LBFGS
from ..room import demand_room_for
from ..tensors import Tensor, tensor
from .base import VariationalModel
from .densities import LN_2PI, kl_to_prior, log_normal
from .linear import Fit, ready_to_fit

HISTORY = 100  # pairs that L-BFGS keeps: small variances make the bound badly conditioned
VANISHED = 1e-10  # a learnt variance below this part of the data's mean square is on its way to 0


class LinearVAE(VariationalModel):
    """A VAE with a linear encoder and a linear decoder; its loss is exact, or sampled.

        p(x | z) = N(W z + mu, sigma^2 I),   q(z | x) = N(V (x - mu), diag(d))

    Parameters
    ----------
    n_features : int
        D, the number of features of a datum, >= 1.
    n_latent : int
        M, the number of latent units, 1 <= M <= D.
    beta : float, optional
        Weight of the KL term in `loss`, >= 0; an attribute, which may be changed on the way (KL
        warm-up).
    sigma2 : float, optional
        Variance (not standard deviation) of the decoder's noise, > 0, in squared units of x.
    learn_sigma2 : bool, optional
        Whether it is trained, from there.
    rng : numpy.random.Generator
        Draws the start weights (Xavier normal).
    dtype : dtype, optional
        float64 or float32, of all parameters.

    Attributes
    ----------
    encoder : nn.Linear
        V^T = encoder.weight (D, M), without a bias.
    decoder : nn.Linear
        W^T = decoder.weight (M, D) and mu = decoder.bias (D,), also called ``mean``.
    log_var : Parameter, (M,)
        ln d, the same for every x (which is best).
    log_sigma2 : Parameter, ()
        ln sigma^2, frozen unless learnt.
    record : Fit or None
        What the last `fit` did.

    Raises
    ------
    DataError
        If n_latent, sigma2 or beta is outside these ranges.
    DtypeError
        If a number or flag is not one, `rng` not a generator, or `dtype` another one.

    References
    ----------
    Bishop & Bishop (2024), section 19.2; Lucas, Tucker, Grosse & Norouzi (2019), arXiv 1911.02469.

    Examples
    --------
    The covariance of these data has the eigenvalues 2 and 1/2.  Probabilistic PCA takes the smaller
    for sigma^2, and ||w||^2 = 2 - 1/2.

    >>> X = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> model = mg.models.LinearVAE(2, 1, learn_sigma2=True, rng=np.random.default_rng(0))
    >>> report = model.fit(X)
    >>> round(model.sigma2, 6), round(float(np.sum(model.decoder.weight.data**2)), 6)
    (0.5, 1.5)

    A unit whose eigenvalue is below beta sigma^2 collapses: w = 0.

    >>> model = mg.models.LinearVAE(2, 1, beta=4.0, rng=np.random.default_rng(0))
    >>> report = model.fit(X)
    >>> bool(np.allclose(model.decoder.weight.data, 0, atol=1e-4))
    True
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
        self.decoder = Linear(n_latent, n_features, **drawn)
        self.log_sigma2 = Parameter(math.log(variance), dtype=dtype)
        self.log_sigma2.requires_grad = self.learn_sigma2
        self.record: Fit | None = None
        for path, p in self.named_parameters():
            p.name = path

    @property
    def sigma2(self) -> float:
        """The variance of the decoder's noise, a float in squared units of x."""
        return math.exp(self.log_sigma2.item())

    # --- the two distributions ---
    def encode(self, x: Any) -> tuple[Any, Any]:
        """Mean and log variance of q(z | x) = N(V (x - mu), diag(d)).

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows; an array is cast to the dtype of the weights.

        Returns
        -------
        mu : Tensor, (n, M)
            The means.
        log_var : Tensor, (n, M)
            ln d in every row.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        """
        mu = (self._rows(x) - self.decoder.bias) @ self.encoder.weight
        return mu, ops.broadcast_to(self.log_var, mu.shape)

    def decode(self, z: Any) -> Any:
        """E[x | z] = W z + mu.

        Parameters
        ----------
        z : Tensor or array_like, (..., M)
            Latent variables.

        Returns
        -------
        Tensor, (..., D)
            The mean of p(x | z), in the units of the data.
        """
        return z @ self.decoder.weight + self.decoder.bias

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw x from the model: z from the prior, then x from p(x | z).

        Parameters
        ----------
        n : int
            How many, >= 1.
        rng : numpy.random.Generator
            Draws z, and the noise in x.

        Returns
        -------
        ndarray, (n, D)
            One draw in each row.

        Raises
        ------
        DataError
            If `n` is below 1.
        DtypeError
            If `n` is not a whole number, or `rng` not a generator.
        """
        n = whole_number(n, "LinearVAE.sample: n")
        demand_room_for((n, self.n_features))
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
        """The lower bound of log p(x) for each row of x, with the encoder's own q(z | x).

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        rng : numpy.random.Generator, optional
            Draws z; without it the bound is exact.
        n_samples : int, optional
            Draws of z for each datum, >= 1, over which the first term is averaged.
        beta : float, optional
            Weight of the KL term, >= 0.

        Returns
        -------
        Tensor, (n,)
            `bound_of` that q: sums over features and units, in nats.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        DataError
            If beta < 0 or n_samples < 1.
        """
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
        """E_q log p(x | z) - beta KL(q || p(z)) for each row of x and any Gaussian q.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        mu : Tensor or ndarray, (n, M)
            Means of q = N(mu, diag e^log_var).
        log_var : Tensor or ndarray, (n, M)
            Log variances of q.
        rng : numpy.random.Generator, optional
            Draws z; without it the bound is exact.
        n_samples : int, optional
            Draws of z for each datum, >= 1, over which the first term is averaged; the KL term
            stays analytic.
        beta : float, optional
            Weight of the KL term, >= 0.

        Returns
        -------
        Tensor, (n,)
            Sums over features and units, in nats.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        DataError
            If beta < 0 or n_samples < 1.
        """
        x, beta, n_samples = self._rows(x), self._weight(beta), self._samples(n_samples)
        codes = (s if isinstance(s, Value) else plain(s, "a code", x.dtype) for s in (mu, log_var))
        mu, log_var = codes
        if rng is None:
            likelihood = self.expected_log_likelihood(x, mu, log_var)
        else:
            z = self.draw(mu, log_var, rng, n_samples)
            likelihood = ops.mean(self._log_prob(x, z), axis=0)
        return likelihood - beta * kl_to_prior(mu, log_var)

    def elbo(
        self, x: Any, rng: np.random.Generator | None = None, n_samples: int = 1, beta: float = 1.0
    ) -> Any:
        """The sum of `bound` over the data.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        rng : numpy.random.Generator, optional
            Draws z; without it the bound is exact.
        n_samples : int, optional
            Draws of z for each datum, >= 1.
        beta : float, optional
            Weight of the KL term, >= 0.

        Returns
        -------
        Tensor, ()
            A sum over features, units and data, in nats.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        DataError
            If beta < 0 or n_samples < 1.
        """
        return ops.sum(self.bound(x, rng, n_samples, beta))

    def loss(self, x: Any, rng: np.random.Generator | None = None) -> Any:
        """-`elbo` with this model's beta: exact, or from one draw of z for each datum.

        Parameters
        ----------
        x : array_like or Tensor, (n, D)
            Data in rows.
        rng : numpy.random.Generator, optional
            Draws z; without it the loss is exact.

        Returns
        -------
        Tensor, ()
            A sum over features, units and data, in nats.

        Raises
        ------
        ShapeError
            If x is not a matrix of D columns with at least one row.
        """
        return -self.elbo(x, rng, beta=self.beta)

    def expected_log_likelihood(self, x: Any, mu: Any, log_var: Any) -> Any:
        """E_q log p(x | z) in closed form, for q = N(mu, diag e^log_var).

            -1/2 [D ln 2 pi sigma^2 + E_q ||x - W z - mean||^2 / sigma^2]

        Parameters
        ----------
        x : Tensor or ndarray, (n, D)
            Data in rows.
        mu : Tensor or ndarray, (n, M)
            Means of q.
        log_var : Tensor or ndarray, (n, M)
            Log variances of q.

        Returns
        -------
        Tensor, (n,)
            A sum over features, in nats.

        Raises
        ------
        ShapeError
            If x is not a regular array.

        Notes
        -----
        The expected square is ||x - y||^2, y the decoded mean of q, plus sum_m e^log_var_m
        ||w_m||^2, the noise in z.
        """
        x = x if isinstance(x, Value) else plain(x, "x")
        spread = ops.exp(log_var) * ops.sum(self.decoder.weight**2, axis=1)
        squared_error = ops.sum((x - self.decode(mu)) ** 2, axis=1) + ops.sum(spread, axis=1)
        return -0.5 * (
            self.n_features * (LN_2PI + self.log_sigma2) + squared_error * ops.exp(-self.log_sigma2)
        )

    def draw(self, mu: Any, log_var: Any, rng: np.random.Generator, n_samples: int) -> Any:
        """z = mu + sigma epsilon with epsilon ~ N(0, I), fresh for each datum and sample.

        Parameters
        ----------
        mu : Tensor or ndarray, (n, M)
            Means of q.
        log_var : Tensor or ndarray, (n, M)
            Log variances of q.
        rng : numpy.random.Generator
            Draws epsilon.
        n_samples : int
            Draws for each datum, >= 1.

        Returns
        -------
        Tensor, (n_samples, n, M)
            z, differentiable in mu and log_var.

        Raises
        ------
        DataError
            If `n_samples` is below 1.
        DtypeError
            If `rng` is not a generator.
        """
        n_samples = self._samples(n_samples)
        rng = generator(rng, "LinearVAE", "z from q(z | x)")
        mu = mu if isinstance(mu, Value) else plain(mu, "mu", self.decoder.bias.dtype)
        shape = (n_samples, *mu.shape)
        demand_room_for(shape)
        return ops.reparameterise(mu, log_var, rng.standard_normal(shape).astype(mu.dtype))

    _draw = draw

    def _log_prob(self, x: Any, z: Any) -> Any:
        return log_normal(x, self.decode(z), self.log_sigma2)

    # --- training to the maximum ---
    def fit(
        self,
        X: Any,
        rng: np.random.Generator | None = None,
        *,
        tolerance: float = 1e-9,
        max_evaluations: int = 20_000,
    ) -> Fit:
        """Maximise the exact bound by L-BFGS.

        Parameters
        ----------
        X : array_like, (N, D)
            Data in rows; finite numbers.
        rng : numpy.random.Generator, optional
            Draws new start weights first; None starts from the present ones.  Either way they are
            weights for the data divided by one number, so that their mean square is 1 (sigma^2 is
            not: it is in the units of X).
        tolerance : float, optional
            It ends when no entry of the gradient of the mean loss is larger (in those units); 0
            goes down to the rounding of the loss.
        max_evaluations : int, optional
            Of the loss and its gradient, >= 1.

        Returns
        -------
        Fit
            The report, also left in ``record``; its losses are sums over features and data, in
            nats.

        Raises
        ------
        ShapeError
            If X is not a matrix of D columns.
        DataError
            If sigma^2 would be learnt as 0; if X is empty, or has entries that are masked, not
            finite, or so large that their squares are lost; if `tolerance` is below 0 or
            `max_evaluations` below 1.
        DtypeError
            If X is not made of real numbers, or an argument is not a number.

        Notes
        -----
        Nothing here looks at an eigenvalue.  mu = the mean of X is best for any weights.  The bound
        is quadratic in x - mu, so it depends on X through X^T X = R^T R and n alone: R of a QR
        decomposition stands in for the centred rows, and one row at mu, n - len(R) times, for what
        does not depend on x.
        """
        weights = (self.encoder.weight, self.decoder.weight)
        X = ready_to_fit(self, weights, X, rng, tolerance, max_evaluations)
        X = X.astype(np.float64, copy=False)  # the mean of float32 data would be a wrong mu
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
        optimiser = LBFGS(
            [p for p in self.parameters() if p is not self.decoder.bias],
            history=HISTORY,
            max_iter=limit,
            max_evaluations=limit,
            gradient_tolerance=tolerance,
        )

        def closure() -> Tensor:
            loss: Tensor = -ops.sum(times * self.bound(rows, beta=self.beta))
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

    @staticmethod
    def _weight(beta: float) -> float:
        return real_number(
            beta,
            "LinearVAE: beta",
            "[0, inf)",
            "choose beta >= 0",
            what=f"LinearVAE: beta = {beta} is not possible",
            where="beta weighs the KL term; 1 is the evidence lower bound",
        )

    @staticmethod
    def _samples(n_samples: int) -> int:
        return whole_number(
            n_samples,
            "LinearVAE: n_samples",
            "choose a whole number n_samples >= 1",
            what=f"LinearVAE: n_samples = {n_samples} draws of z are not possible",
            where="the bound averages over them",
        )
