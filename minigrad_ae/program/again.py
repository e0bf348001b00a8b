"""The same step once more: what a call of a compiled step does where nothing has changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autodiff.graph import Value, watchers
from ..kernels.backend import backend, state
from .program import Program

Kind = tuple[Any, tuple[int, ...], np.dtype[Any], tuple[int, ...]]


class Again:
    """A program and the optimiser's update at its end, for arguments of the kinds of last time.

    ``again(arguments)`` gives the arrays that the program fills, or None where anything is not as
    it was: then nothing has been changed, and the step looks closer.  On a small model these
    questions take as long as its products, so they are few, and each is a comparison.
    """

    def __init__(
        self, program: Program, kinds: list[Kind], surroundings: Callable[[], int]
    ) -> None:
        self.program, self.kinds, self.update = program, kinds, program.update
        self.parts, self.rest = program.with_update, program.static[len(kinds) :]
        self.surroundings, self.around = surroundings, surroundings()
        self.kernels, self.threads = backend(), state.threads

    def __call__(self, arguments: tuple[Any, ...]) -> list[np.ndarray] | None:
        if (
            watchers
            or self.surroundings() != self.around
            or state.threads != self.threads
            or backend() != self.kernels
            or len(arguments) != len(self.kinds)
            or not self.program.fits()
        ):
            return None
        values = []
        for a, (kind, shape, dtype, strides) in zip(arguments, self.kinds, strict=True):
            if type(a) is not kind:
                return None
            if kind is not np.ndarray:
                if a.requires_grad:
                    return None
                a = a._data
            if a.shape != shape or a.dtype is not dtype or a.strides != strides:
                return None
            values.append(a)
        if not self.update.ready():
            return None
        values += self.rest
        try:
            for part in self.parts:
                part(values)
        except Exception:  # before the update: the step makes the calls again, and sees why
            return None
        self.update.done()
        return self.program.outputs


def again(
    program: Program, arguments: tuple[Any, ...], surroundings: Callable[[], int]
) -> Again | None:
    """The short way for a program, None where there is none: without an update on its tape, with
    draws, and for arguments that are not arrays.
    """
    if program.update is None or program.draws:
        return None
    kinds = [kind_of(a) for a in arguments]
    known = [kind for kind in kinds if kind is not None]
    return Again(program, known, surroundings) if len(known) == len(kinds) else None


def kind_of(argument: Any) -> Kind | None:
    """What has to be the same of an array, or of a tensor that wants no gradient."""
    array = argument
    if isinstance(argument, Value) and not argument.requires_grad:
        array = argument._data
    if type(array) is not np.ndarray:
        return None
    return type(argument), array.shape, array.dtype, array.strides
