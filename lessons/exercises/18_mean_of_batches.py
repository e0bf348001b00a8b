"""The mean over all data, batch by batch (lessons 2 and 4).

`E(rows)` is the mean of the loss over the rows that it is given.  Data that do not fit into memory
are given in batches of `size` rows; the last one may be smaller.  Return the mean over all rows of
X, the number that E(X) would be.

The lines below have been used for years, on data whose number of rows is a multiple of 100.
Repair them.
"""

import numpy as np


def mean_loss(E, X, size):
    losses = [E(X[start : start + size]) for start in range(0, len(X), size)]
    return np.mean(losses)
