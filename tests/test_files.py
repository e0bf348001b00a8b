"""Files written whole or not at all: the one before is kept, and a link stays a link."""

import errno
import os

import pytest
from helpers import linear, message_of, same_state

from minigrad_ae import checkpoint
from minigrad_ae.errors import CheckpointError


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
