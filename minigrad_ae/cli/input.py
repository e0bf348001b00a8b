"""The options that say what is read of a file of data, for every command that reads one."""

from __future__ import annotations

import argparse
import sys

from ..data.columns import Table
from ..data.matrix_files import read_table
from ..errors import DataError

OPTIONS = {
    "--key": {"metavar": "NAME", "help": "of a .npz archive: the array that is meant"},
    "--drop-columns": {
        "metavar": "COLUMN",
        "nargs": "+",
        "action": "extend",
        "help": "columns to leave out, by name, or by number from 0",
    },
    "--labels": {
        "metavar": "COLUMN",
        "help": "the column of labels (no feature), by name or number; 'label' for digits, mnist "
        "and folders of pictures; or a file of labels",
    },
}


def matrix(args: argparse.Namespace) -> Table:
    """What ``--data`` names."""
    given = vars(args)
    dropped = given.get("drop_columns") or ()
    return read_table(args.data, key=given.get("key"), drop=dropped, labels=given.get("labels"))


def say(args: argparse.Namespace, table: Table) -> None:
    """Print what was decided while it was read, on standard error."""
    for note in table.notes:
        print(f"note: {args.data}: {note}", file=sys.stderr)
    if table.line and table.notes:
        print(f"note: in Python: {table.line}", file=sys.stderr)


def demand_none(args: argparse.Namespace, where: str, *names: str) -> None:
    """DataError for the first of these options that was given, where it means nothing."""
    for name in names:
        value = vars(args).get(name)
        if value is not None:
            flag = f"--{name.replace('_', '-')}"
            text = value if isinstance(value, str) else " ".join(value)
            raise DataError(f"{flag} means nothing {where}", f"{flag} {text}", f"leave out {flag}")
