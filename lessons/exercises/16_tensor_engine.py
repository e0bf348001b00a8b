"""From nothing, 2: tensors, on your own exercises 2 and 3 (lesson 1).

Exercise 6 was an engine for numbers.  Now write one for arrays, in some fifty lines.  `Tensor(x)`
keeps the array `.data`; `a + b`, `a * b` (entry by entry, stretched as NumPy does, also with plain
numbers and arrays on the right), `a @ b` (matrices) and `a.sum()` (all entries) are new Tensors.
`y.backward()`, of a y without axes, sets `.grad` of every Tensor that y was computed from, in the
shape of its `.data`.

`unbroadcast` and `order` are read from your own files in this folder.  `order` needs `.parents`.
"""

import numpy as np

from minigrad_ae.teaching.exercises import mine

unbroadcast = mine("02_unbroadcast", __file__).unbroadcast
order = mine("03_topological_order", __file__).order


class Tensor:
    def __init__(self, data):
        self.data = np.asarray(data, dtype=float)
        self.grad = np.zeros(self.data.shape)
        self.parents = ()

    def __add__(self, other):
        raise NotImplementedError("a Tensor that remembers self and other")

    def __mul__(self, other):
        raise NotImplementedError("a Tensor that remembers self and other")

    def __matmul__(self, other):
        raise NotImplementedError("a Tensor that remembers both matrices")

    def sum(self):
        raise NotImplementedError("a Tensor without axes that remembers self")

    def backward(self):
        raise NotImplementedError("walk back from here, in the order of exercise 3")
