"""The judge of exercise 21: the layers one by one, with the bends where they belong."""

import numpy as np

FUNCTION = "network"
HINTS = (
    "F1 is layers 1 and 2, F2 is layers 3 and 4.  Which of them can bend in the code below?",
    "Two linear layers in a row are one linear layer: (z A) B = z (A B).",
    "A code with tanh lies between -1 and 1; the slide's need not.",
)


def cases(rng):
    for N, D, H, M in ((4, 3, 5, 2), (2, 2, 2, 1), (1, 2, 2, 2)):
        sizes = ((D, H), (H, M), (M, H), (H, D))
        layers = [(rng.standard_normal(s), rng.standard_normal(s[1])) for s in sizes]
        yield rng.standard_normal((N, D)), layers


def observe(network, X, layers):
    return {"the output": network(X, layers)}


def _network(X, layers, bends, offsets=True):
    for number, (W, b) in enumerate(layers, 1):
        X = np.einsum("nd,dm->nm", X, W) + (b if offsets else 0)
        X = np.sinh(X) / np.cosh(X) if number in bends else X
    return X


def right(X, layers):
    return _network(X, layers, {1, 3})


def as_given(X, layers):
    """The bends are at the wrong places.  F2 is linear, so its outputs lie on a line or a plane,
    however well F1 bends; and the code is squeezed between -1 and 1."""
    return _network(X, layers, {1, 2})


def squeezed_code(X, layers):
    """F2 bends now.  The code is linear on the slide, and yours lies between -1 and 1."""
    return _network(X, layers, {1, 2, 3})


def straight_back(X, layers):
    """The code is linear now.  So is F2: two linear layers in a row are one, and the outputs lie on
    a line or a plane."""
    return _network(X, layers, {1})


def straight_in(X, layers):
    """F1 is linear: what it does to X, PCA could do as well."""
    return _network(X, layers, {3})


def squeezed_output(X, layers):
    """The output is between -1 and 1.  Data may be larger: the last layer is linear."""
    return _network(X, layers, {1, 3, 4})


def one_squeezed(X, layers):
    """Every layer has its tanh now: the code and the output are linear on the slide."""
    return _network(X, layers, {1, 2, 3, 4})


def without_offsets(X, layers):
    """The bends are where they belong.  A layer has an offset, too."""
    return _network(X, layers, {1, 3}, offsets=False)


MISTAKES = (
    as_given,
    squeezed_code,
    straight_back,
    straight_in,
    squeezed_output,
    one_squeezed,
    without_offsets,
)
