"""Activations, forward and backward: any shape, float32 or float64; ``out`` (contiguous) may be an
input.

The backward kernels take what the forward pass left: ``y`` where the rule needs only the result
(exp, tanh, sigmoid, relu), ``x`` otherwise (exp_remainder, softplus, erf, gelu).  Loops and
formulas: loops.py; NumPy definitions: reference.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad_ae.errors import DataError
from minigrad_ae.kernels import loops, reference
from minigrad_ae.kernels.backend import (
    check_floats,
    check_out,
    check_same_shape,
    chunks,
    compiled_form_of,
    in_parallel,
)

Array = np.ndarray
GRAIN = 1 << 15  # numbers per thread: below, handing work over costs more than it saves


def _run(loop: Callable[..., None], arrays: tuple[Array, ...], out: Array) -> Array:
    """``loop(*inputs, out)`` over flat views, in one piece per thread."""
    flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays] + [out.reshape(-1)]
    if out.size < 2 * GRAIN:
        loop(*flat)
    else:
        in_parallel(loop, [tuple(a[i:j] for a in flat) for i, j in chunks(out.size, GRAIN)])
    return out


def fill(name: str, inputs: tuple[Array, ...], out: Array) -> None:
    """The loop of this name over arrays of one shape and dtype, unchecked."""
    _run(getattr(loops, name), inputs, out)


def _map(loop: Callable[..., None], x: Array, out: Any) -> Array:
    check_floats(loop.__name__, x=x)
    return _run(loop, (x,), check_out(loop.__name__, out, x.shape, x.dtype))


def _pull(loop: Callable[..., None], g: Array, saved: Array, out: Any) -> Array:
    check_same_shape(loop.__name__, g=g, saved=saved)
    return _run(loop, (g, saved), check_out(loop.__name__, out, g.shape, g.dtype))


@compiled_form_of(reference.exp)
def exp(x: Array, out: Array | None = None) -> Array:
    """``np.exp(x)``."""
    return _map(loops.exp, x, out)


@compiled_form_of(reference.exp_backward)
def exp_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """``g * y``."""
    return _pull(loops.exp_backward, g, y, out)


@compiled_form_of(reference.exp_remainder)
def exp_remainder(x: Array, out: Array | None = None) -> Array:
    """``np.expm1(x) - x`` without cancellation near 0; never negative."""
    return _map(loops.exp_remainder, x, out)


@compiled_form_of(reference.exp_remainder_backward)
def exp_remainder_backward(g: Array, x: Array, out: Array | None = None) -> Array:
    """``g * np.expm1(x)``."""
    return _pull(loops.exp_remainder_backward, g, x, out)


@compiled_form_of(reference.tanh)
def tanh(x: Array, out: Array | None = None) -> Array:
    """``np.tanh(x)``."""
    return _map(loops.tanh, x, out)


@compiled_form_of(reference.tanh_backward)
def tanh_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """``g * (1 - y * y)``."""
    return _pull(loops.tanh_backward, g, y, out)


@compiled_form_of(reference.sigmoid)
def sigmoid(x: Array, out: Array | None = None) -> Array:
    """``1 / (1 + np.exp(-x))`` without overflow."""
    return _map(loops.sigmoid, x, out)


@compiled_form_of(reference.sigmoid_backward)
def sigmoid_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """``g * y * (1 - y)``."""
    return _pull(loops.sigmoid_backward, g, y, out)


@compiled_form_of(reference.relu)
def relu(x: Array, out: Array | None = None) -> Array:
    """``np.where(x <= 0, 0, x)``."""
    return _map(loops.relu, x, out)


@compiled_form_of(reference.relu_backward)
def relu_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """``np.where(y > 0, g, 0)``; ``y`` may be the input as well."""
    return _pull(loops.relu_backward, g, y, out)


@compiled_form_of(reference.softplus)
def softplus(x: Array, out: Array | None = None) -> Array:
    """``np.logaddexp(0, x)``."""
    return _map(loops.softplus, x, out)


@compiled_form_of(reference.softplus_backward)
def softplus_backward(g: Array, x: Array, out: Array | None = None) -> Array:
    """``g * sigmoid(x)``."""
    return _pull(loops.softplus_backward, g, x, out)


@compiled_form_of(reference.erf)
def erf(x: Array, out: Array | None = None) -> Array:
    """The error function, ``math.erf`` of each element."""
    return _map(loops.erf, x, out)


@compiled_form_of(reference.erf_backward)
def erf_backward(g: Array, x: Array, out: Array | None = None) -> Array:
    """``g * 2 / sqrt(pi) * np.exp(-x * x)``."""
    return _pull(loops.erf_backward, g, x, out)


@compiled_form_of(reference.gelu)
def gelu(x: Array, approximate: str | None = None, out: Array | None = None) -> Array:
    """``x Phi(x)``; with ``approximate="tanh"`` the tanh form."""
    return _map(_choose(approximate, loops.gelu, loops.gelu_tanh), x, out)


@compiled_form_of(reference.gelu_backward)
def gelu_backward(
    g: Array, x: Array, approximate: str | None = None, out: Array | None = None
) -> Array:
    """``g (Phi(x) + x phi(x))``, or the derivative of the tanh form."""
    return _pull(_choose(approximate, loops.gelu_backward, loops.gelu_tanh_backward), g, x, out)


def _choose(approximate: str | None, exact: Any, tanh_form: Any) -> Any:
    if approximate not in (None, "tanh"):
        raise DataError(
            "gelu: unknown form", f"approximate={approximate!r}", 'None for the erf form, or "tanh"'
        )
    return exact if approximate is None else tanh_form
