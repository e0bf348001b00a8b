"""Centring, and one common unit for all columns; `Scaling` keeps both, to undo them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arguments import choice, counted, plain
from ..errors import ShapeError
from .validate import check_matrix


def centre(X: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Take the mean off each column.

    PCA is defined for centred data; a linear autoencoder *without* bias on data that are not
    centred learns the principal components of the second moments instead.  Centre test data with
    the *training* mean: ``X_test - mean``.

    Parameters
    ----------
    X : array_like, (n, D)
        The data.

    Returns
    -------
    centred : ndarray, (n, D)
        X - mean, float32 or float64 as X is; integers become float64.
    mean : ndarray, (D,)
        The mean of each column.

    Raises
    ------
    DataError, DtypeError, ShapeError
        What `check_matrix` raises.

    Examples
    --------
    >>> centred, mean = mg.data.centre([[1.0, 10.0], [3.0, 30.0]])
    >>> centred.tolist(), mean.tolist()
    ([[-1.0, -10.0], [1.0, 10.0]], [2.0, 20.0])
    """
    X = check_matrix(X)
    mean = X.mean(axis=0)
    centred = X - mean
    # what rounding left of the mean; without this a constant column is not quite zero
    rest = centred.mean(axis=0)
    return centred - rest, mean + rest


def scale(X: ArrayLike) -> tuple[NDArray[np.floating], float]:
    """Divide all of X by one number, the root mean square of its entries.

    Parameters
    ----------
    X : array_like, (n, D)
        The data.  Centre first (`centre`), or the mean is counted in.

    Returns
    -------
    scaled : ndarray, (n, D)
        X / factor, float32 or float64 as X is; integers become float64.
    factor : float
        In the units of X; 1 where all entries are zero.

    Raises
    ------
    DataError, DtypeError, ShapeError
        What `check_matrix` raises.

    Notes
    -----
    One number for all columns, never one for each column: dividing each column by its own
    standard deviation changes the covariance matrix, and with it the principal components.  With
    one number the components stay as they are, the eigenvalues of XᵀX are divided by factor², and
    so is the loss: multiply by factor² to report it in the units of X.

    Examples
    --------
    >>> scaled, factor = mg.data.scale([[3.0, -3.0], [-3.0, 3.0]])
    >>> scaled.tolist(), factor
    ([[1.0, -1.0], [-1.0, 1.0]], 3.0)
    """
    X = check_matrix(X)
    largest = float(np.abs(X).max())
    if largest == 0.0:
        return X.copy(), 1.0
    # no underflow on the way
    factor = largest * float(np.sqrt(np.mean(np.square(X / largest, dtype=np.float64))))
    return X / X.dtype.type(factor), factor


@dataclass(frozen=True)
class Scaling:
    """What was done to a table before a model saw it, (X - mean) / factor, and how to undo it.

    Parameters
    ----------
    mean : ndarray, (D,)
        Taken off each column, in the units of the table.
    factor : ndarray, () or (D,)
        By which everything, or each column, is divided; above 0, in the units of the table.

    Examples
    --------
    >>> X = np.array([[10.0, 400.0], [30.0, 200.0], [50.0, 0.0]])
    >>> scaling = mg.data.Scaling.learn(X)
    >>> scaled = scaling.apply(X)
    >>> scaled.mean(axis=0).tolist(), round(float(np.mean(scaled**2)), 12)
    ([0.0, 0.0], 1.0)
    >>> bool(np.allclose(scaling.undo(scaled), X))
    True
    """

    mean: NDArray[np.floating]
    factor: NDArray[np.floating]

    @classmethod
    def learn(cls, X: ArrayLike, how: str = "one") -> Scaling:
        """Take mean and factor from training rows.

        Parameters
        ----------
        X : array_like, (n, D)
            The training rows, and no others.
        how : str, optional
            "one": one factor for all columns, the root mean square of all centred entries, which
            leaves the principal components as they are.  "column": each column is divided by its
            own standard deviation (ddof 0; 1 for a constant column), which makes them those of the
            correlation matrix.

        Returns
        -------
        Scaling
            In float64.

        Raises
        ------
        DataError, DtypeError, ShapeError
            What `check_matrix` raises, and for another `how`.

        Examples
        --------
        >>> X = [[1.0, 100.0], [3.0, 300.0]]
        >>> mg.data.Scaling.learn(X, "column").factor.tolist()
        [1.0, 100.0]
        """
        choice(how, ("one", "column"), "Scaling.learn", "how")
        centred, mean = centre(X)
        size = np.abs(centred).max(axis=0).astype(np.float64)
        size[size == 0.0] = 1.0
        # the largest entry is taken out: no underflow on the way
        deviation = size * np.sqrt(np.mean(np.square(centred / size, dtype=np.float64), axis=0))
        deviation[deviation == 0.0] = 1.0
        factor = deviation if how == "column" else np.array(scale(centred)[1])
        return cls(mean.astype(np.float64), factor)

    def apply(self, X: ArrayLike) -> NDArray[np.floating]:
        """Rows of the table as the model sees them.

        Parameters
        ----------
        X : array_like, (n, D)
            Rows in the units of the table.

        Returns
        -------
        ndarray, (n, D)
            (X - mean) / factor, float32 or float64 as X is; integers become float64.

        Raises
        ------
        DataError, DtypeError, ShapeError
            What `check_matrix` raises, and for another number of columns.
        """
        X = check_matrix(X)
        if X.shape[1] != len(self.mean):
            raise ShapeError(
                "the rows do not fit the scaling",
                f"got shape {X.shape}, expected (n, {len(self.mean)})",
                "give the columns of the table that it was learned from, in their order",
            )
        return (X - self.mean.astype(X.dtype)) / self.factor.astype(X.dtype)

    def undo(self, Y: ArrayLike) -> NDArray[np.floating]:
        """What a model says, in the units of the table: the inverse of `apply`.

        Parameters
        ----------
        Y : array_like, (n, D)
            Outputs of a model that saw scaled rows.

        Returns
        -------
        ndarray, (n, D)
            Y factor + mean, in float64.

        Raises
        ------
        ShapeError
            If Y does not have a column for each feature.
        """
        Y = plain(Y, "Y", np.float64)
        if Y.shape[-1:] != self.mean.shape:
            raise ShapeError(
                "Y must have a column for each feature of the table",
                f"got shape {Y.shape}, where there are {counted(len(self.mean), 'feature')}",
                "pass what the model returned",
            )
        return Y * self.factor + self.mean
