"""How far a training is: a bar on a terminal, and at most ten lines where the output goes to a
file.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

MANY = 8  # items, from which on `counted_off` shows a bar
LINES = 10  # at most, in one run that is not watched on a terminal


def counted_off(items: range, what: str, unit: str) -> Iterable[int]:
    """The items, one by one, with a bar on a terminal where there are many."""
    if len(items) < MANY:
        return items
    from tqdm import tqdm

    return tqdm(items, what, unit=f" {unit}", leave=False, disable=None)


class Progress:
    """What a training reports to.  This one says nothing; others show it."""

    def step(self) -> None:
        """One step is done."""

    def epoch(self, epoch: int, loss: float) -> None:
        """An epoch is done: its number, from 1, and its loss."""


class Lines(Progress):
    """Some of the epochs, one line each: the last one always, the others evenly spaced."""

    def __init__(self, epochs: int, done: int) -> None:
        self.epochs, self.start = epochs, time.perf_counter()
        lines = min(epochs - done, LINES)
        self.wanted = {done + round((epochs - done) * k / lines) for k in range(1, lines + 1)}

    def epoch(self, epoch: int, loss: float) -> None:
        if epoch in self.wanted:
            print(
                f"epoch {epoch} of {self.epochs}: loss {loss:.6g} per datum, "
                f"{time.perf_counter() - self.start:.1f} s",
                file=sys.stderr,
                flush=True,
            )


class Bar(Progress):
    """A bar that counts steps."""

    def __init__(self, epochs: int, done: int, steps: int) -> None:
        from tqdm import tqdm

        self.epochs = epochs
        self.bar = tqdm(total=epochs * steps, initial=done * steps, unit=" steps", leave=False)
        self.bar.set_description(f"epoch {done + 1}/{epochs}")

    def step(self) -> None:
        self.bar.update()

    def epoch(self, epoch: int, loss: float) -> None:
        self.bar.set_description(
            f"epoch {min(epoch + 1, self.epochs)}/{self.epochs}", refresh=False
        )
        self.bar.set_postfix(loss=f"{loss:.6g}")


@contextmanager
def progress_of(epochs: int, done: int, steps: int, wanted: bool) -> Iterator[Progress]:
    """The progress of a training of `epochs` epochs with `steps` steps each, of which `done` are
    done already.
    """
    if not wanted or done >= epochs:
        yield Progress()
    elif not sys.stderr.isatty():
        yield Lines(epochs, done)
    else:
        bar = Bar(epochs, done, steps)
        try:
            yield bar
        finally:
            bar.bar.close()
