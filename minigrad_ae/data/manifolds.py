"""Curved data with a known shape: points on a curve or a surface, where one or two numbers say
everything.

Each returns (X (n, D), t): the points, and where they are on the manifold.  Without `rng` they lie
on an even grid; with it they are drawn at random, uniformly in t.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arguments import generator, real_number, whole_number

Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def parabola(n: int = 201, rng: np.random.Generator | None = None) -> Points:
    """x = (t, t^2), t (n,) in [-1, 1]: D = 2, one dimension, and no line goes through it."""
    t = _numbers(n, rng)
    return np.stack([t, t**2], axis=1), t


def helix(n: int = 301, turns: float = 1.0, rng: np.random.Generator | None = None) -> Points:
    """x = (cos a, sin a, t), a = turns pi t, t (n,) in [-1, 1]: a screw in D = 3, one dimension."""
    turns = real_number(turns, "helix: turns", "(-inf, inf)", "1 goes round once")
    t = _numbers(n, rng)
    angle = turns * np.pi * t
    return np.stack([np.cos(angle), np.sin(angle), t], axis=1), t


def arch(n: int = 21, rng: np.random.Generator | None = None) -> Points:
    """x = (u, v, u^2 - v^2 / 2), t = (u, v) (n * n, 2) in [-1, 1]^2: a saddle surface in D = 3, two
    dimensions.
    """
    side = _numbers(n, None)
    if rng is None:
        u, v = (grid.ravel() for grid in np.meshgrid(side, side, indexing="ij"))
    else:
        u, v = (_numbers(n * n, rng) for _ in range(2))
    return np.stack([u, v, u**2 - v**2 / 2], axis=1), np.stack([u, v], axis=1)


def _numbers(n: int, rng: np.random.Generator | None) -> NDArray[np.float64]:
    """n numbers in [-1, 1]: an even grid, or drawn at random."""
    what = "a manifold needs at least two points"
    whole_number(n, "n", "pass n=2 or more", low=2, what=what, where=f"got n={n}")
    if rng is None:
        return np.linspace(-1.0, 1.0, n)
    return generator(rng, "manifolds", "points at random").uniform(-1.0, 1.0, n)
