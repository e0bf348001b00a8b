"""Sizes that no memory holds: refused before any memory is taken."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

from .errors import DataError

SMALL = 1 << 26  # bytes; below this nobody asks


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


_left: ContextVar[int | None] = ContextVar("numbers that may still be drawn", default=None)


@contextmanager
def at_most(numbers: int) -> Iterator[None]:
    """In here `demand_room_for` refuses arrays that together have more than so many numbers."""
    token = _left.set(numbers)
    try:
        yield
    finally:
        _left.reset(token)


def demand_room_for(shape: Sequence[int]) -> None:
    """DataError if an array of this shape cannot be drawn: in float64, and then once more in its
    own dtype.
    """
    count = math.prod(int(n) for n in shape)
    what = f"an array of {' x '.join(f'{n:,}' for n in shape)} numbers"
    fix = "choose smaller sizes (units, features, patches)"
    demand_room(count * 2 * 8, what, fix)
    left = _left.get()
    if left is None:
        return
    if count > left:
        raise DataError(f"{what} is more than there are", f"{left:,} are left", fix)
    _left.set(left - count)


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
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return 1024 * next(
            int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")
        )
    with suppress(AttributeError, OSError, ValueError):
        # all of it, where the system does not say what is free
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _free_in_the_container() -> int | None:
    for names in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        with suppress(OSError, ValueError):  # no such limit ("max"), or no container
            limit, used = (
                int(Path("/sys/fs/cgroup", name).read_text(encoding="utf-8")) for name in names
            )
            return max(0, limit - used)
    return None
