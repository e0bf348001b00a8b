"""`LinearAutoencoder.fit` by the subspace method: certified for columns of any size, gaps and ties,
any number of units, few rows, float32; and by L-BFGS over both layers as before.
"""

from __future__ import annotations

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae.errors import DataError
from minigrad_ae.models import subspace


def matrix(n, D, variances, seed):
    """(n, D) with these eigenvalues of X^T X, in a random rotation."""
    rng = np.random.default_rng(seed)
    U = np.linalg.qr(rng.standard_normal((n, len(variances))))[0]
    V = np.linalg.qr(rng.standard_normal((D, D)))[0][:, : len(variances)]
    return (U * np.sqrt(variances)) @ V.T


def spectrum(D, M, gap, ratio):
    """Falling from 1 to 1 / ratio over the first M and on, with a relative gap behind the M-th."""
    s = np.geomspace(1, 1 / ratio, D)
    if M < D:
        s[M:] = s[M - 1] * (1 - gap) * np.geomspace(1, max(1e-3, 1 / ratio), D - M)
    return s


def certified(X, M, dtype=np.float64, seed=1, **settings):
    model = mg.models.LinearAutoencoder(
        X.shape[1], M, rng=np.random.default_rng(seed), dtype=dtype, **settings
    )
    report = model.fit(X)
    return model, report, mg.certify_pca(model, X)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("gap", [1e-1, 1e-3, 1e-5, 0.0])
@pytest.mark.parametrize("ratio", [1.0, 1e6, 1e12])
def test_any_spectrum_is_certified(ratio, gap, dtype):
    for D, n, M in [(8, 100, 1), (8, 100, 4), (20, 60, 19), (20, 60, 20), (6, 300, 3)]:
        X = (5.0 + matrix(n, D, spectrum(D, M, gap, ratio), seed=M)).astype(dtype)
        _, report, certificate = certified(X, M, dtype)
        assert certificate, f"D {D}, M {M}:\n{certificate}"
        assert report.finished and report.evaluations <= 1000, (D, M, report.evaluations)


@pytest.mark.parametrize("M", [1, 3, 5, 6])
def test_columns_from_a_millionth_to_a_thousand_million(M):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((200, 6)) @ rng.standard_normal((6, 6))
    X *= np.array([1e-6, 1e-3, 1.0, 1e3, 1e6, 1e9])
    _, report, certificate = certified(X, M)
    assert certificate, str(certificate)
    assert report.finished and report.evaluations <= 1000


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("n", "rank"), [(1, 1), (2, 2), (3, 3), (40, 2), (40, 0)])
def test_few_rows_and_low_rank(n, rank, bias, tied):
    rng = np.random.default_rng(n + rank)
    X = rng.standard_normal((n, rank)) @ rng.standard_normal((rank, 5))
    X = X - X.mean(axis=0) if not bias else X + 2.0
    model, report, certificate = certified(X, 3, bias=bias, tied=tied)
    assert certificate, str(certificate)
    assert report.finished
    assert float(model.loss(X)) <= 1e-25 * max(1.0, float(np.sum(X**2)))


def test_the_layers_are_an_orthonormal_basis_and_its_transpose():
    X = matrix(50, 6, spectrum(6, 2, 0.5, 10.0), 0)
    model, _, _ = certified(X, 2)
    W1, W2 = model.encoder.weight.data, model.decoder.weight.data
    np.testing.assert_allclose(W2 @ W1, np.eye(2), atol=1e-14)
    np.testing.assert_array_equal(W2, W1.T)


def test_the_units_are_not_made_the_components():
    """Inside the subspace the basis stays turned as the start weights were."""
    X = matrix(50, 6, [9.0, 4.0, 1.0, 0.1, 0.1, 0.1], 0)
    units = [np.abs(certified(X, 2, seed=k)[0].decoder.weight.data[0]) for k in (1, 2)]
    first = np.abs(mg.analytic.pca(X).components[:, 0])
    assert not np.allclose(units[0], units[1], atol=0.01)
    assert not any(np.allclose(unit, first, atol=0.01) for unit in units)


def test_the_loss_never_rises_over_half_steps():
    X = matrix(80, 10, spectrum(10, 3, 0.3, 1e3), 0)
    run = subspace.Descent(np.linalg.qr(np.random.default_rng(0).standard_normal((10, 3)))[0])
    subspace._half_steps(X, run, 40, 40)
    assert len(run.losses) == 40
    assert (np.diff(run.losses) <= 1e-14 * run.losses[0]).all() and run.losses[-1] < run.losses[0]


def test_the_loss_of_a_basis_is_what_it_leaves_out():
    X = matrix(50, 6, [9.0, 4.0, 1.0, 0.25, 0.1, 0.1], 0)
    leading = np.linalg.svd(X)[2][:2].T
    assert subspace._loss(X, leading) == pytest.approx((1.0 + 0.25 + 0.1 + 0.1) / 2, rel=1e-13)


def test_no_eigenvalue_of_the_data_is_asked_for(monkeypatch):
    for name in ("svd", "eigh", "eig", "eigvalsh", "eigvals", "lstsq", "pinv"):
        monkeypatch.setattr(np.linalg, name, None)
    X = matrix(80, 10, spectrum(10, 3, 0.1, 1e3), 0)
    report = mg.models.LinearAutoencoder(10, 3, rng=np.random.default_rng(0)).fit(X)
    assert report.finished


def test_both_methods_reach_the_same_loss():
    X = matrix(60, 8, spectrum(8, 3, 0.2, 30.0), 0)
    losses = []
    for method in ("subspace", "lbfgs"):
        model = mg.models.LinearAutoencoder(8, 3, rng=np.random.default_rng(0))
        losses.append(model.fit(X, method=method).loss)
        assert bool(model.record.penalties) == (method == "lbfgs")
        assert model.record.losses[-1] == pytest.approx(model.record.loss, rel=1e-9)
    best = mg.analytic.pca(X).optimal_loss(3)
    np.testing.assert_allclose(losses, best, rtol=1e-10)


def test_a_penalty_is_in_the_units_of_the_data():
    X = 37.0 * matrix(60, 8, spectrum(8, 3, 0.2, 30.0), 0)
    s = mg.analytic.pca(X).eigenvalues
    model = mg.models.LinearAutoencoder(8, 3, l2=0.4 * s[2], rng=np.random.default_rng(0))
    report = model.fit(X)
    assert report.penalties[-1] == pytest.approx(model.l2, rel=1e-12)
    assert report.penalties[0] == pytest.approx(np.sum((X - X.mean(axis=0)) ** 2) / 8, rel=1e-12)
    product = model.encoder.weight.numpy() @ model.decoder.weight.numpy()
    found = np.linalg.svd(product, compute_uv=False)[:3]
    np.testing.assert_allclose(found, 1 - model.l2 / s[:3], rtol=1e-5)


def test_a_method_is_checked():
    model = mg.models.LinearAutoencoder(4, 2, l2=0.1, rng=np.random.default_rng(0))
    with pytest.raises(DataError, match="'subspace' knows no penalty"):
        model.fit(np.eye(4), method="subspace")
    with pytest.raises(DataError, match="method"):
        model.fit(np.eye(4), method="svd")
    assert model.fit(np.eye(4)).penalties, "with a penalty the default is L-BFGS"


def test_a_limit_is_said():
    X = matrix(60, 8, spectrum(8, 3, 1e-5, 1.0), 0)
    model = mg.models.LinearAutoencoder(8, 3, rng=np.random.default_rng(0))
    report = model.fit(X, max_evaluations=70)
    assert (report.evaluations, report.reason, report.finished) == (70, "evaluation limit", False)


def test_a_limit_is_for_all_the_penalties_together():
    """One evaluation fewer than training takes: it ends there, in the last of the penalties."""
    X = matrix(60, 8, spectrum(8, 3, 0.2, 30.0), 0)

    def fitted(**limit):
        model = mg.models.LinearAutoencoder(8, 3, rng=np.random.default_rng(0))
        return model.fit(X, method="lbfgs", **limit)

    needed = fitted().evaluations
    report = fitted(max_evaluations=needed - 1)
    assert (report.evaluations, report.finished) == (needed - 1, False)
    assert report.reason == "evaluation limit"


@pytest.mark.parametrize("method", ["subspace", "lbfgs"])
def test_the_losses_told_are_those_of_the_weights_before_and_after(method):
    X = 3.0 + matrix(60, 8, spectrum(8, 3, 0.2, 30.0), 0)
    model = mg.models.LinearAutoencoder(8, 3, rng=np.random.default_rng(0))
    before = float(model.loss(X))
    report = model.fit(X, method=method)
    assert (report.start_loss, report.loss) == (before, float(model.loss(X)))


@pytest.mark.parametrize(
    ("data", "weights", "digits"), [(64, 64, 52), (32, 64, 23), (64, 32, 23), (32, 32, 23)]
)
def test_progress_is_what_the_coarser_of_data_and_weights_resolves(
    monkeypatch, data, weights, digits
):
    seen, minimise = [], subspace.minimise

    def watched(R, start, tolerance, limit, resolution):
        seen.append(resolution)
        return minimise(R, start, tolerance, limit, resolution)

    monkeypatch.setattr(subspace, "minimise", watched)
    X = matrix(30, 5, spectrum(5, 2, 0.5, 10.0), 0).astype(f"float{data}")
    certified(X, 2, dtype=np.dtype(f"float{weights}"))
    assert seen == [2.0**-digits]


def test_blocks_of_rows_have_the_same_triangle(monkeypatch):
    X = np.random.default_rng(0).standard_normal((500, 6)) + 100.0
    R, mean = subspace.triangle(X, True)
    monkeypatch.setattr(subspace, "BLOCK", 64)
    S, again = subspace.triangle(X.astype(np.float32), True)
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(again, mean, rtol=1e-6)
    np.testing.assert_allclose(S.T @ S, R.T @ R, atol=1e-3)
    S, again = subspace.triangle(X, True)
    np.testing.assert_allclose(S.T @ S, R.T @ R, rtol=0, atol=1e-12 * np.sum(R**2))
    np.testing.assert_allclose(again, mean, rtol=1e-15)


def test_the_curvatures_are_those_of_the_gaps():
    """At the minimum, in C: 1 - s_j / s_i for each direction j outside against each i inside."""
    s = np.array([1e6, 1e3, 5.0, 4.0, 1.0, 1e-2])
    X, M = matrix(50, 6, s, 0), 3
    turn = np.linalg.qr(np.random.default_rng(1).standard_normal((M, M)))[0]
    Q, P, back = subspace.coordinates(X, np.linalg.svd(X)[2][:M].T @ turn)
    start = np.zeros((6 - M, M))

    def error(C):
        basis = np.linalg.qr(Q + P @ C @ back)[0]
        return 0.5 * np.sum((X - X @ basis @ basis.T) ** 2)

    h = 2e-3  # with which rounding of E and its fourth derivative are below a thousandth
    units = np.eye(start.size).reshape(-1, *start.shape)
    H = np.array(
        [
            [
                error(h * a + h * b)
                - error(h * a - h * b)
                - error(h * b - h * a)
                + error(-h * a - h * b)
                for b in units
            ]
            for a in units
        ]
    ) / (4 * h * h)
    gaps = np.sort((1 - s[M:, None] / s[None, :M]).ravel())
    np.testing.assert_allclose(np.sort(np.linalg.eigvalsh(H)), gaps, rtol=1e-3)


def test_a_gradient_that_vanishes_far_away_is_not_the_end():
    """Where V goes to infinity E is flat, too: the first round does, and the next ones do not."""
    X = matrix(100, 8, spectrum(8, 1, 1e-5, 1.0), 0)
    R = np.linalg.qr(X, mode="r")
    R = R / np.sqrt(np.mean(R**2))
    run = subspace.minimise(R, np.random.default_rng(1).standard_normal((8, 1)), 1e-12, 20_000)
    squares = np.linalg.svd(R, compute_uv=False) ** 2
    assert run.finished and run.losses[-1] - 0.5 * squares[1:].sum() <= 1e-9 * squares[0]


def test_more_columns_than_rows_are_trained_in_the_span_of_the_rows(monkeypatch):
    X = np.random.default_rng(0).standard_normal((12, 3000)) * np.geomspace(1, 1e-3, 12)[:, None]
    seen = []
    qr = np.linalg.qr
    monkeypatch.setattr(
        np.linalg, "qr", lambda a, *mode, **k: seen.append(a.shape) or qr(a, *mode, **k)
    )
    model = mg.models.LinearAutoencoder(3000, 4, rng=np.random.default_rng(0))
    report = model.fit(X)
    monkeypatch.undo()
    assert report.finished and max(min(shape) for shape in seen) <= 12
    np.testing.assert_allclose(report.loss, mg.analytic.pca(X).optimal_loss(4), rtol=1e-10)


def test_what_does_not_fit_into_memory_is_refused(monkeypatch):
    monkeypatch.setattr(mg.room, "available", lambda: 10**6)
    monkeypatch.setattr(mg.room, "SMALL", 0)
    model = mg.models.LinearAutoencoder(300, 2, rng=np.random.default_rng(0))
    before = model.encoder.weight.data.copy()
    with pytest.raises(DataError, match="training on this matrix would not fit"):
        model.fit(np.ones((400, 300)))
    assert np.array_equal(model.encoder.weight.data, before)


def test_the_room_is_that_of_the_copies():
    """In numbers of 8 bytes: six of few long rows; of more rows eight D x D and a block of rows."""
    assert subspace.room_for(10, 100) == 8 * 6 * 10 * 100
    assert subspace.room_for(10**6, 100) == 8 * (8 * 100 * 100 + 65_536 * 100)
    assert subspace.room_for(10**6, 10**5) == 8 * 9 * 10**10


@pytest.mark.parametrize(("size", "rounds"), [(0.99, 0), (1.01, 1)])
def test_an_exact_fit_leaves_eight_roundings_in_each_column(monkeypatch, size, rounds):
    """Of 4 x 4 ones: at most 4 (8 eps)^2 times their 16 squares."""
    eps, begun = np.finfo(float).eps, []

    def half_steps(X, run, steps, limit):
        run.losses.append(size * 4 * (8 * eps) ** 2 * 16)

    monkeypatch.setattr(subspace, "_half_steps", half_steps)
    monkeypatch.setattr(subspace, "_round", lambda *a: begun.append(a) and False)
    run = subspace.minimise(np.ones((4, 4)), np.eye(4, 2), 0.0, 100)
    assert len(begun) == rounds and run.finished


@pytest.mark.parametrize(("size", "left"), [(0.98, False), (1.02, True)])
def test_a_direction_of_the_codes_counts_from_a_rounding_for_each_column_on(size, left):
    X = np.diag([1.0, size * 4 * np.finfo(float).eps, 0.5, 0.25])
    assert (subspace.coordinates(X, np.eye(4, 2)) is not None) == left


@pytest.mark.parametrize("spare", [0, -1])
def test_what_fits_to_the_byte_is_trained(monkeypatch, spare):
    X = np.random.default_rng(0).standard_normal((40, 6))
    monkeypatch.setattr(mg.room, "available", lambda: subspace.room_for(40, 6) + spare)
    monkeypatch.setattr(mg.room, "SMALL", 0)
    model = mg.models.LinearAutoencoder(6, 2, rng=np.random.default_rng(0))
    if spare < 0:
        with pytest.raises(DataError, match="training on this matrix would not fit"):
            model.fit(X)
    else:
        assert model.fit(X).finished


def test_a_round_that_stalls_is_not_the_end_while_half_steps_go_down(monkeypatch):
    X = matrix(60, 8, spectrum(8, 2, 0.3, 10.0), 0)
    X = X / np.sqrt(np.mean(X**2))
    rounds = []

    def stalls(X, run, *limits):
        rounds.append(len(run.losses))
        run.reason = "loss tolerance"
        return True

    monkeypatch.setattr(subspace, "_round", stalls)
    monkeypatch.setattr(subspace, "FIRST", 1)
    run = subspace.minimise(X, np.random.default_rng(1).standard_normal((8, 2)), 0.0, 1000)
    best = 0.5 * np.sum(np.linalg.svd(X, compute_uv=False)[2:] ** 2)
    assert run.finished and len(rounds) > 3
    np.testing.assert_allclose(run.losses[-1], best, rtol=1e-12)


def test_a_constant_column_is_nothing_once_it_is_centred():
    """A mean is rounded; what is left of the column is taken off, too, and has no direction."""
    X = np.random.default_rng(0).standard_normal((1003, 3))
    X[:, 1] = 1e6 / 7
    assert np.any(X[:, 1] - X[:, 1].mean()), "the mean of equal numbers is not always that number"
    R, mean = subspace.triangle(X, True)
    left = np.finfo(float).eps * abs(X[0, 1] - X[:, 1].mean())
    assert np.linalg.norm(R[:, 1]) <= len(X) * left
    assert mean[1] == X[0, 1]
