"""Noise for denoising: the two corruptions of the chapter (Bishop & Bishop, section 19.1.4; Vincent
et al. 2008).

Both return a new array of the shape and dtype of x (..., D), and draw again from `rng` at every
call.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import generator, numbers, real_number, real_numbers
from ..errors import DtypeError, ShapeError


def zero_random_subset(x: Any, drop: float, rng: np.random.Generator) -> Any:
    """Set each entry, by itself, to zero with a given probability.

    What is left keeps its value: nothing is divided by 1 - drop, unlike in `nn.Dropout`.

    Parameters
    ----------
    x : ndarray, (..., D)
        The clean data.
    drop : float
        Probability that an entry is set to zero, in [0, 1).
    rng : numpy.random.Generator
        What is drawn from, again at every call.

    Returns
    -------
    ndarray, (..., D)
        A new array in the dtype of x.

    Raises
    ------
    DataError
        For a `drop` outside [0, 1), and masked entries.
    DtypeError
        For an `rng` that is not a Generator.

    References
    ----------
    Bishop & Bishop (2024), section 19.1.4.
    Vincent et al. (2008), Extracting and composing robust features with denoising autoencoders.

    Examples
    --------
    >>> y = mg.data.zero_random_subset(np.full(1000, 3.0), 0.25, np.random.default_rng(0))
    >>> sorted(set(y.tolist()))
    [0.0, 3.0]
    >>> bool(abs(np.mean(y == 0) - 0.25) < 0.05)
    True
    """
    drop = real_number(
        drop,
        "zero_random_subset: drop",
        "[0, 1)",
        "drop is the probability that an entry is set to zero, e.g. 0.3",
    )
    rng = generator(rng, "zero_random_subset", "which entries to set to zero")
    x = _data(x)
    return x * (rng.random(x.shape) >= drop).astype(x.dtype)


def additive_gaussian(x: Any, sigma: ArrayLike, rng: np.random.Generator) -> Any:
    """Add independent normal noise, x + sigma e with e ~ N(0, 1).

    Parameters
    ----------
    x : ndarray, (..., D)
        The clean data, float32 or float64; the noise has the same dtype.
    sigma : float or array_like, (D,)
        Standard deviation of the noise in the units of x: one number, or one for each feature.
    rng : numpy.random.Generator
        What is drawn from, again at every call.

    Returns
    -------
    ndarray, (..., D)
        A new array in the dtype of x.

    Raises
    ------
    DataError
        Unless 0 <= sigma < inf, and for masked entries.
    DtypeError
        For an x of another dtype, and an `rng` that is not a Generator.

    References
    ----------
    Bishop & Bishop (2024), section 19.1.4.
    Vincent et al. (2008), Extracting and composing robust features with denoising autoencoders.

    Examples
    --------
    >>> x = np.zeros((10_000, 2))
    >>> y = mg.data.additive_gaussian(x, [0.0, 2.0], np.random.default_rng(0))
    >>> bool((y[:, 0] == 0).all()), bool(abs(y[:, 1].std() - 2) < 0.1)
    (True, True)
    """
    x, fix = _data(x), "sigma is a standard deviation in the units of x, e.g. 0.3"
    sigma = real_numbers(sigma, "additive_gaussian: sigma", "[0, inf)", fix)
    rng = generator(rng, "additive_gaussian", "the noise")
    if x.dtype not in (np.float32, np.float64):
        raise DtypeError(
            "additive_gaussian: x must be float32 or float64",
            f"got shape {x.shape}, dtype {x.dtype}",
            "scale it first, e.g. x / 255 for grey levels",
        )
    if sigma.shape not in ((), (1,), x.shape[-1:]):
        raise ShapeError(
            "additive_gaussian: sigma must be one number, or one for each feature",
            f"got shape {sigma.shape}, and x of shape {x.shape}",
            "pass as many as x has columns",
        )
    return with_noise(x, sigma, rng)


def _data(x: Any) -> Any:
    """A tensor as it is; anything else as an array of numbers."""
    return x if hasattr(x, "requires_grad") else numbers(x, "x")


def with_noise(x: np.ndarray, sigma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`additive_gaussian` without its questions, for who has asked them once."""
    return x + sigma.astype(x.dtype) * rng.standard_normal(x.shape, x.dtype)
