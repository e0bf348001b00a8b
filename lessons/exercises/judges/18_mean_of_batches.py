"""The judge of exercise 18: all rows at once."""

import numpy as np

FUNCTION = "mean_loss"
HINTS = (
    "Take three rows with the losses 1, 1 and 4, and batches of two.",
    "How many rows does each of the batches speak for?",
)


def cases(rng):
    for N, size in ((10, 4), (7, 3), (6, 3), (3, 5)):
        yield rng.standard_normal((N, 2)), size


def observe(mean_loss, X, size):
    return {"the mean": mean_loss(lambda rows: float(np.mean(np.sum(rows**2, axis=1))), X, size)}


def _batches(E, X, size):
    parts = [X[start : start + size] for start in range(0, len(X), size)]
    return np.array([E(part) for part in parts]), np.array([len(part) for part in parts])


def right(E, X, size):
    return E(X)


def equal_batches(E, X, size):
    """A small last batch counts as much as a full one: its rows have more weight than the
    others."""
    return _batches(E, X, size)[0].mean()


def averaged_twice(E, X, size):
    """E is a mean already.  What you add up are means, and you divide once more by the number of
    rows."""
    return _batches(E, X, size)[0].sum() / len(X)


def last_one_lost(E, X, size):
    """The rows of a last batch that is not full are left out."""
    losses, rows = _batches(E, X, size)
    return np.append(losses[rows == size], []).mean() if any(rows == size) else np.nan


def full_batches(E, X, size):
    """You count every batch as a full one: the last one may have fewer rows."""
    losses, _ = _batches(E, X, size)
    return (losses * size).sum() / len(X)


def total(E, X, size):
    """This is the sum over all rows; their mean is asked for."""
    losses, rows = _batches(E, X, size)
    return losses @ rows


MISTAKES = (equal_batches, averaged_twice, last_one_lost, full_batches, total)
