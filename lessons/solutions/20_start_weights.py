"""n_in terms add up to a variance of n_in times that of a weight."""

import numpy as np


def start_weights(n_in, n_out, rng):
    return rng.normal(0, 1 / np.sqrt(n_in), (n_in, n_out))
