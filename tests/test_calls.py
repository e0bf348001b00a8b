"""The calls of a kernel, made again on other numbers, do what the kernel would do with them."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from cases import CASES

from minigrad_ae import kernels
from minigrad_ae.kernels.calls import call, contiguous, make, recorded, room
from minigrad_ae.ops import REGISTRY

TWINS = [op.name for op in REGISTRY.values() if op.twin is not None]
THREADS = kernels.get_num_threads()


def apart(shape, dtype):
    """An array with room around it.

    A loop that sums what it also writes goes by vectors only where its arrays lie at least a block
    of vectors apart (LLVM asks first), and one by one adds up in another order.  Twins are not used
    for arrays as short as that; here they are.
    """
    size = math.prod(shape)
    return np.empty(size + 256, dtype)[128 : 128 + size].reshape(shape)


def placed(x, dtype):
    array = apart(np.shape(x), dtype)
    array[...] = x
    return array


def inputs_of(case, op, dtype):
    """The inputs of a case, arrays that can be written to; conditions and the like as they are."""
    pairs = zip(case.inputs, op.active, strict=False)
    return [placed(x, dtype) if on else np.array(x) for x, on in pairs]


def shapes_of(op, arrays, params):
    try:
        return op.twin.shapes(*arrays, **params)
    except (IndexError, ValueError):
        return None


def gradients_like(op, arrays):
    pairs = zip(arrays, op.active, strict=False)
    return [apart(a.shape, a.dtype) if on else None for a, on in pairs]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", TWINS)
def test_calls_of_a_kernel_can_be_made_again(name, dtype):
    op, tried = REGISTRY[name], 0
    for case in CASES[name]:
        arrays = inputs_of(case, op, dtype)
        shapes = shapes_of(op, arrays, case.params)
        if shapes is None or not arrays[0].size or not arrays[0].ndim:
            continue
        tried += 1
        y, *saved = filled = [apart(shape, dtype) for shape in shapes]
        g, gradients = placed(np.ones(shapes[0]), dtype), gradients_like(op, arrays)
        with recorded() as calls:
            op.twin.forward(filled, *arrays, **case.params)
            op.twin.backward(gradients, g, y, saved, *arrays, **case.params)
        for array in (*arrays, g):
            array *= array.dtype.type(0.75)
        for array in (*filled, *gradients):
            if array is not None:
                array.fill(np.nan)
        make(calls)
        fresh = [apart(shape, dtype) for shape in shapes]
        op.twin.forward(fresh, *arrays, **case.params)
        expected = gradients_like(op, arrays)
        op.twin.backward(expected, g, fresh[0], fresh[1:], *arrays, **case.params)
        for found, wanted in zip((*filled, *gradients), (*fresh, *expected), strict=True):
            if wanted is not None:
                np.testing.assert_array_equal(found, wanted, err_msg=str(case))
    assert tried


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(
    "shape", [(5, 3, 2), (300, 40, 500), (2000, 70, 4), (4, 700, 2000), (64, 1, 64)], ids=str
)
def test_a_product_of_any_layout_can_be_made_again(shape, threads):
    m, k, n = shape
    rng = np.random.default_rng(0)
    kernels.set_num_threads(threads)
    try:
        for a in (rng.random((m, k)), rng.random((k, m)).T, rng.random((2 * m, k))[::2]):
            for b in (rng.random((k, n)), rng.random((n, k)).T, rng.random((k, 2 * n))[:, ::2]):
                c = np.empty((m, n))
                with recorded() as calls:
                    kernels.accumulate(a, b, c, fresh=True)
                a *= 0.5
                b += 1.0
                make(calls)
                np.testing.assert_array_equal(c, kernels.matmul(a, b))
    finally:
        kernels.set_num_threads(THREADS)


def test_only_the_thread_that_records_is_written_down():
    done = []
    with recorded() as calls:
        other = threading.Thread(target=lambda: call(done.append, 1))
        other.start()
        other.join()
        assert not calls
        call(done.append, 2)
    call(done.append, 3)
    assert done == [1, 2, 3]
    assert [args for _, args in calls] == [(2,)]


def test_memory_for_a_kernel_comes_from_the_recorder():
    asked = []

    def empty(shape, dtype):
        asked.append(shape)
        return np.empty(shape, dtype)

    x = np.arange(6.0).reshape(2, 3)
    assert contiguous(x) is x
    with recorded(empty) as calls:
        room((4,), np.float32)
        copy = contiguous(x.T)
    assert asked == [(4,), (3, 2)]
    x[0, 0] = 7
    make(calls)
    np.testing.assert_array_equal(copy, x.T)
