"""Where a gradient gets lost: what one rule did to it, in words; '' where this rule is not the one.

Each function looks at one application of a rule (`record.Application`): what came in (g), what it
sent (added), and the op's inputs and result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...autodiff.graph import Value
from ...display import is_finite
from ..record.applications import Application
from .anomaly import _at, _matching
from .explain import explained, generic, slope_of_length
from .reasons import backward_reason, forward_reason

NEGLIGIBLE = 1e-12  # of what came in; what is left over is rounding
LOST = 1e-6  # a rule that shrinks a gradient by more than this is the place where it became tiny


def _sizes(a: Application) -> tuple[float, float]:
    return float(np.abs(a.g).max(initial=0)), float(np.abs(a.added).max(initial=0))


def hooked(a: Application, received: Any) -> str:
    """A hook that replaced the gradient by zeros."""
    if a.value.hooks and received is not None and np.any(received) and not np.any(a.g):
        return (
            "a hook replaced the gradient of the result of "
            f"{a.value.op.name if a.value.op else ''} by zeros"
        )
    return ""


def key_bias(a: Application, above: Sequence[Application]) -> str:
    """A bias of the keys of attention: its gradient is 0 in exact arithmetic."""
    added = (
        a.value.op is not None
        and (a.value.op.name, a.i) in (("linear", 2), ("add", 0), ("add", 1))
        and a.axes
    )
    if (
        added
        and above
        and all(
            b.value.op is not None and b.value.op.name == "attention" and b.i == 1 for b in above
        )
    ):
        return (
            "it shifts all keys of attention alike, so all scores of a query change alike, and "
            "softmax does not feel that"
        )
    return ""


def zero(a: Application, names: Mapping[int, str]) -> str:
    """A rule that got something and sent nothing at all."""
    g, sent = _sizes(a)
    if np.size(a.g) == 0 < np.size(a.added):
        return (
            "the index picks nothing of it"
            if a.value.op and a.value.op.name == "getitem"
            else "nothing of it is used"
        )
    if g == 0 or sent > 0:
        return ""
    return (
        cancelled(a)
        or explained(a, names, "0")
        or generic(a, "every product of gradient and slope is 0")
    )


def cancelled(a: Application) -> str:
    """A broadcast input whose gradient is a sum (over rows, for a bias), where the terms cancel; ''
    where it is not.
    """
    terms, sent = float(np.abs(a.raw).max(initial=0)), _sizes(a)[1]
    if not a.axes or terms == 0 or sent > LOST * terms:
        return ""
    over = "the rows" if a.axes == (0,) else f"axis {', '.join(map(str, a.axes))}"
    told = f"terms up to {terms:.3g} in size add up to {sent:.3g}"
    return (
        f"the sum over {over} of its gradient {a.raw_shape} cancels: {told}, where "
        f"{a.x._data.shape} was broadcast"
    )


def tiny(a: Application, names: Mapping[int, str]) -> str:
    """A rule that sent next to nothing of what it got."""
    g, sent = _sizes(a)
    if g == 0 or sent > LOST * g:
        return ""
    told = cancelled(a) or explained(a, names, "next to 0")
    return told or generic(a, f"the slope shrinks the gradient {sent / g:.1e} times")


def rounding(a: Application, names: Mapping[int, str]) -> str:
    """A rule whose terms cancel to the last digits, in an op that does not feel what the gradient
    asks for.
    """
    g, sent = _sizes(a)
    numb = a.value.op is not None and a.value.op.name in (
        "softmax",
        "log_softmax",
        "layer_norm",
        "attention",
        "unit_rows",
    )
    return explained(a, names, "next to 0") if numb and 0 < sent <= NEGLIGIBLE * g else ""


def large(a: Application, ratio: float) -> str:
    """A rule that enlarged the gradient."""
    op: Any = a.value.op
    x = [np.asarray(v) for v in a.value.arrays]
    with np.errstate(all="ignore"):
        least = float(np.abs(x[-1]).min(initial=np.inf))
    if op.name == "div":
        return f"division by a number as small as {least:.1e}"
    if op.name in ("log", "sqrt", "log1p"):
        return (
            f"the slope of {op.name} close to its end (smallest argument "
            f"{float(np.min(x[0], initial=np.inf)):.1e})"
        )
    if op.name in ("exp", "expm1", "power"):
        return (
            f"{op.name} grows without bound (largest argument "
            f"{float(np.max(x[0], initial=-np.inf)):.3g})"
        )
    if op.name == "unit_rows":
        return slope_of_length(x[0])
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
    return backward_reason(
        a.value, _matching(index, added.shape, a.value._data.shape), operands, word, users
    )


def not_finite_forward(value: Value) -> str:
    """How an op made NaN or Inf of finite inputs; '' if it did not."""
    op: Any = value.op
    if is_finite(value._data) or not all(is_finite(a) for a in value.arrays):
        return ""
    index = tuple(int(k) for k in np.argwhere(~np.isfinite(value._data))[0])
    operands = {
        op.argument(k): _at(a, index, value._data.shape) for k, a in enumerate(value.arrays)
    }
    word = "NaN" if np.isnan(value._data[index]) else "Inf"
    return (
        f"{forward_reason(op.name, operands, value.arrays, index, word, value.params)} "
        "(element "
        f"{list(index)})"
    )
