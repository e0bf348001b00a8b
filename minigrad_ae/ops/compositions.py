"""Public functions that are written in terms of ops: they need no rule, since their parts have
one.
"""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial, wraps
from inspect import signature
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from ..arguments import choice, plain
from ..autodiff.graph import Value, copied, read
from ..autodiff.messages import NUMPY_ERRORS, constant, described, wrong_call
from ..autodiff.operation import FLOAT_CODES
from ..autodiff.rules import NAMES
from ..errors import DataError, DtypeError, RangeError, ShapeError
from . import arrays, elementwise, reduce
from .calculus import reduced

COMPOSITIONS: dict[str, Callable[..., Any]] = {}


def composition(
    function: Callable[..., Any] | None = None, *, public: bool = True, method: bool = True
) -> Any:
    """Register a composition; its first argument becomes an array of floats if it is not a
    tensor.

    public : whether it is a function of ``mg``, and takes part in NumPy's.   method : whether it
    is also a method of `Tensor`.
    """
    if function is None:
        return partial(composition, public=public, method=method)

    first = next(iter(signature(function).parameters))

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not args and first in kwargs:
            args = (kwargs.pop(first),)
        x = args[0] if args else None
        floating = type(x) is np.ndarray and x.dtype.char in FLOAT_CODES
        if args and not isinstance(x, Value) and not floating:
            args = (floats(f"{function.__name__}: the first argument", x), *args[1:])
        try:
            return function(*args, **kwargs)
        except NUMPY_ERRORS as error:
            raise wrong_call(function, args, kwargs, error) from None

    NAMES.setdefault(function.__name__, call)  # `matmul` is also the name of the op it calls
    return _registered(call, public, method)


def variadic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a composition whose first argument is a list of tensors or a string: public, and
    not a method.
    """

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except NUMPY_ERRORS as error:
            raise wrong_call(function, args, kwargs, error) from None

    return _registered(call, True, False)


def _registered(call: Any, public: bool, method: bool) -> Any:
    call.public, call.method = public, method
    COMPOSITIONS[call.__name__] = call
    return call


def floats(what: str, a: Any) -> np.ndarray:
    """An argument that is not a tensor as an array of floats: whole numbers, booleans and other
    sizes become float64.
    """
    x = constant(what, a)
    return x if x.dtype.char in FLOAT_CODES else x.astype(np.float64)


# --- element-wise ---------------------------------------------------------------------------------


@composition
def square(x: Any) -> Any:
    """y = x^2, element by element.

    Parameters
    ----------
    x : Tensor or array_like
        The input.

    Returns
    -------
    Tensor or ndarray
        The squares; the slope is 2 x.

    Examples
    --------
    >>> x = mg.tensor([1.0, -3.0], requires_grad=True)
    >>> mg.square(x).sum().backward()
    >>> x.grad.tolist()
    [2.0, -6.0]
    """
    return x * x


@composition
def minimum(a: Any, b: Any) -> Any:
    """y = min(a, b), element by element.

    Parameters
    ----------
    a, b : Tensor or array_like
        Broadcast against each other.

    Returns
    -------
    Tensor or ndarray
        The smaller elements; at a tie each input receives half of the gradient.

    Examples
    --------
    >>> a = mg.tensor([1.0, 2.0], requires_grad=True)
    >>> mg.minimum(a, 2.0).sum().backward()
    >>> a.grad.tolist()
    [1.0, 0.5]
    """
    return -elementwise.maximum(-a, -b if isinstance(b, int | float) else elementwise.neg(b))


@composition
def clip(x: Any, low: Any = None, high: Any = None, *, a_min: Any = None, a_max: Any = None) -> Any:
    """y = x, but not below `low` or above `high`.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    low, high : Tensor, array_like or None
        The bounds, which broadcast with x; None for none.
    a_min, a_max : Tensor, array_like or None
        NumPy's names for the bounds, used where `low` or `high` is None.

    Returns
    -------
    Tensor or ndarray
        x within the bounds. The slope is 1 on the closed interval and 0 outside. As in ``np.clip``
        a bound that is NaN makes y NaN; x receives no gradient there.

    Examples
    --------
    >>> x = mg.tensor([-1.0, 0.5, 1.0, 4.0], requires_grad=True)
    >>> mg.clip(x, 0, 1).sum().backward()
    >>> x.grad.tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    low, high = a_min if low is None else low, a_max if high is None else high
    if low is not None:
        bound = reals(low)
        x = elementwise.where((reals(x) < bound) | np.isnan(bound), low, x)
    if high is not None:
        bound = reals(high)
        x = elementwise.where((reals(x) > bound) | np.isnan(bound), high, x)
    return x


def reals(x: Any) -> Any:
    """The real part of a value, array or number, for a comparison."""
    return np.real(read(x) if isinstance(x, Value) else x)


@composition
def gelu(x: Any, approximate: str | None = None) -> Any:
    """Gaussian error linear unit, y = x Phi(x).

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    approximate : {None, "tanh"}
        None for the normal distribution function Phi itself, "tanh" for the approximation
        (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2 of it.

    Returns
    -------
    Tensor or ndarray
        x Phi(x), element by element.

    Raises
    ------
    DataError
        If `approximate` is something else.

    References
    ----------
    Hendrycks & Gimpel (2016), Gaussian error linear units, arXiv:1606.08415.

    Examples
    --------
    >>> round(float(mg.gelu(1.0)), 6)  # the normal distribution function at 1
    0.841345
    """
    if approximate not in (None, "tanh"):
        raise DataError(
            f"gelu: unknown approximation {approximate!r}",
            "approximate= is None or 'tanh'",
            "use one of the two",
        )
    return elementwise.gelu_erf(x) if approximate is None else elementwise.gelu_tanh(x)


@composition(public=False, method=False)
def gelu_gate(x: Any) -> Any:
    """(1 + tanh u) / 2 = sigmoid(2 u), u = sqrt(2 / pi) (x + 0.044715 x^3).

    Parameters
    ----------
    x : Tensor or array_like
        The input.

    Returns
    -------
    Tensor or ndarray
        Values between 0 and 1, close to the normal distribution function of x. Written as a
        sigmoid, which keeps the digits of its left tail.

    References
    ----------
    Hendrycks & Gimpel (2016), Gaussian error linear units, arXiv:1606.08415.
    """
    return elementwise.sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x))


@composition(public=False, method=False)
def weight_in_sum(a: Any, y: Any) -> Any:
    """e^(a - y), the weight of a in y = ln(e^a + e^b); 1 where a is all of y, also an infinity."""
    alone = reals(a) == reals(y)
    return elementwise.exp(elementwise.where(alone, 0, a) - elementwise.where(alone, 0, y))


# --- reductions -----------------------------------------------------------------------------------


@composition
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """y = the sum of x over `axis` / how many elements that are.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    axis : int, tuple of int or None
        The axes that are reduced; None for all.
    keepdims : bool
        Whether they stay, with length 1.

    Returns
    -------
    Tensor or ndarray
        The means; each element receives 1 / n of the gradient.

    Raises
    ------
    DataError
        If there is no element along the axis.

    Examples
    --------
    >>> x = mg.tensor([[1.0, 2.0], [3.0, 6.0]], requires_grad=True)
    >>> mg.mean(x).backward()
    >>> x.grad.tolist()
    [[0.25, 0.25], [0.25, 0.25]]
    """
    total = reduce.sum(x, axis=axis, keepdims=keepdims)
    n = math.prod(m for m, k in zip(x.shape, reduced(x.shape, axis), strict=True) if k)
    if n == 0:
        raise DataError(
            "mean of nothing",
            f"shape {x.shape}, axis {axis}",
            "pass at least one element along the axis",
        )
    return total / n


@composition
def var(x: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Any:
    """The variance: the sum of (x - mean x)^2 over `axis` / (n - ddof).

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    axis : int, tuple of int or None
        The axes that are reduced; None for all.
    keepdims : bool
        Whether they stay, with length 1.
    ddof : int
        0 divides by the number of elements; 1 gives the unbiased estimate.

    Returns
    -------
    Tensor or ndarray
        The variances.

    Raises
    ------
    DataError
        If n is not above `ddof`.

    Examples
    --------
    >>> float(mg.var([1.0, 3.0])), float(mg.var([1.0, 3.0], ddof=1))
    (1.0, 2.0)
    """
    squares = square(x - mean(x, axis=axis, keepdims=True))
    if not ddof:
        return mean(squares, axis=axis, keepdims=keepdims)
    n = math.prod(m for m, k in zip(x.shape, reduced(x.shape, axis), strict=True) if k)
    if n <= ddof:
        raise DataError(
            "var: there are too few elements",
            f"{n} along axis {axis}, ddof {ddof}",
            f"pass at least {ddof + 1}, or ddof=0",
        )
    return reduce.sum(squares, axis=axis, keepdims=keepdims) / (n - ddof)


@composition
def min(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """y = the smallest x over `axis`.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    axis : int, tuple of int or None
        The axes that are reduced; None for all.
    keepdims : bool
        Whether they stay, with length 1.

    Returns
    -------
    Tensor or ndarray
        The minima; several smallest share the gradient equally.

    Examples
    --------
    >>> x = mg.tensor([3.0, 1.0, 1.0], requires_grad=True)
    >>> mg.min(x).backward()
    >>> x.grad.tolist()
    [0.0, 0.5, 0.5]
    """
    return -reduce.max(-x, axis=axis, keepdims=keepdims)


# --- shapes ---------------------------------------------------------------------------------------


@composition
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Exchange two axes.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    axis1, axis2 : int
        The axes; negative ones count from the end.

    Returns
    -------
    Tensor or ndarray
        x with the two exchanged: of an array a view.

    Examples
    --------
    >>> mg.swapaxes(np.zeros((2, 3, 4)), 0, -1).shape
    (4, 3, 2)
    """
    if isinstance(x, np.ndarray):
        return x.swapaxes(axis1, axis2)
    axes = list(range(x.ndim))
    with explained("swapaxes", x, f"axes {axis1} and {axis2}"):
        np.swapaxes(_empty(x), axis1, axis2)
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return arrays.transpose(x, axes=tuple(axes))


@composition
def expand_dims(x: Any, axis: int) -> Any:
    """Put in a new axis of length 1.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    axis : int
        Its place in the result.

    Returns
    -------
    Tensor or ndarray
        The same elements.

    Examples
    --------
    >>> mg.expand_dims(np.zeros(3), 0).shape
    (1, 3)
    """
    with explained("expand_dims", x, f"axis {axis}"):
        shape = np.expand_dims(_empty(x), axis).shape
    return arrays.reshape(x, shape)


@composition
def squeeze(x: Any, axis: Any = None) -> Any:
    """Remove axes of length 1.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    axis : int, tuple of int or None
        Which; None for all.

    Returns
    -------
    Tensor or ndarray
        The same elements.

    Examples
    --------
    >>> mg.squeeze(np.zeros((1, 3, 1))).shape
    (3,)
    """
    with explained("squeeze", x, f"axis {axis}"):
        shape = np.squeeze(_empty(x), axis).shape
    return arrays.reshape(x, shape)


def _empty(x: Any) -> np.ndarray:
    """An array of x's shape that takes no memory: NumPy's own shape arithmetic runs on it."""
    return np.broadcast_to(np.float64(0), x.shape)


@contextmanager
def explained(name: str, x: Any, settings: str) -> Iterator[None]:
    """NumPy's complaint about a shape, in three lines."""
    try:
        yield
    except (ValueError, IndexError) as error:
        kind = RangeError if isinstance(error, IndexError) else ShapeError
        raise kind(
            f"{name}: {error}", f"{settings}, x {described(x)}", "the axes are 0 .. ndim - 1"
        ) from None


@composition
def split(x: Any, sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """Cut x along `axis`, as ``np.split``.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    sections : int or sequence of int
        Into how many equal parts; or the places of the cuts.
    axis : int
        The axis that is cut.

    Returns
    -------
    list of Tensor or of ndarray
        The parts, in their order; each sends its gradient to its place in x.

    Examples
    --------
    >>> [part.tolist() for part in mg.split(mg.tensor([1.0, 2.0, 3.0, 4.0]), 2)]
    [[1.0, 2.0], [3.0, 4.0]]
    """
    if isinstance(sections, Value):
        sections = read(sections).tolist()
    with explained("split", x, f"sections {sections}, axis {axis}"):
        parts = np.split(np.arange(x.shape[axis]), sections)
    before = (slice(None),) * (axis % x.ndim)
    return [
        arrays.getitem(x, (*before, slice(int(p[0]), int(p[-1]) + 1) if p.size else slice(0, 0)))
        for p in parts
    ]


@composition
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The elements at `indices` along `axis`.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    indices : array_like of int
        Negative ones count from the end.
    axis : int or None
        None picks from the flattened x.

    Returns
    -------
    Tensor or ndarray
        The elements that were picked; one that is picked twice receives both gradients.

    Raises
    ------
    RangeError
        If an index lies outside the axis.

    Examples
    --------
    >>> x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> mg.take(x, [0, 2, 2]).sum().backward()
    >>> x.grad.tolist()
    [1.0, 0.0, 2.0]
    """
    picked = np.array(plain(indices, "take: indices"))
    if picked.dtype == bool or picked.size == 0:  # 0 and 1 as in NumPy, and never a mask
        picked = picked.astype(np.intp)
    copied(indices, picked)
    if axis is None:
        return arrays.getitem(arrays.reshape(x, -1), picked)
    with explained("take", x, f"axis {axis}"):
        before = normalize_axis_index(axis, x.ndim)
    return arrays.getitem(x, (*(slice(None),) * before, picked))


PAD_MODES = ("constant", "edge", "reflect", "symmetric", "wrap")


@composition
def pad(
    x: Any, pad_width: Any, value: Any = 0, mode: str = "constant", *, constant_values: Any = None
) -> Any:
    """x with a margin.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    pad_width : int, (before, after), or such a pair for each axis
        How wide the margin is, in elements.
    value : float
        What the margin holds if `mode` is "constant". A string here is taken as `mode`.
    mode : {"constant", "edge", "reflect", "symmetric", "wrap"}
        What the margin is made of, as in ``np.pad``.
    constant_values : float, optional
        NumPy's name for `value`.

    Returns
    -------
    Tensor or ndarray
        x with its margin; an element that stands in the margin, too, receives both gradients.

    Raises
    ------
    DataError
        If `mode` is something else.
    ShapeError
        If `pad_width` does not fit the axes.

    Examples
    --------
    >>> mg.pad(mg.tensor([1.0, 2.0]), 1).tolist()
    [0.0, 1.0, 2.0, 0.0]
    >>> mg.pad(mg.tensor([1.0, 2.0]), 1, mode="edge").tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    if isinstance(value, str):  # np.pad(x, width, "edge")
        value, mode = 0, value
    choice(mode, PAD_MODES, "pad", "mode")
    value = value if constant_values is None else constant_values
    if mode == "constant":
        return arrays.pad(x, pad_width, value=value)
    with explained("pad", x, f"pad_width {pad_width}, mode {mode!r}"):
        widths = np.broadcast_to(pad_width, (x.ndim, 2))
        places = [
            np.pad(np.arange(n), [tuple(w)], mode=mode)  # type: ignore[call-overload]
            for n, w in zip(x.shape, widths, strict=True)
        ]
    for k, place in enumerate(places):
        if len(place) != x.shape[k]:
            x = take(x, place, axis=k)
    return x


@variadic
def concatenate(xs: Sequence[Any], axis: int | None = 0) -> Any:
    """Put tensors one after the other along an axis that they have.

    Parameters
    ----------
    xs : sequence of Tensor or array_like
        At least one; all shapes agree except along `axis`.
    axis : int or None
        None flattens all of them first.

    Returns
    -------
    Tensor or ndarray
        One tensor; each of the xs receives its own part of the gradient.

    Raises
    ------
    ShapeError
        If there is nothing to put together, or the shapes do not fit.

    Examples
    --------
    >>> mg.concatenate([mg.tensor([1.0]), mg.tensor([2.0, 3.0])]).tolist()
    [1.0, 2.0, 3.0]
    """
    xs = [x if isinstance(x, Value) else floats("concatenate: an element", x) for x in xs]
    if not xs:
        raise ShapeError("concatenate of nothing", "an empty list", "pass at least one tensor")
    if axis is None:
        xs, axis = [arrays.reshape(x, -1) for x in xs], 0
    return arrays.concatenate(*xs, axis=axis)


@variadic
def stack(xs: Sequence[Any], axis: int = 0) -> Any:
    """Put tensors one after the other along a new axis.

    Parameters
    ----------
    xs : sequence of Tensor or array_like
        At least one; all have one shape.
    axis : int
        The place of the new axis in the result.

    Returns
    -------
    Tensor or ndarray
        One tensor with one axis more.

    Examples
    --------
    >>> mg.stack([mg.tensor([1.0, 2.0]), mg.tensor([3.0, 4.0])], axis=1).tolist()
    [[1.0, 3.0], [2.0, 4.0]]
    """
    return concatenate([expand_dims(x, axis) for x in xs], axis)


# --- linear algebra and layers --------------------------------------------------------------------


@composition
def matmul(A: Any, B: Any) -> Any:
    """The matrix product y = A B, as ``np.matmul``.

    Parameters
    ----------
    A : Tensor or array_like, (..., n, k) or (k,)
        A 1-D A is a row.
    B : Tensor or array_like, (..., k, m) or (k,)
        A 1-D B is a column. Leading axes broadcast.

    Returns
    -------
    Tensor or ndarray
        (..., n, m), without the axes that a 1-D A or B does not have.

    Raises
    ------
    ShapeError
        If A has not as many columns as B has rows, or one of the two is a number.

    Notes
    -----
    With G = dL/dy: dL/dA = G B^T and dL/dB = A^T G.

    Examples
    --------
    >>> A = mg.tensor([[1.0, 2.0]], requires_grad=True)
    >>> B = mg.tensor([[3.0], [4.0]], requires_grad=True)
    >>> (A @ B).backward()
    >>> A.grad.tolist(), B.grad.tolist()
    ([[3.0, 4.0]], [[1.0], [2.0]])
    """
    B = B if isinstance(B, Value) else floats("matmul: B", B)
    if 0 in (A.ndim, B.ndim):
        fix = "multiply by a scalar with *"
        raise ShapeError(
            "matmul: a scalar is not a matrix", f"A {described(A)}, B {described(B)}", fix
        )
    columns, rows = A.shape[-1], B.shape[-2 if B.ndim > 1 else 0]
    if columns != rows:
        fix = f"{columns} != {rows}: the columns of A must be as many as the rows of B"
        raise ShapeError("matmul: inner sizes differ", f"A {described(A)}, B {described(B)}", fix)
    if A.ndim > 1 and B.ndim > 1:
        return arrays.matmul(A, B)
    y = arrays.matmul(
        A if A.ndim > 1 else expand_dims(A, 0), B if B.ndim > 1 else expand_dims(B, 1)
    )
    return squeeze(y, (*([-2] if A.ndim == 1 else []), *([-1] if B.ndim == 1 else [])))


@variadic
def einsum(subscripts: Any, *operands: Any) -> Any:
    """Sums of products by index letters, as ``np.einsum``.

    Lists of numbers may stand for the letters: ``einsum(A, [0, 1], B, [1, 2], [0, 2])``.

    Parameters
    ----------
    subscripts : str
        Such as ``"ij,jk->ik"``; ellipsis, diagonals and an output that is left out are understood.
    *operands : Tensor or array_like
        One per group of letters.

    Returns
    -------
    Tensor or ndarray
        The output that `subscripts` names.

    Raises
    ------
    DtypeError
        If no subscripts come first.
    ShapeError
        If letters and shapes do not fit.

    Examples
    --------
    >>> A = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> float(mg.einsum("ii->", A)), mg.einsum("ij->j", A).tolist()
    (5.0, [4.0, 6.0])
    """
    if not isinstance(subscripts, str) and operands and isinstance(operands[0], list | tuple):
        subscripts, operands = _letters((subscripts, *operands))
    if not isinstance(subscripts, str):
        got = f"got a {type(subscripts).__name__}"
        raise DtypeError(
            "einsum: the subscripts come first, as a string", got, "write einsum('ij,jk->ik', A, B)"
        )
    inputs = (x if isinstance(x, Value) else floats("einsum: an operand", x) for x in operands)
    return arrays.einsum(*inputs, subscripts=subscripts)


def _letters(alternating: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """(A, [0, 1], B, [1, 2], [0, 2]) -> ("ab,bc->ac", (A, B)); Ellipsis is '...'."""

    def term(numbers: Any) -> str:
        return "".join("..." if k is Ellipsis else string.ascii_letters[k] for k in numbers)

    pairs = len(alternating) // 2
    terms = ",".join(term(numbers) for numbers in alternating[1 : 2 * pairs : 2])
    output = f"->{term(alternating[-1])}" if len(alternating) % 2 else ""
    return terms + output, alternating[0 : 2 * pairs : 2]
