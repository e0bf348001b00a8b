"""What the values of a graph are called: by `name=`, by the caller's own variables, by those of the
functions that made them, or by a made-up name.
"""

from __future__ import annotations

import os
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from ...autodiff.graph import Value
from .variables import source_names


def caller_scopes(depth: int) -> list[Mapping[str, Any]]:
    """The variables of the function `depth` calls above the one that asks, then those of its
    module.
    """
    frame = sys._getframe(depth + 1)
    return [frame.f_locals, frame.f_globals]


def variables(scopes: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """{id of a value or array: variable}; after the variables themselves come list entries and
    module parameters.
    """
    found: dict[int, str] = {}
    things = [
        (name, thing)
        for scope in scopes
        for name, thing in list(scope.items())
        if not name.startswith("_")
    ]
    parts = (part for name, thing in things for part in _parts(name, thing))
    for name, thing in chain(things, parts):
        if isinstance(thing, Value | np.ndarray):
            found.setdefault(id(thing), name)
    return found


def _parts(name: str, thing: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, list | tuple):
        yield from ((f"{name}[{k}]", part) for k, part in enumerate(thing[:100]))
    elif isinstance(thing, dict):
        yield from ((f"{name}[{key!r}]", part) for key, part in list(thing.items())[:100])
    elif of_this_package(thing) and callable(getattr(thing, "named_parameters", None)):
        yield from ((f"{name}.{path}", part) for path, part in thing.named_parameters())


def of_this_package(thing: Any) -> bool:
    """Whether it is one of this package's objects, or of a class derived from them: nothing is
    asked of others that happen to lie in a variable, since their attributes may run anything.
    """
    package = __name__.split(".")[0]
    return any(kind.__module__.split(".")[0] == package for kind in type(thing).__mro__)


def seed_in(scopes: Iterable[Mapping[str, Any]]) -> int | None:
    """The caller's variable `seed`, if it is a whole number."""
    found = (scope["seed"] for scope in scopes if "seed" in scope)
    return next((int(seed) for seed in found if isinstance(seed, int | np.integer)), None)


def name_values(order: Sequence[Value], scopes: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """{id: name} for every value of a graph and each array it met as a constant; no name is given
    twice.

    order : inputs before outputs, the loss last (`engine.topological`).
    """
    known = variables(scopes)
    arrays = {id(a): a for value in order for a in value.inputs if isinstance(a, np.ndarray)}
    values = {v for value in order for v in (value, *value.inputs) if isinstance(v, Value)}
    things = [*arrays.values(), *sorted(values, key=attrgetter("serial"))]
    names: dict[int, str] = {}
    taken = Taken()
    for thing in things:
        wanted = _chosen(thing.name if isinstance(thing, Value) else None, known.get(id(thing)))
        if wanted:
            shown = "".join(c if c.isprintable() else "?" for c in str(wanted))
            names[id(thing)] = unique(shown, taken)
    counts: dict[str, Iterator[int]] = defaultdict(count)
    root = id(order[-1])
    if root not in names and order[-1].op is not None:
        names[root] = unique("loss", taken)
    written = source_names(order)
    for thing in things:
        if id(thing) not in names and id(thing) in written:
            names[id(thing)] = unique(written[id(thing)], taken)
    for thing in things:
        if id(thing) not in names:
            names[id(thing)] = unique(_counted(thing, counts), taken)
    return names


def _counted(thing: Any, counts: Mapping[str, Iterator[int]]) -> str:
    """A name by kind: matmul_1, matmul_2 for what ops made; x0 for leaves, c0 for constants."""
    op = thing.op if isinstance(thing, Value) else None
    if op is not None:
        return f"{op.name}_{next(counts[op.name]) + 1}"
    kind = "x" if isinstance(thing, Value) and thing.requires_grad else "c"
    return f"{kind}{next(counts[kind])}"


def _chosen(own: str | None, path: str | None) -> str | None:
    """Its own name, else the variable; of a parameter deep in a model (net.blocks.0.weight) the
    path, not just 'weight'.
    """
    deep = own and path and "." not in own and path.endswith(f".{own}") and path.count(".") > 1
    return path if deep else own or path


def short_path(file: str | None) -> str | None:
    """A path below the working directory, or in this package, without what is above it; any other
    as it is.
    """
    if file is None:
        return None
    here, package = (f"{folder}{os.sep}" for folder in (os.getcwd(), Path(__file__).parents[3]))
    return file.removeprefix(here).removeprefix(package)


def fitted(text: str, width: int) -> str:
    """At most `width` characters: of a path (encoder.0.weight) the end, of anything else the
    beginning.
    """
    if len(text) <= width:
        return text
    return f"…{text[1 - width :]}" if "." in text and " " not in text else f"{text[: width - 1]}…"


def told_apart(names: Sequence[str], width: int) -> dict[str, str]:
    """{name: at most `width` characters of it}, such that names that differ still do.

    Of a path each part keeps its first letters, as many as there is room for
    (encoder.0.weight: encode…0.weight).  What is equal after that keeps its end.
    """
    short = {name: shortened(name, width) for name in names}
    shared = Counter(short.values())
    for name, text in short.items():
        if shared[text] > 1 and len(name) > width:
            half = width // 2
            short[name] = f"{name[: width - half - 1]}…{name[-half:]}"
    return short


def shortened(name: str, width: int) -> str:
    """A path by the beginnings of its parts, anything else by its own."""
    if len(name) <= width or "." not in name or " " in name:
        return fitted(name, width)
    *parts, last = name.split(".")
    start = ""
    for letters in range(max(map(len, parts)), 0, -1):
        start = "".join(f"{p}." if len(p) <= letters else f"{p[:letters]}…" for p in parts)
        if len(start + last) <= width:
            return start + last
    room = width - len(start)
    return start + fitted(last, room) if room > 1 else fitted(name, width)


class Taken(set[str]):
    """Names that are given, none of which is ever free again; and of each how many more were made
    of it, so that a name used ten thousand times is found as fast as one used twice.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        super().__init__(names)
        self.made: dict[str, int] = {}


def unique(name: str, taken: Taken) -> str:
    """`name`, or name_2, name_3, ... if that is taken; from now on it is."""
    choice = name
    while choice in taken:
        taken.made[name] = taken.made.get(name, 1) + 1
        choice = f"{name}_{taken.made[name]}"
    taken.add(choice)
    return choice
