"""Estimators of a bound and of its gradient: exact variances, and the log p(x) they aim at.

q = N(mean, diag sigma²), z = mean + sigma ε; here ``sigma`` are *standard deviations* (M,).
Variances are those of one sample; L independent samples divide them by L.  Nothing is sampled here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import function, plain
from ..errors import DataError, ShapeError
from ._arguments import (
    Array,
    of_shape,
    one_or_each,
    real_array,
    real_number,
    squarable,
    whole_number,
    within,
)

APART = 0.1  # nats between thirds of a grid

SIGMA = "sigma are standard deviations (not variances): they must be positive"


@dataclass(frozen=True)
class Quadratic:
    """f(z) = ½ zᵀ A z + bᵀ z, and what two estimators make of its gradient under q.

    q = N(mean, diag sigma²), z = mean + sigma ε.  In ε the function is again quadratic, f = c + hᵀ
    ε + ½ εᵀ H ε with c = f(mean), h = sigma ∘ (A mean + b), H = diag(sigma) A diag(sigma); the
    variances are Gaussian moments of it, those of one sample.

    Parameters
    ----------
    A : array_like, (M, M)
        Symmetric.
    b : array_like, (M,)
        The gradient at 0.

    Raises
    ------
    ShapeError, DtypeError
        If the shapes do not fit, or one of them does not hold real numbers.
    DataError
        If A is not symmetric, or an entry is NaN or infinite.

    Examples
    --------
    >>> f = mg.analytic.Quadratic([[2.0]], [0.0])  # z²
    >>> f.expectation([3.0], [0.5]), f.gradient_in_mean([3.0], [0.5]).tolist()
    (9.25, [6.0])
    >>> reparameterised = float(f.reparameterised_covariance([0.5])[0, 0])
    >>> score_function = float(f.score_function_variance([3.0], [0.5])[0])
    >>> np.round([reparameterised, score_function], 6).tolist()
    [1.0, 453.75]
    >>> mg.analytic.square_gradient_variances(3.0, 0.5)
    (1.0, 453.75)
    """

    A: Array
    b: Array

    def __post_init__(self) -> None:
        b = real_array(self.b, "b", 1)
        A = of_shape(self.A, "A", (len(b), len(b)), "A is M x M and b has M numbers")
        if np.abs(A - A.T).max() > 1e-10 * np.abs(A).max():
            raise DataError(
                "A is not symmetric",
                f"asymmetry {np.abs(A - A.T).max():.6g}",
                "use (A + A.T) / 2: the function is the same",
            )
        object.__setattr__(self, "A", A)
        object.__setattr__(self, "b", b)

    def expectation(self, mean: ArrayLike, sigma: ArrayLike) -> float:
        """E f = f(mean) + ½ Σ_m sigma_m² A_mm.

        Parameters
        ----------
        mean : array_like, (M,)
            Of q.
        sigma : array_like, (M,)
            *Standard deviations* > 0 of q.

        Returns
        -------
        float
            The expectation under q.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If mean and sigma are not M finite real numbers each, or a sigma is not positive.
        """
        c, _, H = self._in_noise(mean, sigma)
        return c + 0.5 * float(np.trace(H))

    def gradient_in_mean(self, mean: ArrayLike, sigma: ArrayLike) -> Array:
        """d E f / d mean = A mean + b, which both estimators have as their mean (Bonnet's theorem).

        Parameters
        ----------
        mean : array_like, (M,)
            Of q.
        sigma : array_like, (M,)
            *Standard deviations* > 0 of q.

        Returns
        -------
        ndarray, (M,)
            The gradient; it does not depend on sigma.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If mean and sigma are not M finite real numbers each, or a sigma is not positive.
        """
        _, h, _ = self._in_noise(mean, sigma)
        return h / np.asarray(sigma)

    def gradient_in_log_sigma(self, mean: ArrayLike, sigma: ArrayLike) -> Array:
        """d E f / d ln sigma = sigma² ∘ diag A (Price's theorem).

        Parameters
        ----------
        mean : array_like, (M,)
            Of q.
        sigma : array_like, (M,)
            *Standard deviations* > 0 of q.

        Returns
        -------
        ndarray, (M,)
            The gradient; it does not depend on the mean.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If mean and sigma are not M finite real numbers each, or a sigma is not positive.
        """
        return np.diag(self._in_noise(mean, sigma)[2]).copy()

    def reparameterised_covariance(self, sigma: ArrayLike) -> Array:
        """A diag(sigma²) A: the covariance of the reparameterised gradient ∇f(mean + sigma ε).

        Parameters
        ----------
        sigma : array_like, (M,)
            *Standard deviations* > 0 of q; its mean does not matter.

        Returns
        -------
        ndarray, (M, M)
            Of the gradient in the mean, for one sample.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If sigma is not M finite real numbers, or a sigma is not positive.
        """
        _, _, H = self._in_noise(np.zeros_like(self.b), sigma)
        scale = np.asarray(sigma, dtype=np.float64)
        return H @ H / np.outer(scale, scale)

    def score_function_variance(
        self, mean: ArrayLike, sigma: ArrayLike, baseline: ArrayLike = 0.0
    ) -> Array:
        """The variance of the score-function (REINFORCE) gradient.

        The gradient is (f(z) − baseline) (z − mean)/sigma².  With g = c − baseline + ½ tr H, the
        mean of what multiplies ε, component i has second moment [g² + ‖h‖² + ½ tr H² + 2 h_i² + 2
        (H²)_ii + 2 g H_ii]/sigma_i².

        Parameters
        ----------
        mean : array_like, (M,)
            Of q.
        sigma : array_like, (M,)
            *Standard deviations* > 0 of q.
        baseline : array_like, (M,) or a number, optional
            A constant taken off f, one for all components of the gradient or one for each.

        Returns
        -------
        ndarray, (M,)
            Of each component of the gradient in the mean, for one sample.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If mean and sigma are not M finite real numbers each, a sigma is not positive,
            or baseline is neither one number nor M.
        """
        c, h, H = self._in_noise(mean, sigma)
        scale, square = np.asarray(sigma, dtype=np.float64), H @ H
        fix = "give one number, or one for each component"
        constants = one_or_each(baseline, "baseline", "component", len(h), "(-inf, inf)", fix)
        g = c + 0.5 * np.trace(H) - constants
        spread = h @ h + 0.5 * np.trace(square)
        second = g**2 + spread + 2 * h**2 + 2 * np.diag(square) + 2 * g * np.diag(H)
        return (second - h**2) / scale**2

    def best_baseline(self, mean: ArrayLike, sigma: ArrayLike) -> Array:
        """E f + sigma_i² A_ii: the constant that lowers `score_function_variance` most.

        Parameters
        ----------
        mean : array_like, (M,)
            Of q.
        sigma : array_like, (M,)
            *Standard deviations* > 0 of q.

        Returns
        -------
        ndarray, (M,)
            A baseline for each component.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If mean and sigma are not M finite real numbers each, or a sigma is not positive.

        Examples
        --------
        >>> f = mg.analytic.Quadratic([[2.0]], [0.0])
        >>> baseline = f.best_baseline([3.0], [0.5])
        >>> with_it = f.score_function_variance([3.0], [0.5], baseline)
        >>> bool(with_it < f.score_function_variance([3.0], [0.5]))
        True
        """
        return self.expectation(mean, sigma) + self.gradient_in_log_sigma(mean, sigma)

    def _in_noise(self, mean: ArrayLike, sigma: ArrayLike) -> tuple[float, Array, Array]:
        M = len(self.b)
        mu = of_shape(mean, "mean", (M,), "one for each latent unit")
        scale = of_shape(sigma, "sigma", (M,), "one for each latent unit")
        within(scale, "sigma", "(0, inf)", SIGMA)
        value = float(0.5 * mu @ self.A @ mu + self.b @ mu)
        return value, scale * (self.A @ mu + self.b), self.A * np.outer(scale, scale)


def square_gradient_variances(mu: float, sigma: float) -> tuple[float, float]:
    """The variances of two estimators of d/dμ E z² = 2 μ, for z ~ N(μ, σ²).

    Parameters
    ----------
    mu : float
        The mean of q.
    sigma : float
        Its *standard deviation* > 0.

    Returns
    -------
    reparameterised : float
        4 σ², of 2 z.
    score_function : float
        μ⁴/σ² + 14 μ² + 15 σ², of z² (z − μ)/σ².

    Raises
    ------
    DtypeError, DataError
        If one of them is not one finite real number, or sigma is not positive.

    Examples
    --------
    >>> mg.analytic.square_gradient_variances(0.0, 1.0)
    (4.0, 15.0)
    """
    mu = squarable(mu, "mu", "(-inf, inf)", "mu is the mean of q")
    sigma = squarable(sigma, "sigma", "(0, inf)", SIGMA)
    return 4 * sigma**2, mu**4 / sigma**2 + 14 * mu**2 + 15 * sigma**2


def chi_square(
    mean: ArrayLike, precision: ArrayLike, q_mean: ArrayLike, q_variance: ArrayLike
) -> float:
    """χ²(p ‖ q) = ∫ p²/q − 1 for p = N(m, P⁻¹), q = N(μ, diag d).

    It is the variance of the importance weights p/q under q:

        ln(1 + χ²) = ln det P + ½ Σ ln d − ½ ln det Λ + 2 aᵀ Λ⁻¹ a − (m − μ)ᵀ a,
        a = P (m − μ),    Λ = 2 P − diag(1/d).

    Infinite unless Λ is positive definite: where q has less than half the variance of p, its
    weights have none.

    Parameters
    ----------
    mean : array_like, (M,)
        m.
    precision : array_like, (M, M)
        P, the inverse covariance of p.
    q_mean : array_like, (M,)
        μ.
    q_variance : array_like, (M,)
        d > 0.

    Returns
    -------
    float
        >= 0; ``inf`` where the weights have no variance.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If the shapes do not fit, an entry is not a finite real number, or a variance or an
        eigenvalue of P is not positive.

    Examples
    --------
    >>> mg.analytic.chi_square([0.0], [[1.0]], [0.0], [1.0])  # q is p
    0.0
    >>> mg.analytic.chi_square([0.0], [[1.0]], [0.0], [0.25])  # q is too narrow
    inf
    >>> chi2 = mg.analytic.chi_square([1.0], [[1.0]], [0.0], [1.0])  # shifted by one
    >>> bool(np.isclose(chi2, np.e - 1))
    True
    """
    m = real_array(mean, "mean", 1)
    M = len(m)
    P = of_shape(precision, "precision", (M, M), "the inverse covariance of p, M x M")
    mu = of_shape(q_mean, "q_mean", (M,), "one for each latent unit")
    d = of_shape(q_variance, "q_variance", (M,), "one for each latent unit")
    within(d, "q_variance", "(0, inf)", "these are variances: exponentiate log-variances")
    within(
        np.linalg.eigvalsh(P),
        "the eigenvalues of precision",
        "(0, inf)",
        "give an inverse covariance",
    )
    Lambda = 2 * P - np.diag(1 / d)
    if np.linalg.eigvalsh(Lambda).min() <= 0:
        return np.inf
    # ∫ p²/q about q's mean: complete the square in −½ uᵀ Λ u + 2 uᵀ a − (m − μ)ᵀ a
    a = P @ (m - mu)
    exponent = 2 * a @ np.linalg.solve(Lambda, a) - (m - mu) @ a
    logs = np.linalg.slogdet(P)[1] + 0.5 * (np.log(d).sum() - np.linalg.slogdet(Lambda)[1])
    return float(np.expm1(logs + exponent))


def importance_bound(log_weights: ArrayLike, axis: int = -1) -> Array:
    """ln (1/k) Σ_j w_j from log weights, without overflow: the importance-weighted bound.

    Its mean over draws of z is L_k: L_1 is the evidence lower bound, L_k never falls with k and
    tends to log p(x).  The logarithm of the mean, not the mean of logarithms.

    Parameters
    ----------
    log_weights : array_like, (..., k)
        log w = log p(x | z) + log p(z) − log q(z | x), in nats, z drawn from q.
    axis : int, optional
        The axis of the k samples; the last unless given.

    Returns
    -------
    ndarray
        In nats, `log_weights` without that axis.

    Raises
    ------
    ShapeError
        If there is no such axis.
    DtypeError, DataError
        If a weight is not a finite real number, or there is none.

    References
    ----------
    Burda, Grosse & Salakhutdinov, ICLR 2016 (arXiv 1509.00519).

    Examples
    --------
    >>> weights = [1.0, 3.0]
    >>> bound = mg.analytic.importance_bound(np.log(weights))
    >>> bool(np.isclose(bound, np.log(2))), bool(bound > np.log(weights).mean())
    (True, True)
    >>> round(float(mg.analytic.importance_bound([-1000.0, -1000.0])), 6)
    -1000.0
    """
    a = real_array(log_weights, "log_weights", None)
    if not isinstance(axis, int | np.integer) or not -a.ndim <= axis < a.ndim:
        raise ShapeError(
            f"there is no axis {axis!r:.40} to average over",
            f"log_weights has shape {a.shape}",
            "name its sample axis",
        )
    top = a.max(axis=axis, keepdims=True)
    return np.asarray((top + np.log(np.exp(a - top).mean(axis=axis, keepdims=True))).squeeze(axis))


def importance_gap(chi2: float, k: int) -> float:
    """χ²(p(z | x) ‖ q)/2k: the leading term of log p(x) − L_k as k grows.

    Parameters
    ----------
    chi2 : float
        χ² >= 0, finite, see `chi_square`.
    k : int
        Samples, from 1.

    Returns
    -------
    float
        In nats.

    Raises
    ------
    DtypeError, DataError
        If chi2 is not a finite number >= 0, or k is not a whole number from 1.

    References
    ----------
    Domke & Sheldon 2018 (arXiv 1808.09034).

    Examples
    --------
    >>> mg.analytic.importance_gap(4.0, 50)
    0.04
    """
    chi2 = real_number(
        chi2, "chi2", "[0, inf)", "see chi_square; an infinite one has no such expansion"
    )
    return chi2 / (2 * whole_number(k, "k", 1, 10**9, "it counts samples"))


def grid_log_prob(
    log_conditional: Callable[[Array], ArrayLike], M: int, limit: float = 10.0, points: int = 401
) -> Array:
    """log p(x) = ln ∫ p(x | z) N(z; 0, I) dz for each datum, by the trapezoid rule.

    The grid covers [−limit, limit]^M; the prior beyond `limit` = 10 weighs 1e-23.  Where the log
    p(x) of three interleaved thirds of the points differ by more than 0.1 nats, the posterior is
    about as narrow as the spacing h, and the grid is refused.  What passes is off by 2 · 0.06⁹ =
    2e-11 nats a dimension at most if the posterior is Gaussian (the error falls as exp(−2π²
    (σ/h)²), and h is three times as large for a third), by about 0.01 nats if the decoder has kinks
    there.

    Parameters
    ----------
    log_conditional : callable
        Takes grid points Z, (G, M), and returns log p(x_n | z_g) as (G, N), in nats; it is called
        in parts.
    M : int
        Latent units, 1 or 2.
    limit : float, optional
        > 0, where the grid ends on every side.
    points : int, optional
        Grid points to a side, from 5; a small σ or a steep decoder needs more.

    Returns
    -------
    ndarray, (N,)
        In nats.

    Raises
    ------
    ShapeError
        If `log_conditional` does not return a row of numbers for each grid point.
    DtypeError, DataError
        If M, limit or points is out of range, or the grid is too coarse.

    Examples
    --------
    >>> x = np.array([0.5, -2.0])  # x | z ~ N(z, 1), so x ~ N(0, 2)
    >>> log_p = mg.analytic.grid_log_prob(
    ...     lambda Z: -0.5 * (np.log(2 * np.pi) + (x - Z) ** 2), M=1)
    >>> bool(np.allclose(log_p, -0.5 * (np.log(4 * np.pi) + x**2 / 2)))
    True
    """
    function(log_conditional, "log_conditional", "pass a function of the grid points Z")
    M = whole_number(M, "M", 1, 2, "a grid over more latent units is too large")
    limit = real_number(
        limit, "limit", "(0, inf)", "the grid covers [-limit, limit]; the prior has unit variance"
    )
    points = whole_number(points, "points", 5, 100_000, "a grid needs two ends, and points between")
    line = np.linspace(-limit, limit, points)
    log_weights = np.log(_trapezoids(line)) - 0.5 * (line**2 + np.log(2 * np.pi))
    others = line[:, None] if M == 2 else np.zeros((1, 0))  # the second latent unit's
    of_others = log_weights if M == 2 else np.zeros(1)
    by_first: list[Array] = []  # rows of ln of the integral over the others
    by_second: Any = -np.inf
    for part in np.array_split(np.arange(points), max(1, points * len(others) // 4096)):
        Z = np.hstack(
            [np.repeat(line[part, None], len(others), 0), np.tile(others, (len(part), 1))]
        )
        values = plain(log_conditional(Z), "log_conditional", np.float64)
        if values.ndim != 2 or len(values) != len(Z) or np.isnan(values).any():
            raise ShapeError(
                "log_conditional must return one row of numbers for each grid point",
                f"for Z of shape {Z.shape} it returned shape {values.shape}, "
                f"{int(np.isnan(values).sum())} NaN",
                "return log p(x_n | z_g) as an array (len(Z), N)",
            )
        heights = values.reshape(len(part), len(others), -1) + of_others[:, None]
        heights += log_weights[part, None, None]
        by_first.extend(np.logaddexp.reduce(heights, axis=1))
        by_second = np.logaddexp(by_second, np.logaddexp.reduce(heights, axis=0))
    for line_of_sums in [np.array(by_first), by_second][:M]:
        _check_spacing(line_of_sums, line)
    return np.asarray(np.logaddexp.reduce(by_first))


def _trapezoids(line: Array) -> Array:
    """The weights of the trapezoid rule: the distance of two points, half of it at the ends."""
    weights = np.full(len(line), line[1] - line[0])
    weights[[0, -1]] /= 2
    return weights


def _check_spacing(sums: Array, line: Array) -> None:
    """DataError where a third of the points, (points, N), gives another integral than the others.

    Three interleaved thirds see a wave of period 3 h with phases a third of a turn apart: one of
    them sees 87 % of it or more.
    """
    thirds = np.stack([np.logaddexp.reduce(sums[k::3]) for k in range(3)])
    highest = thirds.max(axis=0)
    apart = np.where(np.isfinite(highest), highest - thirds.min(axis=0), 0.0)  # ln 0 - ln 0
    if apart.max() > APART:
        raise DataError(
            "the grid is too coarse for this posterior",
            f"{len(line)} points to a side, {line[1] - line[0]:.3g} apart: log p(x) by one third "
            f"of them and by another differ by {apart.max():.3g} nats",
            "give more points, or a smaller limit",
        )
