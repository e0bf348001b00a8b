"""The engine: the walk back through the graph.

Calling an op on values records how each value was computed (`graph.Value`); this file reads that story backwards.
For y = f(x) and a scalar loss L at the end, every rule answers one question: *given g = dL/dy, what is dL/dx?*
(a vector-Jacobian product, "vjp").  The engine does the chores once, so that a rule can be a bare formula: shapes,
un-broadcasting, dtype, and accumulation where a value was used more than once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .errors import GradientError, ShapeError
from .graph import Value, enable_grad, no_grad, where
from .rules import NAMES


def topological(root: Value) -> list[Value]:
    """Every value that `root` was computed from, inputs before outputs, `root` last; each once, without recursion.

    Order matters: a value must have heard from *all* its consumers before it passes its gradient on.  Walking the
    graph path by path instead gives wrong answers or exponential cost (try ``b = a + a; c = b + b``).
    """
    order: list[Value] = []
    done: set[Value] = set()
    stack = [root]
    while stack:
        value = stack[-1]
        waiting = [x for x in value.inputs if isinstance(x, Value) and x.requires_grad and x not in done]
        if waiting and value not in done:
            stack.extend(waiting)
            continue
        stack.pop()
        if value not in done:
            done.add(value)
            order.append(value)
    return order


def unbroadcast(gradient: Any, shape: tuple[int, ...]) -> Any:
    """Undo NumPy's broadcasting: an element that was used many times receives the sum of the gradients."""
    lead = gradient.ndim - len(shape)
    stretched = (k for k, n in enumerate(shape, start=lead) if n == 1 != gradient.shape[k])
    axes = (*range(lead), *stretched)
    return NAMES["reshape"](NAMES["sum"](gradient, axis=axes), shape) if axes else gradient


def pull(value: Value, i: int, g: Any) -> Any:
    """One edge of the graph: the contribution of `value`, whose gradient is g, to the gradient of its input `i`."""
    assert value.op is not None
    raw = apply_rule(value, i, g)
    x: Value = value.inputs[i]
    shape, dtype = x._data.shape, x._data.dtype
    try:
        if raw.shape != shape:
            raw = unbroadcast(raw, shape)
        if raw.shape != shape:
            raise IndexError
    except (AttributeError, IndexError, ValueError):
        raise GradientError(
            f"{value.op.name}: the rule for {value.op.argument(i)} returned something that is no gradient",
            f"got shape {np.shape(raw)}, expected {shape}, from {where(value)}",
            f"mend the rule: {list(value.op.rules.values())[0 if value.op.variadic else i]}",
        ) from None
    return raw if raw.dtype is dtype else NAMES["cast"](raw, dtype=dtype)


def apply_rule(value: Value, i: int, g: Any) -> Any:
    """The bare rule, before un-broadcasting: on arrays, or on values when g is one (so that the result records)."""
    op: Any = value.op
    if isinstance(g, Value):
        inputs: Sequence[Any] = [a if isinstance(a, Value) else x for a, x in zip(value.inputs, value.arrays, strict=True)]
        return op.vjp(i)(g, value, *inputs, **value.params)
    if op.variadic:
        return op.vjps[0](g, value._data, *value.arrays, i=i, **value.params)
    return op.vjps[i](g, value._data, *value.arrays, **value.params)


def backpropagate(root: Value, seed: Any, wanted: Iterable[Value] | None = None) -> dict[Value, Any]:
    """Gradients of <seed, root> for the values in `wanted` (by default every leaf and retaining value).

    Each rule runs once per edge.  Arrays in, arrays out; a `Value` as seed makes every gradient a value, on which
    one can differentiate again.
    """
    order = topological(root)
    keep = None if wanted is None else set(wanted)
    path = None if keep is None else _towards(order, keep)
    grads: dict[Value, Any] = {root: seed}
    for value in reversed(order):
        g = grads.get(value)
        if g is None:  # every path to it was cut by a passive input
            continue
        if value.hooks:
            for hook in list(value.hooks.values()):
                replaced = hook(g)
                g = g if replaced is None else replaced
            grads[value] = g
        if value.op is None:
            continue
        for i, x in enumerate(value.inputs):
            if isinstance(x, Value) and x.requires_grad and (path is None or x in path):
                if value.op.passive and value.op.vjps[i] is None:
                    continue
                contribution = pull(value, i, g)
                known = grads.get(x)
                grads[x] = contribution if known is None else known + contribution
        if not value.retains_grad if keep is None else value not in keep:
            del grads[value]
    return grads


def _towards(order: list[Value], wanted: set[Value]) -> set[Value]:
    """The values of `order` that depend on one in `wanted` (inputs come first in `order`, so one sweep is enough)."""
    path: set[Value] = set()
    for value in order:
        if value in wanted or any(isinstance(x, Value) and x in path for x in value.inputs):
            path.add(value)
    return path


def seed_for(root: Value, gradient: Any) -> np.ndarray:
    """The incoming gradient of `root`: given, or 1 for a scalar."""
    shape, dtype = root._data.shape, root._data.dtype
    if gradient is None:
        if root._data.size != 1:
            raise GradientError(
                "backward() starts from a scalar, and this is not one",
                f"shape {shape}, from {where(root)}",
                "reduce it first (y.sum().backward()), or pass gradient= with the same shape",
            )
        return np.ones(shape, dtype)
    seed = np.array(gradient._data if isinstance(gradient, Value) else gradient, dtype=dtype)
    if seed.shape != shape:
        raise ShapeError(
            "gradient= must have the shape of the value it belongs to",
            f"got {seed.shape}, expected {shape}, from {where(root)}",
            "pass dL/dy for y itself, one number for each of its elements",
        )
    return seed


def backward(root: Value, gradient: Any = None) -> None:
    """Add d<gradient, root>/dx to ``x.grad`` of every leaf x (and set it on values with `retain_grad`)."""
    if not root.requires_grad:
        raise GradientError(
            "backward() on a value that depends on nothing that requires a gradient",
            f"shape {root._data.shape}, from {where(root)}",
            "create a leaf with requires_grad=True, and do not compute under no_grad() or from .data",
        )
    grads = backpropagate(root, seed_for(root, gradient))
    given: set[int] = set()
    for value, g in grads.items():
        if g.base is not None or id(g) in given or not g.flags.writeable:  # never hand out one array twice
            g = g.copy()
        given.add(id(g))
        value.grad = g if value.grad is None or value.op is not None else value.grad + g


def grad(y: Value, xs: Any, gradient: Any = None, create_graph: bool = False) -> tuple[Any, ...]:
    """d<gradient, y>/dx for each x in `xs`, as a tuple; ``.grad`` is not touched.

    y : scalar, or any shape when `gradient` (same shape) is given.   xs : a tensor or a sequence of tensors.
    create_graph=True returns tensors that can be differentiated again.  An x on which y does not depend gets zeros.
    """
    xs = (xs,) if isinstance(xs, Value) else tuple(xs)
    seed: Any = seed_for(y, gradient)
    grads: dict[Value, Any] = {}
    with enable_grad() if create_graph else no_grad():
        if create_graph:
            seed = gradient if isinstance(gradient, Value) else Value.result_class.new(seed)
        if y.requires_grad or y in xs:
            grads = backpropagate(y, seed, wanted=xs)
    result = [grads.get(x, np.zeros_like(x._data)) for x in xs]
    if create_graph:
        return tuple(g if isinstance(g, Value) else Value.result_class.new(g) for g in result)
    return tuple(np.array(g) for g in result)
