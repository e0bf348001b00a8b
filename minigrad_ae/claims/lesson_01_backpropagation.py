"""Claims of lesson 01: the chain rule on a graph, and gradients that prove themselves."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np

from .. import ops
from ..autodiff import check, curvature, engine
from ..autodiff.engine import grad
from ..inspect import trace
from ..inspect.record import applications
from ..ops import arrays, calculus
from ..program import emit_numpy
from ..tensors import tensor
from .bugs import edit, wrong_rule
from .definition import EPS, Run, claim


@claim(
    "chain-rule",
    "a product of local slopes: d/dw of tanh(w x) is x (1 - tanh^2)",
    kind="exact",
    expected=lambda run: 0.7 * (1 - math.tanh(1.3 * 0.7) ** 2),
    tolerance=8 * EPS,
    reason="four roundings, each eps/2 relative",
    sabotage=wrong_rule("tanh", "x", "g * (1 - y)"),
)
def chain_rule(run: Run) -> float:
    w = tensor(1.3, requires_grad=True)
    ops.tanh(w * 0.7).backward()
    return float(w.grad)


@claim(
    "fan-out",
    "a value that is used twice adds both gradients: b = a + a, c = b + b, dc/da",
    kind="exact",
    expected=4.0,
    tolerance=0.0,
    reason="small integers are exact",
    sabotage=edit(engine.backpropagate, "add(known, new)", "new"),
)
def fan_out(run: Run) -> float:
    a = tensor(1.0, requires_grad=True)
    b = a + a
    c = b + b
    c.backward()
    return float(a.grad)


@claim(
    "one-visit-per-edge",
    "each rule runs once per edge: 60 applications for 30 doublings, not 2^31 - 2 paths",
    kind="exact",
    expected=60.0,
    tolerance=0.0,
    reason="a count",
    sabotage=edit(
        engine.backpropagate, "edges = value.edges if", "edges = [*value.edges, *value.edges] if"
    ),
)
def one_visit(run: Run) -> float:
    add, y = ops.REGISTRY["add"], tensor(1.0, requires_grad=True)
    counted = [mock.Mock(side_effect=rule) for rule in add.vjps]
    for _ in range(30):
        y = y + y
    with mock.patch.object(add, "vjps", counted):
        y.backward()
    return float(sum(rule.call_count for rule in counted))


@claim(
    "un-broadcasting",
    "a bias that was stretched over 5 rows receives the sum of their gradients",
    kind="exact",
    expected=15.0,
    tolerance=0.0,
    reason="small integers are exact",
    sabotage=edit(engine.unbroadcast, 'NAMES["sum"]', 'NAMES["max"]'),
)
def unbroadcasting(run: Run) -> float:
    b = tensor([0.0, 0.0], requires_grad=True)
    rows = np.arange(1.0, 6.0)[:, None] * np.ones((1, 2))
    ((np.zeros((5, 2)) + b) * rows).sum().backward()
    return float(b.grad[0])


@claim(
    "where-keeps-nan-out",
    "a NaN that comes in for one branch of `where` does not reach the other: NaNs there",
    kind="exact",
    expected=0.0,
    tolerance=0.0,
    reason="a count",
    sabotage=wrong_rule("where", "a", "g * condition"),
)
def where_nan(run: Run) -> float:
    a, b = (tensor(np.ones(3), requires_grad=True) for _ in range(2))
    y = ops.where(np.array([True, False, True]), a, b)
    ga, _ = grad(y, [a, b], gradient=np.array([1.0, np.nan, 1.0]))
    return float(np.isnan(ga).sum())


@claim(
    "double-where",
    "the double-where cure: d/dx of where(x > 0, log x, 0) at x = 0 is 0, not NaN",
    kind="exact",
    expected=0.0,
    tolerance=0.0,
    reason="a selected constant",
    sabotage=wrong_rule("where", "a", "g"),
)
def double_where(run: Run) -> float:
    x = tensor([0.0, 2.0], requires_grad=True)
    positive = x.numpy() > 0
    log_of_safe = ops.log(ops.where(positive, x, 1.0))
    ops.where(positive, log_of_safe, 0.0).sum().backward()
    return float(x.grad[0])


@claim(
    "repeated-index",
    "an element that is picked twice receives both gradients: x[[0, 0, 2]]",
    kind="exact",
    expected=2.0,
    tolerance=0.0,
    reason="small integers are exact",
    sabotage=edit(arrays._index_add, "np.add.at(y, index, x)", "y[index] += x"),
)
def repeated_index(run: Run) -> float:
    x = tensor(np.arange(3.0), requires_grad=True)
    x[[0, 0, 2]].sum().backward()
    return float(x.grad[0])


@claim(
    "backward-accumulates",
    "a second backward adds to .grad (and no interior gradient is counted twice)",
    kind="exact",
    expected=24.0,
    tolerance=0.0,
    reason="small integers are exact",
    sabotage=edit(engine.deposit, "add(known, g)", "g"),
)
def accumulates(run: Run) -> float:
    x = tensor(2.0, requires_grad=True)
    y = x * x * x
    y.backward()
    y.backward()
    return float(x.grad)


@claim(
    "max-ties",
    "three equal maxima share the gradient: a third each",
    kind="exact",
    expected=1 / 3,
    tolerance=EPS,
    reason="one division",
    sabotage=edit(calculus.ties, "np.maximum(np.sum(top, axis=axis, keepdims=True), 1)", "1"),
)
def max_ties(run: Run) -> float:
    x = tensor([1.0, 4.0, 4.0, 4.0], requires_grad=True)
    ops.max(x).backward()
    return float(x.grad[1])


@claim(
    "softmax-invariance",
    "softmax ignores a shift of all its inputs: its gradients sum to zero",
    kind="exact",
    expected=0.0,
    tolerance=64 * EPS,
    reason="a sum of 8 terms below 1",
    sabotage=wrong_rule("softmax", "x", "y * g"),
)
def softmax_invariance(run: Run) -> float:
    rng = np.random.default_rng(run.seed)
    x = tensor(rng.standard_normal(8), requires_grad=True)
    (ops.softmax(x) * rng.standard_normal(8)).sum().backward()
    return float(x.grad.sum())


# --- gradients that prove themselves, at both orders, and say how they came about ---


def small_network(run: Run) -> tuple[Callable[..., Any], list[Any]]:
    """A loss with a product, a fan-out, un-broadcasting and curvature: a function of the weights;
    and weights.
    """
    rng = np.random.default_rng(run.seed)
    x, t = rng.standard_normal((6, 4)), rng.standard_normal((6, 2))

    def loss(W1: Any, b1: Any, W2: Any, b2: Any) -> Any:
        y = ops.tanh(x @ W1 + b1) @ W2 + b2
        return 0.5 * ((y - t) ** 2).sum()

    shapes = {"W1": (4, 3), "b1": (3,), "W2": (3, 2), "b2": (2,)}
    return loss, [
        tensor(rng.standard_normal(shape), requires_grad=True, name=name)
        for name, shape in shapes.items()
    ]


@claim(
    "network-gradient",
    "all gradients of a small tanh network agree with a complex step of its forward",
    kind="exact",
    expected=0.0,
    tolerance=100 * EPS,
    reason="sums of up to 36 products, each of up to 5 factors, relative to the largest gradient; "
    "a complex step of 1e-20 truncates nothing",
    sabotage=wrong_rule("matmul", "B", "1.0001 * (swapaxes(A, -1, -2) @ g)"),
)
def network_gradient(run: Run) -> float:
    loss, weights = small_network(run)
    arrays, worst = [w.numpy().astype(complex) for w in weights], 0.0
    for array, g in zip(arrays, grad(loss(*weights), weights), strict=True):
        exact = np.empty(g.shape)
        for i in np.ndindex(g.shape):
            array[i] += 1e-20j
            exact[i] = loss(*arrays).imag / 1e-20
            array[i] = array[i].real
        worst = max(worst, float(np.abs(g - exact).max() / np.abs(exact).max()))
    return worst


@claim(
    "check-graph-clean",
    "check_graph finds no fault in a correct graph: rules it calls wrong",
    kind="exact",
    expected=0.0,
    tolerance=0.0,
    reason="a count",
    sabotage=wrong_rule("mul", "a", "g * b * 1.0001"),
)
def check_graph_clean(run: Run) -> float:
    loss, weights = small_network(run)
    return float(len(check.check_graph(loss(*weights)).failures))


@claim(
    "check-graph-blames",
    "with a factor 1.0001 planted in one rule of tanh, check_graph names just that op: names",
    kind="exact",
    expected=1.0,
    tolerance=0.0,
    reason="a count",
    sabotage=edit(check.rule_error, "miss <= RELATIVE * size + floor", "miss <= size"),
)
def check_graph_blames(run: Run) -> float:
    loss, weights = small_network(run)
    with wrong_rule("tanh", "x", "g * (1 - y * y) * 1.0001")():
        named = {f.op for f in check.check_graph(loss(*weights)).failures}
    return float(len(named) if named <= {"tanh"} else -len(named))


@claim(
    "second-order",
    "the gradient of the gradient: tanh'' = -2 tanh (1 - tanh^2) at 0.4",
    kind="exact",
    expected=lambda run: -2 * math.tanh(0.4) * (1 - math.tanh(0.4) ** 2),
    tolerance=16 * EPS,
    reason="about eight roundings of numbers below 2",
    sabotage=wrong_rule("tanh", "x", "g * (1 - real(y) * real(y))"),
)
def second_order(run: Run) -> float:
    x = tensor(0.4, requires_grad=True)
    (slope,) = grad(ops.tanh(x), [x], create_graph=True)
    return float(grad(slope, [x])[0])


@claim(
    "hessian-symmetry",
    "Hessians are symmetric: <u, H v> - <v, H u> over |u| |H v|, on the small network",
    kind="exact",
    expected=0.0,
    tolerance=100 * EPS,
    reason="sums of about 100 products",
    sabotage=wrong_rule("matmul", "A", "g @ swapaxes(real(B), -1, -2)"),
)
def hessian_symmetry(run: Run) -> float:
    loss, weights = small_network(run)
    H = curvature.hessian_product(loss(*weights), weights)
    u, v = np.random.default_rng([run.seed, 1]).standard_normal((2, sum(w.size for w in weights)))
    Hv = H(v)
    return float(abs(u @ Hv - v @ H(u)) / (np.linalg.norm(u) * np.linalg.norm(Hv)))


@claim(
    "emitted-program",
    "the NumPy program that emit_numpy prints gives every gradient bit for bit: largest difference",
    kind="exact",
    expected=0.0,
    tolerance=0.0,
    reason="the same operations in the same order",
    sabotage=wrong_rule("tanh", "x", "g * (1 + y) * (1 - y)"),
)
def emitted_program(run: Run) -> float:
    make, weights = small_network(run)
    loss, scope = make(*weights), dict[str, Any]()
    exec(emit_numpy(loss), scope)
    emitted = [scope[f"grad_{w.name}"] for w in weights]
    off = [a - b for a, b in zip(emitted, grad(loss, weights), strict=True)]
    return max(float(np.max(np.abs(each))) for each in off)


@claim(
    "trace-adds-up",
    "the contributions that the trace records for a value add up to its gradient: largest "
    "difference",
    kind="exact",
    expected=0.0,
    tolerance=0.0,
    reason="the same additions in the same order",
    sabotage=edit(applications.walk, "engine.add(before, added)", "added"),
)
def trace_adds_up(run: Run) -> float:
    loss, weights = small_network(run)
    sums, last = dict[int, Any](), dict[int, Any]()
    for c in (c for step in trace(loss(*weights)).steps for c in step.contributions):
        sums[c.node] = sums.get(c.node, 0.0) + c.added
        last[c.node] = c.after
    return max(float(np.max(np.abs(sums[n] - last[n]))) for n in sums)
