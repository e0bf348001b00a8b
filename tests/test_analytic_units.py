"""The closed forms know no unit: data in a unit 1/c as large give answers that are c^p as large.

c is a power of two, so that the scaling itself does not round; what cannot be represented (squares
of the data below 1e-308) is refused in three lines.
"""

import numpy as np
import pytest

from minigrad_ae import analytic
from minigrad_ae.errors import DataError

rng = np.random.default_rng(0)
X = rng.normal(size=(30, 5)) @ np.diag([3.0, 2.0, 1.0, 0.5, 0.1]) + rng.normal(size=5)
W = rng.normal(size=(5, 2))
CENTRED = X - X.mean(axis=0)
S = CENTRED.T @ CENTRED / len(X)
EIGENVALUES = np.array([3.0, 2.0, 1.0, 0.5])
HIDDEN = np.array([True, False, True, False, False])
U = np.linalg.qr(rng.normal(size=(5, 5)))[0]


def denoiser(c):
    return analytic.best_denoiser(analytic.gaussian_moments(c * c * S, c * 0.3), 2)


def dropout(c):
    moments = analytic.dropout_moments(c * c * S, 0.6, c * X.mean(axis=0))
    return analytic.best_denoiser(moments, 2).matrix


def sparse(c):
    return analytic.fista(c * X[:3], W, lam=c * 0.5, tolerance=1e-10 * c).codes


def saddles(c):
    points = analytic.critical_points(c * c * EIGENVALUES, 2)
    return [point.loss for point in points]


# what is computed from data times c, and the power of c that the answer grows with
LAWS = {
    "pca.components": (lambda c: analytic.pca(c * X, 2).components, 0),
    "pca.eigenvalues": (lambda c: analytic.pca(c * X, 2).eigenvalues, 2),
    "pca.mean": (lambda c: analytic.pca(c * X, 2).mean, 1),
    "pca.optimal_loss": (lambda c: analytic.pca(c * X, 2).optimal_loss(), 2),
    "orthonormal_basis": (lambda c: analytic.orthonormal_basis(c * W), 0),
    "principal_angles": (lambda c: analytic.principal_angles(c * W, W + 0.1), 0),
    "projector_distance": (lambda c: analytic.projector_distance(c * W, W + 0.1), 0),
    "ppca.W": (lambda c: analytic.ppca(c * X, 2).W, 1),
    "best_denoiser.matrix": (lambda c: denoiser(c).matrix, 0),
    "best_denoiser.loss": (lambda c: denoiser(c).loss, 2),
    "dropout": (dropout, 0),
    "gaussian_conditional": (
        lambda c: analytic.gaussian_conditional(c * c * S, HIDDEN).predictor,
        0,
    ),
    "conditional.squared_error": (
        lambda c: analytic.gaussian_conditional(c * c * S, HIDDEN).squared_error,
        2,
    ),
    "zero_filled_map": (lambda c: analytic.zero_filled_map(c * c * S, 2).matrix, 0),
    "gaussian_shrinkage": (
        lambda c: analytic.gaussian_shrinkage(c * c * EIGENVALUES, c * 0.5, 2),
        0,
    ),
    "critical_points": (saddles, 2),
    "optimal_loss_product": (
        lambda c: analytic.optimal_loss_product(c * c * EIGENVALUES, 2, c * c * 0.5),
        2,
    ),
    "optimal_loss_regularised": (
        lambda c: analytic.optimal_loss_regularised(c * c * EIGENVALUES, 2, c * c * 0.5),
        2,
    ),
    "singular_values_regularised": (
        lambda c: analytic.singular_values_regularised(c * c * EIGENVALUES, 2, c * c * 0.5),
        0,
    ),
    "active_units": (lambda c: analytic.active_units(c * c * EIGENVALUES, 2, c * c * 0.3), 0),
    "learnt_noise": (lambda c: analytic.learnt_noise(c * c * EIGENVALUES, 2), 2),
    "posterior_precision": (lambda c: analytic.posterior_precision(c * W, c * c * 0.3), 0),
    "hadamard_gap": (lambda c: analytic.hadamard_gap(c * W, c * c * 0.3), 0),
    "soft_threshold": (lambda c: analytic.soft_threshold(c * X, c * 0.3), 1),
    "lambda_max": (lambda c: analytic.lambda_max(c * X, W), 1),
    "fista": (sparse, 1),
    "kernel_denoiser": (lambda c: analytic.kernel_denoiser(c * X, c * X[:2] + c * 0.1, c * 0.5), 1),
    "kernel_floor_line": (lambda c: analytic.kernel_floor_line(c * X[:6, 0], c * 0.5), 2),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("power", [-450, -60, -20, 20, 60, 450])
@pytest.mark.parametrize("law", LAWS)
def test_units_do_not_matter(law, power):
    """To 32 roundings of the largest entry: the arithmetic is the same, thresholds included."""
    answer, degree = LAWS[law]
    expected = np.ldexp(np.asarray(answer(1.0), dtype=float), degree * power)
    found = np.asarray(answer(2.0**power), dtype=float)
    np.testing.assert_allclose(found, expected, rtol=0, atol=32 * 2.0**-52 * np.abs(expected).max())


def test_features_in_their_own_units():
    """Where theory knows no common unit either: each feature may have its own."""
    units = 10.0 ** np.array([0, -9, 30, 4, -40])
    mixed = S * units * units[:, None]
    m, v = HIDDEN, ~HIDDEN
    found = analytic.gaussian_conditional(mixed, HIDDEN).predictor
    plain = analytic.gaussian_conditional(S, HIDDEN).predictor
    np.testing.assert_allclose(found * units[v] / units[m][:, None], plain, rtol=1e-12)
    noisy = analytic.best_denoiser(analytic.gaussian_moments(mixed, 0.3 * units)).matrix
    usual = analytic.best_denoiser(analytic.gaussian_moments(S, 0.3)).matrix
    np.testing.assert_allclose(noisy * units / units[:, None], usual, rtol=1e-11)


def test_squares_that_underflow_are_refused():
    for size in (1e-170, 1e-300, 5e-324):
        with pytest.raises(DataError, match="varies so little that squares underflow"):
            analytic.pca(size * X)
    assert analytic.pca(np.full((4, 2), 1e-200)).rank == 0, "constant data have no squares"


def test_a_number_that_cannot_be_chosen_is_not_asked_for():
    with pytest.raises(DataError) as error:
        analytic.zero_filled_map([[1.0]], 1)
    assert str(error.value).splitlines()[1:] == [
        "  there are 1 patches, and one must stay visible",
        "  fix: K begins at 1: give larger data",
    ]
