"""Noise for denoising: the two corruptions of the chapter (Bishop & Bishop, section 19.1.4; Vincent
et al. 2008).

Both return a new array of the shape and dtype of x (..., D), and draw anew from `rng` at every
call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import plain, unmasked
from ..errors import DataError, DtypeError


def zero_random_subset(x: Any, drop: float, rng: np.random.Generator) -> Any:
    """x with each entry, by itself, set to zero with probability `drop`; what is left keeps its
    value.

    (Nothing is divided by 1 - drop, unlike in `nn.Dropout`.)  Raises DataError for a `drop` outside
    [0, 1).
    """
    if not 0 <= drop < 1:
        raise DataError(
            "zero_random_subset: drop must lie in [0, 1)",
            f"got drop={drop}",
            "drop is the probability that an entry is set to zero, e.g. 0.3",
        )
    x = unmasked(x, "x")
    return x * (rng.random(x.shape) >= drop).astype(x.dtype)


def additive_gaussian(x: Any, sigma: ArrayLike, rng: np.random.Generator) -> Any:
    """x + sigma e with independent e ~ N(0, 1); sigma is in the units of x, one number or D of
    them.

    x is float32 or float64 (DtypeError), and so is the noise.  Raises DataError unless 0 <= sigma <
    inf.
    """
    x, sigma = unmasked(x, "x"), plain(sigma, "sigma")
    if not ((sigma >= 0) & (sigma < np.inf)).all():
        raise DataError(
            "additive_gaussian: sigma must be finite and not negative",
            f"got sigma={sigma}",
            "sigma is a standard deviation in the units of x, e.g. 0.3",
        )
    if x.dtype not in (np.float32, np.float64):
        raise DtypeError(
            "additive_gaussian: x must be float32 or float64",
            f"got shape {x.shape}, dtype {x.dtype}",
            "scale it first, e.g. x / 255 for grey levels",
        )
    return with_noise(x, sigma, rng)


def with_noise(x: np.ndarray, sigma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`additive_gaussian` without its questions, for who has asked them once."""
    return x + sigma.astype(x.dtype) * rng.standard_normal(x.shape, x.dtype)
