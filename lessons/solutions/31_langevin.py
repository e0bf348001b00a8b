"""The noise has the variance 2 h."""

import numpy as np


def langevin_step(x, score, h, rng):
    return x + h * score(x) + np.sqrt(2 * h) * rng.standard_normal(x.shape)
