"""Bad input: every parameter of every public function × every kind of bad value is taken, or
refused in three lines; an ordinary Python error, a hang or a crash never gets out.

The parameters are read from the signatures.  A right call of each function is recorded from the
examples in the docstrings (`right_calls`), and one bad value after the other is put into it.  What
is taken is frozen in frozen/bad_input.json, so that a value that begins to pass, or to be refused,
is seen: ``python tests/test_bad_input.py`` writes the table.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import json
import math
import signal
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import public
import pytest
import right_calls

import minigrad_ae as mg
from minigrad_ae.errors import MinigradError

TABLE = Path(__file__).parent / "frozen" / "bad_input.json"
SECONDS = 20  # for one call; the slowest right one takes less than one

HIDDEN = np.ma.masked_array([[1.0, 2.0], [3.0, 4.0]], mask=[[True, False], [False, False]])
ANY: dict[str, Any] = {  # put into every parameter
    "None": None,
    "True": True,
    "text": "no such",
    "bytes": b"x",
    "object": object(),
    "complex": 1j,
    "negative": -1,
    "zero": 0,
    "2.5": 2.5,
    "5": 5,
    "NaN": math.nan,
    "infinite": math.inf,
    "10^12": 10**12,
    "-10^12": -(10**12),
    "10^400": 10**400,
    "1e308": 1e308,
    "1e-310": 1e-310,
    "empty list": [],
    "ragged": [[1.0, 2.0], [3.0]],
    "names": ("a", 1),
    "flags": [True, False],
    "dict": {"a": 1},
    "set": {1, 2},
    "function": len,
    "class": int,
    "module": math,
    "objects": np.array([object(), None], dtype=object),
    "words": np.array(["a", "b"]),
    "dates": np.array(["2020-01-01"], dtype="M8[D]"),
    "records": np.zeros(2, dtype=[("a", float)]),
    "masked": HIDDEN,
    "no axes": np.array(1.5),
    "three axes": np.ones((2, 2, 2)),
    "long double": np.ones((2, 2), np.longdouble),
    "a tensor": mg.tensor([[1.0, 2.0]], requires_grad=True),
}
OVERFLOWING = "all 1e308"  # whether a sum of such numbers does depends on the order of additions
LONG = {"10^12", "1e308"}  # so many repetitions are allowed, and take the time that they take
REPETITIONS = (
    "epochs steps draws halvings passes sweeps max_iter max_evaluations n_samples k limit eta"
).split()
# parameters whose value is called: what a wrong function does is its own
CALLED = "fn f function closure init log_conditional make loss callback".split()

# not for users: called by the engine, the inspector or tests, or unchecked by their own words
INTERNAL = {
    "autodiff.check.gradcheck.inputs",
    "autodiff.graph.Value",
    "autodiff.graph.no_grad.function",
    "autodiff.graph.Watcher",
    "autodiff.operation",
    "claims.definition",
    "claims.ledger.sabotage",
    "claims.ledger.verify",
    "experiments.run.Run",
    "inspect.diagnose.anomaly",
    "inspect.record",
    "kernels.gemm.accumulate",
    "models.masked.MaskedAutoencoder.checked",
    "models.masked.MaskedAutoencoder.masked_error",
    "models.masked.MaskedAutoencoder.standardise",
    "models.masked.MaskedAutoencoder.targets",
    "models.masked.MaskedAutoencoder.visible",
    "models.components.PrincipalAxes.load_seen_state",
    "models.diagnostics.LatentReport",
    "models.linear.Fit",
    "nn.attention.TransformerBlock.drop",
    "nn.module.Module.forward",
    "ops.compositions.gelu_gate",
    "models.components.PrincipalAxes.measure_codes",
    "optim.first_order.Adam.factor_and_decay",
    "optim.first_order.AdamW.factor_and_decay",
}
# with tests of their own: files, and the loop that takes whole objects
ELSEWHERE = {
    "checkpoint": "tests/test_checkpoint.py",
    "data.mnist_files": "tests/test_data_files.py",
    "inspect.tracing.Trace.html": "tests/test_html_page.py",
    "inspect.tracing.Trace.json": "tests/test_trace.py",
    "inspect.tracing.Trace.png": "tests/test_picture.py",
    "train": "tests/test_train.py",
}


def like(right: Any) -> dict[str, Any]:
    """Arrays like the right one, each wrong in one way; none where the right value is no array."""
    array = right.data if isinstance(right, mg.Tensor) else right
    if isinstance(array, list):
        with contextlib.suppress(TypeError, ValueError, MinigradError):
            array = np.array(array, float)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf" or not array.ndim:
        return {}
    reals = array.astype(float)
    whole = np.nan_to_num(reals, posinf=0, neginf=0).astype(int)
    broken, masked = reals.copy(), np.ma.masked_array(reals.copy())
    if array.size:
        broken.flat[-1] = math.nan
        masked[(0,) * array.ndim] = np.ma.masked
    return {
        "0 rows": array[:0],
        "1 row": array[:1],
        "one axis more": array[None],
        "one axis less": array[0] if len(array) else array,
        "wider": np.concatenate([array, array], -1),
        "NaN at the end": broken,
        "masked at the start": masked,
        "as objects": array.astype(object),
        "as text": array.astype(str),
        "as complex": reals.astype(complex),
        "as bool": reals.astype(bool),
        "as int": whole,
        "as float16": np.clip(reals, -9, 9).astype(np.float16),
        "all 1e308": np.full(array.shape, 1e308),
        "all 1e-310": np.full(array.shape, 1e-310),
        "all 0": np.zeros(array.shape),
        "negated": -reals,
    }


def asked(name: str) -> bool:
    return not any(name == e or name.startswith(f"{e}.") for e in (*INTERNAL, *ELSEWHERE))


def parameters(function: Any) -> list[str]:
    """Names in the order of the signature; ``*xs`` for those of any number."""
    kinds = inspect.signature(function).parameters.values()
    starred = {p.VAR_POSITIONAL: "*", p.KEYWORD_ONLY: ""} if (p := next(iter(kinds), None)) else {}
    named = [f"{starred.get(p.kind, '')}{p.name}" for p in kinds if p.kind is not p.VAR_KEYWORD]
    return [each for each in named if each not in ("self", "cls")]


def run(function: Any, given: dict[str, Any]) -> None:
    """Call it, walk through the first of what it yields, and enter what has a ``with``."""
    given, args = dict(given), []
    signature = inspect.signature(function).parameters.values()
    if any(key.startswith("*") for key in given):
        for p in signature:
            if p.kind is p.VAR_POSITIONAL:
                args += given.pop(f"*{p.name}")
            elif p.kind is not p.KEYWORD_ONLY and p.name in given:
                args.append(given.pop(p.name))
    done = function(*args, **given)
    if inspect.isgenerator(done):
        list(zip(range(3), done, strict=False))
    if hasattr(done, "__enter__") and type(done).__module__.startswith("minigrad_ae"):
        with done:
            pass


class TooLong(BaseException):
    """Not an Exception: nobody catches it."""


@contextlib.contextmanager
def quickly() -> Iterator[None]:
    """In silence, and TooLong after `SECONDS`, where the system has such an alarm."""

    def stop(*_: Any) -> None:
        raise TooLong

    before = signal.signal(signal.SIGALRM, stop) if hasattr(signal, "SIGALRM") else None
    if before is not None:
        signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        if before is not None:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, before)


def cloned(value: Any) -> Any:
    try:
        return value if isinstance(value, mg.Tensor) else copy.deepcopy(value)
    except (MinigradError, TypeError):
        return value


def answer(function: Any, given: dict[str, Any], parameter: str, value: Any) -> str:
    """'' where the bad value is taken, 'refused' where it is refused in three lines; else what got
    out instead.
    """
    call = {key: cloned(each) for key, each in given.items()}
    call[parameter] = (cloned(value),) if parameter.startswith("*") else cloned(value)
    try:
        with quickly(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run(function, call)
    except MinigradError as error:
        lines = str(error).splitlines()
        return "refused" if len(lines) == 3 else f"{len(lines)} lines: {lines[0]}"
    except TooLong:
        return f"it took more than {SECONDS} s"
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split()):.100}"
    return ""


def kinds_for(name: str, parameter: str, right: Any) -> dict[str, Any]:
    last = parameter.lstrip("*")
    if last in CALLED:
        return {key: value for key, value in ANY.items() if not callable(value)}
    left_out = LONG if last in REPETITIONS else set()
    return {key: value for key, value in (ANY | like(right)).items() if key not in left_out}


def answers(name: str, call: right_calls.Call) -> dict[str, dict[str, str]]:
    """{parameter: {kind: answer}}."""
    function, given = call
    return {
        parameter: {
            kind: answer(function, given, parameter, value)
            for kind, value in kinds_for(name, parameter, given.get(parameter)).items()
        }
        for parameter in parameters(function)
        if asked(f"{name}.{parameter.lstrip('*')}")
    }


def measured(calls: dict[str, right_calls.Call]) -> dict[str, dict[str, dict[str, str]]]:
    return {name: answers(name, call) for name, call in calls.items() if asked(name)}


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, right_calls.Call]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("here"))
        yield right_calls.every_call()


@pytest.fixture(scope="module")
def table(calls: Any) -> dict[str, dict[str, dict[str, str]]]:
    return measured(calls)


def _is_asked(each: public.Public) -> bool:
    function = each.raw if each.is_class else each.function
    called = not isinstance(each.raw, property)
    return called and asked(each.name.removeprefix("minigrad_ae.")) and bool(parameters(function))


def test_every_public_function_with_a_parameter_has_a_right_call(calls):
    missing = []
    for each in public.public().values():
        name = each.name.removeprefix("minigrad_ae.")
        if _is_asked(each) and name not in calls:
            missing.append(name)
    assert not missing, f"an example in the docstring, or a call in right_calls.py: {missing}"


def test_right_calls_are_right(calls):
    wrong = {}
    for name, (function, given) in calls.items():
        if asked(name):
            try:
                with quickly():
                    run(function, {key: cloned(value) for key, value in given.items()})
            except Exception as error:
                wrong[name] = repr(error)
    assert not wrong


def test_a_bad_value_is_taken_or_refused_in_three_lines(table):
    got_out = [
        f"{name}({parameter}={kind}): {said}"
        for name, rows in table.items()
        for parameter, row in rows.items()
        for kind, said in row.items()
        if said not in ("", "refused")
    ]
    assert not got_out, "\n".join(got_out)


def taken(table: dict[str, dict[str, dict[str, str]]]) -> dict[str, str]:
    """{"function(parameter)": the kinds that are taken}."""
    return {
        f"{name}({parameter})": ", ".join(
            kind for kind, said in row.items() if said == "" and kind != OVERFLOWING
        )
        for name, rows in table.items()
        for parameter, row in rows.items()
    }


def test_what_is_taken_is_what_was_frozen(table):
    frozen = json.loads(TABLE.read_text(encoding="utf-8"))
    found = taken(table)
    changed = {
        key: found.get(key) for key in {*frozen, *found} if frozen.get(key) != found.get(key)
    }
    assert not changed, f"python tests/test_bad_input.py freezes it again: {changed}"


def test_an_ordinary_error_would_be_seen():
    def careless(n: int) -> None:
        [0] * n

    rows = answers("careless", (careless, {"n": 1}))["n"]
    assert rows["text"].startswith("TypeError") and rows["5"] == ""


if __name__ == "__main__":
    found = taken(measured(right_calls.every_call()))
    TABLE.write_text(json.dumps(found, indent=0, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{len(found)} parameters", file=sys.stderr)
