"""Units are independent under q and under p, so that their divergences add up."""

import numpy as np


def kl_divergence(mu, log_var):
    return 0.5 * np.sum(mu**2 + np.exp(log_var) - 1 - log_var, axis=1)
