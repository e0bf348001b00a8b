"""Every error that a user can cause: what was wrong, the shapes and where they came from, how to
fix it.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
from helpers import leaf_of_shape

import minigrad_ae as mg
from minigrad_ae import ops
from minigrad_ae.errors import (
    DataError,
    DtypeError,
    GradientError,
    MinigradError,
    RangeError,
    ShapeError,
)

X, W = leaf_of_shape(2, 3, value=1.0, name="X"), leaf_of_shape(2, 3, value=1.0, name="W")
HALF = np.ones(2, np.float16)
HERE = "test_engine_errors.py"


def hooked(hook):
    """A backward pass through a hook."""
    x = leaf_of_shape(2, 3, value=1.0)
    x.register_hook(hook)
    x.sum().backward()


# (call, class, built-in class, the three lines, or what each must contain)
FAULTS = [
    (
        lambda: mg.tensor([[1], [2, 3]]),
        DataError,
        ValueError,
        ("tensor: the rows have different lengths", "inhomogeneous", "pass a rectangular array"),
    ),
    (
        lambda: mg.tensor(["a", "b"]),
        DtypeError,
        TypeError,
        (
            "tensor: <U1 data cannot be used",
            "got shape (2,), dtype <U1",
            "convert it to float32 or float64 first",
        ),
    ),
    (
        lambda: mg.tensor([1, None]),
        DtypeError,
        TypeError,
        ("tensor: object data cannot be used", "dtype object", "convert it"),
    ),
    (
        lambda: mg.tensor([1j]),
        DtypeError,
        TypeError,
        ("tensor: complex128 data cannot be used", "shape (1,)", "convert it"),
    ),
    (
        lambda: mg.tensor(HALF),
        DtypeError,
        TypeError,
        ("tensor: float16 data cannot be used", "dtype float16", "convert it"),
    ),
    (
        lambda: mg.tensor([1.0], dtype=int),
        DtypeError,
        TypeError,
        ("tensor: int64 data cannot be used", "dtype=int64 was asked for", "convert it"),
    ),
    (
        lambda: mg.tensor([1.0], dtype="real"),
        DtypeError,
        TypeError,
        ("tensor: unknown dtype", "'real'", "np.float32 or np.float64"),
    ),
    (
        lambda: bool(X),
        DataError,
        ValueError,
        ("a tensor of several elements, or of none, is neither", "shape (2, 3)", ".all() or"),
    ),
    (
        lambda: X @ W,
        ShapeError,
        ValueError,
        (
            "matmul: inner sizes differ",
            "A (2, 3) from leaf 'X', B (2, 3) from leaf 'W'",
            "3 != 2: the columns of A",
        ),
    ),
    (
        lambda: X @ 2.0,
        ShapeError,
        ValueError,
        ("matmul: a scalar is not a matrix", "B ()", "multiply by a scalar with *"),
    ),
    (
        lambda: X + np.ones(2),
        ShapeError,
        ValueError,
        (
            "add: operands could not be broadcast together with shapes (2,3) (2,)",
            "a (2, 3) from leaf 'X', b (2,)",
            "y = a + b",
        ),
    ),
    (
        lambda: mg.exp(X) * mg.tensor(np.ones((4, 4))),
        ShapeError,
        ValueError,
        ("mul: operands could not be broadcast", f"a (2, 3) from exp at {HERE}:", "y = a b"),
    ),
    (
        lambda: X.reshape(4, 2),
        ShapeError,
        ValueError,
        (
            "reshape: cannot reshape array of size 6 into shape (4,2)",
            "x (2, 3) from leaf 'X'",
            "as many elements",
        ),
    ),
    (
        lambda: X.transpose(0, 0),
        ShapeError,
        ValueError,
        ("transpose: repeated axis", "x (2, 3)", "axes permuted"),
    ),
    (
        lambda: X.sum(axis=5),
        RangeError,
        IndexError,
        ("sum: axis 5 is out of bounds", "x (2, 3)", "sum of x over axis"),
    ),
    (
        lambda: X.mean(axis=5),
        RangeError,
        IndexError,
        ("sum: axis 5 is out of bounds", "x (2, 3)", "sum of x over axis"),
    ),
    (
        lambda: mg.softmax(X, axis=2),
        RangeError,
        IndexError,
        ("softmax: axis 2 is out of bounds", "x (2, 3)", "over axis"),
    ),
    (
        lambda: X[5],
        RangeError,
        IndexError,
        ("getitem: index 5 is out of bounds", "x (2, 3) from leaf 'X'", "inside the shape"),
    ),
    (
        lambda: X[0.5],
        RangeError,
        IndexError,
        ("getitem: only integers, slices", "x (2, 3)", "inside the shape"),
    ),
    (
        lambda: mg.concatenate([X, leaf_of_shape(2, 2, value=1.0)]),
        ShapeError,
        ValueError,
        (
            "concatenate: all the input array dimensions",
            "xs[0] (2, 3) from leaf 'X', xs[1] (2, 2)",
            "agree except along axis",
        ),
    ),
    (
        lambda: mg.concatenate([]),
        ShapeError,
        ValueError,
        ("concatenate of nothing", "an empty list", "at least one"),
    ),
    (
        lambda: mg.stack([X, leaf_of_shape(2, 2, value=1.0)]),
        ShapeError,
        ValueError,
        ("concatenate: all the input", "xs[1]", "agree except"),
    ),
    (
        lambda: X.split(4),
        ShapeError,
        ValueError,
        ("split: array split does not result", "x (2, 3) from leaf 'X'", "axes are 0"),
    ),
    (
        lambda: X.squeeze(0),
        ShapeError,
        ValueError,
        ("squeeze: cannot select an axis", "axis 0, x (2, 3)", "axes are 0"),
    ),
    (
        lambda: X.expand_dims(7),
        RangeError,
        IndexError,
        ("expand_dims: axis 7 is out of bounds", "axis 7, x", "axes are 0"),
    ),
    (
        lambda: X.swapaxes(0, 2),
        RangeError,
        IndexError,
        ("swapaxes: axis2: axis 2 is out of bounds", "axes 0 and 2, x (2, 3)", "axes are 0"),
    ),
    (
        lambda: mg.max(mg.tensor(np.ones((0, 3))), axis=0),
        ShapeError,
        ValueError,
        ("max: zero-size array", "x (0, 3)", "largest x"),
    ),
    (
        lambda: mg.mean(mg.tensor(np.ones((0, 3)))),
        DataError,
        ValueError,
        ("mean of nothing", "shape (0, 3)", "at least one element"),
    ),
    (
        lambda: mg.einsum("ij,jk->ik", X, W),
        ShapeError,
        ValueError,
        ("einsum: operands could not be", "xs[0] (2, 3)", "sum of products"),
    ),
    (
        lambda: mg.einsum(X, "ij"),
        DtypeError,
        TypeError,
        ("einsum: the subscripts come first", "got a Tensor", "einsum('ij,jk"),
    ),
    (
        lambda: X * None,
        DtypeError,
        TypeError,
        ("mul: b does not consist of real numbers", "got None", "pass a tensor"),
    ),
    (
        lambda: X + "a",
        DtypeError,
        TypeError,
        ("add: b does not consist of real numbers", "got a str of shape ()", "pass a tensor"),
    ),
    (
        lambda: X * 1j,
        DtypeError,
        TypeError,
        ("mul: b does not consist of real numbers", "complex128", "pass a tensor"),
    ),
    (
        lambda: X * np.array([1, None, 2]),
        DtypeError,
        TypeError,
        ("mul: b does not consist", "dtype object", "pass a tensor"),
    ),
    (
        lambda: X * [[1], [2, 3]],
        ShapeError,
        ValueError,
        ("mul: b is ragged", "inhomogeneous", "rectangular"),
    ),
    (
        lambda: mg.exp(X, base=2),
        DtypeError,
        TypeError,
        (
            "exp: exp() got an unexpected keyword argument 'base'",
            "x (2, 3) from leaf 'X'",
            "the signature is exp(x)",
        ),
    ),
    (
        lambda: mg.softmax(X, dim=1),
        DtypeError,
        TypeError,
        ("softmax: softmax() got an unexpected", "x (2, 3)", "softmax(x, axis=-1)"),
    ),
    (
        lambda: mg.mean(X, dim=1),
        DtypeError,
        TypeError,
        (
            "mean: got an unexpected keyword argument 'dim'",
            "got 1 arguments",
            "mean(x, axis=None, keepdims=False)",
        ),
    ),
    (
        lambda: mg.stack([X], dim=1),
        DtypeError,
        TypeError,
        ("stack: got an unexpected", "got 1", "stack(xs, axis=0)"),
    ),
    (
        lambda: mg.sum(X, 0, True, 1),
        DtypeError,
        TypeError,
        ("sum: too many arguments", "got 4", "sum(x, axis=None, keepdims=False)"),
    ),
    (
        lambda: mg.exp(X, W),
        DtypeError,
        TypeError,
        ("exp: too many arguments", "got 2", "the signature is exp(x)"),
    ),
    (
        lambda: mg.tanh(np.ones(2), 3),
        DtypeError,
        TypeError,
        ("tanh: tanh() takes 1 positional", "x (2,)", "tanh(x)"),
    ),
    (
        lambda: mg.maximum(X),
        DtypeError,
        TypeError,
        ("maximum: maximum() missing 1 required", "a (2, 3)", "maximum(a, b)"),
    ),
    (
        lambda: mg.linear(X),
        DtypeError,
        TypeError,
        ("linear: missing a required argument", "got 1", "linear(x, weight"),
    ),
    (
        lambda: mg.linear(X, W.T, activation="tan"),
        DataError,
        ValueError,
        ("linear: unknown activation 'tan'", "tanh", "use one"),
    ),
    (
        lambda: mg.gelu(X, approximate="erf"),
        DataError,
        ValueError,
        ("gelu: unknown approximation", "None or 'tanh'", "use one"),
    ),
    (
        lambda: mg.dropout(X, np.ones(3), 1.0),
        DataError,
        ValueError,
        ("dropout: the rate must lie in [0, 1)", "got 1.0", "rate is"),
    ),
    (
        lambda: np.spacing(X),
        DtypeError,
        TypeError,
        ("np.spacing cannot be applied to a Tensor", "lose the gradient", "functions of mg"),
    ),
    (
        lambda: np.add.reduce(X),
        DtypeError,
        TypeError,
        ("np.add.reduce cannot be applied", "lose", "functions of mg"),
    ),
    (
        lambda: np.exp(X, out=np.ones((2, 3))),
        DtypeError,
        TypeError,
        ("np.exp cannot be applied to a Tensor with out=", "lose", "use mg.exp"),
    ),
    (
        lambda: np.linalg.det(X),
        DtypeError,
        TypeError,
        ("np.linalg.det cannot be applied", "lose", "call NumPy on t.data"),
    ),
    (
        lambda: X[mg.tensor([0.0, 1.5])],
        DtypeError,
        TypeError,
        ("a tensor cannot be an index", "shape (2,), dtype float64", "x[t.data.astype(int)]"),
    ),
    (
        lambda: X[np.array([0.0, 1.0])],
        RangeError,
        IndexError,
        ("getitem: arrays used as indices", "x (2, 3)", "whole numbers, booleans or slices"),
    ),
    (
        lambda: mg.attention(X, X, X, heads=2),
        ShapeError,
        ValueError,
        ("attention: the heads must divide", "q (2, 3) from leaf 'X', heads=2", "last axis"),
    ),
    (
        lambda: mg.attention(X, X, X, heads="2"),
        DtypeError,
        TypeError,
        ("attention: heads must be a whole number", "got '2'", "pass an int"),
    ),
    (
        lambda: mg.tensor([1.0], requires_grad="yes"),
        DtypeError,
        TypeError,
        ("tensor: requires_grad must be True or False", "got 'yes'", "pass True or False"),
    ),
    (
        lambda: mg.grad(X.sum(), X, create_graph="yes"),
        DtypeError,
        TypeError,
        ("grad: create_graph must be True or False", "got 'yes'", "pass True or False"),
    ),
    (
        lambda: mg.exp(X).backward(np.full((2, 3), 1j)),
        DtypeError,
        TypeError,
        ("gradient= cannot be complex", "shape (2, 3), dtype complex128", "X.real"),
    ),
    (
        lambda: hooked(lambda g: g * 1j),
        DtypeError,
        TypeError,
        ("what a hook returned cannot be complex", "dtype complex128", "X.real"),
    ),
    (
        lambda: setattr(X, "data", np.full((2, 3), 1j)),
        DtypeError,
        TypeError,
        ("the new data cannot be complex", "where float64 is needed", "X.real"),
    ),
    (
        lambda: setattr(X, "grad", np.full((2, 3), 1j)),
        DtypeError,
        TypeError,
        ("a gradient cannot be complex", "where float64 is needed", "X.real"),
    ),
    (
        lambda: setattr(X, "grad", np.ones((1, 2, 3))),
        ShapeError,
        ValueError,
        ("a gradient must have the shape", "got (1, 2, 3), expected (2, 3), for leaf 'X'", "None"),
    ),
    (
        lambda: mg.no_grad(5),
        DtypeError,
        TypeError,
        ("no_grad takes no setting", "got 5", "@no_grad before a function"),
    ),
    (
        lambda: mg.exp(X).backward(),
        GradientError,
        RuntimeError,
        (
            "backward() starts from a scalar, and this is not one",
            f"shape (2, 3), from exp at {HERE}",
            "y.sum().backward()",
        ),
    ),
    (
        lambda: mg.tensor(1.0).backward(),
        GradientError,
        RuntimeError,
        (
            "backward() on a value that depends on nothing",
            "from an unnamed leaf",
            "requires_grad=True",
        ),
    ),
    (
        lambda: mg.exp(X).backward(np.ones(3)),
        ShapeError,
        ValueError,
        (
            "gradient= must have the shape",
            "got (3,), expected (2, 3), from exp",
            "dL/dy for y itself",
        ),
    ),
    (
        lambda: X.sum().backward("a"),
        DtypeError,
        TypeError,
        ("gradient= must consist of real numbers", "'a'", "np.asarray(X, dtype=float)"),
    ),
    (
        lambda: mg.grad(X.sum(), [X, 3.0]),
        DtypeError,
        TypeError,
        ("grad: both y and xs are tensors", "got a float", "mg.tensor"),
    ),
    (
        lambda: mg.grad(mg.exp(X), X),
        GradientError,
        RuntimeError,
        ("backward() starts from a scalar", "shape (2, 3)", "gradient="),
    ),
    (
        lambda: mg.exp(X).item(),
        DataError,
        ValueError,
        ("item() needs a single element", "shape (2, 3)", "index or reduce"),
    ),
    (
        lambda: X.__setitem__(0, 1.0),
        GradientError,
        RuntimeError,
        ("a tensor cannot be assigned to", "leaf 'X'", "mg.where"),
    ),
    (
        lambda: setattr(X, "data", np.ones(2)),
        DataError,
        ValueError,
        (
            "new data must have the shape of the old",
            "got (2,), expected (2, 3), for leaf 'X'",
            "make a new tensor",
        ),
    ),
    (
        lambda: setattr(mg.exp(X), "data", X.data),
        GradientError,
        RuntimeError,
        ("only a leaf can be given new data", "exp at", "detach()"),
    ),
    (
        lambda: copy.deepcopy(mg.exp(X)),
        GradientError,
        RuntimeError,
        ("only a leaf can be copied", "exp at", "detach()"),
    ),
    (
        lambda: mg.tensor(1.0).register_hook(print),
        GradientError,
        RuntimeError,
        ("a hook on a tensor without", "unnamed", "requires_grad"),
    ),
    (
        lambda: mg.tensor(1.0).retain_grad(),
        GradientError,
        RuntimeError,
        ("retain_grad() on a tensor without", "unnamed", "requires_grad"),
    ),
    (
        lambda: mg.gradcheck(lambda x: 3.0, np.ones(2)),
        DtypeError,
        TypeError,
        ("gradcheck: fn must return a tensor", "it returned float", "mg functions"),
    ),
    (
        lambda: mg.gradcheck(mg.exp, np.ones(2), order=3),
        DataError,
        ValueError,
        ("gradcheck: unknown order", "order=3", "order=1"),
    ),
]


@pytest.mark.parametrize("number", range(len(FAULTS)))
def test_three_lines_that_help(number):
    call, ours, builtin, (what, where, fix) = FAULTS[number]
    with pytest.raises(MinigradError) as caught:
        call()
    assert type(caught.value) is ours and isinstance(caught.value, builtin)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None, (
        "no second traceback"
    )
    lines = str(caught.value).split("\n")
    assert len(lines) == 3, lines
    assert (
        lines[0].startswith(what)
        and where in lines[1]
        and lines[2].startswith("  fix: ")
        and fix in lines[2]
    ), lines


def test_a_rule_that_returns_no_gradient_is_named(monkeypatch):
    for wrong, got in (
        (lambda g, y, x: np.ones(5), "shape (5,)"),
        (lambda g, y, x: None, "a NoneType"),
    ):
        monkeypatch.setattr(ops.exp, "vjps", [wrong])
        with pytest.raises(GradientError) as caught:
            mg.exp(X).sum().backward()
        lines = str(caught.value).split("\n")
        assert lines[0] == "exp: the rule for x returned something that is not a gradient"
        assert lines[1].startswith(f"  got {got}, expected shape (2, 3), from exp at {HERE}:")
        assert lines[2] == "  fix: correct the rule: g * y"


def test_a_hook_that_returns_another_shape_is_named():
    x = leaf_of_shape(3, value=1.0)
    x.register_hook(lambda g: g[:2])
    with pytest.raises(ShapeError) as caught:
        x.sum().backward()
    assert str(caught.value).split("\n")[:2] == [
        "a hook returned something of another shape than the gradient",
        "  got shape (2,), expected (3,), for an unnamed leaf",
    ]
