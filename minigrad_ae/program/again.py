"""The same step once more: what a call of a compiled step does where nothing has changed.

On a small model the questions whether anything has changed take as long as its products.  So a
function is written for each program (autodiff/written.py), which asks each of them once, of objects
that it knows, and then runs the program; for a linear autoencoder and Adam it begins

    def again(arguments):
        try:
            if not (not watchers_0): return None
            if not (settings_1.changes == 7): return None
            if not (cell_2.cell_contents is held_3): return None

``step.again.source`` is the whole of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff.graph import Value, watchers
from ..autodiff.written import Written
from ..kernels.backend import backend, state
from .closure import Surroundings
from .program import Program

Kind = tuple[Any, tuple[int, ...], np.dtype[Any], tuple[int, ...]]
Again = Callable[[tuple[Any, ...]], Any]


def again(program: Program, arguments: tuple[Any, ...], around: Surroundings) -> Again | None:
    """A function of arguments like these: the step's result, or None where anything is not as it
    was; then nothing has been changed, and the step looks closer.

    There is none for a program without an update on its tape, for one that draws, and for arguments
    that are not arrays.
    """
    kinds = [kind_of(a) for a in arguments]
    if program.update is None or program.draws or None in kinds:
        return None
    from ..kernels.native import Tape  # Numba comes with it

    w = Written("again", "arguments")
    w.say("try:")
    w.unless([f"not {w.name('watchers', watchers)}", *around.conditions(w)])
    kernels = w.name("kernels", state)
    backend()  # checked
    w.unless([f"{kernels}.threads == {state.threads}", f"{kernels}.backend == {state.backend!r}"])
    w.unless([f"len(arguments) == {len(kinds)}"])
    values = [take(w, k, kind) for k, kind in enumerate(kinds)]
    w.unless(program.conditions(w))
    program.update.say_ready(w)
    w.say(f"values = [{', '.join(values)}, *{w.name('rest', program.static[len(kinds) :])}]", 2)
    for part in program.with_update:
        if isinstance(part, Tape):
            w.unless([f"{w.name('play', part.play)}(*{w.name('tape', part.where)}) < 0"])
        else:
            w.say(f"{w.name('part', part)}(values)", 2)
    # before the update: the step makes the calls again, and sees why
    w.say("except Exception: return None")
    program.update.say_done(w)
    new = w.name("new", Value.result_class.new)
    found = [f"{new}({w.name('output', array)}.copy())" for array in program.outputs]
    w.say(f"return {', '.join(found)}")
    return w.function()


def take(w: Written, k: int, kind: Any) -> str:
    """Ask whether argument k is of this kind; what stands for its array."""
    of, shape, dtype, strides = kind
    argument = array = f"array_{k}"
    w.say(f"{argument} = arguments[{k}]", 2)
    w.unless([f"type({argument}) is {w.name('type', of)}"])
    if of is not np.ndarray:
        w.unless([f"not {argument}.requires_grad"])
        w.say(f"{array} = {argument}._data", 2)
    w.unless(
        [
            f"{array}.shape == {shape!r}",
            f"{array}.dtype is {w.name('dtype', dtype)}",
            f"{array}.strides == {strides!r}",
        ]
    )
    return array


def kind_of(argument: Any) -> Kind | None:
    """What has to be the same of an array, or of a tensor that wants no gradient."""
    array = argument
    if isinstance(argument, Value) and not argument.requires_grad:
        array = argument._data
    if type(array) is not np.ndarray:
        return None
    return type(argument), array.shape, array.dtype, array.strides
