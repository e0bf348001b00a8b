"""Probabilistic PCA: maximum likelihood and exact posterior in closed form, and EM.

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
    solvable,
    unit,
    variances,
    whole_number,
)
from .principal_components import pca

NOISE = "sigma2 is the variance of the decoder's noise (not its square root): it must be positive"

LARGER_NOISE = "start from a smaller W or a larger sigma2"


@dataclass(frozen=True)
class PPCA:
    """A probabilistic PCA model: z ~ N(0, I), x | z ~ N(W z + μ, σ² I), so x ~ N(μ, W Wᵀ + σ² I).

    Parameters
    ----------
    W : ndarray, (D, M)
        The decoder; a layer's weight is its transpose.
    mean : ndarray, (D,)
        μ.
    sigma2 : float
        σ² > 0, the variance of the noise in each feature.

    References
    ----------
    Tipping & Bishop, J. Roy. Statist. Soc. B 61:611-622 (1999).

    Examples
    --------
    >>> model = mg.analytic.PPCA(W=np.array([[2.0], [0.0]]), mean=np.zeros(2), sigma2=1.0)
    >>> means, covariance = model.posterior([[5.0, 7.0]])
    >>> round(float(means[0, 0]), 6), round(float(covariance[0, 0]), 6)  # 2 · 5 / 5 and 1 / 5
    (2.0, 0.2)
    """

    W: Array
    mean: Array
    sigma2: float

    def log_prob(self, X: ArrayLike) -> Array:
        """log p(x) = −½ [D ln 2π + ln det C + (x − μ)ᵀ C⁻¹ (x − μ)], with C = W Wᵀ + σ² I.

        Parameters
        ----------
        X : array_like, (n, D)
            A datum in each row.

        Returns
        -------
        ndarray, (n,)
            In nats, one number for each row: a log density, so positive values are legitimate.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If X is not a finite, real matrix with D columns, or sigma2 is not positive.

        Examples
        --------
        >>> model = mg.analytic.PPCA(np.zeros((2, 1)), np.zeros(2), 1.0)  # the standard normal
        >>> round(float(model.log_prob([[0.0, 0.0]])[0] + np.log(2 * np.pi)), 6)
        0.0
        """
        X = of_shape(X, "X", (None, len(self.mean)), "one column for each row of W")
        P = posterior_precision(self.W, self.sigma2)
        centred = X - self.mean
        means = np.linalg.solve(P, self.W.T @ centred.T).T / self.sigma2
        # C⁻¹ = (I − W P⁻¹ Wᵀ/σ²)/σ² and det C = σ^{2D} det P: everything in M x M matrices
        squared = ((centred - means @ self.W.T) * centred).sum(axis=1) / self.sigma2
        return -0.5 * (squared + _log_normaliser(P, len(self.mean), self.sigma2))

    def posterior(self, X: ArrayLike) -> tuple[Array, Array]:
        """The exact posterior p(z | x) = N(P⁻¹ Wᵀ (x − μ)/σ², P⁻¹), with P = WᵀW/σ² + I.

        Parameters
        ----------
        X : array_like, (n, D)
            A datum in each row.

        Returns
        -------
        means : ndarray, (n, M)
            The posterior mean for each row.
        covariance : ndarray, (M, M)
            Common to all rows.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If X is not a finite, real matrix with D columns, or sigma2 is not positive.
        """
        X = of_shape(X, "X", (None, len(self.mean)), "one column for each row of W")
        inverse = np.asarray(
            np.linalg.inv(posterior_precision(self.W, self.sigma2)), dtype=np.float64
        )
        return (X - self.mean) @ self.W @ inverse / self.sigma2, inverse


def ppca(X: ArrayLike, M: int) -> PPCA:
    """The maximum of the likelihood, W = U_M (L_M − σ² I)^½ with σ² the mean of l_{M+1} ... l_D.

    W is free up to a rotation, W R with R orthogonal (M x M); here R = I, so its columns are along
    the components.

    Parameters
    ----------
    X : array_like, (N, D)
        The data, a row for each; they need not be centred.
    M : int
        Latent units, from 1 to one below the rank of the centred data: from the rank on σ² would be
        0 and the likelihood has no maximum.

    Returns
    -------
    PPCA
        The model.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If X is not a finite, real, non-empty matrix, or M is not a whole number below the rank.

    References
    ----------
    Tipping & Bishop, J. Roy. Statist. Soc. B 61:611-622 (1999), equations 7 and 8.

    Examples
    --------
    >>> X = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])  # variances 4.5 and 0.5
    >>> model = mg.analytic.ppca(X, 1)
    >>> round(model.sigma2, 6), round(float(model.W[0, 0]) ** 2, 6)
    (0.5, 4.0)
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
    """−½ [D ln 2π + ln det C + tr C⁻¹ S]: the mean of log p(x) over data of covariance S, at any W.

    Parameters
    ----------
    S : array_like, (D, D)
        The covariance of the data about μ, divided by N.
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.
    sigma2 : float
        σ² > 0, the variance of the noise.

    Returns
    -------
    float
        In nats per datum.

    Raises
    ------
    ShapeError
        If S is not square, or W does not have as many rows.
    DtypeError, DataError
        If one of them does not hold finite real numbers, S is not a covariance, or sigma2 is not
        positive.

    References
    ----------
    Tipping & Bishop, J. Roy. Statist. Soc. B 61:611-622 (1999), equation 4.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(30, 3))
    >>> model, S = mg.analytic.ppca(X, 1), np.cov(X, rowvar=False, ddof=0)
    >>> mean = mg.analytic.ppca_log_likelihood(S, model.W, model.sigma2)
    >>> bool(np.isclose(mean, model.log_prob(X).mean()))
    True
    """
    S, W, sigma2 = _model(S, W, sigma2)
    P, size = posterior_precision(W, sigma2), unit(np.sqrt(sigma2))
    # products of four, in a unit in which they neither overflow nor underflow
    S, W, noise = S / size / size, W / size, sigma2 / size / size
    squared = (np.trace(S) - (np.linalg.solve(P, W.T @ S) * W.T).sum() / noise) / noise
    return -0.5 * float(squared + _log_normaliser(P, len(S), sigma2))


def ppca_optimum(l: ArrayLike, components: int | Iterable[int]) -> tuple[float, float]:
    """The log-likelihood and σ² at the critical point that keeps a set of components.

    For the set I, W = U_I (L_I − σ² I)^½ up to a rotation, and σ² is the mean of the omitted l:

        log p = −½ [D ln 2π + Σ_{i in I} ln l_i + (D − |I|) ln σ² + D].

    A critical point needs l_i > σ² for every i in I.  Every set but the first M is a saddle.

    Parameters
    ----------
    l : array_like, (D,)
        Eigenvalues of the covariance (divided by N), largest first.
    components : int or iterable of int
        M for the maximum, I = {1 ... M}, or the set I itself, numbers counting from 1.  I may be
        empty (M = 0, W = 0), but some l must be omitted.

    Returns
    -------
    log_likelihood : float
        In nats per datum.
    sigma2 : float
        The variance of the noise.

    Raises
    ------
    DataError
        If no critical point keeps these components: one is named twice, an eigenvalue does not
        exceed the mean of those omitted, or that mean is 0; or if a number is out of range.
    ShapeError, DtypeError
        If l is not a flat array of real numbers, or a number is not whole.

    References
    ----------
    Tipping & Bishop, J. Roy. Statist. Soc. B 61:611-622 (1999), appendix A.

    Examples
    --------
    >>> best, sigma2 = mg.analytic.ppca_optimum([4.0, 2.0, 1.0], 1)
    >>> saddle, _ = mg.analytic.ppca_optimum([4.0, 2.0, 1.0], ())
    >>> sigma2, best > saddle
    (1.5, True)
    """
    l = variances(l)
    D = len(l)
    scalar = isinstance(components, np.ndarray) and components.ndim == 0
    if scalar or not isinstance(components, Iterable):
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
    """P = WᵀW/σ² + I, the inverse covariance of p(z | x), the same for every x.

    Parameters
    ----------
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.
    sigma2 : float
        σ² > 0, the variance of the noise.

    Returns
    -------
    ndarray, (M, M)
        Symmetric, with no eigenvalue below 1: data only sharpen the prior.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If W is not a finite, real, non-empty matrix, or sigma2 is not positive.

    Examples
    --------
    >>> mg.analytic.posterior_precision([[3.0], [1.0]], 2.0).tolist()
    [[6.0]]
    """
    W = real_array(W, "W", 2)
    return W.T @ W / real_number(sigma2, "sigma2", "(0, inf)", NOISE) + np.eye(W.shape[1])


def em_step(S: ArrayLike, W: ArrayLike, sigma2: float) -> tuple[Array, float]:
    """One step of EM: the exact posterior (E), then the best W and σ² for it (M).

        W' = S W (σ² I + K WᵀS W)⁻¹,   σ²' = tr(S − S W K W'ᵀ)/D,   K = (WᵀW + σ² I)⁻¹

    The likelihood never falls.

    Parameters
    ----------
    S : array_like, (D, D)
        The covariance of the data about μ, divided by N.
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.
    sigma2 : float
        σ² > 0, the variance of the noise.

    Returns
    -------
    W : ndarray, (D, M)
        W'.
    sigma2 : float
        σ²'.

    Raises
    ------
    ShapeError
        If S is not square, or W does not have as many rows.
    DtypeError, DataError
        If one of them does not hold finite real numbers, S is not a covariance, or sigma2 is not
        positive.

    References
    ----------
    Tipping & Bishop, J. Roy. Statist. Soc. B 61:611-622 (1999), equations 29 and 30.

    Examples
    --------
    >>> S = np.diag([4.5, 0.5])  # the maximum: σ² = ½, ‖W‖² = 4
    >>> W, sigma2 = mg.analytic.em_step(S, [[2.0], [0.0]], 0.5)
    >>> round(float(W[0, 0]), 6), round(sigma2, 6)  # stays there
    (2.0, 0.5)
    """
    S, W, sigma2 = _model(S, W, sigma2)
    M = W.shape[1]
    # of a datum, since products of four would overflow or underflow
    size = unit(np.append(W, np.sqrt(sigma2)))
    S, W, sigma2 = S / size / size, W / size, sigma2 / size / size
    SW = S @ W
    with solvable("the EM step", f"sigma2 is {sigma2:.3g} of W's own scale", LARGER_NOISE):
        K = np.linalg.inv(W.T @ W + sigma2 * np.eye(M))
        following = SW @ np.linalg.inv(sigma2 * np.eye(M) + K @ W.T @ SW)
    rest = float((np.trace(S) - (SW @ K * following).sum()) / len(S))
    return following * size, rest * size * size


def em_sequence(S: ArrayLike, W: ArrayLike, sigma2: float, steps: int) -> tuple[list[PPCA], Array]:
    """Run EM: the model after each step, and its likelihood.

    Parameters
    ----------
    S : array_like, (D, D)
        The covariance of the data about μ, divided by N.
    W : array_like, (D, M)
        The decoder to start from.
    sigma2 : float
        σ² > 0, the variance of the noise to start from.
    steps : int
        How often `em_step` is taken, from 0.

    Returns
    -------
    models : list of PPCA
        After 0 ... `steps` steps, with mean 0.
    log_likelihoods : ndarray, (steps + 1,)
        Of these models, in nats per datum; they never fall.

    Raises
    ------
    ShapeError
        If S is not square, or W does not have as many rows.
    DtypeError, DataError
        If one of them does not hold finite real numbers, S is not a covariance, sigma2 is not
        positive, or `steps` is not a whole number from 0.

    Examples
    --------
    >>> S = np.diag([4.5, 0.5])
    >>> models, values = mg.analytic.em_sequence(S, [[1.0], [1.0]], 1.0, 100)
    >>> best, sigma2 = mg.analytic.ppca_optimum([4.5, 0.5], 1)
    >>> bool(np.isclose(values[-1], best)), round(models[-1].sigma2, 6)
    (True, 0.5)
    """
    S, W, sigma2 = _model(S, W, sigma2)
    models = [PPCA(W, np.zeros(len(S)), sigma2)]
    for _ in range(whole_number(steps, "steps", 0, 10**6, "it counts steps of EM")):
        W, sigma2 = em_step(S, W, sigma2)
        models.append(PPCA(W, np.zeros(len(S)), sigma2))
    return models, np.array([ppca_log_likelihood(S, model.W, model.sigma2) for model in models])


def em_step_without_noise(S: ArrayLike, W: ArrayLike) -> Array:
    """EM in the limit σ² -> 0: W' = S W (WᵀS W)⁻¹ WᵀW.

    These are codes and decoder of the linear autoencoder, by least squares in turn.  The column
    space is multiplied by S at each step: its angle to the first M components shrinks by `em_rate`,
    and the reconstruction error never rises.

    Parameters
    ----------
    S : array_like, (D, D)
        The covariance of the data about μ, divided by N.
    W : array_like, (D, M)
        The decoder, of full rank.

    Returns
    -------
    ndarray, (D, M)
        W'.

    Raises
    ------
    ShapeError
        If S is not square, or W does not have as many rows.
    DtypeError, DataError
        If one of them does not hold finite real numbers, or S is not a covariance.

    References
    ----------
    Roweis, NIPS 1997.

    Examples
    --------
    >>> W = mg.analytic.em_step_without_noise(np.diag([4.0, 1.0]), [[1.0], [1.0]])
    >>> round(float(W[1, 0] / W[0, 0]), 6)  # the tangent of the angle was 1
    0.25
    """
    S, W, _ = _model(S, W, 1.0)
    S, size = S / unit(S), unit(W)  # the step knows no unit of S
    W = W / size
    with solvable("the EM step", f"W has shape {W.shape}", "S W must have full column rank"):
        return size * (S @ W @ np.linalg.solve(W.T @ S @ W, W.T @ W))


def em_rate(l: ArrayLike, M: int) -> float:
    """l_{M+1} / l_M: the factor by which `em_step_without_noise` shrinks the tangent of the angle.

    Parameters
    ----------
    l : array_like, (D,)
        Eigenvalues of the covariance, largest first.
    M : int
        Latent units, 1 to D − 1.

    Returns
    -------
    float
        Between 0 and 1.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If l are not eigenvalues, largest first, M is out of range, or l_M is zero.

    Examples
    --------
    >>> mg.analytic.em_rate([4.0, 1.0], 1)
    0.25
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
