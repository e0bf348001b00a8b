"""Data: the shipped digits, batches, centring and scaling, and what is said about matrices and
files that are wrong.
"""

from __future__ import annotations

import gzip
import logging
import pickle
from importlib import resources
from io import BytesIO

import numpy as np
import pytest
from helpers import message_of

from minigrad_ae.analytic import pca
from minigrad_ae.data import (
    Scaling,
    batches,
    centre,
    check_matrix,
    digits,
    load_matrix,
    scale,
    validate,
)
from minigrad_ae.errors import DataError, DtypeError, FileError, ShapeError


def test_digits_are_complete_and_in_the_original_order():
    X, y = digits()
    assert X.shape == (1797, 64) and X.dtype == np.float64 and (X.min(), X.max()) == (0.0, 1.0)
    assert y.shape == (1797,) and y.dtype == np.int64
    assert np.bincount(y).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (X[0, :8] * 16).tolist() == [0, 0, 5, 13, 9, 1, 0, 0] and y[:10].tolist() == list(
        range(10)
    )
    assert np.array_equal(X * 16, np.round(X * 16)) and (X * 16).sum() == 561718


def test_splits_of_the_digits_partition_them():
    X, y = digits()
    (X_train, y_train), (X_test, y_test) = digits("train"), digits("test")
    assert len(X_train) == 1437 and len(X_test) == 360
    assert np.array_equal(np.vstack([X_train, X_test]), X) and np.array_equal(
        np.append(y_train, y_test), y
    )


def test_digits_are_fresh_copies():
    X, y = digits("test")
    X += 1.0
    y[:] = -1
    again, labels = digits("test")
    assert again.max() == 1.0 and labels.min() == 0


def test_digits_file_carries_its_attribution():
    with resources.files("minigrad_ae.data").joinpath("digits.csv.gz").open("rb") as packed:
        head = gzip.decompress(packed.read()).decode("ascii").split("0,0,5,13")[0]
    for words in (
        "E. Alpaydin",
        "C. Kaynak",
        "1998",
        "UCI",
        "Creative Commons Attribution 4.0",
        "Changes:",
    ):
        assert words in head
    assert all(line.startswith("# ") for line in head.splitlines())


def test_an_unknown_split_is_refused():
    assert message_of(DataError, digits, "valid") == (
        "there is no split 'valid' of the digits\n  the splits are None (all), 'train' and 'test'\n"
        "  fix: name one of them"
    )


@pytest.mark.parametrize("n, size", [(10, 3), (10, 5), (1, 1), (7, 7), (10, 1)])
def test_an_epoch_holds_every_row_once(n, size):
    X = np.arange(n * 2.0).reshape(n, 2)
    epoch = list(batches(X, size, np.random.default_rng(0)))
    assert [len(batch) for batch in epoch] == [size] * (n // size) + [n % size] * (n % size > 0)
    assert np.array_equal(np.sort(np.vstack(epoch), axis=0), X)
    kept = list(batches(X, size, np.random.default_rng(0), drop_last=True))
    assert len(kept) == n // size and all(
        np.array_equal(a, b) for a, b in zip(kept, epoch, strict=False)
    )


def test_batches_keep_rows_together_and_are_copies():
    X, y = digits("test")
    before = X.copy()
    for x, label, target in batches(X, 50, np.random.default_rng(1), y, X):
        assert np.array_equal(x, target)
        assert all((x[i] == X[y == label[i]]).all(axis=1).any() for i in range(len(x)))
        x[:] = 0.0
    assert np.array_equal(X, before)


def test_the_order_of_batches_is_the_seed_s_and_new_in_each_epoch():
    X = np.arange(50.0)[:, None]

    def two_epochs(seed):
        rng = np.random.default_rng(seed)
        return [np.vstack(list(batches(X, 8, rng))) for _ in range(2)]

    assert np.array_equal(two_epochs(3), two_epochs(3))
    first, second = two_epochs(3)
    assert not np.array_equal(first, X) and not np.array_equal(first, second)
    assert not np.array_equal(first, two_epochs(4)[0])


def test_wrong_batches_are_refused_before_the_first():
    X, rng = np.zeros((4, 2)), np.random.default_rng(0)
    assert message_of(DtypeError, batches, X, 2, 0) == (
        "batches: a random generator is needed to draw the order of the rows\n  got rng=0\n"
        "  fix: pass rng=np.random.default_rng(seed); the same seed gives the same numbers"
    )
    assert message_of(ShapeError, batches, X, 2, rng, np.zeros(3)) == (
        "the arrays to be batched together have different numbers of rows\n  shapes (4, 2), (3,)\n"
        "  fix: give arrays with one row for each datum, in the same order"
    )
    for size in (0, -1, 5):
        assert message_of(DataError, batches, X, size, rng) == (
            f"a batch size of {size} is out of range\n  size = {size}, X has 4 rows\n"
            "  fix: choose a size from 1 to 4; 4 is one batch of everything"
        )
    assert message_of(DataError, batches, X[:0], 1, rng) == (
        "there are no rows to batch\n  size = 1, X has 0 rows\n  fix: give data"
    )
    assert message_of(DtypeError, batches, X, 2.0, rng) == (
        "the batch size must be a whole number, from 1 to 4\n  got 2.0\n"
        "  fix: choose a size from 1 to 4; 4 is one batch of everything"
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_centring_takes_off_the_mean_and_nothing_else(dtype):
    X = np.random.default_rng(0).normal(loc=(0.0, 1e3, -5.0, 0.0), size=(30, 4)).astype(dtype)
    X[:, 3] = 0.1
    before = X.copy()
    centred, mean = centre(X)
    assert centred.dtype == mean.dtype == dtype and np.array_equal(X, before)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(centred.mean(axis=0), 0.0, atol=4 * eps)
    np.testing.assert_allclose(centred + mean, X, atol=4e3 * eps)
    # a constant column is zero, not rounding of its mean
    assert np.abs(centred[:, 3]).max() <= eps**2


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e100])
def test_scaling_by_one_number_leaves_the_components_alone(unit):
    X, _ = centre(np.random.default_rng(0).normal(size=(30, 4)) * [1.0, 10.0, 0.1, 3.0] * unit)
    scaled, factor = scale(X)
    assert np.sqrt((scaled**2).mean()) == pytest.approx(1.0, rel=1e-12)
    np.testing.assert_allclose(scaled * factor, X, rtol=1e-15)
    if unit == 1.0:  # 1e-200 squared is 0, which is what scaling is for
        np.testing.assert_allclose(pca(scaled).components, pca(X).components, atol=1e-12)
        np.testing.assert_allclose(
            pca(scaled).eigenvalues * factor**2, pca(X).eigenvalues, rtol=1e-11
        )


def test_scaling_keeps_the_dtype_and_survives_zeros():
    zeros, factor = scale(np.zeros((2, 3), dtype=np.float32))
    assert factor == 1.0 and zeros.dtype == np.float32 and not zeros.any()
    assert scale(np.ones((2, 3), dtype=np.float32))[0].dtype == np.float32
    assert scale([[3, 4]])[1] == pytest.approx(np.sqrt(12.5), rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_good_matrix_is_passed_on_as_it_is(dtype):
    X = np.ones((2, 3), dtype=dtype)
    assert check_matrix(X) is X
    assert check_matrix(X.T).shape == (3, 2)
    swapped = check_matrix(X.astype(X.dtype.newbyteorder()))
    assert swapped.dtype == dtype and swapped.dtype.isnative and np.array_equal(swapped, X)
    assert check_matrix(np.ma.masked_array(X, mask=False)) is not None


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_integers_become_float64_and_it_is_said_once(dtype, caplog):
    validate._say_once.cache_clear()
    X = np.array([[0, 1]], dtype=dtype)
    with caplog.at_level(logging.WARNING):
        results = [check_matrix(X) for _ in range(3)]
    assert all(result.dtype == np.float64 and result.tolist() == [[0.0, 1.0]] for result in results)
    assert caplog.messages == [f"{np.dtype(dtype)} data are converted to float64"]


BAD = np.arange(12.0).reshape(4, 3)
BAD[1, 2], BAD[3, 0], BAD[3, 1] = -np.inf, np.nan, np.nan
NUMBERS = "float32 or float64 is needed"
MATRIX = "X must have 2 dimensions (data in rows, features in columns)"
WRONG = [
    (
        [[1.0, None]],
        DtypeError,
        f"X holds Python objects; {NUMBERS}",
        "X has dtype object and shape (1, 2)",
        "find the entries that are not numbers, then X.astype(np.float64)",
    ),
    (
        [["a", "b"]],
        DtypeError,
        f"X holds text; {NUMBERS}",
        "X has dtype <U1 and shape (1, 2)",
        "if every entry is a number: X.astype(np.float64)",
    ),
    (
        [[1j]],
        DtypeError,
        f"X holds complex numbers; {NUMBERS}",
        "X has dtype complex128 and shape (1, 1)",
        "choose a real part: X.real, or np.abs(X)",
    ),
    (
        np.ones((2, 2), np.float16),
        DtypeError,
        f"X holds floats of a size that is not supported; {NUMBERS}",
        "X has dtype float16 and shape (2, 2)",
        "X.astype(np.float64)",
    ),
    (
        np.zeros((1, 1), "M8[s]"),
        DtypeError,
        f"X holds no numbers; {NUMBERS}",
        "X has dtype datetime64[s] and shape (1, 1)",
        "make a float64 array of the columns of X that are numbers",
    ),
    (
        [1.0, 2.0],
        ShapeError,
        f"{MATRIX}, not 1",
        "X has shape (2,)",
        "X[None, :] if it is one datum, X[:, None] if it is one feature",
    ),
    (
        np.zeros((5, 8, 8)),
        ShapeError,
        f"{MATRIX}, not 3",
        "X has shape (5, 8, 8)",
        "flatten each datum: X.reshape(len(X), -1)",
    ),
    (
        3.0,
        ShapeError,
        f"{MATRIX}, not 0",
        "X has shape ()",
        "give a matrix, with a row for each datum and a column for each feature",
    ),
    (
        [[1.0], [2.0, 3.0]],
        ShapeError,
        "X is not a matrix",
        "its rows differ in length",
        "give rows of equal length, one for each datum",
    ),
    (
        np.zeros((0, 3)),
        DataError,
        "X is empty",
        "X has shape (0, 3)",
        "give at least one row and one column",
    ),
    (
        np.zeros((3, 0)),
        DataError,
        "X is empty",
        "X has shape (3, 0)",
        "give at least one row and one column",
    ),
    (
        BAD,
        DataError,
        "X has 3 entries not finite: 2 NaN, 1 infinite",
        "the first is -inf at row 1, column 2 (from 0); X has shape (4, 3)",
        "drop those rows, X[np.isfinite(X).all(axis=1)], or fill the entries in",
    ),
    (
        np.full((2, 2), np.float32(1e19)),
        DataError,
        "X has entries so large that the sum of their squares is beyond float32",
        "the largest is 1e+19, the limit 9.22337e+18; X has shape (2, 2)",
        "choose a larger unit: divide all of X by one number",
    ),
    (
        np.ma.masked_invalid(BAD),
        DataError,
        "X has masked entries",
        "3 of 12 entries, shape (4, 3)",
        "fill them, X.filled(value), or drop their rows, np.ma.compress_rows(X)",
    ),
]


@pytest.mark.parametrize(
    "X, kind, what, where, fix", WRONG, ids=[f"{row[2]} {row[3]}" for row in WRONG]
)
def test_a_wrong_matrix_is_described_in_three_lines(X, kind, what, where, fix):
    assert message_of(kind, check_matrix, X) == f"{what}\n  {where}\n  fix: {fix}"
    assert message_of(kind, check_matrix, X, name="Data").startswith(what.replace("X ", "Data "))
    assert (
        message_of(kind, centre, X)
        == message_of(kind, scale, X)
        == message_of(kind, check_matrix, X)
    )


def test_too_few_rows_are_counted():
    assert message_of(DataError, check_matrix, np.ones((1, 4)), min_rows=2) == (
        "X has too few rows: 1, at least 2 are needed\n  X has shape (1, 4)\n"
        "  fix: give more data; if the data stand in columns, transpose it"
    )
    assert check_matrix(np.ones((2, 4)), min_rows=2).shape == (2, 4)


@pytest.mark.parametrize(
    "X", [np.eye(3, 2), np.eye(2, dtype=np.float32), np.arange(6.0).reshape(3, 2).T]
)
def test_a_matrix_comes_back_from_its_file(X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    for path in (tmp_path / "X.npy", str(tmp_path / "X.npy")):
        loaded = load_matrix(path)
        assert loaded.dtype == X.dtype and np.array_equal(loaded, X)


def numpy_bytes(array):
    buffer = BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


WHOLE = numpy_bytes(np.ones((5, 4)))
SAVE = "write it with np.save(path, X), X a matrix of numbers"
FILES = [
    (None, FileError, "there is no such file", "", "check the path and the folder"),
    (b"", FileError, "the file is not in .npy format", ": it is empty", SAVE),
    (b"1.0,2.0\n", FileError, "the file is not in .npy format", ": it looks like text", SAVE),
    (
        b"PK\x03\x04....",
        FileError,
        "the file is not in .npy format",
        ": it looks like a .npz or zip archive",
        SAVE,
    ),
    (
        pickle.dumps([1]),
        FileError,
        "the file is not in .npy format",
        ": it looks like a pickle, which is never loaded",
        SAVE,
    ),
    (
        b"\x00\xff\x00\x01",
        FileError,
        "the file is not in .npy format",
        ": it starts with the bytes 00 ff 00 01",
        SAVE,
    ),
    (WHOLE[:7], FileError, "the .npy header cannot be read", ": damaged or cut short", SAVE),
    (WHOLE[:60], FileError, "the .npy header cannot be read", ": damaged or cut short", SAVE),
    (
        WHOLE[:6] + b"\x09\x00" + WHOLE[8:],
        FileError,
        "the .npy header cannot be read",
        ": damaged or cut short",
        SAVE,
    ),
    (
        WHOLE[:-1],
        FileError,
        "the file is cut short",
        ": 159 bytes of data, but shape (5, 4) of float64 needs 160",
        "save or copy it again",
    ),
    (
        numpy_bytes(np.array([[1, None]])),
        DtypeError,
        "the file holds pickled Python objects, which are never loaded",
        ": dtype object, shape (1, 2)",
        "save numbers: np.save(path, X.astype(np.float64))",
    ),
    (
        numpy_bytes(np.ones((2, 3, 4))),
        ShapeError,
        "the file must hold a matrix (2 dimensions), not 3",
        ": shape (2, 3, 4)",
        "flatten each datum before saving: X.reshape(len(X), -1)",
    ),
    (
        numpy_bytes(np.ones(3)),
        ShapeError,
        "the file must hold a matrix (2 dimensions), not 1",
        ": shape (3,)",
        "save a row for each datum and a column for each feature",
    ),
]


@pytest.mark.parametrize(
    "content, kind, what, where, fix", FILES, ids=[row[2] + row[3] for row in FILES]
)
def test_a_wrong_file_is_described_in_three_lines(content, kind, what, where, fix, tmp_path):
    path = tmp_path / "X.npy"
    if content is not None:
        path.write_bytes(content)
    assert (
        message_of(kind, load_matrix, path) == f"{what}\n  path {str(path)!r}{where}\n  fix: {fix}"
    )


def test_a_directory_and_a_forbidden_file_are_named(tmp_path, monkeypatch):
    assert message_of(FileError, load_matrix, tmp_path) == (
        f"this is a directory, not a file\n  path {str(tmp_path)!r}\n  fix: name a file in it, or "
        "a folder of pictures"
    )

    def forbidden(*arguments):
        raise PermissionError(13, "Permission denied")

    # as root no file is forbidden, so the refusal is played
    monkeypatch.setattr("builtins.open", forbidden)
    assert message_of(FileError, load_matrix, tmp_path / "X.npy") == (
        f"the file cannot be read\n  path {str(tmp_path / 'X.npy')!r}: Permission denied\n  fix: "
        "check its permissions"
    )


def test_what_is_in_the_file_is_checked_too(tmp_path):
    np.save(tmp_path / "scan.npy", BAD)
    assert message_of(DataError, load_matrix, tmp_path / "scan.npy").startswith(
        "scan.npy has 3 entries"
    )
    np.save(tmp_path / "empty.npy", np.zeros((0, 3)))
    assert message_of(DataError, load_matrix, tmp_path / "empty.npy").startswith(
        "empty.npy is empty\n"
    )


@pytest.mark.parametrize("shape", [(-3, 4), (3, -4), (-3, -4), (True, 4)])
def test_a_header_with_an_impossible_shape(tmp_path, shape):
    with open(tmp_path / "X.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": shape}
        )
        file.write(bytes(200))
    text = message_of(FileError, load_matrix, tmp_path / "X.npy")
    assert str(shape) in str(text)


@pytest.mark.parametrize("how", ["one", "column"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_scaling_is_learned_from_some_rows_and_undone_in_others(how, dtype):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((40, 4)) * [1e-3, 1, 50, 4] + [0, 3, 1000, -7]).astype(dtype)
    scaling = Scaling.learn(X[:30], how)
    scaled = scaling.apply(X)
    rounding = 3e-4 if dtype == np.float32 else 1e-12
    assert scaled.dtype == dtype and np.abs(scaled[:30].mean(axis=0)).max() < rounding
    squares = np.mean(scaled[:30].astype(np.float64) ** 2, axis=0)
    squares = squares if how == "column" else squares.mean()
    assert squares == pytest.approx(np.ones(np.shape(squares)), rel=rounding)
    assert np.allclose(scaling.undo(scaled), X, rtol=0, atol=rounding * np.abs(X).max())


def test_a_scaling_keeps_constant_columns_and_tiny_ones():
    X = np.array([[0.1, 1e-200, 5.0], [0.1, -1e-200, 7.0], [0.1, 3e-200, 9.0]])
    scaling = Scaling.learn(X, "column")
    assert scaling.factor[0] == 1.0 and np.abs(scaling.apply(X)[:, 0]).max() < 1e-16
    assert np.std(scaling.apply(X)[:, 1]) == pytest.approx(1.0)


def test_rows_that_do_not_fit_a_scaling_are_refused():
    X = np.arange(12.0).reshape(4, 3)
    scaling = Scaling.learn(X)
    text = message_of(ShapeError, scaling.apply, X[:, :2])
    assert "got shape (4, 2), expected (n, 3)" in text
    assert "unknown how 'columns'" in message_of(DataError, Scaling.learn, X, "columns")
