"""log N(x | y, 1) is a sum over features, with 1/2 in front and a constant for each."""

import numpy as np

import minigrad_ae as mg


def bound(X, eps, encode, decode):
    mu, log_var = encode(mg.tensor(X))
    z = mu + mg.exp(log_var / 2) * eps
    y = decode(z)
    kl = 0.5 * (mu**2 + mg.exp(log_var) - 1 - log_var).sum(axis=1)
    log_likelihood = -0.5 * ((y - X) ** 2 + np.log(2 * np.pi)).sum(axis=1)
    return (log_likelihood - kl).sum()
