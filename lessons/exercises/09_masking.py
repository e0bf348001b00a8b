"""Masking: a random subset for each picture, and the way back (lesson 7).

The tokens of a batch are (N, T, D): N pictures of T patches.  Keep `keep` random patches of each
picture, other ones in each, and return three arrays:

    visible   (N, keep, D)   the tokens that are kept, in any order
    mask      (N, T)         1 where a patch is hidden, 0 where it is visible
    restore   (N, T)         for each picture the permutation that brings the patches back: after
                             np.concatenate([visible, hidden], axis=1) of the tokens, patch j is
                             at place restore[n, j]; visible ones stand first

The lines below take the same patches from every picture, and their `restore` is not the way back.
Repair them.
"""

import numpy as np


def masking(tokens, keep, rng):
    N, T, _ = tokens.shape
    order = np.tile(rng.permutation(T), (N, 1))
    visible = np.take_along_axis(tokens, order[:, :keep, None], axis=1)
    mask = np.ones((N, T))
    np.put_along_axis(mask, order[:, :keep], 0, axis=1)
    restore = order
    return visible, mask, restore
