"""``minigrad-ae train MODEL``: train one of the chapter's models on digits, MNIST or a matrix, and
keep it.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import models
from ..command_line import seed
from ..data import Scaling, check_matrix, digits, mnist
from ..data.mnist_files import SETS
from ..data.validate import demand_differences, demand_squares
from ..errors import DataError
from ..optim import Adam
from ..room import demand_room
from ..train import History, fit
from . import input, model_options, resume, runs
from .model_options import MODELS, PIXELS
from .report import hints, in_units, report, said_of

EPOCHS, STEPS = 10, 3000  # at least, where --epochs is not given
# learning rates where none is given, if not 0.001; and the steps after which one has halved
RATE, FALL = {"linear": 0.01}, {"linear": 1000}
HELD_OUT = 5  # every fifth row of the user's own matrix is for testing


def train(options: Namespace, rest: list[str]) -> int:
    """Train, report the loss of the epochs and the error on data held out, beside PCA's; returns
    the exit code.
    """
    model_options.complete(options)
    path = runs.path_of(options)
    with runs.answering_sigterm(), runs.folder_of(options, path) as alone:
        return _train(options, path, alone)


def _train(options: Namespace, path: Path | None, alone: Callable[[], None]) -> int:
    X, X_test = data_of(options)
    seeds = np.random.SeedSequence(options.seed).spawn(3)
    init, shuffle, noise = map(np.random.default_rng, seeds)
    begun = resume.Begun.read(path) if options.resume and path is not None else None
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
    data = resume.data_sum(X, X_test) if path is not None else ""
    meta = {"settings": resume.settings_of(options), "data": data}
    if begun is not None:
        begun.demand_same(options, data, optimizer)
        kept, history = begun.restored(model, optimizer, meta), begun.history
    else:
        scaling = None if options.scale == "none" else Scaling.learn(X, options.scale)
        kept = resume.Kept(path, meta, scaling, {"shuffle": shuffle, "noise": noise})
        history = History()
    if kept.scaling is not None:
        X, X_test = kept.scaling.apply(X), kept.scaling.apply(X_test)
    epochs = options.epochs
    if epochs is None:
        epochs = enough_epochs(len(X), options.batch_size)
    if begun is not None:
        print(begun.said(epochs))
    keeper = runs.Keeper(
        kept,
        epochs,
        options.every,
        history,
        lambda model, loss: in_units(model, kept.scaling, loss),
        alone,
    )
    count = sum(p.size for p in model.parameters())
    print(
        f"{type(model).__name__}, {count:,} parameters; {len(X)} data of {X.shape[1]} features, "
        f"{len(X_test)} held out"
    )
    print(said_of(model, kept.scaling), flush=True)
    draws = kept.generators
    watched: dict[str, Any] = {"callbacks": [keeper.after_epoch], "each_step": [keeper.after_step]}
    try:
        fit(
            model,
            X,
            optimizer=optimizer,
            epochs=epochs,
            rng=draws["shuffle"],
            batch_size=options.batch_size,
            noise=draws["noise"],
            schedule=falling(options.lr, options.fall),
            progress=sys.stderr.isatty(),
            history=history,
            **watched,
        )
    except KeyboardInterrupt as stop:
        return runs.interrupted(stop, keeper, options)
    factor = np.array(1.0) if kept.scaling is None else kept.scaling.factor
    report(model, X, X_test, options.latent, factor, hints(options, epochs, history))
    if path is not None:
        print(f"kept in {path}")
    return 0


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


# --- on the command line --------------------------------------------------------------------------

HELP = "train a model on digits, MNIST or your own matrix"
NAMES = ", ".join(MODELS)
CHOICES = sorted(MODELS)
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
    **model_options.OPTIONS,
}
