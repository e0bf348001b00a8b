"""The judge of exercise 11: what holds of the samples whatever the numbers that were drawn."""

import numpy as np

import minigrad_ae as mg

FUNCTION = "reparameterise"
HINTS = (
    "A Gaussian is a standard normal number, stretched to its width and moved to its mean.",
    "How do you get sigma from log sigma^2?  Write it so that no root is needed.",
    "Which shape must the noise have, so that no two numbers of z share theirs?",
)
N = 4000  # rows; a spread is then known to within 1 / sqrt(2 N) = 1.1 %


def cases(rng):
    yield (0,)  # no data: `observe` makes them


def observe(reparameterise, _):
    """Facts about many samples.  Limits are five standard errors, and seeds are fixed."""
    mu = mg.tensor(np.tile([1.0, -2.0, 0.0], (N, 1)), requires_grad=True)
    log_var = mg.tensor(np.tile([0.8, -1.2, 0.4], (N, 1)), requires_grad=True)
    z = reparameterise(mu, log_var, np.random.default_rng(1))
    numbers = np.asarray(z.numpy() if hasattr(z, "numpy") else z)
    facts = {"the list of lengths": np.array(numbers.shape)}
    if numbers.shape != mu.shape:
        return facts
    noise = numbers - mu.numpy()
    facts["the share of noise that repeats another row's"] = 1 - len(np.unique(noise[:, 0])) / N
    spread = noise.std(axis=0)
    for power, said in ((0.5, "sigma"), (1.0, "sigma^2"), (0.0, "1")):
        off = spread / np.exp(power * log_var.numpy()[0]) - 1
        facts[f"the spread is {said}"] = np.all(abs(off) < 5 / np.sqrt(2 * N))
    sizes = noise / spread.clip(1e-9)
    centred = np.all(abs(sizes.mean(axis=0)) < 5 / np.sqrt(N))
    facts["the mean is mu"] = centred
    together = abs(np.corrcoef(sizes.T) - np.eye(3)).max() if spread.all() else 0.0
    facts["units are independent"] = together < 5 / np.sqrt(N)
    again = reparameterise(mu, log_var, np.random.default_rng(2))
    fresh = np.any(np.asarray(getattr(again, "data", again)) != numbers)
    facts["another generator gives another sample"] = fresh
    facts["mu receives a gradient"] = _received(z, mu)
    facts["log_var receives a gradient"] = _received(z, log_var)
    return facts


def _received(z, leaf):
    if not isinstance(z, mg.Tensor) or not z.requires_grad:
        return False
    (gradient,) = mg.grad((z * z).sum(), (leaf,))
    return np.any(gradient)


def right(mu, log_var, rng):
    return mu + (log_var * 0.5).exp() * rng.standard_normal(mu.shape)


def as_sigma(mu, log_var, rng):
    """The samples spread by sigma^2, and should by sigma: log_var is the logarithm of the
    variance."""
    return mu + log_var.exp() * rng.standard_normal(mu.shape)


def one_noise(mu, log_var, rng):
    """All rows share the same noise: if one is drawn above its mean, all are. Each datum needs
    noise of its own."""
    return mu + (log_var * 0.5).exp() * rng.standard_normal(mu.shape[1])


def uniform_noise(mu, log_var, rng):
    """The noise is not standard normal: its mean must be 0 and its spread 1. rng.random draws from
    0 to 1."""
    return mu + (log_var * 0.5).exp() * rng.random(mu.shape)


def own_generator(mu, log_var, rng):
    """Another generator gives the same sample: the noise must come from `rng`, or every step of the
    training draws the same."""
    return mu + (log_var * 0.5).exp() * np.random.default_rng(0).standard_normal(mu.shape)


def detached(mu, log_var, rng):
    """The samples are right, and no gradient passes them: they were drawn from a distribution with
    mu and sigma in it as plain numbers. Draw what does not depend on them."""
    return rng.normal(mu.numpy(), np.exp(log_var.numpy() / 2))


def no_noise(mu, log_var, rng):
    """That is the mean, and not a sample: where is the noise?"""
    return mu + 0.0


MISTAKES = (as_sigma, one_noise, uniform_noise, own_generator, detached, no_noise)
