"""Where the arrays of a program are, and what is written down while it is planned.

Every value of the step gets a name and a place: memory of the program (`memory`), an array that is
there already (a leaf, a constant), or a copy of what is given anew at each call.  A call is made
and written down (`add`); a line is what was written down since the last one (`say`).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence, Set
from typing import Any

import numpy as np

from ..autodiff.graph import Value
from ..inspect.record.names import unique
from ..kernels.calls import recorded
from .follow import Followed
from .listing import Listed, Story
from .memory import Impossible, Memory
from .observed import Observation, Step, needed, parts, shown
from .program import Slot
from .writer import Writer, identifier


class Places(Writer):
    """Names and places for the values of an observed step; calls and lines as they come.

    env     {name: its array, or a function that a text calls}
    given   {name of a leaf or constant: what gives its array}
    items   the program: calls, lines of NumPy, arrays to be copied in
    listing its lines, as they are shown
    """

    def __init__(
        self,
        seen: Observation,
        loss: Value,
        others: Sequence[Value],
        scopes: Any,
        moving: Set[Value],
        memory: Memory,
    ) -> None:
        self.moving, self.memory = moving, memory
        self.seen, self.outputs = seen, [loss, *others]
        self.story = needed(seen, self.outputs)
        self.shown = {id(i.result): shown(i) for i in self.story if isinstance(i, Step)}
        leaves = {a for v in self.shown.values() for _, a in v.edges if a.op is None}
        rest = [v for v in self.shown.values() if v is not loss]
        super().__init__([*sorted(leaves, key=lambda v: v.serial), *rest, loss], scopes)
        for number, value in self.shown.items():
            self.vars[number], self.grads[number] = self.vars[id(value)], self.grads[id(value)]
        self.env: dict[str, Any] = {"np": np}
        self.used: list[np.ndarray] = []  # memory of the line that is being written
        self.saved: dict[int, list[np.ndarray]] = {}
        self.fed: dict[int, str] = {}  # {number of an array of NumPy's lines: its name}
        self.leaves: dict[str, Value] = {}
        self.static: list[Any] = [None] * len(seen.lines.values)
        self.casts: dict[tuple[str, Any], str] = {}
        self.given: dict[str, Callable[[], np.ndarray]] = {}  # leaves and constants
        self.items: list[Any] = []
        self.listing: list[Listed] = []
        self.made: dict[str, tuple[str, tuple[str, ...]]] = {}  # see `Story`
        self.said = 0  # items that a line of the listing does
        self.parameters = [self.fresh(name) for name in seen.names]
        self.spoken = dict(enumerate(self.parameters))  # {number of an array: its name}

    def choose_names(self) -> None:
        self.library.taken.add("step")  # the function's own, in the text
        super().choose_names()

    # --- where things are ---
    def declare(self, name: str, array: np.ndarray) -> ast.expr:
        """An array that is there already: a leaf, a constant."""
        self.env[name] = array
        self.given[name] = lambda: array
        return ast.Name(name)

    def constant(self, array: np.ndarray, label: str = "index", key: Any = None) -> ast.expr:
        source = self.seen.source.get(id(array))
        if isinstance(source, Followed):
            return self.feed(source)
        self.alive.append(array)
        key = id(array)
        if key not in self.literals:
            name = self.fresh(label)
            self.literals[key] = self.declare(name, array)
        return self.literals[key]

    def is_constant(self, thing: Any) -> bool:
        found = (p for p in parts(thing) if isinstance(p, np.ndarray))
        return not any(isinstance(a, Followed) or id(a) in self.seen.source for a in found)

    def fresh(self, label: str) -> str:
        """A name that nothing has."""
        return unique(identifier(label), self.library.taken)

    def feed(self, source: Followed) -> ast.expr:
        """The place of an array of NumPy's lines; it is filled when it is first asked for."""
        if source.lines is not self.seen.lines:
            raise Impossible("an array got lost on the way to the graph")
        if source.number in self.seen.values:
            return self.place(self.seen.values[source.number])
        if source.number not in self.fed:
            parameter = source.number < len(self.parameters)
            name = self.spoken[source.number] if parameter else self.fresh("given")
            self.fed[source.number] = name
            array = np.asarray(source)
            buffer = self.memory.like(array)
            buffer[...] = array
            self.env[name] = buffer
            self.items.append((Slot(source.number), buffer))
            self.say(name, "", buffer, "given", lambda _: self.spoken[source.number])
        return ast.Name(self.fed[source.number])

    def place(self, value: Value) -> ast.expr:
        """The name of a value: computed, given, detached from another, or there from the start."""
        source = self.seen.source.get(id(value))
        if isinstance(source, Value):
            return self.place(source)
        if isinstance(source, Followed):
            return self.feed(source)
        if id(value) not in self.vars:
            self.vars[id(value)] = self.fresh(self.labels.get(id(value)) or value.name or "c")
        name = self.vars[id(value)]
        if name not in self.env:
            if value.op is not None:
                raise Impossible("a tensor of an earlier graph is used")
            self.declare(name, self.of_leaf(name, value))
            self.given[name] = lambda: value._data
        return ast.Name(name)

    def of_leaf(self, name: str, leaf: Value) -> np.ndarray:
        """The array of a leaf; of one that gets another array again and again, a place to which it
        is copied.
        """
        if leaf not in self.moving:
            self.leaves[name] = leaf
            return leaf._data
        array = self.memory.like(leaf._data)
        self.add(copy_of, leaf, array)
        return array

    def input(self, value: Value, k: int) -> ast.expr:
        """As in the text of a program; but what is given anew at each call has a place."""
        a, array = value.inputs[k], value.arrays[k]
        if isinstance(a, Value):
            node = self.place(a)
        elif isinstance(a, Followed):
            node = self.feed(a)
        elif isinstance(a, np.ndarray) and a.ndim:
            node = self.constant(a, self.labels.get(id(a), "c"))
        else:
            return super().input(value, k)
        there = self.array_of(node)
        if there.dtype == array.dtype:
            return node
        key = ast.unparse(node), array.dtype
        if key not in self.casts:
            name = self.casts[key] = self.fresh(f"{key[0]}_{array.dtype}")
            self.env[name] = self.memory.like(array)
            self.add(np.copyto, self.env[name], there)
            text = f"{key[0]}.astype(np.{array.dtype})"
            self.say(name, text, self.env[name], "numpy", lambda _: text)
        return ast.Name(self.casts[key])

    def array_of(self, node: ast.expr) -> np.ndarray:
        return self.env[ast.unparse(node)]  # type: ignore[no-any-return]

    # --- memory ---
    def keep(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Memory for the result of a line."""
        return self.memory.empty(shape, dtype)

    def spend(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """Memory for this line alone."""
        self.used.append(self.memory.empty(shape, dtype))
        return self.used[-1]

    def end_line(self) -> None:
        for array in self.used:
            self.memory.drop(array)
        self.used = []

    def take_over(self, array: np.ndarray, made: list[np.ndarray]) -> None:
        """One user more for the memory of a result: its own, this line's, or that of an array which
        it is a view of.
        """
        owner = self.memory.owner(array)
        if owner is None:
            return
        spent = [self.memory.owner(u) is owner for u in self.used]
        if any(spent):
            self.used = [u for u, own in zip(self.used, spent, strict=True) if not own]
        elif not any(self.memory.owner(m) is owner for m in made):
            self.memory.hold(array)

    # --- calls and lines ---
    def add(self, function: Callable[..., Any], *args: Any) -> None:
        """A call, made now and written down."""
        function(*args)
        self.items.append((function, args))

    def written(self, work: Callable[[], None]) -> None:
        """The calls of a kernel, made now and written down."""
        with recorded(self.spend) as calls:
            work()
        self.items += calls

    def say(
        self,
        name: str,
        text: str,
        array: np.ndarray | None,
        kind: str,
        write: Callable[[Story], str],
        adds: bool = False,
        of: str = "",
    ) -> None:
        """A line of the listing: what was written down since the last one; `of` a value, by default
        the one of this name.
        """
        items = slice(self.said, len(self.items))
        self.said, calls = items.stop, items.stop - items.start
        if kind == "numpy" and not calls:
            kind = "view"
        shape, dtype = ((), None) if array is None else (array.shape, array.dtype)
        line = Listed(name, text, shape, dtype, kind, calls, array, items, write, adds, of or name)
        self.listing.append(line)
        if array is not None:
            self.library.shapes[name] = array.shape


def copy_of(leaf: Value, array: np.ndarray) -> None:
    """The data of a leaf, wherever they are now."""
    np.copyto(array, leaf._data)
