"""Principal component analysis by the singular value decomposition: the exact minimum of a linear
autoencoder.

Baldi & Hornik, Neural Networks 2:53-58 (1989): every minimum of E = ½ Σ_n ‖x_n − W2 W1 x_n‖² over
W1 (M x D) and W2 (D x M) has W2 W1 = U_M U_Mᵀ, the projector onto the first M principal components,
and E = ½ Σ_{j>M} s_j.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..errors import DataError, ShapeError
from ._arguments import Array, real_array, whole_number


@dataclass(frozen=True)
class PCA:
    """The principal components of one matrix X (N x D); make it with :func:`pca`.

    ``mean``         (D,), the mean of the rows.
    ``components``   (D, min(N, D)), orthonormal columns u_1, u_2, ... with the largest eigenvalue
                     first.  The sign is fixed so that the entry of largest size in each column is
                     positive.
    ``eigenvalues``  (D,), s_1 >= s_2 >= ... >= 0: eigenvalues of XᵀX of the centred X, which are
                     its squared singular values (a *sum* over the data; s_j / N is the variance
                     along u_j).  Zero beyond the rank.
    ``rank``         the number of singular values above ``tolerance``.
    ``tolerance``    ε · max(max(N, D) · largest singular value, ‖X‖_F of the uncentred X): below it
                     a singular value cannot be told from rounding, in the decomposition or in the
                     data as they are stored.
    ``M``            the number of components that a method uses when it is not given one.

    Every method takes M from 0 to D.  M = 0 is the constant model that answers with the mean.
    """

    mean: Array
    components: Array
    eigenvalues: Array
    rank: int
    tolerance: float
    M: int

    @property
    def total(self) -> float:
        """Σ_j s_j = ‖X − mean‖_F², twice the loss of the model that answers with the mean."""
        return float(self.eigenvalues.sum())

    @property
    def explained_variance_ratio(self) -> Array:
        """(D,), s_j / Σ s: the share of the variance along each component (zeros if all rows are
        equal).
        """
        return self.eigenvalues / self.total if self.rank else np.zeros_like(self.eigenvalues)

    def basis(self, M: int | None = None) -> Array:
        """(D, min(M, rank)): u_1 ... u_M.  Directions beyond the rank hold no variance, and any
        choice is as good.
        """
        return self.components[:, : min(self._latent(M), self.rank)]

    def projector(self, M: int | None = None) -> Array:
        """(D, D), U_M U_Mᵀ: the W2 W1 of a trained linear autoencoder (of rank min(M, rank), see
        :meth:`basis`).
        """
        U = self.basis(M)
        return U @ U.T

    def reconstruct(self, X: ArrayLike, M: int | None = None) -> Array:
        """(n, D): each row of X (n x D, not centred) projected: mean + U_M U_Mᵀ (x − mean)."""
        U = self.basis(M)
        return self.mean + (real_array(X, "X", 2) - self.mean) @ U @ U.T

    def optimal_loss(self, M: int | None = None) -> float:
        """½ Σ_{j>M} s_j, a sum over features and data; exactly 0.0 when M >= rank."""
        return 0.5 * float(self.eigenvalues[self._latent(M) :].sum())

    def gap(self, M: int | None = None) -> float:
        """s_M − s_{M+1} (with s_{D+1} = 0): what the loss gains if u_M is exchanged for u_{M+1},
        times two.
        """
        M = whole_number(
            self.M if M is None else M, "M", 1, len(self.mean), "a gap needs a component before it"
        )
        padded = np.append(self.eigenvalues, 0.0)
        return float(padded[M - 1] - padded[M])

    def tie(self, M: int | None = None) -> tuple[int, int]:
        """(a, b): every optimal subspace holds u_1 ... u_a, and its other M − a directions are free
        in u_{a+1} ... u_b.

        The numbers count components, so (M, M) means that nothing is free.  Singular values are
        equal here when they differ by ``tolerance`` or less.
        """
        M, D = self._latent(M), len(self.mean)
        if M == D:
            return self.rank, D
        drops = -np.diff(np.sqrt(self.eigenvalues))
        # the numbers of components after which the next one is really smaller
        cuts = np.concatenate([[0], np.flatnonzero(drops > self.tolerance) + 1, [D]])
        return int(cuts[cuts <= M].max()), int(cuts[cuts >= M].min())

    def unique(self, M: int | None = None) -> bool:
        """Whether the optimal W2 W1 is unique, that is, no tie at the cut and M <= rank."""
        M = self._latent(M)
        return self.tie(M) == (M, M)

    def _latent(self, M: int | None) -> int:
        D = len(self.mean)
        return whole_number(self.M if M is None else M, "M", 0, D, f"X has {D} features")


def pca(X: ArrayLike, M: int | None = None) -> PCA:
    """The principal components of X (N x D, rows are data, need not be centred).

    ``M`` is the default number of components for the methods of the result; without it, the rank.
    N < D, constant columns and equal rows are all allowed.  Raises ShapeError, DtypeError or
    DataError for anything that is not a finite, real, non-empty matrix with finite squares, and for
    M outside 0..D.
    """
    X = real_array(X, "X", 2)
    N, D = X.shape
    if np.abs(X).max() > np.sqrt(np.finfo(np.float64).max / X.size):
        raise DataError(
            "X is so large that its squares overflow",
            f"the largest entry is {np.abs(X).max():.6g}, shape {X.shape}",
            "choose a larger unit: divide all of X by one number",
        )
    mean = X.mean(axis=0)
    centred = X - mean
    # a second pass takes off what rounding left of the mean: constant columns become 0
    rest = centred.mean(axis=0)
    _, singular, right = np.linalg.svd(centred - rest, full_matrices=False)
    largest_size = max(max(N, D) * singular[0], np.linalg.norm(X))
    tolerance = float(np.finfo(np.float64).eps * largest_size)
    rank = int((singular > tolerance).sum())
    eigenvalues = np.pad(singular[:rank] ** 2, (0, D - rank))
    largest = np.take_along_axis(right, np.abs(right).argmax(axis=1)[:, None], axis=1)
    components = np.ascontiguousarray((right * np.where(largest < 0, -1.0, 1.0)).T)
    latent = rank if M is None else whole_number(M, "M", 0, D, f"X has {D} features")
    return PCA(mean + rest, components, eigenvalues, rank, tolerance, latent)


def orthonormal_basis(A: ArrayLike) -> Array:
    """(D, r): orthonormal columns that span the columns of A (D x p), r <= p its numerical rank
    (that of NumPy).
    """
    A = real_array(A, "A", 2)
    left, singular, _ = np.linalg.svd(A, full_matrices=False)
    return left[:, singular > max(A.shape) * np.finfo(np.float64).eps * singular[0]]


def principal_angles(A: ArrayLike, B: ArrayLike) -> Array:
    """The angles between the column spaces of A (D x p) and B (D x q), in radians, smallest first.

    Björck & Golub, Math. Comp. 27:579-594 (1973): with orthonormal bases Q, the cosines are the
    singular values of Q_AᵀQ_B and the sines those of (I − Q_A Q_Aᵀ) Q_B.  The arc tangent of both
    is exact to rounding at every angle; the arc cosine alone is blind below 1e-8.  There are as
    many angles as the smaller of the two *ranks*, so a decoder with a dead column shows as a
    missing angle.
    """
    cosines, sines = _cosines_and_sines(A, B)
    return np.arctan2(sines, cosines)


def projector_distance(A: ArrayLike, B: ArrayLike) -> float:
    """‖P_A − P_B‖_F, P the orthogonal projectors onto the column spaces: √(difference of the ranks
    + 2 Σ sin² θ).
    """
    _, sines = _cosines_and_sines(A, B)
    ranks = orthonormal_basis(A).shape[1], orthonormal_basis(B).shape[1]
    return float(np.sqrt(abs(ranks[0] - ranks[1]) + 2 * (sines**2).sum()))


def _cosines_and_sines(A: ArrayLike, B: ArrayLike) -> tuple[Array, Array]:
    """Cosines falling and sines rising, one pair for each dimension of the smaller subspace."""
    wide, narrow = orthonormal_basis(A), orthonormal_basis(B)
    if wide.shape[0] != narrow.shape[0]:
        raise ShapeError(
            "A and B span subspaces of different spaces",
            f"A has {wide.shape[0]} rows and B has {narrow.shape[0]}",
            "give both as columns of D numbers; transpose an encoder weight W1 (M x D)",
        )
    if wide.shape[1] < narrow.shape[1]:
        wide, narrow = narrow, wide
    overlap = wide.T @ narrow
    cosines = np.linalg.svd(overlap, compute_uv=False)
    sines = np.linalg.svd(narrow - wide @ overlap, compute_uv=False)[::-1]
    return cosines, sines
