"""The program of a compiled step on the page: its lines, what they cost, where they come from."""

from __future__ import annotations

import numpy as np
import pytest
from browser import clean
from helpers import rng
from zoo import FEATURES, MODELS, model_and_loss

import minigrad_ae as mg
from minigrad_ae.errors import DataError, DtypeError, GradientError
from minigrad_ae.inspect.render.listing_pane import nodes_of, pane
from minigrad_ae.program.listing import Story

DOWN, UP, HOME, END = "\ue015", "\ue013", "\ue011", "\ue010"
WITHOUT_LOSS = ("VisionTransformer", "VisionClassifier", "MaskedDecoder")  # of data alone


def stepped():
    """(a compiled step, its argument, the loss on the tape); two buffers are used again."""
    generator = rng()
    X = generator.normal(size=(6, 4))
    W = mg.tensor(generator.normal(size=(4, 4)), requires_grad=True, name="W")
    b = mg.tensor(generator.normal(size=4), requires_grad=True, name="b")

    def loss(x):
        h = mg.tanh(x @ W + b)
        return 0.5 * ((mg.tanh(h @ W.T) - x) ** 2).sum()

    step = mg.compile(loss)
    step(X), step(X)
    return step, X, loss(X)


@pytest.fixture(scope="module")
def compiled_step():
    return stepped()


@pytest.fixture(scope="module")
def shown(compiled_step, tmp_path_factory):
    """(the page, what it is to show)."""
    step, X, loss = compiled_step
    path = tmp_path_factory.mktemp("program") / "page.html"
    t, profile = mg.trace(loss), step.program.profile(X, rounds=3)
    t.html(path, program=profile)
    return path, t, step.program, profile


# --- where a line comes from ----------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in MODELS if n not in WITHOUT_LOSS])
def test_every_node_is_found_in_the_program_of_every_model(name):
    model, _ = model_and_loss(name)
    X = rng(4).random((2, 16) if name == "MaskedAutoencoder" else (7, FEATURES))
    step = mg.compile(lambda x, r: model.loss(x, rng=r))
    step(X, rng(11))
    t = mg.trace(model.loss(X, rng=rng(11)), numeric=False)
    story = step.program.story
    found = nodes_of(t, story)
    assert {n.id for n in t.nodes if n.op} <= set(found.values())
    for value, (op, _) in story.made.items():
        if value in found and t.nodes[found[value]].op:
            node = t.nodes[found[value]]
            assert (op, story.arrays[value].shape) == (node.op, node.shape)
    senders = {line.of for line in story.lines[story.boundary :] if line.kind != "constant"}
    assert senders <= set(found)


def test_equal_shapes_and_ops_are_told_apart():
    a, b = (mg.tensor(rng(k).normal(size=3), requires_grad=True, name="ab"[k]) for k in (0, 1))

    def loss():
        return (mg.tanh(b) - mg.tanh(a)).sum()

    step = mg.compile(loss)
    step()
    t = mg.trace(loss())
    story, found = step.program.story, nodes_of(t, step.program.story)
    for value, (op, inputs) in story.made.items():
        if op == "tanh":
            (given,) = (t.nodes[p].name for p in t.nodes[found[value]].parents)
            assert inputs == (given,)


def test_what_is_not_a_program_of_this_loss_is_refused(compiled_step, tmp_path):
    step, _, loss = compiled_step
    x = mg.tensor([1.0, 2.0], requires_grad=True, name="x")
    fresh = mg.compile(lambda: (x * x).sum())
    t, path = mg.trace(loss), tmp_path / "page.html"
    with pytest.raises(DataError, match="was not called") as error:
        t.html(path, program=fresh)
    assert "call the step once" in str(error.value)
    with pytest.raises(DataError, match="made by mul, the traced one by sum"):
        mg.trace((x * x).sum()).html(path, program=step)
    with pytest.raises(DtypeError, match="got a list"):
        t.html(path, program=[])
    x.register_hook(lambda g: g)
    lost = mg.compile(lambda: (x * x).sum())
    with pytest.warns(UserWarning, match="stays on the tape"):
        lost()
    with pytest.raises(DataError, match="stays on the tape: a tensor has a hook"):
        t.html(path, program=lost)
    assert not path.exists()


# --- what is shown --------------------------------------------------------------------------------


def test_lines_are_those_of_the_source_with_what_the_profile_says(shown):
    _, t, program, profile = shown
    told = pane(t, profile)
    statements = [line["t"] for line in told["lines"]]
    source = program.source
    assert all(f"\n    {text}\n" in source for text in statements)
    assert [row["lines"] for row in told["rows"]] == [list(row.lines) for row in profile.rows]
    assert np.isclose(sum(row["us"] for row in told["rows"]), 1e6 * profile.seconds)
    assert np.isclose(sum(row["share"] for row in told["rows"]), 1)
    for k, block in enumerate(told["blocks"], start=1):
        assert f"block_{k} = np.empty({block['size']}, np.uint8)" in source
        for i in block["lines"]:
            name = statements[i].split("[...]")[0]
            assert f"\n{name} = np.ndarray(" in source
            assert f"block_{k}" in source.split(f"\n{name} = np.ndarray(")[1].split("\n")[0]
    assert max(len(block["lines"]) for block in told["blocks"]) > 1, "some memory is used again"
    untimed = pane(t, program)
    assert "us" not in untimed["rows"][0] and "Not timed" in untimed["facts"]
    kept = ("lines", "flops", "bytes")
    assert [[r[k] for k in kept] for r in untimed["rows"]] == [
        [r[k] for k in kept] for r in told["rows"]
    ]


def test_what_cannot_be_written_as_numpy_is_shown_as_it_was_planned(monkeypatch):
    def refuse(story):
        raise GradientError("source: a line cannot be written", "no source", "write a def")

    monkeypatch.setattr(Story, "write", refuse)
    step, _, loss = stepped()
    told = pane(mg.trace(loss), step)
    planned = step.program.lines
    assert [line["t"] for line in told["lines"]] == [f"{p.label}  # {p.shape}" for p in planned]
    assert told["rows"] == [] and max(line["n"] for line in told["lines"]) > 0


# --- in the browser -------------------------------------------------------------------------------


def marked(browser, cls):
    """The numbers of the lines of a class, from 0."""
    return browser.run(
        "return [...document.querySelectorAll('.line')].flatMap((e, i) => "
        f"e.classList.contains('{cls}') ? [i] : [])"
    )


def chosen(browser):
    return browser.run(
        "return [...document.querySelectorAll('.line')].findIndex((e) => "
        "e.getAttribute('aria-selected') === 'true')"
    )


def test_a_line_and_its_node_mark_each_other(browser, shown):
    path, t, program, profile = shown
    told = pane(t, profile)
    browser.open(path)
    assert len(browser.texts(".line")) == len(program.lines)
    assert f"{1e6 * profile.seconds:.1f} µs a step" in browser.text("#program-facts")
    steps = {s.node.id: s.k for s in t.steps}
    for i, line in enumerate(told["lines"]):
        browser.run("document.getElementById(`line-${arguments[0]}`).click()", i)
        assert chosen(browser) == i
        if line["n"] in steps:
            assert browser.step == steps[line["n"]]
            same = [k for k, other in enumerate(told["lines"]) if other["n"] == line["n"]]
            assert marked(browser, "here") == same
            here = browser.run("return document.querySelector('.node.here').dataset.node")
            assert int(here) == line["n"]
        elif line["n"] >= 0:
            linked = browser.run("return document.querySelector('.node.linked').dataset.node")
            assert int(linked) == line["n"]
    for node, k in steps.items():
        click = "document.querySelector(`.node[data-node='${arguments[0]}']`).dispatchEvent("
        browser.run(f"{click}new MouseEvent('click', {{bubbles: true}}))", node)
        assert browser.step == k and marked(browser, "here")
        assert told["lines"][chosen(browser)]["n"] == node
    clean(browser)


def test_the_memory_that_lines_share_is_seen(browser, shown):
    path, t, program, _ = shown
    blocks = pane(t, program)["blocks"]
    number, block = next((k, b) for k, b in enumerate(blocks, 1) if len(b["lines"]) > 1)
    browser.open(path)
    first, *rest = block["lines"]
    browser.run("document.getElementById(`line-${arguments[0]}`).click()", first)
    assert marked(browser, "shares") == rest
    words = browser.text("#shared")
    assert f"Line {first + 1} writes to block {number}, {block['size']:,} bytes" in words
    assert all(str(k + 1) in words for k in rest) and "at another time" in words


def test_the_lines_by_keyboard_alone(browser, shown):
    path, _, program, _ = shown
    browser.open(path)
    browser.keys("l", HOME)
    assert browser.run("return document.activeElement.id") == "lines"
    walked = [chosen(browser)]
    for _ in program.lines[1:]:
        browser.keys(DOWN)
        walked.append(chosen(browser))
        seen = (
            "const a = document.getElementById(`line-${arguments[0]}`).getBoundingClientRect(), "
            "b = document.getElementById('lines').getBoundingClientRect(); "
            "return a.top >= b.top - 1 && a.top < b.bottom"
        )
        assert browser.run(seen, walked[-1])
        named = "return document.getElementById('lines').getAttribute('aria-activedescendant')"
        assert browser.run(named) == f"line-{walked[-1]}"
    assert walked == list(range(len(program.lines)))
    browser.keys(DOWN, UP)
    assert chosen(browser) == len(program.lines) - 2
    browser.keys(END)
    assert chosen(browser) == len(program.lines) - 1
    browser.keys("j")  # every other key is the page's
    assert browser.step > 0 and browser.run("return document.activeElement.id") == "lines"
    clean(browser)


@pytest.mark.parametrize(("width", "dark"), [(1700, 0), (1300, 1), (900, 0), (320, 0), (320, 1)])
def test_everybody_can_use_it(browser, shown, width, dark):
    browser.open(shown[0], "#s=4", width=width, dark=dark)
    browser.keys("l", DOWN)
    assert browser.violations() == []
    assert browser.run("return document.documentElement.scrollWidth") <= width
    over = (
        "return [...document.querySelectorAll('#program *')].filter((e) => "
        "e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 90))"
    )
    assert browser.run(over) == []


def test_without_script_it_is_a_table(shown):
    report = shown[0].read_text(encoding="utf-8").split('<pre tabindex="0">')[1]
    assert "of roof" in report and "us a step; the roof:" in report


def test_without_a_program_there_is_no_pane(browser, small):
    browser.open(small)
    assert browser.run("return document.getElementById('program').hidden")
    browser.keys("l")
    assert browser.step == 1
    clean(browser)
