"""The house: who may import whom, no circles, no hidden module, names that say what is exported.

`violations(root)` reads a tree and lists what breaks the rules, and so do `imports_between_tests`,
`hard_to_read`, `long_lines` and `stumbling_blocks`; the tests run each on this repository, and on
small trees with one planted violation each.  Every import counts: under TYPE_CHECKING, inside
functions, and of the package itself.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

import minigrad_ae as mg

ROOT = Path(__file__).parent.parent
PACKAGE = "minigrad_ae"
# From the ground up: a part may import the parts named beside it, and no others.  DESIGN's table,
# line by line.
GROUND = {"errors", "arguments", "room"}
CORE = {"autodiff", "ops", "tensors"}
TRAINED = {"nn", "optim", "data", "models", "train"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "version": set(),
    "display": set(),
    "arguments": {"errors"},
    "room": {"errors"},
    "command_line": set(),
    "locks": {"errors"},
    "files": {"errors", "locks"},
    "generators": {"errors"},
    "kernels": {*GROUND, "files"},
    "analytic": GROUND,
    "autodiff": GROUND,
    "ops": {*GROUND, "autodiff", "kernels"},
    "tensors": {*GROUND, "autodiff", "display", "ops"},
    "record": {*GROUND, "display", "autodiff", "ops"},  # the data of inspect/, in inspect/record
    "program": {*GROUND, "autodiff", "ops", "kernels", "record"},
    "inspect": {*GROUND, "files", "display", "autodiff", "ops", "record", "program"},
    "data": {*GROUND, "files"},
    "nn": {*GROUND, *CORE, "display"},
    "optim": {*GROUND, *CORE, "kernels"},
    "models": {*GROUND, *CORE, "data", "nn", "optim"},
    "train": {*GROUND, *CORE, "data", "generators", "nn", "optim", "models", "program"},
    "checkpoint": {
        *GROUND,
        "files",
        "generators",
        "version",
        "autodiff",
        "data",
        "nn",
        "optim",
        "models",
    },
    "experiments": {
        *GROUND,
        *CORE,
        *TRAINED,
        "analytic",
        "checkpoint",
        "command_line",
        "files",
    },
    "claims": {
        *GROUND,
        *CORE,
        *TRAINED,
        "analytic",
        "experiments",
        "files",
        "record",
        "inspect",
        "program",
    },
    "teaching": {*GROUND, "claims", "command_line", "files", "locks"},
    "cli": {
        *GROUND,
        *CORE,
        *TRAINED,
        "analytic",
        "checkpoint",
        "claims",
        "command_line",
        "experiments",
        "files",
        "record",
        "inspect",
        "kernels",
        "locks",
        "teaching",
        "version",
    },
    "__main__": {"cli"},
    PACKAGE: {
        *CORE,
        *TRAINED,
        "analytic",
        "checkpoint",
        "claims",
        "inspect",
        "kernels",
        "program",
        "version",
    },
}
OUTSIDE = {
    # the standard library alone
    "errors": set(),
    "room": set(),
    "command_line": set(),
    "kernels": {"numpy", "numba", "llvmlite"},
    "inspect": {"numpy", "matplotlib"},
}
PLAIN = "arguments display generators autodiff ops tensors analytic nn optim models program".split()
OUTSIDE |= {part: {"numpy"} for part in PLAIN}
SPECTRAL = {
    "svd",
    "svdvals",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "pinv",
    "lstsq",
    "matrix_rank",
    "cond",
    "scipy",
}


def modules(root: Path) -> dict[str, Path]:
    """{dotted name: file} of the package."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def part_of(module: str) -> str:
    """'ops' for minigrad_ae.ops.shape; the package's own name for its face,
    minigrad_ae/__init__.py.
    """
    parts = module.split(".")
    if parts[1:3] == ["inspect", "record"]:
        return "record"
    return parts[1] if len(parts) > 1 else parts[0]


def imported(module: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The dotted name of every module that a file imports, wherever in the file that is."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = (
                package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            )
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in known or base == PACKAGE else base


def layering(module: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    part = part_of(module)
    for name in sorted(set(imported(module, path, known))):
        other, top = part_of(name), name.split(".")[0]
        if top != PACKAGE:
            if top not in OUTSIDE.get(part, {top}) and top not in sys.stdlib_module_names:
                yield f"{part} imports {top}"
        elif other != part and other not in ALLOWED.get(part, set()):
            yield f"{part} imports {other}, which is not below it"


def spectra(module: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Where code that is measured computes singular values or eigenvalues of the data."""
    if part_of(module) not in TRAINED:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = (
            node.attr
            if isinstance(node, ast.Attribute)
            else node.name
            if isinstance(node, ast.alias)
            else ""
        )
        if name in SPECTRAL:
            yield f"{path.name} uses {name}"


def circles(root: Path) -> list[str]:
    """Files that import each other, on whatever way; a package's face counts as a file when it is
    what is imported.
    """
    known = modules(root)
    below = {
        m: {n for n in imported(m, p, known) if n in known and n != m} for m, p in known.items()
    }
    found, done = [], set()

    def visit(module: str, way: list[str]) -> None:
        if module in way:
            found.append("circle: " + " -> ".join([*way[way.index(module) :], module]))
        elif module not in done:
            for other in sorted(below[module]):
                visit(other, [*way, module])
            done.add(module)

    for module in known:
        visit(module, [])
    return found


def unknown_parts(root: Path) -> list[str]:
    return [
        f"{part} has no place in the order"
        for part in sorted({part_of(m) for m in modules(root)} - set(ALLOWED))
    ]


def violations(root: Path) -> list[str]:
    known = modules(root)
    found = [*unknown_parts(root), *circles(root)]
    for module, path in known.items():
        found += [*layering(module, path, known), *spectra(module, path, known)]
    return found


def test_this_repository_keeps_its_order():
    assert violations(ROOT) == []


PLANTED = [
    (
        "autodiff/engine.py",
        "from ..tensors import Tensor",
        "autodiff imports tensors, which is not below it",
    ),
    ("autodiff/engine.py", "from .. import ops", "autodiff imports ops, which is not below it"),
    ("autodiff/graph.py", "if TYPE_CHECKING:\n    from ..ops import op", "autodiff imports ops"),
    (
        "autodiff/rules.py",
        "from ..kernels.reference import quiet",
        "autodiff imports kernels, which is not below it",
    ),
    (
        "ops/arrays.py",
        "def f():\n    from minigrad_ae.tensors import Tensor",
        "ops imports tensors, which is not below it",
    ),
    ("ops/arrays.py", "import torch", "ops imports torch"),
    (
        "tensors.py",
        "def f():\n    from .inspect import trace",
        "tensors imports inspect, which is not below it",
    ),
    (
        "nn/layers.py",
        "from ..models import LinearAutoencoder",
        "nn imports models, which is not below it",
    ),
    ("nn/layers.py", "from .. import optim", "nn imports optim, which is not below it"),
    ("kernels/gemm.py", "from ..ops import matmul", "kernels imports ops, which is not below it"),
    ("kernels/gemm.py", "import scipy", "kernels imports scipy"),
    (
        "analytic/pca.py",
        "from ..autodiff.graph import Value",
        "analytic imports autodiff, which is not below it",
    ),
    ("analytic/pca.py", "import numba", "analytic imports numba"),
    (
        "models/linear.py",
        "from ..analytic import pca",
        "models imports analytic, which is not below it",
    ),
    (
        "train.py",
        "import minigrad_ae.analytic.pca",
        "train imports analytic, which is not below it",
    ),
    (
        "claims/lesson_01.py",
        "import minigrad_ae as mg",
        "claims imports minigrad_ae, which is not below it",
    ),
    ("optim/sgd.py", "import numpy as np\nnp.linalg.svd(x)", "sgd.py uses svd"),
    ("models/linear.py", "from numpy.linalg import eigh", "linear.py uses eigh"),
    ("helpers.py", "x = 1", "helpers has no place in the order"),
    (
        "inspect/a.py",
        "from .b import x",
        "circle: minigrad_ae.inspect.a -> minigrad_ae.inspect.b -> minigrad_ae.inspect.a",
    ),
]
HARMLESS = [
    (
        "ops/arrays.py",
        '"""Text."""\nimport numpy as np\nfrom ..autodiff.operation import op\nfrom .reduce import '
        "sum",
    ),
    ("claims/certificate.py", "import numpy as np\nfrom ..analytic import pca\nnp.linalg.svd(x)"),
    ("inspect/picture.py", "def draw():\n    from matplotlib.figure import Figure"),
]


def plant(root: Path, file: str, text: str) -> list[str]:
    path = root / PACKAGE / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    (root / PACKAGE / "inspect").mkdir(exist_ok=True)
    (root / PACKAGE / "inspect" / "b.py").write_text("from .a import x", encoding="utf-8")
    if file != "inspect/a.py":
        (root / PACKAGE / "inspect" / "b.py").write_text("x = 1", encoding="utf-8")
    return violations(root)


@pytest.mark.parametrize("file, text, expected", PLANTED, ids=lambda v: v.split("\n")[0][:40])
def test_a_violation_is_found(tmp_path, file, text, expected):
    assert any(found.startswith(expected) for found in plant(tmp_path, file, text))


@pytest.mark.parametrize("file, text", HARMLESS, ids=lambda v: v.split("\n")[0][:40])
def test_what_is_allowed_is_not_found(tmp_path, file, text):
    assert plant(tmp_path, file, text) == []


# --- what an import shows -------------------------------------------------------------------------

PACKAGES = [m for m, path in modules(ROOT).items() if path.name == "__init__.py"]


def hidden(package: types.ModuleType, names: set[str]) -> list[str]:
    """The modules of a folder whose name, on the package, stands for something that is not a
    module.
    """
    return sorted(n for n in names if not inspect.ismodule(getattr(package, n, package)))


def test_no_module_is_hidden_by_a_function():
    for name in PACKAGES:
        siblings = {m.rpartition(".")[2] for m in modules(ROOT) if m.rpartition(".")[0] == name}
        assert hidden(importlib.import_module(name), siblings) == [], name


def test_a_hidden_module_is_found():
    package = types.ModuleType("planted")
    package.digits, package.mnist = (lambda: None), types.ModuleType("mnist")
    assert hidden(package, {"digits", "mnist", "other"}) == ["digits"]


def leaks(package: types.ModuleType) -> set[str]:
    """Public names that a package shows without naming them in ``__all__``; its own modules may be
    seen.
    """
    own = {
        n
        for n, value in vars(package).items()
        if inspect.ismodule(value) and value.__name__.startswith(PACKAGE)
    }
    return (
        {n for n in vars(package) if not n.startswith("_")}
        - set(package.__all__)
        - own
        - {"annotations"}
    )


@pytest.mark.parametrize(
    "name", [m for m in PACKAGES if m.count(".") < 2 and m != f"{PACKAGE}.cli"]
)
def test_what_a_package_shows_is_what_it_names(name):
    package = importlib.import_module(name)
    if hasattr(package, "__all__"):
        assert leaks(package) <= {"Any", "TYPE_CHECKING", "import_module"}
        assert all(hasattr(package, n) for n in package.__all__) and len(
            set(package.__all__)
        ) == len(package.__all__)
    else:  # a folder without a face: nothing but its docstring
        public = {
            n for n, v in vars(package).items() if not n.startswith("_") and not inspect.ismodule(v)
        }
        assert public == set(), f"{name} needs an __all__"


def test_a_leak_is_found():
    package = types.ModuleType("planted")
    package.__all__, package.np, package.f = ["f"], np_like, print
    assert leaks(package) == {"np"}


np_like = types.ModuleType("numpy")


def test_the_face_names_every_public_function():
    assert set(mg.ops.public.PUBLIC) <= set(mg.__all__)


# --- tests ----------------------------------------------------------------------------------------


def imports_between_tests(folder: Path) -> list[str]:
    """Where a file imports a test file: what two test files share belongs to helpers.py."""
    found = []
    for path in sorted(folder.glob("*.py")):
        names = sorted(set(imported(path.stem, path, {})))
        found += [f"{path.name} imports {name}" for name in names if name.startswith("test_")]
    return found


def test_no_test_file_imports_another():
    assert imports_between_tests(ROOT / "tests") == []


@pytest.mark.parametrize(
    "text", ["from test_a import f", "import test_a", "def g():\n    from test_a import f"]
)
def test_an_import_of_a_test_file_is_found(tmp_path, text):
    (tmp_path / "test_b.py").write_text(text, encoding="utf-8")
    (tmp_path / "test_c.py").write_text("from helpers import leaf", encoding="utf-8")
    assert imports_between_tests(tmp_path) == ["test_b.py imports test_a"]


# --- how a statement reads ------------------------------------------------------------------------

MOST_NODES = 60


def is_table(node: ast.AST) -> bool:
    """A display of constants and names alone: `__all__`, a matrix, a table of functions."""
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return all(is_table(element) for element in node.elts)
    if isinstance(node, ast.Dict):
        return all(key is None or is_table(key) for key in node.keys) and all(
            is_table(value) for value in node.values
        )
    if isinstance(node, ast.UnaryOp):
        return is_table(node.operand)
    return isinstance(node, ast.Constant | ast.Name)


def nodes_of(statement: ast.stmt) -> int:
    """Syntax nodes of a statement without the statements inside it, hints and tables (a list of
    imported names is one).
    """
    if isinstance(statement, ast.ImportFrom):
        return 1
    total, waiting = 0, [statement]
    while waiting:
        node: ast.AST = waiting.pop()
        total += 1
        if isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict) and is_table(node):
            continue
        for name, field in ast.iter_fields(node):
            if name in ("annotation", "returns", "type_comment", "type_params"):
                continue
            for child in field if isinstance(field, list) else [field]:
                inside = ast.stmt | ast.excepthandler | ast.match_case
                if isinstance(child, ast.AST) and not isinstance(child, inside):
                    waiting.append(child)
    return total


def hard_to_read(root: Path) -> list[str]:
    """Statements of the package above MOST_NODES, and conditional expressions inside one
    another.
    """
    found = []
    for path in sorted((root / PACKAGE).rglob("*.py")):
        name = path.relative_to(root).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.stmt) and (size := nodes_of(node)) > MOST_NODES:
                found.append(f"{name}:{node.lineno}: a statement of {size} nodes")
            if isinstance(node, ast.IfExp):
                inner = [n for n in ast.walk(node) if isinstance(n, ast.IfExp) and n is not node]
                found += [f"{name}:{n.lineno}: a conditional inside another" for n in inner]
    return found


def test_every_statement_is_short_and_no_conditional_is_nested():
    assert hard_to_read(ROOT) == []


@pytest.mark.parametrize(
    "text, found",
    [
        ("x = " + " + ".join("f(a)" for _ in range(12)), "a.py:1: a statement of"),
        ("x = a if b else c if d else e", "a.py:1: a conditional inside another"),
        ("x = f(a if b else 1, (c if d else e) if g else h)", "a.py:1: a conditional inside"),
        ("if " + " and ".join("f(a)" for _ in range(16)) + ": pass", "a.py:1: a statement of"),
    ],
)
def test_what_is_hard_to_read_is_found(tmp_path, text, found):
    (only,) = hard_to_read(written(tmp_path, f"{PACKAGE}/a.py", text))
    assert only.startswith(f"{PACKAGE}/{found}")


@pytest.mark.parametrize(
    "text",
    [
        f"names = {[str(k) for k in range(100)]}",
        "table = {" + ", ".join(f"'{k}': function" for k in range(50)) + "}",
        "x = a if b else c",
        "def f(x: dict[str, tuple[int, ...]]) -> None:\n" + "    x = 1\n" * 70,
    ],
)
def test_tables_hints_and_bodies_do_not_count(tmp_path, text):
    assert hard_to_read(written(tmp_path, f"{PACKAGE}/a.py", text)) == []


# --- how a line looks and a sentence reads --------------------------------------------------------

WIDTH = 100
WRITTEN = [PACKAGE, "tests", "lessons", "benchmarks"]
# Tables of calculus, and the register tile: one row a line.
TABLES = {
    f"{PACKAGE}/ops/{name}.py"
    for name in ("arrays", "elementwise", "functional", "losses", "reduce")
} | {f"{PACKAGE}/kernels/tile.py"}
MAY_BE_LONG = re.compile(r"# fmt: skip|# noqa: E501|^# \|")  # the last: a row of a Markdown table
FOR_A_TOOL = re.compile(r"\s*# (noqa|type: ignore).*$")
WORDS = re.compile(
    r"\b(is no tensor|is no gradient|is no matrix|the way back|in several dresses"
    r"|what is told of|mend(s|ed|ing)?)\b",
    re.IGNORECASE,
)
PROSE = {".py", ".js", ".css", ".html"}


def long_lines(root: Path) -> list[str]:
    """Lines above 100 columns; a note to ruff or mypy at the end of a line does not count."""
    found = []
    for path in sorted(p for folder in WRITTEN for p in (root / folder).rglob("*.py")):
        name = path.relative_to(root).as_posix()
        if name in TABLES:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if len(FOR_A_TOOL.sub("", line)) > WIDTH and not MAY_BE_LONG.search(line):
                found.append(f"{name}:{number}")
    return found


def sentences(text: str) -> str:
    """The text of a file with its line ends, comment signs and joined strings taken out."""
    text = re.sub(r"[\"']\s*\n\s*f?[\"']", "", text)
    return re.sub(r"\s*\n\s*(#|//|\*)?\s*", " ", text)


def stumbling_blocks(root: Path) -> list[str]:
    """Words in docstrings, comments and messages of the package that a native reader trips over."""
    found = []
    for path in sorted(p for p in (root / PACKAGE).rglob("*") if p.suffix in PROSE):
        text = sentences(path.read_text(encoding="utf-8"))
        name = path.relative_to(root).as_posix()
        found += [f"{name}: {match.group()}" for match in WORDS.finditer(text)]
    return found


def test_no_line_is_above_a_hundred_columns():
    assert long_lines(ROOT) == []


LONG = "x = 1  # " + "a" * WIDTH


def written(root: Path, file: str, text: str) -> Path:
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return root


@pytest.mark.parametrize("folder", WRITTEN)
def test_a_long_line_is_found(tmp_path, folder):
    assert long_lines(written(tmp_path, f"{folder}/a.py", f"\n{LONG}")) == [f"{folder}/a.py:2"]


@pytest.mark.parametrize(
    "file, text",
    [
        (f"{PACKAGE}/ops/arrays.py", LONG),
        (f"{PACKAGE}/kernels/tile.py", LONG),
        ("lessons/a.py", "# | " + "a" * WIDTH),
        ("tests/a.py", LONG + "  # fmt: skip"),
        ("tests/a.py", LONG + "  # noqa: E501"),
        ("tests/a.py", "x" * WIDTH + "  # type: ignore[arg-type]"),
    ],
)
def test_a_line_that_may_be_long_is_not_found(tmp_path, file, text):
    assert long_lines(written(tmp_path, file, text)) == []


def test_sentences_of_the_package_read_well():
    assert stumbling_blocks(ROOT) == []


@pytest.mark.parametrize(
    "text, words",
    [
        ('"""Kept for the way back."""', "the way back"),
        ('"""Kept for the way\n    back."""', "the way back"),
        ("# Kept for the\n# way back.", "the way back"),
        ('raise Error("the loss is "\n    f"no tensor")', "is no tensor"),
        ('"a scalar is no matrix"', "is no matrix"),
        ('"that is no gradient"', "is no gradient"),
        ("# A rule in several dresses", "in several dresses"),
        ("# What is told of it", "What is told of"),
        ('"mend the rule"', "mend"),
        ('"fix: mended"', "mended"),
    ],
)
def test_a_stumbling_block_is_found(tmp_path, text, words):
    root = written(tmp_path, f"{PACKAGE}/a.py", text)
    assert stumbling_blocks(root) == [f"{PACKAGE}/a.py: {words}"]


def test_other_words_are_not_found(tmp_path):
    text = '"""A recommended fix; the backward pass; an amendment; x is not a tensor."""'
    assert stumbling_blocks(written(tmp_path, f"{PACKAGE}/a.py", text)) == []
