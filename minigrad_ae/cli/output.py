"""Files that a command is asked to write: refused before the work is done, not after it."""

from __future__ import annotations

from pathlib import Path

from ..errors import DataError
from ..files import can_be_written


def writable(path: Path | None, option: str = "--json") -> None:
    """Refuse the file named by `option` where it cannot be written."""
    if path is not None and not can_be_written(path):
        raise DataError(
            "the output file cannot be written",
            f"{option} {path}",
            "name a file in an existing folder",
        )
