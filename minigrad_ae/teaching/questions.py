"""Questions to answer before a lesson's cells run, with sealed answers.

A lesson's file in ``lessons/sealed`` holds, under each key, the question as it is and the answer in
base64, so that nobody reads it by accident.  To write one, or to change it::

    python -m minigrad_ae.teaching.questions open lessons/sealed/02_linear_autoencoder.json > q.json
    python -m minigrad_ae.teaching.questions seal lessons/sealed/02_linear_autoencoder.json < q.json
"""

from __future__ import annotations

import base64
import json
import sys
import textwrap
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import write_text

WIDTH = 88


def sealed(text: str) -> str:
    """An answer as it stands in the file."""
    return base64.b64encode(text.encode()).decode("ascii")


def opened(text: str) -> str:
    """The answer that `sealed` made this of."""
    return base64.b64decode(text).decode()


def read(path: Path) -> dict[str, dict[str, str]]:
    """``{key: {"question": ..., "answer": ...}}`` of a lesson's sealed file, answers opened."""
    entries = json.loads(path.read_text(encoding="utf-8"))
    return {key: {**entry, "answer": opened(entry["answer"])} for key, entry in entries.items()}


def write(path: Path, entries: dict[str, dict[str, str]]) -> None:
    """Write a lesson's sealed file from what `read` returns."""
    closed = {key: {**entry, "answer": sealed(entry["answer"])} for key, entry in entries.items()}
    write_text(path, json.dumps(closed, indent=1, ensure_ascii=False) + "\n")


class Questions:
    """The questions of one run of a lesson, what the reader said to them, and the answers.

    Parameters
    ----------
    path : Path
        The lesson's sealed file.
    ask : bool
        Whether to wait for the reader's answer in a terminal.
    """

    def __init__(self, path: Path, ask: bool) -> None:
        self.entries = read(path) if path.is_file() else {}
        self.ask = ask
        self.said: dict[str, str] = {}  # in the order in which they were asked
        self.numbers: dict[str, Any] = {}  # of this run

    def predict(self, key: str, guess: str) -> None:
        """Print a question; in a quiz, wait for what the reader says."""
        if key not in self.entries:
            raise DataError(
                f"this lesson has no question {key!r}",
                f"its questions: {', '.join(self.entries) or 'none'}",
                "name one of them, or seal a new one: minigrad_ae.teaching.questions tells how",
            )
        print(wrapped("? ", self.entries[key]["question"]))
        self.said[key] = guess or (_typed() if self.ask else "")
        if self.said[key]:
            print(f"    noted: {self.said[key]}")

    def reveal(self, numbers: dict[str, Any], *keys: str) -> None:
        """Print each question that was asked (or these of them), what the reader said, and the
        answer, with this run's numbers in it.
        """
        self.numbers |= numbers  # a cell of a notebook may ask once more
        for key in keys or tuple(self.said):
            entry, guess = self.entries[key], self.said.pop(key, "")
            print(wrapped("? ", entry["question"]))
            if guess:
                print(wrapped("  you said: ", guess))
            print(wrapped("  answer:   ", entry["answer"].format(**self.numbers)))


def _typed() -> str:
    """A line from the terminal; nothing if it has ended."""
    try:
        return input("    your answer: ").strip()
    except EOFError:
        return ""


def wrapped(label: str, text: str) -> str:
    """A paragraph behind a label, its lines below each other."""
    first = "  " + label
    return textwrap.fill(text, WIDTH, initial_indent=first, subsequent_indent=" " * len(first))


def main(argv: list[str]) -> int:
    """``open FILE``: the file with readable answers, as JSON; ``seal FILE``: the other way."""
    if len(argv) != 2 or argv[0] not in ("open", "seal"):
        print(__doc__, file=sys.stderr)
        return 2
    path = Path(argv[1])
    if argv[0] == "open":
        print(json.dumps(read(path), indent=1, ensure_ascii=False))
    else:
        write(path, json.load(sys.stdin))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
