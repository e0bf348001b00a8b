"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> Path:
    """Let `write(file)` fill a file, and give it the name `path` once it is complete and on the disk.

    Until then an older file of that name stays as it is, and whatever goes wrong (a full disk, a crash, Ctrl-C) it goes
    on to stay.  The temporary file lies in the same folder, since a rename is atomic within one file system only.
    """
    target = Path(path)
    temporary = temporary_name(target)
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)
    return target


def temporary_name(target: Path) -> Path:
    """Beside the target, hidden, and different for every process."""
    return target.with_name(f".{target.name}.{os.getpid()}.part")


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable, where the system lets a folder be synchronised."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
