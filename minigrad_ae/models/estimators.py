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
from ..arguments import function, generator, plain, real_number, whole_number
from ..autodiff.engine import grad
from ..errors import ShapeError
from ..room import demand_room_for
from ..tensors import Tensor, tensor
from .densities import log_normal

Function = Callable[[Any], Any]  # f(z): (n, M) -> (n,), in Tensor operations


def kl_samples(mu: Any, log_var: Any, rng: np.random.Generator, n: int) -> np.ndarray:
    """Draws of log q(z) - log N(z; 0, I), whose mean estimates KL(q || N(0, I)).

    Parameters
    ----------
    mu : array_like, (M,)
        Means of q.
    log_var : array_like, (M,)
        ln of its variances.
    rng : numpy.random.Generator
        Draws z from q.
    n : int
        How many draws, >= 1.

    Returns
    -------
    ndarray, (n,)
        One value for each draw, a sum over units, in nats.

    Raises
    ------
    ShapeError
        If mu and log_var are not flat and of one length.
    DataError
        If `n` is below 1.
    DtypeError
        If `rng` is not a generator, or `n` not a whole number.

    Examples
    --------
    Where q is the prior, every draw says 0.

    >>> from minigrad_ae.models.estimators import kl_samples
    >>> bool(np.all(kl_samples([0.0, 0.0], [0.0, 0.0], np.random.default_rng(0), 5) == 0))
    True
    """
    mu, log_var, z = _draws(mu, log_var, rng, n)
    return np.asarray((log_normal(z, mu, log_var) - log_normal(z)).numpy())


def reparameterised_gradients(
    f: Function, mu: Any, log_var: Any, rng: np.random.Generator, n: int
) -> tuple[np.ndarray, np.ndarray]:
    """One-sample gradients of E_q f with respect to mu and log_var, through z = mu + sigma eps.

    Parameters
    ----------
    f : callable
        f(z), (n, M) -> (n,), in Tensor operations; its derivative is used.
    mu : array_like, (M,)
        Means of q.
    log_var : array_like, (M,)
        ln of its variances.
    rng : numpy.random.Generator
        Draws eps.
    n : int
        How many draws, >= 1.

    Returns
    -------
    dmu : ndarray, (n, M)
        With respect to mu, one row for each draw.
    dlog_var : ndarray, (n, M)
        With respect to log_var.

    Raises
    ------
    ShapeError
        If mu and log_var are not flat and of one length, or f does not return one number for each
        draw.
    DataError
        If `n` is below 1.
    DtypeError
        If `rng` is not a generator, or `n` not a whole number.

    References
    ----------
    Kingma & Welling (2013).

    Examples
    --------
    Of a linear f every draw gives its slope: there is no noise in d/dmu.

    >>> from minigrad_ae.models.estimators import reparameterised_gradients
    >>> dmu, _ = reparameterised_gradients(
    ...     lambda z: (3 * z).sum(axis=-1), [1.0], [0.0], np.random.default_rng(0), 4
    ... )
    >>> dmu.ravel().tolist()
    [3.0, 3.0, 3.0, 3.0]
    """
    mu, log_var, z = _draws(mu, log_var, rng, n)
    return grad(_values(f, z), (mu, log_var), gradient=np.ones(n))


def score_function_gradients(
    f: Function, mu: Any, log_var: Any, rng: np.random.Generator, n: int, baseline: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """The same gradients by (f(z) - baseline) grad log q(z); the derivative of f is not used.

    Parameters
    ----------
    f : callable
        f(z), (n, M) -> (n,), in Tensor operations.
    mu : array_like, (M,)
        Means of q.
    log_var : array_like, (M,)
        ln of its variances.
    rng : numpy.random.Generator
        Draws z from q.
    n : int
        How many draws, >= 1.
    baseline : float, optional
        Any number that does not depend on the draw; the mean stays, a good one (E_q f) takes
        variance away.

    Returns
    -------
    dmu : ndarray, (n, M)
        With respect to mu, one row for each draw.
    dlog_var : ndarray, (n, M)
        With respect to log_var.

    Raises
    ------
    ShapeError
        If mu and log_var are not flat and of one length, or f does not return one number for each
        draw.
    DataError
        If `n` is below 1, or the baseline not finite.
    DtypeError
        If `rng` is not a generator, or a number is not one.

    References
    ----------
    Williams (1992), REINFORCE.

    Examples
    --------
    A constant f has no gradient, and with that constant as the baseline every draw says so.

    >>> from minigrad_ae.models.estimators import score_function_gradients
    >>> five, rng = lambda z: (0 * z).sum(axis=-1) + 5, np.random.default_rng(0)
    >>> dmu, _ = score_function_gradients(five, [1.0], [0.0], rng, 4, baseline=5.0)
    >>> bool(np.all(dmu == 0))
    True
    """
    baseline = real_number(baseline, "baseline", "(-inf, inf)", "0 for none; E_q f is a good one")
    mu, log_var, z = _draws(mu, log_var, rng, n)
    z = z.detach()
    reward = _values(f, z).numpy() - baseline
    return grad(log_normal(z, mu, log_var), (mu, log_var), gradient=reward)


def _draws(mu: Any, log_var: Any, rng: Any, n: int) -> tuple[Tensor, Tensor, Tensor]:
    """mu and log_var once for each draw, as leaves (n, M), and z = mu + sigma eps: so the gradients
    come draw by draw.
    """
    mu, log_var = np.atleast_1d(plain(mu, "mu", float), plain(log_var, "log_var", float))
    if mu.shape != log_var.shape or mu.ndim != 1:
        raise ShapeError(
            "mu and log_var must be flat and of one length",
            f"got shapes {mu.shape} and {log_var.shape}",
            "one number for each latent unit",
        )
    rng = generator(rng, "estimators", "the noise eps in z = mu + sigma eps")
    whole_number(
        n,
        "n",
        "a mean and its spread need some thousands",
        what="at least one draw is needed",
        where=f"got n={n}",
    )
    demand_room_for((n, len(mu)))
    mu, log_var = (tensor(np.tile(v, (n, 1)), requires_grad=True) for v in (mu, log_var))
    return mu, log_var, ops.reparameterise(mu, log_var, rng.standard_normal(mu.shape))


def _values(f: Function, z: Tensor) -> Any:
    values = function(f, "f", "pass a function of z")(z)
    if not isinstance(values, Tensor) or values.shape != z.shape[:1]:
        raise ShapeError(
            "f must return one number for each draw of z",
            f"for z of shape {z.shape} it returned "
            f"{getattr(values, 'shape', type(values).__name__)}",
            "sum over the last axis, e.g. f = lambda z: (z ** 2).sum(axis=-1)",
        )
    return values
