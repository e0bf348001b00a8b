"""The picture, the layout and what Jupyter shows."""

from __future__ import annotations

import hashlib
import html
import re

import matplotlib
import numpy as np
import pytest
import zoo
from helpers import nonfinite_numbers

import minigrad_ae as mg
from minigrad_ae.errors import DataError
from minigrad_ae.inspect.render.blocks import fold
from minigrad_ae.inspect.render.layout import arrange, layers

pytestmark = nonfinite_numbers
EVIL = "$\\frac{1}$<img src=x onerror=alert(1)>"


def network(depth=3, name="W"):
    rng = np.random.default_rng(0)
    h = x = rng.normal(size=(6, 4))
    for k in range(depth):
        W = mg.tensor(rng.normal(size=(4, 4)) / 2, requires_grad=True, name=f"{name}{k}")
        b = mg.tensor(np.zeros(4), requires_grad=True, name=f"b{k}")
        h = mg.tanh(h @ W + b)
        h = h * 1.01
    return ((h - x) ** 2).sum()


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


# --- layout ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(zoo.ZOO))
def test_nothing_overlaps_and_gradients_flow_down(name):
    trace = mg.trace(zoo.make(name), numeric=False)
    nodes = [n.id for n in trace.nodes]
    edges = [(n.id, p) for n in trace.nodes for p in n.parents]
    layout = arrange(nodes, edges)
    assert all(layout.layer[a] < layout.layer[b] for a, b in edges)
    rows = {}
    for n in nodes:
        rows.setdefault(layout.layer[n], []).append(layout.x[n])
    for row in rows.values():
        assert np.all(np.diff(np.sort(row)) > 1 - 1e-9)
    assert arrange(nodes, edges) == layout and min(layout.x.values(), default=0) >= 0


def test_a_long_chain_is_layered_without_recursion():
    assert layers(range(20_000), [(k + 1, k) for k in range(19_999)])[0] == 19_999


# --- picture --------------------------------------------------------------------------------------


def test_the_picture_has_names_values_gradients_shapes_and_fan_out(tmp_path):
    loss = network(2)
    trace = mg.trace(loss)
    trace.png(tmp_path / "a.svg")
    trace.png(tmp_path / "b.svg")
    svg = (tmp_path / "a.svg").read_text(encoding="utf-8")
    for words in ("W0", "4×4", "|v| ", "|g| ", "×2", "tanh", f"loss = {loss.item():.6g}"):
        assert words in svg, words
    assert svg == (tmp_path / "b.svg").read_text(encoding="utf-8"), (
        "the same trace gives the same bytes"
    )
    assert svg.count("stroke-dasharray") == 2 * 2, (
        "line and head of two arrows: the biases were stretched"
    )
    trace.png(tmp_path / "a.png")
    trace.png(tmp_path / "b.png")
    assert digest(tmp_path / "a.png") == digest(tmp_path / "b.png")
    with pytest.raises(DataError, match="unknown kind"):
        trace.png(tmp_path / "a.xyz")


def test_the_picture_is_the_same_in_any_style_of_the_reader(tmp_path):
    trace = mg.trace(network(2))
    trace.png(tmp_path / "a.svg")
    style = {"figure.constrained_layout.use": True, "lines.linewidth": 7, "font.size": 30}
    with matplotlib.rc_context(style):  # a warning would be an error here
        trace.png(tmp_path / "b.svg")
    assert digest(tmp_path / "a.svg") == digest(tmp_path / "b.svg")


def test_nan_and_wrong_rules_are_written_out(tmp_path):
    x = mg.tensor([0.0, 1.0], requires_grad=True, name="x")
    mg.trace(mg.log(x).sum()).png(tmp_path / "n.svg")
    svg = (tmp_path / "n.svg").read_text(encoding="utf-8")
    assert "|v| Inf" in svg and svg.count("<pattern") >= 1, "said and hatched"


@pytest.mark.parametrize(("depth", "words"), [(5, ""), (20, "line"), (60, "repetitions")])
def test_large_graphs_are_folded(depth, words, tmp_path):
    record = mg.trace(network(depth), numeric=False).record()
    blocks, said = fold(record, 60)
    assert len(blocks) <= 60 and words in said
    assert all(x in blocks and x < b.id for b in blocks.values() for x in b.inputs), (
        "no cycle, no loose end"
    )
    ops = sum(int(m.group(1)) for b in blocks.values() if (m := re.match(r"(\d+) ops?", b.note)))
    assert not said or ops == len(record["steps"])
    if depth == 60:
        assert any(b.name.endswith("× 60") for b in blocks.values())


def test_a_model_is_folded_by_its_layers(tmp_path):
    rng = np.random.default_rng(0)
    model = mg.nn.VisionTransformer((8, 8), 2, width=8, depth=4, heads=2, rng=rng)
    loss = (model(rng.normal(size=(2, 8, 8))) ** 2).sum()
    record = mg.trace(loss, numeric=False, scope={"model": model}).record()
    for most, expected in ((60, "model.blocks.3.attention"), (20, "model.blocks.3")):
        blocks, said = fold(record, most)
        assert (
            "one layer" in said
            and len(blocks) <= most
            and expected in {b.name for b in blocks.values()}
        )
        assert all(x in blocks and x < b.id for b in blocks.values() for x in b.inputs)
    ops = [re.match(r"(\d+) ops?, (\d+) params?", b.note) for b in blocks.values()]
    assert sum(int(m.group(2)) for m in ops if m) == sum(
        n["kind"] == "param" for n in record["nodes"]
    )


def test_many_different_lines_are_folded_too():
    space = {"mg": mg, "y": mg.tensor(1.0, requires_grad=True)}
    exec(compile("\n".join(["y = y + 1.0"] * 200), "long.py", "exec"), space)
    blocks, said = fold(mg.trace(space["y"], numeric=False).record(), 60)
    assert len(blocks) <= 60 and "neighbouring" in said


def test_hostile_names_are_only_text(tmp_path):
    mg.trace(network(1, EVIL)).png(tmp_path / "e.svg")
    assert "<img" not in (tmp_path / "e.svg").read_text(encoding="utf-8")


# --- Jupyter --------------------------------------------------------------------------------------


def test_tensors_show_their_numbers():
    t = mg.tensor([[1.0, np.nan], [-np.inf, 0.25]], requires_grad=True, name=EVIL)
    shown = t._repr_html_()
    assert "<img" not in shown and html.escape(repr(EVIL)) in shown
    assert (
        ">1</td>" in shown
        and ">NaN</td>" in shown
        and ">-Inf</td>" in shown
        and "<b>1 NaN</b>" in shown
    )
    assert "+965 more" in mg.tensor(np.zeros((10, 100)))._repr_html_()
    for shape in ((), (0,), (3,), (2, 3, 4), (0, 3)):
        assert "<table>" in mg.tensor(np.ones(shape))._repr_html_()


def test_modules_certificates_and_traces():
    model = mg.models.LinearAutoencoder(4, 2, rng=np.random.default_rng(0))
    shown = model._repr_html_()
    assert "none yet" in shown and "encoder.weight" in shown and "decoder.bias" in shown
    loss = model.loss(np.eye(4))
    loss.backward()
    assert "none yet" not in model._repr_html_()
    model.fit(np.random.default_rng(1).normal(size=(20, 4)))
    assert (
        "PCA certificate: "
        in mg.certify_pca(model, np.random.default_rng(1).normal(size=(20, 4)))._repr_html_()
    )
    frame = mg.trace(model.loss(np.eye(4)))._repr_html_()
    assert (
        frame.startswith("<iframe") and 'sandbox="allow-scripts"' in frame and frame.count("<") == 2
    )
