"""A folder of pictures as a matrix, a picture a row; subfolders are classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..arguments import counted
from ..errors import DataError, FileError
from ..room import demand_room
from .columns import Columns, Table, split_array

ENDINGS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
LABEL = "label"  # what --labels calls the names of the subfolders


def read_pictures(folder: Path, columns: Columns) -> Table:
    """The pictures of a folder, in the order of their names, pixel row by pixel row, from 0 (black)
    to 1 (white).
    """
    paths = [p for p in sorted(folder.rglob("*")) if p.suffix.lower() in ENDINGS and p.is_file()]
    paths = [p for p in paths if not any(part.startswith(".") for part in p.parts)]
    if not paths:
        raise FileError(
            "this is a directory, not a file",
            f"path {str(folder)!r}",
            "name a file in it, or a folder of pictures",
        )
    first = _picture(paths[0])
    size = 8 * len(paths) * first.size
    demand_room(size, "all these pictures", "choose fewer or smaller pictures")
    pictures = [first] + [_picture(path) for path in paths[1:]]
    _demand_one_size(paths, pictures)
    notes = [f"{counted(len(paths), 'picture')} of {first.shape[1]} x {first.shape[0]} pixels"]
    if any(picture.ndim == 3 for picture in pictures):
        pictures = [_coloured(picture) for picture in pictures]
        notes = [f"{notes[0]}, in colour: red, green and blue of each pixel"]
    X = np.stack(pictures).reshape(len(pictures), -1)
    table = split_array(X, Columns(columns.drop), f"path {str(folder)!r}")
    table.notes, table.line = notes, ""
    if columns.labels is not None:
        table.labels = _classes(folder, paths, columns.labels)
    return table


def _picture(path: Path) -> NDArray[np.float64]:
    """(height, width) if it is grey, else (height, width, 3); from 0 to 1."""
    # imported here: who reads no pictures does not wait for matplotlib
    import matplotlib.image
    from PIL import UnidentifiedImageError

    try:
        pixels = matplotlib.image.imread(path)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError) as error:
        raise FileError(
            "a picture cannot be read",
            f"path {str(path)!r}: {' '.join(str(error).split()):.80}",
            "remove it, or save it again as PNG",
        ) from None
    return _grey_or_colour(_unit(pixels, path))


def _unit(pixels: NDArray[Any], path: Path) -> NDArray[np.float64]:
    """Whole numbers, divided by the largest of their type."""
    if pixels.dtype.kind in "iu":
        return pixels / np.float64(np.iinfo(pixels.dtype).max)
    pixels = pixels.astype(np.float64)
    if path.suffix.lower() != ".png":
        return pixels
    for largest in (255, 65535):  # matplotlib divides in float32
        whole = np.rint(pixels * largest)
        if np.allclose(whole, pixels * largest, rtol=0, atol=0.01):
            return whole / largest
    return pixels


def _grey_or_colour(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Without transparency, which lies on white paper; one number a pixel where colours agree."""
    if pixels.ndim == 2:
        return pixels
    channels = pixels.shape[2]
    if channels in (2, 4):
        alpha = pixels[..., -1:]
        pixels = pixels[..., :-1] * alpha + (1 - alpha)
    grey = pixels[..., 0]
    return grey if (pixels == grey[..., None]).all() else pixels


def _coloured(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    return picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)


def _demand_one_size(paths: list[Path], pictures: list[NDArray[np.float64]]) -> None:
    """DataError unless all have the size of the first."""
    height, width = pictures[0].shape[:2]
    for path, picture in zip(paths, pictures, strict=True):
        if picture.shape[:2] != (height, width):
            raise DataError(
                "the pictures differ in size",
                f"path {str(path)!r}: {picture.shape[1]} x {picture.shape[0]} pixels; the first, "
                f"{paths[0].name}, has {width} x {height}",
                "scale or cut them to one size, width x height",
            )


def _classes(folder: Path, paths: list[Path], asked: str) -> NDArray[Any]:
    """The subfolder of each picture."""
    names = [path.relative_to(folder).parts[0] for path in paths]
    inside = all(len(path.relative_to(folder).parts) > 1 for path in paths)
    if asked != LABEL or not inside:
        there = f"the subfolders, as {LABEL!r}" if inside else "none: it has no subfolders"
        raise DataError(
            f"there are no labels {asked!r}",
            f"path {str(folder)!r}: a folder of pictures; labels there are {there}",
            f"write --labels {LABEL}, with a subfolder for each class",
        )
    return np.array(names)
