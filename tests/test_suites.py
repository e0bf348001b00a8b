"""The shim under other people's tests tells right from wrong, absent and silent; what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    "test_silent": ("nothing differentiated", ""),
    "test_wrong": ("failed", "AssertionError: forward"),
    "test_wrong_at_second_order": ("failed", "AssertionError: second"),
}


def told(tests: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """test -> (what became of it, why)."""
    found = {}
    for kind, names in tests.items():
        reasons = names if isinstance(names, dict) else {"": names}
        for why, those in reasons.items():
            found |= dict.fromkeys(those, (kind, why))
    return found


def test_the_shim_tells_a_planted_wrong_rule_from_a_right_one_and_both_from_what_is_absent(
    tmp_path,
):
    for name, text in {
        "autograd/test_util.py": JUDGE,
        "tests/conftest.py": PLANTED,
        "tests/test_it.py": TESTS,
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = tmp_path / "result.json"
    run = subprocess.run(
        [sys.executable, suites.__file__, str(tmp_path), "--out", str(result)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
    )
    assert run.returncode == 1, run.stdout + run.stderr  # two tests failed
    tests = json.loads(result.read_text(encoding="utf-8"))["tests"]
    found = {name.removeprefix("test_it.py::"): each for name, each in told(tests).items()}
    assert found == EXPECTED


def test_an_archive_other_than_the_pinned_one_is_not_unpacked(tmp_path):
    archive = tmp_path / "autograd-1.9.1.tar.gz"
    archive.write_bytes(b"something else")
    with pytest.raises(SystemExit, match="SHA-256"):
        suites.unpacked(archive)
    assert list(tmp_path.iterdir()) == [archive]


def test_what_was_found_is_of_the_pinned_suite_and_every_failure_has_its_reason():
    result = json.loads(suites.RESULTS.read_text(encoding="utf-8"))
    assert result["sha256"] == suites.SHA256[result["suite"]]
    name, version = result["suite"].rsplit("-", 1)
    assert f'"{name}=={version}"' in (ROOT / "noxfile.py").read_text(encoding="utf-8")
    outcomes = told(result["tests"])
    different = {name: why for name, (what, why) in outcomes.items() if what == "different"}
    assert different == suites.DIFFERENT
    counted = [sum(what == kind for what, _ in outcomes.values()) for kind in result["counts"]]
    assert counted == list(result["counts"].values())
    assert result["counts"]["failed"] == 0 < result["counts"]["passed"]
