"""What the claims of lesson 04 train: the four-layer network on curves, on the digits, and down to
a local minimum.

Errors are squared errors, a sum over features and a mean over data, without the slides' factor 1/2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import analytic
from ..autodiff import engine
from ..autodiff.curvature import hessian
from ..data import digits, helix, parabola
from ..models import DeepAutoencoder
from ..optim import LBFGS, SGD, Adam
from .run import Run, adam, closure, descent, generator, with_weights

H = 8  # hidden units on the parabola, as few as the slide draws
WIDE = 16  # on the helix
DIGITS_H = 128
DIGITS_LR = {"sigmoid": 1e-2, "relu": 5e-3}  # of Adam, at the start of a cosine
Nets = tuple[DeepAutoencoder, np.ndarray]


def evaluations(run: Run) -> int:
    """Of the loss and its gradient, in one training by L-BFGS."""
    return 300 if run.fast else 1000


def starts(run: Run, least: int = 2) -> int:
    """How many random starts where the best of them is meant: a single one may be sub-optimal."""
    return max(least, min(run.starts, 5))


def squared_error(Y: np.ndarray, X: np.ndarray) -> float:
    """Sum over features, mean over data."""
    return float(np.mean(np.sum((Y.astype(np.float64) - X) ** 2, axis=1)))


def error(model: DeepAutoencoder, X: np.ndarray) -> float:
    """The squared error of what the model makes of X."""
    return squared_error(model(X).numpy(), X)


# --- L-BFGS on all the data -----------------------------------------------------------------------


def minimise(model: DeepAutoencoder, X: np.ndarray, count: int) -> np.ndarray:
    """The error at each of `count` evaluations of E and its gradient by L-BFGS."""
    losses: list[float] = []
    optimiser = LBFGS(model.parameters(), history=20, max_iter=count, max_evaluations=count)
    optimiser.step(closure(lambda: model.loss(X), losses.append))
    return 2 * np.array(losses) / len(X)


def on_parabola(run: Run, activation: str, start: int) -> Nets:
    """2-8-1-8-2 on 201 points of the parabola."""
    model = DeepAutoencoder(2, 1, H, activation=activation, rng=generator(run, start))
    return model, minimise(model, parabola()[0], evaluations(run))


def on_helix(run: Run, start: int) -> Nets:
    """3-16-1-16-3 on one turn of a helix."""
    model = DeepAutoencoder(3, 1, WIDE, rng=generator(run, start))
    return model, minimise(model, helix()[0], evaluations(run))


def best(run: Run, train_one: Callable[..., Nets], *key: Any, least: int = 2) -> Nets:
    """The start with the smallest error at the end, of at least so many."""
    return min(
        (run.shared(train_one, *key, k) for k in range(starts(run, least))),
        key=lambda found: float(found[1][-1]),
    )


# --- one step after the other ---------------------------------------------------------------------

# learning rates: of .1, .3 and 1 for SGD and .01 and .03 for Adam these did best on two starts.
# They are not the best there are: SGD at .6, or with momentum, goes further.
FIRST_ORDER: dict[str, Callable[..., Any]] = {
    "SGD": lambda parameters: SGD(parameters, lr=0.3),
    "Adam": lambda parameters: Adam(parameters, lr=0.03),
}


def first_order(run: Run, name: str, start: int) -> np.ndarray:
    """The error at each step of SGD or Adam on the mean loss of all the points, from the same start
    as L-BFGS.
    """
    model = DeepAutoencoder(2, 1, H, rng=generator(run, start))
    optimiser, X = FIRST_ORDER[name](model.parameters()), parabola()[0]
    losses = descent(optimiser, lambda: model.loss(X) / len(X), evaluations(run) - 1)
    return 2 * np.array(list(losses))


# --- digits, in batches ---------------------------------------------------------------------------


def on_digits(run: Run, activation: str, M: int, start: int, epochs: int) -> DeepAutoencoder:
    """64-128-M-128-64 on the training digits, float32, by Adam with a cosine schedule."""
    X = digits("train")[0]
    init, shuffle = generator(run, start, 0), generator(run, start, 1)
    model = DeepAutoencoder(64, M, DIGITS_H, activation=activation, rng=init, dtype=np.float32)
    model.start_at(X.mean(axis=0))
    adam(model, X, lr=DIGITS_LR[activation], epochs=epochs, batch=64, rng=shuffle)
    return model


def pca_test_errors(run: Run, sizes: tuple[int, ...]) -> dict[int, float]:
    """{M: error on the test digits} of PCA of the training digits."""
    principal, X = analytic.pca(digits("train")[0]), digits("test")[0]
    return {M: squared_error(principal.reconstruct(X, M), X) for M in sizes}


# --- a local minimum ------------------------------------------------------------------------------

# 20 points with three far ones: drawn once (Student's t, 3 degrees of freedom), centred and rounded
TWENTY = [
    [1.14, -0.87, -0.02], [1.21, -0.72, 1.13], [-0.79, 0.17, -10.96], [0.07, 0.33, 0.14],
    [-1.88, -2.07, -0.66], [0.80, 1.51, 1.53], [-0.54, -1.65, 0.99], [1.15, 3.54, 2.06],
    [1.86, -0.82, 0.09], [-4.81, 1.75, 0.87], [1.17, 1.88, 0.99], [0.56, 0.69, -0.27],
    [2.14, -0.42, 0.88], [-2.51, -2.54, -0.77], [1.82, 0.02, -0.62], [-0.35, 0.35, 0.24],
    [-0.68, -2.03, 4.09], [-2.92, -0.05, 1.06], [1.20, 0.31, 0.72], [1.37, 0.63, -1.49],
]  # fmt: skip
# W1, b1, ... b4 of a 3-2-1-2-3 net in the basin of a local minimum, found by a search over random
# starts, and where L-BFGS is after 400 evaluations from another start
BASIN: list[Any] = [
    [[-4.99, -7.55], [-1.16, -0.13], [1.21, -4.60]], [1.12, 1.33],
    [[-16.17], [17.97]], [0.0],
    [[-0.29, -23.89]], [1.58, 43.79],
    [[-18.50, -8.73, 19.34], [17.37, 6.74, -4.26]], [-0.53, 1.00, -11.39],
]  # fmt: skip
DEEPER: list[Any] = [
    [[-0.10, -1.84], [-0.08, -1.72], [-0.31, 1.07]], [-1.50, -4.87],
    [[-13.89], [5.92]], [0.0],
    [[6.44, 0.22]], [-4.14, 0.14],
    [[-5.17, -2.41, -7.30], [5.89, 3.13, 32.43]], [-1.38, -0.83, -13.36],
]  # fmt: skip


def gradient(model: DeepAutoencoder, X: np.ndarray) -> np.ndarray:
    """dE/dw in all weights laid end to end."""
    return np.concatenate([g.ravel() for g in engine.grad(model.loss(X), list(model.parameters()))])


def curvatures(model: DeepAutoencoder, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of the Hessian of E in all weights, by the size of the values:
    the flat directions come first.
    """
    parameters = list(model.parameters())
    sizes = [p.size for p in parameters]
    blocks = hessian(model.loss(X), parameters)
    rows = [
        [block.reshape(m, n) for block, n in zip(row, sizes, strict=True)]
        for row, m in zip(blocks, sizes, strict=True)
    ]
    H = np.block(rows)
    values, vectors = np.linalg.eigh((H + H.T) / 2)
    order = np.argsort(np.abs(values))
    return values[order], vectors[:, order]


def newton(model: DeepAutoencoder, X: np.ndarray, flat: int, steps: int = 4) -> None:
    """Newton's steps across all directions but the flattest, of which there are `flat`."""
    for _ in range(steps):
        values, vectors = curvatures(model, X)
        across = vectors[:, flat:]
        move = -across @ (across.T @ gradient(model, X) / values[flat:])
        ends = np.cumsum([p.size for p in model.parameters()])[:-1]
        for p, part in zip(model.parameters(), np.split(move, ends), strict=True):
            p.data = p.numpy() + part.reshape(p.shape)


def local_minimum(run: Run) -> DeepAutoencoder:
    """The net at the local minimum: L-BFGS from the basin, then Newton's method."""
    X = np.array(TWENTY)
    model = with_weights(DeepAutoencoder(3, 1, 2, rng=np.random.default_rng(0)), *BASIN)
    minimise(model, X, 200)
    newton(model, X, flat=2)
    return model


def elsewhere(run: Run) -> DeepAutoencoder:
    """The same net in a deeper basin."""
    return with_weights(DeepAutoencoder(3, 1, 2, rng=np.random.default_rng(0)), *DEEPER)


# --- codes of M and of M + 1 units ----------------------------------------------------------------

CODES_H = 16


def codes(run: Run, M: int, start: int) -> np.ndarray:
    """(200, M): the codes of 200 digits by 64-16-M-16-64, trained on them by Adam."""
    X = digits()[0][:200]
    init, shuffle = generator(run, start, M, 0), generator(run, start, M, 1)
    model = DeepAutoencoder(64, M, CODES_H, rng=init)
    model.start_at(X.mean(axis=0))
    adam(model, X, lr=0.02, epochs=15, batch=50, rng=shuffle)
    return model.encode(X).numpy()


def explained(smaller: np.ndarray, larger: np.ndarray) -> float:
    """R^2 of the linear regression of one code on another, both centred; the mean over directions
    of the smaller one, scaled to equal variance, so that z -> z C + c changes nothing.
    """
    Q, P = (np.linalg.qr(z - z.mean(axis=0))[0] for z in (smaller, larger))
    return float(np.sum((P.T @ Q) ** 2) / Q.shape[1])
