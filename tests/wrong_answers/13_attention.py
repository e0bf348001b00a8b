"""Second spellings for exercise 13: the Jacobian of softmax, row by row."""

import numpy as np


def _by_jacobian(g, q, k, v, jacobian):
    d = q.shape[1]
    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for i, query in enumerate(q):
        p = np.exp(k @ query / d**0.5)
        p /= p.sum()
        dv += np.outer(p, g[i])
        ds = jacobian(p) @ (v @ g[i]) / d**0.5
        dq[i] = ds @ k
        dk += np.outer(ds, query)
    return dq, dk, dv


def right(g, q, k, v):
    return _by_jacobian(g, q, k, v, lambda p: np.diag(p) - np.outer(p, p))


def one_by_one(g, q, k, v):
    return _by_jacobian(g, q, k, v, lambda p: np.diag(p - p**2))


def no_normaliser(g, q, k, v):
    return _by_jacobian(g, q, k, v, np.diag)


def not_scaled(g, q, k, v):
    dq, dk, dv = right(g, q, k, v)
    return dq * q.shape[1] ** 0.5, dk * q.shape[1] ** 0.5, dv
