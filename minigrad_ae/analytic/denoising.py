"""The best linear denoiser of rank M, for Gaussian noise and for zeroed features.

A clean x (D,) is corrupted to x̃, and the loss is E ‖x − A x̃ − b‖² *per datum*, without ½ (the
slide's), the average running over the data and, exactly, over fresh noise at every visit.  The bias
b = E x − A E x̃ is optimal throughout, so only second moments about the means enter: the covariance
S = XᵀX / N of the clean data (D x D), P = cov(x, x̃) and Q = cov(x̃).  The loss of A is then
tr S − 2 tr A Pᵀ + tr A Q Aᵀ.

Reduced-rank regression: Izenman, J. Multivariate Anal. 5:248-264 (1975).  Noise as a penalty:
Bishop, Neural Computation 7:108-116 (1995); zeroed features: Chen et al., ICML 2012 (arXiv
1206.4683).  A linear denoising autoencoder has A = W2 W1; compare products, as W1 and W2 are free
up to an invertible M x M matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import counted, instance
from ._arguments import (
    Array,
    covariance,
    of_shape,
    one_or_each,
    real_array,
    squarable,
    variances,
    whole_number,
    with_units,
)
from .gaussian import regression

SIGMA = "sigma is a standard deviation (not a variance): choose it >= 0"
KEEP = "keep is the probability that a feature survives; the probability of zeroing it is 1 - keep"


@dataclass(frozen=True)
class Moments:
    """Second moments of clean data x and noisy data x̃, about the means.

    Parameters
    ----------
    S : ndarray, (D, D)
        cov(x), of the clean data.
    P : ndarray, (D, D)
        cov(x, x̃): clean features in rows, noisy ones in columns.
    Q : ndarray, (D, D)
        cov(x̃), of the noisy data.

    Examples
    --------
    >>> moments = mg.analytic.gaussian_moments([[4.0]], sigma=3.0)  # noise only widens x̃
    >>> moments.S.tolist(), moments.P.tolist(), moments.Q.tolist()
    ([[4.0]], [[4.0]], [[13.0]])
    """

    S: Array
    P: Array
    Q: Array


@dataclass(frozen=True)
class LinearDenoiser:
    """The best linear denoiser of rank at most M, as `best_denoiser` finds it.

    Parameters
    ----------
    matrix : ndarray, (D, D)
        A, to be applied to x̃ − E x̃; the answer lies around E x.
    loss : float
        E ‖x − A x̃ − b‖², a sum over features without ½, the mean over data and noise.
    captured : ndarray, (D,)
        Eigenvalues of P Q⁻¹ Pᵀ, largest first: `loss` = tr S − the sum of the first M.
    basis : ndarray, (D, M)
        Their eigenvectors: the output subspace, which need not be that of PCA.

    Examples
    --------
    >>> moments = mg.analytic.gaussian_moments(np.diag([3.0, 1.0]), sigma=1.0)
    >>> best = mg.analytic.best_denoiser(moments, 1)
    >>> bool(np.allclose(best.matrix, np.diag([0.75, 0.0]))), round(best.loss, 6)  # 3/4 + 1
    (True, 1.75)
    """

    matrix: Array
    loss: float
    captured: Array
    basis: Array


def gaussian_moments(S: ArrayLike, sigma: ArrayLike) -> Moments:
    """The moments for additive noise, x̃ = x + σ ε: P = S, Q = S + diag σ².

    Parameters
    ----------
    S : array_like, (D, D)
        The covariance of the clean data, divided by N.
    sigma : array_like, (D,) or a number
        Standard deviation >= 0 of the noise, one for all features or one for each.

    Returns
    -------
    Moments
        Averaged over the noise exactly.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If S is not a covariance, or sigma is negative or neither one number nor D.

    Examples
    --------
    >>> mg.analytic.gaussian_moments(np.eye(2), [1.0, 2.0]).Q.tolist()
    [[2.0, 0.0], [0.0, 5.0]]
    """
    S = covariance(S, "S")
    sigma = one_or_each(sigma, "sigma", "feature", len(S), "[0, inf)", SIGMA)
    return Moments(S, S, S + np.diag(sigma**2))


def dropout_moments(S: ArrayLike, keep: ArrayLike, mean: ArrayLike | None = None) -> Moments:
    """The moments for zeroed features, x̃ = m ∘ x: each m_i is 1 with probability q_i, else 0.

    The m_i are independent, so P = S diag q, and

        Q_ij = q_i q_j S_ij (i != j),    Q_ii = q_i S_ii + q_i (1 − q_i) mean_i².

    For inverted dropout, x̃ = m ∘ x / q, multiply the best A by diag q.

    Parameters
    ----------
    S : array_like, (D, D)
        The covariance of the clean data, divided by N.
    keep : array_like, (D,) or a number
        q, the probability that a feature *survives*, in (0, 1].
    mean : array_like, (D,), optional
        That of the clean data; 0, for data centred before they are corrupted, unless given.

    Returns
    -------
    Moments
        Averaged over the masks exactly.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If S is not a covariance, keep is not in (0, 1] or neither one number nor D, or mean is not
        D numbers.

    References
    ----------
    Chen et al., ICML 2012 (arXiv 1206.4683).

    Examples
    --------
    >>> moments = mg.analytic.dropout_moments([[4.0, 2.0], [2.0, 4.0]], keep=0.5)
    >>> moments.Q.tolist()
    [[2.0, 0.5], [0.5, 2.0]]
    """
    S = covariance(S, "S")
    q = one_or_each(keep, "keep", "feature", len(S), "(0, 1]", KEEP)
    scatter = q * (1 - q) * _second_moments(S, mean)
    return Moments(S, S * q, np.outer(q, q) * S + np.diag(scatter))


def empirical_moments(clean: ArrayLike, noisy: ArrayLike) -> Moments:
    """The moments of N pairs of rows, about their means.

    For one *frozen* corrupted copy of the data: its best denoiser fits the noise drawn, and is
    worse on fresh noise.

    Parameters
    ----------
    clean : array_like, (N, D)
        The data, a row for each.
    noisy : array_like, (N, D)
        The corrupted copy, row by row.

    Returns
    -------
    Moments
        Means over the N pairs.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If they are not finite, real, non-empty matrices of one shape.

    Examples
    --------
    >>> X = np.array([[1.0], [-1.0]])
    >>> moments = mg.analytic.empirical_moments(X, 2 * X + 5.0)
    >>> moments.P.tolist(), moments.Q.tolist()
    ([[2.0]], [[4.0]])
    """
    X = real_array(clean, "clean", 2)
    Y = of_shape(noisy, "noisy", X.shape, "give one corrupted row for each clean row")
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    return Moments(X.T @ X / len(X), X.T @ Y / len(X), Y.T @ Y / len(X))


def denoising_loss(A: ArrayLike, moments: Moments) -> float:
    """tr S − 2 tr A Pᵀ + tr A Q Aᵀ: E ‖x − A x̃ − b‖² of any linear denoiser, with the best bias b.

    Parameters
    ----------
    A : array_like, (D, D)
        The map from noisy to clean features; W2 W1 of a linear denoising autoencoder.
    moments : Moments
        Of the data and the noise.

    Returns
    -------
    float
        A sum over features without ½, the mean over data and noise.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If A is not a finite, real D x D matrix.

    Examples
    --------
    >>> moments = mg.analytic.gaussian_moments(np.diag([3.0, 1.0]), sigma=1.0)
    >>> mg.analytic.denoising_loss(np.eye(2), moments)  # the identity keeps all the noise, D σ²
    2.0
    >>> mg.analytic.denoising_loss(np.zeros((2, 2)), moments)  # the mean loses all the data, tr S
    4.0
    """
    instance(moments, Moments, "moments", "pass gaussian_moments(S, sigma) or its siblings")
    A = _map(A, len(moments.S))
    return float(np.trace(moments.S) - 2 * (A * moments.P).sum() + (A @ moments.Q * A).sum())


def best_denoiser(moments: Moments, M: int | None = None) -> LinearDenoiser:
    """The least `denoising_loss` of all A of rank at most M: A = V_M V_Mᵀ P Q⁻¹.

    V holds the eigenvectors of P Q⁻¹ Pᵀ, the covariance of the unrestricted answer P Q⁻¹ x̃.  A
    singular Q (constant or dependent features, no noise) is inverted where it is not zero.

    Parameters
    ----------
    moments : Moments
        Of the data and the noise.
    M : int, optional
        The largest rank, from 0 to D: that of a bottleneck; any rank unless given.

    Returns
    -------
    LinearDenoiser
        The map, its loss, and the directions it answers in.

    Raises
    ------
    DtypeError, DataError
        If M is not a whole number from 0 to D.

    References
    ----------
    Izenman, J. Multivariate Anal. 5:248-264 (1975), reduced-rank regression.

    Examples
    --------
    >>> S = np.diag([3.0, 1.0])
    >>> best = mg.analytic.best_denoiser(mg.analytic.gaussian_moments(S, sigma=1.0))
    >>> bool(np.allclose(best.matrix, S @ np.linalg.inv(S + np.eye(2))))
    True
    >>> round(best.loss, 6)  # 3 · 1/4 + 1 · 1/2
    1.25
    """
    instance(moments, Moments, "moments", "pass gaussian_moments(S, sigma) or its siblings")
    S, P, Q = moments.S, moments.P, moments.Q
    D = len(S)
    M = D if M is None else whole_number(M, "M", 0, D, f"the data have {counted(D, 'feature')}")
    full = regression(P, Q)
    explained = full @ P.T
    eigenvalues, vectors = np.linalg.eigh((explained + explained.T) / 2)
    captured, V = np.maximum(eigenvalues[::-1], 0.0), vectors[:, ::-1][:, :M]
    matrix = full if M == D else V @ (V.T @ full)
    return LinearDenoiser(matrix, float(np.trace(S) - captured[:M].sum()), captured, V)


def gaussian_denoising_loss(l: ArrayLike, sigma: float, M: int) -> float:
    """Σ_{i>M} l_i + Σ_{i<=M} l_i σ²/(l_i + σ²): the least denoising loss for isotropic noise.

    Parameters
    ----------
    l : array_like, (D,)
        Eigenvalues of the covariance of the clean data (divided by N), largest first.
    sigma : float
        Standard deviation >= 0 of the noise in every feature.
    M : int
        Rank, from 0 to D.

    Returns
    -------
    float
        E ‖x − A x̃ − b‖², a sum over features without ½, the mean over data and noise.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If l are not eigenvalues, largest first, sigma is negative, or M is out of range.

    Examples
    --------
    >>> mg.analytic.gaussian_denoising_loss([3.0, 1.0], sigma=1.0, M=1)  # 1 + 3/4
    1.75
    """
    shrinkage = gaussian_shrinkage(l, sigma, M)
    return float(variances(l)[M:].sum() + sigma**2 * shrinkage.sum())


def gaussian_shrinkage(l: ArrayLike, sigma: float, M: int) -> Array:
    """l_i / (l_i + σ²): how the best denoiser of isotropic noise shrinks PCA's directions.

    The best A is U_M diag(these) U_Mᵀ.  It is the minimum of `optimal_loss_product`, too, with λ =
    N σ².

    Parameters
    ----------
    l : array_like, (D,)
        Eigenvalues of the covariance of the clean data (divided by N), largest first.
    sigma : float
        Standard deviation >= 0 of the noise in every feature.
    M : int
        Rank, from 0 to D.

    Returns
    -------
    ndarray, (M,)
        Between 0 and 1; 0 where l_i = σ = 0.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If l are not eigenvalues, largest first, sigma is negative, or M is out of range.

    References
    ----------
    Bishop, Neural Computation 7:108-116 (1995), noise as a penalty.

    Examples
    --------
    >>> mg.analytic.gaussian_shrinkage([3.0, 1.0], sigma=1.0, M=2).tolist()
    [0.75, 0.5]
    """
    l, M = with_units(variances(l), "l", M, low=0)
    whole = l[:M] + squarable(sigma, "sigma", "[0, inf)", SIGMA) ** 2
    return np.divide(l[:M], whole, out=np.zeros(M), where=whole > 0)


def ridge_gaussian(A: ArrayLike, S: ArrayLike, sigma: ArrayLike) -> tuple[float, float]:
    """E ‖x − A x̃ − b‖² under Gaussian noise in two terms: the loss without noise, and a penalty.

    It is tr (I − A) S (I − A)ᵀ + Σ_j σ_j² ‖a_j‖², a_j the columns of A: training with noise is
    training without it and with weight decay on the *product* A; exact for every A.

    Parameters
    ----------
    A : array_like, (D, D)
        The map from noisy to clean features.
    S : array_like, (D, D)
        The covariance of the clean data, divided by N.
    sigma : array_like, (D,) or a number
        Standard deviation >= 0 of the noise, one for all features or one for each.

    Returns
    -------
    error : float
        The first term, a sum over features, mean over data.
    penalty : float
        The second.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If S is not a covariance, A is not D x D, or sigma is negative or neither one number nor D.

    References
    ----------
    Bishop, Neural Computation 7:108-116 (1995).

    Examples
    --------
    >>> S = np.diag([3.0, 1.0])
    >>> error, penalty = mg.analytic.ridge_gaussian(np.eye(2) / 2, S, sigma=2.0)
    >>> error, penalty
    (1.0, 2.0)
    >>> mg.analytic.denoising_loss(np.eye(2) / 2, mg.analytic.gaussian_moments(S, 2.0))
    3.0
    """
    S = covariance(S, "S")
    A = _map(A, len(S))
    sigma = one_or_each(sigma, "sigma", "feature", len(S), "[0, inf)", SIGMA)
    residual = np.eye(len(S)) - A
    return float((residual @ S * residual).sum()), float((A**2 @ sigma**2).sum())


def ridge_dropout(
    A: ArrayLike, S: ArrayLike, keep: ArrayLike, mean: ArrayLike | None = None
) -> tuple[float, float]:
    """E ‖x − A x̃ − b‖² for zeroed features in two terms: the loss without noise, and a penalty.

    It is tr (I − A diag q) S (I − A diag q)ᵀ + Σ_j q_j (1 − q_j) (S_jj + mean_j²) ‖a_j‖², a_j the
    columns of A.

    Parameters
    ----------
    A : array_like, (D, D)
        The map from noisy to clean features.
    S : array_like, (D, D)
        The covariance of the clean data, divided by N.
    keep : array_like, (D,) or a number
        q, the probability that a feature *survives*, in (0, 1].
    mean : array_like, (D,), optional
        That of the clean data; 0, for data centred before they are corrupted, unless given.

    Returns
    -------
    error : float
        The first term, a sum over features, mean over data.
    penalty : float
        The second.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If S is not a covariance, A is not D x D, keep is not in (0, 1] or neither one number nor D,
        or mean is not D numbers.

    References
    ----------
    Chen et al., ICML 2012 (arXiv 1206.4683).

    Examples
    --------
    >>> error, penalty = mg.analytic.ridge_dropout([[1.0]], [[4.0]], keep=0.5)
    >>> error, penalty  # half of x is missing: 4 · ½² and 4 · ½ · ½
    (1.0, 1.0)
    """
    S = covariance(S, "S")
    A, q = _map(A, len(S)), one_or_each(keep, "keep", "feature", len(S), "(0, 1]", KEEP)
    residual = np.eye(len(S)) - A * q
    return float((residual @ S * residual).sum()), float(
        (A**2 @ (q * (1 - q) * _second_moments(S, mean))).sum()
    )


def _second_moments(S: Array, mean: ArrayLike | None) -> Array:
    """(D,), E x_i²."""
    mu = (
        np.zeros(len(S))
        if mean is None
        else of_shape(mean, "mean", (len(S),), "one number for each feature")
    )
    return np.diag(S) + mu**2


def _map(A: ArrayLike, D: int) -> Array:
    return of_shape(
        A, "A", (D, D), "A maps D features to D features: W2 @ W1, weights of layers transposed"
    )
