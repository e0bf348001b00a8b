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
W1, W2 = rng.normal(size=(2, 5)), rng.normal(size=(5, 2))
V, D = rng.normal(size=(2, 5)), np.array([0.3, 0.7])
Z = np.array([[1.0, 0.0], [0.5, -2.0], [0.0, 3.0]])


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
    # losses and gradients of linear nets: linear in S, the weights without a unit
    "reconstruction_loss": (lambda c: analytic.reconstruction_loss(c * c * S, W1, W2), 2),
    "gradient": (lambda c: analytic.gradient(c * c * S, W1, W2)[0], 2),
    "hessian": (lambda c: analytic.hessian(c * c * S, W1, W2), 2),
    "inertia": (lambda c: analytic.inertia(c * c * analytic.hessian(S, W2.T, W2)), 0),
    "critical_point": (lambda c: analytic.critical_point(c * c * EIGENVALUES, 2, [1, 3]).loss, 2),
    "sharpness": (lambda c: analytic.sharpness(c * c * EIGENVALUES), 2),
    "stability_limit": (lambda c: analytic.stability_limit(c * c * EIGENVALUES), -2),
    "two_layer_bound": (lambda c: analytic.two_layer_bound(c * c * EIGENVALUES, 2), 2),
    "optimal_loss_nested": (lambda c: analytic.optimal_loss_nested(c * c * EIGENVALUES, 2), 2),
    "balancedness": (lambda c: analytic.balancedness(c * W1, c * W2), 2),
    "shrinkage_product": (
        lambda c: analytic.shrinkage_product(c * c * EIGENVALUES, 2, c * c * 0.5),
        0,
    ),
    "eigenvalues_from_singular_values": (
        lambda c: analytic.eigenvalues_from_singular_values([0.9, 0.5], c * c),
        2,
    ),
    "relu_equals_pca": (lambda c: analytic.relu_equals_pca(c * X, 2).reconstruct(c * X), 1),
    # denoising
    "denoising_loss": (
        lambda c: analytic.denoising_loss(U, analytic.gaussian_moments(c * c * S, c * 0.3)),
        2,
    ),
    "gaussian_denoising_loss": (
        lambda c: analytic.gaussian_denoising_loss(c * c * EIGENVALUES, c * 0.5, 2),
        2,
    ),
    "empirical_moments": (lambda c: analytic.empirical_moments(c * X, c * X + c).Q, 2),
    "ridge_gaussian": (lambda c: analytic.ridge_gaussian(U, c * c * S, c * 0.3), 2),
    "ridge_dropout": (lambda c: analytic.ridge_dropout(U, c * c * S, 0.6), 2),
    "score_of_denoiser": (lambda c: analytic.score_of_denoiser(c * X, c * X + c, c * 0.5), -1),
    "masked_mean_variance": (lambda c: analytic.masked_mean_variance(c * X[0], 2), 2),
    # codes z grow with x
    "sparse_loss": (lambda c: analytic.sparse_loss(c * X[:3], W, c * Z, c * 0.5), 2),
    "kkt_residual": (lambda c: analytic.kkt_residual(c * X[:3], W, c * Z, c * 0.5), 1),
    "duality_gap": (lambda c: analytic.duality_gap(c * X[:3], W, c * Z, c * 0.5), 2),
    "ista": (lambda c: analytic.ista(c * X[:3], W, c * 0.5, 50).codes, 1),
    "ista_bound": (lambda c: analytic.ista_bound(W, c * Z, 5), 2),
    "codes_on_support": (
        lambda c: analytic.codes_on_support(c * X[:3], W, c * 0.5, np.ones((3, 2), int)),
        1,
    ),
    "degenerate_loss": (lambda c: analytic.degenerate_loss(c * X, 2, c * 0.5, 0.1), 2),
    # probabilistic PCA and the linear VAE: W grows with x, z has no unit
    "em_step": (lambda c: analytic.em_step(c * c * S, c * W, c * c * 0.3)[0], 1),
    "em_step.sigma2": (lambda c: analytic.em_step(c * c * S, c * W, c * c * 0.3)[1], 2),
    "em_step_without_noise": (lambda c: analytic.em_step_without_noise(c * c * S, c * W), 1),
    "em_rate": (lambda c: analytic.em_rate(c * c * EIGENVALUES, 2), 0),
    "ppca_optimum.sigma2": (lambda c: analytic.ppca_optimum(c * c * EIGENVALUES, 2)[1], 2),
    "best_encoder": (lambda c: analytic.best_encoder(c * W, c * c * 0.3)[0], -1),
    "best_encoder.d": (lambda c: analytic.best_encoder(c * W, c * c * 0.3)[1], 0),
    "collapse_curvature": (
        lambda c: analytic.collapse_curvature(c * c * EIGENVALUES, c * c * 0.3),
        -2,
    ),
    "amortisation_gap": (
        lambda c: analytic.amortisation_gap(c * c * S, c * W, V / c, D, c * c * 0.3),
        0,
    ),
    "linear_elbo.kl": (
        lambda c: analytic.linear_elbo(c * c * S, c * W, V / c, D, c * c * 0.3).kl,
        0,
    ),
    "linear_vae_weights": (
        lambda c: analytic.linear_vae_weights(U, c * c * np.arange(5.0, 0, -1), 2, c * c * 0.3)[0],
        1,
    ),
    "rate_distortion": (
        lambda c: analytic.rate_distortion(c * c * EIGENVALUES, 2, c * c * D)[1],
        2,
    ),
    "rate_distortion.rate": (
        lambda c: analytic.rate_distortion(c * c * EIGENVALUES, 2, c * c * D)[0],
        0,
    ),
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


@pytest.mark.parametrize("power", [-450, -60, 60, 450])
def test_log_densities_shift_by_the_logarithm_of_the_unit(power):
    """log p(c x) = log p(x) − D ln c: to the rounding of D ln c itself."""
    c = 2.0**power
    shift = 5 * power * np.log(2)
    for density in (
        lambda c: analytic.ppca_log_likelihood(c * c * S, c * W, c * c * 0.3),
        lambda c: analytic.ppca_optimum(c * c * np.arange(5.0, 0, -1), 2)[0],
        lambda c: analytic.linear_elbo(c * c * S, c * W, V / c, D, c * c * 0.3).value,
        lambda c: analytic.linear_vae_optimum(c * c * np.arange(5.0, 0, -1), 2, c * c * 0.3).value,
        lambda c: analytic.log_likelihood_at_best_variance(c * c * 0.7, 5),
        lambda c: float(analytic.log_normal(c * X[0], 0.0, np.log(c * c))),
    ):
        rounding = 32 * 2.0**-52 * (abs(shift) + abs(density(1.0)))
        assert abs(density(c) - (density(1.0) - shift)) <= rounding


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e-150, 1e-8, 1.0, 1e150])
def test_data_without_freedom(size):
    """One row, one feature, a constant column, as many latent units as features."""
    one = analytic.pca(size * X[:1])
    assert one.rank == 0 and one.optimal_loss() == 0
    line = analytic.pca(size * X[:, :1], 1)
    assert line.rank == 1 and line.optimal_loss() == 0
    assert abs(line.components).tolist() == [[1.0]]
    whole = analytic.pca(size * X, 5)
    assert whole.rank == 5 and whole.optimal_loss() == 0
    constant = size * np.column_stack([X, np.full(len(X), 3.0)])
    assert analytic.pca(constant).rank == 5
    C = np.cov(constant.T, bias=True)
    C[5], C[:, 5] = 0.0, 0.0
    best = analytic.best_denoiser(analytic.gaussian_moments(C, 0.0))
    np.testing.assert_allclose(best.matrix, np.diag([1.0] * 5 + [0.0]), atol=1e-10)
    alone = analytic.gaussian_conditional(C, [True] * 5 + [False])
    assert not alone.predictor.any(), "a constant feature predicts nothing"
    assert np.array_equal(alone.covariance, C[:5, :5])
    twice = size * size * np.array([[1.0, 1.0, 0.5], [1.0, 1.0, 0.5], [0.5, 0.5, 1.0]])
    halves = analytic.gaussian_conditional(twice, [False, False, True]).predictor
    np.testing.assert_allclose(halves, [[0.25, 0.25]], rtol=1e-14)


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
