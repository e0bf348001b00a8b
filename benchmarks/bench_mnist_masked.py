"""The masked autoencoder on MNIST, beside the Gaussian conditional on the same masks: about nine
minutes on two cores.

    python benchmarks/bench_mnist_masked.py [--epochs N] [--json FILE] [--checkpoint FILE]
    python benchmarks/bench_mnist_masked.py --evaluate --checkpoint FILE --json FILE      (adds to
    what a run has written)

Patches of 4 x 4 pixels, 12 of 49 visible.  Targets: masked squared error per pixel of the test
images below .033, and below .85 of what the Gaussian conditional mean has with the same masks.
MINIGRAD_AE_DATA says where MNIST is.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

import minigrad_ae as mg
from minigrad_ae import checkpoint
from minigrad_ae.experiments.masked import (
    frozen_masks,
    gaussian_errors,
    masked_errors,
    mean_picture_errors,
    train,
)
from minigrad_ae.models import MaskedAutoencoder
from minigrad_ae.models.masked import random_masks

SHAPE, PATCH, TOKENS = (28, 28), 4, 49
SIZES: dict[str, Any] = {
    "width": 64,
    "depth": 4,
    "heads": 4,
    "decoder_width": 48,
    "decoder_depth": 2,
    "decoder_heads": 3,
}
RATE, BATCH, SEED = 3e-3, 128, 0
# masks of the comparison, over all test images; masks and images of the curve
MASKS, WATCHED = 24, (8, 1000)
TARGETS = {"masked_error": 0.033, "ratio": 0.85, "seconds": 600}


def run(epochs: int, path: Path | None) -> dict[str, Any]:
    """Train, compare, and say what came out."""
    X, T = (mg.data.mnist(split=split, dtype=np.float32)[0] for split in ("train", "test"))
    model = MaskedAutoencoder(
        SHAPE, PATCH, **SIZES, rng=np.random.default_rng(SEED), dtype=np.float32
    ).standardise(X)
    masks = frozen_masks(MASKS, tokens=TOKENS)
    curve: list[tuple[float, float]] = []
    watching = 0.0
    start = time.perf_counter()

    def watch(state: Any) -> None:
        nonlocal watching
        now = time.perf_counter()
        error = float(masked_errors(model, T[: WATCHED[1]], masks[: WATCHED[0]]).mean())
        curve.append((round(now - start - watching, 1), error))
        print(
            f"epoch {state.epoch:>2}  {curve[-1][0]:>6.1f} s  masked error {error:.4f}", flush=True
        )
        watching += time.perf_counter() - now

    history = train(
        model, X, epochs=epochs, lr=RATE, seed=SEED, batch_size=BATCH, callbacks=[watch]
    )
    seconds = curve[-1][0]
    ours = _over_all(model, T, masks)
    gaussian = gaussian_errors(X, T, masks, SHAPE, PATCH)
    found = {
        "masked_error": float(ours.mean()),
        "gaussian": float(gaussian.mean()),
        "mean_picture": float(mean_picture_errors(X, T, masks, SHAPE, PATCH).mean()),
        "ratio": float(ours.mean() / gaussian.mean()),
        "better_on": int((ours < gaussian).sum()),
        "masks": MASKS,
        "targets": TARGETS,
        "seconds": seconds,
        "steps": history.steps,
        "threads": mg.kernels.get_num_threads(),
        "curve": curve,
        "per_mask": [
            [round(float(a), 6), round(float(b), 6)] for a, b in zip(ours, gaussian, strict=True)
        ],
    }
    if path:
        meta = {k: found[k] for k in ("masked_error", "gaussian", "seconds", "steps")}
        checkpoint.save(path, model, meta={"command": command(epochs), "seed": SEED, **meta})
    return found


def _over_all(model: MaskedAutoencoder, T: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """The error of each mask over all test images, a thousand at a time."""
    return np.mean(
        [masked_errors(model, T[k : k + 1000], masks) for k in range(0, len(T), 1000)], axis=0
    )


def evaluate(path: Path) -> dict[str, Any]:
    """Of the network in `path`, with a random mask for each of the 10,000 test images: a mean over
    many masks.
    """
    model, T = checkpoint.load(path).model, mg.data.mnist(split="test", dtype=np.float32)[0]
    rng = np.random.default_rng(SEED)
    assert isinstance(model, MaskedAutoencoder)
    with mg.no_grad():
        errors = [
            model.masked_error(x, random_masks(len(x), TOKENS, model.mask_ratio, rng))
            for x in np.split(T, 10)
        ]
    weights = {name: np.ascontiguousarray(value) for name, value in model.state_dict().items()}
    return {
        "masked_error_own_masks": float(np.mean(errors)),
        "seed": SEED,
        "sha256": checkpoint.digest(weights),
    }


def command(epochs: int) -> str:
    return f"python benchmarks/bench_mnist_masked.py --epochs {epochs}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument(
        "--evaluate", action="store_true", help="of a network that was kept, and its JSON"
    )
    args = parser.parse_args()
    if args.evaluate:
        known = json.loads(args.json.read_text(encoding="utf-8"))
        args.json.write_text(
            json.dumps({**known, **evaluate(args.checkpoint)}, indent=1) + "\n", encoding="utf-8"
        )
        return
    found = run(args.epochs, args.checkpoint)
    for name, target in TARGETS.items():
        print(
            f"{name:<13} {found[name]:.4f}  target {target}: "
            f"{'met' if found[name] < target else 'missed'}"
        )
    print(
        f"Gaussian conditional {found['gaussian']:.4f}, mean picture {found['mean_picture']:.4f}; "
        "better on "
        f"{found['better_on']} of {found['masks']} masks"
    )
    if args.json:
        args.json.write_text(
            json.dumps({"command": command(args.epochs), **found}, indent=1) + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
