"""The deep autoencoder on MNIST, ours and PyTorch's: error on the test images, and the time that
training takes.

    python benchmarks/bench_mnist_deep.py [--seeds 3] [--epochs 12] [--json FILE]

D-H-M-H-D on the 60,000 images, pixels from 0 to 1, float32, one thread, Adam with a cosine schedule
to 0, batch 128. Both start from the same weights (Xavier uniform, output bias at the mean image)
and see the same batches.  The error is the squared error of the 10,000 test images, a sum over
pixels and a mean over images; PCA's stands beside it.  Seconds are of the processor (the machine
may have other work) and of the wall, for all epochs.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from timing import restart_with

import minigrad_ae as mg
from minigrad_ae.data import batches, mnist
from minigrad_ae.errors import FileError
from minigrad_ae.models import DeepAutoencoder
from minigrad_ae.optim import Adam, cosine_schedule

# (M, H, activation, learning rate, goal: the largest median of the test error that is good enough)
RECIPES = [
    (2, 512, "relu", 2e-3, 33.0),
    (30, 256, "sigmoid", 3e-3, 8.2),
    (30, 512, "relu", 2e-3, 6.4),
]
BATCH = 128
Run = dict[str, Any]


def start(X: np.ndarray, M: int, H: int, activation: str, seed: int) -> DeepAutoencoder:
    """The model before its first step."""
    model = DeepAutoencoder(
        X.shape[1], M, H, activation=activation, rng=np.random.default_rng(seed), dtype=np.float32
    )
    model.start_at(X.mean(axis=0))
    return model


def shuffler(seed: int) -> np.random.Generator:
    """What orders the data, for both libraries."""
    return np.random.default_rng([seed, 1])


def error(Y: np.ndarray, X: np.ndarray) -> float:
    """Squared error, a sum over pixels and a mean over images."""
    return float(np.mean(np.sum((Y.astype(np.float64) - X) ** 2, axis=1)))


def ours(
    X: np.ndarray,
    X_test: np.ndarray,
    M: int,
    H: int,
    activation: str,
    lr: float,
    epochs: int,
    seed: int,
) -> Run:
    """Train with `mg.train.fit`."""
    model = start(X, M, H, activation, seed)
    # compiles the kernels, if they never were: not part of the time
    model.loss(X[:BATCH]).backward()
    optimizer = Adam(model.parameters(), lr=lr)
    schedule = cosine_schedule(optimizer, epochs * -(-len(X) // BATCH))
    cpu, wall = time.process_time(), time.perf_counter()
    mg.train.fit(
        model,
        X,
        optimizer=optimizer,
        epochs=epochs,
        rng=shuffler(seed),
        batch_size=BATCH,
        schedule=schedule,
        progress=False,
    )
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    with mg.no_grad():
        return {"error": error(model(X_test).numpy(), X_test), "cpu": cpu, "wall": wall}


def theirs(
    X: np.ndarray,
    X_test: np.ndarray,
    M: int,
    H: int,
    activation: str,
    lr: float,
    epochs: int,
    seed: int,
) -> Run:
    """The same training in PyTorch, in the way its users write it, with its fused Adam."""
    import torch

    torch.set_num_threads(1)
    twin = start(X, M, H, activation, seed)
    layers: list[Any] = []
    for k, layer in enumerate((twin.layer1, twin.layer2, twin.layer3, twin.layer4)):
        linear = torch.nn.Linear(*layer.weight.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.weight.numpy().T))
            linear.bias.copy_(torch.from_numpy(layer.bias.numpy()))  # type: ignore[union-attr]
        layers.append(linear)
        if k % 2 == 0:
            layers.append(torch.nn.Sigmoid() if activation == "sigmoid" else torch.nn.ReLU())
    net = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(net.parameters(), lr=lr, fused=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * -(-len(X) // BATCH))
    rng = shuffler(seed)
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(epochs):
        for batch in batches(X, BATCH, rng):
            x = torch.from_numpy(batch)
            loss = 0.5 * torch.nn.functional.mse_loss(net(x), x, reduction="sum") / len(x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    with torch.no_grad():
        return {
            "error": error(net(torch.from_numpy(X_test)).numpy(), X_test),
            "cpu": cpu,
            "wall": wall,
        }


def pca_errors(X: np.ndarray, X_test: np.ndarray, sizes: list[int]) -> dict[int, float]:
    """The test error of PCA of the training images, by the eigenvectors of their covariance."""
    mean = X.mean(axis=0, dtype=np.float64)
    centred = X - mean
    _, U = np.linalg.eigh(centred.T @ centred)
    rest = X_test - mean
    return {M: error(mean + rest @ U[:, -M:] @ U[:, -M:].T, X_test) for M in sizes}


def measure(seeds: int, epochs: int, rows: int | None, peers: bool) -> list[Run]:
    """Every recipe with every seed; one line each as it is done."""
    try:
        X, X_test = (
            mnist(split="train", dtype=np.float32)[0][:rows],
            mnist(split="test", dtype=np.float32)[0],
        )
    except FileError as missing:
        print(f"nothing was measured: {missing}")
        return []
    pca = pca_errors(X, X_test, sorted({M for M, *_ in RECIPES}))
    found = []
    for M, H, activation, lr, goal in RECIPES:
        row: Run = {
            "name": f"784-{H}-{M}-{H}-784 {activation}",
            "M": M,
            "H": H,
            "activation": activation,
            "lr": lr,
            "goal": goal,
            "pca": pca[M],
        }
        for library, train in [("ours", ours), ("torch", theirs)] if peers else [("ours", ours)]:
            runs = []
            for seed in range(seeds):
                runs.append(train(X, X_test, M, H, activation, lr, epochs, seed))
                seen = ", ".join(f"{key} {value:.4g}" for key, value in runs[-1].items())
                print(f"{row['name']} {library} seed {seed}: {seen}", flush=True)
            row[library] = {key: [run[key] for run in runs] for key in runs[0]}
            row[library]["median"] = statistics.median(row[library]["error"])
        row["met"] = row["ours"]["median"] <= goal
        found.append(row)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument(
        "--rows", type=int, help="only the first so many training images, to try the script"
    )
    parser.add_argument("--no-peers", action="store_true", help="without PyTorch")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    restart_with(threads=1)
    found = measure(args.seeds, args.epochs, args.rows, not args.no_peers)
    if args.json:
        command = (
            f"python benchmarks/bench_mnist_deep.py --seeds {args.seeds} --epochs {args.epochs}"
        )
        report = {"command": command, "rows": found}
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
