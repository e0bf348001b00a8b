"""An importance-weighted bound: a mean before the log (lessons 9, 11).

The linear model: z is N(0, 1) with M units, x given z is N(W z, s2) with D features.  The encoder
says q(z | x_n) = N(mu_n, diag(var_n)), with mu and var of shape (N, M).  For each row x_n of X take
the K samples z = mu_n + sqrt(var_n) eps_nk, with eps (N, K, M), and return

    L_K = log ( 1/K  sum_k  w_k ),     w_k = p(x_n | z_k) p(z_k) / q(z_k | x_n)

for each row: shape (N,), with every constant.  For K = 1 it is an estimate of the ELBO, and where q
is the exact posterior it is log p(x), whatever eps is.  Weights may be as small as exp(-10000).
"""

import numpy as np  # noqa: F401


def importance_bound(X, eps, mu, var, W, s2):
    raise NotImplementedError("return L_K of each row of X")
