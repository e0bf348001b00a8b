"""What a trace says of each step: names, rules, un-broadcasting, checks; its limits, its text and
its JSON.
"""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import zoo
from helpers import nonfinite_numbers, same, tied_autoencoder

import minigrad_ae as mg
from minigrad_ae import inspect
from minigrad_ae.autodiff import engine
from minigrad_ae.autodiff.rules import arrays_read
from minigrad_ae.display import head_shape, summary
from minigrad_ae.errors import DataError, GradientError
from minigrad_ae.inspect import trace
from minigrad_ae.inspect.record.names import name_values
from minigrad_ae.inspect.record.notation import bar_notation
from minigrad_ae.ops import REGISTRY

pytestmark = nonfinite_numbers


# --- what a step says -----------------------------------------------------------------------------


def test_fan_out_is_recorded_as_before_plus_added():
    a = mg.tensor([1.0, -2.0, 0.5], requires_grad=True)
    b = a + a
    c = b + b
    flows = [
        f for s in trace((c * np.array([1.0, 10.0, 100.0])).sum()).steps for f in s.contributions
    ]
    into = {name: [f for f in flows if f.to == name] for name in ("a", "b", "c")}
    assert [len(into[n]) for n in "abc"] == [2, 2, 1]
    w = np.array([1.0, 10.0, 100.0])
    first, second = into["a"]
    assert (first.nth, first.of, second.nth, second.of) == (1, 2, 2, 2)
    assert first.before is None and same(first.after, 2 * w)
    assert same(second.before, 2 * w) and same(second.added, 2 * w) and same(second.after, 4 * w)


def test_unbroadcast_is_recorded():
    a, b = (mg.tensor(np.ones(s), requires_grad=True) for s in [(5, 1, 3), (4, 1)])
    to_a, to_b = trace((a * b).sum()).steps[-1].contributions
    assert (to_a.raw_shape, to_a.axes, to_a.shape) == ((5, 4, 3), (1,), (5, 1, 3))
    assert (to_b.raw_shape, to_b.axes, to_b.shape) == ((5, 4, 3), (0, 2), (4, 1))


def test_names_come_from_name_then_variables_then_numbers():
    loss, scope = tied_autoencoder()
    t = trace(loss, scope=scope)
    assert [n.name for n in t.nodes if n.kind == "param"] == ["W", "b"]
    assert {"x", "h", "loss", "matmul_1", "add_1", "tanh_1"} - {n.name for n in t.nodes} == {
        "tanh_1"
    }
    b = mg.tensor([1.0], requires_grad=True, name="b")
    layers = [mg.tensor([2.0], requires_grad=True), b]
    total = (layers[0] * b + mg.tensor([3.0], requires_grad=True)).sum()
    assert {"layers[0]", "b", "x0", "total"} <= {n.name for n in trace(total).nodes}
    twins = [mg.tensor(1.0, requires_grad=True, name="w") for _ in range(2)]
    y = twins[0] * twins[1]
    assert sorted(name_values(engine.topological(y), []).values()) == ["loss", "w", "w_2"]


def names_of(loss):
    """The names of a graph's values and constants where no variable of a caller is known."""
    return [n.name for n in trace(loss, scope={}, numeric=False).nodes]


PLACES = pytest.mark.skipif(
    sys.version_info < (3, 11), reason="code knows no columns before Python 3.11: older names stay"
)


@PLACES
def test_values_are_called_as_the_code_that_made_them_calls_them():
    model = mg.models.VariationalAutoencoder(3, 1, hidden=(), rng=np.random.default_rng(0))
    loss = model.loss(np.array([[1.0, 0.0, 0.5]]), np.random.default_rng(1))
    t = trace(loss)
    named = [n.name for n in t.nodes if n.kind != "param"]
    assert set(named) == set("x statistics mu log_var eps z a distortion rate loss".split())
    params = [n.name for n in t.nodes if n.kind == "param"]
    assert set(params) == {f"{c}.0.{p}" for c in ("encoder", "decoder") for p in ("weight", "bias")}
    assert [s.node.computes for s in t.steps if s.op == "gaussian_kl"] == [
        "gaussian_kl(mu, log_var)"
    ]
    program = mg.emit_numpy(loss)
    assert "z = mu + np.exp(0.5 * log_var) * eps" in program and "getitem" not in program


@PLACES
def test_names_of_variables_that_are_gone():
    W = mg.tensor(np.linspace(-1, 1, 16).reshape(4, 4), requires_grad=True, name="W")

    def bound(X):
        h = mg.tanh(X @ W)
        first, second = mg.split(h, 2, axis=1)
        top, low = first[:2], (second.exp().sum())
        noise = np.ones(2)
        z = top * noise if len(top) else None
        z = mg.max(z, axis=0) * 2.0
        for _ in range(2):
            z = z * 0.5
        low -= mg.ops.half_squared_error(z, noise)
        return low + z.sum()

    names = names_of(bound(np.ones((3, 4))))
    assert {"X", "h", "first", "second", "top", "noise", "z", "low", "W", "loss"} <= set(names)
    assert [n for n in names if n.startswith("z")] == ["z", "z_2", "z_3", "z_4"]
    assert "low_2" in names and len(names) == len(set(names))


def test_what_could_be_called_two_things_keeps_its_number():
    a = mg.tensor([0.5, 1.5], requires_grad=True)

    def maker(t):
        return t * t

    def first(u):
        return mg.exp(u)

    def second(w):
        return mg.tanh(w)

    def several():
        parts = mg.split(a, 2)
        both = list(map(mg.exp, [a]))
        only, _ = mg.split(a, 2)
        total = sum(x * 1.0 for x in [parts[0], both[0], only])
        return total.sum()

    square = maker(a)
    names = names_of((first(square) + second(square)).sum())
    assert names[:2] == ["x0", "mul_1"], "u in one place, w in another: neither"
    assert not {"parts", "both", "only"} & set(names_of(several())), "a list is not its part"


@PLACES
def test_the_callers_variable_comes_before_the_makers():
    W = mg.tensor([1.0, 2.0], requires_grad=True)

    def made(x):
        z = W * x
        return mg.exp(z)

    code = made(np.ones(2))
    z = code.sum()
    names = {n.name: n.op for n in trace(z).nodes}
    assert names == {"x": None, "W": None, "z_2": "mul", "code": "exp", "z": "sum"}


def test_source_line_and_bytes_saved():
    a = mg.tensor(np.ones((3, 4)), requires_grad=True)
    h = mg.tanh(a)  # this line
    step = trace(h.sum()).steps[1]
    assert step.node.code == "h = mg.tanh(a)  # this line" and step.node.file == __file__
    assert step.node.bytes_saved == 3 * 4 * 8, "tanh reads y and nothing else"
    assert trace(h.sum()).steps[0].node.bytes_saved == 0, "sum reads shapes only"
    assert arrays_read("g * y + kept(x.shape, axis)") == {"g", "y", "kept", "axis"}


def test_bar_notation():
    assert bar_notation("A", "g @ swapaxes(B, -1, -2)") == "A\u0304 = y\u0304 @ Bᵀ"
    assert bar_notation("x", "g * (1 - y * y)", ascii=True) == "dL/dx = g * (1 - y^2)"


def test_head_of_an_array():
    assert head_shape((3, 4), 64) == (3, 4)
    assert np.prod(head_shape((1000, 30, 2), 64)) <= 64
    assert head_shape((5,), 0) == (0,)
    s = summary(np.array([1.0, np.nan, -np.inf, 3.0]), 2)
    assert (s["min"], s["max"], s["mean"], s["nan"], s["inf"], s["head"]) == (
        1.0,
        3.0,
        2.0,
        1,
        1,
        [1.0, "nan"],
    )


# --- checks ---------------------------------------------------------------------------------------


@contextmanager
def planted(op, slot, rule):
    """The rule in this slot replaced by another."""
    right, op.vjps[slot] = op.vjps[slot], rule
    try:
        yield
    finally:
        op.vjps[slot] = right


def slightly_wrong(right):
    return lambda *args, **kwargs: 1.0001 * right(*args, **kwargs)


RULES = [(op, k) for op in REGISTRY.values() for k, rule in enumerate(op.vjps) if rule is not None]


@pytest.mark.parametrize(
    ("op", "slot"), RULES, ids=[f"{op.name}-{list(op.rules)[k]}" for op, k in RULES]
)
def test_a_planted_fault_marks_exactly_its_steps(op, slot):
    def hit(value, i):
        return value.op is op and (op.variadic or i == slot)

    homes = [
        n
        for n in zoo.ZOO
        if any(hit(v, i) for v in engine.topological(zoo.make(n)) for i, _ in v.edges)
    ]
    assert homes, "no graph in tests/zoo.py uses this rule"
    loss = zoo.make(homes[0])
    with planted(op, slot, slightly_wrong(op.vjps[slot])):
        t = trace(loss)
    flows = [(s, c) for s in t.steps for c in s.contributions]
    faulty = [
        c
        for s, c in flows
        if s.op == op.name and (op.variadic or c.argument == op.argument(slot)) and c.added.any()
    ]
    faulty = [c for c in faulty if c.check.status != "kink"]
    assert faulty and all(c.check.status == "failed" for c in faulty), t.text()
    assert all(c.check.ok for _, c in flows if not any(c is f for f in faulty)), t.text()
    assert not t.ok and t.text().count("WRONG") == len(faulty)
    assert "WRONG" in t.text(step=faulty[0].k)


def test_a_fault_in_one_element_is_found_by_the_check_of_the_whole():
    def nearly(g, y, x):
        wrong = g * (1 - y * y)
        wrong.flat[np.argmin(np.abs(wrong))] *= 2
        return wrong

    loss = mg.tanh(mg.tensor(np.linspace(0.1, 2, 50), requires_grad=True)).sum()
    with planted(REGISTRY["tanh"], 0, nearly):
        check = trace(loss).steps[-1].contributions[0].check
    assert check.status == "failed" and "forward says" in check.reason


def test_kinks_are_stepped_around():
    x = mg.tensor([0.0, -1.0], requires_grad=True)
    assert trace(mg.abs(x * [1, 0]).sum()).steps[-2].contributions[0].check.status == "kink"
    x = mg.tensor([0.0, -1.0, 2.0], requires_grad=True)
    check = trace(mg.relu(x).sum()).steps[-1].contributions[0].check
    assert (check.status, check.n) == ("ok", 2)


def test_what_is_not_finite_is_skipped_and_said():
    x = mg.tensor([0.0, 1.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        t = trace(mg.log(x).sum())
    check = t.steps[-1].contributions[0].check
    assert check.status == "skipped" and "finite" in check.reason
    assert "NaN/Inf" in t.text()


def test_numbers_can_be_left_unchecked():
    loss, _ = tied_autoencoder()
    assert {c.check.status for s in trace(loss, numeric=False).steps for c in s.contributions} == {
        "skipped"
    }


# --- limits and errors ----------------------------------------------------------------------------


def chain(n):
    x = mg.tensor([0.5, 0.25], requires_grad=True, name="x")
    y = x
    for _ in range(n):
        y = y + 1.0
    return (y * x).sum()


def test_a_long_trace_is_cut_and_says_so():
    t = trace(chain(300), max_steps=40, numeric=False)
    assert t.total == 302 and len(t.steps) == t.truncated["kept"] <= 40
    assert [s.k for s in t.steps[:10]] == list(range(1, 11)) and t.steps[-1].k == 302
    assert f"showing {len(t.steps)} of 302 steps" in t.text()
    with pytest.raises(DataError, match="step 150 was not kept"):
        t.text(step=150)


def test_a_trace_above_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(sys.modules["minigrad_ae.inspect.tracing"], "LIMIT", 50)
    with pytest.raises(DataError, match=r"62 steps, more than 50(.|\n)*max_steps=62"):
        trace(chain(60), max_steps=10, numeric=False)
    assert trace(chain(60), max_steps=62, numeric=False).total == 62


def test_errors_have_three_lines():
    loss, scope = tied_autoencoder()
    t = trace(loss, scope=scope)
    for k in (0, -1, 10):
        with pytest.raises(DataError) as error:
            t.text(step=k)
        what, where, fix = str(error.value).split("\n")
        assert (
            what == f"step {k} does not exist"
            and "this trace has 9 steps (1..9)" in where
            and "1 to 9" in fix
        )
    with pytest.raises(DataError, match=r"nothing flowed into 'V'\n.*W, add_1, matmul_1, b"):
        t.text(param="V")
    for wrong in (mg.tensor(1.0), mg.tensor([1.0, 2.0], requires_grad=True) * 2):
        with pytest.raises(GradientError) as error:
            trace(wrong)
        assert len(str(error.value).split("\n")) == 3


# --- text and JSON --------------------------------------------------------------------------------


def test_table():
    loss, scope = tied_autoencoder()
    t = trace(loss, scope=scope)
    lines = t.text().split("\n")
    assert lines[0] == f"loss = {loss.item():.6g}   9 steps, 2 parameters, float64"
    assert lines[1].startswith("12 rules checked, none wrong")
    assert (
        lines[2].startswith("gradients of leaves: 2 of 2 agree with the loss as a whole")
        and lines[3] == ""
    )
    assert lines[4].split() == ["k", "op", "computes", "in-grad", "sends", "to", "check"]
    table = "\n".join(" ".join(line.split()) for line in lines[5:])
    assert "7 tanh h = tanh(add_1) (6, 2) add_1 (6, 2) ok" in table
    assert "b (2,), sum over axis 0" in table and "W (4, 2), 2 of 2" in table
    assert str(t) == t.text()


def test_one_step():
    loss, scope = tied_autoencoder()
    text = trace(loss, scope=scope).text(step=8)
    for part in (
        "Step 8 of 9   ADD   add_1 = matmul_1 + b",
        "helpers.py:",
        "h = mg.tanh(x @ W + b)",
        "law      y = a + b",
        "dloss/dadd_1 (6, 2)",
        "b\u0304 = y\u0304",
        "b was stretched (2,) → (6, 2): summed over axis 0, back to (2,)",
        "rule ",
        "forward ",
        "OK",
        "next: 9 matmul   previous: 7 tanh",
    ):
        assert part in text, text
    both = trace(loss, scope=scope).text(step=9)
    assert (
        "contribution 2 of 2" in both
        and "before" in both
        and "+ added" in both
        and "= after" in both
    )


def test_all_that_flowed_into_a_parameter():
    loss, scope = tied_autoencoder()
    text = trace(loss, scope=scope).text(param="W")
    assert (
        "dloss/dW (4, 2): 2 contributions" in text
        and text.count("  + [[") == 2
        and text.count("  = [[") == 1
    )


@pytest.mark.parametrize("name", sorted(zoo.ZOO))
def test_text_is_narrow_plain_and_ascii_on_request(name):
    t = trace(zoo.make(name), scope={})
    for kwargs in [{}, *({"step": s.k} for s in t.steps)]:
        text, plain = t.text(**kwargs), t.text(**kwargs, ascii=True)
        assert (
            max(map(len, text.split("\n"))) <= 88
            and max(map(len, t.text(**kwargs, width=64).split("\n"))) <= 64
        )
        assert plain.isascii() and "\x1b" not in text
        assert all(line == line.rstrip() for line in text.split("\n"))


def test_hostile_names_stay_on_their_line():
    x = mg.tensor([1.0], requires_grad=True, name="a\nb\x1b[31m<img>")
    text = trace((x * 2).sum()).text(step=2)
    assert "\x1b" not in text and "a?b?[31m<img>" in text


@pytest.mark.parametrize("name", sorted(zoo.ZOO))
def test_json_is_json(name, tmp_path):
    t = trace(zoo.make(name))
    text = t.json(tmp_path / "trace.json")
    assert (tmp_path / "trace.json").read_text(encoding="utf-8") == text

    def no(word):
        raise AssertionError(f"{word} is not JSON")

    record = json.loads(text, parse_constant=no)
    assert record["schema"] == 1 and len(record["steps"]) == t.total
    ids = [n["id"] for n in record["nodes"]]
    assert ids == list(range(len(ids))) and all(
        p < n["id"] for n in record["nodes"] for p in n["parents"]
    )
    for step in record["steps"]:
        for out in step["out"]:
            assert out["to"] in ids and len(out["grad"]["head"]) <= 64
            assert out["accum"]["nth"] <= out["accum"]["of"]
    if name == "infinite":
        assert '"nan"' in text


def test_exports():
    assert {"trace", "backward_steps", "emit_numpy", "Trace"} <= set(inspect.__all__)
