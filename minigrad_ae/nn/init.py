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

from ..arguments import generator, real_dtype, real_number, sizes
from ..errors import ShapeError
from ..room import demand_room_for

Shape = tuple[int, ...]


def fans(shape: Shape) -> tuple[int, int]:
    """How many numbers each output is made from, and how many each input goes to.

    Parameters
    ----------
    shape : tuple of int, (..., in, out)
        Of a weight.

    Returns
    -------
    fan_in : int
        The last but one number of the shape.
    fan_out : int
        The last.

    Raises
    ------
    ShapeError
        For a shape with fewer than two axes, or without inputs or outputs.

    Examples
    --------
    >>> mg.nn.init.fans((64, 32))
    (64, 32)
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
    """All zeros.

    Parameters
    ----------
    shape : tuple of int
        Any shape.
    rng : object, optional
        Not used.
    dtype : dtype, optional
        float32 or float64.

    Returns
    -------
    ndarray
        Zeros in this shape.

    Raises
    ------
    DtypeError
        For other dtypes.

    Examples
    --------
    >>> mg.nn.init.zeros((2,)).tolist()
    [0.0, 0.0]
    """
    demand_room_for(_shape(shape))
    return np.zeros(shape, real_dtype(dtype, "init.zeros"))


def normal(
    shape: Shape, rng: np.random.Generator, dtype: Any = np.float64, std: float = 0.02
) -> np.ndarray:
    """Normal numbers of mean 0.

    Parameters
    ----------
    shape : tuple of int
        Any shape.
    rng : numpy.random.Generator
        What is drawn from.
    dtype : dtype, optional
        float32 or float64; drawn in float64 and rounded afterwards.
    std : float, optional
        Their standard deviation, at least 0.

    Returns
    -------
    ndarray
        Normal numbers in this shape.

    Raises
    ------
    DataError
        For a negative `std`.
    DtypeError
        For a missing `rng` and for other dtypes.

    Examples
    --------
    >>> W = mg.nn.init.normal((100, 100), np.random.default_rng(0), std=3.0)
    >>> bool(abs(W.std() - 3) < 0.1)
    True
    """
    std = real_number(std, "init.normal: std", "[0, inf)", "e.g. std=0.02")
    return _draw("normal", shape, rng, dtype, std=std)


def xavier_uniform(shape: Shape, rng: np.random.Generator, dtype: Any = np.float64) -> np.ndarray:
    """Uniform numbers of variance 2 / (fan-in + fan-out).

    For linear, tanh and sigmoid units: signals keep their size forwards and backwards.

    Parameters
    ----------
    shape : tuple of int, (..., in, out)
        A weight that takes `in` numbers (the fan-in) to `out` numbers (the fan-out).
    rng : numpy.random.Generator
        What is drawn from.
    dtype : dtype, optional
        float32 or float64; drawn in float64 and rounded afterwards.

    Returns
    -------
    ndarray, (..., in, out)
        Numbers in [-b, b] with b = sqrt(6 / (fan-in + fan-out)).

    Raises
    ------
    ShapeError
        For a shape with fewer than two axes, or without inputs or outputs.
    DtypeError
        For a missing `rng` and for other dtypes.

    References
    ----------
    Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural
    networks, eq. 16.

    Examples
    --------
    >>> W = mg.nn.init.xavier_uniform((100, 200), np.random.default_rng(0))
    >>> round(float(W.var() * 150), 1)
    1.0
    """
    return _draw("xavier_uniform", shape, rng, dtype, bound=math.sqrt(6 / sum(fans(shape))))


def xavier_normal(shape: Shape, rng: np.random.Generator, dtype: Any = np.float64) -> np.ndarray:
    """Normal numbers of variance 2 / (fan-in + fan-out).

    Parameters
    ----------
    shape : tuple of int, (..., in, out)
        A weight that takes `in` numbers (the fan-in) to `out` numbers (the fan-out).
    rng : numpy.random.Generator
        What is drawn from.
    dtype : dtype, optional
        float32 or float64; drawn in float64 and rounded afterwards.

    Returns
    -------
    ndarray, (..., in, out)
        Normal numbers of mean 0.

    Raises
    ------
    ShapeError
        For a shape with fewer than two axes, or without inputs or outputs.
    DtypeError
        For a missing `rng` and for other dtypes.

    References
    ----------
    Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural
    networks, eq. 12.

    Examples
    --------
    >>> W = mg.nn.init.xavier_normal((100, 200), np.random.default_rng(0))
    >>> round(float(W.var() * 150), 1)
    1.0
    """
    return _draw("xavier_normal", shape, rng, dtype, std=math.sqrt(2 / sum(fans(shape))))


def he_uniform(shape: Shape, rng: np.random.Generator, dtype: Any = np.float64) -> np.ndarray:
    """Uniform numbers of variance 2 / fan-in: for ReLU units.

    Parameters
    ----------
    shape : tuple of int, (..., in, out)
        A weight that takes `in` numbers (the fan-in) to `out` numbers (the fan-out).
    rng : numpy.random.Generator
        What is drawn from.
    dtype : dtype, optional
        float32 or float64; drawn in float64 and rounded afterwards.

    Returns
    -------
    ndarray, (..., in, out)
        Numbers in [-b, b] with b = sqrt(6 / fan-in).

    Raises
    ------
    ShapeError
        For a shape with fewer than two axes, or without inputs or outputs.
    DtypeError
        For a missing `rng` and for other dtypes.

    References
    ----------
    He et al. (2015), Delving deep into rectifiers, eq. 10.

    Examples
    --------
    >>> W = mg.nn.init.he_uniform((100, 200), np.random.default_rng(0))
    >>> round(float(W.var() * 50), 1)
    1.0
    """
    return _draw("he_uniform", shape, rng, dtype, bound=math.sqrt(6 / fans(shape)[0]))


def he_normal(shape: Shape, rng: np.random.Generator, dtype: Any = np.float64) -> np.ndarray:
    """Normal numbers of variance 2 / fan-in: for ReLU units.

    Parameters
    ----------
    shape : tuple of int, (..., in, out)
        A weight that takes `in` numbers (the fan-in) to `out` numbers (the fan-out).
    rng : numpy.random.Generator
        What is drawn from.
    dtype : dtype, optional
        float32 or float64; drawn in float64 and rounded afterwards.

    Returns
    -------
    ndarray, (..., in, out)
        Normal numbers of mean 0.

    Raises
    ------
    ShapeError
        For a shape with fewer than two axes, or without inputs or outputs.
    DtypeError
        For a missing `rng` and for other dtypes.

    References
    ----------
    He et al. (2015), Delving deep into rectifiers, eq. 10.

    Examples
    --------
    >>> W = mg.nn.init.he_normal((100, 200), np.random.default_rng(0))
    >>> round(float(W.var() * 50), 1)
    1.0
    """
    return _draw("he_normal", shape, rng, dtype, std=math.sqrt(2 / fans(shape)[0]))


def orthogonal(shape: Shape, rng: np.random.Generator, dtype: Any = np.float64) -> np.ndarray:
    """A random matrix with orthonormal rows or columns, whichever are fewer.

    Parameters
    ----------
    shape : (int, int)
        (in, out).
    rng : numpy.random.Generator
        What is drawn from.
    dtype : dtype, optional
        float32 or float64; computed in float64 and rounded afterwards.

    Returns
    -------
    ndarray, (in, out)
        Q Qᵀ = 1 where out is larger, else Qᵀ Q = 1.

    Raises
    ------
    ShapeError
        For a shape that is not that of a matrix.
    DtypeError
        For a missing `rng` and for other dtypes.

    Notes
    -----
    The Q of the QR decomposition of a normal matrix; with the signs of R's diagonal it is uniform
    over such matrices (Mezzadri 2007).

    References
    ----------
    Saxe, McClelland & Ganguli (2014), Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks.
    Mezzadri (2007), How to generate random matrices from the classical compact groups.

    Examples
    --------
    >>> Q = mg.nn.init.orthogonal((5, 3), np.random.default_rng(0))
    >>> bool(np.allclose(Q.T @ Q, np.eye(3)))
    True
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
    return np.asarray(drawn, wanted)


def _shape(shape: Any) -> Shape:
    return sizes(shape, "the shape of a weight", "e.g. (64, 32)", low=0)
