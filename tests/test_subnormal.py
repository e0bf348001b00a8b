"""Products, losses and Adam take numbers that are too small to have all their digits for 0, and
leave the processor as they found it.
"""

import numpy as np
import pytest

import minigrad_ae as mg
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


@pytest.mark.parametrize("dtype", DTYPES)
def test_losses_and_optimisers_drop_them_too_and_nothing_that_counts(dtype):
    root = dtype(np.sqrt(tiny(dtype)) / 4)  # whose square is subnormal
    y = np.full(300, root, dtype)
    value, slope, dy = np.empty((), dtype), np.empty(300, dtype), np.empty(300, dtype)
    kernels.fused.loss("half_squares", y, np.zeros(300, dtype), value, slope)
    assert value == 0 and np.array_equal(slope, y)
    kernels.fused.loss_backward(np.array(root / 2, dtype), slope, dy)
    assert not dy.any()
    assert kernels.optim.square(y) == 0
    for eps, kept in ((1e-8, False), (0.0, True), (float(tiny(dtype)) / 2, True)):
        p, m, v = (np.zeros(300, dtype) for _ in range(3))
        for t in (1, 2, 3):
            kernels.adam_step(p, y, m, v, t, 0.1, eps=eps)
        assert np.all(v > 0) == kept
        assert np.all(np.isfinite(p)) and np.all((p < -0.2) == kept)  # lr a step, without an eps
    assert halved(np.full(100, tiny(dtype), dtype))


def test_after_10000_steps_on_one_batch_no_number_is_subnormal():
    """Some pixels are 0 in all digits: all that leads to them shrinks to about 1e-38."""
    x = mg.data.digits()[0][:64].astype(np.float32)
    model = mg.models.LinearAutoencoder(64, 8, rng=np.random.default_rng(0), dtype=np.float32)
    adam = mg.optim.Adam(model.parameters(), lr=1e-3)
    step = mg.compile(lambda x: model.loss(x) / len(x), optimizer=adam)
    for _ in range(10_000):
        step(mg.tensor(x))
    gradients = list(step.program.gradients.values())
    moments = [state[name] for state in adam.state for name in ("m", "v")]
    least = min(np.abs(g[g != 0]).min() for g in gradients)
    assert least < 1e-30  # there is something to drop
    for array in gradients + moments:
        assert np.all((array == 0) | (np.abs(array) >= tiny(np.float32)))
