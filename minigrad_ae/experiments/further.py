"""What the claims of lesson 11 measure: a linear VAE with a condition and with a whole covariance
in its posterior, the bound of many samples, and Langevin steps along a denoiser's score.

The conditional model is p(x | c) = N(A c + b, W W^T + sigma^2 I), its encoder
q(z | x, c) = N(V r, L L^T) of the residual r = x - A c - b, L lower triangular.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import analytic, ops
from ..models.densities import LN_2PI
from ..optim import LBFGS
from ..tensors import Tensor, tensor
from .run import Run, closure, generator

Array = np.ndarray
N, D, M, K = 60, 4, 2, 2  # data, features, latent units, numbers in the condition
SLANTED = np.array([[1.2, 0.9], [0.4, 1.1], [-0.5, 0.3], [0.8, -0.2]])  # columns not orthogonal
NOISE = 0.5  # sigma^2 that goes with it
SPREAD, VARIANCE = 5.0, 0.5  # of x, and of the q(z | x) whose variance is held, for one weight
CENTRES, SMOOTHING, STEP = np.array([-2.0, 0.5, 2.5]), 1.0, 0.4  # of the mixture; Langevin's h
CHAIN = 40  # Langevin steps


# --- a conditional VAE, and a posterior with a whole covariance -----------------------------------


def conditioned() -> tuple[Array, Array]:
    """(x (N, D), c (N, K)): x depends on c, and c has a mean."""
    rng = np.random.default_rng(11)
    c = rng.standard_normal((N, K)) + np.array([1.0, -2.0])
    x = c @ rng.standard_normal((K, D)) + rng.standard_normal((N, M)) @ SLANTED.T + 3.0
    return x + NOISE**0.5 * rng.standard_normal((N, D)), c


def factor(raw: Any, full: bool = True) -> Any:
    """The lower triangular L: its diagonal is e^raw, below it stands raw itself, or 0."""
    units = len(raw)
    below = np.tril(np.ones((units, units)), -1) * full
    return np.eye(units) * ops.exp(np.eye(units) * raw) + below * raw


def bound(r: Any, W: Any, V: Any, L: Any, log_s2: Any) -> Any:
    """The ELBO of residuals r (n, D), summed over them, in nats."""
    m = r @ ops.swapaxes(V, 0, 1)
    square = ops.sum((r - m @ ops.swapaxes(W, 0, 1)) ** 2) + len(r) * ops.sum((W @ L) ** 2)
    log_likelihood = -0.5 * (r.size * (LN_2PI + log_s2) + square * ops.exp(-log_s2))
    log_det = ops.sum(ops.log(ops.diag(L)))  # half of ln det L L^T
    kl = 0.5 * (ops.sum(m**2) + len(r) * (ops.sum(L**2) - len(L))) - len(r) * log_det
    return log_likelihood - kl


def residual(x: Array, c: Array, A: Any, b: Any) -> Any:
    """What the condition leaves of x."""
    return x - c @ ops.swapaxes(A, 0, 1) - b


def weights_at(run: Run, key: int, **shapes: tuple[int, ...]) -> dict[str, Tensor]:
    """Random tensors of these shapes."""
    rng = generator(run, 11, key)
    return {
        name: tensor(0.4 * rng.standard_normal(shape), requires_grad=True, name=name)
        for name, shape in shapes.items()
    }


def maximise(value: Any, weights: dict[str, Tensor]) -> float:
    """The largest ``value(**weights)`` that L-BFGS finds; the weights are there then."""
    optimizer = LBFGS(list(weights.values()), history=50, max_iter=2000, max_evaluations=4000)
    optimizer.step(closure(lambda: -value(**weights)))
    return -float(optimizer.loss)


def conditional(run: Run) -> tuple[float, dict[str, Tensor]]:
    """(bound per datum, weights) of the conditional VAE at its maximum."""
    x, c = conditioned()
    shapes = {"A": (D, K), "b": (D,), "W": (D, M), "V": (M, D), "raw": (M, M), "log_s2": ()}
    weights = weights_at(run, 0, **shapes)

    def per_datum(A: Tensor, b: Tensor, W: Tensor, V: Tensor, raw: Tensor, log_s2: Tensor) -> Any:
        return bound(residual(x, c, A, b), W, V, factor(raw), log_s2) / N

    return maximise(per_datum, weights), weights


def regression() -> tuple[Array, Array]:
    """(A, b) of least squares, and what they leave of x."""
    x, c = conditioned()
    design = np.hstack([c, np.ones((N, 1))])
    solution = np.linalg.lstsq(design, x, rcond=None)[0]
    return solution.T, x - design @ solution


def best_conditional() -> float:
    """The largest ln p(x | c) per datum: regression, then probabilistic PCA of what is left."""
    left = regression()[1]
    return float(analytic.ppca(left, M).log_prob(left).mean())


def encoder(run: Run, full: bool) -> tuple[float, Array]:
    """(bound per datum, L) of the best encoder of a decoder that is held, whose columns are
    slanted.
    """
    r = regression()[1]
    weights = weights_at(run, 1, V=(M, D), raw=(M, M))

    def per_datum(V: Tensor, raw: Tensor) -> Any:
        return bound(r, tensor(SLANTED), V, factor(raw, full), np.log(NOISE)) / N

    best = maximise(per_datum, weights)
    return best, factor(weights["raw"].data, full)


def slanted_log_p() -> float:
    """ln p(r) per datum under that decoder."""
    r = regression()[1]
    return float(analytic.PPCA(SLANTED, np.zeros(D), NOISE).log_prob(r).mean())


# --- the bound of many samples --------------------------------------------------------------------


def log_weights(x: Any, w: Any, v: Any, eps: Array, variance: float = VARIANCE) -> Any:
    """ln p(x, z) - ln q(z | x) at z = v x + eps sqrt(variance): one weight, sigma^2 = 1."""
    z = v * x + variance**0.5 * eps
    log_joint = -LN_2PI - 0.5 * ((x - w * z) ** 2 + z**2)
    return log_joint + 0.5 * (LN_2PI + np.log(variance) + eps**2)


def importance_bound(log_w: Any) -> Any:
    """ln of the mean of k weights, which lie along the last axis."""
    return ops.logsumexp(log_w, axis=-1) - np.log(log_w.shape[-1])


def nodes(k: int, points: int) -> tuple[Array, Array]:
    """(places (points^k, k), weights) of Gauss and Hermite's rule for k independent N(0, 1)."""
    at, weight = np.polynomial.hermite_e.hermegauss(points)
    weight = weight / weight.sum()
    places = np.stack(np.meshgrid(*[at] * k, indexing="ij"), axis=-1).reshape(-1, k)
    return places, np.prod(np.stack(np.meshgrid(*[weight] * k), axis=-1), axis=-1).ravel()


def by_quadrature(k: int, x: float, w: Any, v: Any, points: int = 30) -> Any:
    """L_k of one datum x, without sampling."""
    eps, weight = nodes(k, points)
    return ops.sum(weight * importance_bound(log_weights(x, w, v, eps)))


def log_p(x: float, w: float) -> float:
    """ln p(x) for one weight."""
    return float(-0.5 * (LN_2PI + np.log(w**2 + 1) + x**2 / (w**2 + 1)))


def one_weight(k: int) -> tuple[float, float, float]:
    """(L_k, w, v) at the maximum of L_k over data +-sqrt(SPREAD), q's variance held."""
    weights = {name: tensor(at, requires_grad=True) for name, at in (("w", 1.0), ("v", 0.3))}

    def value(w: Tensor, v: Tensor) -> Any:  # the same for both signs of x
        return by_quadrature(k, SPREAD**0.5, w, v)

    best = maximise(value, weights)
    return best, weights["w"].item(), weights["v"].item()


# --- Langevin sampling with a denoiser ------------------------------------------------------------


def drift(x: Array, centres: Array, sigma: float, h: float) -> Array:
    """x + h times the score, which the best denoiser of these centres gives (Tweedie)."""
    denoised = analytic.kernel_denoiser(centres, x, sigma)
    return x + h * analytic.score_of_denoiser(denoised, x, sigma)


def langevin(
    x: Array, centres: Array, sigma: float, h: float, steps: int, rng: np.random.Generator
) -> Array:
    """Where independent chains, one a row, are after these steps."""
    for _ in range(steps):
        x = drift(x, centres, sigma, h) + np.sqrt(2 * h) * rng.standard_normal(x.shape)
    return x


def walked(run: Run) -> Array:
    """(n,) ends of independent chains, started from N(0, 1), on the mixture."""
    rng = generator(run, 11, 4)
    start = rng.standard_normal((40_000, 1))
    return langevin(start, CENTRES[:, None], SMOOTHING, STEP, CHAIN, rng)[:, 0]


def moments_on_grid(step: Any, h: float, steps: int) -> tuple[float, float]:
    """(mean, variance) after so many steps of x -> step(x) + sqrt(2 h) N(0, 1) from N(0, 1): the
    density on a grid, carried along.
    """
    grid = np.linspace(-9, 9, 301)
    dx = grid[1] - grid[0]
    to = np.exp(-((grid[:, None] - step(grid)) ** 2) / (4 * h))
    to *= dx / np.sqrt(4 * np.pi * h)
    density = np.exp(-0.5 * grid**2) / np.sqrt(2 * np.pi)
    for _ in range(steps):
        density = to @ density
    mean = (grid * density).sum() * dx
    return float(mean), float(((grid - mean) ** 2 * density).sum() * dx)


def exact_step(h: float) -> Any:
    """The step x + h p'(x)/p(x), from the mixture's densities and no denoiser."""

    def step(x: Array) -> Array:
        away = x[:, None] - CENTRES
        density = np.exp(-0.5 * (away / SMOOTHING) ** 2)
        slope = -(away * density).sum(axis=1) / SMOOTHING**2
        return np.asarray(x + h * slope / density.sum(axis=1))

    return step


def denoiser_step(h: float) -> Any:
    """The same, from the denoiser."""
    return lambda x: drift(x[:, None], CENTRES[:, None], SMOOTHING, h)[:, 0]
