"""The judge of exercise 19: E and its gradient, written with a product of two vectors."""

import minigrad_ae as mg

FUNCTION = "loss"
HINTS = (
    "Print the shape of y - t.",
    "NumPy compares shapes from the right and puts missing axes in front.  What becomes of (n, 1) "
    "and (n,)?",
    "Give both the same shape before you subtract.",
)


def cases(rng):
    for n in (4, 3, 1):
        yield rng.standard_normal((n, 1)), rng.standard_normal(n)


def observe(loss, y, t):
    """E, and its gradient with respect to y."""
    y = mg.tensor(y, requires_grad=True)
    E = loss(y, t)
    if not isinstance(E, mg.Tensor) or E.ndim or not E.requires_grad:
        return {"E is a Tensor without axes, with a graph": False}
    return {"E": E.item(), "its gradient": mg.grad(E, (y,))[0]}


def _differences(y, t):
    return y.reshape(-1) - t


def right(y, t):
    d = _differences(y, t)
    return 0.5 * (d @ d)


def all_pairs(y, t):
    """(n, 1) and (n,) are both stretched, to (n, n): each output is compared with every target, and
    the best answer to all targets is their mean."""
    return 0.5 * mg.square(y - t).sum()


def mean_of_all_pairs(y, t):
    """A mean hides the number of terms, and not what they are: the table is still (n, n), each
    output beside every target."""
    return 0.5 * mg.square(y - t).mean()


def averaged(y, t):
    """Each output meets its own target now.  E is a sum over data, and you take a mean."""
    d = _differences(y, t)
    return 0.5 * (d @ d) / len(t)


def without_half(y, t):
    """Each output meets its own target now.  The factor in front of the sum is missing."""
    d = _differences(y, t)
    return d @ d


def squared_sum(y, t):
    """You square the sum of the differences: they may cancel each other."""
    return 0.5 * _differences(y, t).sum() ** 2


MISTAKES = (all_pairs, mean_of_all_pairs, averaged, without_half, squared_sum)
