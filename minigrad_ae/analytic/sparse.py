"""Sparse codes for a fixed decoder, and why the slide's objective does not fix the decoder.

For each datum x (a row of X, N x D) and decoder W (D x M): min over z (M,) of F(z) = ½ ‖x − W z‖² +
λ Σ_k |z_k|.  It is convex, so what `fista` finds can be *proved* optimal: by the optimality
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

from ..arguments import flag, plain
from ..errors import DataError
from ._arguments import Array, of_shape, real_array, real_number, solvable, whole_number
from .principal_components import pca

PENALTY = "lam weighs the sum of |z|: choose lam >= 0"
MOST_STEPS = 10**7


@dataclass(frozen=True)
class SparseCodes:
    """The codes that an iteration reached, and the proof of how good they are.

    Parameters
    ----------
    codes : ndarray, (N, M)
        A code in each row.
    steps : int
        Steps taken.
    kkt_residual : ndarray, (N,)
        See the function of that name; zero at the optimum.
    duality_gap : ndarray, (N,)
        See the function of that name: F is at most this much above its minimum.

    Examples
    --------
    >>> found = mg.analytic.fista([[3.0, 0.5]], np.eye(2), lam=1.0, tolerance=1e-12)
    >>> found.codes.round(6).tolist(), bool(found.duality_gap[0] < 1e-9)
    ([[2.0, 0.0]], True)
    """

    codes: Array
    steps: int
    kkt_residual: Array
    duality_gap: Array


def soft_threshold(a: ArrayLike, lam: float) -> Array:
    """sign(a) max(|a| − λ, 0), entry by entry: the minimum over z of ½ (a − z)² + λ |z|.

    For orthonormal columns W the whole problem separates into these: z = soft_threshold(Wᵀ x, λ).

    Parameters
    ----------
    a : array_like
        Numbers, in any shape.
    lam : float
        λ >= 0.

    Returns
    -------
    ndarray
        Of the shape of `a`; exactly 0 where |a| <= λ.

    Raises
    ------
    DtypeError, DataError
        If `a` is complex, or lam is not one number >= 0.

    References
    ----------
    Daubechies, Defrise & De Mol, Comm. Pure Appl. Math. 57:1413-1457 (2004).

    Examples
    --------
    >>> mg.analytic.soft_threshold([-3.0, 0.5, 2.0], lam=1.0).tolist()
    [-2.0, 0.0, 1.0]
    """
    lam = real_number(lam, "lam", "[0, inf)", PENALTY)
    a = plain(a, "a", np.float64)
    return a - np.clip(a, -lam, lam)


def sparse_loss(X: ArrayLike, W: ArrayLike, Z: ArrayLike, lam: float) -> Array:
    """F = ½ ‖x − W z‖² + λ Σ_k |z_k|, for each row.

    Parameters
    ----------
    X : array_like, (N, D)
        A datum x in each row.
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.
    Z : array_like, (N, M)
        Codes z, one in each row.
    lam : float
        λ >= 0, the weight of Σ_k |z_k|.

    Returns
    -------
    ndarray, (N,)
        A sum over features and latent units; sum it over data for the slide's objective.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError, DataError
        If an array does not hold finite real numbers, or is empty, or lam is negative.

    References
    ----------
    Bishop & Bishop (2024), section 19.1.3.

    Examples
    --------
    >>> mg.analytic.sparse_loss([[3.0, 0.5]], np.eye(2), [[2.0, 0.0]], lam=1.0).tolist()
    [2.625]
    """
    X, W, Z, lam = _problem(X, W, Z, lam)
    return 0.5 * ((X - Z @ W.T) ** 2).sum(axis=1) + lam * np.abs(Z).sum(axis=1)


def lambda_max(X: ArrayLike, W: ArrayLike) -> Array:
    """‖Wᵀ x‖_∞ of each row: z = 0 is optimal if and only if λ is at least this.

    Parameters
    ----------
    X : array_like, (N, D)
        A datum x in each row.
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.

    Returns
    -------
    ndarray, (N,)
        The least such λ.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError, DataError
        If an array does not hold finite real numbers or is empty.

    Examples
    --------
    >>> mg.analytic.lambda_max([[3.0, -4.0]], np.eye(2)).tolist()
    [4.0]
    >>> mg.analytic.kkt_residual([[3.0, -4.0]], np.eye(2), [[0.0, 0.0]], lam=4.0).tolist()
    [0.0]
    """
    X, W, _, _ = _problem(X, W, None, 0.0)
    return np.abs(X @ W).max(axis=1)


def ista(
    X: ArrayLike, W: ArrayLike, lam: float, steps: int = 10_000, tolerance: float = 0.0
) -> SparseCodes:
    """Iterative soft thresholding from z = 0: z <- soft(z + Wᵀ(x − W z)/L, λ/L).

    L is the largest eigenvalue of WᵀW.  F never rises, and F(z_k) − F* <= L ‖z*‖² / 2k.

    Parameters
    ----------
    X : array_like, (N, D)
        A datum x in each row.
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.
    lam : float
        λ >= 0, the weight of Σ_k |z_k|.
    steps : int, optional
        The most steps to take.
    tolerance : float, optional
        Where positive: stop as soon as every row has a KKT residual of at most this.

    Returns
    -------
    SparseCodes
        The codes, and how good they are.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError, DataError
        If an array does not hold finite real numbers, or is empty, lam or tolerance is negative, W
        is zero, or steps is out of range.

    References ---------- Daubechies, Defrise & De Mol, Comm. Pure Appl. Math. 57:1413-1457 (2004);
    the rate: Beck & Teboulle, SIAM J. Imaging Sci. 2:183-202 (2009).

    Examples
    --------
    >>> found = mg.analytic.ista([[3.0, 0.5]], np.eye(2), lam=1.0, steps=1)
    >>> found.codes.round(6).tolist()  # orthonormal columns: one step is all it takes
    [[2.0, 0.0]]
    """
    return _iterate(X, W, lam, steps, tolerance, accelerated=False)


def fista(
    X: ArrayLike, W: ArrayLike, lam: float, steps: int = 10_000, tolerance: float = 0.0
) -> SparseCodes:
    """`ista` with momentum: F(z_k) − F* <= 2 L ‖z*‖² / (k + 1)², and F may rise at a step.

    Parameters
    ----------
    X : array_like, (N, D)
        A datum x in each row.
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.
    lam : float
        λ >= 0, the weight of Σ_k |z_k|.
    steps : int, optional
        The most steps to take.
    tolerance : float, optional
        Where positive: stop as soon as every row has a KKT residual of at most this.

    Returns
    -------
    SparseCodes
        The codes, and how good they are.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError, DataError
        If an array does not hold finite real numbers, or is empty, lam or tolerance is negative, W
        is zero, or steps is out of range.

    References
    ----------
    Beck & Teboulle, SIAM J. Imaging Sci. 2:183-202 (2009).

    Examples
    --------
    >>> W = np.array([[1.0, 0.6], [0.0, 0.8]])  # columns that are not orthogonal
    >>> found = mg.analytic.fista([[1.0, 1.0]], W, lam=0.1, tolerance=1e-12)
    >>> exact = mg.analytic.codes_on_support([[1.0, 1.0]], W, 0.1, np.sign(found.codes))
    >>> bool(np.allclose(found.codes, exact))
    True
    """
    return _iterate(X, W, lam, steps, tolerance, accelerated=True)


def ista_bound(W: ArrayLike, Z: ArrayLike, k: int, accelerated: bool = False) -> Array:
    """The most that F(z_k) can exceed its minimum after k steps from z = 0.

    Parameters
    ----------
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.
    Z : array_like, (N, M)
        *Optimal* codes, one in each row.
    k : int
        Steps taken, from 1.
    accelerated : bool, optional
        The bound of `fista`, not of `ista`.

    Returns
    -------
    ndarray, (N,)
        For each datum.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If the shapes do not fit together, an array does not hold finite real numbers, W is zero, or
        k is not a whole number from 1.

    References
    ----------
    Beck & Teboulle, SIAM J. Imaging Sci. 2:183-202 (2009).

    Examples
    --------
    >>> slow = mg.analytic.ista_bound(np.eye(2), [[2.0, 0.0]], k=99)
    >>> fast = mg.analytic.ista_bound(np.eye(2), [[2.0, 0.0]], k=99, accelerated=True)
    >>> round(float(slow[0]), 6), round(float(fast[0]), 6)  # 4 / 198 and 8 / 100²
    (0.020202, 0.0008)
    """
    W = real_array(W, "W", 2)
    Z = of_shape(Z, "Z", (None, W.shape[1]), "one column for each latent unit")
    k = whole_number(k, "k", 1, MOST_STEPS, "the bound counts steps from 1")
    rate = 2 / (k + 1) ** 2 if flag(accelerated, "accelerated") else 1 / (2 * k)
    return rate * _lipschitz(W) * (Z**2).sum(axis=1)


def kkt_residual(X: ArrayLike, W: ArrayLike, Z: ArrayLike, lam: float) -> Array:
    """The largest violation of the optimality conditions; 0 exactly at the minimum.

    With c_j = W_jᵀ(x − W z): |c_j − λ sign z_j| where z_j != 0, max(|c_j| − λ, 0) where z_j = 0.

    Parameters
    ----------
    X : array_like, (N, D)
        A datum x in each row.
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.
    Z : array_like, (N, M)
        Codes z, one in each row.
    lam : float
        λ >= 0, the weight of Σ_k |z_k|.

    Returns
    -------
    ndarray, (N,)
        The maximum over latent units, for each datum.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError, DataError
        If an array does not hold finite real numbers, or is empty, or lam is negative.

    Examples
    --------
    >>> X, W = [[3.0, 0.5]], np.eye(2)
    >>> mg.analytic.kkt_residual(X, W, mg.analytic.soft_threshold(X, 1.0), lam=1.0).tolist()
    [0.0]
    >>> mg.analytic.kkt_residual(X, W, [[0.0, 0.0]], lam=1.0).tolist()
    [2.0]
    """
    X, W, Z, lam = _problem(X, W, Z, lam)
    correlation = (X - Z @ W.T) @ W
    active = np.abs(correlation - lam * np.sign(Z))
    return np.where(Z != 0, active, np.maximum(np.abs(correlation) - lam, 0.0)).max(axis=1)


def duality_gap(X: ArrayLike, W: ArrayLike, Z: ArrayLike, lam: float) -> Array:
    """F(z) − G(θ) >= F(z) − F* >= 0: a proof of how close a code is to the minimum.

    G(θ) = ½ ‖x‖² − ½ ‖x − θ‖² and θ = r min(1, λ / ‖Wᵀ r‖_∞), r = x − W z.  θ is feasible for the
    dual problem, max G subject to ‖Wᵀ θ‖_∞ <= λ, so the gap proves how good z is (for λ = 0 this
    family holds nothing but θ = 0, and the gap says little).

    Parameters
    ----------
    X : array_like, (N, D)
        A datum x in each row.
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.
    Z : array_like, (N, M)
        Codes z, one in each row.
    lam : float
        λ >= 0, the weight of Σ_k |z_k|.

    Returns
    -------
    ndarray, (N,)
        For each datum.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError, DataError
        If an array does not hold finite real numbers, or is empty, or lam is negative.

    Examples
    --------
    >>> X, W = [[3.0, 0.5]], np.eye(2)
    >>> mg.analytic.duality_gap(X, W, [[2.0, 0.0]], lam=1.0).tolist()  # the optimum
    [0.0]
    >>> at_zero = mg.analytic.sparse_loss(X, W, [[0.0, 0.0]], 1.0)
    >>> above = at_zero - mg.analytic.sparse_loss(X, W, [[2.0, 0.0]], 1.0)
    >>> bool(mg.analytic.duality_gap(X, W, [[0.0, 0.0]], lam=1.0) >= above)
    True
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
    """The codes with given signs that solve the optimality conditions, exact to rounding.

    z_A = (W_AᵀW_A)⁻¹ (W_Aᵀ x − λ sign_A) on each row's support A, 0 elsewhere.  These are the
    optimal codes if the signs are those of the optimum (check with `kkt_residual`): they turn an
    iteration's answer into one exact to rounding.

    Parameters
    ----------
    X : array_like, (N, D)
        A datum x in each row.
    W : array_like, (D, M)
        The decoder; a layer's weight is its transpose.
    lam : float
        λ >= 0, the weight of Σ_k |z_k|.
    signs : array_like, (N, M)
        −1, 0 or 1; the columns of W on a row's support must have full rank.

    Returns
    -------
    ndarray, (N, M)
        A code in each row.

    Raises
    ------
    ShapeError
        If the shapes do not fit together.
    DtypeError, DataError
        If an array does not hold finite real numbers, or is empty, lam is negative, or signs are
        not -1, 0 or 1.

    Examples
    --------
    >>> mg.analytic.codes_on_support([[3.0, 0.5]], np.eye(2), 1.0, [[1, 0]]).tolist()
    [[2.0, 0.0]]
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
        with solvable("a code", f"its support is {A.tolist()}", "choose independent columns of W"):
            z[A] = np.linalg.solve(W_A.T @ W_A, W_A.T @ x - lam * sign[A])
    return Z


def rescaled(W1: ArrayLike, W2: ArrayLike, c: float) -> tuple[Array, Array]:
    """(c W1, W2 / c): the same reconstruction, with codes (and so λ Σ|z|) c times as large.

    Parameters
    ----------
    W1 : array_like, (M, D)
        The encoder.
    W2 : array_like, (D, M)
        The decoder.
    c : float
        > 0.

    Returns
    -------
    W1 : ndarray, (M, D)
        c W1.
    W2 : ndarray, (D, M)
        W2 / c.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If one of them is not a finite, real, non-empty matrix, or c is not positive.

    Examples
    --------
    >>> W1, W2 = mg.analytic.rescaled([[2.0]], [[3.0]], c=0.5)
    >>> W1.tolist(), W2.tolist()  # the product is 6 as before
    ([[1.0]], [[6.0]])
    """
    c = real_number(c, "c", "(0, inf)", "c scales the codes: choose it positive")
    W1, W2 = real_array(W1, "W1", 2), real_array(W2, "W2", 2)
    return c * W1, W2 / c


def degenerate_loss(X: ArrayLike, M: int, lam: float, c: float) -> float:
    """The slide's sparse objective at W1 = c U_Mᵀ and W2 = U_M / c: PCA's loss + c λ Σ|U_Mᵀ x|.

    The objective is Σ_n [½ ‖x_n − W2 W1 x_n‖² + λ Σ_k |z_nk|] with a free linear decoder: as c -> 0
    it falls to PCA's loss, its infimum, which it never attains, and the codes are as dense as
    PCA's.  Norm the decoder's columns (or decay W2) to make λ mean something.

    Parameters
    ----------
    X : array_like, (N, D)
        The data, a row for each; they are centred here.
    M : int
        Latent units, 0 to D.
    lam : float
        λ >= 0.
    c : float
        > 0.

    Returns
    -------
    float
        A sum over features, latent units and data.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If X is not a finite, real, non-empty matrix, or M, lam or c is out of range.

    Examples
    --------
    >>> X = [[1.0, 0.0], [-1.0, 0.0]]  # PCA's loss is 0 for M = 1
    >>> [round(mg.analytic.degenerate_loss(X, 1, lam=0.5, c=c), 6) for c in (1.0, 0.1, 0.01)]
    [1.0, 0.1, 0.01]
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
