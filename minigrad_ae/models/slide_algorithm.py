"""Algorithm 1 of the chapter, variational autoencoder training, as the slide has it: one data point
at a time, by ascent.

The slide leaves two things to the reader.  There is no loop over n.  And L is computed once for two
updates: both gradients belong to the *old* w and phi, so they are taken before either is moved.
(Taken from the same graph after w has moved, the second gradient would be no derivative of
anything; this engine refuses to compute it.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..arguments import generator, instance, real_number, whole_number
from ..autodiff.engine import grad
from ..data import check_matrix
from ..errors import DataError
from .variational import VariationalAutoencoder

OF_THE_SLIDE = "pass a VariationalAutoencoder, whose bound the slide raises"


def algorithm_1(
    model: VariationalAutoencoder, X: np.ndarray, eta: float, rng: np.random.Generator
) -> float:
    """Once through the rows of X, in order, by ascent on the bound of one datum at a time: what is
    between "repeat" and "until".

    Parameters
    ----------
    model : VariationalAutoencoder
        Its parameters are changed in place.
    X : ndarray, (N, D)
        Data in rows.
    eta : float
        The step size, >= 0.
    rng : numpy.random.Generator
        Draws M numbers eps for each datum.

    Returns
    -------
    float
        The mean of L over the data, each before its own step, in nats.

    Raises
    ------
    DataError
        If eta is below 0, or entries of X are masked.
    DtypeError
        If eta is not a number, or `rng` not a generator.

    Notes
    -----
    The same steps as gradient descent on ``model.loss(x[None, :], rng)`` with the same eps, bit for
    bit.

    References
    ----------
    Bishop & Bishop (2024), algorithm 19.1.

    Examples
    --------
    >>> from minigrad_ae.models.slide_algorithm import algorithm_1
    >>> model = mg.models.VariationalAutoencoder(2, 1, hidden=(), rng=np.random.default_rng(0))
    >>> start = model.decoder[0].bias.data.copy()
    >>> L = algorithm_1(model, np.array([[1.0, 0.0]]), eta=0.1, rng=np.random.default_rng(1))
    >>> (model.decoder[0].bias.data > start).tolist()  # the bit that is 1 becomes more probable
    [True, False]
    """
    instance(model, VariationalAutoencoder, "algorithm_1: model", OF_THE_SLIDE)
    eta = real_number(eta, "algorithm_1: eta", "[0, inf)", "pass a step size such as 1e-3")
    rng = generator(rng, "algorithm_1", "the noise eps in z = mu + sigma eps")
    w, phi, bounds = generative(model), model.encoder.parameters(), []
    for x in check_matrix(X).astype(phi[0].dtype, copy=False):
        eps = rng.standard_normal((1, model.n_latent), x.dtype)  # eps_nm ~ N(0, 1), all m at once
        L = slide_bound(model, x[None, :], eps)
        gradients = grad(L, [*w, *phi])
        ascend(w, gradients[: len(w)], eta)  # w <- w + eta grad_w L
        ascend(phi, gradients[len(w) :], eta)  # phi <- phi + eta grad_phi L
        bounds.append(L.item())
    return float(np.mean(bounds))


def until_converged(
    model: VariationalAutoencoder,
    X: np.ndarray,
    eta: float,
    rng: np.random.Generator,
    *,
    halvings: int = 5,
    passes: int = 10,
) -> tuple[list[Any], list[Any]]:
    """Algorithm 1 with its last two lines: until converged, return w, phi.

    L is noisy, so "converged" needs a rule.  This one judges blocks of passes by their mean of L.
    Where a block is not above the one before by more than the standard error of the difference,
    the noise of the steps hides what is left to gain, and eta is halved; after so many halvings it
    has converged.  What is lacking then is proportional to the last eta.

    An eta that is too large throws the weights off, at last to NaN.  A block whose mean is below
    that of the weights as they were passed, by more than 5 standard errors of that, or is not
    finite, is taken back: its weights are forgotten, and eta is halved without being counted.

    Parameters
    ----------
    model : VariationalAutoencoder
        Its parameters are changed in place.
    X : ndarray, (N, D)
        Data in rows.
    eta : float
        The first step size, > 0.
    rng : numpy.random.Generator
        Draws M numbers eps for each visit of a datum.
    halvings : int, optional
        Converged once eta has been halved so often, >= 1.
    passes : int, optional
        Over X in a block, >= 2.

    Returns
    -------
    w : list of Parameter
        Of the decoder, and the likelihood's if it learns.
    phi : list of Parameter
        Of the encoder.

    Raises
    ------
    DataError
        If eta is not above 0, `halvings` below 1, `passes` below 2, entries of X are masked, or L
        is not finite at the weights as they are passed.
    DtypeError
        If one of them is not a number, or `rng` not a generator.

    References
    ----------
    Bishop & Bishop (2024), algorithm 19.1.

    Examples
    --------
    >>> from minigrad_ae.models.slide_algorithm import until_converged
    >>> rng, settings = np.random.default_rng(0), {"hidden": (), "likelihood": "gaussian"}
    >>> model = mg.models.VariationalAutoencoder(2, 1, **settings, rng=rng)
    >>> w, phi = until_converged(model, np.array([[1.0, 2.0]] * 8), 0.1, rng, halvings=2)
    >>> model.decode(np.zeros((1, 1))).numpy().round(2).tolist()  # what it expects of every datum
    [[1.0, 2.0]]
    """
    instance(model, VariationalAutoencoder, "until_converged: model", OF_THE_SLIDE)
    eta = real_number(eta, "until_converged: eta", "(0, inf)", "pass a step size such as 1e-3")
    rng = generator(rng, "until_converged", "the noise eps in z = mu + sigma eps")
    halvings = whole_number(halvings, "halvings", "converged once eta has been halved so often")
    whole_number(passes, "passes", "a block of passes needs two for a standard error", low=2)
    w, phi = generative(model), model.encoder.parameters()
    before, variance_before = _block(model, X, 0.0, rng, passes)
    least = before - 5 * math.sqrt(variance_before)
    if not math.isfinite(least):
        raise DataError(
            "until_converged: L is not finite at the weights as they are passed",
            f"its mean over {passes} passes is {before}",
            "start from finite weights, and data of a size that the likelihood can hold",
        )
    while halvings:
        kept = [p.data for p in (*w, *phi)]  # a step makes new arrays
        mean, variance = _block(model, X, eta, rng, passes)
        if not least <= mean < math.inf:  # NaN, too
            for p, value in zip((*w, *phi), kept, strict=True):
                p.data = value
            eta /= 2
            continue
        if mean - before <= math.sqrt(variance + variance_before):
            eta, halvings = eta / 2, halvings - 1
        before, variance_before = mean, variance
    return w, phi


def _block(
    model: VariationalAutoencoder, X: np.ndarray, eta: float, rng: np.random.Generator, passes: int
) -> tuple[float, float]:
    """(mean of L over so many passes, the square of its standard error)."""
    with np.errstate(over="ignore", invalid="ignore"):  # where eta is too large
        bounds = [algorithm_1(model, X, eta, rng) for _ in range(passes)]
        return float(np.mean(bounds)), float(np.var(bounds, ddof=1)) / passes


def slide_bound(model: VariationalAutoencoder, x: np.ndarray, eps: np.ndarray) -> Any:
    """L for one data point.

    Parameters
    ----------
    model : VariationalAutoencoder
        Whose bound it is.
    x : ndarray, (1, D)
        The data point.
    eps : ndarray, (1, M)
        The noise in z = mu + sigma eps.

    Returns
    -------
    Tensor, ()
        A sum over features and units, in nats.
    """
    mu, log_var = model.encode(x)
    z = ops.reparameterise(mu, log_var, eps)  # z_nm <- mu_nm + sigma_nm eps_nm
    # L <- L + 1/2 (1 + ln sigma_nm^2 - mu_nm^2 - sigma_nm^2), all m
    L = -ops.gaussian_kl(mu, log_var)
    # L <- L + log p(x_n | z_n; w)
    return L - model.conditional.negative_log_likelihood(model.decoder(z), x)


def generative(model: VariationalAutoencoder) -> list[Any]:
    """w: the trained parameters of p(x | z; w).

    Parameters
    ----------
    model : VariationalAutoencoder
        Whose decoder and likelihood are asked.

    Returns
    -------
    list of Parameter
        Those of the decoder, and the likelihood's if it learns.
    """
    return [
        p for p in [*model.decoder.parameters(), *model.conditional.parameters()] if p.requires_grad
    ]


def ascend(parameters: Sequence[Any], gradients: Iterable[np.ndarray], eta: float) -> None:
    """p <- p + eta g, for each parameter.

    Parameters
    ----------
    parameters : sequence of Parameter
        Changed in place.
    gradients : iterable of ndarray
        One for each, of its shape.
    eta : float
        The step size.
    """
    for p, g in zip(parameters, gradients, strict=True):
        p.data = p.data + eta * g
