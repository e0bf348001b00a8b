"""``minigrad-ae inspect``: what it prints and writes, its exit codes, the stepper in a pipe, the
comparison of two traces.
"""

from __future__ import annotations

import io
import json
import math
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import run

import minigrad_ae as mg
from minigrad_ae.cli import inspect as command
from minigrad_ae.cli import main
from minigrad_ae.inspect.record.asked import PROGRAM
from minigrad_ae.inspect.render.stepper import coloured, walk_by_lines, wants_colour
from minigrad_ae.teaching.lesson import lesson_files

SCRIPT = """
import numpy as np
import minigrad_ae as mg
seed = 7
rng = np.random.default_rng(seed)
x = rng.normal(size=(6, 4))
W = mg.tensor(rng.normal(size=(4, 2)), requires_grad=True)
b = mg.tensor(np.zeros(2), requires_grad=True)
h = mg.tanh(x @ W + b)
loss = 0.5 * ((h @ W.T - x) ** 2).sum()
print("said by the script")
"""


@pytest.fixture
def script(tmp_path):
    def write(text=SCRIPT, name="ae.py"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


def inspected(capsys, *argv):
    return run(capsys, "inspect", *argv)


def test_the_table_is_all_there_is_on_stdout(capsys, script):
    before = list(sys.argv), list(sys.path), sys.modules["__main__"]
    code, out, err = inspected(capsys, script())
    assert (
        code == 0
        and out.startswith("loss = ")
        and "9 steps, 2 parameters" in out
        and "said by the script" in err
    )
    assert before == (sys.argv, sys.path, sys.modules["__main__"]), (
        "the script leaves no trace in this process"
    )
    assert "\x1b" not in out


def test_on_a_terminal_it_says_what_to_do_next(capsys, script, monkeypatch):
    path = script()
    assert "next:" not in inspected(capsys, path)[2]
    capsys.readouterr()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert f"next: {PROGRAM} {path} --step 1 " in inspected(capsys, path)[2]
    assert "next:" not in inspected(capsys, path, "--step", 3)[2]


def test_one_step_one_parameter_ascii(capsys, script):
    path = script()
    assert "Step 8 of 9   ADD   add_1 = matmul_1 + b" in inspected(capsys, path, "--step", 8)[1]
    assert "dloss/dW (4, 2): 2 contributions" in inspected(capsys, path, "--param", "W")[1]
    assert inspected(capsys, path, "--step", 8, "--ascii")[1].isascii()


def test_files(capsys, script, tmp_path):
    paths = [tmp_path / name for name in ("t.json", "t.html", "t.png", "t.svg")]
    code, _, err = inspected(
        capsys, script(), "--json", paths[0], "--html", paths[1], "--png", paths[2]
    )
    assert code == 0 and all(f"wrote {p}" in err for p in paths[:3])
    record = json.loads(paths[0].read_text(encoding="utf-8"))
    assert (record["schema"], record["seed"], record["script"]) == (1, 7, str(tmp_path / "ae.py"))
    assert (
        paths[1].read_text(encoding="utf-8").startswith("<!doctype html>")
        and paths[2].read_bytes()[:4] == b"\x89PNG"
    )
    assert inspected(capsys, script(), "--png", paths[3])[0] == 0 and "<svg" in paths[3].read_text(
        encoding="utf-8"
    )


def test_several_steps_in_full_and_the_record_on_stdout(capsys, script):
    path = script()
    every = inspected(capsys, path, "--all")[1]
    assert [line.split()[1] for line in every.split("\n") if line.startswith("Step ")] == [
        str(k) for k in range(1, 10)
    ]
    some = inspected(capsys, path, "--from", 3, "--to", 4)[1]
    assert (
        some.strip() in every
        and "Step 3 of 9" in some
        and "Step 4 of 9" in some
        and some.count("Step ") == 2
    )
    assert inspected(capsys, path, "--from", 8)[1].count("Step ") == 2
    code, out, _ = inspected(capsys, path, "--json")
    assert code == 0 and len(json.loads(out)["steps"]) == 9
    assert max(map(len, inspected(capsys, path, "--all", "--width", 70)[1].split("\n"))) <= 70


def test_a_failed_check_is_exit_1(capsys, script, monkeypatch):
    tanh = mg.ops.REGISTRY["tanh"]
    monkeypatch.setattr(tanh, "vjps", [lambda g, y, x: g * (1 + y * y)])
    code, out, _ = inspected(capsys, script())
    assert code == 1 and out.count("WRONG") == 1


def test_which_loss(capsys, script):
    head = "import minigrad_ae as mg\nw = mg.tensor([1.0, 2.0], requires_grad=True)\n"
    assert "total = 3" in inspected(capsys, script(head + "total = w.sum()\n"))[1]
    text = head + "def f():\n    (w * w).sum().backward()\nf()\nother = w * 2\n"
    assert "loss = 5" in inspected(capsys, script(text))[1], (
        "the last one that backward() was called on"
    )
    text = head + "import sys\nloss = w.sum()\nprint(sys.argv, __name__, __file__)\nsys.exit(3)\n"
    code, out, err = inspected(capsys, script(text))
    assert code == 0 and "loss = 3" in out and "__main__" in err and "ae.py" in err


def test_a_script_that_trains_is_seen_where_it_ended(capsys, script):
    text = SCRIPT + "loss.backward()\nW.data -= 0.01 * W.grad\n"
    code, out, err = inspected(capsys, script(text))
    assert code == 0 and "computed again here" in err
    step = inspected(capsys, script(text), "--step", 8)[1]
    assert "at       ae.py:9   h = mg.tanh(x @ W + b)" in step, (
        "names and places are those of the script"
    )
    text += "h = mg.tanh(x @ W + b)\nloss = 0.5 * ((h @ W.T - x) ** 2).sum()\n"
    assert out == inspected(capsys, script(text))[1], (
        "the same as if the script had computed it again"
    )


BAD = {
    "no loss": ("x = 3\n", [], "has no loss to inspect"),
    "loss without gradient": (
        "import minigrad_ae as mg\nloss = mg.tensor(1.0)\n",
        [],
        "requires no gradient",
    ),
    "loss not scalar": (
        "import minigrad_ae as mg\nloss = mg.tensor([1.0, 2.0], requires_grad=True) * 2\n",
        [],
        "loss.sum()",
    ),
    "loss is a leaf": (
        "import minigrad_ae as mg\nloss = mg.tensor(1.0, requires_grad=True)\n",
        [],
        "nothing was computed",
    ),
    "loss is an array": (
        "import numpy as np\nloss = np.float64(2)\n",
        [],
        "not a tensor but a float64",
    ),
    "no such step": (
        SCRIPT,
        ["--step", "10"],
        "step 10 does not exist\n  this trace has 9 steps (1..9)",
    ),
    "step 0": (SCRIPT, ["--step", "0"], "step 0 does not exist"),
    "no such range": (SCRIPT, ["--from", "4", "--to", "12"], "step 12 does not exist"),
    "too narrow": (SCRIPT, ["--width", "20"], "the screen is too narrow"),
    "no such name": (SCRIPT, ["--param", "V"], "nothing flowed into 'V'"),
    "syntax": ("loss = (\n", [], "not a Python program"),
    "it raises": ("a = 1\nraise KeyError('k')\n", [], "stopped with KeyError in line 2"),
    "our own error": ("import minigrad_ae as mg\nmg.tensor('a')\n", [], "DtypeError"),
    "folder for output": (SCRIPT, ["--html", "absent/x.html"], "cannot be written"),
    "kind of picture": (SCRIPT, ["--png", "x.bmp"], "unknown kind of picture"),
    "max steps": (SCRIPT, ["--max-steps", "0"], "--max-steps must be at least 1"),
    "too long": (
        "import minigrad_ae as mg\nw = mg.tensor(1.0, requires_grad=True)\nloss = w\nfor _ in "
        "range(51_000):\n"
        "    loss = loss + 1.0\n",
        [],
        "51,000 steps, more than 50,000",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_use_is_exit_2_in_three_lines(capsys, script, case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text, options, words = BAD[case]
    code, out, err = inspected(capsys, script(text), *options)
    said = err[err.index("minigrad-ae") :].strip()
    assert code == 2 and out == "" and "Traceback" not in err
    if case != "our own error":
        assert words in said
    assert len(said.split("\n")) == 3 and "fix:" in said


def test_files_that_are_no_traces(capsys, script, tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    assert inspected(capsys, script(), "--json", good)[0] == 0
    for content, words in (
        ("", "not JSON"),
        ("[1]", "no trace of schema 1"),
        ('{"schema": 2}', "no trace of schema 1"),
        ('{"schema": 1, "steps": [{}], "nodes": []}', "damaged"),
        (b"\xff\xfe", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ):
        bad.write_bytes(content if isinstance(content, bytes) else content.encode())
        for pair in ((good, bad), (bad, good)):
            code, _, err = inspected(capsys, pair[0], "--diff", pair[1])
            assert code == 2 and words in err and len(err.strip().split("\n")) == 3
    code, _, err = inspected(capsys, good, "--diff", tmp_path / "none.json")
    assert code == 2 and "No such file" in err
    code, out, err = inspected(capsys, good)
    assert code == 2 and out == "" and "a recorded trace cannot be run" in err and "--diff" in err
    assert inspected(capsys, tmp_path / "none.py")[0] == 2


# --- two traces -----------------------------------------------------------------------------------


def diff(capsys, script, tmp_path, other, plant=None):
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    assert inspected(capsys, script(), "--json", a)[0] == 0
    if plant:
        plant()
    assert inspected(capsys, script(other, "b.py"), "--json", b)[0] in (0, 1)
    return inspected(capsys, a, "--diff", b)


def test_the_same_twice(capsys, script, tmp_path):
    code, out, _ = diff(capsys, script, tmp_path, SCRIPT)
    assert code == 0 and "agree in all 9 steps" in out


def test_another_op(capsys, script, tmp_path):
    code, out, _ = diff(capsys, script, tmp_path, SCRIPT.replace("mg.tanh", "mg.sin"))
    assert code == 1 and "the forward passes part: h is made by tanh, h is made by sin" in out


def test_another_number_and_where_it_starts(capsys, script, tmp_path):
    code, out, _ = diff(
        capsys, script, tmp_path, SCRIPT.replace("np.zeros(2)", "np.array([0.0, 1e-9])")
    )
    assert (
        code == 1
        and "the forward passes part at b (param): value, element [1]: 0 against 1e-09" in out
    )
    code, out, _ = diff(
        capsys, script, tmp_path, SCRIPT.replace("mg.tanh(x @ W + b)", "mg.tanh(1.5 * (x @ W) + b)")
    )
    assert code == 1 and "B  b.py:9  h = mg.tanh(1.5 * (x @ W) + b)" in out


@pytest.mark.parametrize(("factor", "expected"), [(1 + 1e-9, 1), (1 + 1e-15, 0)])
def test_rounding_is_no_difference(capsys, script, tmp_path, factor, expected):
    other = SCRIPT.replace("rng.normal(size=(6, 4))", f"rng.normal(size=(6, 4)) * {factor!r}")
    assert diff(capsys, script, tmp_path, other)[0] == expected


def test_another_rule_with_the_same_forward(capsys, script, tmp_path, monkeypatch):
    """My rule against the reference's: the first step where they part is the one with the wrong
    rule.
    """
    add = mg.ops.REGISTRY["add"]
    plant = lambda: monkeypatch.setattr(add, "vjps", [add.vjps[0], lambda g, y, a, b: 2 * g])  # noqa: E731
    code, out, _ = diff(capsys, script, tmp_path, SCRIPT, plant)
    assert (
        code == 1
        and "the traces part at step 8: what is sent, element [0] differs" in out
        and "sends to b" in out
    )


def test_one_goes_on_longer(capsys, script, tmp_path):
    code, out, _ = diff(capsys, script, tmp_path, SCRIPT.replace("x @ W + b", "x @ W + b + 0.0"))
    assert code == 1 and "the traces part at step" in out


# --- the stepper ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def traced():
    space = {}
    exec(compile(SCRIPT, "ae.py", "exec"), space)
    return mg.trace(space["loss"], scope=space)


def typed(trace, *lines):
    out = io.StringIO()
    walk_by_lines(trace, lines, out)
    text = out.getvalue()
    return text[text.index("q   quit") + 9 :]


def test_walking_by_letters(traced):
    said = typed(traced, "n", "", "n", "p", "g 8", "p")
    heads = [line.split()[1] for line in said.split("\n") if line.startswith("Step ")]
    assert heads == ["1", "2", "3", "2", "8", "7"]
    assert "Step 7 of 9   TANH" in typed(traced, "/tanh") and "no step has 'relu'" in typed(
        traced, "/relu"
    )
    assert "2 contributions" in typed(traced, "w W") and "every number is finite" in typed(
        traced, "x"
    )
    assert "loss (): first ()" in typed(traced, "n", "f") and "no step yet" in typed(traced, "f")
    assert "this was the last step" in typed(
        traced, "g 9", "n"
    ) and "before the first step" in typed(traced, "p")
    assert typed(traced, "q", "n") == "" and typed(traced, "l").startswith("loss = ")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("zz", "unknown command 'zz'"),
        ("g", "needs a number"),
        ("g x", "'x' is none"),
        ("g 99", "step 99 does not exist"),
        ("w", "needs a name"),
        ("w V", "nothing flowed"),
        ("n 5", "unknown command 'n 5'"),
    ],
)
def test_mistakes_are_answered(traced, line, words):
    assert words in typed(traced, line)


def test_it_works_in_a_pipe(script):
    env = {**os.environ, "PYTHONPATH": str(Path(mg.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-m", "minigrad_ae", "inspect", script(), "-i"],
        input="n\nn\ng 9\n",
        text=True,
        capture_output=True,
        env=env,
        timeout=120,
    )
    assert done.returncode == 0 and "Step 9 of 9" in done.stdout and "\x1b" not in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_a_screen_of_few_characters(script, encoding):
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(mg.__file__).parent.parent),
        "PYTHONIOENCODING": encoding,
    }
    text = SCRIPT.replace("W = mg.tensor(", "W = mg.tensor(name='Wø', data=")
    done = subprocess.run(
        [sys.executable, "-m", "minigrad_ae", "inspect", script(text), "--all"],
        capture_output=True,
        env=env,
        timeout=120,
    )
    said = done.stdout.decode(encoding)
    assert done.returncode == 0 and ("x\u0304 = " in said) == (encoding == "utf-8")
    assert ("dL/dx = " in said) == (encoding != "utf-8") and "W" in said


def test_a_lesson_on_a_screen_of_few_characters(tmp_path):
    env = {
        **os.environ,
        "PYTHONPATH": str(Path(mg.__file__).parent.parent),
        "PYTHONIOENCODING": "ascii",
    }
    lesson = Path(mg.__file__).parent.parent / "lessons" / "01_backpropagation.py"
    done = subprocess.run(
        [sys.executable, str(lesson), "--fast", "--out", str(tmp_path)],
        capture_output=True,
        env=env,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0 and r"x\u0304 = y\u0304" in done.stdout and done.stdout.isascii()


def test_colour_only_on_a_terminal_that_wants_it(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert wants_colour(Terminal()) and not wants_colour(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wants_colour(Terminal())
    assert coloured("a\nWRONG") == "\x1b[1ma\x1b[0m\n\x1b[1;31mWRONG\x1b[0m"


# --- the command that a page prints ---------------------------------------------------------------

OWN_PAGES = """
import sys
import numpy as np
import minigrad_ae as mg

def half_error(x):
    h = mg.tanh(x @ W)
    return 0.5 * ((h @ W.T - x) ** 2).sum()

rows = int(sys.argv[2])
W = mg.tensor(np.ones((4, 2)), requires_grad=True)
for k in (1, 2):
    E = half_error(np.full((rows, 4), 0.1 * k))
    mg.trace(E).html(f"page{k}.html")
loss = W.sum()
"""


def python(folder, *argv):
    """What ``python *argv`` says in a folder; it must end well."""
    done = subprocess.run(
        [sys.executable, *map(str, argv)],
        capture_output=True,
        text=True,
        cwd=folder,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    return done


def on_the_page(page, k):
    """(what a page prints under "This step in a terminal" for step `k`, the name of its value)."""
    text = page.read_text(encoding="utf-8")
    data = json.loads(re.search(r"<script type=\"application/json\"[^>]*>(.*?)</script>", text)[1])
    step = next(s for s in data["steps"] if s["k"] == k)
    return str(k).join(data["again"]), data["nodes"][step["n"]]


def shows_the_same(folder, page, k):
    """The printed command runs as it is, and prints the step of the page; returns both."""
    command, made = on_the_page(page, k)
    assert command.startswith("python ")
    printed = python(folder, *shlex.split(command)[1:]).stdout
    head = printed.partition("\n")[0]
    assert head.startswith(f"Step {k} of ") and f"{made['op'].upper()}   {made['name']} = " in head
    return command, printed


def test_a_page_that_a_script_wrote(tmp_path):
    folder = tmp_path / "my lessons"
    folder.mkdir()
    (folder / "own.py").write_text(OWN_PAGES, encoding="utf-8")
    python(tmp_path, "my lessons/own.py", "--rows", 3)
    for k in (1, 2):  # neither is the trace of `loss`
        command, printed = shows_the_same(tmp_path, tmp_path / f"page{k}.html", 7)
        assert command == (f"{PROGRAM} 'my lessons/own.py' --trace {k} --step 7 -- --rows 3"), (
            "relative to where the reader is"
        )
        assert "h = mg.tanh(x @ W)" in printed and f"min {math.tanh(0.4 * k):.4g}  max" in printed
    missing = subprocess.run(
        [sys.executable, "-m", "minigrad_ae", "inspect", "own.py", "--trace", "3", "--", "a", "3"],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert missing.returncode == 2 and "has no trace number 3" in missing.stderr


def test_a_page_of_inspect(capsys, script, tmp_path):
    path, page = script(), tmp_path / "page.html"
    assert inspected(capsys, path, "--html", page)[0] == 0
    command, printed = shows_the_same(tmp_path, page, 8)
    assert shlex.split(command)[4] == path, "not below the folder: the whole path"
    assert "add_1 = matmul_1 + b" in printed


def test_a_page_of_a_lesson(tmp_path):
    lesson = lesson_files()[0]
    python(tmp_path, lesson, "--fast")
    pages = sorted((tmp_path / "minigrad_ae_figures").glob("*.html"))
    assert pages
    for page in pages:
        command, _ = shows_the_same(tmp_path, page, 2)
        assert lesson.name in command


def test_without_a_script_there_is_a_line_of_python(tmp_path):
    program = (
        "import minigrad_ae as mg\n"
        "x = mg.tensor([3.0, 4.0], requires_grad=True)\n"
        "loss = (x * x).sum()\n"
        "print(mg.trace(loss).command(2))\n"
    )
    line = python(tmp_path, "-c", program).stdout.strip()
    assert line == "print(mg.trace(loss).text(step=2))"
    assert "Step 2 of 2   MUL" in python(tmp_path, "-c", program + line).stdout
    assert (
        mg.trace((mg.tensor([1.0], requires_grad=True) * 2.0).sum()).command(1).startswith("print(")
    ), "the program that runs these tests is not the reader's script"


# --- lessons --------------------------------------------------------------------------------------


def quiet(done, folder, files):
    """The table is all that was printed, and nothing was written."""
    assert re.match(r"\w+ = \S+   \d+ steps, ", done.stdout), done.stdout
    assert "==" not in done.stdout and "Lesson" not in done.stdout + done.stderr
    said = [line for line in done.stderr.splitlines() if not line.startswith(("note:", "compil"))]
    assert said == [] and sorted(p.name for p in folder.iterdir()) == files


# each runs a lesson up to its page: three of them stand for all
@pytest.mark.parametrize("path", lesson_files()[::4], ids=lambda p: p.stem)
def test_a_lesson_is_silent_and_writes_nothing(path, tmp_path):
    quiet(python(tmp_path, "-m", "minigrad_ae", "inspect", path), tmp_path, [])


def test_a_copied_and_edited_lesson(tmp_path):
    path = tmp_path / "mine.py"
    text = lesson_files()[0].read_text(encoding="utf-8")
    edited = text.replace("trace = mg.trace(loss)", "loss = 2.0 * loss\ntrace = mg.trace(loss)")
    assert edited != text
    path.write_text(edited, encoding="utf-8")
    done = python(tmp_path, "-m", "minigrad_ae", "inspect", "mine.py")
    quiet(done, tmp_path, ["mine.py"])
    assert "loss = 2.0 * " in done.stdout, "the loss of the cell that inspects"


ENDLESS = str(Path(os.devnull).with_name("zero"))


@pytest.mark.skipif(not Path(ENDLESS).exists(), reason="there is no file without end here")
def test_a_file_without_end_is_not_read_to_its_end(monkeypatch, tmp_path, capsys):
    """It took all memory."""
    monkeypatch.setattr(command, "LONGEST", 1000)
    monkeypatch.setattr("minigrad_ae.inspect.diagnose.diff.LARGEST", 1000)
    for words, what in [
        ([ENDLESS], "the script has more than 1,000 bytes"),
        ([ENDLESS, "--diff", ENDLESS], "the trace has more than 1,000 bytes"),
    ]:
        assert main(["inspect", *words]) == 2
        err = capsys.readouterr().err
        assert what in err and len(err.rstrip().splitlines()) == 3
    script = tmp_path / "long.py"
    script.write_text("#" * 1001, encoding="utf-8")
    assert main(["inspect", str(script)]) == 2
    assert str(script) in capsys.readouterr().err
