"""Second spellings for exercise 23."""

import numpy as np


def right(X, drop, rng):
    noisy = X.copy()
    noisy[rng.binomial(1, drop, X.shape) == 1] = 0
    return noisy, X.copy()


def as_given(X, drop, rng):
    X *= rng.random(X.shape[1]) >= drop
    return X, X


def in_place(X, drop, rng):
    X *= rng.random(X.shape) > drop
    return X.copy(), X.copy()


def same_for_all(X, drop, rng):
    return X * rng.binomial(1, 1 - drop, X.shape[1]), X


def inverted(X, drop, rng):
    return X * (rng.random(X.shape) < drop), X


def drawn_once(X, drop, rng):
    return X * (np.random.default_rng(3).random(X.shape) > drop), X
