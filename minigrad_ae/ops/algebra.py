"""Products and norms, functions that are flat in steps, activations, and the loss of a classifier,
under the names of NumPy and of the field: compositions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from ..arguments import choice, plain, real_number, whole_number
from ..autodiff.graph import Value
from ..errors import DataError, ShapeError
from . import arrays, elementwise, reduce
from .compositions import composition, described, explained, floats, matmul, min, reals, square, var

# --- products -------------------------------------------------------------------------------------


def _operand(name: str, x: Any) -> Any:
    return x if isinstance(x, Value) else floats(f"{name}: b", x)


@composition
def dot(a: Any, b: Any) -> Any:
    """As ``np.dot``: of vectors the sum of products, of matrices their product, with a number the
    multiple; else the last axis of a with the last but one of b.
    """
    b = _operand("dot", b)
    if 0 in (a.ndim, b.ndim):
        return a * b
    if a.ndim <= 2 and b.ndim <= 2:
        return matmul(a, b)
    return tensordot(a, b, ((-1,), (-2 if b.ndim > 1 else -1,)))


@composition
def inner(a: Any, b: Any) -> Any:
    """Sums of products over the last axes of a and b."""
    b = _operand("inner", b)
    return a * b if 0 in (a.ndim, b.ndim) else tensordot(a, b, ((-1,), (-1,)))


@composition
def outer(a: Any, b: Any) -> Any:
    """Every element of a (rows) times every element of b (columns); both are flattened."""
    return arrays.reshape(a, (-1, 1)) * arrays.reshape(_operand("outer", b), (1, -1))


@composition
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Sums of products over pairs of axes: the last `axes` of a with the first of b (a number), or
    ``(axes of a, axes of b)``.
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
    """The square root of `var`; of equal values it is 0, and so is its gradient there."""
    return _root(var(x, axis=axis, keepdims=keepdims, ddof=ddof))


@composition
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The length of x as a vector, as ``np.linalg.norm``; at 0 its gradient is 0.

    ord  : None, 2 or "fro" (root of the sum of squares), 1 (sum of sizes), inf and -inf (largest,
           smallest size), or a number p > 0: (sum of sizes^p)^(1/p)
    axis : None for all elements, a number, or a tuple

    Raises DtypeError or DataError for another `ord`, and ShapeError where NumPy would mean the norm
    of a matrix as an operator: name the axes of vectors.
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
    """The largest whole number that is not above x; slope 0, also at the steps."""
    return _flat(x, np.floor(reals(x)))


@composition
def ceil(x: Any) -> Any:
    """The smallest whole number that is not below x; slope 0, also at the steps."""
    return _flat(x, np.ceil(reals(x)))


@composition
def sign(x: Any) -> Any:
    """-1, 0 or 1; slope 0, also at 0."""
    data = reals(x)
    signs = (data > 0).astype(data.dtype) - (data < 0)
    return _flat(x, np.where(np.isnan(data), data, signs))


# --- activations ----------------------------------------------------------------------------------


@composition
def leaky_relu(x: Any, slope: float = 0.01) -> Any:
    """x, and slope x below 0 (Maas, Hannun & Ng 2013); at 0 the slope is 0, as that of relu."""
    return elementwise.relu(x) - slope * elementwise.relu(-x)


@composition
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x, and alpha (e^x - 1) below 0 (Clevert, Unterthiner & Hochreiter 2016); at 0 the slope is
    alpha.
    """
    positive = reals(x) > 0
    return elementwise.where(
        positive, x, alpha * elementwise.expm1(elementwise.where(positive, 0, x))
    )


@composition
def silu(x: Any) -> Any:
    """x sigmoid(x), also called swish (Hendrycks & Gimpel 2016)."""
    return x * elementwise.sigmoid(x)


# --- classes --------------------------------------------------------------------------------------


def one_hot(labels: Any, classes: int | None = None, dtype: Any = np.float64) -> np.ndarray:
    """(..., classes), 1 in the place of each label and 0 elsewhere: an array.

    labels : whole numbers from 0 to classes - 1;   classes : by default one more than the largest.
    """
    numbers = _labels("one_hot", labels)
    if classes is None:
        classes = int(numbers.max(initial=-1)) + 1
    whole_number(classes, "one_hot: classes", low=0)
    _inside("one_hot", numbers, classes)
    return (numbers[..., None] == np.arange(classes)).astype(dtype)


@composition
def cross_entropy(logits: Any, labels: Any, reduction: str = "sum") -> Any:
    """-ln softmax(logits)[label], the negative log probability of the right class.

    logits    : (n, classes) or (..., classes)
    labels    : (n,) whole numbers from 0 to classes - 1; or (n, classes) probabilities
    reduction : "sum" over the data, as all losses here; "mean" over the data; or "none"
    """
    choice(reduction, ("sum", "mean", "none"), "cross_entropy", "reduction")
    log_p = reduce.log_softmax(logits, axis=-1)
    classes = logits.shape[-1]
    given = labels._data if isinstance(labels, Value) else np.asarray(plain(labels, "labels"))
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
    numbers = labels._data if isinstance(labels, Value) else np.asarray(plain(labels, "labels"))
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
