"""Second spellings for exercise 18."""

import numpy as np


def right(E, X, size):
    return sum(E(X[n : n + 1]) for n in range(len(X))) / len(X)


def equal_batches(E, X, size):
    total = count = 0
    while len(X):
        total, count, X = total + E(X[:size]), count + 1, X[size:]
    return total / count


def averaged_twice(E, X, size):
    return sum(E(X[n : n + size]) / len(X) for n in range(0, len(X), size))


def last_one_lost(E, X, size):
    full = len(X) // size
    return np.sum([E(X[k * size : (k + 1) * size]) for k in range(full)]) / full if full else np.nan


def total(E, X, size):
    return sum(E(X[n : n + 1]) for n in range(len(X)))
