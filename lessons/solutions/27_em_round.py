"""N C is what the means leave out, in the moments and in the noise."""

import numpy as np


def em_round(X, W, s2):
    N, D = X.shape
    G = W.T @ W + s2 * np.eye(W.shape[1])
    m = np.linalg.solve(G, W.T @ X.T).T
    C = s2 * np.linalg.inv(G)
    W = X.T @ m @ np.linalg.inv(m.T @ m + N * C)
    s2 = (np.sum((X - m @ W.T) ** 2) + N * np.sum((W @ C) * W)) / (N * D)
    return W, s2
