"""Arrays out of an .npz archive that anyone may have written: numbers and text, never objects.

What an archive says of itself is compared with the bytes that are there before any memory is
taken, and only members that are stored or deflated are read.
"""

from __future__ import annotations

import os
import stat
import zipfile
from typing import IO

import numpy as np

from ..data.numpy_files import read_array
from ..errors import CheckpointError, DataError, MinigradError
from ..room import demand_room, spelt

START = b"PK\x03\x04"
MEMBER = ".npy"
LOCKED = 1  # the bit that says so
RATIO = 1032  # deflate makes of one byte at most so many (zlib, "Technical details")
SLACK = 64  # bytes of a member that is packed and almost empty


def read_arrays(path: str | os.PathLike[str], fix: str, what_else: str) -> dict[str, np.ndarray]:
    """{name: array} of the archive `path`.

    CheckpointError where it is missing, damaged, or no such archive; `fix` says what to do about a
    damaged one, `what_else` about a file of another kind.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise CheckpointError(
                "the checkpoint cannot be read", f"{path}: it is not a file", "check the path"
            )
        with open(path, "rb") as file:
            if file.read(len(START)) == START:
                return _arrays(file, str(path), fix)
    except FileNotFoundError:
        raise CheckpointError(
            "there is no such checkpoint", f"{path}", "check the path; train with --checkpoint"
        ) from None
    except MinigradError:
        raise
    except (OSError, ValueError) as error:  # a path with a NUL is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(
            "the checkpoint cannot be read", f"{path}: {reason}", "check the path"
        ) from None
    raise CheckpointError("this is no checkpoint", f"{path}: not an .npz archive", what_else)


def _arrays(file: IO[bytes], path: str, fix: str) -> dict[str, np.ndarray]:
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
            fault = _fault(members, os.fstat(file.fileno()).st_size)
            if fault is None:
                # once as they are, and once in the model
                total = sum(member.file_size for member in members)
                demand_room(2 * total, "what the file holds", fix)
                return {
                    member.filename.removesuffix(MEMBER): _array(archive, member)
                    for member in members
                }
    except DataError as error:
        fault = f"{error.what}; {error.where}"
    except MinigradError as error:
        fault = error.what
    except Exception:  # damaged bytes raise whatever the reader of an archive may stumble over
        fault = "cut short or damaged"
    raise CheckpointError("the checkpoint cannot be read", f"{path}: {fault}", fix)


def _fault(members: list[zipfile.ZipInfo], size: int) -> str | None:
    """Why an archive of `size` bytes with these members is not read; None where it is."""
    if len({member.filename for member in members}) < len(members):
        return "two arrays have the same name"
    for member in members:
        name, packed = f"{member.filename!r:.60}", member.compress_size
        if not member.filename.endswith(MEMBER):
            return f"{name} is not an array"
        if member.flag_bits & LOCKED:
            return f"{name} is locked with a password"
        if member.compress_type == zipfile.ZIP_STORED:
            possible = member.file_size == packed
        elif member.compress_type == zipfile.ZIP_DEFLATED:
            possible = member.file_size <= RATIO * packed + SLACK
        else:
            return f"{name} is packed in a way that is not read: store it, or deflate it"
        if not possible or member.header_offset + packed > size:
            return (
                f"damaged: {name} is said to hold {spelt(member.file_size)} in "
                f"{spelt(packed)} of a file of {spelt(size)}"
            )
    return None


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as file:
        return read_array(file, member.file_size, member.filename)
