"""The work of a kernel as a list of calls, which can be made again without the questions that led
to them.

What stands around a compiled loop in Python (which loop, what layout, how many threads) depends on
shapes, dtypes and layouts, never on numbers.  So whoever has the arrays of a step in fixed places
asks once, keeps the calls, and from then on only makes them: that is `mg.compile`.  For this to be
right, all that a kernel *does* goes through `call`; memory for its own use comes from `room`, and
`contiguous` copies what does not lie row by row.  tests/test_calls.py makes the calls of every twin
again on other numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import numpy as np

Calls = list[tuple[Callable[..., Any], tuple[Any, ...]]]
Empty = Callable[[tuple[int, ...], Any], np.ndarray]


class NotFinite(Exception):
    """A gradient is NaN or infinite: an optimiser makes no step."""


class _Recording:
    """What is being written down: by one thread, `recorded` sees to that."""

    calls: Calls | None = None
    empty: Empty = np.empty
    thread = 0


_recording = _Recording()


def _listening() -> bool:
    return _recording.calls is not None and _recording.thread == get_ident()


@contextmanager
def recorded(empty: Empty = np.empty) -> Iterator[Calls]:
    """Inside, calls are made and written down; `room` asks ``empty(shape, dtype)`` for memory.

    One thread at a time: the caller holds a lock.
    """
    _recording.empty, _recording.thread = empty, get_ident()
    calls: Calls = []
    _recording.calls = calls
    try:
        yield calls
    finally:
        _recording.calls = None
        _recording.empty = np.empty


def call(function: Callable[..., Any], *args: Any) -> None:
    """``function(*args)``, which fills arrays; what it returns is dropped."""
    if _recording.calls is not None and _listening():
        _recording.calls.append((function, args))
    function(*args)


def room(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array for a kernel's own use, without contents."""
    if _recording.calls is not None and _listening():
        return _recording.empty(shape, dtype)
    return np.empty(shape, dtype)


def contiguous(x: np.ndarray) -> np.ndarray:
    """x itself where it lies row by row; otherwise a copy that does."""
    if x.flags.c_contiguous:
        return x
    copy = room(x.shape, x.dtype)
    call(np.copyto, copy, x)
    return copy


def store(value: np.ndarray, function: Callable[..., Any], *args: Any) -> None:
    """``value[...] = function(*args)``: for a loop that returns a number."""
    value[...] = function(*args)


def choose(condition: Any, a: Any, b: Any, out: np.ndarray) -> None:
    """``out = np.where(condition, a, b)``."""
    np.copyto(out, b)
    np.copyto(out, a, where=condition)


def demand(flags: np.ndarray, error: type[Exception]) -> None:
    """`error` unless all flags are set: what follows is not done then."""
    if not flags.all():
        raise error


def make(calls: Calls) -> None:
    """Make the calls, in their order."""
    for function, args in calls:
        function(*args)
