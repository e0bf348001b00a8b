"""Second spellings for exercise 1."""

import numpy as np


def right(g, y):
    return g / np.cosh(np.arctanh(y)) ** 2


def not_squared(g, y):
    return g - y * g


def sign(g, y):
    return g + np.square(y) * g


def without_g(g, y):
    return (1 + y) * (1 - y)


def brackets(g, y):
    return -(y**2) + g
