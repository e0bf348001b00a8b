"""Second spellings for exercise 4."""

import numpy as np

import minigrad_ae as mg


def right(X, W):
    W = mg.tensor(W, requires_grad=True)
    (0.5 * ((mg.tanh(X @ W) @ W.T - X) ** 2).sum()).backward()
    return W.grad


def decoder_only(X, W):
    h = np.tanh(X @ W)
    return np.einsum("nd,nm->dm", h @ W.T - X, h)


def without_slope(X, W):
    h = np.tanh(X @ W)
    delta = h @ W.T - X
    return (h.T @ delta).T + (W.T @ delta.T @ X).T


def averaged(X, W):
    return np.mean([right(x[None], W) for x in X], axis=0)
