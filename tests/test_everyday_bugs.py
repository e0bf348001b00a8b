"""Programs with an everyday bug, as learners write them: the tools name it, and the line; of the
same program without the bug, and of healthy graphs of all kinds, they suspect nothing.

Each file of everyday_bugs/ begins with what is suspected.  The line that is to be named ends in
``# named``; a comment ``# right:`` is what should stand in place of the line above it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from minigrad_ae.cli import main

FOLDER = Path(__file__).parent / "everyday_bugs"
BUGS = sorted(FOLDER.glob("*.py"))
RIGHT = re.compile(r"^( *).*\n *# right: (.*)$", re.MULTILINE)


def suspicions(script: Path, capsys) -> list[str]:
    """What ``minigrad-ae inspect SCRIPT`` suspects: one command, and no change of the script."""
    assert main(["inspect", str(script), "--width", "120"]) in (
        0,
        1,
    )  # 1: a check of numbers failed
    said = capsys.readouterr().out.replace("\n    ", " ")
    return re.findall(r"^suspicion: (.*)$", said, re.MULTILINE)


def repaired(text: str) -> str:
    """A program without its bug, with as many lines."""
    return RIGHT.sub(r"\1\2\n", text)


@pytest.mark.parametrize("script", BUGS, ids=lambda path: path.stem)
def test_a_bug_is_named_with_its_line(script, capsys):
    lines = script.read_text(encoding="utf-8").splitlines()
    (number,) = [k for k, line in enumerate(lines, start=1) if line.endswith("# named")]
    what = lines[0].strip('"')
    found = suspicions(script, capsys)
    assert any(each.startswith(f"{what} ({script.name}:{number}): ") for each in found), found


@pytest.mark.parametrize("script", BUGS, ids=lambda path: path.stem)
def test_nothing_is_suspected_without_the_bug(script, tmp_path, capsys):
    text = repaired(script.read_text(encoding="utf-8"))
    assert "# right:" not in text
    path = tmp_path / script.name
    path.write_text(text, encoding="utf-8")
    assert suspicions(path, capsys) == []
