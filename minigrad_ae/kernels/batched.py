"""Stacks of small matrices: products, and attention for short sequences, each matrix in cache from start to end.

The matrices of attention are about 17 x 16: too small to be worth packing, so that the tile reads B where it lies.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad_ae.errors import ShapeError
from minigrad_ae.kernels.backend import check_floats, check_out, check_same_shape, chunks, in_parallel, twin_of
from minigrad_ae.kernels.jit import ELEMENTWISE, REDUCTION, jit
from minigrad_ae.kernels.rows import _softmax, _softmax_backward
from minigrad_ae.kernels.tile import fma, load, store, vector_of_zeros

Array = np.ndarray
GRAIN_FLOPS = 2e6  # work per thread


@jit(ELEMENTWISE)
def _tiny(a: Any, b: Any, c: Any) -> None:
    """c = a @ b by the definition, for matrices smaller than a tile."""
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            total = c.dtype.type(0)
            for k in range(b.shape[0]):
                total += a[i, k] * b[k, j]
            c[i, j] = total


@jit(ELEMENTWISE)
def _tiles(a: Any, b: Any, c: Any) -> None:
    """c = a @ b for one small matrix each, C order, in tiles of 3 rows by 3 vectors; at least 3 rows and one vector.

    Tiles and vectors that would stick out are moved back until they fit, and compute some elements a second time: 17
    columns are 3 vectors of 8.  (As one function: cut in two, LLVM no longer sees that no index is negative.)
    """
    zero = vector_of_zeros(c)
    rows, last = c.shape[0], c.shape[1] - len(zero)
    for start in range(0, rows, 3):
        i = min(start, rows - 3)
        a0, a1, a2 = a[i], a[i + 1], a[i + 2]
        c0, c1, c2 = c[i], c[i + 1], c[i + 2]
        for j in range(0, c.shape[1], 3 * len(zero)):
            j0, j1, j2 = min(j, last), min(j + len(zero), last), min(j + 2 * len(zero), last)
            p0 = p1 = p2 = q0 = q1 = q2 = r0 = r1 = r2 = zero
            for k in range(b.shape[0]):
                row, x, y, z = b[k], a0[k], a1[k], a2[k]
                v = load(row[j0:], 0, zero)
                p0, q0, r0 = fma(p0, x, v), fma(q0, y, v), fma(r0, z, v)
                v = load(row[j1:], 0, zero)
                p1, q1, r1 = fma(p1, x, v), fma(q1, y, v), fma(r1, z, v)
                v = load(row[j2:], 0, zero)
                p2, q2, r2 = fma(p2, x, v), fma(q2, y, v), fma(r2, z, v)
            store(c0[j0:], 0, p0)
            store(c0[j1:], 0, p1)
            store(c0[j2:], 0, p2)
            store(c1[j0:], 0, q0)
            store(c1[j1:], 0, q1)
            store(c1[j2:], 0, q2)
            store(c2[j0:], 0, r0)
            store(c2[j1:], 0, r1)
            store(c2[j2:], 0, r2)


@jit(ELEMENTWISE)
def _product(a: Any, b: Any, c: Any) -> None:
    """c = a @ b for one small matrix each, C order."""
    if c.shape[0] < 3 or c.shape[1] < len(vector_of_zeros(c)):
        _tiny(a, b, c)
    else:
        _tiles(a, b, c)


@jit(ELEMENTWISE)
def _turn(x: Any, out: Any) -> None:
    """out = x^T"""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[j, i] = x[i, j]


@jit(ELEMENTWISE)
def _batched(a: Any, b: Any, transposed: bool, c: Any) -> None:
    scratch = np.empty((a.shape[2], c.shape[2]), c.dtype)
    for n in range(c.shape[0]):
        if transposed:
            _turn(b[n], scratch)
            _product(a[n], scratch, c[n])
        else:
            _product(a[n], b[n], c[n])


@jit(REDUCTION)
def _attention(q: Any, k: Any, v: Any, bias: Any, scale: float, y: Any, weights: Any) -> None:
    kt = np.empty((k.shape[2], k.shape[1]), k.dtype)
    scores = np.empty((q.shape[1], k.shape[1]), q.dtype)
    factor = q.dtype.type(scale)
    for n in range(q.shape[0]):
        _turn(k[n], kt)
        _product(q[n], kt, scores)
        for i in range(scores.shape[0]):
            for j in range(scores.shape[1]):
                scores[i, j] = scores[i, j] * factor + bias[i, j]
        _softmax(scores, weights[n])
        _product(weights[n], v[n], y[n])


@jit(REDUCTION)
def _attention_backward(
    g: Any, q: Any, k: Any, v: Any, weights: Any, scale: float, dq: Any, dk: Any, dv: Any
) -> None:
    tokens, size = k.shape[1], k.shape[2]
    vt, wt = np.empty((size, tokens), v.dtype), np.empty((tokens, q.shape[1]), v.dtype)
    dw, ds = np.empty((q.shape[1], tokens), v.dtype), np.empty((q.shape[1], tokens), v.dtype)
    factor = q.dtype.type(scale)
    for n in range(q.shape[0]):
        _turn(v[n], vt)
        _product(g[n], vt, dw)
        _turn(weights[n], wt)
        _product(wt, g[n], dv[n])
        _softmax_backward(dw, weights[n], ds)
        for i in range(ds.shape[0]):
            for j in range(tokens):
                ds[i, j] *= factor
        _product(ds, k[n], dq[n])
        _turn(ds, wt)
        _product(wt, q[n], dk[n])


def _batched_definition(a: Array, b: Array, out: Array | None = None) -> Array:
    return np.matmul(a, b, out=out)


@twin_of(_batched_definition)
def batched_matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """``a @ b`` for a (..., M, K) and b (..., K, N) with the same leading axes; b may be a transposed view."""
    check_floats("batched_matmul", a=a, b=b)
    if a.ndim < 3 or a.ndim != b.ndim or a.shape[:-2] != b.shape[:-2] or a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            "batched_matmul: shapes do not fit", f"a {a.shape}, b {b.shape}",
            "needed: (..., M, K) and (..., K, N), leading axes equal (broadcast them first)",
        )  # fmt: skip
    shape = (*a.shape[:-1], b.shape[-1])
    out = check_out("batched_matmul", out, shape, a.dtype)
    if not out.size:
        return out
    transposed = not b.flags.c_contiguous
    stored = np.ascontiguousarray(b.swapaxes(-1, -2) if transposed else b)
    left, right, result = _stack(np.ascontiguousarray(a)), _stack(stored), _stack(out)
    work = 2.0 * shape[-2] * shape[-1] * a.shape[-1]
    pieces = chunks(len(result), max(1, int(GRAIN_FLOPS / max(work, 1))))
    in_parallel(_batched, [(left[i:j], right[i:j], transposed, result[i:j]) for i, j in pieces])
    return out


def _attention_definition(q: Array, k: Array, v: Array, bias: Array | None = None) -> tuple[Array, Array]:
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.dtype.type(q.shape[-1]))
    e = np.exp((s := scores if bias is None else scores + bias) - s.max(-1, keepdims=True))
    weights = e / e.sum(-1, keepdims=True)
    return weights @ v, weights


@twin_of(_attention_definition)
def attention(q: Array, k: Array, v: Array, bias: Array | None = None) -> tuple[Array, Array]:
    """``(softmax(q k^T / sqrt(d) + bias) v, weights)``; q, k, v (..., tokens, d).

    bias (tokens, tokens) is added to the scores: -inf masks a pair.  The weights are what the backward pass needs.
    """
    flat = _stacks("attention", q=q, k=k, v=v)
    tokens, size = q.shape[-2:]
    bias = np.zeros((tokens, tokens), q.dtype) if bias is None else bias
    check_floats("attention", q=q, bias=bias)
    if bias.shape != (tokens, tokens):
        raise ShapeError("attention: bias per pair of tokens", f"bias {bias.shape}", f"needed {(tokens, tokens)}")
    y, weights = np.empty(q.shape, q.dtype), np.empty((*q.shape[:-1], tokens), q.dtype)
    if y.size:
        outputs = (y.reshape(flat[0].shape), weights.reshape(-1, tokens, tokens))
        bias = np.ascontiguousarray(bias)
        tasks = [
            (*(x[i:j] for x in flat), bias, size**-0.5, *(x[i:j] for x in outputs)) for i, j in _pieces(flat[0], tokens)
        ]
        in_parallel(_attention, tasks)
    return y, weights


def _attention_backward_definition(
    g: Array, q: Array, k: Array, v: Array, weights: Array
) -> tuple[Array, Array, Array]:
    dw = g @ v.swapaxes(-1, -2)
    ds = weights * (dw - (dw * weights).sum(-1, keepdims=True)) / np.sqrt(q.dtype.type(q.shape[-1]))
    return ds @ k, ds.swapaxes(-1, -2) @ q, weights.swapaxes(-1, -2) @ g


@twin_of(_attention_backward_definition)
def attention_backward(g: Array, q: Array, k: Array, v: Array, weights: Array) -> tuple[Array, Array, Array]:
    """``(dq, dk, dv)`` from the gradient ``g`` of the result and the weights that ``attention`` returned."""
    flat = _stacks("attention_backward", g=g, q=q, k=k, v=v)
    tokens, size = q.shape[-2:]
    check_floats("attention_backward", q=q, weights=weights)
    if weights.shape != (*q.shape[:-1], tokens):
        shapes = f"weights {weights.shape}, q {q.shape}"
        raise ShapeError("attention_backward: weights do not fit", shapes, "pass the weights that attention gave")
    gradients = tuple(np.empty(q.shape, q.dtype) for _ in range(3))
    if q.size:
        inputs = (*flat, np.ascontiguousarray(weights).reshape(-1, tokens, tokens))
        outputs = [d.reshape(flat[0].shape) for d in gradients]
        tasks = [
            (*(x[i:j] for x in inputs), size**-0.5, *(x[i:j] for x in outputs)) for i, j in _pieces(flat[0], tokens)
        ]
        in_parallel(_attention_backward, tasks)
    return gradients  # type: ignore[return-value]


def _stacks(kernel: str, **arrays: Array) -> list[Array]:
    check_same_shape(kernel, **arrays)
    first = next(iter(arrays.values()))
    if first.ndim < 2:
        raise ShapeError(f"{kernel}: needs (..., tokens, d)", f"got {first.shape}", "add the missing axes")
    return [_stack(np.ascontiguousarray(a)) for a in arrays.values()]


def _stack(a: Array) -> Array:
    """All leading axes as one.  (``reshape(-1, ...)`` cannot tell how many matrices there are when they are empty.)"""
    return a.reshape(math.prod(a.shape[:-2]), *a.shape[-2:])


def _pieces(stack: Array, tokens: int) -> list[tuple[int, int]]:
    return chunks(len(stack), max(1, int(GRAIN_FLOPS / max(4 * tokens * tokens * stack.shape[2], 1))))
