"""A matrix from whatever file people have it in; what cannot be read is said in three lines."""

from __future__ import annotations

import gzip
import logging
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import counted, file_path
from ..errors import DataError, DtypeError, FileError, ShapeError
from .columns import Columns, Table, as_labels, split_array, split_pictures
from .idx_files import is_idx, read_idx
from .mnist_files import SETS, mnist
from .numpy_files import SAVE, read_npy, read_npz
from .optical_digits import digits
from .picture_folders import LABEL, read_pictures
from .text_tables import read_text
from .validate import check_matrix

log = logging.getLogger(__name__)
BINARY = {  # how files of other programs begin: (what they are, what to do)
    b"\x89HDF": ("an HDF5 file (MATLAB 7.3, h5py, Keras)", "np.save(path, file['X'][:])"),
    b"MATLAB": ("a MATLAB file", "in MATLAB: writematrix(X, 'X.csv')"),
    b"PAR1": ("a Parquet file", "pd.read_parquet(file).to_csv(path, index=False)"),
    b"ARROW1": ("an Arrow file", "pd.read_feather(file).to_csv(path, index=False)"),
    b"\xd0\xcf\x11\xe0": ("an old office document", "save the table as CSV"),
    b"\x80": ("a pickle, which is never loaded", "np.save(path, X)"),
    b"%PDF": ("a PDF document", "name the file of the numbers"),
    b"SQLite": ("a database", "pd.read_sql(...).to_csv(path, index=False)"),
    b"\x89PNG": ("one picture", "name the folder of the pictures"),
    b"\xff\xd8\xff": ("one picture", "name the folder of the pictures"),
    b"GIF8": ("one picture", "name the folder of the pictures"),
    b"BZh": ("packed by bzip2", "unpack it: bunzip2 FILE"),
    b"\xfd7zXZ": ("packed by xz", "unpack it: unxz FILE"),
    b"7z\xbc\xaf": ("packed by 7-Zip", "unpack it"),
    b"\x28\xb5\x2f\xfd": ("packed by Zstandard", "unpack it: unzstd FILE"),
    b"Rar!": ("packed by RAR", "unpack it"),
    b"<": ("a web page, or XML", "fetch the file itself, not the page that shows it"),
    b"{": ("JSON", "pd.read_json(file).to_csv(path, index=False)"),
    b"@": ("an ARFF file", "pd.DataFrame(scipy.io.arff.loadarff(file)[0]).to_csv(path)"),
}
COPY = "copy or fetch the file again"
START = 1 << 12  # bytes that are looked at
PLAIN = {*range(32, 256), *b"\t\r\n\f"}  # bytes that a text may have


def load_matrix(
    path: str | os.PathLike[str],
    *,
    key: str | None = None,
    drop: str | int | Sequence[str | int] = (),
    labels: str | int | None = None,
) -> Any:
    """The matrix in a file, checked by `check_matrix`; labels beside it where they are asked for.

    What was decided on the way (a separator, a header, float16 made float32) is said in the log.
    Pickles are never loaded: they can run code.

    Parameters
    ----------
    path : str or path-like
        A .npy or .npz file; a table of text (.csv, .tsv, .txt, also packed: .csv.gz), of which the
        encoding, the separator, the decimal mark and the header are found out; an IDX file (.gz);
        a folder of pictures of one size; or a name: 'digits', 'mnist', 'fashion-mnist', 'kmnist'
        (of the last three the training images).
    key : str, optional
        The array of a .npz archive that holds several.
    drop : str, int or sequence of them, optional
        Columns that are left out, by name, or by number from 0.
    labels : str or int, optional
        The column of labels, by name or number; of a .npz archive also a key; of a folder of
        pictures or a data set with a name, 'label'; or a file with a label for each row.

    Returns
    -------
    X : ndarray, (n, D)
        float32 or float64; integers become float64, float16 becomes float32.  Pictures are read row
        by row, from 0 to 1.
    y : ndarray, (n,)
        Only with `labels`: integers, floats or text.

    Raises
    ------
    FileError
        For a file that is missing, unreadable, damaged, or of a kind that is not read.
    DtypeError
        For a column of text, Python objects and other entries that are no numbers, and for a `key`,
        `drop` or `labels` that is neither a name nor a number.
    ShapeError
        Unless there are 2 dimensions.
    DataError
        For an empty matrix, missing values (with the first row and column), NaN or infinity, rows
        or pictures that differ in size, and a key or column that is not there.

    Examples
    --------
    >>> np.save("X.npy", np.array([[1, 2], [3, 4]]))
    >>> mg.data.load_matrix("X.npy").tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    >>> from pathlib import Path
    >>> written = Path("flowers.csv").write_text("length,width,kind\\n5.1,3.5,a\\n4.9,3.0,b\\n")
    >>> X, y = mg.data.load_matrix("flowers.csv", labels="kind")
    >>> X.tolist(), y.tolist()
    ([[5.1, 3.5], [4.9, 3.0]], ['a', 'b'])
    """
    table = read_table(path, key=key, drop=drop, labels=labels)
    for note in table.notes:
        log.info("%s: %s", path, note)
    return table.X if labels is None else (table.X, table.labels)


def read_table(
    path: str | os.PathLike[str],
    *,
    key: str | None = None,
    drop: str | int | Sequence[str | int] = (),
    labels: str | int | None = None,
) -> Table:
    """What `load_matrix` reads, with the names of the columns and what was decided on the way."""
    several = not isinstance(drop, str) and (isinstance(drop, Sequence) or np.ndim(drop) > 0)
    given: Any = drop if several else [drop]
    dropped = tuple(_column(each, "drop") for each in given)
    label = None if labels is None else _column(labels, "labels")
    columns = Columns(dropped, label)
    if not isinstance(key, str | None):
        raise DtypeError(
            "load_matrix: key must be the name of an array", f"got {key!r:.60}", "pass a str"
        )
    file_path(path, "load_matrix: path")
    if str(path) in {"digits", *SETS}:
        demand_no_key(key, path)
        return _named(str(path), columns)
    path = Path(path)
    values = None
    if label is not None and os.path.isfile(label):
        values, columns = _labels_in(Path(label)), Columns(columns.drop)
    table = _read(path, key, columns)
    _convert_floats(table)
    table.X = check_matrix(table.X, path.name)
    if values is not None:
        headed = values.dtype.kind == "U" and len(values) == len(table.X) + 1
        table.labels = values[1:] if headed else values
    if table.labels is not None and len(table.labels) != len(table.X):
        raise DataError(
            "there must be a label for each row",
            f"path {str(path)!r}: {counted(len(table.X), 'row')}, "
            f"{counted(len(table.labels), 'label')}",
            "name the labels of these data",
        )
    return table


def _column(value: Any, name: str) -> str:
    """A column as text, by name or number."""
    if isinstance(value, str | int | np.integer) and not isinstance(value, bool):
        return str(value)
    raise DtypeError(
        f"load_matrix: {name} must name columns",
        f"got {value!r:.60}",
        "pass a name, or a whole number that counts from 0",
    )


def demand_no_key(key: str | None, path: str | os.PathLike[str]) -> None:
    """DataError for a key of what is no archive."""
    if key is not None:
        raise DataError(
            f"--key {key} means nothing here",
            f"path {str(path)!r}: only .npz archives have keys",
            "leave out --key",
        )


def _named(name: str, columns: Columns) -> Table:
    """A data set with a name: all the digits, or the training images of the others."""
    X, y = digits() if name == "digits" else mnist(which=name)
    if columns.labels not in (None, LABEL):
        raise DataError(
            f"there are no labels {columns.labels!r}",
            f"{name} has labels called {LABEL!r}",
            f"write --labels {LABEL}",
        )
    table = split_array(X, Columns(columns.drop), name)
    table.line = ""
    table.labels = None if columns.labels is None else y
    return table


def _read(path: Path, key: str | None, columns: Columns) -> Table:
    """What the file holds, by what it begins with; its name counts where it promises a format."""
    try:
        if path.is_dir():
            demand_no_key(key, path)
            return read_pictures(path, columns)
        start = _start(path)
        archive = path.suffix == ".npz" or start.startswith(b"PK")
        if archive and path.suffix != ".npy":
            return read_npz(path, key, columns)
        demand_no_key(key, path)
        if path.suffix == ".npy" or start.startswith(b"\x93NUMPY"):
            return read_npy(path, columns)
        if is_idx(start):
            return _pictures_in_idx(path, columns)
        _demand_text(path, start)
        return read_text(path, columns)
    except FileNotFoundError:
        raise FileError(
            "there is no such file", f"path {str(path)!r}", "check the path and the folder"
        ) from None
    except FileError:
        raise
    except (EOFError, zlib.error) as error:
        raise FileError(
            "the file is cut short or damaged", f"path {str(path)!r}: {error}", COPY
        ) from None
    except OSError as error:
        raise FileError(
            "the file cannot be read",
            f"path {str(path)!r}: {error.strerror or error}",
            "check its permissions",
        ) from None


def _start(path: Path) -> bytes:
    """The first bytes, unpacked where the name ends in .gz."""
    with open(path, "rb") as file:
        start = file.read(START)
    packed = start.startswith(b"\x1f\x8b")
    if packed and path.suffix != ".gz":
        raise FileError(
            "the file is packed by gzip, which its name does not say",
            f"path {str(path)!r}",
            f"rename it: {path.name}.gz",
        )
    if path.suffix != ".gz":
        return start
    try:
        with gzip.open(path, "rb") as unpacked:
            return unpacked.read(START)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FileError(
            "the file is damaged, cut short, or not packed by gzip",
            f"path {str(path)!r}: {error}",
            COPY,
        ) from None


def _demand_text(path: Path, start: bytes) -> None:
    """FileError for a file that is not a table of text."""
    place = f"path {str(path)!r}"
    if not start:
        raise FileError("the file is empty", place, "name another file")
    for begins, (what, fix) in BINARY.items():
        if start.startswith(begins):
            raise FileError("files of this kind are not read", f"{place}: it is {what}", fix)
    wide = start.startswith((b"\xff\xfe", b"\xfe\xff")) or start[1::2].count(0) > len(start) / 4
    wide = wide or start[::2].count(0) > len(start) / 4
    if not wide and not set(start) <= PLAIN:
        bad = next(k for k, byte in enumerate(start) if byte not in PLAIN)
        found = f"{place}: no text, for byte {bad} is {start[bad]:02x}"
        raise FileError("the file is in no format that is read", found, SAVE)


def _pictures_in_idx(path: Path, columns: Columns) -> Table:
    """IDX of any size: bytes of pictures from 0 to 1, everything else as it is."""
    array = read_idx(path)
    if array.ndim < 2:
        raise ShapeError(
            "the file must hold a datum a row, not one number",
            f"path {str(path)!r}: shape {array.shape}; perhaps these are labels",
            f"name the file of the data, and this one with --labels {path}",
        )
    place = f"path {str(path)!r}"
    if array.ndim > 2 and array.dtype == np.uint8:
        table = split_pictures(array, columns, place)
    else:
        size = int(np.prod(array.shape[1:], dtype=np.int64))
        table = split_array(array.reshape(len(array), size), columns, place)
    table.line = ""
    return table


def _convert_floats(table: Table) -> None:
    """float16 becomes float32, a longer one float64, and it is said."""
    dtype = table.X.dtype
    if dtype.kind != "f" or dtype.itemsize in (4, 8):
        return
    wanted = np.float32 if dtype.itemsize < 4 else np.float64
    with np.errstate(over="ignore", invalid="ignore"):  # `check_matrix` finds what is not finite
        table.X = table.X.astype(wanted)
    table.notes.append(f"{dtype.name} is converted to {table.X.dtype.name}")
    if table.line:
        table.line = f"{table.line}.astype(np.{table.X.dtype.name})"


def _labels_in(path: Path) -> NDArray[Any]:
    """The labels in a file of their own: .npy, IDX, or a line each."""
    start = _start(path)
    if path.suffix == ".npy" or start.startswith(b"\x93NUMPY"):
        try:
            values = np.load(path, allow_pickle=False)
        except (ValueError, OSError, EOFError) as error:
            raise FileError(
                "the labels cannot be read",
                f"path {str(path)!r}: {' '.join(str(error).split()):.80}",
                "write them with np.save(path, y)",
            ) from None
    elif is_idx(start):
        values = read_idx(path)
    else:
        _demand_text(path, start)
        lines = path.read_text(encoding="utf-8-sig", errors="replace").split("\n")
        values = np.array([line.strip() for line in lines if line.strip()])
    if values.ndim != 1:
        raise ShapeError(
            "labels must have 1 dimension",
            f"path {str(path)!r}: shape {values.shape}",
            "save one label for each row",
        )
    return as_labels(values)
