"""What each op does when a gradient gets lost in it, in words.

`explained(a, names, word)` looks at one application of a rule (`record.Application`) of which it is
known that next to nothing of the incoming gradient came out, and says what people call that; `word`
is '0' or 'next to 0'.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...autodiff.rules import NAMES
from ..record.applications import Application

SMALL = 1e-6  # of a number that should be about 1


def generic(a: Application, words: str) -> str:
    """What can be said of any op."""
    op: Any = a.value.op
    return f"the rule of {op.name} for {op.argument(a.i)} loses it: {words}"


def explained(a: Application, names: Mapping[int, str], word: str) -> str:
    """What the op of `a` did to the gradient; '' where nothing particular is known of it."""
    op: Any = a.value.op
    x = [np.asarray(v) for v in a.value.arrays]
    if op.name in _EXPLAIN:
        return str(_EXPLAIN[op.name](a, x, names, word))
    return ""


def _relu(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    alive = int(np.sum(x[0] > 0))
    if alive == 0:
        return (
            f"dead relu: all {x[0].size} inputs are <= 0 (largest {float(x[0].max()):.3g}), so "
            "its slope is 0 everywhere"
        )
    return (
        f"relu is off (input <= 0) wherever a gradient comes in ({x[0].size - alive} of "
        f"{x[0].size} elements)"
    )


def _saturated(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    op: Any = a.value.op
    reached = np.asarray(a.g) != 0
    least = float(np.abs(x[0])[reached].min())
    which = "every input" if reached.all() else "every input to which a gradient comes"
    return (
        f"saturated {op.name}: {which} is at least {least:.3g} in size, where its slope is {word}"
    )


def _where(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    op: Any = a.value.op
    chosen = np.asarray(x[0], bool) if a.i == 1 else ~np.asarray(x[0], bool)
    if chosen.any():
        return f"where chose {op.argument(a.i)} only in places whose gradient is 0"
    return (
        f"where never chose {op.argument(a.i)}: it is the unchosen branch (in clip: the limit "
        "was reached everywhere)"
    )


def _mul(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    other = 1 - a.i
    factor, value = x[other], a.value.inputs[other]
    name = names.get(id(value)) or ""
    called = f" {name}" if name and factor.ndim else ""
    if a.value.inputs[0] is a.value.inputs[1]:
        return (
            f"the square has its minimum there: the value itself is {word} (its slope is 2x): "
            "it is at rest"
        )
    if factor.ndim == 0 or factor.size == 1:
        own = f"{value.name} = " if getattr(value, "name", None) else ""
        return (
            f"multiplied by {own}{float(factor.ravel()[0]):.3g}: a weight (a coefficient such "
            f"as beta) that is {word}"
        )
    if not factor.any():
        return f"multiplied by the array{called}, which is 0 everywhere"
    return f"multiplied by a mask or factor{called} that is {word} wherever a gradient comes in"


def _matmul(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    other = 1 - a.i
    op: Any = a.value.op
    name = names.get(id(a.value.inputs[other]), op.argument(other))
    if np.abs(x[other]).max(initial=0) <= SMALL:
        what = f"the other factor of the matrix product, {name} {x[other].shape}"
        return f"{what}, is {word} everywhere (zero weights or inputs?)"
    return f"the matrix product with {name} cancels the gradient: it is orthogonal to it"


def _choice(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    op: Any = a.value.op
    if op.name == "maximum":
        return (
            f"maximum (or minimum, clip) never chose {op.argument(a.i)}: the limit was reached "
            "everywhere"
        )
    return "max chose other elements"


def _getitem(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    return "the index picks nothing of it"


def _softmax(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    op: Any = a.value.op
    y = a.value._data
    g = np.asarray(a.g)
    axis = a.value.params.get("axis", -1)
    spread = float(np.max(np.ptp(g, axis=axis if axis is not None else None), initial=0))
    if spread <= 1e-12 * float(np.abs(g).max()):
        return (
            f"{op.name} does not change when all its inputs shift, and every output gets the "
            "same gradient: they cancel"
        )
    sharp = float(np.max(y)) if op.name == "softmax" else float(np.exp(np.max(y)))
    return f"saturated {op.name}: one output is {sharp:.6g} and the others next to 0"


def _underflow(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    op: Any = a.value.op
    return (
        f"underflow: {op.name} of at most {float(np.max(x[0])):.4g} is {word}, and so is its slope"
    )


def _rest(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    op: Any = a.value.op
    if op.name == "power" and a.i == 0 and not np.any(x[1]):
        return "the exponent is 0: x ** 0 is constant"
    if op.name == "power":
        return f"x ** p is flat there: x is as small as {float(np.abs(x[0]).min()):.3g}"
    if op.name in ("abs", "l1_norm"):
        kink = f"{op.name} has a kink at 0, where its slope is taken as 0"
        return f"{kink}, and every input is 0: this part of the loss is at rest"
    return f"{op.name} has slope {word} at every input: it is at a maximum or minimum there"


def _div(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    if a.i == 0:
        return f"divided by a number as large as {float(np.abs(x[1]).min()):.1e}"
    return f"the numerator is {word}, so the denominator does not matter"


# --- the fused ops of layers and losses -----------------------------------------------------------


def _linear(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    kind, y = a.value.params.get("activation"), a.value._data
    if kind is not None:
        slope = np.abs(NAMES["slope"](np.ones_like(y), y, kind))
        if slope.max(initial=0) <= SMALL:
            if kind == "relu":
                return (
                    f"dead relu inside linear: all {y.size} outputs are 0, so its slope is 0 "
                    "everywhere"
                )
            return f"saturated {kind} inside linear: its slope is at most {slope.max():.1e}"
        if not np.any(slope * np.asarray(a.g)):
            return f"the {kind} inside linear is off wherever a gradient comes in"
    other = 1 - a.i
    if a.i < 2 and np.abs(x[other]).max(initial=0) <= SMALL:
        name = names.get(id(a.value.inputs[other]), "xW"[other])
        return (
            f"the other factor of the matrix product, {name} {x[other].shape}, is {word} "
            "everywhere (zero weights?)"
        )
    if a.i == 2:
        return "the gradients of the rows cancel each other"
    return "the matrix product cancels the gradient: it is orthogonal to it"


def _layer_norm(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    if a.i == 0 and np.abs(x[1]).max(initial=0) <= SMALL:
        return f"the weight of layer_norm is {word} everywhere"
    if a.i == 0:
        return (
            "layer_norm feels neither shift nor stretch of its input, and the gradient asks "
            "for "
            "nothing else: they cancel"
        )
    return (
        "the gradient is orthogonal to the normalised input"
        if a.i == 1
        else "the gradients of the rows cancel"
    )


def slope_of_length(x: np.ndarray) -> str:
    """What enlarges or shrinks a gradient in unit_rows."""
    shortest = float(np.sqrt(np.sum(x * x, axis=-1)).min(initial=np.inf))
    return f"the slope of unit_rows is 1 / length, and the shortest row has length {shortest:.1e}"


def _unit_rows(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    g, y = np.asarray(a.g), a.value._data
    across = g - y * np.sum(g * y, axis=-1, keepdims=True)
    if np.abs(across).max(initial=0) <= SMALL * np.abs(g).max(initial=0):
        return (
            "unit_rows does not feel the length of a row, and the gradient asks for nothing "
            "else: it points along each row"
        )
    return slope_of_length(x[0])


def _attention(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    weights = NAMES["attention_weights"](x[0], x[1], x[3], a.value.params.get("heads", 1))
    if a.i == 2:
        return (
            "no query looks at it: its attention weights are at most "
            f"{float(weights.max(initial=0)):.1e} (masked?)"
        )
    if weights.shape[-1] == 1:
        return "there is only one key, so its attention weight is 1 whatever the score is"
    if 1 - float(weights.max(axis=-1).min(initial=1)) <= SMALL:
        return (
            "saturated attention: each query looks at one key only (the others are masked, or "
            "the scores far apart)"
        )
    if float(np.ptp(x[2], axis=-2).max(initial=0)) <= SMALL:
        return "all values v are the same, so it does not matter where a query looks"
    return "the gradients of all queries and keys cancel"


def _at_rest(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    op: Any = a.value.op
    if op.name == "gaussian_kl":
        which = "mean" if a.i == 0 else "log variance"
        return (
            f"the KL term is at rest: the posterior's {which} is that of the prior, 0 (a "
            "collapsed unit looks like this)"
        )
    if a.i == 1 and op.name == "bernoulli_loss":
        return "every logit is 0: both outcomes are equally likely, so the target does not matter"
    what = "sigmoid(logits)" if op.name == "bernoulli_loss" else "the output"
    return f"{op.name} is at rest: {what} is {'' if word == '0' else 'next to '}the target"


def _reparameterise(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    sigma = float(np.exp(0.5 * x[1]).max(initial=0))
    if sigma <= SMALL:
        return (
            f"sigma is at most {sigma:.1e}, so the noise does not matter (log_var "
            f"{float(x[1].max(initial=-np.inf)):.3g})"
        )
    return f"the noise is {word}, so sigma does not matter"


_EXPLAIN = {
    "relu": _relu,
    "tanh": _saturated,
    "sigmoid": _saturated,
    "erf": _saturated,
    "softplus": _saturated,
    "gelu_erf": _saturated,
    "gelu_tanh": _saturated,
    "where": _where,
    "mul": _mul,
    "matmul": _matmul,
    "maximum": _choice,
    "max": _choice,
    "getitem": _getitem,
    "softmax": _softmax,
    "log_softmax": _softmax,
    "logsumexp": _softmax,
    "exp": _underflow,
    "power": _rest,
    "abs": _rest,
    "l1_norm": _rest,
    "sin": _rest,
    "cos": _rest,
    "div": _div,
    "linear": _linear,
    "layer_norm": _layer_norm,
    "unit_rows": _unit_rows,
    "attention": _attention,
    "half_squared_error": _at_rest,
    "bernoulli_loss": _at_rest,
    "gaussian_kl": _at_rest,
    "reparameterise": _reparameterise,
}
