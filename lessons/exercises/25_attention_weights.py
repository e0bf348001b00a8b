"""Attention's weights: a softmax along the wrong axis (lesson 7).

One picture of T tokens: q, k and v are (T, d).  Token i asks every token j, with the scores
s = q k^T / sqrt(d).  Its weights p_ij are positive and add up to 1 over j, in proportion to
exp(s_ij), and y_i = sum_j p_ij v_j.  Return y.  It must hold for scores of some thousands, too.

The lines below run, and their weights do add up to 1.  Repair them.
"""

import numpy as np


def attention(q, k, v):
    s = q @ k.T / np.sqrt(q.shape[1])
    p = np.exp(s - s.max(axis=0))
    p = p / p.sum(axis=0)
    return p @ v
