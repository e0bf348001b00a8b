"""The NumPy definitions: what each kernel computes, in a line or two.  They run under ``use("numpy")``.

``out`` is accepted everywhere and written to, so that both backends are called alike.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_erf_of_float = np.vectorize(math.erf, otypes=[np.float64])


def _into(out: Any, y: Any, dtype: Any) -> np.ndarray:
    """``y`` in ``dtype``, written to ``out`` if there is one."""
    if out is None:
        return np.asarray(y, dtype)
    out[...] = y
    return out


# For functions with a matrix product.  A BLAS may compute on what lies beside its operands: never seen in the result, but
# it raises floating-point flags at random (OpenBLAS 0.3.31 for float32 rows of five; Accelerate for many shapes).
quiet = np.errstate(all="ignore")


@quiet
def matmul(a, b, out=None):  # type: ignore[no-untyped-def]
    return np.matmul(a, b, out=out)


def exp(x, out=None):  # type: ignore[no-untyped-def]
    return _into(out, np.exp(x), x.dtype)


def exp_backward(g, y, out=None):  # type: ignore[no-untyped-def]
    return _into(out, g * y, g.dtype)


def tanh(x, out=None):  # type: ignore[no-untyped-def]
    return _into(out, np.tanh(x), x.dtype)


def tanh_backward(g, y, out=None):  # type: ignore[no-untyped-def]
    return _into(out, g * (1 - y * y), g.dtype)


def sigmoid(x, out=None):  # type: ignore[no-untyped-def]
    e = np.exp(-np.abs(x))
    return _into(out, np.where(x < 0, e, 1) / (1 + e), x.dtype)


def sigmoid_backward(g, y, out=None):  # type: ignore[no-untyped-def]
    return _into(out, g * y * (1 - y), g.dtype)


def relu(x, out=None):  # type: ignore[no-untyped-def]
    return _into(out, np.where(x <= 0, 0, x), x.dtype)


def relu_backward(g, y, out=None):  # type: ignore[no-untyped-def]
    return _into(out, np.where(y > 0, g, 0), g.dtype)


def softplus(x, out=None):  # type: ignore[no-untyped-def]
    return _into(out, np.where(x <= 0, 0, x) + np.log1p(np.exp(-np.abs(x))), x.dtype)


def softplus_backward(g, x, out=None):  # type: ignore[no-untyped-def]
    return _into(out, g * sigmoid(x), g.dtype)


def erf(x, out=None):  # type: ignore[no-untyped-def]
    return _into(out, _erf_of_float(x), x.dtype)


def erf_backward(g, x, out=None):  # type: ignore[no-untyped-def]
    return _into(out, g * (2 / math.sqrt(math.pi)) * np.exp(-(x * x)), g.dtype)


def gelu(x, approximate=None, out=None):  # type: ignore[no-untyped-def]
    gate = _gate(x) if approximate else 0.5 * (1 + erf(x * x.dtype.type(math.sqrt(0.5))))
    return _into(out, x * gate, x.dtype)


def gelu_backward(g, x, approximate=None, out=None):  # type: ignore[no-untyped-def]
    if approximate:
        s = _gate(x)
        slope = s * (1 + 2 * x * (1 - s) * math.sqrt(2 / math.pi) * (1 + 0.134145 * x * x))
    else:
        density = np.exp(-(0.5 * x * x)) / math.sqrt(2 * math.pi)
        slope = 0.5 * (1 + erf(x * x.dtype.type(math.sqrt(0.5)))) + x * density
    return _into(out, g * slope, g.dtype)


def _gate(x):  # type: ignore[no-untyped-def]
    return 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


def add_bias(c, bias):  # type: ignore[no-untyped-def]
    c += bias
    return c


def half_sum_of_squares(y, t):  # type: ignore[no-untyped-def]
    return 0.5 * ((y - t) * (y - t)).sum(dtype=y.dtype)


def half_sum_of_squares_backward(g, y, t):  # type: ignore[no-untyped-def]
    return (y - t) * y.dtype.type(g)


def bernoulli_loss(logits, t):  # type: ignore[no-untyped-def]
    return (softplus(logits) - logits * t).sum(dtype=logits.dtype)


def bernoulli_loss_backward(g, logits, t):  # type: ignore[no-untyped-def]
    return (sigmoid(logits) - t) * logits.dtype.type(g)


def gaussian_kl(mu, log_var):  # type: ignore[no-untyped-def]
    return mu.dtype.type(0.5) * (mu * mu + (np.exp(log_var) - 1 - log_var)).sum(dtype=mu.dtype)


def gaussian_kl_backward(g, mu, log_var):  # type: ignore[no-untyped-def]
    g = mu.dtype.type(g)
    return g * mu, mu.dtype.type(0.5) * g * (np.exp(log_var) - 1)


def reparameterise(mu, log_var, noise):  # type: ignore[no-untyped-def]
    return mu + np.exp(log_var / 2) * noise


def reparameterise_backward(g, log_var, noise):  # type: ignore[no-untyped-def]
    return g, g * np.exp(log_var / 2) * noise / 2


def dropout_mask(uniform, rate):  # type: ignore[no-untyped-def]
    return np.where(uniform >= uniform.dtype.type(rate), 1 / (1 - rate), 0).astype(uniform.dtype)
