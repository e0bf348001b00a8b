"""What a suspicion is, and the list of questions that may raise one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .source import Line

Answers = Iterator[tuple[str, Line | None]]  # (why it is suspected, in which line)
QUESTIONS: list[Question] = []
MOST = 3  # answers of one question that are told; more are the same again


@dataclass(frozen=True)
class Suspicion:
    """Something that is often a bug.

    Parameters
    ----------
    what : str
        What is suspected.
    line : (str, int, str) or None
        The file, the number and the text of the line in which it is; None where there is no source.
    reason : str
        Why it is suspected, in numbers.
    look : str
        What to look at, and what usually helps.

    Examples
    --------
    >>> W = mg.tensor(np.zeros((3, 2)), requires_grad=True, name="W")
    >>> (found,) = mg.suspect(mg.tanh(np.ones((4, 3)) @ W).sum())
    >>> found.what, found.reason
    ('equal start weights', 'all 2 columns of W (3, 2) are equal, and so are their gradients')
    """

    what: str
    line: Line | None
    reason: str
    look: str

    @property
    def place(self) -> str:
        """'train.py:12', or '' where there is no source."""
        return f"{Path(self.line[0]).name}:{self.line[1]}" if self.line else ""

    def __str__(self) -> str:
        place = f" ({self.place})" if self.line else ""
        return f"{self.what}{place}: {self.reason}"


@dataclass(frozen=True)
class Question:
    """A function of a `Scene`, what an answer of it means, and what to look at then."""

    what: str
    look: str
    ask: Callable[[Any], Answers]

    def answers(self, scene: Any) -> list[Suspicion]:
        """What is suspected: each line once, and only the first few."""
        found: dict[Line | None, Suspicion] = {}
        for reason, line in self.ask(scene):
            found.setdefault(line, Suspicion(self.what, line, reason, self.look))
            if len(found) == MOST:
                break
        return list(found.values())


def suspicion(what: str, look: str) -> Callable[[Callable[[Any], Answers]], Any]:
    """Register a function ``f(scene)`` that yields (reason, line) for each `what` that it sees."""

    def register(ask: Callable[[Any], Answers]) -> Any:
        QUESTIONS.append(Question(what, look, ask))
        return ask

    return register
