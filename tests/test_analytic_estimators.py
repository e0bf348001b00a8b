"""Estimators and their variances: against samples (4 standard errors), Gaussian quadrature, and
exact likelihoods.

Tolerance of an algebraic identity: 1e-12 relative, some thousand roundings of float64.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from minigrad_ae import analytic
from minigrad_ae.analytic import (
    PPCA,
    Quadratic,
    chi_square,
    grid_log_prob,
    importance_bound,
    log_bernoulli,
    log_normal,
)
from minigrad_ae.errors import DataError, ShapeError

EXACT = 1e-12
A = np.array([[1.0, 0.4], [0.4, -0.7]])
B = np.array([0.5, -1.2])
MEAN, SIGMA = np.array([0.8, -0.3]), np.array([0.7, 1.1])
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(12)  # exact for polynomials up to degree 23
EPS = np.array(list(product(NODES, NODES)))
WEIGHT = np.outer(WEIGHTS, WEIGHTS).ravel() / (2 * np.pi)


def f(z):
    return 0.5 * np.einsum("ni,ij,nj->n", z, A, z) + z @ B


def moments(values):
    """Mean and covariance of ``values`` (at the nodes, components) under the standard normal,
    exactly.
    """
    mean = WEIGHT @ values
    return mean, (values - mean).T * WEIGHT @ (values - mean)


def test_gradients_of_a_quadratic_have_these_means_and_variances():
    quadratic, z = Quadratic(A, B), MEAN + SIGMA * EPS
    assert quadratic.expectation(MEAN, SIGMA) == pytest.approx(WEIGHT @ f(z), rel=EXACT)
    pathwise, covariance = moments(z @ A + B)
    np.testing.assert_allclose(quadratic.gradient_in_mean(MEAN, SIGMA), pathwise, rtol=1e-11)
    np.testing.assert_allclose(
        quadratic.reparameterised_covariance(SIGMA), covariance, rtol=1e-11, atol=EXACT
    )
    np.testing.assert_allclose(
        quadratic.gradient_in_log_sigma(MEAN, SIGMA),
        WEIGHT @ ((z @ A + B) * SIGMA * EPS),
        rtol=1e-11,
    )
    for baseline in (0.0, 1.7, np.array([0.3, -2.0]), quadratic.best_baseline(MEAN, SIGMA)):
        score, spread = moments((f(z)[:, None] - baseline) * EPS / SIGMA)
        np.testing.assert_allclose(score, pathwise, rtol=1e-10)
        stated = quadratic.score_function_variance(MEAN, SIGMA, baseline)
        np.testing.assert_allclose(stated, np.diag(spread), rtol=1e-10)
        best = quadratic.score_function_variance(MEAN, SIGMA, quadratic.best_baseline(MEAN, SIGMA))
        assert (best <= stated * (1 + EXACT)).all()


def test_square_has_the_published_variances_and_those_of_samples():
    mu, sigma, n = 1.5, 0.7, 100_000
    pathwise, score = analytic.square_gradient_variances(mu, sigma)
    assert (pathwise, score) == pytest.approx((1.96, 49.18), abs=6e-3)
    square = Quadratic([[2.0]], [0.0])
    assert square.reparameterised_covariance([sigma])[0, 0] == pytest.approx(pathwise, rel=EXACT)
    assert square.score_function_variance([mu], [sigma])[0] == pytest.approx(score, rel=EXACT)
    mean_baseline = square.expectation([mu], [sigma])
    assert square.score_function_variance([mu], [sigma], mean_baseline)[0] == pytest.approx(
        22.9, abs=0.06
    )
    noise = np.random.default_rng(0).normal(size=n)
    z = mu + sigma * noise
    for samples, variance in ((2 * z, pathwise), (z**2 * noise / sigma, score)):
        squares = (samples - 2 * mu) ** 2
        assert abs(samples.mean() - 2 * mu) < 4 * samples.std() / np.sqrt(n)
        assert abs(squares.mean() - variance) < 4 * squares.std() / np.sqrt(n)


def test_chi_square_is_the_integral():
    P = np.array([[2.0, 0.5], [0.5, 1.5]])
    m, mu, d = np.array([0.3, -0.4]), np.array([0.0, 0.2]), np.array([0.9, 1.4])
    line = np.linspace(-15, 15, 601)
    z = np.array(list(product(line, line)))
    log_p = (
        -0.5 * np.einsum("ni,ij,nj->n", z - m, P, z - m)
        + 0.5 * np.log(np.linalg.det(P))
        - np.log(2 * np.pi)
    )
    integral = np.exp(2 * log_p - log_normal(z, mu, np.log(d))).sum() * 0.05**2 - 1
    assert chi_square(m, P, mu, d) == pytest.approx(integral, rel=1e-10)
    assert chi_square(m, np.diag(1 / d), m, d) == pytest.approx(0, abs=EXACT)
    assert (
        chi_square([0.0], [[1.0]], [0.0], [0.51])
        < np.inf
        == chi_square([0.0], [[1.0]], [0.0], [0.5])
    )


def ppca_problem(q_scale):
    """log p(x), the posterior of one datum, and a wrong q: (log p, log w sampler, χ²)."""
    rng = np.random.default_rng(3)
    model = PPCA(rng.normal(size=(4, 2)), np.zeros(4), 0.6)
    x = rng.normal(size=4) * 1.5
    means, cov = model.posterior(x[None])
    mu, d = means[0] + 0.2, np.diag(cov) * q_scale

    def log_weights(shape, rng):
        z = mu + np.sqrt(d) * rng.normal(size=(*shape, 2))
        return (
            log_normal(x, z @ model.W.T, np.log(0.6)) + log_normal(z) - log_normal(z, mu, np.log(d))
        )

    return (
        float(model.log_prob(x[None])[0]),
        log_weights,
        chi_square(means[0], np.linalg.inv(cov), mu, d),
    )


def test_bound_rises_to_the_likelihood_at_the_stated_rate():
    log_p, log_weights, chi2 = ppca_problem(1.5)
    rng, gaps, errors = np.random.default_rng(4), [], []
    for k in (1, 5, 50):
        bounds = importance_bound(log_weights((200_000 // k, k), rng))
        gaps.append(log_p - bounds.mean())
        errors.append(bounds.std() / np.sqrt(len(bounds)))
    assert gaps[0] > gaps[1] > gaps[2] > 0
    # the next term is of relative order 1/k: at k = 50 some 2 % of the gap
    assert abs(gaps[2] - analytic.importance_gap(chi2, 50)) < 4 * errors[2] + 0.04 * gaps[2]
    weights = np.exp(log_weights((200_000,), rng) - log_p)
    squares = (weights - 1) ** 2
    assert abs(squares.mean() - chi2) < 4 * squares.std() / np.sqrt(len(squares))


def test_at_the_exact_posterior_every_weight_is_the_likelihood():
    rng = np.random.default_rng(5)
    # diagonal posterior
    model = PPCA(np.linalg.qr(rng.normal(size=(4, 2)))[0] * [2.0, 0.7], np.zeros(4), 0.6)
    X = rng.normal(size=(6, 4))
    means, cov = model.posterior(X)
    z = means + np.sqrt(np.diag(cov)) * rng.normal(size=(50, 6, 2))
    log_w = (
        log_normal(X, z @ model.W.T, np.log(0.6))
        + log_normal(z)
        - log_normal(z, means, np.log(np.diag(cov)))
    )
    assert log_w.std(axis=0).max() < 1e-13
    np.testing.assert_allclose(importance_bound(log_w, axis=0), model.log_prob(X), rtol=EXACT)


def test_importance_bound_is_the_log_of_the_mean():
    a = np.random.default_rng(6).normal(size=(3, 5))
    np.testing.assert_allclose(importance_bound(a), np.log(np.exp(a).mean(axis=1)), rtol=EXACT)
    np.testing.assert_allclose(
        importance_bound(a, axis=0), np.log(np.exp(a).mean(axis=0)), rtol=EXACT
    )
    np.testing.assert_allclose(importance_bound(a - 1e4), importance_bound(a) - 1e4, rtol=EXACT)
    np.testing.assert_allclose(importance_bound(a[:, :1]), a[:, 0], rtol=EXACT)


@pytest.mark.parametrize("M", [1, 2])
def test_grid_gives_the_likelihood_of_ppca(M):
    rng = np.random.default_rng(7)
    model = PPCA(rng.normal(size=(4, M)), np.zeros(4), 0.3)
    X = rng.normal(size=(5, 4))
    exact = model.log_prob(X)
    decoder = lambda Z: log_normal(X, (Z @ model.W.T)[:, None], np.log(0.3))  # noqa: E731
    np.testing.assert_allclose(grid_log_prob(decoder, M), exact, rtol=1e-11)
    np.testing.assert_allclose(grid_log_prob(decoder, M, points=150), exact, rtol=1e-11)


def test_grid_likelihoods_of_a_nonlinear_decoder_sum_to_one():
    rng = np.random.default_rng(8)
    W1, W2 = rng.normal(size=(2, 8)), rng.normal(size=(8, 3))
    images = np.array(list(product((0.0, 1.0), repeat=3)))
    log_p = grid_log_prob(lambda Z: log_bernoulli(images, (np.tanh(Z @ W1) @ W2)[:, None]), 2)
    assert np.exp(log_p).sum() == pytest.approx(1, rel=EXACT)
    # ends count half
    constant = grid_log_prob(lambda Z: np.zeros((len(Z), 1)), 1, limit=1.0, points=201)
    z = np.linspace(-1.0, 1.0, 201)
    heights = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi)
    trapezoids = ((heights[1:] + heights[:-1]) / 2).sum() * 0.01
    assert constant[0] == pytest.approx(np.log(trapezoids), rel=EXACT)


@pytest.mark.parametrize("M", [1, 2])
@pytest.mark.parametrize("points", [61, 100, 401])
def test_a_grid_is_exact_or_refused(M, points):
    """x | z ~ N(z, sigma^2), from a posterior far wider than the spacing to one far narrower: what
    is answered is off by 2e-11 nats at most for each of the M directions (beside rounding).
    """
    refused = 0
    for sigma in (1.0, 0.3, 0.2, 0.1, 0.05, 0.02, 0.003):
        for x in (0.0, 0.05, 1.234):
            model = PPCA(np.eye(M), np.zeros(M), sigma**2)
            X = np.full((1, M), x)
            try:
                found = grid_log_prob(
                    lambda Z, X=X, s=sigma: log_normal(X, Z[:, None], 2 * np.log(s)),
                    M,
                    points=points,
                )
            except DataError as error:
                assert "the grid is too coarse" in str(error)
                refused += 1
                continue
            assert found[0] == pytest.approx(model.log_prob(X)[0], abs=M * 2e-11)
    assert 3 <= refused <= 18


WRONG = [
    (
        lambda: Quadratic([[1.0, 2.0], [0.0, 1.0]], [0.0, 0.0]),
        DataError,
        "A is not symmetric\n  asymmetry 2\n  fix: use (A + A.T) / 2: the function is the same",
    ),
    (
        lambda: Quadratic(A, B).gradient_in_mean(MEAN, -SIGMA),
        DataError,
        "sigma must lie in (0, inf)\n  its entries run from -1.1 to -0.7\n"
        "  fix: sigma are standard deviations (not variances): they must be positive",
    ),
    (
        lambda: chi_square([0.0], [[-1.0]], [0.0], [1.0]),
        DataError,
        "the eigenvalues of precision must lie in (0, inf)\n  its entries are all -1\n"
        "  fix: give an inverse covariance",
    ),
    (
        lambda: importance_bound([1.0, 2.0], axis=1),
        ShapeError,
        "there is no axis 1 to average over\n  log_weights has shape (2,)\n  fix: name its sample "
        "axis",
    ),
    (
        lambda: grid_log_prob(lambda Z: np.zeros(len(Z)), 1),
        ShapeError,
        "log_conditional must return one row of numbers for each grid point\n"
        "  for Z of shape (401, 1) it returned shape (401,), 0 NaN\n"
        "  fix: return log p(x_n | z_g) as an array (len(Z), N)",
    ),
    (
        lambda: grid_log_prob(lambda Z: np.zeros((len(Z), 1)), 3),
        DataError,
        "M = 3 is out of range\n  a grid over more latent units is too large\n  fix: choose M from "
        "1 to 2",
    ),
    (
        lambda: analytic.importance_gap(np.inf, 5),
        DataError,
        "chi2 must lie in [0, inf)\n  chi2 = inf\n  fix: see chi_square; an infinite one has no "
        "such expansion",
    ),
]


@pytest.mark.parametrize("call, kind, message", WRONG)
def test_wrong_arguments_are_named_in_three_lines(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
