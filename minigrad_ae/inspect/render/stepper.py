"""The stepper: a backward pass walked by typing letters.

Plain lines in, plain lines out: it works over ssh, with a screen reader, and with its input from a
pipe.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from math import prod
from typing import TextIO

from ...errors import MinigradError
from ..record.notation import BAR
from ..record.steps import Recording, Step, sound
from .text import Screen

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
    screen = Screen(trace, ascii, width)
    stepper = _Stepper(trace, screen)
    say(f"{screen.render()}\n\n{HELP}", out)
    for line in lines:
        if line.strip() in ("q", "quit", "exit"):
            return
        say(stepper.answer(line.strip()), out)


def typed(prompt: str = "inspect> ") -> Iterator[str]:
    """The lines that are typed, until the input ends."""
    with suppress(EOFError):
        while True:
            yield input(prompt)
    print()


class _Stepper:
    """A place in a trace: step number `at` of those that were kept, 0 before the first."""

    def __init__(self, trace: Recording, screen: Screen) -> None:
        self.trace, self.screen, self.at = trace, screen, 0

    def answer(self, line: str) -> str:
        """What one command says; a mistake is answered, never raised."""
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        simple = {
            "n": self.next,
            "": self.next,
            "p": self.previous,
            "l": self.screen.render,
            "f": self.forward,
            "x": self.trouble,
            "?": lambda: HELP,
        }
        try:
            if line.startswith("/"):
                return self.search(line[1:].strip())
            if word in ("g", "w") and not rest:
                return f"{word} needs " + ("a number: g 5" if word == "g" else "a name: w W1")
            if word == "g":
                return self.jump(rest)
            if word == "w":
                return self.screen.render(param=rest)
            if word in simple and not rest:
                return simple[word]()
        except MinigradError as error:
            return str(error)
        return f"unknown command {line!r}; ? lists them"

    def show(self, at: int) -> str:
        """Go there, and say what is there."""
        self.at = at
        return self.screen.render(step=self.trace.steps[at - 1].k)

    def next(self) -> str:
        if self.at >= len(self.trace.steps):
            return "this was the last step: every leaf has its gradient (p goes back)"
        return self.show(self.at + 1)

    def previous(self) -> str:
        if self.at <= 1:
            return f"before the first step there is d{self.trace.loss}/d{self.trace.loss} = 1"
        return self.show(self.at - 1)

    def jump(self, text: str) -> str:
        if not text.lstrip("-").isdigit():
            return f"g needs a number, and {text!r} is none"
        step = self.screen.find(int(text))
        return self.show(self.trace.steps.index(step) + 1)

    def look(self, wanted: Callable[[Step], bool], otherwise: str) -> str:
        """The next step (after the last comes the first) of which `wanted` is true."""
        steps = self.trace.steps
        places = [*range(self.at, len(steps)), *range(self.at)]
        found = next((k for k in places if wanted(steps[k])), None)
        return otherwise if found is None else self.show(found + 1)

    def search(self, text: str) -> str:
        def has(step: Step) -> bool:
            to = [c.to for c in step.contributions]
            parts = [str(step.op), step.name, step.node.code or "", *to]
            return any(text.lower() in part.lower() for part in parts)

        return self.look(has, f"no step has {text!r}")

    def trouble(self) -> str:
        return self.look(lambda s: not sound(s), "no check failed, and every number is finite")

    def forward(self) -> str:
        if self.at == 0:
            return "no step yet: n takes the first"
        node = self.trace.steps[self.at - 1].node
        v = node.value
        head = "  ".join(x if isinstance(x, str) else f"{x:.4g}" for x in v["head"])
        more = " ..." if len(v["head"]) < prod(v["shape"]) else ""
        return f"{node.name} {node.shape}: first {tuple(v['head_shape'])}: {head}{more}"


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
    rest = re.sub(r"\bWRONG\b|NaN/Inf", "\x1b[1;31m\\g<0>\x1b[0m", rest)
    return f"\x1b[1m{head}\x1b[0m{newline}{rest}"
