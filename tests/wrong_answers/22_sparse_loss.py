"""Second spellings for exercise 22."""

import numpy as np


def right(X, Z, W2, lam):
    scaled = Z / np.sqrt(np.einsum("kd,kd->k", W2, W2))
    return np.linalg.norm(scaled @ W2 - X) ** 2 / 2 + lam * np.linalg.norm(Z.ravel(), 1)


def as_given(X, Z, W2, lam):
    return ((Z @ W2 - X) ** 2 / 2).sum() + lam * abs(Z).sum() / Z.size


def mean(X, Z, W2, lam):
    U = np.array([w / np.sqrt(w @ w) for w in W2])
    return ((Z @ U - X) ** 2 / 2).sum() + abs(lam * Z).mean()


def dodged(X, Z, W2, lam):
    return ((X - Z @ W2) ** 2 / 2).sum() + lam * np.maximum(Z, -Z).sum()


def squares(X, Z, W2, lam):
    U = (W2.T / np.linalg.norm(W2, axis=1)).T
    return 0.5 * np.sum((Z @ U - X) ** 2) + lam * np.vdot(Z, Z)
