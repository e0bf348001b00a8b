"""Everything in a lesson follows its first cell: other data, another width, another seed."""

import re
import subprocess
import sys

import numpy as np
import pytest

from minigrad_ae.teaching.lesson import lesson_files

FILES = {path.stem[:2]: path for path in lesson_files()}
STANDARDISED = "X = (X - X.mean(axis=0)) / (X.std(axis=0) + (X.std(axis=0) == 0))"
IRIS = 'X = np.load("iris.npy")'

# lesson, and what is put at the end of its first cell
CHANGES = [
    ("01", f"{IRIS}\nM = 2"),
    ("02", "X = X[:500]"),
    ("02", f"{IRIS}\nM = 2\nseed = 7"),
    ("02", f"{STANDARDISED}\nM = 3"),
    ("03", f"{STANDARDISED}\nM = 1\ncurve = curve[:50]\nseed = 3"),
    ("04", f"{IRIS}\nM = 1\nseed = 7"),
    ("04", f"{STANDARDISED}\nM = 3\nX = X[:500]"),
    ("05", f"{IRIS}\nM = 6\nseed = 7"),
    ("06", "X = X[:500]"),
    ("06", f"{IRIS}\nM = 2\nseed = 7"),
    ("06", f"{STANDARDISED}\nM = 3"),
    ("07", f"{IRIS}\nwidth = 16\nseed = 7"),
    ("08", f"{IRIS}\nM = 1\nseed = 2"),
    ("09", "X = (X[:500] > 0.5).astype(float)\nM = 5"),
    ("09", f"{IRIS}\nM = 2\nseed = 7"),
    ("09", f"{STANDARDISED}\nM = 3"),
    ("10", f"{IRIS}\nM = 2\npictures = X\nseed = 4"),
    ("11", f"{IRIS}\nM = 2\ngiven = 3\nseed = 2"),
]
_runs = {}


def flowers():
    """150 rows of four features in three clusters, as the best known table of flowers has."""
    rng = np.random.default_rng(5)
    centres = np.repeat(4 + 2 * rng.normal(size=(3, 4)), 50, axis=0)
    return centres + rng.normal(size=(150, 4)) * [0.5, 0.3, 0.4, 0.2]


def run(number, lines, folder):
    """What a copy of a lesson prints in its short form, with lines at the end of its first cell."""
    text = FILES[number].read_text(encoding="utf-8")
    cell = re.search(r"^# %% Settings.*?(?=^# %%)", text, re.M | re.S)
    script = folder / FILES[number].name
    changed = f"{text[: cell.end()].rstrip()}\n{lines}\n\n{text[cell.end() :]}"
    script.write_text(changed, encoding="utf-8")
    np.save(folder / "iris.npy", flowers())
    done = subprocess.run(
        [sys.executable, str(script), "--fast"],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Warning" not in done.stderr, done.stderr
    return done.stdout


def unchanged(number, tmp_path_factory):
    """What the lesson prints as it is; run once."""
    if number not in _runs:
        _runs[number] = run(number, "", tmp_path_factory.mktemp("as_it_is"))
    return _runs[number]


def this_run(output):
    """{what: (measured, [theory, tolerance, verdict])} of the recap's first part."""
    part = output.split("this run  ", 1)[1].split("The ledger, on the shipped data", 1)[0]
    rows = re.findall(r"^(.{50}) +(\S+)(.*)$", part, re.M)
    return {what.strip(): (float(value), rest.split()) for what, value, rest in rows}


@pytest.mark.parametrize(("number", "lines"), CHANGES)
def test_every_number_follows_the_first_cell(number, lines, tmp_path, tmp_path_factory):
    before = this_run(unchanged(number, tmp_path_factory))
    after = this_run(run(number, lines, tmp_path))
    assert len(after) >= 4
    assert not [what for what, (_, theory) in after.items() if theory[-1:] == ["NOT"]]
    # whatever the data are: 0 or 1 to rounding, or an exact answer that is the same for all
    rounding = {w for w, (value, _) in before.items() if min(abs(value), abs(value - 1)) < 1e-9}
    for_all = {w for w, row in before.items() if row[1] and row == after.get(w)}
    moving = set(before) - rounding - for_all
    assert len(moving) >= 2
    same = [what for what in moving if before[what] == after.get(what)]
    assert not same, "these do not follow the first cell"
