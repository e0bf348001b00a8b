"""Locks: a file that one process has, and a folder in which one run is at work.

A lock ends when its file is closed, or the process dies.
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from .errors import FileError

fcntl: Any = None
msvcrt: Any = None
with suppress(ImportError):  # Unix
    import fcntl
with suppress(ImportError):  # Windows
    import msvcrt

LOCK, OURS = ".lock", b"process "  # in a folder in which a run is at work, and how it begins
LONGEST = 4096  # bytes of it that are read
# a link would let a run write into what it leads to (Windows has links for administrators alone)
NO_LINK = getattr(os, "O_NOFOLLOW", 0)
BEYOND = 1 << 30  # a byte that no lock file has: nobody can read what is locked on Windows


def lock(file: BinaryIO, shared: bool = False) -> bool | None:
    """Whether this open file alone has the lock now (on Unix with others that share it); it ends
    when the file is closed, or the process dies.  None where there are no locks.
    """
    if fcntl is None:
        return _lock_byte(file)
    try:
        fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return None
    return True


def _lock_byte(file: BinaryIO) -> bool | None:
    """The same on Windows, where a lock is one of bytes."""
    if msvcrt is None:
        return None
    file.seek(BEYOND)
    try:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    finally:
        file.seek(0)
    return True


def is_named(file: BinaryIO, path: Path) -> bool:
    """Whether `path` still names the open file."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    return False


# --- one run in a folder ---


@contextmanager
def alone_in(folder: Path) -> Iterator[Callable[[], None]]:
    """Let no second run of this package work in `folder`, until the block or the process ends.

    What is yielded makes sure of it again: it takes the lock anew where somebody has removed it,
    perhaps with the whole folder.

    FileError that names the process which is at work there, or a file that is none of ours where
    the lock would be; OSError where nothing can be written.
    """
    path = folder / LOCK
    held: list[BinaryIO] = []

    def again() -> None:
        if not (held and is_named(held[-1], path)):
            held.append(_open_locked(path))
            _sign(held[-1])

    try:
        again()
        yield again
    finally:
        for file in held:
            _release(file, path)


def _sign(file: BinaryIO) -> None:
    """Say in the lock who has it."""
    file.truncate(0)
    said = " ".join(sys.argv[1:])
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    who = f"{os.getpid()} on {platform.node()}, since {since}: {said:.200}"
    file.write(OURS + who.encode("utf-8", "replace"))
    file.flush()


def _release(file: BinaryIO, path: Path) -> None:
    own = is_named(file, path)  # it may be that of a run in a folder made anew
    if fcntl is None:  # Windows removes nothing that is open
        file.close()
    # elsewhere before the lock ends: who waits for it looks for the name
    if own:
        with suppress(OSError):
            os.unlink(path)
    file.close()


def _open_locked(path: Path) -> BinaryIO:
    while True:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise _not_ours(path)
        file = open(path, "a+b", opener=_no_link)  # noqa: SIM115  (closed by who asked)
        taken = lock(file) is False
        file.seek(0)
        found = file.read(LONGEST)
        ours = found.startswith(OURS) or not found
        if ours and not taken and is_named(file, path):
            return file
        file.close()
        if not ours:
            raise _not_ours(path)
        if taken:
            who = found.decode("utf-8", "replace")
            raise FileError(
                "another run is at work in this folder",
                f"{path.parent}: {' '.join(who.split()) or 'it has only just begun'}",
                "wait for its end, or stop it; or name another folder",
            )


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | NO_LINK, 0o666)


def _not_ours(path: Path) -> FileError:
    return FileError(
        "something else has the name of the lock that a run puts into its folder",
        str(path),
        "move it away, or name another folder",
    )
