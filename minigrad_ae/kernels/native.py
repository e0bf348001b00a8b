"""Calls of kernels made one after the other by the processor itself, without Python in between.

From Python a kernel of three arrays costs most of a microsecond before it does anything: Numba
looks at every argument, to find the version that was compiled for such types.  Where arrays stay
where they are, all that is known beforehand.  `prepared` writes it on a *tape*, a row of 8-byte
numbers:

    [handler, length, kernel, argument, argument, ...,   handler, length, kernel, ...]

An array is the seven or more numbers that Numba's kernels take for one (size, address, shape and
strides among them), a number is itself.  The kernels are those that are there already, so that the
results are the same to the last bit; handlers.py has the few lines that read the tape, which are
compiled in 10 milliseconds or so.  Runs of NumPy's element-wise functions become loops
(elementwise.py), as do sums along rows (row_sums.py).  What is left is called from Python.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from ctypes import c_int64, c_void_p
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np

from minigrad_ae.kernels import elementwise
from minigrad_ae.kernels.calls import Calls, demand, make, store
from minigrad_ae.kernels.handlers import Write, all_set, available, handlers, jump
from minigrad_ae.kernels.jit import numba
from minigrad_ae.kernels.row_sums import RowSums, along_rows


@dataclass
class Entry:
    """One place on a tape.

    key    what its handler depends on
    write  adds the handler to a module
    slots  the numbers that the handler reads
    owner  what has to stay alive meanwhile: arrays, machine code
    calls  the same in Python
    """

    key: Any
    write: Write
    slots: list[int]
    owner: Any
    calls: Calls


def kernel_call(function: Callable[..., Any], args: Sequence[Any]) -> Entry | None:
    """A kernel's call as an entry; None of what is not a kernel, or has other arguments than arrays
    and numbers.
    """
    calls, value = [(function, tuple(args))], None
    if function is store:  # store(value, kernel, *arguments)
        value, function, *args = args
    if not hasattr(function, "overloads"):
        return None
    known = function.overloads.get(tuple(map(numba.typeof, args)))
    if known is None:
        return None
    code, result, kinds = known.library, known.fndesc.restype, known.fndesc.argtypes
    slots = [code.get_pointer_to_function(known.fndesc.llvm_func_name)]
    to = None
    if value is not None:
        to = numba.from_dtype(value.dtype)
        slots.append(value.ctypes.data)
    for kind, argument in zip(kinds, args, strict=True):
        found = numbers_of(kind, argument)
        if found is None:
            return None
        slots += found
    key = result, kinds, to
    return Entry(key, jump(*key), slots, (code, value, args), calls)


def numbers_of(kind: Any, argument: Any) -> list[int] | None:
    """An argument as the 8-byte numbers in which a handler finds it."""
    if isinstance(kind, numba.types.Array):
        place = argument.ctypes.data
        return [0, 0, argument.size, argument.itemsize, place, *argument.shape, *argument.strides]
    if isinstance(kind, numba.types.Boolean | numba.types.Integer):
        return [int(argument)]
    if kind == numba.types.float64:
        return list(struct.unpack("q", struct.pack("d", argument)))
    return None


def demand_call(flags: np.ndarray, error: type[Exception]) -> Entry:
    """A demand as an entry: it is where a tape stops, and Python raises the error."""
    slots = [flags.ctypes.data, flags.size]
    return Entry("demand", all_set, slots, flags, [(demand, (flags, error))])


def sum_call(args: Sequence[Any]) -> Entry | None:
    """`np.add.reduce` along rows as an entry; None of another sum."""
    found = along_rows(*args)
    return None if found is None else loop_call(found, [(np.add.reduce, tuple(args))])


def loop_call(loop: elementwise.Loop | RowSums, calls: Calls) -> Entry:
    """Loops over the numbers of arrays, which stand for these calls, as an entry."""
    addresses = [array.ctypes.data for array in loop.arrays]
    return Entry(loop.key, loop.write, addresses, loop.arrays, calls)


class Tape:
    """Calls that are made in one go; they need none of the `values` that a program hands on.

    Attributes
    ----------
    numbers : ndarray of int64
        The tape.
    starts : list of int
        Where each entry begins.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = entries
        numbers: list[int] = []
        self.starts: list[int] = []
        for entry in entries:
            self.starts.append(len(numbers))
            numbers += [handlers.addresses[entry.key], len(entry.slots) + 2, *entry.slots]
        self.numbers = np.array(numbers, np.int64)
        # as ctypes wants them: converted once
        self.where = c_void_p(self.numbers.ctypes.data), c_int64(self.numbers.size)
        self.play = handlers.play

    def __call__(self, values: Any = None) -> None:
        failed = self.play(*self.where)
        if failed >= 0:
            make(self.entries[self.starts.index(failed)].calls)  # which says what is wrong
            raise MemoryError("a kernel could not run, and then could")


def prepared(calls: Calls) -> list[Callable[[], None]]:
    """Functions that make these calls, as few as can be: tapes, and what stays with Python."""
    if not available():
        return [partial(make, calls)]
    entries = list(entries_of(calls))
    handlers.complete({e.key: e.write for e in entries if isinstance(e, Entry)})
    found: list[Callable[[], None]] = []
    for on_tape, group in groupby(entries, lambda entry: isinstance(entry, Entry)):
        run = list(group)
        found.append(Tape(run) if on_tape else partial(make, run))
    return found


def in_one(works: Sequence[Callable[..., None]]) -> list[Callable[..., None]]:
    """The same functions; tapes that follow one another are one."""
    found: list[Callable[..., None]] = []
    for work in works:
        last = found[-1] if found else None
        if isinstance(work, Tape) and isinstance(last, Tape):
            found[-1] = Tape([*last.entries, *work.entries])
        else:
            found.append(work)
    return found


def entries_of(calls: Calls) -> Iterator[Any]:
    """The calls in their order: entries, and calls that stay with Python."""
    for loop, group in elementwise.grouped(calls):
        if loop is not None:
            yield loop_call(loop, group)
        else:
            for function, args in group:
                yield entry_of(function, args) or (function, args)


def entry_of(function: Callable[..., Any], args: Sequence[Any]) -> Entry | None:
    """One call as an entry; None where it stays with Python."""
    if function is demand:
        return demand_call(*args)
    if function == np.add.reduce:
        return sum_call(args)
    return kernel_call(function, args)
