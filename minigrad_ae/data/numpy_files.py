"""Arrays in NumPy's own files, .npy and .npz.  Pickles are never loaded: they can run code."""

from __future__ import annotations

import ast
import os
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.lib.recfunctions import structured_to_unstructured
from numpy.typing import NDArray

from ..arguments import counted
from ..errors import DataError, DtypeError, FileError, ShapeError
from .columns import Columns, Table, as_labels, split_array, split_pictures

SAVE = "write it with np.save(path, X), X a matrix of numbers"
LARGEST_HEADER = 1 << 24  # bytes; a table of 100,000 named columns has 4 MB
LENGTHS = {b"\1\0": 2, b"\2\0": 4, b"\3\0": 4}  # version of the format: bytes that give the length
SPARSE = {"indices", "indptr", "format", "shape", "data"}  # what scipy.sparse.save_npz writes
LISTED = 8  # arrays in a message


def read_npy(path: Path, columns: Columns) -> Table:
    """The matrix in a .npy file."""
    place = f"path {str(path)!r}"
    with open(path, "rb") as file:
        array = read_array(file, os.fstat(file.fileno()).st_size, place)
    table = _table(array, columns, place)
    if array.dtype.names is None:
        table.line = f"np.load({str(path)!r}){table.line}"
    return table


def read_npz(path: Path, key: str | None, columns: Columns) -> Table:
    """One matrix of a .npz archive; an array of labels may be named by its own key."""
    place = f"path {str(path)!r}"
    try:
        with zipfile.ZipFile(path) as archive:
            names = [n.removesuffix(".npy") for n in archive.namelist() if n.endswith(".npy")]
            if not names:
                raise _no_arrays(archive.namelist(), place)
            if set(names) >= SPARSE:
                raise FileError(
                    "the archive holds a sparse matrix",
                    f"{place}: written by scipy.sparse.save_npz",
                    "write it with np.save(path, scipy.sparse.load_npz(file).toarray())",
                )
            key = _key(archive, names, key, columns.labels, place)
            array = _member(archive, key, place)
            if columns.labels in names:
                table = _table(array, Columns(columns.drop), place)
                table.labels = as_labels(_member(archive, str(columns.labels), place))
            else:
                table = _table(array, columns, place)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise FileError(
            "the archive is damaged, cut short or locked", f"{place}: {error}", "copy it again"
        ) from None
    if array.dtype.names is None:
        table.line = f"np.load({str(path)!r})[{key!r}]{table.line}"
    if len(names) > 1:
        rest = ", ".join(name for name in names if name != key)
        table.notes.insert(0, f"the array {key!r}; the archive also holds {rest}")
    return table


def _no_arrays(members: list[str], place: str) -> FileError:
    """What is said about an archive of something else."""
    if "[Content_Types].xml" in members:
        workbook = f"{place}: the archive of a program such as Excel"
        return FileError("the file is an office document", workbook, "save the table as CSV")
    inside = ", ".join(members[:LISTED]) or "nothing"
    found = f"{place}: it holds {inside}"
    return FileError("the archive holds no arrays", found, "unpack it, and name a file in it")


def _key(
    archive: zipfile.ZipFile, names: list[str], key: str | None, labels: str | None, place: str
) -> str:
    """The array that is meant: the one that is named, or the only one that can be meant."""
    if key in names:
        return str(key)
    others = [name for name in names if name != labels]
    shapes = {name: _shape(archive, name, place) for name in others}
    matrices = [name for name in others if len(shapes[name]) == 2]
    for only in (others, matrices):
        if key is None and len(only) == 1:
            return only[0]
    shown = ", ".join(f"{name} {shapes[name]}" for name in others[:LISTED])
    more = f" and {len(others) - LISTED} more" if len(others) > LISTED else ""
    what = "the archive holds several arrays" if key is None else f"there is no array {key!r}"
    raise DataError(what, f"{place}: it holds {shown}{more}", f"name one: --key {others[0]}")


def _shape(archive: zipfile.ZipFile, name: str, place: str) -> tuple[int, ...]:
    with archive.open(f"{name}.npy") as file:
        return _header(file, place)[0]


def _member(archive: zipfile.ZipFile, name: str, place: str) -> NDArray[Any]:
    with archive.open(f"{name}.npy") as file:
        size = archive.getinfo(f"{name}.npy").file_size
        return read_array(file, size, f"{place}, array {name!r}")


def read_array(file: IO[bytes], size: int, place: str) -> NDArray[Any]:
    """The array of numbers in an open file of so many bytes; its header is judged first."""
    shape, dtype = _header(file, place)
    if dtype.hasobject:
        numbers = "X.astype(np.float64)" if dtype.names is None else "the columns that are numbers"
        raise DtypeError(
            "the file holds pickled Python objects, which are never loaded",
            f"{place}: dtype {_short(dtype)}, shape {shape}",
            f"save numbers: np.save(path, {numbers})",
        )
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    present = size - file.tell()
    if present < needed:
        raise FileError(
            "the file is cut short",
            f"{place}: {present} bytes of data, but shape {shape} of {_short(dtype)} needs "
            f"{needed}",
            "save or copy it again",
        )
    file.seek(0)
    try:
        array: NDArray[Any] = npy.read_array(
            file, allow_pickle=False, max_header_size=LARGEST_HEADER
        )
    except ValueError:  # keys that are missing or too many
        raise _damaged(place) from None
    return array


def _header(file: IO[bytes], place: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """(shape, dtype), as the header says, of any version of the format."""
    start = file.read(len(npy.MAGIC_PREFIX))
    if start != npy.MAGIC_PREFIX:
        raise FileError("the file is not in .npy format", f"{place}: {looks_like(start)}", SAVE)
    try:
        version = file.read(2)
        length = int.from_bytes(file.read(LENGTHS[version]), "little")
        if length > LARGEST_HEADER:
            raise ValueError
        text = file.read(length).decode("utf-8" if version == b"\3\0" else "latin-1")
        header = ast.literal_eval(text.strip())
        shape, dtype = header["shape"], npy.descr_to_dtype(header["descr"])
        whole = isinstance(shape, tuple)
    except (ValueError, KeyError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise _damaged(place) from None
    if not (whole and all(type(n) is int and n >= 0 for n in shape)):
        raise FileError(
            "the .npy header cannot be read", f"{place}: it gives the shape {shape}", SAVE
        )
    return shape, dtype


def _damaged(place: str) -> FileError:
    return FileError("the .npy header cannot be read", f"{place}: damaged or cut short", SAVE)


def _table(array: NDArray[Any], columns: Columns, place: str) -> Table:
    """A matrix, or a structured array with a name for each column."""
    if array.dtype.names is not None:
        return _structured(array, columns, place)
    if array.ndim > 2 and array.dtype == np.uint8:
        return split_pictures(array, columns, place)
    if array.ndim != 2:
        raise ShapeError(
            f"the file must hold a matrix (2 dimensions), not {array.ndim}",
            f"{place}: shape {array.shape}",
            "flatten each datum before saving: X.reshape(len(X), -1)"
            if array.ndim > 2
            else "save a row for each datum and a column for each feature",
        )
    return split_array(array, columns, place)


def _structured(array: NDArray[Any], columns: Columns, place: str) -> Table:
    """The fields of a structured array are its columns."""
    if array.ndim != 1:
        raise ShapeError(
            "the structured array must have one record for each datum",
            f"{place}: shape {array.shape}, fields {_short(array.dtype)}",
            "save one record a row: X.ravel()",
        )
    names = list(array.dtype.names or ())
    features, label = columns.split(names, place)
    chosen = [names[k] for k in features]
    for name in chosen:
        base = array.dtype[name].base
        if base.kind not in "fiub":
            raise DtypeError(
                f"column {name!r} does not hold numbers",
                f"{place}: a structured array; {name!r} is of dtype {base}",
                f"keep it as labels: --labels {name}; or leave it out: --drop-columns {name}",
            )
    X = structured_to_unstructured(array[chosen]) if chosen else np.empty((len(array), 0))
    named = chosen if X.shape[1] == len(chosen) else [str(k) for k in range(X.shape[1])]
    table = Table(X, named, notes=[f"a structured array of {counted(len(chosen), 'field')}"])
    if label is not None:
        table.labels = as_labels(array[names[label]])
    return table


def _short(dtype: np.dtype[Any]) -> str:
    """A dtype in one line, however many fields it has."""
    text = str(dtype)
    return text if len(text) <= 60 else f"{text[:57]}..."


def looks_like(start: bytes) -> str:
    """What a file that begins so seems to be."""
    if not start:
        return "it is empty"
    if start.startswith(b"PK"):
        return "it looks like a .npz or zip archive"
    if start.startswith(b"\x80"):
        return "it looks like a pickle, which is never loaded"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in start):
        return "it looks like text"
    return f"it starts with the bytes {start.hex(' ')}"
