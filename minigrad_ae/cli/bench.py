"""``minigrad-ae bench``: measure this processor, in a checkout.

What is measured, and where it is kept, says `benchmarks/run_all.py` of a checkout, which is not
part of the installed package.
"""

from __future__ import annotations

import argparse
import runpy
from pathlib import Path

from ..errors import DataError
from .output import writable

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
HELP = "time the kernels and training steps against other libraries (in a checkout)"
OPTIONS = {
    "--full": {
        "action": "store_true",
        "help": "also two threads, matrix products and single kernels (minutes)",
    },
    "--json": {"type": Path, "metavar": "FILE", "help": "also write everything measured as JSON"},
}


def bench(args: argparse.Namespace, rest: list[str]) -> int:
    """Run the checkout's benchmarks and keep what they found; 1 if one of them failed."""
    writable(args.json)
    script = FOLDER / "run_all.py"
    if not script.is_file():
        raise DataError(
            "the benchmarks are not here",
            f"{FOLDER} is missing: they belong to a checkout, not to the installed package",
            "clone the repository and run `python -m minigrad_ae bench` inside it",
        )
    return int(runpy.run_path(str(script))["make"](args.full, args.json))
