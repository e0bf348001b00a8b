"""Attention for short sequences, forward and backward: one head of one sequence at a time, in cache from start to end.

A head is a stripe of columns: it is copied to and from small matrices, about 16 x 16, on which the products run.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad_ae.errors import ShapeError
from minigrad_ae.kernels.backend import check_floats, check_same_shape, chunks, in_parallel, twin_of
from minigrad_ae.kernels.batched import GRAIN_FLOPS, product, turn
from minigrad_ae.kernels.jit import ELEMENTWISE, REDUCTION, jit
from minigrad_ae.kernels.rows import _softmax, _softmax_backward

Array = np.ndarray


@jit(ELEMENTWISE)
def _take(x: Any, start: int, out: Any) -> None:
    """out = x[:, start : start + columns of out]"""
    for i in range(out.shape[0]):
        row, to = x[i, start:], out[i]
        for j in range(to.size):
            to[j] = row[j]


@jit(ELEMENTWISE)
def _put(x: Any, start: int, out: Any) -> None:
    """out[:, start : start + columns of x] = x"""
    for i in range(x.shape[0]):
        row, to = x[i], out[i, start:]
        for j in range(row.size):
            to[j] = row[j]


@jit(REDUCTION)
def _attention(q: Any, k: Any, v: Any, bias: Any, heads: int, scale: float, y: Any, weights: Any) -> None:
    """q, k, v, y (n, tokens, width); weights (n heads, tokens, tokens)."""
    tokens, size = q.shape[1], q.shape[2] // heads
    one, kt, scores = np.empty((tokens, size), q.dtype), np.empty((size, tokens), q.dtype), np.empty(bias.shape, q.dtype)
    out = np.empty((tokens, size), q.dtype)
    factor = q.dtype.type(scale)
    for m in range(weights.shape[0]):
        n, start = m // heads, m % heads * size
        _take(k[n], start, one)
        turn(one, kt)
        _take(q[n], start, one)
        product(one, kt, scores)
        for i in range(tokens):
            row, shift = scores[i], bias[i]
            for j in range(row.size):
                row[j] = row[j] * factor + shift[j]
        _softmax(scores, weights[m])
        _take(v[n], start, one)
        product(weights[m], one, out)
        _put(out, start, y[n])


@jit(REDUCTION)
def _attention_backward(
    g: Any, q: Any, k: Any, v: Any, weights: Any, heads: int, scale: float, dq: Any, dk: Any, dv: Any
) -> None:
    tokens, size = q.shape[1], q.shape[2] // heads
    up, one, out = np.empty((tokens, size), v.dtype), np.empty((tokens, size), v.dtype), np.empty((tokens, size), v.dtype)
    vt, wt = np.empty((size, tokens), v.dtype), np.empty((tokens, tokens), v.dtype)
    dw, ds = np.empty((tokens, tokens), v.dtype), np.empty((tokens, tokens), v.dtype)
    factor = q.dtype.type(scale)
    for m in range(weights.shape[0]):
        n, start = m // heads, m % heads * size
        _take(g[n], start, up)
        _take(v[n], start, one)
        turn(one, vt)
        product(up, vt, dw)
        turn(weights[m], wt)
        product(wt, up, out)
        _put(out, start, dv[n])
        _softmax_backward(dw, weights[m], ds)
        for i in range(tokens):
            row = ds[i]
            for j in range(row.size):
                row[j] *= factor
        _take(k[n], start, one)
        product(ds, one, out)
        _put(out, start, dq[n])
        turn(ds, wt)
        _take(q[n], start, one)
        product(wt, one, out)
        _put(out, start, dk[n])


def _split(x: Array, heads: int) -> Array:
    """(..., tokens, width) -> (..., heads, tokens, width / heads), or x itself for one head."""
    return x if heads == 1 else x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads).swapaxes(-2, -3)


def _join(x: Array, heads: int) -> Array:
    return x if heads == 1 else (y := x.swapaxes(-2, -3)).reshape(*y.shape[:-2], heads * y.shape[-1])


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
