"""Curvature without a Hessian matrix: products H v from gradients of gradients, extreme eigenvalues
from products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import engine


def hessian_product(loss: Any, weights: list[Any]) -> Callable[[np.ndarray], np.ndarray]:
    """v -> H v, H the Hessian of `loss` in all weights laid end to end: the gradient of <gradient,
    v> (Pearlmutter 1994).
    """
    gradients = engine.grad(loss, weights, create_graph=True)

    def product(v: np.ndarray) -> np.ndarray:
        parts = np.split(v, np.cumsum([w.size for w in weights])[:-1])
        terms = [
            (g * p.reshape(w.shape)).sum()
            for g, p, w in zip(gradients, parts, weights, strict=True)
        ]
        return np.concatenate(
            [h.ravel() for h in engine.grad(sum(terms[1:], start=terms[0]), weights)]
        )

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
