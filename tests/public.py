"""Every public object once, where it is defined: what the docstring tests read."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import freeze_surface

import minigrad_ae as mg

ROOT = Path(__file__).parents[1]
REFUSING = {"arguments", "_arguments", "room", "validate"}  # modules whose functions raise


class Public:
    """A public function, class, method or property, by the name it has in its module."""

    def __init__(self, module: str, path: str, raw: Any) -> None:
        self.module, self.path, self.raw = module, path, raw

    @property
    def name(self) -> str:
        """The name by which it is imported: ``minigrad_ae.models.linear.LinearAutoencoder.fit``."""
        return f"{self.module}.{self.path}"

    @property
    def folder(self) -> str:
        """The part of the package it lies in: 'models'; 'train' for the file of that name."""
        return self.module.split(".")[1]

    @property
    def is_class(self) -> bool:
        return inspect.isclass(self.raw)

    @property
    def is_member(self) -> bool:
        return "." in self.path

    @cached_property
    def function(self) -> Any:
        """What is written in the source: of a property its getter."""
        if isinstance(self.raw, property):
            return self.raw.fget
        return getattr(self.raw, "__func__", self.raw)

    @property
    def doc(self) -> str:
        return inspect.cleandoc(self.function.__doc__ or "")

    @property
    def raises(self) -> bool:
        """Whether its own source has a ``raise``, or asks by the functions of `arguments`.

        A class: whether its ``__init__`` or ``__post_init__`` does.
        """
        found = self.function
        if self.is_class:
            own = [found.__dict__.get(each) for each in ("__init__", "__post_init__")]
            return any(_raises(each) for each in own if inspect.isfunction(each))
        return _raises(found)


def _raises(function: Any) -> bool:
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):  # written by `dataclass`
        return False
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Raise) and node.exc is not None:
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            asked = getattr(function, "__globals__", {}).get(node.func.id)
            module = getattr(asked, "__module__", None) or ""
            if module.startswith("minigrad_ae") and module.split(".")[-1] in REFUSING:
                return True
    return False


def members(owner: type) -> Iterator[Any]:
    """The public methods and properties of a class, inherited ones included."""
    for name in dir(owner):
        if name.startswith("_"):
            continue
        for base in owner.__mro__:
            if name in vars(base):
                if base.__module__.startswith("minigrad_ae"):
                    yield vars(base)[name]
                break


def public() -> dict[str, Public]:
    """{name: object} of every public function, class, method and property, each once; ops that are
    made from the registry are not among them, nor are plain values.
    """
    found: dict[str, Public] = {}
    for value in _offered():
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        _add(found, value.__module__, value.__qualname__, value)
        if inspect.isclass(value):
            for raw in members(value):
                function = getattr(raw, "fget", getattr(raw, "__func__", raw))
                if inspect.isfunction(function) and function.__name__ != "<lambda>":
                    _add(found, function.__module__, function.__qualname__, raw)
    return dict(sorted(found.items()))


def _offered() -> Iterator[Any]:
    for name in mg.__all__:
        if not isinstance(getattr(mg, name), ModuleType):
            yield getattr(mg, name)
    for part in freeze_surface.MODULES:
        module = getattr(mg, part)
        for name in sorted(freeze_surface.public(module, part)):
            yield getattr(module, name)


def _add(found: dict[str, Public], module: str, path: str, raw: Any) -> None:
    if module.startswith("minigrad_ae") and "<locals>" not in path:
        each = Public(module, path, raw)
        found[each.name] = each


def used_by_readers() -> set[str]:
    """Words that the lessons and the README write: what they use needs an example."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "lessons").glob("*.py")]
    texts.append((ROOT / "README.md").read_text(encoding="utf-8"))
    return {name for text in texts for name in re.findall(r"(\w+)\(", text)}
