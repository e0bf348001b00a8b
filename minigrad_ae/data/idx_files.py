"""Arrays of any size in IDX files, the format of MNIST, packed by gzip or not."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileError

TYPES = {  # the third byte of the file; the fourth is the number of axes
    0x08: "u1",
    0x09: "i1",
    0x0B: ">i2",
    0x0C: ">i4",
    0x0D: ">f4",
    0x0E: ">f8",
}
AGAIN = "copy or fetch the file again"


def read_idx(path: Path, again: str = AGAIN) -> NDArray[Any]:
    """The array in an IDX file: 0, 0, type, number of axes, their lengths (big-endian), the data.

    FileError where it is damaged or not IDX; `again` says how to get another one.
    """
    raw = unpacked(path, again)
    if not is_idx(raw):
        raise FileError(
            "the file is not in IDX format",
            f"{path}: it begins with {raw[:4].hex(' ') or 'nothing'}, expected 00 00, a type "
            "(08 is bytes) and the number of axes",
            again,
        )
    dtype, ndim = np.dtype(TYPES[raw[2]]), raw[3]
    header = 4 + 4 * ndim
    shape = tuple(int.from_bytes(raw[k : k + 4], "big") for k in range(4, header, 4))
    needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
    if len(raw) != header + needed:
        raise FileError(
            "the file is cut short, or too long",
            f"{path}: {max(0, len(raw) - header):,} bytes of data, but shape {shape} needs "
            f"{needed:,}",
            again,
        )
    return np.frombuffer(raw, dtype, offset=header).reshape(shape)


def is_idx(start: bytes) -> bool:
    """Whether a file that begins so is in IDX format."""
    return len(start) >= 4 and start[:2] == b"\0\0" and start[2] in TYPES and start[3] > 0


def unpacked(path: Path, again: str = AGAIN) -> bytes:
    """The bytes of a file, unpacked where its name ends in .gz."""
    try:
        return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error):
        raise FileError(
            "the file is cut short or damaged", f"{path}: gzip cannot unpack it", again
        ) from None
    except gzip.BadGzipFile:
        raise FileError(
            "the file is not packed by gzip, as its name says", f"{path}", again
        ) from None
    except OSError as error:
        raise FileError(
            "the file cannot be read", f"{path}: {error.strerror}", "check its permissions"
        ) from None
