"""Masked prediction, against regression on data, enumeration of all masks, and published numbers.

Tolerance of an algebraic identity: 1e-12 relative, some thousand roundings of float64.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from minigrad_ae import analytic
from minigrad_ae.analytic import (
    bernoulli_baseline,
    gaussian_conditional,
    pixel_entropy,
    zero_filled_map,
)
from minigrad_ae.data import digits
from minigrad_ae.errors import DataError, DtypeError, ShapeError

EXACT = 1e-12
D = 6


def data(N=50):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, D)) @ rng.normal(size=(D, D))
    return X - X.mean(axis=0)


X = data()
S = X.T @ X / len(X)


def autoregressive(L=12, rho=0.9):
    return rho ** np.abs(np.subtract.outer(np.arange(L), np.arange(L)))


def mask(*hidden, size=D):
    result = np.zeros(size, dtype=bool)
    result[list(hidden)] = True
    return result


@pytest.mark.parametrize("hidden", [(0,), (1, 4), (0, 2, 3, 5), (0, 1, 2, 3, 4, 5)])
def test_conditional_is_the_regression_on_the_data(hidden):
    conditional, m = gaussian_conditional(S, mask(*hidden)), mask(*hidden)
    fitted, *_ = np.linalg.lstsq(X[:, ~m], X[:, m], rcond=None)
    residual = X[:, m] - X[:, ~m] @ fitted
    np.testing.assert_allclose(conditional.predictor, fitted.T, atol=1e-10)
    np.testing.assert_allclose(conditional.covariance, residual.T @ residual / len(X), atol=1e-10)
    assert conditional.squared_error == pytest.approx((residual**2).sum(axis=1).mean(), rel=1e-10)
    assert conditional.masked == hidden and set(conditional.visible) | set(hidden) == set(range(D))
    mean = np.arange(D) * 1.0
    blind = np.where(m, 1e6, X + mean)  # what is hidden is not read
    np.testing.assert_allclose(
        conditional.predict(blind, mean), X[:, ~m] @ fitted + mean[m], atol=1e-10
    )


def test_inverse_covariance_holds_every_conditional():
    """Cov[x_m | x_v] is the inverse of the masked block of S⁻¹."""
    for hidden in combinations(range(D), 3):
        block = np.linalg.inv(S)[np.ix_(hidden, hidden)]
        conditional = gaussian_conditional(S, mask(*hidden))
        np.testing.assert_allclose(
            conditional.covariance, np.linalg.inv(block), rtol=1e-9, atol=1e-10
        )


def test_constant_and_repeated_features_do_no_harm():
    wide = np.hstack([X, np.zeros((len(X), 1)), X[:, :1]])
    moments = wide.T @ wide / len(X)
    assert gaussian_conditional(moments, mask(0, size=8)).squared_error == pytest.approx(
        0, abs=1e-10
    )
    first = gaussian_conditional(moments, mask(2, size=8)).squared_error
    assert first == pytest.approx(gaussian_conditional(S, mask(2)).squared_error, rel=1e-9)


def test_small_units_are_not_rounding():
    """A feature 1e-9 as large as the others predicts its neighbour as well as in any other unit."""
    for unit in (1.0, 1e-9, 1e-40, 1e30):
        units = np.array([1.0, unit])
        pair = np.array([[1.0, 0.9], [0.9, 1.0]]) * units * units[:, None]
        found = gaussian_conditional(pair, [True, False])
        assert found.predictor[0, 0] * unit == pytest.approx(0.9, rel=1e-14)
        assert found.squared_error == pytest.approx(0.19, rel=1e-13)
        wide = np.array([[4.0, 0.0, 0.0], [0.0, 1.0, 0.9], [0.0, 0.9, 1.0]])
        wide[1:, 1:] *= unit**2  # both visible features beside a large one
        assert gaussian_conditional(wide, [False, True, False]).predictor[0, 1] == pytest.approx(
            0.9, rel=1e-13
        )


def over_all_masks(A, S, K, patches):
    """E over masks that hide i of E (x_i − row i of A times the visible x)², for each i, mask by
    mask.
    """
    total, count = np.zeros(len(S)), np.zeros(len(S))
    for hidden in combinations(range(patches.max() + 1), K):
        visible = ~np.isin(patches, hidden)
        R = np.eye(len(S)) - A * visible
        errors = np.einsum("ij,jk,ik->i", R, S, R)
        total, count = total + errors * ~visible, count + ~visible
    return total / count


@pytest.mark.parametrize("patches", [np.arange(D), np.array([0, 0, 1, 1, 2, 3])])
@pytest.mark.parametrize("K", [1, 2, 3])
def test_zero_filled_map_is_best_over_all_masks(patches, K):
    best = zero_filled_map(S, K, patches)
    errors = over_all_masks(best.matrix, S, K, patches)
    np.testing.assert_allclose(best.squared_errors, errors, rtol=1e-10)
    rng = np.random.default_rng(1)
    for size in (1e-3, 0.1, 1.0):
        moved = best.matrix + size * rng.normal(size=(D, D))
        assert (over_all_masks(moved, S, K, patches) > errors).all()
    assert (best.matrix[patches[:, None] == patches] == 0).all()
    if K > 1:  # one map for all masks: above the conditional
        each = [
            gaussian_conditional(S, np.isin(patches, hidden))
            for hidden in combinations(range(patches.max() + 1), K)
        ]
        least = sum(c.squared_error for c in each) / sum(len(c.masked) for c in each)
        if patches.max() == K:  # one patch is visible: a map of its own reads it
            assert best.squared_errors.mean() == pytest.approx(least, rel=1e-12)
        else:
            assert best.squared_errors.mean() > least * (1 + 1e-9)


def test_two_patches_leave_one_visible():
    best = zero_filled_map(S, 1, [0, 0, 0, 1, 1, 1])
    conditional = gaussian_conditional(S, mask(0, 1, 2))
    np.testing.assert_allclose(best.matrix[:3, 3:], conditional.predictor, atol=1e-10)
    assert best.squared_errors[:3].sum() == pytest.approx(conditional.squared_error, rel=1e-10)


def test_autoregressive_process_over_all_masks():
    """AR(1), ρ = 0.9, 12 features, 25/50/75 % hidden, mean per hidden feature, every mask
    counted.
    """
    process = autoregressive()
    precision = np.linalg.inv(process)
    for K, conditional, single in ((3, 0.1375, 0.183), (6, 0.1850, 0.259), (9, 0.3006, 0.363)):
        assert zero_filled_map(process, K).squared_errors.mean() == pytest.approx(single, abs=6e-4)
        subsets = list(combinations(range(12), K))
        blocks = np.array([precision[np.ix_(hidden, hidden)] for hidden in subsets])
        exact = np.trace(np.linalg.inv(blocks), axis1=1, axis2=2) / K
        assert exact.mean() == pytest.approx(conditional, abs=6e-5)
        for hidden, error in list(zip(subsets, exact, strict=True))[::10]:
            assert gaussian_conditional(
                process, mask(*hidden, size=12)
            ).squared_error / K == pytest.approx(error, rel=1e-11)
    middle = gaussian_conditional(process, mask(5, size=12)).squared_error  # between two neighbours
    assert middle == pytest.approx((1 - 0.9**2) / (1 + 0.9**2), rel=EXACT)


def test_digits_have_the_published_floor():
    """2 x 2 patches, 75 % hidden, 1,437 train, rest test, + 1e-3 I: .0514 (published standard error
    .0007).
    """
    (train, _), (test, _) = digits("train"), digits("test")
    mean = train.mean(axis=0)
    moments = (train - mean).T @ (train - mean) / len(train) + 1e-3 * np.eye(64)
    rows, columns = np.divmod(np.arange(64), 8)
    patches, rng, errors = rows // 2 * 4 + columns // 2, np.random.default_rng(3), []
    for _ in range(60):
        hidden = np.isin(patches, rng.permutation(16)[:12])
        answer = gaussian_conditional(moments, hidden).predict(test, mean)
        errors.append(((answer - test[:, hidden]) ** 2).mean())
    assert abs(np.mean(errors) - 0.0514) < 4 * np.hypot(
        0.0007, np.std(errors, ddof=1) / np.sqrt(60)
    )
    assert ((test - mean) ** 2).mean() == pytest.approx(0.0737, abs=6e-5)


def test_masked_mean_is_hypergeometric():
    losses = np.random.default_rng(4).normal(size=7)
    for K in range(1, 8):
        subsets = list(combinations(range(7), K))
        means = [losses[list(subset)].mean() for subset in subsets]
        assert np.mean(means) == pytest.approx(losses.mean(), abs=EXACT)
        assert analytic.masked_mean_variance(losses, K) == pytest.approx(np.var(means), abs=EXACT)
        one, two = analytic.mask_probabilities(7, K)
        assert one == pytest.approx(np.mean([3 in subset for subset in subsets]), abs=EXACT)
        assert two == pytest.approx(
            np.mean([{3, 5} <= set(subset) for subset in subsets]), abs=EXACT
        )
    assert (
        analytic.mask_probabilities(1, 1) == (1.0, 0.0)
        and analytic.masked_mean_variance([2.0], 1) == 0.0
    )


@pytest.mark.parametrize("P, value", [(16, 0.9375), (48, 0.9792), (768, 0.9987)])
def test_answering_zero_costs_almost_one(P, value):
    patches = np.random.default_rng(5).normal(size=(30, P)) * 10 + 4
    assert analytic.zero_prediction_loss(patches) == pytest.approx(value, abs=6e-5)
    for eps in (1e-6, 1.0, 100.0):
        normed = patches - patches.mean(axis=1, keepdims=True)
        normed /= np.sqrt(patches.var(axis=1, ddof=1, keepdims=True) + eps)
        assert analytic.zero_prediction_loss(patches, eps) == pytest.approx(
            (normed**2).mean(), rel=EXACT
        )
    flat = np.vstack([patches, np.ones((30, P))])
    assert analytic.zero_prediction_loss(flat) == pytest.approx(
        analytic.zero_prediction_loss(patches) / 2, rel=EXACT
    )


def test_no_other_constant_costs_less_than_the_mean_and_nothing_less_than_the_entropy():
    images, _ = digits()
    N = len(images)
    p = np.clip(images.mean(axis=0), 0.5 / N, 1 - 0.5 / N)
    cost = bernoulli_baseline(images, p)
    assert cost == pytest.approx(
        -(images * np.log(p) + (1 - images) * np.log(1 - p)).sum(axis=1).mean(), rel=EXACT
    )
    rng = np.random.default_rng(6)
    for size in (0.01, 0.2):
        logits = np.log(p / (1 - p)) + size * rng.normal(size=64)
        assert bernoulli_baseline(images, 1 / (1 + np.exp(-logits))) > cost
    itself = np.mean([bernoulli_baseline(x[None], x) for x in images[:200]])
    assert pixel_entropy(images[:200]) == pytest.approx(itself, rel=EXACT)
    assert pixel_entropy(np.round(images)) == 0.0 and pixel_entropy([[0.5]]) == pytest.approx(
        np.log(2)
    )
    assert pixel_entropy(images) < cost
    assert bernoulli_baseline([[0.0, 1.0]], [0.0, 1.0]) == 0.0


WRONG = [
    (
        lambda: gaussian_conditional(S, [0, 1]),
        DtypeError,
        "masked must be a boolean array with one entry for each feature\n"
        "  masked has dtype int64 and shape (2,), S has 6 features\n"
        "  fix: mask = np.zeros(D, dtype=bool); mask[hidden_features] = True",
    ),
    (
        lambda: gaussian_conditional(S, mask(0, size=5)),
        ShapeError,
        "masked must be a boolean array with one entry for each feature\n"
        "  masked has dtype bool and shape (5,), S has 6 features\n"
        "  fix: mask = np.zeros(D, dtype=bool); mask[hidden_features] = True",
    ),
    (
        lambda: gaussian_conditional(S, mask()),
        DataError,
        "no feature is masked\n  0 of 6\n  fix: hide at least one feature",
    ),
    (
        lambda: zero_filled_map(S, 6),
        DataError,
        "K = 6 is out of range\n  there are 6 patches, and one must stay visible\n  fix: choose K "
        "from 1 to 5",
    ),
    (
        lambda: analytic.masked_mean_variance([1.0, 2.0], 3),
        DataError,
        "K = 3 is out of range\n  K of the 2 patches are hidden\n  fix: choose K from 1 to 2",
    ),
    (
        lambda: analytic.zero_prediction_loss([[1.0]]),
        DataError,
        "the number of pixels in a patch = 1 is out of range\n  one pixel has no variance\n"
        "  fix: choose the number of pixels in a patch from 2 to 1000000000",
    ),
    (
        lambda: pixel_entropy([[0.0, 255.0]]),
        DataError,
        "X must lie in [0, 1]\n  its entries run from 0 to 255\n"
        "  fix: a Bernoulli pixel is a probability: divide by the largest grey level",
    ),
    (
        lambda: bernoulli_baseline([[0.0, 1.0]], [0.0, 0.0]),
        DataError,
        "some pixels were impossible under these probabilities, and the cost is infinite\n"
        "  1 pixels have p = 0 with x > 0, or p = 1 with x < 1\n"
        "  fix: clip the probabilities: np.clip(p, 0.5 / N, 1 - 0.5 / N), N the number of training "
        "images",
    ),
]


@pytest.mark.parametrize("call, kind, message", WRONG)
def test_wrong_arguments_are_named_in_three_lines(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
