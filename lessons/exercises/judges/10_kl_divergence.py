"""The judge of exercise 10: the integral of q log (q / p), by Gauss-Hermite quadrature."""

import numpy as np

FUNCTION = "kl_divergence"
HINTS = (
    "KL(q || p) is the mean under q of log q(z) - log p(z).  Begin with one unit.",
    "log q(z) = -1/2 log (2 pi sigma^2) - (z - mu)^2 / (2 sigma^2).  The mean of (z - mu)^2 under "
    "q is sigma^2; that of z^2 is what?",
    "It is 0 for mu = 0, sigma = 1, and above 0 everywhere else.",
)


def cases(rng):
    for N, M in ((3, 2), (2, 4), (1, 1)):
        yield rng.standard_normal((N, M)), rng.standard_normal((N, M))


def right(mu, log_var):
    # exact: the integrand is a polynomial of degree 2 in z
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    z = mu[..., None] + np.exp(log_var / 2)[..., None] * nodes
    log_ratio = 0.5 * (z**2 - nodes**2 - log_var[..., None])
    return (log_ratio @ weights / np.sqrt(2 * np.pi)).sum(axis=1)


def _kl(mu, log_var):
    return (mu**2 + np.exp(log_var) - 1 - log_var) / 2


def reversed_kl(mu, log_var):
    """This is KL(p || q).  The order matters: the mean is taken under the first of the two."""
    return ((1 + mu**2) / np.exp(log_var) - 1 + log_var).sum(axis=1) / 2


def as_log_sigma(mu, log_var):
    """You take log_var for log sigma.  It is the logarithm of the variance, sigma squared."""
    return _kl(mu, 2 * log_var).sum(axis=1)


def as_sigma(mu, log_var):
    """You take log_var for the variance itself: it is its logarithm, and may be negative."""
    with np.errstate(invalid="ignore"):
        return ((mu**2 + log_var - 1 - np.log(log_var)) / 2).sum(axis=1)


def mean_over_units(mu, log_var):
    """You average over the units of the code.  The units are independent, so that log q and log p
    are sums over units."""
    return _kl(mu, log_var).mean(axis=1)


def over_rows(mu, log_var):
    """You sum over the rows too, or over them in place of the units: each row has a KL of its
    own."""
    return _kl(mu, log_var).sum(axis=0)


def all_of_them(mu, log_var):
    """This is the sum over all rows: each row has a KL of its own."""
    return _kl(mu, log_var).sum()


def negative(mu, log_var):
    """It is negative, which no KL divergence is: this is the term with the sign that it has in the
    ELBO."""
    return -_kl(mu, log_var).sum(axis=1)


def without_half(mu, log_var):
    """It is twice too large: the density of a Gaussian has a 1/2 in its exponent."""
    return 2 * _kl(mu, log_var).sum(axis=1)


MISTAKES = (
    reversed_kl,
    as_log_sigma,
    as_sigma,
    mean_over_units,
    over_rows,
    all_of_them,
    negative,
    without_half,
)
