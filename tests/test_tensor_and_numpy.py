"""The doors of a tensor: what comes in (numbers, lists, indices), what goes out to NumPy, and what
changes it in place.
"""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from helpers import leaf_of_shape

import minigrad_ae as mg
from minigrad_ae import nn
from minigrad_ae.errors import DtypeError, GradientError, RangeError, ShapeError
from minigrad_ae.ops import COMPOSITIONS, REGISTRY
from minigrad_ae.ops.public import PUBLIC

RNG = np.random.default_rng(0)
WHOLE = np.array([[0, 3, 5], [2, 1, 4]], np.uint8)  # what a picture file holds


# --- whole numbers given bare are computed as float64 ---------------------------------------------

SETTINGS = {
    "reshape": {"shape": (3, 2)},
    "broadcast_to": {"shape": (4, 2, 3)},
    "expand_dims": {"axis": 0},
    "pad": {"pad_width": 1},
    "take": {"indices": [1, 0]},
    "swapaxes": {"axis1": 0, "axis2": 1},
    "split": {"sections": 1},
    "moveaxis": {"source": 0, "destination": 1},
    "roll": {"shift": 1},
    "repeat": {"repeats": 2},
    "tile": {"reps": 2},
    "cross_entropy": {"labels": [0, 2]},
}
CALLS = {
    "where": lambda f, u: f(WHOLE > 2, u, u[::-1]),
    "clip": lambda f, u: f(u, 1, 4),
    "matmul": lambda f, u: f(u, u.T),
    "einsum": lambda f, u: f("ij,kj->ik", u, u),
    "concatenate": lambda f, u: f([u, u]),
    "stack": lambda f, u: f([u, u]),
    "hstack": lambda f, u: f([u, u]),
    "vstack": lambda f, u: f([u, u]),
    "remainder": lambda f, u: f(u, WHOLE + 1.0),
    "dot": lambda f, u: f(u, u.T),
    "tensordot": lambda f, u: f(u, u.T, 1),
    **dict.fromkeys(("arcsin", "arccos"), lambda f, u: f((WHOLE > 2).astype(u.dtype))),
    "linear": lambda f, u: f(u, u.T, activation="tanh"),
    "dropout": lambda f, u: f(u, WHOLE > 2, 0.5),
    "attention": lambda f, u: f(u, u, u),
}


def usual(function, u):
    """Of one input, or of two that have one shape."""
    parameters = list(inspect.signature(function).parameters.values())
    settings = SETTINGS.get(function.__name__, {})
    two = parameters[1:2] and parameters[1].name not in settings
    second = (u[::-1],) if two and parameters[1].default is inspect.Parameter.empty else ()
    return function(u, *second, **settings)


def called(name: str, u: np.ndarray) -> np.ndarray:
    function = getattr(mg, name)
    call = CALLS.get(name, usual)
    with np.errstate(divide="ignore"):  # log 0
        return np.asarray(call(function, u))


@pytest.mark.parametrize(
    "dtype",
    [np.uint8, np.int8, np.int64, np.bool_, np.float16, object],
    ids=lambda d: np.dtype(d).name,
)
@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_function_takes_bare_numbers_as_float64(name, dtype):
    u = WHOLE.astype(dtype)
    if dtype is object:
        with pytest.raises(DtypeError, match="does not consist of real numbers"):
            called(name, u)
        return
    with np.errstate(divide="ignore"):
        wanted = called(name, u.astype(np.float64))
    found = called(name, u)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    "name", sorted(name for name in REGISTRY if REGISTRY[name].arity == 1 and name not in SETTINGS)
)
def test_every_op_of_one_input_takes_a_python_number(name):
    op = REGISTRY[name]
    settings = {
        "transpose": {},
        "getitem": {"index": ()},
        "index_add": {"index": (), "shape": ()},
        "cast": {"dtype": np.float64},
        "softmax": {"axis": None},
        "log_softmax": {"axis": None},
        "unit_rows": None,
    }.get(name, {})
    if settings is None:  # rows need an axis
        return np.testing.assert_array_equal(op([3]), op(np.array([3.0])))
    n = 1 if name in ("arcsin", "arccos") else 2
    assert np.asarray(op(n, **settings)) == np.asarray(op(np.array(float(n)), **settings))
    assert np.asarray(op(n, **settings)).dtype == np.float64
    assert np.asarray(op(np.float32(n), **settings)).dtype == np.float32 or name == "cast"


def test_an_input_given_by_name_is_converted_too():
    np.testing.assert_array_equal(mg.exp(x=np.array([1, 2])), np.exp([1.0, 2.0]))
    np.testing.assert_array_equal(mg.maximum(a=WHOLE, b=2), np.maximum(WHOLE, 2.0))


def test_numbers_stay_weak_beside_float32():
    x = np.ones(3, np.float32)
    for y in (
        mg.maximum(x, 2),
        mg.maximum(2.0, x),
        mg.minimum(x, 2),
        mg.where(x > 0, x, 0),
        mg.maximum(x, np.float64(2)),
        mg.ops.mul(x, np.array(2.0)),
        mg.ops.mul(np.array(2), x),
    ):
        assert y.dtype == np.float32


# --- an index -------------------------------------------------------------------------------------

INDICES = [
    (slice(None), (1, 1)),
    ((0, 0), (1, 1)),
    [0, 0],
    [[0, 1], [0, 1]],
    np.array([1, 1]),
    (slice(None), range(3)),
    [],
    ([], [1]),
    (np.array([True, False]), [1, 1]),
    (..., [2, 2]),
    (None, [0, 0]),
    [True, False],
    np.array(1),
    (np.int64(1), slice(0, 0)),
    -1,
    (slice(None, None, -1), 2),
    True,
]


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_each_pick_sends_its_gradient_back(index):
    """The gradient of <g, x[index]> is how often each element was picked, weighted: counted by
    picking numbers.
    """
    x = leaf_of_shape(2, 3)
    numbers = np.arange(6).reshape(2, 3)[index]
    g = np.random.default_rng(2).standard_normal(numbers.shape)
    wanted = np.zeros(6)
    for number, weight in zip(numbers.ravel(), g.ravel(), strict=True):
        wanted[number] += weight
    y = x[index]
    np.testing.assert_array_equal(y.data, x.data[index])
    np.testing.assert_allclose(
        mg.grad(y, x, gradient=g)[0], wanted.reshape(2, 3), rtol=0, atol=1e-15
    )


def test_an_index_that_is_changed_later_changes_no_gradient():
    x, rows, listed = leaf_of_shape(4), np.array([0, 1]), [0, 1]
    y, z = x[rows].sum(), x[listed].sum()
    rows[:], listed[0] = 3, 2
    assert mg.grad(y, x)[0].tolist() == mg.grad(z, x)[0].tolist() == [1, 1, 0, 0]


def test_take_is_numpys():
    x = leaf_of_shape(2, 3)
    for indices, axis in (
        ([True, False], 1),
        ([True, True], None),
        ([], 0),
        ([[1, 0]], -1),
        (2, 1),
        ((0, 0), 0),
    ):
        picked = mg.take(x, indices, axis=axis)
        np.testing.assert_array_equal(
            picked.data, np.take(x.data, np.array(indices, dtype=int), axis=axis)
        )
        g = np.random.default_rng(3).standard_normal(picked.shape)
        wanted = np.zeros(6)
        np.add.at(
            wanted, np.take(np.arange(6).reshape(2, 3), np.array(indices, dtype=int), axis=axis), g
        )
        np.testing.assert_allclose(
            mg.grad(picked, x, gradient=g)[0].ravel(), wanted, rtol=0, atol=1e-15
        )


@pytest.mark.parametrize(
    "call",
    [
        lambda x: mg.take(x, [0], axis=2),
        lambda x: mg.take(x, [0], axis=-3),
        lambda x: mg.take(x, [3], axis=1),
        lambda x: x[2],
        lambda x: x[0, 3],
        lambda x: x[:, [3]],
        lambda x: x[0, 0, 0],
        lambda x: x[0.5],
        lambda x: mg.sum(x, axis=2),
        lambda x: mg.mean(x, axis=-3),
        lambda x: mg.var(x, axis=2),
        lambda x: mg.max(x, axis=2),
        lambda x: mg.min(x, axis=2),
        lambda x: mg.softmax(x, axis=2),
        lambda x: mg.log_softmax(x, axis=2),
        lambda x: mg.logsumexp(x, axis=2),
        lambda x: mg.split(x, 1, axis=2),
        lambda x: mg.swapaxes(x, 0, 2),
        lambda x: mg.transpose(x, (0, 2)),
        lambda x: mg.squeeze(x, 2),
        lambda x: mg.expand_dims(x, 4),
        lambda x: mg.stack([x], 4),
        lambda x: mg.concatenate([x], 2),
    ],
)
def test_what_lies_outside_a_shape_is_an_index_error_too(call):
    for x in (leaf_of_shape(2, 3), leaf_of_shape(2, 3).data):
        if isinstance(x, mg.Tensor) or not isinstance(
            _result(call, x), IndexError
        ):  # a bare array may be NumPy's own matter
            with pytest.raises(RangeError) as caught:
                call(x)
            assert (
                isinstance(caught.value, IndexError | ShapeError)
                and len(str(caught.value).split("\n")) == 3
            )


def _result(call, x):
    try:
        return call(x)
    except Exception as error:
        return error


@pytest.mark.parametrize(
    "call",
    [
        lambda x: mg.transpose(x[0], 0),
        lambda x: mg.transpose(x[0], -1),
        lambda x: mg.transpose(x, np.array([1, 0])),
        lambda x: mg.transpose(x, [-1, 0]),
        lambda x: mg.sum(x, axis=()),
        lambda x: mg.sum(x, axis=np.int64(1)),
        lambda x: mg.sum(x, axis=(-1, 0)),
        lambda x: mg.max(x, axis=(0, 1)),
        lambda x: mg.logsumexp(x, axis=(0, -1)),
        lambda x: mg.softmax(x, axis=(0, 1)),
        lambda x: mg.log_softmax(x, axis=(0, 1)),
        lambda x: mg.mean(x, axis=(0,)),
        lambda x: mg.reshape(x, 6),
        lambda x: mg.reshape(x, [3, -1]),
        lambda x: mg.reshape(x, np.int64(6)),
        lambda x: mg.broadcast_to(x[0], np.array([4, 3])),
        lambda x: mg.broadcast_to(x[0, 0], 5),
        lambda x: mg.pad(x, [1, 2]),
        lambda x: mg.pad(x, np.array([[1, 0], [0, 2]])),
        lambda x: mg.pad(x, (1,)),
        lambda x: mg.expand_dims(x, (0, -1)),
        lambda x: mg.squeeze(mg.expand_dims(x, (0, 3)), (0, -1)),
        lambda x: mg.concatenate([x, x], np.int64(-1)),
        lambda x: mg.stack([x, x], -1),
        lambda x: mg.split(x, [1], axis=-1)[1],
        lambda x: mg.einsum("ii->i", x[:, :2]),
    ],
)
def test_whatever_setting_the_forward_takes_the_backward_takes(call):
    x = leaf_of_shape(2, 3)
    assert mg.gradcheck(call, x)


# --- lists of tensors keep their gradient, or are refused -----------------------------------------


def _assigned(a, b):
    array = np.zeros(3)
    array[0] = a * 3


def _filled(a, b):
    array = np.zeros(2)
    array[:] = [a, b]


@pytest.mark.parametrize(
    "door",
    [
        lambda a, b: mg.tensor([a * 2, b * 3]),
        lambda a, b: mg.tensor([[a], [b]]),
        lambda a, b: np.array([a, b]),
        lambda a, b: np.asarray([a * 2, b]),
        lambda a, b: a.__add__([b, b]),
        lambda a, b: [a, b] * a,
        lambda a, b: mg.sum([a, b]),
        lambda a, b: mg.mean([a, b]),
        lambda a, b: mg.exp((a, b)),
        lambda a, b: mg.maximum(1.0, [a, b]),
        lambda a, b: mg.where([True, False], [a, b], 0.0),
        lambda a, b: np.r_[mg.stack([a]), mg.stack([b])],
        lambda a, b: np.mean([a, b]),
        lambda a, b: np.full(3, a),
        lambda a, b: np.array([mg.stack([a, b])] * 2),
        _assigned,
        _filled,
        lambda a, b: np.ones(2).__iadd__([a, b]),
        lambda a, b: mg.matmul(np.eye(2), [a, b]),
        lambda a, b: mg.concatenate([[a], [b]]),
    ],
)
def test_a_door_that_would_lose_the_gradient_is_shut(door):
    a, b = leaf_of_shape(), leaf_of_shape()
    with pytest.raises((GradientError, ValueError)) as caught:
        door(a, b)
    said = str(caught.value) + str(caught.value.__cause__) + str(caught.value.__context__)
    assert "would have lost the gradient" in said and "mg.stack" in said


def test_without_a_gradient_numpy_may_have_it():
    a = mg.tensor([1.0, 2.0])
    np.testing.assert_array_equal(np.array([a, a * 2]), [[1, 2], [2, 4]])
    w = leaf_of_shape(2)
    with mg.no_grad():
        np.testing.assert_array_equal(np.asarray(w), w.data)
        assert np.array([w[0], w[1]]).shape == (2,)
    assert float(w[0]) == w.data[0] and f"{w[0]:.3f}" == f"{w.data[0]:.3f}"


def test_stack_keeps_it():
    a = leaf_of_shape()
    assert mg.grad(mg.stack([a * 2, a * 3]) @ np.array([10.0, 11.0]), a)[0] == 53


# --- what a rule reads cannot be written to -------------------------------------------------------


@pytest.mark.parametrize(
    "door",
    [
        lambda y: y.data,
        lambda y: y.numpy(),
        lambda y: y.detach().data,
        lambda y: y.detach()[1:].data,
        lambda y: y.detach().T.data,
        lambda y: np.asarray(y.detach()),
        lambda y: _quiet(lambda: np.asarray(y)),
        lambda y: _quiet(lambda: y[1:].data),
        lambda y: _quiet(lambda: y.reshape(-1)).data,
        lambda y: np.asarray(_quiet(lambda: y.T)),
        lambda y: np.asarray(y.detach()[1:]),
    ],
)
def test_the_array_of_a_computed_tensor_is_written_to_by_nobody(door):
    x = leaf_of_shape(3)
    y = mg.tanh(x)
    wanted = 1 - np.tanh(x.data) ** 2
    with pytest.raises(ValueError, match="read-only"):
        door(y)[...] = 0
    np.testing.assert_allclose(mg.grad(y.sum(), x)[0], wanted, rtol=1e-14)


def _quiet(f):
    with mg.no_grad():
        return f()


def test_a_detached_tensor_that_is_given_data_of_its_own_can_be_written_to():
    y = mg.tanh(leaf_of_shape(3))
    d = y.detach()
    d.data = np.zeros(3)
    d.data[0] = 1
    assert d.data.tolist() == [1, 0, 0]
    w = leaf_of_shape(3)
    w.data = y  # a copy: what is trained never shares memory with a graph
    w.data -= 1
    np.testing.assert_array_equal(w.data, y.data - 1)


def test_a_hook_cannot_change_what_others_receive():
    a, b = leaf_of_shape(3), leaf_of_shape(3)
    wrote = []

    def hook(g):
        with pytest.raises(ValueError, match="read-only"):
            g *= 0
        wrote.append(g)

    a.register_hook(hook)
    (a + b).sum().backward()
    assert wrote and a.grad.tolist() == b.grad.tolist() == [1, 1, 1]
    a.grad *= 2  # what is deposited is the leaf's own
    assert b.grad.tolist() == [1, 1, 1]


# --- in place -------------------------------------------------------------------------------------


def test_the_tutorial_loop_trains_or_says_why_not():
    """PyTorch's first tutorial writes p -= lr * p.grad under no_grad; here it would only give p's
    name to another tensor.
    """
    for context in (mg.no_grad, _Open):
        p = leaf_of_shape(3)
        before = p.data.copy()
        for _ in range(3):
            loss = mg.square(p).sum()
            p.zero_grad()
            loss.backward()
            with context(), pytest.raises(GradientError, match=r"w\.data -= lr \* w\.grad"):
                p -= 0.1 * p.grad
            p.data -= 0.1 * p.grad
        np.testing.assert_allclose(p.data, 0.8**3 * before, rtol=1e-14)


class _Open:
    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return None


@pytest.mark.parametrize(
    "line", ["p += 1", "p -= 1", "p *= 2", "p /= 2", "p **= 2", "p @= np.eye(3)"]
)
def test_every_in_place_operator_refuses_a_leaf_and_leaves_other_tensors_alone(line):
    with pytest.raises(GradientError, match="in-place"):
        exec(line, {"p": leaf_of_shape(3), "np": np})
    for other in (mg.tensor([1.0, 2.0, 3.0]), mg.tanh(leaf_of_shape(3))):
        scope = {"p": other, "np": np}
        exec(line, scope)
        assert scope["p"] is not other and scope["p"].requires_grad == other.requires_grad


def test_a_loss_that_is_added_up_stays_a_loss():
    w, loss = leaf_of_shape(3), 0.0
    for k in range(3):
        loss += (w * k).sum()
    assert mg.grad(loss, w)[0].tolist() == [3, 3, 3]


def test_a_parameter_stays_one():
    layer = nn.Linear(2, 3, rng=np.random.default_rng(0))
    names = list(layer.state_dict())
    with pytest.raises(GradientError, match="in-place"):
        layer.weight -= 1
    for new in (layer.weight - 1, layer.weight.data, 0.5):
        with pytest.raises(GradientError, match=r"Linear\.weight is a parameter and cannot become"):
            layer.weight = new
    assert list(layer.state_dict()) == names
    layer.weight = nn.Parameter(np.zeros((2, 3)))
    layer.bias = None
    assert list(layer.state_dict()) == ["weight"]


def test_a_gradient_that_is_none_explains_itself():
    w = leaf_of_shape(3)
    for arithmetic in (
        lambda: w - w.grad,
        lambda: w.grad * w,
        lambda: mg.exp(w.grad),
        lambda: setattr(w, "data", w.grad),
    ):
        with pytest.raises(DtypeError, match=r"backward\(\)"):
            arithmetic()
    assert COMPOSITIONS and np.isfinite(w.data).all()
