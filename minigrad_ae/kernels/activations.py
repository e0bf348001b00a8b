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

from minigrad_ae.arguments import choice
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
from minigrad_ae.kernels.calls import call, contiguous
from minigrad_ae.kernels.reference import above_tangent, erf_of_float, into, logistic

Array = np.ndarray
GRAIN = 1 << 15  # numbers per thread: below, handing work over costs more than it saves


def fill(name: str, inputs: tuple[Array, ...], out: Array) -> Array:
    """``out``, filled by the loop of this name: flat views of arrays of one shape and dtype,
    unchecked, in one piece per thread.
    """
    loop = getattr(loops, name)
    flat = [contiguous(a).reshape(-1) for a in inputs] + [out.reshape(-1)]
    if out.size < 2 * GRAIN:
        call(loop, *flat)
    else:
        in_parallel(loop, [tuple(a[i:j] for a in flat) for i, j in chunks(out.size, GRAIN)])
    return out


@filled_by(fill)
def exp(x: Array, out: Array | None = None) -> Array:
    """The exponential, ``np.exp(x)``.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
        Exponents; beyond the range of the dtype the result is 0 or Inf.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `x`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of x
        e^x, at most 1.1 units in the last place off.

    Raises
    ------
    DtypeError
        Where `x` is not a float32 or float64 array.
    ShapeError
        Where `out` does not fit.

    Examples
    --------
    >>> bool(np.allclose(mg.kernels.exp(np.log([1.0, 2.0, 3.0])), [1, 2, 3]))
    True
    """
    return into(out, np.exp(x), x.dtype)


@filled_by(fill)
def exp_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """The gradient of `exp` from its result: ``g * y``.

    Parameters
    ----------
    g : ndarray, any shape, float32 or float64
        The gradient of the loss with respect to the result.
    y : ndarray, shape and dtype of g
        The result of `exp`.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `g`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of g
        The gradient of the loss with respect to the input.

    Raises
    ------
    DtypeError
        Where `g` and `y` are not both float32 or both float64 arrays.
    ShapeError
        Where the shapes differ, or `out` does not fit.
    """
    return into(out, g * y, g.dtype)


@filled_by(fill)
def exp_remainder(x: Array, out: Array | None = None) -> Array:
    """What the exponential is above its tangent at 0: ``np.expm1(x) - x``.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
        Exponents.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `x`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of x
        e^x - 1 - x, at most 4.5 units in the last place off, and never negative.

    Raises
    ------
    DtypeError
        Where `x` is not a float32 or float64 array.
    ShapeError
        Where `out` does not fit.

    Notes
    -----
    Without cancellation near 0, where it is x^2 / 2.  Its half is the divergence of a Gaussian with
    log-variance x from one of variance 1.

    Examples
    --------
    >>> x = np.array([1e-9])
    >>> bool(np.allclose(mg.kernels.exp_remainder(x), x**2 / 2, rtol=1e-8))
    True
    >>> float((np.expm1(-x) + x)[0]) == float(mg.kernels.exp_remainder(-x)[0])  # all digits cancel
    False
    """
    return into(out, above_tangent(x), x.dtype)


@filled_by(fill)
def exp_remainder_backward(g: Array, x: Array, out: Array | None = None) -> Array:
    """The gradient of `exp_remainder` from its input: ``g * np.expm1(x)``.

    Parameters
    ----------
    g : ndarray, any shape, float32 or float64
        The gradient of the loss with respect to the result.
    x : ndarray, shape and dtype of g
        The input of `exp_remainder`.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `g`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of g
        The gradient of the loss with respect to `x`.

    Raises
    ------
    DtypeError
        Where `g` and `x` are not both float32 or both float64 arrays.
    ShapeError
        Where the shapes differ, or `out` does not fit.
    """
    return into(out, g * np.expm1(x), g.dtype)


@filled_by(fill)
def tanh(x: Array, out: Array | None = None) -> Array:
    """The hyperbolic tangent, ``np.tanh(x)``.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
        Inputs of the units.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `x`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of x
        Values from -1 to 1, at most 3 units in the last place off.

    Raises
    ------
    DtypeError
        Where `x` is not a float32 or float64 array.
    ShapeError
        Where `out` does not fit.

    Notes
    -----
    Odd, and it keeps the sign of -0.

    Examples
    --------
    >>> mg.kernels.tanh(np.array([-np.inf, 0.0, np.inf])).tolist()
    [-1.0, 0.0, 1.0]
    """
    return into(out, np.tanh(x), x.dtype)


@filled_by(fill)
def tanh_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """The gradient of `tanh` from its result: ``g * (1 - y * y)``.

    Parameters
    ----------
    g : ndarray, any shape, float32 or float64
        The gradient of the loss with respect to the result.
    y : ndarray, shape and dtype of g
        The result of `tanh`.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `g`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of g
        The gradient of the loss with respect to the input.

    Raises
    ------
    DtypeError
        Where `g` and `y` are not both float32 or both float64 arrays.
    ShapeError
        Where the shapes differ, or `out` does not fit.

    Examples
    --------
    >>> g, y = np.ones(3), np.array([0.0, 0.5, 1.0])  # a saturated unit has no slope
    >>> mg.kernels.tanh_backward(g, y).tolist()
    [1.0, 0.75, 0.0]
    """
    return into(out, g * (1 - y * y), g.dtype)


@filled_by(fill)
def sigmoid(x: Array, out: Array | None = None) -> Array:
    """The logistic function ``1 / (1 + np.exp(-x))``, without overflow.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
        Logits.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `x`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of x
        Values from 0 to 1, at most 2.5 units in the last place off.

    Raises
    ------
    DtypeError
        Where `x` is not a float32 or float64 array.
    ShapeError
        Where `out` does not fit.

    Notes
    -----
    Computed from e^-abs(x) <= 1: the left tail keeps its relative accuracy.

    Examples
    --------
    >>> mg.kernels.sigmoid(np.array([-np.inf, 0.0, np.inf])).tolist()
    [0.0, 0.5, 1.0]
    """
    return into(out, logistic(x), x.dtype)


@filled_by(fill)
def sigmoid_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """The gradient of `sigmoid` from its result: ``g * y * (1 - y)``.

    Parameters
    ----------
    g : ndarray, any shape, float32 or float64
        The gradient of the loss with respect to the result.
    y : ndarray, shape and dtype of g
        The result of `sigmoid`.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `g`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of g
        The gradient of the loss with respect to the input.

    Raises
    ------
    DtypeError
        Where `g` and `y` are not both float32 or both float64 arrays.
    ShapeError
        Where the shapes differ, or `out` does not fit.

    Examples
    --------
    >>> mg.kernels.sigmoid_backward(np.ones(1), np.array([0.5])).tolist()  # where it is steepest
    [0.25]
    """
    return into(out, g * y * (1 - y), g.dtype)


@filled_by(fill)
def relu(x: Array, out: Array | None = None) -> Array:
    """The rectifier ``np.where(x <= 0, 0, x)``.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
        Inputs of the units.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `x`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of x
        `x` where it is positive, else 0; NaN stays NaN.

    Raises
    ------
    DtypeError
        Where `x` is not a float32 or float64 array.
    ShapeError
        Where `out` does not fit.

    Examples
    --------
    >>> mg.kernels.relu(np.array([-2.0, 0.0, 3.0])).tolist()
    [0.0, 0.0, 3.0]
    """
    return into(out, np.where(x <= 0, 0, x), x.dtype)


@filled_by(fill)
def relu_backward(g: Array, y: Array, out: Array | None = None) -> Array:
    """The gradient of `relu` from its result: ``np.where(y > 0, g, 0)``.

    Parameters
    ----------
    g : ndarray, any shape, float32 or float64
        The gradient of the loss with respect to the result.
    y : ndarray, shape and dtype of g
        The result of `relu`, or its input: they have the same positive elements.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `g`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of g
        `g` where the unit is active, else 0; at 0 the slope is taken to be 0.

    Raises
    ------
    DtypeError
        Where `g` and `y` are not both float32 or both float64 arrays.
    ShapeError
        Where the shapes differ, or `out` does not fit.
    """
    return into(out, np.where(y > 0, g, 0), g.dtype)


@filled_by(fill)
def softplus(x: Array, out: Array | None = None) -> Array:
    """A smooth rectifier, ``np.logaddexp(0, x)``.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
        Inputs of the units.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `x`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of x
        log(1 + e^x), at most 3.5 units in the last place off.

    Raises
    ------
    DtypeError
        Where `x` is not a float32 or float64 array.
    ShapeError
        Where `out` does not fit.

    Notes
    -----
    Computed as max(x, 0) + log1p(e^-abs(x)), so that nothing overflows.

    Examples
    --------
    >>> round(float(mg.kernels.softplus(np.zeros(1))[0] - np.log(2)), 6)
    0.0
    """
    return into(out, np.where(x <= 0, 0, x) + np.log1p(np.exp(-np.abs(x))), x.dtype)


@filled_by(fill)
def softplus_backward(g: Array, x: Array, out: Array | None = None) -> Array:
    """The gradient of `softplus` from its input: ``g * sigmoid(x)``.

    Parameters
    ----------
    g : ndarray, any shape, float32 or float64
        The gradient of the loss with respect to the result.
    x : ndarray, shape and dtype of g
        The input of `softplus`.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `g`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of g
        The gradient of the loss with respect to `x`.

    Raises
    ------
    DtypeError
        Where `g` and `x` are not both float32 or both float64 arrays.
    ShapeError
        Where the shapes differ, or `out` does not fit.
    """
    return into(out, g * logistic(x), g.dtype)


@filled_by(fill)
def erf(x: Array, out: Array | None = None) -> Array:
    """The error function, ``math.erf`` of each element.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
        Its arguments.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `x`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of x
        Values from -1 to 1, at most 2.5 units in the last place off.

    Raises
    ------
    DtypeError
        Where `x` is not a float32 or float64 array.
    ShapeError
        Where `out` does not fit.

    Notes
    -----
    Odd, and it keeps the sign of -0.

    References
    ----------
    Shepherd & Laframboise (1981), Chebyshev approximation of (1 + 2x) exp(x^2) erfc x,
    Mathematics of Computation 36.

    Examples
    --------
    >>> normal = 0.5 * (1 + mg.kernels.erf(np.array([1.0]) / np.sqrt(2)))  # P(z < 1), z ~ N(0, 1)
    >>> round(float(normal[0]), 6)
    0.841345
    """
    return into(out, erf_of_float(x), x.dtype)


@filled_by(fill)
def erf_backward(g: Array, x: Array, out: Array | None = None) -> Array:
    """The gradient of `erf` from its input: ``g * 2 / sqrt(pi) * np.exp(-x * x)``.

    Parameters
    ----------
    g : ndarray, any shape, float32 or float64
        The gradient of the loss with respect to the result.
    x : ndarray, shape and dtype of g
        The input of `erf`.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `g`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of g
        The gradient of the loss with respect to `x`.

    Raises
    ------
    DtypeError
        Where `g` and `x` are not both float32 or both float64 arrays.
    ShapeError
        Where the shapes differ, or `out` does not fit.
    """
    return into(out, g * (2 / math.sqrt(math.pi)) * np.exp(-(x * x)), g.dtype)


@compiled_form_of(reference.gelu)
def gelu(x: Array, approximate: str | None = None, out: Array | None = None) -> Array:
    """Gaussian error linear unit, ``x Phi(x)``, with Phi the normal distribution function.

    Parameters
    ----------
    x : ndarray, any shape, float32 or float64
        Inputs of the units.
    approximate : {None, "tanh"}, optional
        None for the form with the normal distribution function, "tanh" for the one with tanh.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `x`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of x
        x Phi(x), at most 6 units in the last place off; or the tanh form, at most 2.5.

    Raises
    ------
    DtypeError
        Where `x` is not a float32 or float64 array.
    ShapeError
        Where `out` does not fit.
    DataError
        Where `approximate` is neither None nor "tanh".

    Notes
    -----
    The form with ``approximate="tanh"`` is x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

    References
    ----------
    Hendrycks & Gimpel (2016), Gaussian error linear units.

    Examples
    --------
    >>> x = np.array([1.0])  # Phi(x) - Phi(-x) = erf(x / sqrt 2)
    >>> both = mg.kernels.gelu(x) + mg.kernels.gelu(-x)
    >>> bool(np.allclose(both, x * mg.kernels.erf(x / np.sqrt(2))))
    True
    """
    loop = _form(approximate)
    check_floats(loop, x=x)
    return fill(loop, (x,), check_out(loop, out, x.shape, x.dtype))


@compiled_form_of(reference.gelu_backward)
def gelu_backward(
    g: Array, x: Array, approximate: str | None = None, out: Array | None = None
) -> Array:
    """The gradient of `gelu` from its input: ``g (Phi(x) + x phi(x))``.

    Parameters
    ----------
    g : ndarray, any shape, float32 or float64
        The gradient of the loss with respect to the result.
    x : ndarray, shape and dtype of g
        The input of `gelu`.
    approximate : {None, "tanh"}, optional
        None for the form with the normal distribution function, "tanh" for the one with tanh.
    out : ndarray, optional
        Where to write the result: contiguous, of the shape and dtype of `g`, perhaps an input
        itself.  A new array by default.

    Returns
    -------
    ndarray, shape and dtype of g
        The gradient of the loss with respect to `x`.

    Raises
    ------
    DtypeError
        Where `g` and `x` are not both float32 or both float64 arrays.
    ShapeError
        Where the shapes differ, or `out` does not fit.
    DataError
        Where `approximate` is neither None nor "tanh".

    Notes
    -----
    phi is the normal density; of the tanh form it is that form's own derivative.
    """
    loop = _form(approximate) + "_backward"
    check_same_shape(loop, g=g, x=x)
    return fill(loop, (g, x), check_out(loop, out, g.shape, g.dtype))


def _form(approximate: str | None) -> str:
    choice(approximate, (None, "tanh"), "gelu", "form", 'None for the erf form, or "tanh"')
    return "gelu" if approximate is None else "gelu_tanh"
