"""Monte Carlo estimators for expectations under q = N(z; mu, diag e^log_var), draw by draw, so that
their spread shows.

    reparameterised    d/d(mu, log_var) f(mu + sigma eps)                        needs the
                       derivative of f
    score function     (f(z) - baseline) d/d(mu, log_var) log q(z)               needs f alone
                       (REINFORCE, Williams 1992)

Both have d E_q f(z) / d(mu, log_var) as their mean; their variances differ (`analytic.Quadratic`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import ops
from ..arguments import generator, plain, real_number, whole_number
from ..autodiff.engine import grad
from ..errors import ShapeError
from ..tensors import Tensor, tensor
from .densities import log_normal

Function = Callable[[Any], Any]  # f(z): (n, M) -> (n,), in Tensor operations


def kl_samples(mu: Any, log_var: Any, rng: np.random.Generator, n: int) -> np.ndarray:
    """(n,) draws of log q(z) - log N(z; 0, I), z ~ q; mu, log_var (M,).  Their mean estimates KL(q
    || N(0, I)).
    """
    mu, log_var, noise = _repeated(mu, log_var, rng, n)
    z = ops.reparameterise(mu, log_var, noise).detach()
    return np.asarray((log_normal(z, mu, log_var) - log_normal(z)).numpy())


def reparameterised_gradients(
    f: Function, mu: Any, log_var: Any, rng: np.random.Generator, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """((n, M), (n, M)): n one-sample gradients of E_q f with respect to mu and log_var, (M,) each,
    through z.
    """
    mu, log_var, noise = _repeated(mu, log_var, rng, n)
    z = ops.reparameterise(mu, log_var, noise)
    dmu, dlog_var = grad(_values(f, z), [mu, log_var], gradient=np.ones(n))
    return dmu, dlog_var


def score_function_gradients(
    f: Function, mu: Any, log_var: Any, rng: np.random.Generator, n: int, baseline: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """((n, M), (n, M)): the same by (f(z) - baseline) grad log q(z); the derivative of f is not
    used.

    baseline : any number that does not depend on the draw; the mean stays, a good one (E_q f) takes
    variance away.
    """
    baseline = real_number(baseline, "baseline", "(-inf, inf)", "0 for none; E_q f is a good one")
    mu, log_var, noise = _repeated(mu, log_var, rng, n)
    z = ops.reparameterise(mu, log_var, noise).detach()
    reward = _values(f, z).numpy() - baseline
    dmu, dlog_var = grad(log_normal(z, mu, log_var), [mu, log_var], gradient=reward)
    return dmu, dlog_var


def _repeated(
    mu: Any, log_var: Any, rng: np.random.Generator, n: int
) -> tuple[Tensor, Tensor, np.ndarray]:
    """mu and log_var once for each draw, as leaves (n, M), and eps: so the gradients come draw by
    draw.
    """
    mu, log_var = (
        np.atleast_1d(plain(v, name, float)) for v, name in ((mu, "mu"), (log_var, "log_var"))
    )
    if mu.shape != log_var.shape or mu.ndim != 1:
        raise ShapeError(
            "mu and log_var must be flat and of one length",
            f"got shapes {mu.shape} and {log_var.shape}",
            "one number for each latent unit",
        )
    rng = generator(rng, "estimators", "the noise eps in z = mu + sigma eps")
    fix = "a mean and its spread need some thousands"
    whole_number(n, "n", fix, what="at least one draw is needed", where=f"got n={n}")
    leaves = [tensor(np.broadcast_to(v, (n, len(mu))), requires_grad=True) for v in (mu, log_var)]
    return *leaves, rng.standard_normal((n, len(mu)))  # type: ignore[return-value]


def _values(f: Function, z: Tensor) -> Any:
    values = f(z)
    if not isinstance(values, Tensor) or values.shape != z.shape[:1]:
        raise ShapeError(
            "f must return one number for each draw of z",
            f"for z of shape {z.shape} it returned "
            f"{getattr(values, 'shape', type(values).__name__)}",
            "sum over the last axis, e.g. f = lambda z: (z ** 2).sum(axis=-1)",
        )
    return values
