"""What the claims of lesson 08 measure: the bound at any weights, E and M steps, the gap between,
and log p(x) itself: with any q and any decoder on a grid, and by importance weighting.

Everything that is trained here is a production model with a production optimiser; log p and the
divergences that it is compared with come from `analytic`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import analytic
from ..models import LinearVAE, VariationalAutoencoder
from ..models.densities import log_normal
from ..ops import exp_remainder
from ..optim import LBFGS, SGD
from ..tensors import Tensor, tensor
from .linear import five_features
from .run import Run, closure, generator, mean_and_error, with_weights

OFFSET = np.array([1.0, -2.0, 0.5, 3.0, -1.0])  # the data are not centred: mu must be found


def cloud() -> tuple[np.ndarray, np.ndarray]:
    """(X (80, 5), eigenvalues (5,) of its covariance): a Gaussian cloud away from the origin."""
    X, found = five_features()
    return X + OFFSET, found.eigenvalues / len(X)


def anywhere(M: int = 2, seed: int = 8) -> LinearVAE:
    """A linear VAE on five features with nothing special about any of its weights."""
    rng = np.random.default_rng(seed)
    model = LinearVAE(5, M, sigma2=0.6, learn_sigma2=True, rng=rng)
    model.decoder_weight.data = rng.standard_normal((M, 5))
    model.encoder_weight.data = 0.4 * rng.standard_normal((5, M))
    model.log_var.data = rng.uniform(-2.5, -1.0, M)
    model.mean.data = OFFSET + 0.3 * rng.standard_normal(5)
    return model


def started(M: int) -> LinearVAE:
    """The start of `alternate`: random weights, and the data's mean as mu.  With M = 1 a diagonal
    covariance is a full one.
    """
    model = anywhere(M, seed=3)
    model.mean.data = cloud()[0].mean(axis=0)
    return model


def trained(run: Run, M: int, **settings: Any) -> LinearVAE:
    """Trained to its maximum by L-BFGS from a random start; sigma^2 with it, unless `settings` of
    the model are given.
    """
    model = LinearVAE(5, M, **(settings or {"learn_sigma2": True}), rng=generator(run, M))
    model.fit(cloud()[0])
    return model


# --- exact quantities of a model as it is ---------------------------------------------------------


@dataclass(frozen=True)
class Terms:
    """Per datum, in nats, averages over the data: log_p = elbo + kl, kl = approximation +
    amortisation.

    ``elbo`` is the model's; the others are closed forms of its weights.
    """

    log_p: float
    elbo: float
    kl: float
    approximation: float


def matrices(model: LinearVAE) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W (D, M), V (M, D) and d (M,) of the slides."""
    return (
        model.decoder_weight.numpy().T,
        model.encoder_weight.numpy().T,
        np.exp(model.log_var.numpy()),
    )


def covariance(model: LinearVAE, X: np.ndarray) -> np.ndarray:
    """(D, D), of the data about the model's mean."""
    centred = X - model.mean.numpy()
    return centred.T @ centred / len(X)


def second_moments(
    model: LinearVAE,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """(S, W, V, d, sigma^2): all that the bound on the cloud depends on."""
    return covariance(model, cloud()[0]), *matrices(model), model.sigma2


def terms(model: LinearVAE, X: np.ndarray) -> Terms:
    """Where log p, the bound and the divergence are now."""
    S, (W, V, d) = covariance(model, X), matrices(model)
    log_p = analytic.ppca_log_likelihood(S, W, model.sigma2)
    approximation = analytic.hadamard_gap(W, model.sigma2)
    kl = approximation + analytic.amortisation_gap(S, W, V, d, model.sigma2)
    return Terms(log_p, mean_bound(model, X), kl, approximation)


def covariance_errors(C: np.ndarray, n: int) -> np.ndarray:
    """(D, D): the standard error of each entry of the covariance of n draws from N(0, C) about the
    known mean 0, by the variances of a Wishart matrix.
    """
    return np.asarray(np.sqrt((C**2 + np.outer(np.diag(C), np.diag(C))) / n))


def mean_bound(model: LinearVAE, X: np.ndarray, rng: np.random.Generator | None = None) -> float:
    """The bound per datum: exact, or sampled with `rng`."""
    return float(model.elbo(X, rng).item()) / len(X)


# --- E and M steps --------------------------------------------------------------------------------


def maximise(
    model: LinearVAE, X: np.ndarray, parameters: Iterable[Tensor], tolerance: float = 1e-10
) -> None:
    """Raise the bound per datum to its maximum in some of the parameters, by L-BFGS."""
    optimiser = LBFGS(parameters, max_iter=300, gradient_tolerance=tolerance)
    optimiser.step(closure(lambda: model.loss(X) / len(X)))


def e_step(model: LinearVAE, X: np.ndarray) -> None:
    """The best encoder for this decoder."""
    maximise(model, X, [model.encoder_weight, model.log_var])


def m_step(model: LinearVAE, X: np.ndarray) -> None:
    """The best decoder for this encoder."""
    maximise(model, X, [model.decoder_weight, *([model.log_sigma2] if model.learn_sigma2 else [])])


def alternate(run: Run, M: int, steps: int) -> tuple[LinearVAE, list[Terms]]:
    """E and M steps from a random start: the model at the end, and the terms at the start and after
    each half step.
    """
    (X, _), model = cloud(), started(M)
    path = [terms(model, X)]
    for _ in range(steps):
        for half in (e_step, m_step):
            half(model, X)
            path.append(terms(model, X))
    return model, path


def stepped(model: LinearVAE, parameters: list[Tensor], steps: int) -> list[Terms]:
    """Gradient steps on the bound per datum in some of the parameters: the terms at the start and
    after each.
    """
    X, optimiser = cloud()[0], SGD(parameters, lr=0.005)
    path = [terms(model, X)]
    for _ in range(steps):
        optimiser.zero_grad()
        (model.loss(X) / len(X)).backward()
        optimiser.step()
        path.append(terms(model, X))
    return path


def free_posteriors(model: LinearVAE, X: np.ndarray) -> float:
    """The bound per datum with a diagonal Gaussian of its own for every datum, each the best: no
    encoder in between.
    """
    start = np.zeros((len(X), model.n_latent))
    mu, log_var = (tensor(start, requires_grad=True) for _ in range(2))
    optimiser = LBFGS([mu, log_var], max_iter=500, gradient_tolerance=1e-12)
    return -optimiser.step(closure(lambda: -model.bound_of(X, mu, log_var).sum() / len(X)))


# --- any q, any decoder: a grid -------------------------------------------------------------------


def hairpin() -> tuple[VariationalAutoencoder, np.ndarray]:
    """A decoder that folds the line of z like a hairpin, and a datum x (1, 2) between its legs: p(z
    | x) has two peaks.
    """
    model = VariationalAutoencoder(
        2, 1, hidden=(3,), likelihood="gaussian", sigma=0.4, rng=np.random.default_rng(0)
    )
    weights = [[2.0, 2.0, 1.0]], [-2.0, 2.0, 0.0], [[1.0, 0.0], [-1.0, 0.0], [0.0, 0.4]], [2.0, 0.0]
    with_weights(model.decoder, *weights)
    return model, np.array([[1.2, 0.05]])


def bound_on_grid(
    model: VariationalAutoencoder, x: np.ndarray, z: np.ndarray, log_q: np.ndarray
) -> float:
    """L of one datum, the integral of q ln [p(x | z) p(z) / q], as a sum over an even grid z (G,);
    q is given by its logarithm there, and p by the model.
    """
    points = z[:, None]
    log_conditional = model.conditional.log_prob(model.decoder(points), x).numpy()
    terms = np.exp(log_q) * (log_conditional + log_normal(points) - log_q)
    return float(terms.sum() * (z[-1] - z[0]) / (len(z) - 1))


@dataclass(frozen=True)
class Mixture:
    """A density of one number z: sum_k weights_k N(z; means_k, e^log_vars_k), arrays (K,)."""

    weights: np.ndarray
    means: np.ndarray
    log_vars: np.ndarray

    def log_density(self, z: np.ndarray) -> np.ndarray:
        """ln q(z) at the points z (G,), by the densities of the models."""
        parts = [
            np.log(weight) + log_normal(z[:, None], mean, log_var)
            for weight, mean, log_var in zip(self.weights, self.means, self.log_vars, strict=True)
        ]
        return np.asarray(np.logaddexp.reduce(parts, axis=0))


def mixtures(rng: np.random.Generator, n: int) -> list[Mixture]:
    """n random mixtures of three Gaussians between -3 and 3, with standard deviations from .2 to
    .8: on a grid of [-10, 10] nothing of them is missing.
    """
    return [
        Mixture(
            rng.dirichlet(np.ones(3)), rng.uniform(-3, 3, 3), 2 * np.log(rng.uniform(0.2, 0.8, 3))
        )
        for _ in range(n)
    ]


def shapes(z: np.ndarray) -> dict[str, np.ndarray]:
    """ln q(z) of densities that have nothing to do with each other, each normalised by a formula
    and not by a sum over z.
    """

    def normal(mean: float, s: float) -> np.ndarray:
        return -0.5 * (np.log(2 * np.pi * s**2) + ((z - mean) / s) ** 2)

    two = np.logaddexp(np.log(0.4) + normal(-1.1, 0.25), np.log(0.6) + normal(1.1, 0.25))
    u, s = (z - 0.3) / 0.25, 0.25  # the Gumbel and the logistic density have these units
    ripples = np.log1p(0.8 * np.cos(5 * z)) - np.log1p(0.8 * np.exp(-12.5))
    gumbel = -(u + np.exp(-u)) - np.log(s)
    logistic = -np.log(4 * s) - 2 * np.log(np.cosh(u / 2))
    return {
        "prior N(0, 1)": normal(0.0, 1.0),
        "normal on one peak": normal(1.1, 0.25),
        "normal over both peaks": normal(0.1, 1.1),
        "two normals": two,
        "Gumbel, skewed": gumbel,
        "logistic": logistic,
        "normal with ripples": normal(0.0, 1.0) + ripples,
    }


# --- importance weights ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Importance:
    """Of one datum: ``gap`` (K,) = log p(x) - L_k with standard errors ``error`` (K,)."""

    gap: np.ndarray
    error: np.ndarray


def imperfect() -> tuple[LinearVAE, np.ndarray, float, float]:
    """(model, x (1, 5), log p(x), chi^2): an encoder that is near the posterior of x, but is not
    it.
    """
    X, _ = cloud()
    model = anywhere()
    model.mean.data = X.mean(axis=0)
    e_step(model, X)
    model.log_var.data = model.log_var.data + 0.25
    model.encoder_weight.data = 0.93 * model.encoder_weight.data
    x, (W, V, d) = X[:1], matrices(model)
    truth = analytic.PPCA(W, model.mean.numpy(), model.sigma2)
    precision = analytic.posterior_precision(W, model.sigma2)
    exact_mean, mean = truth.posterior(x)[0][0], V @ (x[0] - model.mean.numpy())
    chi2 = analytic.chi_square(exact_mean, precision, mean, d)
    return model, x, float(truth.log_prob(x)[0]), chi2


def importance(run: Run, ks: tuple[int, ...], repeats: int) -> Importance:
    """log p(x) - L_k from `repeats` independent groups of k draws.

    With r = exp(L - log p), the mean of k weights over p(x), E r = 1 exactly.  So the gap -E ln r
    is also E (r - 1 - ln r), whose terms are never negative and scatter far less.
    """
    model, x, log_p, _ = imperfect()
    rng, xs = generator(run, 50), np.repeat(x, repeats, axis=0)
    gaps = [exp_remainder(model.log_likelihood(xs, rng, k) - log_p) for k in ks]
    means, errors = np.array([mean_and_error(gap) for gap in gaps]).T
    return Importance(means, errors)
