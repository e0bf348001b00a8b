"""What travels: the packages listed, the lessons, the data, the README's commands; and nothing of
one machine.
"""

import ast
import configparser
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg")


def test_every_package_is_listed():
    listed = {
        name for name in SETUP["options"]["packages"].split() if name != "minigrad_ae.lessons"
    }
    found = {
        ".".join(p.parent.relative_to(ROOT).parts)
        for p in (ROOT / "minigrad_ae").rglob("__init__.py")
    }
    assert listed == found


def test_the_lessons_travel_in_the_wheel():
    assert "minigrad_ae.lessons" in SETUP["options"]["packages"].split()
    assert "minigrad_ae.lessons = lessons" in SETUP["options"]["package_dir"]


def test_the_exercises_travel_in_the_wheel():
    patterns = SETUP["options.package_data"]["minigrad_ae.lessons"].split(", ")
    folders = ROOT / "lessons" / "exercises", ROOT / "lessons" / "solutions"
    texts = {p for folder in folders for end in ("py", "md") for p in folder.rglob(f"*.{end}")}
    assert texts and texts <= {p for pattern in patterns for p in (ROOT / "lessons").glob(pattern)}


def test_run_time_packages_are_four():
    names = {re.split(r"[<>=]", line)[0] for line in SETUP["options"]["install_requires"].split()}
    assert names == {"numpy", "numba", "matplotlib", "tqdm"}


def test_what_the_tests_need_travels_in_the_source_distribution():
    """setuptools takes test_*.py alone by itself: no conftest, no helpers, no frozen data."""
    lines = (ROOT / "MANIFEST.in").read_text(encoding="utf-8").splitlines()
    rules = [line.split() for line in lines if not line.startswith("#")]
    grafted = {name for rule, *names in rules for name in names if rule == "graft"}
    included = {name for rule, *names in rules for name in names if rule == "include"}
    assert grafted >= {"tests", "figures", "benchmarks", "examples"}
    assert {name for name in included | grafted if not (ROOT / name).exists()} == set()


def test_the_lowest_versions_are_named():
    """`nox -s lowest` installs each at its lowest version."""
    for line in SETUP["options"]["install_requires"].split():
        assert re.fullmatch(r"[a-z]+>=\d+(\.\d+)+", line), line


def test_an_import_loads_no_network():
    """Computing gradients needs none; `minigrad-ae data mnist` loads it."""
    program = "import sys, minigrad_ae; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    heavy = {"urllib.request", "http.client", "email", "ssl", "socket", "numba", "matplotlib"}
    assert heavy & set(done.stdout.split()) == set()


def test_the_readme_opens_with_a_picture_and_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first, second = re.findall(r"^```([^\n`]*)\n(.*?)^```", text, re.S | re.M)[:2]
    assert first[0] == second[0] == "sh"
    assert "lesson all --fast" in first[1]
    assert "pytest" in second[1]
    assert text.index("](figures/") < text.index("```sh")
    for picture in re.findall(r"\]\((figures/[^)]+)\)", text):
        assert (ROOT / picture).is_file(), picture


@pytest.mark.parametrize("folder", ["minigrad_ae", "lessons", "tests", "benchmarks", "examples"])
def test_no_path_of_one_machine(folder):
    for path in (ROOT / folder).rglob("*.py"):
        assert not re.search(r"[\"']/(home|root|work|Users)/", path.read_text(encoding="utf-8")), (
            path
        )


def test_tests_name_no_absolute_path():
    """What a test needs lies in its own temporary folder.  (A test that writes to /dev/full skips
    without it.)
    """
    for path in (ROOT / "tests").rglob("*.py"):
        found = re.findall(r"[\"'](?:file://)?/(?!dev/)\w+/", path.read_text(encoding="utf-8"))
        assert found == [], path


TEXT_MODE = re.compile(r"[rwax]\+?t?|t")  # of `open`, where bytes are not asked for


def without_encoding(source: str) -> Iterator[str]:
    """The calls in a program that read or write text in whatever encoding the machine happens to
    have.
    """
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or any(key.arg == "encoding" for key in call.keywords):
            continue
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        given = [*call.args, *(key.value for key in call.keywords)]
        modes = [a.value for a in given if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        text = any(TEXT_MODE.fullmatch(mode) for mode in modes)
        opened = name in ("open", "fdopen", "TemporaryFile", "NamedTemporaryFile") and text
        plain = isinstance(call.func, ast.Name) and name == "open" and len(given) == 1
        read = name == "read_text" and not call.args
        written = name == "write_text" and len(call.args) < 2
        if opened or plain or read or written:
            yield ast.unparse(call)


@pytest.mark.parametrize("folder", ["minigrad_ae", "lessons", "tests", "benchmarks", "examples"])
def test_text_files_name_their_encoding(folder):
    for path in (ROOT / folder).rglob("*.py"):
        assert list(without_encoding(path.read_text(encoding="utf-8"))) == [], path


def test_a_text_file_without_encoding_is_found():
    careless = (
        "p.read_text()",
        "p.write_text(t)",
        "open(p)",
        "open(p, 'w')",
        "p.open('r')",
        "gzip.open(p, 'rt')",
    )
    careful = (
        "p.read_text('utf-8')",
        "p.write_text(t, encoding='utf-8')",
        "open(p, 'rb')",
        "browser.open(page)",
    )
    assert [list(without_encoding(source)) for source in careless] == [
        [source] for source in careless
    ]
    assert [list(without_encoding(source)) for source in careful] == [[] for _ in careful]


def test_the_readme_calls_python_in_one_way():
    """The first two blocks make the environment and install it editable; later ones run in it,
    activated.
    """
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:sh|console)\n(.*?)^```", text, re.S | re.M)
    assert all("pip install --quiet -e " in block for block in blocks[:2])
    commands = [line for block in blocks[2:] for line in block.splitlines()]
    assert [line for line in commands if not line.startswith("$ python -m minigrad_ae ")] == []
    assert text.index("source .venv/bin/activate") < text.index(commands[0])
    assert r".venv\Scripts\activate" in text


# --- what a contributor meets ---------------------------------------------------------------------

# (not setup.cfg: setuptools writes it anew in a source distribution)
WRITTEN = {".py", ".md", ".toml", ".yml", ".yaml", ".in", ".js", ".css", ".html"}
FOLDERS = ["minigrad_ae", "lessons", "tests", "benchmarks", "examples", ".github"]


def badly_ended(root: Path) -> list[str]:
    """Texts that do not end with one line end, and lines that end with a blank."""
    paths = [p for p in root.iterdir() if p.is_file()]
    paths += [p for folder in FOLDERS for p in (root / folder).rglob("*")]
    found = []
    for path in sorted(p for p in paths if p.suffix in WRITTEN):
        text, name = path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            found.append(name)
        lines = enumerate(text.split("\n"), 1)
        found += [f"{name}:{k}" for k, line in lines if line != line.rstrip()]
    return found


def test_every_text_ends_with_one_line_end_and_no_line_with_a_blank():
    assert badly_ended(ROOT) == []


@pytest.mark.parametrize(
    "text, found", [("x", "a.py"), ("x\n\n", "a.py"), ("x \ny\n", "a.py:1"), ("\t\ny\n", "a.py:1")]
)
def test_a_text_that_ends_badly_is_found(tmp_path, text, found):
    (tmp_path / "a.py").write_text(text, encoding="utf-8")
    assert badly_ended(tmp_path) == [found]


def test_every_python_that_is_claimed_is_tested():
    """The classifiers, the sessions of nox and the workflow name the same versions; nox also tries
    the newest.
    """
    claimed = re.findall(r":: (3\.\d+)$", SETUP["metadata"]["classifiers"], re.M)
    nox = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    workflow = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    (sessions,) = re.findall(r"^PYTHONS = \[(.*)\]", nox, re.M)
    (matrix,) = re.findall(r"^ +python: \[(.*)\]", workflow, re.M)
    assert re.findall(r"3\.\d+", matrix) == claimed
    assert re.findall(r"3\.\d+", sessions)[: len(claimed)] == claimed
    assert SETUP["options"]["python_requires"] == f">={claimed[0]}"


def test_the_workflow_calls_sessions_that_exist():
    workflow = (ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8")
    nox = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    sessions = {
        node.name for node in nox.body if isinstance(node, ast.FunctionDef) and node.decorator_list
    }
    called = re.findall(r"session: (\w+)", workflow)
    assert called and set(called) <= sessions


def test_every_picture_is_described():
    """Where a picture cannot be shown, its description says what it shows."""
    for path in ROOT.glob("*.md"):
        for said in re.findall(r"!\[([^]]*)\]\(", path.read_text(encoding="utf-8")):
            assert len(said.split()) >= 12, f"{path.name}: {said}"


def test_an_issue_about_a_gradient_asks_for_the_checks():
    form = (ROOT / ".github/ISSUE_TEMPLATE/wrong-gradient.yml").read_text(encoding="utf-8")
    assert "mg.check_graph(loss)" in form and "python -m minigrad_ae doctor" in form


def test_what_contributing_names_is_there():
    """Files, tests and names in its text; its examples are Python."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:minigrad_ae|tests|lessons|benchmarks)/[\w/]+\.py", text))
    made = {name for name in named if "12_my_lesson" in name}
    assert made and {name for name in named - made if not (ROOT / name).is_file()} == set()
    examples = re.findall(r"^```python\n(.*?)^```", text, re.S | re.M)
    assert len(examples) == 5
    for example in examples:
        ast.parse(example)


def test_what_is_not_asked_for_is_not_imported():
    """Half of the time of an import, and Numba would be four times as much again."""
    script = """
import sys
import minigrad_ae as mg
(mg.tensor([1.0, 2.0], requires_grad=True) ** 2).sum().backward()
first = {m for m in sys.modules if m.startswith(("minigrad_ae.", "numba", "matplotlib"))}
print(*sorted({m.split(".")[1] if m.startswith("minigrad_ae") else m for m in first}))
assert not {"trace", "claims", "compile"} & set(vars(mg)) and set(mg.__all__) <= set(dir(mg))
from minigrad_ae import *
assert compile is mg.compile and load is mg.load is mg.checkpoint.load_model
try:
    mg.no_such_name
except AttributeError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.splitlines() == [
        "arguments autodiff display errors kernels ops room tensors version",
        "module 'minigrad_ae' has no attribute 'no_such_name'",
    ], done.stderr
