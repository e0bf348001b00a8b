"""The judge of exercise 7: means written as the weighted sums that they are."""

import numpy as np

FUNCTION = "adam"
HINTS = (
    "A running mean keeps beta of what it was and takes in 1 - beta of what is new.",
    "After t steps with the same gradient g, m would be (1 - beta1**t) g: so how do you get g?  "
    "What you keep for the next step is m itself.",
    "The step is the corrected mean, over the square root of the corrected mean square.  eps keeps "
    "that from a division by 0.",
)
SETTINGS = {"eta": 0.1, "beta1": 0.8, "beta2": 0.9, "eps": 0.01}


def cases(rng):
    for t in (1, 2, 7):
        w, g, m, v = rng.standard_normal((4, 3))
        yield (w, g, m * (t > 1), v**2 * (t > 1), t, *SETTINGS.values())


def _step(w, g, m, v, t, eta, beta1, beta2, eps, **wrong):
    m = wrong.get("m", np.average([m, g], axis=0, weights=[beta1, 1 - beta1]))
    v = wrong.get("squares", np.average([v, g * g], axis=0, weights=[beta2, 1 - beta2]))
    share = wrong.get("share", lambda beta: (1 - beta) * sum(beta**k for k in range(t)))
    root = wrong.get("root", lambda v: np.sqrt(v) + eps)
    return w - wrong.get("sign", 1) * eta * (m / share(beta1)) / root(v / share(beta2)), m, v


def right(w, g, m, v, t, eta, beta1, beta2, eps):
    return _step(w, g, m, v, t, eta, beta1, beta2, eps)


def uncorrected(*case):
    """The means are right.  They start at 0 and are too small in the first steps: the correction
    that depends on t is missing."""
    return _step(*case, share=lambda beta: 1)


def counted_from_zero(*case):
    """The correction is by the wrong power: t is 1 at the first step, when each mean has taken in
    one gradient."""
    t = case[4]
    return _step(*case, share=lambda beta: 1 - beta ** (t + 1))


def eps_inside(*case):
    """eps is inside the square root.  There 1e-8 acts like 1e-4: it stands beside the root."""
    return _step(*case, root=lambda v: np.sqrt(v + case[8]))


def no_root(*case):
    """You divide by the mean square itself. Then a gradient ten times as large makes a step a
    tenth as long: the units of m and of what it is divided by differ."""
    return _step(*case, root=lambda v: v + case[8])


def square_of_the_mean(*case):
    """v is to be the running mean of the squares; you square the mean, whose signs have
    cancelled."""
    m, v, beta2 = case[2], case[3], case[7]
    mean = np.average([m, case[1]], axis=0, weights=[case[6], 1 - case[6]])
    return _step(*case, squares=beta2 * v + (1 - beta2) * mean**2)


def corrected_kept(*case):
    """The step is right.  But you return the corrected means: at the next step they would be
    corrected again."""
    w, m, v = _step(*case)
    t, beta1, beta2 = case[4], case[6], case[7]
    return w, m / (1 - beta1**t), v / (1 - beta2**t)


def uphill(*case):
    """The step goes up: descent is against the gradient."""
    return _step(*case, sign=-1)


MISTAKES = (
    uncorrected,
    counted_from_zero,
    eps_inside,
    no_root,
    square_of_the_mean,
    corrected_kept,
    uphill,
)
