"""Checkpoints: they come back bit for bit, are written whole or not at all, and never run code."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from helpers import forged, linear, message_of, same_state
from zoo import MODELS, model_and_loss

from minigrad_ae import checkpoint, nn
from minigrad_ae import files as atomic
from minigrad_ae.data import Scaling
from minigrad_ae.errors import CheckpointError, DataError, DtypeError
from minigrad_ae.models import LinearAutoencoder, LinearVAE, VariationalAutoencoder
from minigrad_ae.optim import SGD, Adam

X = np.random.default_rng(3).standard_normal((20, 5))


def steps(model, optimizer, count):
    for _ in range(count):
        optimizer.zero_grad()
        model.loss(X).backward()
        optimizer.step()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("settings", [{}, {"tied": True, "l2": 0.5}, {"bias": False}])
def test_a_model_is_rebuilt_from_the_file_alone(tmp_path, dtype, settings):
    model = linear(7, dtype=dtype, **settings)
    path = checkpoint.save(tmp_path / "a.npz", model, meta={"note": "é", "loss": [0.1, 1e-300]})
    found = checkpoint.load(path)
    assert type(found.model) is LinearAutoencoder and same_state(found.model, model)
    assert found.model.loss(X).item() == model.loss(X).item()
    assert (
        found.meta == {"note": "é", "loss": [0.1, 1e-300]}
        and found.optimizer is None
        and found.generators == {}
    )


@pytest.mark.parametrize("name", MODELS)
def test_every_model_of_the_chapter_is_rebuilt(tmp_path, name):
    """Each keeps the arguments of its constructor under their own names."""
    model, _ = model_and_loss(name)
    found = checkpoint.load(checkpoint.save(tmp_path / "a.npz", model)).model
    assert type(found) is type(model) and same_state(found, model)
    assert checkpoint.settings_of(found) == checkpoint.settings_of(model) is not None


@pytest.mark.parametrize(
    "make", [lambda p: Adam(p, lr=0.01), lambda p: SGD(p, lr=0.01, momentum=0.9)]
)
def test_training_goes_on_bit_for_bit(tmp_path, make):
    model = linear()
    optimizer, noise = make(model.parameters()), np.random.default_rng(5)
    noise.random(3)
    steps(model, optimizer, 3)
    path = checkpoint.save(
        tmp_path / "a.npz", model, optimizer=optimizer, generators={"noise": noise}
    )
    steps(model, optimizer, 3)
    found = checkpoint.load(path)
    again = make(found.model.parameters())
    again.load_state_dict(found.optimizer)
    steps(found.model, again, 3)
    assert same_state(found.model, model)
    assert found.generators["noise"].random(9).tolist() == noise.random(9).tolist()


@pytest.mark.parametrize(
    "bits", [np.random.PCG64, np.random.Philox, np.random.SFC64, np.random.MT19937]
)
def test_every_generator_of_numpy_comes_back(tmp_path, bits):
    rng = np.random.Generator(bits(3))
    rng.standard_normal(7)
    rng.integers(0, 5, dtype=np.uint32)  # leaves half of a 64-bit number behind
    found = checkpoint.load(checkpoint.save(tmp_path / "a.npz", linear(), generators={"rng": rng}))
    again = found.generators["rng"]
    assert (
        again.integers(0, 2**32, 5, dtype=np.uint32).tolist()
        == rng.integers(0, 2**32, 5, dtype=np.uint32).tolist()
    )


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        checkpoint.save(tmp_path / name, linear())
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_module_of_ones_own_is_filled_but_not_rebuilt(tmp_path):
    def make(seed):
        return nn.Sequential(nn.Linear(3, 2, rng=np.random.default_rng(seed)), nn.Tanh())

    path = checkpoint.save(tmp_path / "a.npz", make(0))
    other = make(1)
    assert checkpoint.load(path, other).model is other and same_state(other, make(0))
    assert "load(path, model)" in message_of(CheckpointError, checkpoint.load, path)


def test_all_that_does_not_fit_is_listed_at_once(tmp_path):
    path = checkpoint.save(tmp_path / "a.npz", linear())
    other = LinearAutoencoder(6, 2, bias=False, rng=np.random.default_rng(1), dtype=np.float32)
    before = other.state_dict()
    text = message_of(CheckpointError, checkpoint.load, path, other)
    for part in (
        "unexpected 'encoder.bias' (2,)",
        "unexpected 'decoder.bias' (5,)",
        "wrong shape of 'encoder.weight': got (5, 2), expected (6, 2)",
        "wrong dtype of 'decoder.weight': got float64, expected float32",
    ):
        assert part in text
    assert all(np.array_equal(before[k], v) for k, v in other.state_dict().items())


@pytest.mark.parametrize("how", ["one", "column"])
def test_the_scaling_of_the_data_is_kept(tmp_path, how):
    scaling = Scaling.learn(1000 + X * [1, 10, 100, 1e3, 1e4], how)
    found = checkpoint.load(checkpoint.save(tmp_path / "a.npz", linear(), scaling=scaling))
    assert found.scaling is not None
    assert found.scaling.mean.tobytes() == scaling.mean.tobytes()
    assert found.scaling.factor.tobytes() == scaling.factor.tobytes()
    raw = scaling.undo(X)
    assert np.allclose(found.encode(raw), found.model.encode(X).numpy(), rtol=1e-9, atol=1e-9)
    expected = scaling.undo(found.model(X).numpy())
    assert np.allclose(found.reconstruct(raw), expected, rtol=1e-9)
    assert np.allclose(found.decode(found.encode(raw)), expected, rtol=1e-9)


@pytest.mark.parametrize("how", ["one", "column"])
@pytest.mark.parametrize(
    "settings", [{}, {"tied": True}, {"bias": False}, {"l2": 0.5}, {"dtype": np.float32}]
)
def test_a_loaded_model_takes_and_gives_rows_in_the_units_of_the_table(tmp_path, how, settings):
    scaling = Scaling.learn(1000 + X * [1, 10, 100, 1e3, 1e4], how)
    model = linear(**settings)
    single = model.encoder.weight.dtype == np.float32
    if model.bias:
        model.encoder.bias.data[:] = [0.3, -2.0]
        model.decoder.bias.data[:] = np.arange(5)
    checkpoint.save(tmp_path / "a.npz", model, scaling=scaling)
    loaded, raw = checkpoint.load_model(tmp_path / "a.npz"), scaling.undo(X)
    near = 1e-5 if single else 1e-9
    codes, outputs = model.encode(X).numpy(), scaling.undo(model(X).numpy().astype(float))
    assert np.allclose(loaded.encode(raw).numpy(), codes, rtol=near, atol=near)
    assert np.allclose(loaded(raw).numpy(), outputs, rtol=near)
    assert np.allclose(loaded.decode(codes).numpy(), outputs, rtol=near)


@pytest.mark.parametrize("name", ["vae", "linear-vae"])
def test_a_code_of_a_variational_model_is_the_mean(tmp_path, name):
    found = checkpoint.load(checkpoint.save(tmp_path / "a.npz", vae(name)))
    assert found.scaling is None
    assert np.array_equal(found.encode(X), found.model.encode(X)[0].numpy())
    assert np.array_equal(found.reconstruct(X), found.model(X).numpy())


def vae(name):
    if name == "linear-vae":
        return LinearVAE(5, 2, rng=np.random.default_rng(0))
    return VariationalAutoencoder(
        5, 2, hidden=(3,), likelihood="gaussian", rng=np.random.default_rng(0)
    )


def test_half_a_scaling_is_refused(tmp_path):
    path = checkpoint.save(tmp_path / "a.npz", linear(), scaling=Scaling.learn(X))
    forged(path, drop=["scaling/mean"])
    assert "the scaling of its data" in message_of(CheckpointError, checkpoint.load, path)


# --- files that are no checkpoints, or no longer ---
def archive(path, **arrays):
    with open(path, "wb") as file:
        np.savez(file, **arrays)


def damage(path, kind):
    """Make `path`, a checkpoint, something else."""
    content = path.read_bytes()
    if kind == "half":
        path.write_bytes(content[: len(content) // 2])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "one byte":
        path.write_bytes(b"P")
    elif kind == "pickle":
        path.write_bytes(pickle.dumps({"a": 1}))
    elif kind == "npy":
        with path.open("wb") as file:
            np.save(file, X)
    elif kind == "bit":
        middle = content.index(b"\x93NUMPY") + 200
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    elif kind == "objects":
        archive(path, a=np.array([{}], dtype=object))
    elif kind == "no meta":
        archive(path, a=X)
    elif kind == "no json":
        archive(path, __meta__=np.array("{"))
    elif kind == "no dict":
        archive(path, __meta__=np.array("[1]"))
    elif kind == "later":
        archive(path, __meta__=np.array('{"format": 3, "version": "9.9"}'))
    elif kind == "exchanged":
        with np.load(path) as old:
            arrays = {name: old[name] for name in old.files}
        archive(path, **(arrays | {"model/decoder.bias": np.full(5, 3.0)}))


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("half", "cut short or damaged"),
        ("empty", "not an .npz archive"),
        ("one byte", "not an .npz archive"),
        ("pickle", "not an .npz archive"),
        ("npy", "not an .npz archive"),
        ("bit", "cut short or damaged"),
        ("objects", "pickled Python objects, which are never loaded"),
        ("no meta", "an .npz without __meta__"),
        ("no json", "__meta__ cannot be understood"),
        ("no dict", "__meta__ cannot be understood"),
        ("later", "the checkpoint has format 3, this version reads 1 to 2"),
        ("exchanged", "the checkpoint is damaged"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, kind, what):
    path = checkpoint.save(tmp_path / "a.npz", linear())
    damage(path, kind)
    text = message_of(CheckpointError, checkpoint.load, path)
    assert what in text and str(path) in text


@pytest.mark.parametrize(
    ("parts", "what"),
    [
        ({"class": "diagnose"}, "a diagnose cannot be rebuilt from the file alone"),
        ({"class": "Nothing"}, "it is none of mg.models"),
        ({"config": None}, "it does not keep the arguments that made it"),
        (
            {"config": {"n_features": 5, "n_latent": 2, "later": 1}},
            "unexpected keyword argument 'later'",
        ),
        ({"config": {"n_features": 5, "n_latent": 9}}, "n_latent = 9 is not possible"),
        ({"config": {"n_features": 5, "n_latent": 3}}, "wrong shape of 'encoder.weight'"),
        ({"config": [1]}, "__meta__ cannot be understood"),
        ({"meta": ...}, "__meta__ cannot be understood"),
        ({"optimizer": {"class": "Adam"}}, "__meta__ cannot be understood"),
        (
            {"generators": {"noise": {"bit_generator": "seed"}}},
            "the state of a random generator cannot be understood",
        ),
        (
            {"generators": {"noise": {"bit_generator": "PCG64", "state": 3}}},
            "the state of a random generator",
        ),
    ],
)
def test_a_header_from_elsewhere_is_refused_in_three_lines(tmp_path, parts, what):
    path = forged(checkpoint.save(tmp_path / "a.npz", linear()), **parts)
    assert what in message_of(CheckpointError, checkpoint.load, path)


def test_no_file_and_no_folder(tmp_path):
    assert "there is no such checkpoint" in message_of(
        CheckpointError, checkpoint.load, tmp_path / "none.npz"
    )
    assert "cannot be read" in message_of(CheckpointError, checkpoint.load, tmp_path)
    text = message_of(CheckpointError, checkpoint.save, tmp_path / "none" / "a.npz", linear())
    assert "cannot be written: No such file or directory" in text


class Elsewhere:
    """A path that is none of text."""

    def __fspath__(self):
        return b"a.npz"


@pytest.mark.parametrize(
    "path", [5, None, [], b"a.npz", "a\0b", 1.5, True, np.array(3), Elsewhere()]
)
def test_what_is_no_path_is_refused_everywhere(tmp_path, path):
    for function in (checkpoint.load, checkpoint.described, checkpoint.load_model):
        assert "is loaded from a file" in message_of(DtypeError, function, path)
    assert "is saved in a file" in message_of(DtypeError, checkpoint.save, path, linear())
    message_of(DtypeError, checkpoint.older, path)


@pytest.mark.parametrize("length", [251, 300])
def test_a_name_that_no_folder_takes(tmp_path, length):
    """(255 is the most: the first is a name, but with .prev it is none.)"""
    path = tmp_path / ("x" * length)
    for function in (checkpoint.load, checkpoint.load_model, checkpoint.described):
        message_of(CheckpointError, function, path)
    assert "too long" in message_of(CheckpointError, checkpoint.save, path, linear())
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("wrong", [5, "x", [], X, LinearAutoencoder, Elsewhere()])
def test_arguments_of_another_type_are_refused_before_anything_is_written(tmp_path, wrong):
    path = checkpoint.save(tmp_path / "a.npz", linear())
    before = path.read_bytes()
    assert "model must be a Module" in message_of(DtypeError, checkpoint.load, path, wrong)
    assert "model must be a Module" in message_of(DtypeError, checkpoint.save, path, wrong)
    message_of(DtypeError, checkpoint.settings_of, wrong)
    message_of(DtypeError, checkpoint.digest, wrong)
    for name in ("optimizer", "meta", "generators", "scaling"):
        message_of(DtypeError, checkpoint.save, path, linear(), **{name: wrong})
    rng = np.random.default_rng(0)
    for generators in ({"noise": wrong}, {5: rng}, {"noise": np.random.RandomState(0)}):
        message_of(DtypeError, checkpoint.save, path, linear(), generators=generators)
    assert path.read_bytes() == before


def test_python_objects_have_no_digest():
    objects = {"w": np.array([{}])}
    assert "have no bytes" in message_of(DtypeError, checkpoint.digest, objects)


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "é" * 40_000], ids=["NUL", "surrogate", "long"])
def test_a_name_that_an_archive_would_change_is_refused(tmp_path, name):
    """(An archive ends a name at a NUL: what is saved so would not load.)"""
    model = linear()
    setattr(model, name, nn.Parameter([1.0]))
    text = message_of(DataError, checkpoint.save, tmp_path / "a.npz", model)
    assert "cannot hold the name of a parameter" in text and os.listdir(tmp_path) == []


def test_names_of_any_letters_come_back(tmp_path):
    def make(start):
        module = nn.Module()
        for k, name in enumerate(["a\nb", "a/b", "", "..", "a.npy", "é", "__meta__", "/"]):
            setattr(module, name, nn.Parameter([start + k]))
        return module

    path = checkpoint.save(tmp_path / "a.npz", make(1.0))
    assert same_state(checkpoint.load(path, make(0.0)).model, make(1.0))


def test_meta_that_is_too_deep(tmp_path):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    text = message_of(DataError, checkpoint.save, tmp_path / "a", linear(), meta={"a": deep})
    assert "meta does not go into JSON" in text


def test_meta_that_json_cannot_hold_leaves_the_old_file(tmp_path):
    path = checkpoint.save(tmp_path / "a.npz", linear())
    before = path.read_bytes()
    with pytest.raises(DataError, match="meta does not go into JSON"):
        checkpoint.save(path, linear(1), meta={"array": X})
    assert path.read_bytes() == before


# --- written whole or not at all ---
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = checkpoint.save(tmp_path / "a.npz", linear(0))
    before = path.read_bytes()

    def half(file, arrays):
        file.write(before[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(checkpoint.saving, "_write", half)
    text = message_of(CheckpointError, checkpoint.save, path, linear(1))
    assert "No space left on device" in text and "bytes are needed" in text and "untouched" in text
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.npz"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_disk_that_is_full_when_the_buffer_is_flushed(tmp_path, monkeypatch):
    """A real ENOSPC of the kernel: the temporary file leads to /dev/full."""
    path = checkpoint.save(tmp_path / "a.npz", linear(0))
    before = path.read_bytes()
    os.symlink("/dev/full", tmp_path / "full")
    full = tmp_path / "full"
    monkeypatch.setattr(atomic, "open_part", lambda target: (full, full.open("wb")))
    assert "No space left on device" in message_of(
        CheckpointError, checkpoint.save, path, linear(1)
    )
    assert path.read_bytes() == before


def test_the_new_file_takes_the_name_and_the_old_one_is_never_written_to(tmp_path):
    """Who has the old file open, or a second name for it, still sees all of it."""
    path = checkpoint.save(tmp_path / "a.npz", linear(0))
    os.link(path, tmp_path / "old.npz")
    checkpoint.save(path, linear(1))
    assert same_state(checkpoint.load(tmp_path / "old.npz").model, linear(0)) and same_state(
        checkpoint.load(path).model, linear(1)
    )


@pytest.mark.parametrize("written", [0, 100, 700])
def test_a_kill_in_the_middle_of_writing_leaves_the_old_file(tmp_path, written):
    path = checkpoint.save(tmp_path / "a.npz", linear(0))
    program = textwrap.dedent(f"""
        import io, os, signal
        import numpy as np
        from minigrad_ae import checkpoint
        from minigrad_ae.models import LinearAutoencoder
        right = checkpoint.saving._write
        def killed(file, arrays):
            whole = io.BytesIO()
            right(whole, arrays)
            file.write(whole.getvalue()[:{written}])
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        checkpoint.saving._write = killed
        checkpoint.save({str(path)!r}, LinearAutoencoder(5, 2, rng=np.random.default_rng(1)))
    """)
    assert subprocess.run([sys.executable, "-c", program]).returncode == -signal.SIGKILL
    assert same_state(checkpoint.load(path).model, linear(0))
    # what the dead left is in nobody's way
    assert same_state(checkpoint.load(checkpoint.save(path, linear(2))).model, linear(2))
