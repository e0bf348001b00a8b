"""Probabilistic PCA, against the D-dimensional Gaussian written out, complex steps of it, and
integration.

Tolerance of an algebraic identity: 1e-12 relative, some thousand roundings of float64.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import with_variances

from minigrad_ae import analytic
from minigrad_ae.analytic import (
    PPCA,
    pca,
    ppca,
    ppca_log_likelihood,
    ppca_optimum,
    principal_angles,
)
from minigrad_ae.data import digits
from minigrad_ae.errors import DataError, ShapeError

EXACT = 1e-12
STEP = 1e-30
L = np.array([4.0, 2.5, 1.2, 0.7, 0.3])
D = len(L)


X, S, U = with_variances(L)


def likelihood(S, W, sigma2):
    """−½ [D ln 2π + ln det C + tr C⁻¹ S] with C itself; determinant by elimination, in complex
    arithmetic too.
    """
    C = W @ W.T + sigma2 * np.eye(len(W))
    return -0.5 * (
        len(W) * np.log(2 * np.pi) + np.log(np.linalg.det(C)) + np.trace(np.linalg.solve(C, S))
    )


def weights(M, seed=1):
    return np.random.default_rng(seed).normal(size=(D, M))


def slopes(S, W, sigma2):
    """The gradient of the likelihood in W and in σ², by complex steps."""
    step = np.array(
        [
            likelihood(S, W + STEP * 1j * unit.reshape(W.shape), sigma2 + 0j).imag / STEP
            for unit in np.eye(W.size)
        ]
    )
    return np.append(step, likelihood(S, W + 0j, sigma2 + STEP * 1j).imag / STEP)


@pytest.mark.parametrize("M", [1, 3, 5])
def test_log_prob_is_the_gaussian_written_out(M):
    W, mean = weights(M), np.arange(D) * 1.0
    model = PPCA(W, mean, 0.4)
    C = W @ W.T + 0.4 * np.eye(D)
    written = [
        -0.5 * (D * np.log(2 * np.pi) + np.log(np.linalg.det(C)) + x @ np.linalg.inv(C) @ x)
        for x in X
    ]
    np.testing.assert_allclose(model.log_prob(X + mean), written, rtol=EXACT)
    assert ppca_log_likelihood(S, W, 0.4) == pytest.approx(np.mean(written), rel=EXACT)
    assert ppca_log_likelihood(S, W, 0.4) == pytest.approx(likelihood(S, W, 0.4), rel=EXACT)


def test_posterior_is_bayes_rule():
    """log p(x | z) + log p(z) − log p(x) is the log density of the stated Gaussian, at any z."""
    W, mean, z = weights(2), np.arange(D) * 1.0, np.random.default_rng(2).normal(size=(len(X), 2))
    model = PPCA(W, mean, 0.4)
    means, cov = model.posterior(X)
    joint = -0.5 * (((X - z @ W.T - mean) ** 2).sum(axis=1) / 0.4 + D * np.log(2 * np.pi * 0.4))
    joint += -0.5 * ((z**2).sum(axis=1) + 2 * np.log(2 * np.pi))
    offset = z - means
    squared = (offset @ np.linalg.inv(cov) * offset).sum(axis=1)
    stated = -0.5 * (squared + np.log(np.linalg.det(cov)) + 2 * np.log(2 * np.pi))
    np.testing.assert_allclose(joint - model.log_prob(X), stated, rtol=1e-11)
    np.testing.assert_allclose(analytic.posterior_precision(W, 0.4) @ cov, np.eye(2), atol=EXACT)


@pytest.mark.parametrize("M", [1, 2, 3, 4])
def test_the_maximum_is_critical_of_the_stated_value_and_highest(M):
    model, (value, sigma2) = ppca(X + 3.0, M), ppca_optimum(L, M)
    assert model.sigma2 == pytest.approx(sigma2, rel=EXACT) and sigma2 == pytest.approx(
        L[M:].mean(), rel=EXACT
    )
    np.testing.assert_allclose(model.mean, 3.0, rtol=EXACT)
    assert model.log_prob(X + 3.0).mean() == pytest.approx(value, rel=EXACT)
    assert np.abs(slopes(S, model.W, sigma2)).max() < 1e-11
    np.testing.assert_allclose(model.W.T @ model.W, np.diag(L[:M] - sigma2), atol=1e-11)
    rng = np.random.default_rng(M)
    for size in (1e-3, 0.1, 1.0):
        moved = model.W + size * rng.normal(size=model.W.shape)
        assert likelihood(S, moved, sigma2 * np.exp(size * rng.normal())) < value


def test_other_sets_are_critical_and_lower():
    for inside in ((2,), (1, 3), (1,), (1, 2), ()):
        value, sigma2 = ppca_optimum(L, inside)
        I = [i - 1 for i in inside]
        W = np.zeros((D, 3))
        W[:, : len(I)] = U[:, I] * np.sqrt(L[I] - sigma2)
        R = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
        assert likelihood(S, W @ R, sigma2) == pytest.approx(value, rel=EXACT)
        assert np.abs(slopes(S, W @ R, sigma2)).max() < 1e-11
        assert value < ppca_optimum(L, 3)[0]
    assert ppca_optimum(L, 2) == ppca_optimum(L, (2, 1))
    assert ppca_optimum(L, 0)[1] == pytest.approx(L.mean())


def test_em_climbs_monotonically_to_the_maximum():
    models, values = analytic.em_sequence(S, weights(2), 3.0, 600)
    assert len(models) == len(values) == 601
    assert (np.diff(values) > -EXACT * abs(values[-1])).all() and (np.diff(values[:20]) > 0).all()
    best, sigma2 = ppca_optimum(L, 2)
    assert values[-1] == pytest.approx(best, rel=EXACT) and models[-1].sigma2 == pytest.approx(
        sigma2, rel=1e-9
    )
    assert principal_angles(models[-1].W, U[:, :2]).max() < 1e-7
    assert values[5] == pytest.approx(likelihood(S, models[5].W, models[5].sigma2), rel=EXACT)


def test_em_step_maximises_the_expected_complete_likelihood():
    """Exact E step on the data themselves, then the M step as a least-squares fit, datum by
    datum.
    """
    W, sigma2 = weights(3), 0.8
    means, cov = PPCA(W, np.zeros(D), sigma2).posterior(X)
    second = means.T @ means / len(X) + cov
    fitted = X.T @ means / len(X) @ np.linalg.inv(second)
    noise = ((X - means @ fitted.T) ** 2).sum() / len(X) + np.trace(fitted @ cov @ fitted.T)
    following, noise_after = analytic.em_step(S, W, sigma2)
    np.testing.assert_allclose(following, fitted, atol=1e-12)
    assert noise_after == pytest.approx(noise / D, rel=EXACT)


@pytest.mark.parametrize("M", [1, 2, 3])
def test_without_noise_the_angle_shrinks_by_the_stated_rate(M):
    W = weights(M)
    assert analytic.em_rate(L, M) == pytest.approx(L[M] / L[M - 1], rel=EXACT)
    following = analytic.em_step_without_noise(S, W)
    codes = np.linalg.lstsq(W, X.T, rcond=None)[0]
    np.testing.assert_allclose(
        following, X.T @ codes.T @ np.linalg.inv(codes @ codes.T), atol=1e-11
    )
    limit, _ = analytic.em_step(S, W, 1e-9)
    np.testing.assert_allclose(limit, following, atol=1e-7)
    angles = []
    for _ in range(12):
        W = analytic.em_step_without_noise(S, W)
        angles.append(np.tan(principal_angles(W, U[:, :M]).max()))
    factors = np.divide(angles[1:], angles[:-1])
    # the other eigenvalues fade with their own ratios: after 11 steps at most (next ratio /
    # rate)^22 is left
    assert factors[-1] == pytest.approx(L[M] / L[M - 1], rel=0.02) and factors.max() < 1.0


def test_digits_and_its_rank():
    images, _ = digits()
    l = pca(images).eigenvalues / len(images)
    for M in (1, 10, 60):
        model = ppca(images, M)
        assert model.log_prob(images).mean() == pytest.approx(ppca_optimum(l, M)[0], rel=1e-11)
    with pytest.raises(
        DataError, match="the centred data have rank 61, and some variance must be left"
    ):
        ppca(images, 61)


WRONG = [
    (
        lambda: ppca_optimum(L, (4, 5)),
        DataError,
        "no critical point keeps these components\n  components (4, 5), mean of the omitted "
        "eigenvalues 2.56667\n"
        "  fix: name each once; each eigenvalue must exceed the mean of those omitted, and that "
        "must be positive",
    ),
    (
        lambda: ppca_optimum(L, 5),
        DataError,
        "M = 5 is out of range\n  l has 5 eigenvalues, and one must be left\n  fix: choose M from "
        "0 to 4",
    ),
    (
        lambda: ppca_log_likelihood(S, weights(2), 0.0),
        DataError,
        "sigma2 must lie in (0, inf)\n  sigma2 = 0\n"
        "  fix: sigma2 is the variance of the decoder's noise (not its square root): it must be "
        "positive",
    ),
    (
        lambda: analytic.em_step(S, weights(2).T, 1.0),
        ShapeError,
        "W does not fit the others\n  W has shape (2, 5), not (5, any)\n  fix: W is D x M; a "
        "layer's weight is its transpose",
    ),
    (
        lambda: PPCA(weights(2), np.zeros(D), 1.0).log_prob(np.zeros((3, 2))),
        ShapeError,
        "X does not fit the others\n  X has shape (3, 2), not (any, 5)\n  fix: one column for each "
        "row of W",
    ),
    (
        lambda: ppca_optimum(L, (1, 1)),
        DataError,
        "no critical point keeps these components\n  components (1, 1), mean of the omitted "
        "eigenvalues 1.175\n"
        "  fix: name each once; each eigenvalue must exceed the mean of those omitted, and that "
        "must be positive",
    ),
    (
        lambda: analytic.posterior_precision(weights(2), -1.0),
        DataError,
        "sigma2 must lie in (0, inf)\n  sigma2 = -1\n"
        "  fix: sigma2 is the variance of the decoder's noise (not its square root): it must be "
        "positive",
    ),
    (
        lambda: analytic.em_rate([1.0, 0.0, 0.0], 2),
        DataError,
        "eigenvalue 2 is zero\n  a rate divides by it\n  fix: choose M up to the rank",
    ),
]


@pytest.mark.parametrize("call, kind, message", WRONG)
def test_wrong_arguments_are_named_in_three_lines(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
