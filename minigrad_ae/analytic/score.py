"""The best denoiser of all: a posterior mean, which points along the score of the noisy density.

x̃ = x + σ ε with ε standard normal; p_σ is the density of x̃.  The minimum over *all* functions y
of E ‖x − y(x̃)‖² (per datum, no ½) is y* = E[x | x̃], and by Tweedie's formula

    E[x | x̃] = x̃ + σ² ∇ log p_σ(x̃),    at every σ

(Robbins 1956; Vincent, Neural Computation 23:1661-1674 (2011); Alain & Bengio, JMLR 15:3563-3593
(2014), for σ -> 0). Two cases are known in closed form: x from a mixture of Gaussians, and x from a
finite training set, where y* is a kernel average and its loss is a floor that no network trained on
that set can beat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import generator
from ..errors import DataError
from ._arguments import (
    Array,
    covariance,
    of_shape,
    probabilities,
    real_array,
    squarable,
    whole_number,
)

SIGMA = "sigma is a standard deviation (not a variance)"


@dataclass(frozen=True)
class GaussianMixture:
    """x ~ Σ_k weights_k N(means_k, covariances_k), K components in D dimensions.

    Methods take the noise `sigma` and points x̃, and speak of x̃ = x + σ ε, whose components have
    covariance C_k + σ² I.

    Parameters
    ----------
    weights : array_like, (K,)
        Positive, of sum 1.
    means : array_like, (K, D)
        m_k, one in each row.
    covariances : array_like, (K, D, D)
        C_k; they may be singular.

    Raises
    ------
    ShapeError, DtypeError
        If the shapes do not fit, or one of them does not hold real numbers.
    DataError
        If weights are not positive or do not sum to 1, or a matrix is not a covariance.

    Examples
    --------
    >>> mixture = mg.analytic.GaussianMixture([0.5, 0.5], [[-1.0], [1.0]], np.zeros((2, 1, 1)))
    >>> noisy, sigma = np.array([[-2.0], [0.0], [0.5]]), 1.0
    >>> best = mixture.posterior_mean(noisy, sigma)
    >>> bool(np.allclose(best, np.tanh(noisy)))  # two points, at -1 and 1
    True
    >>> bool(np.allclose(best, noisy + sigma**2 * mixture.score(noisy, sigma)))  # Tweedie's formula
    True
    """

    weights: Array
    means: Array
    covariances: Array

    def __post_init__(self) -> None:
        weights = probabilities(self.weights, "weights")
        means = of_shape(self.means, "means", (len(weights), None), "one row for each weight")
        K, D = means.shape
        stack = of_shape(
            self.covariances, "covariances", (K, D, D), "one D x D matrix for each weight"
        )
        matrices = np.array([covariance(C, f"covariances[{k}]", D) for k, C in enumerate(stack)])
        for name, value in (("weights", weights), ("means", means), ("covariances", matrices)):
            object.__setattr__(self, name, value)

    def log_density(self, points: ArrayLike, sigma: float) -> Array:
        """log p_σ(x̃), the log density of the noisy data.

        Parameters
        ----------
        points : array_like, (n, D)
            Noisy points x̃.
        sigma : float
            Standard deviation >= 0 of the noise; > 0 where a covariance is singular.

        Returns
        -------
        ndarray, (n,)
            In nats.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If points are not a finite, real matrix with D columns, sigma is negative, or it is 0
            and a covariance is singular.
        """
        return np.logaddexp.reduce(self._log_joint(points, sigma)[0], axis=1)

    def score(self, points: ArrayLike, sigma: float) -> Array:
        """∇ log p_σ(x̃) = −Σ_k r_k (C_k + σ² I)⁻¹ (x̃ − m_k), r the responsibilities.

        Parameters
        ----------
        points : array_like, (n, D)
            Noisy points x̃.
        sigma : float
            Standard deviation >= 0 of the noise; > 0 where a covariance is singular.

        Returns
        -------
        ndarray, (n, D)
            The score at each point.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If points are not a finite, real matrix with D columns, sigma is negative, or it is 0
            and a covariance is singular.
        """
        joint, pulls = self._log_joint(points, sigma)
        return -np.einsum("nk,knd->nd", _softmax(joint), pulls)

    def posterior_mean(self, points: ArrayLike, sigma: float) -> Array:
        """E[x | x̃] = Σ_k r_k (m_k + C_k (C_k + σ² I)⁻¹ (x̃ − m_k)), the best denoiser.

        Parameters
        ----------
        points : array_like, (n, D)
            Noisy points x̃.
        sigma : float
            Standard deviation >= 0 of the noise; > 0 where a covariance is singular.

        Returns
        -------
        ndarray, (n, D)
            The answer to each noisy point.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If points are not a finite, real matrix with D columns, sigma is negative, or it is 0
            and a covariance is singular.

        References
        ----------
        Robbins 1956; Vincent, Neural Computation 23:1661-1674 (2011).
        """
        joint, pulls = self._log_joint(points, sigma)
        each = self.means[:, None] + np.einsum("kde,kne->knd", self.covariances, pulls)
        return np.einsum("nk,knd->nd", _softmax(joint), each)

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Draws of the clean x.

        Parameters
        ----------
        n : int
            How many, from 1.
        rng : numpy.random.Generator
            Draws the components, then the noise in them.

        Returns
        -------
        ndarray, (n, D)
            A draw in each row.

        Raises
        ------
        DtypeError, DataError
            If n is not a whole number from 1.
        """
        n = whole_number(n, "n", 1, 10**8, "it counts draws")
        values, vectors = np.linalg.eigh(self.covariances)
        roots = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
        rng = generator(rng, "GaussianMixture.sample", "the sample")
        component = rng.choice(len(self.weights), size=n, p=self.weights)
        noise = rng.standard_normal((n, self.means.shape[1]))
        return self.means[component] + np.einsum("nde,ne->nd", roots[component], noise)

    def _log_joint(self, points: ArrayLike, sigma: float) -> tuple[Array, Array]:
        """log weights_k N(x̃; m_k, C_k + σ² I) (n, K), and (C_k + σ² I)⁻¹ (x̃ − m_k) (K, n, D)."""
        D = self.means.shape[1]
        points = of_shape(
            points, "points", (None, D), "one column for each dimension of the mixture"
        )
        sigma = squarable(sigma, "sigma", "[0, inf)", SIGMA)
        noisy = self.covariances + sigma**2 * np.eye(D)
        signs, log_dets = np.linalg.slogdet(noisy)
        if (signs <= 0).any():
            raise DataError(
                "a component has no density",
                "its covariance is singular and sigma = 0",
                "choose sigma > 0",
            )
        offsets = points[None] - self.means[:, None]
        pulls = np.linalg.solve(noisy, offsets.swapaxes(1, 2)).swapaxes(1, 2)
        squared = (offsets * pulls).sum(axis=2)
        joint = np.log(self.weights)[:, None] - 0.5 * (
            squared + log_dets[:, None] + D * np.log(2 * np.pi)
        )
        return joint.T, pulls


def score_of_denoiser(denoised: ArrayLike, noisy: ArrayLike, sigma: float) -> Array:
    """(y − x̃)/σ²: the score that a denoiser claims, by Tweedie's formula.

    Parameters
    ----------
    denoised : array_like, (n, D)
        Its answers y.
    noisy : array_like, (n, D)
        The points x̃ that it was asked about.
    sigma : float
        Standard deviation > 0 of the noise that it was trained on.

    Returns
    -------
    ndarray, (n, D)
        A vector at each point; for the best denoiser ∇ log p_σ(x̃).

    Raises
    ------
    ShapeError, DtypeError, DataError
        If they are not finite, real matrices of one shape, or sigma is not positive.

    References
    ----------
    Vincent, Neural Computation 23:1661-1674 (2011); Alain & Bengio, JMLR 15:3563-3593 (2014).

    Examples
    --------
    >>> noisy = np.array([[2.0, -4.0]])  # of x ~ N(0, I): E[x | x̃] = x̃ / (1 + σ²)
    >>> mg.analytic.score_of_denoiser(noisy / 2, noisy, sigma=1.0).tolist()  # -x̃ / (1 + σ²)
    [[-1.0, 2.0]]
    """
    noisy = real_array(noisy, "noisy", 2)
    denoised = of_shape(denoised, "denoised", noisy.shape, "give one answer for each noisy row")
    return (denoised - noisy) / squarable(sigma, "sigma", "(0, inf)", SIGMA) ** 2


def kernel_denoiser(X: ArrayLike, noisy: ArrayLike, sigma: float) -> Array:
    """y*(x̃) = Σ_n softmax_n(−‖x̃ − x_n‖²/2σ²) x_n: the best denoiser of a finite training set.

    It is E[x | x̃] when x is one of the N rows, each equally likely.

    Parameters
    ----------
    X : array_like, (N, D)
        The training set, a datum in each row.
    noisy : array_like, (n, D)
        The points x̃.
    sigma : float
        Standard deviation > 0 of the noise.

    Returns
    -------
    ndarray, (n, D)
        The answer to each noisy point: a weighted mean of the training set.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If they are not finite, real matrices with as many columns, or sigma is not positive.

    References
    ----------
    Vincent, Neural Computation 23:1661-1674 (2011).

    Examples
    --------
    >>> answer = mg.analytic.kernel_denoiser([[-1.0], [1.0]], [[0.0], [0.5]], sigma=1.0)
    >>> bool(np.allclose(answer, np.tanh([[0.0], [0.5]])))
    True
    """
    X, noisy, sigma = _training_set(X, noisy, sigma)
    return _weights(X, noisy, sigma) @ X


def kernel_floor(
    X: ArrayLike, sigma: float, rng: np.random.Generator, sweeps: int = 100
) -> tuple[float, float]:
    """The least denoising loss of all functions on a finite training set, by sampling the noise.

    Every sweep corrupts each row once; a corrupted point contributes its posterior variance Σ_n r_n
    ‖x_n − y*‖², which has the same mean as ‖x − y*‖² and spreads less.

    Parameters
    ----------
    X : array_like, (N, D)
        The training set, a datum in each row; takes N x N numbers of memory.
    sigma : float
        Standard deviation > 0 of the noise.
    rng : numpy.random.Generator
        Draws the noise.
    sweeps : int, optional
        From 2.

    Returns
    -------
    floor : float
        E ‖x − y*(x̃)‖², a sum over features without ½, mean over data and noise.
    error : float
        Its standard error.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If X is not a finite, real, non-empty matrix, sigma is not positive, or sweeps is below 2.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> floor, error = mg.analytic.kernel_floor([[-1.0], [1.0]], 1.0, rng, sweeps=400)
    >>> exact = mg.analytic.kernel_floor_line([-1.0, 1.0], 1.0)
    >>> bool(abs(floor - exact) < 4 * error)
    True
    """
    X, _, sigma = _training_set(X, X, sigma)
    rng = generator(rng, "kernel_floor", "the noise")
    sweeps = whole_number(sweeps, "sweeps", 2, 10**8, "a standard error needs two")
    means = np.array(
        [
            _posterior_variance(X, X + sigma * rng.standard_normal(X.shape), sigma).mean()
            for _ in range(sweeps)
        ]
    )
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(sweeps))


def kernel_floor_line(x: ArrayLike, sigma: float, points: int = 20_001) -> float:
    """`kernel_floor` for one feature, ∫ p_σ(x̃) Var[x | x̃] dx̃, without sampling.

    The grid of the trapezoid rule covers [min x − 12σ, max x + 12σ]; the rule converges faster than
    any power once the spacing is well below σ.

    Parameters
    ----------
    x : array_like, (N,)
        The training set.
    sigma : float
        Standard deviation > 0 of the noise.
    points : int, optional
        Grid points, from 3.

    Returns
    -------
    float
        E (x − y*(x̃))², without ½, mean over data and noise.

    Raises
    ------
    ShapeError, DtypeError
        If x is not a flat array of real numbers, or an argument is not a number.
    DataError
        If sigma is not positive, or the grid is too coarse for it.

    Examples
    --------
    >>> mg.analytic.kernel_floor_line([3.0], sigma=0.5)  # one datum: always answer it
    0.0
    >>> loud = mg.analytic.kernel_floor_line([-1.0, 1.0], sigma=100.0)
    >>> round(loud, 3)  # all is lost but the mean: the variance of x
    1.0
    """
    x = real_array(x, "x", 1)
    X, _, sigma = _training_set(x[:, None], x[:, None], sigma)
    points = whole_number(points, "points", 3, 10**7, "the grid must cover the data")
    grid = np.linspace(x.min() - 12 * sigma, x.max() + 12 * sigma, points)
    spacing = float(grid[1] - grid[0])
    if spacing > sigma / 4:
        raise DataError(
            "the grid is too coarse for this noise",
            f"spacing {spacing:.6g}, sigma = {sigma:.6g}",
            f"choose points >= {np.ceil((grid[-1] - grid[0]) / sigma * 4) + 1:.0f}",
        )
    total = 0.0
    # at most 10^6 weights at a time
    for part in np.array_split(grid[:, None], max(1, points * len(x) // 10**6)):
        density = np.exp(-0.5 * ((part - x) / sigma) ** 2).mean(axis=1) / (
            sigma * np.sqrt(2 * np.pi)
        )
        total += float(density @ _posterior_variance(X, part, sigma))
    return total * spacing  # the two ends, 12σ away, weigh nothing


def _posterior_variance(X: Array, noisy: Array, sigma: float) -> Array:
    """(n,), tr Cov[x | x̃] = E[‖x‖² | x̃] − ‖y*‖²; about the mean of X, so less cancels."""
    weights, X = _weights(X, noisy, sigma), X - X.mean(axis=0)
    return np.maximum(0.0, weights @ (X**2).sum(axis=1) - ((weights @ X) ** 2).sum(axis=1))


def _weights(X: Array, noisy: Array, sigma: float) -> Array:
    """(n, N), the probability that each row of X was the origin of each noisy point."""
    X, noisy = X - X.mean(axis=0), noisy - X.mean(axis=0)
    # ‖x̃‖² is common to all and drops out
    return _softmax((noisy @ X.T - 0.5 * (X**2).sum(axis=1)) / sigma**2)


def _training_set(X: ArrayLike, noisy: ArrayLike, sigma: float) -> tuple[Array, Array, float]:
    X = real_array(X, "X", 2)
    noisy = of_shape(noisy, "noisy", (None, X.shape[1]), "one column for each feature of X")
    return X, noisy, squarable(sigma, "sigma", "(0, inf)", SIGMA)


def _softmax(a: Array) -> Array:
    weights = np.exp(a - a.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)
