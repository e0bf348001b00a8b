"""Outputs in a column, targets in a row, and no error (lesson 3).

A network with one output gives y of shape (n, 1), a Tensor.  The targets t are an array of shape
(n,).  Return E = 1/2 sum over data of (y - t)^2, a Tensor without axes.

The lines below train, and every output ends at the mean of the targets.  Repair them.
"""


def loss(y, t):
    return 0.5 * ((y - t) ** 2).sum()
