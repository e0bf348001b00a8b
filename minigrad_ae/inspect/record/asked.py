"""Who asked for a trace, and what shows one of its steps again: a command that runs as it is
printed, or, where no script asked (at a prompt, in a notebook), a line of Python.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

PROGRAM = "python -m minigrad_ae inspect"


@dataclass(frozen=True)
class Asked:
    """A script that can be run again, and the number of the trace among those that it makes.

    number : None for the trace of the script's `loss`, which `inspect` itself makes.
    arguments : what the script was given on its command line.
    """

    script: str
    number: int | None = None
    arguments: Sequence[str] = ()

    def command(self, k: int) -> str:
        """What shows step `k`, typed in the current folder."""
        which = [] if self.number is None else ["--trace", str(self.number)]
        words = [_path(self.script), *which, "--step", str(k)]
        if self.arguments:
            words += ["--", *self.arguments]
        quoted = subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
        return f"{PROGRAM} {quoted}"


def again(asked: Asked | None, loss: str, k: int) -> str:
    """What shows step `k` of the trace of the variable `loss` again."""
    if asked is not None:
        return asked.command(k)
    return f"print(mg.trace({loss if loss.isidentifier() else 'loss'}).text(step={k}))"


def _path(script: str) -> str:
    """Relative where it is below the current folder."""
    path, here = Path(script).absolute(), Path.cwd()
    short = str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
    return f"./{short}" if short.startswith("-") else short


class _Counted:
    """How many traces the script has made that made the last one."""

    variables: Any = None  # of the script: another run of it has others
    number = 0


def asking() -> Asked | None:
    """The script that is running, if it is one that asked, now for its next trace."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") != "__main__":
        frame = frame.f_back
    if frame is None or not _is_script(frame):
        return None
    if frame.f_globals is not _Counted.variables:
        _Counted.variables, _Counted.number = frame.f_globals, 0
    _Counted.number += 1
    file = frame.f_globals["__file__"]
    own = bool(sys.argv) and os.path.abspath(sys.argv[0]) == os.path.abspath(file)
    return Asked(os.path.abspath(file), _Counted.number, tuple(sys.argv[1:]) if own else ())


def _is_script(frame: FrameType) -> bool:
    """Whether a frame runs text from a Python file that ``python FILE`` would run: not a prompt, a
    cell of a notebook, or a module run with -m.
    """
    file, code = frame.f_globals.get("__file__"), frame.f_code.co_filename
    if not isinstance(file, str) or frame.f_globals.get("__spec__") is not None:
        return False
    same = os.path.abspath(file) == os.path.abspath(code)
    return same and file.endswith(".py") and os.path.isfile(file)
