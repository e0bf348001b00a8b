"""Parts of A and B, laid out in the order in which the tile of the matrix product reads them.

`turn` and `copy` are definitions in Python, and above each the same in LLVM's language
(vectors.py).  Arrays lie in C order; of each the number of the element to begin with follows it.
"""

from __future__ import annotations

from typing import Any

from minigrad_ae.kernels.jit import ELEMENTWISE, jit
from minigrad_ae.kernels.vectors import I64, Writer, lanes, runs


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
    at, target = w.begin_loop(size, [of, to])
    for v, mask in enumerate(masks):
        w.store(w.load(at, I64(v * n), mask), target, I64(v * n))
    w.end_loop([code.gep(at, [of_row]), code.gep(target, [to_row])])
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


@jit(ELEMENTWISE)
def transpose(
    of: Any, i: int, k: int, rows: int, size: int, to: Any, at: int, step: int, n: int
) -> None:
    """``to[at + l step + r] = of[i + r, k + l]`` for l < size and r < rows, and anything for r < n;
    n numbers make a vector.
    """
    if size < n:
        for l in range(size):
            to[at + l * step : at + l * step + n] = 0
            for r in range(rows):
                to[at + l * step + r] = of[i + r, k + l]
    else:
        along = of.shape[1]
        # the last square is moved back until it fits
        for start in range(0, size, n):
            l = min(start, size - n)
            turn(of, i * along + k + l, along, rows, to, at + l * step, step)


@jit(ELEMENTWISE)
def lay_out_b(
    b: Any, turned: bool, k: int, size: int, j: int, columns: int, panels: Any, at: int, n: int
) -> None:
    """``B[k : k + size, j : j + columns]`` in rows of 2 n numbers, from panels[at] on; ``b`` holds
    B, or its transpose (turned).

    What a row has beyond is zeros, or columns once more.  They meet elements of C that are thrown
    away; but they are multiplied, and what happens to lie in memory may be numbers below 1e-38,
    which take a processor 100 times as long.
    """
    if turned:
        for v in range(0, columns, n):
            transpose(b, j + v, k, min(n, columns - v), size, panels, at + v, 2 * n, n)
    else:
        copy(b, k * b.shape[1] + j, b.shape[1], columns, panels, at, 2 * n, size)


@jit(ELEMENTWISE)
def lay_out_a(
    a: Any, turned: bool, k: int, size: int, i: int, rows: int, height: int, strips: Any, n: int
) -> None:
    """``A[i : i + rows, k : k + size].T`` in strips of ``height`` columns, one tile's after the
    other; ``a`` holds A, or its transpose (turned).
    """
    for r in range(0, rows, height):
        few, at = min(height, rows - r), r * size
        if not turned:
            # the last vector first: what it writes too much the first one puts right
            for v in range((few - 1) // n * n, -1, -n):
                transpose(a, i + r + v, k, min(n, few - v), size, strips, at + v, height, n)
        else:
            for l in range(size):
                row, to = a[k + l, i + r :], strips[at + l * height :]
                for e in range(few):
                    to[e] = row[e]
