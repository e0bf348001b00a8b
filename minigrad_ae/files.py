"""Files that are written whole or not at all, and folders in which one run is at work."""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO
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


def write_whole(
    path: str | os.PathLike[str],
    write: Callable[[BinaryIO], object],
    *,
    keep_previous: bool = False,
) -> Path:
    """Let `write(file)` fill a file, and give it the name `path` once it is complete and on the
    disk.

    Until then an older file of that name stays as it is, and whatever goes wrong (a full disk, a
    crash, Ctrl-C) it goes on to stay.  The temporary file lies in the same folder, since a rename
    is atomic within one file system only.  Those that dead processes left are removed.

    Only a regular file is replaced.  A link is followed: the file it points to is replaced, and the
    link stays.  A device, a pipe, or the file to which standard output goes is written to as it
    stands.

    keep_previous : the older file stays beside the new one, as `previous_of(path)`.
    """
    target = Path(os.path.realpath(path))
    if _is_stream(path):
        _write_through(path, write)
        return Path(path)
    _remove_dead(target)
    with _part(target) as (part, file):
        _fill(file, write)
        if target.is_file():
            shutil.copymode(target, part)
            if keep_previous:
                _keep(target)
        os.replace(part, target)
    _sync_folder(target.parent)
    return Path(path)


def write_folder(
    folder: str | os.PathLike[str], files: Mapping[str, Callable[[BinaryIO], object]]
) -> None:
    """Let each `write(file)` fill a file, and give all of them their names in `folder` once all are
    complete and on the disk.

    Whatever goes wrong before that, older files of these names stay as they are, and a folder that
    was not there is not left behind.  Between the first name and the last there are only renames.
    """
    target = Path(os.path.realpath(folder))
    made = not target.exists()
    target.mkdir(parents=True, exist_ok=True)
    parts: dict[Path, Path] = {}
    try:
        with alone_in(target), ExitStack() as opened:
            for name, write in files.items():
                _remove_dead(target / name)
                part, file = opened.enter_context(_part(target / name))
                _fill(file, write)
                parts[part] = target / name
            for part, path in parts.items():
                os.replace(part, path)
    except BaseException:
        if made:
            with suppress(OSError):  # not empty
                target.rmdir()
        raise
    _sync_folder(target)


def write_text(path: str | os.PathLike[str], text: str) -> Path:
    """`write_whole` of a text, in UTF-8."""
    return write_whole(path, lambda file: file.write(text.encode("utf-8")))


def write_png(path: str | os.PathLike[str], figure: Any, dpi: int) -> Path:
    """`write_whole` of a matplotlib figure as a PNG; the same figure gives the same bytes."""
    metadata = {"Software": None}
    return write_whole(
        path, lambda file: figure.savefig(file, format="png", dpi=dpi, metadata=metadata)
    )


def can_be_written(path: str | os.PathLike[str]) -> bool:
    """Whether `write_whole` may be expected to succeed: asked before long work, not after it."""
    if _is_stream(path):
        return os.access(path, os.W_OK)
    target = Path(os.path.realpath(path))
    return target.parent.is_dir() and os.access(target.parent, os.W_OK) and not target.is_dir()


# --- files that are not complete ---


def open_part(target: Path) -> tuple[Path, BinaryIO]:
    """A new file beside the target, hidden, which no other process or thread has; while it is open
    it is locked, so that nobody takes it for one that was left behind.
    """
    while True:
        part = _unused(target)
        with suppress(FileExistsError):
            file = open(part, "xb")  # noqa: SIM115  (closed by who asked)
            if _lock(file) is not False and _is_named(file, part):
                return part, file
            file.close()


@contextmanager
def _part(target: Path) -> Iterator[tuple[Path, BinaryIO]]:
    """`open_part`, for as long as it takes to give it the name of the target; removed if it gets
    none.
    """
    part, file = open_part(target)
    with file:
        try:
            yield part, file
        except BaseException:
            file.close()
            part.unlink(missing_ok=True)
            raise


def _fill(file: BinaryIO, write: Callable[[BinaryIO], object]) -> None:
    """All of it, on the disk."""
    write(file)
    file.flush()
    os.fsync(file.fileno())
    if fcntl is None:  # where there are no locks, a file that is open may not be renamed, either
        file.close()


def _unused(target: Path) -> Path:
    """A name that nobody has, as far as chance goes."""
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")


def _remove_dead(target: Path) -> None:
    """Remove what processes left that died while they wrote `target`: nobody has a lock on it."""
    if fcntl is msvcrt is None:
        return
    left = re.compile(rf"\.{re.escape(target.name)}(\.prev)?\.[0-9a-f]{{8}}\.part")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if left.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError), open(entry.path, "r+b") as file:
                    dead = _lock(file)
                    if fcntl is None:  # Windows removes nothing that is open
                        file.close()
                    if dead:
                        os.unlink(entry.path)


def _lock(file: BinaryIO, shared: bool = False) -> bool | None:
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


def _is_named(file: BinaryIO, path: Path) -> bool:
    """Whether `path` still names the open file."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path))
    return False


# --- reading what somebody named ---


def read_at_most(path: Path, most: int, what: str, fix: str) -> bytes:
    """All of a file; FileError where it has more than `most` bytes, as a device has that never
    ends.
    """
    with open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise FileError(f"{what} has more than {most:,} bytes", str(path), fix)
    return content


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
        if not (held and _is_named(held[-1], path)):
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
    own = _is_named(file, path)  # it may be that of a run in a folder made anew
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
        taken = _lock(file) is False
        file.seek(0)
        found = file.read(LONGEST)
        ours = found.startswith(OURS) or not found
        if ours and not taken and _is_named(file, path):
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


# --- the file before ---


def previous_of(path: str | os.PathLike[str]) -> Path:
    """NAME.prev, beside the file that `path` names: what was there before the last `write_whole`
    that kept it.
    """
    target = Path(os.path.realpath(path))
    return target.with_name(f"{target.name}.prev")


def _keep(target: Path) -> None:
    """Give the file a second name, NAME.prev.  It keeps its own, so that a kill in between leaves a
    good file there.
    """
    previous = previous_of(target)
    while not _keep_as(previous, target):  # another thread was here
        pass


def _keep_as(previous: Path, target: Path) -> bool:
    """Whether `previous` names what `target` named, too, when this began."""
    second = _unused(previous)
    with open(target, "rb") as file:
        if _lock(file, shared=True) is False:
            return False
        try:
            os.link(target, second)
        except OSError:  # a file system without hard links
            _copy(file, target, previous)
            return True
        try:
            if kept := _is_named(file, second):  # and so locked
                os.replace(second, previous)
        finally:
            second.unlink(missing_ok=True)  # two names of one file: a rename leaves both
        return kept


def _copy(file: BinaryIO, target: Path, previous: Path) -> None:
    with _part(previous) as (part, new):
        _fill(new, lambda new: shutil.copyfileobj(file, new))
        shutil.copystat(target, part)
        os.replace(part, previous)


# --- what must not be replaced ---


def _is_stream(path: str | os.PathLike[str]) -> bool:
    """Whether there is something that must not be replaced: a device, a pipe, or where this process
    prints to.
    """
    with suppress(OSError):
        found = os.stat(path)
        kept = stat.S_ISREG(found.st_mode) and _printed_to(found) is None
        return not (kept or stat.S_ISDIR(found.st_mode))
    return False


def _printed_to(found: os.stat_result) -> int | None:
    """The descriptor of standard output or error, if `found` is the file that it leads to."""
    for descriptor in (1, 2):
        with suppress(OSError):  # it is closed
            if os.path.samestat(found, os.fstat(descriptor)):
                return descriptor
    return None


def _write_through(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """All of it at once: a pipe cannot go back and forth, as the writer of an archive does."""
    whole = BytesIO()
    write(whole)
    descriptor = _printed_to(os.stat(path))
    for printed in filter(None, (sys.stdout, sys.stderr)):
        printed.flush()
    try:
        with open(path if descriptor is None else os.dup(descriptor), "wb") as file:
            file.write(whole.getvalue())
    except OSError as error:
        # the system does not say which file is full
        error.filename = error.filename or os.fspath(path)
        raise


def _sync_folder(folder: Path) -> None:
    """Make the new name itself durable, where the system lets a folder be synchronised."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as JSON, whole or not at all; ValueError for NaN and infinities, which JSON
    does not have.
    """
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")
