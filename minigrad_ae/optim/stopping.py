"""Where a minimisation is, and whether it still gets anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RESOLUTION = 4  # units in the last place of the loss that are told from chance in a row of points
PATIENCE = 10  # iterations without progress before a minimisation is said to stand still


@dataclass(frozen=True)
class Point:
    """Where the minimisation is: all parameters in a row (float64), the loss and its gradient
    there.
    """

    x: np.ndarray
    loss: float
    gradient: np.ndarray

    @property
    def steepness(self) -> float:
        """The largest entry of the gradient, in size."""
        return float(np.abs(self.gradient).max(initial=0.0))


class Watch:
    """Sees when nothing gets better any more: neither the loss, beyond its rounding, nor the
    gradient, by half.
    """

    def __init__(self, start: Point, loss_tolerance: float) -> None:
        self.mark = self.best = start
        self.idle, self.loss_tolerance = 0, loss_tolerance

    def stalled(self, here: Point, ulp: float) -> bool:
        """Whether PATIENCE points in a row brought nothing.  ``best`` is the flattest of the points
        that are lowest.

        ulp : a unit in the last place of the loss.
        """
        noise = RESOLUTION * ulp
        level = here.loss <= self.best.loss + noise and here.steepness <= self.best.steepness
        if level or here.loss < self.best.loss - noise:
            self.best = here
        lower = here.loss < self.mark.loss - max(noise, self.loss_tolerance * abs(here.loss))
        flatter = not self.loss_tolerance and here.steepness < 0.5 * self.mark.steepness
        self.idle = 0 if lower or flatter else self.idle + 1
        if self.idle == 0:
            self.mark = here
        return self.idle >= PATIENCE
