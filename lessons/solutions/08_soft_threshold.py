"""Where z is not 0 its slope is z - a + lam sign z = 0; where |a| <= lam there is no such z."""

import numpy as np


def soft_threshold(a, lam):
    return np.sign(a) * np.maximum(np.abs(a) - lam, 0)
