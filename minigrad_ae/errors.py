"""Errors in three lines: what was wrong; the shapes (or values) and where they came from; how to
fix it.

Every error that a user can cause is one of these classes.  Each is also the built-in exception that
a Python programmer would expect (`ShapeError` is a `ValueError`, `DtypeError` a `TypeError`, ...),
so ordinary `except` clauses work.
"""

from __future__ import annotations


class MinigradError(Exception):
    """Base class.  ``what``: the fault in one line; ``where``: shapes and origin; ``fix``: how to
    fix it.
    """

    def __init__(self, what: str, where: str, fix: str) -> None:
        # the repr of an array that was passed has lines of its own
        what, where, fix = (" ".join(text.splitlines()) for text in (what, where, fix))
        super().__init__(what, where, fix)
        self.what, self.where, self.fix = what, where, fix

    def __str__(self) -> str:
        return f"{self.what}\n  {self.where}\n  fix: {self.fix}"


class ShapeError(MinigradError, ValueError):
    """Shapes that do not fit together."""


class RangeError(ShapeError, IndexError):
    """An index or an axis that lies outside a shape."""


class DtypeError(MinigradError, TypeError):
    """Data of a type that cannot be differentiated, or an argument of the wrong type."""


class DataError(MinigradError, ValueError):
    """Data or a setting with a value that is not allowed: NaN, an empty array, a negative learning
    rate.
    """


class GradientError(MinigradError, RuntimeError):
    """A backward pass that cannot be run, or a rule whose result is not a gradient."""


class FileError(MinigradError, OSError):
    """A file that is missing, unreadable, or does not hold what was expected."""

    def __str__(self) -> str:  # OSError formats its three arguments as errno, text, file name
        return MinigradError.__str__(self)


class CheckpointError(FileError):
    """A checkpoint that cannot be written, cannot be read, or does not fit."""
