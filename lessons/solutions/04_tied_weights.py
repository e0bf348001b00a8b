"""W receives a contribution from each of its uses, and they are added."""

import numpy as np


def gradient(X, W):
    h = np.tanh(X @ W)
    delta = h @ W.T - X
    from_decoder = delta.T @ h
    from_encoder = X.T @ (delta @ W * (1 - h * h))
    return from_decoder + from_encoder
