"""A random number for each patch, sorted; the way back is the inverse permutation."""

import numpy as np


def masking(tokens, keep, rng):
    N, T, _ = tokens.shape
    order = np.argsort(rng.random((N, T)), axis=1)
    visible = np.take_along_axis(tokens, order[:, :keep, None], axis=1)
    mask = np.ones((N, T))
    np.put_along_axis(mask, order[:, :keep], 0, axis=1)
    restore = np.argsort(order, axis=1)
    return visible, mask, restore
