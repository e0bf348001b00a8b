"""What every command line shares, also that of a lesson: how words are parsed, what is said where
they are wrong, and how the output ends.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import NoReturn


def spell_out() -> None:
    """Let stdout and stderr write what their encoding has no character for (x-bar, on some screens)
    as an escape.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def end_with_the_reader(script: str) -> None:
    """Let a script whose output nobody reads any more (``| head -1``) end at once and in silence,
    as Unix programs do.

    Only where this process was started to run `script`, a file's stem: in any other one it would
    end whoever writes into a connection that was closed.
    """
    ours = any(Path(word).stem == script for word in sys.orig_argv[1:])
    first = threading.current_thread() is threading.main_thread()
    if ours and first and hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def seed(text: str) -> int:
    """The type of ``--seed``: a whole number, at least 0, as NumPy's generators take it."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"a seed is a whole number, at least 0, not {text!r}")
    return number


class Parser(argparse.ArgumentParser):
    """`argparse.ArgumentParser`, whose errors say what was wrong, the usage, and where to read on;
    exit code 2.
    """

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().split())
        self.exit(2, f"{self.prog}: {message}\n  {usage}\n  fix: see {self.prog} --help\n")
