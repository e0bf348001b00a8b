"""Start weights: units that can become different (lessons 3 and 4).

Return weights (n_in, n_out) for a layer x W, drawn by `rng`, a np.random.Generator: independent
numbers with mean 0, and so large that an output varies as much as an input does.  That is: if the
n_in entries of x are independent, with mean 0 and variance 1, then so has each entry of x W the
variance 1.

A network that starts at the weights below trains, and whatever n_out is, it is as good as with one
single unit.  Repair them.
"""

import numpy as np


def start_weights(n_in, n_out, rng):
    return np.full((n_in, n_out), 1 / n_in)
