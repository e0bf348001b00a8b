"""`backward_steps`: a backward pass on a tape that can be wound both ways.

Going forward runs the next rule; going back runs nothing, for what was recorded is kept.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from ...arguments import counted, span
from ...errors import DataError
from .steps import Contribution


class BackwardSteps(Generator[Contribution, None, None]):
    """A generator of contributions, one per rule application, that can be rewound.

    next(steps), for c in steps   the next rule application; at the end the leaves receive their
                                  ``.grad``, once
    steps.rewind(n)   goes back n rule applications, or to the start: the same objects come again
    steps.jump(k)     the first rule application of step k (as the table of a trace counts), in
                      either direction
    steps.gradients   {name: gradient so far} at this place; what is missing is not yet computed
    steps.position    how many rule applications lie behind
    """

    def __init__(self, running: Generator[Contribution, None, None], loss: str, total: int) -> None:
        self._running, self._loss, self.total = running, loss, total
        self._seen: list[Contribution] = []
        self.position = 0

    def send(self, value: None) -> Contribution:
        """The next contribution; StopIteration after the last."""
        if self.position == len(self._seen):
            self._seen.append(next(self._running))
        self.position += 1
        return self._seen[self.position - 1]

    def throw(self, *error: Any) -> Contribution:
        """End the walk with an exception, as `close` does: the leaves stay as they are, and what
        was seen can still be rewound to.
        """
        return self._running.throw(*error)

    def rewind(self, n: int | None = None) -> BackwardSteps:
        """Go back `n` rule applications, to the start if `n` is left out (or larger than
        what lies behind).
        """
        if n is not None and n < 0:
            raise DataError(
                "rewind goes back", f"got n={n}", "take next(steps) to go on, or steps.jump(k)"
            )
        self.position = 0 if n is None else max(0, self.position - n)
        return self

    def jump(self, k: int) -> Contribution:
        """Go to step `k` and take its first rule application, running what lies between."""
        if not 1 <= k <= self.total:
            raise DataError(
                f"step {k} does not exist",
                f"this pass has {counted(self.total, 'step')}, from {self._loss}",
                f"choose step {span(1, self.total)}",
            )
        if self.position and self._seen[self.position - 1].k >= k:
            self.rewind()
        return next(c for c in self if c.k == k)

    @property
    def gradients(self) -> dict[str, np.ndarray]:
        """What each value has received so far, by name; the loss itself starts with 1."""
        seen = self._seen[: self.position]
        start = {self._loss: seen[0].incoming} if seen else {}
        return start | {c.to: c.after for c in seen}

    def __repr__(self) -> str:
        at = f"at step {self._seen[self.position - 1].k}" if self.position else "before step 1"
        return f"<backward pass of {self._loss}, {at} of {self.total}>"
