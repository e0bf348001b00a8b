"""A program as text: a NumPy module that gives the numbers of the tape, and its lines."""

from __future__ import annotations

import numpy as np
import pytest
from random_graphs import grown, leaves
from zoo import FEATURES, MODELS, model_and_loss

import minigrad_ae as mg

WITHOUT_LOSS = ("VisionTransformer", "VisionClassifier", "MaskedDecoder")  # of data alone


def tape(params, function, arguments):
    """The loss, and {parameter: gradient}."""
    for p in params:
        p.grad = None
    loss = function(*arguments())
    loss.backward()
    return loss.item(), {p: p.grad.copy() for p in params if p.grad is not None}


def read(step, arguments):
    """What the program's text gives: the loss, and {parameter: gradient}."""
    module = {}
    exec(step.program.source, module)
    first, _ = module["step"](*arguments(), **step.program.arrays)
    first = first.copy()
    loss, gradients = module["step"](*arguments(), **step.program.arrays)
    np.testing.assert_array_equal(loss, first)  # its arrays are used again
    leaves = {id(step.program.arrays[name]): g for name, g in gradients.items()}
    return loss, {p: leaves[id(p.data)] for p in step.program.gradients}


def model_step(name):
    """(parameters, loss(x, rng), arguments()) of a model."""
    model, _ = model_and_loss(name)
    shape = (2, 16) if name == "MaskedAutoencoder" else (7, FEATURES)

    def arguments():
        return np.random.default_rng(4).random(shape), np.random.default_rng(11)

    params = [p for p in model.parameters() if p.requires_grad]
    return params, lambda x, rng: model.loss(x, rng=rng) / len(x), arguments


@pytest.mark.parametrize("name", [n for n in MODELS if n not in WITHOUT_LOSS])
def test_the_text_of_every_model_gives_the_numbers_of_the_tape(name):
    params, loss, arguments = model_step(name)
    step = mg.compile(loss)
    step(*arguments())
    value, gradients = tape(params, loss, arguments)
    found, by_text = read(step, arguments)
    # a few hundred roundings, of numbers of the size of the largest one
    np.testing.assert_allclose(found, value, rtol=1e-13)
    assert by_text.keys() == gradients.keys()
    for p, g in gradients.items():
        np.testing.assert_allclose(by_text[p], g, rtol=1e-12, atol=1e-13 * np.abs(g).max())


@pytest.mark.parametrize("number", range(0, 40, 8))
def test_the_text_of_numpys_lines_gives_the_same_bits(number):
    start = leaves(number)
    with mg.kernels.use("numpy"):
        step = mg.compile(lambda: grown(number, start))
        step()
        value, gradients = tape(start, step.function, lambda: ())
        found, by_text = read(step, lambda: ())
    np.testing.assert_array_equal(found, value)
    assert by_text.keys() == gradients.keys()
    for p, g in gradients.items():
        np.testing.assert_array_equal(by_text[p], g)


def test_the_text_shows_which_arrays_share_memory():
    W = mg.tensor(np.eye(3), requires_grad=True, name="W")

    def loss(x):
        for _ in range(3):
            x = mg.tanh(x @ W)
        return (x * x).sum()

    step = mg.compile(loss)
    step(np.ones((5, 3)))
    module = {}
    exec(step.program.source, module)
    blocks = {name: block for name, block in module.items() if name.startswith("block_")}
    arrays = [a for a in module.values() if isinstance(a, np.ndarray) and a.base is not None]
    assert len(blocks) < len(arrays)
    assert {id(a.base) for a in arrays} == {id(b) for b in blocks.values()}


def test_lines_of_the_function_itself_are_in_the_text():
    W = mg.tensor(np.ones(3), requires_grad=True, name="W")

    def loss(x, rng):
        order = np.argsort(x[:, 0])[::-1]
        noisy = x[order] + rng.normal(0.0, 0.1, size=x.shape)
        return ((noisy * W).sum() + x.max()) / (2 if x.min() > 0 else 1)

    step = mg.compile(loss)

    def arguments():
        return np.random.default_rng(1).random((4, 3)), np.random.default_rng(2)

    step(*arguments())
    value, gradients = tape([W], loss, arguments)
    found, by_text = read(step, arguments)
    np.testing.assert_allclose(found, value, rtol=1e-15)
    np.testing.assert_array_equal(by_text[W], gradients[W])
    for text in ("def step(x, rng, W):", "rng.normal(", "np.argsort(", "assert bool("):
        assert text in step.program.source


# --- what lines cost ------------------------------------------------------------------------------


def products():
    """A step of two products and a tanh: (W, the step, its argument)."""
    W = mg.tensor(np.random.default_rng(0).normal(size=(4, 3)), requires_grad=True, name="W")
    step = mg.compile(lambda x, rng: (mg.tanh(x @ W) * rng.normal(size=(5, 3))).sum())
    return W, step, np.ones((5, 4))


def test_operations_and_bytes_are_counted_from_the_shapes():
    _, step, x = products()
    with mg.kernels.use("numpy"):
        step(x, np.random.default_rng(0))
        text = str(step.program).splitlines()
    spent = {line.split(" = ")[0]: line.split(", ")[-2:] for line in text if " flops" in line}
    assert spent["x"] == ["0 flops", "320 bytes"]  # 20 numbers read, 20 written
    assert spent["matmul_1"] == ["120 flops", "376 bytes"]  # 2 * 5 * 4 * 3; 20 + 12 + 15 numbers
    assert spent["tanh_1"] == ["15 flops", "240 bytes"]
    assert spent["loss"] == ["15 flops", "128 bytes"]
    assert spent["grad_matmul_1"] == ["45 flops", "360 bytes"]  # g * (1 - y * y)
    assert spent["grad_W"] == ["120 flops", "376 bytes"]


def test_a_sum_that_is_read_in_slices_counts_its_slices():
    x = mg.tensor(np.ones((6, 4)), requires_grad=True, name="x")
    step = mg.compile(lambda: (x[:, :1] * x[:, 1:2]).sum())
    with mg.kernels.use("numpy"):
        step()
        lines = [line for line in str(step.program).splitlines() if line.startswith("grad_x = ")]
    assert "6 flops" not in lines[0] and "24 flops" in lines[1]  # the sum of both


def test_a_profile_times_every_line_and_changes_nothing():
    W, step, x = products()
    rng = np.random.default_rng(1)
    step(x, rng)
    step(x, rng)
    state, gradient = rng.bit_generator.state, W.grad.copy()
    profile = step.program.profile(2 * x, rng, rounds=3)
    assert rng.bit_generator.state == state
    np.testing.assert_array_equal(W.grad, gradient)
    lines = step.program.lines
    covered = sorted(k for row in profile.rows for k in row.lines)
    assert covered == [k for k, n in enumerate(lines) if n.calls or n.kind == "kernel"]
    assert sum(row.share for row in profile.rows) == pytest.approx(1)
    table = str(profile).splitlines()
    assert len(table) == len(profile.rows) + 2 and len({len(row) for row in table[:-1]}) == 1
    for row in profile.rows:
        if row.cost.nbytes:
            peak = profile.peak * 4 / 8  # of float64
            roof = max(row.cost.flops / peak, row.cost.nbytes / profile.bandwidth)
            assert row.of_roof == pytest.approx(roof / row.seconds)


def test_a_profile_wants_the_arguments_of_its_program():
    W, step, x = products()
    step(x, np.random.default_rng(1))
    with pytest.raises(mg.errors.DataError, match=r"pass \(x, rng\)"):
        step.program.profile(x)
    with pytest.raises(mg.errors.DataError, match="rounds"):
        step.program.profile(x, np.random.default_rng(1), rounds=0)
    branch = mg.compile(lambda x: (W * W).sum() if x.max() > 0 else W.sum())
    branch(x)
    with pytest.raises(mg.errors.DataError, match="another branch"):
        branch.program.profile(-x)
