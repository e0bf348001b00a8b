"""Second spellings for exercise 25."""

import numpy as np


def each(rows):
    return np.array([np.exp(row - row.max()) / np.exp(row - row.max()).sum() for row in rows])


def scores(q, k):
    return np.array([[a @ b for b in k] for a in q]) / len(q[0]) ** 0.5


def right(q, k, v):
    return each(scores(q, k)) @ v


def over_queries(q, k, v):
    return each(scores(q, k).T).T @ v


def asked_by_keys(q, k, v):
    return each(scores(q, k).T) @ v


def not_scaled(q, k, v):
    return each(q @ k.T) @ v


def overflows(q, k, v):
    with np.errstate(over="ignore", invalid="ignore"):
        e = np.exp(scores(q, k))
        return (e.T / e.sum(axis=1)).T @ v
