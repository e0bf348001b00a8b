"""Posterior means and scores: against integration, complex steps, Tweedie's formula and sampled
noise.

Tolerance of an algebraic identity: 1e-12 relative, some thousand roundings of float64.  Sampled: 4
standard errors.
"""

from __future__ import annotations

import numpy as np
import pytest

from minigrad_ae import analytic
from minigrad_ae.analytic import GaussianMixture, kernel_denoiser, kernel_floor, kernel_floor_line
from minigrad_ae.errors import DataError, ShapeError

EXACT = 1e-12
STEP = 1e-30
SIGMA = 0.6


def mixture():
    shear = np.array([[1.0, 0.3], [-0.2, 0.7]])
    return GaussianMixture(
        np.array([0.2, 0.5, 0.3]),
        np.array([[0.0, 0.0], [2.0, -1.0], [-1.0, 1.5]]),
        np.array([shear @ shear.T, 0.1 * np.eye(2), np.zeros((2, 2))]),  # the last is a point
    )


def density(points, sigma, weights, means, covariances):
    """p_σ written out for D = 2, in complex arithmetic too."""
    total = 0
    for weight, mean, C in zip(weights, means, covariances, strict=True):
        a, b, d = C[0, 0] + sigma**2, C[0, 1], C[1, 1] + sigma**2
        u, v = points[:, 0] - mean[0], points[:, 1] - mean[1]
        squared = (d * u * u - 2 * b * u * v + a * v * v) / (a * d - b * b)
        total = total + weight * np.exp(-squared / 2) / (2 * np.pi * np.sqrt(a * d - b * b))
    return total


POINTS = np.random.default_rng(0).normal(size=(20, 2)) * 2


def test_density_and_score_are_those_of_the_formula():
    mix = mixture()
    written = lambda points: density(points, SIGMA, mix.weights, mix.means, mix.covariances)  # noqa: E731
    np.testing.assert_allclose(mix.log_density(POINTS, SIGMA), np.log(written(POINTS)), rtol=EXACT)
    slopes = [np.log(written(POINTS + STEP * 1j * axis)).imag / STEP for axis in np.eye(2)]
    np.testing.assert_allclose(mix.score(POINTS, SIGMA), np.stack(slopes, axis=1), rtol=1e-11)
    far = mix.log_density(np.full((1, 2), 1e4), SIGMA)  # the density itself underflows
    assert np.isfinite(far).all() and far[0] < -1e7


def test_posterior_mean_is_the_integral_over_clean_points():
    """E[x | x̃] by the trapezoid rule on a grid of 401 x 401, for a mixture without the singular
    component.
    """
    mix = mixture()
    mix = GaussianMixture(mix.weights[:2] / 0.7, mix.means[:2], mix.covariances[:2])
    line = np.linspace(-6, 6, 401)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1).reshape(-1, 2)
    prior = density(grid, 0.0, mix.weights, mix.means, mix.covariances)
    for point, answer in zip(POINTS[:5], mix.posterior_mean(POINTS[:5], SIGMA), strict=True):
        weight = prior * np.exp(-((point - grid) ** 2).sum(axis=1) / (2 * SIGMA**2))
        # prior tail beyond 6: 1e-7
        np.testing.assert_allclose(answer, weight @ grid / weight.sum(), atol=1e-7)


@pytest.mark.parametrize("sigma", [0.05, SIGMA, 5.0])
def test_tweedie(sigma):
    mix = mixture()
    denoised = mix.posterior_mean(POINTS, sigma)
    np.testing.assert_allclose(denoised, POINTS + sigma**2 * mix.score(POINTS, sigma), atol=1e-11)
    claimed = analytic.score_of_denoiser(denoised, POINTS, sigma)
    np.testing.assert_allclose(claimed, mix.score(POINTS, sigma), atol=1e-11 / sigma**2)


def test_samples_have_the_moments_of_the_mixture():
    mix, n = mixture(), 40_000
    X = mix.sample(n, np.random.default_rng(1))
    mean = mix.weights @ mix.means
    centred = mix.means - mean
    C = (
        np.einsum("k,kde->de", mix.weights, mix.covariances)
        + (mix.weights[:, None] * centred).T @ centred
    )
    assert (np.abs(X.mean(axis=0) - mean) < 4 * X.std(axis=0) / np.sqrt(n)).all()
    products = (X - mean)[:, :, None] * (X - mean)[:, None, :]
    assert (np.abs(products.mean(axis=0) - C) < 4 * products.std(axis=0) / np.sqrt(n)).all()
    assert np.array_equal(X, mix.sample(n, np.random.default_rng(1)))


def training_set(N=50, D=3):
    return np.random.default_rng(2).normal(size=(N, D)) + 5.0


def test_kernel_denoiser_is_the_posterior_mean_of_a_mixture_of_points():
    X = training_set()
    mix = GaussianMixture(np.full(50, 1 / 50), X, np.zeros((50, 3, 3)))
    noisy = X + 0.5 * np.random.default_rng(3).normal(size=X.shape)
    np.testing.assert_allclose(
        kernel_denoiser(X, noisy, 0.5), mix.posterior_mean(noisy, 0.5), rtol=EXACT
    )
    by_hand = np.exp(-((noisy[0] - X) ** 2).sum(axis=1) / (2 * 0.5**2))
    np.testing.assert_allclose(
        kernel_denoiser(X, noisy[:1], 0.5)[0], by_hand @ X / by_hand.sum(), rtol=EXACT
    )
    np.testing.assert_allclose(
        kernel_denoiser(X, noisy, 1e-3), X[((noisy[:, None] - X) ** 2).sum(2).argmin(1)]
    )
    np.testing.assert_allclose(
        kernel_denoiser(X, noisy, 1e4), np.broadcast_to(X.mean(axis=0), X.shape), rtol=1e-6
    )


def test_floor_is_the_sampled_loss_of_the_kernel_and_below_all_linear_maps():
    X = training_set()
    floor, error = kernel_floor(X, 0.5, np.random.default_rng(4), sweeps=400)
    rng, losses = np.random.default_rng(5), []
    for _ in range(400):
        noisy = X + 0.5 * rng.normal(size=X.shape)
        losses.append(((X - kernel_denoiser(X, noisy, 0.5)) ** 2).sum(axis=1).mean())
    spread = np.std(losses, ddof=1) / 20
    assert abs(np.mean(losses) - floor) < 4 * np.hypot(error, spread)
    assert 0 < error < spread  # the posterior variance spreads less than the loss itself
    centred = X - X.mean(axis=0)
    linear = analytic.best_denoiser(analytic.gaussian_moments(centred.T @ centred / 50, 0.5)).loss
    assert floor + 4 * error < linear < 3 * 0.5**2


def test_on_a_line_the_floor_needs_no_sampling():
    x = np.array([-1.0, 0.2, 0.5, 3.0])
    for sigma in (0.1, 0.4, 2.0):
        exact = kernel_floor_line(x, sigma)
        floor, error = kernel_floor(x[:, None], sigma, np.random.default_rng(6), sweeps=2000)
        assert abs(floor - exact) < 4 * error
        assert kernel_floor_line(x, sigma, 5000) == pytest.approx(exact, rel=EXACT)
    # two points, ± a: y* = a tanh(a x̃/σ²), and the floor is a² E sech²(a x̃/σ²), here with x̃ ~
    # N(1, 1)
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    sech = weights @ np.cosh(1 + nodes) ** -2.0 / np.sqrt(2 * np.pi)
    assert kernel_floor_line([-1.0, 1.0], 1.0) == pytest.approx(sech, rel=1e-9)
    assert kernel_floor_line([7.0, 9.0], 1.0) == pytest.approx(sech, rel=1e-9)
    assert kernel_floor_line([3.0], 1.0) == 0.0
    assert kernel_floor_line([3.0, 3.0, 5.0], 1e3) == pytest.approx(np.var([3, 3, 5]), rel=1e-5)


WRONG = [
    (
        lambda: GaussianMixture([0.5, 0.6], np.zeros((2, 1)), np.ones((2, 1, 1))),
        DataError,
        "weights must be positive and sum to 1\n  the smallest is 0.5, the sum is 1.1\n  fix: "
        "divide them by their sum",
    ),
    (
        lambda: GaussianMixture([1.0], np.zeros((2, 1)), np.ones((1, 1, 1))),
        ShapeError,
        "means does not fit the others\n  means has shape (2, 1), not (1, any)\n  fix: one row for "
        "each weight",
    ),
    (
        lambda: GaussianMixture([1.0], np.zeros((1, 2)), [[[1.0, 0.0], [0.0, -1.0]]]),
        DataError,
        "covariances[0] is not a covariance\n  asymmetry 0, smallest eigenvalue -1\n"
        "  fix: a covariance is symmetric and has no negative eigenvalue: X.T @ X / len(X)",
    ),
    (
        lambda: mixture().score(POINTS, 0.0),
        DataError,
        "a component has no density\n  its covariance is singular and sigma = 0\n  fix: choose "
        "sigma > 0",
    ),
    (
        lambda: kernel_denoiser(np.zeros((3, 2)), np.zeros((3, 1)), 0.1),
        ShapeError,
        "noisy does not fit the others\n  noisy has shape (3, 1), not (any, 2)\n  fix: one column "
        "for each feature of X",
    ),
    (
        lambda: kernel_floor(np.zeros((3, 2)), 0.0, np.random.default_rng(0)),
        DataError,
        "sigma must lie in (0, inf)\n  sigma = 0\n  fix: sigma is a standard deviation (not a "
        "variance)",
    ),
    (
        lambda: kernel_floor_line([0.0, 4.0], 1e-4),
        DataError,
        "the grid is too coarse for this noise\n  spacing 0.00020012, sigma = 0.0001\n  fix: "
        "choose points >= 160097",
    ),
]


@pytest.mark.parametrize("call, kind, message", WRONG)
def test_wrong_arguments_are_named_in_three_lines(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
