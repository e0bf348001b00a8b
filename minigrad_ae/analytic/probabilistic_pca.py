"""Probabilistic PCA: maximum likelihood, exact posterior, and EM, all without iteration or sampling
but EM itself.

Model: z ~ N(0, I) in M dimensions, x | z ~ N(W z + μ, σ² I) in D, so x ~ N(μ, C) with C = W Wᵀ + σ²
I; W is D x M. Tipping & Bishop, J. Roy. Statist. Soc. B 61:611-622 (1999).  A linear variational
autoencoder has this decoder, and at its optimum this likelihood.  S = Σ_n (x_n − μ)(x_n − μ)ᵀ / N
is the covariance of the data (divided by N, not N − 1), with eigenvalues l_1 >= l_2 >= ... and
eigenvectors u_i.  All logarithms are natural, all likelihoods *per datum*; they are densities, so
positive values are legitimate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import DataError
from ._arguments import (
    Array,
    covariance,
    of_shape,
    real_array,
    real_number,
    variances,
    whole_number,
)
from .principal_components import pca

NOISE = "sigma2 is the variance of the decoder's noise (not its square root): it must be positive"


@dataclass(frozen=True)
class PPCA:
    """A probabilistic PCA model: ``W`` (D x M), ``mean`` (D,), ``sigma2`` the noise variance (a
    number).
    """

    W: Array
    mean: Array
    sigma2: float

    def log_prob(self, X: ArrayLike) -> Array:
        """(n,), log p(x) = −½ [D ln 2π + ln det C + (x − μ)ᵀ C⁻¹ (x − μ)] for each row of X (n x
        D), in nats.
        """
        X = of_shape(X, "X", (None, len(self.mean)), "one column for each row of W")
        P = posterior_precision(self.W, self.sigma2)
        centred = X - self.mean
        means = np.linalg.solve(P, self.W.T @ centred.T).T / self.sigma2
        # C⁻¹ = (I − W P⁻¹ Wᵀ/σ²)/σ² and det C = σ^{2D} det P: everything in M x M matrices
        squared = ((centred - means @ self.W.T) * centred).sum(axis=1) / self.sigma2
        return -0.5 * (squared + _log_normaliser(P, len(self.mean), self.sigma2))

    def posterior(self, X: ArrayLike) -> tuple[Array, Array]:
        """(n, M) means and the (M, M) covariance, common to all rows: p(z | x) = N(P⁻¹ Wᵀ (x −
        μ)/σ², P⁻¹).
        """
        X = of_shape(X, "X", (None, len(self.mean)), "one column for each row of W")
        inverse = np.asarray(
            np.linalg.inv(posterior_precision(self.W, self.sigma2)), dtype=np.float64
        )
        return (X - self.mean) @ self.W @ inverse / self.sigma2, inverse


def ppca(X: ArrayLike, M: int) -> PPCA:
    """The maximum of the likelihood on X (N x D): mean, W = U_M (L_M − σ² I)^½, σ² = the mean of
    l_{M+1} ... l_D.

    W is free up to a rotation, W R with R orthogonal (M x M); here R = I, so its columns are
    components.  1 <= M < rank of the centred data; from M = rank on σ² would be 0 and the
    likelihood has no maximum.
    """
    X = real_array(X, "X", 2)
    result = pca(X)
    M = whole_number(
        M,
        "M",
        1,
        result.rank - 1,
        f"the centred data have rank {result.rank}, and some variance must be left",
    )
    l = result.eigenvalues / len(X)
    sigma2 = float(l[M:].mean())
    return PPCA(
        result.components[:, :M] * np.sqrt(np.maximum(l[:M] - sigma2, 0.0)), result.mean, sigma2
    )


def ppca_log_likelihood(S: ArrayLike, W: ArrayLike, sigma2: float) -> float:
    """−½ [D ln 2π + ln det C + tr C⁻¹ S]: the mean of log p(x) over data of covariance S (D x D)
    about μ, at any W.
    """
    S, W, sigma2 = _model(S, W, sigma2)
    P = posterior_precision(W, sigma2)
    squared = (np.trace(S) - (np.linalg.solve(P, W.T @ S) * W.T).sum() / sigma2) / sigma2
    return -0.5 * float(squared + _log_normaliser(P, len(S), sigma2))


def ppca_optimum(l: ArrayLike, components: int | Iterable[int]) -> tuple[float, float]:
    """(log-likelihood per datum, σ²) at the critical point that keeps ``components``; l (D,) are
    eigenvalues of S.

    ``components``: M for the maximum, I = {1 ... M}, or the set I itself, numbers counting from 1
    (W = U_I (L_I − σ² I)^½ up to rotation).  σ² is the mean of the omitted l, and a critical point
    needs l_i > σ² for every i in I:

        log p = −½ [D ln 2π + Σ_{i in I} ln l_i + (D − |I|) ln σ² + D].

    Every set but the first M is a saddle.  I may be empty (M = 0, W = 0), but some l must be
    omitted.
    """
    l = variances(l)
    D = len(l)
    if not isinstance(components, Iterable):
        why = f"l has {D} eigenvalues, and one must be left"
        components = range(1, whole_number(components, "M", 0, D - 1, why) + 1)
    why = f"there are {D}, counted from 1"
    inside = sorted(whole_number(i, "a component", 1, D, why) - 1 for i in components)
    outside = np.setdiff1d(np.arange(D), inside)
    sigma2 = float(l[outside].mean()) if len(outside) else 0.0
    if sigma2 <= 0 or len(outside) + len(inside) != D or (l[inside] < sigma2).any():
        raise DataError(
            "no critical point keeps these components",
            f"components {tuple(i + 1 for i in inside)}, mean of the omitted eigenvalues "
            f"{sigma2:.6g}",
            "name each once; each eigenvalue must exceed the mean of those omitted, and that must "
            "be positive",
        )
    logs = np.log(l[inside]).sum() + len(outside) * np.log(sigma2)
    return -0.5 * float(D * np.log(2 * np.pi) + logs + D), sigma2


def posterior_precision(W: ArrayLike, sigma2: float) -> Array:
    """(M, M), P = WᵀW/σ² + I, the inverse covariance of p(z | x), the same for every x."""
    W = real_array(W, "W", 2)
    return W.T @ W / real_number(sigma2, "sigma2", "(0, inf)", NOISE) + np.eye(W.shape[1])


def em_step(S: ArrayLike, W: ArrayLike, sigma2: float) -> tuple[Array, float]:
    """One E step (exact posterior) and one M step: (W', σ²'), Tipping & Bishop 1999, equations 29
    and 30.

        W' = S W (σ² I + K WᵀS W)⁻¹,   σ²' = tr(S − S W K W'ᵀ)/D,   K = (WᵀW + σ² I)⁻¹

    The likelihood never falls.  S (D x D), W (D x M).
    """
    S, W, sigma2 = _model(S, W, sigma2)
    M = W.shape[1]
    K = np.linalg.inv(W.T @ W + sigma2 * np.eye(M))
    SW = S @ W
    following = SW @ np.linalg.inv(sigma2 * np.eye(M) + K @ W.T @ SW)
    return following, float((np.trace(S) - (SW @ K * following).sum()) / len(S))


def em_sequence(S: ArrayLike, W: ArrayLike, sigma2: float, steps: int) -> tuple[list[PPCA], Array]:
    """The models after 0 ... ``steps`` steps of :func:`em_step` (mean 0), and their log-likelihoods
    (steps + 1,).
    """
    S, W, sigma2 = _model(S, W, sigma2)
    models = [PPCA(W, np.zeros(len(S)), sigma2)]
    for _ in range(whole_number(steps, "steps", 0, 10**6, "it counts steps of EM")):
        W, sigma2 = em_step(S, W, sigma2)
        models.append(PPCA(W, np.zeros(len(S)), sigma2))
    return models, np.array([ppca_log_likelihood(S, model.W, model.sigma2) for model in models])


def em_step_without_noise(S: ArrayLike, W: ArrayLike) -> Array:
    """The limit σ² -> 0: W' = S W (WᵀS W)⁻¹ WᵀW.  Codes and decoder of the linear autoencoder, by
    least squares in turn.

    Roweis, NIPS 1997.  The column space is multiplied by S at each step: its angle to the first M
    components shrinks by :func:`em_rate`, and the reconstruction error never rises.  W (D x M) of
    full rank.
    """
    S, W, _ = _model(S, W, 1.0)
    return S @ W @ np.linalg.solve(W.T @ S @ W, W.T @ W)


def em_rate(l: ArrayLike, M: int) -> float:
    """l_{M+1} / l_M: the factor per step by which :func:`em_step_without_noise` shrinks the
    (tangent of the) angle.
    """
    l = variances(l)
    M = whole_number(M, "M", 1, len(l) - 1, f"l has {len(l)} eigenvalues, and one must follow")
    if l[M - 1] == 0:
        raise DataError(
            f"eigenvalue {M} is zero", "a rate divides by it", "choose M up to the rank"
        )
    return float(l[M] / l[M - 1])


def _log_normaliser(P: Array, D: int, sigma2: float) -> float:
    """D ln 2π + ln det C."""
    return float(D * np.log(2 * np.pi * sigma2) + np.linalg.slogdet(P)[1])


def _model(S: ArrayLike, W: ArrayLike, sigma2: float) -> tuple[Array, Array, float]:
    S = covariance(S, "S")
    W = of_shape(W, "W", (len(S), None), "W is D x M; a layer's weight is its transpose")
    return S, W, real_number(sigma2, "sigma2", "(0, inf)", NOISE)
