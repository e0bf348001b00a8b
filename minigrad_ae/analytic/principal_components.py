"""Principal component analysis: the exact minimum of a linear autoencoder.

Baldi & Hornik, Neural Networks 2:53-58 (1989): every minimum of E = ½ Σ_n ‖x_n − W2 W1 x_n‖² over
W1 (M x D) and W2 (D x M) has W2 W1 = U_M U_Mᵀ, the projector onto the first M principal components,
and E = ½ Σ_{j>M} s_j.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ..arguments import counted
from ..errors import DataError, ShapeError
from ._arguments import Array, of_shape, real_array, whole_number


@dataclass(frozen=True)
class PCA:
    """The principal components of one matrix X (N x D), as `pca` finds them.

    Every method takes M, the number of components, from 0 to D; M = 0 is the constant model that
    answers with the mean.

    Parameters
    ----------
    mean : ndarray, (D,)
        The mean of the rows.
    components : ndarray, (D, min(N, D))
        Orthonormal columns u_1, u_2, ... with the largest eigenvalue first.  The sign is fixed so
        that the entry of largest size in each column is positive.
    eigenvalues : ndarray, (D,)
        s_1 >= s_2 >= ... >= 0, those of XᵀX of the centred X: its squared singular values (a *sum*
        over the data; s_j / N is the variance along u_j).  Zero beyond the rank.
    rank : int
        The number of singular values above `tolerance`.
    tolerance : float
        ε · max(max(N, D) · largest singular value, ‖X‖_F of the uncentred X): below it a singular
        value cannot be told from rounding, in the decomposition or in the data as they are stored.
    M : int
        The number of components that a method uses when it is not given one.

    Examples
    --------
    >>> X = np.array([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> found = mg.analytic.pca(X, 1)
    >>> found.eigenvalues.round(6).tolist()
    [18.0, 2.0]
    >>> round(found.optimal_loss(), 6)  # half of what is left out
    1.0
    >>> bool(np.allclose(found.reconstruct(X), X * [1, 0]))
    True
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
        """(D,), s_j / Σ s: the share of the variance along each component.

        Zeros if all rows are equal.
        """
        return self.eigenvalues / self.total if self.rank else np.zeros_like(self.eigenvalues)

    def basis(self, M: int | None = None) -> Array:
        """U_M, the first M components as columns.

        Directions beyond the rank hold no variance, and any choice is as good: they are left out.

        Parameters
        ----------
        M : int, optional
            From 0 to D; that of the object unless given.

        Returns
        -------
        ndarray, (D, min(M, rank))
            u_1 ... u_M.

        Raises
        ------
        DtypeError, DataError
            If M is not a whole number, or not from 0 to D.

        Examples
        --------
        >>> X = np.random.default_rng(0).normal(size=(20, 4))
        >>> U = mg.analytic.pca(X).basis(2)
        >>> U.shape, bool(np.allclose(U.T @ U, np.eye(2)))
        ((4, 2), True)
        """
        return self.components[:, : min(self._latent(M), self.rank)]

    def projector(self, M: int | None = None) -> Array:
        """U_M U_Mᵀ, the W2 W1 of a trained linear autoencoder.

        Parameters
        ----------
        M : int, optional
            From 0 to D; that of the object unless given.

        Returns
        -------
        ndarray, (D, D)
            The projector, of rank min(M, rank), see `basis`.

        Raises
        ------
        DtypeError, DataError
            If M is not a whole number, or not from 0 to D.

        Examples
        --------
        >>> P = mg.analytic.pca(np.random.default_rng(0).normal(size=(20, 4))).projector(2)
        >>> bool(np.allclose(P @ P, P)), round(float(np.trace(P)), 6)
        (True, 2.0)
        """
        U = self.basis(M)
        return U @ U.T

    def reconstruct(self, X: ArrayLike, M: int | None = None) -> Array:
        """Project each row on the first M components: mean + U_M U_Mᵀ (x − mean).

        Parameters
        ----------
        X : array_like, (n, D)
            Any rows, not centred; they need not be those that the components come from.
        M : int, optional
            From 0 to D; that of the object unless given.

        Returns
        -------
        ndarray, (n, D)
            The reconstruction of each row.

        Raises
        ------
        ShapeError, DtypeError, DataError
            If X is not a finite, real, non-empty matrix, or M is not a whole number from 0 to D.
        """
        U = self.basis(M)
        X = of_shape(X, "X", (None, len(self.mean)), "give a column for each feature")
        return self.mean + (X - self.mean) @ U @ U.T

    def optimal_loss(self, M: int | None = None) -> float:
        """½ Σ_{j>M} s_j: no linear autoencoder with M latent units has a lower loss on X.

        A sum over features and data; exactly 0.0 when M >= rank.

        Parameters
        ----------
        M : int, optional
            From 0 to D; that of the object unless given.

        Returns
        -------
        float
            The loss ½ Σ_n ‖x_n − y_n‖² of the projection.

        Raises
        ------
        DtypeError, DataError
            If M is not a whole number, or not from 0 to D.

        Examples
        --------
        >>> X = np.random.default_rng(0).normal(size=(20, 4))
        >>> found = mg.analytic.pca(X, 2)
        >>> loss = 0.5 * float(((X - found.reconstruct(X)) ** 2).sum())
        >>> round(found.optimal_loss() / loss, 6)
        1.0
        """
        return 0.5 * float(self.eigenvalues[self._latent(M) :].sum())

    def gap(self, M: int | None = None) -> float:
        """s_M − s_{M+1}, with s_{D+1} = 0: twice the rise of the loss when u_{M+1} replaces u_M.

        Parameters
        ----------
        M : int, optional
            From 1 to D; that of the object unless given.

        Returns
        -------
        float
            The gap: 0 if the cut after M components goes through a tie.

        Raises
        ------
        DtypeError, DataError
            If M is not a whole number, or not from 1 to D.
        """
        M = whole_number(
            self.M if M is None else M, "M", 1, len(self.mean), "a gap needs a component before it"
        )
        padded = np.append(self.eigenvalues, 0.0)
        return float(padded[M - 1] - padded[M])

    def tie(self, M: int | None = None) -> tuple[int, int]:
        """Which components every optimal subspace of M dimensions holds, and which are free.

        Singular values count as equal when they differ by `tolerance` or less.

        Parameters
        ----------
        M : int, optional
            From 0 to D; that of the object unless given.

        Returns
        -------
        first : int
            Every optimal subspace holds u_1 ... u_first; (M, M) means that nothing is free.
        last : int
            Its other M − first directions are free in u_{first+1} ... u_last.

        Raises
        ------
        DtypeError, DataError
            If M is not a whole number, or not from 0 to D.

        Examples
        --------
        >>> points = np.diag([2.0, 1.0, 1.0])  # and their negatives: eigenvalues 8, 2, 2
        >>> mg.analytic.pca(np.concatenate([points, -points])).tie(2)
        (1, 3)
        """
        M, D = self._latent(M), len(self.mean)
        if M == D:
            return self.rank, D
        drops = -np.diff(np.sqrt(self.eigenvalues))
        # the numbers of components after which the next one is really smaller
        cuts = np.concatenate([[0], np.flatnonzero(drops > self.tolerance) + 1, [D]])
        return int(cuts[cuts <= M].max()), int(cuts[cuts >= M].min())

    def unique(self, M: int | None = None) -> bool:
        """Whether the optimal W2 W1 is unique: no tie at the cut, and M <= rank.

        Parameters
        ----------
        M : int, optional
            From 0 to D; that of the object unless given.

        Returns
        -------
        bool
            True if only one projector attains the optimal loss.

        Raises
        ------
        DtypeError, DataError
            If M is not a whole number, or not from 0 to D.
        """
        M = self._latent(M)
        return self.tie(M) == (M, M)

    def _latent(self, M: int | None) -> int:
        D = len(self.mean)
        return whole_number(self.M if M is None else M, "M", 0, D, f"X has {counted(D, 'feature')}")


def pca(X: ArrayLike, M: int | None = None) -> PCA:
    """The principal components of X, by the singular value decomposition.

    N < D, constant columns and equal rows are all allowed.

    Parameters
    ----------
    X : array_like, (N, D)
        The data, a row for each; they need not be centred.
    M : int, optional
        The default number of components for the methods of the result; without it, the rank.

    Returns
    -------
    PCA
        Mean, components and eigenvalues.

    Raises
    ------
    ShapeError, DtypeError
        If X is not a matrix, or does not hold real numbers.
    DataError
        If X is empty, has entries that are NaN or infinite, its squares overflow or underflow, or M
        is not from 0 to D.

    References
    ----------
    Baldi & Hornik, Neural Networks 2:53-58 (1989): no linear autoencoder does better.  Bishop &
    Bishop (2024), section 19.1.1.

    Examples
    --------
    >>> t = np.linspace(-1.0, 1.0, 5)
    >>> found = mg.analytic.pca(np.stack([t, 2 * t], axis=1))  # points on one line
    >>> found.rank, found.optimal_loss()
    (1, 0.0)
    >>> bool(np.allclose(found.components[:, 0], np.array([1, 2]) / np.sqrt(5)))
    True
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
    if rank and singular[rank - 1] < np.sqrt(np.finfo(np.float64).tiny):
        raise DataError(
            "X varies so little that squares underflow",
            f"the smallest singular value of rank {rank} is {singular[rank - 1]:.6g}, "
            f"shape {X.shape}",
            "choose a smaller unit: multiply all of X by one number",
        )
    eigenvalues = np.pad(singular[:rank] ** 2, (0, D - rank))
    largest = np.take_along_axis(right, np.abs(right).argmax(axis=1)[:, None], axis=1)
    components = np.ascontiguousarray((right * np.where(largest < 0, -1.0, 1.0)).T)
    latent = rank if M is None else whole_number(M, "M", 0, D, f"X has {counted(D, 'feature')}")
    return PCA(mean + rest, components, eigenvalues, rank, tolerance, latent)


def orthonormal_basis(A: ArrayLike) -> Array:
    """Orthonormal columns that span the columns of A.

    Parameters
    ----------
    A : array_like, (D, p)
        Columns in D dimensions; they may be dependent.

    Returns
    -------
    ndarray, (D, r)
        The basis, r <= p the numerical rank of A (that of NumPy).

    Raises
    ------
    ShapeError, DtypeError, DataError
        If A is not a finite, real, non-empty matrix.

    Examples
    --------
    >>> mg.analytic.orthonormal_basis([[1.0, 2.0], [1.0, 2.0]]).shape  # one direction, twice
    (2, 1)
    """
    A = real_array(A, "A", 2)
    left, singular, _ = np.linalg.svd(A, full_matrices=False)
    return left[:, singular > max(A.shape) * np.finfo(np.float64).eps * singular[0]]


def principal_angles(A: ArrayLike, B: ArrayLike) -> Array:
    """The angles between the column spaces of A and B.

    With orthonormal bases Q, the cosines are the singular values of Q_AᵀQ_B and the sines those of
    (I − Q_A Q_Aᵀ) Q_B.  The arc tangent of both is exact to rounding at every angle; the arc cosine
    alone is blind below 1e-8.

    Parameters
    ----------
    A : array_like, (D, p)
        Columns in D dimensions, such as the decoder weights W2 of a linear autoencoder.
    B : array_like, (D, q)
        Columns in the same D dimensions, such as the components of `pca`.

    Returns
    -------
    ndarray, (r,)
        In radians, smallest first; r is the smaller of the two *ranks*, so a decoder with a dead
        column shows as a missing angle.

    Raises
    ------
    ShapeError
        If A and B have different numbers of rows.
    DtypeError, DataError
        If one of them is not a finite, real, non-empty matrix.

    References
    ----------
    Björck & Golub, Math. Comp. 27:579-594 (1973).

    Examples
    --------
    >>> angles = mg.analytic.principal_angles([[1.0], [0.0]], [[1.0], [1.0]])
    >>> round(float(np.degrees(angles[0])), 6)
    45.0
    >>> W2 = np.random.default_rng(0).normal(size=(5, 2))
    >>> C = [[2.0, 1.0], [0.0, 3.0]]  # another basis of the same space
    >>> bool(mg.analytic.principal_angles(W2, W2 @ C).max() < 1e-12)
    True
    """
    cosines, sines = _cosines_and_sines(A, B)
    return np.arctan2(sines, cosines)


def projector_distance(A: ArrayLike, B: ArrayLike) -> float:
    """‖P_A − P_B‖_F, P the orthogonal projectors onto the column spaces.

    It equals √(difference of the ranks + 2 Σ sin² θ), θ the principal angles.

    Parameters
    ----------
    A : array_like, (D, p)
        Columns in D dimensions.
    B : array_like, (D, q)
        Columns in the same D dimensions.

    Returns
    -------
    float
        0 if the column spaces are the same.

    Raises
    ------
    ShapeError
        If A and B have different numbers of rows.
    DtypeError, DataError
        If one of them is not a finite, real, non-empty matrix.

    Examples
    --------
    >>> round(mg.analytic.projector_distance(np.eye(3)[:, :1], np.eye(3)[:, 1:2]) ** 2, 6)
    2.0
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
