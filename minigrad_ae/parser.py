"""The command line's manners: wrong use is answered in three lines, and any screen can show what is printed."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn


def spell_out() -> None:
    """Let stdout and stderr write what their encoding has no character for (x-bar, on some screens) as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class Parser(argparse.ArgumentParser):
    """`argparse.ArgumentParser`, whose errors say what was wrong, the usage, and where to read on; exit code 2."""

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().split())
        print(f"{self.prog}: {message}\n  {usage}\n  fix: see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)
