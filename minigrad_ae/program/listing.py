"""A program to read: its lines, and all of it as a NumPy function that runs.

The text of a line is written when somebody asks for it: most programs are never read, and writing
takes longer than planning.
"""

from __future__ import annotations

import ast
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import GradientError
from ..inspect.record.names import unique
from .inline import Inliner, Library
from .literals import LITERAL, STRIDED, UNPACK, array_text
from .memory import LINE, Memory
from .writer import fitted_text, identifier

HEAD = """# One training step, forward and backward, as it runs without the tape.  Needs NumPy only.
import numpy as np
"""
MEMORY = "# memory, made once: the arrays of a block are never needed at the same time"
HELPERS = {"unpack": UNPACK, "strided": STRIDED}
HOW = {"given": "copied in", "view": "a view", "yours": "NumPy, as written"}
HOW |= {"asked": "a condition", "constant": "a constant"}
WIDTH = 100


@dataclass(frozen=True)
class Code:
    """The right-hand side of a line as NumPy text.

    inliner, expression  what writes it, and the rule or forward as the registry has it
    x                    for a rule: an array like the input whose gradient is wanted
    """

    inliner: Inliner
    expression: str
    x: np.ndarray | None = None

    def __call__(self, story: Story) -> str:
        text = self.inliner.text(self.expression)
        if self.x is None:
            return text
        raw = story.value(text)
        return fitted_text(text, raw.shape, raw.dtype, self.x.shape, self.x.dtype)


@dataclass(frozen=True)
class Listed:
    """A line as it is shown: ``name = text``, and how it is done.

    kind : 'given' (copied in), 'kernel', 'numpy', 'view' and 'constant' (nothing to do), 'yours'
        (a line of the function itself), or 'asked' (a condition)
    calls : how many; 0 also for what an earlier line's kernel has done
    array : its place
    items : which of the program's items do it
    write : gives its right-hand side as NumPy; of a sum, what is added
    adds : whether it is added to the line of this name that came before
    of : the value that it computes, or whose rule it is
    """

    name: str
    text: str
    shape: tuple[int, ...]
    dtype: Any
    kind: str
    calls: int
    array: np.ndarray | None
    items: slice
    write: Callable[[Story], str]
    adds: bool = False
    of: str = ""

    @property
    def how(self) -> str:
        """How it is done, in words."""
        if self.kind == "kernel" and not self.calls:
            return "by the kernel above"
        return HOW.get(self.kind, f"{self.kind}, {self.calls}")

    @property
    def label(self) -> str:
        """``name = text``."""
        return f"{self.name} = {self.text or '...'}" if self.name else self.text

    def __str__(self) -> str:
        return f"{self.label}  # {self.shape} {self.how}"


@dataclass(frozen=True)
class Block:
    """A piece of memory, and the numbers of the lines whose arrays lie in it, one after another."""

    memory: np.ndarray
    lines: list[int]

    @property
    def size(self) -> int:
        """Bytes that can be used."""
        return self.memory.size - LINE


class Story:
    """What is needed to write a program as text.

    lines       in their order; the first `boundary` of them are the forward pass
    parameters  the names of the step's arguments
    arrays      {name: array} of all that has a place
    given       {name: what gives the array} of leaves and constants
    results     the names of what it returns, the loss first
    gradients   {name of a leaf: name of its gradient}
    made        {name of a value: (its op, the names of its inputs)}
    """

    def __init__(
        self,
        lines: Sequence[Listed],
        boundary: int,
        parameters: Sequence[str],
        arrays: dict[str, np.ndarray],
        given: Mapping[str, Callable[[], np.ndarray]],
        memory: Memory,
        library: Library,
    ) -> None:
        self.lines, self.boundary, self.parameters = lines, boundary, parameters
        self.arrays, self.given, self.memory, self.library = arrays, dict(given), memory, library
        self.results: list[str] = []
        self.gradients: dict[str, str] = {}
        self.made: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.library.constant = self.constant
        for name, array in arrays.items():
            self.library.shapes.setdefault(name, array.shape)
        self.by_id = {id(array): name for name, array in arrays.items()}
        self.functions: dict[str, Any] = {"np": np}
        self.costs: Any = None  # see `profile`
        self.written: list[tuple[str, str]] | None = None

    def constant(self, array: np.ndarray) -> ast.expr:
        """The name of an array that a text needs."""
        name = self.by_id.get(id(array))
        if name is None:
            name = self.by_id[id(array)] = unique("index", self.library.taken)
            self.arrays[name] = array
            self.given[name] = lambda: array
        return ast.Name(name)

    def value(self, text: str) -> Any:
        """An expression, of whatever numbers there are in the arrays now: for its shape."""
        for rest, name in self.library.functions.items():
            if name not in self.functions:
                exec(f"def {name}{rest}", self.functions)
        with np.errstate(all="ignore"):
            return np.asarray(eval(text, self.functions, self.arrays))

    def assignments(self) -> list[tuple[str, str]]:
        """(name, right-hand side) of every line; a gradient that is added up has a number as long
        as it is not complete.
        """
        if self.written is None:
            self.written = self.write()
        return self.written

    def write(self) -> list[tuple[str, str]]:
        left = Counter(line.name for line in self.lines)
        latest: dict[str, str] = {}
        written = []
        for line in self.lines:
            name, text = line.name, line.write(self)
            if not text:
                raise GradientError(
                    f"source: the line of {name} cannot be written as NumPy text",
                    "the source of one of its functions cannot be read",
                    "write the forward as an expression, or as a def in a file",
                )
            if line.adds:
                text = ast.unparse(ast.parse(f"{latest[name]} + ({text})"))
            left[name] -= 1
            if left[name] and name:
                name = unique(f"{name}_part", self.library.taken)
                self.library.shapes[name] = line.shape
            latest[line.name] = name
            written.append((name, text))
        return written

    def is_kept(self, line: Listed) -> bool:
        """Whether the numbers of a line are written to a place of their own."""
        done = line.kind == "kernel" or (line.kind == "numpy" and line.calls)
        return bool(done) and line.array is not None and self.memory.owner(line.array) is not None

    def statement(self, line: Listed, name: str, text: str) -> str:
        """One line of the function."""
        if line.kind == "given" and name in self.parameters:
            text = f'np.asarray({name}, order="C")'
        if not name:
            return f"assert {text}"
        shape = f"  # {line.shape}" if line.shape else ""
        return f"{name}{'[...]' if self.is_kept(line) else ''} = {text}{shape}"

    def blocks(self) -> list[Block]:
        """The blocks, in the order in which they are first written to."""
        found: dict[int, Block] = {}
        for number, line in enumerate(self.lines):
            if line.array is not None and self.is_kept(line):
                memory: Any = self.memory.owner(line.array)
                found.setdefault(id(memory), Block(memory, [])).lines.append(number)
        return list(found.values())

    def places(self) -> list[str]:
        """The blocks, and below each the arrays that lie in it."""
        written, texts = self.assignments(), []
        for number, block in enumerate(self.blocks(), start=1):
            texts.append(f"block_{number} = np.empty({block.size}, np.uint8)")
            begin = block.memory.ctypes.data
            for k in block.lines:
                array: Any = self.lines[k].array
                where = f"{array.shape}, np.{array.dtype}, block_{number}"
                start = array.ctypes.data + begin % -LINE - begin
                if start or not array.flags.c_contiguous:
                    where += f", {start}, {array.strides}"
                texts.append(f"{written[k][0]} = np.ndarray({where})")
        return texts

    def source(self) -> str:
        """The program as a Python module with a function ``step``."""
        statements = [
            self.statement(line, *assignment)
            for line, assignment in zip(self.lines, self.assignments(), strict=True)
        ]
        used = {n.id for n in ast.walk(ast.parse("\n".join(statements))) if isinstance(n, ast.Name)}
        passed = self.passed()
        given = {name: get() for name, get in self.given.items() if name in used or name in passed}
        data = [f"{n} = {array_text(a)}" for n, a in given.items() if n not in passed]
        helpers = [text for name, text in HELPERS.items() if f"{name}(" in "\n".join(data)]
        helpers += [f"def {name}{rest}" for rest, name in self.library.functions.items()]
        parts = [HEAD, *(f"\n{text}\n" for text in helpers)]
        if data:
            parts += ["# constants", *data, ""]
        places = self.places()
        parts += [MEMORY, *places, ""] if places else []
        statements.insert(self.boundary, "\n    # backward")
        results = ", ".join(self.results)
        gradients = ", ".join(f'"{leaf}": {g}' for leaf, g in self.gradients.items())
        results = f"({results})" if len(self.results) > 1 else results
        parts += ["", folded(f"def step({', '.join([*self.parameters, *passed])}):")]
        parts += ["    # forward", *(s if s.startswith("\n") else f"    {s}" for s in statements)]
        return "\n".join([*parts, folded(f"    return {results}, {{{gradients}}}")]) + "\n"

    def passed(self) -> dict[str, np.ndarray]:
        """The arrays that are arguments of the function: leaves, and constants that are large."""
        self.assignments()
        given = {name: get() for name, get in self.given.items()}
        return {n: a for n, a in given.items() if n in self.gradients or a.size > LITERAL}


def folded(line: str) -> str:
    """A statement with brackets on several lines, where it is long."""
    indent = " " * (len(line) - len(line.lstrip()) + 8)
    return textwrap.fill(line, WIDTH, subsequent_indent=indent, break_long_words=False)


# --- NumPy's lines --------------------------------------------------------------------------------

BUILT_IN = {"__bool__": "bool", "__float__": "float", "__int__": "int", "__index__": "int"}


def called(function: Any, args: Sequence[str], named: Mapping[str, str], generator: str) -> str:
    """A call of NumPy as text; '' of a function that has no name there."""
    all_of_it = ", ".join([*args, *(f"{k}={v}" for k, v in named.items())])
    name = function if generator else getattr(function, "__name__", "")
    if generator:
        return f"{generator}.{name}({all_of_it})"
    if type(function).__name__ == "Method":
        if name in BUILT_IN:
            return f"{BUILT_IN[name]}({all_of_it})"
        rest = ", ".join([*args[1:], *(f"{k}={v}" for k, v in named.items())])
        return f"{args[0]}.{name}({rest})"
    if name == "getitem":
        return f"{args[0]}[{args[1]}]"
    owner = getattr(function, "__self__", None)
    if isinstance(owner, np.ufunc):
        rest = "" if name == "__call__" else f".{name}"
        return f"np.{owner.__name__}{rest}({all_of_it})"
    module = str(getattr(function, "__module__", "") or "numpy")
    path = f"{module}.{name}".split(".", 1)[1] if module.startswith("numpy") else ""
    for dotted in (name, path):
        if dotted.isascii() and found(dotted) is function:
            return f"np.{dotted}({all_of_it})"
    return ""


def found(dotted: str) -> Any:
    """``np.<dotted>``, None where there is none."""
    thing: Any = np
    for part in dotted.split("."):
        thing = getattr(thing, part, None)
    return thing


def named_after(function: Any) -> str:
    """A name for what a call of NumPy gives."""
    name = function if isinstance(function, str) else getattr(function, "__name__", "made")
    owner = getattr(function, "__self__", None)
    return identifier(owner.__name__ if isinstance(owner, np.ufunc) else name).strip("_")
