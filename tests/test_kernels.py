"""The matrix products: every shape, layout, dtype and number of threads against the NumPy
definition.
"""

import numpy as np
import pytest
from helpers import random

import minigrad_ae.kernels as kernels
from minigrad_ae.errors import DataError, DtypeError, ShapeError
from minigrad_ae.kernels import gemm, ladder, multi_head

DTYPES = (np.float32, np.float64)
SIZES = [
    (0, 3, 4),
    (3, 0, 4),
    (3, 4, 0),
    (1, 1, 1),
    (1, 9, 1),
    (2, 3, 5),
    (5, 16, 16),
    (6, 257, 17),
    (17, 16, 17),
    (64, 64, 32),
    (121, 130, 33),
    (130, 513, 9),
    (7, 5, 300),
]
LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": lambda a: np.repeat(np.repeat(a, 2, 0), 3, 1)[::2, ::3],
    "reversed": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
}


@pytest.fixture(autouse=True)
def _two_threads():
    before = kernels.get_num_threads()
    kernels.set_num_threads(2)
    yield
    kernels.set_num_threads(before)


def product_bound(a, b):
    """|fl(AB) - AB| <= K eps |A||B|, any order of summation (Higham, Accuracy and Stability, eq.
    3.13).
    """
    exact = a.astype(np.longdouble) @ b.astype(np.longdouble)
    slack = max(a.shape[-1], 1) * np.finfo(a.dtype).eps
    return exact, slack * (np.abs(a).astype(np.longdouble) @ np.abs(b).astype(np.longdouble))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_every_layout_is_within_the_rounding_bound(size, dtype):
    m, k, n = size
    a, b = random((m, k), dtype), random((k, n), dtype, 1)
    exact, bound = product_bound(a, b)
    for lay_a in LAYOUTS.values():
        for lay_b in LAYOUTS.values():
            c = kernels.matmul(lay_a(a), lay_b(b))
            assert c.dtype == dtype and c.shape == (m, n) and c.flags.c_contiguous
            assert np.all(np.abs(c - exact) <= bound)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(100, 784, 300), (513, 70, 129), (40, 300, 640)])
def test_the_bits_do_not_depend_on_the_number_of_threads(size, dtype):
    m, k, n = size
    a, b = random((m, k), dtype), random((k, n), dtype, 1)
    for a_in, b_in in ((a, b), (np.asfortranarray(a), b), (a, np.asfortranarray(b))):
        results = []
        for threads in (1, 2, 3):
            kernels.set_num_threads(threads)
            results.append(kernels.matmul(a_in, b_in).tobytes())
        assert len(set(results)) == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_and_inf_appear_where_numpy_puts_them(dtype):
    a, b = random((19, 40), dtype), random((40, 23), dtype, 1)
    a[3, 5], a[7, 39], b[2, 22], b[11, 0], a[18, 0] = np.nan, np.inf, -np.inf, np.nan, 1e38
    with np.errstate(all="ignore"):
        expected, found = a @ b, kernels.matmul(a, b)
    assert np.array_equal(np.isnan(expected), np.isnan(found))
    assert np.array_equal(np.isposinf(expected), np.isposinf(found))
    assert np.array_equal(np.isneginf(expected), np.isneginf(found))


def test_out_is_written_and_memory_around_it_is_not():
    a, b = random((7, 5), np.float32), random((5, 9), np.float32, 1)
    around = np.full((11, 9), 7, np.float32)
    result = kernels.matmul(a, b, out=around[2:9])
    assert result.base is around and np.allclose(result, a @ b, rtol=1e-5)
    assert np.all(around[:2] == 7) and np.all(around[9:] == 7)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1), (3, 17, 16, 17), (5, 2, 9, 33), (2, 4, 0, 3), (0, 4, 2, 3)]
)
def test_batched_products_are_within_the_rounding_bound(shape, dtype):
    batch, m, k, n = shape
    a, b = random((batch, m, k), dtype), random((batch, k, n), dtype, 1)
    exact, bound = product_bound(a, b)
    for b_in in (b, np.ascontiguousarray(b.swapaxes(1, 2)).swapaxes(1, 2)):
        for a_in in (a, np.ascontiguousarray(a.swapaxes(1, 2)).swapaxes(1, 2)):
            assert np.all(np.abs(kernels.batched_matmul(a_in, b_in) - exact) <= bound)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("shape", "heads"),
    [
        ((1, 1, 1), 1),
        ((3, 2, 17, 16), 1),
        ((2, 50, 8), 1),
        ((64, 3, 5), 1),
        ((3, 17, 32), 2),
        ((2, 3, 5, 24), 3),
        ((4, 18, 40), 4),
    ],
)
def test_attention_and_its_gradient_match_the_definition(shape, heads, dtype):
    q, k, v, g = (random(shape, dtype, seed) for seed in range(4))
    tokens = shape[-2]
    bias = np.where(np.tri(tokens, dtype=bool), dtype(0), dtype(-np.inf))
    # sums of d and of `tokens` products, and an exponential: 8 roundings are allowed for each of
    # them
    tolerance = 8 * (tokens + shape[-1]) * np.finfo(dtype).eps
    for mask in (None, bias):
        y, weights = kernels.attention(q, k, v, mask, heads)
        expected, expected_weights = kernels.attention.definition(q, k, v, mask, heads)
        assert np.abs(weights - expected_weights).max() <= tolerance
        assert np.abs(y - expected).max() <= tolerance * np.abs(v).max()
        found = kernels.attention_backward(g, q, k, v, weights, heads)
        for mine, theirs in zip(
            found, kernels.attention_backward.definition(g, q, k, v, weights, heads), strict=True
        ):
            assert np.abs(mine - theirs).max() <= tolerance * max(1, np.abs(theirs).max())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threads", [1, 2])
def test_attention_over_a_batch_has_the_bits_of_its_sequences_one_by_one(threads, dtype, compiled):
    """Sequences are worked on a few at a time: here several times, and at last fewer."""
    kernels.set_num_threads(threads)
    tokens, heads, some = 20, 2, multi_head.BLOCK // (2 * 20 * 20)
    shape = 2 * some + some // 2 + 1, tokens, 32
    q, k, v, g = (random(shape, dtype, seed) for seed in range(4))
    y, weights = kernels.attention(q, k, v, None, heads)
    slopes = kernels.attention_backward(g, q, k, v, weights, heads)
    for i in range(len(q)):
        own, w = kernels.attention(q[i], k[i], v[i], None, heads)
        assert own.tobytes() == y[i].tobytes() and w.tobytes() == weights[i].tobytes()
        alone = kernels.attention_backward(g[i], q[i], k[i], v[i], w, heads)
        assert all(a.tobytes() == b[i].tobytes() for a, b in zip(alone, slopes, strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_rung_of_the_ladder_computes_the_product(dtype):
    for size in ((65, 70, 64), (4, 9, 7)):
        a, b = random(size[:2], dtype), random(size[1:], dtype, 1)
        exact, bound = product_bound(a, b)
        for name, rung in ladder.rungs(a, b).items():
            assert np.all(np.abs(rung() - exact) <= bound), name


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda a: kernels.matmul(a, a[:3]), ShapeError, "inner sizes differ"),
        (lambda a: kernels.matmul(a, a.astype(np.float64)), DtypeError, "different dtype"),
        (lambda a: kernels.matmul(a.astype(int), a), DtypeError, "float32 or float64"),
        (lambda a: kernels.matmul(a.astype(np.float16), a), DtypeError, "float16"),
        (lambda a: kernels.matmul(a.tolist(), a), DtypeError, "list"),
        (
            lambda a: kernels.matmul(a, a, out=np.empty((4, 8), a.dtype)[:, ::2]),
            ShapeError,
            "contiguous=False",
        ),
        (lambda a: kernels.matmul(a, a, out=np.empty((4, 3), a.dtype)), ShapeError, "(4, 3)"),
        (lambda a: kernels.matmul(a, a, out=a), ShapeError, "overlaps"),
        (lambda a: kernels.tanh(a, out=np.empty((4, 4))), ShapeError, "out does not fit"),
        (lambda a: kernels.tanh_backward(a, a[:2]), ShapeError, "different shape"),
        (lambda a: kernels.batched_matmul(a, a), ShapeError, "batched_matmul"),
        (lambda a: kernels.softmax(a[0, 0]), DtypeError, "softmax"),
        (lambda a: kernels.layer_norm(a, a[0, :2], a[0, :2]), ShapeError, "per column"),
        (lambda a: kernels.adam_step(a, a, a, a, 0, 1e-3), DataError, "counted from 1"),
        (
            lambda a: kernels.adam_step(*4 * [a[:, ::2]], 1, 0.1),
            ShapeError,
            "contiguous",
        ),
        (lambda a: kernels.gelu(a, "fast"), DataError, "unknown form"),
        (lambda a: kernels.set_num_threads(0), DataError, "at least one thread"),
        (lambda a: kernels.use("cuda"), DataError, "no backend"),
    ],
)
def test_wrong_input_is_refused_in_three_lines(call, error, says):
    with pytest.raises(error) as caught:
        call(np.ones((4, 4), np.float32))
    assert says in str(caught.value) and len(str(caught.value).splitlines()) == 3


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("m", "k", "n"),
    [
        (40, 33, 3),
        (9, 5, 8),
        (70, 600, 40),
        (5, 7, 2),
        (300, 40, 70),
        (9000, 60, 5),
        (1, 50, 40),
        (40, 50, 1),
        (8, 300, 30),
        (9000, 300, 2),
        (1, 300, 1),
    ],
)
def test_a_product_is_added_to_what_is_there_on_one_thread_or_two(m, k, n, dtype):
    rng = np.random.default_rng(0)
    a, b, c = (rng.standard_normal(shape).astype(dtype) for shape in [(m, k), (k, n), (m, n)])
    exact = c.astype(np.longdouble) + a.astype(np.longdouble) @ b.astype(np.longdouble)
    bound = (k + 1) * np.finfo(dtype).eps * (np.abs(c) + np.abs(a) @ np.abs(b))
    before = kernels.get_num_threads()
    try:
        for left in (a, np.asfortranarray(a)):
            for right in (b, np.asfortranarray(b)):
                found = []
                for threads in (1, 2):
                    kernels.set_num_threads(threads)
                    found.append(c.copy())
                    gemm.accumulate(left, right, found[-1])
                assert (
                    np.all(np.abs(found[0] - exact) <= bound)
                    and found[0].tobytes() == found[1].tobytes()
                )
    finally:
        kernels.set_num_threads(before)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(40, 33, 3), (70, 1300, 40), (300, 40, 700), (1, 50, 40), (3, 300, 5), (4, 0, 3)]
)
def test_a_product_that_begins_with_a_bias_has_the_bits_of_one_added_to_it(shape, dtype):
    m, k, n = shape
    rng = np.random.default_rng(0)
    a, b, bias = (rng.standard_normal(s).astype(dtype) for s in [(m, k), (k, n), n])
    before = kernels.get_num_threads()
    try:
        for left in (a, np.asfortranarray(a)):
            for row in (bias, np.repeat(bias, 2)[::2], bias[:1].reshape(())):
                for threads in (1, 2):
                    kernels.set_num_threads(threads)
                    found, expected = np.full((m, n), np.nan, dtype), np.empty((m, n), dtype)
                    expected[:] = row
                    gemm.accumulate(left, b, expected)
                    gemm.accumulate(left, b, found, bias=row)
                    assert found.tobytes() == expected.tobytes()
    finally:
        kernels.set_num_threads(before)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("n", [3, 40])
def test_nan_and_inf_spread_as_numpy_has_them(n):
    rng = np.random.default_rng(0)
    a, b = (
        rng.standard_normal((37, 50)).astype(np.float32),
        rng.standard_normal((50, n)).astype(np.float32),
    )
    a[3, 7], a[5, 0], a[6, 1], a[6, 2], b[9, 1] = np.nan, np.inf, np.inf, -np.inf, np.inf
    a[:, 9] = np.abs(a[:, 9])
    a[8, 9] = 0
    with np.errstate(all="ignore"):
        expected = a @ b
    for left in (a, np.asfortranarray(a)):
        # NaN and Inf must be in place
        np.testing.assert_allclose(kernels.matmul(left, b), expected, rtol=1e-3, atol=1e-4)
