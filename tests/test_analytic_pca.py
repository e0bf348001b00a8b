"""PCA in closed form.

Tolerance of an algebraic identity: 1e-12 relative to the largest eigenvalue, some thousand
roundings of float64.
"""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from helpers import with_eigenvalues

from minigrad_ae.analytic import pca, principal_angles, projector_distance
from minigrad_ae.data import digits
from minigrad_ae.errors import DataError, DtypeError, ShapeError

EXACT = 1e-12
SHAPES = [(40, 6), (6, 6), (4, 9), (2, 3), (30, 1)]
S = np.array([9.0, 5.5, 3.2, 1.7, 0.6])


def rotation(size, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]


def random_matrix(shape, seed=3):
    rng = np.random.default_rng(seed)
    return 50.0 + rng.normal(size=shape) @ rng.normal(size=(shape[1], shape[1]))


@pytest.mark.parametrize("shape", SHAPES)
def test_components_are_orthonormal_eigenvectors_of_the_centred_scatter(shape):
    X = random_matrix(shape)
    result = pca(X)
    U, s = result.components, result.eigenvalues
    centred = X - X.mean(axis=0)
    assert U.shape == (shape[1], min(shape)) and s.shape == (shape[1],)
    np.testing.assert_allclose(U.T @ U, np.eye(min(shape)), atol=EXACT)
    np.testing.assert_allclose(centred.T @ centred @ U, U * s[: min(shape)], atol=EXACT * s[0])
    assert (np.diff(s) <= 0).all() and (s >= 0).all()
    assert (U[np.abs(U).argmax(axis=0), range(min(shape))] > 0).all()
    assert result.rank == min(shape[0] - 1, shape[1])
    assert result.total == pytest.approx((centred**2).sum(), rel=EXACT)
    np.testing.assert_allclose(result.explained_variance_ratio.sum(), 1.0, rtol=EXACT)


def test_known_eigenvalues_and_eigenvectors_are_recovered():
    X, U = with_eigenvalues(S)
    result = pca(X + 7.0)
    np.testing.assert_allclose(result.eigenvalues, S, rtol=EXACT)
    np.testing.assert_allclose(np.abs(result.components.T @ U), np.eye(5), atol=EXACT)
    np.testing.assert_allclose(result.mean, 7.0, rtol=EXACT)
    assert [result.gap(M) for M in (1, 5)] == pytest.approx([3.5, 0.6], rel=1e-11)


@pytest.mark.parametrize("shape", SHAPES)
def test_optimal_loss_is_the_loss_of_the_reconstruction(shape):
    X = random_matrix(shape)
    result = pca(X)
    for M in range(shape[1] + 1):
        Y = result.reconstruct(X, M)
        assert 0.5 * ((Y - X) ** 2).sum() == pytest.approx(
            result.optimal_loss(M), abs=EXACT * result.total
        )
        np.testing.assert_allclose(
            Y, result.mean + (X - result.mean) @ result.projector(M), atol=1e-11
        )
        assert (result.optimal_loss(M) == 0.0) == (result.rank <= M)


def test_no_map_of_rank_M_has_a_smaller_loss():
    X, U = with_eigenvalues(S)
    result, rng = pca(X), np.random.default_rng(5)
    for M in (1, 2, 4):
        W1, W2 = U[:, :M].T, U[:, :M]
        for size in (1e-3, 1e-1, 1.0):
            moved = (W2 + size * rng.normal(size=W2.shape)) @ (
                W1 + size * rng.normal(size=W1.shape)
            )
            assert 0.5 * ((X @ moved.T - X) ** 2).sum() > result.optimal_loss(M)


def test_M_given_to_pca_is_the_default_of_every_method():
    X, _ = with_eigenvalues(S)
    result = pca(X, 2)
    assert result.optimal_loss() == result.optimal_loss(2) > 0
    assert result.gap() == result.gap(2) and result.unique() and result.tie() == (2, 2)
    assert np.linalg.matrix_rank(result.projector()) == 2
    assert np.array_equal(result.reconstruct(X), result.reconstruct(X, 2))
    assert pca(X).M == 5


def test_digits_have_the_published_eigenvalues_and_residuals():
    """Constants from scikit-learn's copy (pixels / 16, N = 1797), to half a unit in the last
    digit.
    """
    X, _ = digits()
    result = pca(X)
    N = len(X)
    assert result.rank == 61  # three pixels are never inked
    assert result.total / N == pytest.approx(4.693276, abs=6e-7)
    eigenvalues = [0.698857, 0.639167, 0.553553, 0.394704, 0.271385, 0.230764]
    np.testing.assert_allclose(result.eigenvalues[:6] / N, eigenvalues, atol=6e-7)
    residuals = [2 * result.optimal_loss(M) / N for M in (2, 4, 8, 10, 16)]
    np.testing.assert_allclose(residuals, [3.3553, 2.4070, 1.5304, 1.2286, 0.7068], atol=6e-5)


@pytest.mark.parametrize("offset", [0.1, 1e9])
def test_rank_is_not_fooled_by_rounding(offset):
    rng = np.random.default_rng(2)
    a = rng.normal(size=(50, 2))
    constant = np.full((50, 1), offset)
    assert pca(np.hstack([a, constant, constant])).rank == 2
    assert pca(np.hstack([a, a[:, :1]]) + offset).rank == 2
    # the sum was rounded in storage
    assert pca(np.hstack([a, a.sum(axis=1, keepdims=True)]) + offset).rank == 2
    assert pca(np.hstack([constant, constant])).rank == 0
    assert pca(a[:1] + offset).rank == 0
    assert pca(a * [1e6, 1e-4]).rank == 2
    assert pca(np.hstack([a, constant])).optimal_loss(2) == 0.0


def test_equal_rows_have_no_variance_to_explain():
    result = pca(np.full((3, 2), 0.1))
    assert result.total == 0.0 and result.optimal_loss(0) == 0.0
    assert np.array_equal(result.explained_variance_ratio, [0.0, 0.0])
    assert np.array_equal(result.projector(1), np.zeros((2, 2)))


@pytest.mark.parametrize(
    "s, ties",
    [
        ([5.0, 4.0, 3.0, 2.0], [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)]),
        ([5.0, 2.0, 2.0, 1.0], [(0, 0), (1, 1), (1, 3), (3, 3), (4, 4)]),
        ([2.0, 2.0, 2.0, 1.0], [(0, 0), (0, 3), (0, 3), (3, 3), (4, 4)]),
        ([5.0, 4.0, 0.0, 0.0], [(0, 0), (1, 1), (2, 2), (2, 4), (2, 4)]),
        ([3.0, 3.0, 3.0, 3.0], [(0, 0), (0, 4), (0, 4), (0, 4), (4, 4)]),
    ],
)
def test_tie_says_which_part_of_the_optimal_subspace_is_free(s, ties):
    X, _ = with_eigenvalues(np.array(s))
    result = pca(X)
    assert [result.tie(M) for M in range(5)] == ties
    assert [result.unique(M) for M in range(5)] == [tie == (M, M) for M, tie in enumerate(ties)]


@pytest.mark.parametrize("angle", [1e-15, 1e-9, 1e-4, 0.3, 1.2, pi / 2 - 1e-9, pi / 2])
def test_principal_angles_are_exact_at_every_size(angle):
    A = np.eye(4)[:, :2]
    B = np.array([[1.0, 0, 0, 0], [0, np.cos(angle), np.sin(angle), 0]]).T
    np.testing.assert_allclose(principal_angles(A, B), [0.0, angle], rtol=EXACT)
    Q = rotation(4)
    np.testing.assert_allclose(principal_angles(Q @ A, Q @ B), [0.0, angle], atol=1e-14)


def test_principal_angles_belong_to_subspaces_not_to_bases():
    rng = np.random.default_rng(1)
    A, B, C = rng.normal(size=(6, 3)), rng.normal(size=(6, 2)), rng.normal(size=(3, 3))
    angles = principal_angles(A, B)
    np.testing.assert_allclose(principal_angles(A @ C, B * [100, -0.01]), angles, rtol=1e-11)
    np.testing.assert_allclose(principal_angles(B, A), angles, rtol=EXACT)
    np.testing.assert_allclose(np.cos(angles), np.linalg.svd(basis(A).T @ basis(B))[1], rtol=EXACT)
    dead = np.hstack([A[:, :1], np.zeros((6, 1))])
    assert principal_angles(dead, A).shape == (1,)
    assert principal_angles(np.zeros((6, 1)), A).shape == (0,)


def basis(A):
    return np.linalg.qr(A)[0]


@pytest.mark.parametrize("p, q", [(2, 2), (3, 1), (4, 4), (1, 4)])
def test_projector_distance_is_the_frobenius_norm_of_the_difference(p, q):
    rng = np.random.default_rng(p + q)
    A, B = rng.normal(size=(5, p)), rng.normal(size=(5, q))
    difference = basis(A) @ basis(A).T - basis(B) @ basis(B).T
    assert projector_distance(A, B) == pytest.approx(np.linalg.norm(difference), rel=EXACT)
    assert projector_distance(A, A @ rng.normal(size=(p, p))) < 1e-13


WRONG = [
    (
        lambda: pca([[1.0, 2.0], [3.0]]),
        ShapeError,
        "X is not a regular array\n  its rows differ in length\n  fix: give rows of equal length",
    ),
    (
        lambda: pca([["a"]]),
        DtypeError,
        "X does not hold real numbers\n  X has dtype <U1 and shape (1, 1)\n"
        "  fix: convert it first, for example np.asarray(X, dtype=np.float64)",
    ),
    (
        lambda: pca([1.0, 2.0]),
        ShapeError,
        "X must have 2 dimensions, not 1\n  X has shape (2,)\n"
        "  fix: give one row for each datum and one column for each feature",
    ),
    (
        lambda: pca(np.zeros((0, 3))),
        DataError,
        "X is empty\n  X has shape (0, 3)\n  fix: give at least one number",
    ),
    (
        lambda: pca([[np.nan, 1.0]]),
        DataError,
        "X has entries that are NaN or infinite\n  1 of 2 entries, shape (1, 2)\n"
        "  fix: remove or fill them before the analysis",
    ),
    (
        lambda: pca([[-1e200, 1.0]]),
        DataError,
        "X is so large that its squares overflow\n  the largest entry is 1e+200, shape (1, 2)\n"
        "  fix: choose a larger unit: divide all of X by one number",
    ),
    (
        lambda: pca(np.eye(3), 4),
        DataError,
        "M = 4 is out of range\n  X has 3 features\n  fix: choose M from 0 to 3",
    ),
    (
        lambda: pca(np.eye(3)).gap(0),
        DataError,
        "M = 0 is out of range\n  a gap needs a component before it\n  fix: choose M from 1 to 3",
    ),
    (
        lambda: pca(np.eye(3), 1.5),
        DtypeError,
        "M must be a whole number, from 0 to 3\n  got 1.5\n  fix: choose M from 0 to 3",
    ),
    (
        lambda: principal_angles(np.eye(3), np.eye(2)),
        ShapeError,
        "A and B span subspaces of different spaces\n  A has 3 rows and B has 2\n"
        "  fix: give both as columns of D numbers; transpose an encoder weight W1 (M x D)",
    ),
]


@pytest.mark.parametrize("call, kind, message", WRONG, ids=[row[2].split("\n")[0] for row in WRONG])
def test_wrong_arguments_are_named_in_three_lines(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
