"""The notebooks that `minigrad-ae notebook` writes: their cells, and two of them executed."""

import json
import re

import pytest

from minigrad_ae.cli import main
from minigrad_ae.teaching.lesson import lesson_files
from minigrad_ae.teaching.notebook import cells, notebook

nbformat = pytest.importorskip("nbformat")
pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

from notebooks import execute, outputs  # noqa: E402

LESSONS = lesson_files()
SCRIPT = """\
# %% [markdown]
# # Lesson 1: a title
#
# Prose.

# %% Settings
from minigrad_ae.teaching.lesson import Lesson

lesson = Lesson("01_backpropagation", "about 1 s")
seed = lesson.seed

# %% Predict
lesson.cell("Predict: first")
lesson.predict("bias")  # the shape
lesson.predict("fan-out")

# %% Draw
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(4, 3))
ax.plot([1, 2], label="a line")
ax.set_title("A title")

# %% Show
lesson.cell("Show")
lesson.figure("drawn", fig, {"y": [1, 2]}, alt="A line from 1 to 2 & more")

# %% Answer: to the riddle
lesson.cell("Answer")
print("the solution")

# %% Answers
lesson.cell("Answers")
lesson.answers(units=3, rows=6)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "01_backpropagation.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def text(cell):
    return "".join(cell["source"])


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_every_lesson_is_a_valid_notebook(path):
    made = notebook(path, seed=3, fast=True, figures="pictures")
    nbformat.validate(nbformat.from_dict(made))
    assert made["cells"][0]["metadata"]["tags"] == ["install"]
    (settings,) = [c for c in made["cells"] if "parameters" in c["metadata"].get("tags", ())]
    written = f'lesson = Lesson(\n    "{path.stem}",\n'
    assert written in text(settings)
    assert '    seed=3,\n    fast=True,\n    out="pictures",\n)' in text(settings)
    code = "\n".join(text(c) for c in made["cells"] if c["cell_type"] == "code")
    asked = path.read_text(encoding="utf-8").count("lesson.predict(")
    assert len(re.findall(r'lesson\.predict\("[^"]+", guess=""\)', code)) == asked
    assert "# %%" not in code
    hidden = [c for c in made["cells"] if "hide-cell" in c["metadata"].get("tags", ())]
    titles = [c.title for c in cells(path.read_text(encoding="utf-8")) if not c.markdown]
    assert len(hidden) == sum(title.startswith("Answer") for title in titles)
    for cell in hidden:
        assert cell["metadata"]["jupyter"] == {"source_hidden": True, "outputs_hidden": True}


def test_the_cells_of_a_script(script):
    made = notebook(script)["cells"]
    sources = [text(c) for c in made]
    assert sources[1] == "# Lesson 1: a title\n\nProse."
    assert sources[3].startswith("## Predict: first\n\nRun the next cell")
    assert sources[4].splitlines() == [
        'lesson.predict("bias", guess="")  # write yours between the quotes; the shape',
        'lesson.predict("fan-out", guess="")  # write yours between the quotes',
    ]
    assert sources[5].endswith('ax.set_title("A title");')
    assert len({c["id"] for c in made}) == len(made)


def test_a_guess_is_kept_a_figure_is_described_and_nothing_is_shown_twice(script, tmp_path):
    made = notebook(script, figures="pictures")
    (asked,) = [c for c in made["cells"] if "lesson.predict(" in text(c)]
    asked["source"] = text(asked).replace('guess=""', 'guess="a row"', 1)
    # as a lesson draws: in the cell that shows it
    drawing = next(k for k, c in enumerate(made["cells"]) if "plt.subplots" in text(c))
    show = next(c for c in made["cells"] if "lesson.figure(" in text(c))
    show["source"] = text(made["cells"].pop(drawing)) + "\n" + text(show)
    node = execute(made, tmp_path)
    printed = "".join(o.get("text", "") for o in outputs(node))
    assert printed.count("a row") == 2
    assert "you said: a row" in printed
    assert "==" not in printed
    assert not [o for o in outputs(node) if o.output_type == "execute_result"]
    (picture,) = [o for o in outputs(node) if "image/png" in o.get("data", {})]
    assert picture.metadata["image/png"]["alt"] == "A line from 1 to 2 & more"
    assert picture.data["text/plain"] == "A line from 1 to 2 & more"
    assert 'alt="A line from 1 to 2 &amp; more"' in picture.data["text/html"]
    assert (tmp_path / "pictures" / "01_drawn.png").is_file()


def test_a_row_that_does_not_hold_stops_the_notebook_in_a_sentence(script, tmp_path):
    from nbclient.exceptions import CellExecutionError

    bad = """
# %% Recap
from minigrad_ae.teaching import recap

recap.the_ledger = lambda topic, run: True
lesson.result("sum", 1.0, exact=2.0)
lesson.finish()
"""
    script.write_text(SCRIPT + bad, encoding="utf-8")
    with pytest.raises(CellExecutionError) as caught:
        execute(notebook(script), tmp_path)
    assert "a row of the recap does not hold" in str(caught.value)
    assert "SystemExit" not in str(caught.value)
    assert "teaching/lesson.py" not in str(caught.value)  # no traceback


@pytest.mark.parametrize("path", LESSONS[:2], ids=lambda p: p.stem)
def test_the_first_lessons_run_as_notebooks(path, tmp_path):
    node = execute(notebook(path, fast=True), tmp_path)
    shown = outputs(node)
    pictures = [o for o in shown if "image/png" in o.get("data", {})]
    drawn = len(re.findall(r"lesson\.figure\(", path.read_text(encoding="utf-8")))
    assert len(pictures) == drawn == len(list((tmp_path / "minigrad_ae_figures").glob("*.png")))
    assert all(len(o.metadata["image/png"]["alt"]) > 10 for o in pictures)
    assert not [o for o in shown if o.output_type == "execute_result"]
    assert not [o for o in shown if o.get("name") == "stderr"]
    printed = "".join(o.get("text", "") for o in shown)
    assert "this run" in printed
    assert "\n== " not in printed


def test_a_file_that_is_there_is_left_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["notebook", "2", "--seed", "4"]) == 0
    file = tmp_path / "02_linear_autoencoder.ipynb"
    assert "seed=4," in file.read_text(encoding="utf-8").replace("\\n", "")
    file.write_text("my work", encoding="utf-8")
    for command in (["notebook", "2"], ["notebook", "all"]):
        assert main(command) == 2
        assert len(capsys.readouterr().err.splitlines()) == 3
        assert [p.name for p in tmp_path.iterdir()] == [file.name]
    assert file.read_text(encoding="utf-8") == "my work"
    assert main(["notebook", "2", "--force"]) == 0
    assert json.loads(file.read_text(encoding="utf-8"))["nbformat"] == 4


def test_all_notebooks_go_into_a_folder_and_one_where_it_is_told(tmp_path, capsys):
    assert main(["notebook", "all", "--out", str(tmp_path)]) == 0
    assert sorted(p.stem for p in tmp_path.iterdir()) == [p.stem for p in LESSONS]
    assert main(["notebook", "1", "--out", str(tmp_path / "mine.ipynb"), "--fast"]) == 0
    assert '"    fast=True' in (tmp_path / "mine.ipynb").read_text(encoding="utf-8")
    assert main(["notebook", "1", "--out", str(tmp_path / "no" / "mine.ipynb")]) == 2
    assert main(["notebook", "77"]) == 2
    capsys.readouterr()
    assert main(["notebook", "list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(LESSONS)
