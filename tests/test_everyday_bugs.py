"""Programs with an everyday bug, as learners write them: the tools name it, and the line; of the
same program without the bug, and of healthy graphs of all kinds, they suspect nothing.

Each file of everyday_bugs/ begins with what is suspected.  The line that is to be named ends in
``# named``; a comment ``# right:`` is what should stand in place of the line above it.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from helpers import nonfinite_numbers
from random_graphs import GRAPHS as RANDOM
from random_graphs import random_graph
from zoo import MODELS, every_graph, make, model_and_loss

import minigrad_ae as mg
from minigrad_ae.cli import main
from minigrad_ae.errors import DtypeError

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


@nonfinite_numbers
@every_graph
def test_nothing_is_suspected_of_the_zoo(name, dtype):
    assert list(mg.suspect(make(name, dtype))) == []


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("optimizer", [mg.optim.Adam, mg.optim.SGD])
def test_nothing_is_suspected_of_a_model(name, optimizer):
    model, loss = model_and_loss(name)
    steps = optimizer(model.parameters(), lr=1e-3)
    assert list(mg.suspect(loss, model=model, optimizer=steps)) == []


def test_nothing_is_suspected_of_random_graphs():
    assert [k for k in range(RANDOM) if len(mg.suspect(random_graph(k)))] == []


def test_the_trace_and_its_page_list_what_is_suspected(tmp_path):
    w = mg.tensor(np.ones((2, 1)), requires_grad=True, name="w")
    x, y = np.arange(8.0).reshape(4, 2), np.zeros(4)
    t = mg.trace(((x @ w - y) ** 2).mean())
    t.html(tmp_path / "page.html")
    (found,) = t.suspicions
    assert found.startswith("both operands stretched")
    assert "suspicion: both operands stretched" in t.text()
    assert found in (tmp_path / "page.html").read_text(encoding="utf-8").split("<nav")[0]


def test_wrong_arguments_are_refused_in_three_lines():
    x = mg.tensor([1.0], requires_grad=True)
    for wrong in ({"loss": 3.0}, {"loss": (x * x).sum(), "model": 3}, {"loss": x, "optimizer": []}):
        with pytest.raises(DtypeError) as error:
            mg.suspect(**wrong)
        assert len(str(error.value).splitlines()) == 3
