"""Random command lines, drawn from the parsers themselves, end as it is documented: with an exit
code that is, wrong use in three lines, never with a traceback, and in time.

CI runs 300 lines in one process and 3 processes, always the same; ``nox -s lines`` many more.
"""

from __future__ import annotations

import pytest
from command_lines import COMMANDS, faults, fill, run_there, swept, words_of
from helpers import wrong_use

LINES, PROCESSES = 300, 3


@pytest.fixture
def folder(tmp_path):
    inner = tmp_path / "in" / "here"  # some lines read the folder above
    inner.mkdir(parents=True)
    fill(inner)
    return inner


def test_lines_in_one_process(folder):
    codes, wrong, _ = swept(range(LINES), folder)
    assert not wrong, {k: (words_of(k), found) for k, found in wrong.items()}
    assert codes[0] > LINES / 10 and codes[2] > LINES / 10  # both kinds are drawn


def test_lines_as_processes(folder):
    for k in range(PROCESSES):
        words = words_of(k, light=True)
        ended = run_there(words, folder)
        assert not faults(ended), (words, ended)


def test_every_command_and_option_is_drawn():
    drawn = {word.partition("=")[0] for k in range(3000) for word in words_of(k)}
    options = {o for c in COMMANDS.values() for a in c._actions for o in a.option_strings}
    assert COMMANDS.keys() <= drawn
    assert {o for o in options if o.startswith("--")} <= drawn


def test_what_is_wrong_is_noticed(folder, monkeypatch):
    """An error that is not caught, one that is not told in three lines, an unknown exit code."""

    def broken(args, rest):
        raise ZeroDivisionError

    def untold(args, rest):
        raise SystemExit(2)

    for stand_in, fault in (
        (broken, "a traceback"),
        (untold, "not told in three lines"),
        (lambda args, rest: 3, "exit code 3"),
    ):
        monkeypatch.setattr("minigrad_ae.cli.doctor.doctor", stand_in)
        _, wrong, _ = swept(range(60), folder)
        assert any(fault in found for found in wrong.values())


def test_a_lesson_refuses_an_option_before_it_runs(monkeypatch, capsys):
    ran = []
    monkeypatch.setattr("minigrad_ae.cli.lesson._run", lambda *lesson: ran.append(lesson))
    said = wrong_use(capsys, "lesson", "all", "--seed", "x")
    assert said.startswith("minigrad-ae lesson all: argument --seed")
    assert not ran
