"""The engine: the walk, accumulation in .grad, hooks, and the life of a graph."""

from __future__ import annotations

import gc
import weakref
from collections import Counter

import numpy as np
import pytest
from helpers import leaf

import minigrad_ae as mg
from minigrad_ae.autodiff import engine
from minigrad_ae.ops import REGISTRY

LONG = 100_000


# --- the walk -------------------------------------------------------------------------------------


def test_fan_out_waits_for_all_consumers():
    a = leaf(3.0)
    b = a + a
    c = b + b
    (c * c).backward(np.array([1.0]))
    assert a.grad.tolist() == [2 * 12 * 4]
    h = a * 1
    # h is reached by a short path before the long one has told it all
    (h + h * 2 + h).backward(np.array([1.0]))
    (h * 2 + h).backward(np.array([1.0]))
    assert a.grad.tolist() == [96 + 4 + 3]


def test_each_rule_runs_once_per_edge_and_only_towards_what_is_wanted(monkeypatch):
    applied = Counter()

    def counting(rule, name, slot):
        return lambda g, y, *inputs: applied.update([(name, slot, id(y))]) or rule(g, y, *inputs)

    for name in ("add", "mul"):
        rules = [counting(rule, name, slot) for slot, rule in enumerate(REGISTRY[name].vjps)]
        monkeypatch.setattr(REGISTRY[name], "vjps", rules)
    a, w = leaf(0.01), leaf(1.0)
    y = a
    for _ in range(50):  # a graph with 2^50 paths
        y = y + y
    (y * w).backward(np.array([1.0]))
    assert len(applied) == 102 and set(applied.values()) == {1} and a.grad.tolist() == [2.0**50]
    applied.clear()
    mg.grad(y * w, w, gradient=np.array([1.0]))
    assert sum(applied.values()) == 1, "the long branch does not lead to w"


@pytest.mark.parametrize("length", [100, 1000])
def test_cost_of_a_backward_is_linear(length, monkeypatch):
    calls = Counter()
    for name in ("sin", "mul"):
        slots = REGISTRY[name].vjps
        for slot, rule in enumerate(slots):
            monkeypatch.setattr(REGISTRY[name], "vjps", list(slots))
            slots = REGISTRY[name].vjps
            slots[slot] = lambda *args, rule=rule, name=name: calls.update([name]) or rule(*args)
    x, w = leaf(0.5), leaf(0.9)
    y = x
    for _ in range(length):
        y = mg.sin(y) * w
    y.sum().backward()
    assert calls == {"sin": length, "mul": 2 * length}


def test_a_chain_of_100_000_ops_runs_back_and_is_freed():
    x = leaf(0.5)
    y = x
    for _ in range(LONG):
        y = y + 1e-6
    assert len(engine.topological(y)) == LONG + 1
    y.backward(np.array([2.0]))
    assert x.grad.tolist() == [2.0]
    (g,) = mg.grad(y.sum(), x, create_graph=True)
    assert g.data.tolist() == [1.0]
    watch = weakref.ref(y)
    del y, g
    assert watch() is None


def test_a_graph_is_freed_by_reference_counts_alone():
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        h = mg.tanh(x * 2)
        h.register_hook(lambda g: None)
        h.retain_grad()
        loss = mg.logsumexp(h) + (h @ h)
        loss.backward()
        (g,) = mg.grad(loss, x, create_graph=True)
        (g * g).sum().backward()
        watched = [
            weakref.ref(v)
            for v in (*engine.topological(loss), *engine.topological(g))
            if v is not x
        ]
        assert len(watched) > 10
        del loss, h, g
        assert not [w() for w in watched if w() is not None]
    finally:
        gc.enable()


def test_a_graph_lives_as_long_as_a_tensor_of_it():
    def build():
        x = leaf(2.0)
        return mg.exp(x * 3).sum()

    y = build()
    y.backward()
    assert y.inputs[0].inputs[0].inputs[0].grad.tolist() == [3 * np.exp(6.0)]


# --- .grad ----------------------------------------------------------------------------------------


def test_a_second_backward_accumulates_and_is_right():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [4.0, 8.0]
    x.zero_grad()
    assert x.grad is None
    y.backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_gradients_never_share_memory():
    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    c = a + b
    c.retain_grad()
    seed = np.array([1.0, 5.0])
    c.backward(seed)
    a.grad *= 0
    assert b.grad.tolist() == c.grad.tolist() == seed.tolist() == [1, 5]
    x, y = leaf(1.0, 2.0), leaf([1.0, 2.0])
    (x.reshape(1, 2) - y.T.T).sum().backward()
    np.clip(x.grad, 0, 0.5, out=x.grad)
    assert y.grad.tolist() == [[-1, -1]] and y.grad.flags.writeable
    loss = leaf(1.0, 2.0)
    mg.broadcast_to(loss, (3, 2)).sum().backward()
    loss.grad += 1  # writeable, whatever view the rules made


def test_gradient_of_a_scalar_leaf_stays_an_array():
    x = mg.tensor(2.0, requires_grad=True)
    for _ in range(2):
        (x * x + x).backward()
        assert type(x.grad) is np.ndarray and x.grad.shape == ()
    x.register_hook(lambda g: seen.append(type(g)))
    seen = []
    (x * x + x).backward()
    (x * 5).backward()
    assert seen == [np.ndarray] * 2 and x.grad == 20 and type(mg.grad(x * x, x)[0]) is np.ndarray


def test_retain_grad_and_leaves_only():
    x = leaf(1.0)
    a = x * 2
    b = a * 3
    a.retain_grad()
    for _ in range(2):
        b.backward(np.array([1.0]))
        assert a.grad.tolist() == [3.0] and b.grad is None
    x.backward(np.array([5.0]))
    assert x.grad.tolist() == [17.0]


def test_training_step_by_hand():
    w = leaf(1.0, 2.0)
    for _ in range(3):
        (w * w).sum().backward()
        w.data -= 0.1 * w.grad
        w.zero_grad()
    np.testing.assert_allclose(w.data, [0.8**3, 2 * 0.8**3])


# --- hooks ----------------------------------------------------------------------------------------


def test_hooks_see_the_complete_gradient_in_order_and_may_replace_it():
    x = leaf(1.0, 2.0)
    h = x * 1
    seen = []
    h.register_hook(lambda g: seen.append(("first", g.tolist())))
    remove = h.register_hook(lambda g: 10 * g)
    h.register_hook(lambda g: seen.append(("third", g.tolist())))
    (h + h * 2).sum().backward()
    assert seen == [("first", [3, 3]), ("third", [30, 30])] and x.grad.tolist() == [30, 30]
    remove()
    remove()
    x.zero_grad()
    (h + h).sum().backward()
    assert seen[2:] == [("first", [2, 2]), ("third", [2, 2])] and x.grad.tolist() == [2, 2]


def test_a_hook_on_a_leaf_and_under_create_graph():
    x = leaf(2.0)
    x.register_hook(lambda g: g * 2)
    (x * x).backward(np.array([1.0]))
    assert x.grad.tolist() == [8.0]
    (g,) = mg.grad((x * x).sum(), x, create_graph=True)
    assert isinstance(g, mg.Tensor) and g.data.tolist() == [8.0]
