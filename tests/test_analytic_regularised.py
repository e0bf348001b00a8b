"""Penalties that make single components identifiable: the stated minimum is critical, of the stated
loss, and lowest.

Tolerance of an algebraic identity: 1e-12 relative, some thousand roundings of float64.
"""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from helpers import with_eigenvalues

from minigrad_ae import analytic
from minigrad_ae.analytic import pca
from minigrad_ae.errors import DataError, ShapeError

EXACT = 1e-12
S = np.array([9.0, 5.5, 3.2, 1.7, 0.6])


def penalised_loss(X, W1, W2, lam):
    """½ Σ ‖x − W2 W1 x‖² + ½ Σ_k λ_k (‖row k of W1‖² + ‖column k of W2‖²), in complex arithmetic
    too.
    """
    penalty = (lam * ((W1**2).sum(axis=1) + (W2**2).sum(axis=0))).sum()
    return 0.5 * ((X @ (W2 @ W1).T - X) ** 2).sum() + 0.5 * penalty


def product_loss(X, W1, W2, lam):
    return 0.5 * ((X @ (W2 @ W1).T - X) ** 2).sum() + 0.5 * lam * ((W2 @ W1) ** 2).sum()


def nested_loss(X, W1, W2, p):
    return sum(
        p[j] * 0.5 * ((X @ (W2[:, : j + 1] @ W1[: j + 1]).T - X) ** 2).sum() for j in range(len(p))
    )


def slope(loss, W1, W2):
    """The largest directional derivative along 20 random directions, by a complex step."""
    rng = np.random.default_rng(8)
    steps = [(rng.normal(size=W1.shape), rng.normal(size=W2.shape)) for _ in range(20)]
    return max(abs(loss(W1 + 1e-30j * a, W2 + 1e-30j * b).imag / 1e-30) for a, b in steps)


def is_minimum(loss, W1, W2, value):
    """Critical, of the stated value, and lower than everything around it."""
    rng = np.random.default_rng(9)
    around = [
        loss(W1 + size * rng.normal(size=W1.shape), W2 + size * rng.normal(size=W2.shape))
        for size in np.repeat([1e-3, 0.1, 1.0, 3.0], 10)
    ]
    return (
        slope(loss, W1, W2) < 1e-11
        and loss(W1, W2) == pytest.approx(value, rel=EXACT)
        and min(around) > value
    )


@pytest.mark.parametrize("lam", [0.0, 0.05, 2.0, 4.0, 20.0, (0.1, 0.4, 1.3), (0.5, 4.0, 6.0)])
def test_l2_minimum_is_shrunk_pca(lam):
    X, U = with_eigenvalues(S)
    sigma = analytic.singular_values_regularised(S, 3, lam)
    W2 = U[:, :3] * sigma
    penalties = np.broadcast_to(lam, 3)
    value = analytic.optimal_loss_regularised(S, 3, lam)
    assert is_minimum(lambda W1, W2: penalised_loss(X, W1, W2, penalties), W2.T, W2, value)
    if lam == 0.0:
        assert value == pytest.approx(pca(X).optimal_loss(3), rel=EXACT)


def test_the_smallest_penalty_belongs_to_the_largest_eigenvalue():
    lam = np.array([0.3, 1.1, 2.5])
    pairings = []
    for order in permutations(S, 3):
        s = np.array(order)
        cost = np.where(s > lam, 2 * lam - lam**2 / s, s)
        pairings.append(0.5 * (cost.sum() + S.sum() - s.sum()))
    assert analytic.optimal_loss_regularised(S, 3, lam) == pytest.approx(min(pairings), rel=EXACT)
    assert analytic.optimal_loss_regularised(S, 3, lam[::-1]) == pytest.approx(
        min(pairings), rel=EXACT
    )


def test_eigenvalues_are_read_off_the_decoder():
    sigma = analytic.singular_values_regularised(S, 4, 0.4)
    np.testing.assert_allclose(
        analytic.eigenvalues_from_singular_values(sigma, 0.4), S[:4], rtol=EXACT
    )


@pytest.mark.parametrize("lam", [0.0, 0.7, 30.0])
def test_product_penalty_shrinks_like_ridge_regression(lam):
    X, U = with_eigenvalues(S)
    root = np.sqrt(analytic.shrinkage_product(S, 2, lam))
    value = analytic.optimal_loss_product(S, 2, lam)
    assert is_minimum(
        lambda W1, W2: product_loss(X, W1, W2, lam), (U[:, :2] * root).T, U[:, :2] * root, value
    )
    assert np.array_equal(analytic.shrinkage_product([1.0, 0.0], 2, 0.0), [1.0, 0.0])


@pytest.mark.parametrize("weights", [None, (0.2, 0.5, 0.3)])
def test_nested_dropout_is_optimal_at_every_prefix(weights):
    X, U = with_eigenvalues(S)
    p = np.full(3, 1 / 3) if weights is None else weights
    value = analytic.optimal_loss_nested(S, 3, weights)
    assert value == pytest.approx(
        sum(p[j] * pca(X).optimal_loss(j + 1) for j in range(3)), rel=1e-11
    )
    assert is_minimum(lambda W1, W2: nested_loss(X, W1, W2, p), U[:, :3].T, U[:, :3], value)


WRONG = [
    (
        lambda: analytic.optimal_loss_regularised([1.0, 2.0, -1.0], 1, 0.1),
        DataError,
        "s must be eigenvalues of XᵀX, largest first\n  s has 1 negative and 1 increasing steps\n"
        "  fix: use pca(X).eigenvalues, or np.sort(s)[::-1]",
    ),
    (
        lambda: analytic.optimal_loss_regularised(S, 6, 0.1),
        DataError,
        "M = 6 is out of range\n  s has 5 eigenvalues\n  fix: choose M from 1 to 5",
    ),
    (
        lambda: analytic.optimal_loss_regularised(S, 3, [1.0, 2.0]),
        ShapeError,
        "lam must be one number, or one for each latent unit\n  lam has shape (2,), not () or (3,)"
        "\n  fix: lam weighs the penalty: choose one lam >= 0, or one for each latent unit",
    ),
    (
        lambda: analytic.optimal_loss_product(S, 3, -1),
        DataError,
        "lam must lie in [0, inf)\n  lam = -1\n  fix: lam weighs the penalty: choose one lam >= 0, "
        "or one for each latent unit",
    ),
    (
        lambda: analytic.eigenvalues_from_singular_values([1.0, 0.5], 0.1),
        DataError,
        "singular_values must lie in [0, 1)\n  its entries run from 0.5 to 1\n"
        "  fix: train with L2 on both layers (lam > 0), up to convergence",
    ),
    (
        lambda: analytic.optimal_loss_nested(S, 2, [0.5, 0.6]),
        DataError,
        "weights must be positive and sum to 1\n  the smallest is 0.5, the sum is 1.1\n  fix: "
        "divide them by their sum",
    ),
    (
        lambda: analytic.optimal_loss_nested(S, 2, [1.0]),
        ShapeError,
        "weights does not fit the others\n  weights has shape (1,), not (2)\n"
        "  fix: give one probability for each",
    ),
]


@pytest.mark.parametrize("call, kind, message", WRONG, ids=[row[2].split("\n")[0] for row in WRONG])
def test_wrong_arguments_are_named_in_three_lines(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
