"""Centring, and one common unit for all columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

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
