"""Files written whole or not at all: the one before is kept, and a link stays a link."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import linear, message_of, same_state

from minigrad_ae import checkpoint, files, locks
from minigrad_ae.errors import CheckpointError, FileError


def test_the_older_file_stays_beside_the_new_one(tmp_path):
    path = checkpoint.save(tmp_path / "a.npz", linear(0))
    assert os.listdir(tmp_path) == ["a.npz"]
    for seed in (1, 2):
        checkpoint.save(path, linear(seed))
        assert same_state(checkpoint.load(path).model, linear(seed))
        assert same_state(checkpoint.load(tmp_path / "a.npz.prev").model, linear(seed - 1))
        assert sorted(os.listdir(tmp_path)) == ["a.npz", "a.npz.prev"]


def test_a_damaged_file_does_not_take_the_place_of_the_last_good_one(tmp_path):
    path = checkpoint.save(tmp_path / "a.npz", linear(0))
    checkpoint.save(path, linear(1))
    path.write_bytes(path.read_bytes()[:-200])
    assert f"the one before it is {path}.prev" in message_of(CheckpointError, checkpoint.load, path)
    checkpoint.save(path, linear(2))
    assert same_state(checkpoint.load(tmp_path / "a.npz.prev").model, linear(0))


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("stop", [1, 2])
def test_a_stop_between_the_two_names_leaves_a_good_file(tmp_path, monkeypatch, stop, links):
    """A kill before either of the two renames; nothing that runs afterwards is needed to make it
    good.
    """
    path = checkpoint.save(tmp_path / "a.npz", linear(0))
    calls = []
    right = os.replace

    class Killed(BaseException):
        pass

    def replace(*names):
        calls.append(names)
        if len(calls) == stop:
            raise Killed
        right(*names)

    def refuse(*names):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "replace", replace)
    if not links:
        monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(Killed):
        checkpoint.save(path, linear(1))
    assert same_state(checkpoint.load(path).model, linear(0))


def test_a_link_is_followed(tmp_path):
    real = checkpoint.save(tmp_path / "real.npz", linear(0))
    link = tmp_path / "link.npz"
    link.symlink_to(real)
    checkpoint.save(link, linear(1))
    assert link.is_symlink() and same_state(checkpoint.load(real).model, linear(1))
    assert same_state(checkpoint.load(tmp_path / "real.npz.prev").model, linear(0))


# --- without fcntl --------------------------------------------------------------------------------

OPEN = Path("/", "proc", "self", "fd")  # Linux's own list


@pytest.fixture
def windows(monkeypatch):
    """Locks of bytes; and nothing that is open can be removed or renamed."""
    fcntl = pytest.importorskip("fcntl")

    def locking(number, mode, size):
        assert mode == 2 and size == 1 and os.lseek(number, 0, os.SEEK_CUR) == locks.BEYOND
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PermissionError(errno.EACCES, "locked") from None

    def not_open(function):
        def checked(path, *others, **named):
            kept = {os.path.realpath(OPEN / n) for n in os.listdir(OPEN)}
            if os.path.realpath(path) in kept:
                raise PermissionError(errno.EACCES, "open", str(path))
            return function(path, *others, **named)

        return checked

    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(locks, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=locking))
    for name in ("unlink", "replace", "rename"):
        monkeypatch.setattr(os, name, not_open(getattr(os, name)))


no_list_of_open_files = pytest.mark.skipif(
    not OPEN.is_dir(), reason="open files are not listed here"
)


@no_list_of_open_files
@pytest.mark.usefixtures("windows")
def test_locks_of_bytes_keep_a_second_run_out(tmp_path):
    for _ in range(2):  # and the first leaves nothing that keeps the next one out
        with locks.alone_in(tmp_path):
            text = message_of(FileError, locks.alone_in(tmp_path).__enter__)
            assert "another run is at work" in text and f"process {os.getpid()} on " in text
        assert os.listdir(tmp_path) == []


@no_list_of_open_files
@pytest.mark.usefixtures("windows")
def test_with_locks_of_bytes_files_are_whole_and_those_of_the_dead_go(tmp_path):
    dead = tmp_path / ".a.npz.0123abcd.part"
    dead.write_bytes(b"half")
    with open(tmp_path / ".a.npz.89abcdef.part", "wb") as at_work:
        assert locks.lock(at_work)
        path = checkpoint.save(tmp_path / "a.npz", linear(0))
        checkpoint.save(path, linear(1))
        assert not dead.exists()
        kept = [".a.npz.89abcdef.part", "a.npz", "a.npz.prev"]
        assert sorted(os.listdir(tmp_path)) == kept
    assert same_state(checkpoint.load(path).model, linear(1))

    def breaks(file):
        file.write(b"half")
        raise RuntimeError("here")

    with pytest.raises(RuntimeError, match="here"):
        files.write_whole(tmp_path / "b", breaks)
    assert not list(tmp_path.glob(".b.*"))
