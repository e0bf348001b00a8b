"""Wrong use of what looks at gradients: three lines, of the right class, naming what came in."""

from __future__ import annotations

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae.errors import DataError, DtypeError, FileError, GradientError

LOOKERS = {
    "trace": mg.trace,
    "backward_steps": mg.backward_steps,
    "emit_numpy": mg.emit_numpy,
    "why": lambda loss: mg.why(mg.tensor(1.0, requires_grad=True), loss),
}


def w():
    return mg.tensor([1.0, 2.0], requires_grad=True, name="w")


@pytest.mark.parametrize("name", LOOKERS)
@pytest.mark.parametrize("thing", [5, None, np.ones(2), "loss"], ids=str)
def test_what_is_no_tensor(name, thing):
    with pytest.raises(DtypeError) as caught:
        LOOKERS[name](thing)
    what, got, fix = str(caught.value).split("\n")
    assert (
        what == f"{name}: the loss is not a tensor"
        and type(thing).__name__ in got
        and f"mg.{name}" in fix
    )


@pytest.mark.parametrize("name", LOOKERS)
def test_what_is_no_scalar(name):
    with pytest.raises(
        GradientError,
        match=rf"{name}: the loss is not a scalar\n  shape \(2,\), from mul at .*\n  fix: reduce",
    ):
        LOOKERS[name](w() * 2)


def test_check_graph_needs_a_tensor():
    with pytest.raises(DtypeError, match="check_graph: the loss is not a tensor"):
        mg.check_graph(np.ones(2))


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"max_steps": 0}, "max_steps must be a whole number, at least 1\n  got 0"),
        ({"arrays": -1}, "arrays must be a whole number, at least 0\n  got -1"),
    ],
)
def test_settings_of_a_trace(settings, wanted):
    with pytest.raises(DataError, match=f"trace: {wanted}"):
        mg.trace(w().sum(), **settings)


def test_a_step_is_a_whole_number():
    with pytest.raises(DtypeError, match="step must be a whole number\n  got 'two'"):
        mg.trace(w().sum()).text(step="two")


@pytest.mark.parametrize("name", ["html", "json", "png"])
def test_files_that_cannot_be_written(name, tmp_path):
    path = tmp_path / "none" / f"file.{name}"
    with pytest.raises(FileError) as caught:
        getattr(mg.trace(w().sum()), name)(path)
    what, where, fix = str(caught.value).split("\n")
    assert (
        "cannot be written" in what
        and f"{path}: No such file" in where
        and "existing folder" in fix
    )
    assert not path.parent.exists()


def test_what_was_typed_at_a_prompt_has_a_line_but_no_text():
    space = {"mg": mg}
    text = "w = mg.tensor([1.0, 2.0], requires_grad=True)\nd = w.detach()\nloss = (w * 0).sum()"
    exec(compile(text, "<typed>", "exec"), space)
    assert mg.why(space["w"], space["loss"]).endswith("(mul at <typed>:3)")
    assert mg.why(space["d"], space["loss"]).endswith("this tensor was detached at <typed>:2")
    assert "at       <typed>:3\n" in mg.trace(space["loss"]).text(step=1)
