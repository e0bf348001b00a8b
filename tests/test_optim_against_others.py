"""A second opinion on the optimisers: 200 steps beside PyTorch's, step for step (``nox -s torch``),
and the minimum of scipy's L-BFGS beside ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import rng

import minigrad_ae as mg
from minigrad_ae import nn, optim

STEPS = 200
A = rng(1).standard_normal((6, 4))
START = rng(2).standard_normal((4, 3))
TARGET = rng(3).standard_normal((6, 3))
SGD: list[dict[str, Any]] = [
    {"lr": 0.01},
    {"lr": 0.01, "momentum": 0.9},
    {"lr": 0.01, "momentum": 0.9, "nesterov": True},
    {"lr": 0.01, "momentum": 0.8, "weight_decay": 0.1},
]
ADAM: list[dict[str, Any]] = [
    {"lr": 0.05},
    {"lr": 0.05, "betas": (0.8, 0.99), "eps": 1e-6},
    {"lr": 0.05, "weight_decay": 0.1},
]
KINDS = [*(("SGD", s) for s in SGD), *(("Adam", s) for s in ADAM), *(("AdamW", s) for s in ADAM)]


def trajectory(optimizer: Any, w: Any, loss: Any, values: Any) -> np.ndarray:
    """The parameters after each of `STEPS` steps."""
    found = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        loss(w).backward()
        optimizer.step()
        found.append(np.array(values(w)))
    return np.array(found)


@pytest.mark.parametrize(("name", "settings"), KINDS, ids=lambda value: str(value))
def test_200_steps_are_those_of_pytorch(name, settings):
    torch = pytest.importorskip("torch")
    w = nn.Parameter(START)
    settings = {"weight_decay": 0.0} | settings  # the defaults of AdamW differ
    ours = getattr(optim, name)([w], **settings)
    found = trajectory(
        ours, w, lambda w: (mg.tanh(mg.tensor(A) @ w) - TARGET).square().sum(), lambda w: w.data
    )
    v = torch.tensor(START, requires_grad=True)
    theirs = getattr(torch.optim, name)([v], **settings)
    a, t = torch.tensor(A), torch.tensor(TARGET)
    wanted = trajectory(
        theirs, v, lambda v: (torch.tanh(a @ v) - t).square().sum(), lambda v: v.detach().numpy()
    )
    # a rounding or two a step, in numbers near 1; not for short memories, (0.8, 0.95), with which
    # Adam itself enlarges roundings once the gradient is next to nothing
    np.testing.assert_allclose(found, wanted, rtol=0, atol=STEPS * 1e-13)


def test_lbfgs_finds_the_minimum_of_scipys():
    optimize = pytest.importorskip("scipy.optimize")
    x = nn.Parameter(START)

    def loss(w: Any) -> Any:
        return mg.softplus(mg.tensor(A) @ w).sum() + 0.5 * (w * w).sum()

    def closure() -> Any:
        value = loss(x)
        value.backward()
        return value

    optimizer = optim.LBFGS([x], max_iter=200)
    found = float(optimizer.step(closure))
    assert optimizer.converged

    def theirs(flat: np.ndarray) -> tuple[float, np.ndarray]:
        w = mg.tensor(flat.reshape(START.shape), requires_grad=True)
        value = loss(w)
        (gradient,) = mg.grad(value, w)
        return value.item(), gradient.ravel()

    done = optimize.minimize(
        theirs, START.ravel(), jac=True, method="L-BFGS-B", options={"gtol": 1e-10, "ftol": 1e-15}
    )
    # strongly convex (curvature >= 1): a gradient of 1e-7 leaves a loss within 1e-14
    assert abs(found - done.fun) <= 1e-12 * abs(done.fun)
    np.testing.assert_allclose(x.data.ravel(), done.x, atol=1e-6)
