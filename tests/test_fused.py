"""The fused kernels are what the ops' own definitions say, forward and backward, to rounding, also
for NaN and Inf.
"""

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae import ops

DTYPES = [np.float32, np.float64]


def results(backend, function, inputs):
    """The value, and the gradient of every input, by one backend."""
    with mg.kernels.use(backend), np.errstate(all="ignore"):
        tensors = [mg.tensor(a, requires_grad=True) for a in inputs]
        y = function(*tensors)
        y.backward(np.sin(1 + np.arange(y.size)).reshape(y.shape).astype(y.dtype))
        return [y.data, *(t.grad for t in tensors)]


def agree(function, inputs, terms):
    """Each array of one backend is the other's, up to the rounding of a sum of so many `terms`."""
    for kernel, definition in zip(
        *(results(b, function, inputs) for b in ("numba", "numpy")), strict=True
    ):
        assert (kernel.dtype, kernel.shape) == (definition.dtype, definition.shape)
        finite = np.isfinite(definition)
        assert np.array_equal(kernel[~finite], definition[~finite], equal_nan=True)
        scale = np.abs(definition[finite]).max(initial=1.0)
        assert (
            np.abs(kernel[finite] - definition[finite]).max(initial=0.0)
            <= terms * np.finfo(kernel.dtype).eps * scale
        )


def draw(rng, dtype, *shapes):
    return [rng.standard_normal(s).astype(dtype) for s in shapes]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", [None, "tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("shape", [(64, 1), (33, 17), (1, 64), (128, 64), (3, 5, 20)])
@pytest.mark.parametrize("columns", [1, 7, 48])
def test_linear(dtype, activation, shape, columns):
    rng = np.random.default_rng(0)
    inputs = draw(rng, dtype, shape, (shape[-1], columns), (columns,))
    agree(
        lambda x, W, b: ops.linear(x, W, b, activation=activation),
        inputs,
        40 + 2 * max(shape[-1], columns),
    )


def test_linear_without_bias_and_with_one_for_all():
    rng = np.random.default_rng(1)
    x, W, b = draw(rng, np.float32, (30, 20), (20, 10), ())
    agree(lambda x, W: ops.linear(x, W), [x, W], 60)
    agree(lambda x, W, b: ops.linear(x, W, b, activation="tanh"), [x, W, b], 400)


@pytest.mark.parametrize("need", [(0,), (1,), (2,), (0, 2)])
def test_linear_gives_no_gradient_that_nobody_asked_for(need):
    rng = np.random.default_rng(2)
    arrays = draw(rng, np.float64, (20, 8), (8, 6), (6,))
    tensors = [mg.tensor(a, requires_grad=k in need) for k, a in enumerate(arrays)]
    ops.linear(*tensors, activation="sigmoid").backward(np.ones((20, 6)))
    assert [t.grad is not None for t in tensors] == [k in need for k in range(3)]


LOSSES = [ops.half_squared_error, ops.bernoulli_loss, ops.gaussian_kl]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES, ids=lambda op: op.name)
@pytest.mark.parametrize("shape", [(64,), (9, 13), (50, 61), (128, 33)])
def test_losses(dtype, loss, shape):
    agree(loss, draw(np.random.default_rng(3), dtype, shape, shape), 60)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda op: op.name)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -0.0, 80.0, -80.0])
def test_losses_keep_what_is_not_finite(loss, bad):
    a, b = draw(np.random.default_rng(4), np.float64, (8, 16), (8, 16))
    a[2, 3] = bad
    b[5, 1] = bad
    agree(loss, [a, b], 60)


@pytest.mark.parametrize("dtype", DTYPES)
def test_losses_and_sampling_take_slices(dtype):
    (s, noise) = draw(np.random.default_rng(5), dtype, (40, 6), (40, 3))
    agree(lambda s: ops.gaussian_kl(s[:, :3], s[:, 3:]), [s], 60)
    agree(lambda s: ops.reparameterise(s[:, :3], s[:, 3:], noise), [s], 20)
    agree(ops.reparameterise, [s[:, :3], s[:, 3:], noise], 20)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(64,), (33, 17), (1, 64), (64, 1), (3, 5, 20), (2, 5000)])
def test_rows_of_length_1_and_sums_of_sizes(dtype, shape):
    (x,) = draw(np.random.default_rng(8), dtype, shape)
    agree(ops.unit_rows, [x], 8 + shape[-1] ** 0.5)
    agree(ops.l1_norm, [x], 8)
    wide = np.repeat(x, 2, axis=-1)[..., ::2]
    assert not wide.flags.forc
    agree(lambda x: ops.unit_rows(x[..., ::-1]), [wide], 8 + shape[-1] ** 0.5)
    agree(lambda x: ops.l1_norm(x[..., ::-1]), [wide], 8)


@pytest.mark.usefixtures("compiled")
def test_the_error_of_a_sum_of_sizes_does_not_grow_with_their_number():
    """200 equal blocks give 200 times what one gives: both are rounded to float32, and nothing else
    is.
    """
    block = np.full(1024, -0.1, np.float32)  # every rounding goes the same way
    one, many = (
        ops.l1_norm(mg.tensor(np.tile(block, n), requires_grad=True)).item() for n in (1, 200)
    )
    assert abs(many - 200 * one) <= np.finfo(np.float32).eps * many


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0, -0.0])
def test_rows_and_sizes_keep_nan_and_inf_and_the_sign_of_zero(dtype, bad):
    (x,) = draw(np.random.default_rng(10), dtype, (8, 16))
    x[2, 3], x[5] = bad, bad
    agree(ops.unit_rows, [x], 20)
    agree(ops.l1_norm, [x], 20)
    for op in (ops.unit_rows, ops.l1_norm):
        ours, definition = (results(b, op, [x]) for b in ("numba", "numpy"))
        for a, b in zip(ours[op is ops.l1_norm :], definition[op is ops.l1_norm :], strict=True):
            assert np.array_equal(np.signbit(a) | np.isnan(a), np.signbit(b) | np.isnan(b))


def test_a_second_walk_back_gives_the_same_gradients():
    logits, target = (
        mg.tensor(a, requires_grad=True)
        for a in draw(np.random.default_rng(6), np.float32, (16, 16), (16, 16))
    )
    loss = ops.bernoulli_loss(logits, target) / 16
    loss.backward()
    first = logits.grad.copy()
    loss.backward()
    np.testing.assert_array_equal(logits.grad, first + first)


def test_gradients_of_gradients_go_through_the_definitions():
    x, W, b = draw(np.random.default_rng(7), np.float64, (10, 8), (8, 9), (9,))
    assert mg.gradcheck(lambda x, W, b: ops.linear(x, W, b, activation="tanh"), x, W, b, order=2)
