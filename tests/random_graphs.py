"""Random graphs in which every registered op occurs: the same ones each time, by number."""

from __future__ import annotations

import numpy as np
from cases import CASES

import minigrad_ae as mg
from minigrad_ae.ops import REGISTRY

GRAPHS, STEPS = 200, 16


def positive(x):
    return x * x + 0.5


def vector(x):
    return x.reshape(-1)


def matrix(x):
    """x as a matrix, by a view where it can be one."""
    return x.reshape(-1, x.shape[-1]) if x.ndim else x.reshape(1, 1)


def batched(rng, x):
    """x as a matrix, or as several if it is."""
    return x if x.ndim > 2 and rng.random() < 0.5 else matrix(x)


def partner(rng, pool, x):
    """Another tensor of the pool that broadcasts with x, as it is or by a row or number of it."""
    y = pool[rng.integers(len(pool))]
    if y.dtype != x.dtype and rng.random() < 0.8:
        y = mg.ops.cast(y, dtype=x.dtype)
    fits = y.ndim <= x.ndim and all(
        n in (1, m) for n, m in zip(reversed(y.shape), reversed(x.shape), strict=False)
    )
    return y if fits else vector(y)[int(rng.integers(y.size))]


def axis_of(rng, x):
    return None if x.ndim == 0 or rng.random() < 0.3 else int(rng.integers(-x.ndim, x.ndim))


def by_its_cases(op):
    """How to apply an element-wise op of which `SPECIAL` does not speak: x, and a partner for each
    other input, come into the ranges of its largest input set.
    """
    case = max(CASES[op.name], key=lambda case: np.size(case.inputs[0]))
    assert not case.params and not op.variadic, f"teach SPECIAL, in this file, the op {op.name}"
    ranges = [(np.min(a), np.max(a) - np.min(a)) for a in case.inputs]

    def apply(rng, pool, x):
        inputs = [x, *(partner(rng, pool, x) for _ in ranges[1:])]
        squeezed = zip(inputs, ranges, strict=True)
        return mg.ops.REGISTRY[op.name](
            *(float(low) + float(width) * mg.sigmoid(y) for y, (low, width) in squeezed)
        )

    return apply


def attended(rng, x):
    """Attention of the rows of x, with two heads where they are even, and a mask that is added."""
    q = batched(rng, x)
    last = matrix(q)[-q.shape[-2] :]  # of one batch
    mask = mg.sin(last @ mg.cos(last).T) if rng.random() < 0.5 else None
    heads = 2 if q.shape[-1] % 2 == 0 and rng.random() < 0.5 else 1
    return mg.attention(q, mg.sin(q), mg.cos(q), mask, heads=heads)


def gram(rng, x):
    y = batched(rng, x)
    return mg.swapaxes(y, -1, -2) @ y / y.size


def normalised(rng, x):
    """layer_norm of the rows of x, with or without a weight and bias."""
    rows = batched(rng, x)
    if rng.random() < 0.5:
        return mg.layer_norm(rows, eps=0.1)
    return mg.layer_norm(rows, mg.sin(matrix(x)[0]), mg.cos(matrix(x)[-1]), eps=0.1)


def affine(rng, x):
    """linear with any activation, with or without a bias."""
    rows, bias = matrix(x), None
    if rng.random() < 0.5:
        bias = mg.sin(rows[:, 0])
    return mg.linear(rows, rows.T, bias, activation=(None, "tanh", "sigmoid")[rng.integers(3)])


def indices(rng, n):
    return rng.integers(-n, n, size=int(rng.integers(1, 5)))  # repeated ones and negative ones


# How to apply each op to a tensor x of the pool, inside its domain.
SPECIAL = {
    "logaddexp": lambda rng, pool, x: mg.logaddexp(x, 0.5 - x),
    "remainder": lambda rng, pool, x: mg.remainder(x, x * x + 0.7),
    "cumsum": lambda rng, pool, x: mg.cumsum(x),
    **{
        name: lambda rng, pool, x, name=name: mg.ops.REGISTRY[name](x)
        for name in (
            "neg",
            "sin",
            "cos",
            "tanh",
            "sigmoid",
            "softplus",
            "relu",
            "abs",
            "erf",
            "gelu_erf",
            "gelu_tanh",
            "transpose",
            "l1_norm",
        )
    },
    **{
        name: lambda rng, pool, x, name=name: mg.ops.REGISTRY[name](x, partner(rng, pool, x))
        for name in ("add", "sub", "mul", "maximum")
    },
    **{
        name: lambda rng, pool, x, name=name: mg.ops.REGISTRY[name](positive(x))
        for name in ("log", "log1p", "sqrt")
    },
    **{
        name: lambda rng, pool, x, name=name: mg.ops.REGISTRY[name](mg.tanh(x))
        for name in ("exp", "expm1", "exp_remainder")
    },
    **{
        name: lambda rng, pool, x, name=name: mg.ops.REGISTRY[name](x, axis=axis_of(rng, x))
        for name in ("sum", "max", "logsumexp", "softmax", "log_softmax")
    },
    "div": lambda rng, pool, x: x / positive(partner(rng, pool, x)),
    "power": lambda rng, pool, x: positive(x) ** mg.tanh(partner(rng, pool, x)),
    "where": lambda rng, pool, x: mg.where(rng.random(x.shape) < 0.5, x, partner(rng, pool, x)),
    "cast": lambda rng, pool, x: mg.ops.cast(
        x, dtype=np.float32 if rng.random() < 0.5 else np.float64
    ),
    "getitem": lambda rng, pool, x: (
        vector(x)[indices(rng, x.size)] if rng.random() < 0.5 else vector(x)[::-2]
    ),
    "index_add": lambda rng, pool, x: mg.ops.index_add(
        vector(x), rng.integers(0, 5, size=x.size), (5,)
    ),
    "matmul": lambda rng, pool, x: gram(rng, x),
    "einsum": lambda rng, pool, x: (
        mg.einsum("ij,ik->jk", matrix(x), mg.sin(matrix(x))) / matrix(x).size
    ),
    "reshape": lambda rng, pool, x: x.reshape(x.shape[::-1]),
    "broadcast_to": lambda rng, pool, x: mg.broadcast_to(x, (2, *x.shape)),
    "pad": lambda rng, pool, x: mg.pad(x, 1, value=0.5),
    "linear": lambda rng, pool, x: affine(rng, x),
    "layer_norm": lambda rng, pool, x: normalised(rng, x),
    "unit_rows": lambda rng, pool, x: mg.ops.unit_rows(batched(rng, positive(x))),
    "attention": lambda rng, pool, x: attended(rng, x),
    "half_squared_error": lambda rng, pool, x: mg.ops.half_squared_error(x, partner(rng, pool, x)),
    "bernoulli_loss": lambda rng, pool, x: mg.ops.bernoulli_loss(
        x, mg.sigmoid(partner(rng, pool, x))
    ),
    "gaussian_kl": lambda rng, pool, x: mg.ops.gaussian_kl(x, mg.tanh(partner(rng, pool, x))),
    "reparameterise": lambda rng, pool, x: mg.ops.reparameterise(
        x, mg.tanh(partner(rng, pool, x)), mg.sin(x)
    ),
    "concatenate": lambda rng, pool, x: mg.concatenate(
        [vector(x), vector(partner(rng, pool, x)), vector(x)]
    ),
}
APPLY = {op.name: SPECIAL.get(op.name) or by_its_cases(op) for op in REGISTRY.values()}


def random_graph(number):
    """A loss; each graph has fan-out, since results go back into the pool, and a third are
    float32.
    """
    return grown(number, leaves(number))


def leaves(number):
    """What graph `number` starts from."""
    rng = np.random.default_rng([7, number])
    dtype = np.float32 if number % 3 == 0 else np.float64
    shapes = [(3, 4), (4,), (2, 3, 4), ()]
    return [
        mg.tensor(rng.standard_normal(shape), dtype=dtype, requires_grad=True) for shape in shapes
    ]


def grown(number, start):
    """The loss of graph `number` on these leaves."""
    rng, pool, names = np.random.default_rng([8, number]), list(start), list(APPLY)
    for k in range(STEPS):
        x = pool[int(rng.integers(len(pool)))]
        y = APPLY[names[(number * STEPS + k) % len(names)]](rng, pool, x)
        if y.size > 60:
            y = vector(y)[:60]
        pool.append(mg.tanh(y) if y.size and np.max(np.abs(y.data)) > 3 else y)
    parts = [(p * rng.standard_normal(p.shape)).sum() for p in pool]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
