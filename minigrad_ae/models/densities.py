"""The terms of the variational bound in Tensor operations, with every constant, in nats.

Log densities and a divergence: arguments broadcast, and the sum runs over the last axis, so a batch
(n, D) gives (n,).  And p(x | z; w), what the decoder's output a = g(z; w) says about x:

Bernoulli   p(x = 1) = sigmoid(a), pixel by pixel: black and white images.  Grey pixels in
            between are taken as probabilities, and then the result is minus a cross-entropy and
            no likelihood
Gaussian    N(x; a, sigma^2 I), one variance for all pixels: fixed, or learnt as the parameter
            ``log_var``
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import ops
from ..arguments import extent, flag, real_number
from ..errors import DataError
from ..nn import Module, Parameter

LN_2PI = math.log(2 * math.pi)


def log_normal(x: Any, mean: Any = 0.0, log_var: Any = 0.0) -> Any:
    """log N(x; mean, diag e^log_var), over the last axis.

        -1/2 sum_d [ln 2 pi + log_var + (x - mean)^2 / e^log_var]

    Parameters
    ----------
    x : Tensor or ndarray, (..., D)
        Where the density is taken.
    mean : Tensor or array_like, optional
        Broadcasts against x; 0 unless told otherwise.
    log_var : Tensor or array_like, optional
        ln of the variances, alike; 0 is a variance of 1.

    Returns
    -------
    Tensor or ndarray, (...)
        A sum over the last axis, in nats.

    Examples
    --------
    >>> at_0 = mg.models.densities.log_normal(np.zeros(2))
    >>> bool(np.isclose(at_0, -np.log(2 * np.pi)))
    True
    """
    return -0.5 * ops.sum(LN_2PI + log_var + (x - mean) ** 2 * ops.exp(-log_var), axis=-1)


def log_bernoulli(x: Any, logits: Any) -> Any:
    """log p(x) = sum_d [x a - ln(1 + e^a)], over the last axis.

    Parameters
    ----------
    x : Tensor or ndarray, (..., D)
        Zeros and ones, or grey values between them.
    logits : Tensor or ndarray, (..., D)
        a; the probability of a 1 is sigmoid(a).

    Returns
    -------
    Tensor or ndarray, (...)
        A sum over the last axis, in nats.

    Examples
    --------
    >>> log_p = mg.models.densities.log_bernoulli(np.array([0.0, 1.0]), np.zeros(2))
    >>> bool(np.isclose(log_p, -2 * np.log(2)))  # two fair coins
    True
    """
    return ops.sum(x * logits - ops.softplus(logits), axis=-1)


def kl_to_prior(mu: Any, log_var: Any) -> Any:
    """KL(N(mu, diag e^log_var) || N(0, I)), over the last axis.

        1/2 sum_m [e^log_var + mu^2 - 1 - log_var]

    Parameters
    ----------
    mu : Tensor or ndarray, (..., M)
        Means.
    log_var : Tensor or ndarray, (..., M)
        ln of the variances.

    Returns
    -------
    Tensor or ndarray, (...)
        A sum over the last axis, in nats; 0 for the prior itself.

    Examples
    --------
    >>> mu = np.array([[0.0, 0.0], [3.0, 4.0]])
    >>> mg.models.densities.kl_to_prior(mu, np.zeros((2, 2)))  # 1/2 (3^2 + 4^2)
    array([ 0. , 12.5])
    """
    return 0.5 * ops.sum(ops.exp_remainder(log_var) + mu * mu, axis=-1)


class Bernoulli(Module):
    """Independent pixels in [0, 1]; the probability of a 1 is sigmoid(a).

    Examples
    --------
    >>> fair = mg.models.densities.Bernoulli()
    >>> round(float(fair.negative_log_likelihood(np.zeros((1, 3)), np.ones((1, 3))) / np.log(2)), 6)
    3.0
    """

    def negative_log_likelihood(self, a: Any, x: Any) -> Any:
        """-ln p(x), a sum over all elements, in one fused op.

        Parameters
        ----------
        a : Tensor or ndarray, (n, D)
            The decoder's output.
        x : Tensor or ndarray, (n, D)
            Data in [0, 1].

        Returns
        -------
        Tensor or ndarray, ()
            A sum over features and data, in nats.
        """
        return ops.bernoulli_loss(a, x)

    def log_prob(self, a: Any, x: Any) -> Any:
        """ln p(x) of each datum.

        Parameters
        ----------
        a : Tensor or ndarray, (..., n, D)
            The decoder's output.
        x : Tensor or ndarray, (n, D)
            Data in [0, 1].

        Returns
        -------
        Tensor or ndarray, (..., n)
            A sum over features, in nats.
        """
        return log_bernoulli(x, a)

    def mean(self, a: Any) -> Any:
        """E x = sigmoid(a).

        Parameters
        ----------
        a : Tensor or ndarray, (..., D)
            The decoder's output.

        Returns
        -------
        Tensor or ndarray, (..., D)
            The probability of a 1.
        """
        return ops.sigmoid(a)

    def draw(self, a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw x from p(x | a).

        Parameters
        ----------
        a : ndarray, (..., D)
            The decoder's output.
        rng : numpy.random.Generator
            Draws each pixel by itself.

        Returns
        -------
        ndarray, (..., D)
            Zeros and ones, in the dtype of a.
        """
        p: np.ndarray = ops.sigmoid(a)
        return (rng.random(a.shape) < p).astype(a.dtype)

    def check(self, x: np.ndarray) -> None:
        """Refuse data outside [0, 1], or NaN: their "loss" would have no lower bound.

        Parameters
        ----------
        x : ndarray, (n, D)
            Data in rows.

        Raises
        ------
        DataError
            If an entry is below 0, above 1, or NaN.
        """
        low, high = x.min(), x.max()
        if not (low >= 0 and high <= 1):
            raise DataError(
                "a Bernoulli likelihood needs data in [0, 1]",
                f"the entries of x, of shape {x.shape}, {extent(low, high)}",
                "divide by the largest grey level, or choose likelihood='gaussian'",
            )


class Gaussian(Module):
    """N(x; a, sigma^2 I), one variance for all pixels.

    Parameters
    ----------
    sigma : float, optional
        The standard deviation of a pixel around its mean, > 0, in the units of the data.
    learn : bool, optional
        Whether it is trained, from there.
    dtype : dtype, optional
        float64 or float32.

    Attributes
    ----------
    log_var : Parameter, ()
        ln sigma^2, frozen unless `learn`, so it is part of the state.

    Raises
    ------
    DataError
        If sigma is not a positive number.
    DtypeError
        If sigma is not a number, or `learn` not a flag.

    Examples
    --------
    >>> unit = mg.models.densities.Gaussian()
    >>> loss = unit.negative_log_likelihood(mg.tensor(np.zeros((1, 2))), np.zeros((1, 2)))
    >>> bool(np.isclose(loss.item(), np.log(2 * np.pi)))
    True
    """

    def __init__(self, sigma: float = 1.0, learn: bool = False, dtype: Any = np.float64) -> None:
        sigma = real_number(
            sigma,
            "sigma",
            "(0, inf)",
            "it is the standard deviation of a pixel: the size of the noise around the "
            "reconstruction",
            what="sigma must be a positive number",
        )
        self.log_var = Parameter(2 * math.log(sigma), dtype=dtype, name="log_var")
        self.log_var.requires_grad = flag(learn, "learn_sigma")

    @property
    def sigma(self) -> float:
        """The standard deviation of a pixel around its mean, a float in the units of the data."""
        return math.exp(0.5 * self.log_var.item())

    def negative_log_likelihood(self, a: Any, x: Any) -> Any:
        """-ln p(x), a sum over all elements.

            sum [(x - a)^2 / 2 sigma^2 + ln(2 pi sigma^2) / 2]

        Parameters
        ----------
        a : Tensor, (n, D)
            The decoder's output.
        x : Tensor or ndarray, (n, D)
            Data, of the same shape.

        Returns
        -------
        Tensor, ()
            A sum over features and data, in nats.
        """
        constant = 0.5 * a.size * (LN_2PI + self.log_var)
        return ops.half_squared_error(a, x) * ops.exp(-self.log_var) + constant

    def log_prob(self, a: Any, x: Any) -> Any:
        """ln p(x) of each datum.

        Parameters
        ----------
        a : Tensor or ndarray, (..., n, D)
            The decoder's output.
        x : Tensor or ndarray, (n, D)
            Data in rows.

        Returns
        -------
        Tensor, (..., n)
            A sum over features, in nats.
        """
        return log_normal(x, a, self.log_var)

    def mean(self, a: Any) -> Any:
        """E x = a.

        Parameters
        ----------
        a : Tensor or ndarray, (..., D)
            The decoder's output.

        Returns
        -------
        Tensor or ndarray, (..., D)
            a itself.
        """
        return a

    def draw(self, a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Draw x from p(x | a).

        Parameters
        ----------
        a : ndarray, (..., D)
            The decoder's output.
        rng : numpy.random.Generator
            Draws the noise of each pixel.

        Returns
        -------
        ndarray, (..., D)
            a + sigma eps.
        """
        return a + self.sigma * rng.standard_normal(a.shape, a.dtype)

    def check(self, x: np.ndarray) -> None:
        """Accept all real data.

        Parameters
        ----------
        x : ndarray, (n, D)
            Data in rows; not looked at.
        """
