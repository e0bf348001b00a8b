"""An argument parser that answers wrong use in three lines."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """`argparse.ArgumentParser`, whose errors say what was wrong, the usage, and where to read on; exit code 2."""

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().split())
        print(f"{self.prog}: {message}\n  {usage}\n  fix: see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)
