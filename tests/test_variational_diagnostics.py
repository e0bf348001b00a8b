"""Estimators of gradients, and the diagnostics of a code, against the closed forms."""

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.errors import DataError, DtypeError, ShapeError
from minigrad_ae.models import VariationalAutoencoder, diagnose
from minigrad_ae.models.densities import log_bernoulli, log_normal
from minigrad_ae.models.diagnostics import (
    _mean_and_error,
    kl_per_unit,
    log_aggregate_posterior,
    mutual_information,
)
from minigrad_ae.models.estimators import (
    kl_samples,
    reparameterised_gradients,
    score_function_gradients,
)

MU, SIGMA = np.array([0.8, -0.5]), np.array([0.6, 1.3])
LOG_VAR = 2 * np.log(SIGMA)
A, B = np.array([[1.0, 0.4], [0.4, -0.7]]), np.array([0.3, -1.1])
QUADRATIC = analytic.Quadratic(A, B)
DRAWS = 100_000


def quadratic(z):
    return 0.5 * ((z @ A) * z).sum(axis=-1) + z @ B


def within(draws, mean):
    """All means within 4 standard errors."""
    return (np.abs(draws.mean(axis=0) - mean) < 4 * draws.std(axis=0) / np.sqrt(len(draws))).all()


def test_densities_are_those_of_the_witness_and_broadcast():
    rng = np.random.default_rng(0)
    x, mean, log_var = rng.normal(size=(3, 1, 4)), rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    expected = analytic.log_normal(x, mean, log_var)
    np.testing.assert_allclose(
        log_normal(mg.tensor(x), mean, mg.tensor(log_var)).numpy(), expected, rtol=1e-13
    )
    bits, logits = rng.integers(0, 2, (5, 4)).astype(float), 50 * rng.normal(size=(3, 5, 4))
    expected = analytic.log_bernoulli(bits, logits)
    np.testing.assert_allclose(log_bernoulli(bits, mg.tensor(logits)).numpy(), expected, rtol=1e-13)


def test_monte_carlo_divergence_has_the_analytic_mean_and_variance():
    draws = kl_samples(MU, LOG_VAR, np.random.default_rng(1), DRAWS)
    assert within(draws, analytic.kl_diagonal(MU, LOG_VAR).sum())
    assert draws.var() == pytest.approx(analytic.kl_sample_variance(MU, LOG_VAR), rel=0.05)


@pytest.mark.parametrize("estimate", [reparameterised_gradients, score_function_gradients])
def test_both_estimators_have_the_mean_of_bonnet_and_price(estimate):
    dmu, dlog_var = estimate(quadratic, MU, LOG_VAR, np.random.default_rng(2), DRAWS)
    assert dmu.shape == dlog_var.shape == (DRAWS, 2)
    assert within(dmu, QUADRATIC.gradient_in_mean(MU, SIGMA))
    assert within(dlog_var, 0.5 * QUADRATIC.gradient_in_log_sigma(MU, SIGMA))


def test_variances_are_as_derived():
    rng = np.random.default_rng(3)
    dmu, _ = reparameterised_gradients(quadratic, MU, LOG_VAR, rng, DRAWS)
    np.testing.assert_allclose(
        np.cov(dmu.T), QUADRATIC.reparameterised_covariance(SIGMA), atol=0.02
    )
    for baseline in (0.0, QUADRATIC.expectation(MU, SIGMA)):
        dmu, _ = score_function_gradients(quadratic, MU, LOG_VAR, rng, DRAWS, baseline)
        np.testing.assert_allclose(
            dmu.var(axis=0), QUADRATIC.score_function_variance(MU, SIGMA, baseline), rtol=0.05
        )


def test_a_function_of_the_wrong_shape_is_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ShapeError, match="one number for each draw"):
        reparameterised_gradients(lambda z: z, MU, LOG_VAR, rng, 10)
    with pytest.raises(ShapeError, match="one number for each draw"):
        score_function_gradients(lambda z: z.numpy().sum(axis=1), MU, LOG_VAR, rng, 10)
    with pytest.raises(ShapeError, match="flat and of one length"):
        kl_samples(MU, LOG_VAR[:1], rng, 10)
    with pytest.raises(DataError, match="at least one draw is needed"):
        kl_samples(MU, LOG_VAR, rng, 0)
    with pytest.raises(DtypeError, match="a random generator is needed to draw the noise"):
        kl_samples(MU, LOG_VAR, 7, 10)


# --- diagnostics ----------------------------------------------------------------------------------


def codes(n=900):
    """A code of a correlated Gaussian and three units, the last of them collapsed."""
    rng = np.random.default_rng(4)
    mu = rng.standard_normal((n, 3)) @ np.diag([1.0, 0.5, 0.0])
    return mu, np.tile([-3.0, -1.0, 0.0], (n, 1))


def test_an_error_is_that_of_a_mean():
    mean, error = _mean_and_error([1.0, 2.0, 3.0, 6.0])
    assert mean == 3.0 and error == pytest.approx(np.sqrt(14 / 3) / 2, rel=1e-15)


def test_kl_per_unit_is_the_average_over_the_data():
    mu, log_var = codes()
    np.testing.assert_allclose(
        kl_per_unit(mu, log_var), analytic.kl_diagonal(mu, log_var).mean(axis=0), rtol=1e-13
    )
    assert kl_per_unit(mu, log_var)[2] == 0


def test_the_aggregate_posterior_is_the_mixture():
    mu, log_var = codes(7)
    z = np.random.default_rng(5).standard_normal((11, 3))
    each = analytic.log_normal(z[:, None, :], mu, log_var)
    np.testing.assert_allclose(
        log_aggregate_posterior(z, mu, log_var), np.log(np.exp(each).mean(axis=1)), rtol=1e-12
    )


def test_a_code_that_knows_nothing_and_one_that_knows_everything():
    n, rng = 600, np.random.default_rng(6)
    same = np.tile([0.3, -2.0], (n, 1))
    assert mutual_information(same, np.zeros((n, 2)), rng) == pytest.approx(0.0, abs=1e-12)
    apart = np.arange(n, dtype=float)[:, None]
    assert mutual_information(apart, np.full((n, 1), -14.0), rng) == pytest.approx(
        np.log(n), abs=1e-9
    )


def test_information_of_a_gaussian_channel():
    """x = mu ~ N(0, 1 - tau), z = mu + noise of variance tau: I = -1/2 ln tau, and q(z) = p(z); n
    data, so not exactly.
    """
    n, tau, rng = 4000, 0.2, np.random.default_rng(7)
    mu = np.sqrt(1 - tau) * rng.standard_normal((n, 1))
    found = mutual_information(mu, np.full((n, 1), np.log(tau)), rng)
    assert found == pytest.approx(-0.5 * np.log(tau), abs=4 * np.sqrt(1 / n))


def test_information_of_one_bit_in_noise():
    """mu = +-1, sigma = 1: I = ln 2 - E ln(1 + exp(-2 - 2 e)), by quadrature over e ~ N(0, 1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    lost = weights @ np.log1p(np.exp(-2 - 2 * nodes)) / np.sqrt(2 * np.pi)
    mu, rng = np.tile([-1.0, 1.0], 250)[:, None], np.random.default_rng(11)
    found = [mutual_information(mu, np.zeros((500, 1)), rng) for _ in range(200)]
    error = np.std(found, ddof=1) / np.sqrt(200)
    assert error < 0.002 and abs(np.mean(found) - (np.log(2) - lost)) < 5 * error


def test_the_report_of_a_model_adds_up():
    X = mg.data.digits()[0][:200]
    model = VariationalAutoencoder(64, 3, hidden=(16,), rng=np.random.default_rng(8))
    # the third unit: mu = 0 and ln sigma^2 = 0 for every x
    model.encoder[-1].weight.data[:, [2, 5]] = 0.0
    report = diagnose(model, X, np.random.default_rng(9))
    assert report.active.tolist() == [True, True, False]
    assert report.kl[2] == 0 and report.mean_variance[2] == 0
    mu, log_var = (s.numpy() for s in model.encode(X))
    z = mu + np.exp(log_var / 2) * np.random.default_rng(10).standard_normal((500, *mu.shape))
    np.testing.assert_allclose(report.covariance, np.cov(z.reshape(-1, 3).T), atol=0.02)
    assert report.rate == pytest.approx(
        float(model.terms(X, np.zeros(mu.shape))[1].item()) / len(X), rel=1e-12
    )
    assert report.elbo == -(report.distortion + report.rate)
    assert report.marginal_kl == report.rate - report.mutual_information
    text = str(report)
    assert "2 of 3 units active" in text and "collapsed" in text


def test_a_decoder_that_says_nothing_costs_ln_2_a_pixel():
    """Logits of 0 whatever z: -log p(x | z) = D ln 2 for any x in [0, 1]."""
    X = mg.data.digits()[0][:50]
    model = VariationalAutoencoder(64, 2, hidden=(), rng=np.random.default_rng(0))
    model.decoder[-1].weight.data = np.zeros((2, 64))
    report = diagnose(model, X, np.random.default_rng(1), draws=3)
    assert report.distortion == pytest.approx(64 * np.log(2), rel=1e-13)
    assert report.elbo == pytest.approx(-64 * np.log(2) - report.rate, rel=1e-13)


def test_a_unit_is_active_from_a_variance_of_a_hundredth_on():
    X = mg.data.digits()[0]
    model = VariationalAutoencoder(64, 2, hidden=(), rng=np.random.default_rng(0))
    weight = np.zeros((64, 4))
    # the mean of either unit follows pixel 20
    weight[20, :2] = np.sqrt(np.array([0.009, 0.011]) / X[:, 20].var())
    model.encoder[0].weight.data = weight
    report = diagnose(model, X, np.random.default_rng(0))
    np.testing.assert_allclose(report.mean_variance, [0.009, 0.011], rtol=1e-12)
    assert report.active.tolist() == [False, True]


def test_one_datum_has_no_spread():
    with pytest.raises(DataError, match="one datum has no spread"):
        diagnose(
            VariationalAutoencoder(4, 1, rng=np.random.default_rng(0)),
            np.zeros((1, 4)),
            np.random.default_rng(0),
        )


class Fixed:
    """An encoder that says the same of every datum, or next to nothing; its decoder's error is
    noise.
    """

    def __init__(self, mu, log_var):
        self.mu, self.log_var = mu, log_var

    def encode(self, x):
        return mg.tensor(self.mu), mg.tensor(self.log_var)

    def bound(self, x, rng, beta):
        return mg.tensor(rng.standard_normal(len(x)))


def test_codes_far_apart_tell_which_datum_it_was():
    n = 30
    model = Fixed(np.arange(n, dtype=float)[:, None], np.full((n, 1), -14.0))
    report = diagnose(model, np.zeros((n, 4)), np.random.default_rng(0))
    assert report.mutual_information == pytest.approx(np.log(n), abs=1e-9)


def test_a_unit_far_from_the_prior_is_not_called_collapsed():
    n = 50
    mu, log_var = np.zeros((n, 3)), np.zeros((n, 3))
    mu[:, 0], mu[:, 1] = 369.4, np.linspace(-2, 2, n)
    report = diagnose(Fixed(mu, log_var), np.zeros((n, 4)), np.random.default_rng(0))
    assert report.kl[0] > 68_000
    np.testing.assert_allclose(report.mean, [369.4, 0, 0], rtol=1e-13, atol=1e-14)
    assert [report.state(m) for m in range(3)] == [
        "inactive, far from the prior",
        "active",
        "collapsed",
    ]
    assert "inactive, far from the prior" in str(report) and " ± " in str(report)


def test_the_estimates_of_a_report_come_with_a_standard_error_that_is_one():
    """Where all posteriors are the prior, KL(q(z) || p(z)) = 0; here it is some positive number,
    the same for each seed.
    """
    n = 40
    mu, log_var = np.linspace(-1, 1, n)[:, None], np.full((n, 1), np.log(0.3))
    reports = [
        diagnose(Fixed(mu, log_var), np.zeros((n, 4)), np.random.default_rng(k)) for k in range(60)
    ]
    values, errors = (
        np.array([getattr(r, name) for r in reports])
        for name in ("marginal_kl", "marginal_kl_error")
    )
    assert 0.7 < np.sqrt(np.mean(errors**2)) / np.std(values, ddof=1) < 1.4
    one = [
        diagnose(Fixed(mu, log_var), np.zeros((n, 4)), np.random.default_rng(k), draws=1)
        for k in range(60)
    ]
    assert np.std([r.marginal_kl for r in one]) > 2 * np.std(values) and np.isnan(
        one[0].marginal_kl_error
    )
    assert "±" not in str(one[0])
