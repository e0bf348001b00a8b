"""The rule of tanh: what its input receives (lesson 1).

The operation has computed y = tanh x, entry by entry.  The walk back arrives with g, the gradient
of the loss with respect to y: an array of the shape of y.  Return the gradient with respect to x.
As in the engine, x itself has not been kept: write it with g and y alone.
"""


def tanh_rule(g, y):
    raise NotImplementedError("return the gradient that x receives, from g and y")
