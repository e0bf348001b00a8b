"""Second spellings for exercise 2."""

import numpy as np


def right(g, shape):
    padded = (1,) * (g.ndim - len(shape)) + tuple(shape)
    for axis, (long, short) in enumerate(zip(g.shape, padded, strict=True)):
        if short != long:
            g = g.sum(axis, keepdims=True)
    return g.reshape(shape)


def mean(g, shape):
    return right(g, shape) * np.prod(shape) / g.size


def one_copy(g, shape):
    while g.ndim > len(shape):
        g = g[0]
    for axis, n in enumerate(shape):
        g = np.take(g, range(n), axis)
    return g


def front_only(g, shape):
    while g.ndim > len(shape):
        g = sum(g)
    return g
