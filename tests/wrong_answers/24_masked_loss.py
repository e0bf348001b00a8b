"""Second spellings for exercise 24."""

import numpy as np


def right(y, x, mask):
    return np.mean((y - x)[mask == 1] ** 2)


def as_given(y, x, mask):
    return np.mean(np.square((y - x) * (mask == 0)[..., None]))


def visible(y, x, mask):
    return np.average(((y - x) ** 2).mean(axis=2), weights=1 - mask)


def over_everything(y, x, mask):
    return np.square((y - x) * mask[..., None]).mean()


def over_patches(y, x, mask):
    return np.sum((y - x)[mask == 1] ** 2) / np.count_nonzero(mask)
