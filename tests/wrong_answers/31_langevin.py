"""Second spellings for exercise 31."""

import numpy as np


def right(x, score, h, rng):
    return rng.normal(x + h * score(x), (h + h) ** 0.5)


def half_the_noise(x, score, h, rng):
    return rng.normal(x + h * score(x), h**0.5)


def same_for_all(x, score, h, rng):
    return x + h * score(x) + np.sqrt(2 * h) * rng.normal()


def without_root(x, score, h, rng):
    return rng.normal(x + h * score(x), 2 * h)


def downhill(x, score, h, rng):
    return rng.normal(x - h * score(x), (2 * h) ** 0.5)
