"""The stepper: a backward pass walked by typing letters.

Plain lines in, plain lines out: it works over ssh, with a screen reader, and with its input from a
pipe.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO

from ...errors import MinigradError
from ..record.notation import BAR
from ..record.steps import Recording, Step
from .text import rendered

HELP = """\
  n or Enter   next step (backward through the graph)      p   previous step
  g 5          go to step 5                                l   the table of all steps
  w NAME       all that flowed into NAME                   f   forward value of this step (its head)
  /TEXT        next step whose op, name or code has TEXT   x   next failed check or NaN
  ?            this help                                   q   quit"""


def walk_by_lines(
    trace: Recording, lines: Iterable[str], out: TextIO, ascii: bool = False, width: int = 88
) -> None:
    """Answer each command of `lines` on `out`, until 'q' or the end of the lines."""
    stepper = _Stepper(trace, ascii, width)
    say(stepper.start(), out)
    for line in lines:
        if line.strip() in ("q", "quit", "exit"):
            return
        say(stepper.answer(line.strip()), out)


def typed(prompt: str = "inspect> ") -> Iterator[str]:
    """The lines that are typed, until the input ends."""
    while True:
        try:
            yield input(prompt)
        except EOFError:
            print()
            return


class _Stepper:
    def __init__(self, trace: Recording, ascii: bool, width: int) -> None:
        self.trace, self.at = trace, 0
        self.face: dict[str, Any] = {"ascii": ascii, "width": width}

    def start(self) -> str:
        return f"{rendered(self.trace, **self.face)}\n\n{HELP}"

    @property
    def step(self) -> Step | None:
        return self.trace.steps[self.at - 1] if 0 < self.at <= len(self.trace.steps) else None

    def answer(self, line: str) -> str:
        """What one command says; a mistake is answered, never raised."""
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        try:
            if line.startswith("/"):
                return self.search(line[1:].strip())
            if word in ("g", "w") and not rest:
                return f"{word} needs " + ("a number: g 5" if word == "g" else "a name: w W1")
            if word == "g":
                return self.jump(rest)
            if word == "w":
                return rendered(self.trace, param=rest, **self.face)
            simple = {
                "n": self.next,
                "": self.next,
                "p": self.previous,
                "l": lambda: rendered(self.trace, **self.face),
                "f": self.forward,
                "x": self.trouble,
                "?": lambda: HELP,
            }
            return (
                simple[word]()
                if word in simple and not rest
                else f"unknown command {line!r}; ? lists them"
            )
        except MinigradError as error:
            return str(error)

    def show(self) -> str:
        assert self.step is not None
        return rendered(self.trace, step=self.step.k, **self.face)

    def next(self) -> str:
        if self.at >= len(self.trace.steps):
            return "this was the last step: every leaf has its gradient (p goes back)"
        self.at += 1
        return self.show()

    def previous(self) -> str:
        if self.at <= 1:
            return f"before the first step there is d{self.trace.loss}/d{self.trace.loss} = 1"
        self.at -= 1
        return self.show()

    def jump(self, text: str) -> str:
        if not text.lstrip("-").isdigit():
            return f"g needs a number, and {text!r} is none"
        shown = rendered(self.trace, step=int(text), **self.face)  # raises if there is no such step
        self.at = next(k for k, s in enumerate(self.trace.steps, start=1) if s.k == int(text))
        return shown

    def look(self, wanted: Any, words: str) -> str:
        """The next step (after the last comes the first) of which `wanted` is true."""
        steps = self.trace.steps
        for offset in range(1, len(steps) + 1):
            k = (self.at - 1 + offset) % len(steps)
            if wanted(steps[k]):
                self.at = k + 1
                return self.show()
        return words

    def search(self, text: str) -> str:
        def has(step: Step) -> bool:
            parts = [
                str(step.op),
                step.name,
                step.node.code or "",
                *(c.to for c in step.contributions),
            ]
            return any(text.lower() in part.lower() for part in parts)

        return self.look(has, f"no step has {text!r}")

    def trouble(self) -> str:
        return self.look(
            lambda s: not s.ok or not s.finite, "no check failed, and every number is finite"
        )

    def forward(self) -> str:
        if self.step is None:
            return "no step yet: n takes the first"
        v = self.step.node.value
        more = " ..." if len(v["head"]) < _size(v["shape"]) else ""
        return (
            f"{self.step.name} {tuple(v['shape'])}: first {tuple(v['head_shape'])}: "
            f"{_short(v['head'])}{more}"
        )


def _size(shape: list[int]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def _short(numbers: list[Any]) -> str:
    return "  ".join(x if isinstance(x, str) else f"{x:.4g}" for x in numbers)


# --- colour ---------------------------------------------------------------------------------------


def say(text: str, out: TextIO) -> None:
    """Print; on a terminal that wants it, failures in red."""
    print(coloured(text) if wants_colour(out) else text, file=out, flush=True)


def only_ascii(out: TextIO) -> bool:
    """Whether a screen cannot show x-bar."""
    try:
        f"x{BAR} = y{BAR} · Bᵀ²→".encode(getattr(out, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return True
    return False


def wants_colour(out: TextIO) -> bool:
    """A terminal, no NO_COLOR (https://no-color.org), and not a dumb one."""
    return (
        out.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
        and sys.platform != "win32"
    )


def coloured(text: str) -> str:
    """Trouble in bold red and the first line in bold: colour repeats what a word already says."""
    head, newline, rest = text.partition("\n")
    return (
        f"\x1b[1m{head}\x1b[0m"
        + newline
        + re.sub(r"\bWRONG\b|NaN/Inf", "\x1b[1;31m\\g<0>\x1b[0m", rest)
    )
