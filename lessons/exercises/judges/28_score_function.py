"""The judge of exercise 28: gradients of each log q alone, added up with f as numbers."""

import minigrad_ae as mg

FUNCTION = "surrogate"
HINTS = (
    "The derivative of a product has two terms.  Which of them is in the estimate?",
    "detach() gives a Tensor with the same numbers and without a past.",
)


def cases(rng):
    for N in (4, 1):
        yield rng.standard_normal(2), rng.standard_normal((N, 2))


def observe(surrogate, phi, z):
    """The gradient with respect to phi of what the answer returns."""
    phi = mg.tensor(phi, requires_grad=True)
    log_q = -0.5 * ((z - phi) ** 2).sum(axis=1)
    f = mg.tanh(z @ phi) + 2
    value = surrogate(f, log_q)
    if not isinstance(value, mg.Tensor) or value.ndim:
        return {"it is a Tensor without axes": False}
    if not value.requires_grad:
        return {"it has a graph": False}
    return {"the gradient": mg.grad(value, (phi,))[0]}


def right(f, log_q):
    return sum(float(a) * log_q[n] for n, a in enumerate(f.numpy())) / len(f.numpy())


def not_detached(f, log_q):
    """The gradient has a second term: f is differentiated as well.  In the estimate it is a number
    that multiplies the score."""
    return (f * log_q).mean()


def wrong_one_detached(f, log_q):
    """You differentiate f, with log q for a number: it is the other way round."""
    return (f * log_q.detach()).mean()


def f_alone(f, log_q):
    """You differentiate f at samples that stand still.  That the samples move with phi is in
    log q."""
    return f.mean()


def score_alone(f, log_q):
    """This is the mean score, which is 0 up to chance: f is not in it."""
    return log_q.mean()


def summed(f, log_q):
    """This is the sum over samples, and their mean is asked for."""
    return (f.detach() * log_q).sum()


def density(f, log_q):
    """You differentiate q itself.  Samples come from q already, and so its logarithm is
    differentiated."""
    return (f.detach() * mg.exp(log_q)).mean()


def negative(f, log_q):
    """The sign is wrong: nobody has said that f is to become smaller."""
    return -(f.detach() * log_q).mean()


def both_detached(f, log_q):
    """Nothing is left to differentiate: log q needs its graph."""
    return (f * log_q).mean().detach()


MISTAKES = (
    not_detached,
    wrong_one_detached,
    f_alone,
    score_alone,
    summed,
    density,
    negative,
    both_detached,
)
