"""What the claims of lesson 09 compute, once in a run where several share it (`Run.shared`)."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

from .. import analytic
from ..autodiff.graph import no_grad
from ..data import digits
from ..models import VariationalAutoencoder
from ..models.estimators import kl_samples, reparameterised_gradients, score_function_gradients
from ..models.slide_algorithm import algorithm_1, until_converged
from ..optim import SGD
from ..train import History
from .elbo import covariance_errors
from .run import Run, adam, generator, mean_and_error, with_weights

Array = np.ndarray
DRAWS = 400_000  # of each estimator: the spread of a measured variance is then below 1 %


# --- estimators of a gradient ---------------------------------------------------------------------

MU, SIGMA = 1.5, 0.7
LOG_VAR = 2 * math.log(SIGMA)


def square(z: Any) -> Any:
    """f(z) = z^2, summed over units."""
    return (z * z).sum(axis=-1)


def gradient_draws(run: Run, kind: str) -> Array:
    """(DRAWS,) one-sample gradients of E z^2 with respect to mu, z ~ N(1.5, 0.7^2)."""
    rng = generator(run, 91)
    if kind == "reparameterised":
        return reparameterised_gradients(square, MU, LOG_VAR, rng, DRAWS)[0][:, 0]
    baseline = MU**2 + SIGMA**2 if kind == "baseline" else 0.0  # E f
    return score_function_gradients(square, MU, LOG_VAR, rng, DRAWS, baseline)[0][:, 0]


def curvature_draws(run: Run) -> Array:
    """(DRAWS,) reparameterised gradients of E z^2 with respect to ln sigma^2."""
    return reparameterised_gradients(square, MU, LOG_VAR, generator(run, 92), DRAWS)[1][:, 0]


KL_MU, KL_LOG_VAR = np.array([0.9, 0.6]), np.array([0.5, 1.2])


def divergence_draws(run: Run) -> Array:
    """(DRAWS,) of log q(z) - log p(z)."""
    return kl_samples(KL_MU, KL_LOG_VAR, generator(run, 93), DRAWS)


# --- small models whose answers are known ---------------------------------------------------------


def small(seed: int = 1, **settings: Any) -> tuple[VariationalAutoencoder, Array]:
    """A Bernoulli VAE 6-8-2-8-6 as it starts, and 20 data in [0, 1]."""
    rng = np.random.default_rng(seed)
    return VariationalAutoencoder(6, 2, hidden=(8,), rng=rng, **settings), rng.random((20, 6))


def written_out(x: Array, weights: list[Array]) -> Array:
    """A network with one hidden layer of tanh units in NumPy, without any code of the models."""
    w1, b1, w2, b2 = weights
    return np.tanh(x @ w1 + b1) @ w2 + b2


def linear_gaussian(W: Array, V: Array, d: Array, sigma2: float) -> VariationalAutoencoder:
    """p(x | z) = N(W z, sigma2 I) and q(z | x) = N(V x, diag d) as a `VariationalAutoencoder`
    without hidden layers.
    """
    D, M = W.shape
    rng, sigma = np.random.default_rng(0), math.sqrt(sigma2)
    model = VariationalAutoencoder(D, M, hidden=(), likelihood="gaussian", sigma=sigma, rng=rng)
    bias = np.concatenate([np.zeros(M), np.log(d)])
    with_weights(model.encoder, np.hstack([V.T, np.zeros((D, M))]), bias)
    with_weights(model.decoder, W.T, np.zeros(D))
    return model


SIGMA2 = 0.36


def orthogonal_weights() -> Array:
    """W (6, 2) with orthogonal columns: the exact posterior is then diagonal."""
    return np.linalg.qr(np.random.default_rng(4).standard_normal((6, 2)))[0] * [1.5, 0.8]


def gaussian_data(run: Run) -> Array:
    """30 data, (30, 6), wider than the model."""
    return 2 * generator(run, 94).standard_normal((30, 6))


def weights_at_the_posterior(run: Run) -> tuple[Array, Array]:
    """(log w (50, 30), exact log p(x) (30,)) of a linear-Gaussian model whose encoder is the exact
    posterior.
    """
    W, X = orthogonal_weights(), gaussian_data(run)
    model = linear_gaussian(W, *analytic.best_encoder(W, SIGMA2), SIGMA2)
    exact = analytic.PPCA(W, np.zeros(6), SIGMA2).log_prob(X)
    return model.log_weights(X, generator(run, 95), 50).numpy(), exact


def sampled_bounds(run: Run) -> Array:
    """(2,000,) sampled ELBOs, L = 5, means over 30 data, of a linear-Gaussian model with weights
    that fit nothing.
    """
    W, V, d = misfit()
    model, X = linear_gaussian(W, V, d, SIGMA2), gaussian_data(run)
    bounds = model.bound(np.tile(X, (2000, 1)), generator(run, 96), 5).numpy()
    return np.asarray(bounds.reshape(2000, -1).mean(axis=1))


def misfit() -> tuple[Array, Array, Array]:
    """(W (6, 2), V (2, 6), d (2,)) drawn at random."""
    rng = np.random.default_rng(7)
    return rng.standard_normal((6, 2)), 0.3 * rng.standard_normal((2, 6)), np.array([0.3, 0.5])


def samples_off(run: Run, pixels: bool, C: Array) -> float:
    """By how many standard errors the covariance of 400,000 samples of a linear-Gaussian model is
    off C in the worst entry; samples of x with `pixels`, of E[x | z] without.
    """
    model = linear_gaussian(*misfit(), SIGMA2)
    X = model.sample(400_000, generator(run, 90), pixels=pixels)
    return float((np.abs(X.T @ X / len(X) - C) / covariance_errors(C, len(X))).max())


# --- Algorithm 1 ----------------------------------------------------------------------------------

ETA = 0.01


def by_algorithm_1(run: Run) -> list[Array]:
    """The parameters after one pass of Algorithm 1 over 20 data."""
    model, X = small()
    algorithm_1(model, X, ETA, generator(run, 98))
    return [p.data for p in model.parameters()]


def by_mini_batches(run: Run) -> list[Array]:
    """The same with the library's loss and optimiser, in batches of one."""
    model, X = small()
    optimiser, rng = SGD(model.parameters(), lr=ETA), generator(run, 98)
    for x in X:
        optimiser.zero_grad()
        model.loss(x[None, :], rng).backward()
        optimiser.step()
    return [p.data for p in model.parameters()]


# mu of the datum farthest out, |x|^2 = 6, is corrected by eta (W^2 / sigma^2 + 1) (|x|^2 + 1) = 21
# eta of what it lacks, W^2 = 2 at the optimum: at 2 / 21 = 0.095 the step throws it off, at 0.05 it
# is about right
CONVERGED: dict[str, Any] = {"eta": 0.05, "halvings": 5, "passes": 25}


def ellipse() -> tuple[Array, float]:
    """(X (8, 2), 1): eight points on an ellipse, whose covariance has the eigenvalues 3 and 1;
    probabilistic PCA's sigma^2 for one unit is 1.
    """
    angle = 2 * np.pi * np.arange(8) / 8
    return np.sqrt(2) * np.stack([np.sqrt(3) * np.cos(angle), np.sin(angle)], axis=1), 1.0


def lacking_at_the_end(run: Run) -> float:
    """What the exact bound lacks of the largest log p where Algorithm 1 returns (w, phi), nats per
    datum; one unit, from random weights.
    """
    (X, sigma2), rng = ellipse(), generator(run, 100)
    model = VariationalAutoencoder(
        2, 1, hidden=(), likelihood="gaussian", sigma=math.sqrt(sigma2), rng=rng
    )
    (w, b), (v, c) = until_converged(model, X, rng=rng, **CONVERGED)
    W, b, statistics = w.numpy(), b.numpy(), X @ v.numpy() + c.numpy()
    mu, log_var = statistics[:, :1], statistics[:, 1:]
    square = ((X - b - mu @ W) ** 2).sum(axis=1) + np.exp(log_var[:, 0]) * np.sum(W**2)
    log_conditional = -0.5 * (2 * np.log(2 * np.pi * sigma2) + square / sigma2)
    bounds = log_conditional - analytic.kl_diagonal(mu, log_var)[:, 0]
    return float(analytic.ppca_optimum([3.0, 1.0], 1)[0] - bounds.mean())


def excess_at_the_end() -> float:
    """eta/4 tr C, the mean excess of descent with small steps eta around a minimum, C the
    covariance of the gradient of one datum there; the gradient by hand, exact by 16 nodes.
    """
    X, sigma2 = ellipse()
    W, V, d = analytic.linear_vae_weights(np.eye(2), [3.0, 1.0], 1, sigma2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(16)
    total = 0.0
    for x in X:
        for eps, weight in zip(nodes, weights / weights.sum(), strict=True):
            mu, noise = float(V[0] @ x), math.sqrt(d[0]) * eps
            error = (x - W[:, 0] * (mu + noise)) / sigma2  # of log p(x | z), by the output
            dmu = W[:, 0] @ error - mu
            dlog_var = 0.5 * (W[:, 0] @ error * noise + 1 - d[0])
            # a weight's gradient is that of its output times its input, a bias has the input 1
            squares = error @ error * ((mu + noise) ** 2 + 1) + (dmu**2 + dlog_var**2) * (x @ x + 1)
            total += weight * float(squares) / len(X)
    last = CONVERGED["eta"] / 2 ** (CONVERGED["halvings"] - 1)
    return last / 4 * total


def gradient_of(model: VariationalAutoencoder, x: Array, rng: np.random.Generator) -> Array:
    """The gradient of the summed loss, all parameters in one vector."""
    model.zero_grad()
    model.loss(x, rng).backward()
    return np.concatenate([p.grad.ravel() for p in model.parameters()])


# --- a model of the digits ------------------------------------------------------------------------


SHORT = 60  # epochs of `trained`


def trained(run: Run, epochs: int = SHORT) -> tuple[VariationalAutoencoder, History]:
    """Two latent units, one hidden layer, a Gaussian likelihood with learnt variance, on the
    training digits.
    """
    gaussian: dict[str, Any] = {"likelihood": "gaussian", "sigma": 0.3, "learn_sigma": True}
    model = VariationalAutoencoder(64, 2, hidden=(64,), **gaussian, rng=generator(run, 1))
    X, order, noise = digits("train")[0], generator(run, 2), generator(run, 3)
    return model, adam(model, X, lr=1e-2, epochs=epochs, batch=128, rng=order, noise=noise)


def few_digits() -> Array:
    """20 test digits."""
    return digits("test")[0][:20]


def grid_log_p(run: Run, epochs: int = SHORT) -> Array:
    """(20,), log p(x) of the trained model at `few_digits` by integration on a grid over z; the
    decoder is written out.
    """
    model, X = run.shared(trained, epochs)[0], few_digits()
    return analytic.grid_log_prob(lambda Z: written_log_conditional(model, Z, X), 2, **GRID)


GRID: dict[str, Any] = {"limit": 6.0, "points": 217}


def written_log_conditional(model: VariationalAutoencoder, Z: Array, X: Array) -> Array:
    """(G, N): log p(x | z) of each z and x, without any code of the models."""
    sigma2 = math.exp(model.conditional.log_var.item())
    a = written_out(Z, [p.numpy() for p in model.decoder.parameters()])
    squares = (a**2).sum(axis=1)[:, None] - 2 * a @ X.T + (X**2).sum(axis=1)
    return np.asarray(-0.5 * (64 * np.log(2 * np.pi * sigma2) + squares / sigma2))


def widened(run: Run) -> VariationalAutoencoder:
    """The trained model with q(z | x) = N(mu(x), I): as wide as the prior.

    Beyond the data the decoder is nearly constant, and p(z | x) falls as p(z) does.  A weight has a
    finite variance only if q falls more slowly than p(z)^2, that is if sigma^2 > 1/2; the trained
    encoder's is about 0.06.
    """
    model: VariationalAutoencoder = copy.deepcopy(run.shared(trained, SHORT)[0])
    _, _, weight, bias = model.encoder.parameters()
    weight.data[:, 2:] = bias.data[2:] = 0.0  # ln sigma^2 = 0
    return model


def weight_variances(run: Run) -> Array:
    """(20,): the variance of w / p(x), w a weight of the widened model; E w^2 is the integral of
    p(z) times p(x | z)^2 p(z) / q(z | x), on the same grid.
    """
    model, X = run.shared(widened), few_digits()
    mu = written_out(X, [p.numpy() for p in model.encoder.parameters()])[:, :2]

    def log_integrand(Z: Array) -> Array:
        log_ratio = 0.5 * (mu**2).sum(axis=1) - Z @ mu.T  # of p(z) and q(z | x)
        return 2 * written_log_conditional(model, Z, X) + log_ratio

    log_square = analytic.grid_log_prob(log_integrand, 2, **GRID)
    return np.asarray(np.expm1(log_square - 2 * run.shared(grid_log_p, SHORT)))


def rising_bounds(run: Run) -> Array:
    """(3, 2): L_k at k = 1, 2, 5, averaged over `few_digits` and 20,000 draws of z for each, and
    its standard error for these digits.

    With V the mean variance of w / p(x), log p - L_k is about V / 2k, and 5 standard errors are
    about 5 sqrt(V / 400,000) at every k.  So the last two steps, 0.15 V and 0.1 V, are visible from
    V = 0.01 on; the least that a trained model has had is 0.05.
    """
    model, X = run.shared(trained, SHORT)[0], np.repeat(few_digits(), 100, axis=0)
    found = []
    for k in (1, 2, 5):
        rng = generator(run, 99, k)
        with no_grad():
            bounds = [model.iwae(X, rng, k).numpy().reshape(20, 100) for _ in range(200 // k)]
        found.append(mean_and_error(np.mean(bounds, axis=1).ravel()))  # over digits
    return np.array(found)
