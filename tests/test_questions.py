"""The questions of the lessons: sealed answers, and what the reader said to them."""

import ast
import io
import json
import os
import re
import subprocess
import sys

import pytest

from minigrad_ae.errors import DataError
from minigrad_ae.teaching import questions
from minigrad_ae.teaching.glossary import WORDS
from minigrad_ae.teaching.lesson import lesson_files, lessons_folder

LESSONS = lesson_files()
ENTRIES = {
    "one": {"question": "What is ½ of 4?", "answer": "It is {half:.1f}: half of 4."},
    "two": {"question": "And of 6?", "answer": "Three."},
}


def calls(path, method):
    """The constant arguments of each call ``lesson.method(...)`` in a script."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == f"lesson.{method}":
            found += [a.value for a in node.args if isinstance(a, ast.Constant)]
    return found


def plainly(text):
    """Words alone, so that line breaks and comment signs hide nothing."""
    return " ".join(re.findall(r"\w+", text.lower()))


def told(answer, source):
    """The sentences of an answer, of five words or more, that a text holds."""
    sentences = [plainly(s) for s in re.split(r"(?<=[.:;!?])\s", answer)]
    return [s for s in sentences if len(s.split()) >= 5 and s in plainly(source)]


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_no_answer_can_be_read_in_a_lesson_or_its_sealed_file(path):
    file = lessons_folder() / "sealed" / f"{path.stem}.json"
    for entry in questions.read(file).values():
        for text in (path.read_text(encoding="utf-8"), file.read_text(encoding="utf-8")):
            assert told(entry["answer"], text) == []


def test_an_answer_that_can_be_read_is_found():
    answer = "No: they span the same subspace, but mixed."
    assert told(answer, "# Look: they span the\n# same subspace, but\n# mixed.")
    assert not told(answer, "what do the columns span?")


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_every_question_is_asked_once_and_has_an_answer(path):
    entries = questions.read(lessons_folder() / "sealed" / f"{path.stem}.json")
    asked = calls(path, "predict")
    assert sorted(asked) == sorted(entries)
    assert all(e["question"].strip() and e["answer"].strip() for e in entries.values())


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_every_word_is_explained(path):
    assert set(calls(path, "words")) <= set(WORDS)


def test_seal_and_open_are_inverse(tmp_path, capsys, monkeypatch):
    path = tmp_path / "q.json"
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(ENTRIES)))
    assert questions.main(["seal", str(path)]) == 0
    written = path.read_text(encoding="utf-8")
    assert "half of 4" not in written
    assert "What is ½ of 4?" in written
    assert questions.main(["open", str(path)]) == 0
    assert json.loads(capsys.readouterr().out) == ENTRIES == questions.read(path)
    assert questions.main(["open"]) == 2
    assert "seal" in capsys.readouterr().err


def test_what_the_reader_said_stands_beside_the_answer(tmp_path, capsys):
    questions.write(tmp_path / "q.json", ENTRIES)
    asked = questions.Questions(tmp_path / "q.json", ask=False)
    asked.predict("one", "about two")
    asked.predict("two", "")
    asked.reveal({"half": 2.0})
    printed = capsys.readouterr().out
    assert printed.count("about two") == 2
    assert printed.index("you said: about two") < printed.index("It is 2.0: half of 4.")
    assert printed.count("you said") == 1
    asked.predict("one", "two")  # a cell that runs once more
    asked.reveal({})
    assert "It is 2.0" in capsys.readouterr().out


def test_one_question_can_be_answered_before_the_others(tmp_path, capsys):
    questions.write(tmp_path / "q.json", ENTRIES)
    asked = questions.Questions(tmp_path / "q.json", ask=False)
    asked.predict("one", "about two")
    asked.predict("two", "three, perhaps")
    asked.reveal({"half": 2.0}, "one")
    first = capsys.readouterr().out
    assert "It is 2.0" in first
    assert "you said: three" not in first
    asked.reveal({})
    rest = capsys.readouterr().out
    assert "you said: three, perhaps" in rest
    assert "It is 2.0" not in rest


def test_an_unknown_question_is_refused(tmp_path):
    questions.write(tmp_path / "q.json", ENTRIES)
    with pytest.raises(DataError, match="'three'") as caught:
        questions.Questions(tmp_path / "q.json", ask=False).predict("three", "")
    assert "one, two" in str(caught.value)


QUIZ = """
from minigrad_ae.teaching.lesson import Lesson
lesson = Lesson("02_linear_autoencoder", "1 s")
lesson.predict("minima")
lesson.predict("components")
lesson.questions.reveal({"spread": 0.0, "alone": 0.0})
"""


def test_quiz_asks_in_a_terminal(tmp_path):
    pty = pytest.importorskip("pty")
    script = tmp_path / "quiz.py"
    script.write_text(QUIZ, encoding="utf-8")
    ours, theirs = pty.openpty()
    os.write(ours, b"saddles, I think\n\x04")  # and the second time the end of input
    done = subprocess.run(
        [sys.executable, str(script), "--quiz"],
        stdin=theirs,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    os.close(theirs)
    os.close(ours)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("your answer:") == 2
    assert "noted: saddles, I think" in done.stdout
    assert "you said: saddles, I think" in done.stdout
    assert done.stdout.count("you said") == 1


def test_quiz_without_a_terminal_asks_nothing(tmp_path):
    script = tmp_path / "quiz.py"
    script.write_text(QUIZ, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), "--quiz"],
        input="piped\n",
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "your answer" not in done.stdout
    assert "piped" not in done.stdout


def test_every_word_of_the_glossary_is_used_by_a_lesson():
    assert set(WORDS) == {word for path in LESSONS for word in calls(path, "words")}
