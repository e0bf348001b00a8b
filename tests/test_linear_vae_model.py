"""The linear VAE: its bound against the closed forms at any weights, its samples against the bound,
its optimum.

Tolerance of an algebraic identity: 1e-12 relative, some thousand roundings of float64.  Sampled: 4
standard errors.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.errors import DataError, DtypeError, ShapeError
from minigrad_ae.models import LinearVAE
from minigrad_ae.models.diagnostics import kl_per_unit

EXACT = 1e-12
D, M, N = 6, 3, 50


def data(seed=0):
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(N, D))
        * [3.0, 2.0, 1.5, 1.0, 0.7, 0.4]
        @ np.linalg.qr(rng.normal(size=(D, D)))[0]
        + 5.0
    )


def model(seed=1, **settings):
    """A model with nothing special about its weights."""
    rng = np.random.default_rng(seed)
    made = LinearVAE(D, M, rng=rng, **settings)
    made.log_var.data = rng.normal(size=M)
    made.mean.data = rng.normal(size=D)
    return made


def matrices(m):
    """(W, V, d) in the notation of the slides."""
    return m.decoder_weight.numpy().T, m.encoder_weight.numpy().T, np.exp(m.log_var.numpy())


def encoded(m, X):
    mu, log_var = m.encode(X)
    return mu.numpy(), log_var.numpy()


def about(m, X):
    centred = X - m.mean.numpy()
    return centred.T @ centred / len(X)


@pytest.mark.parametrize(
    "settings",
    [{}, {"sigma2": 0.3}, {"beta": 2.5}, {"beta": 0.0}, {"sigma2": 3.0, "learn_sigma2": True}],
    ids=str,
)
def test_the_exact_bound_is_the_closed_form(settings):
    m, X = model(**settings), data()
    expected = analytic.linear_elbo(about(m, X), *matrices(m), m.sigma2, m.beta)
    assert m.bound(X, beta=m.beta).numpy().mean() == pytest.approx(expected.value, rel=EXACT)
    assert kl_per_unit(*encoded(m, X)) == pytest.approx(expected.kl, rel=EXACT)
    likelihood = m.expected_log_likelihood(X, *m.encode(X)).numpy()
    assert likelihood.mean() == pytest.approx(expected.reconstruction, rel=EXACT)
    assert m.loss(X).item() == pytest.approx(-N * expected.value, rel=EXACT)
    assert m.loss(X).item() == pytest.approx(-m.elbo(X, beta=m.beta).item(), rel=EXACT)


def test_likelihood_is_bound_plus_divergence_datum_by_datum():
    m, X = model(sigma2=0.4), data()
    W, _, d = matrices(m)
    truth = analytic.PPCA(W, m.mean.numpy(), m.sigma2)
    posterior, covariance = truth.posterior(X)
    means = m.encode(X)[0].numpy()
    kl = [
        analytic.kl_normal(q, np.diag(d), p, covariance)
        for q, p in zip(means, posterior, strict=True)
    ]
    log_p = truth.log_prob(X)
    assert np.abs(m.bound(X).numpy() + kl - log_p).max() < EXACT * np.abs(log_p).max()


def test_gradients_are_exact():
    for m in (model(), model(learn_sigma2=True, beta=0.7)):
        assert mg.check_graph(m.loss(data())).ok
        assert mg.check_graph(m.loss(data(), rng=np.random.default_rng(0))).ok
        mg.gradcheck(lambda x, m=m: m.bound(x), data()[:4])


def test_samples_agree_with_the_exact_bound():
    m, X = model(sigma2=0.4), data()[:8]
    draws = np.array(
        [m.bound(X, np.random.default_rng([2, k]), n_samples=4).numpy().sum() for k in range(500)]
    )
    error = draws.std(ddof=1) / np.sqrt(len(draws))
    assert abs(draws.mean() - m.bound(X).numpy().sum()) < 4 * error
    weights = m.log_weights(X, np.random.default_rng(3), 2000).numpy()
    error = weights.std(axis=0, ddof=1) / np.sqrt(len(weights))
    assert (np.abs(weights.mean(axis=0) - m.bound(X).numpy()) < 4 * error).all()


def test_one_draw_for_each_datum_and_sample():
    m, n = model(), 4000
    z = m.draw(*m.encode(np.tile(data()[:1], (3, 1))), np.random.default_rng(0), n).numpy()
    assert z.shape == (n, 3, M) and len(np.unique(z)) == z.size
    d = matrices(m)[2]
    assert (np.abs(z.var(axis=0) / d - 1) < 4 * np.sqrt(2 / n)).all()  # d is a variance


def test_the_weights_are_constant_where_the_encoder_is_the_posterior():
    m, X = LinearVAE(D, 1, sigma2=0.4, rng=np.random.default_rng(0)), data()
    m.mean.data = X.mean(axis=0)
    V, d = analytic.best_encoder(m.decoder_weight.numpy().T, m.sigma2)
    m.encoder_weight.data, m.log_var.data = V.T, np.log(d)
    log_p = analytic.PPCA(m.decoder_weight.numpy().T, m.mean.numpy(), m.sigma2).log_prob(X)
    log_w = m.log_weights(X, np.random.default_rng(0), 20).numpy()
    assert np.abs(log_w - log_p).max() < EXACT * np.abs(log_p).max()
    assert (
        np.abs(m.log_likelihood(X, np.random.default_rng(0), 20) - log_p).max()
        < EXACT * np.abs(log_p).max()
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"sigma2": 0.5},
        {"learn_sigma2": True},
        {"sigma2": 0.5, "beta": 3.0},
        {"learn_sigma2": True, "beta": 1.5},
        {"sigma2": 20.0},
    ],
    ids=str,
)
@pytest.mark.parametrize("unit", [1.0, 1e-3])
def test_fit_reaches_the_maximum(settings, unit):
    X = unit * data()
    settings = {**settings, "sigma2": settings.get("sigma2", 1.0) * unit**2}
    m = LinearVAE(D, M, rng=np.random.default_rng(0), **settings)
    report = m.fit(X)
    found, l = analytic.pca(X), analytic.pca(X).eigenvalues / N
    sigma2 = analytic.learnt_noise(l, M, m.beta) if m.learn_sigma2 else settings["sigma2"]
    best = analytic.linear_vae_optimum(l, M, sigma2, m.beta)
    W = analytic.linear_vae_weights(found.components, l, M, sigma2, m.beta)[0]
    assert m.sigma2 == pytest.approx(sigma2, rel=1e-6)
    assert -report.loss / N == pytest.approx(best.value, rel=1e-9)
    assert (
        report.loss == pytest.approx(m.loss(X).item(), rel=EXACT)
        and report.loss < report.start_loss
    )
    assert (
        min(report.losses) == pytest.approx(report.loss, rel=1e-9)
        and len(report.losses) == report.evaluations
    )
    own = m.decoder_weight.numpy().T
    assert np.abs(own @ own.T - W @ W.T).max() < 1e-5 * max(unit**2, np.abs(W @ W.T).max())
    report = mg.models.diagnose(m, X, np.random.default_rng(0))
    assert np.sort(report.kl)[::-1] == pytest.approx(best.kl, abs=1e-6)
    assert np.sort(report.mean_variance)[::-1] == pytest.approx(best.mean_variances, abs=1e-6)
    assert report.active.sum() == analytic.active_units(l, M, sigma2, m.beta)
    # the aggregate posterior has the prior's moments
    assert report.covariance == pytest.approx(np.eye(M), abs=1e-5)


def test_fewer_rows_than_features_and_constant_columns():
    X = np.hstack([data()[:4], np.full((4, 1), 3.0)])
    m = LinearVAE(D + 1, 2, sigma2=0.2, rng=np.random.default_rng(0))
    m.fit(X, np.random.default_rng(1))
    best = analytic.linear_vae_optimum(analytic.pca(X).eigenvalues / 4, 2, 0.2).value
    assert m.bound(X).numpy().mean() == pytest.approx(best, rel=1e-9)


def test_samples_have_the_moments_of_the_model():
    m = model(sigma2=0.4)
    W = matrices(m)[0]
    x, n = m.sample(20_000, np.random.default_rng(0)), 20_000
    C = W @ W.T + 0.4 * np.eye(D)
    assert (np.abs(x.mean(axis=0) - m.mean.numpy()) < 4 * np.sqrt(np.diag(C) / n)).all()
    # standard error of a Gaussian's covariance
    spread = np.sqrt((C**2 + np.outer(np.diag(C), np.diag(C))) / n)
    assert (np.abs(np.cov(x.T) - C) < 4.5 * spread).all()  # 36 entries: the largest of them


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_and_state(dtype):
    m, X = (
        LinearVAE(D, M, learn_sigma2=True, rng=np.random.default_rng(0), dtype=dtype),
        data().astype(dtype),
    )
    m.loss(X).backward()
    assert {p.grad.dtype for p in m.parameters() if p.requires_grad} == {np.dtype(dtype)}
    assert (
        m.sample(3, np.random.default_rng(0)).dtype == dtype
        and m.bound(X, np.random.default_rng(0)).dtype == dtype
    )
    for other in (copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert other.loss(X).item() == m.loss(X).item() and other.sigma2 == m.sigma2
    fresh = LinearVAE(D, M, learn_sigma2=True, rng=np.random.default_rng(5), dtype=dtype)
    fresh.load_state_dict(m.state_dict())
    assert fresh.loss(X).item() == m.loss(X).item()


def test_beta_can_be_changed_between_steps():
    m, X = model(), data()
    low = m.loss(X).item()
    m.beta = 3.0
    assert m.loss(X).item() - low == pytest.approx(
        2 * N * kl_per_unit(*encoded(m, X)).sum(), rel=EXACT
    )
    assert m.elbo(X).item() == pytest.approx(-low, rel=EXACT)


def low_rank():
    return data()[:, :2] @ np.random.default_rng(0).normal(size=(2, D))


def build(**settings):
    return LinearVAE(D, M, **{"rng": np.random.default_rng(0), **settings})


@pytest.mark.parametrize(
    "call, kind, what, fix",
    [
        (
            lambda: LinearVAE(D, 0, rng=np.random.default_rng(0)),
            DataError,
            "n_latent = 0",
            "1 <= n_latent <= n_features",
        ),
        (
            lambda: LinearVAE(D, D + 1, rng=np.random.default_rng(0)),
            DataError,
            "n_latent = 7",
            "1 <= n_latent <= n_features",
        ),
        (
            lambda: LinearVAE(D, 2.0, rng=np.random.default_rng(0)),
            DtypeError,
            "n_latent must be a whole number, from 1 to 6",
            "whole numbers",
        ),
        (
            lambda: LinearVAE(D, "2", rng=np.random.default_rng(0)),
            DtypeError,
            "n_latent must be a whole number, from 1 to 6",
            "whole numbers",
        ),
        (
            lambda: build(sigma2=None),
            DtypeError,
            "sigma2 must be a real number",
            "choose sigma2 > 0",
        ),
        (lambda: build(beta="1"), DtypeError, "beta must be a real number", "choose beta >= 0"),
        (
            lambda: build().elbo(data(), np.random.default_rng(0), 1.5),
            DtypeError,
            "n_samples must be a whole number",
            "n_samples >= 1",
        ),
        (
            lambda: build().loss(data(), 3),
            DtypeError,
            "a random generator is needed to draw z from q(z | x)",
            "default_rng(seed)",
        ),
        (
            lambda: build().sample(3, None),
            DtypeError,
            "is needed to draw z from the prior",
            "default_rng(seed)",
        ),
        (
            lambda: build().loss(np.zeros((0, D))),
            ShapeError,
            "the data do not fit the autoencoder",
            "rows are data",
        ),
        (lambda: build(sigma2=0.0), DataError, "sigma2 = 0.0 is not possible", "choose sigma2 > 0"),
        (
            lambda: build(sigma2=-1.0),
            DataError,
            "sigma2 = -1.0 is not possible",
            "choose sigma2 > 0",
        ),
        (
            lambda: build(sigma2=np.nan),
            DataError,
            "sigma2 = nan is not possible",
            "choose sigma2 > 0",
        ),
        (lambda: build(beta=-0.5), DataError, "beta = -0.5 is not possible", "choose beta >= 0"),
        (lambda: build(beta=np.inf), DataError, "beta = inf is not possible", "choose beta >= 0"),
        (
            lambda: build().elbo(data(), beta=-1.0),
            DataError,
            "beta = -1.0 is not possible",
            "choose beta >= 0",
        ),
        (
            lambda: build().bound(data(), np.random.default_rng(0), 0),
            DataError,
            "n_samples = 0",
            "n_samples >= 1",
        ),
        (
            lambda: build().log_likelihood(data(), np.random.default_rng(0), -3),
            DataError,
            "n_samples = -3",
            "n_samples >= 1",
        ),
        (lambda: build(rng=7), DtypeError, "a random generator is needed", "default_rng(seed)"),
        (lambda: build(dtype=np.int64), DtypeError, "float32 or float64", "dtype=np.float64"),
        (
            lambda: build().loss(data()[0]),
            ShapeError,
            "the data do not fit the autoencoder",
            "x[None, :]",
        ),
        (
            lambda: build().fit(data()[:, 1:]),
            ShapeError,
            "the data do not fit the autoencoder",
            "rows are data",
        ),
        (lambda: build().fit(np.full((3, D), np.nan)), DataError, "not finite", "drop those rows"),
        (
            lambda: build(learn_sigma2=True).fit(low_rank()),
            DataError,
            "no optimum above 0",
            "choose fewer units, or fix sigma2",
        ),
        (
            lambda: build(learn_sigma2=True).fit(data()[:3]),
            DataError,
            "no optimum above 0",
            "choose fewer units, or fix sigma2",
        ),
    ],
)
def test_wrong_use_is_explained_in_three_lines(call, kind, what, fix):
    with pytest.raises(kind) as caught:
        call()
    lines = str(caught.value).splitlines()
    assert len(lines) == 3 and what in lines[0] and fix in lines[2]


def test_float32_data_do_not_spoil_the_mean_of_a_float64_model():
    X = (data() + 1e4).astype(np.float32)
    made = LinearVAE(D, M, rng=np.random.default_rng(0))
    report = made.fit(X)
    assert report.finished
    mean = X.astype(np.float64).mean(axis=0)
    assert (
        np.abs(made.mean.numpy() - mean).max() <= 4 * np.finfo(np.float64).eps * np.abs(mean).max()
    )


def test_a_fit_that_was_cut_off_says_so():
    report = LinearVAE(D, M, rng=np.random.default_rng(0)).fit(data(), max_evaluations=3)
    assert (report.reason, report.finished) == ("evaluation limit", False)
