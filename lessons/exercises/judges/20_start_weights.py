"""The judge of exercise 20: what holds of the weights whatever numbers were drawn."""

import numpy as np

FUNCTION = "start_weights"
HINTS = (
    "Two units with equal weights have equal outputs, and receive equal gradients.  What do they "
    "look like after a step?",
    "An output is a sum of n_in products.  The variance of a sum of independent terms is what?",
    "For Var(y) = n_in Var(w) to be 1, how large is the standard deviation of w?",
)


def cases(rng):
    yield 400, 50
    yield 50, 400


def observe(start_weights, n_in, n_out):
    """Facts; limits are five standard errors, and seeds are fixed."""
    W = np.asarray(start_weights(n_in, n_out, np.random.default_rng(1)), dtype=float)
    facts = {"the list of lengths": np.array(W.shape)}
    if W.shape != (n_in, n_out):
        return facts
    facts["units differ"] = bool((W[:, :1] != W).any())
    facts["inputs differ"] = bool((W[:1] != W).any())
    other = np.asarray(start_weights(n_in, n_out, np.random.default_rng(2)))
    facts["another generator gives other weights"] = not np.array_equal(W, other)
    spread = W.std()
    facts["the mean is 0"] = abs(W.mean()) < 5 * max(spread, 1e-9) / np.sqrt(W.size)
    sizes = {"one": 1, "1 / n_in": 1 / n_in, "1 / sqrt(n_out)": n_out**-0.5, "fit": n_in**-0.5}
    for name, size in sizes.items():
        facts[_SAID[name]] = abs(spread / size - 1) < 5 / np.sqrt(2 * W.size)
    return facts


_SAID = {
    "one": "the standard deviation is 1",
    "1 / n_in": "the standard deviation is 1 / n_in",
    "1 / sqrt(n_out)": "the standard deviation goes with the number of outputs",
    "fit": "outputs vary as much as inputs",
}


def right(n_in, n_out, rng):
    return rng.standard_normal((n_in, n_out)) / np.sqrt(n_in)


def all_equal(n_in, n_out, rng):
    """All weights are equal.  Units with equal weights compute the same, receive the same gradient,
    and stay equal for ever: there is only one unit, many times."""
    return np.full((n_in, n_out), 1 / n_in)


def equal_units(n_in, n_out, rng):
    """The inputs have different weights now; but every unit has those of every other, and so they
    all learn the same."""
    return np.tile(rng.standard_normal((n_in, 1)) / np.sqrt(n_in), (1, n_out))


def same_every_time(n_in, n_out, rng):
    """Every layer starts with the same numbers, whoever calls: they do not come from `rng`."""
    return right(n_in, n_out, np.random.default_rng(0))


def too_large(n_in, n_out, rng):
    """The weights differ now.  They have the standard deviation 1: a sum of n_in such terms is far
    larger than its terms, and tanh of it is flat."""
    return rng.standard_normal((n_in, n_out))


def variance_for_deviation(n_in, n_out, rng):
    """The weights differ now.  They are too small: you have given them as standard deviation what
    their variance should be."""
    return rng.standard_normal((n_in, n_out)) / n_in


def by_outputs(n_in, n_out, rng):
    """The weights differ now.  Their size goes by the number of outputs: how many terms has the
    sum that makes one output?"""
    return rng.standard_normal((n_in, n_out)) / np.sqrt(n_out)


def not_centred(n_in, n_out, rng):
    """The weights differ now, and all of them are positive: rng.random draws from 0 to 1, and not
    with mean 0."""
    return rng.random((n_in, n_out))


MISTAKES = (
    all_equal,
    equal_units,
    same_every_time,
    too_large,
    variance_for_deviation,
    by_outputs,
    not_centred,
)
