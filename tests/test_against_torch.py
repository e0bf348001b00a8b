"""A second opinion: values and first and second derivatives of the public functions are PyTorch's,
where PyTorch has the function and is installed (``nox -s torch``).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from opinions import JUDGES, always_the_same
from random_programs import programs

import minigrad_ae as mg

torch = pytest.importorskip("torch")

F = torch.nn.functional
A = np.random.default_rng(1).uniform(0.2, 0.9, (3, 4))  # inside every domain
B = np.random.default_rng(2).uniform(-0.9, 0.9, (3, 4))
M = np.random.default_rng(3).standard_normal((4, 4))
LABELS = np.array([2, 0, 3])
TIE = np.array([1.0, 2.0, 2.0, -1.0, 0.0])
# (ours, PyTorch's, inputs), by a name
PAIRS = {
    **{
        name: (getattr(mg, name), getattr(torch, name), [A])
        for name in (
            "exp log log1p expm1 sqrt square sin cos tan tanh sinh cosh arcsin arccos arctan erf "
            "sigmoid relu abs floor ceil sign log2 log10 exp2 ravel diag prod mean std sum"
        ).split()
        if hasattr(torch, name) and name not in ("std", "diag")
    },
    "cbrt": (mg.cbrt, lambda x: x ** (1 / 3), [A]),
    "hypot": (mg.hypot, torch.hypot, [A, B]),
    "softplus": (mg.softplus, F.softplus, [B]),
    "gelu": (mg.gelu, F.gelu, [B]),
    "gelu, tanh": (
        lambda x: mg.gelu(x, approximate="tanh"),
        lambda x: F.gelu(x, approximate="tanh"),
        [B],
    ),
    "silu": (mg.silu, F.silu, [B]),
    "elu": (mg.elu, F.elu, [B]),
    "leaky_relu": (mg.leaky_relu, F.leaky_relu, [B]),
    "logaddexp": (mg.logaddexp, torch.logaddexp, [A, B]),
    "remainder": (mg.remainder, torch.remainder, [B, A]),
    "maximum": (mg.maximum, torch.maximum, [A, B]),
    "minimum": (mg.minimum, torch.minimum, [A, B]),
    "clip": (lambda x: mg.clip(x, -0.3, 0.3), lambda x: torch.clip(x, -0.3, 0.3), [B]),
    "where": (lambda a, b: mg.where(A > 0.5, a, b), lambda a, b: _where(a, b), [A, B]),
    "std": (lambda x: mg.std(x, axis=1, ddof=1), lambda x: torch.std(x, dim=1), [B]),
    "var": (lambda x: mg.var(x, ddof=0), lambda x: torch.var(x, correction=0), [B]),
    "norm": (mg.norm, torch.linalg.norm, [B]),
    "norm, 1": (lambda x: mg.norm(x, 1, axis=1), lambda x: torch.linalg.norm(x, 1, dim=1), [B]),
    "norm, 3": (lambda x: mg.norm(x, 3, axis=0), lambda x: torch.linalg.norm(x, 3, dim=0), [B]),
    "norm, inf": (
        lambda x: mg.norm(x, math.inf, axis=1),
        lambda x: torch.linalg.norm(x, math.inf, dim=1),
        [B],
    ),
    "prod, axis": (lambda x: mg.prod(x, axis=1), lambda x: torch.prod(x, dim=1), [B]),
    "max": (lambda x: mg.max(x, axis=1), lambda x: torch.amax(x, dim=1), [B]),
    "min": (lambda x: mg.min(x, axis=0), lambda x: torch.amin(x, dim=0), [B]),
    "logsumexp": (
        lambda x: mg.logsumexp(x, axis=1),
        lambda x: torch.logsumexp(x, dim=1),
        [B],
    ),
    "softmax": (lambda x: mg.softmax(x, axis=0), lambda x: torch.softmax(x, dim=0), [B]),
    "log_softmax": (mg.log_softmax, lambda x: torch.log_softmax(x, dim=-1), [B]),
    "dot": (mg.dot, torch.dot, [A[0], B[0]]),
    "inner": (mg.inner, torch.inner, [A, B]),
    "outer": (mg.outer, torch.outer, [A[0], B[:, 0]]),
    "tensordot": (
        lambda a, b: mg.tensordot(a, b, ((1,), (0,))),
        lambda a, b: torch.tensordot(a, b, ([1], [0])),
        [A, M],
    ),
    "matmul": (mg.matmul, torch.matmul, [A, M]),
    "einsum": (
        lambda a, b: mg.einsum("ij,ij->j", a, b),
        lambda a, b: torch.einsum("ij,ij->j", a, b),
        [A, B],
    ),
    "cumsum": (lambda x: mg.cumsum(x, axis=1), lambda x: torch.cumsum(x, dim=1), [B]),
    "repeat": (
        lambda x: mg.repeat(x, 2, axis=0),
        lambda x: torch.repeat_interleave(x, 2, dim=0),
        [B],
    ),
    "tile": (lambda x: mg.tile(x, (2, 1)), lambda x: torch.tile(x, (2, 1)), [B]),
    "moveaxis": (lambda x: mg.moveaxis(x, 0, 1), lambda x: torch.moveaxis(x, 0, 1), [B]),
    "swapaxes": (lambda x: mg.swapaxes(x, 0, 1), lambda x: torch.swapaxes(x, 0, 1), [B]),
    "flip": (lambda x: mg.flip(x, 1), lambda x: torch.flip(x, [1]), [B]),
    "roll": (lambda x: mg.roll(x, 2, 1), lambda x: torch.roll(x, 2, 1), [B]),
    "flatten": (mg.flatten, torch.flatten, [B]),
    "diag": (mg.diag, torch.diag, [M]),
    "diag of a vector": (lambda x: mg.diag(x, 1), lambda x: torch.diag(x, 1), [B[0]]),
    "trace": (mg.ops.trace, torch.trace, [M]),
    "tril": (lambda x: mg.tril(x, 1), lambda x: torch.tril(x, 1), [M]),
    "triu": (lambda x: mg.triu(x, -1), lambda x: torch.triu(x, -1), [M]),
    "hstack": (lambda a, b: mg.hstack([a, b]), lambda a, b: torch.hstack([a, b]), [A, B]),
    "vstack": (lambda a, b: mg.vstack([a, b]), lambda a, b: torch.vstack([a, b]), [A, B]),
    "stack": (lambda a, b: mg.stack([a, b], 1), lambda a, b: torch.stack([a, b], 1), [A, B]),
    "sort": (lambda x: mg.sort(x, axis=0), lambda x: torch.sort(x, dim=0, stable=True)[0], [B]),
    "take": (
        lambda x: mg.take(x, [5, 0, 5]),
        lambda x: torch.take(x, torch.tensor([5, 0, 5])),
        [B],
    ),
    "pad": (lambda x: mg.pad(x, ((0, 0), (1, 2))), lambda x: F.pad(x, (1, 2)), [B]),
    **{
        f"pad, {mode}": (
            lambda x, mode=mode: mg.pad(x, ((0, 0), (1, 2)), mode=mode),
            lambda x, theirs=theirs: F.pad(x[None], (1, 2), mode=theirs)[0],
            [B],
        )
        for mode, theirs in {"edge": "replicate", "reflect": "reflect", "wrap": "circular"}.items()
    },
    "cross_entropy": (
        lambda x: mg.cross_entropy(x, LABELS),
        lambda x: F.cross_entropy(x, torch.tensor(LABELS), reduction="sum"),
        [B],
    ),
    "cross_entropy, shares": (
        lambda x: mg.cross_entropy(x, A / A.sum(1, keepdims=True), reduction="mean"),
        lambda x: F.cross_entropy(x, torch.tensor(A / A.sum(1, keepdims=True))),
        [B],
    ),
    "layer_norm": (mg.layer_norm, lambda x: F.layer_norm(x, (4,)), [B]),
    "linear": (mg.linear, lambda x, w, b: F.linear(x, w.T, b), [A, M, B[0]]),
    "attention": (mg.attention, F.scaled_dot_product_attention, [A, B, B + A]),
}
# where the two choose the same slope at a tie or limit
TIES = {
    "relu": (mg.relu, torch.relu, [TIE]),
    "abs": (mg.abs, torch.abs, [TIE]),
    "maximum": (mg.maximum, torch.maximum, [TIE, TIE[::-1].copy()]),
    "minimum": (mg.minimum, torch.minimum, [TIE, TIE[::-1].copy()]),
    "max": (mg.max, torch.amax, [TIE]),
    "min": (mg.min, torch.amin, [TIE]),
    "clip": (lambda x: mg.clip(x, -1, 2), lambda x: torch.clip(x, -1, 2), [TIE]),
    "norm of 0": (mg.norm, torch.linalg.norm, [np.zeros(3)]),
    "prod of zeros": (mg.prod, torch.prod, [np.array([2.0, 0.0, 5.0])]),
    "prod of two zeros": (mg.prod, torch.prod, [np.array([2.0, 0.0, 0.0])]),
    "floor at a step": (mg.floor, torch.floor, [TIE]),
    "sign": (mg.sign, torch.sign, [TIE]),
    "sort, equal": (mg.sort, lambda x: torch.sort(x, stable=True)[0], [TIE]),
    "logsumexp of -inf": (
        mg.logsumexp,
        lambda x: torch.logsumexp(x, dim=0),
        [np.array([-np.inf, 1.0, 2.0])],
    ),
    "x ** 0 at 0": (lambda x: x**0.0, lambda x: x**0.0, [np.array([0.0, 2.0])]),
}


def _where(a, b):
    return torch.where(torch.tensor(A > 0.5), a, b)


def ours(function, arrays, u, second):
    xs = [mg.tensor(x, requires_grad=True) for x in arrays]
    y = function(*xs)
    g = mg.grad(y, xs, gradient=u(y.shape), create_graph=second)
    if not second:
        return [y.data, *g]
    # a loss that is not linear in y, so that linear functions have second derivatives, too
    loss = sum((each * each).sum() for each in mg.grad((y * y).sum(), xs, create_graph=True))
    return list(mg.grad(loss, xs))


def theirs(function, arrays, u, second):
    xs = [torch.tensor(np.ascontiguousarray(x), requires_grad=True) for x in arrays]
    y = function(*xs)
    if not second:
        g = torch.autograd.grad(y, xs, torch.tensor(u(tuple(y.shape))), allow_unused=True)
        return [y.detach().numpy(), *filled(g, xs)]
    first = torch.autograd.grad((y * y).sum(), xs, create_graph=True)
    loss = sum((each * each).sum() for each in first)
    if not loss.requires_grad:  # a slope of 0 everywhere
        return [np.zeros(x.shape) for x in xs]
    return filled(torch.autograd.grad(loss, xs, allow_unused=True), xs)


def filled(gradients, xs):
    return [
        np.zeros(x.shape) if g is None else g.numpy() for g, x in zip(gradients, xs, strict=True)
    ]


def upstream(shape):
    return np.random.default_rng(5).standard_normal(shape)


@pytest.mark.parametrize("second", [False, True], ids=["order 1", "order 2"])
@pytest.mark.parametrize("name", PAIRS)
def test_values_and_derivatives_are_those_of_pytorch(name, second):
    function, other, arrays = PAIRS[name]
    found = ours(function, arrays, upstream, second)
    wanted = theirs(other, arrays, upstream, second)
    for a, b in zip(found, wanted, strict=True):
        size = max(1.0, float(np.max(np.abs(b), initial=0)))
        # a few hundred roundings of numbers up to `size`
        assert a.shape == b.shape and np.max(np.abs(a - b), initial=0) <= 1e-12 * size, name


@pytest.mark.parametrize("name", TIES)
def test_slopes_at_ties_and_limits_are_those_of_pytorch(name):
    function, other, arrays = TIES[name]
    found = ours(function, arrays, upstream, False)
    wanted = theirs(other, arrays, upstream, False)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-15, atol=1e-15, err_msg=name)


@always_the_same(300)
@given(programs)
def test_random_programs_have_the_derivatives_of_pytorch(program):
    assert JUDGES["PyTorch"](program) <= 1
