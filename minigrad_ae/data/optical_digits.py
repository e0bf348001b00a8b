"""The shipped digits: real handwriting, small enough that everything runs on it, offline.

Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak (1998), UCI Machine Learning
Repository, https://doi.org/10.24432/C50P49, licensed CC BY 4.0
(https://creativecommons.org/licenses/by/4.0/).  The file ``digits.csv.gz`` holds the 1,797 images
of the original test part, unchanged, in the original order.
"""

from __future__ import annotations

import gzip
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from ..arguments import choice

TRAIN_ROWS = 1437  # the first four fifths; the order of the file is kept
LARGEST_PIXEL = 16  # a pixel counts the inked points of a 4 x 4 block


def digits(split: str | None = None) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The shipped handwritten digits: 1,797 images of 8 x 8 pixels.

    Parameters
    ----------
    split : {None, 'train', 'test'}, optional
        All 1,797 images, the first 1,437, or the other 360.

    Returns
    -------
    X : ndarray of float64, (n, 64)
        An image a row, pixel row by pixel row, from 0 (paper) to 1 (ink): the stored pixel
        divided by 16.  ``X.reshape(-1, 8, 8)`` gives the pictures.
    y : ndarray of int64, (n,)
        Labels 0 to 9.  Both arrays are fresh copies: change them freely.

    Raises
    ------
    DataError
        For any other split.

    References
    ----------
    Alpaydin & Kaynak (1998), Optical recognition of handwritten digits, UCI Machine Learning
    Repository, https://doi.org/10.24432/C50P49.

    Examples
    --------
    >>> X, y = mg.data.digits("train")
    >>> X.shape, float(X.min()), float(X.max())
    ((1437, 64), 0.0, 1.0)
    """
    rows = {None: slice(None), "train": slice(None, TRAIN_ROWS), "test": slice(TRAIN_ROWS, None)}
    choice(
        split,
        rows,
        "digits",
        "split",
        "name one of them",
        what=f"there is no split {split!r} of the digits",
        where="the splits are None (all), 'train' and 'test'",
    )
    table = _table()[rows[split]]
    return table[:, :-1] / LARGEST_PIXEL, table[:, -1].astype(np.int64)


@cache
def _table() -> NDArray[np.uint8]:
    """The file as it is, (1797, 65): 64 pixels and the label; read once, and never handed out."""
    file = resources.files(__package__).joinpath("digits.csv.gz")
    with file.open("rb") as packed, gzip.open(packed, "rt", encoding="utf-8") as text:
        return np.loadtxt(text, delimiter=",", dtype=np.uint8)
