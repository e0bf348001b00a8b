"""The judge of exercise 22: the same objective, one number after the other."""

import numpy as np

FUNCTION = "objective"
HINTS = (
    "Multiply Z by 1/10 and W2 by 10: what do the two terms below do?",
    "A mean over N K codes is lam / (N K) times their sum.  Is the first term a mean, too?",
    "np.linalg.norm has an axis, and keepdims.",
)


def cases(rng):
    for N, D, K in ((4, 3, 3), (2, 3, 5), (1, 2, 2)):
        X, Z, W2 = (2 * rng.standard_normal(shape) for shape in ((N, D), (N, K), (K, D)))
        yield X, Z, W2, 0.7


def _objective(X, Z, W2, lam, penalty=np.abs, weight=1.0, lengths=None):
    lengths = np.sqrt([w @ w for w in W2])[:, None] if lengths is None else lengths
    rows = [z @ (W2 / lengths) - x for x, z in zip(X, Z, strict=True)]
    return sum(row @ row for row in rows) / 2 + lam * weight * penalty(Z).sum()


def right(X, Z, W2, lam):
    return _objective(X, Z, W2, lam)


def as_given(X, Z, W2, lam):
    """Two things are still wrong.  The penalty is a mean beside an error that is a sum, and so far
    too weak; and a small z with a long row of W2 avoids it at no cost."""
    return _objective(X, Z, W2, lam, weight=1 / Z.size, lengths=1)


def mean(X, Z, W2, lam):
    """The rows have length 1 now.  The penalty is a mean beside an error that is a sum: it is
    weaker by the number of codes."""
    return _objective(X, Z, W2, lam, weight=1 / Z.size)


def mean_over_data(X, Z, W2, lam):
    """The rows have length 1 now.  You average the penalty over data and not the error: with more
    data it grows weaker."""
    return _objective(X, Z, W2, lam, weight=1 / len(Z))


def dodged(X, Z, W2, lam):
    """The penalty is a sum now.  A small z with a long row of W2 still avoids it at no cost: the
    rows are to have length 1."""
    return _objective(X, Z, W2, lam, lengths=1)


def columns(X, Z, W2, lam):
    """You have divided the columns of W2 by their lengths: a unit's part of the output is a row."""
    return _objective(X, Z, W2, lam, lengths=np.linalg.norm(W2, axis=0))


def all_at_once(X, Z, W2, lam):
    """You divide by one length for the whole of W2: each row has its own."""
    return _objective(X, Z, W2, lam, lengths=np.linalg.norm(W2))


def squared_length(X, Z, W2, lam):
    """You divide by the square of the length: long rows become short ones."""
    return _objective(X, Z, W2, lam, lengths=(W2**2).sum(axis=1, keepdims=True))


def squares(X, Z, W2, lam):
    """The penalty is a sum of squares: it makes codes small and never 0, since its slope is 0
    there."""
    return _objective(X, Z, W2, lam, penalty=np.square)


def signed(X, Z, W2, lam):
    """The penalty is a sum of z with its sign: very negative codes would be rewarded."""
    return _objective(X, Z, W2, lam, penalty=np.positive)


MISTAKES = (
    as_given,
    mean,
    mean_over_data,
    dodged,
    columns,
    all_at_once,
    squared_length,
    squares,
    signed,
)
