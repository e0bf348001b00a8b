"""Row kernels and Adam against their NumPy definitions, evaluated in long double."""

import numpy as np
import pytest
from helpers import random

import minigrad_ae.kernels as kernels
from minigrad_ae.errors import ShapeError

DTYPES = (np.float32, np.float64)
SHAPES = [(1,), (5,), (1, 1), (3, 17), (40, 49), (2, 3, 64), (7, 1), (0, 4), (300, 33)]


def wide(*arrays):
    return [a.astype(np.longdouble) for a in arrays]


def close(found, exact, dtype, roundings, size=None):
    """|found - exact| <= roundings eps size, ``size`` the largest magnitude met on the way."""
    size = np.max(np.abs(exact), initial=1) if size is None else size
    assert found.dtype == dtype and found.shape == exact.shape
    assert np.all(np.abs(found - exact) <= roundings * np.finfo(dtype).eps * size)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_softmax_and_log_softmax(shape, dtype):
    x, g = 3 * random(shape, dtype), random(shape, dtype, 1)
    columns = shape[-1]
    for name in ("softmax", "log_softmax"):
        forward, backward = getattr(kernels, name), getattr(kernels, name + "_backward")
        y, exact = forward(x), forward.definition(*wide(x))
        close(y, exact, dtype, columns + 8)
        bound = np.max(np.abs(g), initial=1) * columns
        close(backward(g, y), backward.definition(*wide(g, y)), dtype, columns + 8, bound)
        assert np.array_equal(forward(x[..., ::-1]), forward(x[..., ::-1].copy()))


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_of_extreme_rows_is_what_numpy_gives(dtype):
    inf, nan = np.inf, np.nan
    x = np.array(
        [
            [0, 1e30, -1e30],
            [-inf, 0, 1],
            [inf, 0, 1],
            [nan, 0, 1],
            [-inf, -inf, -inf],
            [1, nan, inf],
        ],
        dtype,
    )
    with np.errstate(all="ignore"):
        for kernel in (kernels.softmax, kernels.log_softmax):
            found, expected = kernel(x), kernel.definition(x)
            assert np.allclose(
                found, expected, rtol=8 * np.finfo(dtype).eps, atol=0, equal_nan=True
            )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [s for s in SHAPES if s[-1] > 1])
def test_layer_norm(shape, dtype):
    x, g = random(shape, dtype) + 3, random(shape, dtype, 1)
    weight, bias = random(shape[-1:], dtype, 2), random(shape[-1:], dtype, 3)
    roundings = 8 * (shape[-1] + 8)
    found = kernels.layer_norm(x, weight, bias)
    exact = kernels.layer_norm.definition(*wide(x, weight, bias))
    size = np.max(np.abs(exact[2]), initial=1) * np.max(np.abs(x), initial=1) * 4
    for mine, theirs in zip(found[:2], exact[:2], strict=True):
        close(mine, theirs, dtype, roundings, size)
    _, normed, scale = found
    rows = max(1, x.size // shape[-1])
    found = kernels.layer_norm_backward(g, normed, scale, weight)
    exact = kernels.layer_norm_backward.definition(*wide(g, normed, scale, weight))
    size = max(np.max(np.abs(a), initial=1) for a in (*exact, normed)) * np.max(
        np.abs(g), initial=1
    )
    for mine, theirs in zip(found, exact, strict=True):
        close(mine, theirs, dtype, roundings + rows, size)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 7, 1000, 70_001])
@pytest.mark.parametrize(("decay", "decoupled"), [(0.0, False), (0.1, False), (0.1, True)])
def test_five_optimiser_steps(size, decay, decoupled, dtype):
    p, m, v = random(size, dtype), np.zeros(size, dtype), np.zeros(size, dtype)
    exact = wide(p, m, v)
    for step in range(1, 6):
        g = random(size, dtype, step)
        form = {"step": step, "lr": 0.01, "weight_decay": decay, "decoupled": decoupled}
        kernels.adam_step(p, g, m, v, **form)
        kernels.adam_step.definition(exact[0], g.astype(np.longdouble), *exact[1:], **form)
        for mine, theirs in zip((p, m, v), exact, strict=True):
            close(mine, theirs, dtype, 8 * step, 1 + np.max(np.abs(theirs), initial=1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("step", [kernels.adam_step, kernels.adam_step.definition])
def test_moments_of_a_dead_unit_become_zero_and_not_subnormal(step, dtype):
    p, m, v = (np.zeros(4, dtype) for _ in range(3))
    tiny = np.finfo(dtype).smallest_normal
    g = np.array([0, 1, -1, tiny], dtype)
    for t in range(1, 150):
        step(p, g, m, v, t, 0.1, betas=(0.001, 0.001))
        assert np.all((m == 0) | (np.abs(m) >= tiny))
        assert np.all((v == 0) | (v >= tiny) | (m != 0))
        g[:3] = 0
    assert not m[:3].any()
    assert not v[:3].any()
    assert m[3] == 0  # (1 - b1) g is below
    assert np.isfinite(p).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_do_not_depend_on_threads(dtype):
    before, x = kernels.get_num_threads(), random((3000, 49), dtype)
    results = set()
    for threads in (1, 2, 3):
        kernels.set_num_threads(threads)
        p, m, v = x.copy(), x * 0, x * 0
        kernels.adam_step(p, x, m, v, 1, 0.1)
        q, k, w = (x[:2720].reshape(160, 17, 49) for _ in range(3))
        parts = [
            kernels.softmax(x),
            kernels.log_softmax_backward(x, x),
            p,
            *kernels.attention(q, k, w),
        ]
        results.add(b"".join(part.tobytes() for part in parts))
    kernels.set_num_threads(before)
    assert len(results) == 1


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_added_into_places(dtype):
    rng = np.random.default_rng(0)
    for rows, shape in [
        (rng.integers(-5, 5, (4, 6)), (5, 7)),
        (np.array([2, 2, 2]), (3, 2, 4)),
        (np.zeros(0, int), (3, 2)),
    ]:
        x = rng.standard_normal((*rows.shape, *shape[1:])).astype(dtype)
        found, expected = (
            kernels.add_rows(x, rows, shape),
            kernels.add_rows.definition(x, rows, shape),
        )
        assert found.dtype == dtype and found.shape == shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=16 * np.finfo(dtype).eps)
    for rows, words in [(np.array([0, 3]), "no such row"), (np.array([0]), "sizes differ")]:
        with pytest.raises(ShapeError, match=words):
            kernels.add_rows(np.ones((2, 4)), rows, (3, 4))
