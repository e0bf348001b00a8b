"""From one observed step to a program: every array has its place, every op its calls.

The forward pass in the order in which it ran; then the backward pass in the engine's own order,
with the engine's own rules: a kernel where one ran, and otherwise the expressions that `emit_numpy`
prints, taken apart by `lower`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence, Set
from typing import Any

import numpy as np

from ..autodiff import engine
from ..autodiff.graph import Value
from ..autodiff.operation import REGISTRY
from ..autodiff.rules import NAMES
from ..inspect.record.names import unique
from ..inspect.record.notation import rule_of
from ..kernels.calls import recorded
from .follow import Followed, Line
from .inline import Inliner
from .listing import Code, Listed, Story, called, named_after
from .literals import array_text
from .literals import setting as literal
from .lower import Lowering
from .memory import Memory
from .observed import Observation, Step
from .program import Program, Slot
from .writer import Writer, identifier


class Impossible(Exception):
    """Why an observed step cannot become a program."""


class Planner(Writer):
    """Gives every value of a step a place, and writes down what fills it."""

    rule_of_slices = staticmethod(REGISTRY["getitem"].vjps[0])  # a test may plant another

    def __init__(
        self,
        seen: Observation,
        loss: Value,
        others: Sequence[Value],
        scopes: Any,
        moving: Set[Value] = frozenset(),
    ) -> None:
        self.moving = moving
        self.seen, self.outputs = seen, [loss, *others]
        self.story = needed(seen, self.outputs)
        self.shown = {id(i.result): shown(i) for i in self.story if isinstance(i, Step)}
        leaves = {a for v in self.shown.values() for _, a in v.edges if a.op is None}
        rest = [v for v in self.shown.values() if v is not loss]
        super().__init__([*sorted(leaves, key=lambda v: v.serial), *rest, loss], scopes)
        for number, value in self.shown.items():
            self.vars[number], self.grads[number] = self.vars[id(value)], self.grads[id(value)]
        self.env: dict[str, Any] = {"np": np}
        self.memory = Memory()
        self.used: list[np.ndarray] = []  # memory of the line that is being written
        self.saved: dict[int, list[np.ndarray]] = {}
        self.fed: dict[int, str] = {}  # {number of an array of NumPy's lines: its name}
        self.leaves: dict[str, Value] = {}
        self.static: list[Any] = [None] * len(seen.lines.values)
        self.casts: dict[tuple[str, Any], str] = {}
        self.given: dict[str, Callable[[], np.ndarray]] = {}  # leaves and constants
        self.items: list[Any] = []
        self.listing: list[Listed] = []
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
            self.env[name] = self.keep(array.shape, array.dtype)
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

    # --- calls ---
    def add(self, function: Callable[..., Any], *args: Any) -> None:
        """A call, made now and written down."""
        function(*args)
        self.items.append((function, args))

    def written(self, work: Callable[[], None]) -> None:
        """The calls of a kernel, made now and written down."""
        with recorded(self.spend) as calls:
            work()
        self.items += calls

    def lowered(self, value: Value, i: int | None = None) -> tuple[str, np.ndarray]:
        """An op's forward (i None) or rule: its text and its array.

        With an index that is another one at each call nothing can be worked out beforehand: then
        the ops in the expression are called as they are.
        """
        if all(self.is_constant(v) for v in value.params.values()):
            text = self.forward_text(value) if i is None else self.rule_text(value, i)
            for rest, name in self.library.functions.items():
                if name not in self.env:
                    exec(f"def {name}{rest}", self.env)
            return text, self.filled(text, self.env)
        text = self.in_own_terms(value, i)
        return text, self.filled(*self.as_it_is(value, i))

    def as_it_is(self, value: Value, i: int | None) -> tuple[str, dict[str, Any]]:
        """An expression as the registry has it, and what its names stand for."""
        op, (arrays, params) = value.op, self.arguments(value)
        if op.variadic:
            raise Impossible(f"{op.name} has a setting that is another one at each call")
        inputs = dict(zip(op.rules, arrays, strict=True))
        names = {**NAMES, **inputs, **op.defaults, **params}
        if i is not None:
            names |= {"g": self.env[self.grads[id(value)]], "y": self.env[self.vars[id(value)]]}
            return rule_of(op, i), names
        if op.forward_text:
            return op.forward_text, names
        settings = ", ".join(f"{k}={k}" for k in params)
        names["forward"] = op.forward
        return f"forward({', '.join([*op.rules, settings])})", names

    def filled(self, text: str, names: dict[str, Any]) -> np.ndarray:
        """The array of an expression."""
        lowering, made = Lowering(names, self.spend), []

        def lasting(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
            made.append(self.keep(shape, dtype))
            return made[-1]

        with np.errstate(all="ignore"):
            array = lowering.array(text, lasting)
        self.items += lowering.calls
        self.take_over(array, made)
        return array

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

    # --- lines as they are shown ---
    def say(
        self,
        name: str,
        text: str,
        array: np.ndarray | None,
        kind: str,
        write: Callable[[Story], str],
        adds: bool = False,
    ) -> None:
        """A line of the listing: what was written down since the last one."""
        items = slice(self.said, len(self.items))
        self.said, calls = items.stop, items.stop - items.start
        if kind == "numpy" and not calls:
            kind = "view"
        shape, dtype = ((), None) if array is None else (array.shape, array.dtype)
        line = Listed(name, text, shape, dtype, kind, calls, array, items, write, adds)
        self.listing.append(line)
        if array is not None:
            self.library.shapes[name] = array.shape

    def code(self, value: Value, i: int | None = None, x: Value | None = None) -> Code:
        """The NumPy text of an op's forward (i None) or rule, which is written when it is read."""
        op: Any = value.op
        inliner = self.inliner(value, i)
        text = rule_of(op, i) if i is not None else self.call_of(op, inliner)
        return Code(inliner, text, None if x is None else like(x._data))

    def inliner(self, value: Value, i: int | None) -> Inliner:
        """As always, but of arrays in their places: those of the observed step may go."""
        found = super().inliner(value, i)
        for name, stands in found.names.items():
            if isinstance(stands, ast.Name) and isinstance(self.env.get(stands.id), np.ndarray):
                found.values[name] = self.env[stands.id]  # type: ignore[index]
            elif isinstance(stands, list) and name in value.op.rules:
                nodes = (self.env.get(ast.unparse(n)) for n in stands)
                old = found.values[name]
                new = (a if b is None else b for a, b in zip(old, nodes, strict=True))
                found.values[name] = tuple(new)  # type: ignore[index]
        return found

    def say_line(self, line: Line) -> None:
        """A line of the function itself."""
        names = [self.fresh(named_after(line.function)) for _ in line.outputs]
        self.spoken |= zip(line.outputs, names, strict=True)
        args = [self.in_words(a) for a in line.args]
        named = {k: self.in_words(v) for k, v in line.named.items()}
        generator = "" if line.generator is None else self.spoken[line.generator]
        text = called(line.function, args, named, generator)
        shown = text or f"{named_after(line.function)}({', '.join(args)})"
        if not names:
            answer = f" == {line.expected!r}"
            self.say("", shown + answer, None, "asked", lambda _: text and text + answer)
            return
        first = like(np.asarray(self.seen.lines.values[line.outputs[0]]))
        self.say(", ".join(names), shown, first, "yours", lambda _: text)

    def in_words(self, thing: Any) -> str:
        """An argument of NumPy's line as text."""
        if isinstance(thing, Followed):
            if thing.number in self.seen.values:
                return ast.unparse(self.place(self.seen.values[thing.number]))
            return self.spoken[thing.number]
        if isinstance(thing, tuple | list):
            inside = ", ".join(self.in_words(t) for t in thing) + "," * (len(thing) == 1)
            return f"[{inside}]" if isinstance(thing, list) else f"({inside})"
        if isinstance(thing, slice):
            return f"slice({', '.join(map(self.in_words, (thing.start, thing.stop, thing.step)))})"
        if isinstance(thing, np.ndarray) and thing.ndim:
            return ast.unparse(self.constant(thing))
        if thing is Ellipsis:
            return "..."
        if isinstance(thing, type) and not issubclass(thing, np.generic):
            return thing.__name__
        return ast.unparse(literal(thing, self.constant))

    # --- forward ---
    def forward(self, step: Step) -> None:
        """One op."""
        value = self.shown[id(step.result)]
        name, op = self.vars[id(value)], value.op
        arrays, params = self.arguments(value)
        if self.by_kernel(value, step):
            shapes = op.twin.shapes(*arrays, **params)
            filled = [self.keep(shape, value._data.dtype) for shape in shapes]
            self.written(lambda: op.twin.forward(filled, *arrays, **params))
            array, self.saved[id(value)] = filled[0], filled[1:]
            text, kind = self.in_own_terms(value), "kernel"
        else:
            (text, array), kind = self.lowered(value), "numpy"
        self.say(name, text, array, kind, self.code(value))
        if array.shape != value._data.shape or array.dtype != value._data.dtype:
            raise Impossible(f"{op.name} was not written as it runs")
        self.env[name] = array
        self.end_line()

    def by_kernel(self, value: Value, step: Step) -> bool:
        """Whether a kernel computed it."""
        if value is step.result:
            return value.saved is not None
        twin = value.op.twin
        return twin is not None and twin.compute(list(step.arrays), step.params) is not None

    def arguments(self, value: Value) -> tuple[list[Any], dict[str, Any]]:
        """The inputs and settings of an op, in their places."""
        arrays = []
        for k in range(len(value.inputs)):
            node = self.input(value, k)
            there = self.env.get(ast.unparse(node))
            arrays.append(there if isinstance(there, np.ndarray) else value.arrays[k])
        return arrays, {k: self.setting(v) for k, v in value.params.items()}

    def setting(self, setting: Any) -> Any:
        """A setting, with the arrays in it in their places."""
        if isinstance(setting, tuple | list):
            return type(setting)(self.setting(s) for s in setting)
        if isinstance(setting, np.ndarray) and setting.ndim:
            return self.array_of(self.constant(setting))
        return setting

    # --- backward ---
    def backward(self) -> dict[Value, np.ndarray]:
        """The gradients of the leaves, each in an array of its own."""
        seed = np.ones_like(self.loss._data)  # it stays, and so must its place
        found: dict[Value, np.ndarray] = {}
        self.receive(found, self.loss, seed, "1", lambda _: array_text(seed), "constant")
        for value in reversed(engine.topological(self.loss)):
            if value.hooks or (value.retains_grad and value.op is not None):
                raise Impossible("a tensor has a hook, or retains its gradient")
            if value.op is None or value not in found:
                continue
            self.send(found, value)
            for array in (found.pop(value), self.env[self.vars[id(value)]]):
                if not any(value is output for output in self.outputs):
                    self.memory.drop(array)
            for array in self.saved.get(id(value), ()):
                self.memory.drop(array)
        return {leaf: self.alone(leaf, g, found) for leaf, g in found.items()}

    def send(self, found: dict[Value, np.ndarray], value: Value) -> None:
        """What a value, whose gradient is complete, gives its inputs."""
        op: Any = value.op
        if id(value) in self.saved and op.vjps == op.twin.rules:
            arrays, params = self.arguments(value)
            gradients: list[Any] = [None] * len(arrays)
            for i, _ in value.edges:
                gradients[i] = self.keep(value.arrays[i].shape, value._data.dtype)
            g, y = found[value], self.env[self.vars[id(value)]]
            work = (gradients, g, y, self.saved[id(value)], *arrays)
            self.written(lambda: op.twin.backward(*work, **params))
            self.end_line()
            for i, x in value.edges:
                text, code = self.in_own_terms(value, i), self.code(value, i, x)
                self.receive(found, x, self.fitted(gradients[i], x), text, code, "kernel")
                self.end_line()
            return
        for i, x in value.edges:
            text, raw = self.spread(value, found[value]) or self.lowered(value, i)
            code = self.code(value, i, x)
            self.receive(found, x, self.fitted(raw, x), text, code)
            self.end_line()

    def spread(self, value: Value, g: np.ndarray) -> tuple[str, np.ndarray] | None:
        """The gradient of what slices were taken of: zeros, and g in their place.

        The rule's `index_add`, without the array that it makes; None where something else was
        picked.
        """
        if value.op.name != "getitem" or value.op.vjps[0] is not self.rule_of_slices:
            return None
        x, index = value.inputs[0], value.params["index"]
        picked = x._data[index]
        if not (isinstance(picked, np.ndarray) and np.may_share_memory(picked, x._data)):
            return None
        out = self.keep(x._data.shape, g.dtype)
        self.add(out.fill, 0)
        self.add(np.copyto, out[index], g)
        return self.in_own_terms(value, 0), out

    def fitted(self, raw: np.ndarray, x: Value) -> np.ndarray:
        """A contribution in the shape and dtype of the input, as the engine makes it."""
        data, axes = x._data, engine.summed_axes(raw.shape, x._data.shape)
        if axes:
            out = self.keep(np.add.reduce(raw, axes).shape, raw.dtype)
            self.add(np.add.reduce, raw, axes, None, out)
            self.memory.drop(raw)
            raw = out.reshape(data.shape)
        if raw.dtype != data.dtype:
            out = self.keep(raw.shape, data.dtype)
            self.add(np.copyto, out, raw)
            self.memory.drop(raw)
            raw = out
        if raw.shape != data.shape:
            raise Impossible("a gradient has another shape than its input")
        return raw

    def receive(
        self,
        found: dict[Value, np.ndarray],
        x: Value,
        new: np.ndarray,
        text: str,
        write: Callable[[Story], str],
        kind: str = "numpy",
    ) -> None:
        """Add a contribution to the gradient of x."""
        known, name = found.get(x), self.grads[id(x)]
        if known is not None:
            total = self.keep(new.shape, new.dtype)
            self.add(np.add, known, new, total)
            for array in (known, new):
                self.memory.drop(array)
            new, text = total, f"{name} + ({text})"
        found[x] = self.env[name] = new
        self.say(name, text, new, kind, write, adds=known is not None)

    def alone(self, leaf: Value, g: np.ndarray, found: dict[Value, np.ndarray]) -> np.ndarray:
        """A leaf's gradient in an array that nothing else uses."""
        others = [a for v, a in found.items() if v is not leaf]
        ours = self.memory.owner(g) is not None and g.flags.c_contiguous
        if ours and not any(np.may_share_memory(g, a) for a in others):
            return g
        own = self.keep(g.shape, g.dtype)
        self.add(np.copyto, own, g)
        return own

    # --- all of it ---
    def program(self) -> Program:
        """The program, whose arrays hold the numbers of the step that was observed."""
        for item in self.story:
            if isinstance(item, Line):
                self.reads(item)
                self.items.append(item)
                self.say_line(item)
            else:
                self.forward(item)
        self.boundary = len(self.listing)
        gradients = self.backward()
        outputs = [self.array_of(self.place(output)) for output in self.outputs]
        program = Program(self.items, self.static, outputs, gradients, list(self.leaves.values()))
        program.lines, program.boundary = self.listing, self.boundary
        program.nbytes, program.story = self.memory.nbytes, self.to_be_read(gradients)
        return program

    def to_be_read(self, gradients: dict[Value, np.ndarray]) -> Story:
        """What the text of the program needs."""
        arrays = {k: v for k, v in self.env.items() if isinstance(v, np.ndarray)}
        lines, boundary, kept = self.listing, self.boundary, (self.memory, self.library)
        story = Story(lines, boundary, self.parameters, arrays, self.given, *kept)
        story.results = [ast.unparse(self.place(output)) for output in self.outputs]
        story.gradients = {self.vars[id(x)]: self.grads[id(x)] for x in gradients}
        return story

    def reads(self, line: Line) -> None:
        """What a line of NumPy reads of the graph has to have its place by now."""
        for thing in parts((line.args, line.named)):
            if isinstance(thing, Followed) and thing.number in self.seen.values:
                node = self.place(self.seen.values[thing.number])
                self.static[thing.number] = self.array_of(node)


def copy_of(leaf: Value, array: np.ndarray) -> None:
    """The data of a leaf, wherever they are now."""
    np.copyto(array, leaf._data)


def like(array: np.ndarray) -> np.ndarray:
    """Its shape and dtype, and no memory."""
    return np.broadcast_to(np.zeros((), array.dtype), array.shape)


def parts(thing: Any) -> list[Any]:
    """All that is in tuples, lists, dicts and slices, one below the other."""
    if isinstance(thing, dict):
        return [p for t in thing.values() for p in parts(t)]
    if isinstance(thing, tuple | list):
        return [p for t in thing for p in parts(t)]
    if isinstance(thing, slice):
        return [thing.start, thing.stop, thing.step]
    return [thing]


def shown(step: Step) -> Value:
    """The result with its history, also of an op that no gradient flows through."""
    if step.result.op is not None:
        return step.result
    y, none = step.result._data, ()
    return Value.computed(y, step.op, step.inputs, step.arrays, step.params, none, None, None)  # type: ignore[no-any-return]


def needed(seen: Observation, outputs: Sequence[Value]) -> list[Any]:
    """The part of the story that the outputs, the conditions and the draws need."""
    numbers: set[int] = set()
    values: set[int] = set()

    def want(things: Sequence[Any]) -> None:
        for thing in parts(list(things)):
            source = seen.source.get(id(thing))
            if isinstance(thing, Followed):
                numbers.add(thing.number)
                if thing.number in seen.values:
                    want([seen.values[thing.number]])
            elif source is not None:
                want([source])
            elif isinstance(thing, Value):
                values.add(id(thing))

    want(outputs)
    story = []
    for item in reversed(seen.lines.found):
        if isinstance(item, Step):
            if id(item.result) in values:
                want([*item.inputs, item.params])
                story.append(item)
        elif not item.outputs or item.generator is not None or numbers & set(item.outputs):
            want([item.args, item.named])
            story.append(item)
    return story[::-1]
