"""Two layers with a linear output: the bound, the nets that come close to it, and the parabola.

Tolerance of an algebraic identity: 1e-12 relative, some thousand roundings of float64.
"""

from __future__ import annotations

import numpy as np
import pytest

from minigrad_ae import analytic
from minigrad_ae.analytic import (
    almost_linear,
    parabola,
    parabola_residual,
    pca,
    relu_equals_pca,
    two_layer_bound,
)
from minigrad_ae.errors import DataError, DtypeError

EXACT = 1e-12


def data(N=40, D=5):
    return np.random.default_rng(0).normal(size=(N, D)) * [2.0, 1.5, 1.0, 0.7, 0.4][:D] + 3.0


def loss(X, Y):
    return 0.5 * ((X - Y) ** 2).sum()


def descend(X, M, activation, slope, seed, steps=300, rate=2e-3):
    """Losses along plain gradient descent on y = W2 h(W1 x + b1) + b2, written out by hand."""
    rng = np.random.default_rng(seed)
    D = X.shape[1]
    W1, b1, W2, b2 = (
        rng.normal(size=(M, D)) * 0.3,
        np.zeros(M),
        rng.normal(size=(D, M)) * 0.3,
        X.mean(axis=0),
    )
    losses = []
    for _ in range(steps):
        hidden = activation(X @ W1.T + b1)
        residual = hidden @ W2.T + b2 - X
        losses.append(0.5 * (residual**2).sum())
        back = residual @ W2 * slope(hidden)
        W2, b2 = W2 - rate * residual.T @ hidden, b2 - rate * residual.sum(axis=0)
        W1, b1 = W1 - rate * back.T @ X, b1 - rate * back.sum(axis=0)
    return np.array(losses)


UNITS = {
    "tanh": (np.tanh, lambda h: 1 - h**2),
    "sigmoid": (lambda a: 1 / (1 + np.exp(-a)), lambda h: h * (1 - h)),
    "relu": (lambda a: np.maximum(a, 0), lambda h: (h > 0) * 1.0),
    "sine": (np.sin, lambda h: 0 * h),
}


@pytest.mark.parametrize("name", UNITS)
@pytest.mark.parametrize("M", [1, 2, 4])
def test_no_net_is_ever_below_the_bound_and_training_approaches_it(name, M):
    X = data()
    bound = two_layer_bound(pca(X).eigenvalues, M)
    losses = descend(X, M, *UNITS[name], seed=M)
    assert losses.min() >= bound == pca(X).optimal_loss(M)
    # its slope is set to 0: only the output layer learns, and the bound must hold all the same
    if name != "sine":
        assert losses[-1] - bound < 0.8 * (losses[0] - bound)
    assert two_layer_bound(pca(X).eigenvalues, 5) == 0.0


@pytest.mark.parametrize("M", [1, 3, 5])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_the_stated_gap_is_the_gap_of_the_weights(activation, M):
    X = data()
    bound = pca(X).optimal_loss(M)
    for epsilon in (1.0, 0.3, 0.1):
        net = almost_linear(X, M, epsilon, activation)
        assert net.W1.shape == (M, 5) and net.W2.shape == (5, M)
        hidden = UNITS[activation][0](X @ net.W1.T + net.b1)
        Y = hidden @ net.W2.T + net.b2
        np.testing.assert_allclose(net.reconstruct(X), Y, rtol=1e-10)
        # the loss is a few hundred, so a gap is known to 1e-13 times that
        assert loss(X, Y) - bound == pytest.approx(net.gap, abs=1e-10, rel=1e-9)
        assert net.gap > 0


@pytest.mark.parametrize("activation, next_term", [("tanh", 4 / 5), ("sigmoid", 1 / 5)])
def test_the_gap_falls_as_the_fourth_power_with_the_stated_constant(activation, next_term):
    """tanh a = a − a³/3 + 2a⁵/15: gap = (ε⁴/18) Σ a⁶ (1 − (4/5) ε² ⟨a²⟩ + ...), with ε/2 for ε in
    the sigmoid.
    """
    X = data()
    result = pca(X)
    scores = (X - result.mean) @ result.components[:, :2]
    weighted = (scores**8).sum() / (scores**6).sum()
    for epsilon in (0.04, 0.02):
        net = almost_linear(X, 2, epsilon, activation)
        correction = 1 - next_term * epsilon**2 * weighted
        # what is left is of order (ε a)⁴
        assert net.gap / net.predicted_gap == pytest.approx(
            correction, abs=2 * (epsilon * np.abs(scores).max()) ** 4
        )
    halves = [almost_linear(X, 2, epsilon, activation) for epsilon in (0.02, 0.01)]
    assert halves[0].predicted_gap / halves[1].predicted_gap == pytest.approx(16, rel=EXACT)
    assert halves[0].gap / halves[1].gap == pytest.approx(16, rel=0.02)
    assert np.linalg.norm(halves[1].W2) == pytest.approx(
        2 * np.linalg.norm(halves[0].W2), rel=EXACT
    )


@pytest.mark.parametrize("M", [1, 3, 5])
def test_relu_with_a_bias_attains_pca(M):
    X = data()
    net = relu_equals_pca(X, M)
    hidden = np.maximum(X @ net.W1.T + net.b1, 0.0)
    Y = hidden @ net.W2.T + net.b2
    np.testing.assert_allclose(Y, pca(X).reconstruct(X, M), rtol=EXACT, atol=1e-12)
    np.testing.assert_allclose(net.reconstruct(X), Y, rtol=EXACT)
    assert net.gap == net.predicted_gap == 0.0
    below = pca(X).mean - 100 * net.W1.sum(axis=0)
    # clipped, as stated
    assert not np.allclose(net.reconstruct(below[None]), pca(X).reconstruct(below[None], M))


def test_data_of_low_rank_are_reconstructed():
    X = data()[:, :1] * [1.0, 2.0, -1.0]
    np.testing.assert_allclose(relu_equals_pca(X, 2).reconstruct(X), X, rtol=1e-12)
    assert almost_linear(X, 2, 1e-3).gap == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("points", [2, 3, 4, 50, 201, 1000])
def test_parabola_residual_is_that_of_its_pca(points):
    X = parabola(points)
    assert X.shape == (points, 2)
    np.testing.assert_allclose(X[:, 1], X[:, 0] ** 2)
    assert (X[0, 0], X[-1, 0]) == (-1.0, 1.0)
    residual = 2 * pca(X).optimal_loss(1) / points
    assert parabola_residual(points) == pytest.approx(residual, abs=1e-14)


def test_parabola_has_the_published_numbers():
    assert parabola_residual() == pytest.approx(0.0906688, abs=5e-8)
    assert parabola_residual(None) == pytest.approx(0.0888889, abs=5e-8)
    assert parabola_residual(10**6) == pytest.approx(4 / 45, rel=1e-5)


WRONG = [
    (
        lambda: almost_linear(data(), 2, 0.0),
        DataError,
        "epsilon must lie in (0, inf)\n  epsilon = 0\n  fix: epsilon scales the input weights: "
        "choose it small, say 0.1",
    ),
    (
        lambda: almost_linear(data(), 2, "a"),
        DtypeError,
        "epsilon must be one real number\n  epsilon = 'a' (str)\n"
        "  fix: epsilon scales the input weights: choose it small, say 0.1",
    ),
    (
        lambda: almost_linear(data(), 2, 0.1, "relu"),
        DataError,
        "no almost linear net with activation 'relu'\n"
        "  it has a linear part with a cubic correction for tanh and sigmoid only\n"
        '  fix: choose "tanh" or "sigmoid"; for ReLU use relu_equals_pca(X, M)',
    ),
    (
        lambda: relu_equals_pca(data(), 6),
        DataError,
        "M = 6 is out of range\n  X has 5 features\n  fix: choose M from 1 to 5",
    ),
    (
        lambda: two_layer_bound([1.0, 2.0], 1),
        DataError,
        "s must be eigenvalues of XᵀX, largest first\n  s has 0 negative and 1 increasing steps\n"
        "  fix: use pca(X).eigenvalues, or np.sort(s)[::-1]",
    ),
    (
        lambda: analytic.parabola(1),
        DataError,
        "points = 1 is out of range\n  a grid needs its two ends\n  fix: choose points from 2 to "
        "1000000",
    ),
]


@pytest.mark.parametrize("call, kind, message", WRONG, ids=[row[2].split("\n")[0] for row in WRONG])
def test_wrong_arguments_are_named_in_three_lines(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
