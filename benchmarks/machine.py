"""What a figure must say: on which processor, with which versions, when, and who else was there."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = "numpy numba llvmlite torch jax autograd pytensor".split()
QUIET = 0.05  # of a core may be others' work


def installed(package: str) -> str | None:
    """The version of a package, None where it is missing."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """Processor, versions and date."""
    from minigrad_ae.cli.processor import processor
    from minigrad_ae.version import __version__

    versions = {name: installed(name) for name in PACKAGES}
    versions["numpy's BLAS"] = _blas()
    return {
        "processor": processor(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "versions": versions,
        "minigrad_ae": " ".join(filter(None, (__version__, _commit()))),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
    }


def _blas() -> str | None:
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[index,call-overload]
    return f"{blas['name']} {blas['version']}"


def _commit() -> str:
    """The commit of this checkout, with a + where files were changed; '' outside a repository."""
    git = ["git", "-C", str(ROOT)]
    try:
        text = {"check": True, "capture_output": True, "text": True}
        commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], **text).stdout.strip()
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], **text).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
    return commit + ("+" if changed else "")


@contextmanager
def company() -> Iterator[dict[str, Any]]:
    """What others did meanwhile: a dictionary that holds at the end how many cores they took, and
    whether that is little enough to call the machine quiet.  Empty where the system does not say.
    """
    found: dict[str, Any] = {}
    before = _work()
    yield found
    after = _work()
    if before and after:
        wall, all_of_it, own = (b - a for a, b in zip(before, after, strict=True))
        others = max(0.0, all_of_it - own) / wall
        found |= {"others": round(others, 3), "quiet": others < QUIET}


def _work() -> tuple[float, float, float] | None:
    """Seconds since the start, processor seconds of everyone, processor seconds of ours."""
    file = Path("/proc/stat")
    if not file.is_file():
        return None
    import resource  # where there is no /proc there may be none of it

    ticks = [int(word) for word in file.read_text(encoding="utf-8").splitlines()[0].split()[1:]]
    user, nice, system, _, _, interrupts, soft, stolen = ticks[:8]
    busy = (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")
    own = sum(
        usage.ru_utime + usage.ru_stime
        for usage in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    return float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0]), busy, own
