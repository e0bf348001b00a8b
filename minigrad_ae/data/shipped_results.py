"""Small results that took minutes to compute, shipped with the package; each file says by which
command.
"""

from __future__ import annotations

from pathlib import Path

from ..arguments import file_path
from ..errors import FileError

FOLDER = Path(__file__).parent / "shipped"


def shipped(name: str) -> Path:
    """The path of a file that is shipped with the package.

    Parameters
    ----------
    name : str
        The name of the file.

    Returns
    -------
    pathlib.Path
        Where it lies.

    Raises
    ------
    FileError
        Where there is no such file; the error lists those there are.

    Examples
    --------
    >>> mg.data.shipped("04_mnist.json").is_file()
    True
    """
    path = FOLDER / file_path(name, "shipped: name")
    if not path.is_file():
        present = ", ".join(sorted(p.name for p in FOLDER.glob("*.*"))) or "none"
        raise FileError(f"no file {name!r} is shipped", f"there are {present}", "name one of them")
    return path
