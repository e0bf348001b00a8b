"""Second spellings for exercise 5."""

import numpy as np


def right(X, W1, W2):
    C, P = X.T @ X, W2 @ W1 - np.eye(X.shape[1])
    return W2.T @ P @ C, P @ C @ W1.T


def sign(X, W1, W2):
    error = X - X @ (W2 @ W1).T
    return W2.T @ error.T @ X, error.T @ X @ W1.T


def second_transposed(X, W1, W2):
    dW1, dW2 = right(X, W1, W2)
    return dW1, np.transpose(dW2)


def twice(X, W1, W2):
    return tuple(part + part for part in right(X, W1, W2))
