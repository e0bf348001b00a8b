"""Change a number on the page: what it computes is what Python computes, and it says where it
cannot.
"""

from __future__ import annotations

import re
from importlib import resources
from itertools import cycle

import numpy as np
import pytest
from browser import autoencoder, clean, write
from cases import CASES
from helpers import rng, tied_autoencoder

import minigrad_ae as mg
from minigrad_ae.autodiff.rules import NAMES
from minigrad_ae.inspect import tracing
from minigrad_ae.inspect.render import javascript
from minigrad_ae.inspect.render.javascript import Translation, Untranslatable
from minigrad_ae.ops import REGISTRY

GREY = {"pad", "cumsum", "einsum"}  # ops without a translation
GREY_RULES = {"cast"}  # and those without one for their rules
END, ENTER, ESCAPE, TAB = "\ue010", "\ue007", "\ue00c", "\ue004"


# --- the translation itself (no browser needed) ---------------------------------------------------


def translated(name):
    library = Translation()
    return library.op(REGISTRY[name]), library.functions


def test_a_rule_becomes_the_same_formula_in_javascript():
    law, functions = translated("tanh")
    assert law == (
        '{inputs: ["x"], forward: f$tanh, '
        "rules: [($g, $y, $x) => nd.mul($g, nd.sub(1, nd.mul($y, $y)))]}"
    )
    assert functions == {"f$tanh": "($x) => nd.tanh($x)"}


def test_every_op_has_a_translation_or_is_on_the_list():
    grey, grey_rules = set(), set()
    for name, op in REGISTRY.items():
        if not op.__module__.startswith("minigrad_ae"):
            continue
        try:
            law, _ = translated(name)
        except Untranslatable:
            grey.add(name)
            continue
        if '["the rule for' in law.replace("rules: ", ""):
            grey_rules.add(name)
    assert (grey, grey_rules) == (GREY, GREY_RULES)


def test_every_name_it_may_write_is_one_of_the_page():
    runtime = resources.files(javascript.__package__).joinpath("web/nd.js").read_text("utf-8")
    offered = set(re.findall(r"\w+", runtime[runtime.index("const fromMath") :]))
    written = {*javascript.NUMPY, *javascript.MOVES}
    written |= {*javascript.BINARY.values(), *javascript.COMPARED.values(), "neg", "at", "some"}
    assert written <= offered


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("g * np.fft.fft(x)", "np.fft.fft is not among the page's functions"),
        ("g * unheard_of", "no translation of 'unheard_of'"),
        ("[g for _ in x]", "no translation of '[g for _ in x]'"),
        ("g.tolist()", "no translation of 'g.tolist()'"),
    ],
)
def test_what_has_no_translation_says_so(rule, reason):
    assert javascript.quoted(f"the rule for x: {reason}") == Translation().rule(
        REGISTRY["tanh"], "x", rule
    )


def test_a_text_of_the_program_cannot_end_the_script():
    assert javascript.quoted('</script>"') == '"\\u003c/script>\\""'


# --- in the browser -------------------------------------------------------------------------------


def change(browser, leaf, place, number):
    """By keyboard: choose a leaf, an entry, and write a number."""
    browser.keys("c")
    option = (
        "const s = document.getElementById('what-leaf'); s.value = [...s.options].find((o) => "
        "o.textContent.startsWith(arguments[0] + ' ')).value; "
        "s.dispatchEvent(new Event('change'))"
    )
    browser.run(option, leaf)
    for field, text in (("what-place", place), ("what-number", repr(number))):
        browser.run("const i = document.getElementById(arguments[0]); i.focus(); i.select()", field)
        browser.keys(*text, TAB)
    browser.keys(ESCAPE)


def changed_autoencoder(place, number):
    """The trace that Python makes of the changed network."""
    _, names = tied_autoencoder()
    data = names["W"].data.copy()
    data[place] = number
    x, W, b = names["x"], mg.tensor(data, requires_grad=True, name="W"), names["b"]
    h = mg.tanh(x @ W + b)
    loss = 0.5 * ((h @ W.T - x) ** 2).sum()
    return mg.trace(loss, scope={"x": x, "W": W, "b": b, "h": h, "loss": loss})


def numbers(browser, selector):
    return [float(t) for t in browser.texts(selector)]


def test_a_changed_entry_changes_loss_values_and_gradients(browser, small, traced):
    browser.open(small, "#s=9")
    assert "all 9 values and 12 contributions agree" in browser.run(
        "return document.getElementById('what-off').textContent"
    )
    change(browser, "W", "2, 1", -1.25)
    now = changed_autoencoder((2, 1), -1.25)
    rows = [r.split("\t") for r in browser.texts("#what-told tr")][1:]
    was = np.reshape(traced.nodes[traced.steps[8].contributions[0].node].value["head"], (4, 2))
    for row, name, old, new in zip(
        rows, ["W[2, 1]", "loss"], [was[2, 1], traced.value], [-1.25, now.value], strict=True
    ):
        assert row[0] == name
        assert np.allclose([float(row[1]), float(row[2])], [old, new], rtol=1e-6)
    slope = sum(c.added for s in traced.steps for c in s.contributions if c.to == "W")[2, 1]
    promised = browser.text("#what-told").split("promised ")[1].split(":")[0]
    assert np.isclose(float(promised), slope * (-1.25 - was[2, 1]), rtol=1e-3)
    assert f"→ {now.value:.7g}" in browser.text("#value")
    for k, s in enumerate(now.steps):
        browser.run("location.hash = arguments[0]", f"#s={s.k}")
        assert browser.step == k + 1
        cells = "#body > .card:last-of-type .check ~ *, #body > .card .check"  # the cards are there
        assert browser.run("return document.querySelectorAll(arguments[0]).length", cells)
        shown = numbers(browser, "#body .card:nth-of-type(2) tbody td.num")
        assert np.allclose(shown[: s.incoming.size], s.incoming.ravel(), rtol=1e-3, atol=1e-9)
    last = now.steps[-1].contributions[0]
    assert np.allclose(
        numbers(browser, "#body .pair > div:last-child td.num"), last.after.ravel(), rtol=1e-3
    )
    browser.keys("c")
    browser.run("document.getElementById('what-reset').click()")
    assert "→" not in browser.text("#value")
    assert not browser.run("return document.querySelectorAll('td.changed, .node.moved').length")
    clean(browser)


def test_the_slider_and_a_click_change_numbers_too(browser, small):
    browser.open(small)
    browser.keys("c")
    browser.run(
        "document.querySelector('#what-table tbody tr:nth-child(2) td:nth-child(3)').click()"
    )
    assert browser.run("return document.getElementById('what-place').value") == "1, 1"
    browser.run("document.getElementById('what-slider').focus()")
    browser.keys(END)
    was = tied_autoencoder()[1]["W"].data[1, 1]
    row = browser.texts("#what-told tbody tr")[0]
    assert row.startswith(f"W[1, 1]\t{was:.7g}\t{abs(was):.7g}"), "twice its size up from it"
    browser.run(
        "const i = document.getElementById('what-place'); i.value = '9, 1'; "
        "i.dispatchEvent(new Event('change'))"
    )
    assert "W has shape (4, 2): an entry is 0 to 3, 0 to 1" in browser.text("#what-told")
    browser.keys(ESCAPE, "p")
    assert not browser.run("return document.getElementById('what').checkVisibility()")
    clean(browser)


def test_all_translated_ops_compute_what_python_computes(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(tracing, "EXACT", 10**6)
    generator, terms = rng(5), []
    for name in sorted(set(CASES) - GREY - GREY_RULES):
        op = REGISTRY[name]
        for case in CASES[name]:
            inputs = [
                mg.tensor(x, requires_grad=True) if active else x
                for x, active in zip(case.inputs, cycle(op.active))
            ]
            y = op(*inputs, **case.params)
            if y.size:
                terms.append((y * generator.normal(size=y.shape)).sum())
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    browser.open(write(tmp_path, mg.trace(total, numeric=False, max_steps=10_000)))
    told = browser.run("return document.getElementById('what-off').textContent")
    assert re.fullmatch(
        r"Computed again on this page, all \d+ values .* agree .* to 1e-12.", told
    ), told
    clean(browser)


def test_a_rule_that_python_did_not_use_is_not_used_here(browser, tmp_path):
    tanh = REGISTRY["tanh"]
    right, tanh.vjps[0] = tanh.vjps[0], lambda g, y, x: g * (1 + y * y)
    try:
        browser.open(write(tmp_path, autoencoder()), "#s=8")
    finally:
        tanh.vjps[0] = right
    assert re.match(
        r"Not computed here: h: it gives other numbers here than recorded, by \d",
        browser.run("return document.getElementById('what-off').textContent"),
    )
    change(browser, "b", "0", 0.5)
    assert "→" in browser.text("#value"), "the forward is right"
    assert "not known after the change: the incoming gradient is not known" in browser.text("#body")
    clean(browser)


def test_an_op_outside_the_list_is_grey_and_says_why(browser, tmp_path):
    x = mg.tensor([1.0, 2.0], requires_grad=True, name="x")
    w = mg.tensor([0.5, 1.5], requires_grad=True, name="w")
    browser.open(write(tmp_path, mg.trace((mg.cumsum(x) * w).sum())))
    browser.run("document.getElementById('what').open = true")
    assert "np.cumsum is not among the page's functions" in browser.text("#what-off")
    change(browser, "x", "1", 3.0)
    assert "not known" in browser.text("#value")
    assert browser.run("return document.querySelectorAll('.node.unknown').length") == 3
    change(browser, "w", "1", 2.5)
    assert "→ 8" in browser.text("#value"), "0.5 · 1 + 2.5 · 3"
    clean(browser)


def _endless(x):
    return _endless(x)


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        ("x * 1", "all 2 values and 2 contributions agree"),
        (lambda x: x * 1, "<lambda> is not a plain function"),
        (_endless, "_endless calls itself"),
    ],
)
def test_ops_of_other_people(browser, tmp_path, forward, reason):
    mine = mg.ops.op("mine", "y = x", forward="x * 1", x="g", why="x is y", public=False)
    try:
        trace = mg.trace(mine(mg.tensor([1.0, 2.0], requires_grad=True, name="x")).sum())
        if callable(forward):
            mine.forward, mine.forward_text = forward, None
        browser.open(write(tmp_path, trace))
        browser.run("document.getElementById('what').open = true")
        assert reason in browser.text("#what-off")
        clean(browser)
    finally:
        del REGISTRY["mine"], NAMES["mine"]


@pytest.mark.parametrize(
    ("dtype", "n", "reason"),
    [
        (np.float32, 4, "is float32, and the page computes in float64"),
        (np.float64, 20_000, "its arrays have more than 20,000 numbers together"),
    ],
)
def test_where_nothing_can_be_changed_it_says_why(browser, tmp_path, dtype, n, reason):
    x = mg.tensor(np.ones(n, dtype), requires_grad=True, name="x")
    path = write(tmp_path, mg.trace((x * x).sum()))
    assert "const nd =" not in path.read_text(encoding="utf-8"), "it is of no use here"
    browser.open(path)
    browser.keys("c")
    browser.run("document.getElementById('what').open = true")
    assert reason in browser.text("#what-off")
    clean(browser)
