"""The exercises: where they are, copies of their blanks, a check in a process of its own, and what
a learner has done.

``lessons/exercises/NN_name.py`` is a blank, ``lessons/exercises/judges/NN_name.py`` its judge,
``lessons/solutions/NN_name.py`` a solution.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import DataError, FileError
from ..files import write_json, write_whole
from ..locks import alone_in
from .judge import Verdict, load
from .lesson import lessons_folder

PROGRESS = "minigrad_ae_exercises.json"  # in the learner's folder
SECONDS = 10.0  # that an answer may take; the solutions take less than one
START_UP = 60.0  # seconds for Python and the package, on a slow disk


def blanks() -> list[Path]:
    """The blanks of all exercises, in order."""
    return sorted((lessons_folder() / "exercises").glob("[0-9][0-9]_*.py"))


def find(which: str) -> Path:
    """The blank that a number, a name or a learner's file means."""
    number = re.match(r"\d+", Path(which).name)
    for blank in blanks():
        if number and int(number.group()) == int(blank.stem[:2]):
            return blank
    raise DataError(
        f"there is no exercise {which!r}",
        f"exercises: 1 to {len(blanks())}; a file's name begins with the number of its exercise",
        "minigrad-ae exercise list shows them",
    )


def judge_of(blank: Path) -> Path:
    """The judge of an exercise."""
    return blank.parent / "judges" / blank.name


def title(blank: Path) -> str:
    """The first line of an exercise's text."""
    text = ast.get_docstring(ast.parse(blank.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0]


def solution(blank: Path) -> str:
    """The text of a solution; FileError where a class has been given none."""
    path = blank.parent.parent / "solutions" / blank.name
    if not path.is_file():
        raise FileError(
            "this copy has no solutions",
            f"{path}",
            "ask your teacher; minigrad-ae exercise hint gives hints",
        )
    return path.read_text(encoding="utf-8")


def hints(blank: Path) -> tuple[str, ...]:
    """What an exercise's judge says to those who ask, one after the other."""
    given: tuple[str, ...] = load(judge_of(blank), "judge_of_the_exercise").HINTS
    return given


def mine(name: str, file: str) -> ModuleType:
    """The learner's earlier exercise `name`, from the folder of `file`: what a track stands on.

    FileError if it is not there.
    """
    path = Path(file).with_name(f"{name}.py")
    if not path.is_file():
        raise FileError(
            f"this exercise stands on exercise {int(name[:2])}, which is not in this folder",
            f"no file {path}",
            f"minigrad-ae exercise start {int(name[:2])} copies its blank; write it first",
        )
    return load(path, name)


def start(blank: Path, folder: Path) -> Path:
    """Copy a blank into the learner's folder; a file that is there is left alone."""
    target = folder / blank.name
    if target.exists():
        raise DataError(
            "there is a file of that name, perhaps with your work in it",
            f"{target}",
            "check it as it is; to begin again, rename it first or name another --folder",
        )
    folder.mkdir(parents=True, exist_ok=True)
    text = blank.read_bytes()
    return write_whole(target, lambda file: file.write(text))


def check(file: Path, blank: Path, seconds: float = SECONDS) -> Verdict:
    """Judge a learner's file in a process of its own, which ends after so many seconds."""
    if not file.is_file():
        raise FileError(
            "there is no such file to check",
            f"{file}",
            f"minigrad-ae exercise start {int(blank.stem[:2])} copies the blank to this place",
        )
    file = file.resolve()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "verdict.json"
        _run_judge([file, judge_of(blank), report, seconds], seconds, folder)
        if report.is_file():
            return Verdict(**json.loads(report.read_text(encoding="utf-8")))
        stack = Path(f"{report}.stack")
        left = stack.read_text(encoding="utf-8") if stack.is_file() else ""
    if "Timeout" in left:
        return Verdict(False, f"it did not end within {seconds:g} s", _line_in(left, file))
    return Verdict(False, "it ended Python itself, before the judge could say anything")


def _run_judge(arguments: list[Any], seconds: float, folder: str) -> None:
    """The judge's process: begun in an empty folder, with this package, silent, without input."""
    here = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-B", "-m", "minigrad_ae.teaching.judge", *map(str, arguments)]
    try:
        subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=seconds + START_UP,
            check=False,
        )
    except subprocess.TimeoutExpired:  # it has switched off its own alarm
        return


def _line_in(stack: str, file: Path) -> int | None:
    """The line of a file in a stack that faulthandler wrote, innermost call first."""
    name = str(file).encode("ascii", "backslashreplace").decode("ascii")
    found = re.search(rf'File "{re.escape(name)}", line (\d+)', stack)
    return int(found.group(1)) if found else None


UNTRIED: dict[str, Any] = {"passed": False, "tries": 0, "hints": 0}


def progress(folder: Path) -> dict[str, dict[str, Any]]:
    """What has been done in a folder: {exercise: {"passed", "tries", "hints"}}.

    A record that cannot be read is set aside (`set_aside` says where), and a new one begun.
    """
    return _read(folder / PROGRESS) or {}


def _read(path: Path) -> dict[str, dict[str, Any]] | None:
    """The record; {} if there is none yet, None if it cannot be read."""
    if not path.is_file():
        return {}
    try:
        done = json.loads(path.read_text(encoding="utf-8"))
        done = {name: {**UNTRIED, **entry} for name, entry in done.items()}
        for entry in done.values():
            counts = entry["tries"], entry["hints"]
            if type(entry["passed"]) is not bool or {type(count) for count in counts} != {int}:
                return None
    except (ValueError, AttributeError, TypeError, RecursionError):
        return None
    return done


def set_aside(folder: Path) -> Path | None:
    """Rename a record that cannot be read; its new name, or None where all is well."""
    path = folder / PROGRESS
    if _read(path) is not None:
        return None
    return path.replace(path.with_suffix(".damaged.json"))


def record(folder: Path, blank: Path, passed: bool = False, tries: int = 0, hints: int = 0) -> None:
    """Add tries and hints to what has been done; an exercise that was passed once stays passed."""
    with _alone(folder):
        set_aside(folder)
        done = progress(folder)
        entry = done.get(blank.stem, UNTRIED)
        added = {
            "passed": entry["passed"] or passed,
            "tries": entry["tries"] + tries,
            "hints": entry["hints"] + hints,
        }
        write_json(folder / PROGRESS, {**done, blank.stem: added})


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let no other check write the record meanwhile.  Where another run holds the folder for longer
    than a few seconds (a training does), it is written all the same.
    """
    with ExitStack() as stack:
        for _ in range(50):
            try:
                stack.enter_context(alone_in(folder))
                break
            except FileError:
                time.sleep(0.1)
        yield
