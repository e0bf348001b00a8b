"""Why a number is not finite: what people call it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...autodiff.graph import Value
from ...autodiff.origin import where

OVERFLOW = (
    "exp",
    "expm1",
    "square",
    "mul",
    "add",
    "sub",
    "sum",
    "matmul",
    "einsum",
    "power",
    "cast",
    "index_add",
)

# What to do about it.  Functions of mg that cannot go wrong there come first.
REMEDIES = {
    "log": "keep the argument above 0 (mg.maximum(x, 1e-12)), or take the loss of logits: "
    "mg.log_softmax, mg.softplus",
    "log1p": "keep the argument above -1",
    "sqrt": "add a small number under the root: mg.sqrt(x + 1e-12)",
    "div": "keep the denominator from 0: add a small number, or choose it by mg.where before "
    "dividing",
    "exp": "clip the argument, or use what cannot overflow: mg.logsumexp, mg.softplus, mg.sigmoid",
    "power": "keep the base above 0 where the exponent is no whole number, or is negative",
    "attention": "let each query look at one key at least",
    "layer_norm": "give eps a value above 0",
    "unit_rows": "keep every row from 0: start it with random numbers, and let no step take it "
    "there",
    "gaussian_kl": "keep log_var within bounds: clip it, start it smaller, or take smaller steps",
    "reparameterise": "keep log_var within bounds: clip it, start it smaller, or take smaller "
    "steps",
}
SMALLER = (
    "make the numbers smaller: scale the data, start with smaller weights, or take smaller steps"
)
BRANCH = (
    "choose a harmless argument by a second mg.where inside: mg.where(c, f(mg.where(c, x, "
    "1.0)), 0.0)"
)


def remedy(op: str, reason: str) -> str:
    """How to fix what `reason` says of `op`."""
    if "unchosen branch" in reason:
        return BRANCH
    return REMEDIES.get(
        op, SMALLER if "overflow" in reason else "keep the numbers away from that point (clip them)"
    )


def forward_reason(
    op: str,
    operands: Mapping[str, Any],
    arrays: Any,
    index: tuple[int, ...],
    word: str,
    params: Any,
) -> str:
    """What an op did to make NaN or Inf: 'log of 0'."""
    numbers = [
        v for v in operands.values() if isinstance(v, float | int) and not isinstance(v, bool)
    ]
    x = numbers[0] if numbers else math.nan
    if op in ("log", "log1p"):
        edge = 0 if op == "log" else -1
        end = (
            f": the logarithm goes to -inf at {edge}"
            if x == edge
            else ", a number it is not defined for"
        )
        return f"{op} of {x:.4g}{end}"
    if op == "sqrt":
        return f"the square root of {x:.4g}, a negative number"
    if op == "div":
        a, b = numbers[:2]
        if a == 0 == b:
            return "0 / 0"
        return f"{a:.4g} / 0: division by zero" if b == 0 else f"overflow: {a:.4g} / {b:.4g}"
    if op == "power":
        a, p = numbers[:2]
        if a < 0 and p != int(p):
            return f"a negative number ({a:.4g}) to the power {p:.4g}, which is no whole number"
        return (
            f"0 to the power {p:.4g}: division by zero"
            if a == 0
            else f"overflow: {a:.4g} ** {p:.4g}"
        )
    if op in _LAYERS:
        return _LAYERS[op](arrays, word)
    if word == "NaN" and len(numbers) >= 2:
        if op == "mul" and 0 in numbers[:2]:
            return "0 · inf"
        if op in ("add", "sub"):
            return "inf - inf"
    if word == "NaN":
        infinite = any(np.isinf(a).any() for a in arrays)
        return (
            "inf - inf or 0 · inf among the terms that are added up"
            if infinite
            else "the result is not defined there"
        )
    return _overflow(op, x, numbers[1] if len(numbers) > 1 else math.nan, arrays, params)


def _attention(arrays: Any, word: str) -> str:
    mask = np.asarray(arrays[3])
    if mask.ndim and np.isneginf(mask).all(axis=-1).any():
        return "a query may look at no key at all: a softmax of nothing"
    return "overflow: the scores q k^T are too large"


def _layer_norm(arrays: Any, word: str) -> str:
    flat = np.ptp(arrays[0], axis=-1) == 0
    return (
        "all inputs of a row are the same, so their variance is 0, and eps is 0"
        if flat.any()
        else "overflow: of a square"
    )


def _unit_rows(arrays: Any, word: str) -> str:
    squares = np.sum(arrays[0] * arrays[0], axis=-1)
    return (
        "a row has length 0: division by zero"
        if (squares == 0).any()
        else "inf / inf: a row has an infinite element"
    )


def _log_var(arrays: Any, word: str) -> str:
    return f"overflow: exp of log_var, which goes up to {float(np.max(arrays[1])):.4g}"


def _softmax(arrays: Any, word: str) -> str:
    above = np.isposinf(arrays[0]).any()
    return (
        "inf - inf: an input is +inf"
        if above
        else "every input of a row is -inf: a softmax of nothing"
    )


_LAYERS = {
    "attention": _attention,
    "layer_norm": _layer_norm,
    "unit_rows": _unit_rows,
    "gaussian_kl": _log_var,
    "reparameterise": _log_var,
    "softmax": _softmax,
    "log_softmax": _softmax,
}


def _overflow(op: str, x: float, y: float, arrays: Any, params: Any) -> str:
    dtype = (
        np.dtype(params.get("dtype", arrays[0].dtype))
        if op == "cast"
        else np.asarray(arrays[0]).dtype
    )
    limit = (
        f"{np.finfo(dtype).max:.1e} is the largest {dtype}" if dtype.kind == "f" else "too large"
    )
    what = f"{op} of {x:.4g}" if math.isfinite(x) else op
    if op == "mul" and math.isfinite(y):
        what = f"{x:.4g} · {y:.4g}"
    return f"overflow: {what}; {limit}"


def backward_reason(
    value: Value,
    index: tuple[int, ...] | None,
    operands: Mapping[str, Any],
    word: str,
    users: Mapping[Value, Any],
) -> str:
    """What a rule did to make NaN or Inf; and if it met a zero gradient, whose zero that was."""
    g = operands.get("g")
    op: Any = value.op
    slope = _slope(op.name, operands)
    if word == "NaN" and g == 0:
        sender = _sender_of_zero(value, index, users)
        return f"0 · inf: {sender}" + (f"; {slope}" if slope else "")
    if slope:
        return slope
    if word == "NaN":
        return "0 · inf or inf - inf inside the rule"
    return (
        "overflow: the product of gradient and slope is too large"
        if op.name in OVERFLOW
        else "the slope is infinite there"
    )


def _slope(op: str, operands: Mapping[str, Any]) -> str:
    """Where the slope of an op has no finite value."""
    xs = [v for k, v in operands.items() if k not in ("g", "y")]
    x = xs[0] if xs and isinstance(xs[0], float | int) else math.nan
    if op in ("sqrt", "log") and x == 0:
        return f"the slope of {op} at 0 is infinite"
    if op == "log1p" and x == -1:
        return "the slope of log1p at -1 is infinite"
    if op == "power" and x == 0:
        return (
            f"the slope of x ** {xs[1]:.4g} at 0 is infinite"
            if isinstance(xs[1], float | int)
            else ""
        )
    if op == "div" and len(xs) > 1 and xs[1] == 0:
        return "division by zero"
    if op == "div" and len(xs) > 1 and isinstance(xs[1], float | int) and abs(xs[1]) < 1e-100:
        return f"overflow: the rule divides by {xs[1]:.4g} twice"
    return ""


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
            name = user.op.name if user.op else ""
            if name == "where" and _unchosen(user, i, at):
                return f"the unchosen branch of where ({where(user)})"
            if (
                name == "mul"
                and at is not None
                and _element(user.arrays[1 - i], at, current._data.shape) == 0
            ):
                return f"a factor that is 0 ({where(user)})"
            if name in ("maximum", "max"):
                return f"{name} did not choose this element ({where(user)})"
            if name == "getitem":
                return f"this element was not picked ({where(user)})"
            stack.append((user, at if user._data.shape == current._data.shape else None))
    return "a gradient that is 0 meets an infinite slope"


def _unchosen(user: Value, i: int, at: tuple[int, ...] | None) -> bool:
    chosen = np.asarray(user.arrays[0], bool) if i == 1 else ~np.asarray(user.arrays[0], bool)
    if at is None or chosen.ndim > len(at):
        return not chosen.all()
    picked = _element(chosen, at, user._data.shape)
    return picked is False or picked == 0


def _element(array: Any, at: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The element of `array` that broadcasting pairs with place `at` of an array of `shape`; None
    if there is none.
    """
    array = np.asarray(array)
    if array.ndim > len(at):
        return None
    tail = at[len(at) - array.ndim :]
    place = tuple(0 if n == 1 else k for k, n in zip(tail, array.shape, strict=True))
    return (
        array[place].item() if all(k < n for k, n in zip(place, array.shape, strict=True)) else None
    )
