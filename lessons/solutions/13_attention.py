"""From y back to v and p, through each row's softmax to s, and to q and k."""

import numpy as np


def attention_backward(g, q, k, v):
    s = q @ k.T / np.sqrt(q.shape[1])
    p = np.exp(s - s.max(axis=1, keepdims=True))
    p = p / p.sum(axis=1, keepdims=True)
    dv = p.T @ g
    dp = g @ v.T
    ds = p * (dp - np.sum(dp * p, axis=1, keepdims=True))
    ds = ds / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, dv
