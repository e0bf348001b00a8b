"""Where a gradient gets lost: what one rule did to it, in words; '' where this rule is not the one.

Each function looks at one application of a rule (`record.Application`): what came in (g), what it sent (added), and
the op's inputs and result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..graph import Value
from .anomaly import _at, _matching
from .reasons import backward_reason, forward_reason
from .record import Application
from .summary import is_finite

LOST = 1e-6  # a rule that shrinks a gradient by more than this is the place where it became tiny


def _sizes(a: Application) -> tuple[float, float]:
    return float(np.abs(a.g).max(initial=0)), float(np.abs(a.added).max(initial=0))


def hooked(a: Application, received: Any) -> str:
    """A hook that replaced the gradient by zeros."""
    if a.value.hooks and received is not None and np.any(received) and not np.any(a.g):
        return f"a hook replaced the gradient of the result of {a.value.op.name if a.value.op else ''} by zeros"
    return ""


def zero(a: Application, names: Mapping[int, str]) -> str:
    """A rule that got something and sent nothing at all."""
    g, sent = _sizes(a)
    if np.size(a.g) == 0 < np.size(a.added):
        return "the index picks nothing of it" if a.value.op and a.value.op.name == "getitem" else "nothing of it is used"
    if g == 0 or sent > 0:
        return ""
    return _explained(a, names, "0") or _generic(a, "every product of gradient and slope is 0")


def tiny(a: Application, names: Mapping[int, str]) -> str:
    """A rule that sent next to nothing of what it got."""
    g, sent = _sizes(a)
    if g == 0 or sent > LOST * g:
        return ""
    return _explained(a, names, "next to 0") or _generic(a, f"the slope shrinks the gradient {sent / g:.1e} times")


def large(a: Application, ratio: float) -> str:
    """A rule that enlarged the gradient."""
    op: Any = a.value.op
    x = [np.asarray(v) for v in a.value.arrays]
    with np.errstate(all="ignore"):
        least = float(np.abs(x[-1]).min(initial=np.inf))
    if op.name == "div":
        return f"division by a number as small as {least:.1e}"
    if op.name in ("log", "sqrt", "log1p"):
        return f"the slope of {op.name} close to its end (smallest argument {float(np.min(x[0], initial=np.inf)):.1e})"
    if op.name in ("exp", "expm1", "power"):
        return f"{op.name} grows without bound (largest argument {float(np.max(x[0], initial=-np.inf)):.3g})"
    other = [float(np.abs(v).max(initial=0)) for k, v in enumerate(x) if k != a.i]
    return f"a factor as large as {max(other):.1e}" if other else "the rule adds up or enlarges"


def made_here(a: Application) -> bool:
    """Whether a rule made NaN or Inf of numbers that are all finite."""
    if is_finite(a.added) or not is_finite(a.g):
        return False
    op: Any = a.value.op
    read = op.reads(a.i, len(a.value.arrays))
    return all(is_finite(a.value._data if k == -1 else a.value.arrays[k]) for k in read)


def not_finite(a: Application, users: Mapping[Any, Any]) -> str:
    """What made NaN or Inf of a finite incoming gradient."""
    added = np.asarray(a.added)
    index = tuple(int(k) for k in np.argwhere(~np.isfinite(added))[0])
    op: Any = a.value.op
    operands = {"g": _at(a.g, index, added.shape), "y": _at(a.value._data, index, added.shape)}
    operands |= {op.argument(k): _at(v, index, added.shape) for k, v in enumerate(a.value.arrays)}
    word = "NaN" if np.isnan(added[index]) else "Inf"
    return backward_reason(a.value, _matching(index, added.shape, a.value._data.shape), operands, word, users)


def not_finite_forward(value: Value) -> str:
    """How an op made NaN or Inf of finite inputs; '' if it did not."""
    op: Any = value.op
    if is_finite(value._data) or not all(is_finite(a) for a in value.arrays):
        return ""
    index = tuple(int(k) for k in np.argwhere(~np.isfinite(value._data))[0])
    operands = {op.argument(k): _at(a, index, value._data.shape) for k, a in enumerate(value.arrays)}
    word = "NaN" if np.isnan(value._data[index]) else "Inf"
    return f"{forward_reason(op.name, operands, value.arrays, index, word, value.params)} (element {list(index)})"


def _generic(a: Application, words: str) -> str:
    op: Any = a.value.op
    return f"the rule of {op.name} for {op.argument(a.i)} loses it: {words}"


def _explained(a: Application, names: Mapping[int, str], word: str) -> str:
    op: Any = a.value.op
    x = [np.asarray(v) for v in a.value.arrays]
    if op.name in _EXPLAIN:
        return str(_EXPLAIN[op.name](a, x, names, word))
    return ""


def _relu(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    alive = int(np.sum(x[0] > 0))
    if alive == 0:
        return f"dead relu: all {x[0].size} inputs are <= 0 (largest {float(x[0].max()):.3g}), so its slope is 0 everywhere"
    return f"relu is off (input <= 0) wherever a gradient comes in ({x[0].size - alive} of {x[0].size} elements)"


def _saturated(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    op: Any = a.value.op
    least = float(np.abs(x[0]).min())
    return f"saturated {op.name}: every input is at least {least:.3g} in size, where its slope is {word}"


def _where(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    op: Any = a.value.op
    return f"where never chose {op.argument(a.i)}, or only where the gradient is 0: it is the unchosen branch"


def _mul(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    other = 1 - a.i
    factor, value = x[other], a.value.inputs[other]
    name = names.get(id(value)) or ""
    called = f" {name}" if name and factor.ndim else ""
    if a.value.inputs[0] is a.value.inputs[1]:
        return f"the square has its minimum there: the value itself is {word} (its slope is 2x): it is at rest"
    if factor.ndim == 0 or factor.size == 1:
        return f"multiplied by {float(factor.ravel()[0]):.3g}{called}: a weight (a coefficient such as beta) that is {word}"
    if not factor.any():
        return f"multiplied by the array{called}, which is 0 everywhere"
    return f"multiplied by a mask or factor{called} that is {word} wherever a gradient comes in"


def _matmul(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    other = 1 - a.i
    op: Any = a.value.op
    name = names.get(id(a.value.inputs[other]), op.argument(other))
    if np.abs(x[other]).max(initial=0) <= LOST:
        return f"the other factor of the matrix product, {name} {x[other].shape}, is {word} everywhere (zero weights?)"
    return f"the matrix product with {name} cancels the gradient: it is orthogonal to it"


def _choice(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    op: Any = a.value.op
    if op.name == "maximum":
        return f"maximum (or minimum, clip) never chose {op.argument(a.i)}: the limit was reached everywhere"
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
        return f"{op.name} does not change when all its inputs shift, and every output gets the same gradient: they cancel"
    sharp = float(np.max(y)) if op.name == "softmax" else float(np.exp(np.max(y)))
    return f"saturated {op.name}: one output is {sharp:.6g} and the others next to 0"


def _underflow(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    op: Any = a.value.op
    return f"underflow: {op.name} of at most {float(np.max(x[0])):.4g} is {word}, and so is its slope"


def _rest(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    op: Any = a.value.op
    if op.name == "power" and a.i == 0 and not np.any(x[1]):
        return "the exponent is 0: x ** 0 is constant"
    if op.name == "power":
        return f"x ** p is flat there: x is as small as {float(np.abs(x[0]).min()):.3g}"
    if op.name == "abs":
        return "abs has a kink at 0, where its slope is taken as 0, and every input is 0: this part of the loss is at rest"
    return f"{op.name} has slope {word} at every input: it is at a maximum or minimum there"


def _div(a: Application, x: list[np.ndarray], names: Any, word: str) -> str:
    if a.i == 0:
        return f"divided by a number as large as {float(np.abs(x[1]).min()):.1e}"
    return f"the numerator is {word}, so the denominator does not matter"


_EXPLAIN = {
    "relu": _relu, "tanh": _saturated, "sigmoid": _saturated, "erf": _saturated, "softplus": _saturated,
    "gelu_erf": _saturated, "gelu_tanh": _saturated, "where": _where, "mul": _mul, "matmul": _matmul, "maximum": _choice,
    "max": _choice, "getitem": _getitem, "softmax": _softmax, "log_softmax": _softmax, "logsumexp": _softmax,
    "exp": _underflow, "power": _rest, "abs": _rest, "sin": _rest, "cos": _rest, "div": _div,
}  # fmt: skip
