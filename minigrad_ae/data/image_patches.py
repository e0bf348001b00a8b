"""Whitened patches of a photograph: what a sparse code of natural images is learned from, offline.

The photograph is the portrait of Rear Admiral Grace M. Hopper that matplotlib ships among its
sample data (1984, by a US Navy employee, public domain).  It is read when it is asked for, and is
no part of this package.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arguments import generator, whole_number
from ..errors import DataError, FileError
from ..room import demand_room_for
from .validate import check_matrix

Array = NDArray[np.float64]
PHOTOGRAPH = "grace_hopper.jpg"
LUMA = (0.299, 0.587, 0.114)  # what red, green and blue add to brightness (ITU-R BT.601)
# cycles per pixel, 0.5 being the finest an image can hold: Olshausen & Field's 200 cycles in 512
# pixels
CUT = 0.4
# pixels at each edge of a whitened image that are left out: the transform joins opposite edges
MARGIN = 8


def photograph() -> Array:
    """The photograph in grey, as a fresh copy.

    The portrait of Rear Admiral Grace M. Hopper that matplotlib ships (1984, by a US Navy employee,
    public domain).

    Returns
    -------
    ndarray of float64, (600, 512)
        Brightness from 0 (black) to 1 (white).

    Raises
    ------
    FileError
        If matplotlib's sample data do not hold it, or if it cannot be read (a JPEG needs Pillow,
        which matplotlib installs).
    """
    return _grey(_path()).copy()


def whiten(image: ArrayLike) -> Array:
    """Filter an image so that its power spectrum is about flat.

    Natural images have amplitudes that fall like 1/f, f the spatial frequency in cycles per
    pixel.  The filter f exp(-(f / f0)^4) with f0 = 0.4 evens them out and stops short of the
    finest details, which are mostly noise.  It is the same for every image: no covariance and no
    eigenvector enters.

    Parameters
    ----------
    image : array_like, (rows, columns)
        Brightness in any unit.

    Returns
    -------
    ndarray of float64, (rows, columns)
        The filtered image, with mean 0 and variance 1.

    Raises
    ------
    DataError
        For an image without contrast.
    ShapeError, DtypeError
        What `check_matrix` raises.

    References
    ----------
    Olshausen & Field (1996), Emergence of simple-cell receptive field properties by learning a
    sparse code for natural images, Nature 381:607.

    Examples
    --------
    >>> image = mg.data.whiten(np.add.outer(np.arange(32.0), np.arange(24.0)))
    >>> bool(abs(image.mean()) < 1e-12), round(float(image.std()), 6)
    (True, 1.0)
    """
    image = check_matrix(image, "image").astype(np.float64)
    f = np.hypot.outer(*map(np.fft.fftfreq, image.shape))
    # f = 0, the mean, goes
    flat = np.fft.ifft2(np.fft.fft2(image) * f * np.exp(-((f / CUT) ** 4))).real
    spread = flat.std()
    if not spread > 1e-12 * np.abs(image).max():
        raise DataError(
            "the image is constant: there is nothing to whiten",
            f"shape {image.shape}, every pixel about {image.flat[0]:.6g}",
            "give an image with some contrast",
        )
    return flat / spread


def patches(
    n: int, size: int = 12, *, rng: np.random.Generator, image: ArrayLike | None = None
) -> Array:
    """Square patches at random places of the whitened photograph.

    Each patch has its own mean taken off, and all are divided by one number, so that pixels have
    mean square 1.

    Parameters
    ----------
    n : int
        How many patches, at least 1.
    size : int, optional
        Their side in pixels, at least 2 and at most what the image holds.
    rng : numpy.random.Generator
        Where the places come from.
    image : array_like, (rows, columns), optional
        Another picture, whitened likewise.

    Returns
    -------
    ndarray of float64, (n, size^2)
        One patch a row, pixel row by pixel row.

    Raises
    ------
    DataError
        For an `n` or a `size` that is not possible, and an image without contrast.
    DtypeError
        For an `rng` that is not a Generator.
    FileError
        What `photograph` raises.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = mg.data.patches(50, 8, rng=rng, image=rng.normal(size=(64, 64)))
    >>> X.shape, round(float(np.mean(X**2)), 6), bool(np.allclose(X.mean(axis=1), 0))
    ((50, 64), 1.0, True)
    """
    rng = generator(rng, "patches", "the places of the patches")
    flat = _whitened() if image is None else whiten(image)
    inside = flat[MARGIN:-MARGIN, MARGIN:-MARGIN]
    largest = min(inside.shape)
    what = "patches: there are no such patches"
    where = (
        f"n = {n}, size = {size}; the image is {flat.shape}, {MARGIN} pixels at each edge are "
        "left out"
    )
    if largest < 2:
        raise DataError(what, where, "give a larger image")
    fix = f"choose n >= 1 and a size from 2 to {largest}"
    n = whole_number(n, "patches: n", fix, what=what, where=where)
    size = whole_number(size, "patches: size", fix, 2, largest, what=what, where=where)
    demand_room_for((n, size * size))
    windows = np.lib.stride_tricks.sliding_window_view(inside, (size, size))
    rows, columns = (rng.integers(0, count, n) for count in windows.shape[:2])
    found = windows[rows, columns].reshape(n, size * size)
    found = found - found.mean(axis=1, keepdims=True)
    return found / np.sqrt(np.mean(found**2))


@cache
def _whitened() -> Array:
    return whiten(photograph())


@cache
def _grey(path: Path) -> Array:
    from matplotlib import image  # only here: it takes a while to import

    try:
        pixels: Any = image.imread(path)
    except (OSError, ValueError) as error:
        raise FileError(
            "the photograph cannot be read",
            f"path {str(path)!r}: {error}",
            "pip install --force-reinstall matplotlib pillow; or pass your own image=",
        ) from None
    return pixels[..., :3] / 255 @ LUMA


def _path() -> Path:
    """Where matplotlib keeps its sample data."""
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "sample_data" / PHOTOGRAPH
    if not path.is_file():
        raise FileError(
            f"matplotlib's sample data do not hold {PHOTOGRAPH}",
            f"path {str(path)!r}; some distributions leave the sample data out",
            "pip install --force-reinstall matplotlib; or pass your own image=",
        )
    return path
