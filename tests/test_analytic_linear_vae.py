"""The linear VAE: its bound against data and samples, its optimum against coordinate ascent,
collapse against curvature.

Tolerance of an algebraic identity: 1e-12 relative, some thousand roundings of float64.  Sampled: 4
standard errors.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import with_variances

from minigrad_ae import analytic
from minigrad_ae.analytic import (
    PPCA,
    best_encoder,
    linear_elbo,
    linear_vae_optimum,
    ppca_log_likelihood,
)
from minigrad_ae.errors import DataError, ShapeError

EXACT = 1e-12
STEP = 1e-30
L = np.array([4.0, 2.5, 1.2, 0.7, 0.3])
D, M = len(L), 3


X, S, U = with_variances(L)


def weights(seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(D, M)), 0.5 * rng.normal(size=(M, D)), rng.uniform(0.2, 1.5, size=M)


def elbo(W, V, d, sigma2, beta):
    """Datum by datum, E over q by hand; in complex arithmetic too."""
    codes = X @ V.T
    error = ((X - codes @ W.T) ** 2).sum(axis=1) + ((W**2).sum(axis=0) * d).sum()
    kl = 0.5 * (codes**2 + d - 1 - np.log(d)).sum(axis=1)
    return (-0.5 * D * np.log(2 * np.pi * sigma2) - error / (2 * sigma2) - beta * kl).mean()


def gradient(*parameters, beta):
    """In (W, V, d, sigma2), by complex steps."""
    flat = np.concatenate([np.ravel(p) for p in parameters])
    cuts = np.cumsum([np.size(p) for p in parameters])[:-1]

    def value(v):
        W, V, d, sigma2 = np.split(v, cuts)
        return elbo(W.reshape(D, M), V.reshape(M, D), d, sigma2[0], beta)

    return np.array([value(flat + STEP * 1j * unit).imag / STEP for unit in np.eye(len(flat))])


@pytest.mark.parametrize("sigma2, beta", [(0.5, 1.0), (2.0, 4.0), (1.0, 0.0)])
def test_bound_is_that_of_the_data(sigma2, beta):
    W, V, d = weights()
    bound = linear_elbo(S, W, V, d, sigma2, beta)
    assert bound.value == pytest.approx(elbo(W, V, d, sigma2, beta), rel=EXACT)
    assert bound.kl.shape == (M,) and (bound.kl > 0).all()
    assert bound.value == pytest.approx(bound.reconstruction - beta * bound.kl.sum(), rel=EXACT)
    assert bound.reconstruction == pytest.approx(elbo(W, V, d, sigma2, 0.0), rel=EXACT)


def test_bound_is_the_mean_of_samples():
    (W, V, d), rng = weights(), np.random.default_rng(2)
    samples = []
    for _ in range(2000):
        z = X @ V.T + np.sqrt(d) * rng.normal(size=(len(X), M))
        log_p = -0.5 * ((X - z @ W.T) ** 2).sum(axis=1) / 0.5 - 0.5 * D * np.log(2 * np.pi * 0.5)
        log_prior = -0.5 * (z**2 + np.log(2 * np.pi)).sum(axis=1)
        log_q = -0.5 * ((z - X @ V.T) ** 2 / d + np.log(2 * np.pi * d)).sum(axis=1)
        samples.append((log_p + log_prior - log_q).mean())
    error = np.std(samples, ddof=1) / np.sqrt(2000)
    assert abs(np.mean(samples) - linear_elbo(S, W, V, d, 0.5).value) < 4 * error


def test_log_likelihood_is_bound_plus_both_gaps():
    for seed in range(5):
        W, V, d = weights(seed)
        likelihood = ppca_log_likelihood(S, W, 0.5)
        gaps = analytic.hadamard_gap(W, 0.5), analytic.amortisation_gap(S, W, V, d, 0.5)
        assert min(gaps) > 0
        assert likelihood == pytest.approx(
            linear_elbo(S, W, V, d, 0.5).value + sum(gaps), rel=EXACT
        )
        model = PPCA(W, np.zeros(D), 0.5)  # KL(q ‖ posterior), datum by datum
        means, cov = model.posterior(X)
        P, offset = np.linalg.inv(cov), X @ V.T - means
        kl = 0.5 * (
            np.diag(P) @ d
            - M
            + (offset @ P * offset).sum(axis=1)
            - np.log(np.linalg.det(P))
            - np.log(d).sum()
        )
        assert kl.mean() == pytest.approx(sum(gaps), rel=EXACT)
        best = best_encoder(W, 0.5)
        assert analytic.amortisation_gap(S, W, *best, 0.5) == pytest.approx(0, abs=EXACT)
    Q = np.linalg.qr(W)[0]
    assert analytic.hadamard_gap(Q * [1.0, 2.0, 3.0], 0.5) == pytest.approx(0, abs=EXACT)


@pytest.mark.parametrize("beta", [0.3, 1.0, 4.0])
def test_no_encoder_is_better_than_the_best(beta):
    W, _, _ = weights()
    V, d = best_encoder(W, 0.5, beta)
    slope = gradient(W, V, d, 0.5, beta=beta)[W.size : W.size + V.size + M]
    assert np.abs(slope).max() < 1e-10
    rng = np.random.default_rng(3)
    for size in (1e-3, 0.1, 1.0):
        moved = V + size * rng.normal(size=V.shape), d * np.exp(size * rng.normal(size=M))
        assert elbo(W, *moved, 0.5, beta) < elbo(W, V, d, 0.5, beta)
    if beta == 1.0:
        np.testing.assert_allclose(V @ X.T, PPCA(W, np.zeros(D), 0.5).posterior(X)[0].T, rtol=1e-11)


def ascend(sigma2, beta, learn, rounds=4000):
    """Maximise in turn: encoder by its normal equations, decoder by regression on the codes, noise
    as the mean error.
    """
    W, s2 = weights(7)[0], sigma2
    for _ in range(rounds):
        G = W.T @ W
        V, d = np.linalg.solve(G + beta * s2 * np.eye(M), W.T), beta * s2 / (np.diag(G) + beta * s2)
        W = S @ V.T @ np.linalg.inv(V @ S @ V.T + np.diag(d))
        if learn:
            s2 = (((X - X @ V.T @ W.T) ** 2).sum() / len(X) + (W**2).sum(axis=0) @ d) / D
    return W, V, d, s2


@pytest.mark.parametrize(
    "sigma2, beta", [(0.5, 1.0), (0.5, 4.0), (2.0, 1.0), (1.0, 5.0), (0.7, 0.5)]
)
def test_optimum_is_where_coordinate_ascent_ends(sigma2, beta):
    best = linear_vae_optimum(L, M, sigma2, beta)
    tau = beta * sigma2
    W, V, d = analytic.linear_vae_weights(U, L, M, sigma2, beta)
    assert elbo(W, V, d, sigma2, beta) == pytest.approx(best.value, rel=EXACT)
    assert np.abs(gradient(W, V, d, sigma2, beta=beta)[:-1]).max() < 1e-11
    reached = linear_elbo(S, W, V, d, sigma2, beta)
    np.testing.assert_allclose(reached.kl, best.kl, atol=EXACT)
    np.testing.assert_allclose(d, best.variances, rtol=EXACT)
    np.testing.assert_allclose((W**2).sum(axis=0), best.squared_norms, atol=EXACT)
    np.testing.assert_allclose((X @ V.T).var(axis=0), best.mean_variances, atol=EXACT)
    # the aggregate posterior
    np.testing.assert_allclose(V @ S @ V.T + np.diag(d), np.eye(M), atol=EXACT)
    assert reached.squared_error == pytest.approx(best.squared_error, rel=EXACT)
    assert analytic.active_units(L, M, sigma2, beta) == (L[:M] > tau).sum() == (best.kl > 0).sum()
    W, V, d, _ = ascend(sigma2, beta, learn=False)
    assert elbo(W, V, d, sigma2, beta) == pytest.approx(best.value, rel=1e-11)
    np.testing.assert_allclose(
        np.sort(0.5 * ((X @ V.T) ** 2).mean(0) + 0.5 * (d - 1 - np.log(d)))[::-1],
        best.kl,
        atol=1e-6,
    )


def test_at_beta_one_the_optimum_is_ppca():
    for units in (1, 2, 3, 4):
        value, sigma2 = analytic.ppca_optimum(L, units)
        assert analytic.learnt_noise(L, units) == pytest.approx(sigma2, rel=EXACT)
        assert linear_vae_optimum(L, units, sigma2).value == pytest.approx(value, rel=EXACT)


@pytest.mark.parametrize(
    "beta, active", [(0.0, 3), (0.5, 3), (1.0, 3), (1.5, 2), (2.0, 1), (2.5, 0)]
)
def test_learnt_noise_is_the_root_and_where_ascent_ends(beta, active):
    sigma2 = analytic.learnt_noise(L, M, beta)
    assert D * sigma2 == pytest.approx(
        L[M:].sum() + np.minimum(L[:M], beta * sigma2).sum(), rel=EXACT
    )
    assert (L[:M] > beta * sigma2).sum() == active
    if beta:
        values = [
            linear_vae_optimum(L, M, s2, beta).value
            for s2 in sigma2 * np.array([1.0, 0.5, 0.99, 1.01, 3.0])
        ]
        assert max(values) == values[0]
        assert (
            np.abs(
                gradient(*analytic.linear_vae_weights(U, L, M, sigma2, beta), sigma2, beta=beta)
            ).max()
            < 1e-10
        )
        assert ascend(1.0, beta, learn=True)[-1] == pytest.approx(sigma2, rel=1e-6)


def test_rate_distortion_is_reverse_water_filling():
    tau = np.geomspace(0.01, 10, 40)
    rate, distortion = analytic.rate_distortion(L, D, tau)
    assert (
        rate.shape == distortion.shape == (40,)
        and rate[-1] == 0
        and distortion[-1] == pytest.approx(L.sum())
    )
    # any other split of the same distortion among the components costs more
    rng = np.random.default_rng(4)
    for level, r, total in zip(tau[:30], rate[:30], distortion[:30], strict=True):
        split = np.minimum(L, level) * np.exp(0.3 * rng.normal(size=D))
        split = np.minimum(split * total / split.sum(), L)
        assert 0.5 * np.log(L / split).sum() >= r - EXACT
    h = 1e-6
    (up, down), (high, low) = analytic.rate_distortion(L, 2, 0.9 + np.array([h, -h]))
    assert (up - down) / (high - low) == pytest.approx(-1 / (2 * 0.9), rel=1e-8)
    best = linear_vae_optimum(L, 2, 0.45, 2.0)
    assert analytic.rate_distortion(L, 2, 0.9) == pytest.approx(
        (best.kl.sum(), best.squared_error), rel=EXACT
    )


@pytest.mark.parametrize(
    "error_weight, kl_weight", [(1.0, 1.0), (0.5, 1.0), (1 / D, 1 / M), (2.0, 0.1)]
)
def test_effective_noise_gives_the_same_optimum_as_the_loss(error_weight, kl_weight):
    tau = analytic.effective_noise(error_weight, kl_weight)

    def loss(W, V, d):
        bound = linear_elbo(S, W, V, d, 1.0)
        return error_weight * bound.squared_error + kl_weight * bound.kl.sum()

    W, V, d = analytic.linear_vae_weights(U, L, M, tau)
    rng = np.random.default_rng(5)
    for size in (1e-3, 0.1):
        moved = (
            W + size * rng.normal(size=W.shape),
            V + size * rng.normal(size=V.shape),
            d * np.exp(size * rng.normal(size=M)),
        )
        assert loss(*moved) > loss(W, V, d)
    assert [analytic.effective_noise(1.0, b) for b in (1, 4, 10)] == [0.5, 2.0, 5.0]
    assert analytic.effective_noise(1 / 784, 1.0) == pytest.approx(392)
    assert analytic.effective_noise(1 / 784, 1 / 20) == pytest.approx(19.6)


@pytest.mark.parametrize("sigma2, beta", [(1.0, 1.0), (0.5, 4.0)])
def test_collapse_is_stable_exactly_below_the_threshold(sigma2, beta):
    h = 1e-3

    def cost(w):
        W = np.zeros((D, M))
        W[:, 1] = w
        return -linear_elbo(S, W, *best_encoder(W, sigma2, beta), sigma2, beta).value

    measured = [(2 * cost(h * u) - 2 * cost(0 * u)) / h**2 for u in U.T]
    # even in h: the next term is of order h² l/τ³, rounding of order 1e-15/h²
    np.testing.assert_allclose(analytic.collapse_curvature(L, sigma2, beta), measured, atol=1e-4)
    assert ((analytic.collapse_curvature(L, sigma2, beta) < 0) == (beta * sigma2 < L)).all()


WRONG = [
    (
        lambda: linear_elbo(S, *weights(), 1.0, -1.0),
        DataError,
        f"beta must lie in [0, inf)\n  beta = -1\n  fix: {analytic.linear_vae.BETA}",
    ),
    (
        lambda: linear_elbo(S, weights()[0], weights()[0], np.ones(M), 1.0),
        ShapeError,
        "V does not fit the others\n  V has shape (5, 3), not (3, 5)\n  fix: V is M x D; a layer's "
        "weight is its transpose",
    ),
    (
        lambda: linear_elbo(S, *weights()[:2], -np.ones(M), 1.0),
        DataError,
        "d must lie in (0, inf)\n  its entries are all -1\n"
        "  fix: d are the encoder's variances: exponentiate log-variances",
    ),
    (
        lambda: analytic.learnt_noise([1.0, 0.5, 0.0], 2),
        DataError,
        "the learnt noise has no optimum above 0\n  M = 2 units can represent data of rank 2 "
        "exactly\n"
        "  fix: choose fewer units, or fix sigma2",
    ),
    (
        lambda: analytic.rate_distortion(L, 2, [0.0, 1.0]),
        DataError,
        "tau must lie in (0, inf)\n  its entries run from 0 to 1\n"
        "  fix: tau = beta * sigma2 is the water level: choose it positive",
    ),
    (
        lambda: analytic.effective_noise(0, 1),
        DataError,
        "error_weight must lie in (0, inf)\n  error_weight = 0\n  fix: it multiplies a term of the "
        "loss: choose it positive",
    ),
    (
        lambda: analytic.active_units(L, 6, 1.0),
        DataError,
        "M = 6 is out of range\n  l has 5 eigenvalues\n  fix: choose M from 1 to 5",
    ),
]


@pytest.mark.parametrize("call, kind, message", WRONG)
def test_wrong_arguments_are_named_in_three_lines(call, kind, message):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value) == message
