"""Labels from a file, one for each row of a matrix."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..errors import DataError, FileError

ONE_A_LINE = "write one label a line, in the order of the rows; or np.save of a vector"


def load_labels(path: str | os.PathLike[str], n: int) -> NDArray[np.str_]:
    """The labels in a file: text with one a line, or a vector in a .npy file.

    Parameters
    ----------
    path : str or path-like
        The file.  A text may be UTF-8 or, with its mark at the start, UTF-16; one line more than
        there are rows is a header.
    n : int
        How many rows the matrix has.

    Returns
    -------
    ndarray of str, (n,)
        As they are written, without blanks around them.

    Raises
    ------
    FileError
        For a file that is missing, cannot be read, or holds no text.
    DataError
        For another number of labels, an empty one, or a file of several columns.

    Examples
    --------
    >>> with open("labels.txt", "w", encoding="utf-8") as file:
    ...     _ = file.write("species\\nsetosa\\nvirginica\\n")
    >>> mg.data.load_labels("labels.txt", 2).tolist()
    ['setosa', 'virginica']
    """
    place = f"labels from {str(path)!r}"
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        what = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise FileError(f"the labels cannot be read: {what}", place, ONE_A_LINE) from None
    if content.startswith(npy.MAGIC_PREFIX):
        labels = _vector(path, place)
    else:
        labels = _lines(content, place)
        if len(labels) == n + 1:
            del labels[0]
    if len(labels) != n:
        counted = f"{place}: {len(labels)}, for {n} rows of data"
        raise DataError("there must be one label for each row", counted, ONE_A_LINE)
    if "" in labels:
        where = f"{place}: that of row {labels.index('')} (from 0)"
        raise DataError("a label is empty", where, "give that row a label, such as 'unknown'")
    return np.array(labels)


def _vector(path: str | os.PathLike[str], place: str) -> list[str]:
    """The labels in a .npy file; never a pickle, which can run code."""
    try:
        vector = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError):
        raise FileError(
            "the labels cannot be read", f"{place}: pickled objects, or cut short", ONE_A_LINE
        ) from None
    if vector.ndim != 1 or vector.dtype.kind not in "biufUS":
        held = f"{place}: shape {vector.shape}, dtype {vector.dtype}"
        raise DataError("the labels are not a vector of numbers or text", held, ONE_A_LINE)
    if vector.dtype.kind == "S":
        vector = np.char.decode(vector, "utf-8", "replace")
    return [str(label).strip() for label in vector.tolist()]


def _lines(content: bytes, place: str) -> list[str]:
    """The labels in a text."""
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise FileError("the labels are not text in UTF-8", place, ONE_A_LINE)
    lines = [line.strip() for line in text.rstrip().splitlines()]
    for mark in "\t;,":
        columns = {line.count(mark) for line in lines}
        if len(columns) == 1 and columns != {0}:
            held = f"{place}: {columns.pop() + 1} columns, between them {mark!r}"
            raise DataError("the file of labels holds a table", held, "keep the column of labels")
    return lines
