"""Products and norms, functions that are flat in steps, activations, and the loss of a classifier,
under the names of NumPy and of the field: compositions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..arguments import any_dtype, choice, plain, real_number, whole_number
from ..autodiff.graph import Value, read
from ..errors import DataError, ShapeError
from ..room import demand_room_for
from . import arrays, elementwise, reduce
from .compositions import composition, described, explained, floats, matmul, min, reals, square, var

# --- products -------------------------------------------------------------------------------------


def _operand(name: str, x: Any) -> Any:
    return x if isinstance(x, Value) else floats(f"{name}: b", x)


@composition
def dot(a: Any, b: Any) -> Any:
    """The product of two vectors, two matrices, or a number and an array, as ``np.dot``.

    Parameters
    ----------
    a, b : Tensor or array_like
        Of vectors the sum of products is taken, of matrices their product, with a number the
        multiple; else products are summed over the last axis of a and the last but one of b.

    Returns
    -------
    Tensor or ndarray
        The product.

    Examples
    --------
    >>> float(mg.dot([1.0, 2.0], [3.0, 4.0]))
    11.0
    """
    b = _operand("dot", b)
    if 0 in (a.ndim, b.ndim):
        return a * b
    if a.ndim <= 2 and b.ndim <= 2:
        return matmul(a, b)
    return tensordot(a, b, ((-1,), (-2 if b.ndim > 1 else -1,)))


@composition
def inner(a: Any, b: Any) -> Any:
    """Sums of products over the last axes of a and b, as ``np.inner``.

    Parameters
    ----------
    a : Tensor or array_like, (..., k)
        The first factor.
    b : Tensor or array_like, (..., k)
        The second.

    Returns
    -------
    Tensor or ndarray
        The leading axes of a, then those of b.

    Examples
    --------
    >>> mg.inner(np.eye(2), np.array([3.0, 4.0])).tolist()
    [3.0, 4.0]
    """
    b = _operand("inner", b)
    return a * b if 0 in (a.ndim, b.ndim) else tensordot(a, b, ((-1,), (-1,)))


@composition
def outer(a: Any, b: Any) -> Any:
    """Every element of a times every element of b.

    Parameters
    ----------
    a : Tensor or array_like
        n elements, which are flattened.
    b : Tensor or array_like
        m elements, which are flattened.

    Returns
    -------
    Tensor or ndarray
        (n, m).

    Examples
    --------
    >>> mg.outer([1.0, 2.0], [3.0, 4.0]).tolist()
    [[3.0, 4.0], [6.0, 8.0]]
    """
    return arrays.reshape(a, (-1, 1)) * arrays.reshape(_operand("outer", b), (1, -1))


@composition
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sums of products over pairs of axes, as ``np.tensordot``.

    Parameters
    ----------
    a, b : Tensor or array_like
        The factors.
    axes : int or (axes of a, axes of b)
        A number n pairs the last n axes of a with the first n of b.

    Returns
    -------
    Tensor or ndarray
        The other axes of a, then those of b.

    Raises
    ------
    ShapeError
        If axes that are paired have different lengths, or do not exist.

    Examples
    --------
    >>> mg.tensordot(np.ones((2, 3)), np.ones((3, 4)), 1).shape
    (2, 4)
    """
    b = _operand("tensordot", b)
    if isinstance(axes, int | np.integer):
        pairs = [list(range(a.ndim - int(axes), a.ndim)), list(range(int(axes)))]
    else:
        pairs = [np.atleast_1d(k).tolist() for k in axes]
    with explained("tensordot", a, f"axes {axes}, b {described(b)}"):
        of_a = list(normalize_axis_tuple(pairs[0], a.ndim))
        of_b = list(normalize_axis_tuple(pairs[1], b.ndim))
        if [a.shape[k] for k in of_a] != [b.shape[k] for k in of_b]:
            raise ValueError("the axes that are summed over have different lengths")
    left = [k for k in range(a.ndim) if k not in of_a]
    right = [k for k in range(b.ndim) if k not in of_b]
    outside = [a.shape[k] for k in left], [b.shape[k] for k in right]
    n = math.prod(a.shape[k] for k in of_a)
    rows = arrays.transpose(a, axes=(*left, *of_a))
    columns = arrays.transpose(b, axes=(*of_b, *right))
    y = matmul(
        arrays.reshape(rows, (math.prod(outside[0]), n)),
        arrays.reshape(columns, (n, math.prod(outside[1]))),
    )
    return arrays.reshape(y, (*outside[0], *outside[1]))


# --- spread and size ------------------------------------------------------------------------------


def _root(x: Any) -> Any:
    """The square root, with slope 0 at 0."""
    zero = reals(x) == 0
    return elementwise.where(zero, 0, elementwise.sqrt(elementwise.where(zero, 1, x)))


@composition
def std(x: Any, axis: Any = None, keepdims: bool = False, ddof: int = 0) -> Any:
    """The standard deviation: the square root of `var`.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    axis : int, tuple of int or None
        The axes that are reduced; None for all.
    keepdims : bool
        Whether they stay, with length 1.
    ddof : int
        0 divides by the number of elements n, 1 by n - 1.

    Returns
    -------
    Tensor or ndarray
        The deviations. Of equal values it is 0, and so is its gradient there.

    Examples
    --------
    >>> x = mg.tensor([2.0, 2.0], requires_grad=True)
    >>> mg.std(x).backward()
    >>> x.grad.tolist()
    [0.0, 0.0]
    """
    return _root(var(x, axis=axis, keepdims=keepdims, ddof=ddof))


@composition
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The length of x as a vector, as ``np.linalg.norm``.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    ord : {None, 2, "fro", 1, inf, -inf} or float above 0
        None, 2 and "fro": the root of the sum of squares; 1: the sum of sizes; inf and -inf: the
        largest and smallest size; another p: (sum of sizes^p)^(1/p).
    axis : int, tuple of int or None
        The axes of the vectors; None for all elements.
    keepdims : bool
        Whether they stay, with length 1.

    Returns
    -------
    Tensor or ndarray
        The lengths; where one is 0 its gradient is 0.

    Raises
    ------
    DtypeError, DataError
        If `ord` is something else.
    ShapeError
        Where NumPy would mean the norm of a matrix as an operator: name the axis of vectors.

    Examples
    --------
    >>> x = mg.tensor([0.0, -2.0], requires_grad=True)
    >>> mg.norm(x).backward()
    >>> x.grad.tolist()  # the vector of length 1 along x
    [0.0, -1.0]
    """
    euclidean = ord is None or (isinstance(ord, str) and ord == "fro")
    several = x.ndim > 1 if axis is None else np.size(axis) > 1
    if several and not euclidean:
        raise ShapeError(
            f"norm: ord={ord!r} of a matrix is the norm of an operator, which is not offered",
            f"x {described(x)}, axis {axis}",
            "name one axis: norm(x, ord, axis=-1), or flatten x first",
        )
    if euclidean or ord == 2:
        return _root(reduce.sum(square(x), axis=axis, keepdims=keepdims))
    size = elementwise.abs(x)
    if ord in (math.inf, -math.inf):
        return (reduce.max if ord > 0 else min)(size, axis=axis, keepdims=keepdims)
    p = real_number(ord, "norm: ord", "(0, inf)", "2 is the Euclidean length")
    total = reduce.sum(size if p == 1 else size**p, axis=axis, keepdims=keepdims)
    if p == 1:
        return total
    zero = reals(total) == 0
    return elementwise.where(zero, 0, elementwise.where(zero, 1, total) ** (1 / p))


# --- flat in steps: slope 0, and a kink at each step ----------------------------------------------


def _flat(x: Any, values: np.ndarray) -> Any:
    """`values`, which do not change with x except in jumps: a node with slope 0."""
    return elementwise.where(np.True_, values, x)


@composition
def floor(x: Any) -> Any:
    """The largest whole number that is not above x.

    Parameters
    ----------
    x : Tensor or array_like
        The input.

    Returns
    -------
    Tensor or ndarray
        Whole numbers. The slope is 0, also at the steps.

    Examples
    --------
    >>> mg.floor([-0.5, 1.5]).tolist()
    [-1.0, 1.0]
    """
    return _flat(x, np.floor(reals(x)))


@composition
def ceil(x: Any) -> Any:
    """The smallest whole number that is not below x.

    Parameters
    ----------
    x : Tensor or array_like
        The input.

    Returns
    -------
    Tensor or ndarray
        Whole numbers. The slope is 0, also at the steps.

    Examples
    --------
    >>> mg.ceil([-0.5, 1.5]).tolist()
    [-0.0, 2.0]
    """
    return _flat(x, np.ceil(reals(x)))


@composition
def sign(x: Any) -> Any:
    """The sign of x.

    Parameters
    ----------
    x : Tensor or array_like
        The input.

    Returns
    -------
    Tensor or ndarray
        -1, 0 or 1, and NaN of NaN. The slope is 0, also at 0.

    Examples
    --------
    >>> mg.sign([-3.0, 0.0, 2.0]).tolist()
    [-1.0, 0.0, 1.0]
    """
    data = reals(x)
    signs = (data > 0).astype(data.dtype) - (data < 0)
    return _flat(x, np.where(np.isnan(data), data, signs))


# --- activations ----------------------------------------------------------------------------------


@composition
def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """x where it is positive, and slope x below 0.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    slope : float
        The slope below 0.

    Returns
    -------
    Tensor or ndarray
        Element by element; at 0 the slope is 0, as that of relu.

    References
    ----------
    Maas, Hannun & Ng (2013), Rectifier nonlinearities improve neural network acoustic models.

    Examples
    --------
    >>> mg.leaky_relu([-1.0, 2.0], slope=0.1).tolist()
    [-0.1, 2.0]
    """
    return elementwise.relu(x) - slope * elementwise.relu(-x)


@composition
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where it is positive, and alpha (e^x - 1) below 0.

    Parameters
    ----------
    x : Tensor or array_like
        The input.
    alpha : float
        Minus the value at -inf.

    Returns
    -------
    Tensor or ndarray
        Element by element; at 0 the slope is alpha.

    References
    ----------
    Clevert, Unterthiner & Hochreiter (2016), Exponential linear units, arXiv:1511.07289.

    Examples
    --------
    >>> mg.elu([-np.inf, 2.0], alpha=0.5).tolist()
    [-0.5, 2.0]
    """
    positive = reals(x) > 0
    return elementwise.where(
        positive, x, alpha * elementwise.expm1(elementwise.where(positive, 0, x))
    )


@composition
def silu(x: Any) -> Any:
    """y = x sigmoid(x), also called swish.

    Parameters
    ----------
    x : Tensor or array_like
        The input.

    Returns
    -------
    Tensor or ndarray
        Element by element.

    References
    ----------
    Hendrycks & Gimpel (2016), Gaussian error linear units, arXiv:1606.08415.

    Examples
    --------
    >>> x = mg.tensor(0.0, requires_grad=True)
    >>> mg.silu(x).backward()
    >>> float(x.grad)
    0.5
    """
    return x * elementwise.sigmoid(x)


# --- classes --------------------------------------------------------------------------------------


def one_hot(labels: Any, classes: int | None = None, dtype: Any = np.float64) -> np.ndarray:
    """1 in the place of each label, and 0 elsewhere.

    Parameters
    ----------
    labels : array_like of int
        Numbers of classes, from 0 to classes - 1; any shape.
    classes : int, optional
        How many there are; by default one more than the largest label.
    dtype : dtype
        Of the result.

    Returns
    -------
    ndarray
        (..., classes): one axis more than `labels`.

    Raises
    ------
    DataError
        If a label is not a whole number, or not the number of a class.

    Examples
    --------
    >>> mg.one_hot([1, 0], 3).tolist()
    [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    numbers = _labels("one_hot", labels)
    if classes is None:
        classes = int(numbers.max(initial=-1)) + 1
    whole_number(classes, "one_hot: classes", low=0)
    _inside("one_hot", numbers, classes)
    demand_room_for((*numbers.shape, classes))
    dtype = any_dtype(dtype, "one_hot")
    return (numbers[..., None] == np.arange(classes)).astype(dtype)


@composition
def cross_entropy(logits: Any, labels: Any, reduction: str = "sum") -> Any:
    """-ln softmax(logits)[label]: the negative log probability of the right class, in nats.

    Parameters
    ----------
    logits : Tensor or array_like, (n, classes) or (..., classes)
        The scores, before the softmax.
    labels : array_like of int, (n,), or of float, (n, classes)
        Numbers of classes, from 0 to classes - 1; or probabilities of all classes.
    reduction : {"sum", "mean", "none"}
        A sum over the data (as all losses here), their mean, or one loss per row.

    Returns
    -------
    Tensor or ndarray
        A scalar; (n,) for "none".

    Raises
    ------
    DataError
        If a label is not the number of a class, or `reduction` is something else.
    ShapeError
        If there is not one label per row.

    Notes
    -----
    With labels as numbers, dL/dlogits = softmax(logits) - one_hot(labels) for the sum.

    Examples
    --------
    >>> logits = mg.tensor([[0.0, 0.0]], requires_grad=True)
    >>> loss = mg.cross_entropy(logits, [1])
    >>> loss.backward()
    >>> round(float(loss), 6), logits.grad.tolist()  # ln 2
    (0.693147, [[0.5, -0.5]])
    """
    choice(reduction, ("sum", "mean", "none"), "cross_entropy", "reduction")
    log_p = reduce.log_softmax(logits, axis=-1)
    classes = logits.shape[-1]
    given = read(labels) if isinstance(labels, Value) else plain(labels, "labels")
    if given.shape == logits.shape:
        shares: Any = labels if isinstance(labels, Value) else given.astype(logits.dtype)
    else:
        numbers = _labels("cross_entropy", given)
        if numbers.shape != logits.shape[:-1]:
            raise ShapeError(
                "cross_entropy: the labels do not fit the logits",
                f"labels {numbers.shape}, logits {described(logits)}",
                f"one whole number for each row: {logits.shape[:-1]}",
            )
        _inside("cross_entropy", numbers, classes)
        shares = one_hot(numbers, classes, logits.dtype)
    told = elementwise.where(shares == 0, 0, log_p)  # 0 ln 0 is 0
    losses = -reduce.sum(shares * told, axis=-1)
    if reduction == "none":
        return losses
    total = reduce.sum(losses)
    return total if reduction == "sum" else total / max(1, math.prod(logits.shape[:-1]))


def _labels(name: str, labels: Any) -> np.ndarray:
    """Whole numbers, also where they are stored as floats, as in a tensor."""
    numbers = read(labels) if isinstance(labels, Value) else plain(labels, "labels")
    if numbers.dtype.kind not in "biuf" or not (numbers == np.floor(numbers)).all():
        raise DataError(
            f"{name}: labels are whole numbers",
            f"got {numbers.dtype} data of shape {numbers.shape}",
            "number the classes from 0",
        )
    return numbers.astype(np.intp)


def _inside(name: str, numbers: np.ndarray, classes: int) -> None:
    if numbers.size and not 0 <= numbers.min() <= numbers.max() < classes:
        raise DataError(
            f"{name}: a label is not the number of a class",
            f"labels from {numbers.min()} to {numbers.max()}, {classes} classes",
            f"labels go from 0 to {classes - 1}",
        )
