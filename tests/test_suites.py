"""The shim under other people's tests tells right from wrong, absent and silent; what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import suites

ROOT = Path(__file__).parents[1]

JUDGE = """
from autograd.core import make_jvp, make_vjp

def check_grads(f):
    def judged(x):
        forward, backward = make_jvp(f, x)(1.0)[1], make_vjp(f, x)[0](1.0)
        slope = (f(x + 1e-6) - f(x - 1e-6)) / 2e-6
        assert abs(forward - slope) < 1e-6, "forward"
        assert abs(backward - slope) < 1e-6, "backward"
    return judged
"""

PLANTED = """
import minigrad_ae as mg

rule = mg.ops.REGISTRY["sinh"].vjps[0]
mg.ops.REGISTRY["sinh"].vjps[0] = lambda g, *rest: 1.001 * rule(g, *rest)
"""

TESTS = """
import autograd.numpy as np
from autograd import isinstance
from autograd.core import make_vjp, vspace
from autograd.numpy import linalg
from autograd.scipy import special
from autograd.test_util import check_grads

def second(f):
    return lambda x: make_vjp(lambda y: make_vjp(f, y)[0](1.0), x)[0](1.0)

def test_right():
    check_grads(np.tanh)(0.5)
    check_grads(special.expit)(0.5)

def test_wrong():
    check_grads(np.sinh)(0.5)

def test_second_order():
    assert abs(second(np.exp)(0.5) - np.exp(0.5)) < 1e-12

def test_wrong_at_second_order():
    assert abs(second(np.cosh)(0.5) - np.cosh(0.5)) < 1e-12, "second"

def test_containers():
    vjp, y = make_vjp(lambda x: {"a": x[0] * x[1]["b"]}, (2.0, {"b": 3.0}))
    assert y == {"a": 6.0} and vjp({"a": 1.0}) == (3.0, {"b": 2.0})
    assert vspace(y) == vspace({"a": 1.0}) != vspace((1.0,))

def test_absent():
    check_grads(np.fabs)(0.5)

def test_absent_below():
    check_grads(linalg.det)(np.eye(2))

def test_absent_is_no_error_that_a_test_may_wait_for():
    try:
        check_grads(special.gammaln)(0.5)
    except Exception:
        pass

def test_absent_setting():
    check_grads(lambda x: special.logsumexp(x, b=2.0))(0.5)

def test_complex():
    check_grads(np.tanh)(0.5j)

def test_real_and_complex():
    check_grads(np.tanh)(0.5)
    check_grads(np.tanh)(0.5j)

def test_silent():
    assert isinstance(np.eye(2), np.ndarray)
"""

EXPECTED = {
    "test_absent": ("absent", "np.fabs"),
    "test_absent_below": ("absent", "np.linalg.det"),
    "test_absent_is_no_error_that_a_test_may_wait_for": ("absent", "scipy.special.gammaln"),
    "test_absent_setting": ("absent", "scipy.special.logsumexp with b="),
    "test_complex": ("absent", "complex numbers"),
    "test_containers": ("passed", ""),
    "test_real_and_complex": ("passed for real numbers", ""),
    "test_right": ("passed", ""),
    "test_second_order": ("passed", ""),
    "test_silent": ("never reached", ""),
    "test_wrong": ("failed", "AssertionError: forward"),
    "test_wrong_at_second_order": ("failed", "AssertionError: second"),
}


MYGRAD = {
    "mygrad/_utils.py": "",
    "tests/__init__.py": "",
    "tests/wrappers/__init__.py": "",
    "tests/wrappers/uber.py": "from functools import wraps",
    "tests/conftest.py": PLANTED,
    "tests/test_it.py": """
import numpy as np
from mygrad import Tensor, absolute, add, arctan2, cosh, sinh
from mygrad.nnet.activations import softmax
from mygrad.nnet.layers import gru

def slope(f, x, **settings):
    x = Tensor(x, **settings)
    y = f(x)
    y.backward()
    found = x.grad
    y.null_gradients()
    assert x.grad is None
    return found

def test_right():
    assert abs(slope(lambda x: np.ones(2) * (3 - x) * absolute(x), 2.0).sum() - -2.0) < 1e-12
    assert add(Tensor(1.0), 2.0, constant=True).constant and slope(cosh, 1.0, constant=True) is None

def test_wrong():
    assert abs(slope(sinh, 0.5) - np.cosh(0.5)) < 1e-12, "sinh"

def test_wrong_values():
    assert softmax(Tensor([1.0, 2.0])).data[0] > 0.5, "softmax"

def test_absent():
    slope(lambda x: arctan2(x, x), 0.5)

def test_absent_setting():
    absolute(Tensor(1.0), where=True)

def test_absent_assignment():
    Tensor([1.0])[0] = 2.0

def test_absent_attribute():
    assert add(Tensor(1.0), 1.0).creator

def test_silent():
    assert gru
""",
}

AUTOGRAD = {
    "autograd/test_util.py": JUDGE,
    "tests/conftest.py": PLANTED,
    "tests/test_it.py": TESTS,
}

OF_MYGRAD = {
    "test_absent": ("absent", "arctan2"),
    "test_absent_assignment": ("absent", "assignment into a tensor"),
    "test_absent_attribute": ("absent", "Tensor.creator"),
    "test_absent_setting": ("absent", "absolute with where="),
    "test_right": ("passed", ""),
    "test_silent": ("never reached", ""),
    "test_wrong": ("failed", "AssertionError: sinh"),
    "test_wrong_values": ("failed", "AssertionError: softmax"),
}


@pytest.mark.parametrize(
    ("suite", "files", "expected"),
    [("autograd-0", AUTOGRAD, EXPECTED), ("mygrad-0", MYGRAD, OF_MYGRAD)],
)
def test_a_shim_tells_a_planted_wrong_rule_from_a_right_one_and_both_from_what_is_absent(
    suite, files, expected, tmp_path
):
    for name, text in files.items():
        (tmp_path / suite / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / suite / name).write_text(text, encoding="utf-8")
    result = tmp_path / "result.json"
    run = subprocess.run(
        [sys.executable, suites.__file__, str(tmp_path / suite), "--out", str(result)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    assert run.returncode == 1, run.stdout + run.stderr  # two tests failed
    tests = json.loads(result.read_text(encoding="utf-8"))[suite]["tests"]
    found = suites.told(tests).items()
    assert {name.removeprefix("test_it.py::"): each for name, each in found} == expected


def test_an_archive_other_than_the_pinned_one_is_not_unpacked(tmp_path):
    archive = tmp_path / "autograd-1.9.1.tar.gz"
    archive.write_bytes(b"something else")
    with pytest.raises(SystemExit, match="SHA-256"):
        suites.unpacked(archive)
    assert list(tmp_path.iterdir()) == [archive]


def test_what_was_found_is_of_the_pinned_suites_and_every_failure_has_its_reason():
    results = json.loads(suites.RESULTS.read_text(encoding="utf-8"))
    assert set(results) == set(suites.SHA256) == set(suites.DIFFERENT)
    nox = (ROOT / "noxfile.py").read_text(encoding="utf-8")
    for suite, result in results.items():
        assert result["sha256"] == suites.SHA256[suite]
        assert '"{}=={}"'.format(*suite.rsplit("-", 1)) in nox
        outcomes = suites.told(result["tests"])
        different = {name: why for name, (what, why) in outcomes.items() if what == "different"}
        assert different.items() <= suites.DIFFERENT[suite].items()
        counted = [sum(what == kind for what, _ in outcomes.values()) for kind in result["counts"]]
        assert counted == list(result["counts"].values())
        assert result["counts"]["failed"] == 0 < result["counts"]["passed"]
