"""What lesson 05 and its claims both train: once in a run (`Run.shared`)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..autodiff import engine
from ..data import digits
from ..models import SparseAutoencoder
from ..optim import LBFGS, Adam
from ..tensors import Tensor, tensor
from .run import Run, adam, closure, descent, generator


def minimise(
    model: SparseAutoencoder,
    X: np.ndarray,
    evaluations: int = 3000,
    watch: Callable[[float], Any] | None = None,
) -> SparseAutoencoder:
    """Train by L-BFGS on all the data; `watch` is called with the loss at each evaluation."""
    limits = {"max_iter": evaluations, "max_evaluations": evaluations}
    optimiser = LBFGS(model.parameters(), history=30, **limits)
    optimiser.step(closure(lambda: model.loss(X), watch))
    return model


def parts(model: SparseAutoencoder, X: np.ndarray) -> tuple[float, float]:
    """(E, sum over n and k of |z|) of the data."""
    z = model.encode(X)
    return ops.half_squared_error(model.decode(z), X).item(), float(np.abs(z.numpy()).sum())


# --- a decoder that is given and orthonormal ------------------------------------------------------

LAM = 0.5


def laplace(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """200 points in four dimensions with heavy tails, and a random orthonormal basis U (4, 4)."""
    rng = generator(run, 5)
    return rng.laplace(size=(200, 4)), np.linalg.qr(rng.standard_normal((4, 4)))[0]


def untrained_encoder(run: Run) -> SparseAutoencoder:
    """Eight ReLU units with random weights before the decoder (U, -U), which is not trained: u_k
    and -u_k, as z >= 0.
    """
    _, U = run.shared(laplace)
    model = SparseAutoencoder(4, 8, lam=LAM, rng=generator(run, 6))
    model.decoder_weight.data = np.vstack([U.T, -U.T])
    model.decoder_weight.requires_grad = model.decoder_bias.requires_grad = False
    return model


def trained_encoder(run: Run) -> SparseAutoencoder:
    """The same, trained: its encoder has learned to compute sparse codes."""
    return minimise(untrained_encoder(run), run.shared(laplace)[0])


def signed_codes(model: SparseAutoencoder, X: np.ndarray) -> np.ndarray:
    """(n, 4): the units of u_k minus those of -u_k."""
    z = model.encode(X).numpy()
    return z[:, :4] - z[:, 4:]


# --- all weights trained, as lambda grows ---------------------------------------------------------

SHARES = (0.05, 0.1, 0.2, 0.4)  # lambda, as a share of the length of the longest row


def centred(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """(200, 4) and (200,): `laplace` about its mean, and the lengths of the rows."""
    X = run.shared(laplace)[0]
    X = X - X.mean(axis=0)
    return X, np.linalg.norm(X, axis=1)


def codes_in_use(run: Run, share: float, start: int) -> float:
    """Codes that are not 0, per row, of eight ReLU units, all weights trained by Adam with lambda =
    share x the longest row.
    """
    X, lengths = run.shared(centred)
    model = SparseAutoencoder(4, 8, lam=share * lengths.max(), rng=generator(run, 13, start))
    list(descent(Adam(model.parameters(), lr=0.1), lambda: model.loss(X), 100))
    return float(np.count_nonzero(model.encode(X).numpy())) / len(X)


def first_code(run: Run) -> tuple[float, float, float]:
    """(loss of a trained net, sum ||x||^2 / 2, the length that lambda lacks to the longest row):
    lambda lies half-way from the second longest row to the longest, on which one unit starts.
    """
    X, lengths = run.shared(centred)
    second, longest = np.sort(lengths)[-2:]
    along = X[np.argmax(lengths)] / longest
    model = SparseAutoencoder(4, 4, lam=(second + longest) / 2, rng=generator(run, 14))
    model.encoder_weight.data[:, 0] = model.decoder_weight.data[0] = along
    model.encoder_bias.data[0] = -(np.sort(X @ along)[-2] + longest) / 2
    minimise(model, X, 300)
    return model.loss(X).item(), float(np.sum(X**2)) / 2, float(longest - second) / 2


# --- what holds the decoder -----------------------------------------------------------------------

UNITS = 8


def held(run: Run, constraint: str) -> tuple[SparseAutoencoder, list[tuple[float, float]]]:
    """Eight linear units on 300 digits, with this constraint; and (E, sum |z|) during training."""
    model = SparseAutoencoder(
        64,
        UNITS,
        lam=0.5,
        constraint=constraint,
        decay=20.0,
        activation=None,
        rng=generator(run, 7),
    )
    X, seen = few_digits(run), list[tuple[float, float]]()
    minimise(model, X, 60 if run.fast else 600, lambda loss: seen.append(parts(model, X)))
    return model, seen


def few_digits(run: Run) -> np.ndarray:
    """(300, 64): centred digits."""
    X = digits()[0][:300]
    return X - X.mean(axis=0)


def rescaled(model: SparseAutoencoder, c: float) -> SparseAutoencoder:
    """The same network with codes c times as large and its decoder's weights divided by c."""
    twin = copy.deepcopy(model)
    twin.encoder_weight.data = c * twin.encoder_weight.numpy()
    twin.encoder_bias.data = c * twin.encoder_bias.numpy()
    twin.decoder_weight.data = twin.decoder_weight.numpy() / c
    return twin


def decayed(run: Run) -> SparseAutoencoder:
    """Eight ReLU units on `laplace`, their decoder held by a weight decay, trained to the rounding
    of the loss; then each unit's scale, as all weights together may stop at a kink.
    """
    (X, _), rng = run.shared(laplace), generator(run, 8)
    model = SparseAutoencoder(4, 8, lam=0.3, constraint="decay", decay=3.0, rng=rng)
    minimise(model, X)
    minimise_scales(model, X)
    return model


# What is left of the gradient by ln c_k.  Less cannot be seen in the loss, whose second derivative
# is 3 mu ||w_k||^2, some 36: SLOPE^2 / 72 is 1e-14, and a loss of 170 is known to 3e-14.
SLOPE = 1e-6


def minimise_scales(model: SparseAutoencoder, X: np.ndarray) -> None:
    """Train c_k alone: the factor of unit k's encoding weights, the divisor of its decoding ones.

    What a ReLU unit says is multiplied by c_k, so no kink is crossed: this loss is smooth.
    """
    weights = [model.encoder_weight, model.encoder_bias, model.decoder_weight]
    A, b, W = (p.numpy().copy() for p in weights)
    log_c = tensor(np.zeros(model.n_latent), requires_grad=True)

    def evaluate() -> Tensor:
        c = np.exp(log_c.numpy())
        for p, value in zip(weights, (c * A, c * b, W / c[:, None]), strict=True):
            p.data = value
        loss: Tensor = model.loss(X)
        dA, db, dW = engine.grad(loss, weights)
        log_c.grad = c * (np.sum(dA * A, axis=0) + db * b) - np.sum(dW * W, axis=1) / c
        return loss

    LBFGS([log_c], max_iter=200, gradient_tolerance=SLOPE).step(evaluate)
    evaluate()  # at the best point, which need not be the last


# --- a dictionary that is known -------------------------------------------------------------------


def sources(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """x = A s: 1,000 mixtures X of six independent sparse sources by an orthogonal A (6, 6), which
    PCA cannot see.
    """
    rng = generator(run, 9)
    A = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    S = rng.laplace(size=(1000, 6)) * (rng.random((1000, 6)) < 0.3)
    X = S @ A.T
    return X / X.std(), A


def planted(run: Run) -> SparseAutoencoder:
    """Twelve ReLU units trained on the mixtures, from random weights: the least loss of 3 starts,
    as one start in 25 ends in a minimum that lacks a column.
    """
    X, found = run.shared(sources)[0], list[SparseAutoencoder]()
    for key in ((10,), (10, 1), (10, 2)):
        model = SparseAutoencoder(6, 12, lam=0.1, rng=generator(run, *key))
        found.append(minimise(model, X, evaluations=400))
    return min(found, key=lambda model: model.loss(X).item())


# --- digits, and what pictures look like ----------------------------------------------------------


def descend(
    run: Run, model: SparseAutoencoder, X: np.ndarray, epochs: int, batch: int
) -> SparseAutoencoder:
    """Train by Adam with a rate that falls to 0; returns the model."""
    adam(model, X, lr=3e-3, epochs=epochs, batch=batch, rng=generator(run, 12))
    return model


def on_digits(run: Run) -> tuple[SparseAutoencoder, np.ndarray]:
    """100 units for 64 pixels, trained on the training digits, centred; and 24 test digits,
    likewise.
    """
    X, T = digits("train")[0], digits("test")[0][:24]
    model = SparseAutoencoder(64, 100, lam=0.2, rng=generator(run, 11))
    return descend(run, model, X - X.mean(axis=0), epochs=20, batch=64), T - X.mean(axis=0)


def localised(pictures: np.ndarray) -> float:
    """Median over rows of the share of a picture's squares that lies in its strongest quarter of
    pixels: 1/4 if even.
    """
    squares = np.sort(pictures**2, axis=1)[:, ::-1]
    quarter = max(1, squares.shape[1] // 4)
    return float(np.median(squares[:, :quarter].sum(axis=1) / squares.sum(axis=1)))


def oriented(pictures: np.ndarray) -> float:
    """Median over rows of |sum P e^(2 i angle)| / sum P, P a picture's power at each wave: 0 no
    direction, 1 stripes.
    """
    size = int(np.sqrt(pictures.shape[1]))
    power = np.abs(np.fft.fft2(pictures.reshape(-1, size, size))) ** 2
    vertical, horizontal = np.meshgrid(*[np.fft.fftfreq(size)] * 2, indexing="ij")
    turn = np.exp(2j * np.arctan2(vertical, horizontal))
    return float(np.median(np.abs((power * turn).sum(axis=(1, 2))) / power.sum(axis=(1, 2))))
