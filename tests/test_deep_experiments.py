"""Lesson 04: its local minimum, its shipped numbers, and that a seed gives the same digits in
another process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from minigrad_ae.claims import Run
from minigrad_ae.data import shipped
from minigrad_ae.experiments import deep as experiments_deep

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import goals

PROGRAM = """
from minigrad_ae.claims import Run
from minigrad_ae.experiments.deep import on_digits, on_parabola
run = Run(fast=True, seed=3)
model = on_digits(run, "sigmoid", 2, 1, 2)
weights = [p.numpy().tobytes().hex()[:64] for p in model.parameters()]
print(on_parabola(run, "tanh", 1)[1].tobytes().hex()[-64:], weights)
"""


def test_the_same_seed_gives_the_same_digits_in_two_processes():
    """L-BFGS in float64 and Adam on shuffled batches in float32, from the same seed."""
    seen = [
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
        for _ in range(2)
    ]
    assert seen[0].stdout == seen[1].stdout and len(seen[0].stdout) > 500


def test_another_seed_gives_other_digits():
    first, second = (
        experiments_deep.on_parabola(Run(fast=True, seed=s), "tanh", 0)[1][-1] for s in (3, 4)
    )
    assert first != second


def test_the_local_minimum_is_one():
    """From the weights that are written down training comes to rest in a bowl: uphill all around
    but along the two flat directions of z -> z c + d, and far above another start.
    """
    run, X = Run(), np.array(experiments_deep.TWENTY)
    model = experiments_deep.local_minimum(run)
    values, vectors = experiments_deep.curvatures(model, X)
    here = model.loss(X).item()
    assert np.linalg.norm(experiments_deep.gradient(model, X)) < 1e-8
    assert np.abs(values[:2]).max() < 1e-8 and values[2:].min() > 1e-5
    assert experiments_deep.elsewhere(run).loss(X).item() < here - 3
    at = [p.numpy().copy() for p in model.parameters()]
    ends = np.cumsum([w.size for w in at])[:-1]
    for value, direction in zip(values[2:], vectors.T[2:], strict=True):
        for step in (1e-2 / np.sqrt(value), -1e-2 / np.sqrt(value)):  # E rises by 5e-5 or so
            move = np.split(min(0.1, abs(step)) * np.sign(step) * direction, ends)
            for p, w, part in zip(model.parameters(), at, move, strict=True):
                p.data = w + part.reshape(w.shape)
            assert model.loss(X).item() > here


def test_the_shipped_mnist_numbers_meet_their_goals():
    record = json.loads(shipped("04_mnist.json").read_text(encoding="utf-8"))
    seeds = 3
    assert record["command"] == f"python benchmarks/bench_mnist_deep.py --seeds {seeds} --epochs 12"
    assert [(row["M"], row["goal"]) for row in record["rows"]] == [(2, 33.0), (30, 8.2), (30, 6.4)]
    for row in record["rows"]:
        assert (
            len(row["ours"]["error"]) == seeds
            and np.median(row["ours"]["error"]) == row["ours"]["median"] <= row["goal"]
        )
        # float32 images
        assert row["pca"] == pytest.approx({2: 43.6449, 30: 13.8663}[row["M"]], abs=2e-3)


def test_the_benchmark_compares_errors_with_pca_and_times_with_torch():
    measured = {
        "name": "784-256-30-256-784 sigmoid",
        "pca": 14.0,
        "goal": 8.0,
        "ours": {"median": 7.0, "cpu": [20.0, 30.0]},
        "torch": {"cpu": [30.0, 30.0]},
    }
    error, training = goals.table_rows({"deep": {"rows": [measured]}})
    assert (error["peer"], error["ratio"], error["goal"], error["met"]) == ("PCA", 2.0, 1.75, True)
    assert (training["peer"], training["ratio"], training["ours"], training["met"]) == (
        "torch fused",
        1.2,
        25.0,
        None,
    )
