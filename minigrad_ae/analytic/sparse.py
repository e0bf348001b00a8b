"""Sparse codes for a fixed decoder, and why the slide's objective does not fix the decoder.

For each datum x (a row of X, N x D) and decoder W (D x M): min over z (M,) of F(z) = ½ ‖x − W z‖² +
λ Σ_k |z_k|.  It is convex, so what :func:`fista` finds can be *proved* optimal: by the optimality
(KKT) conditions and by a dual feasible point, whose value is a lower bound of F.  Nothing here is
stochastic; every row is solved by itself.

Sources: iterative soft thresholding, Daubechies, Defrise & De Mol, Comm. Pure Appl. Math.
57:1413-1457 (2004); its acceleration and both rates, Beck & Teboulle, SIAM J. Imaging Sci.
2:183-202 (2009).  The same objective is scikit-learn's ``SparseCoder`` with ``transform_alpha`` =
λ.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import DataError, plain
from ._arguments import Array, of_shape, real_array, real_number, whole_number
from .principal_components import pca

PENALTY = "lam weighs the sum of |z|: choose lam >= 0"
MOST_STEPS = 10**7


@dataclass(frozen=True)
class SparseCodes:
    """What an iteration reached for X (N x D): ``codes`` (N x M), after ``steps`` steps, and how
    good they are.

    ``kkt_residual``  (N,), see :func:`kkt_residual`; zero at the optimum.
    ``duality_gap``   (N,), see :func:`duality_gap`: F is at most this much above its minimum.
    """

    codes: Array
    steps: int
    kkt_residual: Array
    duality_gap: Array


def soft_threshold(a: ArrayLike, lam: float) -> Array:
    """sign(a) max(|a| − λ, 0), the shape of ``a``: the minimum over z of ½ (a − z)² + λ |z|, entry
    by entry.

    For orthonormal columns W the whole problem separates into these: z = soft_threshold(Wᵀ x, λ).
    """
    lam = real_number(lam, "lam", "[0, inf)", PENALTY)
    a = plain(a, "a", np.float64)
    return a - np.clip(a, -lam, lam)


def sparse_loss(X: ArrayLike, W: ArrayLike, Z: ArrayLike, lam: float) -> Array:
    """(N,), F = ½ ‖x − W z‖² + λ Σ_k |z_k| for each row of X (N x D) and of Z (N x M)."""
    X, W, Z, lam = _problem(X, W, Z, lam)
    return 0.5 * ((X - Z @ W.T) ** 2).sum(axis=1) + lam * np.abs(Z).sum(axis=1)


def lambda_max(X: ArrayLike, W: ArrayLike) -> Array:
    """(N,), ‖Wᵀ x‖_∞ of each row: z = 0 is optimal if and only if λ is at least this."""
    X, W, _, _ = _problem(X, W, None, 0.0)
    return np.abs(X @ W).max(axis=1)


def ista(
    X: ArrayLike, W: ArrayLike, lam: float, steps: int = 10_000, tolerance: float = 0.0
) -> SparseCodes:
    """Iterative soft thresholding from z = 0: z <- soft(z + Wᵀ(x − W z)/L, λ/L), L the largest
    eigenvalue of WᵀW.

    F never rises, and F(z_k) − F* <= L ‖z*‖² / 2k.  Stops after ``steps`` steps, or, with
    ``tolerance`` > 0, as soon as every row has a KKT residual of at most ``tolerance``.
    """
    return _iterate(X, W, lam, steps, tolerance, accelerated=False)


def fista(
    X: ArrayLike, W: ArrayLike, lam: float, steps: int = 10_000, tolerance: float = 0.0
) -> SparseCodes:
    """:func:`ista` with momentum (Beck & Teboulle 2009): F(z_k) − F* <= 2 L ‖z*‖² / (k + 1)²; F may
    rise at a step.
    """
    return _iterate(X, W, lam, steps, tolerance, accelerated=True)


def ista_bound(W: ArrayLike, Z: ArrayLike, k: int, accelerated: bool = False) -> Array:
    """(N,), the most that F(z_k) can exceed F* after k >= 1 steps from z = 0, for optimal codes Z
    (N x M).
    """
    W = real_array(W, "W", 2)
    Z = of_shape(Z, "Z", (None, W.shape[1]), "one column for each latent unit")
    k = whole_number(k, "k", 1, MOST_STEPS, "the bound counts steps from 1")
    rate = 2 / (k + 1) ** 2 if accelerated else 1 / (2 * k)
    return rate * _lipschitz(W) * (Z**2).sum(axis=1)


def kkt_residual(X: ArrayLike, W: ArrayLike, Z: ArrayLike, lam: float) -> Array:
    """(N,), the largest violation of the optimality conditions; 0 exactly at the minimum.

    With c_j = W_jᵀ(x − W z): |c_j − λ sign z_j| where z_j != 0, max(|c_j| − λ, 0) where z_j = 0.
    """
    X, W, Z, lam = _problem(X, W, Z, lam)
    correlation = (X - Z @ W.T) @ W
    active = np.abs(correlation - lam * np.sign(Z))
    return np.where(Z != 0, active, np.maximum(np.abs(correlation) - lam, 0.0)).max(axis=1)


def duality_gap(X: ArrayLike, W: ArrayLike, Z: ArrayLike, lam: float) -> Array:
    """(N,), F(z) − G(θ) >= F(z) − F* >= 0, with G(θ) = ½ ‖x‖² − ½ ‖x − θ‖² and θ = r min(1, λ / ‖Wᵀ
    r‖_∞), r = x − W z.

    θ is feasible for the dual problem, max G subject to ‖Wᵀ θ‖_∞ <= λ, so the gap proves how good z
    is (for λ = 0 this family holds nothing but θ = 0, and the gap says little).
    """
    X, W, Z, lam = _problem(X, W, Z, lam)
    residual = X - Z @ W.T
    steepest = np.abs(residual @ W).max(axis=1)
    shrink = np.minimum(
        1.0, np.divide(lam, steepest, out=np.ones_like(steepest), where=steepest > lam)
    )
    theta = residual * shrink[:, None]
    # F − G in the form ½ ‖r − θ‖² + λ ‖z‖₁ − θᵀ W z: every term is small at the optimum, so little
    # cancels
    return (
        0.5 * ((residual - theta) ** 2).sum(axis=1)
        + lam * np.abs(Z).sum(axis=1)
        - (theta * (Z @ W.T)).sum(axis=1)
    )


def codes_on_support(X: ArrayLike, W: ArrayLike, lam: float, signs: ArrayLike) -> Array:
    """(N, M): z_A = (W_AᵀW_A)⁻¹ (W_Aᵀ x − λ sign_A) on each row's support A, 0 elsewhere.

    ``signs`` (N x M) holds −1, 0 or 1.  These are the optimal codes if the signs are those of the
    optimum (check with :func:`kkt_residual`): they turn an iteration's answer into one exact to
    rounding.  W_A must have full rank.
    """
    X, W, signs, lam = _problem(X, W, signs, lam, "signs")
    if not np.isin(signs, (-1.0, 0.0, 1.0)).all():
        raise DataError(
            "signs must be -1, 0 or 1",
            f"they run from {signs.min():.6g} to {signs.max():.6g}",
            "np.sign(Z)",
        )
    Z = np.zeros_like(signs)
    for x, sign, z in zip(X, signs, Z, strict=True):
        A = np.flatnonzero(sign)
        W_A = W[:, A]
        z[A] = np.linalg.solve(W_A.T @ W_A, W_A.T @ x - lam * sign[A])
    return Z


def rescaled(W1: ArrayLike, W2: ArrayLike, c: float) -> tuple[Array, Array]:
    """(c W1, W2 / c), c > 0: the same reconstruction, codes (and so the penalty λ Σ|z|) c times as
    large.
    """
    c = real_number(c, "c", "(0, inf)", "c scales the codes: choose it positive")
    W1, W2 = real_array(W1, "W1", 2), real_array(W2, "W2", 2)
    return c * W1, W2 / c


def degenerate_loss(X: ArrayLike, M: int, lam: float, c: float) -> float:
    """Σ_n [½ ‖x_n − W2 W1 x_n‖² + λ Σ_k |z_nk|], W1 = c U_Mᵀ and W2 = U_M / c: PCA's loss + c λ
    Σ|U_Mᵀ x|.

    The slide's objective with a free linear decoder: as c -> 0 it falls to PCA's loss, its infimum,
    which it never attains, and the codes are as dense as PCA's.  Norm the decoder's columns (or
    decay W2) to make λ mean something. X (N x D) is centred here.
    """
    lam = real_number(lam, "lam", "[0, inf)", PENALTY)
    c = real_number(c, "c", "(0, inf)", "c scales the codes: choose it positive")
    result = pca(X, M)
    scores = (real_array(X, "X", 2) - result.mean) @ result.basis()
    return result.optimal_loss() + c * lam * float(np.abs(scores).sum())


def _iterate(
    X: ArrayLike, W: ArrayLike, lam: float, steps: int, tolerance: float, accelerated: bool
) -> SparseCodes:
    X, W, _, lam = _problem(X, W, None, lam)
    steps = whole_number(steps, "steps", 0, MOST_STEPS, "an iteration takes steps")
    tolerance = real_number(
        tolerance, "tolerance", "[0, inf)", "it is compared with the KKT residual"
    )
    gram, target, L = W.T @ W, X @ W, _lipschitz(W)
    Z = ahead = np.zeros_like(target)
    momentum, done = 1.0, 0
    while done < steps and (tolerance == 0 or kkt_residual(X, W, Z, lam).max() > tolerance):
        previous, Z = Z, soft_threshold(ahead + (target - ahead @ gram) / L, lam / L)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2 if accelerated else 1.0
        ahead = Z + (momentum - 1) / following * (Z - previous)
        momentum, done = following, done + 1
    return SparseCodes(Z, done, kkt_residual(X, W, Z, lam), duality_gap(X, W, Z, lam))


def _lipschitz(W: Array) -> float:
    """The largest eigenvalue of WᵀW, the curvature of ½ ‖x − W z‖²."""
    L = float(np.linalg.norm(W, 2) ** 2)
    if L == 0:
        raise DataError(
            "W is zero",
            f"W has shape {W.shape}",
            "a decoder needs at least one column that is not zero",
        )
    return L


def _problem(
    X: ArrayLike, W: ArrayLike, Z: ArrayLike | None, lam: float, name: str = "Z"
) -> tuple[Array, Array, Array, float]:
    W = real_array(W, "W", 2)
    D, M = W.shape
    X = of_shape(
        X,
        "X",
        (None, D),
        "X is N x D and the decoder W is D x M; a layer's weight is the transpose of W",
    )
    codes = np.zeros((len(X), M)) if Z is None else Z
    Z = of_shape(
        codes, name, (len(X), M), "one row for each datum and one column for each column of W"
    )
    return X, W, Z, real_number(lam, "lam", "[0, inf)", PENALTY)
