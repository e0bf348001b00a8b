"""What is said of an op whose numbers or gradients go wrong: sentences that the blocks of ops name
in their `Notes`.

results      why a result is not finite         f(op, x, y, arrays); x, y: the numbers at one place
slopes       why a slope is not finite          f(op, x, y)
gradients    why next to nothing came through   f(case), see `Case`
             why a rule sent more than it got   f(op, arrays)
             why it sent a zero to one element  f(op, arrays, i, place)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..autodiff.operation import Op
from ..autodiff.rules import NAMES

Place = tuple[int, ...] | None  # an index
SMALL = 1e-6  # of a number that should be about 1
LOG_VAR = "keep log_var within bounds: clip it, start it smaller, or take smaller steps"


# --- results that are not finite ------------------------------------------------------------------


def undefined(op: Op, x: float, y: float, arrays: Any) -> str:
    """Of a function that is defined on an interval."""
    return f"{op.name} of {x:.4g}, a number it is not defined for"


def logarithm(op: Op, x: float, y: float, arrays: Any) -> str:
    """Of a function that goes to -inf at its edge."""
    (edge,) = op.notes.edges
    if x != edge:
        return undefined(op, x, y, arrays)
    return f"{op.name} of {x:.4g}: the logarithm goes to -inf at {edge}"


def root(op: Op, x: float, y: float, arrays: Any) -> str:
    return f"the square root of {x:.4g}, a negative number"


def quotient(op: Op, a: float, b: float, arrays: Any) -> str:
    if b != 0:
        return f"overflow: {a:.4g} / {b:.4g}"
    return f"{a:.4g} / 0: division by zero" if a else "0 / 0"


def raised(op: Op, a: float, p: float, arrays: Any) -> str:
    if a < 0 and p != int(p):
        return f"a negative number ({a:.4g}) to the power {p:.4g}, which is not a whole number"
    return f"overflow: {a:.4g} ** {p:.4g}" if a else f"0 to the power {p:.4g}: division by zero"


def large_scores(op: Op, x: float, y: float, arrays: Any) -> str:
    return "overflow: the scores q k^T are too large"


def no_variance(op: Op, x: float, y: float, arrays: Any) -> str:
    equal = "all inputs of a row are the same, so their variance is 0, and eps is 0"
    return equal if (np.ptp(arrays[0], axis=-1) == 0).any() else "overflow: of a square"


def no_length(op: Op, x: float, y: float, arrays: Any) -> str:
    if (np.sum(arrays[0] * arrays[0], axis=-1) == 0).any():
        return "a row has length 0: division by zero"
    return "inf / inf: a row has an infinite element"


def large_log_var(op: Op, x: float, y: float, arrays: Any) -> str:
    return f"overflow: exp of log_var, which goes up to {float(np.max(arrays[1])):.4g}"


def no_softmax(op: Op, x: float, y: float, arrays: Any) -> str:
    apart = "overflow: the inputs of a row are too far apart"
    return "inf - inf: an input is +inf" if np.isposinf(arrays[0]).any() else apart


# --- slopes that are not finite; '' where this one is ---------------------------------------------


def steep_power(op: Op, x: float | None, p: float | None) -> str:
    return f"the slope of x ** {p:.4g} at 0 is infinite" if x == 0 and p is not None else ""


def divides(op: Op, a: float | None, b: float | None) -> str:
    if b is None or abs(b) >= 1e-100:
        return ""
    return f"overflow: the rule divides by {b:.4g} twice" if b else "division by zero"


# --- gradients that get lost ----------------------------------------------------------------------


class Case:
    """A rule that sent next to nothing, and all that a sentence on it may need."""

    def __init__(
        self, value: Any, i: int, g: np.ndarray, names: Mapping[int, str], word: str
    ) -> None:
        """The rule of `value` for its input number i, to which `g` came; `names` of its inputs by
        their id; `word` says how much was left: '0' or 'next to 0'.
        """
        self.op, self.i, self.argument = value.op.name, i, value.op.argument(i)
        self.inputs, self.params = value.inputs, value.params
        self.x = [np.asarray(x) for x in value.arrays]
        self.g, self.y = g, value._data
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


def dead_or_off(c: Case) -> str:
    size, alive = c.x[0].size, int(np.sum(c.x[0] > 0))
    if alive:
        off = "relu is off (input <= 0) wherever a gradient comes in"
        return f"{off} ({size - alive} of {size} elements)"
    largest = float(c.x[0].max())
    dead = f"dead relu: all {size} inputs are <= 0 (largest {largest:.3g})"
    return f"{dead}, so its slope is 0 everywhere"


def saturated(c: Case) -> str:
    reached = c.g != 0
    least = float(np.abs(c.x[0])[reached].min())
    which = "every input" if reached.all() else "every input to which a gradient comes"
    return f"saturated {c.op}: {which} is at least {least:.3g} in size, where its slope is {c.word}"


def not_chosen(c: Case) -> str:
    if (np.asarray(c.x[0], bool) == (c.i == 1)).any():
        return f"where chose {c.argument} only in places whose gradient is 0"
    branch = "it is the unchosen branch (in clip: the limit was reached everywhere)"
    return f"where never chose {c.argument}: {branch}"


def zero_factor(c: Case) -> str:
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


def _zero_matrix(c: Case, argument: str, guess: str) -> str:
    """What is said of a matrix product whose other factor is 0; '' where it is not."""
    other = 1 - c.i
    if not c.vanishes(other):
        return ""
    what = f"the other factor of the matrix product, {c.partner(argument)} {c.x[other].shape}"
    return f"{what}, is {c.word} everywhere ({guess}?)"


def orthogonal(c: Case) -> str:
    argument = "BA"[c.i]
    cancels = f"the matrix product with {c.partner(argument)} cancels the gradient"
    zero = _zero_matrix(c, argument, "zero weights or inputs")
    return zero or f"{cancels}: it is orthogonal to it"


def shifted_alike(c: Case) -> str:
    spread = np.max(np.ptp(c.g, axis=c.params.get("axis", -1)), initial=0)
    if float(spread) <= 1e-12 * float(np.abs(c.g).max()):
        return (
            f"{c.op} does not change when all its inputs shift, and every output gets the same "
            "gradient: they cancel"
        )
    largest = float(np.max(c.y))
    sharp = largest if c.op == "softmax" else float(np.exp(largest))
    return f"saturated {c.op}: one output is {sharp:.6g} and the others next to 0"


def limited(c: Case) -> str:
    return f"maximum (or minimum, clip) never chose {c.argument}: the limit was reached everywhere"


def others_chosen(c: Case) -> str:
    return f"{c.op} chose other elements"


def not_picked(c: Case) -> str:
    return "the index picks nothing of it"


def underflow(c: Case) -> str:
    largest = float(np.max(c.x[0]))
    return f"underflow: {c.op} of at most {largest:.4g} is {c.word}, and so is its slope"


def flat_power(c: Case) -> str:
    if c.i == 0 and not np.any(c.x[1]):
        return "the exponent is 0: x ** 0 is constant"
    return f"x ** p is flat there: x is as small as {c.least(0):.3g}"


def at_the_kink(c: Case) -> str:
    kink = f"{c.op} has a kink at 0, where its slope is taken as 0"
    return f"{kink}, and every input is 0: this part of the loss is at rest"


def turning_point(c: Case) -> str:
    return f"{c.op} has slope {c.word} at every input: it is at a maximum or minimum there"


def divided(c: Case) -> str:
    numerator = f"the numerator is {c.word}, so the denominator does not matter"
    return numerator if c.i else f"divided by a number as large as {c.least(1):.1e}"


def lost_in_linear(c: Case) -> str:
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
    return _zero_matrix(c, "Wx"[c.i], "zero weights") or cancels


def normalised_away(c: Case) -> str:
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


def along_each_row(c: Case) -> str:
    across = c.g - c.y * np.sum(c.g * c.y, axis=-1, keepdims=True)
    if np.abs(across).max(initial=0) > SMALL * np.abs(c.g).max(initial=0):
        return shortest_row(None, c.x)
    return (
        "unit_rows does not feel the length of a row, and the gradient asks for nothing else: it "
        "points along each row"
    )


def lost_in_attention(c: Case) -> str:
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


def collapsed(c: Case) -> str:
    which = "mean" if c.i == 0 else "log variance"
    prior = "that of the prior, 0 (a collapsed unit looks like this)"
    return f"the KL term is at rest: the posterior's {which} is {prior}"


def _met(c: Case, what: str) -> str:
    """What is said of a loss whose minimum has been reached."""
    near = "" if c.word == "0" else "next to "
    return f"{c.op} is at rest: {what} is {near}the target"


def met(c: Case) -> str:
    return _met(c, "the output")


def probability_met(c: Case) -> str:
    even = "every logit is 0: both outcomes are equally likely, so the target does not matter"
    return even if c.i else _met(c, "sigmoid(logits)")


def no_noise(c: Case) -> str:
    log_var = c.x[1].max(initial=-np.inf)
    sigma = np.exp(0.5 * log_var)
    small = f"sigma is at most {sigma:.1e}, so the noise does not matter (log_var {log_var:.3g})"
    return small if sigma <= SMALL else f"the noise is {c.word}, so sigma does not matter"


# --- gradients that grow --------------------------------------------------------------------------


def small_denominator(op: Op, x: Any) -> str:
    return f"division by a number as small as {np.abs(x[1]).min(initial=np.inf):.1e}"


def unbounded(op: Op, x: Any) -> str:
    """Of a function whose slope grows with its argument."""
    largest = np.max(x[0], initial=-np.inf)
    return f"{op.name} grows without bound (largest argument {largest:.3g})"


def shortest_row(op: Op | None, x: Any) -> str:
    shortest = float(np.sqrt(np.sum(x[0] * x[0], axis=-1)).min(initial=np.inf))
    return f"the slope of unit_rows is 1 / length, and the shortest row has length {shortest:.1e}"


# --- zeros that were sent to one element; '' where another op sent it -----------------------------


def _element(array: np.ndarray, at: Place) -> float:
    """The element of `array` that broadcasting pairs with place `at` of its partner; NaN if there
    is none.
    """
    if at is None or array.ndim > len(at):
        return math.nan
    tail = at[len(at) - array.ndim :]
    return float(array[tuple(min(k, n - 1) for k, n in zip(tail, array.shape, strict=True))])


def unchosen(op: Op, arrays: Any, i: int, at: Place) -> str:
    chosen = np.asarray(arrays[0], bool) == (i == 1)
    element = _element(chosen, at)
    left_out = not chosen.all() if math.isnan(element) else not element
    return "the unchosen branch of where" if left_out else ""


def factor_of_zero(op: Op, arrays: Any, i: int, at: Place) -> str:
    return "a factor that is 0" if _element(arrays[1 - i], at) == 0 else ""


def did_not_choose(op: Op, arrays: Any, i: int, at: Place) -> str:
    return f"{op.name} did not choose this element"


def did_not_pick(op: Op, arrays: Any, i: int, at: Place) -> str:
    return "this element was not picked"
