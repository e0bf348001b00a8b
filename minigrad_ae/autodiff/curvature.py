"""Second derivatives: `jacobian`, `hessian`, and products H v that need no Hessian matrix.

A gradient of a gradient is a Hessian times a vector: d<dL/dx, v>/dx = H v (Pearlmutter 1994).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..arguments import plain
from ..errors import DtypeError, ShapeError
from . import engine
from .graph import Value
from .messages import constant


def jacobian(y: Any, xs: Any) -> Any:
    """dy/dx, element by element.

    Parameters
    ----------
    y : Tensor or callable
        A tensor of any shape; or a function of as many tensors as there are `xs` that returns one.
    xs : Tensor, array_like, or a sequence of them
        Where it is taken. For a function, arrays become leaves of its own; of a tensor y they are
        leaves.

    Returns
    -------
    ndarray, or tuple of ndarray
        ``(*y.shape, *x.shape)``, element [i, j] is dy_i/dx_j; a tuple for a sequence of xs.

    Raises
    ------
    DtypeError
        If y is not a tensor, nor a function that returns one.

    Notes
    -----
    One backward pass for each element of y.

    Examples
    --------
    >>> mg.jacobian(lambda x: x**2, [1.0, 2.0, 3.0]).tolist()
    [[2.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 6.0]]
    """
    y, leaves, single = _prepared("jacobian", y, xs)
    rows, found = _rows(y, leaves), []
    for k, x in enumerate(leaves):
        column = np.array([row[k] for row in rows], x._data.dtype)
        found.append(column.reshape((*y._data.shape, *x._data.shape)))
    return found[0] if single else tuple(found)


def hessian(loss: Any, xs: Any) -> Any:
    """The second derivatives of a scalar.

    Parameters
    ----------
    loss : Tensor or callable
        A scalar; or a function of as many tensors as there are `xs` that returns one.
    xs : Tensor, array_like, or a sequence of them
        Where they are taken, as in `jacobian`.

    Returns
    -------
    ndarray, or tuple of tuples of ndarray
        ``(*x.shape, *x.shape)``; for a sequence blocks ``H[i][j]`` of shape
        ``(*x_i.shape, *x_j.shape)``.

    Raises
    ------
    DtypeError
        If the loss is not a tensor, nor a function that returns one.
    GradientError
        If the loss is not a scalar.

    Notes
    -----
    One gradient of a gradient for each element of the xs: for large ones see `hvp`.

    Examples
    --------
    >>> mg.hessian(lambda x: (x**3).sum() / 6, [1.0, 2.0]).tolist()
    [[1.0, 0.0], [0.0, 2.0]]
    """
    loss, leaves, single = _prepared("hessian", loss, xs)
    gradients = engine.grad(loss, leaves, create_graph=True)
    blocks = tuple(jacobian(g, leaves) for g in gradients)
    return blocks[0][0] if single else blocks


def hvp(loss: Any, xs: Any, v: Any) -> Any:
    """The Hessian of a scalar times v, without the Hessian: the gradient of <gradient, v>.

    Parameters
    ----------
    loss : Tensor or callable
        A scalar; or a function of as many tensors as there are `xs` that returns one.
    xs : Tensor, array_like, or a sequence of them
        Where it is taken, as in `jacobian`.
    v : array_like, or a sequence of them
        Of the shapes of the xs.

    Returns
    -------
    ndarray, or tuple of ndarray
        H v, of the shape of x; a tuple for a sequence of xs.

    Raises
    ------
    ShapeError
        If v has other shapes than the xs.
    DtypeError
        If the loss is not a tensor, nor a function that returns one.
    GradientError
        If the loss is not a scalar.

    References
    ----------
    Pearlmutter (1994), Fast exact multiplication by the Hessian, Neural Computation 6:147-160.

    Examples
    --------
    >>> mg.hvp(lambda x: (x**3).sum() / 6, [1.0, 2.0], [1.0, 1.0]).tolist()
    [1.0, 2.0]
    """
    loss, leaves, single = _prepared("hvp", loss, xs)
    vs = [plain(each, "hvp: v") for each in ([v] if single else v)]
    shapes = [x._data.shape for x in leaves]
    if [each.shape for each in vs] != shapes:
        raise ShapeError(
            "hvp: v must have the shapes of the xs",
            f"got {[each.shape for each in vs]}, expected {shapes}",
            "pass one array for each x",
        )
    gradients = engine.grad(loss, leaves, create_graph=True)
    slope = _inner(gradients, vs)
    found = engine.grad(slope, leaves)
    return found[0] if single else found


def _prepared(name: str, y: Any, xs: Any) -> tuple[Any, list[Any], bool]:
    """(y as a tensor, the leaves, whether there is one only)."""
    of_function = callable(y) and not isinstance(y, Value)
    many = isinstance(xs, list | tuple) and any(isinstance(x, Value | np.ndarray) for x in xs)
    leaves = list(xs) if many else [xs]
    if of_function:
        leaves = [_leaf(f"{name}: xs", x) for x in leaves]
        y = y(*leaves)
    for each in (y, *leaves):
        if not isinstance(each, Value):
            raise DtypeError(
                f"{name}: a tensor is needed",
                f"got a {type(each).__name__}",
                f"{name}(y, x) with tensors, or {name}(function, x) with a function of tensors",
            )
    return y, leaves, not many


def _leaf(what: str, x: Any) -> Any:
    """A leaf of its own with the numbers of x, float32 or float64."""
    array = x._data if isinstance(x, Value) else constant(what, x, "biuf")
    dtype = array.dtype if array.dtype.kind == "f" else np.dtype(np.float64)
    return Value.result_class.new(np.array(array, dtype, order="C"), requires_grad=True)


def _rows(y: Any, leaves: list[Any]) -> list[tuple[np.ndarray, ...]]:
    """The gradients of each element of y, in order."""
    rows = []
    for k in range(y._data.size):
        unit = np.zeros(y._data.size, y._data.dtype)
        unit[k] = 1
        rows.append(engine.grad(y, leaves, gradient=unit.reshape(y._data.shape)))
    return rows


def _inner(gradients: Any, vs: Any) -> Any:
    """<gradient, v>, summed over all leaves."""
    terms = [(g * v).sum() for g, v in zip(gradients, vs, strict=True)]
    return sum(terms[1:], start=terms[0])


def hessian_product(loss: Any, weights: list[Any]) -> Callable[[np.ndarray], np.ndarray]:
    """v -> H v, H the Hessian of `loss` in all weights laid end to end: the gradient of <gradient,
    v> (Pearlmutter 1994).
    """
    gradients = engine.grad(loss, weights, create_graph=True)

    def product(v: np.ndarray) -> np.ndarray:
        parts = np.split(v, np.cumsum([w.size for w in weights])[:-1])
        vs = [part.reshape(w.shape) for part, w in zip(parts, weights, strict=True)]
        products = engine.grad(_inner(gradients, vs), weights)
        return np.concatenate([h.ravel() for h in products])

    return product


def extreme_curvatures(product: Any, n: int, steps: int = 80, seed: int = 0) -> tuple[float, float]:
    """(smallest, largest) eigenvalue of a symmetric n x n matrix, given only v -> H v, by Lanczos
    (Golub & Van Loan 10.1).

    Full re-orthogonalisation; exact for n <= steps, and otherwise from inside: never below the
    smallest.
    """
    v = np.random.default_rng(seed).standard_normal(n)
    basis = [v / np.linalg.norm(v)]
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(min(steps, n)):
        w = product(basis[-1])
        diagonal.append(float(w @ basis[-1]))
        Q = np.array(basis)
        w = w - Q.T @ (Q @ w)
        w = w - Q.T @ (Q @ w)
        size = float(np.linalg.norm(w))
        if size <= 1e-10 * max(1e-300, np.abs(diagonal).max()) or len(diagonal) == min(steps, n):
            break
        beside.append(size)
        basis.append(w / size)
    beside = beside[: len(diagonal) - 1]
    values = np.linalg.eigvalsh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    return float(values[0]), float(values[-1])
