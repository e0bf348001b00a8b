"""Second spellings for exercise 27: sums over data."""

import numpy as np


def rounds(X, W, s2, known, known_to_noise):
    G = W.T @ W + s2 * np.eye(W.shape[1])
    C = s2 * np.linalg.inv(G)
    m = [np.linalg.solve(G, W.T @ x) for x in X]
    xz = sum(np.outer(x, z) for x, z in zip(X, m, strict=True))
    W = xz @ np.linalg.inv(sum(np.outer(z, z) + known * C for z in m))
    squares = sum(x @ x - 2 * x @ W @ z + z @ W.T @ W @ z for x, z in zip(X, m, strict=True))
    return W, (squares + known_to_noise * len(X) * np.trace(W.T @ W @ C)) / X.size


def right(X, W, s2):
    return rounds(X, W, s2, 1, 1)


def as_given(X, W, s2):
    return rounds(X, W, s2, 0, 0)


def counted_once(X, W, s2):
    return rounds(X, W, s2, 1 / len(X), 1 / len(X))


def not_in_the_noise(X, W, s2):
    return rounds(X, W, s2, 1, 0)
