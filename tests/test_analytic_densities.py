"""Log densities and divergences: normalised, in agreement with their textbook forms, with sums and
with samples.

Tolerance of an algebraic identity: 1e-12 relative, some thousand roundings of float64.  Sampled: 4
standard errors.
"""

from __future__ import annotations

from itertools import product
from statistics import NormalDist

import numpy as np
import pytest

from minigrad_ae import analytic
from minigrad_ae.analytic import kl_diagonal, kl_normal, log_bernoulli, log_normal
from minigrad_ae.errors import DataError, ShapeError

EXACT = 1e-12
RNG = np.random.default_rng(0)
MEAN, LOG_VAR = RNG.normal(size=3), RNG.normal(size=3)


def test_log_normal_is_the_sum_of_the_textbook_densities():
    x = RNG.normal(size=(5, 3))
    each = [
        [
            np.log(NormalDist(m, np.exp(v / 2)).pdf(a))
            for a, m, v in zip(row, MEAN, LOG_VAR, strict=True)
        ]
        for row in x
    ]
    assert log_normal(x, MEAN, LOG_VAR).shape == (5,)
    np.testing.assert_allclose(log_normal(x, MEAN, LOG_VAR), np.sum(each, axis=1), rtol=EXACT)
    assert float(log_normal([0.0, 0.0])) == pytest.approx(-np.log(2 * np.pi), rel=EXACT)
    grid = np.linspace(-12, 12, 2001)[:, None]
    assert np.exp(log_normal(grid, 0.3, -0.5)).sum() * 0.012 == pytest.approx(1, rel=1e-10)


def test_log_bernoulli_sums_to_one_and_survives_large_logits():
    logits = RNG.normal(size=4)
    images = np.array(list(product((0.0, 1.0), repeat=4)))
    assert np.exp(log_bernoulli(images, logits)).sum() == pytest.approx(1, rel=EXACT)
    p = 1 / (1 + np.exp(-logits))
    grey = RNG.random((6, 4))
    expected = (grey * np.log(p) + (1 - grey) * np.log(1 - p)).sum(axis=1)
    np.testing.assert_allclose(log_bernoulli(grey, logits), expected, rtol=EXACT)
    np.testing.assert_allclose(
        log_bernoulli([[1.0, 0.0], [0.0, 1.0]], [800.0, -800.0]), [0.0, -1600.0]
    )
    best = log_bernoulli(grey, np.log(grey / (1 - grey)))
    assert -best.mean() == pytest.approx(analytic.pixel_entropy(grey), rel=EXACT)


def kl_by_integration(m, v, m0, v0):
    z = m + np.exp(v / 2) * np.linspace(-12, 12, 4001)
    q = np.exp(log_normal(z[:, None], m, v))
    return (q * (log_normal(z[:, None], m, v) - log_normal(z[:, None], m0, v0))).sum() * (
        z[1] - z[0]
    )


def test_kl_is_the_integral_and_is_zero_only_for_equals():
    for m, v, m0, v0 in RNG.normal(size=(10, 4)):
        value = float(kl_diagonal(m, v, m0, v0)[0])
        assert value == pytest.approx(kl_by_integration(m, v, m0, v0), rel=1e-9)
        assert value == pytest.approx(
            kl_normal([m], [[np.exp(v)]], [m0], [[np.exp(v0)]]), rel=1e-11, abs=EXACT
        )
        assert value > 0
    assert kl_diagonal(MEAN, LOG_VAR, MEAN, LOG_VAR).max() == 0.0
    var = np.exp(LOG_VAR)
    np.testing.assert_allclose(
        kl_diagonal(MEAN, LOG_VAR), 0.5 * (-1 - LOG_VAR + MEAN**2 + var), rtol=1e-11
    )
    # no cancellation near the prior
    assert kl_diagonal(0.0, 1e-9)[0] == pytest.approx(2.5e-19, rel=1e-6, abs=0)


def test_kl_has_the_stated_derivatives():
    """mean and ½ (s² − 1) against the standard normal, by central differences: error of order h²
    and ε/h, 1e-9.
    """
    h = 1e-5
    for m, v in zip(MEAN, LOG_VAR, strict=True):
        by_mean = (kl_diagonal(m + h, v) - kl_diagonal(m - h, v)) / (2 * h)
        by_log_var = (kl_diagonal(m, v + h) - kl_diagonal(m, v - h)) / (2 * h)
        assert by_mean[0] == pytest.approx(m, abs=1e-9)
        assert by_log_var[0] == pytest.approx(0.5 * (np.exp(v) - 1), abs=1e-9)


def test_full_kl_is_that_of_samples_and_invariant():
    A, B = RNG.normal(size=(2, 3, 3))
    C, C0, m, m0 = A @ A.T + np.eye(3), B @ B.T + np.eye(3), RNG.normal(size=3), RNG.normal(size=3)
    exact = kl_normal(m, C, m0, C0)
    T = RNG.normal(size=(3, 3))
    assert kl_normal(T @ m, T @ C @ T.T, T @ m0, T @ C0 @ T.T) == pytest.approx(exact, rel=1e-9)
    assert kl_normal(m, C, m, C) == pytest.approx(0, abs=EXACT)
    z = m + np.random.default_rng(1).normal(size=(40_000, 3)) @ np.linalg.cholesky(C).T

    def log_density(mean, cov):
        squared = ((z - mean) @ np.linalg.inv(cov) * (z - mean)).sum(axis=1)
        return -0.5 * (squared + np.log(np.linalg.det(2 * np.pi * cov)))

    ratio = log_density(m, C) - log_density(m0, C0)
    assert abs(ratio.mean() - exact) < 4 * ratio.std() / 200
    diagonal = kl_normal(MEAN, np.diag(np.exp(LOG_VAR)), np.zeros(3), np.eye(3))
    assert diagonal == pytest.approx(kl_diagonal(MEAN, LOG_VAR).sum(), rel=1e-11)


def test_sampled_kl_has_the_stated_mean_and_variance():
    n = 100_000
    z = MEAN + np.exp(LOG_VAR / 2) * np.random.default_rng(2).normal(size=(n, 3))
    estimate = log_normal(z, MEAN, LOG_VAR) - log_normal(z)
    assert abs(estimate.mean() - kl_diagonal(MEAN, LOG_VAR).sum()) < 4 * estimate.std() / np.sqrt(n)
    squares = (estimate - estimate.mean()) ** 2
    assert abs(
        squares.mean() - float(analytic.kl_sample_variance(MEAN, LOG_VAR))
    ) < 4 * squares.std() / np.sqrt(n)


def test_best_variance_is_the_mean_squared_error():
    X, Y = RNG.normal(size=(2, 20, 3))
    mse = ((X - Y) ** 2).mean()
    likelihood = lambda var: log_normal(X, Y, np.log(var)).mean()  # noqa: E731
    value = analytic.log_likelihood_at_best_variance(mse, 3)
    assert value == pytest.approx(likelihood(mse), rel=EXACT)
    assert value > max(likelihood(0.99 * mse), likelihood(1.01 * mse))


WRONG = [
    (
        lambda: log_normal(np.zeros((2, 3)), np.zeros(2)),
        ShapeError,
        "the arguments do not broadcast\n  x has shape (2, 3), mean has shape (2,), log_var has "
        "shape (1,)\n"
        "  fix: the last axis holds features or latent units",
    ),
    (
        lambda: log_bernoulli([2.0], [0.0]),
        DataError,
        "x must lie in [0, 1]\n  its entries are all 2\n"
        "  fix: a Bernoulli pixel is a probability: divide by the largest grey level",
    ),
    (
        lambda: kl_diagonal([np.nan], [0.0]),
        DataError,
        "mean has entries that are NaN or infinite\n  1 of 1 entries, shape (1,)\n"
        "  fix: remove or fill them before the analysis",
    ),
    (
        lambda: kl_normal([0.0, 0.0], np.eye(2), [0.0, 0.0], np.diag([1.0, 0.0])),
        DataError,
        "prior_cov is singular, and the divergence is infinite\n  rank 1 of 2\n"
        "  fix: a distribution with a density needs variance in every direction",
    ),
    (
        lambda: kl_normal([0.0, 0.0], np.eye(2), [0.0], np.eye(2)),
        ShapeError,
        "prior_mean does not fit the others\n  prior_mean has shape (1,), not (2)\n"
        "  fix: both distributions live in the same space",
    ),
    (
        lambda: analytic.log_likelihood_at_best_variance(0.0, 3),
        DataError,
        "mse must lie in (0, inf)\n  mse = 0\n  fix: a perfect fit has unbounded density: fix the "
        "variance instead",
    ),
]


@pytest.mark.parametrize("call, kind, message", WRONG)
def test_wrong_arguments_are_named_in_three_lines(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
