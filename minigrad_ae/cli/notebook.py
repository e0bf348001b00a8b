"""``minigrad-ae notebook``: write a lesson as a notebook."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..command_line import seed
from ..errors import DataError
from ..files import write_json
from .lesson import chosen, listed
from .output import writable

HELP = "write a lesson as a Jupyter notebook: 'list', a number, or 'all'"
OPTIONS = {
    "which": {"nargs": "?", "default": "list"},
    "--out": {
        "type": Path,
        "metavar": "FILE.ipynb",
        "help": "default: the lesson's name, in this folder; for 'all' a folder",
    },
    "--fast": {"action": "store_true", "help": "its short form (a setting of the first cell)"},
    "--seed": {"type": seed, "default": 0, "help": "of every random number (default 0)"},
    "--figures": {
        "metavar": "DIR",
        "default": "minigrad_ae_figures",
        "help": "where it writes figures, seen from the notebook (default %(default)s)",
    },
    "--force": {"action": "store_true", "help": "replace a file of that name"},
}


def notebook(args: argparse.Namespace, rest: list[str]) -> int:
    """Write the notebooks of one or all lessons; a file that is there is left alone."""
    from ..teaching.notebook import notebook as of_lesson

    if args.which == "list":
        return listed()
    lessons = chosen(args.which)
    folder = Path() if args.out is None else args.out
    files = [folder / f"{path.stem}.ipynb" for path in lessons]
    if args.which != "all" and args.out is not None:
        files = [args.out]
    for file in files:
        _free(file, args.force)
    for path, file in zip(lessons, files, strict=True):
        write_json(file, of_lesson(path, seed=args.seed, fast=args.fast, figures=args.figures))
        print(f"{file}   open it in Jupyter or VS Code, or upload it to a hosted service")
    return 0


def _free(file: Path, force: bool) -> None:
    """Refuse a file that cannot be written, or that may hold a reader's work."""
    if file.exists() and not force:
        raise DataError(
            "there is a file of that name, perhaps with your work in it",
            f"{file}",
            "name another one with --out, or give --force to replace it",
        )
    writable(file, "--out")
