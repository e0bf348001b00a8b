"""``minigrad-ae data``: fetch a data set that is not shipped, or say what is read of a file."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import input

HELP = "fetch mnist, fashion-mnist or kmnist, or say what is read of a file"
OPTIONS = {
    "data": {
        "metavar": "DATA",
        "help": "mnist, fashion-mnist or kmnist to fetch it; or a file, to see what is read",
    },
    "--root": {"type": Path, "metavar": "DIR", "help": "where to put it (the cache)"},
    "--mirror": {"metavar": "URL", "help": "where to get it from"},
    **input.OPTIONS,
}
SHOWN = 12  # names of columns


def data(args: argparse.Namespace, rest: list[str]) -> int:
    """Fetch a data set, unless it is already there; or describe the matrix in a file."""
    from ..data.mnist_files import SETS, download

    if args.data in SETS:
        where = "where a data set is fetched"
        input.demand_none(args, where, "key", "drop_columns", "labels")
        for path in download(args.root, args.mirror or "", args.data):
            print(path)
        return 0
    table = input.matrix(args)
    input.say(args, table)
    rows, columns = table.X.shape
    print(f"{args.data}: {rows} x {columns}, {table.X.dtype}")
    if table.names != [str(k) for k in range(columns)]:
        more = f" and {columns - SHOWN} more" if columns > SHOWN else ""
        print(f"columns: {', '.join(table.names[:SHOWN])}{more}")
    if table.labels is not None:
        kinds = len(set(table.labels.tolist()))
        print(f"labels: {kinds} different, the first is {table.labels[0]}")
    return 0
