"""The judge of exercise 8: a convex function of one number, minimised by halving an interval."""

import numpy as np

FUNCTION = "soft_threshold"
HINTS = (
    "Draw it for a = 3, lam = 1, then for a = 0.5: a parabola plus a roof turned upside down.",
    "Suppose that the minimum is at a positive z, and set the slope to 0.  For which a is that z "
    "really positive?  Then the same for a negative z.",
    "What is left where neither holds?",
)


def cases(rng):
    yield np.array([3.0, 0.5, -3.0, -0.5, 0.0, 1.0, -1.0, 1.5]), 1.0
    yield 2 * rng.standard_normal((3, 4)), 0.3
    yield rng.standard_normal(3), 0.0


def right(a, lam):
    low, high = np.minimum(a, 0.0), np.maximum(a, 0.0)
    for _ in range(60):
        z = (low + high) / 2
        rising = z - a + lam * np.where(z == 0, np.sign(a), np.sign(z)) > 0
        low, high = np.where(rising, low, z), np.where(rising, z, high)
    return (low + high) / 2


def hard(a, lam):
    """Small entries become 0, as they should; but the large ones stay as they were.  The penalty
    pulls at each entry that is not 0, however large it is."""
    return np.where(np.abs(a) > lam, a, 0.0)


def sign_lost(a, lam):
    """Negative entries come out wrong: the penalty moves both signs towards 0, and neither changes
    its sign on the way."""
    return np.maximum(np.abs(a) - lam, 0)


def positive_only(a, lam):
    """All negative entries become 0: |z| allows a negative z."""
    return np.maximum(a - lam, 0)


def overshoot(a, lam):
    """Large entries are right.  Small ones overshoot: they cross 0 and come out on the other side,
    where the penalty would pull them back."""
    return a - lam * np.sign(a)


def outward(a, lam):
    """Entries move away from 0, where the penalty is larger."""
    return a + lam * np.sign(a)


def half(a, lam):
    """Your threshold is half as large as it should be: the square has 1/2 in front."""
    return np.sign(a) * np.maximum(np.abs(a) - lam / 2, 0)


MISTAKES = (hard, sign_lost, positive_only, overshoot, outward, half)
