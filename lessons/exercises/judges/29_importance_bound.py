"""The judge of exercise 29: p(x) p(z | x) in place of p(x | z) p(z), in closed form."""

import numpy as np

FUNCTION = "importance_bound"
HINTS = (
    "log N(a | m, v) = -1/2 log(2 pi v) - (a - m)^2 / (2 v), added over features.  Three such "
    "terms make log w.",
    "z has the shape (N, K, M), and z @ W.T then (N, K, D).  X needs an axis for K.",
    "log mean exp: take off the largest log w of a row before exp, and add it after log.",
)


def cases(rng):
    for N, K, D, M, s2 in ((3, 4, 3, 2, 0.5), (2, 5, 4, 2, 1e-4), (2, 1, 3, 1, 0.5)):
        X, W = rng.standard_normal((N, D)), rng.standard_normal((D, M))
        mu, var = rng.standard_normal((N, M)), 0.3 + rng.random((N, M))
        yield X, rng.standard_normal((N, K, M)), mu, var, W, s2
    precision = 1 + W.T @ W / s2  # M = 1: q is the exact posterior
    mu, var = X @ W / s2 / precision, np.full((N, 1), 1 / precision)
    yield X, 3 * rng.standard_normal((N, 4, 1)), mu, var, W, s2


def _gaussian(d, cov):
    _, log_det = np.linalg.slogdet(2 * np.pi * cov)
    return -0.5 * (log_det + np.einsum("...i,ij,...j->...", d, np.linalg.inv(cov), d))


def _log_weights(X, eps, mu, var, W, s2, sigma=np.sqrt):
    """log p(x), log p(z | x) and log q(z | x) of all samples: (N, 1), (N, K), (N, K)."""
    z = mu[:, None] + sigma(var)[:, None] * eps
    posterior = np.linalg.inv(np.eye(W.shape[1]) + W.T @ W / s2)
    log_x = _gaussian(X, W @ W.T + s2 * np.eye(len(W)))[:, None]
    log_z = _gaussian(z - (X @ W @ posterior / s2)[:, None], posterior)
    log_q = [_gaussian(a, np.diag(v)) for a, v in zip(z - mu[:, None], var, strict=True)]
    return log_x, log_z, np.array(log_q), z


def _log_mean(log_w):
    return np.logaddexp.reduce(log_w, axis=1) - np.log(log_w.shape[1])


def right(X, eps, mu, var, W, s2):
    log_x, log_z, log_q, _ = _log_weights(X, eps, mu, var, W, s2)
    return _log_mean(log_x + log_z - log_q)


def elbo(X, eps, mu, var, W, s2):
    """You average the logarithms of the weights: this is the ELBO, estimated with K samples.  The
    logarithm of the mean weight is higher."""
    log_x, log_z, log_q, _ = _log_weights(X, eps, mu, var, W, s2)
    return (log_x + log_z - log_q).mean(axis=1)


def not_averaged(X, eps, mu, var, W, s2):
    """You take the sum of the weights: it grows with K, and is no bound of log p(x)."""
    K = eps.shape[1]
    return right(X, eps, mu, var, W, s2) + np.log(K)


def best_sample(X, eps, mu, var, W, s2):
    """You keep the largest weight alone: the others are samples, too."""
    log_x, log_z, log_q, _ = _log_weights(X, eps, mu, var, W, s2)
    return (log_x + log_z - log_q).max(axis=1)


def without_q(X, eps, mu, var, W, s2):
    """q is missing in the weights: samples come where q is high, and have to be divided by it."""
    log_x, log_z, _, _ = _log_weights(X, eps, mu, var, W, s2)
    return _log_mean(log_x + log_z)


def without_prior(X, eps, mu, var, W, s2):
    """p(z) is missing in the weights: p(x | z) alone is not the joint density."""
    log_x, log_z, log_q, z = _log_weights(X, eps, mu, var, W, s2)
    return _log_mean(log_x + log_z - log_q - _gaussian(z, np.eye(z.shape[2])))


def without_constants(X, eps, mu, var, W, s2):
    """It is too high by the same number for all rows: a Gaussian has 1 / sqrt(2 pi) in front for
    each of its dimensions.  For z they cancel; for x they do not."""
    return right(X, eps, mu, var, W, s2) + X.shape[1] * np.log(2 * np.pi) / 2


def variance_as_deviation(X, eps, mu, var, W, s2):
    """The samples do not have the spread of q: var is a variance."""
    log_x, log_z, log_q, _ = _log_weights(X, eps, mu, var, W, s2, sigma=np.positive)
    return _log_mean(log_x + log_z - log_q)


def underflows(X, eps, mu, var, W, s2):
    """For large weights it is right.  exp(-10000) is 0 in the computer, and log 0 minus infinity:
    what could be taken off all log w of a row before exp?"""
    log_x, log_z, log_q, _ = _log_weights(X, eps, mu, var, W, s2)
    with np.errstate(divide="ignore"):
        return np.log(np.exp(log_x + log_z - log_q).mean(axis=1))


def averaged_over_data(X, eps, mu, var, W, s2):
    """You average over data as well: a bound for each row is asked for."""
    return right(X, eps, mu, var, W, s2).mean()


MISTAKES = (
    elbo,
    not_averaged,
    best_sample,
    without_q,
    without_prior,
    without_constants,
    variance_as_deviation,
    underflows,
    averaged_over_data,
)
