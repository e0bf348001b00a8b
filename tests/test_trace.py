"""The trace tells the truth: what it records is what backward does, bit for bit, and a wrong rule
is marked as such.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator

import numpy as np
import pytest
import zoo
from helpers import nonfinite_numbers, same, tied_autoencoder

import minigrad_ae as mg
from minigrad_ae.autodiff import engine
from minigrad_ae.errors import DataError
from minigrad_ae.inspect import backward_steps, trace
from minigrad_ae.inspect.record.names import Taken, unique
from minigrad_ae.ops import REGISTRY

pytestmark = [nonfinite_numbers, pytest.mark.usefixtures("definitions")]


# --- the zoo --------------------------------------------------------------------------------------


def test_zoo_is_complete():
    at_home = set().union(*(zoo.ops_of(zoo.make(name)) for name in zoo.ZOO))
    assert set(REGISTRY) <= at_home, (
        f"no graph uses {sorted(set(REGISTRY) - at_home)}: add a function marked @cage to "
        "tests/zoo.py that makes a loss with it"
    )


# --- replay ---------------------------------------------------------------------------------------


@zoo.every_graph
def test_trace_is_backward_bit_for_bit(name, dtype):
    plain, traced, stepped = (zoo.make(name, dtype) for _ in range(3))
    plain.backward()
    trace(traced, numeric=False)
    for _ in backward_steps(stepped, numeric=False):
        pass
    for a, b, c in zip(
        zoo.leaves_of(plain), zoo.leaves_of(traced), zoo.leaves_of(stepped), strict=True
    ):
        assert same(a.grad, b.grad)
        assert same(a.grad, c.grad)


@zoo.every_graph
def test_contributions_add_up_to_the_gradients(name, dtype):
    loss = zoo.make(name, dtype)
    t = trace(loss, numeric=False)
    total = {}
    for step in t.steps:
        assert step.k == 1 or same(total[step.node.id], step.incoming), (
            "a step starts from the complete gradient"
        )
        for c in step.contributions:
            before = total.get(c.node)
            assert (before is None) == (c.before is None) and (
                before is None or same(before, c.before)
            )
            total[c.node] = c.added if before is None else before + c.added
            assert same(total[c.node], c.after)
            assert c.added.shape == c.shape
    nodes = {n.id: n for n in t.nodes}
    leaves = {nodes[k].name: g for k, g in total.items() if nodes[k].op is None}
    assert sorted(g.tobytes() for g in leaves.values()) == sorted(
        v.grad.tobytes() for v in zoo.leaves_of(loss) if v is not loss
    )


@zoo.every_graph
def test_every_rule_of_the_zoo_passes_its_check(name, dtype):
    t = trace(zoo.make(name, dtype))
    assert t.ok, t.text()
    checks = [c.check for s in t.steps for c in s.contributions]
    if name not in ("infinite", "just_a_leaf"):
        assert sum(c.status == "ok" for c in checks) > len(checks) / 2
        assert all(c.digits > 9 for c in checks if c.status == "ok")


def test_steps_come_in_the_order_in_which_backward_runs_them():
    loss, _ = tied_autoencoder()
    order = [v.op.name for v in reversed(engine.topological(loss)) if v.op]
    t = trace(loss, numeric=False)
    assert [s.op for s in t.steps] == order
    assert [s.k for s in t.steps] == list(range(1, len(order) + 1))


def test_leaf_gradients_accumulate_and_hooks_and_retain_grad_work():
    def run(pass_):
        a = mg.tensor([1.0, 2.0], requires_grad=True)
        h = a * a
        h.retain_grad()
        h.register_hook(lambda g: 3 * g)
        for _ in range(2):
            pass_((h * h).sum())
        return a.grad, h.grad

    for plain, traced in zip(run(lambda y: y.backward()), run(trace), strict=True):
        assert same(plain, traced)


def test_a_stepper_that_is_dropped_leaves_the_leaves_alone():
    loss, names = tied_autoencoder()
    steps = backward_steps(loss)
    assert names["b"].grad is None
    seen = list(itertools.islice(steps, 4))
    steps.close()
    assert [c.k for c in seen] == [1, 2, 3, 3]
    assert names["b"].grad is None
    assert len(list(backward_steps(loss))) == sum(len(v.edges) for v in engine.topological(loss))
    assert names["b"].grad is not None


def test_a_stepper_winds_back_and_jumps():
    loss, names = tied_autoencoder()
    plain, _ = tied_autoencoder()
    plain.backward()
    steps = backward_steps(loss, numeric=False)
    assert (
        isinstance(steps, Generator)
        and repr(steps) == "<backward pass of loss, before step 1 of 9>"
    )
    first = list(itertools.islice(steps, 5))
    assert steps.rewind(2).position == 3 and next(steps) is first[3]
    assert (
        steps.rewind().position == 0
        and steps.gradients == {}
        and [next(steps) for _ in range(5)] == first
    )
    assert steps.jump(8).k == 8 and names["b"].grad is None, "a jump forward runs what lies between"
    assert {c.k for c in steps._seen} == set(range(1, 9))
    assert steps.jump(3) is first[2] and steps.gradients.keys() == {
        "loss",
        "sum_1",
        "mul_1",
        "sub_1",
    }
    assert same(steps.gradients["sub_1"], first[2].after) and not same(
        first[2].after, first[3].after
    )
    list(steps)
    leaves = [zoo.leaves_of(v) for v in (loss, plain)]
    assert all(same(a.grad, b.grad) for a, b in zip(*leaves, strict=True))
    before = names["b"].grad.copy()
    assert len(list(steps.rewind())) == steps.position == 12 and same(names["b"].grad, before), (
        ".grad is given once"
    )
    for wrong in (0, 10):
        with pytest.raises(
            DataError, match=rf"step {wrong} does not exist\n  this pass has 9 steps"
        ):
            steps.jump(wrong)
    with pytest.raises(DataError, match="rewind goes back"):
        steps.rewind(-1)


def test_what_is_recorded_is_a_copy():
    a = mg.tensor([1.0, 2.0], requires_grad=True, name="a")
    t = trace((a * a).sum())
    kept = [c.after.copy() for s in t.steps for c in s.contributions]
    a.grad *= 0
    a.data[...] = 9
    assert all(
        same(x, c.after)
        for x, c in zip(kept, (c for s in t.steps for c in s.contributions), strict=True)
    )


def test_a_trace_that_is_cut_keeps_its_first_and_its_last_quarter():
    x = mg.tensor([0.5, 0.25], requires_grad=True, name="x")
    y = x
    for _ in range(40):
        y = mg.tanh(y)
    t = mg.trace(y.sum(), numeric=False, max_steps=8)
    kept = [step.k for step in t.steps]
    assert kept[:2] == [1, 2] and kept[-2:] == [t.total - 1, t.total]
    assert t.truncated["kept"] == len(kept) <= 8


class Counting(Taken):
    """Counts how often it is asked whether a name is taken."""

    asked = 0

    def __contains__(self, name):
        self.asked += 1
        return super().__contains__(name)


def test_a_name_used_often_is_found_as_fast_as_one_used_twice():
    """And they are those of the definition: the first of name, name_2, ... that is free."""
    rng, given, plain = np.random.default_rng(0), Counting(), set()
    wanted = rng.choice(["y", "y_2", "y_3", "y_2_2", "loss"], size=300).tolist() + ["y"] * 3000
    for name in wanted:
        found = next(c for c in [name, *(f"{name}_{k}" for k in range(2, 9999))] if c not in plain)
        plain.add(found)
        assert unique(name, given) == found
    assert given == plain and given.asked < 3 * len(wanted)
