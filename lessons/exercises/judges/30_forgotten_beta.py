"""The judge of exercise 30: KL by quadrature, and sums one after the other."""

import numpy as np

FUNCTION = "loss"
HINTS = (
    "Where does beta occur in the lines below?",
    "Units are independent given x: are their KL divergences added or averaged?",
)


def cases(rng):
    for N, D, M, beta in ((3, 4, 2, 0.3), (2, 3, 4, 5.0), (1, 2, 2, 2.0)):
        yield *rng.standard_normal((2, N, D)), *rng.standard_normal((2, N, M)), beta


def _parts(x, y, mu, log_var):
    """The error and the KL, of each row."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    z = mu[..., None] + np.exp(log_var / 2)[..., None] * nodes
    log_ratio = 0.5 * (z**2 - nodes**2 - log_var[..., None])
    kl = (log_ratio @ weights / np.sqrt(2 * np.pi)).sum(axis=1)
    return np.einsum("nd,nd->n", y - x, y - x) / 2, kl


def right(x, y, mu, log_var, beta):
    error, kl = _parts(x, y, mu, log_var)
    return np.mean(error + beta * kl)


def as_given(x, y, mu, log_var, beta):
    """Two things are still wrong.  beta is not used; and the KL is a mean over units beside an
    error that is a sum over features, so it is too weak."""
    error, kl = _parts(x, y, mu, log_var)
    return np.mean(error + kl / mu.shape[1])


def forgotten(x, y, mu, log_var, beta):
    """The KL is a sum now.  beta is still not used: change it, and your loss stays as it is."""
    error, kl = _parts(x, y, mu, log_var)
    return np.mean(error + kl)


def mean_over_units(x, y, mu, log_var, beta):
    """beta is used now.  The KL is a mean over units beside an error that is a sum over features:
    with M units it is M times too weak."""
    error, kl = _parts(x, y, mu, log_var)
    return np.mean(error + beta * kl / mu.shape[1])


def on_the_error(x, y, mu, log_var, beta):
    """beta multiplies the wrong term: a large beta is to make the code cheaper, and not the
    pictures better."""
    error, kl = _parts(x, y, mu, log_var)
    return np.mean(beta * error + kl)


def on_both(x, y, mu, log_var, beta):
    """beta multiplies both terms: that is a factor of the whole loss, and changes no optimum."""
    error, kl = _parts(x, y, mu, log_var)
    return np.mean(beta * (error + kl))


def mean_over_features(x, y, mu, log_var, beta):
    """The error is a mean over features beside a KL that is a sum over units: the noise at the
    output is then far above 1, and units collapse."""
    error, kl = _parts(x, y, mu, log_var)
    return np.mean(error / x.shape[1] + beta * kl)


def summed(x, y, mu, log_var, beta):
    """This is the sum over rows, and their mean is asked for."""
    return len(x) * right(x, y, mu, log_var, beta)


def rewarded(x, y, mu, log_var, beta):
    """The KL has the wrong sign: a code that is far from the prior would be rewarded."""
    return right(x, y, mu, log_var, -beta)


MISTAKES = (
    as_given,
    forgotten,
    mean_over_units,
    on_the_error,
    on_both,
    mean_over_features,
    summed,
    rewarded,
)
