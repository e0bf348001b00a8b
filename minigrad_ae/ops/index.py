"""Picking elements, and its opposite: adding into places."""

import numpy as np

from ..errors import DtypeError, plain
from ..autodiff.graph import Value
from ..autodiff.operation import op
from .calculus import BASIC, repeats

getitem = op("getitem", "y = x[index]", forward="x[index]", params="index", x="index_add(g, index, x.shape)",
             why="an element that was picked k times receives k contributions; one that was not, zero")  # fmt: skip


def settled(index):
    """The index as the graph keeps it: sequences become arrays and arrays are copied, so that nobody changes it later."""
    return tuple(_part(p) for p in index) if isinstance(index, tuple) else _part(index)


def _part(p):
    if isinstance(p, BASIC) or np.isscalar(p):
        return p
    if isinstance(p, Value):
        raise DtypeError(
            "a tensor cannot be an index", f"got a tensor of shape {p._data.shape}, dtype {p._data.dtype}",
            "use an array of whole numbers or booleans: x[t.data.astype(int)], or x[t.data > 0]",
        )  # fmt: skip
    array = np.array(plain(p, "the index"))
    return array if array.size or isinstance(p, np.ndarray) else array.astype(np.intp)  # [] is an index without elements


def _index_add(x, index, shape):
    y = np.zeros(shape, x.dtype)
    if repeats(index):
        np.add.at(y, index, x)  # unlike y[index] += x, this adds repeated indices up
    else:
        y[index] = x
    return y


index_add = op("index_add", "y = 0; y[index] += x", forward=_index_add, x="getitem(g, index)",
               why="each x is added into one place, with slope 1")  # fmt: skip
