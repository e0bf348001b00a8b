"""One backward pass, one rule at a time: what trace, stepper and emitter are made of.

`walk` does what `engine.backpropagate` does, with the same functions in the same order, and hands
out every rule application as it happens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...autodiff import engine
from ...autodiff.graph import Value
from ...autodiff.origin import where
from ...autodiff.staleness import refuse_changed
from ...errors import DtypeError, GradientError


@dataclass(frozen=True)
class Application:
    """The rule for input number `i` of `value`, applied to the incoming gradient `g`.

    It returned `raw`; summed over `axes` (un-broadcasting) and cast this is `added`, the
    contribution to input `x`: number `nth` of `of`, which took x's gradient to `after`.
    """

    value: Value
    i: int
    x: Value
    g: Any
    raw: Any
    added: Any
    after: Any
    nth: int
    of: int

    @property
    def raw_shape(self) -> tuple[int, ...]:
        """The shape of what the rule returned."""
        return self.raw.shape

    @property
    def axes(self) -> tuple[int, ...]:
        """The axes that un-broadcasting adds up."""
        return engine.summed_axes(self.raw_shape, self.x._data.shape)


def demand_loss(loss: Any, who: str) -> None:
    """DtypeError unless `loss` is a tensor, GradientError unless it has one element; `who` asks."""
    if not isinstance(loss, Value):
        raise DtypeError(
            f"{who}: the loss is not a tensor",
            f"got a {type(loss).__name__}",
            f"give mg.{who} a scalar tensor",
        )
    if loss._data.size != 1:
        raise GradientError(
            f"{who}: the loss is not a scalar",
            f"shape {loss._data.shape}, from {where(loss)}",
            "reduce it first, for example by loss = loss.sum()",
        )


def walk(loss: Value, kept: dict[Value, Any] | None = None) -> Iterator[Application]:
    """Run the backward pass of `loss`, one rule application at a time.

    At the end the gradients of leaves, and of values that retain theirs, are in `kept`.
    """
    if not loss.requires_grad:
        raise GradientError(
            "there is no backward pass to look at: nothing here requires a gradient",
            f"shape {loss._data.shape}, from {where(loss)}",
            "create a leaf with requires_grad=True, and do not compute under no_grad() or from "
            ".data",
        )
    order = engine.topological(loss)
    refuse_changed(order)
    uses = Counter(x for value in order for _, x in value.edges)
    heard: Counter[Value] = Counter()
    grads = {} if kept is None else kept
    grads[loss] = engine.seed_for(loss, None)
    for value in reversed(order):
        if value.hooks:
            grads[value] = engine.run_hooks(value, grads[value])
        g = grads[value]
        for i, x in value.edges:
            # what is not finite is recorded, and said with its place
            with np.errstate(all="ignore"):
                raw = engine.apply_rule(value, i, g)
                added = engine.fit(raw, value, i)
                before = grads.get(x)
                grads[x] = added if before is None else engine.add(before, added)
            heard[x] += 1
            yield Application(value, i, x, g, raw, added, grads[x], heard[x], uses[x])
        if value.op is not None and not value.retains_grad:
            del grads[value]
