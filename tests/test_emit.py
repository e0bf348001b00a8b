"""The emitted program gives the value and the gradients of the graph bit for bit, and imports NumPy
only.
"""

from __future__ import annotations

import ast
import builtins

import cases
import numpy as np
import pytest
import zoo
from helpers import nonfinite_numbers, same

import minigrad_ae as mg
from minigrad_ae.autodiff.graph import Value
from minigrad_ae.errors import GradientError
from minigrad_ae.ops import REGISTRY
from minigrad_ae.program import emit_numpy
from minigrad_ae.program.literals import STRIDED, UNPACK, array_text, number

pytestmark = [nonfinite_numbers, pytest.mark.usefixtures("definitions")]


def run(source):
    """The names a program leaves behind; it may import numpy and nothing else."""

    def only_numpy(name, *args, **kwargs):
        assert name.split(".")[0] == "numpy", f"imports {name}"
        return __import__(name, *args, **kwargs)

    imports = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import | ast.ImportFrom)]
    assert [ast.unparse(n) for n in imports] == ["import numpy as np"]
    space = {"__builtins__": {**vars(builtins), "__import__": only_numpy}}
    exec(compile(source, "<emitted>", "exec"), space)
    return space


def program(source, section):
    """The lines of one section, without comments."""
    lines = source.split(f"# {section}\n")[1].split("\n\n")[0].split("\n")
    return [line.split("  #")[0] for line in lines if line]


@zoo.every_graph
def test_same_bits(name, dtype):
    for seed in range(3):
        loss = zoo.make(name, dtype, seed)
        space = run(emit_numpy(loss, scope={}))
        loss.backward()
        assert same(space["loss"], loss.data)
        for k, leaf in enumerate(zoo.leaves_of(loss)):
            assert same(space[f"grad_x{k}"], leaf.grad), (name, seed, k)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("op", REGISTRY)
def test_same_bits_for_every_input_set_of_every_op(op, order, dtype):
    """Every shape, setting and stride of tests/cases.py; at order 2 the graph of the gradients'
    squares.
    """
    for case in (cases.as_dtype(op, c, dtype) for c in cases.CASES[op]):
        active = cases.active(op, case)
        inputs = [
            Value.result_class.new(a, True) if k in active else a for k, a in enumerate(case.inputs)
        ]
        loss = zoo.weigh(REGISTRY[op](*inputs, **case.params))
        if order == 2:
            gradients = mg.grad(
                loss, [x for x in inputs if isinstance(x, Value)], create_graph=True
            )
            loss = sum(zoo.weigh(g * g) for g in gradients)
        if loss.requires_grad:
            space = run(emit_numpy(loss, scope={}))
            loss.backward()
            assert same(space["loss"], loss.data), str(case)
            assert all(
                same(space[f"grad_x{k}"], x.grad) for k, x in enumerate(zoo.leaves_of(loss))
            ), str(case)


def test_a_linear_autoencoder_reads_as_if_written_by_hand():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, 4))
    W1, W2 = (mg.tensor(rng.normal(size=s), requires_grad=True) for s in [(4, 2), (2, 4)])
    h = x @ W1
    y = h @ W2
    r = y - x
    E = 0.5 * mg.square(r).sum()
    source = emit_numpy(E)
    assert program(source, "forward") == [
        "h = x @ W1",
        "y = h @ W2",
        "r = y - x",
        "mul_1 = r * r",
        "sum_1 = np.sum(mul_1)",
        "loss = 0.5 * sum_1",
    ]
    assert program(source, "backward") == [
        "grad_loss = np.float64(1.0)",
        "grad_sum_1 = grad_loss * 0.5",
        "grad_mul_1 = np.broadcast_to(grad_sum_1, (6, 4))",
        "grad_r = grad_mul_1 * r",
        "grad_r = grad_r + grad_mul_1 * r",
        "grad_y = grad_r",
        "grad_h = grad_y @ W2.T",
        "grad_W2 = h.T @ grad_y",
        "grad_W1 = x.T @ grad_h",
    ]
    assert "grad_W1 = x.T @ grad_h  # (4, 2)" in source
    space = run(source)
    E.backward()
    assert (
        same(space["grad_W1"], W1.grad) and same(space["grad_W2"], W2.grad) and same(space["x"], x)
    )


def test_fan_out_and_unbroadcast_are_written_out():
    a, b = (
        mg.tensor(np.ones((2, 3)), requires_grad=True),
        mg.tensor(np.ones((2, 1)), requires_grad=True),
    )
    c = mg.tensor(np.ones(3), requires_grad=True)
    lines = program(emit_numpy((a * b + c + a).sum()), "backward")
    assert "grad_c = np.sum(grad_add_1, axis=0)" in lines
    assert "grad_b = np.sum(grad_mul_1 * a, axis=1).reshape((2, 1))" in lines
    assert "grad_a = grad_a + grad_mul_1 * b" in lines


def test_names_become_identifiers_and_never_collide():
    names = [
        "",
        "encoder.weight",
        "encoder_weight",
        "W₁",
        "1st",
        "lambda",
        "sum",
        "np",
        "loss",
        "grad_x",
        "x",
        "Ws[0]",
        "<b>",
    ]
    leaves = [mg.tensor(k + 0.5, requires_grad=True, name=n) for k, n in enumerate(names)]
    total = leaves[0]
    for leaf in leaves[1:]:
        total = mg.softmax(mg.stack([total, leaf])).sum() * leaf + total
    space = run(emit_numpy(total, scope={}))
    total.backward()
    expected = ["x0", "encoder_weight", "encoder_weight_2", "W1", "_1st", *names[5:11], "Ws_0", "b"]
    for name, leaf in zip(expected, leaves, strict=True):
        assert same(space[f"grad_{name}"], leaf.grad), name
    assert same(space["loss"], total.data)


def test_large_leaves_are_packed():
    rng = np.random.default_rng(1)
    w = mg.tensor(rng.normal(size=(80, 64)), requires_grad=True)
    x = np.round(16 * rng.random((100, 80))) / 16  # like pixels: few different numbers
    v = mg.tensor(rng.normal(size=5001), requires_grad=True, dtype=np.float32)
    loss = mg.tanh(x @ w).sum() + (v * v).sum()
    source = emit_numpy(loss)
    assert "unpack(" in source and len(source) < 8 * (w.size * 8 + x.size * 1 + v.size * 4) / 5
    assert max(map(len, source.split("\n"))) < 130
    space = run(source)
    loss.backward()
    assert same(space["grad_w"], w.grad) and same(space["x"], x) and same(space["grad_v"], v.grad)


def arrays():
    base = np.random.default_rng(3).normal(size=(12, 10, 4))
    yield from (
        base[0, 0, 0],
        base[0, 0],
        base[0],
        base,
        base[0].T,
        base[::3, 1:7:2],
        base[::-1, :, ::-2],
    )
    yield from (base.transpose(1, 2, 0), base.transpose(0, 2, 1)[:, ::2])
    yield from (
        base[:, 4, :],
        np.broadcast_to(base[0, :, :1], (10, 6)),
        np.asfortranarray(base[0]),
        base[:1, :, :1],
    )
    yield from (
        np.zeros(5),
        np.zeros((30, 2)),
        -np.zeros(30),
        np.ones(3),
        np.full((4, 4), 0.1),
        np.eye(3),
        np.zeros((0, 3)),
    )
    yield np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324, 1e308, 0.1])
    # NaNs with other bits
    yield np.array([0x7FF8000000000001, 0xFFF8000000000000], dtype=np.uint64).view(np.float64)
    yield from (
        np.arange(6).reshape(2, 3),
        np.array([True, False]),
        np.arange(20) % 2 == 0,
        np.arange(9000) % 7 == 0,
    )
    yield from (
        np.arange(3, dtype=np.int32),
        np.array(3),
        np.array(True),
        np.arange(5000.0),
        base.ravel()[:0],
    )


@pytest.mark.parametrize("dtype", [None, np.float32])
def test_arrays_read_back_exactly_with_their_strides(dtype):
    for a in arrays():
        if dtype is not None and a.dtype == np.float64:
            with np.errstate(all="ignore"):
                a = a.astype(dtype)
        text, space = array_text(a), {"np": np}
        exec(f"{UNPACK}\n{STRIDED}", space)
        back = np.asarray(eval(text, space))
        assert same(back, a), text
        real = [k for k, n in enumerate(a.shape) if n > 1] if a.size else []
        assert [back.strides[k] for k in real] == [a.strides[k] for k in real], text


def test_numbers_read_back_exactly():
    rng = np.random.default_rng(2)
    for x in rng.integers(0, 2**32, 2000, dtype=np.uint32).view(np.float32):
        if np.isfinite(x):
            assert np.float32(float(number(x))) == x
    assert (number(0.1), number(np.float32(0.1)), number(-np.inf), number(True)) == (
        "0.1",
        "0.1",
        "-np.inf",
        "True",
    )


def test_the_layout_of_a_leaf_is_kept():
    w = mg.tensor(np.random.default_rng(5).normal(size=(40, 30)), requires_grad=True)
    w.data = np.asfortranarray(w.data)
    loss = (mg.softmax(w, axis=0) * w).sum()
    space = run(emit_numpy(loss))
    loss.backward()
    assert (
        same(space["loss"], loss.data)
        and same(space["grad_w"], w.grad)
        and space["w"].flags.f_contiguous
    )


def test_emitting_changes_nothing():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    emit_numpy((w * w).sum())
    assert w.grad is None


def test_what_cannot_be_written_is_refused_in_three_lines():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    h = w * w
    h.register_hook(lambda g: g)
    for loss in (h.sum(), w.detach().sum(), w * 2):
        with pytest.raises(GradientError) as error:
            emit_numpy(loss)
        assert len(str(error.value).split("\n")) == 3
