"""Attention for short sequences, forward and backward: one head of one sequence at a time, in cache from start to end.

A head is a stripe of columns, about 16 x 16 numbers: too few to be worth packing, so that the products read and write
them where they lie.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad_ae.errors import ShapeError
from minigrad_ae.kernels.backend import check_floats, check_same_shape, chunks, in_parallel, twin_of
from minigrad_ae.kernels.batched import GRAIN_FLOPS
from minigrad_ae.kernels.jit import ELEMENTWISE, REDUCTION, jit
from minigrad_ae.kernels.reference import quiet
from minigrad_ae.kernels.rows import _softmax, _softmax_backward
from minigrad_ae.kernels.tile import fma, load, store, vector_of_zeros

Array = np.ndarray


@jit(ELEMENTWISE)
def _turn(x: Any, start: int, out: Any) -> None:
    """out = x[:, start : start + rows of out]^T"""
    for j in range(x.shape[0]):
        row = x[j, start:]
        for i in range(out.shape[0]):
            out[i, j] = row[i]


@jit(ELEMENTWISE)
def _small(a: Any, turned: bool, b: Any, c: Any, rows: int, depth: int, columns: int, at: Any) -> None:
    """`_product` by the definition, for matrices smaller than a tile."""
    a_at, b_at, c_at = at
    for i in range(rows):
        for j in range(columns):
            total = c.dtype.type(0)
            for k in range(depth):
                total += (a[k, a_at + i] if turned else a[i, a_at + k]) * b[k, b_at + j]
            c[i, c_at + j] = total


@jit(ELEMENTWISE)
def _product(a: Any, turned: bool, b: Any, c: Any, rows: int, depth: int, columns: int, at: Any) -> None:
    """c = a b, or a^T b, for stripes of columns that begin at ``at`` in a, b and c: nothing is copied.

    Tiles of 4 rows by 2 vectors: eight sums hide the latency of the two multiply-add units.  A tile that would stick out
    is moved back until it fits, and computes some elements a second time.
    """
    a_at, b_at, c_at = at
    zero = vector_of_zeros(c)
    lanes = len(zero)
    if rows < 4 or columns < lanes:
        _small(a, turned, b, c, rows, depth, columns, at)
        return
    for start in range(0, rows, 4):
        i = min(start, rows - 4)
        c0, c1, c2, c3 = c[i, c_at:], c[i + 1, c_at:], c[i + 2, c_at:], c[i + 3, c_at:]
        for j in range(0, columns, 2 * lanes):
            j0, j1 = min(j, columns - lanes), min(j + lanes, columns - lanes)
            p0 = p1 = q0 = q1 = r0 = r1 = s0 = s1 = zero
            if turned:
                for k in range(depth):
                    four, row = a[k, a_at + i :], b[k, b_at:]
                    w, x, y, z = four[0], four[1], four[2], four[3]
                    v = load(row[j0:], 0, zero)
                    p0, q0, r0, s0 = fma(p0, w, v), fma(q0, x, v), fma(r0, y, v), fma(s0, z, v)
                    v = load(row[j1:], 0, zero)
                    p1, q1, r1, s1 = fma(p1, w, v), fma(q1, x, v), fma(r1, y, v), fma(s1, z, v)
            else:
                a0, a1, a2, a3 = a[i, a_at:], a[i + 1, a_at:], a[i + 2, a_at:], a[i + 3, a_at:]
                for k in range(depth):
                    row = b[k, b_at:]
                    w, x, y, z = a0[k], a1[k], a2[k], a3[k]
                    v = load(row[j0:], 0, zero)
                    p0, q0, r0, s0 = fma(p0, w, v), fma(q0, x, v), fma(r0, y, v), fma(s0, z, v)
                    v = load(row[j1:], 0, zero)
                    p1, q1, r1, s1 = fma(p1, w, v), fma(q1, x, v), fma(r1, y, v), fma(s1, z, v)
            store(c0[j0:], 0, p0)
            store(c0[j1:], 0, p1)
            store(c1[j0:], 0, q0)
            store(c1[j1:], 0, q1)
            store(c2[j0:], 0, r0)
            store(c2[j1:], 0, r1)
            store(c3[j0:], 0, s0)
            store(c3[j1:], 0, s1)


@jit(REDUCTION)
def _attention(q: Any, k: Any, v: Any, bias: Any, heads: int, scale: float, y: Any, weights: Any) -> None:
    """q, k, v, y (n, tokens, width); weights (n heads, tokens, tokens)."""
    tokens, size = q.shape[1], q.shape[2] // heads
    kt, scores = np.empty((size, tokens), q.dtype), np.empty((tokens, tokens), q.dtype)
    factor = q.dtype.type(scale)
    for m in range(weights.shape[0]):
        n, start = m // heads, m % heads * size
        _turn(k[n], start, kt)
        _product(q[n], False, kt, scores, tokens, size, tokens, (start, 0, 0))
        for i in range(tokens):
            row, shift = scores[i], bias[i]
            for j in range(row.size):
                row[j] = row[j] * factor + shift[j]
        _softmax(scores, weights[m])
        _product(weights[m], False, v[n], y[n], tokens, tokens, size, (0, start, start))


@jit(REDUCTION)
def _attention_backward(
    g: Any, q: Any, k: Any, v: Any, weights: Any, heads: int, scale: float, dq: Any, dk: Any, dv: Any
) -> None:
    tokens, size = q.shape[1], q.shape[2] // heads
    vt, dw, ds = np.empty((size, tokens), v.dtype), np.empty((tokens, tokens), v.dtype), np.empty((tokens, tokens), v.dtype)
    factor = q.dtype.type(scale)
    for m in range(weights.shape[0]):
        n, start = m // heads, m % heads * size
        _turn(v[n], start, vt)
        _product(g[n], False, vt, dw, tokens, size, tokens, (start, 0, 0))
        _product(weights[m], True, g[n], dv[n], tokens, tokens, size, (0, start, start))
        _softmax_backward(dw, weights[m], ds)
        for i in range(tokens):
            row = ds[i]
            for j in range(row.size):
                row[j] *= factor
        _product(ds, False, k[n], dq[n], tokens, tokens, size, (0, start, start))
        _product(ds, True, q[n], dk[n], tokens, tokens, size, (0, start, start))


def _split(x: Array, heads: int) -> Array:
    """(..., tokens, width) -> (..., heads, tokens, width / heads), or x itself for one head."""
    return x if heads == 1 else x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads).swapaxes(-2, -3)


def _join(x: Array, heads: int) -> Array:
    return x if heads == 1 else (y := x.swapaxes(-2, -3)).reshape(*y.shape[:-2], heads * y.shape[-1])


@quiet
def _attention_definition(q: Array, k: Array, v: Array, bias: Array | None = None, heads: int = 1) -> tuple[Array, Array]:
    q, k, v = (_split(x, heads) for x in (q, k, v))
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.dtype.type(q.shape[-1]))
    e = np.exp((s := scores if bias is None else scores + bias) - s.max(-1, keepdims=True))
    weights = e / e.sum(-1, keepdims=True)
    return _join(weights @ v, heads), weights


@twin_of(_attention_definition)
def attention(q: Array, k: Array, v: Array, bias: Array | None = None, heads: int = 1) -> tuple[Array, Array]:
    """``(softmax(q k^T / sqrt(d) + bias) v, weights)``; q, k, v (..., tokens, width), d = width / heads.

    bias (tokens, tokens) is added to the scores: -inf masks a pair.  The weights, (..., heads, tokens, tokens) or, for one
    head, (..., tokens, tokens), are what the backward pass needs.
    """
    flat = _stacks("attention", heads, q=q, k=k, v=v)
    tokens, width = q.shape[-2:]
    bias = np.zeros((tokens, tokens), q.dtype) if bias is None else bias
    check_floats("attention", q=q, bias=bias)
    if bias.shape != (tokens, tokens):
        raise ShapeError("attention: bias per pair of tokens", f"bias {bias.shape}", f"needed {(tokens, tokens)}")
    y, weights = np.empty(q.shape, q.dtype), np.empty(_weights_shape(q, heads), q.dtype)
    if y.size:
        outputs, bias = (_stack(y), weights.reshape(-1, tokens, tokens)), np.ascontiguousarray(bias)
        scale = (width // heads) ** -0.5
        tasks = [
            (*(x[i:j] for x in flat), bias, heads, scale, outputs[0][i:j], outputs[1][heads * i : heads * j])
            for i, j in _pieces(flat[0])
        ]
        in_parallel(_attention, tasks)
    return y, weights


@quiet
def _attention_backward_definition(
    g: Array, q: Array, k: Array, v: Array, weights: Array, heads: int = 1
) -> tuple[Array, Array, Array]:
    g, q, k, v = (_split(x, heads) for x in (g, q, k, v))
    dw = g @ v.swapaxes(-1, -2)
    ds = weights * (dw - (dw * weights).sum(-1, keepdims=True)) / np.sqrt(q.dtype.type(q.shape[-1]))
    dq, dk, dv = (_join(d, heads) for d in (ds @ k, ds.swapaxes(-1, -2) @ q, weights.swapaxes(-1, -2) @ g))
    return dq, dk, dv


@twin_of(_attention_backward_definition)
def attention_backward(
    g: Array, q: Array, k: Array, v: Array, weights: Array, heads: int = 1
) -> tuple[Array, Array, Array]:
    """``(dq, dk, dv)`` from the gradient ``g`` of the result and the weights that ``attention`` returned."""
    flat = _stacks("attention_backward", heads, g=g, q=q, k=k, v=v)
    tokens, width = q.shape[-2:]
    check_floats("attention_backward", q=q, weights=weights)
    if weights.shape != _weights_shape(q, heads):
        shapes = f"weights {weights.shape}, q {q.shape}"
        raise ShapeError("attention_backward: weights do not fit", shapes, "pass the weights that attention gave")
    dq, dk, dv = np.empty(q.shape, q.dtype), np.empty(q.shape, q.dtype), np.empty(q.shape, q.dtype)
    if q.size:
        w, outputs = np.ascontiguousarray(weights).reshape(-1, tokens, tokens), [_stack(d) for d in (dq, dk, dv)]
        scale = (width // heads) ** -0.5
        tasks = [
            (*(x[i:j] for x in flat), w[heads * i : heads * j], heads, scale, *(x[i:j] for x in outputs))
            for i, j in _pieces(flat[0])
        ]
        in_parallel(_attention_backward, tasks)
    return dq, dk, dv


def _stacks(kernel: str, heads: int, **arrays: Array) -> list[Array]:
    check_same_shape(kernel, **arrays)
    shape = next(iter(arrays.values())).shape
    if len(shape) < 2 or heads < 1 or shape[-1] % heads:
        raise ShapeError(
            f"{kernel}: needs (..., tokens, width), and heads that divide the width", f"got {shape}, heads={heads}",
            "add the missing axes, or choose other heads",
        )  # fmt: skip
    return [_stack(np.ascontiguousarray(a)) for a in arrays.values()]


def _weights_shape(q: Array, heads: int) -> tuple[int, ...]:
    tokens = q.shape[-2]
    return (*q.shape[:-2], *([heads] if heads > 1 else []), tokens, tokens)


def _stack(a: Array) -> Array:
    """All leading axes as one.  (``reshape(-1, ...)`` cannot tell how many matrices there are when they are empty.)"""
    return a.reshape(math.prod(a.shape[:-2]), *a.shape[-2:])


def _pieces(stack: Array) -> list[tuple[int, int]]:
    _, tokens, width = stack.shape
    return chunks(len(stack), max(1, int(GRAIN_FLOPS / max(4 * tokens * tokens * width, 1))))
