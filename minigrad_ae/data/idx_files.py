"""Arrays of any size in IDX files, the format of MNIST, packed by gzip or not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FileError
from ..room import demand_room

TYPES = {  # the third byte of the file; the fourth is the number of axes
    0x08: "u1",
    0x09: "i1",
    0x0B: ">i2",
    0x0C: ">i4",
    0x0D: ">f4",
    0x0E: ">f8",
}
RATIO = 1032  # deflate makes of one byte at most so many
MOST_AXES = 32  # that NumPy of any version has
AGAIN = "copy or fetch the file again"


def read_idx(path: Path, again: str = AGAIN) -> NDArray[Any]:
    """The array in an IDX file: 0, 0, type, number of axes, their lengths (big-endian), the data.

    FileError where it is damaged or not IDX; `again` says how to get another one.
    """
    with unpacked(path, again) as file:
        start = file.read(4)
        if not is_idx(start):
            raise FileError(
                "the file is not in IDX format",
                f"{path}: it begins with {start.hex(' ') or 'nothing'}, expected 00 00, a type "
                "(08 is bytes) and the number of axes",
                again,
            )
        dtype, ndim = np.dtype(TYPES[start[2]]), start[3]
        sizes = file.read(4 * ndim)
        shape = tuple(int.from_bytes(sizes[k : k + 4], "big") for k in range(0, 4 * ndim, 4))
        needed = int(np.prod(shape, dtype=object)) * dtype.itemsize
        # what the file says of itself is not believed: no more memory than its bytes can fill
        most = min(needed + 1, RATIO * path.stat().st_size)
        demand_room(most, f"the array in {path.name}", again)
        raw = file.read(most)
    if len(raw) != needed or len(sizes) != 4 * ndim:
        raise FileError(
            "the file is cut short, or too long",
            f"{path}: {len(raw):,}{'' if len(raw) <= needed else ' or more'} bytes of data, but "
            f"shape {shape} needs {needed:,}",
            again,
        )
    if ndim > MOST_AXES:
        raise FileError("the array has too many axes", f"{path}: {ndim} of them", again)
    try:
        return np.frombuffer(raw, dtype).reshape(shape)
    except ValueError:  # without data an array takes no memory, but its axes may be too long
        raise FileError("the array is too large", f"{path}: shape {shape}", again) from None


def is_idx(start: bytes) -> bool:
    """Whether a file that begins so is in IDX format."""
    return len(start) >= 4 and start[:2] == b"\0\0" and start[2] in TYPES and start[3] > 0


@contextmanager
def unpacked(path: Path, again: str = AGAIN) -> Iterator[IO[bytes]]:
    """A file to be read, unpacked where its name ends in .gz; FileError for what goes wrong in the
    meantime.
    """
    try:
        opened: Any = gzip.open if path.suffix == ".gz" else open
        with opened(path, "rb") as file:
            yield file
    except FileError:
        raise
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
            "the file cannot be read", f"{path}: {error.strerror or error}", "check its permissions"
        ) from None
