"""Un-broadcasting: a gradient in the shape of what was stretched (lesson 1).

In x @ W + b, NumPy stretches b of shape (M,) to the N rows of x @ W, and the walk back arrives with
g of shape (N, M).  What b receives must have the shape of b.  Write it for every shape that NumPy
can stretch to that of g: axes may be missing in front, as those of b are, and axes of length 1 may
have become longer, as in (3, 1) -> (3, 4).

    unbroadcast(np.ones((2, 3)), (3,))    has shape (3,)
    unbroadcast(np.ones((2, 3)), (2, 1))  has shape (2, 1)
"""

import numpy as np  # noqa: F401


def unbroadcast(g, shape):
    raise NotImplementedError("return what an array of this shape receives")
