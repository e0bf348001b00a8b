"""The long experiments of lesson 07, which ship as numbers: `python -m minigrad_ae.claims.study_masked FOLDER` (20 minutes).

Pre-training at four mask ratios from two seeds each, then transfer to few labels.  What FOLDER holds already is not made
again, so the work can be done in pieces: ``--ratio .75 --seed 0`` pre-trains one network and stops.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from .. import analytic, checkpoint
from ..data import digits
from ..models import MaskedAutoencoder
from ..models.transfer import LogisticRegression, accuracy, classifier, fine_tune
from ..nn import VisionTransformer
from .experiments_masked import PATCH, SIDE, fresh, frozen_masks, gaussian_errors, masked_errors, pictures, train

COMMAND = "python -m minigrad_ae.claims.study_masked FOLDER"
RATIOS, SEEDS = (0.25, 0.5, 0.75, 0.875), (0, 1)
SIZES: dict[str, Any] = {"width": 64, "depth": 2, "heads": 2, "decoder_width": 32, "decoder_depth": 2, "decoder_heads": 2}
EPOCHS, RATE, MASKS = 131, 4e-3, 50  # 131 epochs are 3,013 steps
LABELS = {0.01: (8, 100), 0.05: (8, 200), 0.1: (5, 250), 1.0: (3, 400)}  # share of labels: (seeds, steps of fine-tuning)
TRANSFER_RATIO = 0.5  # of the network whose transfer is shown at all label shares
COMPONENTS = 20


def pretrained(folder: Path, ratio: float, seed: int) -> MaskedAutoencoder:
    """The network of one ratio and seed, from `folder` or made now."""
    path = folder / f"07_digits_{round(1000 * ratio)}_{seed}.npz"
    if path.exists():
        model = checkpoint.load(path).model
        assert isinstance(model, MaskedAutoencoder)
        return model
    start, model = time.perf_counter(), fresh(seed, mask_ratio=ratio, **SIZES)
    history = train(model, pictures("train"), epochs=EPOCHS, lr=RATE, seed=seed)
    masks = frozen_masks(MASKS, ratio)
    error = float(masked_errors(model, pictures("test"), masks).mean())
    meta = {"command": f"{COMMAND} --ratio {ratio} --seed {seed}", "seed": seed, "epochs": EPOCHS, "steps": history.steps,
            "seconds": round(time.perf_counter() - start, 1), "masked_error_test": error}  # fmt: skip
    print(f"ratio {ratio}, seed {seed}: masked error {error:.4f}, {meta['seconds']} s", flush=True)
    checkpoint.save(path, model, meta=meta)
    return model


# --- transfer ---------------------------------------------------------------------------------------------------------


def few_labels(y: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The rows of a random subset of that share, as many of each class as possible."""
    rng = np.random.default_rng([seed, 3])
    rank = np.empty(len(y))
    for digit in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == digit))
        rank[rows] = np.arange(len(rows))
    return np.argsort(rank + rng.random(len(y)), kind="stable")[: round(share * len(y))]


def fine_tuned(model: MaskedAutoencoder, rows: np.ndarray, steps: int, seed: int) -> float:
    """Test accuracy of the encoder on whole pictures, fine-tuned with these labels."""
    network = classifier(model, 10)
    return _taught(network, rows, steps, seed, lr=1e-3, layer_decay=0.7)


def from_scratch(rows: np.ndarray, steps: int, seed: int) -> float:
    """The same network without pre-training: the same steps, and the learning rate that suits it best."""
    sizes = {k: SIZES[k] for k in ("width", "depth", "heads")}
    rng = np.random.default_rng([seed, 4])
    network = VisionTransformer((SIDE, SIDE), PATCH, **sizes, n_classes=10, rng=rng, dtype=np.float32)
    return _taught(network.standardise(pictures("train")), rows, steps, seed, lr=2e-3, layer_decay=1.0)


def _taught(network: VisionTransformer, rows: np.ndarray, steps: int, seed: int, **settings: Any) -> float:
    X, y = digits("train")
    size = 64 if len(rows) == len(y) else 36
    rng = np.random.default_rng([seed, 5])
    fine_tune(network, X[rows].astype(np.float32), y[rows], steps=steps, rng=rng, batch_size=size, **settings)
    return accuracy(network, pictures("test"), digits("test")[1])


def regression(features: np.ndarray, test_features: np.ndarray, rows: np.ndarray) -> float:
    """Test accuracy of L2-penalised logistic regression (l2 = 1) on these features."""
    model = LogisticRegression(features.shape[1], 10).fit(features[rows], digits("train")[1][rows])
    return accuracy(model, test_features, digits("test")[1])


def nearest(X: np.ndarray, T: np.ndarray, rows: np.ndarray) -> float:
    """Test accuracy of the label of the nearest labelled picture."""
    y = digits("train")[1][rows]
    distance = ((T[:, None] - X[rows]) ** 2).sum(axis=2) if len(rows) < 200 else _distances(T, X[rows])
    return float(np.mean(y[distance.argmin(axis=1)] == digits("test")[1]))


def _distances(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    return (A**2).sum(axis=1)[:, None] - 2 * A @ B.T + (B**2).sum(axis=1)


def transfer(model: MaskedAutoencoder, share: float) -> dict[str, list[float]]:
    """{method: test accuracy for each label seed}, all methods on the same labels."""
    (X, y), (T, _) = digits("train"), digits("test")
    encoder, components = classifier(model, 10), analytic.pca(X).components[:, :COMPONENTS]
    F, G = (np.asarray(encoder.features(A.astype(np.float32)).numpy(), np.float64) for A in (X, T))
    seeds, steps = LABELS[share]
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        rows = few_labels(y, share, seed)
        centred, other = (A - X.mean(axis=0) for A in (X, T))
        for name, value in {
            "fine-tuned": fine_tuned(model, rows, steps, seed), "from scratch": from_scratch(rows, steps, seed),
            "frozen encoder + logistic regression": regression(F, G, rows),
            "PCA + logistic regression": regression(centred @ components, other @ components, rows),
            "pixels + logistic regression": regression(X, T, rows), "1-nearest neighbour on pixels": nearest(X, T, rows),
        }.items():  # fmt: skip
            found.setdefault(name, []).append(value)
    return found


def ablation(folder: Path) -> dict[str, Any]:
    """For each ratio: masked error of both seeds at its own ratio, the Gaussian conditional's, and fine-tuned accuracy."""
    X, T, y = pictures("train"), pictures("test"), digits("train")[1]
    rows: dict[str, Any] = {}
    for ratio in RATIOS:
        masks = frozen_masks(MASKS, ratio)
        models = [pretrained(folder, ratio, seed) for seed in SEEDS]
        row: dict[str, Any] = {"error": [float(masked_errors(m, T, masks).mean()) for m in models],
                               "gaussian": float(gaussian_errors(X, T, masks).mean())}  # fmt: skip
        for share in (0.01, 0.05):
            seeds, steps = LABELS[share]
            row[f"accuracy at {share:.0%}"] = [
                [fine_tuned(m, few_labels(y, share, seed), steps, seed) for seed in range(seeds)] for m in models
            ]
        rows[str(ratio)] = row
        print(f"ratio {ratio}: {row}", flush=True)
    return rows


def study(folder: Path) -> Path:
    """Everything, as 07_study.json in `folder`."""
    pieces = folder / "07_pieces.json"
    known = json.loads(pieces.read_text()) if pieces.exists() else {}
    start = time.perf_counter()
    for share in LABELS:
        if str(share) not in known:
            known[str(share)] = transfer(pretrained(folder, TRANSFER_RATIO, 0), share)
            pieces.write_text(json.dumps(known))
            print(f"{share:.0%} of the labels: { {k: round(float(np.mean(v)), 3) for k, v in known[str(share)].items()} }")
    result = {"command": COMMAND, "pretraining seeds": SEEDS, "epochs": EPOCHS, "transfer ratio": TRANSFER_RATIO,
              "labels": {str(k): len(few_labels(digits("train")[1], k, 0)) for k in LABELS},
              "transfer": known, "ablation": ablation(folder), "seconds": round(time.perf_counter() - start)}  # fmt: skip
    path = folder / "07_study.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--ratio", type=float)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.ratio is None:
        print(study(args.folder))
    else:
        pretrained(args.folder, args.ratio, args.seed)
