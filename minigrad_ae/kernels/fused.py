"""What a training step does most, in as few passes and calls as possible; for ops/bindings.py,
which has checked the arguments and made the arrays that are filled here: the last arguments.

The backward pass of a layer is one pass for dz = g f'(z), one for the bias's gradient, then two
products.  A loss computes its gradient in the forward pass, where the exponential is at hand: its
backward pass is one multiplication.  The sum of a loss is taken in blocks of 1,024 numbers in the
arrays' dtype and the blocks added in float64, always in the same order: the rounding error does not
grow with the size.  Arrays are float32 or float64, C-contiguous, and of the shapes that the names
say.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.kernels import loops, scalar
from minigrad_ae.kernels.calls import call, contiguous, room, store
from minigrad_ae.kernels.gemm import accumulate
from minigrad_ae.kernels.jit import ELEMENTWISE, REDUCTION, jit
from minigrad_ae.kernels.subnormal import drop, restore

Array = np.ndarray
BLOCK = 1024


# --- layer: y = f(x W + b) ------------------------------------------------------------------------


@jit(ELEMENTWISE)
def _column_sums(x: Any, sums: Any) -> None:
    """sums (columns,) = the sum of x (rows, columns) over rows, four rows at a time: a quarter of
    the loads and stores.
    """
    sums[:] = 0
    for q in range(x.shape[0] // 4):
        a, b, c, d = x[4 * q], x[4 * q + 1], x[4 * q + 2], x[4 * q + 3]
        for j in range(sums.size):
            sums[j] += (a[j] + b[j]) + (c[j] + d[j])
    for i in range(x.shape[0] // 4 * 4, x.shape[0]):
        row = x[i]
        for j in range(sums.size):
            sums[j] += row[j]


def linear(x: Array, weight: Array, bias: Array, activation: str | None, y: Array) -> None:
    """``y = f(x @ weight + bias)``: x (n, in), weight (in, out), bias (out,) or a number."""
    # f reads another array than it writes: LLVM does not vectorise a loop onto itself
    z = y if activation is None else room(y.shape, y.dtype)
    accumulate(x, weight, z, bias=bias)
    if activation is not None:
        call(getattr(loops, activation), z.reshape(-1), y.reshape(-1))


def linear_backward(
    g: Array,
    y: Array,
    x: Array,
    weight: Array,
    activation: str | None,
    dx: Array | None,
    dweight: Array | None,
    dbias: Array | None,
) -> None:
    """The gradients of x, weight and bias (out,) from g = dL/dy; None for one that nobody needs."""
    dz = g = contiguous(g)
    if activation is not None:
        dz = room(g.shape, g.dtype)
        backward = getattr(loops, f"{activation}_backward")
        call(backward, g.reshape(-1), y.reshape(-1), dz.reshape(-1))
    if dbias is not None:
        call(_column_sums, dz, dbias)
    if dx is not None:
        accumulate(dz, weight.T, dx, fresh=True)
    if dweight is not None:
        accumulate(x.T, dz, dweight, fresh=True)


# --- rows of length 1: y = x / |x| ----------------------------------------------------------------


@jit(REDUCTION)
def _dot(a: Any, b: Any) -> Any:
    part = a.dtype.type(0)
    for i in range(a.size):
        part += a[i] * b[i]
    return part


@jit(ELEMENTWISE)
def _unit_rows(x: Any, y: Any, lengths: Any) -> None:
    """y = each row of x (rows, n) divided by its length."""
    for r in range(x.shape[0]):
        row, unit = x[r], y[r]
        length = np.sqrt(_dot(row, row))
        lengths[r] = length
        for i in range(row.size):
            unit[i] = row[i] / length


@jit(ELEMENTWISE)
def _unit_rows_backward(g: Any, y: Any, lengths: Any, dx: Any) -> None:
    """dx = (g - y <g, y>) / length, row by row."""
    for r in range(g.shape[0]):
        row, unit, to, length = g[r], y[r], dx[r], lengths[r]
        along = _dot(row, unit)
        for i in range(row.size):
            to[i] = (row[i] - unit[i] * along) / length


def unit_rows(x: Array, y: Array, lengths: Array) -> None:
    """Each row of x (..., n) at length 1, and the lengths (rows,) that they had."""
    rows = (lengths.size, x.shape[-1])
    call(_unit_rows, contiguous(x).reshape(rows), y.reshape(rows), lengths)


def unit_rows_backward(g: Array, y: Array, lengths: Array, dx: Array) -> None:
    """The gradient of x (..., n), from g = dL/dy."""
    rows = (lengths.size, g.shape[-1])
    flat = contiguous(g).reshape(rows), y.reshape(rows)
    call(_unit_rows_backward, *flat, lengths, dx.reshape(rows))


# --- losses: the value, and ``slope``, the gradient for g = 1 -------------------------------------


@jit(REDUCTION)
def _half_squares(y: Any, t: Any, slope: Any) -> float:
    before, total = drop(), 0.0
    for start in range(0, y.size, BLOCK):
        end = start + BLOCK
        a, b, d = y[start:end], t[start:end], slope[start:end]
        part = y.dtype.type(0)
        for i in range(a.size):
            d[i] = a[i] - b[i]
            part += d[i] * d[i]
        total += float(part)
    restore(before)
    return 0.5 * total


@jit(ELEMENTWISE)
def _bernoulli_terms(x: Any, t: Any, terms: Any, slope: Any) -> None:
    """softplus(x) - x t and sigmoid(x) - t share u = e^-abs(x).

    Large parts that cancel are taken together first: for x > 0, x - x t and 1 - t, exactly 0 where
    t is 1.
    """
    c = scalar.tables(x.dtype.type(0))
    for i in range(x.size):
        v = x[i]
        u = scalar.exp(-abs(v))
        beyond = u / (c.one + u)  # sigmoid(-abs(x))
        terms[i] = ((c.zero if v < c.zero else v) - v * t[i]) + scalar.log1p(u)
        slope[i] = (c.one - t[i]) - beyond if v >= c.zero else beyond - t[i]


@jit(REDUCTION)
def _sum(x: Any) -> float:
    part = x.dtype.type(0)
    for i in range(x.size):
        part += x[i]
    return part


@jit(ELEMENTWISE, allocates=True)
def _bernoulli(x: Any, t: Any, slope: Any) -> float:
    terms, total = np.empty(min(BLOCK, x.size), x.dtype), 0.0
    for start in range(0, x.size, BLOCK):
        end = start + BLOCK
        a, b, d = x[start:end], t[start:end], slope[start:end]
        _bernoulli_terms(a, b, terms[: a.size], d)
        total += float(_sum(terms[: a.size]))
    return total


@jit(REDUCTION)
def _gaussian_kl(mu: Any, log_var: Any, slope: Any) -> float:
    half, total = mu.dtype.type(0.5), 0.0
    for start in range(0, mu.size, BLOCK):
        end = start + BLOCK
        a, b, d = mu[start:end], log_var[start:end], slope[start:end]
        part = mu.dtype.type(0)
        for i in range(a.size):
            minus_one, remainder = scalar.expm1_and_remainder(b[i])
            d[i] = half * minus_one
            part += a[i] * a[i] + remainder
        total += float(part)
    return 0.5 * total


@jit(ELEMENTWISE)
def _l1_norm(x: Any, slope: Any) -> float:
    zero, one, total = x.dtype.type(0), x.dtype.type(1), 0.0
    for start in range(0, x.size, BLOCK):
        end = start + BLOCK
        a, d = x[start:end], slope[start:end]
        for i in range(a.size):
            v = a[i]
            sign = zero if v == zero else v  # NaN stays NaN
            if v > zero:
                sign = one
            if v < zero:
                sign = -one
            d[i] = sign
        total += float(_dot(a, d))
    return total


LOSSES = {
    "half_squares": _half_squares,  # (y, t) -> loss, y - t
    "bernoulli": _bernoulli,  # (logits, t) -> loss, sigmoid(logits) - t
    "gaussian_kl": _gaussian_kl,  # (mu, log_var) -> divergence, (e^log_var - 1) / 2
}


def loss(name: str, a: Array, b: Array, value: Array, slope: Array) -> None:
    """One of LOSSES, and its slope, of the shape of a and b; ``value`` has no axes."""
    flat = contiguous(a).reshape(-1), contiguous(b).reshape(-1), slope.reshape(-1)
    call(store, value, LOSSES[name], *flat)


@jit(ELEMENTWISE)
def _times(g: Any, slope: Any, out: Any) -> None:
    before, factor = drop(), g[0]
    for i in range(slope.size):
        out[i] = factor * slope[i]
    restore(before)


def loss_backward(g: Array, slope: Array, dy: Array) -> None:
    """``dy = g * slope``, the gradient of a loss of slope ``slope`` where dL/dloss is g, without
    axes.
    """
    call(_times, g.reshape(1), slope.reshape(-1), dy.reshape(-1))


def l1_norm(x: Array, value: Array, slope: Array) -> None:
    """The sum of |x| over all elements, and the signs of x: -1, 0 or 1."""
    call(store, value, _l1_norm, contiguous(x).reshape(-1), slope.reshape(-1))


# --- sampling -------------------------------------------------------------------------------------


@jit(ELEMENTWISE)
def _reparameterise(mu: Any, log_var: Any, noise: Any, z: Any, slope: Any) -> None:
    half = mu.dtype.type(0.5)
    for i in range(mu.size):
        moved = scalar.exp(half * log_var[i]) * noise[i]
        z[i] = mu[i] + moved
        slope[i] = half * moved


def reparameterise(mu: Array, log_var: Array, noise: Array, z: Array, slope: Array) -> None:
    """z = mu + sigma noise, and dz/dlog_var = sigma noise / 2."""
    flat = [contiguous(a).reshape(-1) for a in (mu, log_var, noise)]
    call(_reparameterise, *flat, z.reshape(-1), slope.reshape(-1))
