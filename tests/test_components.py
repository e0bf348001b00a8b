"""The principal components of a linear autoencoder: PCA's, by name, order and sign, whatever basis
the code has.
"""

import copy

import numpy as np
import pytest
from helpers import message_of
from numpy.testing import assert_allclose

import minigrad_ae as mg
from minigrad_ae import analytic, checkpoint
from minigrad_ae.errors import DataError, ShapeError
from minigrad_ae.models import LinearAutoencoder, components
from minigrad_ae.models.components import _rotate, rounds, uncorrelated

RNG = np.random.default_rng(5)
CURVED = RNG.standard_normal((80, 6)) * [5, 4, 3, 2, 1, 0.5] @ RNG.standard_normal((6, 6)) + 20
MATRICES = {
    "plain": CURVED,
    "digits": mg.data.digits("test")[0],
    "wide": RNG.standard_normal((7, 12)),
    "float32": CURVED.astype(np.float32),
}


def untrained(D, M, **settings):
    """Weights and offsets that are nowhere near PCA."""
    model = LinearAutoencoder(D, M, rng=np.random.default_rng(2), **settings)
    for p in model.parameters():
        p.data = p.data + np.random.default_rng(p.size).standard_normal(p.shape)
    return model


def fitted(X, M, **settings):
    model = LinearAutoencoder(X.shape[1], M, rng=np.random.default_rng(1), **settings)
    model.fit(X)
    return model


def signed(rows):
    """Each row with the sign that makes its largest entry positive."""
    return np.array([row * np.sign(row[np.abs(row).argmax()]) for row in rows])


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("name", MATRICES)
@pytest.mark.parametrize("M", [1, 3])
def test_a_trained_model_has_the_components_of_pca(name, M, tied):
    X = MATRICES[name]
    model, found = fitted(X, M, tied=tied), analytic.pca(X, M)
    X = X.astype(np.float64)
    variance = found.eigenvalues[:M] / (len(X) - 1)
    assert_allclose(model.components_, signed(found.components[:, :M].T), atol=1e-6)
    assert_allclose(model.explained_variance_, variance, rtol=1e-9)
    share = variance / X.var(axis=0, ddof=1).sum()
    assert_allclose(model.explained_variance_ratio_, share, rtol=1e-9)
    assert_allclose(model.mean_, X.mean(axis=0), atol=1e-12 * np.abs(X).max())
    scores = (X - model.mean_) @ model.components_.T
    assert_allclose(model.transform(X), scores, atol=1e-6 * np.abs(scores).max())


def test_they_are_those_of_scikit_learn():
    PCA = pytest.importorskip("sklearn.decomposition").PCA
    theirs, ours = PCA(3, svd_solver="full").fit(CURVED), fitted(CURVED, 3)
    for name in ("components_", "explained_variance_", "explained_variance_ratio_", "mean_"):
        assert_allclose(
            getattr(ours, name), getattr(theirs, name), rtol=1e-9, atol=1e-7, err_msg=name
        )
    scores = theirs.transform(CURVED)
    size = np.abs(scores).max()
    assert_allclose(ours.transform(CURVED), scores, atol=1e-6 * size)
    assert_allclose(
        ours.inverse_transform(scores), theirs.inverse_transform(scores), atol=1e-6 * size
    )


@pytest.mark.parametrize("settings", [{}, {"bias": False}, {"tied": True}])
@pytest.mark.parametrize("M", [1, 2, 5, 6])
def test_the_laws_hold_for_any_weights(M, settings):
    """Orthonormal, by variance, signed; scores are uncorrelated; and both ways are the model."""
    model = untrained(6, M, **settings)
    model.measure_codes(CURVED)
    rows, scores = model.components_, model.transform(CURVED)
    assert_allclose(rows @ rows.T, np.eye(M), atol=1e-14)
    assert np.all(np.diff(model.explained_variance_) <= 0)
    assert_allclose(rows, signed(rows))
    expected = np.diag(model.explained_variance_)
    covariance = np.atleast_2d(np.cov(scores.T))
    assert_allclose(covariance, expected, atol=1e-12 * expected.max())
    y = model(CURVED).numpy()
    assert_allclose(model.inverse_transform(scores), y, atol=1e-12 * np.abs(y).max())
    others = CURVED[:4] * 3 - 1
    y = model(others).numpy()
    assert_allclose(model.inverse_transform(model.transform(others)), y, rtol=1e-10)


def test_the_basis_of_the_code_does_not_matter():
    """(W_enc C, C^-1 W_dec) is the same network."""
    model = fitted(CURVED, 3)
    turned = copy.deepcopy(model)
    C = np.random.default_rng(8).standard_normal((3, 3)) + 2 * np.eye(3)
    turned.encoder.weight.data = model.encoder.weight.data @ C
    turned.encoder.bias.data = model.encoder.bias.data @ C
    turned.decoder.weight.data = np.linalg.solve(C, model.decoder.weight.data)
    turned.measure_codes(CURVED)
    assert_allclose(turned.components_, model.components_, atol=1e-12)
    assert_allclose(turned.explained_variance_, model.explained_variance_, rtol=1e-12)
    assert_allclose(turned.transform(CURVED), model.transform(CURVED), atol=1e-11)


def test_more_units_than_rank_explain_nothing_more():
    X = RNG.standard_normal((30, 2)) @ RNG.standard_normal((2, 5)) + 1
    model = fitted(X, 4)
    assert_allclose(model.components_ @ model.components_.T, np.eye(4), atol=1e-14)
    assert model.explained_variance_ratio_[:2].sum() == pytest.approx(1, abs=1e-10)
    assert np.all(model.explained_variance_ratio_[2:] < 1e-10)


@pytest.mark.parametrize("X", [np.ones((5, 4)), np.arange(4.0)[None]])
def test_data_without_variance(X):
    model = fitted(X, 2)
    assert np.all(np.abs(model.explained_variance_ratio_) < 1e-12)
    assert_allclose(model.inverse_transform(model.transform(X)), X, atol=1e-12)


def test_data_in_parts_give_the_same(monkeypatch):
    model = fitted(CURVED, 3)
    whole = model.explained_variance_
    monkeypatch.setattr("minigrad_ae.models.components.AT_ONCE", 7 * 6)
    model.measure_codes(CURVED)
    assert_allclose(model.explained_variance_, whole, rtol=1e-13)


# --- what must be there first ---------------------------------------------------------------------


def test_components_need_data():
    model = untrained(6, 2)
    for name in ("components_", "explained_variance_", "explained_variance_ratio_", "mean_"):
        with pytest.raises(DataError, match="no data have been measured"):
            getattr(model, name)
    with pytest.raises(DataError, match="no data have been measured"):
        model.transform(CURVED)


def test_other_weights_need_other_codes():
    model = fitted(CURVED, 2)
    before = model.components_
    model.decoder.weight.data = model.decoder.weight.data[::-1].copy()  # seen at once
    assert not np.allclose(model.components_, before)
    model.encoder.weight.data = model.encoder.weight.data * 2
    with pytest.raises(DataError, match="the encoder has changed since"):
        _ = model.components_
    model.measure_codes(CURVED)
    assert model.components_.shape == (2, 6)


def test_what_does_not_fit_is_refused():
    model = fitted(CURVED, 2)
    for call, given in (
        (model.transform, CURVED[:, :5]),
        (model.measure_codes, CURVED[:, :5]),
        (model.inverse_transform, np.ones((3, 3))),
        (model.inverse_transform, np.ones(2)),
    ):
        assert "got shape" in message_of(ShapeError, call, given)


# --- in a checkpoint ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_checkpoint_keeps_them(tmp_path, dtype):
    model = fitted(CURVED, 3, dtype=dtype)
    found = checkpoint.load(checkpoint.save(tmp_path / "a.npz", model)).model
    for name in ("components_", "explained_variance_ratio_", "mean_"):
        assert np.array_equal(getattr(found, name), getattr(model, name)), name
    assert np.array_equal(found.transform(CURVED), model.transform(CURVED))


def test_a_checkpoint_does_not_keep_what_holds_no_more(tmp_path):
    model = fitted(CURVED, 3)
    model.encoder.weight.data = model.encoder.weight.data * 2
    found = checkpoint.load(checkpoint.save(tmp_path / "a.npz", model)).model
    assert found.seen is None
    checkpoint.load(tmp_path / "a.npz", fitted(CURVED, 3))  # into one that has seen data


# --- Jacobi's rotations ---------------------------------------------------------------------------


@pytest.mark.parametrize("M", [*range(1, 10), 24, 45])
def test_every_pair_meets_once(M):
    pairs = [{int(p), int(q)} for ps, qs in rounds(M) for p, q in zip(ps, qs, strict=True)]
    assert len(pairs) == M * (M - 1) // 2
    assert all(len(pair) == 2 for pair in pairs)
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    for ps, qs in rounds(M):
        assert len({*ps, *qs}) == 2 * len(ps)


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (9, 9), (3, 8), (20, 7)])
@pytest.mark.parametrize("scale", [1.0, 1e-120, 1e120])
def test_rotations_find_the_singular_values(shape, scale):
    C = np.random.default_rng(3).standard_normal(shape) * scale
    V, sizes = uncorrelated(C)
    exact = np.zeros(shape[1])
    exact[: min(shape)] = np.linalg.svd(C, compute_uv=False)
    assert_allclose(V.T @ V, np.eye(shape[1]), atol=1e-13)
    assert_allclose(np.sort(sizes)[::-1], exact, rtol=1e-13, atol=1e-14 * exact[0])


@pytest.mark.parametrize("cosine, sweeps", [(1.95, 1), (2.05, 2)])
def test_sweeps_end_where_all_cosines_are_within_a_rounding_for_each_column(
    monkeypatch, cosine, sweeps
):
    left = []

    def watched(*arguments):
        left.append(_rotate(*arguments))
        return left[-1]

    monkeypatch.setattr(components, "_rotate", watched)
    eps = np.finfo(float).eps
    uncorrelated(np.array([[1.0, cosine * eps], [0.0, 1.0]]))
    assert len(left) == sweeps and left[-1] <= 2 * eps
    assert all(each > 2 * eps for each in left[:-1])


def test_small_components_keep_their_digits():
    """Columns of very different size: where an eigenvalue solver of C^T C has nothing left."""
    C = np.array([[1.0, 1e-10], [1.0, 0.0], [0.0, 1e-10]])
    _, sizes = uncorrelated(C)
    # det(C^T C) = 2e-20 * 2 - 1e-20 = 3e-20, the trace is 2 + 2e-20
    assert_allclose(np.sort(sizes), [np.sqrt(1.5e-20), np.sqrt(2)], rtol=1e-14)


def test_small_columns_become_orthogonal_too():
    rng = np.random.default_rng(1)
    C = np.zeros((21, 7))
    C[0, 0], C[1:, 1:] = 1.0, 1e-9 * rng.standard_normal((20, 6)) @ (np.eye(6) + 1.0)
    V, lengths = uncorrelated(C)
    columns = (C @ V) / lengths
    assert_allclose(columns.T @ columns, np.eye(7), rtol=0, atol=1e-13)


def test_one_rotation_makes_two_columns_orthogonal():
    both = np.hstack([np.random.default_rng(2).standard_normal((2, 9)), np.eye(2)])
    a, b = both[:, :9].copy()
    cosine = _rotate(both, 9, np.array([0]), np.array([1]))
    assert cosine == pytest.approx(abs(a @ b) / np.sqrt((a @ a) * (b @ b)), rel=1e-14)
    assert abs(both[0, :9] @ both[1, :9]) < 1e-14 * (a @ a + b @ b)
