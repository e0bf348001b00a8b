"""The slide's linear autoencoder: both gradients (lesson 2).

z = W1 x and y = W2 z, for data that are rows: Z = X W1^T, Y = Z W2^T, and
E = 1/2 sum over data and features of (y - x)^2.  X is (N, D), W1 is (M, D), W2 is (D, M).

Return the two gradients (dE/dW1, dE/dW2), each of the shape of its matrix.  Both lines at the end
are broken, each in its own way.
"""


def gradients(X, W1, W2):
    Z = X @ W1.T
    delta = Z @ W2.T - X
    dW2 = Z.T @ delta
    dW1 = Z.T @ X
    return dW1, dW2
