"""Why is this gradient None, zero, tiny, huge or NaN?

`why(tensor, loss)` names the cause.  First it asks whether a gradient can arrive at all (history,
path); then it runs the backward pass apart from any ``.grad`` and looks at the gradient; and if
that is not healthy, it follows it back up to the rule where it was lost.  Where nothing is wrong
the answer is the empty string.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...autodiff import engine
from ...autodiff.graph import Value
from ...autodiff.origin import source_line, where
from ...display import is_finite
from ...errors import DtypeError
from ..record.applications import Application, demand_loss, walk
from ..record.names import caller_scopes, name_values
from . import lost

TINY, HUGE = 1e-8, 1e8  # of the largest entry, for a loss of size 1
LOST_IN_ROUNDING = 1e16  # a gradient beside which 1 does not count, whatever the loss is


def why(tensor: Value, loss: Value) -> str:
    """What makes the gradient of `tensor` None, zero, tiny, huge or NaN, with the op and line; ''
    if it is healthy.

    tensor : any tensor, leaf or computed.   loss : the scalar that backward() starts (or should
    start) from.
    """
    demand_loss(loss, "why")
    if not isinstance(tensor, Value):
        raise DtypeError(
            "why: the tensor is none", f"got a {type(tensor).__name__}", "call mg.why(tensor, loss)"
        )
    return (
        no_way(tensor, loss)
        or _Search(tensor, loss, caller_scopes(1)).answer()
        or not_kept(tensor, loss)
    )


# --- can a gradient arrive at all? ----------------------------------------------------------------


def no_way(tensor: Value, loss: Value) -> str:
    """Why no gradient can come from `loss` to `tensor`; '' if one can."""
    lost_history = _history(tensor)
    if lost_history:
        return f"the gradient is None: {lost_history}"
    if not loss.requires_grad:
        story = _history(loss) or "nothing it was computed from requires a gradient"
        return (
            f"the gradient is None: the loss has no history; {story.replace('this tensor', 'it')}"
        )
    order = engine.topological(loss)
    if any(value is tensor for value in order):
        return ""
    return (
        f"the gradient is None: no path leads from the loss to this tensor; {_cut(tensor, order)}"
    )


def _history(x: Value) -> str:
    """How a value came to have no gradient; '' if it has one."""
    if x.requires_grad:
        return ""
    if x.params and x.params["by"] == "detach":
        return f"this tensor was detached{_line(x)}"
    if x.params and x.params["by"] == "no_grad":
        return f"this tensor was computed by {x.params['op']} under no_grad{_line(x)}"
    return (
        "this tensor does not require a gradient (it was made with requires_grad=False, or "
        "from "
        "constants)"
    )


def _line(x: Value) -> str:
    found = source_line(x)
    if found is None or "contextlib" in found[0]:
        return ""
    return f" at {Path(found[0]).name}:{found[1]}" + (f": {found[2]}" if found[2] else "")


def _cut(tensor: Value, order: list[Value]) -> str:
    """Where the way was cut, by what the loss was computed from."""
    possible = ""
    for value in order:
        for k, a in enumerate(value.inputs):
            if a is tensor:
                argument = value.op.argument(k) if value.op else ""
                return f"it is only the {argument} of {where(value)}, to which no gradient flows"
            if _is_copy(a, tensor):
                return f"a copy of its numbers was used instead of the tensor, in {where(value)}"
            if isinstance(a, np.ndarray) and np.may_share_memory(a, tensor._data):
                return (
                    "its array (.data or numpy()) was used instead of the tensor, in "
                    f"{where(value)}"
                )
            lost = isinstance(a, Value) and a.op is None and not a.requires_grad and a.params
            if lost and a.params["by"] in ("detach", "no_grad"):
                source = a.params["source"]() if a.params["by"] == "detach" else None
                if source is not None and any(v is tensor for v in engine.topological(source)):
                    return f"a value computed from it was detached{_line(a)}"
                if source is None:
                    word = "detached" if a.params["by"] == "detach" else "computed under no_grad"
                    possible = possible or f"the loss uses a value that was {word}{_line(a)}"
    if tensor.op is None and tensor.changed > order[-1].serial:
        return possible or "it was given new data after the loss was computed"
    return possible or "the loss was not computed from it"


def _is_copy(a: Any, tensor: Value) -> bool:
    """Whether `a`, an array or a leaf without gradient, has the numbers of `tensor` (which differ
    among themselves).
    """
    array = a._data if isinstance(a, Value) and a.op is None and not a.requires_grad else a
    if (
        not isinstance(array, np.ndarray)
        or array.shape != tensor._data.shape
        or np.may_share_memory(array, tensor._data)
    ):
        return False
    return len(np.unique(array)) > 2 and np.array_equal(array, tensor._data)


def not_kept(tensor: Value, loss: Value) -> str:
    """A healthy gradient of which nothing is to be seen."""
    if tensor.grad is not None:
        return ""
    leaves = [v for v in engine.topological(loss) if v.op is None]
    if not any(v.grad is not None for v in leaves):
        return ""  # nobody has called backward() yet
    if tensor.op is not None and not tensor.retains_grad:
        return (
            "the gradient is None: this tensor is no leaf; call its retain_grad() before "
            "backward(), or use mg.grad"
        )
    return (
        "the gradient is None: zero_grad() was called after backward(), or this loss's "
        "backward() never"
    )


# --- what became of it? ---------------------------------------------------------------------------


@dataclass
class _Flow:
    """Everything that one value received."""

    applications: list[Application]
    total: Any


class _Search:
    """One backward pass, kept whole, and the way up from the tensor to where its gradient was
    lost.
    """

    def __init__(self, tensor: Value, loss: Value, scopes: Any) -> None:
        self.tensor, self.loss = tensor, loss
        self.flows: dict[Value, _Flow] = {}
        order = engine.topological(loss)
        self.names = name_values(order, scopes)
        self.scale = float(np.abs(loss._data).max()) if np.isfinite(loss._data).all() else 1.0
        with np.errstate(all="ignore"):
            for a in walk(loss):
                flow = self.flows.setdefault(a.x, _Flow([], None))
                flow.applications.append(a)
                flow.total = a.after

    def answer(self) -> str:
        """The cause, or ''."""
        flow = self.flows.get(self.tensor)
        if flow is None:  # the loss itself
            return ""
        g = np.asarray(flow.total)
        if g.size == 0:
            return "the gradient is empty: the tensor has no elements"
        if not is_finite(g):
            return self.not_finite(g)
        size = float(np.abs(g).max())
        if size == 0:
            return f"the gradient is zero: {self.trail(self.tensor, lost.zero)}"
        if size < TINY * min(1.0, self.scale or 1.0):
            return (
                f"the gradient is tiny (at most {size:.1e}): {self.trail(self.tensor, lost.tiny)}"
            )
        if size < TINY and (told := self.trail(self.tensor, lost.rounding, "")):
            return f"the gradient is tiny (at most {size:.1e}): {told}"
        if size > min(HUGE * max(1.0, self.scale), LOST_IN_ROUNDING):
            return f"the gradient is huge (up to {size:.1e}): {self.grown()}"
        return ""

    def not_finite(self, g: np.ndarray) -> str:
        word = "NaN" if np.isnan(g).any() else "Inf"
        back = self.made_on_the_way_back()
        for value in engine.topological(self.loss):
            if value.op is None and not is_finite(value._data):
                return f"the gradient is {word}: the data of {where(value)} are not finite"
            for a in value.inputs:
                if isinstance(a, np.ndarray) and np.isnan(a).any():
                    name = (
                        f"{self.names.get(id(a), 'an array')} {a.shape}, a constant in "
                        f"{where(value)}"
                    )
                    return f"the gradient is {word}: {name}, has NaN at {list(_bad(a))}"
            inputs = [a for a in value.arrays if a.dtype.kind == "f"]
            if (
                value.op is not None
                and not is_finite(value._data)
                and all(is_finite(a) for a in inputs)
            ):
                bad, reason = value._data[_bad(value._data)], lost.not_finite_forward(value)
                told = (
                    f"the gradient is {word}: the forward value of {where(value)} is {bad:g}: "
                    f"{reason}"
                )
                hidden = is_finite(self.loss._data) and back
                return (
                    f"{told}; the loss does not show it, but the backward pass does: {back}"
                    if hidden
                    else told
                )
        return f"the gradient is {word}: {back or 'a constant or a hook is not finite'}"

    def made_on_the_way_back(self) -> str:
        """The first rule that made NaN or Inf of a finite gradient; '' if there is none."""
        users: dict[Value, Any] = {}
        for a in self.in_order():
            users.setdefault(a.x, []).append((a.value, a.i))
        for a in self.in_order():
            if not is_finite(a.added) and is_finite(a.g) and a.value.op is not None:
                return (
                    f"{lost.not_finite(a, users)}, in the rule for {a.value.op.argument(a.i)} "
                    f"of {where(a.value)}"
                )
        return ""

    def in_order(self) -> Iterator[Application]:
        found = [a for flow in self.flows.values() for a in flow.applications]
        yield from sorted(found, key=lambda a: -a.value.serial)

    def trail(self, x: Value, judge: Any, otherwise: str | None = None) -> str:
        """Up from x, along the largest contribution, to the rule that lost the gradient; `judge`
        knows one when it sees it.
        """
        rules = 0
        while True:
            flow = self.flows[x]
            sizes = [_size(a.added) for a in flow.applications]
            if (
                len(sizes) > 1
                and max(sizes) > 0
                and _size(flow.total) <= lost.NEGLIGIBLE * max(sizes)
            ):
                lines = "; ".join(
                    f"{_size(a.added):.3g} from {where(a.value)}" for a in flow.applications[:4]
                )
                return f"the contributions cancel at the fan-out of {self.names[id(x)]}: {lines}"
            a = flow.applications[int(np.argmax(sizes))]
            above = self.flows.get(a.value, _Flow([], None))
            told = lost.hooked(a, above.total) or judge(a, self.names)
            if told:
                return f"{lost.key_bias(a, above.applications) or told} ({where(a.value)})"
            x = a.value
            rules += 1
            if x is self.loss:
                break
        if otherwise is not None:
            return otherwise
        return (
            f"no single op loses it: it shrinks little by little, over {rules} rules "
            "(vanishing "
            "gradient)"
        )

    def grown(self) -> str:
        """The rule that enlarged the gradient most on its way, or all of them."""
        steps: list[tuple[float, Application]] = []
        x: Value | None = self.tensor
        while x is not None and x in self.flows:
            a = max(self.flows[x].applications, key=lambda a: _size(a.added))
            steps.append((_size(a.added) / max(_size(a.g), 1e-300), a))
            x = a.value
        ratio, a = max(steps, key=lambda s: s[0])
        # of the product, which need not be a float any more
        digits = sum(math.log10(r) for r, _ in steps if r > 0)
        grows = sum(r > 2 for r, _ in steps)
        if 2 * math.log10(ratio) >= digits or grows < 3:
            return (
                f"{lost.large(a, ratio)} ({where(a.value)}); it enlarges the gradient "
                f"{ratio:.1e} times"
            )
        most = f"the most {where(a.value)} ({ratio:.1e} times)"
        return f"it explodes: {grows} of {len(steps)} rules on the way enlarge it, {most}"


def _size(g: Any) -> float:
    return float(np.abs(g).max(initial=0))


def _bad(x: np.ndarray) -> tuple[int, ...]:
    return tuple(int(k) for k in np.argwhere(~np.isfinite(x))[0])
