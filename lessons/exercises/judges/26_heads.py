"""The judge of exercise 26: slices of the features, put side by side."""

import numpy as np

FUNCTION = "split_heads"
HINTS = (
    "Number the entries: x = np.arange(12).reshape(1, 2, 6), and two heads.  Which numbers should "
    "head 0 have?",
    "reshape never changes the order in which numbers lie in memory.  In which order do they lie "
    "in x, and which axis can be cut in two without moving any of them?",
    "Cut the last axis first; then let two axes change places.",
)


def cases(rng):
    for N, T, heads, d in ((2, 3, 2, 4), (1, 4, 3, 2), (2, 3, 3, 3)):
        yield rng.standard_normal((N, T, heads * d)), heads


def right(x, heads):
    d = x.shape[2] // heads
    return np.stack([x[:, :, h * d : (h + 1) * d] for h in range(heads)], axis=1)


def only_reshaped(x, heads):
    """The shape is right, and the numbers lie as they did: your head 0 has all features of the
    first tokens.  It should have some features of all tokens."""
    N, T, D = x.shape
    return x.reshape(N, heads, T, D // heads)


def every_other(x, heads):
    """Your head 0 has one feature in so many.  It should have d neighbours."""
    _N, _T, _D = x.shape
    return np.stack([x[:, :, h::heads] for h in range(heads)], axis=1)


def tokens_first(x, heads):
    """The features are cut as they should be.  The axes stand in another order: heads before
    tokens, so that a head is one matrix (T, d)."""
    return right(x, heads).transpose(0, 2, 1, 3)


def features_first(x, heads):
    """The heads have their own features.  The last two axes have changed places: a head is a
    matrix (T, d)."""
    return right(x, heads).transpose(0, 1, 3, 2)


def features_before_tokens(x, heads):
    """The shape is right.  You let tokens and features change places, and then reshape over the
    wrong axes: rows of a head are features now, cut into the length of a token."""
    N, T, D = x.shape
    return x.transpose(0, 2, 1).reshape(N, heads, T, D // heads)


MISTAKES = (only_reshaped, every_other, tokens_first, features_first, features_before_tokens)
