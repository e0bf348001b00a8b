"""What a variational autoencoder has put into its code: unit by unit, and as a whole.

    rate = E KL(q(z | x) || p(z)) = I(x; z) + KL(q(z) || p(z)),    q(z) = 1/N sum_n q(z | x_n)
    (Hoffman & Johnson 2016)

The aggregate posterior q(z) is what the decoder has been trained on; where it differs from p(z),
samples are drawn from places that no datum has taught (holes).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..arguments import counted, generator, offering, rows, whole_number
from ..autodiff.graph import no_grad
from ..errors import DataError
from .densities import LN_2PI, kl_to_prior

# variance over the data of a unit's mean above which it counts as active (Burda et al. 2016)
ACTIVE = 0.01
# nats: a unit that is not active is collapsed if its KL is below this; otherwise its posterior is
# elsewhere
NEAR = 0.05
BLOCK = 512  # draws whose densities under all N posteriors are computed at once


@dataclass(frozen=True)
class LatentReport:
    """What `diagnose` finds: means over the data, sums over units and features, in nats.

    Parameters
    ----------
    kl : ndarray, (M,)
        KL(q(z_m | x) || p(z_m)) of each unit.
    mean_variance : ndarray, (M,)
        Variance over the data of each unit's mean.
    active : ndarray, (M,) of bool
        mean_variance > 0.01.
    mean : ndarray, (M,)
        Of the aggregate posterior; it should be 0.
    covariance : ndarray, (M, M)
        Of the aggregate posterior; it should be I.
    rate : float
        The sum of ``kl``; exact.
    distortion : float
        -E log p(x | z), estimated from draws of z.
    elbo : float
        -(distortion + rate).
    mutual_information : float
        I(x; z) under q, at most ln N, estimated from draws of z.
    marginal_kl : float
        KL(q(z) || p(z)) = rate - I(x; z).
    elbo_error : float, optional
        Standard error of ``elbo``, and of ``distortion``, over the draws, for these data; NaN where
        there was one draw.
    marginal_kl_error : float, optional
        Standard error of ``marginal_kl``, and of I(x; z), alike.

    Examples
    --------
    An encoder that says N(0, I) for every x has collapsed: a rate of 0.

    >>> model = mg.models.LinearVAE(3, 1, rng=np.random.default_rng(0))
    >>> model.encoder.weight.data = np.zeros((3, 1))
    >>> report = mg.models.diagnose(model, np.eye(3), np.random.default_rng(1), draws=2)
    >>> report.rate, report.state(0), bool(report.active[0])
    (0.0, 'collapsed', False)
    """

    kl: np.ndarray
    mean_variance: np.ndarray
    active: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    rate: float
    distortion: float
    elbo: float
    mutual_information: float
    marginal_kl: float
    elbo_error: float = math.nan
    marginal_kl_error: float = math.nan

    def state(self, m: int) -> str:
        """What a unit does.

        Parameters
        ----------
        m : int
            The number of the unit, from 0.

        Returns
        -------
        str
            'active'; 'collapsed' onto the prior (a KL of at most 0.05 nats); or 'inactive, far from
            the prior': the same for all data, but not the prior's.
        """
        if self.active[m]:
            return "active"
        return "collapsed" if self.kl[m] <= NEAR else "inactive, far from the prior"

    def __str__(self) -> str:
        units = [
            f"{m:>4} {kl:>11.4f} {variance:>22.4f}  {self.state(m)}"
            for m, (kl, variance) in enumerate(zip(self.kl, self.mean_variance, strict=True))
        ]
        elbo = (
            f"{self.active.sum()} of {len(units)} units active; "
            f"ELBO {self.elbo:.3f}{_plus_minus(self.elbo_error)} = "
            f"-(distortion {self.distortion:.3f} + rate {self.rate:.3f})"
        )
        rate = (
            f"rate = I(x; z) {self.mutual_information:.3f} + KL(q(z) || p(z)) "
            f"{self.marginal_kl:.3f}{_plus_minus(self.marginal_kl_error)}"
        )
        return "\n".join(["unit   KL (nats)   variance of its mean", *units, elbo, rate])


def diagnose(model: Any, X: Any, rng: np.random.Generator, draws: int = 10) -> LatentReport:
    """What a variational autoencoder has put into its code, unit by unit and as a whole.

    Parameters
    ----------
    model : VariationalAutoencoder, LinearVAE or alike
        It has ``encode(x) -> (mu, log_var)`` and ``bound(x, rng, beta=)``.
    X : array_like, (N, D)
        Data in rows, N >= 2.
    rng : numpy.random.Generator
        Draws z from q(z | x).
    draws : int, optional
        Of z for each datum, >= 1; one alone tells no standard error.

    Returns
    -------
    LatentReport
        It prints as a table of the units and two sums.

    Raises
    ------
    DataError
        If there are fewer than two rows, or `draws` is below 1.
    DtypeError
        If `rng` is not a generator, or `draws` not a whole number.

    References
    ----------
    Hoffman & Johnson (2016), ELBO surgery; Burda et al. (2016) for active units.

    Examples
    --------
    The rate splits into what z tells about x and what the aggregate posterior lacks of the prior.

    >>> model = mg.models.LinearVAE(3, 2, rng=np.random.default_rng(0))
    >>> report = mg.models.diagnose(model, np.eye(3), np.random.default_rng(1))
    >>> bool(np.isclose(report.mutual_information + report.marginal_kl, report.rate))
    True
    >>> bool(np.isclose(report.rate, report.kl.sum()))
    True
    """
    offering(model, "encode bound", "diagnose: model", "pass a variational autoencoder")
    draws = whole_number(draws, "diagnose: draws")
    rng = generator(rng, "diagnose", "z from q(z | x)")
    X = rows(X, "X", np.float64)
    if len(X) < 2:
        raise DataError(
            "diagnose: one datum has no spread",
            f"X has {counted(len(X), 'row')}",
            "pass at least two, better all of them",
        )
    with no_grad():
        mu, log_var = (np.asarray(s.numpy(), np.float64) for s in model.encode(X))
        distortions = [
            -float(np.mean(model.bound(X, rng, beta=0.0).numpy(), dtype=np.float64))
            for _ in range(draws)
        ]
    informations = [mutual_information(mu, log_var, rng) for _ in range(draws)]
    distortion, elbo_error = _mean_and_error(distortions)
    information, error = _mean_and_error(informations)
    kl = kl_per_unit(mu, log_var)
    spread, rate = mu.var(axis=0), float(kl.sum())
    of_means = np.atleast_2d(np.cov(mu, rowvar=False, ddof=0))
    covariance = of_means + np.diag(np.exp(log_var).mean(axis=0))
    return LatentReport(
        kl,
        spread,
        spread > ACTIVE,
        mu.mean(axis=0),
        covariance,
        rate,
        distortion,
        -(distortion + rate),
        information,
        rate - information,
        elbo_error,
        error,
    )


def _mean_and_error(values: list[float]) -> tuple[float, float]:
    """(mean, its standard error; NaN for one value)."""
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return float(np.mean(values)), spread / math.sqrt(len(values))


def _plus_minus(error: float) -> str:
    return "" if math.isnan(error) else f" ± {error:.2g}"


def kl_per_unit(mu: np.ndarray, log_var: np.ndarray) -> np.ndarray:
    """KL(q(z_m | x) || p(z_m)) of each unit, a mean over the data.

    Parameters
    ----------
    mu : ndarray, (n, M)
        Means of q(z | x).
    log_var : ndarray, (n, M)
        ln of its variances.

    Returns
    -------
    ndarray, (M,)
        1/2 (sigma^2 + mu^2 - 1 - ln sigma^2), in nats.

    Examples
    --------
    >>> mg.models.diagnostics.kl_per_unit(np.array([[0.0, 1.0], [0.0, 3.0]]), np.zeros((2, 2)))
    array([0. , 2.5])
    """
    return np.asarray(kl_to_prior(mu[..., None], log_var[..., None]).mean(axis=0))


def mutual_information(mu: np.ndarray, log_var: np.ndarray, rng: np.random.Generator) -> float:
    """I(x; z) = E [log q(z | x) - log q(z)], estimated at one z for each datum.

    Parameters
    ----------
    mu : ndarray, (n, M)
        Means of q(z | x).
    log_var : ndarray, (n, M)
        ln of its variances.
    rng : numpy.random.Generator
        Draws z.

    Returns
    -------
    float
        In nats, a mean over the data; at most ln n.

    Notes
    -----
    q(z) is the mixture of all n posteriors, itself included, so the estimate is unbiased for the
    data at hand.

    Examples
    --------
    Codes that never overlap tell which of the 4 data it was: ln 4.

    >>> mu = 1000.0 * np.arange(4)[:, None]
    >>> information = mg.models.diagnostics.mutual_information
    >>> bool(np.isclose(information(mu, np.zeros((4, 1)), np.random.default_rng(0)), np.log(4)))
    True
    """
    noise = rng.standard_normal(mu.shape)
    z = mu + np.exp(0.5 * log_var) * noise
    own = -0.5 * (LN_2PI + log_var + noise**2).sum(axis=1)
    parts = np.array_split(z, max(1, len(z) // BLOCK))
    aggregate = [log_aggregate_posterior(part, mu, log_var) for part in parts]
    return float(np.mean(own - np.concatenate(aggregate)))


def log_aggregate_posterior(z: np.ndarray, mu: np.ndarray, log_var: np.ndarray) -> np.ndarray:
    """log q(z) = log 1/n sum_n N(z; mu_n, diag e^log_var_n).

    Parameters
    ----------
    z : ndarray, (k, M)
        Where it is taken.
    mu : ndarray, (n, M)
        Means of q(z | x_n).
    log_var : ndarray, (n, M)
        ln of its variances.

    Returns
    -------
    ndarray, (k,)
        In nats.
    """
    log_q = np.zeros((len(z), len(mu)))
    # unit by unit: (k, n) at once
    for at, center, spread in zip(z.T, mu.T, log_var.T, strict=True):
        log_q -= 0.5 * (LN_2PI + spread + (at[:, None] - center) ** 2 * np.exp(-spread))
    return np.asarray(np.logaddexp.reduce(log_q, axis=1) - np.log(len(mu)))
