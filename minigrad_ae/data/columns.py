"""Which columns of a table are features, and which one holds labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import counted
from ..errors import DataError
from ..room import demand_room

SHOWN = 12  # names in a message
LARGEST_WHOLE = 2.0**53  # below it float64 has every whole number


@dataclass
class Table:
    """What was found in a file: numbers, perhaps labels, and what was decided on the way.

    Attributes
    ----------
    X : ndarray, (n, D)
        The features.
    names : list of str
        Of the features; numbers, from 0, where the file gives none.
    labels : ndarray or None
        (n,) numbers or text, where they were asked for.
    notes : list of str
        What was decided or converted, a sentence each.
    line : str
        What reads the same numbers in Python; empty where there is no such line.
    """

    X: NDArray[Any]
    names: list[str]
    labels: NDArray[Any] | None = None
    notes: list[str] = field(default_factory=list)
    line: str = ""


@dataclass(frozen=True)
class Columns:
    """What was asked for: columns to leave out, and the column of labels, by name or number."""

    drop: tuple[str, ...] = ()
    labels: str | None = None

    def split(self, names: Sequence[str], place: str) -> tuple[list[int], int | None]:
        """(numbers of the features, number of the labels)."""
        away = {number_of(column, names, place, "--drop-columns") for column in self.drop}
        label = None
        if self.labels is not None:
            label = number_of(self.labels, names, place, "--labels")
        return [k for k in range(len(names)) if k not in away and k != label], label


def number_of(column: str, names: Sequence[str], place: str, option: str) -> int:
    """The number of a column; it is named, or it is counted from 0, or from the end with a -."""
    if names.count(column) == 1:
        return names.index(column)
    if column in names:
        numbers = ", ".join(str(k) for k, name in enumerate(names) if name == column)
        raise DataError(
            f"several columns are called {column!r}",
            f"{place}: numbers {numbers}",
            f"give the number of one of them: {option} {names.index(column)}",
        )
    digits = column.removeprefix("-")
    if digits.isdecimal() and -len(names) <= int(column) < len(names):
        return int(column) % len(names)
    raise DataError(
        f"there is no column {column!r}",
        f"{place}: {_listed(names)}",
        f"name one of them, or count from 0: {option} {names[0] if names[0] else 0}",
    )


def split_array(array: NDArray[Any], columns: Columns, place: str) -> Table:
    """The features and the labels of a matrix without names.  Its `line` follows what reads it."""
    names = [str(k) for k in range(array.shape[1])]
    features, label = columns.split(names, place)
    table = Table(array, names)
    if len(features) < len(names):
        table = Table(array[:, features], [names[k] for k in features], line=f"[:, {features}]")
    if label is not None:
        table.labels = as_labels(array[:, label])
    return table


def split_pictures(array: NDArray[np.uint8], columns: Columns, place: str) -> Table:
    """The same of pictures in bytes, (n, height, width) or more axes: row by row, from 0 to 1."""
    n, size = len(array), int(np.prod(array.shape[1:], dtype=np.int64))
    demand_room(2 * 8 * n * size, "this matrix", "take fewer data")
    table = split_array(array.reshape(n, size), columns, place)
    table.X = table.X / 255
    table.line = f".reshape({n}, {size}){table.line} / 255"
    pixels = " x ".join(map(str, array.shape[1:]))
    table.notes.append(f"pictures of {pixels} pixels, in bytes, are divided by 255")
    return table


def _listed(names: Sequence[str]) -> str:
    """'the columns are a, b and 70 more'."""
    if list(names) == [str(k) for k in range(len(names))]:
        return f"it has {counted(len(names), 'column')} without names"
    shown = ", ".join(names[:SHOWN])
    more = len(names) - SHOWN
    return f"the columns are {shown}" + (f" and {more} more" if more > 0 else "")


def as_labels(values: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers as integers, whatever form they came in; everything else as it is."""
    if values.dtype.kind in "US":
        try:
            values = values.astype(np.float64)
        except ValueError:
            return np.char.strip(values.astype(str))
        except SystemError:
            broken = f"dtype {values.dtype}, with characters that do not exist"
            raise DataError("the labels are damaged", broken, "save them again") from None
    if values.dtype.kind == "f" and (np.abs(values.astype(np.float64)) < LARGEST_WHOLE).all():
        whole = values.astype(np.int64)
        return whole if np.array_equal(whole, values) else values
    return values
