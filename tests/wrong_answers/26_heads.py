"""Second spellings for exercise 26."""

import numpy as np


def right(x, heads):
    return np.moveaxis(np.array(np.split(x, heads, axis=2)), 0, 1)


def only_reshaped(x, heads):
    return np.array([one.ravel().reshape(heads, len(one), -1) for one in x])


def every_other(x, heads):
    N, T, D = x.shape
    return np.moveaxis(x.reshape(N, T, D // heads, heads), 3, 1)


def tokens_first(x, heads):
    return x.reshape(*x.shape[:2], heads, -1)
