"""First values for weights.  Each is ``f(shape, rng, dtype=np.float64) -> array``; all randomness
comes from `rng`.

The numbers are drawn in float64 and rounded afterwards, so a float32 network starts as the rounded
float64 one. A weight of shape (..., in, out) takes `in` numbers to `out` numbers: fan-in is its
last but one axis, fan-out its last.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..arguments import demand_room_for, generator, real_dtype, real_number, sizes
from ..errors import ShapeError

Shape = tuple[int, ...]


def fans(shape: Shape) -> tuple[int, int]:
    """(fan-in, fan-out): how many numbers each output is made from, and how many each input goes
    to.
    """
    shape = _shape(shape)
    if len(shape) < 2 or 0 in shape:
        raise ShapeError(
            "this initialiser needs a weight that maps inputs to outputs",
            f"got shape {shape}, expected (..., in, out) with at least one of each",
            "use init.normal or init.zeros for other shapes",
        )
    return shape[-2], shape[-1]


def zeros(shape: Shape, rng: Any = None, dtype: Any = np.float64) -> np.ndarray:
    """All zeros; `rng` is not used."""
    demand_room_for(_shape(shape))
    return np.zeros(shape, real_dtype(dtype, "init.zeros"))


def normal(
    shape: Shape, rng: np.random.Generator, dtype: Any = np.float64, std: float = 0.02
) -> np.ndarray:
    """Normal with mean 0 and standard deviation `std`."""
    std = real_number(std, "init.normal: std", "[0, inf)", "e.g. std=0.02")
    return _draw("normal", shape, rng, dtype, std=std)


def xavier_uniform(shape: Shape, rng: np.random.Generator, dtype: Any = np.float64) -> np.ndarray:
    """Uniform with variance 2 / (fan-in + fan-out): for linear, tanh and sigmoid units (Glorot &
    Bengio 2010, eq. 16).
    """
    return _draw("xavier_uniform", shape, rng, dtype, bound=math.sqrt(6 / sum(fans(shape))))


def xavier_normal(shape: Shape, rng: np.random.Generator, dtype: Any = np.float64) -> np.ndarray:
    """Normal with variance 2 / (fan-in + fan-out) (Glorot & Bengio 2010, eq. 12)."""
    return _draw("xavier_normal", shape, rng, dtype, std=math.sqrt(2 / sum(fans(shape))))


def he_uniform(shape: Shape, rng: np.random.Generator, dtype: Any = np.float64) -> np.ndarray:
    """Uniform with variance 2 / fan-in: for ReLU units (He et al. 2015, eq. 10)."""
    return _draw("he_uniform", shape, rng, dtype, bound=math.sqrt(6 / fans(shape)[0]))


def he_normal(shape: Shape, rng: np.random.Generator, dtype: Any = np.float64) -> np.ndarray:
    """Normal with variance 2 / fan-in (He et al. 2015, eq. 10)."""
    return _draw("he_normal", shape, rng, dtype, std=math.sqrt(2 / fans(shape)[0]))


def orthogonal(shape: Shape, rng: np.random.Generator, dtype: Any = np.float64) -> np.ndarray:
    """A random matrix (in, out) with orthonormal rows or columns, whichever are fewer (Saxe,
    McClelland & Ganguli 2014).

    The Q of the QR decomposition of a normal matrix; with the signs of R's diagonal it is uniform
    over such matrices (Mezzadri 2007).
    """
    n_in, n_out = fans(shape)
    wanted = real_dtype(dtype, "init.orthogonal")
    if len(shape) != 2:
        raise ShapeError(
            "init.orthogonal makes one matrix",
            f"got shape {tuple(shape)}",
            "make one for each leading index",
        )
    tall = max(n_in, n_out), min(n_in, n_out)
    Q, R = np.linalg.qr(_draw("orthogonal", tall, rng, np.float64))
    Q = Q * np.where(np.diag(R) < 0, -1.0, 1.0)
    return np.ascontiguousarray(Q if n_in >= n_out else Q.T, wanted)


def _draw(
    name: str,
    shape: Shape,
    rng: Any,
    dtype: Any,
    *,
    std: float = 1.0,
    bound: float | None = None,
) -> np.ndarray:
    """Normal numbers of standard deviation `std`, or uniform ones in [-bound, bound]."""
    wanted = real_dtype(dtype, f"init.{name}")
    demand_room_for(_shape(shape))
    rng = generator(rng, f"init.{name}", "weights")
    drawn = rng.normal(0.0, std, shape) if bound is None else rng.uniform(-bound, bound, shape)
    return drawn.astype(wanted)


def _shape(shape: Any) -> Shape:
    return sizes(shape, "the shape of a weight", "e.g. (64, 32)", low=0)
