"""Public functions that are written in terms of ops: they need no rule, since their parts have one."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from ..errors import DataError, ShapeError
from ..graph import Value, where
from ..rules import NAMES
from . import elementwise as e
from . import index, linalg, reduce
from . import shape as s

COMPOSITIONS: dict[str, Callable[..., Any]] = {}


def composition(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a composition; a list or scalar as its first argument becomes an array."""

    @wraps(function)
    def call(x: Any, *args: Any, **kwargs: Any) -> Any:
        return function(x if isinstance(x, Value | np.ndarray) else np.asarray(x), *args, **kwargs)

    COMPOSITIONS[function.__name__] = call
    NAMES.setdefault(function.__name__, call)  # `concatenate` and `einsum` are also names of the ops they call
    return call


def variadic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a composition whose first argument is a list of tensors or a string."""
    COMPOSITIONS[function.__name__] = function
    return function


# --- element-wise ----------------------------------------------------------------------------------------------------


@composition
def square(x: Any) -> Any:
    """y = x^2."""
    return x * x


@composition
def minimum(a: Any, b: Any) -> Any:
    """y = min(a, b); at a tie each receives half of the gradient."""
    return -e.maximum(-a, e.neg(b))


@composition
def clip(x: Any, low: Any = None, high: Any = None) -> Any:
    """y = x, but not below `low` or above `high`; the slope is 1 on the closed interval and 0 outside."""
    if low is not None:
        x = e.where(reals(x) < reals(low), low, x)
    if high is not None:
        x = e.where(reals(x) > reals(high), high, x)
    return x


def reals(x: Any) -> Any:
    """The real part of a value, array or number, for a comparison."""
    return np.real(x._data if isinstance(x, Value) else x)


@composition
def gelu(x: Any, approximate: str | None = None) -> Any:
    """Gaussian error linear unit x Phi(x) (Hendrycks & Gimpel 2016); approximate="tanh" for their approximation."""
    if approximate not in (None, "tanh"):
        raise DataError(f"gelu: unknown approximation {approximate!r}", "approximate= is None or 'tanh'", "use one of the two")
    return e.gelu_erf(x) if approximate is None else e.gelu_tanh(x)


@composition
def gelu_gate(x: Any) -> Any:
    """(1 + tanh u) / 2 with u = sqrt(2/pi) (x + 0.044715 x^3): close to Phi(x)."""
    return 0.5 * (1 + e.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


# --- reductions ------------------------------------------------------------------------------------------------------


@composition
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """y = sum of x over axis / how many."""
    n = math.prod(x.shape) // max(1, math.prod(m for m, k in zip(x.shape, s_kept(x.shape, axis), strict=True) if k == m != 1))
    if n == 0:
        raise DataError("mean of nothing", f"shape {x.shape}, axis {axis}", "pass at least one element along the axis")
    return reduce.sum(x, axis=axis, keepdims=keepdims) / n


def s_kept(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """`shape` with the reduced axes as 1."""
    result: tuple[int, ...] = NAMES["kept"](shape, axis)
    return result


@composition
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """y = mean of (x - mean x)^2 over axis (divided by n, not n - 1: ddof = 0)."""
    return mean(square(x - mean(x, axis=axis, keepdims=True)), axis=axis, keepdims=keepdims)


@composition
def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """y = smallest x over axis; several smallest share the gradient equally."""
    return -reduce.max(-x, axis=axis, keepdims=keepdims)


# --- shapes ----------------------------------------------------------------------------------------------------------


@composition
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes."""
    if isinstance(x, np.ndarray):
        return x.swapaxes(axis1, axis2)
    axes = list(range(x.ndim))
    try:
        axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    except IndexError:
        raise ShapeError("swapaxes: no such axis", f"axes {axis1}, {axis2} of shape {x.shape}", "use 0 .. ndim - 1") from None
    return s.transpose(x, axes=tuple(axes))


@composition
def expand_dims(x: Any, axis: int) -> Any:
    """A new axis of length 1 at `axis`."""
    return s.reshape(x, np.expand_dims(_empty(x), axis).shape)


@composition
def squeeze(x: Any, axis: Any = None) -> Any:
    """Remove axes of length 1 (all, or those named)."""
    try:
        return s.reshape(x, np.squeeze(_empty(x), axis).shape)
    except ValueError as error:
        raise ShapeError(f"squeeze: {error}", f"axis {axis} of shape {x.shape}", "only axes of length 1 can go") from None


def _empty(x: Any) -> np.ndarray:
    """An array of x's shape that takes no memory: NumPy's own shape arithmetic runs on it."""
    return np.broadcast_to(np.float64(0), x.shape)


@composition
def split(x: Any, sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """Cut along `axis` into equal parts (an int) or at the given places, as ``np.split`` does."""
    try:
        stops = np.cumsum([part.shape[axis] for part in np.split(_empty(x), sections, axis)])
    except ValueError as error:
        raise ShapeError(f"split: {error}", f"shape {x.shape}, axis {axis}, {sections}", "sections must divide the axis") from None
    starts = [0, *stops[:-1]]
    at = (slice(None),) * (axis % x.ndim)
    return [index.getitem(x, (*at, slice(int(a), int(b)))) for a, b in zip(starts, stops, strict=True)]


@composition
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The elements at `indices` along `axis` (of the flattened x if None); repeated ones add their gradients."""
    picked = np.asarray(indices)
    if axis is None:
        return index.getitem(s.reshape(x, -1), picked)
    return index.getitem(x, (*(slice(None),) * (axis % x.ndim), picked))


@variadic
def concatenate(xs: Sequence[Any], axis: int = 0) -> Any:
    """The tensors one after the other along an existing axis."""
    if not len(xs):
        raise ShapeError("concatenate of nothing", "an empty list", "pass at least one tensor")
    return s.concatenate(*(x if isinstance(x, Value) else np.asarray(x) for x in xs), axis=axis)


@variadic
def stack(xs: Sequence[Any], axis: int = 0) -> Any:
    """The tensors one after the other along a new axis."""
    return concatenate([expand_dims(x, axis) for x in xs], axis)


# --- linear algebra and layers ---------------------------------------------------------------------------------------


@composition
def matmul(A: Any, B: Any) -> Any:
    """y = A B as ``np.matmul``: leading axes broadcast; a 1-D A is a row, a 1-D B a column."""
    B = B if isinstance(B, Value | np.ndarray) else np.asarray(B)
    if A.ndim and B.ndim and A.shape[-1] != B.shape[-2 if B.ndim > 1 else 0]:
        raise ShapeError(
            "matmul: inner sizes differ",
            f"A {A.shape}{_origin(A)}, B {B.shape}{_origin(B)}",
            f"{A.shape[-1]} != {B.shape[-2 if B.ndim > 1 else 0]}: the columns of A must be as many as the rows of B",
        )
    if (A.ndim > 1 and B.ndim > 1) or 0 in (A.ndim, B.ndim):
        return linalg.matmul(A, B)
    y = linalg.matmul(A if A.ndim > 1 else expand_dims(A, 0), B if B.ndim > 1 else expand_dims(B, 1))
    return squeeze(y, (*([-2] if A.ndim == 1 else []), *([-1] if B.ndim == 1 else [])))


def _origin(x: Any) -> str:
    return f" from {where(x)}" if isinstance(x, Value) and (x.op or x.name) else ""


@variadic
def einsum(subscripts: str, *operands: Any) -> Any:
    """Sum of products by index letters, as ``np.einsum``: ellipsis, diagonals and implicit output included."""
    return linalg.einsum(*(x if isinstance(x, Value) else np.asarray(x) for x in operands), subscripts=subscripts)


ACTIVATIONS: dict[str | None, Callable[..., Any]] = {
    None: lambda x: x, "tanh": e.tanh, "sigmoid": e.sigmoid, "relu": e.relu, "softplus": e.softplus, "gelu": e.gelu_erf,
    "gelu_tanh": e.gelu_tanh,
}  # fmt: skip


@composition
def linear(x: Any, weight: Any, bias: Any = None, activation: str | None = None) -> Any:
    """y = f(x W + b): x (..., in), W (in, out), b (out,); f one of the names in ACTIVATIONS."""
    if activation not in ACTIVATIONS:
        names = ", ".join(map(str, ACTIVATIONS))
        raise DataError(f"linear: unknown activation {activation!r}", f"there are {names}", "use one of these names")
    y = matmul(x, weight)
    return ACTIVATIONS[activation](y if bias is None else y + bias)


@composition
def layer_norm(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """(x - mean) / sqrt(var + eps) over the last axis, times weight, plus bias (Ba, Kiros & Hinton 2016)."""
    centred = x - mean(x, axis=-1, keepdims=True)
    y = centred / e.sqrt(mean(square(centred), axis=-1, keepdims=True) + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@composition
def dropout(x: Any, mask: Any, rate: float) -> Any:
    """x mask / (1 - rate): inverted dropout.  The 0/1 mask is drawn outside, with probability `rate` of a 0."""
    if not 0 <= rate < 1:
        raise DataError("dropout: the rate must lie in [0, 1)", f"got {rate}", "rate is the probability of dropping")
    return x * mask / (1 - rate)


@composition
def attention(q: Any, k: Any, v: Any, mask: Any = None) -> Any:
    """softmax(q k^T / sqrt(d)) v over (..., tokens, d) (Vaswani et al. 2017).

    mask : None; a boolean array, False where a query may not look; or an array that is added to the scores (0 or -inf).
    """
    scores = linalg.matmul(q, swapaxes(k, -1, -2)) / math.sqrt(q.shape[-1])
    if mask is not None:
        mask = mask if isinstance(mask, Value) else np.asarray(mask)
        scores = e.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    return linalg.matmul(reduce.softmax(scores, axis=-1), v)
