"""Second spellings for exercise 9: picture by picture."""

import numpy as np


def _by_picture(tokens, keep, orders):
    T = tokens.shape[1]
    visible = np.stack([rows[order[:keep]] for rows, order in zip(tokens, orders, strict=True)])
    mask = np.stack([~np.isin(np.arange(T), order[:keep]) for order in orders])
    restore = [[list(order).index(j) for j in range(T)] for order in orders]
    return visible, mask, np.array(restore)


def right(tokens, keep, rng):
    return _by_picture(tokens, keep, [rng.permutation(tokens.shape[1]) for _ in tokens])


def same_for_all(tokens, keep, rng):
    return _by_picture(tokens, keep, [rng.permutation(tokens.shape[1])] * len(tokens))


def not_inverted(tokens, keep, rng):
    orders = [rng.permutation(tokens.shape[1]) for _ in tokens]
    visible, mask, _ = _by_picture(tokens, keep, orders)
    return visible, mask, np.array(orders)


def inverted_mask(tokens, keep, rng):
    visible, mask, restore = right(tokens, keep, rng)
    return visible, mask == 0, restore
