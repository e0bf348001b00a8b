"""The judge of exercise 13: the engine differentiates attention."""

import numpy as np

import minigrad_ae as mg

FUNCTION = "attention_backward"
HINTS = (
    "y = p v is a product of two matrices, as in exercise 5: what do p and v receive?",
    "softmax of a row: if one score rises, its own p rises and all others fall.  With the incoming "
    "dp, what is taken off is the same for the whole row: an average of dp.",
    "s = q k^T / sqrt(d) is a product again, with a factor.",
)


def cases(rng):
    for T, d in ((4, 4), (3, 2)):
        yield tuple(rng.standard_normal((4, T, d)))


def right(g, q, k, v):
    leaves = [mg.tensor(x, requires_grad=True) for x in (q, k, v)]
    return mg.grad(mg.attention(*leaves), leaves, gradient=g)


def _weights(q, k):
    e = np.exp(q @ k.T / np.sqrt(q.shape[1]))
    return e / e.sum(axis=1, keepdims=True)


def _backward(g, q, k, v, softmax=None, scale=True):
    p, dp = _weights(q, k), g @ v.T
    if softmax is None:
        ds = p * (dp - (p * dp).sum(axis=1, keepdims=True))
    else:
        ds = softmax(p, dp)
    ds = ds / np.sqrt(q.shape[1]) if scale else ds
    return ds @ k, ds.T @ q, p.T @ g


def one_by_one(g, q, k, v):
    """v is right. You treat softmax like a sigmoid, entry by entry: p (1 - p) is the slope of an
    entry by its own score alone, but a score acts on its whole row."""
    return _backward(g, q, k, v, lambda p, dp: dp * p * (1 - p))


def no_normaliser(g, q, k, v):
    """v is right.  You differentiate the numerator of softmax, and take its denominator for a
    constant; the denominator has every score of the row in it."""
    return _backward(g, q, k, v, lambda p, dp: dp * p)


def plain_mean(g, q, k, v):
    """v is right.  What is taken off in a row is an average of dp, but not with equal weights."""
    return _backward(g, q, k, v, lambda p, dp: p * (dp - dp.mean(axis=1, keepdims=True)))


def wrong_axis(g, q, k, v):
    """v is right.  You sum over the columns of p: softmax was taken of each row."""
    return _backward(g, q, k, v, lambda p, dp: p * (dp - (p * dp).sum(axis=0)))


def without_softmax(g, q, k, v):
    """v is right. What p receives is passed on to the scores as it is: softmax lies between
    them."""
    return _backward(g, q, k, v, lambda p, dp: dp)


def not_scaled(g, q, k, v):
    """v is right.  q and k are too large by the same factor: the scores are divided by sqrt(d), and
    so is what comes back through them."""
    return _backward(g, q, k, v, scale=False)


def keys_not_transposed(g, q, k, v):
    """q and v are right. In the scores a row belongs to a query and a column to a key: what k
    receives is summed over queries."""
    p, dp = _weights(q, k), g @ v.T
    ds = p * (dp - (p * dp).sum(axis=1, keepdims=True)) / np.sqrt(q.shape[1])
    return ds @ k, ds @ q, p.T @ g


def values_not_transposed(g, q, k, v):
    """q and k are right.  v's token j acts on every y_i, with the weight p_ij: sum over i."""
    dq, dk, _ = _backward(g, q, k, v)
    return dq, dk, _weights(q, k) @ g


MISTAKES = (
    one_by_one,
    no_normaliser,
    plain_mean,
    wrong_axis,
    without_softmax,
    not_scaled,
    keys_not_transposed,
    values_not_transposed,
)
