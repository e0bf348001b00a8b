"""Rows as vectors, the last of which need not be full: what softmax does beside the exponentials.

LLVM turns a loop over a row into vectors by itself, but the 17 or 49 numbers of a row of attention
are fewer than it takes at a time, or leave many over, which it does one by one.  Each function is a
definition in Python, and above it the same in LLVM's language (vectors.py).  Arrays lie in C order;
of each the number of the element to begin with follows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minigrad_ae.kernels.vectors import I64, Writer, called, ir, runs


def write_rows(
    module: Any,
    name: str,
    number: Any,
    first: float,
    meet: Callable[[Writer, Any, Any], Any],
    finish: Callable[[Writer, Any, Any], Any],
    result: Callable[[Writer, Any, Any], Any],
) -> Any:
    """``name(x, rows, columns, to)``: of each row of x the numbers ``meet`` in one, which
    ``finish`` may change; ``result`` of each number and of that one goes to the row of ``to``.
    """
    w = Writer(module, name, number, "piip")
    code, n = w.code, I64(w.lanes)
    x, rows, columns, to = w.function.args
    turns = code.sdiv(code.add(columns, code.sub(n, I64(1))), n)
    start = ir.Constant(w.vector, [ir.Constant(number, first)] * w.lanes)
    row, place = w.begin_loop(rows, [x, to])
    at, left, sums = w.begin_loop(turns, [row, columns, start])
    mask = w.lanes_below(left)
    met = meet(w, code.select(mask, w.load(at, I64(0), mask), start), sums)
    _, _, met = w.end_loop([code.gep(at, [n]), code.sub(left, n), met])
    one = w.repeat(finish(w, w.across_lanes(met, lambda a, b: meet(w, a, b)), number))
    at, left, target = w.begin_loop(turns, [row, columns, place])
    mask = w.lanes_below(left)
    w.store(result(w, w.load(at, I64(0), mask), one), target, I64(0), mask)
    w.end_loop([code.gep(at, [n]), code.sub(left, n), code.gep(target, [n])])
    w.end_loop([code.gep(row, [columns]), code.gep(place, [columns])])
    code.ret_void()
    return w.function


def write_shift(module: Any, name: str, number: Any) -> Any:
    """`shift`: the largest of each lane first, then of all lanes."""
    infinity = float("inf")

    def larger(w: Writer, a: Any, b: Any) -> Any:
        return w.code.select(w.code.fcmp_ordered(">", a, b), a, b)

    def if_finite(w: Writer, top: Any, number: Any) -> Any:
        size = called(w.code, f"llvm.fabs.f{8 * w.bytes}", number, top)
        finite = w.code.fcmp_ordered("<", size, ir.Constant(number, infinity))
        return w.code.select(finite, top, ir.Constant(number, 0.0))

    def less(w: Writer, x: Any, top: Any) -> Any:
        return w.code.fsub(x, top)

    return write_rows(module, name, number, -infinity, larger, if_finite, less)


@runs(write_shift)
def shift(x: Any, x_at: int, rows: int, columns: int, to: Any, to_at: int) -> None:
    """Rows minus their largest number, where it is finite; NaN is passed over in finding it."""
    part = x.reshape(-1)[x_at:][: rows * columns].reshape(rows, columns)
    top = np.fmax.reduce(part, 1)
    top[~np.isfinite(top)] = 0
    to.reshape(-1)[to_at:][: rows * columns] = (part - top[:, None]).reshape(-1)


def write_normalise(module: Any, name: str, number: Any) -> Any:
    """`normalise`: a sum in each lane first."""

    def sum_of(w: Writer, a: Any, b: Any) -> Any:
        return w.code.fadd(a, b)

    def inverse(w: Writer, total: Any, number: Any) -> Any:
        nought, one = ir.Constant(number, 0.0), ir.Constant(number, 1.0)
        empty = w.code.fcmp_ordered("==", total, nought)
        return w.code.select(empty, nought, w.code.fdiv(one, total))

    def times(w: Writer, x: Any, scale: Any) -> Any:
        return w.code.fmul(x, scale)

    return write_rows(module, name, number, 0.0, sum_of, inverse, times)


@runs(write_normalise)
def normalise(x: Any, x_at: int, rows: int, columns: int, to: Any, to_at: int) -> None:
    """Rows of numbers that are not negative, each divided by its sum; 0 where that is 0."""
    part = x.reshape(-1)[x_at:][: rows * columns].reshape(rows, columns)
    total = part.sum(1)
    scale = np.divide(1, total, out=np.zeros_like(total), where=total != 0)
    to.reshape(-1)[to_at:][: rows * columns] = (part * scale[:, None]).reshape(-1)
