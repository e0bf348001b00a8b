"""Attention for short sequences, forward and backward: products of small matrices, with a softmax
between them.

A head is a stripe of columns of its sequence, read and written where it lies.  Sequences lie one
below the other: q, k, v (n tokens, width), and likewise the weights of all heads (n heads tokens,
tokens).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad_ae.errors import ShapeError
from minigrad_ae.kernels.backend import (
    check_floats,
    check_same_shape,
    chunks,
    compiled_form_of,
    in_parallel,
)
from minigrad_ae.kernels.batched import GRAIN_FLOPS
from minigrad_ae.kernels.calls import contiguous
from minigrad_ae.kernels.jit import ELEMENTWISE, jit
from minigrad_ae.kernels.reference import quiet
from minigrad_ae.kernels.rows import _softmax, _softmax_backward, softmax
from minigrad_ae.kernels.small_products import product, room
from minigrad_ae.kernels.subnormal import drop, restore

Array = np.ndarray
BLOCK = 32 << 10  # scores, at most, of the sequences that are worked on at a time (one at least)


@jit(ELEMENTWISE, inline=True)
def _scores(q: Any, k: Any, bias: Any, heads: int, scale: float, scores: Any, work: Any) -> None:
    """scores = scale q k^T + bias, for each head of each sequence."""
    tokens, size = scores.shape[1], q.shape[1] // heads
    factor, nought = q.dtype.type(scale), heads - heads
    for m in range(scores.shape[0] // tokens):
        top, left = m // heads * tokens, m % heads * size
        at = (top, left, left, top, m * tokens, nought)
        product(q, False, k, True, scores, tokens, size, tokens, at, work)
        head, shift = scores[m * tokens : (m + 1) * tokens].reshape(-1), bias.reshape(-1)
        for i in range(head.size):
            head[i] = head[i] * factor + shift[i]


@jit(ELEMENTWISE, inline=True)
def _mixed(weights: Any, turned: bool, x: Any, heads: int, y: Any, work: Any) -> None:
    """y = weights x, or weights^T x, for each head of each sequence."""
    tokens, size = weights.shape[1], x.shape[1] // heads
    for m in range(weights.shape[0] // tokens):
        top, left = m // heads * tokens, m % heads * size
        at = (m * tokens, heads - heads, top, left, top, left)
        product(weights, turned, x, False, y, tokens, tokens, size, at, work)


@jit(ELEMENTWISE, allocates=True)
def _attend(
    bias: Any, heads: int, scale: float, weights: Any, q: Any, k: Any, v: Any, y: Any
) -> None:
    tokens = weights.shape[1]
    some = max(1, BLOCK // (heads * tokens * tokens))
    scores = np.empty((min(some * heads * tokens, weights.shape[0]), tokens), weights.dtype)
    rooms = scores, room(q, max(tokens, q.shape[1]))
    _attend_in(rooms, some, bias, heads, scale, weights, (q, k, v), y)


@jit(ELEMENTWISE)
def _attend_in(
    rooms: Any, some: int, bias: Any, heads: int, scale: float, weights: Any, of: Any, y: Any
) -> None:
    """A few sequences at a time, whose scores stay in the cache."""
    (scores, work), (q, k, v) = rooms, of
    tokens, before = weights.shape[1], drop()
    for start in range(0, q.shape[0], some * tokens):
        end = min(start + some * tokens, q.shape[0])
        own, w = scores[: (end - start) * heads], weights[start * heads : end * heads]
        _scores(q[start:end], k[start:end], bias, heads, scale, own, work)
        _softmax(own, w)
        _mixed(w, False, v[start:end], heads, y[start:end], work)
    restore(before)


@jit(ELEMENTWISE, allocates=True)
def _attend_backward(
    heads: int,
    scale: float,
    weights: Any,
    g: Any,
    q: Any,
    k: Any,
    v: Any,
    dq: Any,
    dk: Any,
    dv: Any,
) -> None:
    tokens = weights.shape[1]
    some = max(1, BLOCK // (heads * tokens * tokens))
    shape = min(some * heads * tokens, weights.shape[0]), tokens
    no_bias, work = np.zeros((tokens, tokens), g.dtype), room(q, max(tokens, q.shape[1]))
    rooms = np.empty(shape, weights.dtype), np.empty(shape, weights.dtype), no_bias, work
    _attend_backward_in(rooms, some, heads, scale, weights, (g, q, k, v), (dq, dk, dv))


@jit(ELEMENTWISE)
def _attend_backward_in(
    rooms: Any, some: int, heads: int, scale: float, weights: Any, of: Any, to: Any
) -> None:
    (dw_room, ds_room, no_bias, work), (g, q, k, v), (dq, dk, dv) = rooms, of, to
    tokens, before = weights.shape[1], drop()
    for start in range(0, q.shape[0], some * tokens):
        end = min(start + some * tokens, q.shape[0])
        lines = (end - start) * heads
        dw, ds, w = dw_room[:lines], ds_room[:lines], weights[start * heads : end * heads]
        # the rule of softmax is linear in dw: scaled here
        _scores(g[start:end], v[start:end], no_bias, heads, scale, dw, work)
        _softmax_backward(dw, w, ds)
        _mixed(ds, False, k[start:end], heads, dq[start:end], work)
        _mixed(ds, True, q[start:end], heads, dk[start:end], work)
        _mixed(w, True, g[start:end], heads, dv[start:end], work)
    restore(before)


def _split(x: Array, heads: int) -> Array:
    """(..., tokens, width) -> (..., heads, tokens, width / heads), or x itself for one head."""
    if heads == 1:
        return x
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads).swapaxes(-2, -3)


def _join(x: Array, heads: int) -> Array:
    """(..., heads, tokens, size) -> (..., tokens, heads size), or x itself for one head."""
    if heads == 1:
        return x
    y = x.swapaxes(-2, -3)
    return y.reshape(*y.shape[:-2], heads * y.shape[-1])


@quiet
def _attention_definition(
    q: Array, k: Array, v: Array, bias: Array | None = None, heads: int = 1
) -> tuple[Array, Array]:
    q, k, v = (_split(x, heads) for x in (q, k, v))
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.dtype.type(q.shape[-1]))
    if bias is not None:
        scores = scores + bias
    weights = softmax.definition(scores)  # type: ignore[attr-defined]
    return _join(weights @ v, heads), weights


@compiled_form_of(_attention_definition)
def attention(
    q: Array, k: Array, v: Array, bias: Array | None = None, heads: int = 1
) -> tuple[Array, Array]:
    """Attention of one or more heads, ``softmax(q k^T / sqrt(d) + bias) v``, and its weights.

    Parameters
    ----------
    q, k, v : ndarray, (..., tokens, width), float32 or float64
        Queries, keys and values; head h has the columns h d to (h + 1) d - 1, d = width / heads.
    bias : ndarray, (tokens, tokens), optional
        Added to the scores: -Inf masks a pair, and a row of -Inf gives a row of zeros.
    heads : int, optional
        The number of heads; it divides the width.

    Returns
    -------
    y : ndarray, (..., tokens, width)
        For each token a mean of values.
    weights : ndarray, (..., heads, tokens, tokens)
        What the backward pass needs; (..., tokens, tokens) for one head.

    Raises
    ------
    DtypeError
        Where the arrays are not all float32 or all float64.
    ShapeError
        Where `q`, `k`, `v` differ in shape, `heads` does not divide the width, or `bias` does
        not fit.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, eq. 1.

    Examples
    --------
    >>> v = np.array([[0.0, 4.0], [2.0, 0.0]])
    >>> with mg.kernels.use("numpy"):  # queries of 0 look at all tokens alike
    ...     y, weights = mg.kernels.attention(0 * v, v, v)
    >>> y.tolist(), weights.tolist()
    ([[1.0, 2.0], [1.0, 2.0]], [[0.5, 0.5], [0.5, 0.5]])
    """
    _check_tokens("attention", heads, q=q, k=k, v=v)
    tokens = q.shape[-2]
    bias = np.zeros((tokens, tokens), q.dtype) if bias is None else bias
    check_floats("attention", q=q, bias=bias)
    if bias.shape != (tokens, tokens):
        raise ShapeError(
            "attention: bias per pair of tokens", f"bias {bias.shape}", f"needed {(tokens, tokens)}"
        )
    y, weights = np.empty(q.shape, q.dtype), np.empty(weights_shape(q, heads), q.dtype)
    fill(q, k, v, bias, heads, y, weights)
    return y, weights


def fill(q: Array, k: Array, v: Array, bias: Array, heads: int, y: Array, weights: Array) -> None:
    """`attention` into y and weights, unchecked; bias may be a number."""
    if not q.size:
        return
    tokens, width = q.shape[-2:]
    bias = contiguous(np.broadcast_to(bias, (tokens, tokens)))
    scale, w = (width // heads) ** -0.5, weights.reshape(-1, tokens)
    pieces = _pieces(q, heads, q, k, v, y)
    in_parallel(_attend, [(bias, heads, scale, w[own], *lines) for own, lines in pieces])


@quiet
def _attention_backward_definition(
    g: Array, q: Array, k: Array, v: Array, weights: Array, heads: int = 1
) -> tuple[Array, Array, Array]:
    g, q, k, v = (_split(x, heads) for x in (g, q, k, v))
    dw = g @ v.swapaxes(-1, -2)
    ds = weights * (dw - (dw * weights).sum(-1, keepdims=True)) / np.sqrt(q.dtype.type(q.shape[-1]))
    dq, dk, dv = (
        _join(d, heads) for d in (ds @ k, ds.swapaxes(-1, -2) @ q, weights.swapaxes(-1, -2) @ g)
    )
    return dq, dk, dv


@compiled_form_of(_attention_backward_definition)
def attention_backward(
    g: Array, q: Array, k: Array, v: Array, weights: Array, heads: int = 1
) -> tuple[Array, Array, Array]:
    """The gradients of `attention`.

    Parameters
    ----------
    g : ndarray, (..., tokens, width), float32 or float64
        The gradient of the loss with respect to the result.
    q, k, v : ndarray, (..., tokens, width)
        What `attention` was called with.
    weights : ndarray, (..., heads, tokens, tokens)
        The weights that it returned; (..., tokens, tokens) for one head.
    heads : int, optional
        The number of heads.

    Returns
    -------
    dq, dk, dv : ndarray, (..., tokens, width)
        The gradients with respect to queries, keys and values.

    Raises
    ------
    DtypeError
        Where the arrays are not all float32 or all float64.
    ShapeError
        Where `g`, `q`, `k`, `v` differ in shape, `heads` does not divide the width, or `weights`
        does not fit.
    """
    _check_tokens("attention_backward", heads, g=g, q=q, k=k, v=v)
    check_floats("attention_backward", q=q, weights=weights)
    if weights.shape != weights_shape(q, heads):
        shapes = f"weights {weights.shape}, q {q.shape}"
        raise ShapeError(
            "attention_backward: weights do not fit", shapes, "pass the weights that attention gave"
        )
    dq, dk, dv = np.empty(q.shape, q.dtype), np.empty(q.shape, q.dtype), np.empty(q.shape, q.dtype)
    fill_backward(g, q, k, v, weights, heads, dq, dk, dv)
    return dq, dk, dv


def fill_backward(
    g: Array,
    q: Array,
    k: Array,
    v: Array,
    weights: Array,
    heads: int,
    dq: Array,
    dk: Array,
    dv: Array,
) -> None:
    """`attention_backward` into dq, dk and dv, unchecked."""
    if not q.size:
        return
    tokens, width = q.shape[-2:]
    scale, w = (width // heads) ** -0.5, contiguous(weights).reshape(-1, tokens)
    pieces = _pieces(q, heads, g, q, k, v, dq, dk, dv)
    in_parallel(_attend_backward, [(heads, scale, w[own], *lines) for own, lines in pieces])


def _check_tokens(kernel: str, heads: int, **arrays: Array) -> None:
    check_same_shape(kernel, **arrays)
    shape = next(iter(arrays.values())).shape
    whole = isinstance(heads, int | np.integer)
    if len(shape) < 2 or not whole or heads < 1 or shape[-1] % heads:
        raise ShapeError(
            f"{kernel}: needs (..., tokens, width), and heads that divide the width",
            f"got {shape}, heads={heads!r:.40}",
            "add the missing axes, or choose other heads",
        )


def weights_shape(q: Array, heads: int) -> tuple[int, ...]:
    """Of the weights that `attention` leaves: (..., heads, tokens, tokens), or (..., tokens,
    tokens) for one head.
    """
    tokens = q.shape[-2]
    return (*q.shape[:-2], *([heads] if heads > 1 else []), tokens, tokens)


def _pieces(q: Array, heads: int, *arrays: Array) -> list[tuple[slice, list[Array]]]:
    """For each thread the lines of its weights, and its sequences, one below the other: of arrays
    (..., tokens, width) its part (n tokens, width).
    """
    tokens, width = q.shape[-2:]
    work = max(4 * tokens * tokens * width, 1)
    parts = chunks(math.prod(q.shape[:-2]), max(1, int(GRAIN_FLOPS / work)))
    lines = [contiguous(a).reshape(-1, width) for a in arrays]
    return [
        (slice(i * heads * tokens, j * heads * tokens), [x[i * tokens : j * tokens] for x in lines])
        for i, j in parts
    ]
