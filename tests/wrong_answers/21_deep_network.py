"""Second spellings for exercise 21."""

import numpy as np


def run(X, layers, activations):
    for (W, b), activation in zip(layers, activations, strict=True):
        X = activation(X @ W + b)
    return X


def straight(a):
    return a


def right(X, layers):
    return run(X, layers, (np.tanh, straight, np.tanh, straight))


def as_given(X, layers):
    return run(X, layers, (np.tanh, np.tanh, straight, straight))


def squeezed_code(X, layers):
    return run(X, layers, (np.tanh, np.tanh, np.tanh, straight))


def one_squeezed(X, layers):
    return run(X, layers, [np.tanh] * 4)
