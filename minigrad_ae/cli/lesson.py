"""``minigrad-ae lesson``: list the lessons, or run one or all of them."""

from __future__ import annotations

import argparse
import runpy
import sys
import time
from pathlib import Path

from ..errors import DataError

HELP = "run a lesson: 'list', a number, or 'all'"
OPTIONS = {"which": {"nargs": "?", "default": "list"}}


def lesson(args: argparse.Namespace, rest: list[str]) -> int:
    """List the lessons, or run one or all of them in this process."""
    from ..teaching.lesson import options

    if args.which in ("-h", "--help") or "--help" in rest or "-h" in rest:
        options("minigrad-ae lesson N|all|list").parse_args(["--help"])
    if args.which == "list":
        return listed()
    scripts = chosen(args.which)
    options(f"minigrad-ae lesson {args.which}").parse_args(rest)  # refused before any is run
    start = time.perf_counter()
    codes = {path.stem: _run(path, rest) for path in scripts}
    if len(scripts) > 1:
        failed = [name for name, code in codes.items() if code]
        verdict = f"claims fail in {', '.join(failed)}" if failed else "every claim holds"
        print(f"\n{len(scripts)} lessons in {time.perf_counter() - start:.0f} s: {verdict}")
    return max(codes.values())


def _numbers() -> dict[Path, str]:
    """The numbers of the lessons' scripts."""
    from ..teaching.lesson import lesson_files

    return {path: str(int(path.stem[:2])) for path in lesson_files()}


def listed() -> int:
    """Print the lessons; returns the exit code."""
    for path, number in _numbers().items():
        print(f"{number:>3}  {path.stem[3:].replace('_', ' '):<32} {path}")
    return 0


def chosen(which: str) -> list[Path]:
    """The scripts that a number, a name or "all" means."""
    numbers = _numbers()
    scripts = [p for p, n in numbers.items() if which in ("all", p.stem, p.stem[:2], n)]
    if not scripts:
        raise DataError(
            f"there is no lesson {which!r}",
            f"lessons: {', '.join(numbers.values()) or 'none found'}",
            "minigrad-ae lesson list shows them; 'all' runs all of them",
        )
    return scripts


def _run(path: Path, argv: list[str]) -> int:
    """Run a lesson's script in this process, as ``python path *argv`` would; returns its exit
    code.
    """
    before, sys.argv = sys.argv, [str(path), *argv]
    try:
        runpy.run_path(str(path), run_name="__main__")
    except SystemExit as stop:
        if stop.code == 2:  # wrong use ends everything
            raise
        return int(stop.code or 0)
    finally:
        sys.argv = before
    return 0
