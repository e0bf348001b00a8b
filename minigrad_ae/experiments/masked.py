"""What lesson 07 and its claims share: masks that stay the same, references on the same masks,
short training runs.

Everything is float32 unless it is compared to rounding.  A mask is True where a patch is hidden.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from .. import analytic, checkpoint
from ..autodiff.graph import no_grad
from ..data import digits, shipped
from ..models.masked import MaskedAutoencoder, visible_patches
from ..nn import unpatchify
from ..optim import AdamW, cosine_schedule
from ..train import History, fit
from .run import Run

# digits: pixels of a side, of a patch's side, patches, pixels of a patch
SIDE, PATCH, TOKENS, PIXELS = 8, 2, 16, 4
RIDGE = 1e-3  # added to the covariance: some pixels of the digits never vary
QUICK: dict[str, Any] = {
    "width": 32,
    "depth": 1,
    "heads": 2,
    "decoder_width": 32,
    "decoder_depth": 2,
    "decoder_heads": 2,
}


def pictures(split: str) -> np.ndarray:
    """The digits of a split, (n, 64) float32."""
    return digits(split)[0].astype(np.float32)


def frozen_masks(n: int, ratio: float = 0.75, tokens: int = TOKENS) -> np.ndarray:
    """(n, L): always the same masks, each for a whole set of pictures; the first that
    default_rng(0).permutation gives.
    """
    rng, visible = np.random.default_rng(0), visible_patches(tokens, ratio)
    return np.array([rng.permutation(tokens).argsort() >= visible for _ in range(n)])


def train(
    model: MaskedAutoencoder,
    X: np.ndarray,
    *,
    epochs: int,
    lr: float,
    seed: int = 0,
    batch_size: int = 64,
    callbacks: Any = (),
    progress: bool = False,
) -> History:
    """AdamW (.9, .95), weight decay .05 on matrices, 5 % warm-up, then a cosine to 0; new masks in
    every step.
    """
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = AdamW(weights, lr, (0.9, 0.95), weight_decay=0.05, matrices_only=True)
    steps = epochs * -(-len(X) // batch_size)
    schedule = cosine_schedule(optimizer, steps, warmup=steps // 20)
    return fit(
        model,
        X,
        optimizer=optimizer,
        epochs=epochs,
        batch_size=batch_size,
        rng=np.random.default_rng([seed, 1]),
        noise=np.random.default_rng([seed, 2]),
        schedule=schedule,
        callbacks=callbacks,
        progress=progress,
    )


def fresh(seed: int, **settings: Any) -> MaskedAutoencoder:
    """An untrained masked autoencoder of the digits that knows their mean picture and scale."""
    model = MaskedAutoencoder(
        (SIDE, SIDE), PATCH, rng=np.random.default_rng(seed), dtype=np.float32, **settings
    )
    return model.standardise(pictures("train"))


def live(run: Run) -> MaskedAutoencoder:
    """A network of 28,000 parameters, trained from random weights: 45 epochs (1,035 steps) are
    about 6 s, 8 epochs under --fast 1.2 s.
    """
    model, epochs = fresh(run.seed, **QUICK), 8 if run.fast else 45
    train(model, pictures("train"), epochs=epochs, lr=5e-3, seed=run.seed)
    return model


def ready(run: Run, name: str) -> MaskedAutoencoder:
    """A network that was trained for minutes and ships with the package."""
    return loaded(shipped(name))


def loaded(path: Path) -> MaskedAutoencoder:
    """The network in a file."""
    model = checkpoint.load(path).model
    assert isinstance(model, MaskedAutoencoder)
    return model


# --- errors on the same masks ---------------------------------------------------------------------


def masked_errors(model: MaskedAutoencoder, X: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """(len(masks),): the squared error per hidden pixel, mean over all pictures, for each mask."""
    with no_grad():
        return np.array([model.masked_error(X, mask) for mask in masks])


def hidden_pixels(mask: np.ndarray, image_shape: Any, patch: int) -> np.ndarray:
    """A mask of patches (L,) as one of pixels (D,)."""
    pixels = np.repeat(mask[None, :, None], patch**2 * math.prod(image_shape[2:]), axis=2)
    return unpatchify(pixels, image_shape, patch)[0]


def gaussian_errors(
    X_train: np.ndarray,
    X: np.ndarray,
    masks: np.ndarray,
    image_shape: Any = (SIDE, SIDE),
    patch: int = PATCH,
    ridge: float = RIDGE,
) -> np.ndarray:
    """The same for the Gaussian conditional mean, from mean and covariance (+ ridge I) of the
    training pictures.
    """
    X_train, X = X_train.astype(np.float64), X.astype(np.float64)
    mean = X_train.mean(axis=0)
    S = np.cov(X_train.T, bias=True) + ridge * np.eye(len(mean))

    def error(hidden: np.ndarray) -> float:
        prediction = analytic.gaussian_conditional(S, hidden).predict(X, mean)
        return float(np.mean((prediction - X[:, hidden]) ** 2))

    return np.array([error(hidden_pixels(mask, image_shape, patch)) for mask in masks])


def ridge_of(X_train: np.ndarray) -> float:
    """A ridge for pictures in any unit and number: their total variance, divided by how many they
    are, about the square of what the covariance of so few pictures is wrong by.
    """
    return float(X_train.var(axis=0, dtype=np.float64).sum()) / len(X_train)


def mean_picture_errors(
    X_train: np.ndarray,
    X: np.ndarray,
    masks: np.ndarray,
    image_shape: Any = (SIDE, SIDE),
    patch: int = PATCH,
) -> np.ndarray:
    """The same for the mean training picture."""
    squares = np.mean((X.astype(np.float64) - X_train.astype(np.float64).mean(axis=0)) ** 2, axis=0)
    return np.array([squares[hidden_pixels(mask, image_shape, patch)].mean() for mask in masks])


# --- the shipped network, on masks that stay the same ---------------------------------------------


def masks_of(run: Run) -> np.ndarray:
    """The first of 200 masks; ten of them under --fast."""
    return frozen_masks(10 if run.fast else 200)


def shipped_errors(run: Run) -> np.ndarray:
    """For each mask, the error of the shipped network on the test digits."""
    return masked_errors(run.shared(ready, "07_digits.npz"), pictures("test"), masks_of(run))


def conditional_errors(run: Run) -> np.ndarray:
    """For each mask, the error of the Gaussian conditional on the test digits."""
    return gaussian_errors(pictures("train"), pictures("test"), masks_of(run))
