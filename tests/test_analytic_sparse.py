"""Sparse codes, against brute force over all supports, against coordinate descent, and against
their own certificates.

Tolerance of an algebraic identity: 1e-12 relative, some thousand roundings of float64.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from minigrad_ae import analytic
from minigrad_ae.analytic import (
    codes_on_support,
    fista,
    ista,
    lambda_max,
    pca,
    soft_threshold,
    sparse_loss,
)
from minigrad_ae.errors import DataError, DtypeError, ShapeError

EXACT = 1e-12
N, D, M = 6, 5, 4
LAM = 0.7


def problem(columns=M, seed=0):
    """X and a decoder with singular values from 0.7 to 1.5, so that iterations converge in some
    hundred steps.
    """
    rng = np.random.default_rng(seed)
    left, _, right = np.linalg.svd(rng.normal(size=(D, columns)), full_matrices=False)
    return 2 * rng.normal(size=(N, D)), left * np.linspace(1.5, 0.7, min(D, columns)) @ right


def loss(x, W, z, lam):
    return 0.5 * ((x - W @ z) ** 2).sum() + lam * np.abs(z).sum()


def by_brute_force(x, W, lam):
    """Stationary point for every pattern of signs; the lowest one whose signs agree is the
    minimum.
    """
    best = (np.inf, np.zeros(W.shape[1]))
    for signs in product((-1.0, 0.0, 1.0), repeat=W.shape[1]):
        sign, z = np.array(signs), np.zeros(W.shape[1])
        A = sign != 0
        z[A] = np.linalg.lstsq(W[:, A].T @ W[:, A], W[:, A].T @ x - lam * sign[A], rcond=None)[0]
        if (np.sign(z) == sign).all():
            best = min(best, (loss(x, W, z, lam), z), key=lambda pair: pair[0])
    return best


def by_coordinates(x, W, lam, sweeps=300):
    """Exact minimisation in one code at a time: another algorithm for the same minimum."""
    z = np.zeros(W.shape[1])
    for _ in range(sweeps):
        for j, w in enumerate(W.T):
            a = w @ (x - W @ z) + w @ w * z[j]
            z[j] = np.sign(a) * max(abs(a) - lam, 0) / (w @ w)
    return z


def test_soft_threshold_minimises_its_scalar_problem():
    grid = np.linspace(-4, 4, 80001)  # a step of 1e-4 finds the minimum to half a step
    for a in (-3.0, -0.7, -0.2, 0.0, 0.69, 0.71, 2.5):
        best = grid[np.argmin(0.5 * (a - grid) ** 2 + LAM * np.abs(grid))]
        assert float(soft_threshold(a, LAM)) == pytest.approx(best, abs=6e-5)
    assert np.array_equal(soft_threshold([[2.0, -2.0, 0.5]], 1.0), [[1.0, -1.0, 0.0]])


def test_orthonormal_decoder_is_one_threshold():
    X, W = problem()
    Q = np.linalg.qr(W)[0]
    Z = soft_threshold(X @ Q, LAM)
    assert analytic.kkt_residual(X, Q, Z, LAM).max() < EXACT
    assert np.abs(analytic.duality_gap(X, Q, Z, LAM)).max() < EXACT
    np.testing.assert_allclose(ista(X, Q, LAM, steps=1).codes, Z, atol=EXACT)
    assert 0 < (Z == 0).mean() < 1


@pytest.mark.parametrize("lam", [0.0, 0.1, LAM, 3.0])
def test_fista_and_ista_find_the_brute_force_minimum(lam):
    X, W = problem()
    for method, steps in ((ista, 1000), (fista, 1000)):
        found = method(X, W, lam, steps=steps, tolerance=1e-13)
        for x, z in zip(X, found.codes, strict=True):
            value, exact = by_brute_force(x, W, lam)
            np.testing.assert_allclose(z, exact, atol=1e-10)
            assert loss(x, W, z, lam) == pytest.approx(value, rel=EXACT)
        assert found.kkt_residual.max() < 1e-10 and (lam == 0 or found.duality_gap.max() < 1e-9)


def test_an_overcomplete_decoder_reaches_the_minimum_of_coordinate_descent():
    X, W = problem(columns=9, seed=3)
    found = fista(X, W, LAM, steps=5000, tolerance=1e-12)
    other = np.array([by_coordinates(x, W, LAM) for x in X])
    np.testing.assert_allclose(
        sparse_loss(X, W, found.codes, LAM), sparse_loss(X, W, other, LAM), rtol=1e-11
    )
    assert found.kkt_residual.max() <= 1e-12 and found.steps < 5000
    exact = codes_on_support(X, W, LAM, np.sign(found.codes))
    np.testing.assert_allclose(exact, found.codes, atol=1e-9)
    assert analytic.kkt_residual(X, W, exact, LAM).max() < 1e-13
    np.testing.assert_allclose(
        sparse_loss(X, W, other, LAM), [loss(x, W, z, LAM) for x, z in zip(X, other, strict=True)]
    )


def test_the_gap_bounds_the_distance_to_the_minimum_from_any_code():
    X, W = problem()
    rng = np.random.default_rng(1)
    best = sparse_loss(X, W, fista(X, W, LAM, steps=2000, tolerance=1e-13).codes, LAM)
    for size in (0.0, 0.01, 1.0, 10.0):
        Z = size * rng.normal(size=(N, M))
        excess = sparse_loss(X, W, Z, LAM) - best
        gap = analytic.duality_gap(X, W, Z, LAM)
        assert (gap >= excess - EXACT).all()
        residual = X - Z @ W.T
        theta = residual * np.minimum(1, LAM / np.abs(residual @ W).max(axis=1, keepdims=True))
        assert np.abs(theta @ W).max() <= LAM * (1 + EXACT)  # feasible
        dual = 0.5 * (X**2).sum(axis=1) - 0.5 * ((X - theta) ** 2).sum(axis=1)
        np.testing.assert_allclose(gap, sparse_loss(X, W, Z, LAM) - dual, rtol=1e-11, atol=1e-11)


def test_kkt_residual_is_the_distance_of_zero_from_the_subdifferential():
    """Move one code of the optimum by h: F has curvature W_jᵀW_j, so the condition is off by h
    W_jᵀW_j, or more.
    """
    X, W = problem()
    Z = codes_on_support(X, W, LAM, np.sign(fista(X, W, LAM, steps=2000, tolerance=1e-13).codes))
    for n, j in zip(*np.nonzero(Z), strict=True):
        moved = Z.copy()
        moved[n, j] *= 1.001
        assert analytic.kkt_residual(X, W, moved, LAM)[n] >= 0.001 * abs(Z[n, j]) * (
            W[:, j] ** 2
        ).sum() * (1 - 1e-9)
    n, j = np.argwhere(Z == 0)[0]
    moved = Z.copy()
    moved[n, j] = 1e-9  # a code that should be 0 has the wrong sign condition at once
    correlation = (X[n] - W @ Z[n]) @ W[:, j]
    assert analytic.kkt_residual(X, W, moved, LAM)[n] == pytest.approx(
        abs(correlation - LAM), abs=1e-7
    )


def test_lambda_max_is_where_the_first_code_appears():
    X, W = problem()
    for x, limit in zip(X, lambda_max(X, W), strict=True):
        assert np.array_equal(
            fista(x[None], W, limit * (1 + EXACT), steps=100).codes, np.zeros((1, M))
        )
        assert np.count_nonzero(fista(x[None], W, 0.99 * limit, steps=500).codes) == 1


@pytest.mark.parametrize("accelerated", [False, True])
def test_rates_hold_at_every_step(accelerated):
    X, W = problem(columns=9, seed=3)
    optimum = fista(X, W, LAM, steps=5000, tolerance=1e-12).codes
    best, last = sparse_loss(X, W, optimum, LAM), np.full(N, np.inf)
    for k in (1, 2, 3, 5, 8, 20, 50, 100):
        value = sparse_loss(X, W, (fista if accelerated else ista)(X, W, LAM, steps=k).codes, LAM)
        assert (value - best <= analytic.ista_bound(W, optimum, k, accelerated) + EXACT).all()
        if not accelerated:
            assert (value <= last + EXACT).all()
        last = value
    slow = sparse_loss(X, W, ista(X, W, LAM, steps=100).codes, LAM) - best
    fast = sparse_loss(X, W, fista(X, W, LAM, steps=100).codes, LAM) - best
    assert fast.max() < 0.1 * slow.max()


def test_rates_are_the_published_constants():
    optimum, W = np.array([[3.0, 4.0]]), np.diag([2.0, 1.0])  # L = 4, ‖z*‖² = 25
    assert analytic.ista_bound(W, optimum, 5) == pytest.approx(4 * 25 / 10)
    assert analytic.ista_bound(W, optimum, 4, accelerated=True) == pytest.approx(2 * 4 * 25 / 25)


def test_the_free_decoder_makes_the_penalty_vanish():
    X = np.random.default_rng(2).normal(size=(30, D)) * [3, 2, 1, 0.5, 0.2] + 1.0
    result = pca(X, 2)
    centred = X - result.mean
    excess = []
    for c in (1.0, 0.1, 0.01, 0.001):
        W1, W2 = analytic.rescaled(result.basis().T, result.basis(), c)
        Z = centred @ W1.T
        value = analytic.degenerate_loss(X, 2, LAM, c)
        assert value == pytest.approx(sparse_loss(centred, W2, Z, LAM).sum(), rel=EXACT)
        excess.append(value - result.optimal_loss())
    np.testing.assert_allclose(np.divide(excess[:-1], excess[1:]), 10, rtol=1e-9)
    assert excess[-1] > 0 and (Z != 0).all()


WRONG = [
    (
        lambda: soft_threshold([1.0], -1),
        DataError,
        "lam must lie in [0, inf)\n  lam = -1\n  fix: lam weighs the sum of |z|: choose lam >= 0",
    ),
    (
        lambda: fista(np.ones((2, 3)), np.ones((2, 3)), 0.1),
        ShapeError,
        "X does not fit the others\n  X has shape (2, 3), not (any, 2)\n"
        "  fix: X is N x D and the decoder W is D x M; a layer's weight is the transpose of W",
    ),
    (
        lambda: sparse_loss(np.ones((2, 3)), np.ones((3, 2)), np.ones((2, 3)), 0.1),
        ShapeError,
        "Z does not fit the others\n  Z has shape (2, 3), not (2, 2)\n"
        "  fix: one row for each datum and one column for each column of W",
    ),
    (
        lambda: ista(np.ones((2, 3)), np.zeros((3, 2)), 0.1),
        DataError,
        "W is zero\n  W has shape (3, 2)\n  fix: a decoder needs at least one column that is not "
        "zero",
    ),
    (
        lambda: ista(np.ones((2, 3)), np.ones((3, 2)), 0.1, steps=1.5),
        DtypeError,
        "steps must be a whole number, from 0 to 10000000\n  got 1.5\n"
        "  fix: choose steps from 0 to 10000000",
    ),
    (
        lambda: codes_on_support(np.ones((1, 3)), np.ones((3, 1)), 0.1, [[0.5]]),
        DataError,
        "signs must be -1, 0 or 1\n  they run from 0.5 to 0.5\n  fix: np.sign(Z)",
    ),
    (
        lambda: analytic.rescaled(np.eye(2), np.eye(2), 0),
        DataError,
        "c must lie in (0, inf)\n  c = 0\n  fix: c scales the codes: choose it positive",
    ),
]


@pytest.mark.parametrize("call, kind, message", WRONG, ids=[row[2].split("\n")[0] for row in WRONG])
def test_wrong_arguments_are_named_in_three_lines(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
