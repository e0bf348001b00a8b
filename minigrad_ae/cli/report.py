"""What ``minigrad-ae train`` says of a model: what was done to its data, how far it is from PCA,
and what may bring it further.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import analytic, models
from ..autodiff.graph import no_grad
from ..data import Scaling
from ..experiments.masked import (
    gaussian_errors,
    masked_errors,
    mean_picture_errors,
    ridge_of,
)
from ..models.base import VariationalModel
from ..models.masked import random_masks
from ..train import History
from .model_options import SCALED

FAR = 1.5  # times the error of PCA
ENOUGH_ROWS = 5000  # of the training data, to see whether they are known by heart
MASKS = 20  # how many a masked autoencoder is tested with


# --- units ----------------------------------------------------------------------------------------


def in_units(model: Any, scaling: Scaling | None, loss: float) -> float:
    """The loss of a datum in the units of the table, where one number says it: a squared error has
    their square, and a density of the scaled data is one of the table times their product.
    """
    if scaling is None:
        return loss
    if isinstance(model, VariationalModel):
        return loss + float(np.sum(np.log(np.broadcast_to(scaling.factor, scaling.mean.shape))))
    return loss if scaling.factor.ndim else loss * float(scaling.factor) ** 2


def said_of(model: Any, scaling: Scaling | None) -> str:
    """What was done to the data, and what the losses are, in a line each."""
    loss = "loss: the model's own, a sum over features, mean over data, while training"
    if isinstance(model, models.MaskedAutoencoder):
        return loss
    if scaling is None:
        return f"scaling: none, the data as they are\n{loss}"
    if scaling.factor.ndim == 0:
        done = f"less the mean of each column, and divided by {float(scaling.factor):.6g}"
        return f"scaling: {done} (training rows)\n{loss}, in the units of the table"
    done = "less the mean of each column, and divided by its deviation (training rows)"
    units = "" if isinstance(model, VariationalModel) else ", of scaled columns"
    return (
        f"scaling: {done}\n"
        "  this changes the principal components: PCA stands here for PCA of the scaled columns\n"
        f"{loss}{units}"
    )


# --- on data held out -----------------------------------------------------------------------------


def report(
    model: Any, X: np.ndarray, X_test: np.ndarray, M: int, factor: np.ndarray, hints: Sequence[str]
) -> None:
    """Print the error on data held out, of the model and of PCA with as many numbers, in the units
    of the table: `factor` times those of the scaled data.  A denoiser is given noisy ones.  Far
    above PCA, what to try is said in a line.
    """
    if isinstance(model, models.MaskedAutoencoder):
        return report_masked(model, X, X_test, hints)
    pca = analytic.pca(X)
    model.eval()
    ours, best = differences(model, pca, M, X_test)
    denoises = isinstance(model, models.DenoisingAutoencoder)
    held_out = "held out, with noise" if denoises else "held out"
    print(
        f"{held_out}: squared error {sum_of_squares(ours * factor):.6g} (sum over features, mean "
        f"over data); PCA with M = {M}: {sum_of_squares(best * factor):.6g}"
    )
    error, reference = sum_of_squares(ours), sum_of_squares(best)
    if factor.ndim:
        print(f"of scaled columns: squared error {error:.6g}; PCA: {reference:.6g}")
    if is_far(error, reference, sum_of_squares(X_test - X.mean(axis=0))):
        ours, best = differences(model, pca, M, X[:ENOUGH_ROWS])
        if sum_of_squares(ours) < sum_of_squares(best):
            hints = ["more data, or fewer units: it is better than PCA on the training rows"]
        print(f"this is far above PCA with M = {M}: try {', or '.join(hints)}")


def differences(model: Any, pca: Any, M: int, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What is wrong with the rows X as the model makes them, and as PCA does; a denoiser and its
    PCA see noisy ones.
    """
    denoises = isinstance(model, models.DenoisingAutoencoder)
    given = model.corrupt(X, np.random.default_rng(0)) if denoises else X
    with no_grad():
        ours = model(given).numpy().astype(np.float64) - X
    return ours, pca.reconstruct(given, min(M, X.shape[1])) - X


def sum_of_squares(difference: np.ndarray) -> float:
    """Sum over features, mean over data, in float64, without the slides' factor 1/2."""
    return float(np.mean(np.sum(difference.astype(np.float64) ** 2, axis=1)))


def is_far(error: float, best: float, spread: float) -> bool:
    """Whether `error` is far above the reference `best`; `spread` is the error of the mean, a
    thousandth of which nobody minds.
    """
    return error > FAR * best + 1e-3 * spread


def report_masked(
    model: models.MaskedAutoencoder, X: np.ndarray, X_test: np.ndarray, hints: Sequence[str]
) -> None:
    """Print the error in hidden pixels of data held out, beside the Gaussian conditional's and the
    mean picture's with the same masks.
    """
    masks = random_masks(MASKS, model.n_patches, model.mask_ratio, np.random.default_rng(0))
    shape, patch = model.image_shape, model.patch
    ours = float(masked_errors(model, X_test, masks).mean())
    gaussian = float(gaussian_errors(X, X_test, masks, shape, patch, ridge_of(X)).mean())
    mean = float(mean_picture_errors(X, X_test, masks, shape, patch).mean())
    print(
        f"held out: squared error {ours:.6g} per hidden pixel; Gaussian conditional: "
        f"{gaussian:.6g}, mean picture: {mean:.6g}, the same {MASKS} masks"
    )
    if ours > (gaussian + mean) / 2:
        print(f"this is nearer to the mean picture: try {', or '.join(hints)}")


# --- what next ------------------------------------------------------------------------------------


def hints(options: Namespace, epochs: int, history: History) -> list[str]:
    """What may bring a run further, the likeliest first."""
    found = []
    bernoulli = options.model == "vae" and options.likelihood == "bernoulli"
    if options.scale == "none" and options.model in SCALED and not bernoulli:
        found.append("--scale one")
    losses = history.loss
    before = losses[-1 - -(-len(losses) // 10)] if len(losses) > 1 else math.inf
    on = " --resume" if options.checkpoint else ""
    own = {"sparse": "--lam", "vae": "--beta", "linear-vae": "--beta"}
    weight = [f"a smaller {own[options.model]}"] if options.model in own else []
    if losses and abs(before - losses[-1]) > 0.01 * abs(losses[-1]):
        return [*found, f"--epochs {4 * epochs}{on}", *weight]
    return [*found, *weight, f"--lr {options.lr / 10:g} or {options.lr * 10:g}"]
