"""How gradient descent on the linear autoencoder gets to PCA: mode by mode, with a small step.

The rate of a mode is its eigenvalue in the loss that is descended.  For the *sum* loss E = ½ Σ_n
‖x_n − W2 W1 x_n‖² that is s_i, an eigenvalue of XᵀX; for the loss *averaged* over N data it is l_i
= s_i / N.  Encoder W1 (M x D), decoder W2 (D x M).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import plain
from ..errors import ShapeError
from ._arguments import Array, real_array, real_number, unit, within

RATE = "it is an eigenvalue with some variance"


def mode_strength(t: ArrayLike, rate: float, a0: float) -> Array:
    """a(t) = 1 / (1 + (1/a0 − 1) e^{−2 rate t}): u_iᵀ W2 W1 u_i under gradient flow.

    This is for the balanced, aligned start W2 = √a0 U_M, W1 = W2ᵀ.  Then da/dt = 2 rate a (1 − a)
    for each mode by itself.

    Parameters
    ----------
    t : array_like
        Times >= 0 of any shape: the sum of the step sizes so far.
    rate : float
        The mode's eigenvalue: s_i for the loss that is a sum over data, l_i = s_i / N for its mean.
    a0 : float
        The strength at t = 0, between 0 and 1.

    Returns
    -------
    ndarray
        The strength, of the shape of `t`; it rises from a0 to 1.

    Raises
    ------
    DataError
        If a time is negative or NaN, the rate is not positive, or a0 is not between 0 and 1.
    DtypeError
        If `t` is complex, or another argument is not one real number.

    References
    ----------
    Saxe, McClelland & Ganguli 2013 (arXiv 1312.6120).

    Examples
    --------
    >>> t = mg.analytic.half_rise_time(rate=2.0, a0=0.01)
    >>> [round(float(a), 6) for a in mg.analytic.mode_strength([0.0, t, 2 * t], 2.0, 0.01)]
    [0.01, 0.5, 0.99]
    """
    rate, odds = _rate_and_odds(rate, a0)
    times = plain(t, "t", np.float64)
    within(times, "t", "[0, inf]", "count time from the start")
    return np.asarray(1 / (1 + odds * np.exp(-2 * rate * times)))


def half_rise_time(rate: float, a0: float) -> float:
    """ln(1/a0 − 1) / (2 rate): when a mode reaches ½.  Large modes come first.

    Parameters
    ----------
    rate : float
        The mode's eigenvalue, see `mode_strength`.
    a0 : float
        The strength at t = 0, between 0 and 1.

    Returns
    -------
    float
        The time, a sum of step sizes; negative if the mode starts above ½.

    Raises
    ------
    DataError
        If the rate is not positive, or a0 is not between 0 and 1.
    DtypeError
        If one of them is not one real number.

    References
    ----------
    Saxe, McClelland & Ganguli 2013 (arXiv 1312.6120).

    Examples
    --------
    >>> slow, fast = (mg.analytic.half_rise_time(rate, a0=0.01) for rate in (1.0, 10.0))
    >>> round(slow / fast, 6)
    10.0
    """
    rate, odds = _rate_and_odds(rate, a0)
    return float(np.log(odds) / (2 * rate))


def sharpness(s: ArrayLike) -> float:
    """2 s_1, the largest eigenvalue of the Hessian at the balanced optimum W1 = W2ᵀ = U_Mᵀ.

    It belongs to the joint rescaling of u_1 in both layers.  Every other optimum, W2 C and C⁻¹ W1,
    is as sharp or sharper.

    Parameters
    ----------
    s : array_like, (D,) or a number
        Eigenvalues of XᵀX for the loss that is a sum over data, l = s / N for its mean; the largest
        counts.

    Returns
    -------
    float
        The largest curvature.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If s is not a flat array of finite real numbers.

    Examples
    --------
    >>> H = mg.analytic.hessian(np.diag([3.0, 1.0]), [[1.0, 0.0]], [[1.0], [0.0]])
    >>> mg.analytic.sharpness([3.0, 1.0]), round(float(np.linalg.eigvalsh(H)[-1]), 6)
    (6.0, 6.0)
    """
    return 2 * float(real_array(np.atleast_1d(plain(s, "s")), "s", 1).max())


def stability_limit(s: ArrayLike) -> float:
    """1 / s_1: gradient descent with a constant step reaches the balanced optimum only below it.

    A quadratic of curvature h diverges from η = 2/h on; here h = 2 s_1, see `sharpness`.  That is
    so beside this optimum only: where one layer is large and the other small the curvature is
    larger, and descent that starts there can diverge below 1 / s_1, too.

    Parameters
    ----------
    s : array_like, (D,) or a number
        Eigenvalues of XᵀX for the loss that is a sum over data, l = s / N for its mean; the largest
        counts.

    Returns
    -------
    float
        The step size (learning rate) that is too large.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If s is not a flat array of finite real numbers, or the largest is not positive.

    Examples
    --------
    >>> mg.analytic.stability_limit([4.0, 1.0])
    0.25
    """
    return 2 / real_number(sharpness(s), "the sharpness", "(0, inf)", RATE)


def balancedness(W1: ArrayLike, W2: ArrayLike) -> float:
    """‖W1 W1ᵀ − W2ᵀ W2‖_F: constant under gradient flow, drifting by O(η) under gradient descent.

    It is constant because (dE/dW1) W1ᵀ = W2ᵀ (dE/dW2) at every point.

    Parameters
    ----------
    W1 : array_like, (M, D)
        The encoder.
    W2 : array_like, (D, M)
        The decoder.

    Returns
    -------
    float
        The norm of an M x M matrix; zero for W1 = W2ᵀ.

    Raises
    ------
    ShapeError
        If they are not matrices with the same number of latent units.
    DtypeError, DataError
        If one of them does not hold finite real numbers, or is empty.

    Examples
    --------
    >>> mg.analytic.balancedness([[3.0, 0.0]], [[0.0], [1.0]])  # 9 - 1
    8.0
    """
    W1, W2 = real_array(W1, "W1", 2), real_array(W2, "W2", 2)
    if W1.shape[0] != W2.shape[1]:
        raise ShapeError(
            "W1 and W2 have different numbers of latent units",
            f"W1 has shape {W1.shape}, W2 {W2.shape}",
            "W1 is M x D and W2 is D x M; a layer's weight is the transpose",
        )
    size = unit(np.append(W1, W2))  # the norm squares what are squares already
    W1, W2 = W1 / size, W2 / size
    return float(np.linalg.norm(W1 @ W1.T - W2.T @ W2)) * size * size


def _rate_and_odds(rate: float, a0: float) -> tuple[float, float]:
    """The rate, and how far the start is from its end: 1/a0 − 1 = (1 − a0) / a0."""
    start = real_number(a0, "a0", "(0, 1)", "a mode that starts at 0 never rises")
    return real_number(rate, "rate", "(0, inf)", RATE), 1 / start - 1
