"""The tool of `nox -s mutants`: what it changes, and that it tells lax tests from good ones."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mutants import RESULTS, codes, modules, mutants_of, mutated, score

AREA = '''
"""Areas."""


def rectangle(a, b):
    """a b"""
    return a * b


def ring(outer, inner):
    if outer < inner:
        raise ValueError(f"{outer - inner} is below 0")
    return outer**2 - inner**2


def never_run(a):
    return -a
'''


def faults(source):
    return [(m.function, m.fault) for m in mutants_of(source, "area.py")]


def test_a_computing_line_has_one_fault_and_an_error_text_none():
    assert [function for function, _ in faults(AREA)] == ["rectangle", "ring", "never_run"]
    assert faults(AREA) == faults(AREA.replace("Areas", "More\n\nareas"))  # the text decides
    assert faults("def f(x):\n    return np.zeros(3), len(x), 'a' + x, x[-1]") == []
    assert faults("x = 2 * 3") == []  # of functions


@pytest.mark.parametrize(
    "line, possible",
    [
        ("a + b", ["a - b", "(a, b)[0]"]),
        ("a - b", ["a + b", "(a, b)[0]"]),
        ("a * b", ["a * b * 1.05", "(a, b)[0]"]),
        ("a @ b", ["a @ b * 1.05", "(a, b)[0]"]),
        ("-a", ["a"]),
        ("tanh(a)", ["tanh(a) * 1.05"]),
        ("a.sum()", ["a.sum() * 1.05"]),
        ("kl(a, b)", ["kl(a, b) * 1.05", "kl(b, a)"]),
    ],
)
def test_the_fault_fits_the_expression(line, possible):
    seen = set()
    for name in "fghijklmnopq":  # which one is chosen depends on the text around it
        source = f"def {name}(a, b):\n    return {line}"
        (mutant,) = mutants_of(source, "one.py")
        *_, function = codes(mutated(source, mutant, "one.py"))
        right = {
            wrong: compile(f"def {name}(a, b):\n    return {wrong}", "one.py", "exec")
            for wrong in possible
        }
        same = [w for w, code in right.items() if [*codes(code)][-1].co_code == function.co_code]
        assert same, mutant
        seen.update(same)
    assert seen == set(possible)


def test_what_nobody_takes_as_a_number_has_no_factor():
    assert faults("def f(x):\n    check(x)\n    a, b = parts(x)") == []
    assert faults("def f(x, y):\n    check(x, y)") == [("f", "arguments swapped: check(x, y)")]


def test_what_is_asked_for_its_truth_or_sign_has_no_factor():
    asked = ["if found(x): pass", "while left(x): pass", "return not found(x)", "return p and q(x)"]
    for line in [*asked, "return x(y) > 0"]:
        assert faults(f"def f(x):\n    {line}") == [], line
    assert faults("def f(x):\n    return x * y < 0") == [("f", "factor dropped: x * y")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is forked for each fault")
def test_a_lax_test_lets_a_fault_live_and_a_good_one_notices(tmp_path):
    pytest.importorskip("coverage")
    package = tmp_path / "tiny"
    package.mkdir()
    (package / "__init__.py").write_text("", "utf-8")
    (package / "area.py").write_text(AREA, "utf-8")
    tests, out = tmp_path / "test_tiny.py", tmp_path / "out.json"
    good = (
        "from tiny.area import rectangle, ring\ndef test_good():\n    assert rectangle(2, 3) == 6\n"
    )
    lax = "def test_lax():\n    assert ring(3, 1) > 0\n"
    tool = [sys.executable, str(Path(__file__).with_name("mutants.py")), "--without-claims"]
    command = [*tool, "--package", str(package), "--out", str(out), str(tests)]

    def run(text, *more):
        tests.write_text(text, "utf-8")
        done = subprocess.run([*command, *more], cwd=tmp_path, capture_output=True, text=True)
        row = json.loads(out.read_text("utf-8"))["modules"]["area.py"]
        assert (row["computing lines"], row["run by a check"], row["faults"]) == (3, 2, 2)
        return done, row

    done, row = run(good + lax)
    assert done.returncode == 1 and "SURVIVED" in done.stdout, done.stdout + done.stderr
    assert row["noticed"] == 1 and [s[0] for s in row["survivors"]] == ["ring"]
    done, row = run(good + lax.replace("> 0", "== 8"), "--again")
    assert done.returncode == 0, done.stdout + done.stderr
    assert row["noticed"] == 2 and row["survivors"] == []
    better = good + lax.replace("> 0", "== 8")
    assert "; 0 faults" in run(better, "--rest")[0].stdout, "nothing is left to plant"
    out.unlink()
    done, row = run(better, "--rest")
    assert "; 2 faults" in done.stdout and row["noticed"] == 2
    assert (package / "area.py").read_text("utf-8") == AREA


def test_the_table_counts_what_it_lists():
    results = json.loads(RESULTS.read_text("utf-8"))
    assert set(results["modules"]) <= set(modules())
    for module, row in results["modules"].items():
        assert row["faults"] == row["noticed"] + len(row["survivors"]), module
        # all were planted: `--rest` plants what a new line has added
        assert row["faults"] == row["run by a check"] == row["computing lines"], module
    survived = [[m, *s] for m, row in results["modules"].items() for s in row["survivors"]]
    for each in results["equivalent"]:
        assert [each["module"], each["function"], each["line"], each["fault"]] in survived
        assert len(each["reason"]) > 20
    noticed, planted = score(results)
    assert (noticed, planted) == (results["noticed"], results["faults"])
    assert noticed >= 0.95 * planted
