"""The judge of exercise 15: the same steps with a gradient written by hand."""

import numpy as np

import minigrad_ae as mg

FUNCTION = "descend"
HINTS = (
    "Print a gradient before and after the second call of backward, at a step size of 0.",
    "backward adds to .grad: a Tensor that is used twice needs that.  What is in .grad when the "
    "second step begins?",
    "p.zero_grad() forgets it.  Of which parameters, and when?",
)


def cases(rng):
    for steps in (1, 4):
        yield rng.standard_normal((5, 3)), rng.standard_normal((3, 2)), steps


def observe(descend, X, W, steps):
    """E before each step, and where the parameters are at the end."""
    W, b = (mg.tensor(a, requires_grad=True) for a in (W, np.ones(2)))

    def E():
        return 0.5 * ((X @ W + b) ** 2).sum()

    E().backward()  # somebody has used them before
    values = descend(E, [W, b], 0.01, steps)
    return {"E before each step": values, "W at the end": W.data, "b at the end": b.data}


def _steps(E, parameters, eta, steps, forget=lambda k, parameters: parameters, after=False):
    values = []
    for k in range(steps):
        for p in forget(k, parameters):
            p.zero_grad()
        loss = E()
        loss.backward()
        values.append(loss.item())
        for p in parameters:
            p.data = p.data - eta * p.grad
        if after:
            values[-1] = E().item()
    return values


def right(E, parameters, eta, steps):
    values = []
    for _ in range(steps):
        loss = E()
        values.append(loss.item())
        for p, g in zip(parameters, mg.grad(loss, parameters), strict=True):
            p.data = p.data - eta * g
    return values


def accumulated(E, parameters, eta, steps):
    """Each step goes along the sum of all gradients so far, as if it had a memory that never
    fades: backward adds to .grad, and nobody forgets what was there."""
    return _steps(E, parameters, eta, steps, lambda k, parameters: [])


def forgotten_once(E, parameters, eta, steps):
    """The first step is right.  The later ones go along a sum of gradients, since backward adds to
    what the step before has left."""
    return _steps(E, parameters, eta, steps, lambda k, parameters: parameters if k == 0 else [])


def forgotten_too_late(E, parameters, eta, steps):
    """The later steps are right.  The first one goes along what somebody has left in .grad
    before you began."""
    return _steps(E, parameters, eta, steps, lambda k, parameters: parameters if k else [])


def last_only(E, parameters, eta, steps):
    """One parameter is right, the other keeps its old gradients: is your zero_grad inside of the
    loop over the parameters?"""
    return _steps(E, parameters, eta, steps, lambda k, parameters: parameters[-1:])


def uphill(E, parameters, eta, steps):
    """E rises: the gradient shows where E grows fastest."""
    return right(E, parameters, -eta, steps)


def after_the_step(E, parameters, eta, steps):
    """The steps are right.  The values are those of E after each step: the ones before are asked
    for."""
    return _steps(E, parameters, eta, steps, after=True)


MISTAKES = (
    accumulated,
    forgotten_once,
    forgotten_too_late,
    last_only,
    uphill,
    after_the_step,
)
