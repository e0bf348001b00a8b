"""Executes the notebooks of the lessons, as Jupyter would: ``python tests/notebooks.py [N ...]``.

``nox -s notebooks`` runs all of them; ``test_notebooks.py`` uses `execute`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat

from minigrad_ae.teaching.lesson import lesson_files
from minigrad_ae.teaching.notebook import notebook


def execute(made: dict[str, Any], folder: Path) -> Any:
    """The executed notebook; what it writes lies in `folder`.  Raises where a cell does."""
    from nbclient import NotebookClient

    node = nbformat.reads(json.dumps(made), as_version=4)
    nbformat.validate(node)
    backend = os.environ.pop("MPLBACKEND", None)  # the kernel chooses its own
    try:
        client = NotebookClient(node, timeout=300, resources={"metadata": {"path": str(folder)}})
        return client.execute()
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend


def outputs(node: Any) -> list[Any]:
    """All outputs of an executed notebook."""
    return [o for cell in node.cells if cell.cell_type == "code" for o in cell.outputs]


def main(numbers: list[str]) -> int:
    """Execute the short form of these lessons, or of all; 1 if one fails."""
    chosen = [p for p in lesson_files() if not numbers or str(int(p.stem[:2])) in numbers]
    failed = 0
    for path in chosen:
        start, verdict = time.perf_counter(), "runs"
        with tempfile.TemporaryDirectory() as folder:
            try:
                node = execute(notebook(path, fast=True), Path(folder))
                pictures = sum("image/png" in o.get("data", {}) for o in outputs(node))
                verdict += f", {len(node.cells)} cells, {pictures} pictures"
            except Exception as error:
                failed, verdict = failed + 1, f"FAILS: {str(error)[-1500:]}"
        print(f"{path.stem:<32} {time.perf_counter() - start:5.1f} s  {verdict}", flush=True)
    print(f"{len(chosen) - failed} of {len(chosen)} notebooks run")
    return bool(failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
