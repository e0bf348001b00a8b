"""Pictures cut into square patches, and put together again: each pixel has one place in one patch.

    picture (n, H, W, C)  <->  patches (n, L, p p C),  L = (H / p) (W / p), row by row

Channels come last, as in NumPy pictures; grey pictures have no channel axis.  A picture may also
come as a flat row.
"""

from __future__ import annotations

import math
from typing import Any

from ..arguments import numbers, plain, sizes, whole_number
from ..autodiff.graph import Value
from ..errors import DataError, ShapeError

FEW = (1, 2, 3, 4)  # numbers of channels that pictures have
Shape = tuple[int, ...]


def image_grid(image_shape: Any, patch: int) -> tuple[Shape, tuple[int, int]]:
    """((H, W, C), (rows, columns)): the checked size of a picture, and how many patches lie down
    and across.

    Raises ShapeError for an `image_shape` that is not (H, W) or (H, W, C), or has its channels
    first; DataError for a side that the patch does not divide; DtypeError for sizes that are not
    whole numbers.
    """
    fix = "e.g. (8, 8)"
    shape = sizes(image_shape, "image_shape, (height, width) or (height, width, channels),", fix)
    if len(shape) not in (2, 3):
        raise ShapeError(
            "image_shape must be (height, width) or (height, width, channels)",
            f"got {image_shape!r}",
            fix,
        )
    H, W, C = (*shape, 1)[:3]
    if C not in FEW and H in FEW:
        raise ShapeError(
            "the channels of a picture come last",
            f"image_shape {shape} seems to be (channels, height, width)",
            f"pass image_shape={(W, C, H)}, and the pictures as np.moveaxis(x, 1, -1)",
        )
    side = whole_number(patch, "patch, the side of a patch,")
    if H % side or W % side:
        sides = [p for p in range(1, min(H, W) + 1) if H % p == W % p == 0]
        raise DataError(
            f"a patch of {patch!r} does not divide the sides of the picture",
            f"height {H}, width {W}",
            f"choose patch from {', '.join(map(str, sides))}, or pad the pictures",
        )
    return (H, W, C), (H // side, W // side)


def patchify(x: Any, image_shape: Any, patch: int) -> Any:
    """Pictures cut into square patches; the exact inverse of `unpatchify`.

    Parameters
    ----------
    x : Tensor or array_like, (n, H W C), (n, H, W, C) or, where C = 1, (n, H, W)
        The pictures, channels last.
    image_shape : (H, W) or (H, W, C)
        Height and width in pixels, and the number of channels.
    patch : int
        p, the side of a patch in pixels, a divisor of H and W.

    Returns
    -------
    Tensor or ndarray, (n, L, p p C)
        L = (H / p) (W / p) patches of each picture, row by row; a tensor where x is one.

    Raises
    ------
    ShapeError
        For pictures of another size, which says so where their channels come first, and for an
        `image_shape` of another form.
    DataError
        Where the patch does not divide the sides.

    Examples
    --------
    >>> x = np.arange(16).reshape(1, 4, 4)
    >>> mg.nn.patchify(x, (4, 4), 2)[0].tolist()
    [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    """
    (H, W, C), (rows, columns) = image_grid(image_shape, patch)
    check_pictures(x, (H, W, C))
    x = x if isinstance(x, Value) else numbers(x, "x")
    tiles = x.reshape((-1, rows, patch, columns, patch, C))
    return tiles.transpose((0, 1, 3, 2, 4, 5)).reshape((-1, rows * columns, patch * patch * C))


def unpatchify(patches: Any, image_shape: Any, patch: int) -> Any:
    """Pictures put together from their patches; the exact inverse of `patchify`.

    Parameters
    ----------
    patches : Tensor or ndarray, (n, L, p p C)
        The patches, row by row.
    image_shape : (H, W) or (H, W, C)
        Height and width in pixels, and the number of channels.
    patch : int
        p, the side of a patch in pixels.

    Returns
    -------
    Tensor or ndarray, (n, H W C)
        The pictures as flat rows; a tensor where `patches` is one.

    Raises
    ------
    ShapeError
        For patches of another number or length, and an `image_shape` of another form.
    DataError
        Where the patch does not divide the sides.

    Examples
    --------
    >>> x = np.arange(32).reshape(2, 16)
    >>> bool(np.array_equal(mg.nn.unpatchify(mg.nn.patchify(x, (4, 4), 2), (4, 4), 2), x))
    True
    """
    (H, W, C), (rows, columns) = image_grid(image_shape, patch)
    patches = patches if isinstance(patches, Value) else numbers(patches, "patches")
    found = patches.shape
    if len(found) != 3 or found[1:] != (rows * columns, patch * patch * C):
        raise ShapeError(
            "these are not the patches of such a picture",
            f"got {found}, expected (n, {rows * columns}, {patch * patch * C})",
            f"pictures are {(H, W, C)}, patches {patch} x {patch}",
        )
    tiles = patches.reshape((-1, rows, columns, patch, patch, C))
    return tiles.transpose((0, 1, 3, 2, 4, 5)).reshape((-1, H * W * C))


def check_pictures(x: Any, image_shape: Shape) -> None:
    """Raise ShapeError unless x is (n, H W C), (n, H, W, C) or, where C = 1, (n, H, W)."""
    H, W, C = image_shape
    found = x._data.shape if isinstance(x, Value) else plain(x, "x").shape
    fitting = [(H * W * C,), (H, W, C), *([(H, W)] if C == 1 else [])]
    if found[1:] not in fitting:
        first = found[1:] == (C, H, W)
        raise ShapeError(
            "the channels of a picture come last"
            if first
            else "the pictures have another size than the network's",
            f"got shape {found}, expected (n, {math.prod(image_shape)}) or (n, {H}, {W}, {C})",
            "pass np.moveaxis(x, 1, -1)"
            if first
            else "one picture x goes in as x[None]; others need a network of their size",
        )
