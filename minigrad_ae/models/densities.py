"""Log densities and a divergence in Tensor operations, with every constant: the terms of the
variational bound.

Arguments broadcast; the sum runs over the last axis, so a batch (n, D) gives (n,).  In nats.
"""

from __future__ import annotations

import math
from typing import Any

from .. import ops

LN_2PI = math.log(2 * math.pi)


def log_normal(x: Any, mean: Any = 0.0, log_var: Any = 0.0) -> Any:
    """log N(x; mean, diag e^log_var) = -1/2 sum_d [ln 2 pi + log_var + (x - mean)^2 / e^log_var],
    over the last axis.
    """
    return -0.5 * ops.sum(LN_2PI + log_var + (x - mean) ** 2 * ops.exp(-log_var), axis=-1)


def log_bernoulli(x: Any, logits: Any) -> Any:
    """log p(x) = sum_d [x a - ln(1 + e^a)], over the last axis; a = `logits`, the probability of a
    1 is sigmoid(a).
    """
    return ops.sum(x * logits - ops.softplus(logits), axis=-1)


def kl_to_prior(mu: Any, log_var: Any) -> Any:
    """KL(N(mu, diag e^log_var) || N(0, I)) = 1/2 sum_m [e^log_var + mu^2 - 1 - log_var], over the
    last axis.
    """
    return 0.5 * ops.sum(ops.exp_remainder(log_var) + mu * mu, axis=-1)
