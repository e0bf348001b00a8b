"""No false alarm: check_graph on 200 random graphs in which every registered op occurs at least 20
times.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from random_graphs import GRAPHS, SPECIAL, STEPS, random_graph

import minigrad_ae as mg
from minigrad_ae.autodiff.engine import topological
from minigrad_ae.ops import REGISTRY


@pytest.fixture(scope="module")
def graphs():
    return [random_graph(number) for number in range(GRAPHS)]


def test_every_registered_op_occurs_often(graphs):
    assert set(SPECIAL) <= set(REGISTRY), "an op that there is not"
    counts = Counter(value.op.name for loss in graphs for value in topological(loss) if value.op)
    assert min(counts[name] for name in REGISTRY) >= 20, counts.most_common()[-5:]
    dtypes = {value.data.dtype for loss in graphs for value in topological(loss)}
    assert dtypes == {np.dtype(np.float32), np.dtype(np.float64)}


def test_no_false_alarm_on_random_graphs(graphs):
    for number, loss in enumerate(graphs):
        report = mg.check_graph(loss, rng=np.random.default_rng(number))
        assert report and report.checked > STEPS and not report.skipped, f"graph {number}: {report}"
        assert report.worst < 1e-11


def test_second_order_graphs_raise_no_alarm_either(graphs):
    for loss in graphs[::10]:
        leaves = [value for value in topological(loss) if value.is_leaf]
        slopes = mg.grad(loss, leaves, create_graph=True)
        total = sum(((s * s).sum() for s in slopes if s.requires_grad), mg.tensor(0.0))
        report = mg.check_graph(total)
        assert report and report.checked > 50, str(report)
