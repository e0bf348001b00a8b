"""What an op does to numbers and gradients, in words: everything that is said of an op by its name.

forward_fault    why a result is not finite, and `remedy`, what to do about it
backward_fault   why what a rule sends is not finite
explained        what a rule did to a gradient of which next to nothing came out
enlarged         why a rule sent more than it got
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ...autodiff.graph import Value
from ...autodiff.origin import where
from ...autodiff.rules import NAMES
from ...display import is_finite
from ..record.applications import Application

SMALL = 1e-6  # of a number that should be about 1
NOT_PICKED = "the index picks nothing of it"
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
    "div": "keep the denominator away from 0: add a small number, or choose it by mg.where before "
    "dividing",
    "exp": "clip the argument, or use what cannot overflow: mg.logsumexp, mg.softplus, mg.sigmoid",
    "power": "keep the base above 0 where the exponent is not a whole number, or is negative",
    "attention": "let each query look at one key at least",
    "layer_norm": "give eps a value above 0",
    "unit_rows": "keep every row away from 0: start it with random numbers, and never let a step "
    "take it there",
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
    if op.name in _NOT_FINITE:
        return operands, _NOT_FINITE[op.name](x, y)
    if op.name in _LAYER_NOT_FINITE:
        return operands, _LAYER_NOT_FINITE[op.name](arrays)
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


def _logarithm(op: str, x: float, edge: int) -> str:
    at_edge = f": the logarithm goes to -inf at {edge}"
    return f"{op} of {x:.4g}{at_edge if x == edge else ', a number it is not defined for'}"


def _quotient(a: float, b: float) -> str:
    if b != 0:
        return f"overflow: {a:.4g} / {b:.4g}"
    return f"{a:.4g} / 0: division by zero" if a else "0 / 0"


def _power(a: float, p: float) -> str:
    if a < 0 and p != int(p):
        return f"a negative number ({a:.4g}) to the power {p:.4g}, which is not a whole number"
    return f"overflow: {a:.4g} ** {p:.4g}" if a else f"0 to the power {p:.4g}: division by zero"


_NOT_FINITE: dict[str, Callable[[float, float], str]] = {
    "log": lambda x, _: _logarithm("log", x, 0),
    "log1p": lambda x, _: _logarithm("log1p", x, -1),
    "sqrt": lambda x, _: f"the square root of {x:.4g}, a negative number",
    "div": _quotient,
    "power": _power,
}


def _no_weights(arrays: Any) -> str:
    return "overflow: the scores q k^T are too large"


def _no_variance(arrays: Any) -> str:
    equal = "all inputs of a row are the same, so their variance is 0, and eps is 0"
    return equal if (np.ptp(arrays[0], axis=-1) == 0).any() else "overflow: of a square"


def _no_length(arrays: Any) -> str:
    zero = (np.sum(arrays[0] * arrays[0], axis=-1) == 0).any()
    return (
        "a row has length 0: division by zero"
        if zero
        else "inf / inf: a row has an infinite element"
    )


def _log_var(arrays: Any) -> str:
    return f"overflow: exp of log_var, which goes up to {float(np.max(arrays[1])):.4g}"


def _no_softmax(arrays: Any) -> str:
    apart = "overflow: the inputs of a row are too far apart"
    return "inf - inf: an input is +inf" if np.isposinf(arrays[0]).any() else apart


_LAYER_NOT_FINITE = {
    "attention": _no_weights,
    "layer_norm": _no_variance,
    "unit_rows": _no_length,
    "gaussian_kl": _log_var,
    "reparameterise": _log_var,
    "softmax": _no_softmax,
    "log_softmax": _no_softmax,
}


# --- gradients that are not finite ----------------------------------------------------------------


def backward_fault(
    value: Value, g: Any, sent: Any, index: tuple[int, ...], users: Mapping[Value, Any]
) -> tuple[dict[str, Any], str]:
    """Of the element `index` of what a rule of `value` sent: its operands, and what the rule did;
    and if it met a zero gradient, whose zero that was.
    """
    op: Any = value.op
    arrays = {op.argument(k): a for k, a in enumerate(value.arrays)}
    things = {"g": g, "y": value._data, **arrays}
    operands = {name: _at(a, index, sent.shape) for name, a in things.items()}
    slope = _slope(op.name, [v for k, v in operands.items() if k not in ("g", "y")])
    nan = np.isnan(sent[index])
    if nan and operands["g"] == 0:
        sender = _sender_of_zero(value, _matching(index, sent.shape, value._data.shape), users)
        return operands, f"0 · inf: {sender}" + (f"; {slope}" if slope else "")
    if slope:
        return operands, slope
    if nan:
        return operands, "0 · inf or inf - inf inside the rule"
    too_large = "overflow: the product of gradient and slope is too large"
    return operands, too_large if op.name in OVERFLOW else "the slope is infinite there"


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
    op: Any = value.op
    numbers = op.reads(i, len(value.arrays))
    return [value._data if k == -1 else value.arrays[k] for k in numbers]


def _slope(op: str, xs: list[Any]) -> str:
    """Where the slope of an op has no finite value."""
    x, y = ([v if _is_number(v) else None for v in xs] + [None])[:2]
    edge = _EDGES.get(op, math.nan)
    if x == edge:
        return f"the slope of {op} at {edge} is infinite"
    if op == "power" and x == 0 and y is not None:
        return f"the slope of x ** {y:.4g} at 0 is infinite"
    if op != "div" or y is None:
        return ""
    if y == 0:
        return "division by zero"
    return f"overflow: the rule divides by {y:.4g} twice" if abs(y) < 1e-100 else ""


_EDGES = {"sqrt": 0, "log": 0, "log1p": -1}  # where the slope is infinite


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
            name = user.op.name
            if name == "where" and _unchosen(user, i, at):
                return f"the unchosen branch of where ({where(user)})"
            if name == "mul" and _element(user.arrays[1 - i], at) == 0:
                return f"a factor that is 0 ({where(user)})"
            if name in ("maximum", "max"):
                return f"{name} did not choose this element ({where(user)})"
            if name == "getitem":
                return f"this element was not picked ({where(user)})"
            stack.append((user, at if user._data.shape == current._data.shape else None))
    return "a gradient that is 0 meets an infinite slope"


def _unchosen(user: Value, i: int, at: tuple[int, ...] | None) -> bool:
    chosen = np.asarray(user.arrays[0], bool) == (i == 1)
    element = _element(chosen, at)
    return not (chosen.all() if element is None else element)


def _element(array: np.ndarray, at: tuple[int, ...] | None) -> Any:
    """The element of `array` that broadcasting pairs with place `at` of its partner; None if there
    is none.
    """
    if at is None or array.ndim > len(at):
        return None
    tail = at[len(at) - array.ndim :]
    return array[tuple(min(k, n - 1) for k, n in zip(tail, array.shape, strict=True))].item()


# --- gradients that get lost ----------------------------------------------------------------------


class _Case:
    """A rule that sent next to nothing, and all that a sentence on it may need; `word` says how
    much is left: '0' or 'next to 0'.
    """

    def __init__(self, a: Application, names: Mapping[int, str], word: str) -> None:
        op: Any = a.value.op
        self.op, self.i, self.argument = op.name, a.i, op.argument(a.i)
        self.inputs, self.params = a.value.inputs, a.value.params
        self.x = [np.asarray(v) for v in a.value.arrays]
        self.g, self.y = np.asarray(a.g), a.value._data
        self.names, self.word = names, word

    def partner(self, otherwise: str = "") -> str:
        """The name of the other of two factors."""
        return self.names.get(id(self.inputs[1 - self.i]), otherwise)

    def least(self, k: int) -> float:
        """The smallest size of a number in input `k`."""
        return float(np.abs(self.x[k]).min())

    def vanishes(self, k: int) -> bool:
        """Whether input `k` is next to 0 everywhere."""
        return bool(np.abs(self.x[k]).max(initial=0) <= SMALL)


def explained(a: Application, names: Mapping[int, str], word: str, otherwise: str) -> str:
    """The usual name for what happened where the op of `a` sends next to nothing of the gradient.

    word : '0' or 'next to 0'.   otherwise : what is said of an op of which nothing is known here.
    """
    case = _Case(a, names, word)
    unknown = f"the rule of {case.op} for {case.argument} loses it: {otherwise}"
    return _LOST[case.op](case) if case.op in _LOST else unknown


def _relu(c: _Case) -> str:
    size, alive = c.x[0].size, int(np.sum(c.x[0] > 0))
    if alive:
        off = "relu is off (input <= 0) wherever a gradient comes in"
        return f"{off} ({size - alive} of {size} elements)"
    largest = float(c.x[0].max())
    return (
        f"dead relu: all {size} inputs are <= 0 (largest {largest:.3g}), so its slope is 0 "
        "everywhere"
    )


def _saturated(c: _Case) -> str:
    reached = c.g != 0
    least = float(np.abs(c.x[0])[reached].min())
    which = "every input" if reached.all() else "every input to which a gradient comes"
    return f"saturated {c.op}: {which} is at least {least:.3g} in size, where its slope is {c.word}"


def _where(c: _Case) -> str:
    if (np.asarray(c.x[0], bool) == (c.i == 1)).any():
        return f"where chose {c.argument} only in places whose gradient is 0"
    branch = "it is the unchosen branch (in clip: the limit was reached everywhere)"
    return f"where never chose {c.argument}: {branch}"


def _mul(c: _Case) -> str:
    if c.inputs[0] is c.inputs[1]:
        minimum = f"the value itself is {c.word} (its slope is 2x): it is at rest"
        return f"the square has its minimum there: {minimum}"
    other = 1 - c.i
    factor, name = c.x[other], getattr(c.inputs[other], "name", None)
    if factor.size == 1:
        number = f"{name} = {factor.item():.3g}" if name else f"{factor.item():.3g}"
        return f"multiplied by {number}: a weight (a coefficient such as beta) that is {c.word}"
    called = f" {c.partner()}".rstrip()
    if not factor.any():
        return f"multiplied by the array{called}, which is 0 everywhere"
    return f"multiplied by a mask or factor{called} that is {c.word} wherever a gradient comes in"


def _product(c: _Case, argument: str, guess: str) -> str:
    """What is said of a matrix product whose other factor is 0; '' where it is not."""
    other = 1 - c.i
    if not c.vanishes(other):
        return ""
    what = f"the other factor of the matrix product, {c.partner(argument)} {c.x[other].shape}"
    return f"{what}, is {c.word} everywhere ({guess}?)"


def _matmul(c: _Case) -> str:
    argument = "BA"[c.i]
    cancels = f"the matrix product with {c.partner(argument)} cancels the gradient"
    return _product(c, argument, "zero weights or inputs") or f"{cancels}: it is orthogonal to it"


def _softmax(c: _Case) -> str:
    spread = np.max(np.ptp(c.g, axis=c.params.get("axis", -1)), initial=0)
    if float(spread) <= 1e-12 * float(np.abs(c.g).max()):
        return (
            f"{c.op} does not change when all its inputs shift, and every output gets the same "
            "gradient: they cancel"
        )
    largest = float(np.max(c.y))
    sharp = largest if c.op == "softmax" else float(np.exp(largest))
    return f"saturated {c.op}: one output is {sharp:.6g} and the others next to 0"


def _limited(c: _Case) -> str:
    return f"maximum (or minimum, clip) never chose {c.argument}: the limit was reached everywhere"


def _underflow(c: _Case) -> str:
    largest = float(np.max(c.x[0]))
    return f"underflow: exp of at most {largest:.4g} is {c.word}, and so is its slope"


def _flat_power(c: _Case) -> str:
    if c.i == 0 and not np.any(c.x[1]):
        return "the exponent is 0: x ** 0 is constant"
    return f"x ** p is flat there: x is as small as {c.least(0):.3g}"


def _kink(c: _Case) -> str:
    kink = f"{c.op} has a kink at 0, where its slope is taken as 0"
    return f"{kink}, and every input is 0: this part of the loss is at rest"


def _turning_point(c: _Case) -> str:
    return f"{c.op} has slope {c.word} at every input: it is at a maximum or minimum there"


def _divided(c: _Case) -> str:
    numerator = f"the numerator is {c.word}, so the denominator does not matter"
    return numerator if c.i else f"divided by a number as large as {c.least(1):.1e}"


def _linear(c: _Case) -> str:
    kind = c.params.get("activation")
    if kind is not None:
        slope = np.abs(NAMES["slope"](np.ones_like(c.y), c.y, kind))
        steepest = slope.max(initial=0)
        if steepest <= SMALL and kind == "relu":
            dead = f"all {c.y.size} outputs are 0, so its slope is 0 everywhere"
            return f"dead relu inside linear: {dead}"
        if steepest <= SMALL:
            return f"saturated {kind} inside linear: its slope is at most {steepest:.1e}"
        if not np.any(slope * c.g):
            return f"the {kind} inside linear is off wherever a gradient comes in"
    if c.i == 2:
        return "the gradients of the rows cancel each other"
    cancels = "the matrix product cancels the gradient: it is orthogonal to it"
    return _product(c, "Wx"[c.i], "zero weights") or cancels


def _layer_norm(c: _Case) -> str:
    if c.i == 1:
        return "the gradient is orthogonal to the normalised input"
    if c.i == 2:
        return "the gradients of the rows cancel"
    if c.vanishes(1):
        return f"the weight of layer_norm is {c.word} everywhere"
    return (
        "layer_norm feels neither shift nor stretch of its input, and the gradient asks for "
        "nothing else: they cancel"
    )


def _slope_of_length(x: np.ndarray) -> str:
    """What enlarges or shrinks a gradient in unit_rows."""
    shortest = float(np.sqrt(np.sum(x * x, axis=-1)).min(initial=np.inf))
    return f"the slope of unit_rows is 1 / length, and the shortest row has length {shortest:.1e}"


def _unit_rows(c: _Case) -> str:
    across = c.g - c.y * np.sum(c.g * c.y, axis=-1, keepdims=True)
    if np.abs(across).max(initial=0) > SMALL * np.abs(c.g).max(initial=0):
        return _slope_of_length(c.x[0])
    return (
        "unit_rows does not feel the length of a row, and the gradient asks for nothing else: it "
        "points along each row"
    )


def _attention(c: _Case) -> str:
    q, k, v, mask = c.x
    weights = NAMES["attention_weights"](q, k, mask, c.params.get("heads", 1))
    if c.i == 2:
        largest = float(weights.max(initial=0))
        return f"no query looks at it: its attention weights are at most {largest:.1e} (masked?)"
    if weights.shape[-1] == 1:
        return "there is only one key, so its attention weight is 1 whatever the score is"
    if 1 - float(weights.max(axis=-1).min(initial=1)) <= SMALL:
        others = "the others are masked, or the scores far apart"
        return f"saturated attention: each query looks at one key only ({others})"
    if float(np.ptp(v, axis=-2).max(initial=0)) <= SMALL:
        return "all values v are the same, so it does not matter where a query looks"
    return "the gradients of all queries and keys cancel"


def _collapsed(c: _Case) -> str:
    which = "mean" if c.i == 0 else "log variance"
    prior = "that of the prior, 0 (a collapsed unit looks like this)"
    return f"the KL term is at rest: the posterior's {which} is {prior}"


def _met(c: _Case, what: str) -> str:
    """What is said of a loss whose minimum has been reached."""
    near = "" if c.word == "0" else "next to "
    return f"{c.op} is at rest: {what} is {near}the target"


def _bernoulli(c: _Case) -> str:
    even = "every logit is 0: both outcomes are equally likely, so the target does not matter"
    return even if c.i else _met(c, "sigmoid(logits)")


def _reparameterise(c: _Case) -> str:
    log_var = c.x[1].max(initial=-np.inf)
    sigma = np.exp(0.5 * log_var)
    small = f"sigma is at most {sigma:.1e}, so the noise does not matter (log_var {log_var:.3g})"
    return small if sigma <= SMALL else f"the noise is {c.word}, so sigma does not matter"


_ACTIVATIONS = ("tanh", "sigmoid", "erf", "softplus", "gelu_erf", "gelu_tanh")
_LOST_ELEMENTWISE: dict[str, Callable[[_Case], str]] = {
    **dict.fromkeys(_ACTIVATIONS, _saturated),
    "relu": _relu,
    "mul": _mul,
    "div": _divided,
    "exp": _underflow,
    "power": _flat_power,
    "abs": _kink,
    "l1_norm": _kink,
    "sin": _turning_point,
    "cos": _turning_point,
}
_LOST_CHOICE: dict[str, Callable[[_Case], str]] = {
    "where": _where,
    "maximum": _limited,
    "max": lambda c: "max chose other elements",
    "getitem": lambda c: NOT_PICKED,
}
_LOST_LAYER: dict[str, Callable[[_Case], str]] = {
    "matmul": _matmul,
    "softmax": _softmax,
    "log_softmax": _softmax,
    "logsumexp": _softmax,
    "linear": _linear,
    "layer_norm": _layer_norm,
    "unit_rows": _unit_rows,
    "attention": _attention,
    "half_squared_error": lambda c: _met(c, "the output"),
    "bernoulli_loss": _bernoulli,
    "gaussian_kl": _collapsed,
    "reparameterise": _reparameterise,
}
_LOST = _LOST_ELEMENTWISE | _LOST_CHOICE | _LOST_LAYER


# --- gradients that grow --------------------------------------------------------------------------


def enlarged(a: Application) -> str:
    """How a rule enlarged the gradient."""
    name = a.value.op.name if a.value.op else ""
    x = [np.asarray(v) for v in a.value.arrays]
    if name == "div":
        return f"division by a number as small as {np.abs(x[1]).min(initial=np.inf):.1e}"
    if name in _EDGES:
        smallest = np.min(x[0], initial=np.inf)
        return f"the slope of {name} close to its end (smallest argument {smallest:.1e})"
    if name in ("exp", "expm1", "power"):
        largest = np.max(x[0], initial=-np.inf)
        return f"{name} grows without bound (largest argument {largest:.3g})"
    if name == "unit_rows":
        return _slope_of_length(x[0])
    other = [float(np.abs(v).max(initial=0)) for k, v in enumerate(x) if k != a.i]
    return f"a factor as large as {max(other):.1e}" if other else "the rule adds up or enlarges"
