"""A standing second opinion: random programs over all public functions, judged by complex steps,
which share no rule with the engine, and by their compiled form.

CI runs 2,000 programs that are always the same; ``nox -s fuzz`` 10,000, others each time, beside
PyTorch where it is installed.  What fails is shrunk by hypothesis to the fewest steps.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from random_programs import COMPOSED, REAL_ONLY, STEPS, Program, programs

import minigrad_ae as mg
from minigrad_ae.ops import COMPOSITIONS, REGISTRY

hypothesis = pytest.importorskip("hypothesis")
given, settings = hypothesis.given, hypothesis.settings

MANY = int(os.environ.get("MINIGRAD_AE_FUZZ", "0"))  # how many programs, other ones each time
STEP = 1e-30  # its square is lost beside 1: a complex step has no truncation error


def judged(n: int) -> hypothesis.settings:
    """`n` programs, always the same; or as many as were asked for."""
    return settings(
        max_examples=MANY or n,
        derandomize=not MANY,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def of_random_directions(arrays: list[np.ndarray]) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.standard_normal(x.shape) for x in arrays]


def leaves_at(arrays: list[np.ndarray]) -> list[mg.Tensor]:
    """Leaves that keep the layout of their array, which `mg.tensor` would make contiguous."""
    return [mg.Tensor.new(x, requires_grad=True) for x in arrays]


def slope_and_size(program: Program) -> tuple[float, float, list[np.ndarray]]:
    """<gradient, v>, and the sum of the sizes of its terms: what its roundings are relative to."""
    arrays = program.arrays()
    vs, leaves = of_random_directions(arrays), leaves_at(arrays)
    gradients = mg.grad(program.loss(leaves), leaves)
    terms = [g * v for g, v in zip(gradients, vs, strict=True)]
    size = sum(float(np.abs(t).sum()) for t in terms)
    return sum(float(t.sum()) for t in terms), size, vs


@judged(2000)
@given(programs)
def test_the_gradient_is_that_of_a_complex_step(program):
    with mg.kernels.use("numpy"):
        found, size, vs = slope_and_size(program)
        moved = [x + 1j * STEP * v for x, v in zip(program.arrays(), vs, strict=True)]
        with mg.no_grad():
            wanted = float(program.loss(leaves_at(moved)).data.imag) / STEP
    # a few hundred roundings, each of which later steps enlarge a little
    assert abs(found - wanted) <= 1e-10 * max(1.0, size, abs(wanted))


@judged(150)
@given(programs)
def test_a_hessian_vector_product_is_a_complex_step_of_the_gradient(program):
    with mg.kernels.use("numpy"):
        arrays = program.arrays()
        vs = of_random_directions(arrays)
        leaves = leaves_at(arrays)
        slopes = mg.grad(program.loss(leaves), leaves, create_graph=True)
        inner = sum(((g * v).sum() for g, v in zip(slopes, vs, strict=True)), mg.tensor(0.0))
        found = mg.grad(inner, leaves) if inner.requires_grad else [0 * x for x in arrays]
        moved = leaves_at([x + 1j * STEP * v for x, v in zip(arrays, vs, strict=True)])
        wanted = [g.imag / STEP for g in mg.grad(program.loss(moved), moved)]
    for a, b in zip(found, wanted, strict=True):
        assert np.max(np.abs(a - b), initial=0) <= 1e-9 * max(1.0, np.max(np.abs(b), initial=0))


@judged(150)
@given(programs)
def test_kernels_give_the_gradient_of_their_definitions(program):
    found, size, _ = slope_and_size(program)
    with mg.kernels.use("numpy"):
        wanted, *_ = slope_and_size(program)
    assert abs(found - wanted) <= 1e-10 * max(1.0, size)


def test_every_function_takes_part():
    functions = {name for name, f in {**REGISTRY, **COMPOSITIONS}.items() if f.public}
    # an op or composition of the same name is one function; `attention` and others are ops here
    missing = functions - set(STEPS) - REAL_ONLY
    assert not missing, f"add a step to COMPOSED in tests/random_programs.py: {sorted(missing)}"
    assert not set(COMPOSED) - set(COMPOSITIONS), "a composition that there is not"


def test_a_wrong_rule_is_found(monkeypatch):
    """Within 200 programs, as hypothesis finds it."""
    op = REGISTRY["tanh"]
    monkeypatch.setattr(op, "vjps", [lambda g, y, x: 1.05 * g * (1 - y * y)])
    found = hypothesis.find(
        programs,
        _differs,
        settings=settings(max_examples=200, derandomize=True, database=None),
    )
    assert _differs(found) and len(found.steps) <= 2, "hypothesis shrinks it"


def _differs(program: Program) -> bool:
    with mg.kernels.use("numpy"):
        found, size, vs = slope_and_size(program)
        moved = [x + 1j * STEP * v for x, v in zip(program.arrays(), vs, strict=True)]
        with mg.no_grad():
            wanted = float(program.loss(leaves_at(moved)).data.imag) / STEP
    return abs(found - wanted) > 1e-10 * max(1.0, size, abs(wanted))
