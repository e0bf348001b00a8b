"""A zoo of small graphs in which every registered op lives: for tests of whatever reads a graph.

Each entry builds a scalar loss from its own generator, in float32 or float64.  An op that is
registered and lives in no cage makes `test_zoo_is_complete` fail: add a graph that uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae import ops
from minigrad_ae.autodiff import engine

ZOO: dict[str, Callable[[Any], Any]] = {}


def cage(build):
    """Register ``build(leaf) -> loss``; ``leaf(shape, low, high)`` makes a leaf of random
    numbers.
    """
    ZOO[build.__name__] = build
    return build


def make(name: str, dtype: Any = np.float64, seed: int = 0) -> Any:
    """The loss of one graph."""
    rng = np.random.default_rng(seed)

    def leaf(*shape, low=-2.0, high=2.0):
        return mg.tensor(rng.uniform(low, high, shape), requires_grad=True, dtype=dtype)

    return ZOO[name](leaf)


def ops_of(loss: Any) -> set[str]:
    """The names of the ops in a graph."""
    return {v.op.name for v in engine.topological(loss) if v.op is not None}


def leaves_of(loss: Any) -> list[Any]:
    """The leaves of a graph, oldest first."""
    return [v for v in engine.topological(loss) if v.op is None]


def weigh(y):
    """A scalar in which each element of y has a weight of its own (a sum alone hides transposed
    gradients).
    """
    weights = np.cos(np.arange(1.0, y.size + 1)).reshape(y.shape)
    return (y * weights.astype(y.dtype)).sum()


@cage
def roots_and_lengths(leaf):
    a, b = leaf(3, low=0.5), leaf(2, 3, low=0.5)
    return weigh(mg.cbrt(a) * mg.hypot(a, b))


@cage
def fan_out(leaf):
    a = leaf(3)
    b = a + a
    c = b + b
    return weigh(c * b)


@cage
def arithmetic(leaf):
    a, b, c = leaf(3, 4), leaf(4), leaf(3, 1, low=0.5)
    return weigh((a + b) * (a - c) / c - (2 - a) + 3 / c + (-b))


@cage
def powers(leaf):
    a, p = leaf(2, 3, low=0.5), leaf(3)
    return weigh(a**p + a**3 + a**-0.5 + a**2 + 2**p + a**0)


@cage
def exponentials(leaf):
    a = leaf(2, 5, low=0.2)
    return weigh(
        mg.exp(-a) + mg.log(a) * mg.log1p(a) - mg.expm1(a) / mg.sqrt(a) + mg.ops.exp_remainder(a)
    )


@cage
def more_functions(leaf):
    a, b = leaf(4, 3, low=0.1, high=0.9), leaf(3, low=0.2, high=0.6)
    y = mg.tan(a) + mg.arcsin(a) * mg.arccos(b) + mg.arctan(a) + mg.sinh(a) * mg.cosh(b)
    z = mg.log2(a) * mg.log10(b) + mg.exp2(a) + mg.logaddexp(a, b) + a % b
    return weigh(y + z + mg.cumsum(a, axis=0))


@cage
def waves(leaf):
    a = leaf(7)
    return weigh(mg.sin(a) * mg.cos(2 * a))


@cage
def activations(leaf):
    a = leaf(5, 4, low=-4, high=4)
    return weigh(
        mg.tanh(a)
        + mg.sigmoid(a) * mg.relu(a)
        + mg.softplus(a)
        + mg.gelu(a)
        + mg.gelu(a, "tanh")
        + mg.erf(a)
    )


@cage
def corners(leaf):
    a, b = leaf(4, 3), leaf(3)
    y = mg.maximum(a, b) + mg.minimum(a, 0.25) + mg.abs(a) + mg.clip(a, -0.5, 0.5)
    return weigh(y + mg.where(a.data > b.data, a * 2, b))


@cage
def ties(leaf):
    a = mg.tensor(np.array([[1.0, 3, 3], [2, 2, 2]]), requires_grad=True, dtype=leaf(1).dtype)
    return (
        weigh(mg.maximum(a, a.T.reshape(2, 3)) + a.max(axis=1, keepdims=True) + a.max(axis=0))
        + a.max()
        + a.min()
    )


@cage
def reductions(leaf):
    a = leaf(3, 4, 2)
    y = a.sum(axis=1) * a.mean(axis=(0, 1)) + a.sum(axis=-2, keepdims=True).sum(axis=1)
    return (
        weigh(y)
        + a.max()
        + weigh(a.var(axis=0))
        + mg.logsumexp(a)
        + weigh(mg.logsumexp(a, axis=(0, 2)))
    )


@cage
def softmaxes(leaf):
    a = leaf(4, 5)
    b = mg.softmax(a) + mg.softmax(a, axis=0) + mg.log_softmax(a) + mg.log_softmax(a, axis=0)
    return weigh(b - mg.logsumexp(a, axis=-1, keepdims=True))


@cage
def shapes(leaf):
    a = leaf(2, 3, 4)
    b = a.transpose(2, 0, 1).reshape(4, 6).T
    c = mg.expand_dims(mg.swapaxes(a, 0, 2), 1)
    d = mg.broadcast_to(leaf(3, 1), (3, 5))
    return weigh(mg.pad(b, ((1, 0), (0, 2)), value=0.5)) + weigh(mg.squeeze(c)) + weigh(d)


@cage
def picking(leaf):
    a, s = leaf(5, 4), leaf()
    y = (
        a[1:4, ::2].sum()
        + weigh(a[[0, 2, 2]])
        + weigh(a[a.data > 0])
        + a[-1, 2]
        + weigh(a[..., None, 0])
    )
    return (
        y
        + weigh(mg.take(a, [[3, 3], [0, 1]], axis=1))
        + weigh(a[:, np.array([1, 1])])
        + weigh(s[None])
    )


@cage
def placing(leaf):
    a = leaf(3, 2)
    return weigh(ops.index_add(a, np.array([0, 2, 0]), (4, 2))) + weigh(
        ops.index_add(a, (slice(1, 4),), (5, 2))
    )


@cage
def joining(leaf):
    a, b, c = leaf(2, 3), leaf(2, 1), leaf(2, 3)
    left, right = mg.split(mg.concatenate([a, b, c, np.ones((2, 1))], axis=1), 2, axis=1)
    return weigh(left * right) + weigh(mg.stack([a, c, a], axis=-1))


@cage
def products(leaf):
    a, b, v = leaf(2, 3, 4), leaf(4, 5), leaf(5)
    return weigh(a @ b @ v) + weigh(mg.swapaxes(a, -1, -2) @ leaf(2, 3, 2)) + v @ v


@cage
def contractions(leaf):
    a, b, m = leaf(3, 4), leaf(4, 2), leaf(3, 3)
    y = mg.einsum("ij,jk->ki", a, b).sum() + mg.einsum("ii->", m) + weigh(mg.einsum("ii->i", m))
    return y + weigh(mg.einsum("ij->i", a)) + weigh(mg.einsum("...j,kj->k...", a, leaf(2, 4)))


@cage
def network(leaf):
    x, w, b, v = leaf(6, 5), leaf(5, 4), leaf(4), leaf(4, 5)
    h = mg.layer_norm(mg.linear(x, w, b, "tanh"), leaf(4), leaf(4))
    return 0.5 * mg.square(mg.dropout(h, np.arange(4) % 2, 0.5) @ v - x).sum()


@cage
def looking(leaf):
    q, k, v = leaf(2, 3, 4), leaf(2, 5, 4), leaf(2, 5, 2)
    mask = np.arange(15).reshape(3, 5) % 4 > 0
    return weigh(mg.attention(q, k, v, mask))


@cage
def mixed_dtypes(leaf):
    a = leaf(3, 2)
    b = mg.tensor(np.linspace(0, 1, 4).reshape(2, 2), requires_grad=True, dtype=np.float32)
    c = mg.tensor(np.linspace(0, 1, 3), requires_grad=True, dtype=np.float64)
    return (
        weigh(ops.cast(a, dtype=np.float32) @ b)
        + weigh(a * np.array([1, 2]))
        + weigh((a @ b).T * c)
    )


@cage
def layouts(leaf):
    """Constants in Fortran order, with gaps, backwards, and repeated: sums and products notice."""
    rng = np.random.default_rng(7)
    a, wide = leaf(6, 4), rng.normal(size=(12, 8)).astype(leaf(1).dtype)
    line = np.linspace(0, 1, 4, dtype=wide.dtype)
    y = a * np.asfortranarray(wide[:6, :4]) + wide[::2, ::2] * a - a * wide[5::-1, 3::-1]
    left = np.asfortranarray(wide[:3, :6])
    return (
        weigh(y @ wide.T[:4])
        + (a * np.broadcast_to(line, (6, 4))).sum(axis=0).sum()
        + weigh(left @ a)
    )


@cage
def layers(leaf):
    x, W, b, V = leaf(5, 4), leaf(4, 4), leaf(4), leaf(4, 4)
    h = (
        mg.linear(x, W, b, activation="tanh")
        + mg.linear(x, V, activation="sigmoid")
        + mg.linear(x, W, b, activation="relu")
    )
    h = mg.layer_norm(h, b, leaf(4))
    plain, learnt = mg.attention(h, h, mg.linear(x, V)), mg.attention(h, x, h, leaf(5, 5))
    return (
        weigh(plain)
        + weigh(learnt)
        + weigh(mg.attention(x.reshape(1, 5, 4), x, h, np.tri(5, dtype=bool)))
    )


@cage
def losses(leaf):
    mu, log_var, x = leaf(3, 2), leaf(3, 2), leaf(3, 2)
    z = mg.ops.reparameterise(mu, log_var, leaf(3, 2))
    sparse = mg.ops.l1_norm(z @ mg.ops.unit_rows(leaf(2, 3)))
    return (
        sparse
        + mg.ops.half_squared_error(z, x)
        + mg.ops.bernoulli_loss(z, mg.sigmoid(x))
        + mg.ops.gaussian_kl(mu, log_var)
    )


@cage
def second_order(leaf):
    x, w = leaf(4, 3), leaf(3, 2)
    y = mg.tanh(x @ w).sum() + mg.softplus(x).sum() + mg.relu(x).sum()
    gx, gw = mg.grad(y, (x, w), create_graph=True)
    return weigh(gx * gx) + weigh(gw)


@cage
def infinite(leaf):
    """NaN and infinity go their way."""
    a = leaf(3)
    with np.errstate(all="ignore"):
        return weigh(mg.log(a - a.data) * np.array([0.0, np.inf, np.nan], a.dtype) + a)


@cage
def just_a_leaf(leaf):
    return leaf()


GRAPHS = [(name, dtype) for name in ZOO for dtype in (np.float64, np.float32)]
every_graph = pytest.mark.parametrize(
    ("name", "dtype"), GRAPHS, ids=[f"{n}-{np.dtype(d)}" for n, d in GRAPHS]
)


# --- every model of the chapter -------------------------------------------------------------------

FEATURES, LATENT = 6, 2


def masked_model(rng):
    """With a head that is not zero, as it is at the start, so that gradients reach all layers."""
    model = mg.models.MaskedAutoencoder(
        (4, 4),
        2,
        width=4,
        depth=1,
        heads=2,
        decoder_width=6,
        decoder_depth=1,
        mask_ratio=0.5,
        rng=rng,
    )
    model.head.weight.data = rng.normal(size=model.head.weight.shape)
    return model, rng.normal(size=(2, 16))


BUILD = {  # name: build(rng) -> (model, x)
    "DenoisingAutoencoder": lambda rng: (
        mg.models.DenoisingAutoencoder(
            mg.models.DeepAutoencoder(FEATURES, LATENT, 4, rng=rng), sigma=0.3, drop=0.2
        ),
        rng.normal(size=(7, FEATURES)),
    ),
    "MaskedAutoencoder": masked_model,
    "VariationalAutoencoder": lambda rng: (
        mg.models.VariationalAutoencoder(FEATURES, LATENT, rng=rng),
        # Bernoulli: pixels in [0, 1]
        rng.random((7, FEATURES)),
    ),
}
MODELS = [
    name
    for name in mg.models.__all__
    if isinstance(getattr(mg.models, name), type)
    and issubclass(getattr(mg.models, name), mg.nn.Module)
]


def model_and_loss(name):
    """(model, loss), the same each time."""
    rng = np.random.default_rng(5)
    if name in BUILD:
        model, x = BUILD[name](rng)
    else:
        model, x = (
            getattr(mg.models, name)(FEATURES, LATENT, rng=rng),
            rng.normal(size=(7, FEATURES)),
        )
    try:
        loss = model.loss(x, rng=np.random.default_rng(9))
    except TypeError:
        loss = model.loss(x)
    return model, loss
