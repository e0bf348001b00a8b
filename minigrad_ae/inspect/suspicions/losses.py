"""Losses that are computed without an error, and are not the loss that was meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from ...autodiff.graph import Value
from .question import Answers, suspicion
from .scene import Scene, ancestors, array_of

ELEMENTWISE = {
    "add",
    "sub",
    "mul",
    "div",
    "neg",
    "exp",
    "square",
    "power",
    "expm1",
    "exp_remainder",
}
LINEAR = {"add", "sub", "neg", "mul", "div", "reshape", "sum"}
IS_KL = re.compile(r"(^|[._])(kl|kld|kl_\w+|divergence)(_\d+)?$", re.IGNORECASE)
IS_TARGET = re.compile(r"(^|[._])(targets?|teacher|labels?|y_true|truth)(_\d+)?$", re.IGNORECASE)
COMPARED = {"sub", "half_squared_error", "bernoulli_loss"}
NATS = 25.0  # a unit that says so much has sigma^2 = 50, or a mean of 7 standard deviations
NATS_OF_A_ROW = 1000.0
PATHS = 1000  # from the loss down to its sums; of more, the first


# --- averages -------------------------------------------------------------------------------------


@suspicion(
    "a loss averaged twice",
    "divide once, by the number of rows: mean() has done it, and so does mg.train.fit",
)
def averaged_twice(scene: Scene) -> Answers:
    """A sum of E terms that is divided by n E, n the rows of the batch (or by half or twice that:
    a factor 1/2 belongs to many losses).
    """
    n = 0 if scene.batch is None else len(scene.batch)
    for v, divisor, terms in averages(scene.loss) if n > 2 else ():
        # a sum over fewer terms than rows was not one over rows
        if terms and terms % n == 0 and divisor / terms in (n, n / 2, 2 * n):
            reason = f"a sum of {terms:,} terms is divided by {divisor:,.0f}: by {n} once too often"
            yield reason, scene.at(v)


def averages(loss: Value) -> Iterator[tuple[Value, float, int]]:
    """(last division, product of all divisors, terms) of each sum that goes linearly into
    the loss.
    """
    waiting: list[tuple[Value, float, int, Any]] = [(loss, 1.0, 1, None)]
    for _ in range(PATHS):
        if not waiting:
            return
        v, divisor, terms, last = waiting.pop()
        name = v.op.name if v.op is not None else ""
        if name == "div" and divided(v):
            divisor, last = divisor * float(array_of(v.arrays[1])), last or v
        elif name == "sum" and v._data.size:
            terms *= v.inputs[0]._data.size // v._data.size
        elif name not in LINEAR or (name in ("mul", "div") and len(v.edges) > 1):
            if name == "half_squared_error" or name == "bernoulli_loss":
                terms *= v.arrays[0].size
            if last is not None and name and (v._data.size > 1 or name in COMPARED):
                yield last, divisor, terms
            continue
        waiting += [(x, divisor, terms, last) for _, x in v.edges]


def divided(v: Value) -> bool:
    """Whether it is divided by a whole number, as an average is."""
    n = array_of(v.arrays[1])
    return (
        len(v.edges) == 1 and v.edges[0][0] == 0 and np.size(n) == 1 and float(n) > 1 and n % 1 == 0
    )


# --- a KL divergence ------------------------------------------------------------------------------


@suspicion(
    "an impossible KL divergence",
    "KL(N(mu, sigma^2) || N(0, 1)) = 1/2 sum (sigma^2 + mu^2 - 1 - ln sigma^2), with ln sigma^2 = "
    "log_var: is it log_var that the encoder says, and is the sign right?",
)
def impossible_kl(scene: Scene) -> Answers:
    """A KL divergence below 0, or of thousands of nats."""
    for v in scene.made:
        named = v._data.ndim < 2 and bool(IS_KL.search(scene.name(v)))
        if named and np.min(v._data, initial=0.0) < -1e-6:
            yield (
                f"{scene.name(v)} is {np.min(v._data):,.4g}, and a KL is never negative",
                scene.at(v),
            )
            continue
        shape = latent_shape(v)
        if not shape:
            continue
        nats, units = abs(float(np.sum(v._data))), int(np.prod(shape))
        rows = units // shape[-1]
        if nats > NATS * units or nats > NATS_OF_A_ROW * rows:
            each = f"{nats / units:,.4g} for each of {units // rows} units"
            yield f"{scene.name(v)} is {nats:,.0f} nats for {rows} rows, {each}", scene.at(v)


def latent_shape(v: Value) -> tuple[int, ...]:
    """The shape of log_var, where `v` adds up mu^2, e^log_var and log_var itself; () where not."""
    if v.op.name == "gaussian_kl":
        return np.broadcast_shapes(*(np.shape(x) for x in v.arrays[:2]))
    if v.op.name != "sum" or v._data.size > v.inputs[0]._data.size:
        return ()
    region, waiting = dict[Value, None](), [v.inputs[0]]
    while waiting:
        x = waiting.pop()
        if x.op is not None and x.op.name in ELEMENTWISE and x not in region:
            region[x] = None
            waiting += [y for _, y in x.edges]
    squared = any(is_square(x) for x in region)
    exponents = [x.inputs[0] for x in region if x.op.name == "exp"]
    users = [x for x in region if x.op.name in ("add", "sub", "neg", "mul")]
    for log_var in exponents:
        if squared and any(y is log_var for x in users for y in x.inputs):
            shape: tuple[int, ...] = np.shape(array_of(log_var))
            return shape
    return ()


def is_square(x: Value) -> bool:
    """x * x, x ** 2 or square(x)."""
    product = x.op.name == "mul" and x.inputs[0] is x.inputs[1]
    power = x.op.name == "power" and np.all(x.arrays[1] == 2)
    return x.op.name == "square" or product or bool(power)


# --- a target -------------------------------------------------------------------------------------


@suspicion(
    "a target that is not detached",
    "what is aimed at must hold still: target.detach(), or compute it under mg.no_grad()",
)
def trained_target(scene: Scene) -> Answers:
    """Something called a target, that learns to be met."""
    for v in scene.made:
        if v.op.name not in COMPARED:
            continue
        for i, x in v.edges:
            other = v.inputs[1 - i]
            both = isinstance(other, Value) and other.requires_grad
            if x.op is not None and both and aimed_at(scene, v, i, x, other):
                known = ", ".join(scene.name(y) for y in leaves_of(x)[:3])
                yield f"{scene.named(x)} sends a gradient to {known}", scene.at(v)


def aimed_at(scene: Scene, v: Value, i: int, x: Value, other: Any) -> bool:
    """Whether input `x` of a difference is a target: by its name, or as the op's, if what is
    compared with it is made of the same parameters.
    """
    if IS_TARGET.search(scene.name(x)):
        return True
    if v.op.argument(i) != "target":
        return False
    mine, theirs = ({id(y) for y in leaves_of(z)} for z in (x, other))
    return bool(mine & theirs) and all(type(y).__name__ == "Parameter" for y in leaves_of(x))


def leaves_of(x: Value) -> list[Value]:
    """The leaves that a value was computed from."""
    return [y for y in ancestors(x) if y.op is None]
