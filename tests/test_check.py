"""gradcheck and check_graph: what they report, what they find, what they cannot judge."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import leaf

import minigrad_ae as mg
from minigrad_ae import ops
from minigrad_ae.autodiff import check
from minigrad_ae.errors import GradientError


def plant(monkeypatch, op, rule, slot=0):
    slots = list(op.vjps)
    slots[slot] = rule
    monkeypatch.setattr(op, "vjps", slots)


# --- check_graph ----------------------------------------------------------------------------------


def test_a_right_graph_is_right_and_says_how_much_was_checked():
    x, w = leaf(0.3, -1.2, name="x"), leaf([1.0, 2.0], [0.5, -1.0])
    report = mg.check_graph((mg.tanh(x @ w) * x).sum())
    assert (
        report
        and report.ok
        and report.failures == []
        and report.skipped == []
        and report.worst < 1e-12
    )
    assert report.checked == 8 and str(report).startswith("8 rules checked, 0 wrong")
    check.demand(report)


def test_a_wrong_rule_is_named_with_argument_and_line(monkeypatch):
    plant(monkeypatch, ops.div, lambda g, y, a, b: -1.0001 * g * y / b, slot=1)
    a, b = leaf(1.0, 2.0), leaf(3.0, 5.0)
    ratio = mg.exp(a) / b
    report = mg.check_graph(mg.tanh(ratio).sum())
    (failure,) = report.failures
    assert (failure.op, failure.argument) == ("div", "b") and 1e-6 < failure.error < 1e-3
    assert failure.location.startswith("div at test_check.py:") and failure.location.endswith(
        ": ratio = mg.exp(a) / b"
    )
    text = str(report)
    assert (
        "1 wrong" in text
        and "div: the rule for b is wrong (forward says" in text
        and "ratio = mg.exp(a) / b" in text
    )
    with pytest.raises(GradientError) as caught:
        check.demand(report)
    assert str(caught.value).splitlines()[
        0
    ] == "a gradient is wrong" and "div: the rule for b" in str(caught.value)


@pytest.mark.parametrize(
    "rule, complaint",
    [
        (lambda g, y, x: (g * y)[:1], "returned shape (1,) for an input of shape (3,)"),
        (lambda g, y, x: g @ y @ y, "it raised"),
        (lambda g, y, x: g * np.nan, "not finite where the derivative is"),
        (lambda g, y, x: 0 * g, "forward says"),
        (lambda g, y, x: -g * y, "forward says"),
    ],
)
def test_kinds_of_wrong_rules(monkeypatch, rule, complaint):
    plant(monkeypatch, ops.exp, rule)
    (failure,) = mg.check_graph(mg.exp(leaf(1.0, 2.0, 3.0)).sum()).failures
    assert failure.op == "exp" and failure.argument == "x" and complaint in failure.detail


def test_a_variadic_argument_has_its_number(monkeypatch):
    op = ops.REGISTRY["concatenate"]
    right = op.vjps[0]
    plant(
        monkeypatch,
        op,
        lambda g, y, *xs, i, axis=0: right(g, y, *xs, i=i, axis=axis) * (1 + (i == 2)),
    )
    (failure,) = mg.check_graph(mg.concatenate([leaf(1.0), leaf(2.0), leaf(3.0)]).sum()).failures
    assert (failure.op, failure.argument) == ("concatenate", "xs[2]")


def test_the_second_order_is_checked_on_the_graph_of_the_gradient(monkeypatch):
    x = leaf(0.4, -0.9)

    def gradient():
        (g,) = mg.grad((mg.sin(x) * mg.exp(x)).sum(), x, create_graph=True)
        return (g * g).sum()

    assert mg.check_graph(gradient())
    # cos occurs in the rule of sin only
    plant(monkeypatch, ops.cos, lambda g, y, x: g * ops.sin(x))
    assert mg.check_graph(mg.sin(x).sum()), "first order does not meet cos"
    assert {(f.op, f.argument) for f in mg.check_graph(gradient()).failures} == {("cos", "x")}


def test_kinks_raise_no_alarm():
    x = leaf([0.0, 0.0, 1.0], [1.0, 1.0, -2.0])
    y = leaf(0.0, 1.0, -2.0)
    for loss in (
        mg.relu(x),
        mg.abs(x),
        mg.maximum(x, y),
        mg.minimum(x, y),
        mg.max(x, axis=1),
        mg.max(x),
        mg.min(x, axis=0),
        mg.clip(x, 0.0, 1.0),
        mg.maximum(x, 0.0),
    ):
        report = mg.check_graph(loss)
        assert report and not report.skipped, str(report)


def test_a_wrong_rule_is_seen_beside_kinks(monkeypatch):
    plant(monkeypatch, ops.relu, lambda g, y, x: 0.999 * ops.where(x > 0, g, 0))
    assert not mg.check_graph(mg.relu(leaf(0.0, 0.0, 2.0)))
    plant(monkeypatch, ops.relu, lambda g, y, x: ops.where(x >= 0, g, 0))
    assert mg.check_graph(mg.relu(leaf(0.0, 0.0, 2.0))), (
        "at the kink itself any slope is right, so none is judged"
    )


def test_what_is_not_finite_is_left_out_and_said():
    x = leaf(0.0, math.nan, math.inf)
    with np.errstate(all="ignore"):
        report = mg.check_graph(mg.log(x).sum())
    assert report.ok and len(report.skipped) == 2 and "not finite" in report.skipped[0]
    assert "not checked: sum, x" in str(report) or "not checked: log, x" in str(report)
    chosen = mg.where(np.array([True, False]), leaf(1.0, math.nan), 2.0)
    report = mg.check_graph(chosen)
    assert report and report.checked == 1, "a NaN that is not chosen hides nothing"
    q = mg.tensor(np.random.default_rng(0).standard_normal((3, 2)), requires_grad=True)
    report = mg.check_graph(mg.softmax(mg.where(np.tri(3, dtype=bool), q @ q.T, -np.inf)) @ q)
    assert report and not report.skipped and report.checked >= 6, "a mask's -inf hides nothing"
    report = mg.check_graph(mg.attention(q, q, q, np.tri(3, dtype=bool)))
    assert report and not report.skipped and report.checked == 3, "nor in the fused op"


def test_a_wrong_rule_is_seen_beside_minus_infinity(monkeypatch):
    right = ops.where.vjps[1]
    plant(monkeypatch, ops.where, lambda g, y, *inputs: 1.001 * right(g, y, *inputs), slot=1)
    q = mg.tensor(np.random.default_rng(0).standard_normal((3, 2)), requires_grad=True)
    failures = mg.check_graph(
        mg.softmax(mg.where(np.tri(3, dtype=bool), q @ q.T, -np.inf)) @ q
    ).failures
    assert [(f.op, f.argument) for f in failures] == [("where", "a")]


def test_float32_graphs_are_judged_in_float64():
    x = mg.tensor(np.linspace(-2, 2, 7), dtype=np.float32, requires_grad=True)
    report = mg.check_graph((mg.gelu(x) * mg.softmax(x)).sum())
    assert report and report.worst < 1e-12


def test_checking_changes_nothing():
    x = leaf(1.0, 2.0)
    loss = mg.exp(x).sum()
    before = x.data.copy()
    mg.check_graph(loss)
    assert x.grad is None and np.array_equal(x.data, before) and loss.item() == np.exp(before).sum()


# --- gradcheck ------------------------------------------------------------------------------------


def test_gradcheck_agrees_to_many_digits_and_says_so():
    report = mg.gradcheck(
        lambda x, w: mg.tanh(x @ w), np.ones((2, 3)) * 0.1, np.linspace(-1, 1, 6).reshape(3, 2)
    )
    assert (
        report.ok
        and report.digits > 12
        and report.checked == 12
        and report.method == "complex step"
    )
    assert str(report).startswith("gradients agree to 1") and "12 elements (complex step)" in str(
        report
    )


def test_gradcheck_names_element_and_both_numbers(monkeypatch):
    plant(
        monkeypatch,
        ops.sin,
        lambda g, y, x: g * np.cos(x) * np.where(np.arange(6).reshape(2, 3) == 4, 1.01, 1.0),
    )
    report = mg.gradcheck(lambda a, x: a * mg.sin(x), np.ones((2, 3)), np.full((2, 3), 0.5))
    assert not report and (report.input, report.index) == (1, (1, 1))
    assert report.analytic / report.numeric == pytest.approx(1.01)
    text = str(report)
    assert (
        "DISAGREE to 2.0 digits" in text
        and "input 1 at [1, 1]" in text
        and f"{report.numeric:.12g}" in text
    )


@pytest.mark.parametrize(
    "planted", [lambda g, y, x: 0 * g, lambda g, y, x: -g * y, lambda g, y, x: g * y * (1 + 1e-9)]
)
def test_gradcheck_finds_small_and_gross_faults(monkeypatch, planted):
    plant(monkeypatch, ops.exp, planted)
    assert not mg.gradcheck(mg.exp, np.array([0.1, 0.7]))


def test_a_wrong_second_order_is_found_at_order_2_only(monkeypatch):
    plant(monkeypatch, ops.cos, lambda g, y, x: g * ops.sin(x))
    assert mg.gradcheck(mg.sin, np.array([0.4])) and not mg.gradcheck(
        mg.sin, np.array([0.4]), order=2
    )


def test_black_boxes_are_checked_by_central_differences():
    def black_box(x):
        return x * x + mg.tensor(np.floor(x.data))  # NumPy has no floor of a complex number

    report = mg.gradcheck(black_box, np.array([0.5, 2.5]))
    assert report and report.method == "central differences" and report.digits > 6
    assert not mg.gradcheck(
        lambda x: x * mg.tensor(x.data + np.floor(x.data)), np.array([0.5, 2.5])
    ), "x.data is no constant"


def test_only_some_elements_of_a_large_input_are_taken():
    assert mg.gradcheck(mg.tanh, np.linspace(-1, 1, 1000)).checked == 300


def test_gradcheck_of_nothing_and_of_scalars():
    assert mg.gradcheck(mg.exp, np.ones((0, 3))) and mg.gradcheck(mg.exp, 0.3)
    assert mg.gradcheck(mg.exp, mg.tensor(0.3), order=2)
