"""The exercises: a blank fails, the solution passes, each typical wrong answer has its own hint,
however it is spelled; and the judge's process survives whatever a learner writes.

`wrong_answers/` holds the second spellings: functions with the names of a judge's MISTAKES.
"""

import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from helpers import run, wrong_use

from minigrad_ae.teaching import exercises
from minigrad_ae.teaching.judge import CHARACTERS, fault, load, outcome, verdict
from minigrad_ae.teaching.lesson import lesson_files

BLANKS = exercises.blanks()
SPELLINGS = Path(__file__).parent / "wrong_answers"
every_exercise = pytest.mark.parametrize("blank", BLANKS, ids=[path.stem for path in BLANKS])


def solved(blank):
    return blank.parent.parent / "solutions" / blank.name


def told(mistake):
    return " ".join(mistake.__doc__.split())


# --- each exercise --------------------------------------------------------------------------------


@every_exercise
def test_a_blank_fails_with_its_own_message(blank):
    """It says what is to be written, or names the mistake that was planted in it."""
    exercise = load(exercises.judge_of(blank), "judge")
    found = verdict(blank, exercises.judge_of(blank))
    own = re.findall(r"raise NotImplementedError\(\s*\"(.*)\"", blank.read_text(encoding="utf-8"))
    messages = [f"not written yet: {text}" for text in own]
    assert not found.passed
    assert found.said in (messages or [told(mistake) for mistake in exercise.MISTAKES])


@every_exercise
def test_the_solution_passes(blank):
    assert verdict(solved(blank), exercises.judge_of(blank)) == (True, "", None, "")


@every_exercise
def test_each_wrong_answer_gets_its_own_hint(blank):
    exercise = load(exercises.judge_of(blank), "judge")
    assert len(exercise.MISTAKES) >= 3
    assert len({told(mistake) for mistake in exercise.MISTAKES}) == len(exercise.MISTAKES)
    for mistake in exercise.MISTAKES:
        assert fault(mistake, exercise) == told(mistake), mistake.__name__


@every_exercise
def test_another_spelling_of_a_wrong_answer_gets_the_same_hint(blank):
    exercise = load(exercises.judge_of(blank), "judge")
    spelled = load(SPELLINGS / blank.name, "spelled")
    mistakes = {mistake.__name__: mistake for mistake in exercise.MISTAKES}
    names = [name for name in mistakes if hasattr(spelled, name)]
    assert names
    for name in names:
        assert fault(getattr(spelled, name), exercise) == told(mistakes[name]), name


@every_exercise
def test_another_right_answer_passes(blank):
    spelled = load(SPELLINGS / blank.name, "spelled")
    exercise = load(exercises.judge_of(blank), "judge")
    assert fault(spelled.right, exercise) is None


@every_exercise
def test_wrong_answers_are_wrong_by_more_than_rounding(blank):
    """What the judge's tolerance stands on."""
    exercise = load(exercises.judge_of(blank), "judge")
    cases = list(exercise.cases(np.random.default_rng(0)))
    for mistake in exercise.MISTAKES:
        assert any(far(mistake, exercise, case) for case in cases), mistake.__name__


def far(mistake, exercise, case):
    got, right = (outcome(answer, exercise, case) for answer in (mistake, exercise.right))
    if not isinstance(got, dict) or got.keys() != right.keys():
        return True
    pairs = [(got[name], right[name]) for name in right]
    return any(a.shape != b.shape or not np.all(np.abs(1.0 * a - b) <= 1e-3) for a, b in pairs)


@every_exercise
def test_an_exercise_has_a_title_hints_and_no_solution_in_it(blank):
    exercise = load(exercises.judge_of(blank), "judge")
    assert 20 < len(exercises.title(blank)) <= 75
    assert re.search(r"\(lessons? \d+", exercises.title(blank))
    assert len(exercise.HINTS) >= 2
    kind = "class" if exercise.FUNCTION.istitle() else "def"
    assert f"\n{kind} {exercise.FUNCTION}" in blank.read_text(encoding="utf-8")
    assert verdict(blank, exercises.judge_of(blank)).said not in exercise.HINTS


def test_every_exercise_has_a_judge_and_a_solution_and_spellings():
    names = [blank.name for blank in BLANKS]
    folders = BLANKS[0].parent / "judges", BLANKS[0].parent.parent / "solutions", SPELLINGS
    for folder in folders:
        assert sorted(path.name for path in folder.glob("*.py")) == names
    assert [int(name[:2]) for name in names] == list(range(1, len(names) + 1))


@every_exercise
def test_the_lessons_of_its_title_point_to_an_exercise(blank):
    named = re.findall(r"\d+", exercises.title(blank).rpartition("(lesson")[2])
    number, folder = int(blank.stem[:2]), blank.parent.parent
    for lesson in named:
        (path,) = folder.glob(f"{int(lesson):02}_*.py")
        text = path.read_text(encoding="utf-8").partition("# ## Exercises")[2]
        assert f"`minigrad-ae exercise start {number}`" in text, path.name


def test_lessons_point_to_exercises_that_exist_and_the_coverage_names_all():
    folder = BLANKS[0].parent.parent
    numbers = set(range(1, len(BLANKS) + 1))
    for path in lesson_files():
        text = path.read_text(encoding="utf-8").partition("# ## Exercises")[2]
        pointed = [int(number) for number in re.findall(r"exercise start (\d+)", text)]
        assert pointed and set(pointed) <= numbers, path.name
    page = (folder / "COVERAGE.md").read_text(encoding="utf-8").partition("learner's hands")[2]
    broken = {int(n) for n in re.findall(r"(?:^|[\s:,])(\d+)\\\*", page.partition("- ")[2])}
    named = {int(n) for n in re.findall(r"\b(\d+)\b", page.partition("- ")[2])}
    assert named == numbers
    starts = {
        n for n, b in enumerate(BLANKS, 1) if "NotImplementedError" not in b.read_text("utf-8")
    }
    assert broken == starts and len(broken) >= 12
    said = (folder / "exercises" / "README.md").read_text(encoding="utf-8")
    assert f"({len(broken)} of {len(BLANKS)})" in said


# --- what a learner may write ---------------------------------------------------------------------


ANSWERS = {
    "def tanh_rule(g, y):\n    while True:\n        g = g + 1\n": "did not end within 1 s",
    "def tanh_rule(g, y):\n    return g * (1 - y\n": "line 2: not Python: '(' was never closed",
    "def tanh_rule(g, y):\n    return g * (1 - z * z)\n": "line 2: NameError: name 'z' is not",
    "import sys\ndef tanh_rule(g, y):\n    sys.exit(0)\n": "line 3: it ends the program",
    "def tanh_rule(g, y):\n    while True:\n        print(y)\n": "line 3: it prints without end",
    "import os\ndef tanh_rule(g, y):\n    os._exit(0)\n": "it ended Python itself",
    "def tanh_rule(g, y):\n    g * (1 - y * y)\n": "your function returned None",
    "def tanh_rule(g, y):\n    return 'g'\n": "your function returned str, not numbers",
    "def tanh(g, y):\n    return g\n": "calls it by this name (your file has tanh)",
    "def tanh_rule(g, y):\n    return g * (1 - y^2)\n": "line 2: TypeError: ufunc 'bitwise_xor'",
    "def tanh_rule(g, y):\n    return g + y ^ 2\n": "(^ is no power in Python: that is **)",
    "def tanh_rule(g, y):\n    return g * (1 - y * y) + 0j\n": "returned complex numbers",
    "def tanh_rule(g, y):\n    return (g * (1 - y * y)).astype('float32')\n": "nearly right",
    "def tanh_rule(g, y):\n    return g, None\n": "returned None where the judge expects numbers",
    "def tanh_rule(g, y):\n    return tanh_rule(g, y)\n": "line 2: RecursionError",
    "def tanh_rule(g, y):\n    return g[:1]\n": "line 2: IndexError",
    "def tanh_rule(g, y):\n    return (g - g * y * y).reshape(y.shape[:1])\n": "(g of shape (2, 4)",
    "def tanh_rule(g, y):\n    return g * 3\n": "g = 0.1257, y = -0.1313: the result is",
    "tanh_rule = print\n": "your function returned None",
    "def tanh_rule(g):\n    return g\n": "other arguments than yours takes: TypeError",
    "def tanh_rule(g, y):\n    return input()\n": "line 2: EOFError",
}


# Judged in a process of their own, as all are by the command; the others here, which is faster.
APART = [text for text in ANSWERS if "g = g + 1" in text or "_exit" in text or "sys.exit" in text]


@pytest.mark.parametrize("text", ANSWERS)
def test_whatever_an_answer_does_its_author_is_told(tmp_path, text):
    file = tmp_path / "01_tanh_rule.py"
    file.write_text(text, encoding="utf-8")
    if text in APART:
        found = exercises.check(file, BLANKS[0], seconds=1.0)
    else:
        with mock.patch("sys.stdin", io.StringIO()):
            found = verdict(file, exercises.judge_of(BLANKS[0]))
    said = f"line {found.line}: {found.said}" if found.line else found.said
    assert not found.passed and ANSWERS[text] in said
    assert found.line in (2, 3) or "line" not in ANSWERS[text]
    assert len(found.printed) <= CHARACTERS


def test_an_answer_that_does_not_end_is_told_its_line(tmp_path):
    file = tmp_path / "01_réponse.py"
    text = "def tanh_rule(g, y):\n    while True:\n        pass\n"
    file.write_text(text, encoding="utf-8")
    assert exercises.check(file, BLANKS[0], seconds=1.0).line in (2, 3)


def test_results_may_be_a_list_and_are_counted():
    blank = exercises.find("5")
    exercise = load(exercises.judge_of(blank), "judge")
    solution = load(solved(blank), "solution").gradients
    assert fault(lambda *case: list(solution(*case)), exercise) is None
    assert "should return 2 results, and returns 1" in fault(lambda X, *_: X, exercise)


def test_a_file_of_the_learner_named_as_a_library_hides_none(tmp_path):
    (tmp_path / "numpy.py").write_text("x = 1\n", encoding="utf-8")
    (tmp_path / "helper.py").write_text("def slope(y):\n    return 1 - y * y\n", encoding="utf-8")
    file = tmp_path / "01_tanh_rule.py"
    text = "import helper\n\ndef tanh_rule(g, y):\n    return g * helper.slope(y)\n"
    file.write_text(text, encoding="utf-8")
    assert exercises.check(file, BLANKS[0]) == (True, "", None, "")


def test_what_an_answer_does_to_its_arguments_is_its_own_affair(tmp_path):
    """The judge compares with arrays that the answer has not had in its hands."""
    exercise = load(exercises.judge_of(BLANKS[0]), "judge")

    def careless(g, y):
        y *= -y
        y += 1
        y *= g
        return y

    assert (
        fault(
            lambda g, y: careless(np.atleast_1d(g), np.atleast_1d(y)).reshape(np.shape(g)), exercise
        )
        is None
    )


def folder_with(tmp_path, *names):
    """The solutions of some exercises, as a learner's files."""
    for name in names:
        text = (BLANKS[0].parent.parent / "solutions" / f"{name}.py").read_bytes()
        (tmp_path / f"{name}.py").write_bytes(text)
    return tmp_path / f"{names[-1]}.py"


TRACK = "02_unbroadcast", "03_topological_order", "16_tensor_engine"


def test_a_track_stands_on_the_learners_own_files(tmp_path):
    file = folder_with(tmp_path, *TRACK)
    judge = exercises.judge_of(exercises.find("16"))
    assert verdict(file, judge).passed
    (tmp_path / "02_unbroadcast.py").unlink()
    found = verdict(file, judge)
    assert "stands on exercise 2, which is not in this folder" in found.said
    assert "minigrad-ae exercise start 2" in found.said


def test_an_earlier_file_that_is_wrong_is_blamed_and_not_the_later_one(tmp_path):
    file = folder_with(tmp_path, *TRACK)
    judge = exercises.judge_of(exercises.find("16"))
    wrong = (tmp_path / "02_unbroadcast.py").read_text(encoding="utf-8")
    (tmp_path / "02_unbroadcast.py").write_text(wrong.replace("sum", "mean"), encoding="utf-8")
    found = verdict(file, judge)
    assert found.said.startswith("it stands on 02_unbroadcast.py, which is not right yet: You aver")
    blank = exercises.find("3").read_bytes()
    folder_with(tmp_path, "02_unbroadcast")
    (tmp_path / "03_topological_order.py").write_bytes(blank)
    assert "it stands on 03_topological_order.py" in verdict(file, judge).said


def test_the_end_of_the_track_is_certified_whatever_the_engine_is(tmp_path):
    """Two engines of other make give the certificate's yes; a wrong one is found at its root."""
    file = folder_with(tmp_path, *TRACK, "17_own_autoencoder")
    judge = exercises.judge_of(exercises.find("17"))
    assert verdict(file, judge).passed
    text = (SPELLINGS / "16_tensor_engine.py").read_text(encoding="utf-8")
    other = text.replace("class right", "class Tensor").replace("right)", "Tensor)")
    (tmp_path / TRACK[2]).with_suffix(".py").write_text(other.replace("right(", "Tensor("), "utf-8")
    assert verdict(file, judge).passed
    (tmp_path / "16_tensor_engine.py").write_bytes(exercises.find("16").read_bytes())
    assert "it stands on 16_tensor_engine.py" in verdict(file, judge).said


# --- the command ----------------------------------------------------------------------------------


def test_from_a_blank_to_a_right_answer(capsys, tmp_path):
    def exercise(*words):
        return run(capsys, "exercise", *words, "--folder", tmp_path)

    file = tmp_path / "01_tanh_rule.py"
    assert exercise("start", 1)[0] == 0 and file.read_bytes() == BLANKS[0].read_bytes()
    code, out, _ = run(capsys, "exercise", "check", file)
    assert code == 1 and "not written yet: return the gradient that x receives" in out
    file.write_text("def tanh_rule(g, y):\n    print('here')\n    return g - g * y\n", "utf-8")
    code, out, _ = exercise("check", 1)
    assert code == 1 and "  | here\n" in out and "without its square" in " ".join(out.split())
    assert "1 of 3" in exercise("hint", 1)[1]
    assert "2 of 3" in exercise("hint", 1)[1]
    assert "2 tries" in exercise("list")[1]
    file.write_bytes(solved(BLANKS[0]).read_bytes())
    code, out, _ = exercise("check", 1)
    assert code == 0 and "right" in out and "exercise start 2" in out
    assert re.search(r"^ +1 +right", exercise("list")[1], re.M)
    done = json.loads((tmp_path / exercises.PROGRESS).read_text(encoding="utf-8"))
    assert done == {"01_tanh_rule": {"passed": True, "tries": 3, "hints": 2}}
    assert exercise("solution", 1)[1] == solved(BLANKS[0]).read_text(encoding="utf-8")


def test_the_record_keeps_what_was_passed_and_the_other_exercises(tmp_path):
    exercises.record(tmp_path, BLANKS[0], passed=True, tries=1)
    exercises.record(tmp_path, BLANKS[1], hints=1)
    exercises.record(tmp_path, BLANKS[0], tries=1)
    assert exercises.progress(tmp_path) == {
        BLANKS[0].stem: {"passed": True, "tries": 2, "hints": 0},
        BLANKS[1].stem: {"passed": False, "tries": 0, "hints": 1},
    }


def test_the_list_names_every_exercise(capsys, tmp_path):
    code, out, _ = run(capsys, "exercise", "list", "--folder", tmp_path)
    assert code == 0
    assert all(exercises.title(blank) in out for blank in BLANKS)


def test_all_blanks_are_a_handout(capsys, tmp_path):
    """Every blank as it is (each fails, above) and nothing else; what is there already stays."""
    folder = tmp_path / "class"
    folder.mkdir()
    (folder / BLANKS[1].name).write_text("mine", encoding="utf-8")
    code, out, _ = run(capsys, "exercise", "start", "all", "--folder", folder)
    assert code == 0 and out.count("stays as it is") == 1
    assert (folder / BLANKS[1].name).read_text(encoding="utf-8") == "mine"
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert {**written, BLANKS[1].name: b""} == {
        **{blank.name: blank.read_bytes() for blank in BLANKS},
        BLANKS[1].name: b"",
    }


def test_a_learners_file_is_never_replaced(capsys, tmp_path):
    (tmp_path / "01_tanh_rule.py").write_text("mine", encoding="utf-8")
    message = wrong_use(capsys, "exercise", "start", 1, "--folder", tmp_path)
    assert "perhaps with your work in it" in message
    assert (tmp_path / "01_tanh_rule.py").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    "words, said",
    [
        (["start", "99"], "there is no exercise '99'"),
        (["hint"], "'exercise hint' needs an exercise"),
        (["check", "answer.py"], "there is no exercise 'answer.py'"),
        (["check", "1"], "there is no such file to check"),
    ],
)
def test_wrong_use_is_refused(capsys, tmp_path, words, said):
    assert said in wrong_use(capsys, "exercise", *words, "--folder", tmp_path)


def test_a_copy_without_solutions_says_so(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(exercises, "blanks", lambda: [tmp_path / "exercises" / "01_tanh_rule.py"])
    assert "no solutions" in wrong_use(capsys, "exercise", "solution", 1)


@pytest.mark.parametrize(
    "text",
    ["[1", "[]", "{}{", '{"01_tanh_rule": 3}', '{"01_tanh_rule": {"tries": "many"}}', "[" * 9999],
)
def test_a_damaged_record_is_set_aside_and_a_check_goes_on(capsys, tmp_path, text):
    (tmp_path / exercises.PROGRESS).write_text(text, encoding="utf-8")
    code, out, _ = run(capsys, "exercise", "list", "--folder", tmp_path)
    aside = tmp_path / "minigrad_ae_exercises.damaged.json"
    assert code == 0 and aside.name in out and aside.read_text(encoding="utf-8") == text
    exercises.record(tmp_path, BLANKS[0], tries=1)
    (tmp_path / exercises.PROGRESS).write_text(text, encoding="utf-8")
    exercises.record(tmp_path, BLANKS[0], tries=1)
    assert exercises.progress(tmp_path)[BLANKS[0].stem]["tries"] == 1


def test_no_try_is_lost_among_concurrent_checks(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda k: exercises.record(tmp_path, BLANKS[k % 2], tries=1), range(24)))
    assert [entry["tries"] for entry in exercises.progress(tmp_path).values()] == [12, 12]
    assert [path.name for path in tmp_path.iterdir()] == [exercises.PROGRESS]
