"""p(x | z; w): what the decoder's output a = g(z; w) says about x.

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
from ..arguments import flag, real_number
from ..errors import DataError
from ..nn import Module, Parameter
from .densities import LN_2PI, log_bernoulli, log_normal


class Bernoulli(Module):
    """Independent pixels in [0, 1], the probability of a 1 is sigmoid(a)."""

    def negative_log_likelihood(self, a: Any, x: Any) -> Any:
        """-sum ln p(x) over all elements, a scalar; a and x of one shape.  One fused op."""
        return ops.bernoulli_loss(a, x)

    def log_prob(self, a: Any, x: Any) -> Any:
        """ln p(x) of each datum: a (..., n, D), x (n, D) -> (..., n)."""
        return log_bernoulli(x, a)

    def mean(self, a: Any) -> Any:
        """E x, the shape of a."""
        return ops.sigmoid(a)

    def draw(self, a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """x drawn from p(x | a): zeros and ones."""
        return (rng.random(a.shape) < ops.sigmoid(a)).astype(a.dtype)

    def check(self, x: np.ndarray) -> None:
        """Raises DataError for data outside [0, 1], or NaN: minus their "log-likelihood" would have
        no lower bound.
        """
        low, high = x.min(), x.max()
        if not (low >= 0 and high <= 1):
            raise DataError(
                "a Bernoulli likelihood needs data in [0, 1]",
                f"x of shape {x.shape} runs from {low:.6g} to {high:.6g}",
                "divide by the largest grey level, or choose likelihood='gaussian'",
            )


class Gaussian(Module):
    """N(x; a, sigma^2 I).  ``log_var`` = ln sigma^2 is a parameter, frozen unless `learn`, so it is
    part of the state.
    """

    def __init__(self, sigma: float = 1.0, learn: bool = False, dtype: Any = np.float64) -> None:
        fix = (
            "it is the standard deviation of a pixel: the size of the noise around the "
            "reconstruction"
        )
        sigma = real_number(sigma, "sigma", "(0, inf)", fix, what="sigma must be a positive number")
        self.log_var = Parameter(2 * math.log(sigma), dtype=dtype, name="log_var")
        self.log_var.requires_grad = flag(learn, "learn_sigma")

    @property
    def sigma(self) -> float:
        """The standard deviation of a pixel around its mean, in units of the data."""
        return math.exp(0.5 * self.log_var.item())

    def negative_log_likelihood(self, a: Any, x: Any) -> Any:
        """sum [(x - a)^2 / 2 sigma^2 + ln(2 pi sigma^2) / 2] over all elements, a scalar; a and x
        of one shape.
        """
        constant = 0.5 * a.size * (LN_2PI + self.log_var)
        return ops.half_squared_error(a, x) * ops.exp(-self.log_var) + constant

    def log_prob(self, a: Any, x: Any) -> Any:
        """ln p(x) of each datum: a (..., n, D), x (n, D) -> (..., n)."""
        return log_normal(x, a, self.log_var)

    def mean(self, a: Any) -> Any:
        """E x = a."""
        return a

    def draw(self, a: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """x drawn from p(x | a)."""
        return a + self.sigma * rng.standard_normal(a.shape, a.dtype)

    def check(self, x: np.ndarray) -> None:
        """All real data will do."""
