"""Adam over flat buffers, in place and in one pass: each number is read once and written once.

Adam   m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;  p <- p - lr m^ / (sqrt v^ + eps)
       with m^ = m / (1 - b1^t), v^ = v / (1 - b2^t)    (Kingma & Ba 2015)
AdamW  the same after p <- (1 - lr weight_decay) p      (Loshchilov & Hutter 2019)

For Adam weight decay is added to the gradient: g + weight_decay p.

Where a gradient stays 0, of the weights of a dead unit say, m shrinks from step to step, until
after 800 it is below the smallest number with all its digits, 1e-38 for float32.  With such numbers
a multiplication takes a processor 100 times as long.  So there m becomes 0, and v with it; and
beside an eps, to which they add nothing, squares below 1e-38 are 0 at once (subnormal.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.arguments import flag, real_number, real_pair, whole_number
from minigrad_ae.kernels.backend import (
    check_out,
    check_same_shape,
    chunks,
    compiled_form_of,
    in_parallel,
)
from minigrad_ae.kernels.jit import ELEMENTWISE, REDUCTION, jit, known_when_compiling
from minigrad_ae.kernels.subnormal import drop, restore

Array = np.ndarray
GRAIN = 1 << 15


@known_when_compiling
def smallest_normal(a: Any) -> Any:
    """The smallest positive number of the dtype of ``a`` with all its digits."""
    return np.finfo(a.dtype).smallest_normal


@jit(ELEMENTWISE)
def _adam(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    rate: float,
    root: float,
    b1: float,
    b2: float,
    eps: float,
    l2: float,
    keep: float,
) -> None:
    """rate = lr / (1 - b1^t), root = 1 / sqrt(1 - b2^t), keep = 1 - lr weight_decay (AdamW) or
    1.
    """
    kind = p.dtype.type
    step, first, second, correct, floor = kind(rate), kind(b1), kind(b2), kind(root), kind(eps)
    new_first, new_second, shrink, stay = kind(1 - b1), kind(1 - b2), kind(l2), kind(keep)
    zero, one, tiny = kind(0), kind(1), smallest_normal(p)
    dropped = floor >= tiny  # else v is all there is below the line
    before = drop() if dropped else 0
    for i in range(p.size):
        grad = g[i] + shrink * p[i]
        average = first * m[i] + new_first * grad
        average = zero if abs(average) < tiny else average
        squares = second * v[i] + new_second * (grad * grad)
        m[i], v[i] = average, zero if squares < tiny and average == zero else squares
        bottom = np.sqrt(squares) * correct + floor
        # never had a gradient, and eps = 0: it stays
        p[i] = stay * p[i] - step * average / (bottom if average != zero else one)
    if dropped:
        restore(before)


@jit(REDUCTION)
def _square(g: Any) -> float:
    before, total = drop(), g.dtype.type(0)
    for i in range(g.size):
        total += g[i] * g[i]
    restore(before)
    return total


def _adam_definition(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    b1, b2 = betas
    if decoupled:
        p *= 1 - lr * weight_decay
    else:
        g = g + weight_decay * p
    m *= b1
    m += (1 - b1) * g
    v *= b2
    v += (1 - b2) * g * g
    tiny = np.finfo(p.dtype).smallest_normal
    m[np.abs(m) < tiny] = 0
    v[(v < tiny) & (m == 0)] = 0
    bottom = np.sqrt(v) / np.sqrt(1 - b2**step) + eps
    p -= lr / (1 - b1**step) * np.divide(m, bottom, out=np.zeros_like(m), where=m != 0)


@compiled_form_of(_adam_definition)
def adam_step(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    step: int,
    lr: float,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    """One step of Adam, or AdamW, in place.

    Parameters
    ----------
    p : ndarray, any shape, float32 or float64
        The parameters, which are updated.
    g : ndarray, shape and dtype of p
        The gradient of the loss.
    m, v : ndarray, shape and dtype of p
        The running means of gradients and of their squares, which are updated; 0 at first.
    step : int
        The number of this step, from 1 on.
    lr : float
        The learning rate.
    betas : tuple of two floats, optional
        How much of the running means is kept, b1 of `m` and b2 of `v`.
    eps : float, optional
        Added to the root of `v`, so that a rare gradient does not divide by 0.
    weight_decay : float, optional
        How strongly parameters are drawn to 0.
    decoupled : bool, optional
        Whether weight decay shrinks the parameters themselves (AdamW) or is added to the gradient,
        ``g + weight_decay * p`` (Adam).

    Raises
    ------
    DataError
        Where `step` is below 1.
    DtypeError
        Where the arrays are not all float32 or all float64.
    ShapeError
        Where their shapes differ, or one of them is not contiguous and writeable.

    References
    ----------
    Kingma & Ba (2015), Adam; Loshchilov & Hutter (2019), Decoupled weight decay regularization.

    Examples
    --------
    >>> p, g, m, v = np.zeros(2), np.array([1e-3, -1e3]), np.zeros(2), np.zeros(2)
    >>> mg.kernels.adam_step(p, g, m, v, step=1, lr=0.1, eps=0.0)
    >>> p.round(6).tolist()  # the first step is lr against the gradient's sign, whatever its size
    [-0.1, 0.1]
    """
    what, fix = "adam_step: steps are counted from 1", "pass 1 at the first call"
    step = whole_number(step, "adam_step: step", fix, what=what)
    lr = real_number(lr, "adam_step: lr", "[0, inf)", "pass e.g. 1e-3")
    betas = real_pair(betas, "adam_step: betas", "[0, 1)", "pass betas=(0.9, 0.999) or similar")
    eps = real_number(eps, "adam_step: eps", "[0, inf)", "pass e.g. 1e-8")
    fix = "pass 0 for none, or e.g. 0.01"
    weight_decay = real_number(weight_decay, "adam_step: weight_decay", "[0, inf)", fix)
    flag(decoupled, "adam_step: decoupled")
    check_same_shape("adam_step", p=p, g=g, m=m, v=v)
    for array in (p, g, m, v):
        if not (array.flags.c_contiguous and array.flags.writeable):
            check_out("adam_step", array, array.shape, array.dtype)
    adam(p, g, m, v, adam_numbers(step, lr, betas, eps, weight_decay, decoupled))


def adam_numbers(
    step: int,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> tuple[float, ...]:
    """What the loop of a step needs to know, the same for all arrays."""
    l2, keep = (0.0, 1 - lr * weight_decay) if decoupled else (weight_decay, 1.0)
    return *adam_rates(step, lr, *betas), *betas, eps, l2, keep


def adam_rates(step: int, lr: float, b1: float, b2: float) -> tuple[float, float]:
    """What of it is another at each step: both moments begin at 0, and are too small at first."""
    return lr / (1 - b1**step), (1 - b2**step) ** -0.5


def adam(p: Array, g: Array, m: Array, v: Array, numbers: tuple[float, ...]) -> None:
    """`adam_step`, unchecked: four contiguous arrays of one shape and dtype."""
    flat = p.reshape(-1), g.reshape(-1), m.reshape(-1), v.reshape(-1)
    if p.size < 2 * GRAIN:
        _adam(*flat, *numbers)
    else:
        in_parallel(_adam, [(*(a[i:j] for a in flat), *numbers) for i, j in chunks(p.size, GRAIN)])


def square(g: Array) -> float:
    """The sum of squares of a contiguous float32 or float64 array: finite unless ``g`` is not, or
    it overflows.
    """
    return float(_square(g.reshape(-1)))
