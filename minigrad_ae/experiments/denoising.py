"""What the claims of lesson 06 train, once in a run (`Run.shared`), and two toys that the lesson
shows: a mixture of Gaussians and two points.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np

from .. import analytic
from ..models import DeepAutoencoder, DenoisingAutoencoder, LinearAutoencoder, TwoLayerAutoencoder
from ..train import History
from .linear import five_features
from .run import Run, adam, generator, mean_and_error


def denoise(
    model: DenoisingAutoencoder,
    X: Any,
    run: Run,
    *,
    lr: float,
    epochs: int,
    batch: int,
    copies: int = 1,
) -> History:
    """Train by Adam with a rate that falls to 0; each row appears `copies` times in an epoch, with
    other noise.
    """
    X = np.tile(X, (copies, 1))
    order, noise = generator(run, 61), generator(run, 62)
    return adam(model, X, lr=lr, epochs=epochs, batch=batch, rng=order, noise=noise)


def mean_loss(
    model: DenoisingAutoencoder, X: np.ndarray, rng: np.random.Generator, sweeps: int
) -> tuple[float, float]:
    """(mean loss per datum, its standard error): each row of X is corrupted `sweeps` times."""
    return mean_and_error([model.loss(X, rng=rng).item() / len(X) for _ in range(sweeps)])


# --- bugs -----------------------------------------------------------------------------------------


@contextmanager
def frozen() -> Iterator[None]:
    """The bug that noise is drawn at the first visit of a datum and kept, as if a corrupted copy
    had been stored.
    """
    right, kept = DenoisingAutoencoder.corrupt, dict[bytes, np.ndarray]()

    def corrupt(self: DenoisingAutoencoder, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        fresh = right(self, x, rng)
        return np.stack(
            [kept.setdefault(row.tobytes(), noisy) for row, noisy in zip(x, fresh, strict=True)]
        )

    with mock.patch.object(DenoisingAutoencoder, "corrupt", corrupt):
        yield


# --- linear, on five features: against reduced-rank regression ------------------------------------

SIGMA = 1.5
# anisotropic noise: the best subspace is not that of PCA
EACH_SIGMA = np.array([3.0, 5.0, 0.2, 5.0, 0.2])
DROP = 0.4
NOISES: dict[str, Any] = {
    "gaussian": {"sigma": SIGMA},
    "anisotropic": {"sigma": EACH_SIGMA},
    "drop": {"drop": DROP},
}
RANK, COPIES, STEPS = 2, 25, 300


def linear(run: Run, kind: str) -> DenoisingAutoencoder:
    """A linear denoiser of rank 2, trained on 80 points with this noise."""
    X, _ = five_features()
    net = LinearAutoencoder(5, RANK, rng=generator(run, 60))
    model = DenoisingAutoencoder(net, **NOISES[kind])
    denoise(model, X, run, lr=0.1, epochs=STEPS, batch=COPIES * len(X), copies=COPIES)
    return model


def product(model: DenoisingAutoencoder) -> np.ndarray:
    """A = W2 W1 (D, D) of a linear denoiser."""
    net: Any = model.autoencoder
    return (net.encoder_weight.numpy() @ net.decoding_weight().numpy()).T


def moments(kind: str) -> analytic.Moments:
    """The exact second moments of clean and noisy data."""
    X, _ = five_features()
    S = X.T @ X / len(X)
    if kind == "drop":
        return analytic.dropout_moments(S, 1 - DROP)
    return analytic.gaussian_moments(S, NOISES[kind]["sigma"])


PAIRS = STEPS // 10 * COPIES * 80  # seen in the last tenth of training, as its rate falls to 0


def residual(moments: analytic.Moments, M: int) -> np.ndarray:
    """cov(x - A x~), A the best map of rank M."""
    best = analytic.best_denoiser(moments, M)
    covariance: np.ndarray = moments.S - best.basis * best.captured[:M] @ best.basis.T
    return covariance


def excess(moments: analytic.Moments, M: int, pairs: int) -> float:
    """How far above its minimum a loss may end: a map of rank M has p = M (2 D - M) free numbers
    and D offsets, and a fit to this many pairs is above the minimum by chi-squared of p, of mean p
    and standard deviation sqrt(2 p), times the variance of a residual / pairs.
    """
    D = len(moments.S)
    p = M * (2 * D - M) + D
    largest = float(np.linalg.eigvalsh(residual(moments, M))[-1])
    return float((p + 5 * np.sqrt(2 * p)) * largest / pairs)


def few_points(run: Run) -> tuple[float, float, np.ndarray]:
    """(training loss per datum in the last tenth, its standard error, X): a linear denoiser of full
    rank, 5 points.
    """
    X = five_features()[0][:5]
    model = DenoisingAutoencoder(LinearAutoencoder(5, 5, rng=generator(run, 63)), sigma=SIGMA)
    history = denoise(model, X, run, lr=0.05, epochs=STEPS, batch=200 * 5, copies=200)
    return *mean_and_error(history.loss[-STEPS // 10 :]), X


FEW_PAIRS = STEPS // 10 * 200 * 5


# --- two points, one tanh unit: the posterior mean itself -----------------------------------------

TWIN = np.array([1.2, 0.9])  # the points are TWIN and -TWIN, sigma = 1


def twins(run: Run) -> DenoisingAutoencoder:
    """y = W2 tanh(W1 x~ + b1) + b2 with one unit, trained on two points, twice.

    Where the start answers with the wrong sign, W1 ends the first training nearly twice too long:
    the first gradients were large, and Adam's mean of squares, which has a memory of 1,000 steps,
    keeps its steps short from then on.  The second training forgets them.
    """
    model = DenoisingAutoencoder(TwoLayerAutoencoder(2, 1, rng=generator(run, 64)), sigma=1.0)
    for rate in (0.2, 0.05):
        points = np.array([TWIN, -TWIN])
        denoise(model, points, run, lr=rate, epochs=200, batch=2000, copies=1000)
    return model


# --- twenty points, a deep net: the floor ---------------------------------------------------------

FLOOR_SIGMA = 0.6


def ring(run: Run) -> np.ndarray:
    """(20, 2): twenty points scattered around a circle."""
    rng = generator(run, 65)
    angle = 2 * np.pi * np.arange(20) / 20
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.1 * rng.standard_normal((20, 2))


def ring_floor(run: Run) -> tuple[float, float]:
    """(floor, standard error): the least loss per datum of any function of x~ on these points."""
    return analytic.kernel_floor(run.shared(ring), FLOOR_SIGMA, generator(run, 71), sweeps=400)


def on_ring(run: Run) -> tuple[DenoisingAutoencoder, History]:
    """A deep denoiser of these points, and how its loss fell."""
    net = DeepAutoencoder(2, 2, 32, activation="relu", rng=generator(run, 66))
    model = DenoisingAutoencoder(net, sigma=FLOOR_SIGMA)
    return model, denoise(model, run.shared(ring), run, lr=0.02, epochs=300, batch=200, copies=10)


# --- a curved manifold: the unit circle -----------------------------------------------------------

CIRCLE_SIGMA = 0.5


def circle(n: int) -> np.ndarray:
    """(n, 2): points at equal steps around the unit circle."""
    angle = 2 * np.pi * np.arange(n) / n
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def circle_shrinkage(r: np.ndarray, sigma: float) -> np.ndarray:
    """I1(k) / I0(k), k = r / sigma^2: how long E[x | x~] is at ||x~|| = r, x uniform on the circle.

    By Gauss's continued fraction of the ratio, which has no cancellation.
    """
    half = 2 * sigma**2 / np.asarray(r, dtype=float)
    ratio = np.zeros_like(half)
    for n in range(60, 0, -1):
        ratio = 1 / (n * half + ratio)
    return ratio


def on_circle(run: Run) -> DenoisingAutoencoder:
    """A deep denoiser of 2,000 points of the circle."""
    net = DeepAutoencoder(2, 2, 32, activation="relu", rng=generator(run, 67))
    model = DenoisingAutoencoder(net, sigma=CIRCLE_SIGMA)
    denoise(model, circle(2000), run, lr=0.02, epochs=60, batch=200)
    return model


# --- a mixture of Gaussians: the score ------------------------------------------------------------

FIELD_SIGMA = 0.5


def mixture() -> analytic.GaussianMixture:
    """Three Gaussians in the plane."""
    covariances = [[[0.05, 0.0], [0.0, 0.4]], [[0.3, 0.2], [0.2, 0.2]], [[0.1, 0.0], [0.0, 0.1]]]
    means = [[-1.5, 0.0], [1.2, 1.2], [1.0, -1.4]]
    return analytic.GaussianMixture(
        np.array([0.4, 0.35, 0.25]), np.array(means), np.array(covariances)
    )
