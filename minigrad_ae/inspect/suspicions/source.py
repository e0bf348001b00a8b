"""Lines of the user's files, found by what they call."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ...autodiff.origin import source_line

Line = tuple[str, int, str]  # file, number, text
PACKAGE = str(Path(__file__).parents[2])
TEXT = 1_000_000  # characters; a longer file is not read


@lru_cache(maxsize=32)
def parsed(text: str) -> ast.Module | None:
    """The syntax tree of a text, or None where it has none."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def nodes_of(files: Iterable[str]) -> Iterator[tuple[str, ast.AST]]:
    """(file, node) of every node in the syntax trees of these files, as far as they can be read."""
    for file in files:
        text = "".join(linecache.getlines(file))
        tree = parsed(text) if 0 < len(text) <= TEXT else None
        for node in ast.walk(tree) if tree else ():
            yield file, node


def line_of(file: str, node: ast.AST) -> Line:
    """The line in which a node begins."""
    number = getattr(node, "lineno", 1)
    return file, number, linecache.getline(file, number).strip()


def place(origin: Any) -> Line | None:
    """The line of a place, (code object, instruction)."""
    return source_line(SimpleNamespace(origin=origin))


def called(node: ast.AST) -> str:
    """The last name of what a node calls: 'backward' of ``loss.backward()``; '' of another node."""
    if not isinstance(node, ast.Call):
        return ""
    return str(getattr(node.func, "attr", None) or getattr(node.func, "id", ""))


def lines_calling(files: Iterable[str], name: str) -> list[Line]:
    """The lines of these files that call something of this name."""
    return [line_of(file, node) for file, node in nodes_of(files) if called(node) == name]
