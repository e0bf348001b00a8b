"""Claims of lesson 01, continued: gradients that prove themselves, at both orders, and say how they came about."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minigrad_ae as mg

from ..autodiff import check
from .. import inspect
from ..inspect.record import applications as record
from .bugs import edit, wrong_rule
from .definition import Run, claim

EPS = float(np.finfo(float).eps)


def small_network(rng: np.random.Generator) -> tuple[Any, list[Any]]:
    """A loss with a product, a fan-out, un-broadcasting and curvature."""
    x, t = rng.standard_normal((6, 4)), rng.standard_normal((6, 2))
    W1, b1, W2, b2 = (mg.tensor(rng.standard_normal(s), requires_grad=True) for s in ((4, 3), (3,), (3, 2), (2,)))
    h = mg.tanh(x @ W1 + b1)
    y = h @ W2 + b2
    return 0.5 * ((y - t) ** 2).sum(), [W1, b1, W2, b2]


@claim(
    "network-gradient",
    "all gradients of a small tanh network agree with a complex step of its forward",
    expected=0.0,
    tolerance=1e-10,
    reason="DESIGN: complex step to 1e-10 in float64; rounding alone is about 1e-15",
    sabotage=wrong_rule("matmul", "B", "1.0001 * (swapaxes(A, -1, -2) @ g)"),
)
def network_gradient(run: Run) -> float:
    rng = np.random.default_rng(run.seed)
    loss, weights = small_network(rng)
    gradients = mg.grad(loss, weights)

    def at(arrays: list[np.ndarray]) -> complex:
        replay = np.random.default_rng(run.seed)
        x, t = replay.standard_normal((6, 4)), replay.standard_normal((6, 2))
        W1, b1, W2, b2 = arrays
        return complex(0.5 * np.sum((np.tanh(x @ W1 + b1) @ W2 + b2 - t) ** 2))

    worst = 0.0
    for k, g in enumerate(gradients):
        arrays = [w.numpy().astype(complex) for w in weights]
        for i in np.ndindex(g.shape):
            arrays[k][i] += 1e-20j
            exact = at(arrays).imag / 1e-20
            arrays[k][i] = arrays[k][i].real
            worst = max(worst, abs(g[i] - exact) / max(abs(exact), 1e-3))
    return worst


@claim(
    "check-graph-clean",
    "check_graph has nothing to complain of in a right graph: rules it calls wrong",
    expected=0.0,
    tolerance=0.0,
    reason="a count",
    sabotage=wrong_rule("mul", "a", "g * b * 1.0001"),
)
def check_graph_clean(run: Run) -> float:
    return float(len(mg.check_graph(small_network(np.random.default_rng(run.seed))[0]).failures))


@claim(
    "check-graph-blames",
    "with a factor 1.0001 planted in one rule of tanh, check_graph names just that op: names",
    expected=1.0,
    tolerance=0.0,
    reason="a count",
    sabotage=edit(check.rule_error, "miss <= RELATIVE * size + floor", "miss <= size"),
)
def check_graph_blames(run: Run) -> float:
    loss, _ = small_network(np.random.default_rng(run.seed))
    with wrong_rule("tanh", "x", "g * (1 - y * y) * 1.0001")():
        named = {f.op for f in mg.check_graph(loss).failures}
    return float(len(named) if named <= {"tanh"} else -len(named))


@claim(
    "second-order",
    "the gradient of the gradient: tanh'' = -2 tanh (1 - tanh^2) at 0.4",
    expected=lambda run: -2 * math.tanh(0.4) * (1 - math.tanh(0.4) ** 2),
    tolerance=16 * EPS,
    reason="about eight roundings of numbers below 2",
    sabotage=wrong_rule("tanh", "x", "g * (1 - real(y) * real(y))"),
)
def second_order(run: Run) -> float:
    x = mg.tensor(0.4, requires_grad=True)
    (slope,) = mg.grad(mg.tanh(x), [x], create_graph=True)
    return float(mg.grad(slope, [x])[0])


@claim(
    "hessian-symmetry",
    "Hessians are symmetric: <u, H v> - <v, H u> over their size, on the small network",
    expected=0.0,
    tolerance=1e-13,
    reason="sums of about 100 products: 100 eps",
    sabotage=wrong_rule("matmul", "A", "g @ swapaxes(real(B), -1, -2)"),
)
def hessian_symmetry(run: Run) -> float:
    rng = np.random.default_rng(run.seed)
    loss, weights = small_network(rng)
    u, v = [rng.standard_normal(w.shape) for w in weights], [rng.standard_normal(w.shape) for w in weights]
    gradients = mg.grad(loss, weights, create_graph=True)

    def product(directions: list[np.ndarray]) -> tuple[np.ndarray, ...]:
        total = sum(((g * d).sum() for g, d in zip(gradients, directions, strict=True)), start=mg.tensor(0.0))
        return mg.grad(total, weights)

    uHv = sum(float(np.sum(a * b)) for a, b in zip(u, product(v), strict=True))
    vHu = sum(float(np.sum(a * b)) for a, b in zip(v, product(u), strict=True))
    return abs(uHv - vHu) / (abs(uHv) + abs(vHu))


@claim(
    "emitted-program",
    "the NumPy program that emit_numpy prints gives every gradient bit for bit: largest difference",
    expected=0.0,
    tolerance=0.0,
    reason="the same operations in the same order",
    sabotage=wrong_rule("tanh", "x", "g * (1 + y) * (1 - y)"),
)
def emitted(run: Run) -> float:
    loss, weights = small_network(np.random.default_rng(run.seed))
    for w, name in zip(weights, ("W1", "b1", "W2", "b2"), strict=True):
        w.name = name
    scope: dict[str, np.ndarray] = {}
    exec(inspect.emit_numpy(loss), scope)
    gradients = mg.grad(loss, weights)
    return max(float(np.max(np.abs(scope[f"grad_{w.name}"] - g))) for w, g in zip(weights, gradients, strict=True))


@claim(
    "trace-adds-up",
    "the contributions that the trace records for a value add up to its gradient: largest difference",
    expected=0.0,
    tolerance=0.0,
    reason="the same additions in the same order",
    sabotage=edit(record.walk, "engine.add(before, added)", "added"),
)
def trace_adds_up(run: Run) -> float:
    loss, _ = small_network(np.random.default_rng(run.seed))
    sums: dict[int, np.ndarray] = {}
    last: dict[int, np.ndarray] = {}
    for c in (c for step in mg.trace(loss).steps for c in step.contributions):
        sums[c.node] = sums[c.node] + c.added if c.node in sums else c.added
        last[c.node] = c.after
    return max(float(np.max(np.abs(sums[n] - last[n]))) for n in sums)
