"""``minigrad-ae exercise``: blanks to fill, a judge for what was written, hints and solutions."""

from __future__ import annotations

import argparse
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from ..arguments import counted
from ..errors import DataError

if TYPE_CHECKING:
    from ..teaching.judge import Verdict

HELP = "exercises with a judge: list, start, check, hint, solution"
OPTIONS = {
    "action": {"choices": ("list", "start", "check", "hint", "solution"), "nargs": "?"},
    "which": {"nargs": "?", "help": "a number, or the FILE to check; 'all' to start all"},
    "--folder": {
        "type": Path,
        "default": Path(),
        "metavar": "DIR",
        "help": "where your files are (default: this folder)",
    },
}
WIDTH = 88
COPIES = ("start", "copies a blank into your folder")


def exercise(args: argparse.Namespace, rest: list[str]) -> int:
    """List, start, check: exit code 1 where the answer is not right yet."""
    from ..teaching import exercises

    _mend(args.folder)
    if args.action in (None, "list"):
        return _list(args.folder)
    if args.which is None:
        raise DataError(
            f"'exercise {args.action}' needs an exercise",
            f"exercises: 1 to {len(exercises.blanks())}",
            f"minigrad-ae exercise {args.action} 1",
        )
    if args.action == "start":
        return _start(args.which, args.folder)
    if args.action == "check":
        return _check(args.which, args.folder)
    blank = exercises.find(args.which)
    if args.action == "hint":
        return _hint(blank, args.folder)
    print(exercises.solution(blank), end="")
    return 0


def _mend(folder: Path) -> None:
    """Set a damaged record aside, and say so."""
    from ..teaching import exercises

    if (damaged := exercises.set_aside(folder)) is not None:
        print(f"The record of your exercises was damaged, and is now {damaged.name}.")
        print("A new one begins; your answers are in files of their own, and as they were.\n")


def _list(folder: Path) -> int:
    """Print the exercises, with what has been done in a folder."""
    from ..teaching import exercises

    done = exercises.progress(folder)
    for blank in exercises.blanks():
        entry = done.get(blank.stem, exercises.UNTRIED)
        state = "right" if entry["passed"] else counted(entry["tries"], "try", "tries")
        state = state if entry["passed"] or entry["tries"] else ""
        print(f"{int(blank.stem[:2]):>3}  {state:<8} {exercises.title(blank)}")
    for blank in exercises.blanks():
        if not done.get(blank.stem, exercises.UNTRIED)["passed"]:
            verb, what = ("check", "judges your file") if (folder / blank.name).exists() else COPIES
            print(f"\nNext: minigrad-ae exercise {verb} {int(blank.stem[:2])} {what}.")
            break
    return 0


def _start(which: str, folder: Path) -> int:
    """Copy a blank, or all: a handout without solutions."""
    from ..teaching import exercises

    chosen = exercises.blanks() if which == "all" else [exercises.find(which)]
    for blank in chosen:
        if which == "all" and (folder / blank.name).exists():
            print(f"{folder / blank.name}   is there already, and stays as it is")
        else:
            print(f"{exercises.start(blank, folder)}   {exercises.title(blank)}")
    print("Open it in an editor; its first lines say what to do.  Then:")
    print(f"minigrad-ae exercise check {folder / chosen[0].name}")
    return 0


def _check(which: str, folder: Path) -> int:
    """Judge a learner's file, and say what to do next."""
    from ..teaching import exercises

    blank = exercises.find(which)
    file = Path(which) if Path(which).suffix else folder / blank.name
    folder = file.parent
    _mend(folder)
    found = exercises.check(file, blank)
    _printed(found.printed)
    _verdict(found, file, int(blank.stem[:2]))
    exercises.record(folder, blank, passed=found.passed, tries=1)
    return 0 if found.passed else 1


def _verdict(found: Verdict, file: Path, number: int) -> None:
    """Say whether an answer is right, and what to do next."""
    if found.passed:
        print(f"{file.name}: right, in every case of the judge.")
        print(_next(number, file.parent))
        return
    print(f"{file.name}: not yet")
    line = "" if found.line is None else f"line {found.line}: "
    for part in (line + found.said).splitlines():
        print(fill(part.strip(), WIDTH, initial_indent="  ", subsequent_indent="  "))
    print(f"Change the file and check again.  A hint: minigrad-ae exercise hint {number}")


def _printed(text: str, most: int = 12) -> None:
    """What an answer printed, or the beginning of it."""
    lines = text.splitlines()
    for line in lines[:most]:
        print(f"  | {line[:WIDTH]}")
    if len(lines) > most:
        print(f"  | ... ({len(lines) - most} more lines)")


def _next(number: int, folder: Path) -> str:
    """What to do after an exercise that is right."""
    from ..teaching import exercises

    compare = f"Compare: minigrad-ae exercise solution {number}"
    if number == len(exercises.blanks()):
        return f"{compare}.  It was the last one."
    following = exercises.find(str(number + 1)).name
    if (folder / following).exists():
        return f"{compare}.  Next: {following}"
    return f"{compare}.  Next: minigrad-ae exercise start {number + 1}"


def _hint(blank: Path, folder: Path) -> int:
    """The next hint; after the last, all of them again."""
    from ..teaching import exercises

    hints = exercises.hints(blank)
    seen = exercises.progress(folder).get(blank.stem, exercises.UNTRIED)["hints"]
    shown = min(seen + 1, len(hints))
    for k, hint in enumerate(hints[:shown], 1):
        print(fill(f"{k} of {len(hints)}: {hint}", WIDTH, subsequent_indent="  "))
    exercises.record(folder, blank, hints=shown - seen)
    return 0
