"""The page in a real browser: everything by keyboard, no network, no complaints."""

from __future__ import annotations

import re

import numpy as np
from browser import autoencoder, chain, clean, write
from helpers import nonfinite_numbers, rng

import minigrad_ae as mg
from minigrad_ae.inspect.record.names import told_apart
from minigrad_ae.inspect.render.html_page import page
from minigrad_ae.inspect.render.mathml import equation

pytestmark = nonfinite_numbers
DOWN, UP, RIGHT, LEFT, PGDN, PGUP, HOME, END = (
    chr(0xE000 + k) for k in (0x15, 0x13, 0x14, 0x12, 0x0F, 0x0E, 0x11, 0x10)
)
ENTER, TAB, ESCAPE = "\ue007", "\ue004", "\ue00c"


# --- what it says ---------------------------------------------------------------------------------


def test_the_tape_is_the_trace_and_every_key_walks_it(browser, small, traced):
    browser.open(small)
    rows = browser.texts(".row")
    assert [r.split()[:2] for r in rows] == [[str(s.k), s.op] for s in traced.steps]
    seen = [browser.step]
    for _ in traced.steps[1:]:
        browser.keys(RIGHT)
        seen.append(browser.step)
        assert browser.text("#status").startswith(f"Step {seen[-1]} of 9")
    assert seen == [s.k for s in traced.steps]
    for key, expected in [
        (RIGHT, 9),
        (LEFT, 8),
        ("k", 7),
        ("j", 8),
        (UP, 7),
        (DOWN, 8),
        (PGUP, 1),
        (PGDN, 9),
        (HOME, 1),
        (END, 9),
    ]:
        browser.keys(key)
        assert browser.step == expected, key
    selected = (
        "return [...document.querySelectorAll('[aria-current=step]')].map((e) => "
        "e.getAttribute('aria-selected'))"
    )
    assert browser.run(selected) == ["true"]
    clean(browser)


def test_the_cards_of_a_known_step(browser, small, traced):
    browser.open(small, "#s=8")
    assert browser.step == 8
    body = browser.text("#body")
    step = traced.steps[7]
    assert "12 rules agree with their forward" in browser.text(
        "#facts"
    ) and "2 gradients agree" in browser.text("#facts")
    for words in (
        "h = mg.tanh(x @ W + b)",
        "tests/helpers.py:",
        "law: y = a + b",
        "Incoming gradient dloss/dadd_1",
        "dL/db = g",
        "(6, 2) → sum over axis 0 → (2,)",
        "Outgoing to b: dloss/db",
        "✓ agree",
        "W\t(4, 2)\t1 of 2 contributions",
        "b\t(2,)\tcomplete",
        "print(mg.trace(loss).text(step=8))",  # no script of the reader made this page
    ):
        assert words in body, words
    cells = browser.texts("#body .beside .card:nth-of-type(2) tbody td")
    assert np.allclose([float(c) for c in cells if c], step.incoming.ravel(), rtol=1e-3)
    browser.keys(END)
    assert "contribution 2 of 2" in browser.text("#body") and "= after" in browser.text("#body")
    browser.keys(HOME)
    assert "not yet computed" in browser.text("#body") and "= 1" in browser.text("#body")
    clean(browser)


def test_graph_nodes_are_marked_and_take_one_to_their_step(browser, small):
    browser.open(small, "#s=5")
    marks = browser.run(
        "return Object.fromEntries([...document.querySelectorAll('.node')].map("
        "(g) => [g.querySelector('.name').textContent, g.querySelector('.mark').textContent]))"
    )
    assert (
        marks["loss"] == "✓"
        and marks["matmul_2"] == "here"
        and marks["h"] == ""
        and marks["W"] == ""
    )
    edges = (
        "return [document.querySelectorAll('.edge.done').length, "
        "document.querySelectorAll('.edge.now').length]"
    )
    assert browser.run(edges) == [4, 2]
    browser.keys("g", DOWN, ENTER)
    assert browser.step != 5 and browser.run(
        "return document.activeElement.classList.contains('node')"
    )
    clean(browser)


def focused(browser):
    """The name of the node that has the focus."""
    return browser.run("return document.activeElement.querySelector('.name')?.textContent")


def test_the_graph_is_one_tab_stop_and_arrows_walk_it(browser, small, long, traced):
    for path in (small, long):
        browser.open(path, "#s=5")
        stops = "return document.querySelectorAll('#graph [tabindex=\"0\"]').length"
        assert browser.run(stops) == 1
    browser.open(small, "#s=7")
    browser.keys("g")
    assert focused(browser) == "h"
    browser.keys(*[LEFT] * 20)
    assert focused(browser) == "loss"
    seen = ["loss"]
    lives = sorted(n.name for n in traced.nodes if n.op or n.kind == "param")
    for _ in lives[1:]:
        browser.keys(RIGHT)
        seen.append(focused(browser))
        assert browser.step == 7 and browser.run(stops) == 1
    assert sorted(seen) == lives, "every node once"
    browser.keys(*[UP] * 20)
    assert focused(browser) == "loss"
    browser.keys(DOWN, DOWN, UP)
    assert focused(browser) == seen[1]
    browser.keys(TAB)
    assert focused(browser) is None
    browser.keys("g", ESCAPE)
    assert browser.run("return document.activeElement.id") == "tape"
    clean(browser)


def test_labels_keep_what_differs(browser, tmp_path):
    named = {
        f"{part}.{k}.{n}": p
        for part in ("encoder", "decoder")
        for k in range(2)
        for n, p in mg.nn.Linear(4, 4, rng=rng(k)).named_parameters()
    }
    for name, p in named.items():
        p.name = name
    x, ps = np.ones((2, 4)), list(named.values())
    for k in range(0, len(ps), 2):
        x = mg.tanh(x @ ps[k] + ps[k + 1])
    browser.open(write(tmp_path, mg.trace((x * x).sum())))
    labels = browser.run(
        "return [...document.querySelectorAll('.node.param .name')].map((e) => e.textContent)"
    )
    assert {"encod…0.weight", "encod…1.weight", "decod…0.weight"} <= set(labels)
    assert len(set(labels)) == len(named) == 8


def test_search_trouble_jump_and_links(browser, small, traced):
    browser.open(small)
    browser.keys("/", *"tanh", ENTER, ESCAPE)
    assert browser.step == 7 and browser.run("return location.hash") == "#s=7"
    browser.keys("n")
    assert "every check passed" in browser.text("#status")
    browser.run("location.hash = '#s=3'")
    assert browser.step == 3
    browser.run("location.hash = '#s=99'")
    assert browser.step == 3 and "step 99 does not exist: this pass has 1 to 9" in browser.text(
        "#status"
    )
    browser.keys("?")
    assert browser.run("return document.getElementById('keys').open")
    browser.keys(ESCAPE, RIGHT)
    assert browser.step == 4
    clean(browser)


def test_keys_with_modifiers_and_in_fields_are_left_alone(browser, small):
    from selenium.webdriver.common.action_chains import ActionChains

    browser.open(small, "#s=5")
    ActionChains(browser.driver).key_down("\ue009").send_keys("k").key_up("\ue009").send_keys(
        "/"
    ).send_keys("njp").perform()
    assert (
        browser.step == 5 and browser.run("return document.getElementById('search').value") == "njp"
    )
    assert (
        browser.run("return document.getElementById('predict').getAttribute('aria-pressed')")
        == "false"
    )


def test_a_name_is_shortened_where_it_says_least():
    names = ["encoder.0.weight", "decoder.0.weight", "b", "encoder.blocks.1.attention.key.weight"]
    names += ["encoder.blocks.2.attention.key.weight", "a_very_long_name_1", "a_very_long_name_2"]
    short = told_apart(names, 15)
    assert short["encoder.0.weight"] == "encode…0.weight" and short["b"] == "b"
    assert all(len(text) <= 15 for text in short.values())
    assert len(set(short.values())) == len(names)


# --- rules, in mathematics and in words -----------------------------------------------------------


def test_a_rule_is_a_formula():
    y = ["mover", ["mi", "y"], ["mo", "¯"]]
    x = ["mover", ["mi", "x"], ["mo", "¯"]]
    assert equation("x", "g / x") == ["math", x, ["mo", "="], ["mfrac", y, ["mi", "x"]]]
    assert equation("x", "-g * (a - (b - c))")[3] == [
        "mrow",
        ["mrow", ["mo", "−"], y],
        ["mo", "·"],
        ["mrow", ["mo", "("], ["mrow", ["mi", "a"], ["mo", "−"], ["mrow", ["mo", "("], ["mrow",
            ["mi", "b"], ["mo", "−"], ["mi", "c"]], ["mo", ")"]]], ["mo", ")"]],
    ]  # fmt: skip
    assert equation("A", "g @ swapaxes(B, -1, -2)")[3][3] == ["msup", ["mi", "B"], ["mi", "T"]]
    spread = "broadcast_to(reshape(g, kept(x.shape, axis)), x.shape)"
    assert equation("x", spread)[3] == ["mrow", y, ["mtext", ",\u00a0to each place"]]
    assert equation("x", "g * broadcast_to(x, s)")[3][3] == ["mi", "x"]
    assert equation("A", "rows(A + B) @ g")[3][1] == [
        "mrow",
        ["mo", "("],
        ["mrow", ["mi", "A"], ["mo", "+"], ["mi", "B"]],
        ["mo", ")"],
    ]
    assert equation("x", "g['<b>']")[3] == ["mtext", "g['<b>']"], "as it is"


def test_every_rule_of_every_op_is_a_formula():
    tags = "math mrow mi mn mo mtext mover msup msub msqrt mfrac mtable mtr mtd".split()

    def leaves(part):
        assert part[0] in tags
        for p in part[1:]:
            yield from [p] if isinstance(p, str) else leaves(p)

    for op in mg.ops.REGISTRY.values():
        for argument, rule in op.rules.items():
            if rule is not None:
                assert "=" in list(leaves(equation(argument, rule)))


def test_mathematics_first_then_code_and_a_reason_in_words(browser, small, traced):
    browser.open(small, "#s=7")
    formula = (
        "const m = document.querySelector('.rule math'); "
        "return [m.textContent, m instanceof MathMLElement]"
    )
    assert browser.run(formula) == ["x¯=y¯·(1−y2)", True]
    assert "dL/dx = g * (1 - y * y)" in browser.text("#body")
    assert "All of it came from matmul_2 (step 5), the one place where h was used." in browser.text(
        "#body"
    )
    browser.keys(END)
    parts = [c.added for s in traced.steps for c in s.contributions if c.to == "W"]
    k = np.unravel_index(int(np.argmax(np.abs(sum(parts)))), (4, 2))
    first, second, total = (f"{float(p[k]):.4g}" for p in (*parts, sum(parts)))
    assert (
        "W was used 2 times, and each use sent its part: transpose_1 (step 6) and matmul_1 (step 9)"
        f". Its largest entry, [{k[0]}, {k[1]}], is {first} from transpose_1 and {second} from "
        f"matmul_1: {total}."
    ) in browser.text("#body")
    clean(browser)


# --- faults and NaN -------------------------------------------------------------------------------


def test_failed_checks_and_nan_are_marked_and_found(browser, tmp_path):
    tanh = mg.ops.REGISTRY["tanh"]
    right, tanh.vjps[0] = tanh.vjps[0], lambda g, y, x: g * (1 + y * y)
    try:
        path = write(tmp_path, autoencoder())
    finally:
        tanh.vjps[0] = right
    browser.open(path)
    assert browser.texts(".row .tag.bad") == ["WRONG"]
    browser.keys("n")
    assert (
        browser.step == 7
        and "A check FAILED" in browser.text("#status")
        and "✗ DISAGREE" in browser.text("#body")
    )
    x = mg.tensor([0.0, 1.0], requires_grad=True, name="x")
    browser.open(write(tmp_path, mg.trace(mg.where(x > 0, mg.sqrt(x), 0.0).sum())))
    browser.keys("n")
    assert "NaN" in browser.text(".row[aria-selected=true]") and "NaN" in browser.text("#body")
    assert "NaN or Inf is made here\n\n0 · inf: the unchosen branch of where" in browser.text(
        "#body"
    )
    assert "made at step 3" in browser.text("#facts")
    with np.errstate(all="ignore"):
        browser.open(write(tmp_path, mg.trace((x * mg.log(x)).sum() * 2)))
    browser.keys("n")
    assert browser.step == 3 and "It is made at step 4." in browser.text("#body .card.trouble")
    browser.run("document.querySelector('#body .card.trouble button').click()")
    assert browser.step == 4 and "log of 0" in browser.text("#body .card.trouble")
    clean(browser)


# --- predict --------------------------------------------------------------------------------------


def ask(browser, path, step, number, shape, value):
    browser.open(path, f"#s={step}")
    browser.keys("p")
    browser.run("document.querySelectorAll('.ask input')[arguments[0]].focus()", 2 * number)
    browser.keys(*shape, TAB, *value, ENTER)
    return browser.texts(".verdict p")


def test_predict_hides_the_answer_and_judges_it(browser, small, traced):
    browser.open(small, "#s=8")
    browser.keys("p")
    assert "✓ agree at" not in browser.text("#body") and len(browser.texts("form")) == 2
    seen = (
        "const q = document.querySelector('.question form').getBoundingClientRect(); return "
        "[q.top, innerHeight - q.bottom]"
    )
    assert min(browser.run(seen)) >= 0, "the question is in view"
    c = traced.steps[7].contributions[1]
    k = int(np.argmax(np.abs(c.added)))
    right = f"{c.added[k]:.4g}"
    assert [v[0] for v in ask(browser, small, 8, 1, "2", right)[:2]] == ["✓", "✓"]
    assert "✓ agree" in browser.text("#body")
    wrong = ask(browser, small, 8, 1, "6, 2", f"{-c.added[k]:.4g}")
    assert "forgot to sum" in wrong[0] and "wrong sign" in wrong[1] and "0 of 2 right" in wrong[2]
    unsummed = ask(browser, small, 8, 1, "2", f"{c.raw[1, k]:.6g}")
    assert "forgot to sum" in unsummed[1]
    # tanh: what comes in, and the forward value, are no answers
    up = traced.steps[6].contributions[0]
    i = np.unravel_index(int(np.argmax(np.abs(up.added))), up.added.shape)
    assert (
        "the incoming gradient itself"
        in ask(browser, small, 7, 0, "6, 2", f"{up.incoming[i]:.6g}")[1]
    )
    value = np.reshape(traced.nodes[up.node].value["head"], (6, 2))
    assert "a forward value" in ask(browser, small, 7, 0, "6, 2", f"{value[i]:.6g}")[1]
    W = traced.steps[4].contributions[1]
    i = np.unravel_index(int(np.argmax(np.abs(W.added))), W.added.shape)
    assert "transposed" in ask(browser, small, 5, 1, "4, 2", f"{W.added[i]:.4g}")[0]
    clean(browser)


# --- limits ---------------------------------------------------------------------------------------


def test_two_thousand_steps(browser, long):
    assert long.stat().st_size < 5_000_000
    browser.open(long)
    # timed in benchmarks/bench_inspect.py
    assert browser.run("return Number(document.documentElement.dataset.ready)") < 5000
    browser.keys(END)
    assert (
        browser.step == 2000 and browser.run("return document.querySelectorAll('*').length") < 2000
    )
    assert browser.run("return document.querySelectorAll('.node').length") > 1, (
        "the neighbourhood is drawn"
    )
    browser.keys(LEFT, PGUP)
    assert browser.step == 1989
    clean(browser)


def test_the_whole_tape_by_keyboard(browser, tmp_path):
    browser.open(write(tmp_path, chain(400)))
    for _ in range(8):
        browser.keys(*[RIGHT] * 50)
    assert browser.step == 400
    browser.keys(RIGHT)
    assert browser.step == 400 and "Step 400 of 400" in browser.text("#status")


def test_suspicions_stand_on_top_and_only_where_there_are_any(browser, small, tmp_path):
    X, y = rng().standard_normal((5, 3)), mg.tensor(rng().standard_normal(5), name="<b>y</b>")
    w = mg.tensor(np.ones((3, 1)), requires_grad=True, name="w")
    trace = mg.trace(((X @ w - y) ** 2).mean())
    for dark, width in [(False, 1280), (True, 320)]:
        browser.open(write(tmp_path, trace), dark=dark, width=width)
        (said,) = browser.texts("#suspicions li")
        assert said == trace.suspicions[0] and "(5, 1) against <b>y</b> (5,)" in said
        assert browser.run("return document.documentElement.scrollWidth") <= width
        assert browser.violations() == []
        clean(browser)
    browser.open(small)
    assert browser.texts("#suspicions") == []


def test_what_is_left_out_is_said_in_a_banner(browser, tmp_path):
    browser.open(write(tmp_path, chain(300, max_steps=40)))
    assert re.search(r"showing \d+ of 300 steps: .*first and last", browser.text("#banner"))
    text = page(chain(300), cap=150_000)
    assert len(text.encode()) <= 150_000
    path = tmp_path / "capped.html"
    path.write_text(text, encoding="utf-8")
    browser.open(path)
    assert re.search(r"showing \d+ of 300 steps", browser.text("#banner")) and browser.step == 1
    browser.keys(END)
    assert browser.step == 300
    browser.run("location.hash = '#s=150'")
    assert "was not kept" in browser.text("#status")
    clean(browser)
