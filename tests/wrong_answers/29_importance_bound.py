"""Second spellings for exercise 29."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm


def log_weights(X, eps, mu, var, W, s2):
    sd = np.sqrt(var)[:, None]
    z = mu[:, None] + sd * eps
    joint = norm.logpdf(X[:, None], z @ W.T, np.sqrt(s2)).sum(axis=2) + norm.logpdf(z).sum(axis=2)
    return joint - norm.logpdf(z, mu[:, None], sd).sum(axis=2)


def right(*case):
    log_w = log_weights(*case)
    return logsumexp(log_w, axis=1, b=1 / log_w.shape[1])


def elbo(*case):
    return np.array([np.mean(row) for row in log_weights(*case)])


def not_averaged(*case):
    return logsumexp(log_weights(*case), axis=1)


def underflows(*case):
    with np.errstate(divide="ignore"):
        return np.log(np.mean(np.exp(log_weights(*case)), axis=1))


def averaged_over_data(*case):
    return right(*case).mean()
