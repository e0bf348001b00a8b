"""Files that someone made to do harm, or that were damaged: three lines, and no memory taken."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import threading
import time
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import forged, linear, message_of, run, same_state, tied_autoencoder

import minigrad_ae as mg
from minigrad_ae import arguments, checkpoint
from minigrad_ae.data import fetching, mnist_files
from minigrad_ae.data.idx_files import read_idx
from minigrad_ae.errors import CheckpointError, DataError, FileError, MinigradError
from minigrad_ae.generators import KINDS, generator_in, state_of
from minigrad_ae.inspect.diagnose import diff
from minigrad_ae.optim import SGD, Adam, AdamW

STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
HUGE = 10**12


@pytest.fixture
def path(tmp_path):
    """A checkpoint with all that there can be in one."""
    model = linear()
    adam = Adam(model.parameters())
    model.loss(np.ones((3, 5))).backward()
    adam.step()
    draws = {"noise": np.random.default_rng(1)}
    return checkpoint.save(tmp_path / "a.npz", model, optimizer=adam, generators=draws)


def refused(path: Path) -> str:
    """What is said of it; no more than 30 MB are taken meanwhile."""
    tracemalloc.start()
    try:
        text = message_of(CheckpointError, checkpoint.load, path)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()
    return text


# --- archives ---


def with_member(
    path: Path, content: bytes, name: str = "model/x.npy", packed: int = STORED
) -> Path:
    """The archive with one more member."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, content, compress_type=packed)
    return path


def array_file(shape: tuple[int, ...], data: bytes = b"") -> bytes:
    """A .npy file that says it has this shape."""
    file = io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + data


def in_the_directory(path: Path, field: slice, value: bytes) -> Path:
    """The archive whose directory says something else of its last member."""
    raw = bytearray(path.read_bytes())
    entry = raw.rindex(b"PK\x01\x02")
    raw[entry + field.start : entry + field.stop] = value
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize(
    ("packed", "what"),
    [
        (zipfile.ZIP_BZIP2, "packed in a way that is not read: store it, or deflate it"),
        (zipfile.ZIP_LZMA, "packed in a way that is not read: store it, or deflate it"),
    ],
)
def test_only_stored_and_deflated_members_are_read(path, packed, what):
    assert what in refused(with_member(path, array_file((1,), bytes(8)), packed=packed))


def test_a_deflated_checkpoint_is_read(path):
    model = checkpoint.load(path).model
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    np.savez_compressed(path, **arrays)
    assert same_state(checkpoint.load(path).model, model)


def test_sizes_that_are_only_said_take_no_memory(path):
    assert "cut short" in refused(with_member(path, array_file((HUGE,))))


def test_a_member_that_says_it_holds_more_than_it_can(path):
    with_member(path, array_file((10**8,)), packed=DEFLATED)
    text = refused(in_the_directory(path, slice(24, 28), struct.pack("<I", 800_000_128)))
    assert "'model/x.npy' is said to hold 800 MB in" in text


def test_a_zip_bomb_is_refused_with_an_estimate(path, monkeypatch):
    monkeypatch.setattr(arguments, "available", lambda: 100_000_000)
    with_member(path, array_file((10_000_000,), bytes(80_000_000)), packed=DEFLATED)
    assert path.stat().st_size < 120_000
    assert "about 160 MB are needed, 100 MB are free" in refused(path)


def test_a_locked_archive(path):
    with_member(path, array_file((1,), bytes(8)))
    text = refused(in_the_directory(path, slice(8, 10), struct.pack("<H", 1)))
    assert "'model/x.npy' is locked with a password" in text


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_else_an_archive_may_hold(path):
    assert "two arrays have the same name" in refused(
        with_member(path, array_file((1,), bytes(8)), "__meta__.npy")
    )
    other = checkpoint.save(path.with_name("b.npz"), linear())
    assert "'notes.txt' is not an array" in refused(with_member(other, b"hello", "notes.txt"))
    os.mkfifo(path.with_name("pipe"))
    assert "it is not a file" in refused(path.with_name("pipe"))


@pytest.mark.parametrize("path", [5, None, [], b"a.npz", "a\0b"])
def test_what_is_no_path_is_refused(path):
    assert "loaded from a file" in message_of(MinigradError, checkpoint.load, path)


# --- headers ---


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, '{"a":' * 100_000, "NaN", "1", "", "null", "1" * 5000, '"\\ud800"'],
    ids=["deep list", "deep dict", "NaN", "number", "empty", "null", "digits", "surrogate"],
)
def test_json_of_any_kind(path, text):
    assert "__meta__ cannot be understood" in refused(forged(path, header=text))


OTHERS = [None, True, 5, "x", [], {}]


@pytest.mark.parametrize("key", ["format", "version", "class", "config", "meta", "generators"])
def test_parts_of_a_header_that_are_missing_or_of_another_type(path, key):
    right = type(checkpoint.described(path)[key])
    for value in [..., *OTHERS]:
        if type(value) is not right and not (key == "config" and value is None):
            refused(forged(path, **{key: value}))
            checkpoint.save(path, linear())


def test_the_sum_covers_header_history_and_generators(path):
    checkpoint.save(path, linear(), meta={"history": {"loss": [1.0]}}, generators={"a": rng()})
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    header = json.loads(str(arrays[checkpoint.META]))
    for change in (
        {"version": "0.0"},
        {"meta": {"history": {"loss": [2.0]}}},
        {"generators": {"a": state_of(rng(2))}},
    ):
        changed = arrays | {checkpoint.META: np.array(json.dumps(header | change))}
        with path.open("wb") as file:
            np.savez(file, **changed)
        assert "its SHA-256 is another one" in refused(path)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("name", ["LinearAutoencoder", "VariationalAutoencoder", "DeepAutoencoder"])
def test_sizes_in_the_settings_beyond_the_file(tmp_path, name):
    more = {"hidden": (3,)} if name.startswith("V") else {}
    model = getattr(mg.models, name)(5, 2, rng=rng(), **more)
    path = checkpoint.save(tmp_path / "a.npz", model)
    config = checkpoint.described(path)["config"]
    for size, value in [("n_features", HUGE), ("n_features", 10**6), ("n_latent", 10**6)]:
        assert "cannot be rebuilt" in refused(forged(path, config=config | {size: value}))
    if more:
        deep = config | {"hidden": [8] * 100_000}
        assert "is more than there are" in refused(forged(path, config=deep))


def test_every_setting_of_any_kind(path):
    config = checkpoint.described(path)["config"]
    monsters = [HUGE, -1, 0, 1e308, None, "x", [], [HUGE], {}, {"class": "LinearVAE"}, 10**30]
    for name in config:
        for value in monsters:
            forged(path, config=config | {name: value})
            try:
                checkpoint.load(path)
            except CheckpointError as error:
                assert str(error).count("\n") == 2


def test_checkpoints_of_format_1_are_read(tmp_path):
    """As version 0.1.0 wrote them, with the sum of the arrays in the JSON."""
    old = checkpoint.save(tmp_path / "a.npz", linear(), meta={"epoch": 3})
    with np.load(old) as archive:
        arrays = {name: archive[name] for name in archive.files if not name.startswith("__")}
        header = json.loads(str(archive[checkpoint.META]))
    header |= {"format": 1, "sha256": checkpoint.digest(arrays)}
    np.savez(old, **arrays, __meta__=np.array(json.dumps(header)))
    found = checkpoint.load(old)
    assert same_state(found.model, linear()) and found.meta == {"epoch": 3}
    arrays["model/encoder.weight"] = arrays["model/encoder.weight"] + 1
    np.savez(old, **arrays, __meta__=np.array(json.dumps(header)))
    assert "its SHA-256 is another one" in refused(old)


# --- generators and optimisers ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_generator_in_any_state_is_right_or_refused(kind):
    own = np.random.Generator(getattr(np.random, kind)(3))
    own.random(5)
    state = json.loads(json.dumps(state_of(own)))
    assert generator_in(state).random() == own.random()
    monsters = [10**40, -1, HUGE, 2**64, 625, None, "x", [], {}, 1.5, [[1]]]
    monsters += [{"array": [1], "dtype": "O"}, {"array": [-1] * 624, "dtype": "<u4"}]
    for parts in [(key,) for key in state] + [("state", key) for key in state["state"]]:
        for value in monsters:
            spoilt = json.loads(json.dumps(state))
            (spoilt if len(parts) == 1 else spoilt["state"])[parts[-1]] = value
            try:
                generator_in(spoilt).random(1000)
            except DataError as error:
                assert str(error).count("\n") == 2


def test_a_place_beyond_the_buffer_is_refused():
    """NumPy takes it, and reads memory that is not the generator's."""
    state = state_of(np.random.Generator(np.random.MT19937(0)))
    state["state"]["pos"] = 10**9
    assert "pos is 1000000000, not a whole number from 0 to 624" in message_of(
        DataError, generator_in, state
    )


@pytest.mark.parametrize(("saved", "other"), [(SGD, Adam), (Adam, AdamW), (AdamW, SGD)])
def test_the_state_of_one_optimiser_is_not_that_of_another(saved, other):
    p = mg.nn.Parameter([1.0])
    state = saved([p], lr=0.1).state_dict()
    text = message_of(DataError, other([p], lr=0.1).load_state_dict, state)
    assert f"it is the state of '{saved.__name__}', not of {other.__name__}" in text
    del state["class"]  # as older versions kept it
    other([p], lr=0.1).load_state_dict(state)


@pytest.mark.parametrize("kind", [Adam, mg.optim.LBFGS])
def test_numbers_of_an_optimiser_of_any_kind(kind):
    p = mg.nn.Parameter([1.0, 2.0])
    optimizer = kind([p])

    def closure():
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        return loss

    if kind is Adam:
        closure()
        optimizer.step()
    else:
        optimizer.step(closure)
    state = optimizer.state_dict()
    for key in [*state, "9.m"]:
        for value in [None, "x", [[1], [1, 2]], {}, [None], [[["x"]]], np.ones(7)]:
            message_of(DataError, optimizer.load_state_dict, state | {key: value})
    optimizer.load_state_dict(state)


def test_weights_that_are_not_finite(tmp_path, caplog):
    model = linear()
    path = checkpoint.save(tmp_path / "a.npz", model)
    model.encoder.weight.data[1, 0] = np.nan
    text = message_of(DataError, checkpoint.save, path, model)
    assert "1 in encoder.weight" in text
    assert same_state(checkpoint.load(path).model, linear())
    bad = np.where(np.eye(5, 2), np.inf, 0.5)
    forged(path, **{"model/encoder.weight": bad})
    assert np.isinf(checkpoint.load(path).model.encoder.weight.data).sum() == 2
    assert "not finite: 2 in encoder.weight" in caplog.text


def test_what_was_seen_of_the_data_is_whole_or_refused(tmp_path):
    model = linear()
    model.fit(np.random.default_rng(0).normal(size=(20, 5)))
    for name in ("n", "mean", "total", "factor"):
        path = checkpoint.save(tmp_path / "a.npz", model)
        assert "kept of the data" in refused(forged(path, drop=[f"seen/{name}"]))
        path = checkpoint.save(tmp_path / "a.npz", model)
        assert "kept of the data" in refused(forged(path, **{f"seen/{name}": np.full((4, 3), 1j)}))


# --- data sets ---


def serve(answer: bytes, again: bytes = b"", pause: float = 0.0) -> str:
    """The address of a server that answers one question so, and then without end with `again`,
    after a pause of so many seconds each time.
    """
    listening = socket.create_server(("127.0.0.1", 0))

    def work():
        with listening, listening.accept()[0] as client:
            client.recv(4096)
            try:
                client.sendall(answer)
                while again:
                    time.sleep(pause)
                    client.sendall(again)
            except OSError:
                pass

    threading.Thread(target=work, daemon=True).start()
    return f"http://127.0.0.1:{listening.getsockname()[1]}/"


OK = b"HTTP/1.1 200 OK\r\n"
ANSWERS: dict[str, tuple[bytes, bytes]] = {
    "endless": (OK + b"\r\n", bytes(1 << 20)),
    "endless chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\nffffffffff\r\n", bytes(1 << 20)),
    "endless header": (OK, b"A: b\r\n"),
    "endless line": (OK + b"A: ", b"b" * 9999),
    "bad status": (b"\xff\xfe\n\n\nno\r\n\r\n", b""),
    "no status": (b"", b""),
    "false length": (OK + b"Content-Length: 99999999999\r\n\r\nabc", b""),
    "negative length": (OK + b"Content-Length: -5\r\n\r\nabc", b""),
    "bad chunk": (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", b""),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_server_that_answers_anything(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(mnist_files, "LARGEST", 5_000_000)
    tracemalloc.start()
    message_of(FileError, mnist_files.download, tmp_path, serve(*ANSWERS[kind]))
    assert tracemalloc.get_traced_memory()[1] < 30e6 and not os.listdir(tmp_path)
    tracemalloc.stop()


def test_a_server_that_is_too_slow(tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "PATIENCE", 0.0)
    text = message_of(FileError, mnist_files.download, tmp_path, serve(OK + b"\r\nab", b"c"))
    assert "too slow" in text


NEVER = [b"HTTP/1.1 100 Continue\r\n\r\n", b"H"]


@pytest.mark.parametrize("again", NEVER)
def test_an_answer_that_never_begins(tmp_path, monkeypatch, again):
    """A server that says again and again that it goes on; one that sends a letter now and then."""
    monkeypatch.setattr(fetching, "BEGINNING", 0.5)
    pause = 0.02 if again == b"H" else 0.001
    url = serve(again, again, pause)
    text = message_of(FileError, mnist_files.download, tmp_path, url)
    assert "no answer within" in text and not os.listdir(tmp_path)


@pytest.mark.parametrize("again", NEVER)
def test_a_connection_that_is_made_when_the_time_is_over(tmp_path, monkeypatch, again):
    """It is closed at once: nobody would end what is read from it."""
    monkeypatch.setattr(fetching, "BEGINNING", 0.01)
    right, seen = socket.create_connection, []

    def slow(*args, **settings):
        time.sleep(0.2)
        seen.append(right(*args, **settings))
        return seen[-1]

    monkeypatch.setattr(socket, "create_connection", slow)
    url = serve(again, again, 0.01)
    text = message_of(FileError, mnist_files.download, tmp_path, url)
    assert "no answer within" in text and [each.fileno() for each in seen] == [-1]


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:99999/", "http://127.0.0.1:x/", "http:// a b/", "http://a\nb/", "x", "\0"],
)
def test_an_address_of_any_kind(tmp_path, url):
    message_of(FileError, mnist_files.download, tmp_path, url)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("shape", [(2**32 - 1,) * 3, (10**6, 10**6), (1,) * 255])
def test_an_idx_file_that_says_it_is_large(tmp_path, shape):
    header = bytes([0, 0, 8, len(shape)]) + struct.pack(f">{len(shape)}I", *shape)
    (tmp_path / "x").write_bytes(header + b"x")
    tracemalloc.start()
    message_of(FileError, read_idx, tmp_path / "x")
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


# --- traces ---


def places(value: Any, above: tuple[Any, ...] = ()) -> Any:
    """The place of every part of a record, of lists the first and the last."""
    keys = list(value) if isinstance(value, dict) else []
    if isinstance(value, list) and value:
        keys = sorted({0, len(value) - 1})
    for key in keys:
        yield (*above, key)
        yield from places(value[key], (*above, key))


def test_traces_with_any_field_missing_or_of_another_type(tmp_path):
    """One of the parts at a time, of a record of which two steps are left."""
    loss, _ = tied_autoencoder()
    record = json.loads(mg.trace(loss).json())
    record["steps"] = record["steps"][:2]
    left, right = tmp_path / "a.json", tmp_path / "b.json"
    left.write_text(json.dumps(record), encoding="utf-8")
    others = [..., None, "x", -1, 10**400, True, [], {}, [None], {"a": 1}]
    text, found = json.dumps(record), set()
    for number, place in enumerate(places(record)):
        for turn, value in enumerate(others):
            if (number + turn) % 10:  # a tenth of them
                continue
            spoilt = json.loads(text)
            part = spoilt
            for key in place[:-1]:
                part = part[key]
            if value is ...:
                del part[place[-1]]
            else:
                part[place[-1]] = value
            right.write_text(json.dumps(spoilt), encoding="utf-8")
            try:
                found.add(diff.compare_files(left, right)[1])
            except FileError as error:
                found.add("refused")
                assert str(error).count("\n") == 2
    assert found == {True, False, "refused"}


def test_a_trace_says_what_is_missing(capsys, tmp_path):
    loss, _ = tied_autoencoder()
    record = json.loads(mg.trace(loss).json())
    del record["steps"][1]["out"][0]["grad"]["shape"]
    (tmp_path / "a.json").write_text(json.dumps(record), encoding="utf-8")
    code, _, err = run(capsys, "inspect", tmp_path / "a.json", "--diff", tmp_path / "a.json")
    assert code == 2 and "steps[1].out[0].grad.shape is missing" in err


def test_a_long_trace_says_how_long_it_will_take(caplog, monkeypatch):
    monkeypatch.setattr(mg.inspect.tracing, "LONG", 0.0)
    x = mg.tensor(1.0, requires_grad=True)
    mg.trace(mg.tanh(mg.tanh(mg.tanh(x))))
    assert caplog.text.count("s are left") == 1 and "trace: 1 of 3 steps" in caplog.text
