"""A beta that is never used (lesson 10).

The loss of a beta-VAE with unit variance at the output: for each row

    1/2 sum over features of (y - x)^2  +  beta KL( N(mu, sigma^2) || N(0, 1) )

with the KL as a sum over units (exercise 10), and log_var = log sigma^2; then the mean over rows.
x and y are (N, D), mu and log_var are (N, M).  Return it.

The lines below train, print beta, and find the same units for each beta.  Repair them.
"""

import numpy as np


def loss(x, y, mu, log_var, beta):
    error = 0.5 * ((y - x) ** 2).sum(axis=1)
    kl = 0.5 * (mu**2 + np.exp(log_var) - 1 - log_var).mean(axis=1)
    return (error + kl).mean()
