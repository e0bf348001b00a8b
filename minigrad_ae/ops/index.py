"""Picking elements, and its opposite: adding into places."""

import numpy as np

from ..op import op
from .helpers import repeats

getitem = op("getitem", "y = x[index]", forward="x[index]", params="index", x="index_add(g, index, x.shape)",
             why="an element that was picked k times receives k contributions; one that was not, zero")  # fmt: skip


def _index_add(x, index, shape):
    y = np.zeros(shape, x.dtype)
    if repeats(index):
        np.add.at(y, index, x)  # unlike y[index] += x, this adds repeated indices up
    else:
        y[index] = x
    return y


index_add = op("index_add", "y = 0; y[index] += x", forward=_index_add, x="getitem(g, index)",
               why="each x is added into one place, with slope 1")  # fmt: skip
