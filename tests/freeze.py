"""Writes down what must stay as it is when files move: `test_frozen.py` reads it and compares.

    python tests/freeze.py                    all that may change on purpose (not the old files)
    python tests/freeze.py names errors       some of: names help schemas errors calls bits laws
    python tests/freeze.py names stub         after adding a public op: what editors know of it, too
    python tests/freeze.py files              the old files: only where a format changes on purpose
    python tests/freeze.py --collect          which test functions have gone or shrunk; then laws
    python tests/freeze.py --against COMMIT   are the bits of all models still those of COMMIT?

The data lie in tests/frozen/.  Bits are stored under the machine that wrote them, beside those of
others.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
FROZEN = TESTS / "frozen"
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

import freeze_calls  # noqa: E402
import freeze_errors  # noqa: E402
import freeze_files  # noqa: E402
import freeze_runs  # noqa: E402
import freeze_surface  # noqa: E402


def read(part: str) -> Any:
    """What is frozen; an empty dict if nothing is yet."""
    path = FROZEN / f"{part}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(part: str, value: Any) -> None:
    FROZEN.mkdir(exist_ok=True)
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    (FROZEN / f"{part}.json").write_text(text, encoding="utf-8", newline="\n")


def bits() -> dict[str, dict[str, str]]:
    """Those of this machine, as they are now; those of others, as they are frozen."""
    return {**read("bits"), freeze_runs.machine(): dict(freeze_runs.runs())}


def laws() -> dict[str, int]:
    """{name of a test function: how many cases it has}, whatever files they are in."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--collect-only",
        "-p",
        "no:cacheprovider",
        str(TESTS),
    ]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(ROOT), capture_output=True, encoding="utf-8"
    )
    if done.returncode:
        raise RuntimeError(f"the tests cannot be collected:\n{done.stdout}{done.stderr}")
    names = re.findall(r"^\S+\.py::(?:\w+::)*(\w+)", done.stdout, re.M)
    return dict(sorted(Counter(names).items()))


# each takes a folder for scratch
PARTS: dict[str, Callable[[Path], Any]] = {
    "names": lambda folder: freeze_surface.names(read("names")),
    "help": lambda folder: freeze_surface.helps(),
    "schemas": freeze_surface.schemas,
    "errors": freeze_errors.texts,
    "calls": lambda folder: freeze_calls.calls(),
    "bits": lambda folder: bits(),
    "laws": lambda folder: laws(),
}


def difference(part: str, frozen: Any, now: Any) -> str:
    """Empty if they are equal; otherwise the lines that differ, and what to do."""
    texts = [json.dumps(each, indent=1, ensure_ascii=False).splitlines() for each in (frozen, now)]
    lines = list(difflib.unified_diff(*texts, "frozen", "now", lineterm="", n=1))
    if not lines:
        return ""
    advice = f"if this is meant: python tests/freeze.py {part}"
    return "\n".join([f"{part}: not what is frozen", *lines, advice])


def missing(frozen: dict[str, int], now: dict[str, int]) -> list[str]:
    """The laws that have gone, or have fewer cases than before."""
    return [
        f"{name}: {now.get(name, 0)} cases, {n} before"
        for name, n in frozen.items()
        if now.get(name, 0) < n
    ]


def environment(root: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(root), "PYTHONIOENCODING": "utf-8"}


def against(commit: str) -> list[str]:
    """Train at `commit` and here, by the same program, in processes of their own; the runs that
    differ.
    """
    git = ["git", "-C", str(ROOT)]
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) / "there"
        subprocess.run(
            [*git, "worktree", "add", "--quiet", "--detach", str(there), commit], check=True
        )
        try:
            old, new = _run_at(there, Path(folder)), _run_at(ROOT, Path(folder))
        finally:
            subprocess.run([*git, "worktree", "remove", "--force", str(there)], check=True)
    return [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)]


def _run_at(root: Path, folder: Path) -> dict[str, str]:
    """The bits of the package in `root`; the program is a copy, so that it cannot find another
    package beside it.
    """
    program = shutil.copy(TESTS / "freeze_runs.py", folder)
    command = [sys.executable, str(program)]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(root),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    found = json.loads(done.stdout)
    if Path(found["package"]).resolve().parent != root.resolve():
        raise RuntimeError(f"imported {found['package']}, not the package in {root}")
    return found["bits"]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--collect", action="store_true")
    parser.add_argument("--against", metavar="COMMIT")
    options = parser.parse_args()
    for part in options.parts:
        if part not in {*PARTS, "files", "stub"}:
            parser.error(f"no part is called {part}; there are {', '.join(PARTS)}, files and stub")
    if options.against:
        differ = against(options.against)
        print("\n".join([*differ, f"{len(differ)} runs differ from {options.against}"]))
        return int(bool(differ))
    if options.collect:
        print("\n".join(missing(read("laws"), laws())) or "no law has gone")
    for part in ["laws"] if options.collect else options.parts or list(PARTS):
        if part == "files":
            freeze_files.write_all(FROZEN)
            continue
        if part == "stub":
            freeze_surface.STUB.write_text(freeze_surface.stub(), encoding="utf-8", newline="\n")
            continue
        with tempfile.TemporaryDirectory() as folder:
            write(part, PARTS[part](Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
