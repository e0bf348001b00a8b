"""beta is the weight of a KL that is a sum over units."""

import numpy as np


def loss(x, y, mu, log_var, beta):
    error = 0.5 * ((y - x) ** 2).sum(axis=1)
    kl = 0.5 * (mu**2 + np.exp(log_var) - 1 - log_var).sum(axis=1)
    return (error + beta * kl).mean()
