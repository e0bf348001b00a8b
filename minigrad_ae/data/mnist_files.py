"""MNIST: 70,000 handwritten digits of 28 x 28 pixels, in the IDX files of Y. LeCun, C. Cortes and
C. J. C. Burges; and Fashion-MNIST and Kuzushiji-MNIST, which have the same form.

The files are not shipped.  They are looked for in `root`, in $MINIGRAD_AE_DATA, or in the cache,
packed or unpacked, under the names that LeCun, Kaggle and torchvision give them;
``minigrad-ae data mnist`` fetches them once.
"""

from __future__ import annotations

import hashlib
import logging
import os
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import choice, file_path, real_dtype
from ..errors import FileError
from ..files import write_whole
from .idx_files import read_idx

log = logging.getLogger(__name__)
FILES = (  # LeCun's names; the sums below are of these files, packed, in this order
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


@dataclass(frozen=True)
class ImageSet:
    """A data set in the form of MNIST: where it comes from, and the folders that others keep it
    in.
    """

    title: str
    mirror: str
    sums: tuple[str, ...]  # SHA-256
    folders: tuple[str, ...]

    def sha256(self) -> dict[str, str]:
        """{name of a file: its sum}."""
        return dict(zip(FILES, self.sums, strict=True))


SETS = {
    "mnist": ImageSet(
        "MNIST",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        (
            "0b367032e93c5d0cea0925647cfdb18614af8ee15f83e6f2fc2ad904a6835971",
            "1787548bbe0bff1ec2ecdc0ef292b02df999e2d1a6002d27500982c652b17203",
            "1a1a05eab793c14bb050b398624a11b0ffd1a2953baed553b1b9bd079e2a20be",
            "b91679a0acfe4ba0e50a2437a903084cba1f5f92592b016a25a7dfd00455798b",
        ),
        ("mnist", "MNIST/raw"),
    ),
    "fashion-mnist": ImageSet(
        "Fashion-MNIST",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
        ("fashion-mnist", "FashionMNIST/raw"),
    ),
    "kmnist": ImageSet(
        "Kuzushiji-MNIST",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        (
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
        ("kmnist", "KMNIST/raw"),
    ),
}
SHA256 = SETS["mnist"].sha256()
PREFIX = {"train": "train", "test": "t10k"}
SIDE = 28
LARGEST = 64_000_000  # bytes; the largest of these files has 26,421,880


def mnist(
    root: str | os.PathLike[str] | None = None,
    split: str = "train",
    dtype: Any = np.float64,
    which: str = "mnist",
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """The handwritten digits of MNIST, from their IDX files.

    Parameters
    ----------
    root : str or path-like, optional
        The folder of the files, or the one that torchvision was given; by default
        $MINIGRAD_AE_DATA, else the cache, which ``minigrad-ae data mnist`` fills.
    split : {'train', 'test'}, optional
        n = 60,000 or 10,000 images.
    dtype : dtype, optional
        Of X, float32 or float64; float64 takes 376 MB for the training images.
    which : {'mnist', 'fashion-mnist', 'kmnist'}, optional
        Digits, clothes, or cursive Japanese characters.

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
        For another split or another set.
    DtypeError
        For another dtype.

    References
    ----------
    LeCun, Cortes & Burges (1998), The MNIST database of handwritten digits.
    Xiao, Rasul & Vollgraf (2017), Fashion-MNIST, https://arxiv.org/abs/1708.07747.
    Clanuwat et al. (2018), Deep Learning for Classical Japanese Literature,
    https://arxiv.org/abs/1812.01718.
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
    choice(which, SETS, "mnist", "data set", "name one of them")
    dtype = real_dtype(dtype, "mnist", "images")
    images = _read(f"{PREFIX[split]}-images-idx3-ubyte", root, which)
    labels = _read(f"{PREFIX[split]}-labels-idx1-ubyte", root, which)
    if images.shape[1:] != (SIDE, SIDE) or labels.shape != (len(images),):
        raise FileError(
            f"these are not the images and labels of {SETS[which].title}",
            f"images {images.shape}, labels {labels.shape}; expected (n, {SIDE}, {SIDE}) and (n,)",
            "name the file of the images itself as data; or another folder",
        )
    return np.divide(images.reshape(len(images), SIDE * SIDE), 255, dtype=dtype), labels.astype(
        np.int64
    )


def _read(name: str, root: str | os.PathLike[str] | None, which: str) -> NDArray[Any]:
    path = _find(name, root, which)
    array = read_idx(path, f"fetch it again: minigrad-ae data {which}")
    if array.dtype != np.uint8:
        raise FileError(
            f"these are not bytes, as {SETS[which].title} has them",
            f"{path}: {array.dtype.name}, shape {array.shape}",
            "name this file itself as data",
        )
    return array


def folder_of(root: str | os.PathLike[str] | None, which: str = "mnist") -> Path:
    """Where the files are looked for first: `root` if it is named, else $MINIGRAD_AE_DATA, else the
    cache.
    """
    if root is not None:
        return file_path(root, f"{which}: root")
    return Path(os.environ.get("MINIGRAD_AE_DATA") or cache_folder(which))


def is_there(which: str = "mnist") -> bool:
    """Whether all four files are found."""
    try:
        return all(_find(name.removesuffix(".gz"), None, which) for name in FILES)
    except FileError:
        return False


def cache_folder(which: str = "mnist") -> Path:
    """Where `download` puts the files."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "minigrad_ae", which)


def download(
    folder: str | os.PathLike[str] | None = None, mirror: str = "", which: str = "mnist"
) -> list[Path]:
    """Fetch those of the four files that are not in `folder` (by default the cache) yet, each
    checked by its SHA-256.

    A file that is whole is never replaced, whatever its sum: it may have been packed again.  Raises
    FileError without a connection, for a wrong sum (nothing is written then), where a file belongs
    to another of the sets, and where it cannot be written.
    """
    folder = Path(folder) if folder is not None else cache_folder(which)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            "the folder cannot be made",
            f"{folder}: {error.strerror}",
            "name another one: --root DIR",
        ) from None
    paths = {folder / name: expected for name, expected in SETS[which].sha256().items()}
    for path, expected in paths.items():
        if not _is_kept(path, expected, which):
            content = _fetch((mirror or SETS[which].mirror) + path.name, expected, which)
            write_whole(path, methodcaller("write", content))
    return list(paths)


def _is_kept(path: Path, expected: str, which: str) -> bool:
    """Whether a file is there and whole; FileError where it belongs to another set."""
    if not path.is_file():
        return False
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found == expected:
        return True
    for each in SETS.values():
        if found in each.sums:
            raise FileError(
                f"the folder holds {each.title}, whose files have the same names",
                f"{path}",
                f"put {SETS[which].title} elsewhere: --root DIR",
            )
    try:
        read_idx(path)
    except FileError:
        return False
    log.warning("%s is kept: it is whole, though not the file that was published", path)
    return True


def _fetch(url: str, expected: str, which: str) -> bytes:
    """What lies at `url`, if it has the SHA-256 that is expected."""
    from . import fetching

    try:
        content = fetching.fetched(url, LARGEST)
    except fetching.ERRORS as error:
        reason = str(getattr(error, "reason", None) or error or type(error).__name__)
        raise FileError(
            f"{SETS[which].title} cannot be downloaded",
            f"{url!r:.200}: {' '.join(reason.split()):.200}",
            "check the connection, or copy the four files yourself and set MINIGRAD_AE_DATA to "
            "their folder; "
            f"everything but {SETS[which].title} runs offline on mg.data.digits()",
        ) from None
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        sums = f"SHA-256 {found[:12]}..., expected {expected[:12]}..."
        raise FileError(
            "what was downloaded is not the file that was expected; nothing was written",
            f"{url!r:.200}: {len(content):,} bytes, {sums}",
            f"try another network or mirror: minigrad-ae data {which} --mirror URL",
        )
    return content


def _find(name: str, root: str | os.PathLike[str] | None, which: str) -> Path:
    """The file, packed or not, under the names that LeCun, Kaggle and torchvision give it."""
    dotted = name.replace("-idx", ".idx")
    for folder in _folders(root, which):
        for each in (name, f"{name}.gz", dotted, f"{dotted}.gz", f"{name}/{name}"):
            if os.path.isfile(folder / each):  # (False where the name is too long to ask)
                return folder / each
    raise FileError(
        f"a file of {SETS[which].title} is missing",
        f"no {name} or {name}.gz in {folder_of(root, which)}",
        f"fetch the files with: minigrad-ae data {which}; or set MINIGRAD_AE_DATA to the folder "
        "that has them",
    )


def _folders(root: str | os.PathLike[str] | None, which: str) -> list[Path]:
    """Where the files may be.  All sets have the same names: in $MINIGRAD_AE_DATA itself they are
    those of MNIST, and the others lie in folders of their own, or in the cache.
    """
    first = folder_of(root, which)
    own = [first / name for name in SETS[which].folders]
    if root or which == "mnist":
        return [first, first / "raw", *own]
    return [*own, cache_folder(which)]
