"""What an argument may be, and what is said where it is not: of a function, and on the command
line.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .errors import DataError


def spell_out() -> None:
    """Let stdout and stderr write what their encoding has no character for (x-bar, on some screens)
    as an escape.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def end_with_the_reader() -> None:
    """Let a script whose output nobody reads any more (``| head -1``) end at once and in silence,
    as Unix programs do.
    """
    if hasattr(signal, "SIGPIPE") and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def seed(text: str) -> int:
    """The type of ``--seed``: a whole number, at least 0, as NumPy's generators take it."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f"a seed is a whole number, at least 0, not {text!r}")
    return number


class Parser(argparse.ArgumentParser):
    """`argparse.ArgumentParser`, whose errors say what was wrong, the usage, and where to read on;
    exit code 2.
    """

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().split())
        print(f"{self.prog}: {message}\n  {usage}\n  fix: see {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


# --- arrays under a mask ---


_NESTED = (np.ma.MaskedArray, list, tuple)


def unmasked(value: Any, name: str) -> Any:
    """`value` as it is, a masked array as the plain array below its mask; lists and tuples are
    looked into.

    Raises DataError where a mask hides something: what lies below a mask is no number that may be
    computed with, and np.asarray would take it for one.
    """
    if isinstance(value, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(value)
        if hidden.any():
            by_row = ", or drop their rows, np.ma.compress_rows(X)" if value.ndim == 2 else ""
            raise DataError(
                f"{name} has masked entries",
                f"{int(hidden.sum())} of {value.size} entries, shape {value.shape}",
                f"fill them, X.filled(value){by_row}",
            )
        return np.asarray(value)
    if isinstance(value, list | tuple):
        for each in value:
            if isinstance(each, _NESTED):
                unmasked(each, name)
    return value


def plain(value: Any, name: str, dtype: Any = None) -> np.ndarray:
    """`np.asarray`, but DataError where a mask hides something."""
    return np.asarray(unmasked(value, name), dtype)


# --- sizes that no memory holds ---


SMALL = 1 << 26  # bytes; below this nobody asks
CGROUP = Path("/sys/fs/cgroup")


def demand_room(needed: int, what: str, fix: str) -> None:
    """DataError if about `needed` bytes are more than this process can still have."""
    if needed < SMALL:
        return
    free = available()
    if free is not None and needed > free:
        raise DataError(
            f"{what} would not fit into the memory of this machine",
            f"about {spelt(needed)} are needed, {spelt(free)} are free",
            fix,
        )


def demand_room_for(shape: Sequence[int]) -> None:
    """DataError if an array of this shape cannot be drawn: in float64, and then once more in its
    own dtype.
    """
    needed = math.prod(int(n) for n in shape) * 2 * 8
    sizes = " x ".join(f"{n:,}" for n in shape)
    demand_room(
        needed, f"an array of {sizes} numbers", "choose smaller sizes (units, features, patches)"
    )


def available() -> int | None:
    """Bytes that can still be had, by the system's own account and the container's limit; None
    where neither says.
    """
    found = [n for n in (_free_in_the_machine(), _free_in_the_container()) if n is not None]
    return min(found, default=None)


def spelt(n: int) -> str:
    """'3.2 GB': a number of bytes for people."""
    for power, unit in ((15, "PB"), (12, "TB"), (9, "GB"), (6, "MB")):
        if n >= 10**power:
            return f"{n / 10**power:.3g} {unit}" if n < 10**24 else f"10^{len(str(n)) - 1} bytes"
    return f"{n:,} bytes"


def _free_in_the_machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(
            int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")
        )
    except (OSError, ValueError, StopIteration):
        pass
    try:  # all of it, where the system does not say what is free
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _free_in_the_container() -> int | None:
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            return max(
                0,
                int((CGROUP / limit).read_text(encoding="utf-8"))
                - int((CGROUP / used).read_text(encoding="utf-8")),
            )
        except (OSError, ValueError):  # no such limit ("max"), or no container
            continue
    return None
