"""Runs in a folder: alone there, resumed exactly or refused, whole however they end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import kill
import numpy as np
import pytest
from helpers import linear, message_of, run, same_state, wrong_use

import minigrad_ae as mg
from minigrad_ae import checkpoint, files, locks, train
from minigrad_ae.cli import runs
from minigrad_ae.errors import DataError, FileError
from minigrad_ae.generators import KINDS
from minigrad_ae.models import LinearAutoencoder
from minigrad_ae.optim import SGD, Adam

X = np.random.default_rng(3).standard_normal((20, 5))
HOLDS = """
import sys, time
from pathlib import Path
from minigrad_ae import locks
with locks.alone_in(Path(sys.argv[1])):
    print("in", flush=True)
    time.sleep(60)
"""
WRITES = """
import sys, time
from minigrad_ae import files
def write(file):
    file.write(b"half")
    print("in", flush=True)
    time.sleep(60)
files.write_whole(sys.argv[1], write)
"""


@pytest.fixture
def other():
    """Starts another process that works in a folder; it is killed afterwards."""
    started = []

    def start(program, path):
        words = [sys.executable, "-c", program, str(path)]
        started.append(subprocess.Popen(words, stdout=subprocess.PIPE))
        assert started[-1].stdout.readline() == b"in\n"
        return started[-1]

    yield start
    for process in started:
        end(process)


def end(process):
    process.kill()
    process.wait()
    process.stdout.close()


def words(folder, *more):
    return ["train", "linear", "--latent", 2, "--epochs", 2, "--checkpoint", folder, *more]


# --- the folder ---


def test_a_second_run_in_a_folder_is_told_of_the_first(capsys, tmp_path, other):
    process = other(HOLDS, tmp_path)
    for more in ([], ["--resume"]):
        err = wrong_use(capsys, *words(tmp_path, *more))
        assert "another run is at work" in err and f"process {process.pid} on " in err
    end(process)  # and with it the lock
    assert run(capsys, *words(tmp_path))[0] == 0
    assert sorted(os.listdir(tmp_path)) == ["checkpoint.npz", "checkpoint.npz.prev"]


def test_verify_does_not_write_where_a_run_is_at_work(capsys, tmp_path, other):
    np.save(tmp_path / "X.npy", X)
    (tmp_path / "run").mkdir()
    other(HOLDS, tmp_path / "run")
    argv = ["verify", "--data", tmp_path / "X.npy", "--latent", 2, "--out", tmp_path / "run"]
    assert "another run is at work" in wrong_use(capsys, *argv)


def test_one_after_the_other_never_two_at_once(tmp_path):
    inside, most, done = [], [], []

    def work():
        for _ in range(40):
            try:
                with locks.alone_in(tmp_path):
                    inside.append(1)
                    most.append(len(inside))
                    inside.pop()
                    done.append(1)
            except FileError:
                time.sleep(0.0005)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(done) > 4 and os.listdir(tmp_path) == []


def test_the_folder_is_tested_before_training(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr("minigrad_ae.cli.train.fit", None)  # never called
    (tmp_path / "checkpoint.npz").mkdir()
    assert "is a folder" in wrong_use(capsys, *words(tmp_path, "--overwrite"))
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(runs.shutil, "disk_usage", lambda path: usage(10**9, 10**9, 100))
    err = wrong_use(capsys, *words(tmp_path / "new"))
    assert "there is no room for the checkpoint" in err and "100 bytes are free" in err
    assert "cannot be made" in wrong_use(capsys, *words(Path("/", "dev", "null", "x")))


@pytest.mark.parametrize("name", [".lock", "checkpoint.npz", "checkpoint.npz.prev"])
@pytest.mark.parametrize("kind", ["folder", "pipe", "link nowhere"])
def test_what_no_file_can_replace_is_found_before_training(
    capsys, tmp_path, monkeypatch, name, kind
):
    monkeypatch.setattr("minigrad_ae.cli.train.fit", None)  # never called
    place = tmp_path / name
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    elif name == "checkpoint.npz.prev":
        return  # a link is replaced there, never followed
    else:
        place.symlink_to(tmp_path / "none" / "x")
    err = wrong_use(capsys, *words(tmp_path, "--overwrite"))
    assert str(place) in err and "None" not in err
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("link", [True, False])
def test_a_file_of_another_program_is_not_taken_for_a_lock(capsys, tmp_path, link):
    """(A lock is emptied, signed, and removed at the end.)"""
    theirs, folder = tmp_path / "theirs", tmp_path / "run"
    folder.mkdir()
    lock = folder / locks.LOCK
    (theirs if link else lock).write_text("precious", encoding="utf-8")
    if link:
        lock.symlink_to(theirs)
    assert "something else has the name of the lock" in wrong_use(capsys, *words(folder))
    assert lock.read_text(encoding="utf-8") == "precious" and os.listdir(folder) == [locks.LOCK]


def test_a_lock_that_a_dead_run_left_is_in_nobodys_way(capsys, tmp_path):
    for said in ("", "process 1 on a machine, since then: train"):
        (tmp_path / locks.LOCK).write_text(said, encoding="utf-8")
        assert run(capsys, *words(tmp_path, "--overwrite"))[0] == 0
        assert locks.LOCK not in os.listdir(tmp_path)


def test_in_a_folder_made_anew_the_run_that_is_there_goes_on_alone(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    with locks.alone_in(folder) as again:
        shutil.rmtree(folder)
        with pytest.raises(FileNotFoundError):
            again()
        folder.mkdir()
        with locks.alone_in(folder):
            assert "another run is at work" in message_of(FileError, again)
        again()  # that one has ended
        assert "another run is at work" in message_of(FileError, locks.alone_in(folder).__enter__)
        shutil.rmtree(folder)
        folder.mkdir()
        other = locks.alone_in(folder)
        other.__enter__()
    # the end of the first does not end the lock of the second
    assert "another run is at work" in message_of(FileError, locks.alone_in(folder).__enter__)
    other.__exit__(None, None, None)
    assert os.listdir(folder) == []


def in_the_middle(monkeypatch, act):
    """`act()` in step 30 of 46."""
    calls, right = [], LinearAutoencoder.loss

    def loss(self, x, rng=None):
        calls.append(1)
        if len(calls) == 30:
            act()
        return right(self, x)

    monkeypatch.setattr(LinearAutoencoder, "loss", loss)


def test_a_run_does_not_write_over_one_that_began_in_its_folder(
    capsys, tmp_path, monkeypatch, other
):
    folder = tmp_path / "run"

    def begin_anew():
        shutil.rmtree(folder)
        folder.mkdir()
        other(HOLDS, folder)

    in_the_middle(monkeypatch, begin_anew)
    assert "another run is at work in this folder" in wrong_use(capsys, *words(folder))
    assert os.listdir(folder) == [locks.LOCK]


def test_a_folder_that_vanishes_in_the_middle(capsys, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    in_the_middle(monkeypatch, lambda: shutil.rmtree(folder))
    err = wrong_use(capsys, *words(folder))
    assert "cannot be written: No such file" in err and "there is no such folder" in err


# --- what the dead leave ---


def test_what_a_dead_process_left_is_removed_and_nothing_else(tmp_path, other):
    target = tmp_path / "a.npz"
    process = other(WRITES, target)
    own = tmp_path / ".a.npz.notes.part"  # not ours
    own.write_bytes(b"mine")
    (left,) = set(tmp_path.glob(".*.part")) - {own}
    checkpoint.save(target, linear())
    assert left.exists()  # it is at work
    end(process)
    assert left.exists()
    checkpoint.save(target, linear())
    assert sorted(os.listdir(tmp_path)) == [own.name, "a.npz", "a.npz.prev"]


@pytest.mark.parametrize("links", [True, False])
def test_threads_that_write_one_file_do_not_meet(tmp_path, links, monkeypatch):
    def refuse(*names):
        raise OSError(1, "no links here")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    failed = []

    def work(number):
        try:
            for _ in range(25):
                content = bytes([number]) * 2000
                files.write_whole(
                    tmp_path / "a", lambda file, c=content: file.write(c), keep_previous=True
                )
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed and sorted(os.listdir(tmp_path)) == ["a", "a.prev"]
    for name in ("a", "a.prev"):
        content = (tmp_path / name).read_bytes()
        assert len(content) == 2000 and len(set(content)) == 1


def test_equal_process_numbers_share_no_temporary_name(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 1)
    opened = [files.open_part(tmp_path / "a") for _ in range(20)]
    assert len({path for path, _ in opened}) == 20
    for _, file in opened:
        file.close()


# --- going on ---


def test_all_that_differs_is_listed_by_the_name_of_its_option(capsys, tmp_path):
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "Y.npy", X + np.eye(20, 5))
    np.save(tmp_path / "same.npy", X)
    kept = tmp_path / "run"
    run(capsys, *words(kept, "--data", tmp_path / "X.npy"))
    argv = ["train", "two-layer", "--data", tmp_path / "Y.npy", "--latent", 3, "--epochs", 2]
    argv += ["--checkpoint", kept, "--resume", "--seed", 3, "--dtype", "float32"]
    err = wrong_use(capsys, *argv)
    for part in (
        "--latent was 2, is 3",
        "MODEL was linear, is two-layer",
        "--seed was 0, is 3",
        "--dtype was float64, is float32",
        "--data has other rows (SHA-256 was",
    ):
        assert part in err
    # the same rows, in another file
    code, out, _ = run(capsys, *words(kept, "--data", tmp_path / "same.npy", "--resume"))
    assert code == 0 and "epochs left: 0" in out


@pytest.mark.parametrize("other", [SGD, mg.optim.AdamW])
def test_the_optimiser_of_another_run_is_named(capsys, tmp_path, other):
    run(capsys, *words(tmp_path))
    path = tmp_path / checkpoint.FILE
    found = checkpoint.load(path)
    optimizer = other(found.model.parameters(), lr=0.01)
    kept = {"generators": found.generators, "meta": found.meta, "scaling": found.scaling}
    checkpoint.save(path, found.model, optimizer=optimizer, **kept)
    err = wrong_use(capsys, *words(tmp_path, "--resume"))
    assert f"the optimiser was {other.__name__}, is Adam" in err
    optimizer = Adam(found.model.parameters(), lr=0.01, betas=(0.8, 0.9))
    checkpoint.save(path, found.model, optimizer=optimizer, **kept)
    err = wrong_use(capsys, *words(tmp_path, "--resume"))
    assert "betas of Adam was [0.8, 0.9], is [0.9, 0.999]" in err


@pytest.mark.parametrize(
    "change",
    [
        {"lr": "x"},
        {"lr": None},
        {"lr": ...},
        {"fall": "x"},
        {"fall": 0},
        {"scale": [1]},
        {"history": {"loss": 5}},
        {"history": {"loss": ["x"]}},
        {"history": {"steps": -1}},
        {"history": {"later": 1}},
        {"history": []},
    ],
)
def test_settings_and_history_from_elsewhere(capsys, tmp_path, change):
    run(capsys, *words(tmp_path))
    path = tmp_path / checkpoint.FILE
    found = checkpoint.load(path)
    meta = dict(found.meta)
    if "history" in change:
        meta["history"] = change["history"]
    else:
        meta["settings"] = {
            key: value for key, value in (meta["settings"] | change).items() if value is not ...
        }
    optimizer = Adam(found.model.parameters())
    checkpoint.save(path, found.model, optimizer=optimizer, generators=found.generators, meta=meta)
    assert "no training to continue" in wrong_use(capsys, *words(tmp_path, "--resume"))


@pytest.mark.parametrize("begun", [5, {}, {"steps": -1, "total": 0.0, "order": {}}])
def test_a_history_that_cannot_be_gone_on_with(begun):
    model = linear()
    history = train.History(begun=begun)
    given = {"optimizer": SGD(model.parameters(), 1e-3), "rng": np.random.default_rng(0)}
    message_of(DataError, train.fit, model, X, epochs=1, history=history, **given)


def test_a_history_of_a_longer_epoch_is_refused():
    model, begun = linear(), {"steps": 9, "total": 1.0, "order": {}}
    given = {"optimizer": SGD(model.parameters(), 1e-3), "rng": np.random.default_rng(0)}
    text = message_of(
        DataError, train.fit, model, X, epochs=1, history=train.History(begun=begun), **given
    )
    assert "from 0 to 1" in text


@pytest.mark.parametrize("kind", KINDS)
def test_training_goes_on_in_the_middle_of_an_epoch(tmp_path, kind):
    """After any step, for every kind of generator: the bits of one that was not stopped."""

    def begin():
        model, bits = linear(1), getattr(np.random, kind)
        return model, Adam(model.parameters(), 1e-2), np.random.Generator(bits(5))

    model, adam, rng = begin()
    given = {"epochs": 3, "batch_size": 6, "progress": False}
    whole = train.fit(model, X, optimizer=adam, rng=rng, **given)
    path = tmp_path / "a.npz"
    for stop in range(1, 12):
        part, optimizer, shuffle = begin()

        def keep(state, stop=stop, optimizer=optimizer, shuffle=shuffle):
            if state.step == stop:
                meta = {"history": state.history.as_dict()}
                kept = {"optimizer": optimizer, "generators": {"shuffle": shuffle}}
                checkpoint.save(path, state.model, meta=meta, **kept)
                return True

        train.fit(part, X, optimizer=optimizer, rng=shuffle, each_step=[keep], **given)
        found = checkpoint.load(path)
        resumed = Adam(found.model.parameters(), 1e-2)
        resumed.load_state_dict(found.optimizer)
        history = train.History(**found.meta["history"])
        train.fit(
            found.model,
            X,
            optimizer=resumed,
            rng=found.generators["shuffle"],
            history=history,
            **given,
        )
        assert same_state(found.model, model) and history == whole


def test_each_step_sees_the_mean_loss_so_far():
    seen = []
    model = linear()
    history = train.fit(
        model,
        X,
        optimizer=SGD(model.parameters(), 0.0),
        epochs=1,
        batch_size=6,
        rng=np.random.default_rng(0),
        each_step=[lambda state: seen.append((state.step, state.loss, state.stopping))],
        progress=False,
    )
    assert [step for step, _, _ in seen] == [1, 2, 3, 4] and seen[-1][1] == history.loss[0]
    assert not any(stopping for _, _, stopping in seen)


# --- ending ---


def sends(monkeypatch, number, at, times=1):
    """The signal comes in the middle of step number `at`, so many times."""
    calls = []
    right = LinearAutoencoder.loss

    def loss(self, x, rng=None):
        calls.append(1)
        if len(calls) == at:
            for _ in range(times):
                signal.raise_signal(number)
        return right(self, x)

    monkeypatch.setattr(LinearAutoencoder, "loss", loss)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    return lambda: signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_the_step_and_the_printed_command_goes_on(
    capsys, tmp_path, monkeypatch, number, code
):
    assert run(capsys, *words(tmp_path / "whole"))[0] == 0
    usual = signal.getsignal(signal.SIGTERM)
    restore = sends(monkeypatch, number, at=30)  # 23 steps an epoch
    got, _, err = run(capsys, *words(tmp_path / "run"))
    restore()
    assert got == code and "interrupted; step 30 is in" in err
    assert signal.getsignal(signal.SIGTERM) is usual
    line = err.splitlines()[-1].split()
    assert line[:3] == ["python", "-m", "minigrad_ae"] and line[-1] == "--resume"
    got, out, _ = run(capsys, *line[3:])
    assert got == 0 and "continuing after epoch 1, step 30" in out
    ends = [(tmp_path / name / checkpoint.FILE).read_bytes() for name in ("whole", "run")]
    assert ends[0] == ends[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_second_signal_stops_at_once(capsys, tmp_path, monkeypatch, number, code):
    """In the middle of a step: what was kept before stays."""
    restore = sends(monkeypatch, number, at=30, times=2)
    got, _, err = run(capsys, *words(tmp_path))
    restore()
    assert got == code and "interrupted; step 23 is in" in err
    assert checkpoint.load(tmp_path / checkpoint.FILE).meta["history"]["steps"] == 23


@pytest.mark.parametrize(
    ("every", "kept"), [("7", [7, 14, 21, 23, 28, 35, 42, 46]), ("0.000001s", range(1, 47))]
)
def test_it_is_kept_within_an_epoch(capsys, tmp_path, monkeypatch, every, kept):
    steps = []
    right = checkpoint.save

    def save(path, model, **more):
        steps.append(more["meta"]["history"]["steps"])
        return right(path, model, **more)

    monkeypatch.setattr(checkpoint, "save", save)
    assert run(capsys, *words(tmp_path, "--every", every))[0] == 0
    assert sorted(set(steps)) == list(kept)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "s", "infs", "nans", "-1s", "1 m", "²"])
def test_every_is_a_number_of_steps_or_seconds(capsys, tmp_path, text):
    assert "steps" in wrong_use(capsys, *words(tmp_path, f"--every={text}"))


def test_every_without_a_folder_is_refused(capsys):
    argv = ["train", "linear", "--latent", 2, "--every", 5]
    assert "--every without --checkpoint" in wrong_use(capsys, *argv)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the harness forks")
def test_runs_that_are_killed_end_with_the_bits_of_those_that_were_not():
    """``nox -s kill``, in short."""
    found = kill.run(kills=15, terms=5, lessons=0, seed=1, most=6)["all"]
    assert found["SIGKILL"] == 15 and found["SIGTERM"] == 5
    for fault in ("lost", "other bits", "left behind"):
        assert found[fault] == 0
