"""Log densities with every constant, and divergences between Gaussians: the terms of a bound.

All in nats.  Variances are passed as their logarithms where a network would output them.  Functions
of x, mean and log_var broadcast; *densities are summed over the last axis* (one number for each
datum), while the diagonal Kullback-Leibler divergence keeps it (one number for each latent unit:
sum it over the last axis).
"""

from __future__ import annotations

from math import factorial

import numpy as np
from numpy.typing import ArrayLike

from ..errors import DataError, ShapeError
from ._arguments import Array, covariance, of_shape, real_array, real_number, whole_number, within

# Σ aᵏ/k! from k = 20 down to 2; then nothing for a and 1.  1/20! is below 1e-18.
SERIES = [*(1 / factorial(k) for k in range(20, 1, -1)), 0.0, 0.0]


def log_normal(x: ArrayLike, mean: ArrayLike = 0.0, log_var: ArrayLike = 0.0) -> Array:
    """log N(x; mean, diag exp(log_var)), with every constant.

    It is Σ_d −½ [ln 2π + log_var + (x − mean)² / exp(log_var)].  The arguments broadcast.

    Parameters
    ----------
    x : array_like, (..., D)
        Where the density is asked for.
    mean : array_like, optional
        0 unless given.
    log_var : array_like, optional
        The *logarithm* of the variance, as a network outputs it; 0, for variance 1, unless given.

    Returns
    -------
    ndarray, (...)
        In nats, a sum over the last axis: one number for each datum.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If the arguments do not broadcast with each other, or do not hold finite real numbers.

    Examples
    --------
    >>> at_zero = mg.analytic.log_normal(np.zeros(3))
    >>> bool(np.isclose(at_zero, -1.5 * np.log(2 * np.pi)))
    True
    """
    x, mean, log_var = _together(("x", x), ("mean", mean), ("log_var", log_var))
    return np.asarray(
        -0.5 * (np.log(2 * np.pi) + log_var + (x - mean) ** 2 * np.exp(-log_var)).sum(axis=-1)
    )


def log_bernoulli(x: ArrayLike, logits: ArrayLike) -> Array:
    """Σ_d [x a − ln(1 + e^a)]: the log probability of pixels x under logits a.

    The same as x ln p + (1 − x) ln(1 − p) with p = sigmoid(a), but exact for large |a|.  A log
    probability for x in {0, 1}; for grey x in between it is minus a cross-entropy, with the floor
    of `pixel_entropy`, and no likelihood.  The arguments broadcast.

    Parameters
    ----------
    x : array_like, (..., D)
        Pixels in [0, 1].
    logits : array_like, (..., D)
        a = ln p/(1 − p).

    Returns
    -------
    ndarray, (...)
        In nats, a sum over the last axis: one number for each datum.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If the arguments do not broadcast with each other, or do not hold finite real numbers,
        or x is not in [0, 1].

    Examples
    --------
    >>> fair = mg.analytic.log_bernoulli([0.0, 1.0, 1.0], np.zeros(3))  # three fair coins
    >>> bool(np.isclose(fair, -3 * np.log(2)))
    True
    >>> float(mg.analytic.log_bernoulli([1.0], [1000.0]))  # no overflow
    0.0
    """
    x, a = _together(("x", x), ("logits", logits))
    within(x, "x", "[0, 1]", "a Bernoulli pixel is a probability: divide by the largest grey level")
    return np.asarray((x * a - np.logaddexp(0.0, a)).sum(axis=-1))


def kl_diagonal(
    mean: ArrayLike, log_var: ArrayLike, prior_mean: ArrayLike = 0.0, prior_log_var: ArrayLike = 0.0
) -> Array:
    """KL(N(mean, s²) ‖ N(m₀, s₀²)), entry by entry: one number for each latent unit.

    It is ½ [s²/s₀² + (mean − m₀)²/s₀² − 1 − ln(s²/s₀²)], s² = exp(log_var); against the standard
    normal ½ (mean² + s² − 1 − ln s²), with derivatives mean and ½ (s² − 1) in mean and log_var.
    The arguments broadcast.

    Parameters
    ----------
    mean : array_like
        Of the first distribution, usually (N, M).
    log_var : array_like
        The *logarithm* of its variance.
    prior_mean : array_like, optional
        m₀; 0 unless given.
    prior_log_var : array_like, optional
        ln s₀²; 0, for variance 1, unless given.

    Returns
    -------
    ndarray
        In nats, of the shape that the arguments have together, at least 1-dimensional; not summed
        (the KL term of a variational autoencoder is the sum over the last axis).

    Raises
    ------
    ShapeError, DtypeError, DataError
        If the arguments do not broadcast with each other, or do not hold finite real numbers.

    References
    ----------
    Kingma & Welling 2013 (arXiv 1312.6114), appendix B.

    Examples
    --------
    >>> mg.analytic.kl_diagonal([0.0, 1.0, 2.0], 0.0).tolist()
    [0.0, 0.5, 2.0]
    >>> wide = mg.analytic.kl_diagonal(0.0, np.log(4.0))
    >>> bool(np.isclose(wide[0], 0.5 * (4 - 1 - np.log(4))))
    True
    """
    mean, log_var, m0, v0 = _together(
        ("mean", mean),
        ("log_var", log_var),
        ("prior_mean", prior_mean),
        ("prior_log_var", prior_log_var),
    )
    return np.asarray(0.5 * (_above_tangent(log_var - v0) + (mean - m0) ** 2 * np.exp(-v0)))


def _above_tangent(a: Array) -> Array:
    """e^a − 1 − a, entry by entry; by its series for |a| < 1, where the difference would cancel."""
    return np.where(np.abs(a) < 1, np.polyval(SERIES, np.clip(a, -1, 1)), np.expm1(a) - a)


def kl_normal(
    mean: ArrayLike, cov: ArrayLike, prior_mean: ArrayLike, prior_cov: ArrayLike
) -> float:
    """KL(N(m, C) ‖ N(m₀, C₀)) for full covariances.

    It is ½ [tr C₀⁻¹ C + (m − m₀)ᵀ C₀⁻¹ (m − m₀) − M − ln det C + ln det C₀].

    Parameters
    ----------
    mean : array_like, (M,)
        m.
    cov : array_like, (M, M)
        C, invertible.
    prior_mean : array_like, (M,)
        m₀.
    prior_cov : array_like, (M, M)
        C₀, invertible.

    Returns
    -------
    float
        In nats, >= 0.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If the shapes do not fit, or C or C₀ is not a covariance, or singular (the divergence is
        infinite).

    Examples
    --------
    >>> mean, var = np.array([1.0, -2.0]), np.array([0.5, 3.0])
    >>> full = mg.analytic.kl_normal(mean, np.diag(var), np.zeros(2), np.eye(2))
    >>> bool(np.isclose(full, mg.analytic.kl_diagonal(mean, np.log(var)).sum()))
    True
    """
    m = real_array(mean, "mean", 1)
    m0 = of_shape(prior_mean, "prior_mean", m.shape, "both distributions live in the same space")
    C, C0 = _invertible(cov, "cov", len(m)), _invertible(prior_cov, "prior_cov", len(m))
    offset = m - m0
    squared = np.trace(np.linalg.solve(C0, C)) + offset @ np.linalg.solve(C0, offset)
    return 0.5 * float(squared - len(m) - np.linalg.slogdet(C)[1] + np.linalg.slogdet(C0)[1])


def kl_sample_variance(mean: ArrayLike, log_var: ArrayLike) -> Array:
    """Σ_m [½ (s² − 1)² + mean² s²]: the variance of the one-sample estimate of KL(q ‖ N(0, I)).

    The estimate is log q(z) − log N(z; 0, I) with z = mean + s ε, which is Σ [−ln s − ε²/2 + z²/2];
    it is unbiased for the sum of `kl_diagonal`, and can be negative.  The arguments broadcast.

    Parameters
    ----------
    mean : array_like, (..., M)
        Of q.
    log_var : array_like, (..., M)
        The *logarithm* of the variance s² of q.

    Returns
    -------
    ndarray, (...)
        In nats², a sum over the last axis: one number for each datum.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If the arguments do not broadcast with each other, or do not hold finite real numbers.

    Examples
    --------
    >>> float(mg.analytic.kl_sample_variance([0.0, 0.0], [0.0, 0.0]))  # q is the prior
    0.0
    >>> float(mg.analytic.kl_sample_variance([3.0], [0.0]))
    9.0
    """
    mean, log_var = _together(("mean", mean), ("log_var", log_var))
    var = np.exp(log_var)
    return np.asarray((0.5 * (var - 1) ** 2 + mean**2 * var).sum(axis=-1))


def log_likelihood_at_best_variance(mse: float, D: int) -> float:
    """−(D/2) (ln 2π mse + 1): the log-likelihood of a Gaussian decoder with the best variance.

    It has one variance for all features and data.  The best is the *mean* squared error per
    feature, mse = ‖x − y‖²/D averaged over data.

    Parameters
    ----------
    mse : float
        > 0, a mean over features and data.
    D : int
        Features.

    Returns
    -------
    float
        In nats per datum.

    Raises
    ------
    DtypeError, DataError
        If mse is not positive (a perfect fit has unbounded density), or D is not a whole number
        from 1.

    References
    ----------
    Rybkin, Daniilidis & Levine, ICML 2021 (arXiv 2006.13202).

    Examples
    --------
    >>> best = mg.analytic.log_likelihood_at_best_variance(0.25, 2)
    >>> at_best = mg.analytic.log_normal([0.5, 0.5], 0.0, np.log(0.25))
    >>> bool(np.isclose(best, at_best))
    True
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
