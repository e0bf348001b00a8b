"""Adam's step (lessons 2 and 4).

m and v are running means of the gradient and of its square, entry by entry; both start at 0, which
makes them too small at first, and step number t = 1, 2, ... says by how much (Kingma & Ba 2015,
Algorithm 1).  From the weights w, the gradient g, m, v and t return the new (w, m, v).
"""

import numpy as np  # noqa: F401


def adam(w, g, m, v, t, eta=0.001, beta1=0.9, beta2=0.999, eps=1e-8):
    raise NotImplementedError("return the new weights, and both running means")
