"""Curved data with a known shape: points on a curve or a surface, where one or two numbers say
everything.

Each returns (X (n, D), t): the points, and where they are on the manifold.  Without `rng` they lie
on an even grid; with it they are drawn at random, uniformly in t.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..arguments import generator, real_number, whole_number
from ..room import demand_room_for

Points = tuple[NDArray[np.float64], NDArray[np.float64]]


def parabola(n: int = 201, rng: np.random.Generator | None = None) -> Points:
    """Points on a parabola in the plane, x = (t, t^2).

    One dimension, and no line goes through it.

    Parameters
    ----------
    n : int, optional
        How many points, at least 2.
    rng : numpy.random.Generator, optional
        Draws t uniformly; without it t is an even grid.

    Returns
    -------
    X : ndarray, (n, 2)
        The points.
    t : ndarray, (n,)
        Where they are on the curve, in [-1, 1].

    Raises
    ------
    DataError, DtypeError
        For an `n` below 2 or not whole, and an `rng` that is not a Generator.

    Examples
    --------
    >>> X, t = mg.data.parabola(3)
    >>> X.tolist()
    [[-1.0, 1.0], [0.0, 0.0], [1.0, 1.0]]
    """
    t = _numbers(n, rng)
    return np.stack([t, t**2], axis=1), t


def helix(n: int = 301, turns: float = 1.0, rng: np.random.Generator | None = None) -> Points:
    """Points on a screw in space, x = (cos a, sin a, t) with a = turns pi t.

    One dimension in D = 3.

    Parameters
    ----------
    n : int, optional
        How many points, at least 2.
    turns : float, optional
        How often it goes round from one end to the other.
    rng : numpy.random.Generator, optional
        Draws t uniformly; without it t is an even grid.

    Returns
    -------
    X : ndarray, (n, 3)
        The points.
    t : ndarray, (n,)
        Where they are on the curve, in [-1, 1].

    Raises
    ------
    DataError, DtypeError
        For an `n` below 2 or not whole, `turns` that are not finite, and an `rng` that is not a
        Generator.

    Examples
    --------
    Every point is at distance 1 from the axis, and the ends of one turn lie above one another:

    >>> X, t = mg.data.helix(101)
    >>> bool(np.allclose(np.hypot(X[:, 0], X[:, 1]), 1)), bool(np.allclose(X[0, :2], X[-1, :2]))
    (True, True)
    """
    turns = real_number(turns, "helix: turns", "(-inf, inf)", "1 goes round once")
    t = _numbers(n, rng)
    angle = turns * np.pi * t
    return np.stack([np.cos(angle), np.sin(angle), t], axis=1), t


def arch(n: int = 21, rng: np.random.Generator | None = None) -> Points:
    """Points on a saddle surface in space, x = (u, v, u^2 - v^2 / 2).

    Two dimensions in D = 3.

    Parameters
    ----------
    n : int, optional
        n * n points, n at least 2.
    rng : numpy.random.Generator, optional
        Draws u and v uniformly; without it they are an even grid.

    Returns
    -------
    X : ndarray, (n * n, 3)
        The points.
    t : ndarray, (n * n, 2)
        Where they are on the surface, (u, v) in [-1, 1]^2.

    Raises
    ------
    DataError, DtypeError
        For an `n` below 2 or not whole, and an `rng` that is not a Generator.

    Examples
    --------
    >>> X, t = mg.data.arch(3)
    >>> X[0].tolist(), t[0].tolist()
    ([-1.0, -1.0, 0.5], [-1.0, -1.0])
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
    demand_room_for((n, 3))
    if rng is None:
        return np.linspace(-1.0, 1.0, n)
    return generator(rng, "manifolds", "points at random").uniform(-1.0, 1.0, n)
