"""A draw for each entry, and a new array."""


def corrupt(X, drop, rng):
    kept = rng.random(X.shape) >= drop
    return X * kept, X
