"""An expression taken apart into calls: its numbers, and again with other numbers in its arrays."""

from __future__ import annotations

import numpy as np
import pytest

from minigrad_ae.kernels.calls import make
from minigrad_ae.program.lower import Lowering
from minigrad_ae.program.memory import Memory

EXPRESSIONS = [  # text, number of calls
    ("x * (1 - y * y)", 3),
    ("-x + 2", 2),
    ("x / (y + 1.5) ** 2 - x % 3", 5),
    ("x @ np.swapaxes(y, -1, -2)", 1),
    ("np.where(x > 0, x, 0)", 2),
    ("np.where((x > 0) & ~(y < 1), y, x)", 5),
    ("np.maximum(x, y)", 1),
    ("np.exp(0.5 * x)", 2),
    ("np.sum(x * y)", 2),
    ("np.sum(x, axis=1, keepdims=True)", 1),
    ("np.max(x, axis=(0, 1))", 1),
    ("np.reshape(x, (-1,))", 0),
    ("np.reshape(x.T, (-1,))", 1),
    ("x[1:, ::2]", 0),
    ("x[rows, 1:]", 1),
    ("x[x[:, 0] > 0]", None),
    ("np.concatenate((x, y), axis=0)", 1),
    ("np.einsum('ij,ij->i', x, y)", 1),
    ("x.sum(axis=0)", 1),
    ("x.astype(np.float32)", 1),
    ("double(x) - y", 2),
    ("np.broadcast_to(x[0], (4, 3)) * y", 1),
    ("x.shape[0] * x", 1),
    ("np.float32(2.5) * x", 1),
]


def names(seed, dtype):
    rng = np.random.default_rng(seed)
    x, y = (rng.standard_normal((4, 3)).astype(dtype) for _ in range(2))
    return {
        "np": np,
        "x": x,
        "y": y + 3,
        "rows": np.array([0, 2, 2]),
        "double": lambda a: a + a,
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("text", "count"), EXPRESSIONS)
def test_calls_give_the_bits_of_the_expression(text, count, dtype):
    known, memory = names(0, dtype), Memory()
    lowering = Lowering(known, memory.empty)
    found = lowering.array(text, memory.empty)
    expected = np.asarray(eval(text, dict(known)))
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype
    if count is None:  # how many rows are picked depends on numbers: no place has that shape
        return
    assert len(lowering.calls) == count
    others = names(1, dtype)
    known["x"][...], known["y"][...] = others["x"], others["y"]
    make(lowering.calls)
    np.testing.assert_array_equal(found, eval(text, dict(known)))


def test_results_lie_in_memory_as_numpy_lays_them():
    x = np.asfortranarray(np.random.default_rng(0).standard_normal((4, 3)))
    found = Lowering({"np": np, "x": x}, np.empty).array("x * 2", np.empty)
    assert found.flags.f_contiguous and not found.flags.c_contiguous


def test_what_is_not_an_expression_of_arrays_is_refused():
    with pytest.raises(NotImplementedError):
        Lowering({"x": np.ones(2)}, np.empty).array("[i for i in x]", np.empty)


def test_memory_is_used_again_when_the_last_user_lets_go():
    memory = Memory()
    a = memory.empty((10, 10), np.float64)
    view = a.T[2:]
    memory.hold(view)
    memory.drop(a)
    assert not np.may_share_memory(memory.empty((10, 10), np.float64), a)
    memory.drop(view)
    again = memory.empty((50,), np.float64)
    assert not np.may_share_memory(again, a)  # another size
    assert np.may_share_memory(memory.empty((100,), np.float64), a)
    assert a.ctypes.data % 64 == 0
    memory.hold(np.ones(3))  # of others: nothing happens
    memory.drop(np.ones(3))
