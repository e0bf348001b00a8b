"""``minigrad-ae train MODEL``: train one of the chapter's models on digits, MNIST or a matrix, and
keep it.

To add a model: one entry in `MODELS`, and its own options, if it has any, in `OPTIONS` and
`USED_BY`.
"""

from __future__ import annotations

import math
import sys
from argparse import SUPPRESS, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import analytic, checkpoint, models
from ..arguments import counted, demand_room, seed
from ..autodiff.graph import no_grad
from ..data import check_matrix, digits, mnist
from ..data.mnist_files import SETS
from ..errors import CheckpointError, DataError
from ..experiments.masked import gaussian_errors, masked_errors
from ..models.masked import random_masks
from ..optim import Adam
from ..train import History, State, fit
from . import input

FILE = "checkpoint.npz"
MASKS = 20  # how many a masked autoencoder is tested with
HELD_OUT = 5  # every fifth row of the user's own matrix is for testing
# options that may differ on --resume
MAY_CHANGE = {"epochs", "resume", "overwrite", "checkpoint", "command", "handler"}


def train(options: Namespace, rest: list[str]) -> int:
    """Train, report the loss of every epoch and the error on data held out, beside PCA's; returns
    the exit code.
    """
    from tqdm import tqdm

    _complete(options)
    path = _path(options)
    X, X_test = data_of(options)
    settings = {name: value for name, value in vars(options).items() if name not in MAY_CHANGE}
    seeds = np.random.SeedSequence(options.seed).spawn(3)
    init, shuffle, noise = map(np.random.default_rng, seeds)
    model = MODELS[options.model](options, X.shape[1], rng=init, dtype=options.dtype)
    if isinstance(model, models.MaskedAutoencoder):
        model.standardise(X)
    # each parameter gets a gradient and Adam's two moments, in the middle of the first step
    size = 3 * sum(p.size * p.dtype.itemsize for p in model.parameters())
    demand_room(size, "training this model", "choose fewer units (--latent, --hidden)")
    optimizer = Adam(model.parameters(), lr=options.lr)
    history = History()
    if options.resume and path is not None:
        found = checkpoint.load(path, model)
        then, history = _training_of(found)
        _demand_same(settings, then, path)
        optimizer.load_state_dict(found.optimizer or {})
        shuffle, noise = found.generators["shuffle"], found.generators["noise"]
        left = max(0, options.epochs - history.epochs)
        print(f"continuing after epoch {history.epochs}, with {path}; epochs left: {left}")

    def keep(state: State) -> None:
        # above the bar, where there is one
        tqdm.write(f"epoch {state.epoch:>4}  loss {state.loss:.10g}")
        sys.stdout.flush()
        if path is not None:
            generators = {"shuffle": shuffle, "noise": noise}
            meta = {"settings": settings, "history": state.history.as_dict()}
            checkpoint.save(path, model, optimizer=optimizer, generators=generators, meta=meta)

    count = sum(p.size for p in model.parameters())
    print(
        f"{type(model).__name__}, {count:,} parameters; {len(X)} data of {X.shape[1]} features, "
        f"{len(X_test)} held out"
    )
    print("loss: the model's own, a sum over features, mean over data, while training")
    try:
        fit(
            model,
            X,
            optimizer=optimizer,
            epochs=options.epochs,
            rng=shuffle,
            batch_size=options.batch_size,
            noise=noise,
            callbacks=[keep],
            progress=sys.stderr.isatty(),
            history=history,
        )
    except KeyboardInterrupt:
        kept = "nothing was kept"
        if path and history.epochs:
            kept = f"epoch {history.epochs} is in {path}: continue with --resume"
        print(f"\nminigrad-ae: interrupted; {kept}", file=sys.stderr)
        return 130
    report(model, X, X_test, options.latent)
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


def report(model: Any, X: np.ndarray, X_test: np.ndarray, M: int) -> None:
    """Print the error on data held out, of the model and of PCA with as many numbers; a denoiser is
    given noisy ones.
    """
    if isinstance(model, models.MaskedAutoencoder):
        return report_masked(model, X, X_test)
    denoises = isinstance(model, models.DenoisingAutoencoder)
    given = model.corrupt(X_test, np.random.default_rng(0)) if denoises else X_test
    best = analytic.pca(X).reconstruct(given, min(M, X.shape[1]))
    model.eval()
    with no_grad():
        error = squared_error(model(given).numpy(), X_test)
    held_out = "held out, with noise" if denoises else "held out"
    print(
        f"{held_out}: squared error {error:.6g} (sum over features, mean over data); PCA with M = "
        f"{M}: {squared_error(best, X_test):.6g}"
    )


def report_masked(model: models.MaskedAutoencoder, X: np.ndarray, X_test: np.ndarray) -> None:
    """Print the error in hidden pixels of data held out, beside the Gaussian conditional's with the
    same masks.
    """
    masks = random_masks(MASKS, model.n_patches, model.mask_ratio, np.random.default_rng(0))
    ours = masked_errors(model, X_test, masks).mean()
    gaussian = gaussian_errors(X, X_test, masks, model.image_shape, model.patch).mean()
    print(
        f"held out: squared error {ours:.6g} per hidden pixel; Gaussian conditional: "
        f"{gaussian:.6g}, the same {MASKS} masks"
    )


def squared_error(Y: np.ndarray, X: np.ndarray) -> float:
    """Sum over features, mean over data, in float64, without the slides' factor 1/2."""
    return float(np.mean(np.sum((Y.astype(np.float64) - X) ** 2, axis=1)))


def _path(options: Namespace) -> Path | None:
    """Where the checkpoint is or will be; the folder is made now, before the
    time for training is spent.
    """
    if options.checkpoint is None:
        if options.resume:
            raise DataError(
                "--resume without --checkpoint",
                "there is nothing to resume",
                "name the folder: --checkpoint DIR",
            )
        return None
    path: Path = options.checkpoint / FILE
    if path.exists() and not (options.resume or options.overwrite):
        raise CheckpointError(
            "there is a checkpoint of an older run",
            f"{path}",
            "continue it: --resume; start again: --overwrite; or name another folder",
        )
    if not options.resume:
        try:
            options.checkpoint.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            where = f"--checkpoint {options.checkpoint}: {error.strerror}"
            raise CheckpointError(
                "the folder for the checkpoint cannot be made", where, "name another one"
            ) from None
    return path


def _complete(options: Namespace) -> None:
    """Refuse options that the model does not use, and give the others their defaults."""
    for name, (default, users) in USED_BY.items():
        if options.model in users:
            vars(options).setdefault(name, default)
        elif hasattr(options, name):
            flag = f"--{name.replace('_', '-')}"
            raise DataError(
                f"{flag} means nothing to the model {options.model!r}",
                f"it is an option of {', '.join(users)}",
                f"leave out {flag}, or choose another model",
            )


def _training_of(found: checkpoint.Checkpoint) -> tuple[dict[str, Any], History]:
    """(options, history) of the run that left this checkpoint; CheckpointError where no run of this
    command left it.
    """
    try:
        if found.optimizer is None or not found.generators.keys() >= {"shuffle", "noise"}:
            raise KeyError
        return dict(found.meta["settings"]), History(**found.meta["history"])
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(
            "--resume: the checkpoint has no training to continue",
            f"{found.path}: a model alone, not written by minigrad-ae train",
            "load it with mg.checkpoint.load; or start again in another folder",
        ) from None


def _demand_same(now: dict[str, Any], then: dict[str, Any], path: Path) -> None:
    """On --resume every option but the number of epochs must be what it was (one that came later
    had its default).
    """
    changed = [name for name in sorted(now.keys() & then.keys()) if now[name] != then[name]]
    if changed:
        differ = [f"--{n.replace('_', '-')} was {then[n]}, is {now[n]}" for n in changed]
        raise CheckpointError(
            "--resume: the options are not those of the checkpoint",
            f"{path}: {'; '.join(differ)}",
            "repeat the options",
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
        "default": 10,
        "metavar": "E",
        "help": "epochs in all, also with --resume (10)",
    },
    "--checkpoint": {
        "type": Path,
        "metavar": "DIR",
        "help": "keep the model here, in checkpoint.npz, after every epoch",
    },
    "either": {
        "--resume": {"action": "store_true", "help": "go on with the model in --checkpoint"},
        "--overwrite": {
            "action": "store_true",
            "help": "begin anew where --checkpoint holds an older run",
        },
    },
    "--seed": {
        "type": seed,
        "default": 0,
        "help": "of the first weights, the order of the data, and the noise (0)",
    },
    "--lr": {"type": float, "default": 1e-3, "help": "learning rate of Adam (0.001)"},
    "--batch-size": {"type": int, "default": 64, "metavar": "B", "help": "data per step (64)"},
    "--dtype": {
        "default": "float64",
        "choices": ["float32", "float64"],
        "help": "of weights and data (float64)",
    },
    # options of single models
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
# option of single models -> (default, its models); every other model refuses it
USED_BY: dict[str, tuple[Any, tuple[str, ...]]] = {
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
