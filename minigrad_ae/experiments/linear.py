"""What the claims of lesson 02 train, on the shipped digits and on five made-up features.

The second part starts, by definition, from known eigenvectors: a saddle, a step-size limit, mode
curves.  It uses the production model, engine and optimiser; only the starting weights come from
`analytic`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import analytic
from ..autodiff.curvature import hessian_product
from ..data import digits
from ..models import LinearAutoencoder
from ..optim import SGD
from ..tensors import Tensor
from .run import Run, descent, generator

# --- trained from random starts -------------------------------------------------------------------


def trained(run: Run, M: int, start: int = 0, **settings: Any) -> LinearAutoencoder:
    """A linear autoencoder on the digits, trained from one random start."""
    model = LinearAutoencoder(64, M, rng=generator(run, M, start), **settings)
    # both layers at once, by gradients alone: what the claims are about
    model.fit(digits()[0], method="lbfgs")
    return model


def penalised(run: Run, M: int, lam: float) -> LinearAutoencoder:
    """The same with an L2 penalty."""
    return trained(run, M, l2=lam)


def uncentred(run: Run, M: int) -> LinearAutoencoder:
    """The same without offsets, on data that are not centred."""
    return trained(run, M, bias=False)


def tied(run: Run, M: int) -> LinearAutoencoder:
    """The same with tied weights."""
    return trained(run, M, tied=True)


# --- started from known eigenvectors --------------------------------------------------------------

A0 = 1e-3  # strength of every mode at the start of `mode_strengths`


def five_features() -> tuple[np.ndarray, analytic.PCA]:
    """80 centred points in five dimensions with well separated variances, and their PCA."""
    rng = np.random.default_rng(19)
    rotation, _ = np.linalg.qr(rng.standard_normal((5, 5)))
    X = rng.standard_normal((80, 5)) * [3.0, 2.2, 1.5, 1.0, 0.6] @ rotation.T
    X = X - X.mean(axis=0)
    return X, analytic.pca(X)


def linear_model(encoder: np.ndarray, decoder: np.ndarray) -> LinearAutoencoder:
    """A linear autoencoder without bias, with weights W1 (M, D) and W2 (D, M) in the notation of
    the slides.
    """
    M, D = encoder.shape
    model = LinearAutoencoder(D, M, bias=False, rng=np.random.default_rng(0))
    model.encoder_weight.data, model.decoder_weight.data = encoder.T.copy(), decoder.T.copy()
    return model


def descend_losses(model: LinearAutoencoder, X: np.ndarray, eta: float, steps: int) -> list[float]:
    """The loss before each of `steps` steps of gradient descent, and after the last."""
    return list(descent(SGD(model.parameters(), lr=eta), lambda: model.loss(X), steps))


def escape(run: Run) -> list[float]:
    """Losses of 1,000 steps of descent, started 1e-6 away from the saddle {1, 3} in every
    weight.
    """
    X, found = five_features()
    rng = np.random.default_rng(3)
    W1, W2 = analytic.saddle(found.components, (1, 3), 2)
    moved = [W + 1e-6 * rng.standard_normal(W.shape) for W in (W1, W2)]
    eta = 0.3 / float(found.eigenvalues[0])
    return descend_losses(linear_model(*moved), X, eta, 1000)


def growth(factor: float, steps: int = 20) -> float:
    """By what factor a small step away from the balanced optimum of five features, along its
    sharpest direction, grows per descent step.
    """
    X, found = five_features()
    U, s1 = found.components[:, :2], float(found.eigenvalues[0])
    # the sharpest direction: both weights of mode 1 grow together
    first = np.outer([1.0, 0.0], U[:, 0])
    model = linear_model(U.T + 1e-6 * first, U + 1e-6 * first.T)
    descend_losses(model, X, factor / s1, steps)
    strength = float(U[:, 0] @ model.encoder_weight.numpy()[:, 0])
    return (abs(strength - 1) / 1e-6) ** (1 / steps)


def mode_strengths(run: Run, eta: float) -> tuple[np.ndarray, np.ndarray]:
    """(times, strengths (len(times), 2)) of gradient descent on the *mean* loss from a small
    balanced aligned start.
    """
    X, found = five_features()
    U, rates = found.components[:, :2], found.eigenvalues[:2] / len(X)
    model = linear_model(np.sqrt(A0) * U.T, np.sqrt(A0) * U)
    steps = int(1.6 * analytic.half_rise_time(rates[1], A0) / eta)
    optimiser, strengths = SGD(model.parameters(), lr=eta), []
    for _ in descent(optimiser, lambda: model.loss(X) / len(X), steps - 1):
        W = model.encoder_weight.numpy() @ model.decoder_weight.numpy()
        strengths.append(np.diag(U.T @ W @ U))
    return eta * np.arange(steps), np.array(strengths)


def mode_error(run: Run, eta: float) -> float:
    """Largest distance of descent's mode curves from Saxe's formula."""
    X, found = five_features()
    times, strengths = run.shared(mode_strengths, eta)
    rates = found.eigenvalues[:2] / len(X)
    exact = np.stack([analytic.mode_strength(times, rate, A0) for rate in rates], axis=1)
    return float(np.max(np.abs(strengths - exact)))


def drift(eta: float, time: float = 0.05) -> float:
    """How far W1 W1^T - W2^T W2, which gradient flow conserves, moves under descent on the mean
    loss of five features for a given time.
    """
    X, rng = five_features()[0], np.random.default_rng(5)
    model = linear_model(0.5 * rng.standard_normal((2, 5)), 0.5 * rng.standard_normal((5, 2)))
    start = imbalance(model)
    descend_losses(model, X, eta / len(X), round(time / eta))
    return float(np.linalg.norm(imbalance(model) - start))


def imbalance(model: LinearAutoencoder) -> np.ndarray:
    """(M, M): W1 W1^T - W2^T W2."""
    encoder, decoder = (p.numpy() for p in model.weights())
    return encoder.T @ encoder - decoder @ decoder.T


def engine_hessian(model: LinearAutoencoder, X: np.ndarray) -> np.ndarray:
    """The Hessian of E by the engine's own gradients of gradients, one row per weight."""
    return hessian_of(model.loss(X), [model.encoder_weight, model.decoder_weight])


def hessian_of(loss: Tensor, weights: list[Tensor]) -> np.ndarray:
    """The Hessian in all weights laid end to end, one row for each number."""
    product = hessian_product(loss, weights)
    return np.array([product(unit) for unit in np.eye(sum(w.size for w in weights))])
