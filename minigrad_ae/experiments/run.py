"""One run of lessons or claims: its settings, and the results that several of them share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Run:
    """One reading of the ledger: the settings, and what several claims share (a trained model is
    trained once).
    """

    def __init__(
        self, fast: bool = False, full: bool = False, seed: int = 0, starts: int | None = None
    ) -> None:
        self.fast, self.full, self.seed = fast, full, seed
        # random starts where a claim is about all of them
        self.starts = starts or (2 if fast else 20)
        self._shared: dict[Any, Any] = {}

    def shared(self, make: Callable[..., Any], *key: Any) -> Any:
        """``make(run, *key)``, computed once in this run."""
        name = (make.__module__, make.__qualname__, *key)
        if name not in self._shared:
            self._shared[name] = make(self, *key)
        return self._shared[name]


def generator(run: Run, *key: int) -> np.random.Generator:
    """A generator for one purpose, which has the number `key`."""
    return np.random.default_rng([run.seed, *key])


def mean_and_error(values: Any) -> tuple[float, float]:
    """(mean, its standard error)."""
    values = np.asarray(values)
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
