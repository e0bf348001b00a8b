"""Claims of lesson 01: the chain rule on a graph, and gradients that prove themselves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

import minigrad_ae as mg

from ..autodiff import engine
from ..ops import calculus as helpers, index
from .bugs import edit, wrong_rule
from .definition import Run, claim

EPS = float(np.finfo(float).eps)


@claim(
    "chain-rule",
    "a product of local slopes: d/dw of tanh(w x) is x (1 - tanh^2)",
    expected=lambda run: 0.7 * (1 - math.tanh(1.3 * 0.7) ** 2),
    tolerance=8 * EPS,
    reason="four roundings, each eps/2 relative",
    sabotage=wrong_rule("tanh", "x", "g * (1 - y)"),
)
def chain_rule(run: Run) -> float:
    w = mg.tensor(1.3, requires_grad=True)
    mg.tanh(w * 0.7).backward()
    return float(w.grad)


@claim(
    "fan-out",
    "a value that is used twice adds both gradients: b = a + a, c = b + b, dc/da",
    expected=4.0,
    tolerance=0.0,
    reason="small integers are exact",
    sabotage=edit(engine.backpropagate, "add(known, new)", "new"),
)
def fan_out(run: Run) -> float:
    a = mg.tensor(1.0, requires_grad=True)
    b = a + a
    c = b + b
    c.backward()
    return float(a.grad)


@claim(
    "one-visit-per-edge",
    "each rule runs once per edge: 60 applications for 30 doublings, not 2^31 - 2 paths",
    expected=60.0,
    tolerance=0.0,
    reason="a count",
    sabotage=edit(engine.backpropagate, "edges = value.edges if", "edges = [*value.edges, *value.edges] if"),
)
def one_visit(run: Run) -> float:
    calls: list[str] = []

    def counting(rule: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            calls.append("add")
            return rule(*args)

        return call

    rules, original = mg.ops.REGISTRY["add"].vjps, list(mg.ops.REGISTRY["add"].vjps)
    rules[:] = [counting(rule) for rule in original]
    try:
        y = mg.tensor(1.0, requires_grad=True)
        for _ in range(30):
            y = y + y
        y.backward()
    finally:
        rules[:] = original
    return float(len(calls))


@claim(
    "un-broadcasting",
    "a bias that was stretched over 5 rows receives the sum of their gradients",
    expected=15.0,
    tolerance=0.0,
    reason="small integers are exact",
    sabotage=edit(engine.unbroadcast, 'NAMES["sum"]', 'NAMES["max"]'),
)
def unbroadcasting(run: Run) -> float:
    b = mg.tensor([0.0, 0.0], requires_grad=True)
    rows = np.arange(1.0, 6.0)[:, None] * np.ones((1, 2))
    ((np.zeros((5, 2)) + b) * rows).sum().backward()
    return float(b.grad[0])


@claim(
    "where-keeps-nan-out",
    "a NaN that comes in for one branch of `where` does not reach the other: NaNs there",
    expected=0.0,
    tolerance=0.0,
    reason="a count",
    sabotage=wrong_rule("where", "a", "g * condition"),
)
def where_nan(run: Run) -> float:
    a, b = mg.tensor(np.ones(3), requires_grad=True), mg.tensor(np.ones(3), requires_grad=True)
    y = mg.where(np.array([True, False, True]), a, b)
    ga, _ = mg.grad(y, [a, b], gradient=np.array([1.0, np.nan, 1.0]))
    return float(np.isnan(ga).sum())


@claim(
    "double-where",
    "the double-where cure: d/dx of where(x > 0, log x, 0) at x = 0 is 0, not NaN",
    expected=0.0,
    tolerance=0.0,
    reason="a selected constant",
    sabotage=wrong_rule("where", "a", "g"),
)
def double_where(run: Run) -> float:
    x = mg.tensor([0.0, 2.0], requires_grad=True)
    positive = x.numpy() > 0
    safe = mg.where(positive, x, 1.0)
    mg.where(positive, mg.log(safe), 0.0).sum().backward()
    return float(x.grad[0])


@claim(
    "repeated-index",
    "an element that is picked twice receives both gradients: x[[0, 0, 2]]",
    expected=2.0,
    tolerance=0.0,
    reason="small integers are exact",
    sabotage=edit(index._index_add, "np.add.at(y, index, x)", "y[index] += x"),
)
def repeated_index(run: Run) -> float:
    x = mg.tensor(np.arange(3.0), requires_grad=True)
    x[[0, 0, 2]].sum().backward()
    return float(x.grad[0])


@claim(
    "backward-accumulates",
    "a second backward adds to .grad (and no interior gradient is counted twice)",
    expected=24.0,
    tolerance=0.0,
    reason="small integers are exact",
    sabotage=edit(engine.deposit, "add(value.grad, g)", "g"),
)
def accumulates(run: Run) -> float:
    x = mg.tensor(2.0, requires_grad=True)
    y = x * x * x
    y.backward()
    y.backward()
    return float(x.grad)


@claim(
    "max-ties",
    "three equal maxima share the gradient: a third each",
    expected=1 / 3,
    tolerance=EPS,
    reason="one division",
    sabotage=edit(helpers.ties, "np.maximum(np.sum(top, axis=axis, keepdims=True), 1)", "1"),
)
def max_ties(run: Run) -> float:
    x = mg.tensor([1.0, 4.0, 4.0, 4.0], requires_grad=True)
    mg.max(x).backward()
    return float(x.grad[1])


@claim(
    "softmax-invariance",
    "softmax does not feel a shift of its inputs: its gradients sum to zero",
    expected=0.0,
    tolerance=64 * EPS,
    reason="a sum of 8 terms below 1",
    sabotage=wrong_rule("softmax", "x", "y * g"),
)
def softmax_invariance(run: Run) -> float:
    rng = np.random.default_rng(run.seed)
    x = mg.tensor(rng.standard_normal(8), requires_grad=True)
    (mg.softmax(x) * rng.standard_normal(8)).sum().backward()
    return float(x.grad.sum())
