"""Data, continued: MNIST's files and what may be wrong with them, curved toys, both corruptions,
shipped results.
"""

from __future__ import annotations

import configparser
import dataclasses
import gzip
import hashlib
import http.client
import importlib
import json
import os
import struct
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import pytest
from helpers import message_of

from minigrad_ae import data, tensor
from minigrad_ae.cli import main
from minigrad_ae.data.mnist_files import PREFIX, download, mnist
from minigrad_ae.data.shipped_results import FOLDER as FOLDER_SHIPPED
from minigrad_ae.errors import DataError, DtypeError, FileError

# mg.data.mnist is the function
mnist_module = importlib.import_module("minigrad_ae.data.mnist_files")


# --- MNIST, in small ---
IMAGES = np.random.default_rng(0).integers(0, 256, (7, 28, 28), dtype=np.uint8)
LABELS = np.arange(7, dtype=np.uint8)


def idx(array):
    """The IDX form of an array of bytes."""
    return (
        bytes([0, 0, 8, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


def write(folder, split="train", images=IMAGES, labels=LABELS, packed=True):
    """Both files of a split; returns the path of the images."""
    folder.mkdir(exist_ok=True)
    paths = []
    for name, array in (
        (f"{PREFIX[split]}-images-idx3-ubyte", images),
        (f"{PREFIX[split]}-labels-idx1-ubyte", labels),
    ):
        content = array if isinstance(array, bytes) else idx(array)
        paths.append(folder / (name + (".gz" if packed else "")))
        paths[-1].write_bytes(gzip.compress(content) if packed else content)
    return paths[0]


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("split", ["train", "test"])
def test_mnist_is_read_from_idx_files(tmp_path, split, packed):
    write(tmp_path, split, packed=packed)
    X, y = mnist(tmp_path, split)
    assert (
        X.shape == (7, 784)
        and X.dtype == np.float64
        and np.array_equal(X * 255, IMAGES.reshape(7, -1))
    )
    assert y.dtype == np.int64 and y.tolist() == list(range(7))
    assert mnist(tmp_path, split, dtype=np.float32)[0].dtype == np.float32
    X[:] = 0  # a fresh copy, and writable
    assert mnist(tmp_path, split)[0].max() > 0


def test_where_mnist_is_looked_for(tmp_path, monkeypatch):
    places = {name: tmp_path / name for name in ("root", "environment", "cache")}
    for k, folder in enumerate(places.values()):
        write(folder, labels=LABELS + np.uint8(k))
    monkeypatch.setattr(mnist_module, "cache_folder", lambda which: places["cache"])
    monkeypatch.setenv("MINIGRAD_AE_DATA", str(places["environment"]))
    assert mnist(places["root"])[1][0] == 0
    assert mnist()[1][0] == 1
    monkeypatch.delenv("MINIGRAD_AE_DATA")
    assert mnist()[1][0] == 2


def test_the_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert mnist_module.cache_folder() == tmp_path / "minigrad_ae" / "mnist"


FAULTS = [
    (
        "unpacked half",
        lambda path: path.write_bytes(gzip.compress(idx(IMAGES)[:2000])),
        "but shape (7, 28, 28) needs 5,488",
    ),
    (
        "packed half",
        lambda path: path.write_bytes(path.read_bytes()[:2000]),
        "gzip cannot unpack it",
    ),
    ("no gzip", lambda path: path.write_bytes(idx(IMAGES)), "not packed by gzip"),
    ("empty", lambda path: path.write_bytes(gzip.compress(b"")), "it begins with nothing"),
    (
        "labels",
        lambda path: path.write_bytes(gzip.compress(idx(LABELS))),
        "images (7,), labels (7,)",
    ),
    (
        "floats",
        lambda path: path.write_bytes(gzip.compress(b"\0\0\x0d\x03" + bytes(12))),
        "float32, shape (0, 0, 0)",
    ),
    (
        "too long",
        lambda path: path.write_bytes(gzip.compress(idx(IMAGES) + b"x")),
        "5,489 or more bytes of data",
    ),
    (
        "other size",
        lambda path: path.write_bytes(gzip.compress(idx(IMAGES[:, :5]))),
        "images (7, 5, 28), labels (7,)",
    ),
    (
        "fewer",
        lambda path: path.write_bytes(gzip.compress(idx(IMAGES[:5]))),
        "images (5, 28, 28), labels (7,)",
    ),
    (
        "missing",
        lambda path: path.unlink(),
        "no train-images-idx3-ubyte or train-images-idx3-ubyte.gz in",
    ),
]


@pytest.mark.parametrize(("name", "spoil", "what"), FAULTS, ids=[name for name, _, _ in FAULTS])
def test_files_that_are_not_mnist(tmp_path, name, spoil, what):
    spoil(write(tmp_path))
    assert what in message_of(FileError, mnist, tmp_path)


def test_an_unknown_split_of_mnist():
    assert "the splits are 'train' and 'test'" in message_of(DataError, mnist, None, "valid")


FOLDERS = [
    Path(os.environ.get("MINIGRAD_AE_DATA", "mnist")),
    Path(__file__).parents[2] / "shared/data/mnist",
]
FOLDER = next(
    (folder for folder in FOLDERS if (folder / "train-images-idx3-ubyte.gz").is_file()), None
)


@pytest.mark.skipif(FOLDER is None, reason="MNIST is not here: set MINIGRAD_AE_DATA to its folder")
def test_the_real_mnist(tmp_path):
    """Its size, its mean ink (0.1307, as every tutorial has it), the first labels, and the sums
    that `download` expects.
    """
    X, y = mnist(FOLDER, "test", dtype=np.float32)
    assert X.shape == (10_000, 784) and (X.min(), X.max()) == (0, 1)
    assert y[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(y).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert download(FOLDER, mirror=(tmp_path / "absent").as_uri() + "/") == [
        FOLDER / name for name in mnist_module.SHA256
    ]


# --- fetching ---
@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A mirror of four small files, and their sums in place of the real ones."""
    folder = tmp_path / "mirror"
    for split in PREFIX:
        write(folder, split)
    sums = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
        for name in mnist_module.SHA256
    }
    known = dataclasses.replace(mnist_module.SETS["mnist"], sums=tuple(sums.values()))
    monkeypatch.setitem(mnist_module.SETS, "mnist", known)
    return folder


def test_data_mnist_fetches_checks_and_does_not_fetch_again(tmp_path, mirror, capsys):
    target = tmp_path / "deep" / "target"
    argv = ["data", "mnist", "--root", str(target), "--mirror", mirror.as_uri() + "/"]
    assert main(argv) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    assert mnist(target, "test")[1].tolist() == list(range(7))
    for path in mirror.iterdir():
        path.unlink()
    assert main(argv) == 0


def test_a_wrong_sum_is_refused_and_nothing_is_written(tmp_path, mirror):
    (mirror / "t10k-images-idx3-ubyte.gz").write_bytes(b"<html>Sign in to this network</html>")
    target = tmp_path / "target"
    text = message_of(FileError, download, target, mirror.as_uri() + "/")
    assert "not the file that was expected; nothing was written" in text and "36 bytes" in text
    assert sorted(path.name for path in target.iterdir()) == [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ]


def test_a_damaged_file_is_fetched_again(tmp_path, mirror):
    target = tmp_path / "target"
    download(target, mirror.as_uri() + "/")
    (target / "train-labels-idx1-ubyte.gz").write_bytes(b"half")
    download(target, mirror.as_uri() + "/")
    assert len(mnist(target)[1]) == 7


def test_without_a_connection(tmp_path, capsys):
    assert main(["data", "mnist", "--root", str(tmp_path), "--mirror", "http://127.0.0.1:9/"]) == 2
    err = capsys.readouterr().err
    assert (
        "MNIST cannot be downloaded" in err
        and "everything but MNIST runs offline" in err
        and len(err.splitlines()) == 3
    )
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert "the folder cannot be made" in message_of(
        FileError, download, tmp_path / "file" / "deep"
    )


# --- curved toys ---
def test_the_parabola_is_the_one_whose_residual_is_known():
    X, t = data.parabola()
    assert X.shape == (201, 2) and np.array_equal(X[:, 0], t) and np.array_equal(X[:, 1], t**2)
    residual = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)[1] ** 2 / 201
    assert residual == pytest.approx(0.0906688, abs=5e-8)


def test_the_helix_winds_around_a_cylinder():
    X, t = data.helix(50, turns=2.0)
    np.testing.assert_allclose(X[:, 0] ** 2 + X[:, 1] ** 2, 1.0, rtol=1e-14)
    assert (
        np.array_equal(X[:, 2], t)
        and np.allclose(X[0], [1, 0, -1])
        and np.allclose(X[-1], [1, 0, 1])
    )


def test_the_arch_is_a_saddle_surface():
    X, uv = data.arch(5)
    assert X.shape == (25, 3) and uv.shape == (25, 2)
    assert np.array_equal(X[:, 2], uv[:, 0] ** 2 - uv[:, 1] ** 2 / 2)


@pytest.mark.parametrize("make", [data.parabola, data.helix, data.arch])
def test_random_points_of_a_manifold(make):
    X, t = make(9, rng=np.random.default_rng(0))
    again, _ = make(9, rng=np.random.default_rng(0))
    assert np.array_equal(X, again) and np.abs(t).max() <= 1 and len(np.unique(t)) == t.size
    assert "at least two points" in message_of(DataError, make, 1)


# --- corruptions ---
def test_zeroing_keeps_the_rest_as_it_is():
    x = np.random.default_rng(0).standard_normal((400, 50)).astype(np.float32)
    y = data.zero_random_subset(x, 0.3, np.random.default_rng(1))
    kept = y != 0
    assert y.dtype == np.float32 and np.array_equal(y[kept], x[kept])
    share, se = 1 - kept.mean(), np.sqrt(0.3 * 0.7 / x.size)
    assert abs(share - 0.3) < 4 * se


@pytest.mark.parametrize("drop", [0.05, 0.4, 0.9])
def test_as_many_entries_are_zeroed_as_asked(drop):
    x = np.ones((1000, 1000))
    share = np.mean(data.zero_random_subset(x, drop, np.random.default_rng(3)) == 0)
    # 5 standard errors: .0025 at .4
    assert abs(share - drop) < 5 * np.sqrt(drop * (1 - drop) / x.size)


def test_zeroing_is_independent_for_every_entry():
    kept = data.zero_random_subset(np.ones((4000, 6)), 0.5, np.random.default_rng(2))
    C = np.cov(kept.T) * 4 - np.eye(6)
    assert np.abs(C).max() < 5 / np.sqrt(4000)


def test_gaussian_noise_has_the_stated_size():
    x = np.ones((400, 50), dtype=np.float32)
    e = data.additive_gaussian(x, 0.5, np.random.default_rng(1)) - x
    assert e.dtype == np.float32
    assert abs(e.mean()) < 4 * 0.5 / np.sqrt(x.size) and abs(e.std() - 0.5) < 4 * 0.5 / np.sqrt(
        2 * x.size
    )


@pytest.mark.parametrize("corrupt", [data.zero_random_subset, data.additive_gaussian])
def test_corruption_is_drawn_anew_and_leaves_its_input_alone(corrupt):
    x = np.ones((5, 4))
    rng = np.random.default_rng(0)
    first, second = corrupt(x, 0.5, rng), corrupt(x, 0.5, rng)
    assert not np.array_equal(first, second) and (x == 1).all()
    assert np.array_equal(corrupt(x, 0.5, np.random.default_rng(0)), first)
    assert np.array_equal(corrupt(x, 0.0, rng), x)
    assert np.array_equal(corrupt(tensor(x), 0.5, np.random.default_rng(0)).numpy(), first)


@pytest.mark.parametrize("drop", [-0.1, 1.0, 1.5, float("nan")])
def test_a_drop_outside_its_range(drop):
    assert "drop must lie in [0, 1)" in message_of(
        DataError, data.zero_random_subset, np.ones((2, 2)), drop, None
    )


@pytest.mark.parametrize("sigma", [-0.1, float("nan"), float("inf")])
def test_a_sigma_outside_its_range(sigma):
    assert "sigma must be >= 0 and finite" in message_of(
        DataError, data.additive_gaussian, np.ones((2, 2)), sigma, None
    )


def test_noise_is_not_added_to_whole_numbers():
    message = message_of(
        DtypeError, data.additive_gaussian, np.ones((2, 3), np.uint8), 0.5, np.random.default_rng(0)
    )
    assert (
        "x must be float32 or float64" in message
        and "got shape (2, 3), dtype uint8" in message
        and "x / 255" in message
    )


# --- shipped results ---
def test_a_shipped_file_that_does_not_exist():
    assert "no file 'none.npz' is shipped" in message_of(FileError, data.shipped, "none.npz")


def test_what_is_shipped_travels_in_the_wheel_and_says_its_command():
    setup = configparser.ConfigParser()
    setup.read(Path(__file__).parents[1] / "setup.cfg")
    patterns = [
        pattern.strip() for pattern in setup["options.package_data"]["minigrad_ae"].split(",")
    ]
    files = sorted(FOLDER_SHIPPED.glob("*.*"))
    assert files
    for path in files:
        assert any(fnmatch(f"data/shipped/{path.name}", pattern) for pattern in patterns)
        assert path.stat().st_size < 1_000_000
        if path.suffix == ".json":
            assert json.loads(path.read_text(encoding="utf-8"))["command"].startswith(
                ("python ", "minigrad-ae ")
            )


@pytest.mark.parametrize(
    "error", [http.client.IncompleteRead(b"half"), http.client.RemoteDisconnected("gone")]
)
def test_a_cut_connection(tmp_path, monkeypatch, error):
    def cut(*arguments, **options):
        raise error

    monkeypatch.setattr("urllib.request.urlopen", cut)
    message_of(FileError, download, tmp_path)
