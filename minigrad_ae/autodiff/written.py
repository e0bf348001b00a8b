"""Functions that are written for one purpose, with the objects that they deal with in a closure.

Where the same few questions are asked of the same objects at each step, half of the time goes
into finding the objects.  A function whose text names each of them finds it at once:

    w = Written("ready", "")
    state, known = w.name("state", adam.state), w.name("state", adam.state)    # the same name
    w.say(f"return {state} is {known}")
    ready = w.function()                                                      # ready() -> True
    print(ready.source)

Its lines show in tracebacks, like those of the rules.
"""

from __future__ import annotations

import linecache
from collections.abc import Callable
from typing import Any


class Written:
    """A function ``name(parameters)`` that is being written."""

    def __init__(self, name: str, parameters: str) -> None:
        self.title, self.lines = name, [f"def {name}({parameters}):"]
        self.known: dict[str, Any] = {}
        self.names: dict[int, str] = {}  # by identity: objects are kept in `known`

    def name(self, stem: str, thing: Any) -> str:
        """A name for an object, the same one for the same object."""
        if id(thing) not in self.names:
            found = self.names[id(thing)] = f"{stem}_{len(self.names)}"
            self.known[found] = thing
        return self.names[id(thing)]

    def say(self, line: str, depth: int = 1) -> None:
        """One line more."""
        self.lines.append("    " * depth + line)

    def unless(self, conditions: list[str]) -> None:
        """Return None unless all of them hold, which are asked in this order; inside a try."""
        for condition in conditions:
            self.say(f"if not ({condition}): return None", 2)

    def function(self) -> Callable[..., Any]:
        """The function; its text is its ``source``."""
        text = "\n".join(self.lines) + "\n"
        within = "\n".join(f"    {line}" for line in self.lines)
        whole = f"def within({', '.join(self.known)}):\n{within}\n    return {self.title}\n"
        filename = f"<written.{self.title}>"
        linecache.cache[filename] = (len(whole), None, whole.splitlines(keepends=True), filename)
        scope: dict[str, Any] = {}
        exec(compile(whole, filename, "exec"), scope)
        function: Callable[..., Any] = scope["within"](**self.known)
        function.source = text  # type: ignore[attr-defined]
        return function
