"""The best linear denoisers, against sampled noise, enumerated masks, and alternating least
squares.

Tolerance of an algebraic identity: 1e-12 relative, some thousand roundings of float64.  Sampled: 4
standard errors.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from minigrad_ae import analytic
from minigrad_ae.analytic import (
    best_denoiser,
    denoising_loss,
    dropout_moments,
    gaussian_moments,
    pca,
)
from minigrad_ae.errors import DataError, ShapeError

EXACT = 1e-12
D = 4
SIGMA = np.array([0.2, 2.0, 0.5, 0.1])
KEEP = np.array([0.5, 0.9, 1.0, 0.7])
MEAN = np.array([1.0, -0.5, 2.0, 0.3])
NOISES = {
    "isotropic": lambda S: gaussian_moments(S, 0.8),
    "anisotropic": lambda S: gaussian_moments(S, SIGMA),
    "dropout": lambda S: dropout_moments(S, 0.6),
    "dropout of uncentred data": lambda S: dropout_moments(S, KEEP, MEAN),
}


def data(N=60):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D)) * [2.0, 1.4, 0.8, 0.5] @ np.linalg.qr(rng.normal(size=(D, D)))[0]
    return X - X.mean(axis=0)


X = data()
S = X.T @ X / len(X)


def loss_by_averaging(A, clean, corruptions):
    """E ‖x − A x̃ − b‖² with the best b, over every datum and every corruption (weight, noisy copy
    of the data).
    """
    noisy_mean = sum(weight * noisy.mean(axis=0) for weight, noisy in corruptions)
    centre = clean.mean(axis=0)
    return sum(
        weight * ((clean - centre - (noisy - noisy_mean) @ A.T) ** 2).sum(axis=1).mean()
        for weight, noisy in corruptions
    )


def all_masks(clean, keep):
    """Every mask with its probability: the exact expectation, 2^D terms."""
    masks = np.array(list(product((0.0, 1.0), repeat=D)))
    return [(np.where(mask == 1, keep, 1 - keep).prod(), clean * mask) for mask in masks]


@pytest.mark.parametrize("keep, mean", [(0.6, 0 * MEAN), (KEEP, MEAN)])
def test_dropout_loss_is_the_average_over_all_masks(keep, mean):
    A = np.random.default_rng(1).normal(size=(D, D))
    exact = loss_by_averaging(A, X + mean, all_masks(X + mean, np.broadcast_to(keep, D)))
    assert denoising_loss(A, dropout_moments(S, keep, mean)) == pytest.approx(exact, rel=EXACT)
    assert sum(analytic.ridge_dropout(A, S, keep, mean)) == pytest.approx(exact, rel=EXACT)
    clean, penalty = analytic.ridge_dropout(A, S, keep, mean)
    residual = X - X @ (A * keep).T
    assert clean == pytest.approx((residual**2).sum(axis=1).mean(), rel=EXACT) and penalty > 0


@pytest.mark.parametrize("sigma", [0.8, SIGMA])
def test_gaussian_loss_is_the_average_over_mirrored_noise(sigma):
    """2D points of covariance σ² (± √D σ along each axis) have the second moments of the noise:
    exact for squares.
    """
    A = np.random.default_rng(1).normal(size=(D, D))
    points = np.sqrt(D) * np.concatenate([np.eye(D), -np.eye(D)]) * sigma
    exact = loss_by_averaging(A, X, [(1 / (2 * D), X + point) for point in points])
    assert denoising_loss(A, gaussian_moments(S, sigma)) == pytest.approx(exact, rel=EXACT)
    clean, penalty = analytic.ridge_gaussian(A, S, sigma)
    assert clean + penalty == pytest.approx(exact, rel=EXACT)
    assert clean == pytest.approx(((X - X @ A.T) ** 2).sum(axis=1).mean(), rel=EXACT)


def test_sampled_noise_has_these_losses():
    rng = np.random.default_rng(3)
    A = rng.normal(size=(D, D))
    clean = np.repeat(X, 2000, axis=0) + MEAN
    drawn = {
        "anisotropic": clean + SIGMA * rng.normal(size=clean.shape),
        "dropout of uncentred data": clean * (rng.random(clean.shape) < KEEP),
    }
    centre = {"anisotropic": MEAN, "dropout of uncentred data": KEEP * MEAN}
    for name, noisy in drawn.items():
        errors = ((clean - MEAN - (noisy - centre[name]) @ A.T) ** 2).sum(axis=1)
        # one average over the data for each of 2000 draws
        errors = errors.reshape(len(X), -1).mean(axis=0)
        assert abs(errors.mean() - denoising_loss(A, NOISES[name](S))) < 4 * errors.std(
            ddof=1
        ) / np.sqrt(2000)


def alternate(moments, M, sweeps=3000):
    """min over W2 (D x M), W1 (M x D) of the loss of W2 W1 by least squares in turn: finds it, or
    stops at a saddle.
    """
    rng = np.random.default_rng(4)
    W1 = rng.normal(size=(M, D))
    full = moments.P @ np.linalg.inv(moments.Q)
    for _ in range(sweeps):
        W2 = moments.P @ W1.T @ np.linalg.inv(W1 @ moments.Q @ W1.T)
        W1 = np.linalg.pinv(W2) @ full
    return W2 @ W1


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("M", [1, 2, 3, 4])
def test_no_map_of_rank_M_denoises_better(noise, M):
    moments = NOISES[noise](S)
    best = best_denoiser(moments, M)
    assert np.linalg.matrix_rank(best.matrix) == M and best.basis.shape == (D, M)
    assert denoising_loss(best.matrix, moments) == pytest.approx(best.loss, rel=EXACT)
    np.testing.assert_allclose(alternate(moments, M), best.matrix, atol=1e-9)
    rng = np.random.default_rng(5)
    left, middle, right = np.linalg.svd(best.matrix)
    for size in (1e-3, 0.1, 1.0):
        W2 = left[:, :M] * middle[:M] + size * rng.normal(size=(D, M))
        W1 = right[:M] + size * rng.normal(size=(M, D))
        assert denoising_loss(W2 @ W1, moments) > best.loss
    assert best_denoiser(moments).loss == best_denoiser(moments, D).loss <= best.loss
    assert (np.diff(best.captured) <= 0).all()


def test_isotropic_noise_shrinks_the_principal_components():
    result = pca(X)
    l = result.eigenvalues / len(X)
    for M in range(D + 1):
        best = best_denoiser(gaussian_moments(S, 0.8), M)
        U, shrinkage = result.components[:, :M], analytic.gaussian_shrinkage(l, 0.8, M)
        np.testing.assert_allclose(best.matrix, U * shrinkage @ U.T, atol=EXACT)
        assert best.loss == pytest.approx(analytic.gaussian_denoising_loss(l, 0.8, M), rel=EXACT)
        np.testing.assert_allclose(shrinkage, l[:M] / (l[:M] + 0.64), rtol=EXACT)
        if M:
            assert len(X) * best.loss == pytest.approx(
                2 * analytic.optimal_loss_product(result.eigenvalues, M, len(X) * 0.64), rel=EXACT
            )


def test_without_noise_it_is_pca_and_dependent_features_do_no_harm():
    wide = np.hstack([X, X[:, :1] + X[:, 1:2], np.zeros((len(X), 1))])
    moments = gaussian_moments(wide.T @ wide / len(X), 0.0)
    best = best_denoiser(moments, 2)
    np.testing.assert_allclose(best.matrix, pca(wide).projector(2), atol=1e-10)
    assert best.loss == pytest.approx(2 * pca(wide).optimal_loss(2) / len(X), rel=EXACT)
    assert best_denoiser(moments).loss == pytest.approx(0, abs=EXACT)
    assert analytic.gaussian_denoising_loss([1.0, 0.0], 0.0, 2) == 0.0


def test_noise_can_change_the_order_of_the_directions():
    """Strong noise on the feature of largest variance: PCA takes feature 1, the denoiser
    feature 2.
    """
    best = best_denoiser(gaussian_moments(np.diag([2.0, 1.0]), [3.0, 0.1]), 1)
    np.testing.assert_allclose(best.matrix, np.diag([0.0, 1 / 1.01]), atol=EXACT)


def test_a_frozen_copy_looks_better_than_it_is():
    """Fitted to the noise that was drawn: on average below the least loss on fresh noise, E min <
    min E.
    """
    rng = np.random.default_rng(6)
    fresh, seen = gaussian_moments(S, 0.8), []
    for _ in range(30):
        noisy = X + 0.8 * rng.normal(size=X.shape)
        frozen = analytic.empirical_moments(X + 1.0, noisy + 1.0)
        A = best_denoiser(frozen, 2).matrix
        seen.append(((X - (noisy - noisy.mean(axis=0)) @ A.T) ** 2).sum(axis=1).mean())
        assert denoising_loss(A, frozen) == pytest.approx(seen[-1], rel=EXACT)
        assert denoising_loss(A, fresh) > best_denoiser(fresh, 2).loss
    assert np.mean(seen) < best_denoiser(fresh, 2).loss


WRONG = [
    (
        lambda: gaussian_moments(S, -0.1),
        DataError,
        "sigma must lie in [0, inf)\n  its entries are all -0.1\n"
        "  fix: sigma is a standard deviation (not a variance): choose it >= 0",
    ),
    (
        lambda: dropout_moments(S, [0.5, 0.5]),
        ShapeError,
        "keep must be one number, or one for each feature\n  keep has shape (2,), not () or (4,)\n"
        "  fix: keep is the probability that a feature survives; the probability of zeroing it is "
        "1 - keep",
    ),
    (
        lambda: dropout_moments(S, 0.0),
        DataError,
        "keep must lie in (0, 1]\n  its entries are all 0\n"
        "  fix: keep is the probability that a feature survives; the probability of zeroing it is "
        "1 - keep",
    ),
    (
        lambda: gaussian_moments([[1.0, 0.5], [0.0, 1.0]], 1.0),
        DataError,
        "S is not a covariance\n  asymmetry 0.5, smallest eigenvalue 1\n"
        "  fix: a covariance is symmetric and has no negative eigenvalue: X.T @ X / len(X)",
    ),
    (
        lambda: gaussian_moments(X, 1.0),
        ShapeError,
        "S is not a 60 x 60 covariance\n  S has shape (60, 4)\n  fix: use X.T @ X / len(X)",
    ),
    (
        lambda: denoising_loss(np.eye(3), gaussian_moments(S, 1.0)),
        ShapeError,
        "A does not fit the others\n  A has shape (3, 3), not (4, 4)\n"
        "  fix: A maps D features to D features: W2 @ W1, weights of layers transposed",
    ),
    (
        lambda: best_denoiser(gaussian_moments(S, 1.0), 5),
        DataError,
        "M = 5 is out of range\n  the data have 4 features\n  fix: choose M from 0 to 4",
    ),
]


@pytest.mark.parametrize("call, kind, message", WRONG)
def test_wrong_arguments_are_named_in_three_lines(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
