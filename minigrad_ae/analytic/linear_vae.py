"""The linear variational autoencoder: its exact bound, its optimum, and which latent units
collapse.

Decoder p(x | z) = N(W z + μ, σ² I), encoder q(z | x) = N(V (x − μ), diag d), prior N(0, I); W is D
x M, V is M x D, d (M,) are *variances*, the same for every x (which is optimal).  S is the
covariance of the data about μ (divided by N), l_1 >= l_2 >= ... its eigenvalues, u_i its
eigenvectors.  Everything is per datum and in nats, expectations over the data and over q are taken
exactly, with every 2π.  β multiplies the Kullback-Leibler (KL) term:

    ELBO_β = E log p(x | z) − β E KL(q(z | x) ‖ p(z)).

Up to a constant that is β times the ELBO of a decoder with noise variance τ = β σ², so all results
for β = 1 (Lucas, Tucker, Grosse & Norouzi, NeurIPS 2019, arXiv 1911.02469) carry over.  A unit can
only live on a component with l_i > τ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import plain
from ..errors import DataError
from ._arguments import (
    Array,
    covariance,
    of_shape,
    real_array,
    real_number,
    variances,
    whole_number,
    within,
)
from .densities import kl_diagonal
from .probabilistic_pca import NOISE, posterior_precision

BETA = "beta weighs the KL term: beta = 1 is the evidence lower bound"
WEIGHT = "it multiplies a term of the loss: choose it positive"


@dataclass(frozen=True)
class LinearELBO:
    """The two terms at given weights.

    ``reconstruction``  E log p(x | z) = −(D/2) ln 2πσ² − ``squared_error`` / 2σ².
    ``squared_error``   E ‖x − W z − μ‖², over the data and over z drawn from q.
    ``kl``              (M,), the KL term unit by unit, averaged over the data: ½ (Var of the mean +
                        d − 1 − ln d).
    ``value``           ``reconstruction`` − β Σ ``kl``.
    """

    reconstruction: float
    squared_error: float
    kl: Array
    value: float


@dataclass(frozen=True)
class LinearVAEOptimum:
    """The maximum of ELBO_β over W, V and d, unit by unit (first M components, largest first; all
    arrays (M,)).

    ``squared_norms``   w_i² = max(0, l_i − τ), of the columns of W, which are along u_i: the
                        diagonal d fixes the rotation that probabilistic PCA leaves free (columns
                        with w_i = 0 aside).
    ``variances``       d_i = min(1, τ / l_i).
    ``mean_variances``  max(0, 1 − τ / l_i), the variance over the data of the posterior mean (the
                        "active units" statistic); with d_i it sums to 1, so the aggregate posterior
                        is exactly the prior.
    ``kl``              ½ ln(l_i / τ) or 0: also the mutual information between x and z_i.
    ``squared_error``   Σ_{i>M} l_i + Σ_{i<=M} min(l_i, τ).
    ``value``           ELBO_β.
    """

    squared_norms: Array
    variances: Array
    mean_variances: Array
    kl: Array
    squared_error: float
    value: float


def linear_elbo(
    S: ArrayLike, W: ArrayLike, V: ArrayLike, d: ArrayLike, sigma2: float, beta: float = 1.0
) -> LinearELBO:
    """ELBO_β at any weights, exactly:

    −(D/2) ln 2πσ² − [tr (I − W V) S (I − W V)ᵀ + Σ_m ‖w_m‖² d_m]/2σ² − (β/2) [tr V S Vᵀ + Σ_m (d_m
    − 1 − ln d_m)].
    """
    S, W, V, d = _weights(S, W, V, d)
    sigma2, beta = (
        real_number(sigma2, "sigma2", "(0, inf)", NOISE),
        real_number(beta, "beta", "[0, inf)", BETA),
    )
    residual = np.eye(len(S)) - W @ V
    squared_error = float((residual @ S * residual).sum() + (W**2).sum(axis=0) @ d)
    kl = 0.5 * (V @ S * V).sum(axis=1) + kl_diagonal(0.0, np.log(d))
    reconstruction = _constant(len(S), sigma2) - squared_error / (2 * sigma2)
    return LinearELBO(reconstruction, squared_error, kl, reconstruction - beta * float(kl.sum()))


def best_encoder(W: ArrayLike, sigma2: float, beta: float = 1.0) -> tuple[Array, Array]:
    """(V (M x D), d (M,)) that maximise ELBO_β for a given decoder: V = P⁻¹ Wᵀ/τ, d_m = 1/P_mm, P =
    WᵀW/τ + I.

    For β = 1, V x is the exact posterior mean, and d_m its variance *given the other units* (not
    its marginal one).
    """
    tau = _noise_level(sigma2, beta)
    P = posterior_precision(W, tau)
    return np.asarray(np.linalg.solve(P, real_array(W, "W", 2).T / tau)), 1 / np.diag(P)


def hadamard_gap(W: ArrayLike, sigma2: float) -> float:
    """½ [Σ_m ln P_mm − ln det P] >= 0: what a diagonal q must miss of log p(x), however good the
    encoder; P as above.

    The approximation gap; by Hadamard's inequality 0 if and only if the columns of W are
    orthogonal.  Same for all x.
    """
    P = posterior_precision(W, sigma2)
    return 0.5 * float(np.log(np.diag(P)).sum() - np.linalg.slogdet(P)[1])


def amortisation_gap(
    S: ArrayLike, W: ArrayLike, V: ArrayLike, d: ArrayLike, sigma2: float
) -> float:
    """E [KL(q ‖ posterior)] − :func:`hadamard_gap` >= 0: what this encoder misses of the best
    diagonal one.

        ½ Σ_m (P_mm d_m − 1 − ln P_mm d_m) + ½ tr P (V − V*) S (V − V*)ᵀ

    so that mean log p(x) = ELBO + hadamard_gap + amortisation_gap (Cremer, Li & Duvenaud, ICML
    2018, arXiv 1801.03558).
    """
    S, W, V, d = _weights(S, W, V, d)
    P = posterior_precision(W, sigma2)
    offset, ratio = V - best_encoder(W, sigma2)[0], np.diag(P) * d
    return float(kl_diagonal(0.0, np.log(ratio)).sum() + 0.5 * (P @ offset @ S * offset).sum())


def linear_vae_optimum(l: ArrayLike, M: int, sigma2: float, beta: float = 1.0) -> LinearVAEOptimum:
    """The maximum of ELBO_β over W, V and d for M units on data with eigenvalues l (D,), at fixed
    σ².
    """
    l, M, tau = _units(l, M, sigma2, beta)
    floor = np.maximum(l[:M], tau)
    rate, squared_error = rate_distortion(l, M, tau)
    value = _constant(len(l), sigma2) - float(squared_error) / (2 * sigma2) - beta * float(rate)
    return LinearVAEOptimum(
        floor - tau,
        tau / floor,
        1 - tau / floor,
        0.5 * np.log(floor / tau),
        float(squared_error),
        value,
    )


def linear_vae_weights(
    U: ArrayLike, l: ArrayLike, M: int, sigma2: float, beta: float = 1.0
) -> tuple[Array, Array, Array]:
    """(W (D x M), V (M x D), d (M,)) at that maximum, for eigenvectors U (D x K, K >= M, columns
    u_i).
    """
    l, M, tau = _units(l, M, sigma2, beta)
    U = of_shape(U, "U", (len(l), None), "its columns are the components; use pca(X).components")
    whole_number(M, "M", 1, U.shape[1], f"U has {U.shape[1]} columns")
    W = U[:, :M] * np.sqrt(np.maximum(l[:M] - tau, 0.0))
    return W, *best_encoder(W, sigma2, beta)


def active_units(l: ArrayLike, M: int, sigma2: float, beta: float = 1.0) -> int:
    """#{i <= M: l_i > β σ²}.  It is 0, complete posterior collapse, if and only if l_1 <= β σ²."""
    l, M, tau = _units(l, M, sigma2, beta)
    return int((l[:M] > tau).sum())


def learnt_noise(l: ArrayLike, M: int, beta: float = 1.0) -> float:
    """The σ² that maximises ELBO_β when it is learnt too: the root of D σ² = Σ_{i>M} l_i + Σ_{i<=M}
    min(l_i, β σ²).

    With K active units σ² = Σ_{j>K} l_j / (D − β K); for β = 1 the mean of the omitted eigenvalues,
    as in probabilistic PCA.  The right side is concave in σ², so the root is unique and the maximum
    global.
    """
    l = variances(l)
    D = len(l)
    M = whole_number(M, "M", 0, D, f"l has {D} eigenvalues")
    beta = real_number(beta, "beta", "[0, inf)", BETA)
    if l[M:].sum() == 0:
        raise DataError(
            "the learnt noise has no optimum above 0",
            f"M = {M} units can represent data of rank {int((l > 0).sum())} exactly",
            "choose fewer units, or fix sigma2",
        )
    # min(l_i, β σ²) is the least of two, so the root is the least of those for each number of units
    return min(float(l[K:].sum() / (D - beta * K)) for K in range(M + 1) if beta * K < D)


def rate_distortion(l: ArrayLike, M: int, tau: ArrayLike) -> tuple[Array, Array]:
    """(rate, distortion), each the shape of ``tau``: the optimal Σ KL in nats and E ‖x − y‖² of M
    units at τ = β σ² > 0.

        rate = Σ_{i<=M} ½ ln max(1, l_i / τ),    distortion = Σ_{i>M} l_i + Σ_{i<=M} min(l_i, τ)

    Reverse water-filling: for M = D the rate-distortion function of a Gaussian source (Cover &
    Thomas, Elements of Information Theory, section 10.3.3).  Its slope d rate / d distortion is
    −1/2τ.
    """
    l = variances(l)
    M = whole_number(M, "M", 0, len(l), f"l has {len(l)} eigenvalues")
    level = plain(tau, "tau", np.float64)
    within(level, "tau", "(0, inf)", "tau = beta * sigma2 is the water level: choose it positive")
    used, level = l[:M], level[..., None]
    rate = 0.5 * np.log(np.maximum(used, level) / level).sum(axis=-1)
    return rate, l[M:].sum() + np.minimum(used, level).sum(axis=-1)


def effective_noise(error_weight: float, kl_weight: float) -> float:
    """τ = kl_weight / (2 error_weight), for a loss error_weight · ‖x − y‖² + kl_weight · Σ_m KL_m
    per datum.

    ½ (sum of squares) + KL: τ = 1.  Sum of squares + KL: ½.  Mean over D pixels + KL: error_weight
    = 1/D, τ = D/2. Mean over pixels and mean of KL over M units: kl_weight = 1/M, τ = D/2M.  See
    :func:`active_units` for what follows.
    """
    error_weight = real_number(error_weight, "error_weight", "(0, inf)", WEIGHT)
    return real_number(kl_weight, "kl_weight", "(0, inf)", WEIGHT) / (2 * error_weight)


def collapse_curvature(l: ArrayLike, sigma2: float, beta: float = 1.0) -> Array:
    """(D,), β (τ − l_i)/τ²: second derivative of −max over q of ELBO_β at W = 0, as a column of W
    moves along u_i.

    Positive for l_i < τ: the collapsed state is a strict minimum along u_i.  Negative: it is left,
    at a rate that vanishes as l_i approaches τ (so such units are slow to settle).
    """
    l, _, tau = _units(l, 1, sigma2, beta)
    return beta * (tau - l) / tau**2


def _constant(D: int, sigma2: float) -> float:
    return -0.5 * D * float(np.log(2 * np.pi * sigma2))


def _noise_level(sigma2: float, beta: float) -> float:
    return real_number(sigma2, "sigma2", "(0, inf)", NOISE) * real_number(
        beta, "beta", "(0, inf)", BETA
    )


def _units(l: ArrayLike, M: int, sigma2: float, beta: float) -> tuple[Array, int, float]:
    l = variances(l)
    return (
        l,
        whole_number(M, "M", 1, len(l), f"l has {len(l)} eigenvalues"),
        _noise_level(sigma2, beta),
    )


def _weights(
    S: ArrayLike, W: ArrayLike, V: ArrayLike, d: ArrayLike
) -> tuple[Array, Array, Array, Array]:
    S = covariance(S, "S")
    W = of_shape(W, "W", (len(S), None), "W is D x M; a layer's weight is its transpose")
    V = of_shape(V, "V", W.shape[::-1], "V is M x D; a layer's weight is its transpose")
    d = of_shape(d, "d", W.shape[1:], "one variance for each latent unit")
    within(d, "d", "(0, inf)", "d are the encoder's variances: exponentiate log-variances")
    return S, W, V, d
