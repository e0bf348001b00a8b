"""The evidence log p(x) itself, for lesson 08: with any q and any decoder on a grid, and by
importance weighting.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import analytic
from ..autodiff.graph import no_grad
from ..models import LinearVAE, VariationalAutoencoder
from ..models.densities import LN_2PI
from ..ops import exp_remainder
from .elbo import anywhere, cloud, e_step, matrices
from .run import Run, generator
from .training import mean_and_error, with_weights

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


def posterior_on_grid(
    model: VariationalAutoencoder, x: np.ndarray, z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(log p(x, z), log p(z | x)) of one datum on an even grid z (G,): a sum in place of the
    integral over z.
    """
    with no_grad():
        log_conditional = model.conditional.log_prob(model.decoder(z[:, None]), x).numpy()
    log_joint = log_conditional - 0.5 * (LN_2PI + z**2)
    return log_joint, log_joint - np.logaddexp.reduce(log_joint) - np.log(z[1] - z[0])


def on_grid(
    model: VariationalAutoencoder, x: np.ndarray, z: np.ndarray, q: np.ndarray
) -> tuple[float, float]:
    """(L, KL(q || p(z | x))) of one datum for any density q (G,) on an even grid z (G,)."""
    step = z[1] - z[0]
    q = q / (q.sum() * step)
    log_joint, log_posterior = posterior_on_grid(model, x, z)
    log_q = np.log(np.where(q > 0, q, 1.0))
    bound = (q * (log_joint - log_q)).sum() * step
    divergence = (q * (log_q - log_posterior)).sum() * step
    return float(bound), float(divergence)


def shapes(z: np.ndarray) -> dict[str, np.ndarray]:
    """Densities q on the grid (up to a constant) that have nothing to do with each other."""

    def normal(mean: float, twice_variance: float) -> np.ndarray:
        return np.exp(-((z - mean) ** 2) / twice_variance)

    left, right = normal(-1.1, 0.12), normal(1.1, 0.12)
    inside = (z > -1) & (z < 2)
    sawtooth = np.where(np.abs(z) < 2, 1 + z % 1.0, 0.0)
    return {
        "prior N(0, 1)": normal(0.0, 2.0),
        "normal on one peak": right,
        "normal over both peaks": normal(0.1, 2.4),
        "two normals": 2 * left + 3 * right,
        "box from -1 to 2": inside.astype(float),
        "sawtooth": sawtooth,
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
