"""Where an entry was copied, the gradients of its copies are added."""

import numpy as np


def unbroadcast(g, shape):
    in_front = g.ndim - len(shape)
    g = np.sum(g, axis=tuple(range(in_front)))
    stretched = tuple(k for k, n in enumerate(shape) if n == 1)
    return np.sum(g, axis=stretched, keepdims=True)
