"""Files that are written whole or not at all."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from . import locks
from .errors import FileError


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
        with locks.alone_in(target), ExitStack() as opened:
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
            if locks.lock(file) is not False and locks.is_named(file, part):
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
    if locks.fcntl is None:  # Windows renames nothing that is open
        file.close()


def _unused(target: Path) -> Path:
    """A name that nobody has, as far as chance goes."""
    return target.with_name(f".{target.name}.{os.urandom(4).hex()}.part")


def _remove_dead(target: Path) -> None:
    """Remove what processes left that died while they wrote `target`: nobody has a lock on it."""
    if locks.fcntl is locks.msvcrt is None:
        return
    left = re.compile(rf"\.{re.escape(target.name)}(\.prev)?\.[0-9a-f]{{8}}\.part")
    with suppress(OSError), os.scandir(target.parent) as entries:
        for entry in entries:
            if left.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError), open(entry.path, "r+b") as file:
                    dead = locks.lock(file)
                    if locks.fcntl is None:  # Windows removes nothing that is open
                        file.close()
                    if dead:
                        os.unlink(entry.path)


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
        if locks.lock(file, shared=True) is False:
            return False
        try:
            os.link(target, second)
        except OSError:  # a file system without hard links
            _copy(file, target, previous)
            return True
        try:
            if kept := locks.is_named(file, second):  # and so locked
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
