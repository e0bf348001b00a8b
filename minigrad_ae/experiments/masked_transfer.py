"""The long experiments of lesson 07, which ship as numbers.

`python -m minigrad_ae.experiments.masked_transfer FOLDER` makes them again, in ten minutes.

A larger network of the digits, which is shown; a smaller one, and its transfer to few labels.  Both
hide 75 %.  What FOLDER holds already is not made again, so the work can be done in pieces:
``--ratio .75 --seed 0`` pre-trains one network and stops, ``--best`` the larger one.  How much to
hide is varied in `masked_ratio`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import analytic, checkpoint
from ..command_line import seed
from ..data import digits
from ..files import write_text
from ..models import MaskedAutoencoder
from ..models.transfer import LogisticRegression, accuracy, classifier, fine_tune
from ..nn import VisionTransformer
from .masked import (
    PATCH,
    SIDE,
    fresh,
    frozen_masks,
    loaded,
    masked_errors,
    pictures,
    train,
)
from .run import mean_and_error

COMMAND = "python -m minigrad_ae.experiments.masked_transfer FOLDER"
SIZES: dict[str, Any] = {
    "width": 64,
    "depth": 2,
    "heads": 2,
    "decoder_width": 32,
    "decoder_depth": 2,
    "decoder_heads": 2,
}
EPOCHS, RATE, MASKS = 131, 4e-3, 50  # 131 epochs are 3,013 steps
BEST: dict[str, Any] = {
    "width": 64,
    "depth": 3,
    "heads": 4,
    "decoder_width": 48,
    "decoder_depth": 2,
    "decoder_heads": 2,
}
BEST_EPOCHS, BEST_RATE = 218, 3e-3  # 5,014 steps
# share of labels: (seeds, steps of fine-tuning)
LABELS = {0.01: (8, 100), 0.05: (8, 200), 0.1: (5, 250), 1.0: (3, 400)}
TRANSFER_RATIO = 0.75  # hidden, of the network whose transfer is measured
COMPONENTS = 20


def best(folder: Path) -> MaskedAutoencoder:
    """The larger network at 75 %."""
    return _made(folder / "07_digits.npz", "--best", fresh(0, **BEST), BEST_EPOCHS, BEST_RATE, 0)


def pretrained(folder: Path, ratio: float, seed: int) -> MaskedAutoencoder:
    """The network of one ratio and seed."""
    path = folder / f"07_digits_{round(1000 * ratio)}_{seed}.npz"
    return _made(
        path,
        f"--ratio {ratio} --seed {seed}",
        fresh(seed, mask_ratio=ratio, **SIZES),
        EPOCHS,
        RATE,
        seed,
    )


def _made(
    path: Path, options: str, model: MaskedAutoencoder, epochs: int, lr: float, seed: int
) -> MaskedAutoencoder:
    """The network in the file `path`, or `model` trained now and kept there."""
    if path.exists():
        return loaded(path)
    start = time.perf_counter()
    history = train(model, pictures("train"), epochs=epochs, lr=lr, seed=seed)
    masks = frozen_masks(MASKS, model.mask_ratio)
    error = float(masked_errors(model, pictures("test"), masks).mean())
    meta = {
        "command": f"{COMMAND} {options}",
        "seed": seed,
        "epochs": epochs,
        "steps": history.steps,
        "learning_rate": lr,
        "seconds": round(time.perf_counter() - start, 1),
        "masked_error_test": error,
    }
    print(f"{options}: masked error {error:.4f}, {meta['seconds']} s", flush=True)
    checkpoint.save(path, model, meta=meta)
    return model


# --- transfer -------------------------------------------------------------------------------------


def few_labels(y: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The rows of a random subset of that share, as many of each class as possible."""
    return few_of_each(y, round(share * len(y)), seed)


def few_of_each(y: np.ndarray, n: int, seed: int) -> np.ndarray:
    """The rows of a random subset of n, as many of each class as possible."""
    rng = np.random.default_rng([seed, 3])
    rank = np.empty(len(y))
    for digit in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == digit))
        rank[rows] = np.arange(len(rows))
    return np.argsort(rank + rng.random(len(y)), kind="stable")[:n]


def fine_tuned(model: MaskedAutoencoder, rows: np.ndarray, steps: int, seed: int) -> float:
    """Test accuracy of the encoder on whole pictures, fine-tuned with these labels."""
    network = classifier(model, 10)
    return _taught(network, rows, steps, seed, lr=1e-3, layer_decay=0.7)


def from_scratch(rows: np.ndarray, steps: int, seed: int) -> float:
    """The same network without pre-training: the same steps, and the learning rate that suits it
    best.
    """
    sizes = {k: SIZES[k] for k in ("width", "depth", "heads")}
    rng = np.random.default_rng([seed, 4])
    network = VisionTransformer(
        (SIDE, SIDE), PATCH, **sizes, n_classes=10, rng=rng, dtype=np.float32
    )
    network.standardise(pictures("train"))
    return _taught(network, rows, steps, seed, lr=2e-3, layer_decay=1.0)


def _taught(
    network: VisionTransformer, rows: np.ndarray, steps: int, seed: int, **settings: Any
) -> float:
    X, y = digits("train")
    size = 64 if len(rows) == len(y) else 36
    rng = np.random.default_rng([seed, 5])
    fine_tune(
        network,
        X[rows].astype(np.float32),
        y[rows],
        steps=steps,
        rng=rng,
        batch_size=size,
        **settings,
    )
    return accuracy(network, pictures("test"), digits("test")[1])


def regression(features: np.ndarray, test_features: np.ndarray, rows: np.ndarray) -> float:
    """Test accuracy of L2-penalised logistic regression (l2 = 1) on these features."""
    model = LogisticRegression(features.shape[1], 10).fit(features[rows], digits("train")[1][rows])
    return accuracy(model, test_features, digits("test")[1])


def nearest(X: np.ndarray, T: np.ndarray, rows: np.ndarray) -> float:
    """Test accuracy of the label of the nearest labelled picture."""
    known, y = X[rows], digits("train")[1][rows]
    distance = (T**2).sum(axis=1)[:, None] - 2 * T @ known.T + (known**2).sum(axis=1)
    return float(np.mean(y[distance.argmin(axis=1)] == digits("test")[1]))


def features_of(encoder: VisionTransformer, X: np.ndarray) -> np.ndarray:
    """(n, width) float64: what the encoder makes of whole pictures."""
    return np.asarray(encoder.features(X.astype(np.float32)).numpy(), np.float64)


def transfer(model: MaskedAutoencoder, share: float, seed: int) -> dict[str, float]:
    """{method: test accuracy}, all methods with the same labels."""
    (X, y), (T, _) = digits("train"), digits("test")
    encoder, components = classifier(model, 10), analytic.pca(X).components[:, :COMPONENTS]
    features, test_features = (features_of(encoder, A) for A in (X, T))
    scores, test_scores = ((A - X.mean(axis=0)) @ components for A in (X, T))
    rows, steps = few_labels(y, share, seed), LABELS[share][1]
    tuned = fine_tuned(model, rows, steps, seed)
    return {
        "fine-tuned": tuned,
        "from scratch": from_scratch(rows, steps, seed),
        "frozen encoder + logistic regression": regression(features, test_features, rows),
        "PCA + logistic regression": regression(scores, test_scores, rows),
        "pixels + logistic regression": regression(X, T, rows),
        "1-nearest neighbour on pixels": nearest(X, T, rows),
    }


class Pieces:
    """What `study` puts together; each piece takes some seconds, and is kept in `folder`."""

    def __init__(self, folder: Path, pause: float) -> None:
        self.folder, self.file = folder, folder / "07_pieces.json"
        self.end = time.perf_counter() + pause
        self.known: dict[str, dict[str, float]] = {}
        if self.file.exists():
            self.known = json.loads(self.file.read_text(encoding="utf-8"))

    def made(self, share: float, seed: int) -> dict[str, float]:
        """What `transfer` returns with these labels, or what is kept of it; TimeoutError where it
        is time to pause.
        """
        name = f"transfer {share} {seed}"
        if name not in self.known:
            if time.perf_counter() > self.end:
                raise TimeoutError
            self.known[name] = transfer(pretrained(self.folder, TRANSFER_RATIO, 0), share, seed)
            write_text(self.file, json.dumps(self.known))
            print(name, self.known[name], flush=True)
        return self.known[name]


def study(folder: Path, pause: float = math.inf) -> Path | None:
    """Everything, as 07_study.json in `folder`; None if it stopped after `pause` seconds, to be
    continued later.
    """
    pieces = Pieces(folder, pause)
    best(folder)
    found: dict[str, Any] = {
        "command": COMMAND,
        "epochs": EPOCHS,
        "transfer ratio": TRANSFER_RATIO,
        "labels": {str(share): len(few_labels(digits("train")[1], share, 0)) for share in LABELS},
    }
    try:
        found["transfer"] = {str(share): _transfers(pieces, share) for share in LABELS}
    except TimeoutError:
        return None
    # of all the rest
    found["sha256"] = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()
    return write_text(folder / "07_study.json", json.dumps(found, indent=1) + "\n")


def _transfers(pieces: Pieces, share: float) -> dict[str, list[float]]:
    """{method: accuracy for each seed}."""
    seeds = range(LABELS[share][0])
    runs = [pieces.made(share, seed) for seed in seeds]
    return {method: [run[method] for run in runs] for method in runs[0]}


def table(study: dict[str, Any]) -> str:
    """The table of a study, as lines: methods against shares of labels."""
    shares = list(study["labels"])
    lines = [f"{'accuracy, labels':<36}" + "".join(f"{float(s):>17.0%}" for s in shares)]
    for method in study["transfer"][shares[0]]:
        cells = [_summary(study["transfer"][share][method]) for share in shares]
        lines.append(f"{method:<36}" + "".join(f"{cell:>17}" for cell in cells))
    return "\n".join(lines)


def _summary(values: Any) -> str:
    """Mean and standard error of a list of numbers."""
    mean, error = mean_and_error(values)
    return f"{mean:.3f} +- {error:.3f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ratio", type=float)
    parser.add_argument("--seed", type=seed, default=0)
    parser.add_argument("--best", action="store_true")
    parser.add_argument(
        "--pause",
        type=float,
        default=math.inf,
        help="stop after so many seconds; call again to go on",
    )
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.best:
        best(args.folder)
    elif args.ratio is not None:
        pretrained(args.folder, args.ratio, args.seed)
    else:
        print(study(args.folder, args.pause))
