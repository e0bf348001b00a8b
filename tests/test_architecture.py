"""The layers: who may import whom, read from the source.

    errors <- rules <- graph <- op <- guard <- engine <- ops <- tensor <- nn, optim <- models <- claims

`violations(root)` reads a tree and lists what breaks the rules; the tests run it on this repository, and on small
trees with one planted violation each.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "minigrad_ae"
LAYERS = [{"errors"}, {"rules"}, {"graph"}, {"words"}, {"op"}, {"guard"}, {"engine"}, {"ops"}, {"tensor"},
          {"nn", "optim"}, {"models"}, {"claims"}]  # fmt: skip
LEVEL = {part: k for k, layer in enumerate(LAYERS) for part in layer}
CORE = {part for part in LEVEL if LEVEL[part] <= LEVEL["tensor"]}
READERS = {"check", "inspect"}  # they read the graph; nothing below knows them
TRAINED = {"models", "optim", "train", "nn"}  # what is measured must not see the answer
ANSWERS = {"analytic", "certify", "claims"}
SPECTRAL = {"svd", "svdvals", "eig", "eigh", "eigvals", "eigvalsh", "pinv", "lstsq", "matrix_rank", "cond"}
OUTSIDE = {"kernels": {"numpy", "numba"}, "analytic": {"numpy"}, **{part: {"numpy"} for part in CORE}}
INSIDE = {"kernels": {"errors"}, "analytic": {"errors"}}


def part_of(path: Path, root: Path) -> str:
    """'ops' for minigrad_ae/ops/shape.py, 'engine' for minigrad_ae/engine.py."""
    return path.relative_to(root / PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path, root: Path) -> Iterator[str]:
    """The dotted name of everything that a file imports, except for type checking."""
    package = path.relative_to(root).parts[:-1]
    for node in _nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under ``if TYPE_CHECKING:``, and in ``_repr_html_``: what a notebook shows is drawn by inspect."""
    for node in ast.iter_child_nodes(tree):
        shown = isinstance(node, ast.FunctionDef) and node.name == "_repr_html_"
        if not (shown or (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))):
            yield node
            yield from _nodes(node)


def layering(path: Path, root: Path) -> Iterator[str]:
    """What is wrong with the imports of one file of the package."""
    part = part_of(path, root)
    names = {tuple(name.split(".")) for name in imported(path, root)}
    inside = {name[1] for name in names if name[0] == PACKAGE and len(name) > 1} - {part}
    outside = {name[0] for name in names if name[0] != PACKAGE}
    for other in sorted(inside):
        if part in LEVEL and LEVEL.get(other, -1) >= LEVEL[part]:
            yield f"{part} imports {other}, which is not below it"
        if part in CORE and other not in CORE | {"kernels"}:
            yield f"{part} imports {other}, which is no part of the core"
        if other not in INSIDE.get(part, {other}):
            yield f"{part} imports {other}, and may import {', '.join(sorted(INSIDE[part]))} only"
        if part in TRAINED and other in ANSWERS:
            yield f"{part} imports {other}: it would see the answer"
    for other in sorted(outside):
        if part in OUTSIDE and other not in OUTSIDE[part] and not _standard(other):
            yield f"{part} imports {other}"


def _standard(name: str) -> bool:
    return name in sys.stdlib_module_names


def spectra(path: Path, root: Path) -> Iterator[str]:
    """Where code that is measured computes singular values or eigenvalues."""
    if part_of(path, root) not in TRAINED:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        name = node.attr if isinstance(node, ast.Attribute) else node.name if isinstance(node, ast.alias) else ""
        if name in SPECTRAL or name == "scipy":
            yield f"{path.name} uses {name}"


def violations(root: Path) -> list[str]:
    found = []
    package = sorted((root / PACKAGE).rglob("*.py"))
    for path in package:
        found += [*layering(path, root), *spectra(path, root)]
    return found


def test_this_repository_keeps_its_layers():
    assert violations(ROOT) == []


def test_the_core_is_where_it_is_looked_for():
    parts = {part_of(path, ROOT) for path in (ROOT / PACKAGE).rglob("*.py")}
    assert parts >= CORE | READERS


PLANTED = [
    ("engine.py", "from .tensor import Tensor", "engine imports tensor, which is not below it"),
    ("engine.py", "from . import ops", "engine imports ops, which is not below it"),
    ("ops/shape.py", "from ..tensor import Tensor", "ops imports tensor, which is not below it"),
    ("ops/shape.py", "def f():\n    from minigrad_ae.autodiff.engine import grad\n    import minigrad_ae.tensors", "ops imports tensor"),
    ("graph.py", "from .op import Op", "graph imports op, which is not below it"),
    ("errors.py", "from .rules import NAMES", "errors imports rules, which is not below it"),
    ("tensor.py", "from .check import gradcheck", "tensor imports check, which is no part of the core"),
    ("engine.py", "from .inspect.record import walk", "engine imports inspect, which is no part of the core"),
    ("ops/nn.py", "import torch", "ops imports torch"),
    ("nn/layers.py", "from ..models import LinearAutoencoder", "nn imports models, which is not below it"),
    ("nn/layers.py", "from .. import optim", "nn imports optim, which is not below it"),
    ("kernels/gemm.py", "from ..ops import matmul", "kernels imports ops, and may import errors only"),
    ("kernels/gemm.py", "import scipy", "kernels imports scipy"),
    ("analytic/pca.py", "from ..graph import Value", "analytic imports graph, and may import errors only"),
    ("analytic/pca.py", "import numba", "analytic imports numba"),
    ("models/linear.py", "from ..analytic import pca", "models imports analytic: it would see the answer"),
    ("train.py", "import minigrad_ae.analytic.principal_components", "train imports analytic: it would see the answer"),
    ("optim.py", "import numpy as np\nnp.linalg.svd(x)", "optim.py uses svd"),
    ("models/linear.py", "from numpy.linalg import eigh", "linear.py uses eigh"),
]
HARMLESS = [
    ("graph.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .op import Op"),
    ("ops/shape.py", '"""Text."""\nimport numpy as np\nfrom ..op import op\nfrom . import index\nfrom .index import getitem'),
    ("certify.py", "import numpy as np\nfrom .analytic import pca\nnp.linalg.svd(x)"),
    ("check.py", "from . import engine\nfrom .tensor import Tensor"),
]


def plant(root: Path, file: str, text: str) -> list[str]:
    path = (root / PACKAGE / file).resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return violations(root)


@pytest.mark.parametrize("file, text, expected", PLANTED, ids=lambda v: v.split("\n")[0][:40])
def test_a_violation_is_found(tmp_path, file, text, expected):
    (tmp_path / PACKAGE).mkdir()
    assert any(found.startswith(expected) for found in plant(tmp_path, file, text))


@pytest.mark.parametrize("file, text", HARMLESS, ids=lambda v: v.split("\n")[0][:40])
def test_what_is_allowed_is_not_found(tmp_path, file, text):
    (tmp_path / PACKAGE).mkdir()
    assert plant(tmp_path, file, text) == []
