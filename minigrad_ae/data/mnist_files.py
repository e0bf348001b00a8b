"""MNIST: 70,000 handwritten digits of 28 x 28 pixels, in the IDX files of Y. LeCun, C. Cortes and
C. J. C. Burges.

The files are not shipped.  They are looked for in `root`, in $MINIGRAD_AE_DATA, or in the cache,
packed or unpacked; ``minigrad-ae data mnist`` fetches them once.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import choice, real_dtype
from ..errors import FileError
from ..files import write_whole

MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
SHA256 = {  # of the packed files
    "train-images-idx3-ubyte.gz": "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971",  # noqa: E501
    "train-labels-idx1-ubyte.gz": "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203",  # noqa: E501
    "t10k-images-idx3-ubyte.gz": "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
    "t10k-labels-idx1-ubyte.gz": "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b",
}
PREFIX = {"train": "train", "test": "t10k"}
# the third byte of an IDX file: its entries are unsigned bytes; the fourth is the number of axes
UBYTE = 0x08
SIDE = 28
TIMEOUT = 30.0  # seconds without an answer
AGAIN = "fetch it again: minigrad-ae data mnist"


def mnist(
    root: str | os.PathLike[str] | None = None, split: str = "train", dtype: Any = np.float64
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """The handwritten digits of MNIST, from their IDX files.

    Parameters
    ----------
    root : str or path-like, optional
        The folder of the files; by default $MINIGRAD_AE_DATA, else the cache, which
        ``minigrad-ae data mnist`` fills.
    split : {'train', 'test'}, optional
        n = 60,000 or 10,000 images.
    dtype : dtype, optional
        Of X, float32 or float64; float64 takes 376 MB for the training images.

    Returns
    -------
    X : ndarray, (n, 784)
        Images of 28 x 28 pixels, row by row, from 0 (paper) to 1 (ink): the stored byte divided
        by 255.
    y : ndarray of int64, (n,)
        Labels 0 to 9.

    Raises
    ------
    FileError
        Where the files are missing, cut short, or not in IDX format.
    DataError
        For another split.
    DtypeError
        For another dtype.

    References
    ----------
    LeCun, Cortes & Burges (1998), The MNIST database of handwritten digits.
    """
    choice(
        split,
        PREFIX,
        "mnist",
        "split",
        "name one of them",
        what=f"there is no split {split!r} of MNIST",
        where="the splits are 'train' and 'test'",
    )
    dtype = real_dtype(dtype, "mnist", "images")
    images = _idx(_find(f"{PREFIX[split]}-images-idx3-ubyte", root), 3)
    labels = _idx(_find(f"{PREFIX[split]}-labels-idx1-ubyte", root), 1)
    if images.shape[1:] != (SIDE, SIDE) or len(images) != len(labels):
        raise FileError(
            "these are not the images and labels of MNIST",
            f"images {images.shape}, labels {labels.shape}; expected (n, {SIDE}, {SIDE}) and (n,)",
            AGAIN,
        )
    return np.divide(images.reshape(len(images), -1), 255, dtype=dtype), labels.astype(np.int64)


def folder_of(root: str | os.PathLike[str] | None) -> Path:
    """Where the files are looked for: `root` if it is named, else $MINIGRAD_AE_DATA, else the
    cache.
    """
    return Path(root or os.environ.get("MINIGRAD_AE_DATA") or cache_folder())


def cache_folder() -> Path:
    """Where `download` puts the files."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "minigrad_ae", "mnist")


def download(folder: str | os.PathLike[str] | None = None, mirror: str = MIRROR) -> list[Path]:
    """Fetch those of the four files that are not in `folder` (by default the cache) yet, each
    checked by its SHA-256.

    Raises FileError without a connection, for a wrong sum (nothing is written then), and where it
    cannot be written.
    """
    folder = Path(folder) if folder is not None else cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            "the folder cannot be made",
            f"{folder}: {error.strerror}",
            "name another one: --root DIR",
        ) from None
    paths = {folder / name: expected for name, expected in SHA256.items()}
    for path, expected in paths.items():
        if not (path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == expected):
            write_whole(path, methodcaller("write", _fetch(mirror + path.name, expected)))
    return list(paths)


def _fetch(url: str, expected: str) -> bytes:
    """What lies at `url`, if it has the SHA-256 that is expected."""
    # imported here: who only computes gradients loads no network code
    import http.client
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            content = answer.read()
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise FileError(
            "MNIST cannot be downloaded",
            f"{url}: {getattr(error, 'reason', None) or error or type(error).__name__}",
            "check the connection, or copy the four files yourself and set MINIGRAD_AE_DATA to "
            "their folder; "
            "everything but MNIST runs offline on mg.data.digits()",
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise FileError(
            "what was downloaded is not the file that was expected; nothing was written",
            f"{url}: {len(content):,} bytes, SHA-256 {found[:12]}..., expected {expected[:12]}...",
            "try another network or mirror: minigrad-ae data mnist --mirror URL",
        )
    return content


def _find(name: str, root: str | os.PathLike[str] | None) -> Path:
    """The file, packed or not."""
    folder = folder_of(root)
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise FileError(
        "a file of MNIST is missing",
        f"no {name} or {name}.gz in {folder}",
        "fetch the files with: minigrad-ae data mnist; or set MINIGRAD_AE_DATA to the folder that "
        "has them",
    )


def _idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in an IDX file: 0, 0, type, number of axes, their lengths
    (big-endian), the data.
    """
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error):
        raise FileError(
            "the file is cut short or damaged", f"{path}: gzip cannot unpack it", AGAIN
        ) from None
    except gzip.BadGzipFile:
        raise FileError(
            "the file is not packed by gzip, as its name says", f"{path}", AGAIN
        ) from None
    except OSError as error:
        raise FileError(
            "the file cannot be read", f"{path}: {error.strerror}", "check its permissions"
        ) from None
    if raw[:4] != bytes([0, 0, UBYTE, ndim]):
        raise FileError(
            "the file is not in IDX format, or holds something else",
            f"{path}: it begins with {raw[:4].hex(' ') or 'nothing'}, expected "
            f"{bytes([0, 0, UBYTE, ndim]).hex(' ')}",
            AGAIN,
        )
    header = 4 + 4 * ndim
    shape = tuple(int.from_bytes(raw[k : k + 4], "big") for k in range(4, header, 4))
    if len(raw) != header + int(np.prod(shape, dtype=np.int64)):
        raise FileError(
            "the file is cut short, or too long",
            f"{path}: {len(raw) - header:,} bytes of data, but shape {shape} needs "
            f"{int(np.prod(shape, dtype=np.int64)):,}",
            AGAIN,
        )
    return np.frombuffer(raw, np.uint8, offset=header).reshape(shape)
