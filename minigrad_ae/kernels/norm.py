"""Layer norm over the last axis, forward and backward, one row at a time (REDUCTION flags: sums run
in lanes).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.arguments import real_number
from minigrad_ae.errors import ShapeError
from minigrad_ae.kernels.backend import check_floats, check_same_shape, compiled_form_of
from minigrad_ae.kernels.calls import call, contiguous
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
    """Layer norm over the last axis, and what its backward pass needs.

    Parameters
    ----------
    x : ndarray, (..., columns), float32 or float64
        The rows.
    weight, bias : ndarray, (columns,), dtype of x
        The scale and the shift of each column.
    eps : float, optional
        Added to the variance of a row, so that a constant row does not divide by 0.

    Returns
    -------
    y : ndarray, (..., columns)
        ``normed * weight + bias``.
    normed : ndarray, (..., columns)
        ``(x - mean) * scale``: rows of mean 0 and variance 1.
    scale : ndarray, (...)
        ``1 / sqrt(var + eps)``, one number per row; var is the mean over columns.

    Raises
    ------
    DtypeError
        Where the arrays are not all float32 or all float64.
    ShapeError
        Where `weight` or `bias` does not have one number per column.

    References
    ----------
    Ba, Kiros & Hinton (2016), Layer normalization.

    Examples
    --------
    >>> x = np.array([[1.0, 2.0, 3.0, 6.0]])  # mean 3, variance 14 / 4
    >>> y, normed, scale = mg.kernels.layer_norm(x, np.ones(4), np.zeros(4), eps=0.0)
    >>> round(float(y.mean()), 6), round(float(y.var()), 6), round(float(scale[0] ** -2), 6)
    (0.0, 1.0, 3.5)
    """
    _check_norm("layer_norm", x, weight, bias)
    eps = real_number(eps, "layer_norm: eps", "[0, inf)", "the usual value is 1e-5")
    y, normed = np.empty_like(x, order="C"), np.empty_like(x, order="C")
    scale = np.empty(x.shape[:-1], x.dtype)
    fill(x, weight, bias, eps, y, normed, scale)
    return y, normed, scale


def fill(
    x: Array, weight: Array, bias: Array, eps: float, y: Array, normed: Array, scale: Array
) -> None:
    """`layer_norm` into y, normed and scale, unchecked."""
    if x.size:
        flat = [contiguous(a).reshape(-1, x.shape[-1]) for a in (x, y, normed)]
        weight, bias = contiguous(weight), contiguous(bias)
        call(_layer_norm, flat[0], weight, bias, eps, flat[1], flat[2], scale.reshape(-1))


@compiled_form_of(_layer_norm_backward_definition)
def layer_norm_backward(
    g: Array, normed: Array, scale: Array, weight: Array
) -> tuple[Array, Array, Array]:
    """The gradients of `layer_norm` from what it left.

    Parameters
    ----------
    g : ndarray, (..., columns), float32 or float64
        The gradient of the loss with respect to the result.
    normed : ndarray, (..., columns)
        The rows of mean 0 and variance 1 that `layer_norm` returned.
    scale : ndarray, (...)
        The scales that it returned.
    weight : ndarray, (columns,)
        The weight that it was called with.

    Returns
    -------
    dx : ndarray, (..., columns)
        The gradient with respect to `x`; each row of it sums to 0.
    dweight, dbias : ndarray, (columns,)
        The gradients with respect to weight and bias, sums over the rows in their order.

    Raises
    ------
    DtypeError
        Where the arrays are not all float32 or all float64.
    ShapeError
        Where the shapes of `g` and `normed` differ, or `weight` or `scale` does not fit.
    """
    check_same_shape("layer_norm_backward", g=g, normed=normed)
    _check_norm("layer_norm_backward", g, weight, weight)
    check_floats("layer_norm_backward", scale=scale)
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
    call(dweight.fill, 0)
    call(dbias.fill, 0)
    if g.size:
        flat = [contiguous(a).reshape(-1, g.shape[-1]) for a in (g, normed, dx)]
        rows, weight = contiguous(scale).reshape(-1), contiguous(weight)
        call(_layer_norm_backward, flat[0], flat[1], rows, weight, flat[2], dweight, dbias)


def _check_norm(kernel: str, x: Array, weight: Array, bias: Array) -> None:
    check_floats(kernel, x=x, weight=weight, bias=bias)
    if x.ndim < 1 or weight.shape != x.shape[-1:] or bias.shape != x.shape[-1:]:
        shapes = f"x {x.shape}, weight {weight.shape}, bias {bias.shape}"
        raise ShapeError(
            f"{kernel}: one weight and one bias per column", shapes, "weight and bias of (columns,)"
        )
