"""The best linear denoiser of rank M, for Gaussian noise and for zeroed features, with the noise
averaged exactly.

A clean x (D,) is corrupted to x̃, and the loss is E ‖x − A x̃ − b‖² *per datum*, without ½ (the
slide's), the average running over the data and over fresh noise at every visit.  The bias b = E x −
A E x̃ is optimal throughout, so only second moments about the means enter: the covariance S = XᵀX /
N of the clean data (D x D), P = cov(x, x̃) and Q = cov(x̃).  The loss of A is then tr S − 2 tr A Pᵀ
+ tr A Q Aᵀ.

Reduced-rank regression: Izenman, J. Multivariate Anal. 5:248-264 (1975).  Noise as a penalty:
Bishop, Neural Computation 7:108-116 (1995); zeroed features: Chen et al., ICML 2012 (arXiv
1206.4683).  A linear denoising autoencoder has A = W2 W1; compare products, as W1 and W2 are free
up to an invertible M x M matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import (
    Array,
    covariance,
    of_shape,
    one_or_each,
    real_array,
    real_number,
    variances,
    whole_number,
)
from .gaussian import inverse_covariance

SIGMA = "sigma is a standard deviation (not a variance): choose it >= 0"
KEEP = "keep is the probability that a feature survives; the probability of zeroing it is 1 - keep"


@dataclass(frozen=True)
class Moments:
    """Second moments about the means, D x D each: ``S`` = cov(x), ``P`` = cov(x, x̃), ``Q`` =
    cov(x̃).
    """

    S: Array
    P: Array
    Q: Array


@dataclass(frozen=True)
class LinearDenoiser:
    """The best linear map of rank at most M; make it with :func:`best_denoiser`.

    ``matrix``    A (D x D), to be applied to x̃ − E x̃; the answer lies around E x.
    ``loss``      E ‖x − A x̃ − b‖² per datum, no ½.
    ``captured``  (D,), eigenvalues of P Q⁻¹ Pᵀ, largest first: ``loss`` = tr S − the sum of the
                  first M.
    ``basis``     (D, M), their eigenvectors: the output subspace, which need not be that of PCA.
    """

    matrix: Array
    loss: float
    captured: Array
    basis: Array


def gaussian_moments(S: ArrayLike, sigma: ArrayLike) -> Moments:
    """x̃ = x + σ ε: P = S, Q = S + diag σ².  ``sigma``: one standard deviation, or D of them
    (anisotropic noise).
    """
    S = covariance(S, "S")
    sigma = one_or_each(sigma, "sigma", "feature", len(S), "[0, inf)", SIGMA)
    return Moments(S, S, S + np.diag(sigma**2))


def dropout_moments(S: ArrayLike, keep: ArrayLike, mean: ArrayLike | None = None) -> Moments:
    """x̃ = m ∘ x with m_i = 1 with probability q_i, else 0, independently: P = S diag q, and

        Q_ij = q_i q_j S_ij (i != j),    Q_ii = q_i S_ii + q_i (1 − q_i) mean_i².

    ``keep``: the q, one number or D of them, each in (0, 1].  ``mean`` (D,): that of the clean
    data, 0 if they are centred before they are corrupted.  For inverted dropout, x̃ = m ∘ x / q,
    multiply the best A by diag q.
    """
    S = covariance(S, "S")
    q = one_or_each(keep, "keep", "feature", len(S), "(0, 1]", KEEP)
    scatter = q * (1 - q) * _second_moments(S, mean)
    return Moments(S, S * q, np.outer(q, q) * S + np.diag(scatter))


def empirical_moments(clean: ArrayLike, noisy: ArrayLike) -> Moments:
    """The moments of N pairs of rows (N x D each), about their means.

    For one *frozen* corrupted copy of the data: its best denoiser fits the noise drawn, and is
    worse on fresh noise.
    """
    X = real_array(clean, "clean", 2)
    Y = of_shape(noisy, "noisy", X.shape, "give one corrupted row for each clean row")
    X, Y = X - X.mean(axis=0), Y - Y.mean(axis=0)
    return Moments(X.T @ X / len(X), X.T @ Y / len(X), Y.T @ Y / len(X))


def denoising_loss(A: ArrayLike, moments: Moments) -> float:
    """tr S − 2 tr A Pᵀ + tr A Q Aᵀ: E ‖x − A x̃ − b‖² per datum for any A (D x D)."""
    A = _map(A, len(moments.S))
    return float(np.trace(moments.S) - 2 * (A * moments.P).sum() + (A @ moments.Q * A).sum())


def best_denoiser(moments: Moments, M: int | None = None) -> LinearDenoiser:
    """The minimum of :func:`denoising_loss` over A of rank at most M (None: any rank): A = V_M V_Mᵀ
    P Q⁻¹.

    V holds the eigenvectors of P Q⁻¹ Pᵀ, the covariance of the unrestricted answer P Q⁻¹ x̃.  A
    singular Q (constant or dependent features, no noise) is inverted where it is not zero.
    """
    S, P, Q = moments.S, moments.P, moments.Q
    D = len(S)
    M = D if M is None else whole_number(M, "M", 0, D, f"the data have {D} features")
    full = P @ inverse_covariance(Q)
    explained = full @ P.T
    eigenvalues, vectors = np.linalg.eigh((explained + explained.T) / 2)
    captured, V = np.maximum(eigenvalues[::-1], 0.0), vectors[:, ::-1][:, :M]
    return LinearDenoiser(V @ (V.T @ full), float(np.trace(S) - captured[:M].sum()), captured, V)


def gaussian_denoising_loss(l: ArrayLike, sigma: float, M: int) -> float:
    """Σ_{i>M} l_i + Σ_{i<=M} l_i σ²/(l_i + σ²): the least loss for isotropic noise; l (D,) are
    eigenvalues of S.
    """
    shrinkage = gaussian_shrinkage(l, sigma, M)
    return float(variances(l)[M:].sum() + sigma**2 * shrinkage.sum())


def gaussian_shrinkage(l: ArrayLike, sigma: float, M: int) -> Array:
    """(M,), l_i / (l_i + σ²): there A = U_M diag(these) U_Mᵀ, so PCA's directions, shrunk (0 where
    l_i = σ = 0).

    It is the minimum of :func:`~minigrad_ae.analytic.optimal_loss_product` with λ = N σ².
    """
    l = variances(l)
    sigma = real_number(sigma, "sigma", "[0, inf)", SIGMA)
    M = whole_number(M, "M", 0, len(l), f"l has {len(l)} eigenvalues")
    whole = l[:M] + sigma**2
    return np.divide(l[:M], whole, out=np.zeros(M), where=whole > 0)


def ridge_gaussian(A: ArrayLike, S: ArrayLike, sigma: ArrayLike) -> tuple[float, float]:
    """E ‖x − A x̃ − b‖² = tr (I − A) S (I − A)ᵀ + Σ_j σ_j² ‖a_j‖², a_j the columns of A: the two
    terms.

    Training with noise is training without it and with weight decay on the *product* A; exact for
    every A.
    """
    S = covariance(S, "S")
    A = _map(A, len(S))
    sigma = one_or_each(sigma, "sigma", "feature", len(S), "[0, inf)", SIGMA)
    residual = np.eye(len(S)) - A
    return float((residual @ S * residual).sum()), float((A**2 @ sigma**2).sum())


def ridge_dropout(
    A: ArrayLike, S: ArrayLike, keep: ArrayLike, mean: ArrayLike | None = None
) -> tuple[float, float]:
    """E ‖x − A x̃ − b‖² = tr (I − A diag q) S (I − A diag q)ᵀ + Σ_j q_j (1 − q_j) (S_jj + mean_j²)
    ‖a_j‖²: the two terms.
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
