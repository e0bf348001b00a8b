"""``minigrad-ae data``: fetch a data set that is not shipped."""

from __future__ import annotations

import argparse
from pathlib import Path

HELP = "fetch a data set that is not shipped: mnist"
OPTIONS = {
    "which": {"choices": ["mnist"]},
    "--root": {"type": Path, "metavar": "DIR", "help": "where to put it (the cache)"},
    "--mirror": {"metavar": "URL", "help": "where to get it from"},
}


def data(args: argparse.Namespace, rest: list[str]) -> int:
    """Fetch MNIST, unless it is already there."""
    from ..data.mnist_files import MIRROR, download

    for path in download(args.root, args.mirror or MIRROR):
        print(path)
    return 0
