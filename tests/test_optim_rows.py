"""Adam over parameters in a row is Adam over each of them, to the last bit, whatever happens in
between.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae.errors import GradientError
from minigrad_ae.optim import Adam, AdamW
from minigrad_ae.optim import parameter_rows as row

SHAPES = [(5, 3), (3,), (3, 4), (4,), ()]
MAKERS = {
    "adam": lambda ps: Adam(ps, lr=0.1, weight_decay=0.05),
    "adamw": lambda ps: AdamW(ps, lr=0.1, weight_decay=0.1),
    "matrices only": lambda ps: AdamW(ps, lr=0.1, weight_decay=0.1, matrices_only=True),
    "factors": lambda ps: AdamW(ps, lr=0.1, lr_factors={ps[0]: 0.5, ps[3]: 0.0}),
}


def leaves(dtype):
    rng = np.random.default_rng(0)
    return [mg.nn.Parameter(rng.normal(size=s).astype(dtype), dtype=dtype) for s in SHAPES]


def give_gradients(params, step):
    rng = np.random.default_rng(step)
    for p in params:
        p.grad = rng.normal(size=p.shape).astype(p.dtype)


def trained(make, dtype, between):
    """Parameters and moments after eight steps; between(step, optimizer) may meddle, and return
    another optimiser.
    """
    params = leaves(dtype)
    optimizer = make(params)
    for step in range(8):
        give_gradients(optimizer.params, step)
        optimizer = between(step, optimizer) or optimizer
        optimizer.step()
    state = [np.asarray(v) for v in optimizer.state_dict().values()]
    return [p.data for p in optimizer.params] + state


def nothing(step, optimizer):
    pass


def one_without_gradient(step, optimizer):
    if step == 3:
        optimizer.params[1].grad = None


def loaded(step, optimizer):
    if step == 4:
        optimizer.load_state_dict(optimizer.state_dict())


def copied(step, optimizer):
    return copy.deepcopy(optimizer) if step == 4 else None


def new_data_and_rate(step, optimizer):
    optimizer.lr = 0.1 / (1 + step)
    optimizer.params[0].data = optimizer.params[0].data * 1.5


@pytest.mark.parametrize(
    "between", [nothing, one_without_gradient, loaded, copied, new_data_and_rate]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_in_a_row_or_one_by_one_the_same_bits(make, dtype, between, monkeypatch):
    together = trained(make, dtype, between)
    monkeypatch.setattr(row, "LONGEST", 0)
    for a, b in zip(together, trained(make, dtype, between), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.usefixtures("compiled")
def test_small_models_are_stepped_in_rows_and_large_ones_are_not(monkeypatch):
    steps = []
    monkeypatch.setattr(row.Row, "step", lambda self, *settings: steps.append(len(self.params)))
    for make in MAKERS.values():
        trained(make, np.float32, nothing)
    rows = {"adam": [5], "adamw": [5], "matrices only": [2, 3], "factors": [1, 3, 1]}
    assert steps == [n for name in MAKERS for n in rows[name] * 8]
    large = mg.nn.Parameter(np.zeros(row.LONGEST + 1))
    give_gradients([large], 0)
    Adam([large]).step()
    assert len(steps) == 8 * 7
    # together more than LONGEST, on average less
    many = [mg.nn.Parameter(np.zeros(row.LONGEST // 2)) for _ in range(5)]
    give_gradients(many, 0)
    Adam(many).step()
    assert steps[8 * 7 :] == [5]


def test_the_arrays_of_the_parameters_stay_where_they_are_and_an_old_graph_is_refused():
    x = mg.nn.Parameter(np.array([1.0, 2.0]))
    own = x.data
    loss = (x * x).sum()
    loss.backward()
    Adam([x], lr=0.1).step()
    assert x.data is own and own[0] < 1.0
    with pytest.raises(GradientError, match="comes too late"):
        loss.backward()
