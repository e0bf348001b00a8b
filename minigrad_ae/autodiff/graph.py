"""The graph: an array together with the story of how it was computed, and where in the source that
was.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from contextlib import ContextDecorator
from functools import wraps
from inspect import isgeneratorfunction
from operator import attrgetter
from types import CodeType
from typing import Any

import numpy as np

from ..arguments import plain
from ..errors import DtypeError, ShapeError
from .origin import caller, where

next_serial = itertools.count().__next__


class Watcher:
    """Sees what happens to values while it is in `watchers`: each method hears of one kind of
    thing, and does nothing unless it is overridden.
    """

    def computed(self, result: Value, op: Any, args: Any, arrays: Any, params: Any) -> None:
        """An op made `result`."""

    def begins(self, order: list[Value]) -> None:
        """A backward pass is about to walk back through `order`."""

    def sent(self, value: Value, i: int, gradient: Any, contribution: Any) -> None:
        """The rule of input number i of `value` has run."""

    def deposited(self, root: Value) -> None:
        """A backward pass has added to ``.grad`` of the leaves.

        Parameters
        ----------
        root : Value
            From which it started.
        """

    def copied(self, source: Any, copy: Any) -> None:
        """The numbers of `source` went into `copy`, and its history did not.

        Parameters
        ----------
        source : object
            A tensor or an array.
        copy : object
            Likewise.
        """

    def read(self, value: Value, array: np.ndarray) -> np.ndarray:
        """The numbers of a value are about to leave the graph.

        Parameters
        ----------
        value : Value
            Whose numbers they are.
        array : ndarray
            The numbers.

        Returns
        -------
        ndarray
            What is handed out: `array`, or another one in its place.
        """
        return array


watchers: list[Watcher] = []


def copied(source: Any, copy: Any) -> None:
    """Tell the watchers that `copy` has the numbers of `source`."""
    for watcher in watchers:
        watcher.copied(source, copy)


def read(value: Value) -> np.ndarray:
    """The array of `value`, for a computation outside the graph; the watchers are told."""
    array = value._data
    for watcher in watchers:
        array = watcher.read(value, array)
    return array


class _Changes:
    """When a leaf was last given new data: nothing older than that needs a look."""

    latest = -1


changes = _Changes()


class _Settings:
    """How often an attribute of a module was set: what was derived from one may have changed."""

    changes = 0


settings = _Settings()


class Value:
    """An array and how it came about: a node of the graph.  `Tensor` adds the arithmetic.

    ``op is None`` marks a leaf.  Otherwise ``inputs`` are the arguments (values, or constants),
    ``arrays`` the same as arrays in their common dtype, ``params`` the op's settings, ``origin``
    the place in the source, and ``edges`` the inputs that a gradient flows to, as (number, value).
    ``saved`` is what a kernel keeps for the backward pass (None: the definitions ran).  ``serial``
    counts values as they are made; on the same clock ``changed`` is when a leaf was last given new
    data (-1: never), and its ``origin`` is the line that did it. The ``params`` of a leaf say how
    it lost its history, if it had one: by `no_grad`, or by ``detach()``. A value refers to its
    inputs and never the other way, so a graph is freed by reference counts alone.
    """

    __slots__ = (
        "__weakref__",
        "_data",
        "_grad",
        "arrays",
        "changed",
        "edges",
        "hooks",
        "inputs",
        "name",
        "op",
        "origin",
        "params",
        "requires_grad",
        "retains_grad",
        "saved",
        "serial",
    )
    __hash__ = object.__hash__  # by identity, although == compares element by element
    result_class: type[Value]  # what ops return: Tensor (set in tensor.py)

    _data: np.ndarray
    _grad: Any  # an ndarray, or None
    arrays: Sequence[Any]
    changed: int
    edges: Sequence[tuple[int, Value]]
    hooks: dict[object, Callable[[Any], Any]] | None
    inputs: Sequence[Any]
    name: str | None
    op: Any  # an `operation.Op`, or None
    origin: tuple[CodeType, int] | None
    params: Any
    requires_grad: bool
    retains_grad: bool
    saved: Any
    serial: int

    def _assign(self, gradient: Any) -> None:
        if gradient is not None:
            gradient = fitting(gradient, self)
        self._grad = gradient

    # read in C, as a slot is; the engine writes to the slot itself
    grad = property(attrgetter("_grad"), _assign, doc="The gradient, an array as `data`, or None.")

    @classmethod
    def new(cls, data: np.ndarray, requires_grad: bool = False, name: str | None = None) -> Any:
        """A leaf around `data` itself: no copy, no checks.

        Parameters
        ----------
        data : ndarray
            float32 or float64; used as it is.
        requires_grad : bool
            Whether gradients are collected for it.
        name : str, optional
            What the inspector calls it.

        Returns
        -------
        Value
            Of the class on which it is called.
        """
        value = cls.__new__(cls)
        value._data, value.requires_grad, value.name, value.serial = (
            data,
            requires_grad,
            name,
            next_serial(),
        )
        value.op = value._grad = value.hooks = value.origin = value.saved = None
        value.inputs = value.arrays = value.params = value.edges = ()
        value.retains_grad, value.changed = False, -1
        return value

    @classmethod
    def computed(
        cls,
        data: np.ndarray,
        op: Any,
        inputs: Any,
        arrays: Any,
        params: Any,
        edges: Any,
        origin: Any,
        saved: Any,
    ) -> Any:
        """The result of an op, with its history; each attribute is written once.

        Parameters
        ----------
        data : ndarray
            The result.
        op : Op
            What computed it.
        inputs : sequence
            Its inputs as they were given: values, arrays, numbers.
        arrays : sequence of ndarray
            The same as arrays of one dtype, which the rules read.
        params : dict
            Its settings.
        edges : sequence of (int, Value)
            The inputs to which a gradient flows, with their numbers.
        origin : object
            Where in the user's program it was computed, see `autodiff.origin`.
        saved : object
            What a kernel keeps for its backward pass, or None.

        Returns
        -------
        Value
            Of the class on which it is called.

        Notes
        -----
        Three attributes a line: assigning four or more at once makes Python build a tuple first.
        """
        value = cls.__new__(cls)
        value._data, value.op, value.inputs = data, op, inputs
        value.arrays, value.params, value.edges = arrays, params, edges
        value.origin, value.saved, value.serial = origin, saved, next_serial()
        value.requires_grad, value.retains_grad = True, False
        value.name = value._grad = value.hooks = None
        return value


def fitting(gradient: Any, value: Value) -> np.ndarray:
    """What a user assigns to ``value.grad``, in the dtype of the data.  ShapeError for another
    shape, DtypeError where an imaginary part would be dropped.
    """
    given = gradient._data.copy() if isinstance(gradient, Value) else gradient
    array: np.ndarray = plain(given, "a gradient", value._data.dtype)
    if array.shape != value._data.shape:
        raise ShapeError(
            "a gradient must have the shape of the tensor that it belongs to",
            f"got {array.shape}, expected {value._data.shape}, for {where(value)}",
            "assign an array of the same shape, or None",
        )
    return array


def read_only(array: np.ndarray) -> np.ndarray:
    """A view of `array` that cannot be written to."""
    view: np.ndarray = array.view()
    view.flags.writeable = False
    return view


class GradMode(threading.local):
    enabled = True
    origin: tuple[CodeType, int] | None = None  # the line that says no_grad


grad_mode = GradMode()


class no_grad(ContextDecorator):
    """``with no_grad():``, ``@no_grad()`` or ``@no_grad``: ops compute, but record nothing.

    Parameters
    ----------
    function : callable, optional
        What is decorated, in the form without parentheses.

    Raises
    ------
    DtypeError
        If `function` is not callable.

    Notes
    -----
    It holds for its thread, and may be nested. In a decorated generator it holds while the
    generator runs, not between.

    Examples
    --------
    >>> w = mg.tensor(2.0, requires_grad=True)
    >>> with mg.no_grad():
    ...     y = w * w
    >>> y.requires_grad
    False
    """

    mode = False

    def __new__(cls, function: Any = None) -> Any:
        if function is None:
            return super().__new__(cls)
        if not callable(function):
            raise DtypeError(
                f"{cls.__name__} takes no setting",
                f"got {function!r:.60}",
                f"write with {cls.__name__}(): or @{cls.__name__} before a function",
            )
        return cls()(function)

    def __init__(self) -> None:
        self.previous: list[Any] = []

    def __call__(self, function: Any) -> Any:
        """The decorated function."""
        if not isgeneratorfunction(function):
            return super().__call__(function)

        @wraps(function)
        def decorated(*args: Any, **kwargs: Any) -> Any:
            running = function(*args, **kwargs)
            resume, given = running.send, None
            try:
                while True:
                    with self._recreate_cm():
                        item = resume(given)
                    try:
                        resume, given = running.send, (yield item)
                    except GeneratorExit:
                        with self._recreate_cm():
                            running.close()
                        raise
                    except BaseException as error:
                        resume, given = running.throw, error
            except StopIteration as end:
                return end.value

        return decorated

    # called by ContextDecorator: each call, in whichever thread, has its own memory
    def _recreate_cm(self) -> no_grad:
        return type(self)()

    def __enter__(self) -> no_grad:
        self.previous.append((grad_mode.enabled, grad_mode.origin))
        grad_mode.enabled, grad_mode.origin = self.mode, caller(2)
        return self

    def __exit__(self, *exc: object) -> None:
        grad_mode.enabled, grad_mode.origin = self.previous.pop()


class enable_grad(no_grad):
    """The opposite of `no_grad`, for use inside it."""

    mode = True
