"""Sums along rows in NumPy's order, as machine code on a tape: see native.py.

`np.add.reduce` adds numbers that lie side by side in pairs, which keeps rounding errors small: a
row of more than 128 is two halves, each added by itself; in a shorter one, eight sums run over
every eighth number, and what is left over comes last.  The shape of a call is known when its code
is written, and so is the order of all additions.  Done in the same order they have the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minigrad_ae.kernels.elementwise import kind_of, meet
from minigrad_ae.kernels.handlers import I32, I64, begin, ir

Array = np.ndarray
WIDTH = 8  # sums that run side by side in NumPy's pairwise sum
BLOCK = 128  # numbers that are not halved any more
LONGEST = 1 << 12  # numbers in a row: the code has an addition for every eight


class RowSums:
    """``np.add.reduce`` over the last axes of x, which lies row by row, into out."""

    def __init__(self, x: Array, out: Array) -> None:
        self.arrays, self.rows = [x, out], out.size
        self.length, self.kind = x.size // out.size, x.dtype
        self.key = "row sums", self.rows, self.length, x.dtype.char

    def write(self, module: Any, name: str) -> None:
        """The handler: a loop over the rows, each of them unrolled."""
        number = kind_of(self.kind)
        code, slot = begin(module, name)
        x, out = (code.inttoptr(code.load(slot(k)), number.as_pointer()) for k in (0, 1))
        before, loop = code.block, code.append_basic_block()
        end = code.append_basic_block()
        code.branch(loop)
        code.position_at_end(loop)
        row = code.phi(I64)
        first = code.gep(x, [code.mul(row, I64(self.length))], inbounds=True)
        total = pairwise(code, first, 0, self.length)
        code.store(code.fadd(ir.Constant(number, 0.0), total), code.gep(out, [row], inbounds=True))
        after = code.add(row, I64(1))
        row.add_incoming(I64(0), before)
        row.add_incoming(after, loop)
        code.cbranch(code.icmp_signed("<", after, I64(self.rows)), loop, end)
        code.position_at_end(end)
        code.ret(I32(0))


def pairwise(code: Any, x: Any, start: int, length: int) -> Any:
    """The sum of so many numbers from x[start] on."""
    if length > BLOCK:
        half = length // 2 - length // 2 % WIDTH
        left = pairwise(code, x, start, half)
        return code.fadd(left, pairwise(code, x, start + half, length - half))
    end, whole = start + length, length - length % WIDTH
    if whole:
        total = eight_sums(code, x, start, whole)
    else:
        total = ir.Constant(x.type.pointee, -0.0)
    for k in range(start + whole, end):
        total = code.fadd(total, code.load(code.gep(x, [I64(k)], inbounds=True)))
    return total


def eight_sums(code: Any, x: Any, start: int, length: int) -> Any:
    """((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7)), r_k the sum of every eighth number from
    the k-th on.
    """
    number = x.type.pointee
    size = 4 if number == ir.FloatType() else 8
    eight = ir.VectorType(number, WIDTH).as_pointer()

    def eight_from(k: int) -> Any:
        return code.load(code.bitcast(code.gep(x, [I64(k)], inbounds=True), eight), align=size)

    sums = eight_from(start)
    for k in range(start + WIDTH, start + length, WIDTH):
        sums = code.fadd(sums, eight_from(k))
    for count in (4, 2, 1):
        even, odd = (
            code.shuffle_vector(
                sums,
                ir.Constant(sums.type, ir.Undefined),
                ir.Constant(ir.VectorType(I32, count), list(range(first, 2 * count, 2))),
            )
            for first in (0, 1)
        )
        sums = code.fadd(even, odd)
    return code.extract_element(sums, I32(0))


def along_rows(
    x: Array, axes: Any, dtype: Any, out: Array, keepdims: bool = False
) -> RowSums | None:
    """The call ``np.add.reduce(x, axes, dtype, out, keepdims)``; None where it is another sum."""
    axes = list(range(x.ndim)) if axes is None else sorted(np.atleast_1d(axes) % x.ndim)
    plain = x.flags.c_contiguous and out.flags.c_contiguous and x.dtype == out.dtype
    last = axes == list(range(x.ndim - len(axes), x.ndim))
    if not (plain and last and axes and x.size and x.dtype.char in "fd") or meet(x, out):
        return None
    return RowSums(x, out) if x.size <= LONGEST * out.size else None
