"""A matrix from a .npy file; whatever is wrong with the file is said in three lines."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from ..errors import DtypeError, FileError, ShapeError
from .validate import check_matrix

SAVE = "write it with np.save(path, X), X a matrix of numbers"


def load_matrix(path: str | os.PathLike[str]) -> NDArray[np.floating]:
    """The matrix in a .npy file, checked by `check_matrix`.

    The header is judged before the data are read, and pickles are never loaded: they can run code.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    ndarray, (n, D)
        float32 or float64; integers become float64.

    Raises
    ------
    FileError
        For a file that is missing, unreadable, a directory, not in .npy format, or shorter than its
        header says.
    DtypeError
        For Python objects and other dtypes that are no numbers.
    ShapeError
        Unless there are 2 dimensions.
    DataError
        For an empty matrix, NaN or infinity.

    Examples
    --------
    >>> np.save("X.npy", np.array([[1, 2], [3, 4]]))
    >>> mg.data.load_matrix("X.npy").tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    try:
        with open(path, "rb") as file:
            _judge_header(file, path)
            file.seek(0)
            array = npy.read_array(file, allow_pickle=False)
    except FileNotFoundError:
        raise FileError(
            "there is no such file", f"path {str(path)!r}", "check the path and the folder"
        ) from None
    except IsADirectoryError:
        raise FileError(
            "this is a directory, not a file", f"path {str(path)!r}", "name a .npy file in it"
        ) from None
    except FileError:
        raise
    except OSError as error:
        raise FileError(
            "the file cannot be read",
            f"path {str(path)!r}: {error.strerror}",
            "check its permissions",
        ) from None
    return check_matrix(array, Path(path).name)


def _judge_header(file: BinaryIO, path: str | os.PathLike[str]) -> None:
    """An error unless the header declares a matrix of numbers, all of which the file holds."""
    place = f"path {str(path)!r}"
    start = file.read(len(npy.MAGIC_PREFIX))
    if start != npy.MAGIC_PREFIX:
        raise FileError("the file is not in .npy format", f"{place}: {_looks_like(start)}", SAVE)
    file.seek(0)
    try:
        read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[
            npy.read_magic(file)
        ]
        shape, _, dtype = read(file)
    except (ValueError, KeyError):
        raise FileError(
            "the .npy header cannot be read", f"{place}: damaged or cut short", SAVE
        ) from None
    if not all(type(n) is int and n >= 0 for n in shape):
        raise FileError(
            "the .npy header cannot be read", f"{place}: it gives the shape {shape}", SAVE
        )
    if dtype.hasobject:
        raise DtypeError(
            "the file holds pickled Python objects, which are never loaded",
            f"{place}: dtype {dtype}, shape {shape}",
            "save numbers: np.save(path, X.astype(np.float64))",
        )
    if len(shape) != 2:
        raise ShapeError(
            f"the file must hold a matrix (2 dimensions), not {len(shape)}",
            f"{place}: shape {shape}",
            "flatten each datum before saving: X.reshape(len(X), -1)"
            if len(shape) > 2
            else "save a row for each datum and a column for each feature",
        )
    needed = shape[0] * shape[1] * dtype.itemsize
    present = os.fstat(file.fileno()).st_size - file.tell()
    if present < needed:
        raise FileError(
            "the file is cut short",
            f"{place}: {present} bytes of data, but shape {shape} of {dtype} needs {needed}",
            "save or copy it again",
        )


def _looks_like(start: bytes) -> str:
    if not start:
        return "it is empty"
    if start.startswith(b"PK"):
        return "it looks like a .npz or zip archive"
    if start.startswith(b"\x80"):
        return "it looks like a pickle, which is never loaded"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        return "it looks like text"
    return f"it starts with the bytes {start.hex(' ')}"
