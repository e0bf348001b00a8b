"""The judge of exercise 27: both steps at once, from the covariance of the data.

Tipping & Bishop (1999), Probabilistic principal component analysis, equations 29 and 30.
"""

import numpy as np

FUNCTION = "em_round"
HINTS = (
    "E_q of |x - W z|^2 is not |x - W m|^2.  What does the spread of z add?",
    "E_q [z z^T] = m m^T + C, for each of the N data.",
    "In the M step two expectations occur, E z and E z z^T; for W only the second is to be changed "
    "in the lines below.",
)


def cases(rng):
    for N, D, M in ((6, 4, 2), (5, 3, 3), (4, 3, 1)):
        X = rng.standard_normal((N, D))
        yield X - X.mean(axis=0), rng.standard_normal((D, M)), 0.6


def right(X, W, s2):
    N, D = X.shape
    S, M = X.T @ X / N, W.shape[1]
    G = W.T @ W + s2 * np.eye(M)
    new = S @ W @ np.linalg.inv(s2 * np.eye(M) + np.linalg.inv(G) @ W.T @ S @ W)
    return new, np.trace(S - S @ W @ np.linalg.inv(G) @ new.T) / D


def _round(X, W, s2, copies, in_noise=None, decoder=None, per=None, factor=None):
    """The two steps with C counted `copies` times in W, and `in_noise` times in s2."""
    N, D = X.shape
    G = W.T @ W + s2 * np.eye(W.shape[1])
    m, C = X @ W @ np.linalg.inv(G), (s2 if factor is None else factor) * np.linalg.inv(G)
    new = X.T @ m @ np.linalg.inv(m.T @ m + copies * C)
    U = new if decoder is None else W
    more = (copies if in_noise is None else in_noise) * np.trace(U @ C @ U.T)
    return new, (np.sum((X - m @ U.T) ** 2) + more) / (N * D if per is None else per)


def as_given(X, W, s2):
    """You take the posterior means for the codes themselves.  z is known only up to its covariance
    C, and that has its part in E[z z^T], for W and for s2."""
    return _round(X, W, s2, 0)


def counted_once(X, W, s2):
    """C is there now, once.  Every datum has a posterior of its own, and all N of them have this
    covariance."""
    return _round(X, W, s2, 1)


def not_in_the_noise(X, W, s2):
    """W is right.  For s2 you still put the means in place of the codes: |x - W z|^2 has the spread
    of z in it, too."""
    return _round(X, W, s2, len(X), 0)


def once_in_the_noise(X, W, s2):
    """W is right.  In s2 the spread of z is counted once: all N data have it."""
    return _round(X, W, s2, len(X), 1)


def old_decoder(X, W, s2):
    """W is right.  s2 is computed with the W of the round before: the M step takes the new one."""
    return _round(X, W, s2, len(X), decoder="old")


def without_noise(X, W, s2):
    """The covariance of the posterior is too large or too small by a factor: how does it shrink as
    s2 goes to 0?"""
    return _round(X, W, s2, len(X), factor=1.0)


def per_datum(X, W, s2):
    """W is right.  s2 is the variance of one feature of one datum: you divide by the number of data
    alone."""
    return _round(X, W, s2, len(X), per=len(X))


MISTAKES = (
    as_given,
    counted_once,
    not_in_the_noise,
    once_in_the_noise,
    old_decoder,
    without_noise,
    per_datum,
)
