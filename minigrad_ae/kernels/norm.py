"""Layer norm over the last axis, forward and backward, one row at a time (REDUCTION flags: sums run
in lanes).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.errors import ShapeError
from minigrad_ae.kernels.backend import check_floats, check_same_shape, compiled_form_of
from minigrad_ae.kernels.jit import REDUCTION, jit

Array = np.ndarray


@jit(REDUCTION)
def _layer_norm(
    x: Any, weight: Any, bias: Any, eps: float, y: Any, normed: Any, scales: Any
) -> None:
    count = x.dtype.type(x.shape[1])
    for r in range(x.shape[0]):
        row, to, unit = x[r], y[r], normed[r]
        total = square = x.dtype.type(0)
        for i in range(row.size):
            total += row[i]
        mean = total / count
        for i in range(row.size):
            unit[i] = row[i] - mean
            square += unit[i] * unit[i]
        scale = x.dtype.type(1) / np.sqrt(square / count + x.dtype.type(eps))
        scales[r] = scale
        for i in range(row.size):
            unit[i] *= scale
            to[i] = unit[i] * weight[i] + bias[i]


@jit(REDUCTION)
def _layer_norm_backward(
    g: Any, normed: Any, scales: Any, weight: Any, dx: Any, dweight: Any, dbias: Any
) -> None:
    count = g.dtype.type(g.shape[1])
    for r in range(g.shape[0]):
        row, unit, to = g[r], normed[r], dx[r]
        total = along = g.dtype.type(0)
        for i in range(row.size):
            h = row[i] * weight[i]
            total += h
            along += h * unit[i]
        mean, slope, scale = total / count, along / count, scales[r]
        for i in range(row.size):
            to[i] = (row[i] * weight[i] - mean - unit[i] * slope) * scale
        for i in range(row.size):
            dweight[i] += row[i] * unit[i]
            dbias[i] += row[i]


def _layer_norm_definition(
    x: Array, weight: Array, bias: Array, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    centred = x - x.mean(-1, keepdims=True)
    scale = 1 / np.sqrt((centred * centred).mean(-1, keepdims=True) + x.dtype.type(eps))
    return centred * scale * weight + bias, centred * scale, scale[..., 0]


def _layer_norm_backward_definition(
    g: Array, normed: Array, scale: Array, weight: Array
) -> tuple[Array, Array, Array]:
    h = g * weight
    along = normed * (h * normed).mean(-1, keepdims=True)
    dx = (h - h.mean(-1, keepdims=True) - along) * scale[..., None]
    over = tuple(range(g.ndim - 1))
    return dx, (g * normed).sum(over), g.sum(over)


@compiled_form_of(_layer_norm_definition)
def layer_norm(
    x: Array, weight: Array, bias: Array, eps: float = 1e-5
) -> tuple[Array, Array, Array]:
    """``(y, normed, scale)``: normed = (x - mean) scale, scale = 1 / sqrt(var + eps), y = normed *
    weight + bias.

    x (..., columns), weight and bias (columns,); ``normed`` and ``scale`` (...) are what the
    backward pass needs.
    """
    _check_norm("layer_norm", x, weight, bias)
    y, normed = np.empty_like(x, order="C"), np.empty_like(x, order="C")
    scale = np.empty(x.shape[:-1], x.dtype)
    fill(x, weight, bias, eps, y, normed, scale)
    return y, normed, scale


def fill(
    x: Array, weight: Array, bias: Array, eps: float, y: Array, normed: Array, scale: Array
) -> None:
    """`layer_norm` into y, normed and scale, unchecked."""
    if x.size:
        flat = [np.ascontiguousarray(a).reshape(-1, x.shape[-1]) for a in (x, y, normed)]
        weight, bias = np.ascontiguousarray(weight), np.ascontiguousarray(bias)
        _layer_norm(flat[0], weight, bias, eps, flat[1], flat[2], scale.reshape(-1))


@compiled_form_of(_layer_norm_backward_definition)
def layer_norm_backward(
    g: Array, normed: Array, scale: Array, weight: Array
) -> tuple[Array, Array, Array]:
    """``(dx, dweight, dbias)`` from what ``layer_norm`` left; the sums over rows run in row
    order.
    """
    check_same_shape("layer_norm_backward", g=g, normed=normed)
    _check_norm("layer_norm_backward", g, weight, weight)
    if scale.shape != g.shape[:-1] or scale.dtype != g.dtype:
        shapes = f"g {g.shape}, scale {scale.shape}"
        raise ShapeError(
            "layer_norm_backward: one scale per row", shapes, "pass what layer_norm gave"
        )
    dx, dweight, dbias = np.empty_like(g, order="C"), np.empty_like(weight), np.empty_like(weight)
    fill_backward(g, normed, scale, weight, dx, dweight, dbias)
    return dx, dweight, dbias


def fill_backward(
    g: Array,
    normed: Array,
    scale: Array,
    weight: Array,
    dx: Array,
    dweight: Array,
    dbias: Array,
) -> None:
    """`layer_norm_backward` into dx, dweight and dbias, unchecked."""
    dweight.fill(0)
    dbias.fill(0)
    if g.size:
        flat = [np.ascontiguousarray(a).reshape(-1, g.shape[-1]) for a in (g, normed, dx)]
        rows, weight = np.ascontiguousarray(scale).reshape(-1), np.ascontiguousarray(weight)
        _layer_norm_backward(flat[0], flat[1], rows, weight, flat[2], dweight, dbias)


def _check_norm(kernel: str, x: Array, weight: Array, bias: Array) -> None:
    check_floats(kernel, x=x, weight=weight, bias=bias)
    if x.ndim < 1 or weight.shape != x.shape[-1:] or bias.shape != x.shape[-1:]:
        shapes = f"x {x.shape}, weight {weight.shape}, bias {bias.shape}"
        raise ShapeError(
            f"{kernel}: one weight and one bias per column", shapes, "weight and bias of (columns,)"
        )
