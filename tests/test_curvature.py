"""Jacobians and Hessians against closed forms and against each other."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae.autodiff import curvature
from minigrad_ae.errors import DtypeError, GradientError, ShapeError

EPS = float(np.finfo(float).eps)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def test_the_jacobian_of_a_linear_map_is_its_matrix():
    A, x = random(4, 3), random(3, seed=1)
    J = mg.jacobian(lambda t: A @ t, x)
    np.testing.assert_allclose(J, A, rtol=4 * EPS)
    X = random(2, 3, seed=2)  # (2, 3) @ (3, 4): dY[n, m] / dX[k, j] = [n = k] A[m, j]
    J = mg.jacobian(lambda t: t @ A.T, X)
    assert J.shape == (2, 4, 2, 3)
    np.testing.assert_allclose(J, np.einsum("nk,mj->nmkj", np.eye(2), A), rtol=4 * EPS)


def test_the_jacobian_of_a_softmax():
    x = random(5)
    y = np.exp(x - x.max()) / np.exp(x - x.max()).sum()
    wanted = np.diag(y) - np.outer(y, y)
    np.testing.assert_allclose(mg.jacobian(mg.softmax, x), wanted, rtol=0, atol=8 * EPS)


def test_several_inputs_give_a_tuple_and_tensors_are_their_own_leaves():
    a = mg.tensor(random(3), requires_grad=True)
    b = mg.tensor(random(3, seed=1), requires_grad=True)
    Ja, Jb = mg.jacobian(a * b, (a, b))
    np.testing.assert_array_equal(Ja, np.diag(b.data))
    np.testing.assert_array_equal(Jb, np.diag(a.data))
    assert a.grad is None and b.grad is None
    unrelated = mg.tensor(1.0, requires_grad=True)
    assert mg.jacobian(a * b, unrelated).tolist() == [0, 0, 0]


def quadratic(A: np.ndarray):
    return lambda x: 0.5 * (x * (A @ x)).sum()


def test_the_hessian_of_a_quadratic_form_is_its_symmetric_part():
    A, x, v = random(4, 4), random(4, seed=1), random(4, seed=2)
    wanted = (A + A.T) / 2
    np.testing.assert_allclose(mg.hessian(quadratic(A), x), wanted, rtol=0, atol=16 * EPS)
    found = mg.hvp(quadratic(A), x, v)
    np.testing.assert_allclose(found, wanted @ v, rtol=0, atol=64 * EPS)


def test_blocks_of_a_hessian():
    """L = 1/2 |x W|^2, x (3,), W (3, 2): d2L/dx dx = W W^T; one mixed block is the other's."""
    x, W = random(3), random(3, 2, seed=1)
    H = mg.hessian(lambda t, w: 0.5 * mg.square(t @ w).sum(), (x, W))
    np.testing.assert_allclose(H[0][0], W @ W.T, rtol=0, atol=16 * EPS)
    assert H[0][1].shape == (3, 3, 2) and H[1][0].shape == (3, 2, 3)
    z = x @ W
    wanted = np.einsum("ij,a->ija", np.eye(3), z) + np.einsum("ia,j->ija", W, x)
    np.testing.assert_allclose(H[0][1], wanted, rtol=0, atol=16 * EPS)
    np.testing.assert_allclose(H[1][0], np.moveaxis(H[0][1], 0, -1), rtol=0, atol=16 * EPS)
    vx, vW = random(3, seed=2), random(3, 2, seed=3)
    px, pW = mg.hvp(lambda t, w: 0.5 * mg.square(t @ w).sum(), (x, W), (vx, vW))
    direct = H[0][0] @ vx + np.tensordot(H[0][1], vW, 2)
    np.testing.assert_allclose(px, direct, rtol=0, atol=256 * EPS)
    np.testing.assert_allclose(pW, H[1][0] @ vx + np.tensordot(H[1][1], vW, 2), atol=256 * EPS)


def test_numbers_among_several_inputs():
    a, b = mg.tensor(2.0, requires_grad=True), mg.tensor([1.0, 3.0], requires_grad=True)
    blocks = mg.hessian((a * b * b).sum(), [a, b])
    assert blocks[0][0].shape == () and blocks[0][0].tolist() == 0.0
    assert blocks[0][1].tolist() == blocks[1][0].tolist() == [2.0, 6.0]
    assert mg.jacobian(a * a, a).tolist() == 4.0


def test_the_hessian_of_a_loss_in_its_parameters():
    model = mg.models.LinearAutoencoder(4, 2, bias=False, rng=np.random.default_rng(0))
    X = random(9, 4)
    H = mg.hessian(model.loss(X), model.parameters())
    n = [p.size for p in model.parameters()]
    whole = np.block([[H[i][j].reshape(n[i], n[j]) for j in range(2)] for i in range(2)])
    np.testing.assert_allclose(whole, whole.T, rtol=0, atol=1e-12)
    product = curvature.hessian_product(model.loss(X), model.parameters())
    v = random(sum(n), seed=1)
    np.testing.assert_allclose(whole @ v, product(v), rtol=0, atol=1e-11)


def test_a_loss_without_curvature_has_a_hessian_of_zeros():
    assert mg.hessian(lambda x: x.sum(), [1.0, 2.0]).tolist() == [[0, 0], [0, 0]]
    assert mg.hvp(lambda x: x.sum(), [1.0, 2.0], [1.0, 1.0]).tolist() == [0, 0]


def test_float32_stays_and_whole_numbers_become_float64():
    x = random(3).astype(np.float32)
    assert (
        mg.jacobian(mg.tanh, x).dtype == mg.hessian(lambda t: mg.tanh(t).sum(), x).dtype == x.dtype
    )
    assert mg.jacobian(mg.square, np.array([1, 2])).tolist() == [[2, 0], [0, 4]]


def test_what_cannot_be_differentiated_is_said():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(DtypeError, match="jacobian: a tensor is needed"):
        mg.jacobian(lambda t: 3.0, [1.0])
    with pytest.raises(DtypeError, match="hessian: a tensor is needed"):
        mg.hessian(x.sum(), [1.0, 2.0])
    with pytest.raises(GradientError, match="starts from a scalar"):
        mg.hessian(lambda t: t * t, [1.0, 2.0])
    with pytest.raises(ShapeError, match="hvp: v must have the shapes"):
        mg.hvp(lambda t: mg.square(t).sum(), [1.0, 2.0], [1.0])


def test_the_examples_of_the_docstrings():
    found = doctest.testmod(curvature, extraglobs={"mg": mg})
    assert found.attempted >= 3 and found.failed == 0
