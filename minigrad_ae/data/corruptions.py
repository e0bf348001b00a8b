"""Noise for denoising: the two corruptions of the chapter (Bishop & Bishop, section 19.1.4; Vincent
et al. 2008).

Both return a new array of the shape and dtype of x (..., D), and draw again from `rng` at every
call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import generator, real_number, real_numbers, unmasked
from ..errors import DtypeError


def zero_random_subset(x: Any, drop: float, rng: np.random.Generator) -> Any:
    """x with each entry, by itself, set to zero with probability `drop`; what is left keeps its
    value.

    (Nothing is divided by 1 - drop, unlike in `nn.Dropout`.)  Raises DataError for a `drop` outside
    [0, 1).
    """
    drop = real_number(
        drop,
        "zero_random_subset: drop",
        "[0, 1)",
        "drop is the probability that an entry is set to zero, e.g. 0.3",
    )
    rng = generator(rng, "zero_random_subset", "which entries to set to zero")
    x = unmasked(x, "x")
    return x * (rng.random(x.shape) >= drop).astype(x.dtype)


def additive_gaussian(x: Any, sigma: ArrayLike, rng: np.random.Generator) -> Any:
    """x + sigma e with independent e ~ N(0, 1); sigma is in the units of x, one number or D of
    them.

    x is float32 or float64 (DtypeError), and so is the noise.  Raises DataError unless 0 <= sigma <
    inf.
    """
    x, fix = unmasked(x, "x"), "sigma is a standard deviation in the units of x, e.g. 0.3"
    sigma = real_numbers(sigma, "additive_gaussian: sigma", "[0, inf)", fix)
    rng = generator(rng, "additive_gaussian", "the noise")
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
