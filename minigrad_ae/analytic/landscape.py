"""Every critical point of the linear autoencoder: one minimum, and saddles that can all be counted.

Baldi & Hornik, Neural Networks 2:53-58 (1989), for centred X with S = XᵀX of full rank and distinct
eigenvalues: W1 (M x D), W2 (D x M) is critical for E = ½ Σ_n ‖x_n − W2 W1 x_n‖² = ½ tr (I − W2 W1)
S (I − W2 W1)ᵀ if and only if W2 = [U_I 0] C and W1 = C⁻¹ [U_I 0]ᵀ for a set I of r <= M components
and an invertible C (M x M).  Only I = {1..M} is a minimum.  How many negative and zero curvatures
the others have follows from the blocks of the Hessian, as said at `critical_point`; the Morse
theory behind it is discussed by Kunin et al., ICML 2019 (arXiv 1901.08168).

Component numbers count from 1, as in the papers: I = (1, 3) stands for u_1 and u_3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import counted, members
from ..errors import DataError, ShapeError
from ._arguments import Array, of_shape, real_array, real_number, spectrum, whole_number, with_units

# a table longer than this is asked for by mistake: D = 64, M = 32 has 10^19 rows
MOST_POINTS = 100_000


@dataclass(frozen=True)
class CriticalPoint:
    """One family of critical points of a linear autoencoder with M latent units.

    Parameters
    ----------
    components : tuple of int
        The set I, rising numbers from 1.
    loss : float
        E there, a sum over features and data.
    index : int
        The Morse index: the number of negative eigenvalues of the Hessian (2MD x 2MD).
    nullity : int
        The number of its zero eigenvalues, which is the dimension of the family: every invertible C
        gives another point of it.

    Examples
    --------
    >>> point = mg.analytic.critical_point([3.0, 2.0, 1.0], 1, (2,))
    >>> point.loss, point.index, point.is_minimum  # u_2 alone can be turned into u_1
    (2.0, 1, False)
    """

    components: tuple[int, ...]
    loss: float
    index: int
    nullity: int

    @property
    def is_minimum(self) -> bool:
        """Whether no curvature is negative: so only for I = {1, ..., M}."""
        return self.index == 0


def critical_point(s: ArrayLike, M: int, components: Iterable[int]) -> CriticalPoint:
    """Loss, Morse index and nullity at W2 W1 = U_I U_Iᵀ.

    With r = len(I):

    - loss     ½ Σ_{j not in I} s_j;
    - index    Σ_{i in I} #{j not in I: s_j > s_i}  +  (M − r)(D − r).  First term: u_i can be
      turned into a stronger u_j.  Second: each unused latent unit can pick up each unused u_j,
      whose block [[0, −s_j], [−s_j, 0]] has one negative eigenvalue;
    - nullity  M² − (M − r)².

    Parameters
    ----------
    s : array_like, (D,)
        Eigenvalues of XᵀX, positive and strictly falling.
    M : int
        Latent units, 1 to D.
    components : iterable of int
        The set I, at most M different numbers from 1 to D.

    Returns
    -------
    CriticalPoint
        The family of all (W1, W2) with this product.

    Raises
    ------
    DataError
        If s has ties, zeros or rising steps (the theorem excludes them: they add flat directions),
        M is out of range, or a component is out of range, named twice or one too many.
    ShapeError, DtypeError
        If s is not a flat array of real numbers, or a number is not whole.

    References
    ----------
    Baldi & Hornik, Neural Networks 2:53-58 (1989); Kunin et al., ICML 2019 (arXiv 1901.08168).

    Examples
    --------
    >>> zero = mg.analytic.critical_point([3.0, 2.0, 1.0], 1, ())  # W1 = W2 = 0
    >>> zero.loss, zero.index, zero.nullity
    (3.0, 3, 0)
    """
    s, M = with_units(_distinct(s), "s", M)
    chosen = _components(components, len(s), M)
    free = np.setdiff1d(np.arange(len(s)), chosen)
    unused = M - len(chosen)
    turns = sum(int((free < i).sum()) for i in chosen)
    loss = 0.5 * float(s[free].sum())
    return CriticalPoint(
        components=tuple(i + 1 for i in chosen),
        loss=loss,
        index=turns + unused * len(free),
        nullity=M**2 - unused**2,
    )


def critical_points(s: ArrayLike, M: int) -> list[CriticalPoint]:
    """Every critical point, lowest loss first: all sets I with r = 0 ... M components.

    Parameters
    ----------
    s : array_like, (D,)
        Eigenvalues of XᵀX, positive and strictly falling.
    M : int
        Latent units, 1 to D.

    Returns
    -------
    list of CriticalPoint
        One minimum, and all saddles.

    Raises
    ------
    DataError
        If s has ties, zeros or rising steps, M is out of range, or there are more than 100,000
        points.
    ShapeError, DtypeError
        If s is not a flat array of real numbers, or M is not whole.

    References
    ----------
    Baldi & Hornik, Neural Networks 2:53-58 (1989).

    Examples
    --------
    >>> points = mg.analytic.critical_points([3.0, 2.0, 1.0], 1)
    >>> [(point.components, point.loss, point.index) for point in points]
    [((1,), 1.5, 0), ((2,), 2.0, 1), ((3,), 2.5, 2), ((), 3.0, 3)]
    """
    s, M = with_units(_distinct(s), "s", M)
    D = len(s)
    count = sum(comb(D, r) for r in range(M + 1))
    if count > MOST_POINTS:
        raise DataError(
            f"too many critical points to list: {count}",
            f"D = {D} features, M = {M} latent units; the limit is {MOST_POINTS}",
            "use critical_point(s, M, components) for the ones of interest",
        )
    subsets = (subset for r in range(M + 1) for subset in combinations(range(1, D + 1), r))
    return sorted(
        (critical_point(s, M, subset) for subset in subsets), key=lambda point: point.loss
    )


def saddle(
    U: ArrayLike, components: Iterable[int], M: int, C: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Weights on the critical point of the set I: W2 = [U_I 0] C, W1 = C⁻¹ [U_I 0]ᵀ.

    For I = (1, ..., M) the point is the minimum.

    Parameters
    ----------
    U : array_like, (D, K)
        u_1, u_2, ... as columns, such as ``pca(X).components``.
    components : iterable of int
        The set I, at most M different numbers from 1 to K.
    M : int
        Latent units, 1 to D.
    C : array_like, (M, M), optional
        Invertible; the identity unless given.

    Returns
    -------
    W1 : ndarray, (M, D)
        The encoder.
    W2 : ndarray, (D, M)
        The decoder.

    Raises
    ------
    ShapeError
        If U is not a matrix, or C is not M x M or not invertible.
    DtypeError, DataError
        If U or C does not hold finite real numbers, M is out of range, or a component is out of
        range, named twice or one too many.

    Examples
    --------
    >>> s = np.array([3.0, 2.0, 1.0])
    >>> W1, W2 = mg.analytic.saddle(np.eye(3), (2,), 1)
    >>> [bool(np.any(each)) for each in mg.analytic.gradient(np.diag(s), W1, W2)]
    [False, False]
    """
    U = real_array(U, "U", 2)
    D, K = U.shape
    M = whole_number(M, "M", 1, D, f"U has {counted(D, 'row')}")
    chosen = _components(components, K, M)
    padded = np.pad(U[:, chosen], ((0, 0), (0, M - len(chosen))))
    C = np.eye(M) if C is None else real_array(C, "C", 2)
    if C.shape != (M, M) or np.linalg.matrix_rank(C) < M:
        raise ShapeError(
            "C must be an invertible M x M matrix",
            f"C has shape {C.shape} and M = {M}",
            "leave C out, or draw it: rng.normal(size=(M, M))",
        )
    return np.linalg.solve(C, padded.T), padded @ C


def reconstruction_loss(S: ArrayLike, W1: ArrayLike, W2: ArrayLike) -> float:
    """E = ½ tr (I − W2 W1) S (I − W2 W1)ᵀ, the loss at any weights.

    Parameters
    ----------
    S : array_like, (D, D)
        XᵀX, for a loss that is a sum over features and data; XᵀX / N for its mean over data.
    W1 : array_like, (M, D)
        The encoder.
    W2 : array_like, (D, M)
        The decoder.

    Returns
    -------
    float
        ½ Σ_n ‖x_n − W2 W1 x_n‖².

    Raises
    ------
    ShapeError
        If S, W1 and W2 do not fit together.
    DtypeError, DataError
        If one of them does not hold finite real numbers, or is empty.

    Examples
    --------
    >>> X = np.random.default_rng(0).normal(size=(20, 3))
    >>> nothing = mg.analytic.reconstruction_loss(X.T @ X, np.zeros((1, 3)), np.zeros((3, 1)))
    >>> bool(np.isclose(nothing, 0.5 * (X**2).sum()))
    True
    """
    S, W1, W2 = _weights(S, W1, W2)
    residual = np.eye(len(S)) - W2 @ W1
    return 0.5 * float(np.sum(residual @ S * residual))


def gradient(S: ArrayLike, W1: ArrayLike, W2: ArrayLike) -> tuple[Array, Array]:
    """The gradient of E in both layers, (W2ᵀ G, G W1ᵀ) with G = (W2 W1 − I) S = dE/d(W2 W1).

    Parameters
    ----------
    S : array_like, (D, D)
        XᵀX, for a loss that is a sum over features and data; XᵀX / N for its mean over data.
    W1 : array_like, (M, D)
        The encoder.
    W2 : array_like, (D, M)
        The decoder.

    Returns
    -------
    in_W1 : ndarray, (M, D)
        dE/dW1.
    in_W2 : ndarray, (D, M)
        dE/dW2.

    Raises
    ------
    ShapeError
        If S, W1 and W2 do not fit together.
    DtypeError, DataError
        If one of them does not hold finite real numbers, or is empty.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X, W1, W2 = rng.normal(size=(20, 3)), rng.normal(size=(1, 3)), rng.normal(size=(3, 1))
    >>> in_W1, in_W2 = mg.analytic.gradient(X.T @ X, W1, W2)
    >>> bool(np.allclose(in_W1 @ W1.T, W2.T @ in_W2))  # see balancedness
    True
    """
    S, W1, W2 = _weights(S, W1, W2)
    G = (W2 @ W1 - np.eye(len(S))) @ S
    return W2.T @ G, G @ W1.T


def hessian(S: ArrayLike, W1: ArrayLike, W2: ArrayLike) -> Array:
    """The second derivatives of E in (W1, W2), each flattened row by row, W1 first.

    Differentiating `gradient` once more, with k, l latent units and a, b, i, j features::

        d²E / dW1[k,a] dW1[l,b] = (W2ᵀW2)[k,l] S[a,b]
        d²E / dW2[i,k] dW2[j,l] = δ[i,j] (W1 S W1ᵀ)[k,l]
        d²E / dW1[k,a] dW2[j,l] = W2[j,k] (W1 S)[l,a] + δ[k,l] G[j,a]

    Parameters
    ----------
    S : array_like, (D, D)
        XᵀX, for a loss that is a sum over features and data; XᵀX / N for its mean over data.
    W1 : array_like, (M, D)
        The encoder.
    W2 : array_like, (D, M)
        The decoder.

    Returns
    -------
    ndarray, (2MD, 2MD)
        Symmetric and dense: meant for 2MD up to a few thousand.

    Raises
    ------
    ShapeError
        If S, W1 and W2 do not fit together.
    DtypeError, DataError
        If one of them does not hold finite real numbers, or is empty.

    Examples
    --------
    >>> W1, W2 = mg.analytic.saddle(np.eye(3), (2,), 1)
    >>> H = mg.analytic.hessian(np.diag([3.0, 2.0, 1.0]), W1, W2)
    >>> mg.analytic.inertia(H)[:2]  # index and nullity, as `critical_point` counts them
    (1, 1)
    """
    S, W1, W2 = _weights(S, W1, W2)
    M, D = W1.shape
    G = (W2 @ W1 - np.eye(D)) @ S
    encoder = np.kron(W2.T @ W2, S)
    decoder = np.kron(np.eye(D), W1 @ S @ W1.T)
    mixed = np.einsum("jk,la->kajl", W2, W1 @ S) + np.einsum("kl,ja->kajl", np.eye(M), G)
    mixed = mixed.reshape(M * D, D * M)
    return np.block([[encoder, mixed], [mixed.T, decoder]])


def inertia(H: ArrayLike, rtol: float = 1e-9) -> tuple[int, int, int]:
    """How many eigenvalues of a symmetric matrix are negative, zero and positive.

    Parameters
    ----------
    H : array_like, (n, n)
        Symmetric; only its lower triangle is read.
    rtol : float, optional
        Zero means at most this times the largest in size; the default leaves six digits above
        rounding.

    Returns
    -------
    negative : int
        How many are below zero.
    zero : int
        How many cannot be told from zero.
    positive : int
        How many are above zero.

    Raises
    ------
    ShapeError, DtypeError, DataError
        If H is not a finite, real, non-empty matrix.

    Examples
    --------
    >>> mg.analytic.inertia([[0.0, 2.0], [2.0, 0.0]])  # eigenvalues -2 and 2
    (1, 0, 1)
    """
    H = real_array(H, "H", 2)
    H = of_shape(H, "H", (len(H), len(H)), "a Hessian is square")
    rtol = real_number(rtol, "rtol", "[0, 1)", "1e-9, say, of the largest eigenvalue")
    eigenvalues = np.linalg.eigvalsh(H)
    cut = rtol * np.abs(eigenvalues).max()
    negative, positive = int((eigenvalues < -cut).sum()), int((eigenvalues > cut).sum())
    return negative, len(eigenvalues) - negative - positive, positive


def _distinct(s: ArrayLike) -> Array:
    s = spectrum(s)
    if s[-1] <= 0 or (np.diff(s) >= 0).any():
        raise DataError(
            "critical points are isolated families only for positive, distinct eigenvalues",
            f"s has {int((s <= 0).sum())} zeros and {int((np.diff(s) >= 0).sum())} ties, of "
            f"{len(s)} eigenvalues",
            "drop the directions without variance; with a tie, see PCA.tie for what is free",
        )
    return s


def _components(components: Iterable[int], K: int, M: int) -> list[int]:
    """The set I as rising positions from 0."""
    fix = "pass the numbers of components, such as (1, 2)"
    numbers = [
        whole_number(i, "a component", 1, K, f"there are {K} components, counted from 1")
        for i in members(components, object, "components", fix)
    ]
    if len(set(numbers)) < len(numbers) or len(numbers) > M:
        raise DataError(
            f"components must be at most M = {M} different numbers",
            f"got {tuple(numbers)}",
            "name each component once",
        )
    return [i - 1 for i in sorted(numbers)]


def _weights(S: ArrayLike, W1: ArrayLike, W2: ArrayLike) -> tuple[Array, Array, Array]:
    S, W1, W2 = real_array(S, "S", 2), real_array(W1, "W1", 2), real_array(W2, "W2", 2)
    D = len(S)
    if S.shape != (D, D) or W1.shape[1] != D or W2.shape != W1.shape[::-1]:
        raise ShapeError(
            "S, W1 and W2 do not fit together",
            f"S has shape {S.shape}, W1 {W1.shape}, W2 {W2.shape}",
            "S is D x D, W1 is M x D and W2 is D x M; a layer's weight is the transpose",
        )
    return S, W1, W2
