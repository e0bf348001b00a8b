"""A lesson's script as a notebook (nbformat 4.5): its cells, its settings written out, places for
the reader's guesses, and collapsed answers.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INSTALL = """\
# Hosted notebooks (Colab, Kaggle) start without the package.  If it cannot be imported, write here
# where it is: a wheel that you have uploaded, the path of a checkout, or git+https://...
import importlib.util

source = ""
if importlib.util.find_spec("minigrad_ae") is None:
    if not source:
        raise ImportError("minigrad_ae is not installed: say in `source` where it is")
    %pip install --quiet {source}"""
GUESSES = (
    "Run the next cell to read the questions, write what you expect between the quotes, and run it "
    "again: the answers come at the end, beside yours."
)


@dataclass(frozen=True)
class Cell:
    """A cell of a script in percent format: its title, and its source without comment signs."""

    title: str
    source: str
    markdown: bool


def cells(text: str) -> list[Cell]:
    """The cells of a script; what stands before the first one belongs to none.

    Parameters
    ----------
    text : str
        The script: ``# %% Title`` begins code, ``# %% [markdown]`` prose in comments.
    """
    parts = re.split(r"^# %%(.*)\n", text, flags=re.M)[1:]
    return [_cell(head.strip(), body) for head, body in zip(parts[::2], parts[1::2], strict=True)]


def _cell(head: str, body: str) -> Cell:
    """One cell of a script."""
    if not head.startswith("[markdown]"):
        return Cell(head, body.strip("\n"), False)
    prose = re.sub(r"^# ?", "", body.strip("\n"), flags=re.M)
    return Cell(head.removeprefix("[markdown]").strip(), prose, True)


def notebook(
    path: Path, *, seed: int = 0, fast: bool = False, figures: str = "minigrad_ae_figures"
) -> dict[str, Any]:
    """The notebook of a lesson, for `json.dumps`.

    Parameters
    ----------
    path : Path
        The lesson's script.
    seed : int, optional
        Written into the settings cell, where the reader may change it; likewise what follows.
    fast : bool, optional
        The short form.
    figures : str, optional
        Folder for figures, as seen from the notebook's own.
    """
    settings = [f"seed={seed!r}", f"fast={fast!r}", f"out={figures!r}".replace("'", '"')]
    made = [_code(INSTALL, tags=["install"])]
    section = ""  # the first word of the last heading
    for cell in cells(path.read_text(encoding="utf-8")):
        if cell.markdown:
            made.append({"cell_type": "markdown", "metadata": {}, "source": cell.source})
            section = _last_heading(cell.source) or section
            continue
        heading, source = _heading(cell.source)
        if heading:
            level = "###" if _first_word(heading) == section else "##"
            text = f"{level} {heading}"
            section = _first_word(heading)
            if "lesson.predict(" in source:
                text += f"\n\n{GUESSES}"
            made.append({"cell_type": "markdown", "metadata": {}, "source": text})
        made.append(_code_cell(cell.title, source, settings))
    for number, entry in enumerate(made):
        entry["id"] = f"{path.stem[:2]}-{number:03d}"
        entry["source"] = entry["source"].splitlines(keepends=True)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": made}


def _code_cell(title: str, source: str, settings: list[str]) -> dict[str, Any]:
    """A code cell of a lesson, as its title and its calls ask for."""
    tags: list[str] = []
    if re.search(r"^lesson = Lesson\(", source, re.M):
        source, tags = _written_out(source, settings), ["parameters"]
    source = _without_echo(_with_guesses(source))
    if title.startswith("Answer"):
        return _code(source, ["hide-cell"], {"source_hidden": True, "outputs_hidden": True})
    return _code(source, tags)


def _code(source: str, tags: list[str], jupyter: dict[str, bool] | None = None) -> dict[str, Any]:
    """A code cell that has not run."""
    metadata: dict[str, Any] = {"tags": tags} if tags else {}
    if jupyter:
        metadata["jupyter"] = jupyter
    return {
        "cell_type": "code",
        "metadata": metadata,
        "execution_count": None,
        "outputs": [],
        "source": source,
    }


def _heading(source: str) -> tuple[str, str]:
    """What `lesson.cell` at the start of a cell prints in a terminal, and the cell without it."""
    found = re.match(r'lesson\.cell\("([^"\n]*)"\)\n*', source)
    if not found:
        return "", source
    rest = source[found.end() :]
    return (found[1], rest) if rest.strip() else ("", source)


def _last_heading(prose: str) -> str:
    """The first word of the last ``## `` heading of a markdown cell; '' without one."""
    found = re.findall(r"^## (.*)", prose, re.M)
    return _first_word(found[-1]) if found else ""


def _first_word(title: str) -> str:
    """Of a heading."""
    return re.split(r"\W", title, maxsplit=1)[0]


def _written_out(source: str, settings: list[str]) -> str:
    """The settings cell, with the options of the command line as arguments."""
    call = re.compile(r'^lesson = Lesson\(("\w+"), ("[^"]*")\)', re.M)
    arguments = r"    \1,\n    \2,\n" + "".join(
        f"    {s},\n".replace("\\", r"\\") for s in settings
    )
    return call.sub(rf"lesson = Lesson(\n{arguments})", source)


def _with_guesses(source: str) -> str:
    """A place for what the reader expects in each call of `lesson.predict`."""
    call = re.compile(r'^( *lesson\.predict\("[^"]*")\)(?:  # (.*))?$', re.M)
    note = "write yours between the quotes"
    return call.sub(
        lambda m: f'{m[1]}, guess="")  # {note}' + (f"; {m[2]}" if m[2] else ""), source
    )


def _without_echo(source: str) -> str:
    """A notebook shows the value of a last line that is an expression; lessons print theirs."""
    body = ast.parse(source).body
    if not body or not isinstance(body[-1], ast.Expr):
        return source
    last = body[-1]
    if re.match(r"(print|lesson\.\w+)\(", ast.get_source_segment(source, last) or ""):
        return source
    assert last.end_lineno is not None and last.end_col_offset is not None
    lines = source.encode().split(b"\n")
    line, end = lines[last.end_lineno - 1], last.end_col_offset
    lines[last.end_lineno - 1] = line[:end] + b";" + line[end:]
    return b"\n".join(lines).decode()
