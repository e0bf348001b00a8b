"""What `verify --data --out` keeps, what `mg.load` makes of it, and the example beside it."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from helpers import message_of, run, wrong_use
from numpy.testing import assert_allclose

import minigrad_ae as mg
from minigrad_ae import analytic, checkpoint, files
from minigrad_ae.cli import kept
from minigrad_ae.data import Scaling
from minigrad_ae.errors import CheckpointError, MinigradError
from minigrad_ae.models.scaled import Scaled

ROOT = Path(__file__).parent.parent
RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 5)) * [3, 2, 1.5, 1, 0.5] @ RNG.standard_normal((5, 5)) + 1000
KEPT = {
    "checkpoint.npz",
    "codes.npy",
    "codes.csv",
    "codes.png",
    "components.npy",
    "components.csv",
    "certificate.json",
}


@pytest.fixture
def matrix(tmp_path):
    np.save(tmp_path / "X.npy", X)
    return tmp_path / "X.npy"


def verify(capsys, matrix, *more):
    return run(capsys, "verify", "--data", matrix, "--latent", 2, *more)


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file))


def test_everything_is_kept_and_agrees(capsys, matrix, tmp_path):
    out, names = tmp_path / "a" / "run", ["one", 'a "b", c'] * 20
    (tmp_path / "y.txt").write_text("\n".join(["kind", *names]) + "\n", encoding="utf-8")
    code, printed, _ = verify(capsys, matrix, "--out", out, "--labels", tmp_path / "y.txt")
    assert code == 0 and f"kept in {out}" in printed
    assert {path.name for path in out.iterdir()} == KEPT
    codes, rows = np.load(out / "codes.npy"), np.load(out / "components.npy")
    found = analytic.pca(X, 2)
    assert_allclose(np.abs(rows @ found.components[:, :2]), np.eye(2), atol=1e-7)
    assert_allclose(codes, (X - X.mean(axis=0)) @ rows.T, atol=1e-6)
    heads, *lines = rows_of(out / "codes.csv")
    assert heads == ["component 1", "component 2", "label"]
    assert np.array_equal(np.array([line[:2] for line in lines], float), codes)
    assert [line[2] for line in lines] == names
    heads, *lines = rows_of(out / "components.csv")
    assert heads[:3] == ["explained variance", "explained variance ratio", "column 0"]
    table = np.array(lines, float)
    assert np.array_equal(table[:, 2:], rows)
    assert_allclose(table[:, 0], found.eigenvalues[:2] / (len(X) - 1), rtol=1e-9)
    certificate = json.loads((out / "certificate.json").read_text(encoding="utf-8"))
    assert certificate["passed"] and certificate["n_latent"] == 2
    assert (out / "codes.png").read_bytes().startswith(b"\x89PNG")


def test_the_model_comes_back_for_the_table_as_it_was(capsys, matrix, tmp_path):
    verify(capsys, matrix, "--out", tmp_path / "run")
    for path in (tmp_path / "run", tmp_path / "run" / "checkpoint.npz"):
        model = mg.load(path)
        certificate = mg.certify_pca(model, X)
        assert certificate.passed, str(certificate)
        assert np.array_equal(model.components_, np.load(tmp_path / "run" / "components.npy"))
        assert np.array_equal(model.transform(X), np.load(tmp_path / "run" / "codes.npy"))
        assert_allclose(model(X).numpy(), model.inverse_transform(model.transform(X)), rtol=1e-12)


@pytest.mark.parametrize("how", ["one", "column"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_scaling_is_part_of_the_model(tmp_path, how, dtype):
    scaling = Scaling.learn(X, how)
    for name in ("linear", "deep"):
        model = mg.models.LinearAutoencoder(5, 2, rng=np.random.default_rng(0), dtype=dtype)
        if name == "deep":
            model = mg.models.DeepAutoencoder(5, 2, 4, rng=np.random.default_rng(0), dtype=dtype)
        for p in model.parameters():  # offsets, too
            p.data = p.data + RNG.standard_normal(p.shape).astype(dtype)
        checkpoint.save(tmp_path / "checkpoint.npz", model, scaling=scaling)
        found, scaled = mg.load(tmp_path), scaling.apply(X)
        assert isinstance(found, Scaled if name == "deep" else mg.models.LinearAutoencoder)
        tolerance = 1e-4 if dtype is np.float32 else 1e-10
        assert_allclose(found(X).numpy(), scaling.undo(model(scaled).numpy()), atol=tolerance)
        codes = model.encode(scaled).numpy()
        assert_allclose(found.encode(X).numpy(), codes, atol=tolerance)
        back = scaling.undo(model.decode(codes).numpy())
        assert_allclose(found.decode(codes).numpy(), back, atol=tolerance)
        assert not found.training


def test_a_folder_of_train_is_loaded(capsys, matrix, tmp_path):
    train = ["train", "linear", "--data", matrix, "--latent", 2, "--epochs", 2]
    assert run(capsys, *train, "--checkpoint", tmp_path / "run")[0] == 0
    found = checkpoint.load(tmp_path / "run" / "checkpoint.npz")
    assert_allclose(mg.load(tmp_path / "run")(X).numpy(), found.reconstruct(X), atol=1e-9)


def test_nothing_to_load(tmp_path):
    for path in (tmp_path, tmp_path / "absent.npz"):
        assert "there is no such checkpoint" in message_of(CheckpointError, mg.load, path)


# --- all or nothing -------------------------------------------------------------------------------


def test_a_second_run_replaces_the_first(capsys, matrix, tmp_path):
    verify(capsys, matrix, "--out", tmp_path / "run")
    before = np.load(tmp_path / "run" / "codes.npy")
    np.save(matrix, X[::-1])
    assert verify(capsys, matrix, "--out", tmp_path / "run")[0] == 0
    assert_allclose(np.load(tmp_path / "run" / "codes.npy"), before[::-1], atol=1e-6)
    assert {path.name for path in (tmp_path / "run").iterdir()} == KEPT


@pytest.mark.parametrize("there", [False, True])
def test_where_one_file_fails_none_is_written(tmp_path, there):
    folder = tmp_path / "run"
    if there:
        folder.mkdir()
        (folder / "a").write_bytes(b"old")

    def fail(file):
        file.write(b"half")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        files.write_folder(folder, {"a": lambda file: file.write(b"new"), "b": fail})
    assert folder.exists() == there
    if there:
        assert [(p.name, p.read_bytes()) for p in folder.iterdir()] == [("a", b"old")]


def test_what_cannot_be_kept_is_refused_before_the_work(capsys, matrix, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint.npz").write_bytes(b"of a training")
    (tmp_path / "y.txt").write_text("a\n" * 38, encoding="utf-8")
    for more, word in (
        (["--out", tmp_path / "file"], "--out is not a folder"),
        (["--out", tmp_path / "file" / "below"], "--out is not a folder"),
        (["--out", tmp_path / "run"], "a checkpoint of another run"),
        (["--out", tmp_path / "new", "--labels", tmp_path / "y.txt"], "38 labels"),
    ):
        assert word in wrong_use(capsys, "verify", "--data", matrix, "--latent", 2, *more)
    assert "--out without --data" in wrong_use(capsys, "verify", "--out", tmp_path / "new")
    assert "without --data" in wrong_use(capsys, "verify", "--labels", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_without_permission_is_refused_before_the_work(capsys, matrix, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    refused = wrong_use(
        capsys, "verify", "--data", matrix, "--latent", 2, "--out", matrix.parent / "run"
    )
    assert "--out cannot be written to" in refused


# --- labels from a file of their own --------------------------------------------------------------


def labels_in(path):
    """What `load_matrix` makes of a file of labels for three rows."""
    np.save(path.parent / "three.npy", np.arange(6.0).reshape(3, 2))
    return mg.data.load_matrix(path.parent / "three.npy", labels=str(path))[1].tolist()


@pytest.mark.parametrize(
    "content", [b"a\nb c\n7\n", b"a\nb c\n7", b"\xef\xbb\xbfa\r\nb c\r\n7\r\n\r\n"]
)
def test_labels_from_a_text(tmp_path, content):
    (tmp_path / "y.txt").write_bytes(content)
    assert labels_in(tmp_path / "y.txt") == ["a", "b c", "7"]


@pytest.mark.parametrize("vector", [[3, 1, 2], ["a", "b", "c"], [b"a", b"b", b"c"], [0.5, 1, 2]])
def test_labels_from_a_vector(tmp_path, vector):
    np.save(tmp_path / "y.npy", np.array(vector))
    expected = [v.decode() if isinstance(v, bytes) else v for v in vector]
    assert labels_in(tmp_path / "y.npy") == expected


@pytest.mark.parametrize("content", [b"a\nb\n", b"", b"\xff\x80\x80", b"\x93NUMPY"])
def test_labels_that_are_none(tmp_path, content):
    (tmp_path / "y").write_bytes(content)
    assert len(message_of(MinigradError, labels_in, tmp_path / "y").split("\n")) == 3


def test_labels_that_are_not_there_or_no_vector(tmp_path):
    assert "gone" in message_of(MinigradError, labels_in, tmp_path / "gone")
    np.save(tmp_path / "y.npy", np.ones((3, 2)))
    assert "1 dimension" in message_of(MinigradError, labels_in, tmp_path / "y.npy")
    np.save(tmp_path / "y.npy", np.array([None] * 3), allow_pickle=True)
    assert len(message_of(MinigradError, labels_in, tmp_path / "y.npy").split("\n")) == 3


# --- the picture ----------------------------------------------------------------------------------


def drawn(labels, M=2, n=60):
    codes = np.random.default_rng(1).standard_normal((n, M))
    return kept.picture(codes, np.full(M, 0.25), labels, "X.npy")


def test_each_label_has_a_look_of_its_own():
    labels = [f"kind {k % 50:02}" for k in range(100)]
    figure = drawn(labels, n=100)
    looks = {
        (tuple(dots.get_facecolor()[0]), dots.get_paths()[0].vertices.tobytes())
        for dots in figure.axes[0].collections
    }
    assert len(looks) == len(figure.axes[0].collections) == 50
    many = drawn([f"kind {k}" for k in range(60)]).axes[0].collections
    assert len(many) == 51  # the rarest kinds are there, in grey
    assert sum(len(dots.get_offsets()) for dots in many) == 60


def test_numbers_are_sorted_as_numbers_and_many_have_a_scale():
    words = [text.get_text() for text in drawn([10, 9, 2] * 20).legends[0].get_texts()]
    assert words == ["2", "9", "10"]
    figure = drawn(np.linspace(0, 1, 60))
    assert len(figure.axes) == 2 and not figure.legends


@pytest.mark.parametrize("M, words", [(1, "the first component holds 25.0%"), (3, "hold 50.0%")])
def test_the_title_says_what_the_numbers_show(M, words):
    assert words in drawn(None, M).axes[0].get_title()
