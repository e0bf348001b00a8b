"""First-order optimisers: the laws of their papers, and states that continue bit for bit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers import parameter, rng

from minigrad_ae import kernels, nn
from minigrad_ae.errors import DataError
from minigrad_ae.optim import SGD, Adam, AdamW, clip_grad_norm, cosine_schedule

MAKERS = {
    "sgd": lambda ps: SGD(ps, lr=0.1),
    "momentum": lambda ps: SGD(ps, lr=0.1, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda ps: SGD(ps, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda ps: Adam(ps, lr=0.1),
    "adam-l2": lambda ps: Adam(ps, lr=0.1, betas=(0.8, 0.9), weight_decay=0.1),
    "adamw": lambda ps: AdamW(ps, lr=0.1, weight_decay=0.1),
}


# --- laws -----------------------------------------------------------------------------------------


def test_gradient_descent_on_a_quadratic_is_a_geometric_sequence():
    s, x0, lr = np.array([0.5, 3.0]), np.array([2.0, -1.0]), 0.2
    p = parameter(x0)
    optimizer = SGD([p], lr=lr)
    for _ in range(25):
        p.grad = s * p.data
        optimizer.step()
    np.testing.assert_allclose(p.data, (1 - lr * s) ** 25 * x0, rtol=1e-13)


@pytest.mark.parametrize("nesterov", [False, True])
def test_momentum_on_a_quadratic_is_a_power_of_its_two_by_two_matrix(nesterov):
    s, x0, lr, mu, steps = 3.0, 2.0, 0.1, 0.8, 25
    # (x, v) -> (x - lr v', v') with v' = mu v + s x; nesterov: x - lr (s x + mu v')
    v_row = np.array([s, mu])
    x_row = np.array([1.0, 0.0]) - lr * (np.array([s, 0.0]) + mu * v_row if nesterov else v_row)
    expected = np.linalg.matrix_power(np.stack([x_row, v_row]), steps) @ [x0, 0.0]
    p = parameter([x0])
    optimizer = SGD([p], lr=lr, momentum=mu, nesterov=nesterov)
    for _ in range(steps):
        p.grad = s * p.data
        optimizer.step()
    assert p.data[0] == pytest.approx(expected[0], rel=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_first_step_of_adam_is_the_sign_of_the_gradient_whatever_its_size(dtype):
    g = np.array([1e-6, -1e-2, 3.0, -1e8, 0.0])
    p = parameter(np.zeros(5), g, dtype)
    Adam([p], lr=0.01, eps=1e-8).step()
    g = g.astype(dtype)
    np.testing.assert_allclose(
        p.data, -0.01 * g / (abs(g) + 1e-8), rtol=1e-4 if dtype is np.float32 else 1e-12
    )
    assert p.dtype == dtype


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_adam_follows_algorithm_1_of_its_paper(backend):
    with kernels.use(backend):
        check_algorithm_1()


def check_algorithm_1():
    p, theta = parameter(rng().normal(size=(3, 2))), rng().normal(size=(3, 2))
    optimizer, m, v = Adam([p], lr=0.05, betas=(0.8, 0.95), eps=1e-3), 0.0, 0.0
    for t in range(1, 8):
        g = np.cos(t * theta) * theta
        p.grad = g
        optimizer.step()
        m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g**2
        theta = theta - 0.05 * (m / (1 - 0.8**t)) / (np.sqrt(v / (1 - 0.95**t)) + 1e-3)
        np.testing.assert_allclose(p.data, theta, rtol=1e-12)


def test_adamw_decays_the_weights_and_adam_the_gradient():
    x, g, lr, decay = np.array([2.0, -3.0]), np.array([0.5, 0.25]), 0.1, 0.2
    plain, l2, decoupled = parameter(x, g), parameter(x, g), parameter(x, g)
    Adam([plain], lr=lr).step()
    Adam([l2], lr=lr, weight_decay=decay).step()
    AdamW([decoupled], lr=lr, weight_decay=decay).step()
    np.testing.assert_allclose(plain.data - decoupled.data, lr * decay * x, rtol=1e-13)
    total = g + decay * x  # (0.9, -0.35): the second sign turns, the size does not matter
    np.testing.assert_allclose(l2.data, x - lr * total / (abs(total) + 1e-8), rtol=1e-13)


def test_sgd_weight_decay_is_the_gradient_of_half_the_squared_norm():
    p = parameter([2.0, -3.0], [0.5, 0.25])
    SGD([p], lr=0.1, weight_decay=0.2).step()
    np.testing.assert_allclose(
        p.data, [2 - 0.1 * (0.5 + 0.2 * 2), -3 - 0.1 * (0.25 - 0.2 * 3)], rtol=1e-15
    )


def test_an_element_that_never_had_a_gradient_does_not_move_even_with_eps_zero():
    p = parameter([1.0, 1.0], [0.0, 2.0])
    Adam([p], eps=0.0, lr=0.1).step()
    assert p.data.tolist() == [1.0, 0.9]


# --- what all share -------------------------------------------------------------------------------


def train(optimizer, params, steps, start=0):
    for k in range(start, start + steps):
        for j, p in enumerate(params):
            p.grad = (np.cos(k + j) * p.data + rng(k).normal(size=p.shape)).astype(p.dtype)
        optimizer.step()


@pytest.mark.parametrize("name", MAKERS)
def test_parameters_without_a_gradient_stay_and_so_does_their_state(name):
    p, q = parameter([1.0, 2.0], [0.5, -0.5]), parameter([3.0])
    optimizer = MAKERS[name]([p, q])
    optimizer.step()
    assert (
        q.data.tolist() == [3.0]
        and optimizer.state[1] == {}
        and p.data[0] < 1.0 < 2.0 < p.data[1] + 0.02
    )
    optimizer.zero_grad()
    assert p.grad is None


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_loaded_state_continues_bit_for_bit(name, dtype):
    def fresh():
        return [
            parameter(rng(k).normal(size=shape), dtype=dtype)
            for k, shape in enumerate([(3, 2), (), (4,)])
        ]

    whole, parts = fresh(), fresh()
    train(MAKERS[name](whole), whole, 12)
    first = MAKERS[name](parts)
    train(first, parts, 5)
    state = first.state_dict()
    before = {key: np.array(value) for key, value in state.items()}
    second = MAKERS[name](parts)
    second.lr = 77.0
    second.load_state_dict(state)
    train(second, parts, 7, start=5)
    for p, q in zip(whole, parts, strict=True):
        assert p.data.dtype == dtype and np.array_equal(p.data, q.data)
    assert all(np.array_equal(before[key], value) for key, value in state.items()), (
        "the state is a copy, on both sides"
    )


def test_a_tied_parameter_is_stepped_once():
    p = parameter([1.0], [1.0])
    SGD([p, p], lr=0.1).step()
    assert p.data.tolist() == [0.9]


def test_steps_write_into_the_array_and_lower_a_loss():
    layer = nn.Linear(3, 1, rng=rng())
    array, x, y = layer.weight.data, rng(1).normal(size=(20, 3)), rng(2).normal(size=(20, 1))
    optimizer, losses = Adam(layer.parameters(), lr=0.05), []
    for _ in range(50):
        optimizer.zero_grad()
        loss = ((layer(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert layer.weight.data is array and losses[-1] < 0.7 * losses[0]


# --- schedule and clipping ------------------------------------------------------------------------


def test_the_cosine_schedule_rises_along_a_line_and_falls_along_a_cosine():
    lr = cosine_schedule(0.8, steps=12, warmup=4, final_lr=0.2)
    np.testing.assert_allclose([lr(k) for k in range(4)], [0.2, 0.4, 0.6, 0.8])
    # (1 + cos 2a)/2 = cos^2 a
    expected = [0.2 + 0.6 * math.cos(math.pi * j / 16) ** 2 for j in range(9)]
    np.testing.assert_allclose([lr(k) for k in range(4, 13)], expected, rtol=1e-14)
    assert lr(12) == lr(1000) == pytest.approx(0.2)


def test_the_schedule_of_an_optimizer_sets_its_rate_also_after_loading():
    p = parameter([1.0])
    optimizer = SGD([p], lr=0.5)
    lr = cosine_schedule(optimizer, steps=10)
    assert lr(5) == optimizer.lr == pytest.approx(0.25) and lr(10) == optimizer.lr == 0.0
    resumed = SGD([p], lr=0.5)
    resumed.load_state_dict(optimizer.state_dict())
    assert resumed.lr == 0.0 and cosine_schedule(resumed, steps=10)(5) == lr(5)


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200])
def test_clipping_scales_all_gradients_by_one_number(scale):
    p, q, r = (
        parameter([0.0, 0.0], [3 * scale, 0.0]),
        parameter([0.0], [-4 * scale]),
        parameter([0.0]),
    )
    assert clip_grad_norm([p, q, r], 2 * scale) == pytest.approx(5 * scale, rel=1e-15)
    np.testing.assert_allclose([*p.grad, *q.grad], np.array([1.2, 0, -1.6]) * scale, rtol=1e-15)
    before = p.grad
    clip_grad_norm([p, q], 3 * scale)
    assert p.grad is before and r.grad is None
    assert clip_grad_norm([parameter([0.0], [0.0])], 1.0) == 0.0


def test_one_learning_rate_and_one_decay_for_each_parameter():
    """With matrices_only and lr_factors each parameter moves as under an AdamW of its own."""

    def values():
        return [rng(k).normal(size=shape) for k, shape in enumerate([(3, 2), (4,), (2, 5)])]

    params, alone = [parameter(v) for v in values()], [parameter(v) for v in values()]
    together = AdamW(
        params,
        lr=0.1,
        weight_decay=0.2,
        matrices_only=True,
        lr_factors={params[0]: 0.5, params[1]: 0.0},
    )
    settings = ((0.05, 0.2), (0.0, 0.0), (0.1, 0.2))
    apart = [
        AdamW([p], lr=lr, weight_decay=decay)
        for p, (lr, decay) in zip(alone, settings, strict=True)
    ]
    for step in range(5):
        for k, p in enumerate((*params, *alone)):
            p.grad = rng([step, k % 3]).normal(size=p.shape)
        together.step()
        for optimizer in apart:
            optimizer.step()
    assert all(np.array_equal(p.data, q.data) for p, q in zip(params, alone, strict=True))
    no_decay, plain = parameter(np.ones(3), np.ones(3)), parameter(np.ones(3), np.ones(3))
    AdamW([no_decay], lr=0.1, weight_decay=0.2, matrices_only=True).step()
    Adam([plain], lr=0.1).step()
    assert np.array_equal(no_decay.data, plain.data)
    with pytest.raises(DataError, match="a factor on the learning rate"):
        AdamW(params, lr_factors={params[0]: -1.0})
