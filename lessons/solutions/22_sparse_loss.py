"""Both terms are sums, and the rows of U have length 1."""

import numpy as np


def objective(X, Z, W2, lam):
    U = W2 / np.linalg.norm(W2, axis=1, keepdims=True)
    return 0.5 * np.sum((Z @ U - X) ** 2) + lam * np.sum(np.abs(Z))
