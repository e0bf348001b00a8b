"""Tensor: how it is made, shown, compared, copied, and how NumPy meets it."""

from __future__ import annotations

import copy
import importlib
import logging
import math
import pickle
import sys

import numpy as np
import pytest
from helpers import leaf

import minigrad_ae as mg

module = importlib.import_module("minigrad_ae.tensors")  # mg.tensor is the function


# --- making ---------------------------------------------------------------------------------------


def test_data_are_copied_and_float():
    source = np.array([[1.0, 2.0], [3.0, 4.0]]).T
    t = mg.tensor(source, name="W")
    source[:] = 0
    assert t.data.tolist() == [[1, 3], [2, 4]] and t.data.flags.c_contiguous and t.name == "W"
    assert not t.requires_grad and t.is_leaf and t.grad is None
    for data in ([1, 2], np.array([1, 0], np.uint8), np.array([True, False]), 3, [1.0]):
        assert mg.tensor(data).dtype == np.float64
    assert mg.tensor(np.ones(2, np.float32)).dtype == np.float32
    assert (
        mg.tensor([1, 2], dtype=np.float32).dtype
        == mg.tensor(np.ones(1), dtype="float32").dtype
        == np.float32
    )
    assert mg.tensor(np.ones(2, np.float16), dtype=np.float32).dtype == np.float32, (
        "asked for, so converted"
    )
    assert (
        mg.tensor(t).data is not t.data
        and mg.tensor([]).shape == (0,)
        and mg.tensor(2.0).shape == ()
    )
    assert mg.tensor([1.0, 2.0], True).requires_grad and mg.tensor(t.T.data).data.flags.c_contiguous


def test_integers_becoming_float64_is_said_once(caplog, monkeypatch):
    monkeypatch.setattr(module, "_told", set())
    with caplog.at_level(logging.WARNING, logger="minigrad_ae"):
        mg.tensor(3)
        mg.tensor([1.0])
        assert not caplog.records
        mg.tensor(np.zeros(2, np.uint8))
        mg.tensor([True, False])
    assert [r.getMessage() for r in caplog.records] == [
        "minigrad_ae: uint8 data became float64 (integers and booleans do; said once)"
    ]


def test_attributes_are_those_of_the_array():
    t = mg.tensor(np.zeros((2, 3)))
    assert (t.shape, t.ndim, t.size, len(t), t.T.shape) == ((2, 3), 2, 6, 2, (3, 2))
    assert (
        t.numpy() is t.data
        and np.asarray(t) is not None
        and np.asarray(t, np.float32).dtype == np.float32
    )
    assert (
        mg.tensor([[2.5]]).item() == 2.5 and float(mg.tensor(2.5)) == 2.5 and bool(mg.tensor(1.0))
    )


def test_data_can_be_replaced_in_a_leaf():
    w = leaf(1.0, 2.0)
    array = w.data
    w.data -= 0.5
    assert w.data is array and array.tolist() == [0.5, 1.5]
    w.data = [3, 4]
    assert w.data.tolist() == [3, 4] and w.data.dtype == np.float64


# --- showing --------------------------------------------------------------------------------------


def test_a_gradient_that_is_assigned_takes_the_dtype_of_its_tensor():
    x = mg.tensor([1.0, 2.0], dtype=np.float32, requires_grad=True)
    own = np.array([3.0, 4.0], np.float32)
    x.grad = own
    assert x.grad is own
    for given in ([3, 4], np.array([3.0, 4.0]), mg.tensor([3.0, 4.0])):
        x.grad = given
        assert type(x.grad) is np.ndarray and x.grad.dtype == np.float32
        (x * 2).sum().backward()
        assert x.grad.tolist() == [5, 6] and x.grad.dtype == np.float32
    with pytest.raises(mg.errors.ShapeError):
        x.grad = 3.0
    assert x.grad.tolist() == [5, 6], "a refused one leaves the old one"
    x.grad = None
    assert x.grad is None


def test_repr_says_shape_dtype_and_story():
    w = leaf([1.0, 2.0], name="W")
    assert repr(w) == "tensor 'W' (shape (1, 2), float64, requires_grad)\n[[1. 2.]]"
    y = w * 2
    line = sys._getframe().f_lineno - 1
    assert repr(y).splitlines()[0].endswith(f"from mul at test_tensor.py:{line}: y = w * 2)")
    assert (
        repr(mg.tensor(1.0)) == "tensor (shape (), float64)\n1."
        and len(repr(mg.tensor(np.zeros(10_000)))) < 120
    )
    assert repr(w[0, 0] * 3).endswith("\n3.")


def test_format_takes_a_number_format():
    loss = mg.tensor(math.pi)
    assert (
        f"{loss:.3f}" == "3.142"
        and f"{loss}" == repr(loss)
        and f"{mg.tensor([2.0]):.1e}" == "2.0e+00"
    )


# --- comparing ------------------------------------------------------------------------------------


def test_comparisons_give_arrays_and_tensors_are_hashable():
    a, b = mg.tensor([1.0, 2.0, 3.0]), mg.tensor([3.0, 2.0, 1.0])
    assert (a < b).tolist() == [True, False, False] and (a <= 2).tolist() == [True, True, False]
    assert (a > b).tolist() == [False, False, True] and np.greater_equal(2, a).tolist() == [
        True,
        True,
        False,
    ]
    assert (a == b).tolist() == [False, True, False] and (a != 1.0).tolist() == [False, True, True]
    assert type(a < np.ones(3)) is np.ndarray and (np.full(3, 2.0) > a).tolist() == [
        True,
        False,
        False,
    ]
    assert len({a, b, a}) == 2 and {a: 1}[a] == 1 and hash(a) != hash(b)


# --- copying --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, copy.copy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_leaves_can_be_copied_and_pickled(duplicate):
    w = leaf(1.0, 2.0, name="W")
    (w * w).sum().backward()
    twin = duplicate(w)
    assert (
        isinstance(twin, mg.Tensor)
        and twin.name == "W"
        and twin.requires_grad
        and twin.grad.tolist() == [2, 4]
    )
    twin.data -= 1
    twin.grad *= 0
    assert w.data.tolist() == [1, 2] and w.grad.tolist() == [2, 4]
    (twin * 3).sum().backward()
    assert twin.grad.tolist() == [3, 3]


# --- NumPy ----------------------------------------------------------------------------------------


def test_operators_take_arrays_and_numbers_on_either_side():
    t, a = leaf(1.0, 2.0), np.array([3.0, 4.0])
    results = {
        "a + t": (a + t, [4, 6]),
        "t - a": (t - a, [-2, -2]),
        "a - t": (a - t, [2, 2]),
        "a * t": (a * t, [3, 8]),
        "t / a": (t / a, [1 / 3, 0.5]),
        "a / t": (a / t, [3, 2]),
        "1 - t": (1 - t, [0, -1]),
        "2 / t": (2 / t, [2, 1]),
        "t ** 2": (t**2, [1, 4]),
        "t ** 3": (t**3, [1, 8]),
        "2 ** t": (2**t, [2, 4]),
        "a ** t": (a**t, [3, 16]),
        "-t": (-t, [-1, -2]),
        "+t": (+t, [1, 2]),
        "abs": (abs(-t), [1, 2]),
        "a @ t": (a @ t, 11),
        "t @ a": (t @ a, 11),
        "matrix @": (np.eye(2) @ t, [1, 2]),
    }
    for text, (got, expected) in results.items():
        assert isinstance(got, mg.Tensor) and got.requires_grad, text
        np.testing.assert_allclose(got.data, expected, err_msg=text)
    (t * a + t).sum().backward()
    assert t.grad.tolist() == [4, 5]


def test_numpy_functions_go_to_the_registry():
    t = leaf([1.0, 2.0], [3.0, 4.0])
    unary = (
        "exp log log1p expm1 sqrt square sin cos tanh abs sum mean var max min transpose squeeze"
    )
    for name in unary.split():
        got = getattr(np, name)(t)
        assert isinstance(got, mg.Tensor) and got.requires_grad, name
        np.testing.assert_allclose(got.data, getattr(np, name)(t.data), rtol=1e-15, err_msg=name)
    for got in (
        np.matmul(t, t),
        np.maximum(t, 2.0),
        np.where(t.data > 2, t, 0.0),
        np.concatenate([t, t]),
        np.stack([t, t]),
        np.reshape(t, (4,)),
        np.swapaxes(t, 0, 1),
        np.einsum("ij->j", t),
        np.clip(t, 0, 2),
        np.take(t, [0]),
        np.power(t, 3),
        np.negative(t),
        np.add(np.ones(2), t),
        np.expand_dims(t, 0),
        np.pad(t, 1),
        np.broadcast_to(t, (3, 2, 2)),
    ):
        assert isinstance(got, mg.Tensor) and got.requires_grad
    assert (
        np.shape(t) == (2, 2)
        and np.ndim(t) == 2
        and np.allclose(t, t.data)
        and np.array_equal(t, t.data)
    )
    assert np.less(t, 2).tolist() == [[True, False], [False, False]]


def test_methods_are_the_functions():
    t = leaf([1.0, 2.0], [3.0, 4.0])
    assert (
        t.reshape(4).shape
        == t.reshape(-1).shape
        == t.reshape((4,)).shape
        == t.reshape(shape=(4,)).shape
        == (4,)
    )
    assert t.reshape(1, 4).shape == t.reshape([1, 4]).shape == (1, 4)
    u = mg.tensor(np.zeros((2, 3, 4)))
    assert u.transpose().shape == (4, 3, 2) and u.transpose(1, 0, 2).shape == u.transpose(
        (1, 0, 2)
    ).shape == (3, 2, 4)
    assert u.transpose(axes=(0, 2, 1)).shape == (2, 4, 3)
    assert t.sum(0).data.tolist() == t.sum(axis=0).data.tolist() == [4, 6] and t.mean(
        1, keepdims=True
    ).shape == (2, 1)
    assert t.clip(2, 3).data.tolist() == [[2, 2], [3, 3]] and t.max(axis=0).data.tolist() == [3, 4]
    assert [p.shape for p in t.split(2)] == [
        (1, 2),
        (1, 2),
    ] and t.softmax().shape == t.exp().tanh().shape == (2, 2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_an_unpickled_array_computes_the_same_bits_with_the_same_kernels(dtype, compiled):
    plain = np.random.default_rng(0).standard_normal((40, 40)).astype(dtype)
    other = pickle.loads(pickle.dumps(plain))
    assert other.dtype is not plain.dtype, "pickle makes dtypes anew: what this test is about"
    assert mg.ops.REGISTRY["linear"].twin.compute([plain, other, plain[0]], {})
    assert mg.tensor(other).data.dtype is plain.dtype

    def results(x):
        w, b = mg.tensor(plain, requires_grad=True), mg.tensor(plain[0], requires_grad=True)
        w.data = x
        y = mg.linear(x, w, b, activation="tanh") @ mg.tensor(x) + x
        y.backward(x)
        return y.data, w.grad, b.grad

    for expected, found in zip(results(plain), results(other), strict=True):
        assert np.array_equal(expected, found) and found.dtype == dtype


@pytest.mark.parametrize("size", [1200, 12_000], ids=["in a row", "alone"])
def test_a_gradient_from_another_process_takes_the_kernel_of_adam(size, compiled, monkeypatch):
    g = np.random.default_rng(1).standard_normal(size).astype(np.float32)
    found = []
    monkeypatch.setattr(mg.kernels.optim.adam_step, "definition", None)
    for gradient in (g, pickle.loads(pickle.dumps(g))):
        p = mg.tensor(np.ones_like(g), requires_grad=True)
        steps = mg.optim.Adam([p], lr=0.01)
        for _ in range(3):
            p.grad = gradient
            steps.step()
        found.append(p.data)
    assert np.array_equal(*found)


def test_unpickled_arguments_take_the_short_ways_of_an_op(monkeypatch):
    x = np.random.default_rng(2).standard_normal(5)
    odd = pickle.loads(pickle.dumps(x))
    a, b = mg.Tensor.new(x, True), mg.Tensor.new(odd, True)
    monkeypatch.setattr(importlib.import_module("minigrad_ae.autodiff.operation"), "promoted", None)
    assert mg.ops.add.collect((a, b))[0][1] is odd
    assert mg.ops.add.collect((a, odd))[0][1] is odd


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda f: pickle.loads(pickle.dumps(f))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_ops_and_compositions_are_copied_and_pickled_by_name(copied):
    for function in (*mg.ops.REGISTRY.values(), *mg.ops.COMPOSITIONS.values()):
        assert copied(function) is function


def test_an_op_that_nobody_registered_is_not_unpickled():
    lost = pickle.dumps(mg.ops.tanh).replace(b"tanh", b"hnat")
    with pytest.raises(mg.errors.DataError, match="no op is called 'hnat'"):
        pickle.loads(lost)
