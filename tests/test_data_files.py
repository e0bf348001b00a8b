"""A matrix from files as people have them: tables of text, archives, IDX, pictures, data sets by
name; and what is said, in three lines, of those that cannot be read.

Each file is written as the program that is named writes it.
"""

from __future__ import annotations

import dataclasses
import gzip
import importlib
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
from helpers import message_of, run, wrong_use

from minigrad_ae.data import digits, load_matrix, mnist
from minigrad_ae.data.matrix_files import read_table
from minigrad_ae.errors import DataError, DtypeError, FileError, MinigradError, ShapeError

mnist_module = importlib.import_module("minigrad_ae.data.mnist_files")
X = np.round(np.random.default_rng(0).normal(size=(8, 3)), 3)
KINDS = ["a", "b", "a", "c", "b", "a", "c", "c"]
NAMES = ["length", "width", "depth"]


def lines(separator=",", decimal=".", end="\n", header=True, index=False, quote="", kinds=False):
    """X as a table of text."""
    rows = [[str(number).replace(".", decimal) for number in row] for row in X]
    if kinds:
        rows = [[*row, f"{quote}{kind}{quote}"] for row, kind in zip(rows, KINDS, strict=True)]
    if index:
        rows = [[f"{quote}{k}{quote}", *row] for k, row in enumerate(rows, start=1)]
    names = [""] * index + NAMES + ["kind"] * kinds
    top = [[f"{quote}{name}{quote}" for name in names]] if header else []
    return "".join(separator.join(row) + end for row in top + rows)


def excel_unicode_text():
    return b"\xff\xfe" + lines("\t", end="\r\n").encode("utf-16-le")


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


# --- tables of text ---
PLAIN = {
    "Excel, CSV UTF-8": (b"\xef\xbb\xbf" + lines(end="\r\n").encode(), NAMES),
    "Excel, Unicode text": (excel_unicode_text(), NAMES),
    "Excel, with sep=": ("sep=;\r\n" + lines(";", end="\r\n"), NAMES),
    "Excel for Mac of old": (lines(end="\r"), NAMES),
    "UTF-16 without a mark": (lines("\t").encode("utf-16-le"), NAMES),
    "big-endian UTF-16": (b"\xfe\xff" + lines("\t").encode("utf-16-be"), NAMES),
    "pandas, index=False": (lines(), NAMES),
    "pandas": (lines(index=True), NAMES),
    "pandas, sep=tab": (lines("\t", index=True), NAMES),
    "pandas, no names": ("".join(["0,1,2\n", lines(header=False)]), ["0", "1", "2"]),
    "R, write.csv": (lines(index=True, quote='"'), NAMES),
    "R, write.table": (lines(" ", index=True, quote='"').replace('"" ', "", 1), NAMES),
    "R, row.names=FALSE": (lines(quote='"'), NAMES),
    "MATLAB, writematrix": (lines(header=False), ["0", "1", "2"]),
    "MATLAB, save -ascii": (
        "".join("".join(f"{number:16.7e}" for number in row) + "\n" for row in X),
        ["0", "1", "2"],
    ),
    "a separator at each end": (lines().replace("\n", ",\n"), NAMES),
    "blanks behind commas": (lines(", "), NAMES),
    "blank lines": (lines().replace("\n", "\n\n"), NAMES),
    "bars": (lines("|"), NAMES),
}


@pytest.mark.parametrize("program", PLAIN)
def test_plain_tables_are_read_without_pandas(tmp_path, monkeypatch, program):
    monkeypatch.setitem(sys.modules, "pandas", None)
    content, names = PLAIN[program]
    table = read_table(write(tmp_path / "table.csv", content))
    assert table.names == names and table.X.dtype == np.float64
    assert np.array_equal(table.X, X)
    assert np.array_equal(eval(table.line, {"np": np}), X)


@pytest.mark.parametrize("header", ["", "length,width,depth", "of 2020\nlength,width,depth"])
def test_what_savetxt_writes(tmp_path, header):
    np.savetxt(tmp_path / "X.txt", X, delimiter=",", header=header)
    table = read_table(tmp_path / "X.txt")
    assert np.array_equal(table.X, X)
    assert table.names == (NAMES if header else ["0", "1", "2"])


def test_a_packed_table(tmp_path):
    write(tmp_path / "table.csv.gz", gzip.compress(lines().encode()))
    assert np.array_equal(load_matrix(tmp_path / "table.csv.gz"), X)


COMMAS = {
    "German Excel": lines(";", ",", "\r\n").encode(),
    "Excel, Unicode text": b"\xff\xfe" + lines("\t", ",", "\r\n").encode("utf-16-le"),
    "R, write.csv2": lines(";", ",", index=True, quote='"').encode(),
    "in white space": lines(" ", ",").encode(),
}


@pytest.mark.parametrize("program", COMMAS)
def test_pandas_reads_a_decimal_comma(tmp_path, program):
    pandas = pytest.importorskip("pandas", reason="pip install 'minigrad_ae[data]'")
    table = read_table(write(tmp_path / "table.csv", COMMAS[program]))
    assert table.names == NAMES and np.array_equal(table.X, X)
    assert np.array_equal(eval(table.line, {"pd": pandas}), X)


def test_without_pandas_a_decimal_comma_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    path = write(tmp_path / "table.csv", lines(";", ","))
    assert "pip install 'minigrad_ae[data]'" in message_of(FileError, load_matrix, path)


def test_labels_are_kept_and_columns_dropped(tmp_path):
    path = write(tmp_path / "table.csv", lines(kinds=True))
    assert message_of(DtypeError, load_matrix, path) == (
        f"column 'kind' holds text\n  path {str(path)!r}: 'a' in row 0 (from 0)\n  fix: --labels "
        "kind, or leave it out: --drop-columns kind (in Python labels=, drop=)"
    )
    for asked in ("kind", 3, "-1"):
        read, labels = load_matrix(path, labels=asked)
        assert np.array_equal(read, X) and labels.tolist() == KINDS
    read, labels = load_matrix(path, labels="kind", drop=["width"])
    assert np.array_equal(read, X[:, [0, 2]]) and labels.tolist() == KINDS
    assert np.array_equal(load_matrix(path, drop=["kind", 0]), X[:, 1:])


def test_numbers_as_labels_are_whole_numbers(tmp_path):
    path = write(tmp_path / "table.csv", lines(kinds=True).replace("a\n", "0\n"))
    path = write(
        path, path.read_text(encoding="utf-8").replace("b\n", "1\n").replace(",c\n", ",2\n")
    )
    labels = load_matrix(path, labels="kind")[1]
    assert labels.dtype == np.int64 and labels.tolist() == [0, 1, 0, 2, 1, 0, 2, 2]


def test_the_name_of_a_column_of_latin_1(tmp_path):
    text = lines().replace("width", "Größe")
    for encoding in ("utf-8", "cp1252", "utf-16"):
        table = read_table(write(tmp_path / "t.csv", text.encode(encoding)), drop="Größe")
        assert np.array_equal(table.X, X[:, [0, 2]])


def test_what_seems_to_number_the_rows_or_to_be_labels_is_said(tmp_path):
    """As Kaggle's Iris.csv has them."""
    text = "Id,size,class\n" + "".join(f"{k},{k / 8},{k % 2}\n" for k in range(1, 9))
    table = read_table(write(tmp_path / "Iris.csv", text))
    assert table.X.shape == (8, 3)
    assert any("--drop-columns Id" in note for note in table.notes)
    assert any("--labels class" in note for note in table.notes)


@pytest.mark.parametrize(
    "X", [np.arange(12).reshape(4, 3), np.array([[0, 1], [1, 0], [1, 1]]), np.array([[5], [6]])]
)
def test_whole_numbers_are_not_taken_for_a_header(tmp_path, X):
    np.savetxt(tmp_path / "X.csv", X, fmt="%d", delimiter=",")
    assert np.array_equal(load_matrix(tmp_path / "X.csv"), X)


MISSING = "the table has {}\n  path {path!r}: the first in {}\n  fix: fill them in or drop"
LATE = lines() + lines(header=False) * 50  # beyond what is looked at first
TABLES = {
    "pandas, a missing value": (
        lines().replace(str(X[2, 1]), ""),
        DataError,
        "the table has 1 missing value\n",
        "line 4, row 2 (from 0), column 'width'",
    ),
    "R, missing values": (
        lines().replace(str(X[2, 1]), "NA").replace(str(X[4, 0]), "NA"),
        DataError,
        "the table has 2 missing values\n",
        "line 4, row 2 (from 0), column 'width'",
    ),
    "UCI, a missing value": (
        lines(header=False).replace(str(X[3, 2]), "?"),
        DataError,
        "the table has 1 missing value\n",
        "line 4, row 3 (from 0), column 2 (from 0)",
    ),
    "missing in the last line": (
        LATE + ",1,2\n",
        DataError,
        "1 missing value\n",
        "line 410, row 408 (from 0), column 'length'",
    ),
    "text in the last line": (
        LATE + "1,n.d.,2\n",
        DtypeError,
        "column 'width' holds text",
        "'n.d.' in line 410, row 408 (from 0)",
    ),
    "a short row": (
        lines() + "1,2\n",
        DataError,
        "the rows of the table differ in length",
        "line 10, row 8 (from 0), has 2 cells, most of the first rows have 3",
    ),
    "a long row": (lines() + "1,2,3,4\n", DataError, "differ in length", "has 4 cells"),
    "thousands": ('a,b\n"1,234",2\n', DataError, "group thousands", "without thousands separators"),
    "thousands and point": ('a,b\n"1,234.5",2\n', DtypeError, "text", "one decimal mark"),
    "percent": ("a,b\n5%,2\n7%,1\n", DtypeError, "'a' holds text", "no units"),
    "dates": ("day,v\n2020-01-31,2\n", DtypeError, "'day' holds text", "--drop-columns day"),
    "two columns of text": ("i,a,b\n1,x,y\n", DtypeError, "text", "--drop-columns a b"),
    "infinity": (lines().replace(str(X[2, 1]), "inf"), DataError, "1 infinite", "row 2, column 1"),
    "a header alone": ("a,b\n", DataError, "no table", "a header of 2 columns, and no data"),
    "a comment alone": ("# a\n", DataError, "no table", "1 line, none with data"),
    "blank lines": ("\n\n", DataError, "no table", "2 lines"),
    "nothing": ("", FileError, "the file is empty", "name another file"),
    "prose": ("To be or not to be\nthat is\n", MinigradError, "", ""),
    "an open quote": ('a,b\n1,2\n"3,4\n5,6\n', MinigradError, "", ""),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_cannot_be_read(tmp_path, name):
    content, kind, *words = TABLES[name]
    text = message_of(kind, load_matrix, write(tmp_path / "table.csv", content))
    assert all(word in text for word in words), text


def test_a_column_that_is_not_there(tmp_path):
    path = write(tmp_path / "table.csv", lines())
    assert message_of(DataError, load_matrix, path, labels="kind") == (
        f"there is no column 'kind'\n  path {str(path)!r}: the columns are length, width, depth\n"
        "  fix: name one of them, or count from 0: --labels length"
    )
    twice = write(tmp_path / "twice.csv", lines().replace("width", "length"))
    assert "numbers 0, 1" in message_of(DataError, load_matrix, twice, drop="length")


@pytest.mark.parametrize(
    "wrong", [{"drop": None}, {"drop": 1.5}, {"drop": [None]}, {"labels": True}, {"labels": []}]
)
def test_a_column_is_a_name_or_a_number(tmp_path, wrong):
    path = write(tmp_path / "table.csv", lines())
    assert "name columns" in message_of(DtypeError, load_matrix, path, **wrong)
    assert "name of an array" in message_of(DtypeError, load_matrix, path, key=1)
    assert np.array_equal(load_matrix(path, drop=np.array([0, 2])), X[:, 1:2])


# --- NumPy's files ---
def test_npy_of_every_form(tmp_path):
    path = tmp_path / "X.npy"
    for array in (X, np.asfortranarray(X), X.astype(">f8"), X.astype("<f4"), X.astype(">f4")):
        for version in ((1, 0), (2, 0), (3, 0)):
            with open(path, "wb") as file:
                np.lib.format.write_array(file, array, version=version)
            read = load_matrix(path)
            assert np.array_equal(read, array) and read.dtype == array.dtype.newbyteorder("=")


@pytest.mark.parametrize("dtype, becomes", [("float16", "float32"), ("longdouble", "float64")])
def test_other_floats_are_converted_and_it_is_said(tmp_path, dtype, becomes):
    array = X.astype(dtype)
    if array.dtype == np.float64:
        pytest.skip("this machine has no longer floats")
    np.save(tmp_path / "X.npy", array)
    table = read_table(tmp_path / "X.npy")
    assert table.X.dtype == becomes and np.array_equal(table.X, array.astype(becomes))
    assert table.notes == [f"{array.dtype} is converted to {becomes}"]


FLOWERS = np.zeros(8, dtype=[("größe", "f8"), ("width", "i4"), ("kind", "U1")])
FLOWERS["größe"], FLOWERS["width"], FLOWERS["kind"] = X[:, 0], np.arange(8), KINDS


@pytest.mark.filterwarnings("ignore:Stored array in format 2.0")
def test_the_fields_of_a_structured_array_are_columns(tmp_path):
    np.save(tmp_path / "X.npy", FLOWERS)
    text = message_of(DtypeError, load_matrix, tmp_path / "X.npy")
    assert "column 'kind' does not hold numbers" in text and "--labels kind" in text
    read, labels = load_matrix(tmp_path / "X.npy", labels="kind")
    assert np.array_equal(read, np.column_stack([X[:, 0], np.arange(8)]))
    assert labels.tolist() == KINDS
    assert np.array_equal(load_matrix(tmp_path / "X.npy", drop=["kind", "width"]), X[:, :1])
    np.save(tmp_path / "blocks.npy", np.ones(4, dtype=[("x", "f4", 3), ("y", "f8")]))
    assert load_matrix(tmp_path / "blocks.npy").shape == (4, 4)
    np.save(tmp_path / "table.npy", FLOWERS.reshape(2, 4))
    assert "one record" in message_of(ShapeError, load_matrix, tmp_path / "table.npy")
    wide = np.ones(2, dtype=[(f"measurement number {k}", "f8") for k in range(3000)])
    np.save(tmp_path / "wide.npy", wide)  # its header is longer than NumPy reads unasked
    assert load_matrix(tmp_path / "wide.npy").shape == (2, 3000)


@pytest.mark.parametrize("cut", range(0, 150, 7))
@pytest.mark.parametrize("change", [b"", b"\0", b"'", b"9", b"("])
def test_damaged_npy_files(tmp_path, cut, change):
    """Whatever byte is lost or changed, the numbers are read or it is said in three lines."""
    np.save(tmp_path / "X.npy", X)
    whole = (tmp_path / "X.npy").read_bytes()
    path = write(tmp_path / "damaged.npy", whole[:cut] + change + whole[cut + 1 :])
    try:
        assert load_matrix(path).ndim == 2
    except MinigradError as error:
        assert len(str(error).splitlines()) == 3


def test_archives_and_their_keys(tmp_path):
    path = tmp_path / "X.npz"
    np.savez(path, X)
    assert np.array_equal(load_matrix(path), X)
    np.savez_compressed(path, X=X, y=np.arange(8))
    assert np.array_equal(load_matrix(path), X)  # the only matrix
    read, labels = load_matrix(path, key="X", labels="y")
    assert np.array_equal(read, X) and labels.tolist() == list(range(8))
    np.savez(path, train=X, test=X[:2])
    assert message_of(DataError, load_matrix, path) == (
        f"the archive holds several arrays\n  path {str(path)!r}: it holds train (8, 3), test "
        "(2, 3)\n  fix: name one: --key train"
    )
    assert np.array_equal(load_matrix(path, key="test"), X[:2])
    assert "there is no array 'X'" in message_of(DataError, load_matrix, path, key="X")
    np.save(tmp_path / "X.npy", X)
    text = message_of(DataError, load_matrix, tmp_path / "X.npy", key="X")
    assert "only .npz archives have keys" in text


def test_pictures_in_an_archive_as_keras_has_them(tmp_path):
    np.savez(tmp_path / "mnist.npz", x_train=PICTURES, y_train=np.arange(6))
    table = read_table(tmp_path / "mnist.npz", key="x_train", labels="y_train")
    assert np.array_equal(table.X, PICTURES.reshape(6, -1) / 255)
    assert table.labels is not None and table.labels.tolist() == list(range(6))
    assert np.array_equal(eval(table.line, {"np": np}), table.X)


def archive(path, *members):
    with zipfile.ZipFile(path, "w") as file:
        for member in members:
            file.writestr(member, "1,2\n")
    return path.read_bytes()


def test_archives_that_cannot_be_read(tmp_path):
    np.savez_compressed(tmp_path / "X.npz", X=X)
    whole = (tmp_path / "X.npz").read_bytes()
    for name, content, word in (
        ("cut.npz", whole[:-30], "cut short"),
        ("empty.npz", b"", "cut short"),
        ("damaged.npz", whole[:90] + b"damage" + whole[96:], "damaged"),
        ("book.xlsx", archive(tmp_path / "a", "[Content_Types].xml"), "office document"),
        ("archive.zip", archive(tmp_path / "a", "train.csv"), "it holds train.csv"),
    ):
        text = message_of(FileError, load_matrix, write(tmp_path / name, content))
        assert word in text, text
    np.savez(tmp_path / "objects.npz", X=np.array([[1, None]], dtype=object))
    assert "never loaded" in message_of(DtypeError, load_matrix, tmp_path / "objects.npz")
    sparse = {name: [1] for name in ("indices", "indptr", "format", "shape", "data")}
    np.savez(tmp_path / "sparse.npz", **sparse)
    assert "scipy.sparse" in message_of(FileError, load_matrix, tmp_path / "sparse.npz")


OTHERS = {
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform: GLNXA64" + bytes(90), "writematrix"),
    "HDF5": (b"\x89HDF\r\n\x1a\n" + bytes(90), "np.save(path, file['X'][:])"),
    "Parquet": (b"PAR1" + bytes(90), "pd.read_parquet"),
    "pickle": (pickle.dumps(X), "never loaded"),
    "Excel of old": (b"\xd0\xcf\x11\xe0\xa1\xb1" + bytes(90), "save the table as CSV"),
    "JSON": (b'{"a": [1, 2]}', "pd.read_json"),
    "ARFF": (b"@relation iris\n@data\n1,2\n", "arff"),
    "a web page": (b"<!DOCTYPE html>\n<html>Sign in</html>", "fetch the file itself"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(90), "the folder of the pictures"),
    "bytes": (b"\x00\x01\x02\xff" * 9, "no text, for byte 0 is 00"),
    "gzip without its name": (gzip.compress(b"1,2\n"), "rename it: file.dat.gz"),
}


@pytest.mark.parametrize("program", OTHERS)
def test_files_of_other_programs_are_named(tmp_path, program):
    content, word = OTHERS[program]
    assert word in message_of(FileError, load_matrix, write(tmp_path / "file.dat", content))


@pytest.mark.parametrize("content", [b"1,2\n", gzip.compress(lines().encode() * 400)[:-40]])
def test_a_packed_table_that_is_damaged(tmp_path, content):
    path = write(tmp_path / "table.csv.gz", content)
    assert "damaged" in message_of(FileError, load_matrix, path)


# --- IDX ---
PICTURES = np.random.default_rng(1).integers(0, 256, (6, 5, 4), dtype=np.uint8)


def idx(array, kind=8):
    """The IDX form of an array."""
    shape = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, kind, array.ndim]) + shape + array.tobytes()


@pytest.mark.parametrize("name", ["t10k-images.idx3-ubyte", "images-idx3-ubyte.gz"])
def test_pictures_of_any_size_in_idx_files(tmp_path, name):
    content = gzip.compress(idx(PICTURES)) if name.endswith("gz") else idx(PICTURES)
    path = write(tmp_path / name, content)
    labels = write(tmp_path / "labels.idx1-ubyte", idx(np.arange(6, dtype=np.uint8)))
    read, y = load_matrix(path, labels=str(labels))
    assert np.array_equal(read, PICTURES.reshape(6, -1) / 255) and y.tolist() == list(range(6))
    text = message_of(ShapeError, load_matrix, labels)
    assert "perhaps these are labels" in text
    write(labels, idx(np.arange(5, dtype=np.uint8)))
    text = message_of(DataError, load_matrix, path, labels=str(labels))
    assert "6 rows, 5 labels" in text


@pytest.mark.parametrize(
    "dtype, kind", [("i1", 9), (">i2", 11), (">i4", 12), (">f4", 13), (">f8", 14)]
)
def test_numbers_in_idx_files(tmp_path, dtype, kind):
    array = (10 * X).astype(dtype)
    path = write(tmp_path / "X.idx", idx(array, kind))
    assert np.array_equal(load_matrix(path), array)
    assert np.array_equal(load_matrix(path, drop=[0, -1]), array[:, 1:2])
    write(path, idx(array, kind)[:-1])
    assert "cut short" in message_of(FileError, load_matrix, path)


def test_labels_in_files_of_their_own(tmp_path):
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", np.arange(8.0))
    for name, content in (("y.txt", "\n".join(KINDS)), ("crlf.txt", "\r\n".join([*KINDS, ""]))):
        path = write(tmp_path / name, content)
        assert load_matrix(tmp_path / "X.npy", labels=str(path))[1].tolist() == KINDS
    labels = load_matrix(tmp_path / "X.npy", labels=str(tmp_path / "y.npy"))[1]
    assert labels.dtype == np.int64 and labels.tolist() == list(range(8))
    text = message_of(ShapeError, load_matrix, tmp_path / "X.npy", labels=str(tmp_path / "X.npy"))
    assert "labels must have 1 dimension" in text
    write(tmp_path / "y.npy", b"\x93NUMPY\x01\x00")
    text = message_of(FileError, load_matrix, tmp_path / "X.npy", labels=str(tmp_path / "y.npy"))
    assert "the labels cannot be read" in text


# --- folders of pictures ---
def save(path, pixels):
    image = pytest.importorskip("PIL.Image")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = pixels if isinstance(pixels, image.Image) else image.fromarray(pixels)
    picture.save(path)


def test_a_folder_of_pictures(tmp_path):
    for k, picture in enumerate(PICTURES):
        save(tmp_path / "digits" / "ab"[k // 3] / f"{k}.png", picture)
    write(tmp_path / "digits" / "Thumbs.db", b"\xd0\xcf\x11\xe0")
    read, labels = load_matrix(tmp_path / "digits", labels="label")
    assert np.array_equal(read, PICTURES.reshape(6, -1) / 255)
    assert labels.tolist() == ["a", "a", "a", "b", "b", "b"]
    one = tmp_path / "digits" / "a"
    assert np.array_equal(load_matrix(one), PICTURES[:3].reshape(3, -1) / 255)
    assert "no subfolders" in message_of(DataError, load_matrix, one, labels="label")


def test_pictures_of_every_kind(tmp_path):
    image = pytest.importorskip("PIL.Image")
    grey = image.fromarray(PICTURES[0])
    expected = PICTURES[0].ravel() / 255
    for name, picture in {
        "grey.png": grey,
        "alpha.png": grey.convert("RGBA"),
        "colours.png": grey.convert("RGB"),
        "palette.gif": grey,
        "deep.png": image.fromarray(PICTURES[0].astype(np.uint16) * 257),
        "windows.bmp": grey,
        "scan.tiff": grey,
        "scan16.tif": image.fromarray(PICTURES[0].astype(np.uint16) * 257),
        "net.pgm": grey,
    }.items():
        save(tmp_path / name / name, picture)
        read = load_matrix(tmp_path / name / name.replace(name, ""))
        np.testing.assert_allclose(read, expected[None], rtol=0, atol=1e-15, err_msg=name)
    save(tmp_path / "photographs" / "a.jpg", np.repeat(PICTURES[0][..., None], 3, axis=2))
    save(tmp_path / "photographs" / "b.PNG", np.stack([PICTURES[0]] + 2 * [PICTURES[1]], axis=2))
    assert load_matrix(tmp_path / "photographs").shape == (2, 5 * 4 * 3)
    faint = np.full((5, 4, 4), 0, np.uint8)  # black, and quite transparent: paper
    save(tmp_path / "paper" / "a.png", faint)
    assert np.array_equal(load_matrix(tmp_path / "paper"), np.ones((1, 20)))


def test_folders_that_cannot_be_read(tmp_path):
    assert "a folder of pictures" in message_of(FileError, load_matrix, tmp_path)
    save(tmp_path / "a.png", PICTURES[0])
    save(tmp_path / "b.png", PICTURES[0][:3])
    assert "b.png': 4 x 3 pixels; the first, a.png, has 4 x 5" in message_of(
        DataError, load_matrix, tmp_path
    )
    for content in ((tmp_path / "a.png").read_bytes()[:50], b"no picture"):
        write(tmp_path / "b.png", content)
        assert "a picture cannot be read" in message_of(FileError, load_matrix, tmp_path)


# --- data sets by name ---
def image_set(folder, names, packed=False):
    """Both splits, in files with these endings for images and for labels."""
    folder.mkdir(parents=True)
    pictures = np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)
    for prefix in ("train", "t10k"):
        for ending, array in zip(names, (pictures, np.arange(7, dtype=np.uint8)), strict=True):
            path = folder / ending.replace("{}", prefix)
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    return pictures.reshape(7, -1) / 255


LECUN = ("{}-images-idx3-ubyte", "{}-labels-idx1-ubyte")
PACKED = ("{}-images-idx3-ubyte.gz", "{}-labels-idx1-ubyte.gz")
KAGGLE = ("{}-images.idx3-ubyte", "{}-labels.idx1-ubyte")
FOLDERS = tuple(f"{name}/{name}" for name in LECUN)


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Nothing of this machine is found."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MINIGRAD_AE_DATA", str(tmp_path / "data"))
    return tmp_path


@pytest.mark.parametrize(
    "which, below, names",
    [
        ("mnist", ".", KAGGLE),
        ("mnist", ".", FOLDERS),
        ("mnist", "raw", LECUN),
        ("mnist", "MNIST/raw", LECUN),
        ("mnist", "mnist", PACKED),
        ("fashion-mnist", "FashionMNIST/raw", LECUN),
        ("fashion-mnist", "fashion-mnist", PACKED),
        ("kmnist", "KMNIST/raw", LECUN),
        ("kmnist", "kmnist", KAGGLE),
    ],
)
def test_where_the_sets_are_found(places, which, below, names):
    """As Kaggle and torchvision lay them down."""
    folder = places / "data" / below
    expected = image_set(folder, names, packed=names is PACKED)
    for root in (None, places / "data", folder):
        found, labels = mnist(root, "test", which=which)
        assert np.array_equal(found, expected) and labels.tolist() == list(range(7))
    found, labels = load_matrix(which, labels="label")
    assert np.array_equal(found, expected) and labels.tolist() == list(range(7))
    assert np.array_equal(load_matrix(which, drop=0), expected[:, 1:])


def test_one_set_is_not_taken_for_another(places):
    """The files of all three have the same names."""
    image_set(places / "data", LECUN)
    assert len(load_matrix("mnist")) == 7
    for which in ("fashion-mnist", "kmnist"):
        text = message_of(FileError, load_matrix, which)
        assert f"minigrad-ae data {which}" in text


@pytest.fixture
def mirror(places, monkeypatch):
    """A mirror of small files, in place of that of each set."""
    folder = places / "mirror"
    image_set(folder, PACKED, packed=True)
    sums = tuple(
        mnist_module.hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in mnist_module.FILES
    )
    for which, known in list(mnist_module.SETS.items()):
        small = dataclasses.replace(known, mirror=folder.as_uri() + "/", sums=sums)
        monkeypatch.setitem(mnist_module.SETS, which, small)
    return folder


@pytest.mark.parametrize("which", ["mnist", "fashion-mnist", "kmnist"])
def test_a_set_is_fetched_and_then_found(capsys, mirror, places, which):
    code, out, _ = run(capsys, "data", which)
    assert code == 0 and len(out.splitlines()) == 4
    assert all(f"/{which}/" in line for line in out.splitlines())
    if which == "mnist":  # the others are looked for in the cache, too
        assert "is missing" in message_of(FileError, load_matrix, which)
        return
    assert len(load_matrix(which)) == 7


def test_files_of_another_set_are_not_replaced(places, mirror, monkeypatch):
    target = places / "target"
    mnist_module.download(target, which="kmnist")
    for which in ("mnist", "fashion-mnist"):
        known = mnist_module.SETS[which]
        other = dataclasses.replace(known, sums=tuple("0" * 64 for _ in known.sums))
        monkeypatch.setitem(mnist_module.SETS, which, other)
    before = {path: path.read_bytes() for path in target.iterdir()}
    text = message_of(FileError, mnist_module.download, target)
    assert "the folder holds Kuzushiji-MNIST" in text and "--root DIR" in text
    assert {path: path.read_bytes() for path in target.iterdir()} == before


def test_a_whole_file_with_another_sum_is_kept(places, mirror, caplog):
    target = places / "target"
    mnist_module.download(target)
    path = target / "train-images-idx3-ubyte.gz"
    packed_again = gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1, mtime=9)
    path.write_bytes(packed_again)
    mnist_module.download(target)
    assert path.read_bytes() == packed_again
    assert "is kept: it is whole" in caplog.text


# --- the command line ---
def test_verify_takes_any_of_them(capsys, tmp_path):
    table = write(tmp_path / "table.csv", lines(kinds=True, index=True))
    code, out, err = run(capsys, "verify", "--data", table, "--labels", "kind", "--latent", 2)
    assert code == 0 and "8 x 3" in out
    assert "note: in Python: np.loadtxt(" in err
    np.savez(tmp_path / "X.npz", a=X, b=X)
    argv = ("verify", "--data", tmp_path / "X.npz", "--latent", 1)
    assert "name one: --key a" in wrong_use(capsys, *argv)
    assert run(capsys, *argv, "--key", "b", "--drop", 0)[0] == 0


def test_verify_takes_the_digits(capsys):
    code, out, _ = run(capsys, "verify", "--data", "digits", "--latent", 2)
    assert code == 0 and "digits: 1797 x 64" in out


def test_train_takes_any_of_them(capsys, tmp_path):
    table = write(tmp_path / "table.csv", lines(kinds=True))
    argv = ("train", "linear", "--data", table, "--latent", 1, "--epochs", 1)
    assert "--labels kind" in wrong_use(capsys, *argv)
    code, out, err = run(capsys, *argv, "--drop-columns", "kind", "depth")
    assert code == 0 and "data of 2 features" in out and "with a header" in err
    assert "means nothing to digits" in wrong_use(
        capsys, "train", "linear", "--latent", 1, "--key", "X"
    )


def test_train_by_name(capsys, places):
    image_set(places / "data" / "kmnist", LECUN)
    argv = ("train", "linear", "--data", "kmnist", "--latent", 1, "--epochs", 1)
    code, out, _ = run(capsys, *argv)
    assert code == 0 and "7 data of 784 features, 7 held out" in out


def test_data_says_what_is_read(capsys, tmp_path):
    table = write(tmp_path / "table.csv", lines(kinds=True))
    code, out, err = run(capsys, "data", table, "--labels", "kind")
    assert code == 0 and out.splitlines() == [
        f"{table}: 8 x 3, float64",
        "columns: length, width, depth",
        "labels: 3 different, the first is a",
    ]
    assert "separated by commas" in err
    assert "there is no such file" in wrong_use(capsys, "data", tmp_path / "absent")
    assert "--key means nothing" in wrong_use(capsys, "data", "kmnist", "--key", "X")


def test_options_of_data_mean_nothing_without_data(capsys):
    assert "--labels means nothing without --data" in wrong_use(capsys, "verify", "--labels", "y")


def test_one_is_said_as_one(capsys, tmp_path):
    np.save(tmp_path / "X.npy", X[:, :1])
    text = wrong_use(capsys, "verify", "--data", tmp_path / "X.npy", "--latent", 2)
    assert "8 rows and 1 column\n" in text and "M = 1 is the only choice" in text


def test_digits_by_name_are_all_of_them():
    assert np.array_equal(load_matrix("digits"), digits()[0])
    assert load_matrix("digits", labels="label")[1].tolist() == digits()[1].tolist()
    assert "called 'label'" in message_of(DataError, load_matrix, "digits", labels="y")
