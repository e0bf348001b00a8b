"""The judge of exercise 23: what holds of a corruption whatever numbers were drawn."""

import numpy as np

FUNCTION = "corrupt"
HINTS = (
    "`noisy = X` does not copy: two names for one array.  Print X before and after.",
    "How many random numbers are drawn for a batch, and how many entries has it?",
    "Try drop = 0.1, and count the zeros.",
)


def cases(rng):
    yield 200, 30, 0.3
    yield 300, 10, 0.6


def observe(corrupt, N, D, drop):
    """Facts; limits are five standard errors, and seeds are fixed."""
    data = 1 + np.random.default_rng(0).random((N, D))
    X, rng = data.copy(), np.random.default_rng(1)
    noisy, clean = (np.asarray(a, dtype=float) for a in corrupt(X, drop, rng))
    facts = {"the data are as before": np.array_equal(X, data)}
    facts["the list of lengths"] = np.array([*noisy.shape, *clean.shape])
    if not noisy.shape == clean.shape == data.shape:
        return facts
    lost = noisy == 0
    facts["the target is clean"] = np.array_equal(clean, data)
    facts["the target is the corrupted input"] = np.array_equal(clean, noisy)
    facts["what is not lost is as it was"] = np.array_equal(noisy[~lost], data[~lost])
    again = np.asarray(corrupt(data.copy(), drop, rng)[0]) == 0
    facts["the next visit has other noise"] = not np.array_equal(lost, again)
    facts["rows have noise of their own"] = bool((lost != lost[:1]).any())
    facts["columns have noise of their own"] = bool((lost != lost[:, :1]).any())
    if facts["rows have noise of their own"] and facts["columns have noise of their own"]:
        limit = 5 * np.sqrt(drop * (1 - drop) / lost.size)
        facts["the share of zeros is drop"] = abs(lost.mean() - drop) < limit
        facts["the share of zeros is 1 - drop"] = abs(lost.mean() - 1 + drop) < limit
        counts = lost.sum(axis=1).var() / (D * drop * (1 - drop))
        facts["entries are lost independently"] = abs(counts - 1) < 5 * np.sqrt(2 / N)
    return facts


def _noisy(X, lost):
    return np.where(lost, 0.0, X), X


def right(X, drop, rng):
    return _noisy(X, rng.random(X.shape) < drop)


def as_given(X, drop, rng):
    """Two things are still wrong.  The noise is written into the data themselves, so the target has
    it as well, and more of X is lost at each visit; and every row loses the same entries."""
    X[:, rng.random(X.shape[1]) < drop] = 0
    return X, X


def in_place(X, drop, rng):
    """Each row has noise of its own now.  It is written into the data themselves: the target has it
    as well, and more of X is lost at each visit."""
    X[rng.random(X.shape) < drop] = 0
    return X, X


def same_for_all(X, drop, rng):
    """The target is clean now.  Every row loses the same entries: one draw was made for all."""
    return _noisy(X, np.tile(rng.random(X.shape[1]) < drop, (len(X), 1)))


def whole_rows(X, drop, rng):
    """The target is clean now.  A row is lost as a whole, or not at all."""
    return _noisy(X, np.tile(rng.random((len(X), 1)) < drop, (1, X.shape[1])))


def inverted(X, drop, rng):
    """The mask is inverted: `drop` is the probability of being lost, and with you of being kept."""
    return _noisy(X, rng.random(X.shape) > drop)


def noisy_target(X, drop, rng):
    """The target is the corrupted input: to copy it costs nothing, and nothing is learned about
    noise."""
    noisy, _ = right(X, drop, rng)
    return noisy, noisy


def scaled_up(X, drop, rng):
    """What is kept is made larger, as dropout does inside of a network.  Here it is data, and stays
    as it was."""
    return right(X, drop, rng)[0] / (1 - drop), X


def drawn_once(X, drop, rng):
    """Every visit has the same noise: the network can learn it by heart.  The numbers do not come
    from `rng`."""
    return right(X, drop, np.random.default_rng(0))


def fixed_number(X, drop, rng):
    """Each row loses the same number of entries.  They are lost independently: in some rows more,
    in others fewer."""
    ranks = rng.random(X.shape).argsort(axis=1).argsort(axis=1)
    return _noisy(X, ranks < round(drop * X.shape[1]))


MISTAKES = (
    as_given,
    in_place,
    same_for_all,
    whole_rows,
    inverted,
    noisy_target,
    scaled_up,
    drawn_once,
    fixed_number,
)
