"""What lesson 03 and its claims train: two layers with non-linear hidden units, trained as far
as they go towards PCA's loss.

Training starts from random weights and knows nothing of PCA.  The second part is about weights that
*are* made from principal components: how close they come, and where the loss still slopes down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import analytic
from ..data import digits, parabola
from ..models import TwoLayerAutoencoder
from ..optim import LBFGS
from .run import Run, closure, generator, with_weights

M = 2
ACTIVATIONS = ("tanh", "sigmoid", "relu")
# a start of the hidden biases at which a ReLU unit is in its linear half all along the parabola
LIFT = 3.0


@dataclass
class Descent:
    """A trained net, the loss of every evaluation on the way, and (loss, ‖W2‖) at twenty places
    along it.
    """

    model: TwoLayerAutoencoder
    losses: np.ndarray
    places: np.ndarray


def images(run: Run) -> np.ndarray:
    """The digits, or the first 500 of them."""
    return digits()[0][: 500 if run.fast else None]


def principal(run: Run) -> analytic.PCA:
    """Their PCA: the independent witness."""
    return analytic.pca(run.shared(images))


def starts(run: Run) -> int:
    """How many random starts of each activation."""
    return min(run.starts, 5)


def pressed(run: Run, activation: str, start: int) -> Descent:
    """Trained on the digits by L-BFGS, from random weights."""
    model = TwoLayerAutoencoder(64, M, activation=activation, rng=generator(run, start))
    return descend(model, run.shared(images), 100 if run.fast else 400)


def on_parabola(run: Run, activation: str, start: int, lift: float = 0.0) -> Descent:
    """The same on the parabola, with one hidden unit whose bias starts at `lift`."""
    model = TwoLayerAutoencoder(2, 1, activation=activation, rng=generator(run, start))
    _, b1, _, _ = model.parameters()
    b1.data = np.array([lift])
    return descend(model, parabola()[0], 800)


def descend(model: TwoLayerAutoencoder, X: np.ndarray, evaluations: int) -> Descent:
    """`evaluations` of the loss and its gradient by L-BFGS, in twenty parts."""
    losses, places = list[float](), list[tuple[float, float]]()
    optimiser = LBFGS(
        model.parameters(), history=20, max_iter=evaluations, max_evaluations=evaluations // 20
    )
    evaluate = closure(lambda: model.loss(X), losses.append)
    for _ in range(20):
        loss = optimiser.step(evaluate)
        places.append((loss, float(np.linalg.norm(model.decoder.weight.numpy()))))
    return Descent(model, np.array(losses), np.array(places))


# --- weights made from principal components -------------------------------------------------------


def production(net: analytic.TwoLayerNet) -> TwoLayerAutoencoder:
    """The package's model with the weights of `net`, which are in the notation of the slides."""
    hidden, features = net.W1.shape
    rng = np.random.default_rng(0)
    model = TwoLayerAutoencoder(features, hidden, activation=net.activation, rng=rng)
    return with_weights(model, net.W1.T, net.b1, net.W2.T, net.b2)


def gap(run: Run, activation: str, epsilon: float) -> float:
    """E above PCA's, for W1 = epsilon U^T and the decoder that undoes the slope, measured by the
    model's own loss.
    """
    X = run.shared(images)
    model = production(analytic.almost_linear(X, M, epsilon, activation))
    return float(model.loss(X).item()) - run.shared(principal).optimal_loss(M)


def sixth(run: Run) -> float:
    """Sum of a^6 over data and units, a = U^T (x - mean)."""
    return float(np.sum(scores(run) ** 6))


def curvature(run: Run) -> float:
    """sum a^8 / sum a^6: the gap's next term is -4/5 epsilon^2 times this, relative to the leading
    one.
    """
    return float(np.sum(scores(run) ** 8)) / sixth(run)


def scores(run: Run) -> np.ndarray:
    """a (n, M) = U^T (x - mean)."""
    found = run.shared(principal)
    return (run.shared(images) - found.mean) @ found.components[:, :M]


def slope(run: Run, epsilon: float) -> float:
    """dE/d epsilon along W1 = epsilon U^T, W2 = U / epsilon (tanh), from the engine's gradient."""
    X, found = run.shared(images), run.shared(principal)
    U = found.components[:, :M]
    model = production(analytic.almost_linear(X, M, epsilon, "tanh"))
    model.loss(X).backward()
    # d/d epsilon of W1^T, b1, W2^T, b2
    direction = [U, -found.mean @ U, -U.T / epsilon**2, np.zeros(len(U))]
    return float(
        sum(np.sum(p.grad * d) for p, d in zip(model.parameters(), direction, strict=True))
    )


def doubled(model: TwoLayerAutoencoder) -> TwoLayerAutoencoder:
    """The sigmoid net that computes what the tanh net `model` does: tanh a = 2 sigmoid(2 a) - 1."""
    W1, b1, W2, b2 = (p.numpy() for p in model.parameters())
    return production(
        analytic.TwoLayerNet("sigmoid", 2 * W1.T, 2 * b1, 2 * W2.T, b2 - W2.sum(axis=0), 0.0, 0.0)
    )
