"""The judge of exercise 14: the engine differentiates the layer."""

import numpy as np

import minigrad_ae as mg

FUNCTION = "linear_backward"
HINTS = (
    "One row at a time: y_j = sum_i x_i W_ij + b_j.  How much does y_j change with x_i, with W_ij, "
    "with b_j?",
    "All rows use the same W and the same b.  What is done with the contributions of the rows?",
    "Shapes leave little choice: g is (N, M), x is (N, D), W is (D, M), and the results have the "
    "shapes of x, W and b.",
)


def cases(rng):
    for N, D, M in ((5, 3, 3), (4, 4, 2), (1, 3, 2), (3, 3, 3)):
        yield rng.standard_normal((N, M)), rng.standard_normal((N, D)), rng.standard_normal((D, M))


def right(g, x, W):
    leaves = [mg.tensor(a, requires_grad=True) for a in (x, W, np.zeros(W.shape[1]))]
    x, W, b = leaves
    return mg.grad(x @ W + b, leaves, gradient=g)


def _with(dx=None, dW=None, db=None):
    """A wrong answer: right but for the parts that are given as functions of (g, x, W)."""

    def answer(g, x, W):
        parts = zip((dx, dW, db), right(g, x, W), strict=True)
        return tuple(part(g, x, W) if part else value for part, value in parts)

    return answer


def transposed(g, x, W):
    """x and b are right.  dE/dW is transposed: the entry in row i and column j belongs to input i
    and output j."""
    return _with(dW=lambda g, x, W: g.T @ x)(g, x, W)


def not_sent_back(g, x, W):
    """W and b are right.  For x you go through the layer forward once more.  y_j has used x_i with
    the weight W_ij: what comes back to x_i is a sum over outputs j."""
    return _with(dx=lambda g, x, W: g @ W)(g, x, W)


def not_summed(g, x, W):
    """x and W are right.  What b receives has a row for each datum: all rows have used one and the
    same b."""
    return _with(db=lambda g, x, W: g)(g, x, W)


def averaged_bias(g, x, W):
    """x and W are right.  For b you average over the rows.  Each row acts on the loss by itself,
    and twice as many rows act twice as much."""
    return _with(db=lambda g, x, W: g.mean(axis=0))(g, x, W)


def averaged(g, x, W):
    """You divide by the number of rows.  Whether E is a mean over data is known to g already; the
    layer only passes on."""
    mean = _with(dW=lambda g, x, W: x.T @ g / len(g), db=lambda g, x, W: g.mean(axis=0))
    return mean(g, x, W)


def row_kept(g, x, W):
    """The numbers are right.  b has no axis of rows, and its gradient has one of length 1."""
    return _with(db=lambda g, x, W: g.sum(axis=0, keepdims=True))(g, x, W)


MISTAKES = (transposed, not_sent_back, not_summed, averaged_bias, averaged, row_kept)
