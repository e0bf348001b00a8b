"""The loops behind activations.py: one line of calculus each, over flat contiguous arrays.

``out`` may be one of the inputs.  The flags are element-wise: NaN, Inf and signed zeros come out as
NumPy gives them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.kernels import scalar
from minigrad_ae.kernels.jit import ELEMENTWISE, jit


@jit(ELEMENTWISE)
def exp(x: Any, out: Any) -> None:
    """out = e^x"""
    for i in range(x.size):
        out[i] = scalar.exp(x[i])


@jit(ELEMENTWISE)
def exp_backward(g: Any, y: Any, out: Any) -> None:
    """out = g y"""
    for i in range(g.size):
        out[i] = g[i] * y[i]


@jit(ELEMENTWISE)
def exp_remainder(x: Any, out: Any) -> None:
    """out = e^x - 1 - x"""
    for i in range(x.size):
        out[i] = scalar.expm1_and_remainder(x[i])[1]


@jit(ELEMENTWISE)
def exp_remainder_backward(g: Any, x: Any, out: Any) -> None:
    """out = g (e^x - 1)"""
    for i in range(g.size):
        out[i] = g[i] * scalar.expm1_and_remainder(x[i])[0]


@jit(ELEMENTWISE)
def tanh(x: Any, out: Any) -> None:
    """out = tanh x"""
    for i in range(x.size):
        out[i] = scalar.tanh(x[i])


@jit(ELEMENTWISE)
def tanh_backward(g: Any, y: Any, out: Any) -> None:
    """out = g (1 - y^2)"""
    one = scalar.tables(g.dtype.type(0)).one
    for i in range(g.size):
        out[i] = g[i] * (one - y[i] * y[i])


@jit(ELEMENTWISE)
def sigmoid(x: Any, out: Any) -> None:
    """out = 1 / (1 + e^-x)"""
    for i in range(x.size):
        out[i] = scalar.sigmoid(x[i])


@jit(ELEMENTWISE)
def sigmoid_backward(g: Any, y: Any, out: Any) -> None:
    """out = g y (1 - y)"""
    one = scalar.tables(g.dtype.type(0)).one
    for i in range(g.size):
        out[i] = g[i] * y[i] * (one - y[i])


@jit(ELEMENTWISE)
def relu(x: Any, out: Any) -> None:
    """out = 0 where x <= 0, else x (so NaN stays NaN)"""
    zero = x.dtype.type(0)
    for i in range(x.size):
        out[i] = zero if x[i] <= zero else x[i]


@jit(ELEMENTWISE)
def relu_backward(g: Any, y: Any, out: Any) -> None:
    """out = g where y > 0, else 0"""
    zero = g.dtype.type(0)
    for i in range(g.size):
        out[i] = g[i] if y[i] > zero else zero


@jit(ELEMENTWISE)
def softplus(x: Any, out: Any) -> None:
    """out = log(1 + e^x)"""
    for i in range(x.size):
        out[i] = scalar.softplus(x[i])


@jit(ELEMENTWISE)
def softplus_backward(g: Any, x: Any, out: Any) -> None:
    """out = g sigmoid(x)"""
    for i in range(g.size):
        out[i] = g[i] * scalar.sigmoid(x[i])


@jit(ELEMENTWISE)
def erf(x: Any, out: Any) -> None:
    """out = erf x"""
    for i in range(x.size):
        out[i] = scalar.erf(x[i])


@jit(ELEMENTWISE)
def erf_backward(g: Any, x: Any, out: Any) -> None:
    """out = g 2 / sqrt(pi) e^(-x^2)"""
    scale, one = g.dtype.type(2 / np.sqrt(np.pi)), g.dtype.type(1)
    for i in range(g.size):
        out[i] = g[i] * scale * scalar.bell(x[i], one)


@jit(ELEMENTWISE)
def gelu(x: Any, out: Any) -> None:
    """out = x Phi(x)"""
    for i in range(x.size):
        out[i] = x[i] * scalar.normal_cdf(x[i])[0]


@jit(ELEMENTWISE)
def gelu_backward(g: Any, x: Any, out: Any) -> None:
    """out = g (Phi(x) + x phi(x)), phi the normal density"""
    scale = g.dtype.type(1 / np.sqrt(2 * np.pi))
    for i in range(g.size):
        cdf, bell = scalar.normal_cdf(x[i])
        out[i] = g[i] * (cdf + x[i] * bell * scale)


@jit(ELEMENTWISE)
def gelu_tanh(x: Any, out: Any) -> None:
    """out = x (1 + tanh u) / 2 = x sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3)"""
    a, b = x.dtype.type(2 * np.sqrt(2 / np.pi)), x.dtype.type(0.044715)
    for i in range(x.size):
        v = x[i]
        out[i] = v * scalar.sigmoid(a * (v + b * v * v * v))


@jit(ELEMENTWISE)
def gelu_tanh_backward(g: Any, x: Any, out: Any) -> None:
    """out = g s (1 + x (1 - s) 2 u'), s = sigmoid(2 u)"""
    a, b = g.dtype.type(2 * np.sqrt(2 / np.pi)), g.dtype.type(0.044715)
    one, three = g.dtype.type(1), g.dtype.type(3)
    for i in range(g.size):
        v = x[i]
        s = scalar.sigmoid(a * (v + b * v * v * v))
        out[i] = g[i] * s * (one + v * (one - s) * a * (one + three * b * v * v))
