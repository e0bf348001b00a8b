"""Small functions that rules and forwards use: masks, shapes and slices.  They return constants and
have no gradient.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..autodiff.graph import Value, read
from ..autodiff.rules import NAMES, quiet


class _NumPy:
    """NumPy as expressions see it: its sum without the Python around it, which takes longer than
    the sum of a small array does.
    """

    def __init__(self) -> None:
        self.sum = partial(np.add.reduce, axis=None)

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        setattr(self, name, found)  # asked once
        return found


NAMES.update(np=_NumPy(), ln_2=math.log(2), ln_10=math.log(10), sqrt_half=math.sqrt(0.5))
NAMES.update(
    two_over_sqrt_pi=2 / math.sqrt(math.pi),
    inv_sqrt_2pi=1 / math.sqrt(2 * math.pi),
    sqrt_2_over_pi=math.sqrt(2 / math.pi),
)


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function available to expressions."""
    NAMES[function.__name__] = function
    return function


def shapes_only(function: Callable[..., Any]) -> Callable[..., Any]:
    """Say of a helper that it looks at shapes and dtypes, never at elements."""
    function.reads_shapes = True  # type: ignore[attr-defined]
    return function


@helper
def real(x: Any) -> Any:
    """The real part as an array: what a complex step must branch on."""
    return np.real(read(x) if isinstance(x, Value) else x)


@helper
def sign(x: Any) -> Any:
    """-1, 0 or 1 by the real part, in x's own real dtype."""
    return np.sign(real(x))


def size(x: np.ndarray) -> np.ndarray:
    """The absolute value of the real part."""
    return np.abs(x.real)


@helper
def beats(a: Any, b: Any) -> np.ndarray:
    """1 where a > b, 0 where a < b, and 1/2 at a tie: the share of the gradient of max(a, b) that
    goes to a.
    """
    a, b = real(a), real(b)
    return np.where(a == b, a.dtype.type(0.5), (a > b).astype(a.dtype))


@helper
def whole(x: Any) -> np.ndarray:
    """Where the real part is a whole number."""
    x = real(x)
    return np.isfinite(x) & (x == np.floor(x))


@helper
def whole_quotient(a: Any, b: Any) -> np.ndarray:
    """floor(a / b)."""
    return np.floor(real(a) / real(b))


@helper
def ties(x: Any, axis: Any) -> np.ndarray:
    """1/(number of maxima) at each maximum along `axis`, 0 elsewhere: max shares its gradient
    equally.
    """
    x = real(x)
    top = (x == np.max(x, axis=axis, keepdims=True)).astype(x.dtype)
    return top / np.maximum(np.sum(top, axis=axis, keepdims=True), 1)


@helper
def tied(x: Any, axis: Any) -> np.ndarray:
    """Where a maximum along `axis` is not the only one: there max has a kink."""
    share = ties(x, axis)
    return (share > 0) & (share < 1)


def reduced(shape: tuple[int, ...], axis: Any) -> list[bool]:
    """Which axes a reduction over `axis` (None for all, an int or a tuple) sums out."""
    if axis is None:
        return [True] * len(shape)
    axes = axis if isinstance(axis, tuple) else (axis,)
    return [k in axes or k - len(shape) in axes for k in range(len(shape))]


@helper
def kept(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """`shape` with the reduced axes kept as 1: ``kept((4, 3), 0) == (1, 3)``."""
    if axis is None:
        return (1,) * len(shape)
    return tuple(1 if gone else n for n, gone in zip(shape, reduced(shape, axis), strict=True))


@helper
def inverse(axes: Any) -> tuple[int, ...] | None:
    """The permutation that undoes `axes` (None reverses all axes, and undoes itself)."""
    if axes is None:
        return None
    axes = np.atleast_1d(axes)  # NumPy also takes the one axis of a vector as a number
    return tuple(np.argsort(axes % len(axes)).tolist())


@helper
@shapes_only
def backwards(x: Any, axis: Any) -> tuple[slice, ...]:
    """The slices that reverse x along `axis` (None for all axes)."""
    axes = range(x.ndim) if axis is None else (axis % x.ndim,)
    return tuple(slice(None, None, -1) if k in axes else slice(None) for k in range(x.ndim))


@helper
def inside(shape: tuple[int, ...], pad_width: Any) -> tuple[slice, ...]:
    """The slices that cut the original of `shape` out of its padded version."""
    widths = np.broadcast_to(pad_width, (len(shape), 2))
    return tuple(
        slice(int(before), int(before) + n) for (before, _), n in zip(widths, shape, strict=True)
    )


@helper
@shapes_only
def part(xs: Sequence[Any], i: int, axis: int) -> tuple[slice, ...]:
    """The slices that cut ``xs[i]`` out of ``concatenate(xs, axis)``."""
    ndim = xs[0].ndim
    start = sum(x.shape[axis] for x in xs[:i])
    where = slice(start, start + xs[i].shape[axis])
    return tuple(where if k == axis % ndim else slice(None) for k in range(ndim))


def repeats(index: Any) -> bool:
    """Whether an index may pick an element twice: only arrays and sequences of whole numbers
    can.
    """
    parts = index if isinstance(index, tuple) else (index,)
    return any(not isinstance(p, BASIC) and np.asarray(p).dtype != bool for p in parts)


# parts of an index that pick each element once
BASIC = (int, np.integer, np.bool_, slice, type(None), type(Ellipsis))


@helper
def joint(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that arrays of shapes a and b broadcast to."""
    return np.broadcast_shapes(a, b)


@helper
@quiet
def linear_kinks(x: Any, weight: Any, bias: Any, activation: str | None) -> tuple[Any, Any, Any]:
    """Where relu(x W + b) has a kink: the rows of x and the columns of W and b that meet in a z of
    exactly 0.
    """
    z = np.atleast_2d(real(x) @ real(weight) + real(bias))
    at = (z == 0) if activation == "relu" else np.zeros_like(z, dtype=bool)
    row, column = at.any(axis=-1), at.any(axis=tuple(range(at.ndim - 1)))
    return (
        row.reshape(x.shape[:-1])[..., None],
        np.expand_dims(column, 0),
        column if bias.ndim else column.any(),
    )


# --- einsum ---------------------------------------------------------------------------------------


def explicit(subscripts: str, ndims: Sequence[int]) -> tuple[list[str], str]:
    """'...ij,jk' with ndims (3, 2) -> (['aij', 'jk'], 'aik'): no ellipsis, no implicit output."""
    subscripts = subscripts.replace(" ", "")
    left, arrow, right = subscripts.partition("->")
    terms = left.split(",")
    if len(terms) != len(ndims):
        raise ValueError(f"{len(terms)} subscripts for {len(ndims)} arrays")
    free = [c for c in string.ascii_letters if c not in subscripts]
    extra = [n - len(t.replace("...", "")) for t, n in zip(terms, ndims, strict=True)]
    longest = max([e for e, t in zip(extra, terms, strict=True) if "..." in t], default=0)
    dots = "".join(free[:longest])
    terms = [
        t.replace("...", dots[longest - e :] if e > 0 else "")
        for t, e in zip(terms, extra, strict=True)
    ]
    if arrow:
        return terms, right.replace("...", dots)
    letters = "".join(terms)
    return terms, dots + "".join(
        sorted(c for c in set(letters) if letters.count(c) == 1 and c not in dots)
    )


@helper
@shapes_only
def einsum_subscripts(subscripts: str, xs: Sequence[Any], i: int) -> str:
    """The subscripts of the einsum that is the rule for ``xs[i]``."""
    return _einsum_rule(subscripts, xs, i)[0]


@helper
@shapes_only
def einsum_constants(subscripts: str, xs: Sequence[Any], i: int) -> list[Any]:
    """The constant operands of that einsum."""
    return _einsum_rule(subscripts, xs, i)[1]


def _einsum_rule(subscripts: str, xs: Sequence[Any], i: int) -> tuple[str, list[Any]]:
    """The subscripts and constants of the einsum that is the rule of ``einsum(subscripts, *xs)``
    for ``xs[i]``.

    The rule contracts g with all the other operands.  Two cases need constants: an index of
    ``xs[i]`` that is summed out, and that nobody else has (or only with length 1), meets a vector
    of ones; an index that occurs twice in ``xs[i]`` (a diagonal) meets an identity matrix.
    """
    terms, output = explicit(subscripts, [x.ndim for x in xs])
    dtype, shape = real(xs[i]).dtype, xs[i].shape
    unused = (c for c in string.ascii_letters if c not in "".join(terms) + output)
    others = [t for k, t in enumerate(terms) if k != i]
    lengths = {
        pair for k, t in enumerate(terms) if k != i for pair in zip(t, xs[k].shape, strict=True)
    }
    target, constants, extra = "", [], []
    for letter, n in zip(terms[i], shape, strict=True):
        if letter in target:
            target += (fresh := next(unused))
            extra.append(letter + fresh)
            constants.append(np.eye(n, dtype=dtype))
        else:
            target += letter
            if letter not in output and (letter, n) not in lengths:
                extra.append(letter)
                constants.append(np.ones(n, dtype=dtype))
    return ",".join([output, *others, *extra]) + "->" + target, constants
