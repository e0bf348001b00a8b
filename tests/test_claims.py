"""The ledger: what a claim is, that all of them hold, and that each notices its own bug."""

import ast
import builtins
import inspect
import json
import math
import re
import textwrap
from collections import defaultdict
from pathlib import Path
from types import FunctionType

import pytest

import minigrad_ae as mg
from minigrad_ae.claims import KINDS, Claim, Run, claim, claims, ledger, topics
from minigrad_ae.claims.bugs import edit, wrong_rule


@pytest.fixture(scope="module")
def fast_run():
    run = Run(fast=True)
    return ledger.read(claims(), run)


def test_every_claim_holds(fast_run):
    assert [r.id for r in fast_run if not r.passed] == []


def test_every_claim_holds_at_another_seed():
    """`nox -s seeds` reads the ledger at 50."""
    results = ledger.read(claims(), Run(fast=True, seed=1))
    assert [r.id for r in results if not r.passed] == []


def test_every_bug_is_caught_by_its_claim(capsys):
    rows = ledger.sabotage(Run(fast=True))
    assert [(r["id"], r["verdict"]) for r in rows if not r["caught"]] == []
    assert "bugs caught" in capsys.readouterr().out


def test_there_is_a_file_of_claims_for_each_lesson():
    from minigrad_ae.teaching.lesson import lesson_files

    assert topics() == [path.stem for path in lesson_files()]


def test_ids_topics_and_reasons():
    everything = claims()
    assert len({c.id for c in everything}) == len(everything)
    assert {c.topic for c in everything} == set(topics())
    assert all(c.reason and c.statement for c in everything)
    distinct = {
        c.id.rstrip("0123456789").rstrip("-") for c in everything if c.topic in topics()[:2]
    }
    assert len(distinct) >= 25  # claims that differ in a number only count once
    assert len({id(c.sabotage) for c in everything}) >= len(everything) / 2


def code(function):
    """The source of a function as one text in which names that it chooses do not matter: its own,
    those of its arguments and variables, those of other functions of the claims that it calls.
    """
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    tree.name, tree.decorator_list, tree.returns = "", [], None
    tree.body = tree.body[ast.get_docstring(tree) is not None :]
    outside = inspect.getclosurevars(function)
    known = {**vars(builtins), **outside.globals, **outside.nonlocals}
    chosen = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.arg, node.annotation = chosen.setdefault(node.arg, f"_{len(chosen)}"), None
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
        if isinstance(node, ast.Name):
            value = known.get(node.id)
            if node.id in chosen or node.id not in known:
                node.id = chosen.setdefault(node.id, f"_{len(chosen)}")
            elif isinstance(value, FunctionType) and value.__module__.startswith(CLAIMS_FOLDER):
                node.id = code(value)
            elif isinstance(value, int | float | str | tuple):  # of a loop that makes claims
                node.id = repr(value)
    return ast.dump(tree)


def twins(everything, results):
    """Claims that measure by the same code and are held to the same number."""
    same = defaultdict(list)
    for c, r in zip(everything, results, strict=True):
        same[code(c.measure), r.expected].append(c.id)
    return [ids for ids in same.values() if len(ids) > 1]


CLAIMS_FOLDER = Claim.__module__.rpartition(".")[0]


def test_no_two_claims_are_one(fast_run):
    assert twins(claims(), fast_run) == []


def test_twins_are_found_whatever_they_are_called():
    def once(run):
        """One."""
        total = sum(range(run.starts))
        return total / 2

    def again(settings):
        found = sum(range(settings.starts))
        return found / 2

    def other(run):
        total = sum(range(run.starts))
        return total / 3

    a, b, c = (_claim(measure) for measure in (once, again, other))
    results = ledger.read([a, b, c], Run(fast=True))
    assert twins([a, b, c], results) == [["x", "x"]]


# such as  bar: .05,  count: 3,  count: all
BAR_OR_COUNT = re.compile(r"\b(bar|count): (all|none|\d*\.?\d)")


@pytest.mark.parametrize("each", claims(), ids=lambda c: c.id)
def test_a_claim_is_of_its_kind(each):
    assert each.kind in KINDS
    if each.kind == "statistical":
        assert "standard error" in each.reason
    if each.kind == "bound":  # 0, where it is never crossed, or how many inequalities there are
        assert each.expected in range(10)
    assert bool(BAR_OR_COUNT.search(each.statement)) == (each.kind == "empirical")


def test_claims_that_differ_in_a_number_are_of_one_kind_and_count_as_one():
    groups = {}
    for c in claims():
        groups.setdefault((c.topic, re.sub(r"\d*\.?\d+", "#", c.statement)), set()).add(c.kind)
    assert [key for key, kinds in groups.items() if len(kinds) > 1] == []
    counts = ledger.counts()
    assert list(counts) == list(KINDS)
    assert sum(counts.values()) == len(groups) < len(claims())
    first, second = [c for c in claims() if c.id in ("digits-loss-2", "digits-loss-8")]
    assert ledger.counts([first, second]) == ledger.counts([first])
    assert sum(ledger.counts([first, claims()[0]]).values()) == 2


def test_an_unknown_kind_is_refused():
    with pytest.raises(mg.errors.DataError, match="unknown kind of claim 'true'"):
        claim("x", "x", kind="true", expected=0, tolerance=0, reason="x", sabotage=wrong_rule)


def test_the_table_names_the_kind():
    two = [c for c in claims() if c.id in ("fan-out", "vae-price")]
    lines = ledger.table(ledger.read(two, Run(fast=True))).splitlines()
    assert [line.split()[-5] for line in lines[1:] if line.endswith("PASS")] == [
        "exact",
        "statistical",
    ]
    unknown = ledger.Result("x", "topic", "statement", 1.0, 1.0, 0.1, True)
    assert ledger.table([unknown]).splitlines()[-1].split()[1] == "1"


def test_the_last_line_counts_by_kind(capsys):
    ledger.verify(Run(fast=True), "01_backpropagation")
    assert capsys.readouterr().out.endswith("hold\n17 different statements: 17 exact\n")


def test_the_json_form_is_finite_and_has_just_these_fields(fast_run, tmp_path):
    ledger.write_results(tmp_path / "ledger.json", fast_run)
    rows = json.loads((tmp_path / "ledger.json").read_text(encoding="utf-8"))
    fields = {"id", "topic", "statement", "expected", "measured", "tolerance", "passed"}
    for r in rows:
        assert set(r) == fields
        assert all(math.isfinite(r[k]) for k in ("expected", "measured", "tolerance"))
    assert [p.name for p in tmp_path.iterdir()] == ["ledger.json"]


def _claim(measure, tolerance=0.1, sabotage=None):
    nothing = sabotage or wrong_rule("tanh", "x", "g")
    return Claim("x", "topic", "exact", "statement", 1.0, tolerance, "reason", nothing, measure)


def test_an_exception_is_an_error_and_never_a_catch(capsys):
    def broken(run):
        raise RuntimeError("no number")

    assert _claim(broken).caught(Run())[0] == "ERROR RuntimeError: no number"
    (result,) = ledger.read([_claim(broken)], Run())
    assert not result.passed
    assert math.isfinite(result.measured)
    assert "RuntimeError" in capsys.readouterr().err


def test_nan_and_infinity_do_not_pass():
    assert not _claim(lambda run: math.nan).check(Run()).passed
    result = _claim(lambda run: -math.inf).check(Run())
    assert not result.passed
    assert math.isfinite(result.measured)
    assert _claim(lambda run: math.nan).caught(Run())[0].startswith("ERROR")


def test_a_bug_must_be_missed_by_more_than_ten_tolerances():
    assert _claim(lambda run: 1.9).caught(Run())[0] == "missed"
    assert _claim(lambda run: 2.1).caught(Run())[0] == "caught"


def test_a_bug_is_there_inside_and_gone_after():
    x = mg.tensor(0.5, requires_grad=True)
    right = mg.grad(mg.tanh(x), [x])[0]
    with wrong_rule("tanh", "x", "7 * g")():
        assert mg.grad(mg.tanh(x), [x])[0] == 7
    assert mg.grad(mg.tanh(x), [x])[0] == right


def test_edit_changes_the_line_for_everyone_and_puts_it_back():
    from minigrad_ae.models import linear

    y, x = mg.tensor([3.0]), mg.tensor([1.0])
    with edit(linear.half_squared_error, "ops.half", "10 * ops.half")():
        assert linear.half_squared_error(y, x).item() == 20
    assert linear.half_squared_error(y, x).item() == 2


def test_edit_refuses_a_text_that_is_not_there_once():
    from minigrad_ae.models import linear

    with (
        pytest.raises(LookupError, match="fix the sabotage"),
        edit(linear.half_squared_error, "no such text", "")(),
    ):
        pass


def test_the_matrix_of_bugs_and_claims(capsys, monkeypatch):
    two = claims()[:2]
    monkeypatch.setattr(ledger, "claims", lambda topic=None: two)
    rows = ledger.matrix(Run(fast=True))
    assert [r["id"] for r in rows] == [c.id for c in two]
    assert all(r["caught"] for r in rows)


def test_the_table_shows_a_long_statement_whole():
    words = (
        "the loss of every network in this table is what its exact answer says, to ten digits "
        "and more"
    )
    result = ledger.Result("x", "topic", words, 1.0, 1.0, 0.1, True)
    heading, *lines = ledger.table([result]).splitlines()
    assert max(map(len, [heading, *lines])) <= 100
    assert " ".join(" ".join(line[:43].split()) for line in lines) == words
    assert lines[-1].endswith("PASS")


def test_the_readme_counts_the_claims():
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    counts = ledger.counts()
    (total,) = re.findall(r"A ledger holds (\d+) statements", readme)
    assert int(total) == sum(counts.values())
    for kind in KINDS:
        (said,) = re.findall(rf"(\d+) {kind} \(", readme)
        assert int(said) == counts[kind], kind


def test_every_bug_can_be_planted_and_taken_out():
    """Without running a claim: the source that a sabotage quotes stands there exactly once; its op
    and argument exist.
    """
    refused = []
    for each in claims():
        try:
            with each.sabotage():
                pass
        except Exception as error:
            refused.append(f"{each.id}: {error}")
    assert refused == []
