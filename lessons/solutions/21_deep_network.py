"""tanh after layers 1 and 3."""

import numpy as np


def network(X, layers):
    (W1, b1), (W2, b2), (W3, b3), (W4, b4) = layers
    z = np.tanh(X @ W1 + b1) @ W2 + b2
    return np.tanh(z @ W3 + b3) @ W4 + b4
