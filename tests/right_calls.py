"""A right call of every public function, into which `test_bad_input` puts one bad value after the
other: recorded while the examples in the docstrings run, or written down here.
"""

from __future__ import annotations

import doctest
import importlib
import inspect
import io
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from types import CodeType, FrameType
from typing import Any

import numpy as np
import public
import test_arguments
from cases import CASES

import minigrad_ae as mg

Call = tuple[Callable[..., Any], dict[str, Any]]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


def every_call() -> dict[str, Call]:
    """{dotted name: (function, its arguments by name)}."""
    places = {each.path: each.name for each in public.public().values()}
    calls = recorded()
    written = {name: call() for name, call in test_arguments.CALLS.items()}
    for name, call in (written | more()).items():
        *_, owner, last = name.split(".")
        path = f"{owner}.{last}" if owner[0].isupper() else last
        calls.setdefault(places.get(path, name).removeprefix("minigrad_ae."), call)
    return dict(sorted((calls | ops()).items()))


def recorded() -> dict[str, Call]:
    """The first call of each function in the examples."""
    wanted = {code: each for each in public.public().values() if (code := _code(each))}
    found: dict[str, Call] = {}
    finder, runner = doctest.DocTestFinder(), doctest.DocTestRunner(False, FLAGS)
    for module in _modules():
        for example in finder.find(module, extraglobs={"mg": mg, "np": np}):
            with _watching(wanted, found), redirect_stdout(io.StringIO()):
                runner.run(example, clear_globs=False)  # a recorded lambda needs its names
    return {name: call for name, call in found.items() if callable(call[0])}


def ops() -> dict[str, Call]:
    """Of every op, on arrays and on tensors."""
    found: dict[str, Call] = {}
    for name, op in mg.ops.REGISTRY.items():
        cases = CASES[name]
        case = next((c for c in cases if all(np.size(x) > 1 for x in c.inputs)), cases[0])
        tensors = [
            mg.tensor(x, requires_grad=True) if rule else x
            for x, rule in zip(case.inputs, op.vjps * len(case.inputs), strict=False)
        ]
        for kind, inputs in {"arrays": case.inputs, "tensors": tensors}.items():
            named = {"*xs": tuple(inputs)} if op.variadic else dict(zip(op.rules, inputs, strict=True))
            found[f"{name} of {kind}"] = (op, {**named, **case.params})
    return found


def _modules() -> Iterator[Any]:
    for each in pkgutil.walk_packages(mg.__path__, "minigrad_ae."):
        if not each.name.endswith("__main__"):
            yield importlib.import_module(each.name)


def _code(each: public.Public) -> CodeType | None:
    """What Python runs for it: of a class its constructor, of a decorated function the inner."""
    function = each.raw.__init__ if each.is_class else each.function
    return getattr(inspect.unwrap(function), "__code__", None)


@contextmanager
def _watching(wanted: dict[Any, public.Public], found: dict[str, Call]) -> Iterator[None]:
    def seen(frame: FrameType, event: str, arg: Any) -> None:
        each = wanted.get(frame.f_code) if event == "call" else None
        if each is not None:
            found.setdefault(each.name.removeprefix("minigrad_ae."), _called(each, frame))

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        yield
    finally:
        sys.setprofile(before)


def _called(each: public.Public, frame: FrameType) -> Call:
    names, rest, named, values = inspect.getargvalues(frame)
    given = {name: values[name] for name in names}
    given |= {f"*{rest}": values[rest]} if rest else {}
    given |= values[named] if named else {}
    if each.is_member:
        owner = given.pop("self", None) or given.pop("cls", None)
        return getattr(owner, each.path.split(".")[-1]), given
    given.pop("self", None)
    module = importlib.import_module(each.module)
    return (each.raw if each.is_class else getattr(module, each.path)), given


X = np.random.default_rng(1).random((6, 4))


def more() -> dict[str, Call]:
    """Of functions whose docstring has no example."""
    return {}
