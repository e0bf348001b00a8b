"""The judge of exercise 25: the engine's attention, and scores of thousands."""

import numpy as np

import minigrad_ae as mg

FUNCTION = "attention"
HINTS = (
    "If all v_j are equal, y_i is that v, whatever the scores are.  Try it.",
    "Which index of p belongs to the token that asks?  Over which of them do weights add up to 1?",
    "np.sum and np.max have an argument that keeps an axis, with length 1.",
)


def cases(rng):
    for T, d, size in ((4, 3, 1.0), (3, 3, 1.0), (3, 2, 60.0)):
        q, k, v = rng.standard_normal((3, T, d))
        yield size * q, size * k, v


def right(q, k, v):
    return mg.attention(*(mg.tensor(x) for x in (q, k, v)))


def _attention(q, k, v, axis=1, scale=np.sqrt, weigh=None):
    s = np.einsum("id,jd->ij", q, k) / scale(q.shape[1])
    s = s - s.max(axis=axis, keepdims=True)
    p = np.exp(s) / np.exp(s).sum(axis=axis, keepdims=True)
    return (p if weigh is None else weigh(p)) @ v


def over_queries(q, k, v):
    """Your weights add up to 1 over the tokens that ask: each token gives itself away in shares.
    The slide's weights add up to 1 over the tokens that are asked."""
    return _attention(q, k, v, axis=0)


def over_everything(q, k, v):
    """All T x T weights together add up to 1: those of each token that asks are to do so."""
    s = q @ k.T / np.sqrt(q.shape[1])
    p = np.exp(s - s.max())
    return p / p.sum() @ v


def asked_by_keys(q, k, v):
    """Queries and keys have changed places: in your scores, row i belongs to the token that is
    asked."""
    return _attention(k, q, v)


def not_scaled(q, k, v):
    """The scores are not divided by sqrt(d): with many features they would grow, and one token get
    all the weight."""
    return _attention(q, k, v, scale=lambda d: 1)


def scaled_by_d(q, k, v):
    """The scores are divided by d: a sum of d independent products grows like its root."""
    return _attention(q, k, v, scale=lambda d: d)


def overflows(q, k, v):
    """For small scores it is right.  exp of a large score is infinite, and infinite over infinite
    is no number.  What may be taken off a row of scores without changing its weights?"""
    with np.errstate(over="ignore", invalid="ignore"):
        p = np.exp(q @ k.T / np.sqrt(q.shape[1]))
        return p / p.sum(axis=1, keepdims=True) @ v


def shifted_together(q, k, v):
    """For small scores it is right.  You take off the largest of all scores: a row far below it
    has only zeros left, and 0 over 0 is no number."""
    s = q @ k.T / np.sqrt(q.shape[1])
    p = np.exp(s - s.max())
    with np.errstate(invalid="ignore"):
        return p / p.sum(axis=1, keepdims=True) @ v


MISTAKES = (
    over_queries,
    over_everything,
    asked_by_keys,
    not_scaled,
    scaled_by_d,
    overflows,
    shifted_together,
)
