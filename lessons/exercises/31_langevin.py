"""Langevin's step: half of the noise (lesson 11).

x (n, D) are n chains, and score(x) is the gradient of log p(x), of the same shape.  A step of size
h goes along the score, and adds noise, in every entry of every chain another number of `rng`:

    x  <-  x + h score(x) + sqrt(2 h) noise,     noise of mean 0 and variance 1

Many small steps end at samples of p.  Return the new x.  The chains below settle, and their
histogram looks like data: it is too narrow.  Repair them.
"""

import numpy as np


def langevin_step(x, score, h, rng):
    return x + h * score(x) + np.sqrt(h) * rng.standard_normal(x.shape)
