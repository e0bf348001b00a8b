"""``minigrad-ae train MODEL``: train one of the chapter's models on digits, MNIST or a matrix, and
keep it.

To add a model: one entry in `MODELS`, and its own options, if it has any, in `OPTIONS` and
`USED_BY`.
"""

from __future__ import annotations

import math
import sys
from argparse import SUPPRESS, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import analytic, checkpoint, models
from ..arguments import counted
from ..autodiff.graph import no_grad
from ..command_line import seed
from ..data import Scaling, check_matrix, digits, mnist
from ..data.mnist_files import SETS
from ..data.validate import demand_differences, demand_squares
from ..errors import DataError
from ..experiments.masked import (
    gaussian_errors,
    masked_errors,
    mean_picture_errors,
    ridge_of,
)
from ..models.base import VariationalModel
from ..models.masked import random_masks
from ..optim import Adam
from ..room import demand_room
from ..train import History, fit
from . import input, runs

EPOCHS, STEPS = 10, 3000  # at least, where --epochs is not given
# learning rates where none is given, if not 0.001; and the steps after which one has halved
RATE, FALL = {"linear": 0.01}, {"linear": 1000}
FAR = 1.5  # times the error of PCA
ENOUGH_ROWS = 5000  # of the training data, to see whether they are known by heart
# with options in the units of the data, which mean something for pixels
PIXELS = ("sparse", "denoising")
# a masked autoencoder does it itself
SCALED = ("linear", "two-layer", "deep", "sparse", "denoising", "linear-vae", "vae")
MASKS = 20  # how many a masked autoencoder is tested with
HELD_OUT = 5  # every fifth row of the user's own matrix is for testing


def train(options: Namespace, rest: list[str]) -> int:
    """Train, report the loss of the epochs and the error on data held out, beside PCA's; returns
    the exit code.
    """
    _complete(options)
    path = runs.path_of(options)
    with runs.answering_sigterm(), runs.folder_of(options, path):
        return _train(options, path)


def _train(options: Namespace, path: Path | None) -> int:
    X, X_test = data_of(options)
    seeds = np.random.SeedSequence(options.seed).spawn(3)
    init, shuffle, noise = map(np.random.default_rng, seeds)
    begun = runs.Begun.read(path) if options.resume and path is not None else None
    if begun is not None:
        begun.complete(options)
    else:
        _choose(options, X)
    model = MODELS[options.model](options, X.shape[1], rng=init, dtype=options.dtype)
    if isinstance(model, models.MaskedAutoencoder):
        model.standardise(X)
    # each parameter gets a gradient and Adam's two moments, in the middle of the first step
    size = 3 * sum(p.size * p.dtype.itemsize for p in model.parameters())
    demand_room(size, "training this model", "choose fewer units (--latent, --hidden)")
    runs.demand_disk(path, size)
    optimizer = Adam(model.parameters(), lr=options.lr)
    data = runs.data_sum(X, X_test) if path is not None else ""
    if begun is not None and path is not None:
        begun.demand_same(options, data, optimizer)
        found = checkpoint.load(path, model)
        optimizer.load_state_dict(found.optimizer or {})
        shuffle, noise = found.generators["shuffle"], found.generators["noise"]
        scaling, history = found.scaling, begun.history
    else:
        scaling = None if options.scale == "none" else Scaling.learn(X, options.scale)
        history = History()
    if scaling is not None:
        X, X_test = scaling.apply(X), scaling.apply(X_test)
    epochs = options.epochs
    if epochs is None:
        epochs = enough_epochs(len(X), options.batch_size)
    if begun is not None:
        left = max(0, epochs - history.epochs)
        within = f", step {history.steps}" if history.begun else ""
        print(f"continuing after epoch {history.epochs}{within}, with {path}; epochs left: {left}")
    keeper = runs.Keeper(
        runs.Kept(
            path,
            {"settings": runs.settings_of(options), "data": data},
            scaling,
            {"shuffle": shuffle, "noise": noise},
        ),
        epochs,
        options.every,
        history,
        lambda model, loss: in_units(model, scaling, loss),
    )
    count = sum(p.size for p in model.parameters())
    print(
        f"{type(model).__name__}, {count:,} parameters; {len(X)} data of {X.shape[1]} features, "
        f"{len(X_test)} held out"
    )
    print(said_of(model, scaling), flush=True)
    kept: dict[str, Any] = {"callbacks": [keeper.after_epoch], "each_step": [keeper.after_step]}
    try:
        fit(
            model,
            X,
            optimizer=optimizer,
            epochs=epochs,
            rng=shuffle,
            batch_size=options.batch_size,
            noise=noise,
            schedule=falling(options.lr, options.fall),
            progress=sys.stderr.isatty(),
            history=history,
            **kept,
        )
    except KeyboardInterrupt as stop:
        return runs.interrupted(stop, keeper, options)
    factor = np.array(1.0) if scaling is None else scaling.factor
    report(model, X, X_test, options.latent, factor, hints(options, epochs, history))
    if path is not None:
        print(f"kept in {path}")
    return 0


# --- what is chosen where nothing is said ---------------------------------------------------------


def enough_epochs(rows: int, batch_size: int) -> int:
    """EPOCHS, or as many as make STEPS steps: a pass through a small table is short."""
    return max(EPOCHS, -(-STEPS // -(-rows // max(1, batch_size))))


def falling(lr: float, fall: int | None) -> Callable[[int], float] | None:
    """The learning rate of step k, lr / (1 + k / fall): it does not depend on the number of epochs,
    so that a run can go on.
    """
    return None if fall is None else lambda k: lr / (1 + k / fall)


def _choose(options: Namespace, X: np.ndarray) -> None:
    """Complete the options whose default depends on the model and the data, for a run that
    begins.
    """
    options.fall = FALL.get(options.model)
    if options.lr is None:
        options.lr = RATE.get(options.model, 1e-3)
    pixels = options.model == "vae" and options.likelihood == "bernoulli"
    if options.model == "masked" or pixels:
        if pixels and options.scale not in (None, "none"):
            raise DataError(
                f"--scale {options.scale} and a Bernoulli likelihood do not go together",
                "p(x | z) is about pixels in [0, 1], and scaled data lie on both sides of 0",
                "choose --likelihood gaussian, or leave out --scale",
            )
        options.scale = "none"
    if options.scale is None:
        left_alone = options.model in PIXELS and X.min() >= 0 and X.max() <= 1
        options.scale = "none" if left_alone else "one"
    demand_differences(X)
    if options.scale != "none":
        demand_squares(X)


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


def data_of(options: Namespace) -> tuple[np.ndarray, np.ndarray]:
    """(training data, data held out)."""
    if options.data in {"digits", *SETS}:
        input.demand_none(options, f"to {options.data}", "key", "drop_columns")
    if options.data == "digits":
        return digits("train")[0], digits("test")[0]
    if options.data in SETS:
        train, test = (
            mnist(split=split, dtype=options.dtype, which=options.data)[0]
            for split in ("train", "test")
        )
        return train, test
    table = input.matrix(options)
    X = check_matrix(table.X, Path(options.data).name, min_rows=HELD_OUT)
    input.say(options, table)
    test = np.arange(len(X)) % HELD_OUT == HELD_OUT - 1
    return X[~test], X[test]


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


def sum_of_squares(difference: np.ndarray) -> float:
    """Sum over features, mean over data, in float64, without the slides' factor 1/2."""
    return float(np.mean(np.sum(difference.astype(np.float64) ** 2, axis=1)))


def _complete(options: Namespace) -> None:
    """Refuse options that the model does not use, and give the others their defaults."""
    for name, (default, users) in USED_BY.items():
        if options.model in users:
            vars(options).setdefault(name, default)
        elif hasattr(options, name):
            flag = runs.flag(name)
            raise DataError(
                f"{flag} means nothing to the model {options.model!r}",
                f"it is an option of {', '.join(users)}",
                f"leave out {flag}, or choose another model",
            )


# --- the models -----------------------------------------------------------------------------------
# each made from the options o and the number of features D; settings: rng and dtype


def _linear(o: Namespace, D: int, **settings: Any) -> Any:
    return models.LinearAutoencoder(D, o.latent, **settings)


def _two_layer(o: Namespace, D: int, **settings: Any) -> Any:
    return models.TwoLayerAutoencoder(D, o.latent, activation=o.activation, **settings)


def _deep(o: Namespace, D: int, **settings: Any) -> Any:
    return models.DeepAutoencoder(D, o.latent, o.hidden, activation=o.activation, **settings)


def _sparse(o: Namespace, D: int, **settings: Any) -> Any:
    return models.SparseAutoencoder(D, o.latent, lam=o.lam, constraint=o.constraint, **settings)


def _denoising(o: Namespace, D: int, **settings: Any) -> Any:
    return models.DenoisingAutoencoder(_deep(o, D, **settings), drop=o.drop, sigma=o.noise)


def _masked(o: Namespace, D: int, **settings: Any) -> Any:
    return models.MaskedAutoencoder(
        square(D), o.patch, width=o.latent, mask_ratio=o.mask_ratio, **settings
    )


def _linear_vae(o: Namespace, D: int, **settings: Any) -> Any:
    # a sigma below 0 stays below 0, so that the model refuses it
    sigma2 = 1.0 if o.sigma is None else o.sigma * abs(o.sigma)
    return models.LinearVAE(D, o.latent, beta=o.beta, sigma2=sigma2, learn_sigma2=True, **settings)


def _vae(o: Namespace, D: int, **settings: Any) -> Any:
    return models.VariationalAutoencoder(
        D,
        o.latent,
        hidden=(o.hidden,),
        activation=o.activation,
        likelihood=o.likelihood,
        sigma=o.sigma,
        learn_sigma=o.likelihood == "gaussian",
        beta=o.beta,
        **settings,
    )


def square(D: int) -> tuple[int, int]:
    """The shape of square pictures of D pixels."""
    side = math.isqrt(D)
    if side * side != D:
        raise DataError(
            "a masked autoencoder needs pictures",
            f"the data have {counted(D, 'feature')}, which is not a square number",
            "from Python, MaskedAutoencoder((height, width), patch) takes any rectangle",
        )
    return side, side


MODELS: dict[str, Callable[..., Any]] = {
    "linear": _linear,
    "two-layer": _two_layer,
    "deep": _deep,
    "sparse": _sparse,
    "denoising": _denoising,
    "masked": _masked,
    "linear-vae": _linear_vae,
    "vae": _vae,
}

HELP = "train a model on digits, MNIST or your own matrix"
NAMES = ", ".join(MODELS)
CHOICES = sorted(MODELS)
# no defaults here, so that `_complete` sees what was given
WHOLE = {"type": int, "default": SUPPRESS}
REAL = {"type": float, "default": SUPPRESS}
OWN = {  # options of single models
    "--scale": {
        "choices": runs.SCALES,
        "default": SUPPRESS,
        "help": "data less their mean and divided by one number for all columns, learned from the "
        "training rows and undone in the report; by one for each column, which changes the PCA; or "
        "as they are (one; none for pixels in [0, 1] with sparse and denoising, and for a "
        "Bernoulli vae). --noise, --lam and --sigma are in the units of scaled data",
    },
    "--hidden": {**WHOLE, "metavar": "H", "help": "hidden units in each of the outer layers (128)"},
    "--activation": {
        "choices": ["sigmoid", "tanh", "relu"],
        "default": SUPPRESS,
        "help": "of hidden units (sigmoid)",
    },
    "--lam": {**REAL, "metavar": "L", "help": "sparse: weight of the sum of |z| (0.1)"},
    "--constraint": {
        "choices": ["unit", "decay", "none"],
        "default": SUPPRESS,
        "help": "sparse: what holds the decoder; 'none' is the slide's objective (unit)",
    },
    "--noise": {**REAL, "metavar": "S", "help": "denoising: deviation of Gaussian noise (0.3)"},
    "--drop": {**REAL, "metavar": "P", "help": "denoising: probability of zeroing an entry (0)"},
    "--patch": {
        **WHOLE,
        "metavar": "P",
        "help": "masked: pixels of a patch's side (2; 4 for MNIST)",
    },
    "--mask-ratio": {**REAL, "metavar": "R", "help": "masked: share of hidden patches (0.75)"},
    "--likelihood": {
        "choices": ["bernoulli", "gaussian"],
        "default": SUPPRESS,
        "help": "p(x | z) (bernoulli)",
    },
    "--sigma": {
        **REAL,
        "metavar": "S",
        "help": "where the learnt deviation of a Gaussian p(x | z) starts (1)",
    },
    "--beta": {**REAL, "metavar": "B", "help": "weight of the KL term (1)"},
}
OPTIONS = {
    "model": {"choices": CHOICES, "metavar": "MODEL", "help": NAMES},
    "--data": {
        "default": "digits",
        "metavar": "DATA",
        "help": "digits, mnist, fashion-mnist, kmnist, or a file of numbers (digits)",
    },
    **input.OPTIONS,
    "--latent": {
        "type": int,
        "required": True,
        "metavar": "M",
        "help": "number of latent units",
    },
    "--epochs": {
        "type": int,
        "metavar": "E",
        "help": "epochs in all, also with --resume (10; for small data as many as make 3,000 "
        "steps)",
    },
    **runs.OPTIONS,
    "--seed": {
        "type": seed,
        "default": 0,
        "help": "of the first weights, the order of the data, and the noise (0)",
    },
    "--lr": {
        "type": float,
        "help": "learning rate of Adam (0.001; linear: from 0.01, halved after 1,000 steps)",
    },
    "--batch-size": {"type": int, "default": 64, "metavar": "B", "help": "data per step (64)"},
    "--dtype": {
        "default": "float64",
        "choices": ["float32", "float64"],
        "help": "of weights and data (float64)",
    },
    **OWN,
}
# option of single models -> (default, its models); every other model refuses it
USED_BY: dict[str, tuple[Any, tuple[str, ...]]] = {
    "scale": (None, SCALED),
    "hidden": (128, ("deep", "denoising", "vae")),
    "activation": ("sigmoid", ("two-layer", "deep", "denoising", "vae")),
    "lam": (0.1, ("sparse",)),
    "constraint": ("unit", ("sparse",)),
    "noise": (0.3, ("denoising",)),
    "drop": (0.0, ("denoising",)),
    "patch": (2, ("masked",)),
    "mask_ratio": (0.75, ("masked",)),
    "likelihood": ("bernoulli", ("vae",)),
    "sigma": (None, ("linear-vae", "vae")),
    "beta": (1.0, ("linear-vae", "vae")),
}
