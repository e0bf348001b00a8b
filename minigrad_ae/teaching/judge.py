"""The judge of an exercise: what a learner's function computes, beside what is right and what is
typically wrong.  Texts are never compared.

A judge is a file of `lessons/exercises/judges`; its README says how to write one.  It names the
`FUNCTION` to be written and has `cases(rng)` (arguments to call it with), `right` (the answer, by
another way than the solution's) and `MISTAKES`: typical wrong answers as functions, whose
docstrings are what the learner is told.  An answer that computes what such a function computes has
its mistake, however it is spelled.  Where numbers alone do not say what is right, `observe(answer,
*case)` returns what to compare: any valid order of nodes is a right one.

``python -m minigrad_ae.teaching.judge FILE JUDGE REPORT SECONDS`` judges in a process of its own;
`exercises.check` starts it.
"""

from __future__ import annotations

import copy
import faulthandler
import inspect
import os
import sys
import traceback
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from ..errors import FileError
from ..files import write_json

# Of the largest entry.  Answers take at most some hundred operations in float64, which rounding
# changes by 1e-13 at most; the wrong ones are off by more than 1e-3, which a test demands.
TOLERANCE = 1e-9
CHARACTERS = 20_000  # that an answer may print


class Verdict(NamedTuple):
    """Whether an answer is right, what to tell its author, of which line, and what it printed."""

    passed: bool
    said: str
    line: int | None = None
    printed: str = ""


class PrintsTooMuch(BaseException):
    """Ends an answer that prints without end; no `except Exception` stops it."""


class Printed(StringIO):
    """Standard output for an answer: kept, up to a limit."""

    def write(self, text: str) -> int:
        if self.tell() + len(text) > CHARACTERS:
            raise PrintsTooMuch
        return super().write(text)


class Unusable(Exception):
    """A result that is not made of numbers."""


def load(path: Path, name: str) -> ModuleType:
    """Run a file as a module; what stands under ``if __name__ == "__main__"`` is left out."""
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)
    return module


def verdict(file: Path, judge: Path) -> Verdict:
    """Run a learner's file in this process, and judge the function that it defines."""
    exercise = load(judge, "judge_of_the_exercise")
    printed = Printed()
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            said = _judge_file(file, exercise)
        found = Verdict(said is None, said or "", None, printed.getvalue())
    except BaseException as error:
        line = line_of(file, error)
        found = Verdict(False, _told(error, line), line, printed.getvalue())
        if isinstance(error, FileError) or _raised_in(error) == str(file):
            return found
    return found if found.passed else _blamed(found, file, judge, exercise)


def _blamed(found: Verdict, file: Path, judge: Path, exercise: ModuleType) -> Verdict:
    """The verdict on the first earlier file of the learner that is not right, if there is one."""
    for name in getattr(exercise, "NEEDS", ()):
        earlier = verdict(file.with_name(f"{name}.py"), judge.with_name(f"{name}.py"))
        if not earlier.passed:
            line = f"line {earlier.line}: " if earlier.line else ""
            said = f"it stands on {name}.py, which is not right yet: {line}{earlier.said}"
            return Verdict(False, said, None, found.printed)
    return found


def _raised_in(error: BaseException) -> str:
    """The file in which an error was raised."""
    return traceback.extract_tb(error.__traceback__)[-1].filename


def _judge_file(file: Path, exercise: ModuleType) -> str | None:
    module = load(file, "exercise")
    answer = getattr(module, exercise.FUNCTION, None)
    if not callable(answer):
        own = [name for name, value in vars(module).items() if _is_own(value)]
        there = f" (your file has {', '.join(own)})" if own else ""
        return f"there is no function {exercise.FUNCTION!r}: the judge calls it by this name{there}"
    return fault(answer, exercise)


def _is_own(value: Any) -> bool:
    """Whether a file has defined a function or a class itself."""
    return callable(value) and getattr(value, "__module__", "") == "exercise"


def fault(answer: Any, exercise: ModuleType) -> str | None:
    """What is wrong with an answer, in words for its author; None if it is right.

    Raises
    ------
    Exception
        What the answer itself raises, unless a typical wrong answer raises it as well.
    """
    cases = list(exercise.cases(np.random.default_rng(0)))
    got = [outcome(answer, exercise, case) for case in cases]
    right = [outcome(exercise.right, exercise, case) for case in cases]
    wrong = [k for k in range(len(cases)) if not same(got[k], right[k])]
    if not wrong:
        return None
    for mistake in exercise.MISTAKES:
        made = [outcome(mistake, exercise, case) for case in cases]
        computed = any(isinstance(result, dict) for result in got)
        if computed and all(same(a, b) for a, b in zip(got, made, strict=True)):
            return " ".join(mistake.__doc__.split())
    first = wrong[0]
    if isinstance(got[first], BaseException):
        got[first].tried = _described(exercise, cases[first])
        raise got[first]
    return f"{_described(exercise, cases[first])}: {difference(got[first], right[first])}"


def _described(exercise: ModuleType, case: tuple[Any, ...]) -> str:
    """A case in words: arrays by their shapes, all else by its value."""
    if hasattr(exercise, "observe"):
        return "tried by the judge"
    names = inspect.signature(exercise.right).parameters
    return ", ".join(f"{name} {_short(value)}" for name, value in zip(names, case, strict=True))


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.ndim:
        return f"of shape {value.shape}"
    if isinstance(value, float | np.ndarray):
        return f"= {float(value):.4g}"
    return f"= {value}"


def outcome(answer: Any, exercise: ModuleType, case: tuple[Any, ...]) -> Any:
    """{name: array} of what an answer computes for a case, or what it raises."""
    observe = getattr(exercise, "observe", lambda answer, *case: answer(*case))
    try:
        return _named(observe(_returning(answer), *copy.deepcopy(case)))
    except Exception as error:
        return error


def _returning(answer: Any) -> Any:
    """A function that must not return None; a class as it is."""
    if isinstance(answer, type):
        return answer

    def returning(*arguments: Any) -> Any:
        result = answer(*arguments)
        if result is None:
            text = "your function returned None: is there a `return` on every way through it?"
            raise Unusable(text)
        return result

    return returning


def _named(result: Any) -> dict[str, np.ndarray]:
    """The parts of a result by their names, which are numbers where it is a tuple."""
    if isinstance(result, Mapping):
        return {name: _numbers(part) for name, part in result.items()}
    if isinstance(result, tuple) or (
        isinstance(result, list) and all(getattr(part, "ndim", 0) for part in result)
    ):
        return {f"result {k}": _numbers(part) for k, part in enumerate(result)}
    return {"the result": _numbers(result)}


def _numbers(part: Any) -> np.ndarray:
    if isinstance(part, bool | np.bool_):
        return np.asarray(part)
    if part is None:
        raise Unusable("your function returned None where the judge expects numbers")
    part = part.numpy() if hasattr(part, "numpy") else part
    if np.iscomplexobj(part):
        raise Unusable("your function returned complex numbers, and the judge expects real ones")
    try:
        return np.asarray(part, dtype=float)
    except (TypeError, ValueError):
        raise Unusable(f"your function returned {type(part).__name__}, not numbers") from None


def same(a: Any, b: Any) -> bool:
    """Whether two outcomes are equal, up to rounding; errors are if they have one type."""
    if not (isinstance(a, dict) and isinstance(b, dict)):
        return type(a) is type(b)
    return a.keys() == b.keys() and all(_close(a[name], b[name]) for name in a)


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    scale = max(1.0, float(np.max(np.abs(b[np.isfinite(b)]), initial=0.0)))
    limit = TOLERANCE * scale
    return a.shape == b.shape and np.allclose(a, b, rtol=0.0, atol=limit, equal_nan=True)


def difference(got: dict[str, Any], right: dict[str, Any]) -> str:
    """Where a result first differs from what is right: in number, in shape, or in an entry."""
    if got.keys() != right.keys():
        if "result 0" in right:
            return f"your function should return {len(right)} results, and returns {len(got)}"
        return f"the judge expects {', '.join(right)}, and got {', '.join(got)}"
    name = next(name for name in right if not _close(got[name], right[name]))
    a, b = got[name], right[name]
    if b.dtype == bool:
        return f"it does not hold that {name}" if b else f"it must not hold that {name}"
    if a.shape != b.shape:
        return f"{name} has shape {a.shape} and should have {b.shape}"
    entry = np.unravel_index(np.argmax(np.where(np.isnan(a), np.inf, np.abs(a - b))), a.shape)
    at = f" at {[int(k) for k in entry]}" if entry else ""
    if f"{a[entry]:.6g}" == f"{b[entry]:.6g}":
        return (
            f"{name} is off by {abs(a[entry] - b[entry]):.1g}{at}: nearly right.  The judge "
            "computes in float64: do you round, or use float32?"
        )
    return f"{name} is {a[entry]:.6g}{at}, and should be {b[entry]:.6g}"


def line_of(file: Path, error: BaseException) -> int | None:
    """The last line of a file that an error passed through."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return lines[-1] if lines else None


def _told(error: BaseException, line: int | None) -> str:
    """An error in words; without a line it was raised in the judge."""
    if isinstance(error, Unusable):
        return str(error)
    if isinstance(error, NotImplementedError):
        return f"not written yet: {error}"
    if isinstance(error, PrintsTooMuch):
        return f"it prints without end (more than {CHARACTERS:,} characters)"
    if isinstance(error, SystemExit):
        return "it ends the program (sys.exit, exit or quit): return a value in its place"
    if isinstance(error, SyntaxError):
        return f"not Python: {error.msg}"
    said = f"{type(error).__name__}: {error}".removesuffix(": ")
    if "bitwise_xor" in said or "type(s) for ^" in said:
        said += "\n(^ is no power in Python: that is **)"
    if tried := getattr(error, "tried", None):
        said += f"\n({tried})"
    if not line and isinstance(error, TypeError) and "argument" in said:
        return f"the judge calls it with other arguments than yours takes: {said}"
    return said if line else f"the judge cannot use what your file gives it: {said}"


def main(file: str, judge: str, report: str, seconds: str) -> None:
    """Judge a file, and write the verdict as JSON; what runs too long leaves its stack in place.

    It works in the file's folder, whose modules come last: a numpy.py there hides no NumPy.
    """
    os.chdir(Path(file).parent)
    sys.path.append(os.getcwd())
    with open(f"{report}.stack", "w", encoding="utf-8") as stack:
        faulthandler.dump_traceback_later(float(seconds), exit=True, file=stack)
        found = verdict(Path(file), Path(judge))
        faulthandler.cancel_dump_traceback_later()
    write_json(report, found._asdict())


if __name__ == "__main__":
    main(*sys.argv[1:])
