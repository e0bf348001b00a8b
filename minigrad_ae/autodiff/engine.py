"""The engine: the walk back through the graph.

Calling an op on values records how each value was computed (`graph.Value`); this file reads that
story backwards. For y = f(x) and a scalar loss L at the end, every rule answers one question:
*given g = dL/dy, what is dL/dx?* (a vector-Jacobian product, "vjp").  The engine does the chores
once, so that a rule can be a bare formula: shapes, un-broadcasting, dtype, and accumulation where a
value was used more than once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from ..arguments import flag, members, plain
from ..errors import DtypeError, GradientError, MinigradError, ShapeError
from .graph import Value, enable_grad, no_grad, read_only, watchers
from .messages import no_gradient, shape_of
from .origin import where
from .rules import NAMES
from .staleness import refuse_changed


def topological(root: Value) -> list[Value]:
    """Every value that `root` was computed from, inputs before outputs, `root` last; each once,
    without recursion.

    Order matters: a value must have heard from *all* its consumers before it passes its gradient
    on.  Walking the graph path by path instead gives wrong answers or exponential cost (try ``b = a
    + a; c = b + b``).  The order in which values were made will do: an input always exists before
    its output.
    """
    # a dict keeps the order of discovery, mostly the reverse of creation: cheap to sort
    found = {root: None}
    stack = [root]
    while stack:
        for _, x in stack.pop().edges:
            if x not in found:
                found[x] = None
                stack.append(x)
    return sorted(found, key=attrgetter("serial"))


def unbroadcast(gradient: Any, shape: tuple[int, ...]) -> Any:
    """Undo NumPy's broadcasting: an element that was used many times receives the sum of the
    gradients.
    """
    axes = summed_axes(gradient.shape, shape)
    return NAMES["reshape"](NAMES["sum"](gradient, axis=axes), shape) if axes else gradient


def summed_axes(raw: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The axes that un-broadcasting from `raw` to `shape` adds up: ``summed_axes((6, 2), (2,)) ==
    (0,)``.
    """
    lead = len(raw) - len(shape)
    return (*range(lead), *(k for k, n in enumerate(shape, start=lead) if n == 1 != raw[k]))


def apply_rule(value: Value, i: int, g: Any) -> Any:
    """The bare rule of input `i`: on arrays, or on values when g is one (so that the result
    records).
    """
    op: Any = value.op
    y: Any = value._data
    inputs = value.arrays
    # constants are real, also where a complex step has made their array complex
    if isinstance(g, Value):
        y, inputs = (
            value,
            [
                a if isinstance(a, Value) else x.real
                for a, x in zip(value.inputs, inputs, strict=True)
            ],
        )
    if op.variadic:
        return op.vjps[0](g, y, *inputs, i=i, **value.params)
    return op.vjps[i](g, y, *inputs, **value.params)


def fit(raw: Any, value: Value, i: int) -> Any:
    """What a rule returned, made the gradient of input `i`: un-broadcast, in the input's shape and
    dtype.
    """
    data = value.inputs[i]._data
    try:
        if raw.shape != data.shape:
            raw = unbroadcast(raw, data.shape)
        if raw.shape != data.shape:
            raise ValueError
    except (AttributeError, IndexError, ValueError):
        raise no_gradient(raw, value, i) from None
    raw = raw if raw.dtype == data.dtype else NAMES["cast"](raw, dtype=data.dtype)
    return raw if isinstance(raw, Value) else np.asarray(raw)


def backpropagate(
    root: Value, seed: Any, wanted: Iterable[Value] | None = None
) -> dict[Value, Any]:
    """Gradients of <seed, root> for the values in `wanted` (by default leaves and those that
    retain theirs).

    Each rule runs once per edge.  Arrays in, arrays out; a `Value` as seed makes every gradient a
    value, on which one can differentiate again.
    """
    # 1. Order: a value has heard from all its consumers before it passes its gradient on.
    order = topological(root)
    targets = None if wanted is None else set(wanted)
    path = None if targets is None else towards(order, targets)
    refuse_changed(order, path)
    for watcher in watchers:
        watcher.begins(order)
    # 2. Seed: the gradient of the root is given.
    gradients: dict[Value, Any] = {root: seed}
    # 3. Send: each value hands what its rules make of its gradient to its inputs, which add it up.
    for value in reversed(order):
        gradient = gradients.pop(value, None)
        if gradient is None:  # no gradient flows here, or none that is wanted
            continue
        if value.hooks:
            gradient = run_hooks(value, gradient)
        if targets is None:
            stays = value.op is None or value.retains_grad
        else:
            stays = value in targets
        if stays:
            gradients[value] = gradient
        if value.op is None:
            continue
        edges = value.edges if path is None else [(i, x) for i, x in value.edges if x in path]
        for i, x, new in contributions(value, gradient, edges):
            for watcher in watchers:
                watcher.sent(value, i, gradient, new)
            known = gradients.get(x)
            gradients[x] = new if known is None else add(known, new)
    # 4. Deposit: `backward` adds what is left here to `.grad`; `grad` hands it out.
    return gradients


def contributions(
    value: Value, g: Any, edges: Sequence[tuple[int, Value]]
) -> list[tuple[int, Value, Any]]:
    """What `value`, whose gradient is g, sends along `edges`: (number of the input, input,
    gradient) for each.

    A kernel that computed the value computes all its gradients at once.  Otherwise each rule is
    applied: to values, or with the number of the input, by `apply_rule`; else, as nearly always,
    here.  Most gradients fit as they are; the others are made to by `fit`.
    """
    op: Any = value.op
    y, inputs, params = value._data, value.arrays, value.params
    sent = []
    if value.saved is not None and not isinstance(g, Value) and op.vjps == op.twin.rules:
        gradients: list[Any] = [None] * len(inputs)
        for i, _ in edges:
            gradients[i] = np.empty(inputs[i].shape, y.dtype)
        op.twin.backward(gradients, g, y, value.saved, *inputs, **params)
        for i, x in edges:
            new, data = gradients[i], x._data
            fits = type(new) is np.ndarray and new.shape == data.shape and new.dtype is data.dtype
            sent.append((i, x, new if fits else fit(new, value, i)))
    elif op.variadic or isinstance(g, Value):
        for i, x in edges:
            sent.append((i, x, fit(apply_rule(value, i, g), value, i)))
    else:
        for i, x in edges:
            rule, data = op.vjps[i], x._data
            new = rule(g, y, *inputs, **params) if params else rule(g, y, *inputs)
            fits = type(new) is np.ndarray and new.shape == data.shape and new.dtype is data.dtype
            sent.append((i, x, new if fits else fit(new, value, i)))
    return sent


def add(a: Any, b: Any) -> Any:
    """a + b, as an array also where it has no axes (NumPy would make it a number)."""
    total = a + b
    return np.asarray(total) if isinstance(total, np.generic) else total


def run_hooks(value: Value, g: Any) -> Any:
    """The gradient after the hooks of `value` have seen, and perhaps replaced, it."""
    for hook in list((value.hooks or {}).values()):
        # other values may have been sent the same array
        shown = g if isinstance(g, Value) else read_only(g)
        replaced = hook(shown)
        if replaced is None:
            continue
        if not isinstance(g, Value):
            replaced = replaced._data if isinstance(replaced, Value) else replaced
            replaced = np.array(plain(replaced, "what a hook returned", value._data.dtype))
        if replaced.shape != value._data.shape:
            raise ShapeError(
                "a hook returned something of another shape than the gradient",
                f"got {shape_of(replaced)}, expected {value._data.shape}, for {where(value)}",
                "return a gradient of the same shape, or None to leave it as it is",
            )
        g = replaced
    return g


def towards(order: list[Value], wanted: set[Value]) -> set[Value]:
    """The values of `order` that depend on one in `wanted` (inputs come first in `order`, so one
    sweep is enough).
    """
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
        return np.array(1, dtype).reshape(shape)
    given = gradient._data if isinstance(gradient, Value) else gradient
    try:
        seed = np.array(plain(given, "gradient=", dtype))
    except MinigradError:
        raise
    except (TypeError, ValueError) as error:
        raise DtypeError(
            "gradient= must consist of real numbers", str(error), "pass an array of floats"
        ) from None
    if seed.shape != shape:
        raise ShapeError(
            "gradient= must have the shape of the value it belongs to",
            f"got {seed.shape}, expected {shape}, from {where(root)}",
            "pass dL/dy for y itself, one number for each of its elements",
        )
    return seed


def backward(root: Value, gradient: Any = None) -> None:
    """Add d<gradient, root>/dx to ``x.grad`` of every leaf x (and set it on values with
    `retain_grad`).
    """
    if not root.requires_grad:
        raise GradientError(
            "backward() on a value that depends on nothing that requires a gradient",
            f"shape {root._data.shape}, from {where(root)}",
            "create a leaf with requires_grad=True, and do not compute under no_grad() or from "
            ".data",
        )
    deposit(backpropagate(root, seed_for(root, gradient)))
    for watcher in watchers:
        watcher.deposited(root)


def deposit(grads: dict[Value, Any]) -> None:
    """The end of a backward pass: add each gradient to ``.grad`` of its leaf (and set it on a
    retaining value).
    """
    given: set[int] = set()
    for value, g in grads.items():
        # never hand out one array twice
        if g.base is not None or id(g) in given or not g.flags.writeable:
            g = np.array(g)
        given.add(id(g))
        known = value._grad
        value._grad = g if known is None or value.op is not None else add(known, g)


def grad(y: Value, xs: Any, gradient: Any = None, create_graph: bool = False) -> tuple[Any, ...]:
    """d<gradient, y>/dx for each x; ``.grad`` of the leaves is not touched.

    Parameters
    ----------
    y : Tensor
        A scalar, or any shape if `gradient` is given.
    xs : Tensor or sequence of Tensor
        What is differentiated for; computed tensors, too.
    gradient : array_like or Tensor, optional
        dL/dy, of the shape of y; 1 for a scalar.
    create_graph : bool
        Whether the results are tensors that can be differentiated again.

    Returns
    -------
    tuple of ndarray, or of Tensor
        One gradient for each x, of its shape: zeros where y does not depend on it.

    Raises
    ------
    DtypeError
        If y or an x is not a tensor.
    GradientError
        If y is no scalar and `gradient` is missing, or requires no gradient.
    ShapeError
        If `gradient` has another shape than y.

    Examples
    --------
    >>> x = mg.tensor(3.0, requires_grad=True)
    >>> (slope,) = mg.grad(x**2, x, create_graph=True)
    >>> (curvature,) = mg.grad(slope, x)
    >>> float(slope), float(curvature)
    (6.0, 2.0)
    """
    if not isinstance(xs, Value):
        xs = members(xs, object, "grad: xs", "pass a tensor, or a list of tensors")
    xs = (xs,) if isinstance(xs, Value) else tuple(xs)
    for x in (y, *xs):
        if not isinstance(x, Value):
            raise DtypeError(
                "grad: both y and xs are tensors",
                f"got a {type(x).__name__}",
                "make it with mg.tensor",
            )
    create_graph = flag(create_graph, "grad: create_graph")
    seed: Any = seed_for(y, gradient)
    with enable_grad() if create_graph else no_grad():
        if create_graph:
            seed = gradient if isinstance(gradient, Value) else Value.result_class.new(seed)
        grads = backpropagate(y, seed, wanted=xs)
        result = [grads[x] if x in grads else np.zeros_like(x._data) for x in xs]
    if create_graph:
        return tuple(g if isinstance(g, Value) else Value.result_class.new(g) for g in result)
    return tuple(np.array(g) for g in result)
