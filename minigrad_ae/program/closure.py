"""What a function depends on besides its arguments, as far as one can see: numbers, strings, and
the settings of modules.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from ..autodiff.graph import Value, settings
from ..autodiff.written import Written

PLAIN = (int, float, complex, bool, str, bytes, type(None), np.generic)
CONTAINERS = (list, dict, set, bytearray)
AT_MOST = 100  # things in a container that are looked at
DEEPEST = 8  # a module in a module in ...
FOREIGN = (type, FunctionType, ModuleType, np.ndarray, np.random.Generator, Value)
NOTHING = object()


class Surroundings:
    """The variables that a function finds outside of itself."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.fixed: list[Any] = []
        if isinstance(function, MethodType):
            self.fixed, function = [function.__self__], function.__func__
        self.cells: tuple[Any, ...] = ()
        self.known: dict[str, Any] = {}
        self.names: list[str] = []
        if isinstance(function, FunctionType):
            self.fixed += [
                *(function.__defaults__ or ()),
                *(function.__kwdefaults__ or {}).values(),
            ]
            self.cells, self.known = function.__closure__ or (), function.__globals__
            self.names = [n for n in function.__code__.co_names if n in self.known]
        self.in_cells: list[tuple[Any, Any]] = []  # cells and names, and what they stood for
        self.by_name: list[tuple[str, Any]] = []
        self.plain = False  # none of it is a container
        self.clock = -1  # of modules' settings, when the token was made
        self.tokens: list[tuple[int, Any]] = []  # what was found so far, by number
        self.number = self.made = 0

    def state(self) -> int:
        """A number that is the same as long as nothing that can be seen has changed, and again when
        it has changed back.

        Where all variables are the objects that they were, none is a container, and no module was
        given an attribute, nothing has; otherwise one looks.
        """
        if settings.changes != self.clock or not self.as_before():
            known = self.known
            held = [self.look(c) for c in self.cells]
            now = held + [known.get(n, NOTHING) for n in self.names]
            self.in_cells = list(zip(self.cells, held, strict=True))
            self.by_name = list(zip(self.names, now[len(held) :], strict=True))
            self.plain = not any(isinstance(thing, CONTAINERS) for thing in now)
            self.clock = settings.changes
            found = tuple(token(thing) for thing in (*self.fixed, *now))
            known_as = [n for n, seen in self.tokens if seen == found]
            if not known_as:
                self.made += 1
                known_as, self.tokens = [self.made], [*self.tokens[-AT_MOST:], (self.made, found)]
            self.number = known_as[0]
        return self.number

    def conditions(self, w: Written) -> list[str]:
        """That `state` is what it was when last asked, in words, for again.py: what it asks itself,
        or where something is a container a call of it.
        """
        number = self.state()
        if not self.plain or any(thing is NOTHING for _, thing in self.in_cells):
            return [f"{w.name('state', self.state)}() == {number}"]
        found = [f"{w.name('settings', settings)}.changes == {self.clock}"]
        for cell, thing in self.in_cells:
            found.append(f"{w.name('cell', cell)}.cell_contents is {w.name('held', thing)}")
        known = w.name("globals", self.known)
        for name, thing in self.by_name:
            missing = w.name("nothing", NOTHING)
            found.append(f"{known}.get({name!r}, {missing}) is {w.name('held', thing)}")
        return found

    def as_before(self) -> bool:
        """Whether all variables are the objects that they were, and none is a container."""
        try:
            for cell, thing in self.in_cells:
                if cell.cell_contents is not thing:
                    return False
        except ValueError:  # not assigned
            return False
        for name, thing in self.by_name:
            if self.known.get(name, NOTHING) is not thing:
                return False
        return self.plain

    def whole(self) -> Any:
        """All that can be seen, looked at now, and the states of generators: what a function that
        only computes leaves as it is.
        """
        known = self.known
        now = [self.look(c) for c in self.cells] + [known.get(n, NOTHING) for n in self.names]
        drawn = [str(g.bit_generator.state) for g in generators_in([*self.fixed, *now])]
        return token([*self.fixed, *now]), drawn, str(np.random.get_state()), random.getstate()

    @staticmethod
    def look(cell: Any) -> Any:
        """What a cell holds."""
        try:
            return cell.cell_contents
        except ValueError:  # not assigned yet
            return NOTHING


def generators_in(things: Iterable[Any], depth: int = 0) -> list[np.random.Generator]:
    """The generators among these things, and in what they hold."""
    found: list[np.random.Generator] = []
    for thing in things:
        held = getattr(thing, "__dict__", None)
        if isinstance(thing, np.random.Generator):
            found.append(thing)
        elif depth < DEEPEST and isinstance(thing, list | tuple):
            found += generators_in(thing[:AT_MOST], depth + 1)
        elif depth < DEEPEST and isinstance(thing, dict):
            found += generators_in(list(thing.values())[:AT_MOST], depth + 1)
        elif depth < DEEPEST and isinstance(held, dict) and not isinstance(thing, FOREIGN):
            found += generators_in(held.values(), depth + 1)
    return found


class Same:
    """Equal to itself wrapped again, and to nothing else; keeps the object, and so its identity."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


def token(thing: Any, depth: int = 0) -> Any:
    """By value what is plain; what holds others (a container, a module, an object) by what it
    holds; all else by identity.
    """
    if isinstance(thing, PLAIN):
        return type(thing), thing
    if isinstance(thing, tuple | list | set) and len(thing) <= AT_MOST:
        return type(thing), tuple(token(t, depth) for t in thing)
    if isinstance(thing, dict) and len(thing) <= AT_MOST:
        return dict, tuple((token(k, depth), token(v, depth)) for k, v in thing.items())
    held = getattr(thing, "__dict__", None)
    if isinstance(thing, FOREIGN) or not isinstance(held, dict) or depth == DEEPEST:
        return Same(thing)
    return Same(thing), token(held, depth + 1)
