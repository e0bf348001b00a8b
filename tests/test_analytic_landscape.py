"""The critical points of the linear autoencoder, against derivatives that know nothing of the
closed forms.

The independent witness works on the data X itself: the loss is its definition, its gradient is
checked by a complex step of the loss, and its Hessian is a complex step of the gradient.  A complex
step (h = 1e-30) has no truncation error, so all agree to rounding: 1e-12 relative to the largest
entry.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from helpers import with_eigenvalues

from minigrad_ae import analytic
from minigrad_ae.analytic import critical_point, critical_points, saddle
from minigrad_ae.errors import DataError, ShapeError

EXACT = 1e-12
STEP = 1e-30
D = 5
S = np.array([9.0, 5.5, 3.2, 1.7, 0.6])


X, U = with_eigenvalues(S)


def unpack(w, M):
    return w[: M * D].reshape(M, D), w[M * D :].reshape(D, M)


def pack(W1, W2):
    return np.concatenate([W1.ravel(), W2.ravel()])


def loss(w, M):
    W1, W2 = unpack(w, M)
    return 0.5 * ((X @ W1.T @ W2.T - X) ** 2).sum()


def gradient(w, M):
    W1, W2 = unpack(w, M)
    residual = X @ W1.T @ W2.T - X
    return pack((residual @ W2).T @ X, residual.T @ (X @ W1.T))


def complex_step(function, w):
    """Rows: the derivative of ``function`` along each coordinate of w."""
    return np.array([np.imag(function(w + STEP * 1j * unit)) / STEP for unit in np.eye(len(w))])


def random_weights(M, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(M, D)), rng.normal(size=(D, M))


def mixing(M, seed=0):
    """An invertible C with singular values from 0.7 to 1.4, so that flat directions stay far below
    the curved ones.
    """
    rng = np.random.default_rng(seed)
    left, right = (np.linalg.qr(rng.normal(size=(M, M)))[0] for _ in range(2))
    return left * np.linspace(0.7, 1.4, M) @ right


@pytest.mark.parametrize("M", [1, 2, 3, 5])
def test_loss_gradient_and_hessian_are_those_of_the_data(M):
    W1, W2 = random_weights(M, seed=M)
    w, scatter = pack(W1, W2), X.T @ X
    slope = complex_step(lambda v: loss(v, M), w)
    np.testing.assert_allclose(gradient(w, M), slope, atol=EXACT * np.abs(slope).max())
    assert analytic.reconstruction_loss(scatter, W1, W2) == pytest.approx(loss(w, M), rel=EXACT)
    np.testing.assert_allclose(
        pack(*analytic.gradient(scatter, W1, W2)), slope, atol=EXACT * np.abs(slope).max()
    )
    curvature = complex_step(lambda v: gradient(v, M), w)
    np.testing.assert_allclose(
        analytic.hessian(scatter, W1, W2), curvature, atol=EXACT * np.abs(curvature).max()
    )


@pytest.mark.parametrize("M, count", [(1, 6), (2, 16), (3, 26), (5, 32)])
def test_every_row_of_the_table_is_true(M, count):
    points = critical_points(S, M)
    assert {point.components for point in points} == {
        subset for r in range(M + 1) for subset in combinations(range(1, D + 1), r)
    }
    assert len(points) == count
    for point in points:
        W1, W2 = saddle(U, point.components, M, mixing(M))
        w = pack(W1, W2)
        inside = [i - 1 for i in point.components]
        np.testing.assert_allclose(W2 @ W1, U[:, inside] @ U[:, inside].T, atol=EXACT)
        assert np.abs(gradient(w, M)).max() < EXACT * S[0]
        assert point.loss == pytest.approx(loss(w, M), abs=EXACT * S.sum())
        eigenvalues = np.linalg.eigvalsh(complex_step(lambda v: gradient(v, M), w))
        assert (eigenvalues < -1e-9).sum() == point.index, point
        assert (np.abs(eigenvalues) <= 1e-9).sum() == point.nullity, point
        assert point.nullity == M**2 - (M - len(inside)) ** 2


@pytest.mark.parametrize("M", [1, 2, 3, 5])
def test_there_is_one_minimum_and_it_is_pca(M):
    points = critical_points(S, M)
    assert [point.components for point in points if point.is_minimum] == [tuple(range(1, M + 1))]
    assert points[0].is_minimum and points[0].loss == pytest.approx(0.5 * S[M:].sum(), abs=EXACT)
    losses = [point.loss for point in points]
    assert losses == sorted(losses) and losses[-1] == pytest.approx(0.5 * S.sum(), rel=EXACT)


def test_the_lesson_saddle_has_one_way_down():
    point = critical_point(S, 2, (3, 1))
    assert point == analytic.CriticalPoint(
        components=(1, 3), loss=0.5 * (5.5 + 1.7 + 0.6), index=1, nullity=4
    )
    origin = critical_point(S, 2, ())
    assert (origin.loss, origin.index, origin.nullity) == (10.0, 10, 0)


def test_saddle_without_mixing_is_balanced():
    W1, W2 = saddle(U, (2, 4), 3)
    assert np.array_equal(W1, W2.T) and np.array_equal(
        W2, np.column_stack([U[:, 1], U[:, 3], np.zeros(D)])
    )
    assert not np.shares_memory(W1, W2)


@pytest.mark.parametrize("M", [1, 2, 3])
def test_inertia_counts_the_signs(M):
    point = critical_points(S, M)[-2]
    H = analytic.hessian(X.T @ X, *saddle(U, point.components, M))
    assert analytic.inertia(H) == (
        point.index,
        point.nullity,
        2 * M * D - point.index - point.nullity,
    )
    assert analytic.inertia(np.zeros((3, 3))) == (0, 3, 0)


def test_balancedness_is_conserved_by_flow_and_drifts_with_the_step():
    W1, W2 = random_weights(3, seed=4)
    G1, G2 = unpack(gradient(pack(W1, W2), 3), 3)
    np.testing.assert_allclose(G1 @ W1.T, W2.T @ G2, atol=EXACT * np.abs(G1 @ W1.T).max())
    assert analytic.balancedness(W1, W2) == pytest.approx(
        np.sqrt(((W1 @ W1.T - W2.T @ W2) ** 2).sum()), rel=EXACT
    )
    assert analytic.balancedness(W1, W1.T) == 0.0

    def drift(eta):  # over the same time, 0.1
        w = pack(W1, W2)
        for _ in range(round(0.1 / eta)):
            w = w - eta * gradient(w, 3)
        V1, V2 = unpack(w, 3)
        return np.linalg.norm((V1 @ V1.T - V2.T @ V2) - (W1 @ W1.T - W2.T @ W2))

    # first order; the next term is 1e-3 · curvature
    assert drift(1e-3) / drift(1e-4) == pytest.approx(10, rel=0.1)


@pytest.mark.parametrize("M", [1, 2, 4])
def test_sharpness_of_the_balanced_optimum_is_the_least(M):
    top = [
        np.linalg.eigvalsh(
            complex_step(lambda v: gradient(v, M), pack(*saddle(U, range(1, M + 1), M, C)))
        )[-1]
        for C in (None, mixing(M), 2.0 * mixing(M, seed=1))
    ]
    assert top[0] == pytest.approx(analytic.sharpness(S), rel=EXACT)
    assert analytic.sharpness(S) == 18.0 and min(top) == top[0]


@pytest.mark.parametrize("fraction, converges", [(0.9, True), (1.1, False)])
def test_gradient_descent_is_stable_exactly_below_the_limit(fraction, converges):
    rng = np.random.default_rng(0)
    eta = fraction * analytic.stability_limit(S)
    optimum = 0.5 * S[2:].sum()
    w = pack(*saddle(U, (1, 2), 2)) + 1e-4 * rng.normal(size=2 * 2 * D)
    for _ in range(400):
        w = w - eta * gradient(w, 2)
    excess = loss(w, 2) - optimum
    assert (abs(excess) < EXACT * S.sum()) if converges else (excess > 1e-3)


@pytest.mark.parametrize("a0", [1e-3, 0.2, 0.7])
def test_mode_strength_is_the_gradient_flow_of_the_network(a0):
    """Runge-Kutta of order 4 on the weights, 800 steps: its own error is about (s_1 dt)^4 =
    4e-9.
    """
    M, dt = 2, 1 / 1200
    w = pack(*saddle(U, (1, 2), M)) * np.sqrt(a0)
    for _ in range(800):
        k1 = -gradient(w, M)
        k2 = -gradient(w + dt / 2 * k1, M)
        k3 = -gradient(w + dt / 2 * k2, M)
        k4 = -gradient(w + dt * k3, M)
        w = w + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    W1, W2 = unpack(w, M)
    strengths = np.diag(U.T @ W2 @ W1 @ U)
    expected = [analytic.mode_strength(800 * dt, s, a0) for s in S[:M]]
    np.testing.assert_allclose(strengths[:M], expected, atol=4e-9)


def test_half_rise_is_where_the_mode_is_half_way():
    for rate, a0 in [(9.0, 1e-3), (0.6, 0.01), (2.0, 0.8)]:
        time = analytic.half_rise_time(rate, a0)
        assert (time > 0) == (a0 < 0.5)
        if time > 0:
            assert analytic.mode_strength(time, rate, a0) == pytest.approx(0.5, rel=EXACT)
    np.testing.assert_allclose(
        analytic.mode_strength([0.0, 1e9], 1.0, 0.25), [0.25, 1.0], rtol=EXACT
    )


WRONG = [
    (
        lambda: critical_points([3.0, 1.0, 1.0, 0.0], 2),
        DataError,
        "critical points are isolated families only for positive, distinct eigenvalues\n"
        "  s has 1 zeros and 1 ties, of 4 eigenvalues\n"
        "  fix: drop the directions without variance; with a tie, see PCA.tie for what is free",
    ),
    (
        lambda: critical_points(np.arange(64, 0, -1), 32),
        DataError,
        "too many critical points to list: 10139684107326071075\n"
        "  D = 64 features, M = 32 latent units; the limit is 100000\n"
        "  fix: use critical_point(s, M, components) for the ones of interest",
    ),
    (
        lambda: critical_point(S, 2, (0, 1)),
        DataError,
        "a component = 0 is out of range\n  there are 5 components, counted from 1\n"
        "  fix: choose a component from 1 to 5",
    ),
    (
        lambda: critical_point(S, 2, (1, 2, 3)),
        DataError,
        "components must be at most M = 2 different numbers\n  got (1, 2, 3)\n  fix: name each "
        "component once",
    ),
    (
        lambda: saddle(U, (1,), 2, np.ones((2, 2))),
        ShapeError,
        "C must be an invertible M x M matrix\n  C has shape (2, 2) and M = 2\n"
        "  fix: leave C out, or draw it: rng.normal(size=(M, M))",
    ),
    (
        lambda: analytic.hessian(np.eye(3), np.ones((3, 2)), np.ones((3, 2))),
        ShapeError,
        "S, W1 and W2 do not fit together\n  S has shape (3, 3), W1 (3, 2), W2 (3, 2)\n"
        "  fix: S is D x D, W1 is M x D and W2 is D x M; a layer's weight is the transpose",
    ),
    (
        lambda: analytic.balancedness(np.ones((2, 3)), np.ones((2, 3))),
        ShapeError,
        "W1 and W2 have different numbers of latent units\n  W1 has shape (2, 3), W2 (2, 3)\n"
        "  fix: W1 is M x D and W2 is D x M; a layer's weight is the transpose",
    ),
    (
        lambda: analytic.mode_strength(1.0, 2.0, 0.0),
        DataError,
        "a0 must lie in (0, 1)\n  a0 = 0\n  fix: a mode that starts at 0 never rises",
    ),
    (
        lambda: analytic.mode_strength([-1.0, 0.0], 2.0, 0.5),
        DataError,
        "t must lie in [0, inf]\n  its entries run from -1 to 0\n  fix: count time from the start",
    ),
    (
        lambda: analytic.half_rise_time(0.0, 0.1),
        DataError,
        "rate must lie in (0, inf)\n  rate = 0\n  fix: it is an eigenvalue with some variance",
    ),
]


@pytest.mark.parametrize("call, kind, message", WRONG, ids=[row[2].split("\n")[0] for row in WRONG])
def test_wrong_arguments_are_named_in_three_lines(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
