"""How much to hide, on 49 patches: MNIST, and crops of one photograph.

`python -m minigrad_ae.experiments.masked_ratio FOLDER` makes 07_ratios.json, in half an hour on one
core.

For each mask ratio, three networks from different starts, all trained for as many steps.  What a
ratio is worth is the accuracy, with 320 labels, of a linear classifier of the codes of the frozen
encoder, which sees whole pictures: of the digit (MNIST), or of the tile of the photograph from
which a crop was cut.  What FOLDER holds already is not made again.  MINIGRAD_AE_DATA says where
MNIST is.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..data import mnist, shipped
from ..files import write_text
from ..models import MaskedAutoencoder
from ..models.transfer import classifier
from .masked import frozen_masks, gaussian_errors, masked_errors, train
from .masked_transfer import features_of, few_of_each
from .run import mean_and_error

COMMAND = "python -m minigrad_ae.experiments.masked_ratio FOLDER"
RATIOS, STARTS = (0.25, 0.5, 0.75, 0.9), (0, 1, 2)
SIZES: dict[str, Any] = {
    "width": 48,
    "depth": 2,
    "heads": 3,
    "decoder_width": 32,
    "decoder_depth": 1,
    "decoder_heads": 2,
}
BATCH, RATE = 64, 4e-3
TOKENS, MASKS = 49, 8  # patches, masks of the comparison
DRAWS, LABELS = 4, 320  # of labels, and how many
TEST = 2000  # held-out pictures whose classes are predicted
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)  # of ridge regression, in units of the mean of diag K
SIDE, CROP, TILES = 64, 14, 4  # pixels of a tile and of a crop, tiles in a row


class Pictures:
    """Pictures of 49 patches with classes: to pre-train, of which some are labelled; and held out.

    Parameters
    ----------
    train, test : tuple of ndarray
        (X, y) of each.
    steps : int
        Of training.
    """

    def __init__(
        self,
        train: tuple[np.ndarray, np.ndarray],
        test: tuple[np.ndarray, np.ndarray],
        steps: int,
    ) -> None:
        (self.X, self.y), (self.T, self.t), self.steps = train, test, steps
        side = round(self.X.shape[1] ** 0.5)
        self.shape, self.patch = (side, side), side // 7


def digits_of_mnist() -> Pictures:
    """MNIST: 60,000 to train on; the first of the 10,000 others."""
    X, y = mnist(split="train", dtype=np.float32)
    T, t = mnist(split="test", dtype=np.float32)
    return Pictures((X, y), (T[:TEST], t[:TEST]), 1000)


def photograph() -> np.ndarray:
    """(256, 256) from 0 to 1: "Camera" by Lav Varshney, CC0, as in scikit-image 0.22; each pixel is
    the rounded mean of 2 x 2.
    """
    pixels: np.ndarray = np.load(shipped("07_photograph.npz"))["photograph"]
    return pixels / 255


def crops() -> Pictures:
    """Of each of 16 tiles of the photograph: crops from the upper 44 rows to train on, from the
    lower 20 to test.
    """
    picture, rng = photograph().astype(np.float32), np.random.default_rng(0)

    def cut(n: int, first: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
        tile = rng.integers(0, TILES**2, n)
        top = SIDE * (tile // TILES) + first + rng.integers(0, rows - CROP + 1, n)
        left = SIDE * (tile % TILES) + rng.integers(0, SIDE - CROP + 1, n)
        down, across = np.arange(CROP)[:, None], np.arange(CROP)
        x = picture[top[:, None, None] + down, left[:, None, None] + across]
        return x.reshape(n, -1), tile

    return Pictures(cut(20_000, 0, 44), cut(TEST, 44, 20), 500)


SOURCES: dict[str, Callable[[], Pictures]] = {"MNIST": digits_of_mnist, "photograph": crops}


def probe(F: np.ndarray, y: np.ndarray, G: np.ndarray) -> np.ndarray:
    """Classes of the rows of G by least squares on the features F, one target for each class.

    The penalty is that of `PENALTIES` with the smallest error where each row of F is left out in
    turn, which ridge regression knows in closed form: alpha_i / (K + lambda I)^-1_ii.
    """
    mean = F.mean(axis=0)
    F, G = F - mean, G - mean
    classes = np.unique(y)
    Y = (y[:, None] == classes) - 1 / len(classes)
    K = F @ F.T
    found = []
    for share in PENALTIES:
        inverse = np.linalg.inv(K + share * np.trace(K) / len(K) * np.eye(len(K)))
        alpha = inverse @ Y
        left_out = alpha / np.diag(inverse)[:, None]
        found.append((float(np.mean(left_out**2)), alpha))
    alpha = min(found, key=lambda pair: pair[0])[1]
    return classes[(G @ (F.T @ alpha)).argmax(axis=1)]


def measured(pictures: Pictures, of: Callable[[np.ndarray], np.ndarray]) -> list[float]:
    """Held-out accuracy for each draw of labels, of a linear classifier of the features `of`
    pictures.
    """
    G, found = of(pictures.T), []
    for seed in range(DRAWS):
        rows = few_of_each(pictures.y, LABELS, seed)
        guess = probe(of(pictures.X[rows]), pictures.y[rows], G)
        found.append(float(np.mean(guess == pictures.t)))
    return found


def network(pictures: Pictures, ratio: float, start: int) -> tuple[MaskedAutoencoder, int]:
    """(trained from the given start with this share hidden, steps of training)."""
    rng = np.random.default_rng(start)
    model = MaskedAutoencoder(
        pictures.shape, pictures.patch, **SIZES, mask_ratio=ratio, rng=rng, dtype=np.float32
    ).standardise(pictures.X)
    # the same pictures for all ratios of a start
    rows = np.random.default_rng([start, 7]).permutation(len(pictures.X))[
        : pictures.steps * BATCH // 10
    ]
    steps = train(model, pictures.X[rows], epochs=10, lr=RATE, seed=start, batch_size=BATCH).steps
    return model, steps


def one(pictures: Pictures, ratio: float, start: int) -> dict[str, Any]:
    """What comes out for one ratio and start."""
    begin = time.perf_counter()
    model, steps = network(pictures, ratio, start)
    seconds = time.perf_counter() - begin
    encoder = classifier(model, 1)
    masks = frozen_masks(MASKS, ratio, TOKENS)
    return {
        "steps": steps,
        "seconds": round(seconds, 1),
        "error": float(masked_errors(model, pictures.T[:1000], masks).mean()),
        "accuracy": measured(pictures, lambda X: features_of(encoder, X)),
    }


def references(pictures: Pictures, name: str) -> dict[str, Any]:
    """The classifier of pixels, and the Gaussian conditional's error at each ratio."""
    X, T = pictures.X, pictures.T[:1000]

    def gaussian(ratio: float) -> float:
        masks = frozen_masks(MASKS, ratio, TOKENS)
        return float(gaussian_errors(X, T, masks, pictures.shape, pictures.patch).mean())

    return {
        "pixels": measured(pictures, lambda A: A.astype(np.float64)),
        "gaussian": {str(ratio): gaussian(ratio) for ratio in RATIOS},
    }


def study(folder: Path) -> Path:
    """Everything, as 07_ratios.json in `folder`; each piece is kept there when it is made."""
    kept = folder / "07_ratio_pieces.json"
    known: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    table: dict[str, Any] = {"command": COMMAND, "starts": STARTS, "sizes": SIZES, "batch": BATCH}

    def made(name: str, make: Callable[..., dict[str, Any]], *what: Any) -> dict[str, Any]:
        if name not in known:
            known[name] = make(*what)
            write_text(kept, json.dumps(known))
            print(name, known[name], flush=True)
        return known[name]

    for source, load in SOURCES.items():
        pictures = load()
        table[source] = made(source, references, pictures, source)
        rows: dict[str, list[dict[str, Any]]] = {str(ratio): [] for ratio in RATIOS}
        for start in STARTS:
            for ratio in RATIOS:
                piece = made(f"{source} {ratio} {start}", one, pictures, ratio, start)
                rows[str(ratio)].append(piece)
        table[source]["ratios"] = rows
    return write_text(folder / "07_ratios.json", json.dumps(table, indent=1) + "\n")


def means(study: dict[str, Any]) -> dict[str, dict[str, tuple[float, float]]]:
    """{source: {ratio: (mean accuracy, its standard error over networks)}}."""
    return {
        source: {
            ratio: mean_and_error([np.mean(net["accuracy"]) for net in nets])
            for ratio, nets in study[source]["ratios"].items()
        }
        for source in SOURCES
    }


def table(study: dict[str, Any]) -> str:
    """A study as lines."""
    lines = ["source      hidden   accuracy of a linear classifier    error  Gaussian"]
    for source, rows in means(study).items():
        lines.append(f"{source:<12}pixels   {np.mean(study[source]['pixels']):.3f}")
        for ratio, (mean, error) in rows.items():
            nets = study[source]["ratios"][ratio]
            errors = f"{np.mean([n['error'] for n in nets]):.4f}"
            gaussian = f"{study[source]['gaussian'][ratio]:.4f}"
            found = f"{mean:.3f} +- {error:.3f} ({len(nets)} networks)"
            lines.append(f"{source:<12}{float(ratio):>6.0%}   {found:<30} {errors:>8}  {gaussian}")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    print(study(args.folder))
