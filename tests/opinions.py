"""Second opinions on a random program: each judge computes in another way what the engine found,
and says how far apart the two are, in tolerances (up to 1 they agree).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import hypothesis
import numpy as np
from random_programs import Program

import minigrad_ae as mg
from minigrad_ae.ops import REGISTRY

STEP = 1e-30  # its square is lost beside 1: a complex step has no truncation error
CLOSE = 1e-10  # a few hundred roundings, each of which later steps enlarge a little
EPS32 = float(np.finfo(np.float32).eps)


def directions(arrays: list[np.ndarray]) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.standard_normal(x.shape) for x in arrays]


def leaves_at(arrays: list[np.ndarray]) -> list[mg.Tensor]:
    """Leaves that keep the layout of their array, which `mg.tensor` would make contiguous."""
    return [mg.Tensor.new(x, requires_grad=True) for x in arrays]


def moved(arrays: list[np.ndarray]) -> list[mg.Tensor]:
    """Leaves a complex step further."""
    pairs = zip(arrays, directions(arrays), strict=True)
    return leaves_at([x + 1j * STEP * v for x, v in pairs])


def slope_and_size(program: Program) -> tuple[float, float]:
    """<gradient, v>, and the sum of the sizes of its terms: what its roundings are relative to."""
    arrays = program.arrays()
    leaves = leaves_at(arrays)
    gradients = mg.grad(program.loss(leaves), leaves)
    terms = [g * v for g, v in zip(gradients, directions(arrays), strict=True)]
    return sum(float(t.sum()) for t in terms), sum(float(np.abs(t).sum()) for t in terms)


def hessian_vector_product(program: Program) -> list[np.ndarray]:
    arrays = program.arrays()
    leaves = leaves_at(arrays)
    slopes = mg.grad(program.loss(leaves), leaves, create_graph=True)
    pairs = zip(slopes, directions(arrays), strict=True)
    inner = sum(((g * v).sum() for g, v in pairs), mg.tensor(0.0))
    return list(mg.grad(inner, leaves)) if inner.requires_grad else [0 * x for x in arrays]


def apart(found: list[Any], wanted: list[Any], close: float) -> float:
    """The largest difference in units of `close` times the size of what is compared."""
    size = max([1.0, *(float(np.max(np.abs(b), initial=0)) for b in wanted)])
    pairs = zip(found, wanted, strict=True)
    far = [float(np.max(np.abs(a - b), initial=0)) for a, b in pairs if a.shape == b.shape]
    if len(far) < len(wanted):
        return np.inf
    return max(far) / (close * size) if np.all(np.isfinite(far)) else np.inf


# --- the judges -----------------------------------------------------------------------------------


def complex_step(program: Program) -> float:
    """The slope along v, which no rule of the engine takes part in."""
    with mg.kernels.use("numpy"):
        found, size = slope_and_size(program)
        with mg.no_grad():
            wanted = float(program.loss(moved(program.arrays())).data.imag) / STEP
    return abs(found - wanted) / (CLOSE * max(1.0, size, abs(wanted)))


def complex_step_of_the_gradient(program: Program) -> float:
    """A Hessian-vector product, in which no rule is differentiated."""
    with mg.kernels.use("numpy"):
        found, leaves = hessian_vector_product(program), moved(program.arrays())
        wanted = [g.imag / STEP for g in mg.grad(program.loss(leaves), leaves)]
    return apart(found, wanted, 10 * CLOSE)


def kernels(program: Program) -> float:
    """The slope with compiled kernels beside that of their NumPy definitions, where these arrays,
    however small, go to kernels.
    """
    twins = [op.twin for op in REGISTRY.values() if op.twin]
    bounds = [twin.smallest for twin in twins]
    try:
        for twin in twins:
            twin.smallest = 1
        found, size = slope_and_size(program)
    finally:
        for twin, bound in zip(twins, bounds, strict=True):
            twin.smallest = bound
    with mg.kernels.use("numpy"):
        wanted, _ = slope_and_size(program)
    return abs(found - wanted) / (CLOSE * max(1.0, size))


def compiled(program: Program) -> float:
    """`mg.compile` beside the tape, at leaves that move: 0 where all bits are equal, as promised.

    The first call is observed, the second compared, the third and fourth run alone.
    """
    leaves = leaves_at(program.arrays())
    step = mg.compile(lambda: program.loss(leaves))

    def value_and_gradients(function: Callable[[], Any], backward: bool) -> list[np.ndarray]:
        for leaf in leaves:
            leaf.grad = None
        loss = function()
        if backward:
            loss.backward()
        return [loss.data.copy(), *(leaf.grad for leaf in leaves)]

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # a step that stays on the tape says so
        for _ in range(4):
            wanted = value_and_gradients(lambda: program.loss(leaves), True)
            found = value_and_gradients(step, False)
            if any(a.tobytes() != b.tobytes() for a, b in zip(found, wanted, strict=True)):
                return np.inf
            for leaf in leaves:
                leaf.data = leaf.data * 1.01
    return 0.0 if step.program is not None else np.inf


def pytorch(program: Program) -> float:
    """Value, gradient and Hessian-vector product as PyTorch computes them."""
    import in_torch  # where PyTorch is installed

    arrays = program.arrays()
    first, second = in_torch.second_derivatives(program, directions(arrays))
    found = value_and_gradients(program, arrays)
    return max(
        apart(found, first, CLOSE), apart(hessian_vector_product(program), second, 10 * CLOSE)
    )


# --- float32 --------------------------------------------------------------------------------------

SAMPLES, ROUNDINGS, MARGIN = 4, 4, 12


def value_and_gradients(program: Program, arrays: list[np.ndarray]) -> list[np.ndarray]:
    leaves = leaves_at(arrays)
    loss = program.loss(leaves)
    return [loss.data, *mg.grad(loss, leaves)]


@contextmanager
def rounded_at_random(rng: np.random.Generator) -> Iterator[None]:
    """Every result of an op and of a rule is off by up to `ROUNDINGS` roundings of float32."""

    def off(function: Callable[..., Any]) -> Callable[..., Any]:
        def rounded(*args: Any, **params: Any) -> Any:
            y = np.asarray(function(*args, **params))
            return y * (1 + ROUNDINGS * EPS32 * rng.uniform(-1, 1, y.shape))

        return rounded

    kept = [(op, op.forward, op.vjps) for op in REGISTRY.values()]
    try:
        for op, forward, vjps in kept:
            op.forward, op.vjps = off(forward), [rule and off(rule) for rule in vjps]
        yield
    finally:
        for op, forward, vjps in kept:
            op.forward, op.vjps = forward, vjps


def float32(program: Program) -> float:
    """Value and gradient in float32 beside those in float64, from the same leaves.

    An op that is backward stable gives the exact result of arguments that are off by a few
    roundings.  So the error to be expected is the spread of the float64 run when all results, in
    both passes, are off by so many roundings at random (Monte Carlo arithmetic: Parker, 1997). It
    is the larger the worse the program's condition is.  The largest of `SAMPLES` spreads times
    `MARGIN` is allowed: four samples of about the same law are all below a twelfth of a fifth one
    in less than one case in 10,000.
    """
    low = [x.astype(np.float32) for x in program.arrays()]
    found = value_and_gradients(program, low)
    if any(a.dtype != np.float32 for a in found):
        return np.inf
    high = [x.astype(np.float64) for x in low]
    with mg.kernels.use("numpy"):
        wanted = value_and_gradients(program, high)
        spread = [EPS32 * max(1.0, float(np.max(np.abs(b), initial=0))) for b in wanted]
        for k in range(SAMPLES):
            with rounded_at_random(np.random.default_rng([12, k])):
                sample = value_and_gradients(program, high)
            for i, (a, b) in enumerate(zip(sample, wanted, strict=True)):
                spread[i] = max(spread[i], float(np.max(np.abs(a - b), initial=0)))
    errors = [np.max(np.abs(a - b), initial=0) for a, b in zip(found, wanted, strict=True)]
    return max(float(e) / (MARGIN * s) for e, s in zip(errors, spread, strict=True))


JUDGES: dict[str, Callable[[Program], float]] = {
    "complex step": complex_step,
    "complex step of the gradient": complex_step_of_the_gradient,
    "kernels": kernels,
    "compiled": compiled,
    "float32": float32,
    "PyTorch": pytorch,
}


def always_the_same(n: int) -> hypothesis.settings:
    """`n` programs."""
    return hypothesis.settings(
        max_examples=n,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
