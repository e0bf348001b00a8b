"""The engine: the walk back through the graph.

Calling an op on values records how each value was computed (`graph.Value`); this file reads that story backwards.
For y = f(x) and a scalar loss L at the end, every rule answers one question: *given g = dL/dy, what is dL/dx?*
(a vector-Jacobian product, "vjp").  The engine does the chores once, so that a rule can be a bare formula: shapes,
un-broadcasting, dtype, and accumulation where a value was used more than once.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import numpy as np

from .errors import GradientError, ShapeError
from .graph import Value, enable_grad, no_grad, where
from .rules import NAMES


def topological(root: Value) -> list[Value]:
    """Every value that `root` was computed from, inputs before outputs, `root` last; each once, without recursion.

    Order matters: a value must have heard from *all* its consumers before it passes its gradient on.  Walking the
    graph path by path instead gives wrong answers or exponential cost (try ``b = a + a; c = b + b``).  The order in
    which values were made will do: an input always exists before its output.
    """
    found = {root: None}  # a dict keeps the order of discovery, nearly the reverse of creation: cheap to sort
    stack = [root]
    while stack:
        for _, x in stack.pop().edges:
            if x not in found:
                found[x] = None
                stack.append(x)
    return sorted(reversed(found), key=attrgetter("serial"))


def unbroadcast(gradient: Any, shape: tuple[int, ...]) -> Any:
    """Undo NumPy's broadcasting: an element that was used many times receives the sum of the gradients."""
    lead = gradient.ndim - len(shape)
    stretched = (k for k, n in enumerate(shape, start=lead) if n == 1 != gradient.shape[k])
    axes = (*range(lead), *stretched)
    return NAMES["reshape"](NAMES["sum"](gradient, axis=axes), shape) if axes else gradient


def apply_rule(value: Value, i: int, g: Any) -> Any:
    """The bare rule of input `i`: on arrays, or on values when g is one (so that the result records)."""
    op: Any = value.op
    rule, params = op.vjps[0 if op.variadic else i], value.params
    if op.variadic:
        params = {**params, "i": i}
    if isinstance(g, Value):
        inputs = [a if isinstance(a, Value) else x for a, x in zip(value.inputs, value.arrays, strict=True)]
        return rule(g, value, *inputs, **params)
    return rule(g, value._data, *value.arrays, **params)


def fit(raw: Any, value: Value, i: int) -> Any:
    """What a rule returned, made the gradient of input `i`: un-broadcast, in the input's shape and dtype."""
    op: Any = value.op
    data = value.inputs[i]._data
    try:
        if raw.shape != data.shape:
            raw = unbroadcast(raw, data.shape)
        if raw.shape != data.shape:
            raise ValueError
    except (AttributeError, IndexError, ValueError):
        raise GradientError(
            f"{op.name}: the rule for {op.argument(i)} returned something that is no gradient",
            f"got shape {np.shape(raw)}, expected {data.shape}, from {where(value)}",
            f"mend the rule: {list(op.rules.values())[0 if op.variadic else i]}",
        ) from None
    return raw if raw.dtype is data.dtype else NAMES["cast"](raw, dtype=data.dtype)


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
        if g is None:  # nothing on the way to a wanted value
            continue
        if value.hooks:
            g = grads[value] = _run_hooks(value, g)
        for i, x in value.edges:
            if path is None or x in path:
                contribution = apply_rule(value, i, g)
                if (
                    type(contribution) is not np.ndarray
                    or contribution.shape != x._data.shape
                    or contribution.dtype is not x._data.dtype
                ):
                    contribution = fit(contribution, value, i)
                known = grads.get(x)
                grads[x] = contribution if known is None else known + contribution
        if value.op is not None and not value.retains_grad if keep is None else value not in keep:
            del grads[value]
    return grads


def _run_hooks(value: Value, g: Any) -> Any:
    for hook in list(value.hooks.values()):
        replaced = hook(g)
        g = g if replaced is None else replaced
    return g


def _towards(order: list[Value], wanted: set[Value]) -> set[Value]:
    """The values of `order` that depend on one in `wanted` (inputs come first in `order`, so one sweep is enough)."""
    path: set[Value] = set()
    for value in order:
        if value in wanted or any(x in path for _, x in value.edges):
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
    deposit(backpropagate(root, seed_for(root, gradient)))


def deposit(grads: dict[Value, Any]) -> None:
    """The end of a backward pass: add each gradient to ``.grad`` of its leaf (and set it on a retaining value)."""
    given: set[int] = set()
    for value, g in grads.items():
        if g.base is not None or id(g) in given or not g.flags.writeable:  # never hand out one array twice
            g = np.array(g)
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
