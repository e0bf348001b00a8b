"""Activations, forward and backward: any shape, float32 or float64; ``out`` (contiguous) may be an
input.

Each function is its NumPy definition; the loop of the same name runs instead unless
``use("numpy")`` says otherwise.

The backward kernels take what the forward pass left: ``y`` where the rule needs only the result
(exp, tanh, sigmoid, relu), ``x`` otherwise (exp_remainder, softplus, erf, gelu).  Loops: loops.py.
"""

from __future__ import annotations

import math

import numpy as np

from minigrad_ae.errors import DataError
from minigrad_ae.kernels import loops, reference
from minigrad_ae.kernels.backend import (
    check_floats,
    check_out,
    check_same_shape,
    chunks,
    compiled_form_of,
    filled_by,
    in_parallel,
)
from minigrad_ae.kernels.reference import above_tangent, erf_of_float, into, logistic

Array = np.ndarray
GRAIN = 1 << 15  # numbers per thread: below, handing work over costs more than it saves


def fill(name: str, inputs: tuple[Array, ...], out: Array) -> Array:
    """``out``, filled by the loop of this name: flat views of arrays of one shape and dtype,
    unchecked, in one piece per thread.
    """
    loop = getattr(loops, name)
    flat = [np.ascontiguousarray(a).reshape(-1) for a in inputs] + [out.reshape(-1)]
    if out.size < 2 * GRAIN:
        loop(*flat)
    else:
        in_parallel(loop, [tuple(a[i:j] for a in flat) for i, j in chunks(out.size, GRAIN)])
    return out


@filled_by(fill)
def exp(x: Array, out: Array | None = None) -> Array:
    """``np.exp(x)``."""
    return into(out, np.exp(x), x.dtype)


@filled_by(fill)
def exp_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """``g * y``."""
    return into(out, g * y, g.dtype)


@filled_by(fill)
def exp_remainder(x: Array, out: Array | None = None) -> Array:
    """``np.expm1(x) - x`` without cancellation near 0; never negative."""
    return into(out, above_tangent(x), x.dtype)


@filled_by(fill)
def exp_remainder_backward(g: Array, x: Array, out: Array | None = None) -> Array:
    """``g * np.expm1(x)``."""
    return into(out, g * np.expm1(x), g.dtype)


@filled_by(fill)
def tanh(x: Array, out: Array | None = None) -> Array:
    """``np.tanh(x)``."""
    return into(out, np.tanh(x), x.dtype)


@filled_by(fill)
def tanh_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """``g * (1 - y * y)``."""
    return into(out, g * (1 - y * y), g.dtype)


@filled_by(fill)
def sigmoid(x: Array, out: Array | None = None) -> Array:
    """``1 / (1 + np.exp(-x))`` without overflow."""
    return into(out, logistic(x), x.dtype)


@filled_by(fill)
def sigmoid_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """``g * y * (1 - y)``."""
    return into(out, g * y * (1 - y), g.dtype)


@filled_by(fill)
def relu(x: Array, out: Array | None = None) -> Array:
    """``np.where(x <= 0, 0, x)``."""
    return into(out, np.where(x <= 0, 0, x), x.dtype)


@filled_by(fill)
def relu_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """``np.where(y > 0, g, 0)``; ``y`` may be the input as well."""
    return into(out, np.where(y > 0, g, 0), g.dtype)


@filled_by(fill)
def softplus(x: Array, out: Array | None = None) -> Array:
    """``np.logaddexp(0, x)``."""
    return into(out, np.where(x <= 0, 0, x) + np.log1p(np.exp(-np.abs(x))), x.dtype)


@filled_by(fill)
def softplus_backward(g: Array, x: Array, out: Array | None = None) -> Array:
    """``g * sigmoid(x)``."""
    return into(out, g * logistic(x), g.dtype)


@filled_by(fill)
def erf(x: Array, out: Array | None = None) -> Array:
    """The error function, ``math.erf`` of each element."""
    return into(out, erf_of_float(x), x.dtype)


@filled_by(fill)
def erf_backward(g: Array, x: Array, out: Array | None = None) -> Array:
    """``g * 2 / sqrt(pi) * np.exp(-x * x)``."""
    return into(out, g * (2 / math.sqrt(math.pi)) * np.exp(-(x * x)), g.dtype)


@compiled_form_of(reference.gelu)
def gelu(x: Array, approximate: str | None = None, out: Array | None = None) -> Array:
    """``x Phi(x)``; with ``approximate="tanh"`` the tanh form."""
    loop = _form(approximate)
    check_floats(loop, x=x)
    return fill(loop, (x,), check_out(loop, out, x.shape, x.dtype))


@compiled_form_of(reference.gelu_backward)
def gelu_backward(
    g: Array, x: Array, approximate: str | None = None, out: Array | None = None
) -> Array:
    """``g (Phi(x) + x phi(x))``, or the derivative of the tanh form."""
    loop = _form(approximate) + "_backward"
    check_same_shape(loop, g=g, x=x)
    return fill(loop, (g, x), check_out(loop, out, g.shape, g.dtype))


def _form(approximate: str | None) -> str:
    if approximate not in (None, "tanh"):
        raise DataError(
            "gelu: unknown form", f"approximate={approximate!r}", 'None for the erf form, or "tanh"'
        )
    return "gelu" if approximate is None else "gelu_tanh"
