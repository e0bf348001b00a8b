"""What an op did to numbers and gradients, in words: its own, from its `Notes`, or general ones.

forward_fault    why a result is not finite, and `remedy`, what to do about it
backward_fault   why what a rule sends is not finite
explained        what a rule did to a gradient of which next to nothing came out
enlarged         why a rule sent more than it got
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...autodiff.graph import Value
from ...autodiff.operation import Op
from ...autodiff.origin import where
from ...display import is_finite
from ...ops.notes import Case
from ..record.applications import Application

SMALLER = (
    "make the numbers smaller: scale the data, start with smaller weights, or take smaller steps"
)
BRANCH = (
    "choose a harmless argument by a second mg.where inside: mg.where(c, f(mg.where(c, x, "
    "1.0)), 0.0)"
)


def remedy(op: Op, reason: str) -> str:
    """How to fix what `reason` says of `op`."""
    if "unchosen branch" in reason:
        return BRANCH
    if op.notes.remedy:
        return op.notes.remedy
    return SMALLER if "overflow" in reason else "keep the numbers away from that point (clip them)"


def _op(value: Value) -> Op:
    """The op of a value that was computed."""
    op: Op = value.op
    return op


# --- the numbers at one element -------------------------------------------------------------------


def first(mask: Any) -> tuple[int, ...]:
    """The index of the first element that is true."""
    return tuple(int(k) for k in np.argwhere(mask)[0])


def _matching(
    index: tuple[int, ...], shape: tuple[int, ...], other: tuple[int, ...]
) -> tuple[int, ...] | None:
    """The element of an array of shape `other` that broadcasting pairs with `index` of one of
    `shape`; None if none.
    """
    lead = len(shape) - len(other)
    if lead < 0 or any(n not in (1, m) for m, n in zip(shape[lead:], other, strict=True)):
        return None
    return tuple(0 if n == 1 else k for k, n in zip(index[lead:], other, strict=True))


def _at(array: Any, index: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The number that broadcasting pairs with `index`; a range (low, high) where elements do not
    pair up.
    """
    array = np.asarray(array)
    place = _matching(index, shape, array.shape)
    if place is not None:
        return array[place].item()
    return (float(np.min(array)), float(np.max(array))) if array.size else ()


def _is_number(x: Any) -> bool:
    return type(x) in (int, float)


# --- results that are not finite ------------------------------------------------------------------


def forward_fault(
    op: Any, arrays: Any, params: Any, result: Any, index: tuple[int, ...]
) -> tuple[dict[str, Any], str]:
    """Of the element `index` of a result: its operands, and what the op did: 'log of 0'."""
    operands = {op.argument(k): _at(a, index, result.shape) for k, a in enumerate(arrays)}
    numbers = [v for v in operands.values() if _is_number(v)]
    x, y = (*numbers, math.nan, math.nan)[:2]
    if op.notes.not_finite is not None:
        return operands, op.notes.not_finite(op, x, y, arrays)
    if np.isnan(result[index]):
        return operands, _not_a_number(op.name, numbers, arrays)
    what = f"{op.name} of {x:.4g}" if math.isfinite(x) else op.name
    if op.name == "mul" and math.isfinite(y):
        what = f"{x:.4g} · {y:.4g}"
    dtype = np.dtype(params.get("dtype", arrays[0].dtype))  # the one that cast makes
    floats = dtype.kind == "f"
    limit = f"{np.finfo(dtype).max:.1e} is the largest {dtype}" if floats else "too large"
    return operands, f"overflow: {what}; {limit}"


def forward_trouble(value: Value) -> str:
    """How an op made NaN or Inf of finite inputs, and where; '' if it did not."""
    if value.op is None or is_finite(value._data) or not all(map(is_finite, value.arrays)):
        return ""
    index = first(~np.isfinite(value._data))
    _, reason = forward_fault(value.op, value.arrays, value.params, value._data, index)
    return f"{reason} (element {list(index)})"


def _not_a_number(op: str, numbers: list[Any], arrays: Any) -> str:
    if op == "mul" and 0 in numbers:
        return "0 · inf"
    if op in ("add", "sub"):
        return "inf - inf"
    infinite = any(np.isinf(a).any() for a in arrays)
    terms = "inf - inf or 0 · inf among the terms that are added up"
    return terms if infinite else "the result is not defined there"


# --- gradients that are not finite ----------------------------------------------------------------


def backward_fault(
    value: Value, g: Any, sent: Any, index: tuple[int, ...], users: Mapping[Value, Any]
) -> tuple[dict[str, Any], str]:
    """Of the element `index` of what a rule of `value` sent: its operands, and what the rule did;
    and if it met a zero gradient, whose zero that was.
    """
    op = _op(value)
    arrays = {op.argument(k): a for k, a in enumerate(value.arrays)}
    things = {"g": g, "y": value._data, **arrays}
    operands = {name: _at(a, index, sent.shape) for name, a in things.items()}
    slope = _slope(op, [v for k, v in operands.items() if k not in ("g", "y")])
    nan = np.isnan(sent[index])
    if nan and operands["g"] == 0:
        sender = _sender_of_zero(value, _matching(index, sent.shape, value._data.shape), users)
        return operands, f"0 · inf: {sender}" + (f"; {slope}" if slope else "")
    if slope:
        return operands, slope
    if nan:
        return operands, "0 · inf or inf - inf inside the rule"
    too_large = "overflow: the product of gradient and slope is too large"
    return operands, too_large if op.notes.overflows else "the slope is infinite there"


def backward_trouble(a: Application, users: Mapping[Any, Any]) -> str:
    """What made NaN or Inf of a finite incoming gradient."""
    added = np.asarray(a.added)
    _, reason = backward_fault(a.value, a.g, added, first(~np.isfinite(added)), users)
    return reason


def made_here(a: Application) -> bool:
    """Whether a rule made NaN or Inf of numbers that are all finite."""
    return not is_finite(a.added) and is_finite(a.g) and all(map(is_finite, read_by(a.value, a.i)))


def read_by(value: Value, i: int) -> list[np.ndarray]:
    """The arrays that the rule of `value` for input number `i` reads element by element."""
    numbers = _op(value).reads(i, len(value.arrays))
    return [value._data if k == -1 else value.arrays[k] for k in numbers]


def _slope(op: Op, xs: list[Any]) -> str:
    """Where the slope of an op has no finite value."""
    x, y = ([v if _is_number(v) else None for v in xs] + [None])[:2]
    if x in op.notes.edges:
        return f"the slope of {op.name} at {x:g} is infinite"
    return "" if op.notes.steep is None else op.notes.steep(op, x, y)


def _sender_of_zero(value: Value, index: tuple[int, ...] | None, users: Mapping[Value, Any]) -> str:
    """Who sent the zero gradient to this element: an unchosen branch, a mask, a maximum that it
    lost.
    """
    seen: set[Value] = set()
    stack = [(value, index)]
    while stack:
        current, at = stack.pop()
        for user, i in users.get(current, ()):
            if user in seen:
                continue
            seen.add(user)
            op = _op(user)
            told = op.notes.withholds and op.notes.withholds(op, user.arrays, i, at)
            if told:
                return f"{told} ({where(user)})"
            stack.append((user, at if user._data.shape == current._data.shape else None))
    return "a gradient that is 0 meets an infinite slope"


# --- gradients that get lost, or grow -------------------------------------------------------------


def explained(a: Application, names: Mapping[int, str], word: str, otherwise: str) -> str:
    """The usual name for what happened where the op of `a` sends next to nothing of the gradient.

    word : '0' or 'next to 0'.   otherwise : what is said of an op of which nothing is known.
    """
    op = _op(a.value)
    if op.notes.lost is None:
        return f"the rule of {op.name} for {op.argument(a.i)} loses it: {otherwise}"
    return op.notes.lost(Case(a.value, a.i, np.asarray(a.g), names, word))


def enlarged(a: Application) -> str:
    """How a rule enlarged the gradient."""
    op, x = _op(a.value), [np.asarray(v) for v in a.value.arrays]
    if op.notes.enlarges is not None:
        return op.notes.enlarges(op, x)
    if op.notes.edges:
        apart = np.min([np.abs(x[0] - edge) for edge in op.notes.edges], axis=0)
        nearest = x[0].flat[int(apart.argmin())] if apart.size else math.nan
        return f"the slope of {op.name} close to its end (argument {nearest:.8g})"
    other = [float(np.abs(v).max(initial=0)) for k, v in enumerate(x) if k != a.i]
    return f"a factor as large as {max(other):.1e}" if other else "the rule adds up or enlarges"
