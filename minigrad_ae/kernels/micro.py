"""The innermost part of a matrix product: a tile of C that stays in registers while k runs.

Each function is a definition in Python, and above it the same in LLVM's language (vectors.py): what
tile.py does, and what cannot be said there, any height and a last vector of any length.  With 32
registers (AVX-512) a tile has up to 12 rows of two vectors, 24 sums; with 16 (AVX2) 6 rows, 12
sums.  Each step of k reads two vectors of B and one number of A a row: at 24 multiply-adds to 14
loads, two of either a cycle, the multipliers are what is waited for.  Four steps are written out in
a turn of the loop: with addresses for 12 rows to be computed at each, loads would be.

Arrays lie in C order; of each the number of the element to begin with follows it.
"""

from __future__ import annotations

from typing import Any

from minigrad_ae.kernels.vectors import I64, Writer, lanes_of, one_of, runs
from minigrad_ae.kernels.width import AVX512

ROWS = 12 if AVX512 else 6  # the height of a tile
UNROLLED = 4  # steps of k in a turn of its loop: their addresses are a number apart
ADDED, FRESH, BIASED = 0, 1, 2  # how a tile begins: as C is, at 0, or as a row that is given


def write_tile(module: Any, name: str, number: Any, rows: int, vectors: int, across: bool) -> Any:
    """`tile` for this height and width; ``across``: numbers of A for one k lie side by side."""
    w = Writer(module, name, number, "piipippiiii")
    code, n = w.code, w.lanes
    a, a_row, a_k, b, b_k, bias, c, c_row, depth, columns, begins = w.function.args
    biased = code.icmp_signed("==", begins, I64(BIASED))
    start, start_row = code.select(biased, bias, c), code.select(biased, I64(0), c_row)
    nothing = code.icmp_signed("==", begins, I64(FRESH))
    last = code.sub(columns, I64((vectors - 1) * n))  # columns in the last vector
    wanted = w.lanes_below(last)
    before = w.lanes_below(code.select(nothing, I64(0), I64(n)))
    masks = [before] * (vectors - 1) + [code.and_(before, wanted)]
    each = [(r, v) for r in range(rows) for v in range(vectors)]
    firsts = [w.load(start, w.index(start_row, r, v * n), masks[v]) for r, v in each]
    steps = [I64(r) if across else code.mul(a_row, I64(r)) for r in range(rows)]

    values, some = [a, b, *firsts], I64(UNROLLED)
    for turns, times in (code.sdiv(depth, some), UNROLLED), (code.srem(depth, some), 1):
        at_a, at_b, *sums = w.begin_loop(turns, values)
        for _ in range(times):
            row_of_b = [w.load(at_b, I64(v * n)) for v in range(vectors)]
            numbers = [w.repeat(code.load(code.gep(at_a, [step]))) for step in steps]
            sums = w.multiply_add([x for x in numbers for _ in row_of_b], row_of_b * rows, sums)
            at_a = code.gep(at_a, [a_k if across else I64(1)])
            at_b = code.gep(at_b, [b_k])
        values = w.end_loop([at_a, at_b, *sums])
    sums = values[2:]

    # a store with a mask is slow on some processors
    whole, ragged = w.new_block(), w.new_block()
    code.cbranch(code.icmp_signed("==", last, I64(n)), whole, ragged)
    for block, mask in (whole, None), (ragged, wanted):
        code.position_at_end(block)
        for (r, v), total in zip(each, sums, strict=True):
            w.store(total, c, w.index(c_row, r, v * n), mask if v == vectors - 1 else None)
        code.ret_void()
    return w.function


def write_tiles(module: Any, name: str, number: Any) -> Any:
    """The tiles of every height and width, and a function that jumps to the one for a case."""
    cases = [(across, v, r) for across in (0, 1) for v in (1, 2) for r in range(1, ROWS + 1)]
    tiles = [
        write_tile(module, f"{name}_{r}_{v}_{across}", number, r, v, bool(across))
        for across, v, r in cases
    ]

    def case(code: Any, args: list[Any], rows: Any) -> Any:
        across = code.zext(code.icmp_signed("==", args[1], I64(1)), I64)
        second = code.zext(code.icmp_signed(">", args[-2], I64(lanes_of(number))), I64)
        before = code.mul(code.add(code.mul(across, I64(2)), second), I64(ROWS))
        return code.add(before, code.sub(rows, I64(1)))

    return one_of(tiles, name, 1, case)


@runs(write_tiles)
def tile(
    a: Any,
    a_at: int,
    a_row: int,
    a_k: int,
    b: Any,
    b_at: int,
    b_k: int,
    bias: Any,
    bias_at: int,
    c: Any,
    c_at: int,
    c_row: int,
    depth: int,
    columns: int,
    begins: int,
    rows: int,
) -> None:
    """``c += A B``, ``A B`` or ``bias + A B``, as it begins (ADDED, FRESH, BIASED): up to ROWS rows
    and two vectors of columns.

    An element (i, k) of A is ``a.flat[a_at + i a_row + k a_k]``, with a_row or a_k 1; (k, j) of B
    is ``b.flat[b_at + k b_k + j]``, and whole vectors of it are read; (i, j) of C is ``c.flat[c_at
    + i c_row + j]``, and what is added to each row ``bias.flat[bias_at + j]``.
    """
    a, b, c = a.reshape(-1)[a_at:], b.reshape(-1)[b_at:], c.reshape(-1)[c_at:]
    for i in range(rows):
        to = c[i * c_row :][:columns]
        if begins == FRESH:
            to[:] = 0
        elif begins == BIASED:
            to[:] = bias.reshape(-1)[bias_at:][:columns]
        for k in range(depth):
            to += a[i * a_row + k * a_k] * b[k * b_k :][:columns]


SQUARE = 4  # rows and columns of C for which `dots` has sums at the same time


def write_square(module: Any, name: str, number: Any, rows: int, columns: int) -> Any:
    """`dots` for so many rows and columns: a vector of partial sums for each element of C."""
    w = Writer(module, name, number, "pipipiiii")
    code, n = w.code, w.lanes
    a, a_row, b, b_row, c, c_row, c_column, depth, fresh = w.function.args
    steps_a = [code.mul(a_row, I64(r)) for r in range(rows)]
    steps_b = [code.mul(b_row, I64(j)) for j in range(columns)]
    turns = code.sdiv(code.add(depth, I64(n - 1)), I64(n))
    firsts = [a, b, depth, *[w.zeros] * (rows * columns)]
    at_a, at_b, left, *sums = w.begin_loop(turns, firsts)
    mask = w.lanes_below(left)  # the last vector need not be full
    xs = [w.load(at_a, step, mask) for step in steps_a]
    ys = [w.load(at_b, step, mask) for step in steps_b]
    sums = w.multiply_add([x for x in xs for _ in ys], ys * rows, sums)
    following = [code.gep(at_a, [I64(n)]), code.gep(at_b, [I64(n)]), code.sub(left, I64(n))]
    _, _, _, *sums = w.end_loop([*following, *sums])
    for r in range(rows):
        for j in range(columns):
            total = w.sum_of_lanes(sums[r * columns + j])
            index = code.add(code.mul(c_row, I64(r)), code.mul(c_column, I64(j)))
            place = code.gep(c, [index])
            more = code.fadd(code.load(place), total)
            code.store(code.select(code.icmp_signed("!=", fresh, I64(0)), total, more), place)
    code.ret_void()
    return w.function


def write_squares(module: Any, name: str, number: Any) -> Any:
    """The same for every number of rows and columns."""
    cases = [(r, j) for r in range(1, SQUARE + 1) for j in range(1, SQUARE + 1)]
    squares = [write_square(module, f"{name}_{r}_{j}", number, r, j) for r, j in cases]

    def case(code: Any, args: list[Any], rows: Any, columns: Any) -> Any:
        before = code.mul(code.sub(rows, I64(1)), I64(SQUARE))
        return code.add(before, code.sub(columns, I64(1)))

    return one_of(squares, name, 2, case)


@runs(write_squares)
def dots(
    a: Any,
    a_at: int,
    a_row: int,
    b: Any,
    b_at: int,
    b_row: int,
    c: Any,
    c_at: int,
    c_row: int,
    c_column: int,
    depth: int,
    fresh: bool,
    rows: int,
    columns: int,
) -> None:
    """``c.flat[c_at + i c_row + j c_column]`` = or += the sum over k of ``a.flat[a_at + i a_row +
    k]`` times ``b.flat[b_at + j b_row + k]``, for at most SQUARE rows and columns.

    The sum runs in vector lanes, which are added at the end.
    """
    a, b, c = a.reshape(-1)[a_at:], b.reshape(-1)[b_at:], c.reshape(-1)[c_at:]
    for i in range(rows):
        for j in range(columns):
            total = (a[i * a_row :][:depth] * b[j * b_row :][:depth]).sum()
            c[i * c_row + j * c_column] = total if fresh else c[i * c_row + j * c_column] + total
