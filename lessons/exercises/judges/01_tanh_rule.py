"""The judge of exercise 1: a complex step of tanh says what is right."""

import numpy as np

FUNCTION = "tanh_rule"
HINTS = (
    "By the chain rule each entry of g is multiplied by the slope of tanh at that entry.",
    "tanh = sinh / cosh.  Its derivative by the quotient rule, with cosh^2 - sinh^2 = 1, can be "
    "written in tanh itself.",
    "Two entries to compare with: at y = 0 the slope is 1, and towards y = 1 it goes to 0.",
)


def cases(rng):
    for shape in ((), (3,), (2, 4)):
        yield rng.standard_normal(shape), np.tanh(rng.standard_normal(shape))


def right(g, y):
    step = 1e-30
    return g * np.tanh(np.arctanh(y) + 1j * step).imag / step


def not_squared(g, y):
    """Look at the slope at y = -1/2 and at y = 1/2: tanh is as steep on either side of 0.  In your
    rule it is not, since y enters it without its square."""
    return g * (1 - y)


def sign(g, y):
    """Your slope grows with |y|.  tanh is steepest at 0 and flat far from it: there is a wrong sign
    in it."""
    return g * (1 + y * y)


def without_g(g, y):
    """This is the slope of tanh alone.  A rule passes on what comes in: where is g?"""
    return 1 - y * y


def brackets(g, y):
    """g multiplies only a part of your slope: Python multiplies before it subtracts."""
    return g * 1 - y * y


def tanh_twice(g, y):
    """You take tanh of something that is already tanh x: y is the result, not the input."""
    return g * (1 - np.tanh(y) ** 2)


def negative(g, y):
    """Each entry has the wrong sign: tanh rises everywhere, so its slope is positive."""
    return -g * (1 - y * y)


MISTAKES = (not_squared, sign, without_g, brackets, tanh_twice, negative)
