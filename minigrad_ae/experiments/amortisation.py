"""What one encoder for all data costs: the bound of each datum at its own best mean and variance,
beside the encoder's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import analytic, ops
from ..autodiff.graph import no_grad
from ..models import VariationalAutoencoder
from ..models.densities import kl_to_prior
from ..optim import LBFGS
from ..tensors import Tensor, tensor
from .run import Run, closure
from .variational import (
    SHORT,
    SIGMA2,
    few_digits,
    gaussian_data,
    grid_log_p,
    linear_gaussian,
    misfit,
    trained,
)

Array = np.ndarray
NODES = 12  # of the quadrature, in each latent unit


def hermite(M: int, n: int) -> tuple[Array, Array]:
    """(G, M) nodes and (G,) weights, G = n^M, of the mean over N(0, I): exact for polynomials of a
    degree below 2 n in each unit.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(n)
    grid = np.stack(np.meshgrid(*[nodes] * M), axis=-1).reshape(-1, M)
    products = np.prod(np.meshgrid(*[weights] * M), axis=0).ravel()
    return grid, products / products.sum()


def bounds(model: VariationalAutoencoder, X: Array, mu: Any, log_var: Any, n: int = NODES) -> Any:
    """(N,) the bound of each datum for q = N(mu, e^log_var); E over q by quadrature."""
    nodes, weights = hermite(model.n_latent, n)
    eps = np.repeat(nodes[:, None, :], len(X), axis=1)
    a = model.decoder(ops.reparameterise(mu, log_var, eps))
    log_p = model.conditional.log_prob(a, np.broadcast_to(X, a.shape))
    return ops.sum(log_p * weights[:, None], axis=0) - kl_to_prior(mu, log_var)


def own_posteriors(model: VariationalAutoencoder, X: Array) -> tuple[Array, Array]:
    """(mu, log_var), (N, M) each: where L-BFGS leads the bound of each datum, one after the other,
    from what the encoder says.
    """
    found = []
    for x in X[:, None, :]:
        with no_grad():
            start = [s.numpy() for s in model.encode(x)]
        own = [tensor(s, requires_grad=True) for s in start]
        optimiser = LBFGS(own, max_iter=200, gradient_tolerance=1e-9)
        optimiser.step(closure(lambda x=x, own=own: _minus_bound(model, x, own)))  # type: ignore[misc]
        found.append([p.numpy()[0] for p in own])
    mu, log_var = (np.array(values) for values in zip(*found, strict=True))
    return mu, log_var


def _minus_bound(model: VariationalAutoencoder, x: Array, q: list[Tensor]) -> Tensor:
    mu, log_var = q
    return -ops.sum(bounds(model, x, mu, log_var))


def gap_left(run: Run) -> Array:
    """(3,) log p(x) minus the bound at the datum's own q, where all is linear and Gaussian; the
    weights fit nothing, and the units are correlated in the exact posterior.
    """
    W, V, d = misfit()
    model, X = linear_gaussian(W, V, d, SIGMA2), gaussian_data(run)[:3]
    log_p = analytic.PPCA(W, np.zeros(6), SIGMA2).log_prob(X)
    best = bounds(model, X, *own_posteriors(model, X)).numpy()
    return np.asarray(log_p - best)


def diagonal_gap() -> float:
    """The least KL of a q with independent units from that posterior, of precision P = I + W^T W /
    sigma^2: 1/2 (sum ln P_mm - ln det P).
    """
    W = misfit()[0]
    precision = np.eye(W.shape[1]) + W.T @ W / SIGMA2
    return float(np.log(np.diag(precision)).sum() - np.linalg.slogdet(precision)[1]) / 2


def three_levels(run: Run) -> Array:
    """(4, 20) for the VAE trained on digits: the encoder's bound, the bound at the datum's own q,
    log p(x) on a grid; and how far twice as many nodes move the second.
    """
    model, X = run.shared(trained, SHORT)[0], few_digits()
    own = own_posteriors(model, X)
    with no_grad():
        encoder = bounds(model, X, *model.encode(X)).numpy()
        best, finer = (bounds(model, X, *own, n=n).numpy() for n in (NODES, 2 * NODES))
    return np.stack([encoder, best, run.shared(grid_log_p, SHORT), np.abs(best - finer)])
