"""The functions of layers: fused ops, the compositions that their rules use, and the public
functions in front of them.

A fused op computes nothing that compositions of other ops could not; it exists because a kernel can
do it in one pass. Fusion is explicit: only who calls `linear(..., activation="tanh")` gets it, so a
step-by-step view stays true.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arguments import plain, real_number, whole_number
from ..autodiff.graph import Value
from ..autodiff.messages import described
from ..autodiff.operation import Notes, op
from ..errors import DataError, ShapeError
from . import arrays, elementwise, notes, reduce
from .compositions import composition, gelu_gate, matmul, reals, square, swapaxes

ACTIVATIONS: dict[str | None, Callable[..., Any]] = {
    None: lambda x: x,
    "tanh": elementwise.tanh,
    "sigmoid": elementwise.sigmoid,
    "relu": elementwise.relu,
    "softplus": elementwise.softplus,
    "gelu": elementwise.gelu_erf,
    "gelu_tanh": elementwise.gelu_tanh,
}
# activations whose slope is known from y: the fused `linear` has them built in
FUSED = (None, "tanh", "sigmoid", "relu")
__all__ = ["ACTIVATIONS", "attention", "dropout", "gelu_gate", "layer_norm", "linear"]


# --- what the rules of the fused ops use ----------------------------------------------------------


@composition(public=False, method=False)
def activate(z: Any, activation: Any) -> Any:
    """f(z), f one of FUSED."""
    if activation == "tanh":
        return elementwise.tanh(z)
    if activation == "sigmoid":
        return elementwise.sigmoid(z)
    return z if activation is None else elementwise.relu(z)


@composition(public=False, method=False)
def slope(g: Any, y: Any, activation: Any) -> Any:
    """g f'(z), f one of FUSED, written in y = f(z)."""
    if activation == "tanh":
        return g * (1 - y * y)
    if activation == "sigmoid":
        return g * y * (1 - y)
    return g if activation is None else elementwise.where(y > 0, g, 0)


@composition(public=False, method=False)
def rows(x: Any) -> Any:
    """All leading axes as one: (..., n) -> (rows, n)."""
    return x if x.ndim == 2 else arrays.reshape(x, (-1, x.shape[-1]))


@composition(public=False, method=False)
def average(x: Any, n: int) -> Any:
    """Mean over the last axis, which has n elements and is kept."""
    return reduce.sum(x, axis=-1, keepdims=True) / n


@composition(public=False, method=False)
def inverse_deviation(x: Any, eps: float, n: int) -> Any:
    """1 / sqrt(var + eps) over the last axis, which has n elements and is kept."""
    return 1 / elementwise.sqrt(average(square(x - average(x, n)), n) + eps)


@composition(public=False, method=False)
def normalised(x: Any, eps: float, n: int) -> Any:
    """(x - mean) / sqrt(var + eps) over the last axis, which has n elements."""
    return (x - average(x, n)) * inverse_deviation(x, eps, n)


@composition(public=False, method=False)
def headed(x: Any, heads: int) -> Any:
    """(..., tokens, heads d) -> (..., heads, tokens, d): each head takes a stripe of columns.  x
    itself for one head.
    """
    return (
        x
        if heads == 1
        else swapaxes(arrays.reshape(x, (*x.shape[:-1], heads, x.shape[-1] // heads)), -2, -3)
    )


@composition(public=False, method=False)
def joined(x: Any, heads: int) -> Any:
    """The opposite of `headed`: (..., heads, tokens, d) -> (..., tokens, heads d)."""
    if heads == 1:
        return x
    shape = (*x.shape[:-3], x.shape[-2], heads * x.shape[-1])
    return arrays.reshape(swapaxes(x, -2, -3), shape)


@composition(public=False, method=False)
def attention_weights(q: Any, k: Any, mask: Any, heads: int) -> Any:
    """softmax(q k^T / sqrt(d) + mask) over keys: (..., queries, keys), (..., heads, queries, keys)
    for several heads.
    """
    scores = (
        arrays.matmul(headed(q, heads), swapaxes(headed(k, heads), -1, -2))
        * (q.shape[-1] / heads) ** -0.5
    )
    return reduce.softmax(scores + mask, axis=-1)


@composition(public=False, method=False)
def scores_gradient(g: Any, q: Any, k: Any, v: Any, mask: Any, heads: int) -> Any:
    """dL/d(scores): g v^T through the rule of softmax."""
    w = attention_weights(q, k, mask, heads)
    dw = arrays.matmul(headed(g, heads), swapaxes(headed(v, heads), -1, -2))
    return w * (dw - reduce.sum(dw * w, axis=-1, keepdims=True))


# --- fused ops ------------------------------------------------------------------------------------


fused_linear = op(
    "linear", "y = f(x W + b), f known by its slope at y: none, tanh, sigmoid or relu",
    forward="activate(x @ weight + bias, activation)", params="activation=None",
    x="slope(g, y, activation) @ swapaxes(weight, -1, -2)",
    weight="swapaxes(rows(x), -1, -2) @ rows(slope(g, y, activation))", bias="slope(g, y, "
        "activation)",
    kink="linear_kinks(x, weight, bias, activation)",
    why="with dz = g f'(z), written in y: dL = <dz, dx W + x dW + db>; leading axes of x are rows",
    notes=Notes(lost=notes.lost_in_linear),
)  # fmt: skip


fused_layer_norm = op(
    "layer_norm", "y = n weight + bias, n = (x - mean) / sqrt(var + eps) over the last axis",
    forward="normalised(x, eps, x.shape[-1]) * weight + bias", params="eps=1e-5",
    x="inverse_deviation(x, eps, x.shape[-1]) * (g * weight - average(g * weight, x.shape[-1]) - "
      "normalised(x, eps, x.shape[-1]) * average(g * weight * normalised(x, eps, x.shape[-1]), "
          "x.shape[-1]))",
    weight="g * normalised(x, eps, x.shape[-1])", bias="g",
    why="dn = (dx - mean dx - n mean(n dx)) / sqrt(var + eps), and this map is symmetric",
    notes=Notes(
        insensitive=True, not_finite=notes.no_variance, lost=notes.normalised_away,
        remedy="give eps a value above 0",
    ),
)  # fmt: skip


fused_attention = op(
    "attention", "y = w v, w = softmax(q k^T / sqrt(d) + mask) over keys; in each head, a stripe "
        "of d columns",
    forward="joined(attention_weights(q, k, mask, heads) @ headed(v, heads), heads)", params="heads=1",
    q="joined(scores_gradient(g, q, k, v, mask, heads) @ headed(k, heads), heads) * (q.shape[-1] / "
        "heads) ** -0.5",
    k="joined(swapaxes(scores_gradient(g, q, k, v, mask, heads), -1, -2) @ headed(q, heads), heads)"
      " * (q.shape[-1] / heads) ** -0.5",
    v="joined(swapaxes(attention_weights(q, k, mask, heads), -1, -2) @ headed(g, heads), heads)",
    mask="scores_gradient(g, q, k, v, mask, heads)",
    why="dy = dw v + w dv; dw by the rule of softmax, ds = w (dw - sum w dw); s = q k^T / sqrt(d); "
        "a query whose keys are all masked has w = 0: y and its gradients are 0",
    notes=Notes(
        insensitive=True, not_finite=notes.large_scores, lost=notes.lost_in_attention,
        remedy="let each query look at one key at least",
    ),
)  # fmt: skip


unit_rows = op(
    "unit_rows", "y = x / |x| over the last axis: each row at length 1",
    forward="x / np.sqrt(np.sum(x * x, axis=-1, keepdims=True))",
    x="(g - y * sum(g * y, axis=-1, keepdims=True)) / sqrt(sum(x * x, axis=-1, keepdims=True))",
    why="dy = (dx - y <y, dx>) / |x|, and this map is symmetric: along x only the length changes, "
        "which y does not have",
    notes=Notes(
        insensitive=True, not_finite=notes.no_length, lost=notes.along_each_row,
        enlarges=notes.shortest_row,
        remedy="keep every row away from 0: start it with random numbers, and never let a step take it "
            "there",
    ),
    public=False,
)  # fmt: skip


# --- public ---------------------------------------------------------------------------------------


@composition(method=False)
def linear(x: Any, weight: Any, bias: Any = None, activation: str | None = None) -> Any:
    """y = f(x W + b), in one step.

    Parameters
    ----------
    x : Tensor or array_like, (..., n_in)
        The inputs; leading axes are rows.
    weight : Tensor or array_like, (n_in, n_out)
        W.
    bias : Tensor or array_like, (n_out,), optional
        b; 0 if None.
    activation : {None, "tanh", "sigmoid", "relu", "softplus", "gelu", "gelu_tanh"}
        f; None for the identity.

    Returns
    -------
    Tensor or ndarray
        (..., n_out).

    Raises
    ------
    DataError
        If `activation` is something else.
    ShapeError
        If x has not as many columns as W has rows.

    Examples
    --------
    >>> x, W = mg.tensor([[1.0, 2.0]]), mg.tensor([[1.0], [-1.0]], requires_grad=True)
    >>> mg.linear(x, W, activation="relu").sum().backward()  # x W = -1: relu is off
    >>> W.grad.tolist()
    [[0.0], [0.0]]
    """
    if activation not in ACTIVATIONS:
        names = ", ".join(map(str, ACTIVATIONS))
        raise DataError(
            f"linear: unknown activation {activation!r}",
            f"there are {names}",
            "use one of these names",
        )
    n, m = x.shape, weight.shape
    if not n or len(m) != 2 or n[-1] != m[0]:
        y = matmul(x, weight)  # a vector as weight, or an error that says what does not fit
        return ACTIVATIONS[activation](y if bias is None else y + bias)
    y = fused_linear(
        x,
        weight,
        0.0 if bias is None else bias,
        activation=activation if activation in FUSED else None,
    )
    return y if activation in FUSED else ACTIVATIONS[activation](y)


@composition(method=False)
def layer_norm(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """(x - mean) / sqrt(variance + eps) over the last axis, times weight, plus bias, in one step.

    Parameters
    ----------
    x : Tensor or array_like, (..., n)
        The inputs.
    weight, bias : Tensor or array_like, (n,), optional
        1 and 0 if None.
    eps : float
        Added to the variance, which divides by n.

    Returns
    -------
    Tensor or ndarray
        (..., n).

    References
    ----------
    Ba, Kiros & Hinton (2016), Layer normalization, arXiv:1607.06450.

    Examples
    --------
    >>> mg.layer_norm([[1.0, 3.0]], eps=0.0).tolist()
    [[-1.0, 1.0]]
    """
    if type(eps) is not float:
        eps = real_number(eps, "layer_norm: eps", "[0, inf)", "the usual value is 1e-5")
    return fused_layer_norm(
        x, 1.0 if weight is None else weight, 0.0 if bias is None else bias, eps=eps
    )


def _like(mask: Any, x: Any) -> Any:
    """A constant mask in the dtype of x, so that a float64 mask does not turn a float32 model into
    a float64 one.
    """
    return mask if isinstance(mask, Value) else plain(mask, "dropout: mask", x.dtype)


@composition(method=False)
def dropout(x: Any, mask: Any, rate: float) -> Any:
    """x mask / (1 - rate): inverted dropout, whose expectation over masks is x.

    Parameters
    ----------
    x : Tensor or array_like
        The inputs.
    mask : array_like
        0 or 1 per element, drawn by the caller with probability `rate` of a 0.
    rate : float
        The probability of dropping, in [0, 1).

    Returns
    -------
    Tensor or ndarray
        x, with zeros where the mask has them.

    Raises
    ------
    DataError
        If `rate` is outside [0, 1).

    References
    ----------
    Srivastava et al. (2014), Dropout, JMLR 15:1929-1958.

    Examples
    --------
    >>> mg.dropout([1.0, 2.0], [0, 1], 0.5).tolist()
    [0.0, 4.0]
    """
    if not 0 <= rate < 1:
        raise DataError(
            "dropout: the rate must lie in [0, 1)",
            f"got {rate}",
            "rate is the probability of dropping",
        )
    return x * _like(mask, x) / (1 - rate)


@composition(method=False)
def attention(q: Any, k: Any, v: Any, mask: Any = None, heads: int = 1) -> Any:
    """softmax(q k^T / sqrt(d) + mask) v, in one step.

    Parameters
    ----------
    q : Tensor or array_like, (..., n, heads d)
        The queries.
    k : Tensor or array_like, (..., m, heads d)
        The keys.
    v : Tensor or array_like, (..., m, heads e)
        The values.
    mask : array_like of bool or of float, or Tensor, (..., n, m), optional
        Booleans: False where a query may not look. Numbers are added to the scores.
    heads : int
        Into how many stripes the columns are cut, each of which attends for itself; the results
        stand side by side.

    Returns
    -------
    Tensor or ndarray
        (..., n, heads e). A query that may look nowhere gets a row of zeros, and sends no gradient
        (as in ``torch.nn.functional.scaled_dot_product_attention``).

    Raises
    ------
    ShapeError
        If the columns cannot be cut into `heads` equal stripes, or the shapes do not fit.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762, equation 1.

    Examples
    --------
    >>> q, k = np.zeros((1, 2)), np.zeros((2, 2))  # all scores are equal: the mean of the values
    >>> mg.attention(q, k, np.array([[1.0, 0.0], [3.0, 2.0]])).tolist()
    [[2.0, 1.0]]
    """
    if type(heads) is not int or heads < 1:
        heads = whole_number(heads, "attention: heads")
    if not q.ndim or q.shape[-1] % heads:
        raise ShapeError(
            "attention: the heads must divide the columns of q",
            f"q {described(q)}, heads={heads}",
            "choose a number of heads that divides the last axis, or make this axis longer",
        )
    if not isinstance(mask, Value):
        mask = np.zeros(()) if mask is None else plain(mask, "attention: mask")
        mask = (np.where(mask, 0.0, -np.inf) if mask.dtype == bool else mask).astype(reals(q).dtype)
    return fused_attention(q, k, v, mask, heads=heads)
