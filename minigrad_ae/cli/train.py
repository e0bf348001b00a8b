"""``minigrad-ae train MODEL``: train one of the chapter's models on digits, MNIST or a matrix, and
keep it.

To add a model: one entry in `MODELS`, and its own options, if it has any, in `OPTIONS`.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import analytic, checkpoint, models
from ..arguments import demand_room, seed
from ..autodiff.graph import no_grad
from ..data import check_matrix, digits, load_matrix, mnist
from ..errors import CheckpointError, DataError
from ..experiments.masked import gaussian_errors, masked_errors
from ..models.masked import random_masks
from ..optim import Adam
from ..train import History, State, fit

FILE = "checkpoint.npz"
MASKS = 20  # how many a masked autoencoder is tested with
HELD_OUT = 5  # every fifth row of the user's own matrix is for testing
# options that may differ on --resume
MAY_CHANGE = {"epochs", "resume", "overwrite", "checkpoint", "command", "handler"}


def add_parser(commands: Any) -> None:
    """The command and its options."""
    p = commands.add_parser("train", help="train a model on digits, MNIST or your own matrix")
    p.add_argument("model", choices=sorted(MODELS), metavar="MODEL", help=", ".join(MODELS))
    p.add_argument(
        "--data", default="digits", metavar="DATA", help="digits, mnist, or a matrix X.npy (digits)"
    )
    p.add_argument("--latent", type=int, required=True, metavar="M", help="number of latent units")
    p.add_argument(
        "--epochs", type=int, default=10, metavar="E", help="epochs in all, also with --resume (10)"
    )
    p.add_argument(
        "--checkpoint",
        type=Path,
        metavar="DIR",
        help=f"keep the model here, in {FILE}, after every epoch",
    )
    again = p.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with the model in --checkpoint")
    again.add_argument(
        "--overwrite", action="store_true", help="begin anew where --checkpoint holds an older run"
    )
    p.add_argument(
        "--seed",
        type=seed,
        default=0,
        help="of the first weights, the order of the data, and the noise (0)",
    )
    p.add_argument("--lr", type=float, default=1e-3, help="learning rate of Adam (0.001)")
    p.add_argument("--batch-size", type=int, default=64, metavar="B", help="data per step (64)")
    p.add_argument(
        "--dtype",
        default="float64",
        choices=["float32", "float64"],
        help="of weights and data (float64)",
    )
    for flag, default, values, text in OPTIONS:
        kind: dict[str, Any] = {"type": type(default), "metavar": values}
        if default is None:
            kind["type"] = float
        if isinstance(values, list):
            kind = {"choices": values}
        # suppressed, so that `_complete` sees what was given
        p.add_argument(flag, help=text, default=argparse.SUPPRESS, **kind)
    p.set_defaults(handler=train)


def train(options: argparse.Namespace, rest: list[str]) -> int:
    """Train, report the loss of every epoch and the error on data held out, beside PCA's; returns
    the exit code.
    """
    from tqdm import tqdm

    unused = _complete(options)
    path = _path(options)
    X, X_test = data_of(options)
    settings = {
        name: value for name, value in vars(options).items() if name not in MAY_CHANGE | unused
    }
    init, shuffle, noise = (
        np.random.default_rng(s) for s in np.random.SeedSequence(options.seed).spawn(3)
    )
    model = MODELS[options.model](options, X.shape[1], rng=init, dtype=options.dtype)
    if isinstance(model, models.MaskedAutoencoder):
        model.standardise(X)
    _demand_room(model)
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


def data_of(options: argparse.Namespace) -> tuple[np.ndarray, np.ndarray]:
    """(training data, data held out)."""
    if options.data == "digits":
        return digits("train")[0], digits("test")[0]
    if options.data == "mnist":
        X, _ = mnist(split="train", dtype=options.dtype)
        X_test, _ = mnist(split="test", dtype=options.dtype)
        return X, X_test
    X = check_matrix(load_matrix(options.data), Path(options.data).name, min_rows=HELD_OUT)
    test = np.arange(len(X)) % HELD_OUT == HELD_OUT - 1
    return X[~test], X[test]


def report(model: Any, X: np.ndarray, X_test: np.ndarray, M: int) -> None:
    """Print the error on data held out, of the model and of PCA with as many numbers; a denoiser is
    given noisy ones.
    """
    if isinstance(model, models.MaskedAutoencoder):
        return report_masked(model, X, X_test)
    principal = analytic.pca(X)
    denoises = isinstance(model, models.DenoisingAutoencoder)
    given = model.corrupt(X_test, np.random.default_rng(0)) if denoises else X_test
    best = squared_error(principal.reconstruct(given, min(M, X.shape[1])), X_test)
    model.eval()
    with no_grad():
        error = squared_error(model(given).numpy(), X_test)
    held_out = "held out, with noise" if denoises else "held out"
    print(
        f"{held_out}: squared error {error:.6g} (sum over features, mean over data); PCA with M = "
        f"{M}: {best:.6g}"
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


def _path(options: argparse.Namespace) -> Path | None:
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


def _complete(options: argparse.Namespace) -> set[str]:
    """Refuse options that the model does not use, and give the others their defaults; returns the
    unused names.
    """
    unused = {name for name, users in USED_BY.items() if options.model not in users}
    given = [name for name in USED_BY if name in unused and hasattr(options, name)]
    if given:
        flag = f"--{given[0].replace('_', '-')}"
        raise DataError(
            f"{flag} means nothing to the model {options.model!r}",
            f"it is an option of {', '.join(USED_BY[given[0]])}",
            f"leave out {flag}, or choose another model",
        )
    for flag, default, _, _ in OPTIONS:
        name = flag.removeprefix("--").replace("-", "_")
        if not hasattr(options, name):
            setattr(options, name, default)
    return unused


def _demand_room(model: Any) -> None:
    """Each parameter gets a gradient and Adam's two moments: refuse now what would fail in the
    middle of a step.
    """
    size = sum(p.size * p.dtype.itemsize for p in model.parameters())
    demand_room(3 * size, "training this model", "choose fewer units (--latent, --hidden)")


def _training_of(found: checkpoint.Checkpoint) -> tuple[dict[str, Any], History]:
    """(options, history) of the run that left this checkpoint; CheckpointError where no run of this
    command left it.
    """
    try:
        settings, history = dict(found.meta["settings"]), History(**found.meta["history"])
        complete = found.optimizer is not None and found.generators.keys() >= {"shuffle", "noise"}
    except (KeyError, TypeError, ValueError):
        complete = False
    if not complete:
        raise CheckpointError(
            "--resume: the checkpoint has no training to continue",
            f"{found.path}: a model alone, not written by minigrad-ae train",
            "load it with mg.checkpoint.load; or start again in another folder",
        )
    return settings, history


def _demand_same(now: dict[str, Any], then: dict[str, Any], path: Path) -> None:
    """On --resume every option but the number of epochs must be what it was (one that came later
    had its default).
    """
    differ = []
    for name in sorted(now.keys() & then.keys()):
        if now[name] != then[name]:
            differ.append(f"--{name.replace('_', '-')} was {then[name]}, is {now[name]}")
    if differ:
        raise CheckpointError(
            "--resume: the options are not those of the checkpoint",
            f"{path}: {'; '.join(differ)}",
            "repeat the options",
        )


# --- the models -----------------------------------------------------------------------------------
# each made from the options o and the number of features D; settings: rng and dtype


def _linear(o: argparse.Namespace, D: int, **settings: Any) -> Any:
    return models.LinearAutoencoder(D, o.latent, **settings)


def _two_layer(o: argparse.Namespace, D: int, **settings: Any) -> Any:
    return models.TwoLayerAutoencoder(D, o.latent, activation=o.activation, **settings)


def _deep(o: argparse.Namespace, D: int, **settings: Any) -> Any:
    return models.DeepAutoencoder(D, o.latent, o.hidden, activation=o.activation, **settings)


def _sparse(o: argparse.Namespace, D: int, **settings: Any) -> Any:
    return models.SparseAutoencoder(D, o.latent, lam=o.lam, constraint=o.constraint, **settings)


def _denoising(o: argparse.Namespace, D: int, **settings: Any) -> Any:
    return models.DenoisingAutoencoder(_deep(o, D, **settings), drop=o.drop, sigma=o.noise)


def _masked(o: argparse.Namespace, D: int, **settings: Any) -> Any:
    return models.MaskedAutoencoder(
        square(D), o.patch, width=o.latent, mask_ratio=o.mask_ratio, **settings
    )


def _linear_vae(o: argparse.Namespace, D: int, **settings: Any) -> Any:
    # a sigma below 0 stays below 0, so that the model refuses it
    sigma2 = 1.0 if o.sigma is None else o.sigma * abs(o.sigma)
    return models.LinearVAE(D, o.latent, beta=o.beta, sigma2=sigma2, learn_sigma2=True, **settings)


def _vae(o: argparse.Namespace, D: int, **settings: Any) -> Any:
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
            f"the data have {D} features, which is not a square number",
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

# options of single models: (flag, default, name of the value or choices, help)
OPTIONS: list[tuple[str, Any, Any, str]] = [
    ("--hidden", 128, "H", "hidden units in each of the outer layers (128)"),
    ("--activation", "sigmoid", ["sigmoid", "tanh", "relu"], "of hidden units (sigmoid)"),
    ("--lam", 0.1, "L", "sparse: weight of the sum of |z| (0.1)"),
    (
        "--constraint",
        "unit",
        ["unit", "decay", "none"],
        "sparse: what holds the decoder; 'none' is the slide's objective (unit)",
    ),
    ("--noise", 0.3, "S", "denoising: deviation of Gaussian noise (0.3)"),
    ("--drop", 0.0, "P", "denoising: probability of zeroing an entry (0)"),
    ("--patch", 2, "P", "masked: pixels of a patch's side (2; 4 for MNIST)"),
    ("--mask-ratio", 0.75, "R", "masked: share of hidden patches (0.75)"),
    ("--likelihood", "bernoulli", ["bernoulli", "gaussian"], "p(x | z) (bernoulli)"),
    ("--sigma", None, "S", "where the learnt deviation of a Gaussian p(x | z) starts (1)"),
    ("--beta", 1.0, "B", "weight of the KL term (1)"),
]

# option -> its models; every other model refuses it
USED_BY: dict[str, tuple[str, ...]] = {
    "hidden": ("deep", "denoising", "vae"),
    "activation": ("two-layer", "deep", "denoising", "vae"),
    "lam": ("sparse",),
    "constraint": ("sparse",),
    "noise": ("denoising",),
    "drop": ("denoising",),
    "patch": ("masked",),
    "mask_ratio": ("masked",),
    "likelihood": ("vae",),
    "sigma": ("linear-vae", "vae"),
    "beta": ("linear-vae", "vae"),
}
