"""The innermost part of a matrix product: a tile of C that stays in registers while k runs; and
how numbers are laid out for it.

Each function is a definition in Python, and above it the same in LLVM's language (vectors.py): what
tile.py does, and what cannot be said there, any height and a last vector of any length.  With 32
registers (AVX-512) a tile has up to 12 rows of two vectors, 24 sums; with 16 (AVX2) 6 rows, 12
sums.  Each step of k reads two vectors of B and one number of A a row: at 24 multiply-adds to 14
loads, two of either a cycle, the multipliers are what is waited for.

Arrays lie in C order; of each the number of the element to begin with follows it.
"""

from __future__ import annotations

from typing import Any

from minigrad_ae.kernels.vectors import I64, Writer, ir, lanes, lanes_of, runs
from minigrad_ae.kernels.width import AVX512

ROWS = 12 if AVX512 else 6  # the height of a tile


def write_tile(module: Any, name: str, number: Any, rows: int, vectors: int, across: bool) -> Any:
    """`tile` for this height and width; ``across``: numbers of A for one k lie side by side."""
    w = Writer(module, name, number, "piipipiiii")
    code, n = w.code, w.lanes
    a, a_row, a_k, b, b_k, c, c_row, depth, columns, fresh = w.function.args
    last = code.sub(columns, I64((vectors - 1) * n))  # columns in the last vector
    wanted = w.lanes_below(last)
    before = w.lanes_below(code.select(code.icmp_signed("!=", fresh, I64(0)), I64(0), I64(n)))
    masks = [before] * (vectors - 1) + [code.and_(before, wanted)]
    places = [
        (code.add(code.mul(c_row, I64(r)), I64(v * n)), v)
        for r in range(rows)
        for v in range(vectors)
    ]
    steps = [I64(r) if across else code.mul(a_row, I64(r)) for r in range(rows)]
    firsts = [w.load(c, place, masks[v]) for place, v in places]

    at_a, at_b, *sums = w.begin_loop([a, b, *firsts])
    row_of_b = [w.load(at_b, I64(v * n)) for v in range(vectors)]
    numbers = [w.repeat(code.load(code.gep(at_a, [step]))) for step in steps]
    products = [code.fmul(x, y, flags=["contract"]) for x in numbers for y in row_of_b]
    sums = [code.fadd(s, p, flags=["contract"]) for s, p in zip(sums, products, strict=True)]
    next_a = code.gep(at_a, [a_k if across else I64(1)])
    w.end_loop(depth, [next_a, code.gep(at_b, [b_k]), *sums])

    # a store with a mask is slow on some processors
    whole, ragged = w.new_block(), w.new_block()
    code.cbranch(code.icmp_signed("==", last, I64(n)), whole, ragged)
    for block, mask in (whole, None), (ragged, wanted):
        code.position_at_end(block)
        for (place, v), total in zip(places, sums, strict=True):
            w.store(total, c, place, mask if v == vectors - 1 else None)
        code.ret_void()
    return w.function


def write_tiles(module: Any, name: str, number: Any) -> Any:
    """The tiles of every height and width, and a function that jumps to the one for a case."""
    cases = [(across, v, r) for across in (0, 1) for v in (1, 2) for r in range(1, ROWS + 1)]
    tiles = [
        write_tile(module, f"{name}_{r}_{v}_{across}", number, r, v, bool(across))
        for across, v, r in cases
    ]
    kinds = [*tiles[0].function_type.args, I64]
    choice = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
    choice.linkage = "internal"
    code, none = ir.IRBuilder(choice.append_basic_block()), choice.append_basic_block()
    *args, rows = choice.args
    across = code.zext(code.icmp_signed("==", args[1], I64(1)), I64)
    second = code.zext(code.icmp_signed(">", args[8], I64(lanes_of(number))), I64)
    case = code.add(code.mul(code.add(code.mul(across, I64(2)), second), I64(ROWS)), rows)
    switch = code.switch(case, none)
    for n, tile in enumerate(tiles):
        switch.add_case(I64(n + 1), choice.append_basic_block())
        code.position_at_end(choice.blocks[-1])
        code.call(tile, args)
        code.ret_void()
    code.position_at_end(none)
    code.ret_void()
    return choice


@runs(write_tiles)
def tile(
    a: Any,
    a_at: int,
    a_row: int,
    a_k: int,
    b: Any,
    b_at: int,
    b_k: int,
    c: Any,
    c_at: int,
    c_row: int,
    depth: int,
    columns: int,
    fresh: bool,
    rows: int,
) -> None:
    """``c += A B``, or ``=`` where c is `fresh`: up to ROWS rows and two vectors of columns.

    An element (i, k) of A is ``a.flat[a_at + i a_row + k a_k]``, with a_row or a_k 1; (k, j) of B
    is ``b.flat[b_at + k b_k + j]``, and whole vectors of it are read; (i, j) of C is ``c.flat[c_at
    + i c_row + j]``.
    """
    a, b, c = a.reshape(-1)[a_at:], b.reshape(-1)[b_at:], c.reshape(-1)[c_at:]
    for i in range(rows):
        to = c[i * c_row :][:columns]
        if fresh:
            to[:] = 0
        for k in range(depth):
            to += a[i * a_row + k * a_k] * b[k * b_k :][:columns]


def write_turn(module: Any, name: str, number: Any) -> Any:
    """`turn`: squares change places along the diagonal, of one number first, then of 2 x 2, ..."""
    w = Writer(module, name, number, "piipi")
    code, all_lanes = w.code, range(w.lanes)
    of, of_row, rows, to, to_row = w.function.args
    end = code.sub(rows, I64(1))
    places = [code.select(code.icmp_signed("<", I64(r), end), I64(r), end) for r in all_lanes]
    lines = [w.load(of, code.mul(of_row, place)) for place in places]
    for size in (2**n for n in range(w.lanes.bit_length() - 1)):
        for r in (r for r in all_lanes if not r & size):
            upper, lower = lines[r], lines[r + size]
            from_upper = [w.lanes + j - size if j & size else j for j in all_lanes]
            from_lower = [w.lanes + j if j & size else j + size for j in all_lanes]
            lines[r] = w.shuffle(upper, lower, from_upper)
            lines[r + size] = w.shuffle(upper, lower, from_lower)
    for r, line in enumerate(lines):
        w.store(line, to, code.mul(to_row, I64(r)))
    code.ret_void()
    return w.function


@runs(write_turn)
def turn(of: Any, of_at: int, of_row: int, rows: int, to: Any, to_at: int, to_row: int) -> None:
    """``to.flat[to_at + k to_row + i] = of.flat[of_at + i of_row + k]``: as many k as a vector has
    lanes, and as many i; beyond ``rows`` the last row is read again.
    """
    of, to, n = of.reshape(-1)[of_at:], to.reshape(-1)[to_at:], lanes(of)
    for k in range(n):
        for i in range(n):
            to[k * to_row + i] = of[min(i, rows - 1) * of_row + k]


def write_copy(module: Any, name: str, number: Any) -> Any:
    """`copy`, a row a turn."""
    w = Writer(module, name, number, "piipii")
    code, n = w.code, w.lanes
    of, of_row, columns, to, to_row, size = w.function.args
    masks = [w.lanes_below(columns), w.lanes_below(code.sub(columns, I64(n)))]
    at, target = w.begin_loop([of, to])
    for v, mask in enumerate(masks):
        w.store(w.load(at, I64(v * n), mask), target, I64(v * n))
    w.end_loop(size, [code.gep(at, [of_row]), code.gep(target, [to_row])])
    code.ret_void()
    return w.function


@runs(write_copy)
def copy(
    of: Any, of_at: int, of_row: int, columns: int, to: Any, to_at: int, to_row: int, size: int
) -> None:
    """``to.flat[to_at + k to_row + j] = of.flat[of_at + k of_row + j]`` for k < size and j <
    columns; zeros beyond, up to two vectors.
    """
    of, to, n = of.reshape(-1)[of_at:], to.reshape(-1)[to_at:], lanes(of)
    for k in range(size):
        row = to[k * to_row :][: 2 * n]
        row[:] = 0
        row[:columns] = of[k * of_row :][:columns]
