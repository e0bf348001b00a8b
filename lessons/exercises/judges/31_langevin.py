"""The judge of exercise 31: what holds of a step whatever numbers were drawn."""

import numpy as np

FUNCTION = "langevin_step"
HINTS = (
    "Let p be N(0, 1), so that the score is -x.  Which variance stays as it is under a step?",
    "x (1 - h) has the variance (1 - h)^2 v; how much must the noise add for small h, if v = 1 is "
    "to stay?",
)


def cases(rng):
    yield 3000, 2, 0.1
    yield 4000, 1, 0.02


def observe(langevin_step, n, D, h):
    """Facts; limits are five standard errors, and seeds are fixed."""
    start = 20 * np.random.default_rng(0).standard_normal((n, D))
    rng = np.random.default_rng(1)
    moved = np.asarray(langevin_step(start.copy(), lambda x: -x / 2, h, rng), dtype=float)
    facts = {"the list of lengths": np.array(moved.shape)}
    if moved.shape != start.shape:
        return facts
    slope = np.vdot(start, moved - start) / np.vdot(start, start)
    noise = moved - start - slope * start
    spread, error = noise.std(), 5 / np.sqrt(2 * n * D)
    allowed = 5 * max(spread, 1e-9) / (20 * np.sqrt(n * D))
    for factor, said in ((1, "h score"), (-1, "-h score"), (0.5, "h / 2 score"), (0, "0")):
        facts[f"the drift is {said}"] = abs(slope + factor * h / 2) < allowed
    facts["chains have noise of their own"] = len(np.unique(noise.round(9), axis=0)) == n
    if not facts["chains have noise of their own"]:
        facts["there is noise"] = noise.std() > 1e-9 or abs(noise).max() > 1e-9
        return facts
    for size, said in ((2 * h, "2 h"), (h, "h"), (4 * h * h, "(2 h)^2")):
        facts[f"the noise has the variance {said}"] = abs(spread / size**0.5 - 1) < error
    facts["the noise has mean 0"] = abs(noise.mean()) < 5 * spread / np.sqrt(n * D)
    return facts


def right(x, score, h, rng):
    return _step(x, score, h, rng)


def _step(x, score, h, rng, drift=1.0, variance=2.0, power=0.5, shape=None):
    noise = rng.standard_normal(x.shape if shape is None else shape)
    return x + drift * h * score(x) + (variance * h) ** power * noise


def half_the_noise(x, score, h, rng):
    """The noise has half of its variance.  The chains end at a density that is sharper than p: its
    square, for small h."""
    return _step(x, score, h, rng, variance=1.0)


def same_for_all(x, score, h, rng):
    """One number was drawn for all chains: they move together, and never spread."""
    return _step(x, score, h, rng, shape=())


def no_noise(x, score, h, rng):
    """There is no noise: this is ascent, and every chain ends at the top of p."""
    return x + h * score(x)


def without_root(x, score, h, rng):
    """2 h is the variance of the noise, and you use it as its standard deviation: for small steps
    hardly any noise is left."""
    return _step(x, score, h, rng, power=1.0)


def downhill(x, score, h, rng):
    """You go against the score, where p is small, and the chains never settle."""
    return _step(x, score, h, rng, drift=-1.0)


def half_a_step(x, score, h, rng):
    """The noise fits to a step of h; along the score you go half as far.  (Some books write h / 2
    and sqrt(h): the two belong together.)"""
    return _step(x, score, h, rng, drift=0.5)


MISTAKES = (half_the_noise, same_for_all, no_noise, without_root, downhill, half_a_step)
