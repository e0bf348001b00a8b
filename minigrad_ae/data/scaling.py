"""Centring, and one common unit for all columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .validate import check_matrix


def centre(X: ArrayLike) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """(X − mean (n, D), mean (D,)): each column of X (n, D) with its mean taken off.

    PCA is defined for centred data; a linear autoencoder *without* bias on data that are not
    centred learns the principal components of the second moments instead.  Centre test data with
    the *training* mean: ``X_test - mean``. The dtype stays float32 or float64 (integers become
    float64).  Raises as :func:`check_matrix` does.
    """
    X = check_matrix(X)
    mean = X.mean(axis=0)
    centred = X - mean
    # what rounding left of the mean; without this a constant column is not quite zero
    rest = centred.mean(axis=0)
    return centred - rest, mean + rest


def scale(X: ArrayLike) -> tuple[NDArray[np.floating], float]:
    """(X / factor, factor): X (n, D) divided by ONE number, the root mean square of all its
    entries.

    One number for all columns, never one for each column: dividing each column by its own standard
    deviation changes the covariance matrix, and with it the principal components.  With one number
    the components stay as they are, the eigenvalues of XᵀX are divided by factor², and so is the
    loss: multiply by factor² to report it in the units of X.

    Centre first (:func:`centre`), or the mean is counted in.  All zeros keep the factor 1.  The
    dtype stays float32 or float64 (integers become float64).  Raises as :func:`check_matrix` does.
    """
    X = check_matrix(X)
    largest = float(np.abs(X).max())
    if largest == 0.0:
        return X.copy(), 1.0
    # no underflow on the way
    factor = largest * float(np.sqrt(np.mean(np.square(X / largest, dtype=np.float64))))
    return X / X.dtype.type(factor), factor
