"""The core: the files of which a line runs when a gradient is computed, in the README's order."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np

import minigrad_ae as mg

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "minigrad_ae"
PARTS = "elementwise reduce arrays losses functional compositions calculus".split()
TABLE = {f"ops/{name}.py" for name in PARTS}
MOST = 10


def passes() -> None:
    """Forward and backward with a hook, a retained gradient, and a gradient of a gradient."""
    x = mg.tensor([[0.5, -1.0, 2.0]], name="x")
    W = mg.tensor(np.ones((3, 2)), requires_grad=True)
    b = mg.tensor([0.0, 1.0], requires_grad=True)
    h = mg.tanh(x @ W + b)
    h.register_hook(lambda g: 1.0 * g)
    h.retain_grad()
    (h**2).mean().backward()
    (g,) = mg.grad(mg.sigmoid(x @ W[:, [0, 0]]).sum(), W, create_graph=True)
    (g * g).sum().backward()


def files_of(function) -> set[str]:
    """The files of the package of which a line runs."""
    found = set()

    def look(frame, event, arg):
        file = Path(frame.f_code.co_filename)
        if not file.is_relative_to(PACKAGE):
            return None
        found.add(file.relative_to(PACKAGE).as_posix())
        return None

    before = sys.gettrace()
    sys.settrace(look)
    try:
        function()
    finally:
        sys.settrace(before)
    return found


def reading_path() -> list[str]:
    """The files of the README's list, in order."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## How to read it")[2].partition("\n## ")[0]
    return re.findall(r"^\d+\. `minigrad_ae/([\w/]+\.py)`", section, re.M)


def test_the_core_is_the_reading_path():
    with mg.kernels.use("numpy"):
        passes()
        core = files_of(passes) - TABLE
    path = reading_path()
    assert len(path) == len(set(path)) <= MOST
    assert core <= set(path), f"not in the README: {sorted(core - set(path))}"
    assert "ops/elementwise.py" in path, "one page of the table of calculus is worth reading, too"


def test_a_file_that_runs_is_seen():
    assert "data/optical_digits.py" in files_of(mg.data.digits)
