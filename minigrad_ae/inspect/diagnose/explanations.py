"""Why is this gradient None, zero, tiny, huge or NaN?

`why(tensor, loss)` names the cause.  First it asks whether a gradient can arrive at all (history,
path); then it runs the backward pass apart from any ``.grad`` and looks at the gradient; and if
that is not healthy, it follows it back up to the rule where it was lost.  Where nothing is wrong
the answer is the empty string.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...autodiff import engine
from ...autodiff.graph import Value
from ...autodiff.origin import source_line, where
from ...display import is_finite
from ...errors import DtypeError
from ...ops.notes import not_picked
from ..record.applications import Application, demand_loss, walk
from ..record.names import caller_scopes, name_values
from ..suspicions.suspecting import asked_of
from .reasons import backward_trouble, enlarged, explained, first, forward_trouble

TINY, HUGE = 1e-8, 1e8  # of the largest entry, for a loss of size 1
LOST_IN_ROUNDING = 1e16  # a gradient beside which 1 does not count, whatever the loss is
NEGLIGIBLE = 1e-12  # of what came in; what is left over is rounding
LOST = 1e-6  # a rule that shrinks a gradient by more than this is the place where it became tiny


def why(tensor: Value, loss: Value) -> str:
    """What makes a gradient None, zero, tiny, huge or NaN, with the op and the line.

    Parameters
    ----------
    tensor : Tensor
        The tensor whose gradient is in question, a leaf or computed.
    loss : Tensor, one element
        What backward() starts (or should start) from.

    Returns
    -------
    str
        The cause, and in lines of their own what `suspect` says of this loss; '' if the gradient
        is healthy.

    Raises
    ------
    DtypeError
        If `tensor` or `loss` is not a tensor.
    GradientError
        If `loss` has more than one element.

    Examples
    --------
    >>> x = mg.tensor([-1.0, -2.0], requires_grad=True, name="x")
    >>> print(mg.why(x, mg.relu(x).sum()))
    the gradient is zero: dead relu: all 2 inputs are <= 0 (largest -1), so its slope is 0 ...
    >>> mg.why(x, (x * x).sum())
    ''
    """
    demand_loss(loss, "why")
    if not isinstance(tensor, Value):
        raise DtypeError(
            "why: the first argument is not a tensor",
            f"got a {type(tensor).__name__}",
            "call mg.why(tensor, loss)",
        )
    scopes, missing = caller_scopes(1), _no_path(tensor, loss)
    if missing:
        answer = f"the gradient is None: {missing}"
    else:
        answer = _Search(tensor, loss, scopes).answer() or _not_kept(tensor, loss)
    suspicions = asked_of(loss, scopes) if answer else ()
    return "\n".join([answer, *(f"suspicion: {found}" for found in suspicions)])


# --- can a gradient arrive at all? ----------------------------------------------------------------


def _no_path(tensor: Value, loss: Value) -> str:
    """Why no gradient can come from `loss` to `tensor`; '' if one can."""
    if not tensor.requires_grad:
        return f"this tensor {_history(tensor)}"
    if not loss.requires_grad:
        return f"the loss has no history; it {_history(loss)}"
    order = engine.topological(loss)
    if any(value is tensor for value in order):
        return ""
    return f"no path leads from the loss to this tensor; {_cut(tensor, order)}"


def _history(x: Value) -> str:
    """How a value came to have no gradient: '(this tensor) was detached'."""
    how = x.params["by"] if x.params else None
    if how == "detach":
        return f"was detached{_line(x)}"
    if how == "no_grad":
        return f"was computed by {x.params['op']} under no_grad{_line(x)}"
    return "does not require a gradient (it was made with requires_grad=False, or from constants)"


def _line(x: Value) -> str:
    found = source_line(x)
    if found is None or "contextlib" in found[0]:
        return ""
    return f" at {Path(found[0]).name}:{found[1]}" + (f": {found[2]}" if found[2] else "")


def _cut(tensor: Value, order: list[Value]) -> str:
    """Where the path was cut, by what the loss was computed from."""
    possible = ""
    for value in order:
        for k, a in enumerate(value.inputs):
            if a is tensor:
                op: Any = value.op
                argument = op.argument(k)
                return f"it is only the {argument} of {where(value)}, to which no gradient flows"
            if _is_copy(a, tensor):
                return f"a copy of its numbers was used instead of the tensor, in {where(value)}"
            if isinstance(a, np.ndarray) and np.may_share_memory(a, tensor._data):
                array = "its array (.data or numpy())"
                return f"{array} was used instead of the tensor, in {where(value)}"
            if not _is_constant(a) or not a.params or a.params["by"] not in _LEFT_OUT:
                continue
            source = a.params["source"]() if a.params["by"] == "detach" else None
            if source is None:
                how = _LEFT_OUT[a.params["by"]]
                possible = possible or f"the loss uses a value that was {how}{_line(a)}"
            elif any(v is tensor for v in engine.topological(source)):
                return f"a value computed from it was detached{_line(a)}"
    if possible:
        return possible
    if tensor.op is None and tensor.changed > order[-1].serial:
        return "it was given new data after the loss was computed"
    return "the loss was not computed from it"


_LEFT_OUT = {"detach": "detached", "no_grad": "computed under no_grad"}


def _is_constant(a: Any) -> bool:
    """A leaf that does not require a gradient."""
    return isinstance(a, Value) and a.op is None and not a.requires_grad


def _is_copy(a: Any, tensor: Value) -> bool:
    """Whether `a`, an array or a leaf without gradient, has the numbers of `tensor` (which differ
    among themselves).
    """
    array = a._data if _is_constant(a) else a
    if not isinstance(array, np.ndarray) or np.may_share_memory(array, tensor._data):
        return False
    return np.array_equal(array, tensor._data) and len(np.unique(array)) > 2


def _not_kept(tensor: Value, loss: Value) -> str:
    """Why a healthy gradient is not in ``.grad``; '' if it is, or if backward() was not called."""
    leaves = [v for v in engine.topological(loss) if v.op is None]
    asked = any(v.grad is not None for v in leaves)  # backward() has been called
    if tensor.grad is not None or not asked:
        return ""
    if tensor.op is not None and not tensor.retains_grad:
        return (
            "the gradient is None: this tensor is not a leaf; call its retain_grad() before "
            "backward(), or use mg.grad"
        )
    return (
        "the gradient is None: zero_grad() was called after backward(), or "
        "backward() was never called on this loss"
    )


# --- what became of it? ---------------------------------------------------------------------------


class _Search:
    """One backward pass, kept whole, and the path up from the tensor to where its gradient was
    lost.
    """

    def __init__(self, tensor: Value, loss: Value, scopes: Any) -> None:
        self.tensor, self.loss = tensor, loss
        self.order = engine.topological(loss)
        self.names = name_values(self.order, scopes)
        self.scale = float(np.abs(loss._data).max()) if is_finite(loss._data) else 1.0
        with np.errstate(all="ignore"):
            self.applications = list(walk(loss))
        self.received: dict[Value, list[Application]] = {}
        for a in self.applications:
            self.received.setdefault(a.x, []).append(a)

    def answer(self) -> str:
        """The cause, or ''."""
        if self.tensor is self.loss:
            return ""
        g = np.asarray(self.received[self.tensor][-1].after)
        if g.size == 0:
            return "the gradient is empty: the tensor has no elements"
        if not is_finite(g):
            word = "NaN" if np.isnan(g).any() else "Inf"
            return f"the gradient is {word}: {self.not_finite()}"
        size = _size(g)
        if size == 0:
            return f"the gradient is zero: {self.trail(zero)}"
        if size > min(HUGE * max(1.0, self.scale), LOST_IN_ROUNDING):
            return f"the gradient is huge (up to {size:.1e}): {self.grown()}"
        if size >= TINY:
            return ""
        small_loss = size >= TINY * min(1.0, self.scale or 1.0)
        told = self.trail(rounding if small_loss else tiny)
        return f"the gradient is tiny (at most {size:.1e}): {told}" if told else ""

    def not_finite(self) -> str:
        """The first value that was not finite, or the first rule that sent what is not."""
        for value in self.order:
            if told := self.bad_value(value):
                return told
        return self.bad_rule() or "a constant or a hook is not finite"

    def bad_value(self, value: Value) -> str:
        """What is not finite in a leaf, a constant or a result; '' if nothing is."""
        if value.op is None and not is_finite(value._data):
            return f"the data of {where(value)} are not finite"
        for a in value.inputs:
            if isinstance(a, np.ndarray) and np.isnan(a).any():
                name = f"{self.names.get(id(a), 'an array')} {a.shape}"
                place = list(first(~np.isfinite(a)))
                return f"{name}, a constant in {where(value)}, has NaN at {place}"
        reason = forward_trouble(value)
        if not reason:
            return ""
        bad = value._data[first(~np.isfinite(value._data))]
        told = f"the forward value of {where(value)} is {bad:g}: {reason}"
        rule = self.bad_rule() if is_finite(self.loss._data) else ""
        hidden = "; the loss does not show it, but the backward pass does: "
        return f"{told}{hidden}{rule}" if rule else told

    def bad_rule(self) -> str:
        """The first rule that made NaN or Inf of a finite gradient; '' if there is none."""
        users = {x: [(a.value, a.i) for a in sent] for x, sent in self.received.items()}
        for a in self.applications:
            if not is_finite(a.added) and is_finite(a.g):
                op: Any = a.value.op
                place = f"in the rule for {op.argument(a.i)} of {where(a.value)}"
                return f"{backward_trouble(a, users)}, {place}"
        return ""

    def trail(self, judge: Callable[[Application, Mapping[int, str]], str]) -> str:
        """Up from the tensor, along the largest contribution, to the rule that lost the gradient;
        `judge` knows one when it sees it.
        """
        x, rules = self.tensor, 0
        while x is not self.loss:
            received = self.received[x]
            a = max(received, key=lambda a: _size(a.added))
            if cancelled_at_fan_out(received):
                sent = [f"{_size(b.added):.3g} from {where(b.value)}" for b in received[:4]]
                return (
                    f"the contributions cancel at the fan-out of {self.names[id(x)]}: "
                    f"{'; '.join(sent)}"
                )
            above = self.received.get(a.value, [])
            told = hooked(a, above) or judge(a, self.names)
            if told:
                return f"{key_bias(a, above) or told} ({where(a.value)})"
            x, rules = a.value, rules + 1
        if judge is rounding:
            return ""
        little = "no single op loses it: it shrinks little by little"
        return f"{little}, over {rules} rules (vanishing gradient)"

    def grown(self) -> str:
        """The rule that enlarged the gradient most on its path, or all of them."""
        steps: list[tuple[float, Application]] = []
        x = self.tensor
        while x is not self.loss:
            a = max(self.received[x], key=lambda a: _size(a.added))
            steps.append((_size(a.added) / max(_size(a.g), 1e-300), a))
            x = a.value
        ratio, a = max(steps, key=lambda s: s[0])
        # of the product, which need not be a float any more
        digits = sum(math.log10(r) for r, _ in steps if r > 0)
        grows = sum(r > 2 for r, _ in steps)
        if 2 * math.log10(ratio) >= digits or grows < 3:
            times = f"it enlarges the gradient {ratio:.1e} times"
            return f"{enlarged(a)} ({where(a.value)}); {times}"
        most = f"the most {where(a.value)} ({ratio:.1e} times)"
        return f"it explodes: {grows} of {len(steps)} rules on the way enlarge it, {most}"


def _size(g: Any) -> float:
    return float(np.abs(g).max(initial=0))


# --- what one rule did, in words; '' where this rule is not the one -------------------------------


def cancelled_at_fan_out(received: Sequence[Application]) -> bool:
    """Whether several contributions to one value add up to next to nothing."""
    largest = max(_size(a.added) for a in received)
    total = _size(received[-1].after)
    return len(received) > 1 and largest > 0 and total <= NEGLIGIBLE * largest


def hooked(a: Application, above: Sequence[Application]) -> str:
    """A hook that replaced the gradient by zeros."""
    if a.value.op and a.value.hooks and above and np.any(above[-1].after) and not np.any(a.g):
        return f"a hook replaced the gradient of the result of {a.value.op.name} by zeros"
    return ""


def key_bias(a: Application, above: Sequence[Application]) -> str:
    """A bias of the keys of attention: its gradient is 0 in exact arithmetic."""
    op: Any = a.value.op
    is_bias = a.axes and (op.name, a.i) in (("linear", 2), ("add", 0), ("add", 1))
    users = {(b.value.op.name, b.i) for b in above if b.value.op}
    told = (
        "it shifts all keys of attention alike, so all scores of a query change alike, and softmax "
        "does not feel that"
    )
    return told if is_bias and users == {("attention", 1)} else ""


def cancelled(a: Application) -> str:
    """A broadcast input whose gradient is a sum (over rows, for a bias), where the terms cancel; ''
    where it is not.
    """
    terms, sent = _size(a.raw), _size(a.added)
    if not a.axes or terms == 0 or sent > LOST * terms:
        return ""
    over = "the rows" if a.axes == (0,) else f"axis {', '.join(map(str, a.axes))}"
    told = f"terms up to {terms:.3g} in size add up to {sent:.3g}"
    return (
        f"the sum over {over} of its gradient {a.raw_shape} cancels: {told}, where "
        f"{a.x._data.shape} was broadcast"
    )


def lost(a: Application, names: Mapping[int, str], limit: float) -> str:
    """A rule that sent at most `limit` of what it got: 0 for nothing at all."""
    op: Any = a.value.op
    g, sent = _size(a.g), _size(a.added)
    if np.size(a.g) == 0 < np.size(a.added):
        picking = op.notes.lost is not_picked
        return explained(a, names, "0", "") if picking else "nothing of it is used"
    if g == 0 or sent > limit * g:
        return ""
    word, otherwise = "0", "every product of gradient and slope is 0"
    if limit > 0:
        word, otherwise = "next to 0", f"the slope shrinks the gradient {sent / g:.1e} times"
    return cancelled(a) or explained(a, names, word, otherwise)


zero, tiny = partial(lost, limit=0.0), partial(lost, limit=LOST)


def rounding(a: Application, names: Mapping[int, str]) -> str:
    """A rule whose terms cancel to the last digits, in an op that does not feel what the gradient
    asks for.
    """
    op: Any = a.value.op
    negligible = 0 < _size(a.added) <= NEGLIGIBLE * _size(a.g)
    return explained(a, names, "next to 0", "") if op.notes.insensitive and negligible else ""
