"""What must not change when files move: names, help, files, error texts, bits, speed of Python, the
laws of the tests.

`freeze.py` writes what is compared here; a change that is meant is a change of its data, seen in
the same commit.
"""

from __future__ import annotations

import json

import freeze
import freeze_calls
import freeze_files
import freeze_runs
import freeze_surface
import numpy as np
import pytest

import minigrad_ae as mg


@pytest.mark.parametrize("part", ["names", "help", "schemas", "errors"])
def test_is_what_is_frozen(part, tmp_path):
    found = freeze.difference(part, freeze.read(part), freeze.PARTS[part](tmp_path))
    assert not found, found


def test_editors_know_the_public_functions():
    written = freeze_surface.STUB.read_text(encoding="utf-8")
    assert written == freeze_surface.stub(), "python tests/freeze.py stub"


def test_every_error_text_has_three_lines(tmp_path):
    for name, (kind, *lines) in freeze.read("errors").items():
        assert len(lines) == 3, name
        assert lines[1].startswith("  ") and (lines[2].startswith("  fix: ")), name
        assert kind.endswith("Error") or name.startswith("cli: "), name


def test_python_runs_no_more_of_our_functions_than_frozen():
    frozen, now = freeze.read("calls"), freeze_calls.calls()
    assert frozen.keys() == now.keys()
    counts = [(name, what) for name, count in frozen.items() for what in count]
    more = {
        f"{name}, {what}": (now[name][what], frozen[name][what])
        for name, what in counts
        if now[name][what] > frozen[name][what]
    }
    assert more == {}, "program, what: (now, frozen)"


def test_training_gives_the_same_bits():
    """On a machine of which none are frozen: python tests/freeze.py --against COMMIT."""
    machine = freeze_runs.machine()
    frozen = freeze.read("bits")
    if machine not in frozen:
        pytest.skip(f"no bits are frozen for {machine}; python tests/freeze.py bits writes them")
    now = dict(freeze_runs.runs())
    assert frozen[machine].keys() == now.keys()
    assert [name for name in now if now[name] != frozen[machine][name]] == [], (
        "these runs have other bits"
    )


def test_no_law_has_gone():
    """Every test function of before is there, in whatever file, with at least as many cases."""
    frozen = freeze.read("laws")
    assert len(frozen) > 500
    assert freeze.missing(frozen, freeze.laws()) == []


@pytest.mark.parametrize("name", freeze_files.MODELS)
def test_an_old_checkpoint_loads_and_training_goes_on(name):
    path = freeze.FROZEN / f"{name}.npz"
    known = freeze.read("losses")[name]
    found = mg.checkpoint.load(path)
    assert type(found.model).__name__ == known["class"]
    assert found.meta == {"name": name, "step": 1}
    with np.load(path, allow_pickle=False) as file:
        stored = {
            key.removeprefix("model/"): file[key] for key in file.files if key.startswith("model/")
        }
    state = found.model.state_dict()
    assert state.keys() == {freeze_files.name_of_today(key) for key in stored}
    for key, value in stored.items():
        today = state[freeze_files.name_of_today(key)]
        assert today.dtype == value.dtype
        assert np.array_equal(today, value), key
    adam = mg.optim.Adam(found.model.parameters(), lr=1.0)
    adam.load_state_dict(found.optimizer)
    noise, X = found.generators["noise"], freeze_files.rows(name)
    losses = [freeze_files.step(found.model, adam, noise, X) for _ in range(2)]
    single = found.model.parameters()[0].dtype == np.float32
    assert losses == pytest.approx(known["losses"], rel=2e-5 if single else 1e-11)


def test_an_old_trace_agrees_with_a_new_one(tmp_path):
    """The first numbers of both, up to rounding; and `inspect --diff` reads the old file."""
    old, new = freeze.FROZEN / "trace.json", tmp_path / "new.json"
    mg.trace(freeze_surface.small_loss()).json(new)
    said = freeze_surface.told(["inspect", str(old), "--diff", str(new)])
    steps = len(json.loads(old.read_text(encoding="utf-8"))["steps"])
    assert f"the traces agree in all {steps} steps" in said
