"""``minigrad-ae data``: fetch a data set that is not shipped."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> None:
    """The command and its options."""
    p = commands.add_parser("data", help="fetch a data set that is not shipped: mnist")
    p.add_argument("which", choices=["mnist"])
    p.add_argument("--root", type=Path, metavar="DIR", help="where to put it (the cache)")
    p.add_argument("--mirror", metavar="URL", help="where to get it from")
    p.set_defaults(handler=data)


def data(args: argparse.Namespace, rest: list[str]) -> int:
    """Fetch MNIST, unless it is already there."""
    from ..data.mnist_files import MIRROR, download

    for path in download(args.root, args.mirror or MIRROR):
        print(path)
    return 0
