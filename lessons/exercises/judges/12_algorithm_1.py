"""The judge of exercise 12: the same bound from other parts, and its derivative by the engine."""

import numpy as np

import minigrad_ae as mg

FUNCTION = "bound"
HINTS = (
    "Write down the density of N(x | y, 1) for a vector x of D features, and take its logarithm.",
    "What multiplies the square?  Are features added or averaged?  What is left if x = y?",
    "The KL is right as it stands; so is z.",
)


def cases(rng):
    for N, D, M in ((4, 3, 2), (2, 5, 1)):
        shapes = (N, D), (N, M), (D, M), (M, D)
        yield tuple(rng.standard_normal(shape) for shape in shapes)


def network(W, V, scale):
    """An encoder and a decoder, for arrays and Tensors."""

    def encode(x):
        h = x @ W
        return h * scale, h * 0.3 - 0.5

    def decode(z):
        return z @ V * scale

    return encode, decode


def observe(bound, X, eps, W, V):
    """The bound, and its derivative with respect to a factor in both networks."""
    scale = mg.tensor(0.9, requires_grad=True)
    value = bound(X, eps, *network(W, V, scale))
    if not isinstance(value, mg.Tensor) or value.ndim or not value.requires_grad:
        return {"it is a Tensor of one number, with a graph": False}
    (slope,) = mg.grad(value, (scale,))
    return {"the bound": value.item(), "its derivative": slope}


class Terms:
    """The parts of the bound, from which the wrong ones are made as well."""

    def __init__(self, X, eps, encode, decode, sigma=lambda log_var: mg.exp(log_var / 2)):
        mu, log_var = encode(mg.tensor(X))
        y = decode(mu + sigma(log_var) * eps)
        self.kl = 0.5 * (mg.square(mu) + mg.exp(log_var) - log_var).sum() - mu.size / 2
        self.squares = mg.square(y - X).sum()
        self.constant = X.size * np.log(2 * np.pi) / 2
        self.N, self.D = X.shape


def right(*case):
    t = Terms(*case)
    return -t.squares / 2 - t.constant - t.kl


def as_given(*case):
    """log N(x | y, 1) is wrong in three places: features are averaged, and they are independent;
    the square stands there without its factor; and the constant is missing."""
    t = Terms(*case)
    return -t.squares / t.D - t.kl


def averaged(*case):
    """You average over features in log N(x | y, 1).  They are independent given z, so log densities
    are added; averaged, they leave the KL too strong by a factor of D."""
    t = Terms(*case)
    return -t.squares / 2 / t.D - t.constant / t.D - t.kl


def without_constant(*case):
    """The gradient is right.  The bound itself is not: a Gaussian density is 1 / sqrt(2 pi) at its
    top, for each feature."""
    t = Terms(*case)
    return -t.squares / 2 - t.kl


def without_half(*case):
    """The square in log N(x | y, 1) has the wrong factor: that is a Gaussian of another
    variance."""
    t = Terms(*case)
    return -t.squares - t.constant - t.kl


def kl_added(*case):
    """The KL has the wrong sign: it is what the bound loses, not what it gains."""
    t = Terms(*case)
    return -t.squares / 2 - t.constant + t.kl


def minimised(*case):
    """This is the loss, minus the bound.  The bound itself is asked for."""
    return -right(*case)


def mean_over_data(*case):
    """You average over data: the sum is asked for."""
    return right(*case) / Terms(*case).N


MISTAKES = (
    as_given,
    averaged,
    without_constant,
    without_half,
    kl_added,
    minimised,
    mean_over_data,
)
