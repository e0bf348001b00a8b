"""A linear layer: what input, weights and bias receive (lesson 1).

y = x W + b for data that are rows: x is (N, D), W is (D, M), b is (M,), and NumPy stretches b to
all rows.  The walk back arrives with g, the gradient with respect to y, of shape (N, M).

Return the three gradients (dE/dx, dE/dW, dE/db), each of the shape of its array.
"""

import numpy as np  # noqa: F401


def linear_backward(g, x, W):
    raise NotImplementedError("return what x, W and b receive")
