"""The gradient of each leaf against the loss as a whole; where NaN is made; how an index is
written.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import zoo
from helpers import tied_autoencoder

import minigrad_ae as mg
from minigrad_ae.autodiff import engine
from minigrad_ae.inspect import trace
from minigrad_ae.inspect.record import leaf_checks as leaves


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", sorted(zoo.ZOO))
def test_every_leaf_of_the_zoo_agrees_with_its_loss(name, dtype):
    loss = zoo.make(name, dtype)
    t = trace(loss)
    assert [leaf.name for leaf in t.leaves] == [
        n.name for n in t.nodes if n.kind == "param" and n.fanout
    ]
    assert all(leaf.ok for leaf in t.leaves), t.leaves
    if name not in ("infinite", "ties", "just_a_leaf"):
        assert any(leaf.status == "ok" for leaf in t.leaves), t.leaves


# Faults of the engine, not of a rule: every local check passes.
FAULTS = {
    "a contribution is lost at a fan-out": (engine, "add", lambda a, b: b),
    "a contribution counts twice": (engine, "add", lambda a, b: a + b + b),
    "un-broadcasting takes the mean": (
        engine,
        "fit",
        lambda raw, value, i: np.asarray(
            raw if raw.shape == value.inputs[i].shape else raw.mean(axis=0)
        ),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_no_rule_can_see_is_seen_end_to_end(fault, monkeypatch):
    loss, scope = tied_autoencoder()
    monkeypatch.setattr(*FAULTS[fault])
    t = trace(loss, scope=scope)
    assert all(c.check.ok for s in t.steps for c in s.contributions), "each rule by itself is right"
    wrong = [leaf.name for leaf in t.leaves if not leaf.ok]
    assert wrong and not t.ok and f"end to end: {wrong[0]} differs" in t.text()
    assert [leaf["ok"] for leaf in t.record()["leaves"]] == [leaf.ok for leaf in t.leaves]


def test_the_numbers_are_the_derivative_along_one_direction():
    a = mg.tensor(3.0, requires_grad=True)
    (leaf,) = trace((a * a).sum(), scope={"a": a}).leaves
    v = leaf.analytic / 6
    assert (
        leaf.status == "ok"
        and leaf.numeric == pytest.approx(6 * v, rel=1e-14)
        and leaf.error < 1e-15
    )


def test_at_rest_rounding_is_no_fault():
    """At a minimum the gradient is rounding: measured against the terms that cancelled, not against
    itself.
    """
    a = mg.tensor(np.full(5, 1 / 3), requires_grad=True)
    t = trace(((a - 1 / 3 + 1e-17) ** 2).sum() + (a * 0.1).sum() - (a * 0.3).sum() / 3)
    assert t.ok and t.leaves[0].status == "ok"


def test_hooks_kinks_nan_and_size_are_said():
    def status(loss):
        leaf = trace(loss).leaves[0]
        return leaf.status, leaf.reason

    a = mg.tensor([0.0, 1.0], requires_grad=True)
    h = a * 2
    h.register_hook(lambda g: 0 * g)
    assert status(h.sum()) == ("skipped", "a hook changes the gradient on its way")
    assert status(mg.abs(a).sum()) == ("kink", "abs is not differentiable at this point")
    with np.errstate(all="ignore"):
        assert status(mg.log(a).sum()) == ("skipped", "the numbers are not finite")


def test_a_hook_is_said_where_it_acts(tmp_path):
    a = mg.tensor([1.0, 2.0], requires_grad=True)
    h = a * 2
    h.register_hook(lambda g: 3 * g)
    t = trace((h * h).sum(), scope={"h": h})
    assert [s.name for s in t.steps if s.hooked] == ["h"] and "a hook has changed it" in t.text(
        step=3
    )
    assert [s["hooked"] for s in t.record()["steps"]] == [False, False, True]
    t.html(tmp_path / "t.html")
    assert (tmp_path / "t.html").read_text(encoding="utf-8").count('"hook":1') == 1
    looked_at = a * 2
    looked_at.register_hook(lambda g: None)
    assert not any(s.hooked for s in trace((looked_at * 3).sum()).steps), (
        "it looked, and changed nothing"
    )


def test_a_large_graph_is_not_computed_again_for_every_leaf(monkeypatch):
    monkeypatch.setattr(leaves, "BUDGET", 12_000)
    loss, scope = tied_autoencoder()
    t = trace(loss, scope=scope)
    assert [leaf.status for leaf in t.leaves] == ["ok", "skipped"] and "too large" in t.leaves[
        1
    ].reason
    assert "gradients of leaves: 1 of 1 agree with the loss as a whole (1 not checked)" in t.text()
    assert trace(tied_autoencoder()[0], numeric=False).leaves == []


# --- where NaN is made ----------------------------------------------------------------------------


def test_nan_of_the_way_back_is_told_where_it_is_made(recwarn):
    x = mg.tensor([0.0, 1.0, 4.0], requires_grad=True)
    t = trace(mg.where(x > 0, mg.sqrt(x), 0.0).sum() * 2)
    assert t.origin.op == "sqrt" and t.origin.trouble.startswith(
        "0 · inf: the unchosen branch of where"
    )
    assert [bool(s.trouble) for s in t.steps] == [s.op == "sqrt" for s in t.steps]
    told = " ".join(t.text().split())
    assert "NaN/Inf is made at step 4, sqrt, on the way back: 0 · inf" in told
    assert "is made here, on the way back: 0 · inf" in " ".join(t.text(step=4).split())
    assert not [w for w in recwarn if "rule" in str(w.filename)], (
        "what the trace says, NumPy need not warn of"
    )


def test_nan_of_the_way_forward_comes_before_what_it_does_on_the_way_back():
    p = mg.tensor([0.0, 0.5, 0.5], requires_grad=True)
    with np.errstate(all="ignore"):
        t = trace(-(p * mg.log(p)).sum())
    assert t.origin.op == "log" and "on the way forward: log of 0" in t.text()
    data = json.loads(t.json())
    assert [n["op"] for n in data["nodes"] if n["trouble"]] == ["log"]
    blamed = {s["op"] for s in data["steps"] for o in s["out"] if o["trouble"]}
    assert blamed == {"log"}, "1 / 0; mul met -inf, and is not to blame"


def test_of_two_origins_the_earlier_one_counts():
    p, q = mg.tensor([0.0, 0.5], requires_grad=True), mg.tensor([800.0], requires_grad=True)
    with np.errstate(all="ignore"):
        t = trace(mg.log(p).sum() + mg.exp(q).sum())
    assert [s.op for s in t.steps if s.trouble] == ["exp", "log"] and t.origin.op == "log"


def test_a_mask_of_infinities_is_nobodys_fault():
    x = mg.tensor(np.arange(4.0).reshape(2, 2), requires_grad=True)
    t = trace((mg.softmax(x + np.array([[0, -np.inf], [0, 0]])) ** 2).sum())
    assert t.origin is None and t.ok


def test_an_index_reads_as_it_was_written():
    written = {
        "0": 0,
        ":, 2:": np.s_[:, 2:],
        "1, ::2": np.s_[1, ::2],
        "..., None, -1": np.s_[..., None, -1],
        "[0, 2], :": np.s_[[0, 2], :],
        "array(4, 6)": np.ones((4, 6), bool),
    }
    x = mg.tensor(np.zeros((4, 6)), requires_grad=True)
    for text, index in written.items():
        (node,) = (n for n in trace(x[index].sum(), numeric=False).nodes if n.op == "getitem")
        assert node.computes == f"x[{text}]"
