"""The innermost parts of the matrix product in LLVM's language against their definitions in Python,
and how wide the vectors of all kernels are.
"""

import os
import platform
import subprocess
import sys

import numpy as np
import pytest

from minigrad_ae.kernels import layout, micro, row_vectors, width
from minigrad_ae.kernels.jit import ELEMENTWISE, jit
from minigrad_ae.kernels.vectors import BYTES


@jit(ELEMENTWISE)
def tile(a, a_row, a_k, b, bias, c, depth, columns, begins, rows):
    to = bias, 1, c, 3, c.shape[1], depth, columns, begins, rows
    micro.tile(a, 1, a_row, a_k, b, 2, b.shape[1], *to)


@jit(ELEMENTWISE)
def turn(of, rows, to):
    layout.turn(of, 1, of.shape[1], rows, to, 2, to.shape[1])


@jit(ELEMENTWISE)
def copy(of, columns, to, size):
    layout.copy(of, 1, of.shape[1], columns, to, 2, to.shape[1], size)


@jit(ELEMENTWISE)
def dots(a, b, c, steps, depth, fresh, rows, columns):
    to = c, 3, steps[0], steps[1]
    micro.dots(a, 1, a.shape[1], b, 2, b.shape[1], *to, depth, fresh, rows, columns)


@jit(ELEMENTWISE)
def shift(x, rows, columns, to):
    row_vectors.shift(x, 1, rows, columns, to, 2)


@jit(ELEMENTWISE)
def normalise(x, rows, columns, to):
    row_vectors.normalise(x, 1, rows, columns, to, 2)


def whole_numbers(rng, shape, dtype):
    """Products and sums of so small whole numbers are exact, in whatever order."""
    return rng.integers(-9, 10, shape).astype(dtype)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("rows", range(1, micro.ROWS + 1))
def test_a_tile_of_every_height_and_width_is_its_definition_and_writes_nothing_else(
    rows, across, dtype
):
    rng, lanes = np.random.default_rng(rows), BYTES // np.dtype(dtype).itemsize
    depth = 4 + rows % micro.UNROLLED  # none to three steps beside those written out
    a = whole_numbers(rng, (depth + 1, rows) if across else (rows + 1, depth), dtype)
    b = whole_numbers(rng, (depth + 1, 2 * lanes + 1), dtype)
    bias = whole_numbers(rng, 2 * lanes + 1, dtype)
    steps = (1, rows) if across else (depth, 1)
    for columns in range(1, 2 * lanes + 1):
        for begins in (micro.ADDED, micro.FRESH, micro.BIASED):
            compiled = whole_numbers(rng, (rows + 1, 2 * lanes + 3), dtype)
            defined = compiled.copy()
            tile(a, *steps, b, bias, compiled, depth, columns, begins, rows)
            to = bias, 1, defined, 3, defined.shape[1], depth, columns, begins, rows
            micro.tile(a, 1, *steps, b, 2, b.shape[1], *to)
            np.testing.assert_array_equal(compiled, defined)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("depth", [1, 7, 8, 16, 17, 50])
def test_dots_are_their_definition_and_write_nothing_else(depth, dtype):
    rng, most = np.random.default_rng(depth), micro.SQUARE
    a, b = (whole_numbers(rng, (most + 3, depth), dtype) for _ in range(2))
    for rows in range(1, most + 1):
        for columns in range(1, most + 1):
            for steps in ((most + 2, 1), (1, most + 2)):
                for fresh in (False, True):
                    compiled = whole_numbers(rng, (most + 3, most + 2), dtype)
                    defined = compiled.copy()
                    dots(a, b, compiled, steps, depth, fresh, rows, columns)
                    micro.dots(
                        a, 1, depth, b, 2, depth, defined, 3, *steps, depth, fresh, rows, columns
                    )
                    np.testing.assert_array_equal(compiled, defined)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_turned_and_copied_numbers_are_where_the_definitions_put_them(dtype):
    rng, lanes = np.random.default_rng(0), BYTES // np.dtype(dtype).itemsize
    of = rng.standard_normal((lanes + 1, 2 * lanes + 1)).astype(dtype)
    for rows in range(1, lanes + 1):
        compiled = np.zeros((lanes + 1, lanes + 5), dtype)
        defined = compiled.copy()
        turn(of, rows, compiled)
        layout.turn(of, 1, of.shape[1], rows, defined, 2, defined.shape[1])
        np.testing.assert_array_equal(compiled, defined)
        assert np.array_equal(
            compiled.reshape(-1)[2 : 2 + rows], of.reshape(-1)[1 :: of.shape[1]][:rows]
        )
    for columns in range(1, 2 * lanes + 1):
        compiled = np.full((lanes + 1, 2 * lanes + 1), 7, dtype)
        defined = compiled.copy()
        copy(of, columns, compiled, lanes)
        layout.copy(of, 1, of.shape[1], columns, defined, 2, defined.shape[1], lanes)
        np.testing.assert_array_equal(compiled, defined)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("columns", [1, 5, 8, 16, 17, 33, 49])
def test_rows_are_shifted_and_normalised_as_defined_and_nothing_else_is_written(columns, dtype):
    rng, rows = np.random.default_rng(columns), 6
    x = whole_numbers(rng, (rows + 1) * columns + 1, dtype)
    x[1 + columns : 1 + 2 * columns] = -np.inf
    x[1 + 2 * columns], x[1 + 3 * columns] = np.inf, np.nan
    positive = np.abs(whole_numbers(rng, (rows + 1) * columns + 1, dtype))
    positive[1 : 1 + columns] = 0
    for row_kernel, given in ((shift, x), (normalise, positive)):
        compiled = np.full((rows + 1) * columns + 2, 7, dtype)
        defined = compiled.copy()
        row_kernel(given, rows, columns, compiled)
        with np.errstate(invalid="ignore"):
            getattr(row_vectors, row_kernel.__name__)(given, 1, rows, columns, defined, 2)
        # the sums are exact: one division and one product are not rounded otherwise
        np.testing.assert_array_equal(compiled, defined)
        assert compiled[:2].tolist() == [7, 7] and np.all(compiled[2 + rows * columns :] == 7)


# --- how wide -------------------------------------------------------------------------------------

COUNT = """
import re, sys
import numba
from minigrad_ae.kernels import gemm, loops
from minigrad_ae.kernels.width import AVX512

def registers(kernel, signature):
    kernel.compile(signature)
    (code,) = kernel.inspect_asm().values()
    return [len(re.findall(rf"vfn?m(?:add|sub)\\w+p[sd].*{r}mm", code)) for r in "zy"]

matrix, row = numba.float32[:, ::1], numba.float32[::1]
count, flag = numba.int64, numba.boolean
print(*registers(gemm.gemm, numba.void(matrix, flag, matrix, flag, row, matrix, *[count] * 5)))
print(*registers(loops.tanh, numba.void(row, row)))

@numba.njit(fastmath=True)
def of_a_user(x, y, z):
    for i in range(x.size):
        z[i] += x[i] * y[i]

print(*registers(of_a_user, numba.void(row, row, row)))
"""


def printed(program, bits, folder):
    """The lines that a program prints whose kernels are compiled for a processor for which LLVM
    prefers vectors of 32 bytes.
    """
    env = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA", "MINIGRAD_AE"))}
    env |= {
        "NUMBA_CPU_NAME": "emeraldrapids",
        "NUMBA_CPU_FEATURES": "",
        "NUMBA_CACHE_DIR": str(folder),
    }
    env |= {"MINIGRAD_AE_VECTORS": bits} if bits else {}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def multiply_adds(bits, folder):
    """Multiply-adds in 64-byte and in 32-byte registers: in the product, in tanh, and in a function
    of a user's.
    """
    return [tuple(map(int, line.split())) for line in printed(COUNT, bits, folder)]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86 code is counted")
def test_kernels_are_compiled_at_the_width_asked_for_and_a_users_functions_are_left_alone(tmp_path):
    product, tanh, users = multiply_adds("512", tmp_path)
    # tiles of 1 to 12 rows, of one and of two vectors, of either layout of A
    assert product[0] >= 2 * 3 * sum(range(1, 13))
    assert product[1] == 0
    assert tanh[0] > 0
    assert tanh[1] == 0
    assert users[0] == 0
    assert users[1] > 0
    product, tanh, users = multiply_adds("256", tmp_path)
    assert (product[0], tanh[0], users[0]) == (0, 0, 0)
    assert min(product[1], tanh[1], users[1]) > 0
    # beside each other in one folder: neither replaces the other
    kept = {".512." in path.name for path in tmp_path.rglob("gemm.gemm-*.nbc")}
    assert kept == {False, True}


@pytest.fixture
def unknown(monkeypatch):
    """As on a machine with AVX-512 that has not been asked yet."""
    monkeypatch.setattr(width, "AVX512", True)
    monkeypatch.setattr(width, "GIVEN", "")
    monkeypatch.setattr(width, "_known", [])
    return monkeypatch


@pytest.mark.parametrize(("ratio", "expected"), [(1.9, True), (1.05, False)])
def test_what_was_measured_is_kept_for_the_next_process(unknown, tmp_path, ratio, expected):
    unknown.setattr(width, "measured", lambda: ratio)
    assert width.wide(tmp_path) is expected
    (path,) = tmp_path.iterdir()
    assert path.read_text(encoding="utf-8").startswith("512 bits" if expected else "256 bits")
    unknown.setattr(width, "_known", [])
    unknown.setattr(width, "measured", lambda: 1 / 0)
    assert width.wide(tmp_path) is expected


def test_a_damaged_answer_is_measured_anew(unknown, tmp_path):
    unknown.setattr(width, "measured", lambda: 1.9)
    width.wide(tmp_path)
    (path,) = tmp_path.iterdir()
    for damage in (b"", b"\xff\xfe", b"1024 bits"):
        path.write_bytes(damage)
        unknown.setattr(width, "_known", [])
        assert width.wide(tmp_path)
        assert path.read_text(encoding="utf-8").startswith("512 bits")


def test_where_nothing_can_be_written_each_process_measures(unknown, tmp_path):
    unknown.setattr(width, "measured", lambda: 1.9)
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    assert width.wide(tmp_path / "file")


@pytest.mark.skipif(not width.HERE or not width.AVX512, reason="takes a processor with AVX-512")
def test_both_widths_are_timed():
    # whole vectors do twice the work an instruction; they are never twice as slow
    assert 0.5 < width.measured() < 4


def test_another_width_is_refused():
    done = subprocess.run(
        [sys.executable, "-c", "import minigrad_ae as mg; mg.kernels.tanh"],
        env=os.environ | {"MINIGRAD_AE_VECTORS": "1024"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    for line in ("no vectors of '1024' bits", "MINIGRAD_AE_VECTORS=1024", "set it to 256 or 512"):
        assert line in done.stderr


LOOPS = """
import re
from types import SimpleNamespace as Numbers
import numba
from minigrad_ae.kernels import fused, gemm, layout, loops, norm, optim, rows

number, real, flag, size = numba.float32, numba.float64, numba.boolean, numba.int64
row, matrix = number[::1], number[:, ::1]
names = [n for n in vars(loops) if hasattr(vars(loops)[n], "py_func")]
kernels = {(loops, n): [row] * (3 if "backward" in n else 2) for n in names}
kernels |= {
    (fused, "_column_sums"): [matrix, row],
    (fused, "_unit_rows"): [matrix, matrix, row],
    (fused, "_unit_rows_backward"): [matrix, matrix, row, matrix],
    (fused, "_half_squares"): [row] * 3,
    (fused, "_bernoulli"): [row] * 3,
    (fused, "_gaussian_kl"): [row] * 3,
    (fused, "_l1_norm"): [row] * 2,
    (fused, "_reparameterise"): [row] * 5,
    (fused, "_times"): [row] * 3,
    (gemm, "rows_of_b"): [matrix, matrix, matrix, flag],
    (norm, "_layer_norm"): [matrix, row, row, real, matrix, matrix, row],
    (norm, "_layer_norm_backward"): [matrix, matrix, row, row, matrix, row, row],
    (optim, "_adam"): [row] * 4 + [real] * 7,
    (optim, "_square"): [row],
    (rows, "_softmax"): [matrix, matrix],
    (rows, "_softmax_backward"): [matrix] * 3,
    (rows, "_log_softmax"): [matrix, matrix],
    (rows, "_log_softmax_backward"): [matrix] * 3,
}
for (module, name), kinds in kernels.items():
    kernel = getattr(module, name)
    kernel.compile(tuple(kinds))
    (code,) = kernel.inspect_asm().values()
    of_many = re.findall(r"\\bv(?:add|mul|div|max|cmp|fn?m(?:add|sub))\\w*ps\\b.*zmm", code)
    print(name, len(of_many), code.count("$NRT_incref"))
layout.lay_out_b.compile((matrix, flag, *[size] * 4, row, size, size))
(code,) = layout.lay_out_b.inspect_asm().values()
print("lay_out_b", len(re.findall("zmm", code)), code.count("$NRT_incref"))
"""
ALLOCATE = {"_bernoulli", "_softmax", "_log_softmax"}


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86 code is counted")
def test_every_loop_is_one_over_whole_vectors(tmp_path):
    """What a change of Numba, of a flag or of one line can undo unseen: 4 to 16 times as slow.

    Nor are references to arrays counted where none is made: two atomic operations an argument are
    a third of the time of a product of 17 x 16 numbers.
    """
    counts = [line.split() for line in printed(LOOPS, "512", tmp_path)]
    assert len(counts) >= 35
    assert [name for name, many, _ in counts if int(many) == 0] == []
    assert {name for name, _, references in counts if int(references)} == ALLOCATE
