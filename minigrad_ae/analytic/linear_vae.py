"""The linear variational autoencoder: its exact bound, its optimum, and which units collapse.

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

from ..arguments import counted, plain
from ..errors import DataError
from ._arguments import (
    Array,
    covariance,
    of_shape,
    real_array,
    real_number,
    variances,
    whole_number,
    with_units,
    within,
)
from .densities import kl_diagonal
from .probabilistic_pca import NOISE, posterior_precision

BETA = "beta weighs the KL term: beta = 1 is the evidence lower bound"
WEIGHT = "it multiplies a term of the loss: choose it positive"


@dataclass(frozen=True)
class LinearELBO:
    """The two terms of ELBO_β at given weights, per datum and in nats.

    Parameters
    ----------
    reconstruction : float
        E log p(x | z) = −(D/2) ln 2πσ² − `squared_error` / 2σ².
    squared_error : float
        E ‖x − W z − μ‖², a sum over features, the mean over data and over z drawn from q.
    kl : ndarray, (M,)
        The KL term unit by unit, mean over data: ½ (Var of the mean + d − 1 − ln d).
    value : float
        `reconstruction` − β Σ `kl`.

    Examples
    --------
    >>> nothing = np.zeros((2, 1))  # a decoder that ignores z, and the prior as encoder
    >>> bound = mg.analytic.linear_elbo(np.diag([3.0, 1.0]), nothing, nothing.T, [1.0], 1.0)
    >>> bound.squared_error, bound.kl.tolist()
    (4.0, [0.0])
    >>> bound.value == bound.reconstruction
    True
    """

    reconstruction: float
    squared_error: float
    kl: Array
    value: float


@dataclass(frozen=True)
class LinearVAEOptimum:
    """The maximum of ELBO_β over W, V and d, unit by unit; τ = β σ².

    Unit i is on component i, largest eigenvalue first.

    Parameters
    ----------
    squared_norms : ndarray, (M,)
        w_i² = max(0, l_i − τ), of the columns of W, which are along u_i: the diagonal d fixes the
        rotation that probabilistic PCA leaves free (columns with w_i = 0 aside).
    variances : ndarray, (M,)
        d_i = min(1, τ / l_i).
    mean_variances : ndarray, (M,)
        max(0, 1 − τ / l_i), the variance over the data of the posterior mean (the "active units"
        statistic); with d_i it sums to 1, so the aggregate posterior is exactly the prior.
    kl : ndarray, (M,)
        ½ ln(l_i / τ) or 0: also the mutual information between x and z_i, in nats.
    squared_error : float
        Σ_{i>M} l_i + Σ_{i<=M} min(l_i, τ), a sum over features, mean over data and over z.
    value : float
        ELBO_β, per datum and in nats.

    References
    ----------
    Lucas, Tucker, Grosse & Norouzi, NeurIPS 2019 (arXiv 1911.02469).

    Examples
    --------
    >>> best = mg.analytic.linear_vae_optimum([4.0, 2.0, 0.5], M=2, sigma2=1.0, beta=2.0)
    >>> best.variances.tolist(), best.squared_error  # τ = 2: the second unit has collapsed
    ([0.5, 1.0], 4.5)
    >>> bool(np.allclose(best.kl, [0.5 * np.log(2), 0]))
    True
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
    """ELBO_β at any weights, exactly.

    It is −(D/2) ln 2πσ² − [tr (I − W V) S (I − W V)ᵀ + Σ_m ‖w_m‖² d_m]/2σ² − (β/2) [tr V S Vᵀ + Σ_m
    (d_m − 1 − ln d_m)].

    Parameters
    ----------
    S : array_like, (D, D)
        The covariance of the data about μ, divided by N.
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.
    V : array_like, (M, D)
        The encoder's map from x − μ to the mean of q.
    d : array_like, (M,)
        The encoder's *variances* > 0, the same for every x.
    sigma2 : float
        σ² > 0, the variance of the decoder's noise.
    beta : float, optional
        β >= 0, the weight of the KL term.

    Returns
    -------
    LinearELBO
        The bound and its terms, per datum and in nats.

    Raises
    ------
    ShapeError
        If S, W, V and d do not fit together.
    DtypeError, DataError
        If one of them does not hold finite real numbers, S is not a covariance, or d, sigma2 or
        beta is out of range.

    References
    ----------
    Lucas, Tucker, Grosse & Norouzi, NeurIPS 2019 (arXiv 1911.02469).

    Examples
    --------
    >>> S = np.diag([4.5, 0.5])
    >>> W, V, d = mg.analytic.linear_vae_weights(np.eye(2), [4.5, 0.5], M=1, sigma2=0.5)
    >>> bound = mg.analytic.linear_elbo(S, W, V, d, 0.5)
    >>> bool(np.isclose(bound.value, mg.analytic.ppca_log_likelihood(S, W, 0.5)))  # no gap is left
    True
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
    """The encoder that maximises ELBO_β for a given decoder: V = P⁻¹ Wᵀ/τ and d_m = 1/P_mm.

    Here P = WᵀW/τ + I and τ = β σ².  For β = 1, V (x − μ) is the exact posterior mean, and d_m the
    variance of z_m *given the other units* (not its marginal one).

    Parameters
    ----------
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.
    sigma2 : float
        σ² > 0, the variance of the decoder's noise.
    beta : float, optional
        β > 0, the weight of the KL term.

    Returns
    -------
    V : ndarray, (M, D)
        The map from x − μ to the mean of q.
    d : ndarray, (M,)
        The variances of q.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If W is not a finite, real, non-empty matrix, or sigma2 or beta is not positive.

    Examples
    --------
    >>> V, d = mg.analytic.best_encoder([[2.0], [0.0]], 1.0)  # as the posterior of PPCA
    >>> V.round(6).tolist(), d.round(6).tolist()
    ([[0.4, 0.0]], [0.2])
    """
    tau = _noise_level(sigma2, beta)
    P = posterior_precision(W, tau)
    return np.asarray(np.linalg.solve(P, real_array(W, "W", 2).T / tau)), 1 / np.diag(P)


def hadamard_gap(W: ArrayLike, sigma2: float) -> float:
    """½ [Σ_m ln P_mm − ln det P] >= 0: what a diagonal q must miss of log p(x).

    It remains however good the encoder (the "approximation gap"), is the same for all x, and by
    Hadamard's inequality 0 if and only if the columns of W are orthogonal.  P = WᵀW/σ² + I.

    Parameters
    ----------
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.
    sigma2 : float
        σ² > 0, the variance of the decoder's noise.

    Returns
    -------
    float
        In nats per datum.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If W is not a finite, real, non-empty matrix, or sigma2 is not positive.

    References
    ----------
    Cremer, Li & Duvenaud, ICML 2018 (arXiv 1801.03558), for the name.

    Examples
    --------
    >>> mg.analytic.hadamard_gap(np.eye(2), 1.0)
    0.0
    >>> gap = mg.analytic.hadamard_gap([[1.0, 1.0]], 1.0)  # P = [[2, 1], [1, 2]], det P = 3
    >>> bool(np.isclose(gap, 0.5 * np.log(4 / 3)))
    True
    """
    P = posterior_precision(W, sigma2)
    return 0.5 * float(np.log(np.diag(P)).sum() - np.linalg.slogdet(P)[1])


def amortisation_gap(
    S: ArrayLike, W: ArrayLike, V: ArrayLike, d: ArrayLike, sigma2: float
) -> float:
    """E KL(q ‖ posterior) − `hadamard_gap` >= 0: what an encoder misses of the best diagonal one.

        ½ Σ_m (P_mm d_m − 1 − ln P_mm d_m) + ½ tr P (V − V*) S (V − V*)ᵀ

    so that mean log p(x) = ELBO + hadamard_gap + amortisation_gap.

    Parameters
    ----------
    S : array_like, (D, D)
        The covariance of the data about μ, divided by N.
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.
    V : array_like, (M, D)
        The encoder's map from x − μ to the mean of q.
    d : array_like, (M,)
        The encoder's *variances* > 0, the same for every x.
    sigma2 : float
        σ² > 0, the variance of the decoder's noise.

    Returns
    -------
    float
        In nats per datum.

    Raises
    ------
    ShapeError
        If S, W, V and d do not fit together.
    DtypeError, DataError
        If one of them does not hold finite real numbers, S is not a covariance, or d or sigma2 is
        not positive.

    References
    ----------
    Cremer, Li & Duvenaud, ICML 2018 (arXiv 1801.03558).

    Examples
    --------
    >>> S, W, sigma2 = np.diag([3.0, 1.0]), np.array([[1.0, 1.0], [0.0, 1.0]]), 0.5
    >>> V, d = np.zeros((2, 2)), [1.0, 1.0]  # the prior as encoder
    >>> gaps = (mg.analytic.hadamard_gap(W, sigma2)
    ...         + mg.analytic.amortisation_gap(S, W, V, d, sigma2))
    >>> bound = mg.analytic.linear_elbo(S, W, V, d, sigma2).value
    >>> bool(np.isclose(bound + gaps, mg.analytic.ppca_log_likelihood(S, W, sigma2)))
    True
    """
    S, W, V, d = _weights(S, W, V, d)
    P = posterior_precision(W, sigma2)
    offset, ratio = V - best_encoder(W, sigma2)[0], np.diag(P) * d
    return float(kl_diagonal(0.0, np.log(ratio)).sum() + 0.5 * (P @ offset @ S * offset).sum())


def linear_vae_optimum(l: ArrayLike, M: int, sigma2: float, beta: float = 1.0) -> LinearVAEOptimum:
    """The maximum of ELBO_β over W, V and d, at fixed σ².

    Parameters
    ----------
    l : array_like, (D,)
        Eigenvalues of the covariance (divided by N), largest first.
    M : int
        Latent units, 1 to D.
    sigma2 : float
        σ² > 0, the variance of the decoder's noise.
    beta : float, optional
        β > 0, the weight of the KL term.

    Returns
    -------
    LinearVAEOptimum
        What each unit does there, and the value.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If l are not eigenvalues, largest first, or M, sigma2 or beta is out of range.

    References
    ----------
    Lucas, Tucker, Grosse & Norouzi, NeurIPS 2019 (arXiv 1911.02469).

    Examples
    --------
    >>> l = [4.0, 2.0, 0.5]
    >>> sigma2 = mg.analytic.learnt_noise(l, 1)
    >>> best = mg.analytic.linear_vae_optimum(l, 1, sigma2)
    >>> value, _ = mg.analytic.ppca_optimum(l, 1)
    >>> bool(np.isclose(best.value, value))  # the bound is tight at its maximum
    True
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
    """The weights at the maximum of ELBO_β: w_i = √max(0, l_i − τ) u_i, with the best encoder.

    Parameters
    ----------
    U : array_like, (D, K)
        Eigenvectors u_i of the covariance as columns, K >= M, such as ``pca(X).components``.
    l : array_like, (D,)
        Eigenvalues of the covariance (divided by N), largest first.
    M : int
        Latent units, 1 to D.
    sigma2 : float
        σ² > 0, the variance of the decoder's noise.
    beta : float, optional
        β > 0, the weight of the KL term.

    Returns
    -------
    W : ndarray, (D, M)
        The decoder.
    V : ndarray, (M, D)
        The encoder's map from x − μ to the mean of q.
    d : ndarray, (M,)
        The encoder's variances.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If l are not eigenvalues, largest first, M, sigma2 or beta is out of range, or U does not
        have D rows and at least M columns.

    Examples
    --------
    >>> W, V, d = mg.analytic.linear_vae_weights(np.eye(3), [4.0, 2.0, 0.5], M=2, sigma2=2.0)
    >>> (W**2).sum(axis=0).round(6).tolist(), d.round(6).tolist()  # the second unit has collapsed
    ([2.0, 0.0], [0.5, 1.0])
    """
    l, M, tau = _units(l, M, sigma2, beta)
    U = of_shape(U, "U", (len(l), None), "its columns are the components; use pca(X).components")
    whole_number(M, "M", 1, U.shape[1], f"U has {counted(U.shape[1], 'column')}")
    W = U[:, :M] * np.sqrt(np.maximum(l[:M] - tau, 0.0))
    return W, *best_encoder(W, sigma2, beta)


def active_units(l: ArrayLike, M: int, sigma2: float, beta: float = 1.0) -> int:
    """#{i <= M: l_i > β σ²}: how many latent units carry information at the optimum.

    It is 0, complete posterior collapse, if and only if l_1 <= β σ².

    Parameters
    ----------
    l : array_like, (D,)
        Eigenvalues of the covariance (divided by N), largest first.
    M : int
        Latent units, 1 to D.
    sigma2 : float
        σ² > 0, the variance of the decoder's noise.
    beta : float, optional
        β > 0, the weight of the KL term.

    Returns
    -------
    int
        From 0 to M.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If l are not eigenvalues, largest first, or M, sigma2 or beta is out of range.

    References
    ----------
    Lucas, Tucker, Grosse & Norouzi, NeurIPS 2019 (arXiv 1911.02469).

    Examples
    --------
    >>> [mg.analytic.active_units([4.0, 2.0, 0.5], 3, 1.0, beta) for beta in (0.25, 1.0, 4.0)]
    [3, 2, 0]
    """
    l, M, tau = _units(l, M, sigma2, beta)
    return int((l[:M] > tau).sum())


def learnt_noise(l: ArrayLike, M: int, beta: float = 1.0) -> float:
    """The σ² that maximises ELBO_β when it is learnt too.

    It is the root of D σ² = Σ_{i>M} l_i + Σ_{i<=M} min(l_i, β σ²).  With K active units σ² =
    Σ_{j>K} l_j / (D − β K), the least of these over K; for β = 1 that is the mean of the omitted
    eigenvalues, as in probabilistic PCA.  The right side is concave in σ², so the root is unique
    and the maximum global.

    Parameters
    ----------
    l : array_like, (D,)
        Eigenvalues of the covariance (divided by N), largest first.
    M : int
        Latent units, 0 to D.
    beta : float, optional
        β >= 0, the weight of the KL term.

    Returns
    -------
    float
        σ² > 0.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If l are not eigenvalues, largest first, M or beta is out of range, or M units can represent
        the data exactly, so that no σ² above 0 is best.

    References
    ----------
    Lucas, Tucker, Grosse & Norouzi, NeurIPS 2019 (arXiv 1911.02469), for β = 1.

    Examples
    --------
    >>> mg.analytic.learnt_noise([4.0, 2.0, 1.0], 1)
    1.5
    >>> mg.analytic.learnt_noise([4.0, 2.0, 1.0], 1, beta=0.0)  # the residual over all D features
    1.0
    """
    l, M = with_units(variances(l), "l", M, low=0)
    D = len(l)
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
    """The least squared error of M units, and the Σ KL that it costs, at each τ = β σ².

        rate = Σ_{i<=M} ½ ln max(1, l_i / τ),    distortion = Σ_{i>M} l_i + Σ_{i<=M} min(l_i, τ)

    Reverse water-filling: for M = D the rate-distortion function of a Gaussian source.  Its slope
    d rate / d distortion is −1/2τ.

    Parameters
    ----------
    l : array_like, (D,)
        Eigenvalues of the covariance (divided by N), largest first.
    M : int
        Latent units, 0 to D.
    tau : array_like
        Water levels τ > 0 of any shape.

    Returns
    -------
    rate : ndarray
        Σ_m KL_m in nats, of the shape of `tau`.
    distortion : ndarray
        E ‖x − y‖², a sum over features, mean over data and over z; of the shape of `tau`.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If l are not eigenvalues, largest first, M is out of range, or a τ is not positive.

    References
    ----------
    Cover & Thomas, Elements of Information Theory, section 10.3.3.

    Examples
    --------
    >>> rate, distortion = mg.analytic.rate_distortion([4.0, 1.0], 2, [1.0, 4.0])
    >>> distortion.tolist(), bool(np.allclose(rate, [np.log(2), 0]))
    ([2.0, 5.0], True)
    """
    l, M = with_units(variances(l), "l", M, low=0)
    level = plain(tau, "tau", np.float64)
    within(level, "tau", "(0, inf)", "tau = beta * sigma2 is the water level: choose it positive")
    used, level = l[:M], level[..., None]
    rate = 0.5 * np.log(np.maximum(used, level) / level).sum(axis=-1)
    return rate, l[M:].sum() + np.minimum(used, level).sum(axis=-1)


def effective_noise(error_weight: float, kl_weight: float) -> float:
    """τ = kl_weight / (2 error_weight): which β σ² a loss stands for, by how its terms are reduced.

    The loss is error_weight · ‖x − y‖² + kl_weight · Σ_m KL_m per datum, ‖·‖² a sum over features.

    Parameters
    ----------
    error_weight : float
        > 0; 1/D where the squared error is a mean over D pixels.
    kl_weight : float
        > 0; 1/M where the KL term is a mean over M units.

    Returns
    -------
    float
        τ; see `active_units` for what follows.

    Raises
    ------
    DtypeError, DataError
        If a weight is not one positive number.

    Notes ----- ½ (sum of squares) + KL: τ = 1.  Sum of squares + KL: ½.  Mean over D pixels + KL:
    D/2.  Mean over pixels and mean of KL over M units: D/2M.

    Examples
    --------
    >>> D, l_1 = 784, 5.117  # MNIST: the largest variance along any direction
    >>> tau = mg.analytic.effective_noise(error_weight=1 / D, kl_weight=1.0)
    >>> round(tau, 6), l_1 > tau  # every unit collapses
    (392.0, False)
    """
    error_weight = real_number(error_weight, "error_weight", "(0, inf)", WEIGHT)
    return real_number(kl_weight, "kl_weight", "(0, inf)", WEIGHT) / (2 * error_weight)


def collapse_curvature(l: ArrayLike, sigma2: float, beta: float = 1.0) -> Array:
    """β (τ − l_i)/τ²: the curvature of the loss at W = 0, as a column of W moves along u_i.

    The loss is −ELBO_β with the best q for each W.

    Positive for l_i < τ: the collapsed state is a strict minimum along u_i.  Negative: it is left,
    at a rate that vanishes as l_i approaches τ (so such units are slow to settle).

    Parameters
    ----------
    l : array_like, (D,)
        Eigenvalues of the covariance (divided by N), largest first.
    sigma2 : float
        σ² > 0, the variance of the decoder's noise.
    beta : float, optional
        β > 0, the weight of the KL term; τ = β σ².

    Returns
    -------
    ndarray, (D,)
        A second derivative for each direction.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If l are not eigenvalues, largest first, or sigma2 or beta is not positive.

    References
    ----------
    Lucas, Tucker, Grosse & Norouzi, NeurIPS 2019 (arXiv 1911.02469), for β = 1.

    Examples
    --------
    >>> mg.analytic.collapse_curvature([4.0, 2.0, 1.0], 2.0).tolist()
    [-0.5, 0.0, 0.25]
    """
    l, _, tau = _units(l, 1, sigma2, beta)
    return beta * ((tau - l) / tau) / tau


def _constant(D: int, sigma2: float) -> float:
    return -0.5 * D * float(np.log(2 * np.pi * sigma2))


def _noise_level(sigma2: float, beta: float) -> float:
    return real_number(sigma2, "sigma2", "(0, inf)", NOISE) * real_number(
        beta, "beta", "(0, inf)", BETA
    )


def _units(l: ArrayLike, M: int, sigma2: float, beta: float) -> tuple[Array, int, float]:
    return *with_units(variances(l), "l", M), _noise_level(sigma2, beta)


def _weights(
    S: ArrayLike, W: ArrayLike, V: ArrayLike, d: ArrayLike
) -> tuple[Array, Array, Array, Array]:
    S = covariance(S, "S")
    W = of_shape(W, "W", (len(S), None), "W is D x M; a layer's weight is its transpose")
    V = of_shape(V, "V", W.shape[::-1], "V is M x D; a layer's weight is its transpose")
    d = of_shape(d, "d", W.shape[1:], "one variance for each latent unit")
    within(d, "d", "(0, inf)", "d are the encoder's variances: exponentiate log-variances")
    return S, W, V, d
