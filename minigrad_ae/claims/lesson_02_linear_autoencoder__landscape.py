"""Claims of lesson 02, continued: identities at any point, every critical point, and the way down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import analytic
from ..autodiff.curvature import extreme_curvatures, hessian_product
from ..autodiff.graph import no_grad
from ..models import LinearAutoencoder
from ..models.linear import half_squared_error
from ..optim import SGD
from ..experiments import linear as experiments
from .bugs import edit, wrong_rule
from .definition import Run, claim

# --- identities that hold at any point -------------------------------------------------------------------------------


def anywhere(M: int = 2) -> tuple[LinearAutoencoder, np.ndarray, analytic.PCA]:
    """A linear autoencoder with random weights on five features."""
    X, found = experiments.five_features()
    return LinearAutoencoder(5, M, bias=False, rng=np.random.default_rng(11)), X, found


@claim(
    "gradient-formula",
    "dE/dW equals the closed form (W2 W1 - I) S W1^T and W2^T (W2 W1 - I) S: relative error",
    expected=0.0,
    tolerance=1e-12,
    reason="algebraic identity in float64",
    sabotage=wrong_rule("half_squared_error", "output", "0.999 * g * (output - target)"),
)
def gradient_formula(run: Run) -> float:
    model, X, _ = anywhere()
    model.loss(X).backward()
    W1, W2 = model.encoder_weight.numpy().T, model.decoder_weight.numpy().T
    G1, G2 = analytic.gradient(X.T @ X, W1, W2)
    off = np.hypot(np.linalg.norm(model.encoder_weight.grad.T - G1), np.linalg.norm(model.decoder_weight.grad.T - G2))
    return float(off / np.hypot(np.linalg.norm(G1), np.linalg.norm(G2)))


@claim(
    "balancedness",
    "(dE/dW1) W1^T = W2^T (dE/dW2) at random weights: relative error",
    expected=0.0,
    tolerance=1e-12,
    reason="algebraic identity in float64",
    sabotage=wrong_rule("matmul", "A", "1.01 * (g @ swapaxes(B, -1, -2))"),
)
def balancedness(run: Run) -> float:
    model, X, _ = anywhere()
    model.loss(X).backward()
    encoder, decoder = model.encoder_weight, model.decoder_weight
    left, right = encoder.grad.T @ encoder.numpy(), decoder.numpy() @ decoder.grad.T
    return float(np.linalg.norm(left - right) / np.linalg.norm(left))


@claim(
    "gauge",
    "E does not change under W1 -> C W1, W2 -> W2 C^-1: relative change",
    expected=0.0,
    tolerance=1e-12,
    reason="algebraic identity in float64, C well conditioned",
    sabotage=edit(
        LinearAutoencoder.encode, "x @ self.encoder_weight", "(x @ self.encoder_weight).tanh()"
    ),
)
def gauge(run: Run) -> float:
    model, X, _ = anywhere()
    C = np.array([[2.0, 1.0], [0.5, 1.5]])
    moved = experiments.linear_model(C @ model.encoder_weight.numpy().T, model.decoder_weight.numpy().T @ np.linalg.inv(C))
    with no_grad():
        return abs(float(moved.loss(X)) / float(model.loss(X)) - 1)


# --- the landscape ---------------------------------------------------------------------------------------------------


def landscape(run: Run, compare: Callable[[Any, LinearAutoencoder, np.ndarray], float]) -> float:
    """Sum of `compare(critical point, model there, X)` over every critical point of five features, M = 2 and 3.

    The short form takes M = 2 only.
    """
    X, found = experiments.five_features()
    total = 0.0
    for M in (2,) if run.fast else (2, 3):
        for point in analytic.critical_points(found.eigenvalues, M):
            W1, W2 = analytic.saddle(found.components, point.components, M)
            total += compare(point, experiments.linear_model(W1, W2), X)
    return total


def signs(model: LinearAutoencoder, X: np.ndarray) -> tuple[int, int, int]:
    """(negative, zero, positive) eigenvalues of the engine's own Hessian."""
    return analytic.inertia(experiments.engine_hessian(model, X))


@claim(
    "saddle-gradients",
    "dE/dW vanishes at U_I U_I^T for all 42 sets I (M = 2 and 3): sum of relative norms",
    expected=0.0,
    tolerance=42e-13,
    reason="cancellation of products of size s_1: a few hundred eps each",
    sabotage=edit(half_squared_error, "(y, x)", "(y, 0.999 * x)"),
)
def saddle_gradients(run: Run) -> float:
    def norm(point: Any, model: LinearAutoencoder, X: np.ndarray) -> float:
        model.loss(X).backward()
        return sum(float(np.linalg.norm(p.grad)) for p in model.parameters()) / float(np.sum(X**2))

    return landscape(run, norm)


@claim(
    "saddle-losses",
    "E there is 1/2 the sum of the eigenvalues left out: sum of relative errors over 42 sets",
    expected=0.0,
    tolerance=42e-12,
    reason="algebraic identity in float64",
    sabotage=edit(half_squared_error, "ops.half", "1.000001 * ops.half"),
)
def saddle_losses(run: Run) -> float:
    def error(point: Any, model: LinearAutoencoder, X: np.ndarray) -> float:
        with no_grad():
            return abs(float(model.loss(X)) / point.loss - 1)

    return landscape(run, error)


@claim(
    "morse-index",
    "negative curvatures of the engine's Hessian, as predicted, at all 42 critical points: mismatches",
    expected=0.0,
    tolerance=0.0,
    reason="a count",
    sabotage=wrong_rule("half_squared_error", "output", "g * real(output - target)"),
)
def morse_index(run: Run) -> float:
    return landscape(run, lambda point, model, X: float(abs(signs(model, X)[0] - point.index)))


@claim(
    "nullity",
    "flat directions of the engine's Hessian, M^2 - (M - r)^2, at all 42 critical points: mismatches",
    expected=0.0,
    tolerance=0.0,
    reason="a count",
    sabotage=wrong_rule("matmul", "B", "real(swapaxes(A, -1, -2)) @ g"),
)
def nullity(run: Run) -> float:
    return landscape(run, lambda point, model, X: float(abs(signs(model, X)[1] - point.nullity)))


@claim(
    "saddle-escape",
    "from 1e-6 beside the saddle {1, 3}, descent reaches the optimum",
    tolerance=1e-6,
    expected=lambda run: experiments.five_features()[1].optimal_loss(2),
    reason="linear convergence at rate 1 - 2 eta (s_2 - s_3) leaves less than 1e-6 after these steps",
    sabotage=wrong_rule("matmul", "B", "0 * (swapaxes(A, -1, -2) @ g)"),
)
def saddle_escape(run: Run) -> float:
    return run.shared(experiments.escape)[-1]


# --- dynamics --------------------------------------------------------------------------------------------------------


@claim(
    "sharpness",
    "the largest curvature at the balanced optimum is 2 s_1 (Lanczos on the engine's Hessian-vector products)",
    expected=lambda run: 2 * float(experiments.five_features()[1].eigenvalues[0]),
    tolerance=1e-7,
    reason="symmetric eigenvalue, relative 1e-12 of about 2000",
    sabotage=edit(half_squared_error, "ops.half", "2 * ops.half"),
)
def sharpness(run: Run) -> float:
    X, found = experiments.five_features()
    U = found.components[:, :2]
    model = experiments.linear_model(U.T.copy(), U.copy())
    weights = list(model.parameters())
    return extreme_curvatures(hessian_product(model.loss(X), weights), sum(w.size for w in weights))[1]


@claim(
    "step-size-above",
    "with eta = 1.1 / s_1 a deviation grows by |1 - 2.2| = 1.2 per step",
    expected=1.2,
    tolerance=2e-3,
    reason="linear up to deviations of 1e-6 * 1.2^20 = 4e-5, whose square enters relative to 1",
    sabotage=edit(SGD.step, "self.lr", "(0.5 * self.lr)"),
)
def step_size_above(run: Run) -> float:
    return experiments.growth(experiments.five_features()[0], 1.1)


@claim(
    "step-size-below",
    "with eta = 0.9 / s_1 it shrinks by |1 - 1.8| = 0.8 per step",
    expected=0.8,
    tolerance=2e-3,
    reason="linear: deviations below 1e-6",
    sabotage=edit(SGD.step, "self.lr", "(1.1 * self.lr)"),
)
def step_size_below(run: Run) -> float:
    return experiments.growth(experiments.five_features()[0], 0.9)


@claim(
    "mode-curves",
    "descent follows Saxe's sigmoid to first order in eta: halving eta halves the distance: ratio",
    expected=2.0,
    tolerance=0.1,
    reason="Euler's method is of first order; the second-order term is below 5 % here",
    sabotage=wrong_rule("matmul", "A", "1.05 * (g @ swapaxes(B, -1, -2))"),
)
def mode_curves(run: Run) -> float:
    eta = 2e-3 if run.fast else 5e-4
    return experiments.mode_error(run, 2 * eta) / experiments.mode_error(run, eta)


@claim(
    "balance-drift",
    "W1 W1^T - W2^T W2, conserved by gradient flow, drifts in proportion to eta: ratio for eta / 10",
    expected=10.0,
    tolerance=0.5,
    reason="first order in eta, with a relative correction of order eta s_1",
    sabotage=wrong_rule("matmul", "A", "1.5 * (g @ swapaxes(B, -1, -2))"),
)
def balance_drift(run: Run) -> float:
    X, _ = experiments.five_features()
    return experiments.drift(X, 1e-3) / experiments.drift(X, 1e-4)
