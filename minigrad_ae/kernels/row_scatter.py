"""Rows added into places, the backward pass of picking rows by number: a row that was picked k
times receives k rows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minigrad_ae.arguments import numbers, sizes
from minigrad_ae.errors import DtypeError, ShapeError
from minigrad_ae.kernels.backend import check_floats, compiled_form_of
from minigrad_ae.kernels.calls import call, contiguous, room
from minigrad_ae.kernels.jit import ELEMENTWISE, jit

Array = np.ndarray


@jit(ELEMENTWISE)
def _add_rows(x: Any, rows: Any, out: Any) -> None:
    for i in range(rows.size):
        row, to = x[i], out[rows[i]]
        for j in range(row.size):
            to[j] += row[j]


def _add_rows_definition(x: Array, rows: Array, shape: tuple[int, ...]) -> Array:
    out = np.zeros(shape, x.dtype)
    np.add.at(out, rows, x.reshape(*rows.shape, *shape[1:]))
    return out


@compiled_form_of(_add_rows_definition)
def add_rows(x: Array, rows: Array, shape: tuple[int, ...]) -> Array:
    """Add rows into places: ``out = zeros(shape); out[rows] += x``, with repeated rows added up.

    Parameters
    ----------
    x : ndarray, ``(*rows.shape, *shape[1:])``, float32 or float64
        The rows that are added; ``rows.size`` times ``shape[1:]`` numbers.
    rows : ndarray of int, any shape
        Where each goes, from -shape[0] to shape[0] - 1; a negative number counts from the back.
    shape : tuple of int
        The shape of the result.

    Returns
    -------
    ndarray, shape `shape`, dtype of x
        A row that was named k times is the sum of k rows, a row that was not named is 0.

    Raises
    ------
    DtypeError
        Where `x` is not a float32 or float64 array.
    ShapeError
        Where the sizes do not fit, or there is no such row.

    Examples
    --------
    >>> mg.kernels.add_rows(np.array([[1.0], [2.0], [5.0]]), np.array([0, 2, 0]), (3, 1)).tolist()
    [[6.0], [0.0], [2.0]]
    """
    check_floats("add_rows", x=x)
    rows, shape = numbers(rows, "add_rows: rows"), sizes(shape, "add_rows: shape", "(n, D)", low=0)
    if rows.dtype.kind not in "iu" or not shape:
        raise DtypeError(
            "add_rows: rows are whole numbers, and shape says how many there are",
            f"rows of dtype {rows.dtype}, shape {shape}",
            "pass an array of int, and (n, D)",
        )
    width = math.prod(shape[1:])
    if x.size != rows.size * width:
        raise ShapeError(
            "add_rows: sizes differ",
            f"x {x.shape}, rows {rows.shape}, shape {shape}",
            "pass one row for each",
        )
    flat = _counted_from_the_front(rows, shape[0])
    if flat.size and not 0 <= flat.min() <= flat.max() < shape[0]:
        raise ShapeError(
            "add_rows: no such row",
            f"{flat.min()} to {flat.max()} of {shape[0]}",
            "pass numbers below shape[0]",
        )
    out = np.empty(shape, x.dtype)
    fill(x, rows, out)
    return out


def fill(x: Array, rows: Array, out: Array) -> None:
    """`add_rows` into ``out``, unchecked."""
    flat, width = room((rows.size,), np.int64), math.prod(out.shape[1:])
    call(out.fill, 0)
    call(_count_from_the_front, rows, len(out), flat)
    call(_add_rows, contiguous(x).reshape(flat.size, width), flat, out.reshape(-1, width))


def _counted_from_the_front(rows: Array, n: int) -> Array:
    """Row numbers from 0 on; a negative one counts from the back."""
    flat = np.empty(rows.size, np.int64)
    _count_from_the_front(rows, n, flat)
    return flat


def _count_from_the_front(rows: Array, n: int, flat: Array) -> None:
    flat[:] = rows.reshape(-1)
    flat[flat < 0] += n
