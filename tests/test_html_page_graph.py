"""The pane of the graph: fit, zoom and drag; modules that fold."""

from __future__ import annotations

import json

import drag
import numpy as np
import pytest
from browser import chain, clean, write
from helpers import rng

import minigrad_ae as mg
from minigrad_ae.inspect.render.placing import DRAWN, drawing, modules, shown_nodes

LEFT, RIGHT, ENTER, ESCAPE = "\ue012", "\ue014", "\ue007", "\ue00c"


@pytest.fixture(scope="module")
def masked():
    """The trace of a masked autoencoder: 63 ops, most of them called linear_1 ... linear_27."""
    model = mg.models.MaskedAutoencoder(rng=rng())
    return mg.trace(model.loss(rng().random((1, 64)), rng=rng(1)), numeric=False)


@pytest.fixture(scope="module")
def deep(tmp_path_factory, masked):
    path = tmp_path_factory.mktemp("page") / "page.html"
    masked.html(path)
    return path


# --- placed in Python (no browser needed) ---------------------------------------------------------


def test_modules_share_no_node_and_have_every_op(masked):
    shown = shown_nodes(masked.nodes)
    groups = modules(masked.nodes, shown)
    members = [m for _, of in groups for m in of]
    assert len(members) == len(set(members))
    assert {n.id for n in shown if n.op} <= set(members)
    for name, of in groups:
        assert all(
            masked.nodes[m].name.startswith(name) for m in of if masked.nodes[m].kind == "param"
        )
    assert [name for name, _ in groups][:3] == [
        "encoder.embedding.project",
        "encoder.embedding",
        "encoder.blocks.0",
    ]


def test_each_drawing_has_one_module_unfolded_and_a_box_for_each_other(masked):
    told = drawing(masked.nodes)["groups"]
    everything = {n.id for n in shown_nodes(masked.nodes)}
    of = [set(module["of"]) for module in told["modules"]]
    for k, layout in enumerate(told["layouts"]):
        boxes = [box for box, _, _ in layout["boxes"]]
        assert {-j - 1 for j in range(len(of)) if j != k} == {b for b in boxes if b < 0}
        assert {b for b in boxes if b >= 0} == of[k] | (everything - set.union(*of))
        assert len({(layer, x) for _, layer, x in layout["boxes"]}) == len(boxes), "none on another"


def test_without_paths_there_are_no_modules(traced):
    assert drawing(traced.nodes)["groups"] is None


# --- in the browser -------------------------------------------------------------------------------


def moved(browser):
    return browser.run(
        "const { e, f } = new DOMMatrix(document.querySelector('.graph').style.transform); "
        "return [e, f, document.querySelector('.graph').getBoundingClientRect().width]"
    )


def pull(browser, *way):
    """Press on the box after the current one, go the way, release."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By

    box = browser.driver.find_element(By.CSS_SELECTOR, ".node.here ~ .node.op rect")
    chain = ActionChains(browser.driver, duration=20).move_to_element(box).click_and_hold()
    for dx, dy in way:
        chain.move_by_offset(dx, dy)
    chain.release().perform()


def test_a_drag_moves_the_picture_and_is_no_click(browser, small):
    browser.open(small, "#s=5")
    x, y, width = moved(browser)
    before = browser.run("return document.querySelector('.graph').outerHTML")
    pull(browser, (20, -10), (20, -20))
    assert moved(browser) == [x + 40, y - 30, width] and browser.step == 5
    after = browser.run("return document.querySelector('.graph').outerHTML")
    assert before.replace(f"translate({x:g}px, {y:g}px)", "") == after.replace(
        f"translate({x + 40:g}px, {y - 30:g}px)", ""
    ), "nothing else has changed"
    pull(browser, (1, 1))
    assert browser.step == 4, "an unsteady hand clicks all the same"
    clean(browser)


def test_zoom_by_buttons_keys_and_wheel_and_fit(browser, deep):
    browser.open(deep, "#s=20")
    widths = [moved(browser)[2]]
    wheel = (
        "document.getElementById('graph').dispatchEvent(new WheelEvent('wheel', "
        "{deltaY: -100, clientX: 400, clientY: 400, cancelable: true}))"
    )
    for action in (
        lambda: browser.run("document.getElementById('zoom-in').click()"),
        lambda: browser.keys("+"),
        lambda: browser.run(wheel),
    ):
        action()
        widths.append(moved(browser)[2])
    assert widths == sorted(set(widths)), "larger each time"
    browser.keys("-")
    assert moved(browser)[2] < widths[-1]
    browser.keys("0")
    inside = (
        "const a = document.querySelector('.graph').getBoundingClientRect(), "
        "b = document.getElementById('graph').getBoundingClientRect(); "
        "return a.left >= b.left - 1 && a.right <= b.right + 1 && a.top >= b.top - 1 "
        "&& a.bottom <= b.bottom + 1"
    )
    assert browser.run(inside), "all of it is seen"
    clean(browser)


def test_two_fingers_zoom(browser, small):
    browser.open(small)
    width = moved(browser)[2]
    touch = browser.driver.execute_cdp_cmd
    for kind, points in [
        ("touchStart", [(450, 400), (500, 400)]),
        ("touchMove", [(440, 400), (510, 400)]),
        ("touchMove", [(400, 400), (550, 400)]),
        ("touchEnd", []),
    ]:
        told = {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]}
        touch("Input.dispatchTouchEvent", told)
    assert moved(browser)[2] > 1.5 * width and browser.step == 1
    clean(browser)


def test_what_is_walked_to_is_seen(browser, deep):
    seen = (
        "const a = document.querySelector('.node.here').getBoundingClientRect(), "
        "b = document.getElementById('graph').getBoundingClientRect(); "
        "return a.top >= b.top && a.bottom <= b.bottom && a.left >= b.left && a.right <= b.right"
    )
    for width in (1300, 320):
        browser.open(deep, width=width, height=700)
        for _ in range(21):
            assert browser.run(seen), browser.step
            browser.keys(RIGHT, RIGHT, RIGHT)
    assert browser.step == 63
    clean(browser)


def names(browser, selector):
    return browser.run(
        "return [...document.querySelectorAll(arguments[0] + ' .name')].map((e) => e.textContent)",
        selector,
    )


def test_modules_fold_but_for_the_one_of_the_step(browser, deep):
    browser.open(deep, "#s=20")
    assert len(names(browser, ".node.module")) == 10
    assert {"contract", "expand", "contract.bias"} <= set(names(browser, ".node:not(.module)"))
    title = "return document.querySelector('.node.module title').textContent"
    assert "a module" in browser.run(title) and "Enter unfolds it" in browser.run(title)
    browser.keys("g", *[LEFT] * 30, ENTER)
    assert browser.step == 1 and "decoder.head" not in names(browser, ".node.module")
    marks = browser.run(
        "return [...document.querySelectorAll('.node.module .mark')].map((e) => e.textContent)"
    )
    assert set(marks) == {""}, "nothing is done yet"
    browser.keys(ESCAPE, "f")
    assert names(browser, ".node.module") == [] and len(names(browser, ".node")) > 100
    browser.keys("f")
    assert len(names(browser, ".node.module")) == 10
    clean(browser)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1300, 320])
def test_axe_finds_nothing_on_folded_modules(browser, deep, width, dark):
    browser.open(deep, "#s=20", width=width, dark=dark)
    assert browser.violations() == []
    assert browser.run("return document.documentElement.scrollWidth") <= width


def test_on_a_phone_the_graph_stays_beside_the_cards(browser, small):
    browser.open(small, "#s=5", width=320, height=640)
    browser.run("scrollTo(0, 900)")
    top = "return document.getElementById(arguments[0]).getBoundingClientRect().top"
    assert 0 <= browser.run(top, "graph") < 120 and browser.run(top, "cards") < 0


def test_a_graph_is_drawn_whole_up_to_its_limit(browser, tmp_path):
    browser.open(write(tmp_path, chain(DRAWN - 2)))
    assert len(names(browser, ".node")) == DRAWN - 1
    browser.open(write(tmp_path, chain(DRAWN + 2)))
    assert len(names(browser, ".node")) < 10
    assert "within two edges" in browser.text("#partial")
    assert np.isfinite(moved(browser)).all()
    clean(browser)


def test_what_a_drag_costs_was_measured_and_is_little():
    told = json.loads(drag.RESULT.read_text(encoding="utf-8"))
    assert told["nodes"] == 500 and told["moves"] == drag.MOVES
    assert told["ms_a_move"]["median"] <= drag.EVENT and told["longest_task_ms"] <= drag.TASK
    assert told["steps_10000"]["step"] == 10_000 and told["steps_10000"]["ms_a_key"] <= drag.KEY
