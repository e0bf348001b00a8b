"""Lesson 04's shipped numbers, and that a seed gives them digit for digit in another process."""

from __future__ import annotations

import hashlib
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

from benchmarks import report

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


def test_the_shipped_starts_say_where_they_come_from_and_are_whole():
    record = json.loads(shipped("04_starts.json").read_text(encoding="utf-8"))
    numbers = {name: record[name] for name in ("parabola", "digits")}
    assert (
        record["sha256"] == hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()
    )
    assert record["command"] == f"python -m minigrad_ae lesson 4 --full --seed {record['seed']}"
    assert {len(values) for group in numbers.values() for values in group.values()} == {
        experiments_deep.STARTS
    }


def test_the_shipped_starts_are_what_the_code_computes():
    """The worst of the ReLU nets, which is stuck for good: rounding, different on another
    processor, cannot free it.
    """
    record = json.loads(shipped("04_starts.json").read_text(encoding="utf-8"))
    worst = int(np.argmax(record["parabola"]["relu"]))
    again = experiments_deep.on_parabola(Run(seed=record["seed"]), "relu", worst)[1][-1]
    assert again == pytest.approx(record["parabola"]["relu"][worst], rel=1e-6)


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
    error, training = report.table_rows({"deep": {"rows": [measured]}})
    assert (error["peer"], error["ratio"], error["goal"], error["met"]) == ("PCA", 2.0, 1.75, True)
    assert (training["peer"], training["ratio"], training["ours"], training["met"]) == (
        "torch fused",
        1.2,
        25.0,
        None,
    )
