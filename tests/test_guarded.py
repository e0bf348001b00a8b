"""Kernels read and write their arrays, and not a byte before or behind: the pages around each array
are closed, so that the processor ends a process that touches one.
"""

import os
import subprocess
import sys

import pytest

SCRIPT = """
import ctypes, mmap
import numpy as np
from minigrad_ae import kernels

libc, page, kept = ctypes.CDLL(None), mmap.PAGESIZE, []
libc.mprotect.argtypes = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int

def guarded(array, at_the_end):
    '''A copy of an array that lies row by row, with a closed page on both sides.'''
    array = np.ascontiguousarray(array)
    room = -(-max(array.nbytes, 1) // page) * page
    memory = mmap.mmap(-1, room + 2 * page)
    kept.append(memory)
    place = np.frombuffer(memory, np.uint8)
    for start in (0, page + room):
        assert libc.mprotect(place.ctypes.data + start, page, 0) == 0
    first = page + (room - array.nbytes if at_the_end else 0)
    copy = place[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy

def touch_beyond():
    a = guarded(np.ones(5), True)
    ctypes.memmove(a.ctypes.data + 1, a.ctypes.data, a.nbytes)

rng = np.random.default_rng(0)
def drawn(*shape, end, turned=False):
    x = rng.standard_normal(shape).astype(dtype)
    return guarded(x.swapaxes(-1, -2), end).swapaxes(-1, -2) if turned else guarded(x, end)

if PLANTED:
    touch_beyond()
SHAPES = [(1, 9, 40), (40, 9, 1), (3, 300, 5), (17, 16, 17), (23, 7, 33), (5, 3, 2), (61, 33, 9)]
for dtype in (np.float32, np.float64):
    for end in (False, True):
        for m, k, n in SHAPES:
            for how in range(4):
                a = drawn(m, k, end=end, turned=bool(how & 1))
                b = drawn(k, n, end=end, turned=bool(how & 2))
                c = drawn(m, n, end=end)
                kernels.matmul(a, b, out=c)
                assert np.allclose(c, a @ b, rtol=1e-4, atol=1e-4)
                kernels.accumulate(a, b, c, bias=drawn(n, end=end))
        for rows, depth, columns in SHAPES:
            for turned in (False, True):
                a = drawn(2, rows, depth, end=end)
                b = drawn(2, depth, columns, end=end, turned=turned)
                kernels.batched_matmul(a, b, out=drawn(2, rows, columns, end=end))
        for tokens, width, heads in ((17, 48, 3), (4, 8, 1), (49, 32, 2), (5, 6, 2)):
            q, k, v, g = (drawn(2, tokens, width, end=end) for _ in range(4))
            y, weights = kernels.attention(q, k, v, drawn(tokens, tokens, end=end), heads)
            kernels.attention_backward(g, q, k, v, guarded(weights, end), heads)
        for shape in ((3, 1), (5, 17), (7, 49), (2, 64)):
            x, g, y = (drawn(*shape, end=end) for _ in range(3))
            for name in ("softmax", "log_softmax"):
                getattr(kernels, name)(x, out=y)
                getattr(kernels, name + "_backward")(g, y, out=x)
            weight, bias = (drawn(shape[1], end=end) for _ in range(2))
            _, normed, scale = kernels.layer_norm(x, weight, bias)
            kernels.layer_norm_backward(g, guarded(normed, end), guarded(scale, end), weight)
            for name in ("exp", "tanh", "sigmoid", "relu", "softplus", "erf", "gelu"):
                getattr(kernels, name)(x, out=y)
                getattr(kernels, name + "_backward")(g, y)
            kernels.adam_step(*(np.abs(drawn(*shape, end=end)) for _ in range(4)), 1, 0.1)
print("untouched")
"""


@pytest.mark.skipif(os.name != "posix", reason="pages are closed by mprotect")
@pytest.mark.parametrize("planted", [False, True])
def test_no_kernel_touches_what_is_beside_its_arrays(planted):
    env = os.environ | {"MINIGRAD_AE_KERNELS": "numba"}
    script = SCRIPT.replace("PLANTED", str(planted))
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    if planted:
        assert done.returncode < 0 and "untouched" not in done.stdout
    else:
        assert (done.returncode, done.stdout) == (0, "untouched\n"), done.stderr[-2000:]
