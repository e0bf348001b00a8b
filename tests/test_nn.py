"""Layers and initialisers: each equals its formula in NumPy, has exact gradients, and draws only
from the generator given.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import message_of, rng

import minigrad_ae as mg
from minigrad_ae import nn
from minigrad_ae.errors import DataError, DtypeError, ShapeError
from minigrad_ae.nn import init

DTYPES = [np.float32, np.float64]


# --- layers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lead", [(), (1,), (5,), (2, 3), (0,)])
def test_linear_is_x_W_plus_b(dtype, lead):
    layer = nn.Linear(4, 3, rng=rng(), dtype=dtype)
    layer.bias.data = rng(1).normal(size=3)
    x = rng(2).normal(size=(*lead, 4)).astype(dtype)
    y = layer(x)
    assert y.dtype == dtype and layer.weight.shape == (4, 3)
    np.testing.assert_allclose(
        y.data, x @ layer.weight.data + layer.bias.data, rtol=8 * np.finfo(dtype).eps, atol=1e-7
    )
    assert nn.Linear(4, 3, bias=False, rng=rng()).bias is None


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "softplus", "gelu", "gelu_tanh"])
def test_an_activation_inside_linear_is_the_module_after_it(activation):
    module = {
        "tanh": nn.Tanh(),
        "sigmoid": nn.Sigmoid(),
        "relu": nn.ReLU(),
        "softplus": nn.Softplus(),
        "gelu": nn.GELU(),
        "gelu_tanh": nn.GELU("tanh"),
    }[activation]
    inside, plain = nn.Linear(4, 3, activation=activation, rng=rng()), nn.Linear(4, 3, rng=rng())
    x = mg.tensor(rng(1).normal(size=(5, 4)), requires_grad=True)
    weights = rng(2).normal(size=(5, 3))
    for model in (inside, nn.Sequential(plain, module)):
        (model(x) * weights).sum().backward()
    assert np.array_equal(inside(x).data, module(plain(x)).data)
    assert np.array_equal(inside.weight.grad, plain.weight.grad) and np.array_equal(
        inside.bias.grad, plain.bias.grad
    )


@pytest.mark.parametrize(
    "layer",
    [
        nn.Linear(4, 4, activation="gelu", rng=rng()),
        nn.LayerNorm(4),
        nn.Tanh(),
        nn.Sigmoid(),
        nn.Softplus(),
        nn.GELU(),
        nn.Sequential(
            nn.Linear(4, 3, rng=rng()), nn.Tanh(), nn.LayerNorm(3), nn.Linear(3, 2, rng=rng(1))
        ),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_gradients_with_respect_to_input_and_parameters_are_exact(layer):
    x = mg.tensor(rng(2).normal(size=(3, 4)), requires_grad=True)
    y = layer(x)
    weights = rng(3).normal(size=y.shape)
    loss = (y * weights).sum()
    loss.backward()
    assert mg.check_graph(loss).ok
    for leaf in (x, *layer.parameters()):
        direction = rng(4).normal(size=leaf.shape)
        at, h = leaf.data.copy(), 1e-5
        leaf.data = at + h * direction
        up = float((layer(x) * weights).sum())
        leaf.data = at - h * direction
        down = float((layer(x) * weights).sum())
        leaf.data = at
        assert (up - down) / (2 * h) == pytest.approx(
            float((leaf.grad * direction).sum()), rel=1e-7, abs=1e-9
        )


@pytest.mark.parametrize("dtype", DTYPES)
def test_layer_norm_has_mean_zero_and_variance_one_before_weight_and_bias(dtype):
    layer = nn.LayerNorm(64, eps=0.0, dtype=dtype)
    x = (5 + 3 * rng().normal(size=(7, 64))).astype(dtype)
    y = layer(x).data
    eps = np.finfo(dtype).eps
    assert y.dtype == dtype
    np.testing.assert_allclose(y.mean(-1), 0, atol=20 * eps)
    np.testing.assert_allclose(y.var(-1), 1, rtol=50 * eps)
    layer.weight.data, layer.bias.data = np.full(64, 2.0), np.full(64, -1.0)
    np.testing.assert_allclose(layer(x).data, 2 * y - 1, rtol=4 * eps, atol=4 * eps)


def test_dropout_drops_with_its_rate_keeps_the_mean_and_rests_in_evaluation():
    n, rate = 100_000, 0.3
    layer, x = nn.Dropout(rate, rng()), np.full(n, 2.0)
    y = np.asarray(layer(x))
    dropped = np.mean(y == 0)
    assert abs(dropped - rate) < 5 * math.sqrt(rate * (1 - rate) / n)  # five standard errors
    assert set(np.unique(y)) == {0.0, 2 / 0.7}
    assert not np.array_equal(layer(x), y), "every call draws its own mask"
    assert np.array_equal(nn.Dropout(rate, rng())(x), y), "the same seed, the same mask"
    assert layer.eval()(x) is x
    assert nn.Dropout(0.0, rng())(x) is x


def test_the_gradient_of_dropout_passes_where_the_value_did():
    x = mg.tensor(rng(1).normal(size=50) + 10, requires_grad=True, dtype=np.float32)
    y = nn.Dropout(0.5, rng())(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == np.float32
    assert np.array_equal(x.grad, np.where(y.data == 0, 0, 2).astype(np.float32))


def test_sequential_runs_in_order_and_can_be_looked_into():
    a, b = nn.Linear(3, 5, rng=rng()), nn.Linear(5, 2, rng=rng(1))
    model = nn.Sequential(a, nn.Tanh(), b)
    x = rng(2).normal(size=(4, 3))
    assert np.array_equal(model(x).data, b(np.tanh(a(x).data)).data)
    assert len(model) == 3 and model[0] is a and list(model)[-1] is b


def test_flatten_keeps_the_data_apart():
    x = rng().random((2, 3, 4, 5))
    assert np.array_equal(nn.layers.Flatten()(mg.tensor(x)).numpy(), x.reshape(2, 60))


# --- initialisers ---------------------------------------------------------------------------------

VARIANCES = {
    init.xavier_uniform: 2 / (300 + 200),
    init.xavier_normal: 2 / (300 + 200),
    init.he_uniform: 2 / 300,
    init.he_normal: 2 / 300,
    init.normal: 0.02**2,
}


@pytest.mark.parametrize("function", VARIANCES, ids=lambda f: f.__name__)
def test_initialisers_have_mean_zero_and_the_variance_of_their_paper(function):
    W = function((300, 200), rng())
    variance, n = VARIANCES[function], 60_000
    assert abs(W.mean()) < 5 * math.sqrt(variance / n)
    # sqrt(2/n): a normal's; a uniform's is smaller
    assert W.var() == pytest.approx(variance, rel=5 * math.sqrt(2 / n))
    if "uniform" in function.__name__:
        assert abs(W).max() <= math.sqrt(3 * variance)


def test_a_layer_starts_at_the_weights_of_its_initialiser():
    W = nn.Linear(300, 200, rng=rng()).weight.data  # Glorot's, unless another is named
    assert W.var() == pytest.approx(2 / (300 + 200), rel=5 * math.sqrt(2 / 60_000))
    Q = nn.Linear(7, 3, init=init.orthogonal, rng=rng()).weight.data
    np.testing.assert_allclose(Q.T @ Q, np.eye(3), atol=1e-14)


@pytest.mark.parametrize("shape", [(5, 5), (7, 3), (3, 7), (1, 4)])
def test_orthogonal_has_orthonormal_rows_or_columns(shape):
    W = init.orthogonal(shape, rng())
    G = W.T @ W if shape[0] >= shape[1] else W @ W.T
    np.testing.assert_allclose(G, np.eye(min(shape)), atol=1e-15 * 10)


def test_orthogonal_prefers_no_sign():
    draws = rng()
    first = np.array([init.orthogonal((4, 4), draws)[0, 0] for _ in range(400)])
    # an entry of a uniform orthogonal matrix has variance 1/n
    assert abs(first.mean()) < 5 * math.sqrt(1 / 4 / 400)


@pytest.mark.parametrize("function", [*VARIANCES, init.orthogonal], ids=lambda f: f.__name__)
def test_float32_is_the_rounded_float64_and_the_seed_decides_every_bit(function):
    exact, rounded = function((6, 4), rng(7)), function((6, 4), rng(7), np.float32)
    assert exact.dtype == np.float64 and rounded.dtype == np.float32
    assert np.array_equal(exact.astype(np.float32), rounded)
    assert np.array_equal(exact, function((6, 4), rng(7))) and not np.array_equal(
        exact, function((6, 4), rng(8))
    )


# --- errors ---------------------------------------------------------------------------------------

MISTAKES = [
    (
        DtypeError,
        lambda: nn.Linear(3, 2),
        """
Linear: a random generator is needed to draw the first weights
  got rng=None
  fix: pass rng=np.random.default_rng(seed); the same seed gives the same numbers""",
    ),
    (
        DtypeError,
        lambda: nn.Linear(3, 2, rng=7),
        """
Linear: a random generator is needed to draw the first weights
  got rng=7
  fix: pass rng=np.random.default_rng(seed); the same seed gives the same numbers""",
    ),
    (
        DtypeError,
        lambda: nn.Linear(3, 2, rng=rng(), dtype=np.float16),
        """
Linear: parameters must be float32 or float64
  got dtype=float16
  fix: pass dtype=np.float64 or dtype=np.float32""",
    ),
    (
        DtypeError,
        lambda: nn.LayerNorm(3, dtype=complex),
        """
LayerNorm: parameters must be float32 or float64
  got dtype=complex128
  fix: pass dtype=np.float64 or dtype=np.float32""",
    ),
    (
        DtypeError,
        lambda: init.zeros((2,), dtype="no such"),
        """
init.zeros: parameters must be float32 or float64
  got dtype=no such
  fix: pass dtype=np.float64 or dtype=np.float32""",
    ),
    (
        DataError,
        lambda: nn.Linear(0, 2, rng=rng()),
        """
in_features must be a whole number, at least 1
  got 0
  fix: a layer has a unit on each side""",
    ),
    (
        DtypeError,
        lambda: nn.Linear(3, 2.0, rng=rng()),
        """
out_features must be a whole number, at least 1
  got 2.0
  fix: a layer has a unit on each side""",
    ),
    (
        DataError,
        lambda: nn.Linear(3, 2, activation="swish", rng=rng()),
        """
Linear: unknown activation 'swish'
  there are None, tanh, sigmoid, relu, softplus, gelu, gelu_tanh
  fix: use one of these names""",
    ),
    (
        ShapeError,
        lambda: nn.Linear(3, 2, rng=rng())(np.ones((5, 4))),
        """
Linear(3 -> 2): the last axis of x must have 3 elements
  got x of shape (5, 4)
  fix: a row of x is one example: pass (..., features), or build the layer for this width""",
    ),
    (
        ShapeError,
        lambda: nn.LayerNorm(3)(mg.tensor(np.ones((5, 1)))),
        """
LayerNorm(3, eps=1e-05): the last axis of x must have 3 elements
  got x of shape (5, 1)
  fix: a row of x is one example: pass (..., features), or build the layer for this width""",
    ),
    (
        DataError,
        lambda: nn.LayerNorm(3, eps=math.nan),
        """
LayerNorm: eps must be >= 0 and finite
  got nan
  fix: the usual value is 1e-5""",
    ),
    (
        DataError,
        lambda: nn.Dropout(1.0, rng()),
        """
Dropout: the rate must lie in [0, 1)
  got 1.0
  fix: rate is the probability of dropping""",
    ),
    (
        DtypeError,
        lambda: nn.Dropout(0.5),
        """
Dropout: a random generator is needed to draw which elements to drop
  got rng=None
  fix: pass rng=np.random.default_rng(seed); the same seed gives the same numbers""",
    ),
    (
        DataError,
        lambda: nn.GELU("sigmoid"),
        """
GELU: unknown approximation 'sigmoid'
  there are None, tanh
  fix: use one of these""",
    ),
    (
        DtypeError,
        lambda: nn.Sequential(nn.Tanh(), nn.Tanh),
        """
Sequential takes modules
  number 1 is <class 'minigrad_ae.nn.layers.Tanh'>
  fix: pass instances: Sequential(Linear(...), Tanh()), not a list, a class or a function""",
    ),
    (
        ShapeError,
        lambda: init.he_normal((3,), rng()),
        """
this initialiser needs a weight that maps inputs to outputs
  got shape (3,), expected (..., in, out) with at least one of each
  fix: use init.normal or init.zeros for other shapes""",
    ),
    (
        ShapeError,
        lambda: init.orthogonal((2, 3, 3), rng()),
        """
init.orthogonal makes one matrix
  got shape (2, 3, 3)
  fix: make one for each leading index""",
    ),
    (
        DataError,
        lambda: init.normal((3,), rng(), std=-1.0),
        """
init.normal: std must be >= 0 and finite
  got -1.0
  fix: e.g. std=0.02""",
    ),
]


@pytest.mark.parametrize(("kind", "call", "text"), MISTAKES)
def test_a_mistake_is_answered_in_three_lines(kind, call, text):
    assert message_of(kind, call) == text.strip()
