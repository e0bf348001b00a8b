"""Matrix products take numbers that are too small to have all their digits for 0, and leave the
processor as they found it.
"""

import numpy as np
import pytest

from minigrad_ae import kernels
from minigrad_ae.kernels.jit import ELEMENTWISE, jit
from minigrad_ae.kernels.subnormal import drop, restore

pytestmark = pytest.mark.usefixtures("compiled")
DTYPES = (np.float32, np.float64)
# rows, depth, columns: tiles, two blocks of k, dots of rows, rows of B, one column, C turned round
SHAPES = [(20, 9, 33), (20, 600, 33), (3, 300, 5), (1, 9, 40), (40, 9, 1), (40, 9, 3)]


def halved(x):
    """By NumPy, in this thread: exact, where the processor keeps subnormal numbers."""
    half = np.multiply(x, x.dtype.type(0.5))
    return bool(np.array_equal(half + half, x)) and bool(np.all(half != 0))


def tiny(dtype):
    return np.finfo(dtype).tiny


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_subnormal_operands_and_results_of_a_product_are_0(shape, dtype):
    m, k, n = shape
    small, large = dtype(tiny(dtype) / 8), dtype(1 / tiny(dtype) / 8)
    for order in ("C", "F"):
        a, b = np.full((m, k), small, dtype, order), np.full((k, n), large, dtype, order)
        assert np.all(a @ b > 0.01)  # what is lost, at most: their size times the other factor
        assert not kernels.matmul(a, b).any()
        assert not kernels.matmul(b.T, a.T).any()
        a[:], b[:] = tiny(dtype), dtype(1 / 8 / k)
        assert not kernels.matmul(a, b).any()
        a[:] = 8 * k * tiny(dtype)  # and what is not too small is there
        assert np.allclose(kernels.matmul(a, b) / tiny(dtype), k, rtol=k * np.finfo(dtype).eps)
    assert halved(np.full(100, tiny(dtype), dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_so_do_stacks_of_matrices_and_attention(dtype):
    a = np.full((3, 17, 16), tiny(dtype), dtype)
    assert not kernels.batched_matmul(a, np.full((3, 16, 5), 1 / 64, dtype)).any()
    q = np.zeros((1, 17, 16), dtype)
    y, weights = kernels.attention(q, q, np.full(q.shape, tiny(dtype) / 2, dtype))
    assert not y.any() and np.allclose(weights, 1 / 17)
    gradients = kernels.attention_backward(
        np.full(q.shape, tiny(dtype) / 2, dtype), q, q, q, weights
    )
    assert not any(g.any() for g in gradients)
    assert halved(np.full(100, tiny(dtype), dtype))


def test_another_thread_of_a_large_product_is_left_as_it_was():
    before = kernels.get_num_threads()
    kernels.set_num_threads(2)
    try:
        a = np.full((600, 300), tiny(np.float32) / 2, np.float32)
        assert not kernels.matmul(a, np.ones((300, 400), np.float32)).any()
        pool = kernels.backend.state.pool
        assert pool is not None
        for _ in range(4):
            assert pool.submit(halved, np.full(100, tiny(np.float32), np.float32)).result()
    finally:
        kernels.set_num_threads(before)


@jit(ELEMENTWISE)
def halves(x, to):
    before = drop()
    for i in range(x.size):
        to[i] = x[i] * 0.5
    restore(before)
    for i in range(x.size):
        to[i + x.size] = x[i] * 0.5


def test_between_drop_and_restore_and_no_further():
    x, to = np.full(37, tiny(np.float64)), np.full(74, 7.0)
    halves(x, to)
    assert not to[:37].any() and np.array_equal(to[37:], x / 2)


def test_weights_to_a_pixel_that_is_always_0_do_not_slow_products_down():
    """They shrink to about 1e-38; what is counted here are numbers, not time."""
    rng = np.random.default_rng(0)
    g = np.full((64, 64), tiny(np.float32) * 4, np.float32)
    weight = (rng.random((8, 64)) * tiny(np.float32) * 8).astype(np.float32)
    down = kernels.matmul(g, weight.T)
    assert down.dtype == np.float32 and not down.any()
