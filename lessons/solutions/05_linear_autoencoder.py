"""dE/dW2 = (y - x)^T z and dE/dW1 = ((y - x) W2)^T x, rows of data summed."""


def gradients(X, W1, W2):
    Z = X @ W1.T
    delta = Z @ W2.T - X
    dW2 = delta.T @ Z
    dW1 = (delta @ W2).T @ X
    return dW1, dW2
