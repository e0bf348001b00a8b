"""The judge of exercise 2: <g, stretched x> is linear in x, and its slopes are what x receives."""

import numpy as np

FUNCTION = "unbroadcast"
HINTS = (
    "One entry of b is used in all N rows.  Where a number is used several times, the "
    "contributions of its uses are added.",
    "First deal with the axes that were put in front: how many are there?  Then with axes that "
    "have length 1 in `shape` and more in g.",
    "np.sum has an argument that keeps an axis, with length 1.",
)


def cases(rng):
    stretched = [((4, 3), (3,)), ((2, 4), (2, 1)), ((4, 2, 3), (2, 3)), ((4, 2, 3), (2, 1))]
    for long, short in [*stretched, ((3, 2), (3, 2)), ((2, 3), ()), ((4, 2, 3), (1, 1, 3))]:
        yield rng.standard_normal(long), short


def right(g, shape):
    units = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    slopes = [np.vdot(g, np.broadcast_to(unit, g.shape)) for unit in units]
    return np.array(slopes).reshape(shape)


def _reduced(g, shape, reduce):
    in_front = g.ndim - len(shape)
    g = reduce(g, axis=tuple(range(in_front)))
    ones = tuple(k for k, n in enumerate(shape) if n == 1 and g.shape[k] > 1)
    return reduce(g, axis=ones, keepdims=True)


def mean(g, shape):
    """You average over the stretched axes.  Each copy of an entry acts on the loss by itself, and
    more copies act more: their contributions are not averaged."""
    return _reduced(g, shape, np.mean)


def one_copy(g, shape):
    """You pass on the gradient of one copy, and drop those of the others."""
    index = (0,) * (g.ndim - len(shape))
    return g[index + tuple(slice(0, n) for n in shape)]


def front_only(g, shape):
    """The axes in front are right.  An axis of length 1 may have been stretched too: your result
    still has its full length there."""
    return g.sum(axis=tuple(range(g.ndim - len(shape))))


def unchanged(g, shape):
    """You pass on g as it is, copy by copy.  What is received must have the shape of what was
    stretched."""
    return g


def first_axis(g, shape):
    """You add up the rows, whatever the shapes are: right for b, whose copies are the rows.
    Compare `shape` with that of g, axis by axis from the last: which axes were stretched?"""
    return g.sum(axis=0)


def everything(g, shape):
    """You add up all entries of g.  Entries of x that are different receive different sums: only
    the copies of one entry belong together."""
    return np.full(shape, g.sum())


MISTAKES = (mean, one_copy, front_only, unchanged, first_axis, everything)
