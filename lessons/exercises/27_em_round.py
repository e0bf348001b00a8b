"""A round of EM: what the posterior does not know (lesson 8).

The linear model of lesson 8: z is N(0, 1) with M units, and x given z is N(W z, s2).  X (N, D) is
centred, W is (D, M).

    E step   q(z_n) is the exact posterior N(m_n, C), with G = W^T W + s2 I,
             m_n = G^-1 W^T x_n,  C = s2 G^-1
    M step   the W, then the s2, that make sum_n E_q log p(x_n, z_n) largest

Return the new (W, s2).  The lines below take the posterior means for the truth: s2 shrinks, round
after round, below what the data allow.  Repair them.
"""

import numpy as np


def em_round(X, W, s2):
    N, D = X.shape
    G = W.T @ W + s2 * np.eye(W.shape[1])
    m = np.linalg.solve(G, W.T @ X.T).T
    zz = m.T @ m
    W = X.T @ m @ np.linalg.inv(zz)
    s2 = np.sum((X - m @ W.T) ** 2) / (N * D)
    return W, s2
