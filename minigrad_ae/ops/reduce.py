"""Reductions.  `axis` is None (all axes), an int or a tuple; a result without its axes is put back
by `kept`.
"""

import numpy as np

from ..autodiff.operation import Notes, op
from . import notes
from .calculus import real, ties

sum = op(
    "sum", "y = sum of x over axis", forward="np.sum(x, axis=axis, keepdims=keepdims)", params="axis=None, "
        "keepdims=False",
    x="broadcast_to(reshape(g, kept(x.shape, axis)), x.shape)", why="every term has slope 1",
    notes=Notes(symbol="Σ", overflows=True),
)  # fmt: skip


def _max(x, axis=None, keepdims=False):
    # the mean of the largest by real part: np.max would compare imaginary parts at a tie
    if np.iscomplexobj(x):
        return np.sum(x * ties(x, axis), axis=axis, keepdims=keepdims)
    return np.max(x, axis=axis, keepdims=keepdims)


max = op(
    "max", "y = largest x over axis", forward=_max, x="reshape(g, kept(x.shape, axis)) * ties(x, "
        "axis)",
    kink="(tied(x, axis),)", why="only the largest moves y; several largest share equally",
    notes=Notes(lost=notes.others_chosen, withholds=notes.did_not_choose),
)  # fmt: skip


def _shift(x, axis):  # the largest real part, -inf of nothing: e^(x - shift) cannot overflow
    top = np.max(real(x), axis=axis, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(top), top, 0)


def _logsumexp(x, axis=None, keepdims=False):
    shift = _shift(x, axis)
    with np.errstate(divide="ignore"):  # all x = -inf: log 0 = -inf is the right answer
        y = np.log(np.sum(np.exp(x - shift), axis=axis, keepdims=True)) + shift
    return y if keepdims else np.reshape(y, np.sum(shift, axis=axis).shape)


def _softmax(x, axis=-1):
    e = np.exp(x - _shift(x, axis))
    total = np.sum(e, axis=axis, keepdims=True)
    return e / np.where(total == 0, 1, total)


def _log_softmax(x, axis=-1):
    y = _logsumexp(x, axis=axis, keepdims=True)
    return x - np.where(real(y) == -np.inf, 0, y)


logsumexp = op(
    "logsumexp", "y = ln sum e^x over axis", forward=_logsumexp,
    x="reshape(g, kept(x.shape, axis)) * softmax(x, axis=axis)",
    why="dy/dx = e^x / sum e^x; where all x are -inf, and of nothing, y is -inf and the slopes are 0",
    notes=Notes(lost=notes.shifted_alike),
)  # fmt: skip
softmax = op(
    "softmax", "y = e^x / sum e^x over axis", forward=_softmax, x="y * (g - sum(g * y, axis=axis, "
        "keepdims=True))",
    why="dy_i = y_i (dx_i - sum_j y_j dx_j), and this matrix is symmetric; where all x are -inf, "
        "all y are 0 (and have slope 0): there is nothing to choose from",
    notes=Notes(insensitive=True, not_finite=notes.no_softmax, lost=notes.shifted_alike),
)  # fmt: skip
log_softmax = op(
    "log_softmax", "y = x - ln sum e^x over axis", forward=_log_softmax,
    x="g - exp(y) * sum(g, axis=axis, keepdims=True)",
    why="dy_i = dx_i - sum_j softmax_j dx_j; where all x are -inf, so are all y, as ln 0",
    notes=Notes(insensitive=True, not_finite=notes.no_softmax, lost=notes.shifted_alike),
)  # fmt: skip
