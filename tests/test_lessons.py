"""Each lesson runs as a script in its short form, writes its figures where it should, and keeps the
skeleton.
"""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from matplotlib.figure import Figure

from minigrad_ae.claims import Run
from minigrad_ae.errors import DataError
from minigrad_ae.teaching import recap
from minigrad_ae.teaching.lesson import (
    Lesson,
    in_notebook,
    lesson_files,
    lessons_folder,
    plain,
    seen,
)

LESSONS = lesson_files()
EXTRAS = sorted(lessons_folder().glob("extra_*.py"))
ROOT = lessons_folder().parent
SKELETON = [
    "Lesson",  # the title, with the goal
    "Settings",
    "Data",
    "Predict",
    "Words",
    "Build",
    "Inspect",
    "Verify",
    "Break it",
    "Exercises",
    "Answers",
    "Recap",
    "What you can do now",
]
ANYWHERE = ["Build", "Train", "Inspect"], ["Build", "Look", "Inspect"]  # in turns


@pytest.fixture(autouse=True)
def plain_figures():
    """A lesson sets the style of its own figures: here it does not outlive the test."""
    with matplotlib.rc_context():
        yield


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_short_form(path, tmp_path):
    before = {p.name: p.stat().st_mtime for p in (ROOT / "figures").glob("*")}
    command = [sys.executable, str(path), "--fast"]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=tmp_path, timeout=300, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "FAIL" not in done.stdout
    assert "Warning" not in done.stderr
    figures = sorted((tmp_path / "minigrad_ae_figures").glob("*.png"))
    assert figures
    for figure in figures:
        assert figure.name.startswith(path.stem[:2])
        pixels = matplotlib.image.imread(figure)
        assert min(pixels.shape[:2]) > 150
        assert np.ptp(pixels[..., :3]) > 0.5  # not blank
        json.loads(figure.with_suffix(".json").read_text(encoding="utf-8"))
    assert {p.name: p.stat().st_mtime for p in (ROOT / "figures").glob("*")} == before


@pytest.mark.parametrize("path", EXTRAS, ids=lambda p: p.stem)
def test_an_extra_runs_and_draws(path, tmp_path):
    command = [sys.executable, str(path), "--fast", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stderr
    (figure,) = (tmp_path / "out").glob("*.png")
    assert matplotlib.image.imread(figure).std() > 0.05
    json.loads(figure.with_suffix(".json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_committed_figures_are_those_of_the_lesson(path):
    named = set(re.findall(r'lesson\.figure\(\s*"(\w+)"', path.read_text(encoding="utf-8")))
    committed = {p.stem[3:] for p in (ROOT / "figures").glob(f"{path.stem[:2]}_*.png")}
    assert named == committed
    for figure in (ROOT / "figures").glob(f"{path.stem[:2]}_*.png"):
        assert figure.with_suffix(".json").is_file()
        assert figure.stat().st_size < 1_000_000


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_the_skeleton_is_kept(path):
    text = path.read_text(encoding="utf-8")
    cells = re.findall(r"^# %% (?:\[markdown\]\n# #+ )?([A-Z][\w ]*)", text, re.M)
    for wanted in (SKELETON, *ANYWHERE):
        first = [
            next(k for k, cell in enumerate(cells) if cell.startswith(name)) for name in wanted
        ]
        assert first == sorted(first)
    assert text.count("lesson.predict(") >= 3
    assert re.search(r"^# \d\. ", text, re.M), "exercises are numbered"


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_what_a_lesson_imports_is_in_its_text(path):
    text = path.read_text(encoding="utf-8")
    imported = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    assert not [node.lineno for node in imported if ".claims" in (node.module or "")]
    prose = " ".join(line for line in text.splitlines() if line.startswith("# "))
    for node in imported:
        if ".experiments" in (node.module or ""):
            for name in node.names:
                assert re.search(rf"`[\w.]*\b{name.name}\b[^`]*`", prose), name.name


def test_options_reach_the_lesson_and_wrong_ones_are_refused(tmp_path):
    done = subprocess.run(
        [sys.executable, str(LESSONS[0]), "--wrong"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 2
    assert not list(Path(tmp_path).iterdir())


def test_plain_makes_json_of_numpy():
    value = {"a": np.arange(3), "b": np.float64(1 / 3), "c": [np.nan, 2], "d": np.bool_(True)}
    assert json.loads(json.dumps(plain(value))) == {
        "a": [0, 1, 2],
        "b": 0.333333,
        "c": ["nan", 2],
        "d": True,
    }


def test_tracked_figures_are_refused_to_any_other_run(tmp_path, monkeypatch):
    for arguments in (["--fast"], ["--seed", "3"]):
        monkeypatch.setattr(sys, "argv", ["lesson", "--update-figures", *arguments])
        with pytest.raises(DataError, match="a checkout keeps"):
            Lesson("01_backpropagation", "1 s")
    monkeypatch.setattr(sys, "argv", ["lesson", "--update-figures"])
    monkeypatch.setattr("minigrad_ae.teaching.lesson.lessons_folder", lambda: tmp_path / "lessons")
    with pytest.raises(DataError, match="a checkout keeps"):
        Lesson("01_backpropagation", "1 s")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("here", "there", "said"),
    [(2.0, True, "A row of this run is NOT"), (1.0, False, "A claim of the ledger FAILS")],
)
def test_what_does_not_hold_ends_a_lesson_with_1(here, there, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["lesson", "--fast"])
    monkeypatch.setattr("minigrad_ae.teaching.recap.the_ledger", lambda topic, run: there)
    lesson = Lesson("01_backpropagation", "1 s")
    lesson.result("sum", here, exact=1.0)
    with pytest.raises(SystemExit) as stop:
        lesson.finish()
    assert stop.value.code == 1
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_no_formula_is_broken_by_a_line_end(path):
    # a line that begins with + or - in the middle of a formula is a list to a notebook
    text = re.sub(r"\$\$.*?\$\$", "", path.read_text(encoding="utf-8"), flags=re.S)
    prose = [line for line in text.splitlines() if line.startswith("#")]
    assert not [line for line in prose if line.count("$") % 2]


@pytest.mark.parametrize("options", [[], ["--fast"], ["--seed", "3"]])
def test_only_an_update_writes_into_a_checkout(options, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["lesson", *options])
    made = Lesson("01_backpropagation", "about 3 s")
    assert made.out.resolve() == tmp_path / "minigrad_ae_figures"
    monkeypatch.setattr(sys, "argv", ["lesson", "--update-figures"])
    assert Lesson("01_backpropagation", "about 3 s").out == ROOT / "figures"


def test_the_ledger_of_a_lesson_follows_its_seed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["lesson"])
    made = Lesson("01_backpropagation", "about 3 s")
    made.settings(X=np.array([[0.5, 2.0]]), M=3, seed=7)
    assert made.run.seed == 7
    assert "X = (1, 2) from 0.5 to 2, M = 3, seed = 7" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "held_to", "holds"),
    [
        (1.0, {"exact": 1.1, "tolerance": 0.2}, True),
        (1.0, {"exact": 1.3, "tolerance": 0.2}, False),
        (0.0, {"exact": 0.0}, True),
        (2.0, {"at_most": 2.0}, True),
        (2.1, {"at_most": 2.0}, False),
        (2.0, {"at_least": 2.0}, True),
        (1.9, {"at_least": 2.0}, False),
        (float("nan"), {"at_least": 2.0}, False),
        (float("nan"), {"exact": 0.0, "tolerance": 1.0}, False),
        (5.0, {}, None),
    ],
)
def test_a_row_says_whether_it_holds(value, held_to, holds, capsys):
    row = recap.Measured("what, nats", value, **held_to)
    assert row.holds is holds
    assert recap.this_run([row]) is (holds is not False)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.endswith({True: "holds", False: "NOT", None: "5"}[holds])


def test_a_figure_is_told_in_words():
    fig = Figure()
    ax = fig.subplots()
    ax.plot([1, 2], label="descent")
    ax.set(title="$E$ falls", xlabel="steps", ylabel="E")
    ax.legend()
    assert seen(fig) == "E falls; E; steps; descent"


@pytest.mark.parametrize("full", [False, True])
def test_claims_that_take_seconds_are_left_to_verify(full, monkeypatch, capsys):
    read = []
    monkeypatch.setattr(recap.ledger, "read", lambda chosen, run, out: read.extend(chosen) or [])
    recap.the_ledger("07_masked_autoencoder", Run(fast=True, full=full))
    claims = recap.ledger.claims("07_masked_autoencoder")
    left = [c for c in claims if c.thorough]
    assert left and set(read) == set(claims if full else [c for c in claims if not c.thorough])
    assert (f"{len(left)} more claims take longer" in capsys.readouterr().out) is not full


def test_a_script_that_has_imported_ipykernel_is_no_notebook():
    pytest.importorskip("ipykernel")
    pytest.importorskip("IPython")
    assert not in_notebook()
