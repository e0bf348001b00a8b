"""Log densities with every constant, and divergences between Gaussians: the terms of a variational
autoencoder.

All in nats.  Variances are passed as their logarithms where a network would output them.  Functions
of x, mean and log_var broadcast; *densities are summed over the last axis* (one number for each
datum), while the diagonal Kullback-Leibler divergence keeps it (one number for each latent unit:
sum it over the last axis).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..errors import DataError, ShapeError
from ._arguments import Array, covariance, of_shape, real_array, real_number, whole_number, within


def log_normal(x: ArrayLike, mean: ArrayLike = 0.0, log_var: ArrayLike = 0.0) -> Array:
    """Σ_d −½ [ln 2π + log_var + (x − mean)² / exp(log_var)], over the last axis: log N(x; mean,
    diag exp(log_var)).
    """
    x, mean, log_var = _together(("x", x), ("mean", mean), ("log_var", log_var))
    return np.asarray(
        -0.5 * (np.log(2 * np.pi) + log_var + (x - mean) ** 2 * np.exp(-log_var)).sum(axis=-1)
    )


def log_bernoulli(x: ArrayLike, logits: ArrayLike) -> Array:
    """Σ_d [x a − ln(1 + e^a)], over the last axis, a the logits: x ln p + (1 − x) ln(1 − p) with p
    = sigmoid(a).

    Exact for large |a|.  A log probability for x in {0, 1}; for grey x in between it is minus a
    cross-entropy, with the floor of :func:`~minigrad_ae.analytic.pixel_entropy`, and no likelihood.
    """
    x, a = _together(("x", x), ("logits", logits))
    within(x, "x", "[0, 1]", "a Bernoulli pixel is a probability: divide by the largest grey level")
    return np.asarray((x * a - np.logaddexp(0.0, a)).sum(axis=-1))


def kl_diagonal(
    mean: ArrayLike, log_var: ArrayLike, prior_mean: ArrayLike = 0.0, prior_log_var: ArrayLike = 0.0
) -> Array:
    """KL(N(mean, s²) ‖ N(m₀, s₀²)) = ½ [s²/s₀² + (mean − m₀)²/s₀² − 1 − ln(s²/s₀²)], entry by
    entry, s² = exp(log_var).

    Against the standard normal ½ (mean² + s² − 1 − ln s²), with derivatives mean and ½ (s² − 1) in
    mean and log_var.
    """
    mean, log_var, m0, v0 = _together(
        ("mean", mean),
        ("log_var", log_var),
        ("prior_mean", prior_mean),
        ("prior_log_var", prior_log_var),
    )
    return np.asarray(0.5 * (_above_tangent(log_var - v0) + (mean - m0) ** 2 * np.exp(-v0)))


def _above_tangent(a: Array) -> Array:
    """e^a − 1 − a, entry by entry; by its series Σ_{k ≥ 2} aᵏ/k! for |a| < 1, where the difference
    would cancel.
    """
    small = np.where(np.abs(a) < 1, a, 0.0)
    term = total = 0.5 * small**2
    for k in range(3, 21):  # 1/20! is below 1e-18
        term = term * small / k
        total = total + term
    return np.asarray(np.where(np.abs(a) < 1, total, np.expm1(a) - a))


def kl_normal(
    mean: ArrayLike, cov: ArrayLike, prior_mean: ArrayLike, prior_cov: ArrayLike
) -> float:
    """KL(N(m, C) ‖ N(m₀, C₀)) = ½ [tr C₀⁻¹ C + (m − m₀)ᵀ C₀⁻¹ (m − m₀) − M − ln det C + ln det C₀],
    means (M,).
    """
    m = real_array(mean, "mean", 1)
    m0 = of_shape(prior_mean, "prior_mean", m.shape, "both distributions live in the same space")
    C, C0 = _invertible(cov, "cov", len(m)), _invertible(prior_cov, "prior_cov", len(m))
    offset = m - m0
    squared = np.trace(np.linalg.solve(C0, C)) + offset @ np.linalg.solve(C0, offset)
    return 0.5 * float(squared - len(m) - np.linalg.slogdet(C)[1] + np.linalg.slogdet(C0)[1])


def kl_sample_variance(mean: ArrayLike, log_var: ArrayLike) -> Array:
    """Σ_m [½ (s² − 1)² + mean² s²], over the last axis: the variance of the one-sample estimate of
    KL(q ‖ N(0, I)).

    The estimate is log q(z) − log N(z; 0, I) with z = mean + s ε, which is Σ [−ln s − ε²/2 + z²/2];
    it is unbiased for the sum of :func:`kl_diagonal`, and can be negative.
    """
    mean, log_var = _together(("mean", mean), ("log_var", log_var))
    var = np.exp(log_var)
    return np.asarray((0.5 * (var - 1) ** 2 + mean**2 * var).sum(axis=-1))


def log_likelihood_at_best_variance(mse: float, D: int) -> float:
    """−(D/2) (ln 2π mse + 1), per datum: a Gaussian decoder whose one variance is its *mean*
    squared error per feature.

    That variance is the best (Rybkin, Daniilidis & Levine, ICML 2021, arXiv 2006.13202); mse = ‖x −
    y‖²/D averaged.
    """
    mse = real_number(
        mse, "mse", "(0, inf)", "a perfect fit has unbounded density: fix the variance instead"
    )
    D = whole_number(D, "D", 1, 10**9, "it counts features")
    return -0.5 * D * float(np.log(2 * np.pi * mse) + 1)


def _together(*named: tuple[str, ArrayLike]) -> list[Array]:
    """Arrays that broadcast with each other, with at least one axis."""
    arrays = [np.atleast_1d(real_array(value, name, None)) for name, value in named]
    try:
        return list(np.broadcast_arrays(*arrays))
    except ValueError:
        shapes = ", ".join(
            f"{name} has shape {array.shape}"
            for (name, _), array in zip(named, arrays, strict=True)
        )
        raise ShapeError(
            "the arguments do not broadcast", shapes, "the last axis holds features or latent units"
        ) from None


def _invertible(C: ArrayLike, name: str, size: int) -> Array:
    matrix = covariance(C, name, size)
    if np.linalg.matrix_rank(matrix, hermitian=True) < size:
        raise DataError(
            f"{name} is singular, and the divergence is infinite",
            f"rank {np.linalg.matrix_rank(matrix, hermitian=True)} of {size}",
            "a distribution with a density needs variance in every direction",
        )
    return matrix
