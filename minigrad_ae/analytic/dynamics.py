"""How gradient descent on the linear autoencoder gets to PCA: mode by mode, and only with a small
enough step.

The rate of a mode is its eigenvalue in the loss that is descended.  For the *sum* loss E = ½ Σ_n
‖x_n − W2 W1 x_n‖² that is s_i, an eigenvalue of XᵀX; for the loss *averaged* over N data it is l_i
= s_i / N.  Encoder W1 (M x D), decoder W2 (D x M).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import plain
from ..errors import DataError, ShapeError
from ._arguments import Array, real_array


def mode_strength(t: ArrayLike, rate: float, a0: float) -> Array:
    """a(t) = 1 / (1 + (1/a0 − 1) e^{−2 rate t}), the shape of ``t``: u_iᵀ W2 W1 u_i under gradient
    flow.

    Saxe, McClelland & Ganguli 2013 (arXiv 1312.6120), for the balanced, aligned start W2 = √a0 U_M,
    W1 = W2ᵀ.  Then da/dt = 2 rate a (1 − a) for each mode by itself.  ``t >= 0`` is the sum of the
    step sizes, 0 < a0 < 1.
    """
    rate, a0 = _positive(rate, "rate"), _fraction(a0)
    times = plain(t, "t", np.float64)
    if not (times >= 0).all():
        raise DataError(
            "t must not be negative",
            f"the smallest is {times.min():.6g}",
            "count time from the start",
        )
    return np.asarray(1 / (1 + (1 / a0 - 1) * np.exp(-2 * rate * times)))


def half_rise_time(rate: float, a0: float) -> float:
    """ln(1/a0 − 1) / (2 rate): when the mode reaches ½ (negative if it starts above ½).  Large
    modes come first.
    """
    return float(np.log(1 / _fraction(a0) - 1) / (2 * _positive(rate, "rate")))


def sharpness(s: ArrayLike) -> float:
    """2 s_1, the largest eigenvalue of the Hessian at the balanced optimum W1 = W2ᵀ = U_Mᵀ.

    It belongs to the joint rescaling of u_1 in both layers.  Every other optimum, W2 C and C⁻¹ W1,
    is as sharp or sharper.
    """
    return 2 * float(real_array(np.atleast_1d(plain(s, "s")), "s", 1).max())


def stability_limit(s: ArrayLike) -> float:
    """1 / s_1: gradient descent with a constant step converges to the balanced optimum only below
    it.

    A quadratic of curvature h diverges from η = 2/h on, here h = 2 s_1.  ``s`` holds the
    eigenvalues of XᵀX for the sum loss (or l = s / N for the averaged loss); the largest counts.
    """
    return 2 / _positive(sharpness(s), "the largest eigenvalue")


def balancedness(W1: ArrayLike, W2: ArrayLike) -> float:
    """‖W1 W1ᵀ − W2ᵀ W2‖_F (M x M matrices): constant under gradient flow, and drifting by O(η)
    under descent.

    It is constant because (dE/dW1) W1ᵀ = W2ᵀ (dE/dW2) at every point.  Zero for W1 = W2ᵀ.
    """
    W1, W2 = real_array(W1, "W1", 2), real_array(W2, "W2", 2)
    if W1.shape[0] != W2.shape[1]:
        raise ShapeError(
            "W1 and W2 have different numbers of latent units",
            f"W1 has shape {W1.shape}, W2 {W2.shape}",
            "W1 is M x D and W2 is D x M; a layer's weight is the transpose",
        )
    return float(np.linalg.norm(W1 @ W1.T - W2.T @ W2))


def _positive(value: float, name: str) -> float:
    value = float(value)
    if not 0 < value < np.inf:
        raise DataError(
            f"{name} must be positive",
            f"{name} = {value}",
            "it is an eigenvalue with some variance",
        )
    return value


def _fraction(a0: float) -> float:
    a0 = float(a0)
    if not 0 < a0 < 1:
        raise DataError(
            "a0 must lie between 0 and 1", f"a0 = {a0}", "a mode that starts at 0 never rises"
        )
    return a0
