"""Elements moved, repeated, cut out and sorted, under NumPy's names: compositions of reshape,
transpose, getitem and where.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from ..autodiff.graph import Value, read
from ..errors import ShapeError
from . import arrays, elementwise, reduce
from .calculus import backwards
from .compositions import composition, concatenate, described, explained, floats, take, variadic


@composition
def ravel(x: Any) -> Any:
    """All elements in one axis, row by row.

    Parameters
    ----------
    x : Tensor or array_like
        The input.

    Returns
    -------
    Tensor or ndarray
        (n,), n the number of elements.

    Examples
    --------
    >>> mg.ravel([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    return arrays.reshape(x, (-1,))


@composition
def flatten(x: Any) -> Any:
    """All elements in one axis, row by row; the same as `ravel`.

    Parameters
    ----------
    x : Tensor or array_like
        The input.

    Returns
    -------
    Tensor or ndarray
        (n,), n the number of elements.

    Examples
    --------
    >>> mg.flatten(np.zeros((2, 3))).shape
    (6,)
    """
    return arrays.reshape(x, (-1,))


@composition
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Move axes to other places.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    source, destination : int or tuple of int
        Where they are, and where they go; the others keep their order.

    Returns
    -------
    Tensor or ndarray
        The same elements.

    Raises
    ------
    ShapeError
        If there are not as many destinations as sources, or an axis does not exist.

    Examples
    --------
    >>> mg.moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    with explained("moveaxis", x, f"source {source}, destination {destination}"):
        of = normalize_axis_tuple(source, x.ndim, "source")
        to = normalize_axis_tuple(destination, x.ndim, "destination")
        if len(of) != len(to):
            raise ValueError("as many destinations as sources are needed")
    order = [k for k in range(x.ndim) if k not in of]
    for place, axis in sorted(zip(to, of, strict=True)):
        order.insert(place, axis)
    return arrays.transpose(x, axes=tuple(order))


@composition
def flip(x: Any, axis: Any = None) -> Any:
    """Reverse the order of the elements along axes.

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
    >>> mg.flip([1.0, 2.0, 3.0]).tolist()
    [3.0, 2.0, 1.0]
    """
    with explained("flip", x, f"axis {axis}"):
        axes = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    for k in axes:
        x = arrays.getitem(x, backwards(x, k))
    return x


@composition
def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """Move elements along axes; what leaves at one end comes in at the other.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    shift : int or tuple of int
        By how many places, one number per axis.
    axis : int, tuple of int or None
        None rolls the flattened x.

    Returns
    -------
    Tensor or ndarray
        The same elements.

    Examples
    --------
    >>> mg.roll([1.0, 2.0, 3.0], 1).tolist()
    [3.0, 1.0, 2.0]
    """
    if axis is None:
        return arrays.reshape(roll(ravel(x), shift, 0), x.shape)
    with explained("roll", x, f"shift {shift}, axis {axis}"):
        shifts, axes = np.broadcast_arrays(shift, axis)
        places = [normalize_axis_index(int(k), x.ndim) for k in axes.flat]
    for by, k in zip(shifts.flat, places, strict=True):
        x = take(x, np.roll(np.arange(x.shape[k]), int(by)), axis=k)
    return x


@composition
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element several times, one copy after the other.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    repeats : int or sequence of int
        How many times; one number per element along the axis.
    axis : int or None
        None repeats the elements of the flattened x.

    Returns
    -------
    Tensor or ndarray
        The copies; each element receives the sum of their gradients.

    Examples
    --------
    >>> mg.repeat([1.0, 2.0], 2).tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    if axis is None:
        x, axis = ravel(x), 0
    with explained("repeat", x, f"repeats {repeats}, axis {axis}"):
        which = np.repeat(np.arange(x.shape[axis]), repeats)
    return take(x, which, axis=axis)


@composition
def tile(x: Any, reps: Any) -> Any:
    """x beside itself several times.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    reps : int or sequence of int
        How many copies along each axis; the last numbers are for x's own axes.

    Returns
    -------
    Tensor or ndarray
        The copies; each element receives the sum of their gradients.

    Examples
    --------
    >>> mg.tile([1.0, 2.0], 2).tolist()
    [1.0, 2.0, 1.0, 2.0]
    """
    counts = [int(n) for n in np.atleast_1d(reps)]
    ndim = max(x.ndim, len(counts))
    x = arrays.reshape(x, (*(1,) * (ndim - x.ndim), *x.shape))
    counts = [1] * (ndim - len(counts)) + counts
    for k, n in enumerate(counts):
        if n != 1:
            x = take(x, np.tile(np.arange(x.shape[k]), n), axis=k)
    return x


@composition
def diag(x: Any, k: int = 0) -> Any:
    """A diagonal of a matrix; or the matrix with a vector as its diagonal.

    Parameters
    ----------
    x : Tensor or array_like, (n, m) or (n,)
        A matrix or a vector.
    k : int
        Which diagonal: 0 the main one, above it positive, below it negative.

    Returns
    -------
    Tensor or ndarray
        Of a matrix a vector, of a vector a matrix.

    Raises
    ------
    ShapeError
        If x has neither one axis nor two.

    Examples
    --------
    >>> mg.diag([1.0, 2.0]).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    if x.ndim == 1:
        n = x.shape[0] + abs(k)
        return arrays.index_add(x, _diagonal((n, n), k), (n, n))
    if x.ndim == 2:
        return arrays.getitem(x, _diagonal(x.shape, k))
    raise ShapeError(
        "diag: a vector or a matrix is needed", f"x {described(x)}", "pass one or two axes"
    )


@composition(public=False)
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of a diagonal.

    Parameters
    ----------
    x : Tensor or array_like, with at least two axes
        The matrices.
    offset : int
        Which diagonal: 0 the main one, above it positive, below it negative.
    axis1, axis2 : int
        The axes of rows and columns.

    Returns
    -------
    Tensor or ndarray
        The other axes.

    Raises
    ------
    ShapeError
        If x has fewer than two axes.

    Notes
    -----
    ``mg.trace`` is the inspector's; this is ``mg.ops.trace``, ``t.trace()`` and ``np.trace(t)``.

    Examples
    --------
    >>> x = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    >>> np.trace(x).backward()
    >>> x.grad.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    if x.ndim < 2:
        raise ShapeError("trace: a matrix is needed", f"x {described(x)}", "pass at least two axes")
    stacked = moveaxis(x, (axis1, axis2), (-2, -1))
    index = (..., *_diagonal(stacked.shape[-2:], offset))
    return reduce.sum(arrays.getitem(stacked, index), axis=-1)


def _diagonal(shape: tuple[int, ...], k: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the k-th diagonal of a matrix."""
    rows = np.arange(max(0, -k), max(0, -k, min(shape[0], shape[1] - k)))
    return rows, rows + k


@composition
def tril(x: Any, k: int = 0) -> Any:
    """x with zeros above a diagonal of its last two axes.

    Parameters
    ----------
    x : Tensor or array_like, with at least two axes
        The matrices.
    k : int
        Which diagonal: 0 the main one, above it positive, below it negative.

    Returns
    -------
    Tensor or ndarray
        The lower triangles.

    Raises
    ------
    ShapeError
        If x has fewer than two axes.

    Examples
    --------
    >>> mg.tril([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[1.0, 0.0], [3.0, 4.0]]
    """
    return elementwise.where(_triangle("tril", x, k), x, 0)


@composition
def triu(x: Any, k: int = 0) -> Any:
    """x with zeros below a diagonal of its last two axes.

    Parameters
    ----------
    x : Tensor or array_like, with at least two axes
        The matrices.
    k : int
        Which diagonal: 0 the main one, above it positive, below it negative.

    Returns
    -------
    Tensor or ndarray
        The upper triangles.

    Raises
    ------
    ShapeError
        If x has fewer than two axes.

    Examples
    --------
    >>> mg.triu([[1.0, 2.0], [3.0, 4.0]]).tolist()
    [[1.0, 2.0], [0.0, 4.0]]
    """
    return elementwise.where(~_triangle("triu", x, k - 1), x, 0)


def _triangle(name: str, x: Any, k: int) -> np.ndarray:
    """True on and below the k-th diagonal."""
    if x.ndim < 2:
        raise ShapeError(
            f"{name}: a matrix is needed", f"x {described(x)}", "pass at least two axes"
        )
    rows, columns = x.shape[-2:]
    return np.tri(rows, columns, k, dtype=bool)


@variadic
def hstack(xs: Sequence[Any]) -> Any:
    """Put tensors side by side: along the second axis, vectors along their only one.

    Parameters
    ----------
    xs : sequence of Tensor or array_like
        At least one.

    Returns
    -------
    Tensor or ndarray
        One tensor.

    Examples
    --------
    >>> mg.hstack([np.array([1.0]), np.array([2.0])]).tolist()
    [1.0, 2.0]
    """
    xs = [_at_least(1, x, "hstack") for x in xs]
    return concatenate(xs, 0 if xs and xs[0].ndim == 1 else 1)


@variadic
def vstack(xs: Sequence[Any]) -> Any:
    """Put tensors one below the other: along the first axis, vectors as rows.

    Parameters
    ----------
    xs : sequence of Tensor or array_like
        At least one.

    Returns
    -------
    Tensor or ndarray
        One tensor.

    Examples
    --------
    >>> mg.vstack([np.array([1.0]), np.array([2.0])]).tolist()
    [[1.0], [2.0]]
    """
    return concatenate([_at_least(2, x, "vstack") for x in xs], 0)


def _at_least(ndim: int, x: Any, name: str) -> Any:
    x = x if isinstance(x, Value) else floats(f"{name}: an element", x)
    return x if x.ndim >= ndim else arrays.reshape(x, (*(1,) * (ndim - x.ndim), *x.shape))


@composition
def sort(x: Any, axis: int | None = -1) -> Any:
    """Sort the elements along an axis, ascending.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    axis : int or None
        None sorts the flattened x.

    Returns
    -------
    Tensor or ndarray
        Equal elements keep their order, and NaN come last. Each gradient goes back to where its
        element came from.

    Examples
    --------
    >>> x = mg.tensor([3.0, 1.0], requires_grad=True)
    >>> (mg.sort(x) * np.array([10.0, 20.0])).sum().backward()
    >>> x.grad.tolist()
    [20.0, 10.0]
    """
    if axis is None:
        x, axis = ravel(x), 0
    data = np.real(read(x) if isinstance(x, Value) else x)
    with explained("sort", x, f"axis {axis}"):
        order = np.argsort(data, axis=axis, kind="stable")
    places = list(np.ogrid[tuple(slice(n) for n in x.shape)])
    places[axis] = order
    return arrays.getitem(x, tuple(places))


@composition
def prod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The product of elements, by halves.

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
        The products. The gradient of each factor is the product of the others, exact also where
        some are 0.

    Examples
    --------
    >>> x = mg.tensor([2.0, 0.0, 5.0], requires_grad=True)
    >>> mg.prod(x).backward()
    >>> x.grad.tolist()
    [0.0, 10.0, 0.0]
    """
    with explained("prod", x, f"axis {axis}"):
        gone = range(x.ndim) if axis is None else normalize_axis_tuple(axis, x.ndim)
    left = [k for k in range(x.ndim) if k not in gone]
    shape = tuple(x.shape[k] for k in left)
    n = math.prod(x.shape[k] for k in gone)
    y = arrays.reshape(arrays.transpose(x, axes=(*left, *gone)), (*shape, n))
    if n == 0:
        y, n = concatenate([y, np.ones((*shape, 1), x.dtype)], -1), 1
    while n > 1:
        half = n // 2
        first, second = y[..., :half], y[..., half : 2 * half]
        pairs = first * second
        y = pairs if n % 2 == 0 else concatenate([pairs, y[..., 2 * half :]], -1)
        n = half + n % 2
    return arrays.reshape(y, _kept(x.shape, gone) if keepdims else shape)


def _kept(shape: tuple[int, ...], gone: Sequence[int]) -> tuple[int, ...]:
    return tuple(1 if k in gone else n for k, n in enumerate(shape))
