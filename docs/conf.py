"""Sphinx's settings, and the pages of the API, which are written anew at each build.

    sphinx-build -W -b html docs OUT        (or: nox -s docs)

A page lists what a part of the package offers, as its docstrings say it.  Of an op the page also
shows an example from its input sets in tests/cases.py.
"""

from __future__ import annotations

import inspect
import re
import sys
import textwrap
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpydoc.docscrape_sphinx import SphinxDocString

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

import cases  # noqa: E402
import freeze_surface  # noqa: E402

import minigrad_ae as mg  # noqa: E402

project, author = "minigrad_ae", "The minigrad_ae authors"
version = release = mg.__version__
extensions = ["sphinx.ext.autodoc", "numpydoc"]
exclude_patterns = ["*.md"]
html_theme = "alabaster"
html_theme_options = {"page_width": "1250px", "sidebar_width": "220px"}
default_role = "literal"
numpydoc_show_class_members = False
autodoc_typehints = "none"
autodoc_inherit_docstrings = False

PARTS = {
    "mg": "Tensors, gradients, and what explains them",
    "ops": "Functions",
    "nn": "Layers",
    "optim": "Optimisers",
    "models": "Models of the chapter",
    "data": "Data",
    "train": "Training",
    "checkpoint": "Checkpoints",
    "analytic": "Exact answers",
    "claims": "The ledger",
    "inspect": "The inspector",
    "kernels": "Kernels",
}


def title(text: str, line: str = "-") -> str:
    return f"{text}\n{line * len(text)}\n"


def entry(module: str, name: str, value: Any) -> str:
    """What one name is, by its docstring."""
    if isinstance(value, mg.ops.Op):
        said = [escaped(line) for line in str(SphinxDocString(value.__doc__)).split("\n")]
        lines = "\n".join([*said, "", *example(value).split("\n")])
        signature = inspect.signature(value)
        return f".. py:function:: {module}.{name}{signature}\n\n{textwrap.indent(lines, '   ')}\n"
    kind = "class" if inspect.isclass(value) else "function"
    more = "\n   :members:" if kind == "class" else ""
    return f".. auto{kind}:: {module}.{name}{more}\n"


def example(op: mg.ops.Op) -> str:
    """Value and gradients at the smallest input set that has elements."""
    sets = [case for case in cases.CASES[op.name] if all(np.size(x) for x in case.inputs)]
    case = min(sets, key=lambda case: sum(np.size(x) for x in case.inputs))
    active = cases.active(op.name, case)
    xs = [mg.tensor(x, requires_grad=True) if k in active else x for k, x in enumerate(case.inputs)]
    y = op(*xs, **case.params)
    given = [f"{op.argument(k)} = {text(x)}" for k, x in enumerate(case.inputs)]
    given += [f"{name} = {value!r}" for name, value in case.params.items()]
    slopes = mg.grad(y, [xs[k] for k in active], gradient=np.ones(y.shape))
    told = [
        f"d(sum of y)/d{op.argument(k)} = {text(g)}" for k, g in zip(active, slopes, strict=True)
    ]
    lines = "\n".join(
        f"    {line}" for line in "\n".join([*given, f"y = {text(y)}", *told]).split("\n")
    )
    return f"**An input set of its tests**\n\n::\n\n{lines}\n"


def text(x: Any) -> str:
    array = x.data if isinstance(x, mg.Tensor) else np.asarray(x)
    return np.array2string(array, precision=4, threshold=20).replace("\n", "\n    ")


def offered(part: str) -> dict[str, Any]:
    """What a page lists; what ``mg`` offers, too, stands on its page alone."""
    module = mg if part == "mg" else getattr(mg, part)
    names = set(mg.__all__) - set(mg.ops.__all__) if part == "mg" else set()
    names = names or freeze_surface.public(module, part)
    if part not in ("mg", "ops"):
        names = {name for name in names if getattr(mg, name, None) is not getattr(module, name)}
    found = {name: getattr(module, name) for name in names}
    return {
        name: each
        for name, each in sorted(found.items())
        if not isinstance(each, ModuleType) and callable(each) and name != "Op"
    }


def write_pages(app: Any = None) -> None:
    folder = HERE / "generated"
    folder.mkdir(exist_ok=True)
    for part, what in PARTS.items():
        module = "minigrad_ae" if part == "mg" else f"minigrad_ae.{part}"
        entries = [entry(module, name, each) for name, each in offered(part).items()]
        page = "\n".join([title(what, "="), f"``{module}``\n", *entries])
        (folder / f"{part}.rst").write_text(page, encoding="utf-8")


def escaped(line: str) -> str:
    """|x| is a size here, and no substitution of reStructuredText."""
    if line.lstrip().startswith((">>>", "...")):
        return line
    parts = line.split("``")
    return "``".join(p if k % 2 else re.sub(r"(?<!\\)\|", r"\\|", p) for k, p in enumerate(parts))


def escape_docstring(app: Any, what: str, name: str, value: Any, options: Any, lines: Any) -> None:
    lines[:] = [escaped(line) for line in lines]


def setup(app: Any) -> None:
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", escape_docstring, priority=400)  # before numpydoc
