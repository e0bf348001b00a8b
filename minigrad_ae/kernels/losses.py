"""Losses and the sampling steps of the chapter's models, forward and backward, in one pass over
flat arrays.

The values come from fused.py, which computes a gradient with each; here it is dropped, and computed
again where asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.errors import DataError
from minigrad_ae.kernels import fused, reference, scalar
from minigrad_ae.kernels.backend import check_floats, check_same_shape, twin_of
from minigrad_ae.kernels.jit import ELEMENTWISE, jit

Array = np.ndarray
_exp, _sigmoid, _expm1_and_remainder = scalar.exp, scalar.sigmoid, scalar.expm1_and_remainder


@jit(ELEMENTWISE)
def _difference(g: float, y: Any, t: Any, out: Any) -> None:
    scale = y.dtype.type(g)
    for i in range(y.size):
        out[i] = scale * (y[i] - t[i])


@jit(ELEMENTWISE)
def _bernoulli_backward(g: float, x: Any, t: Any, out: Any) -> None:
    scale, zero, one = x.dtype.type(g), x.dtype.type(0), x.dtype.type(1)
    for i in range(x.size):
        beyond = _sigmoid(-abs(x[i]))
        out[i] = scale * ((one - t[i]) - beyond if x[i] >= zero else beyond - t[i])


@jit(ELEMENTWISE)
def _gaussian_kl_backward(g: float, mu: Any, log_var: Any, dmu: Any, dlog_var: Any) -> None:
    scale, half = mu.dtype.type(g), mu.dtype.type(0.5)
    for i in range(mu.size):
        dmu[i] = scale * mu[i]
        dlog_var[i] = scale * half * _expm1_and_remainder(log_var[i])[0]


@jit(ELEMENTWISE)
def _reparameterise_backward(g: Any, log_var: Any, noise: Any, dlog_var: Any) -> None:
    half = g.dtype.type(0.5)
    for i in range(g.size):
        dlog_var[i] = half * g[i] * _exp(half * log_var[i]) * noise[i]


@jit(ELEMENTWISE)
def _dropout_mask(uniform: Any, rate: float, mask: Any) -> None:
    zero, scale, edge = mask.dtype.type(0), mask.dtype.type(1 / (1 - rate)), mask.dtype.type(rate)
    for i in range(uniform.size):
        mask[i] = scale if uniform[i] >= edge else zero


def _flat(kernel: str, **arrays: Array) -> list[Array]:
    check_same_shape(kernel, **arrays)
    return [np.ascontiguousarray(a).reshape(-1) for a in arrays.values()]


@twin_of(reference.half_sum_of_squares)
def half_sum_of_squares(y: Array, t: Array) -> Any:
    """``0.5 * ((y - t) ** 2).sum()``: a scalar of the arrays' dtype (sum over data and
    features).
    """
    return fused.half_squares(*_flat("half_sum_of_squares", y=y, t=t))[0][()]


@twin_of(reference.half_sum_of_squares_backward)
def half_sum_of_squares_backward(g: float, y: Array, t: Array) -> Array:
    """``g * (y - t)``, g a number."""
    out = np.empty(y.shape, y.dtype)
    _difference(float(g), *_flat("half_sum_of_squares_backward", y=y, t=t), out.reshape(-1))
    return out


@twin_of(reference.bernoulli_loss)
def bernoulli_loss(logits: Array, t: Array) -> Any:
    """``(softplus(logits) - logits * t).sum()`` = -log p(t), t in [0, 1]: a scalar (sum over data
    and features).
    """
    return fused.bernoulli(*_flat("bernoulli_loss", logits=logits, t=t))[0][()]


@twin_of(reference.bernoulli_loss_backward)
def bernoulli_loss_backward(g: float, logits: Array, t: Array) -> Array:
    """``g * (sigmoid(logits) - t)``, g a number."""
    out = np.empty(logits.shape, logits.dtype)
    _bernoulli_backward(
        float(g), *_flat("bernoulli_loss_backward", logits=logits, t=t), out.reshape(-1)
    )
    return out


@twin_of(reference.gaussian_kl)
def gaussian_kl(mu: Array, log_var: Array) -> Any:
    """KL(N(mu, e^log_var) || N(0, 1)) = ``0.5 * (mu**2 + (expm1(log_var) - log_var)).sum()``: a
    scalar.
    """
    return fused.gaussian_kl(*_flat("gaussian_kl", mu=mu, log_var=log_var))[0][()]


@twin_of(reference.gaussian_kl_backward)
def gaussian_kl_backward(g: float, mu: Array, log_var: Array) -> tuple[Array, Array]:
    """``(g * mu, 0.5 * g * expm1(log_var))``, g a number."""
    dmu, dlog_var = np.empty(mu.shape, mu.dtype), np.empty(mu.shape, mu.dtype)
    flat = _flat("gaussian_kl_backward", mu=mu, log_var=log_var)
    _gaussian_kl_backward(float(g), *flat, dmu.reshape(-1), dlog_var.reshape(-1))
    return dmu, dlog_var


@twin_of(reference.reparameterise)
def reparameterise(mu: Array, log_var: Array, noise: Array) -> Array:
    """``mu + np.exp(log_var / 2) * noise``."""
    z, _ = fused.reparameterise(*_flat("reparameterise", mu=mu, log_var=log_var, noise=noise))
    return z.reshape(mu.shape)


@twin_of(reference.reparameterise_backward)
def reparameterise_backward(g: Array, log_var: Array, noise: Array) -> tuple[Array, Array]:
    """``(g, 0.5 * g * np.exp(log_var / 2) * noise)``: the gradients of mu and log_var."""
    dlog_var = np.empty(g.shape, g.dtype)
    flat = _flat("reparameterise_backward", g=g, log_var=log_var, noise=noise)
    _reparameterise_backward(*flat, dlog_var.reshape(-1))
    return g, dlog_var


@twin_of(reference.dropout_mask)
def dropout_mask(uniform: Array, rate: float) -> Array:
    """``np.where(uniform >= rate, 1 / (1 - rate), 0)``: multiply by it to drop a fraction ``rate``
    and keep the mean.

    ``uniform``: numbers from [0, 1), drawn by the caller; 0 <= rate < 1.  For corruption without
    rescaling multiply by ``mask > 0``.
    """
    check_floats("dropout_mask", uniform=uniform)
    if not 0 <= rate < 1:
        raise DataError(
            "dropout_mask: rate must lie in [0, 1)", f"rate={rate}", "0.1 drops a tenth"
        )
    mask = np.empty(uniform.shape, uniform.dtype)
    _dropout_mask(np.ascontiguousarray(uniform).reshape(-1), float(rate), mask.reshape(-1))
    return mask
