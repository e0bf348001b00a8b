"""The variational autoencoder: its two terms against formulas in NumPy, its gradients, its
likelihood, its limits.
"""

import copy
import pickle

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.errors import DataError, DtypeError, ShapeError
from minigrad_ae.models import KLWarmUp, VariationalAutoencoder, base, variational
from minigrad_ae.optim import SGD, Adam

D, M, N = 6, 2, 5
KINDS = {
    "bernoulli": {"likelihood": "bernoulli"},
    "gaussian": {"likelihood": "gaussian", "sigma": 0.7},
    "learnt": {"likelihood": "gaussian", "sigma": 0.7, "learn_sigma": True},
}


def build(kind="bernoulli", **settings):
    return VariationalAutoencoder(
        D, M, hidden=(8,), rng=np.random.default_rng(1), **KINDS[kind], **settings
    )


def data(n=N, dtype=float):
    return np.random.default_rng(2).random((n, D)).astype(dtype)


def densities(model, a, x):
    """log p(x | z) by the independent witness."""
    if model.sigma is None:
        return analytic.log_bernoulli(x, a)
    return analytic.log_normal(x, a, 2 * np.log(model.sigma))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [1, 3])
def test_the_two_terms_are_those_of_the_slide(kind, samples):
    model, x = build(kind), data()
    noise = np.random.default_rng(3).standard_normal((samples, N, M))
    mu, log_var = (s.numpy() for s in model.encode(x))
    a = [model.decoder(mu + np.exp(log_var / 2) * eps).numpy() for eps in noise]
    distortion, rate = model.terms(x, noise[0] if samples == 1 else noise)
    np.testing.assert_allclose(
        distortion.item(), -np.mean([densities(model, al, x).sum() for al in a]), rtol=1e-13
    )
    np.testing.assert_allclose(rate.item(), analytic.kl_diagonal(mu, log_var).sum(), rtol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_prove_themselves(kind):
    x = data()
    for samples in (1, 3):
        report = mg.check_graph(build(kind, n_samples=samples).loss(x, np.random.default_rng(0)))
        assert report.ok and report.checked >= 15, report
    model = build(kind)
    noise = np.random.default_rng(3).standard_normal((N, M))
    assert mg.gradcheck(lambda inputs: sum(model.terms(inputs, noise)), x)
    for bound in (
        model.iwae(x, np.random.default_rng(0), 4),
        model.elbo(x, np.random.default_rng(0), 4),
    ):
        report = mg.check_graph(bound if bound.ndim == 0 else bound.sum())
        assert report.ok, report


def test_beta_weighs_the_rate_and_nothing_else():
    model, x = build(), data()
    values = [model.elbo(x, np.random.default_rng(5), beta=b).item() for b in (0.0, 1.0, 4.0)]
    rate = model.terms(x, np.zeros((N, M)))[1].item()
    np.testing.assert_allclose(
        [values[0] - values[1], values[0] - values[2]], [rate, 4 * rate], rtol=1e-12
    )
    model.beta = 4.0
    assert model.loss(x, np.random.default_rng(5)).item() == pytest.approx(-values[2], rel=1e-13)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("samples", [1, 3])
def test_the_bound_of_each_datum_adds_up_to_the_loss(kind, samples):
    model, x = build(kind, n_samples=samples, beta=0.3), data()
    each = model.bound(x, np.random.default_rng(5), samples, 0.3).numpy()
    assert each.shape == (N,)
    assert model.elbo(x, np.random.default_rng(5), samples, 0.3).item() == each.sum()
    assert -each.sum() == pytest.approx(model.loss(x, np.random.default_rng(5)).item(), rel=1e-13)
    mu, log_var = (s.numpy()[2:3] for s in model.encode(x))
    with_kl, without = (
        model.elbo(x[2:3], np.random.default_rng(1), 1, beta).item() for beta in (1.0, 0.0)
    )
    assert with_kl - without == pytest.approx(-analytic.kl_diagonal(mu, log_var).sum(), rel=1e-12)


def test_every_datum_sample_and_unit_has_its_own_noise():
    noise = build()._noise(np.random.default_rng(0), N, 4)
    assert noise.shape == (4, N, M) and len(np.unique(noise)) == noise.size
    again = build()._noise(np.random.default_rng(0), N, 4)
    assert (noise == again).all()


def exact_model(sigma=0.6):
    """A linear-Gaussian model whose encoder is the exact posterior; and W."""
    rng = np.random.default_rng(4)
    W = np.linalg.qr(rng.standard_normal((D, M)))[0] * [1.5, 0.8]
    V, d = analytic.best_encoder(W, sigma**2)
    model = VariationalAutoencoder(D, M, hidden=(), likelihood="gaussian", sigma=sigma, rng=rng)
    model.encoder[0].weight.data = np.hstack([V.T, np.zeros((D, M))])
    model.encoder[0].bias.data = np.concatenate([np.zeros(M), np.log(d)])
    model.decoder[0].weight.data = W.T
    return model, W


def test_weights_are_constant_at_the_exact_posterior_and_say_log_p():
    model, W = exact_model()
    x = 3 * np.random.default_rng(6).standard_normal((7, D))
    log_w = model.log_weights(x, np.random.default_rng(7), 50).numpy()
    exact = analytic.log_normal(
        x @ np.linalg.qr(W, "complete")[0],
        0.0,
        np.log(0.36 + np.array([1.5**2, 0.8**2, *[0.0] * (D - M)])),
    )
    assert log_w.shape == (50, 7)
    assert np.abs(log_w - exact).max() < 1e-12 * np.abs(exact).max() * 10
    np.testing.assert_allclose(
        model.log_likelihood(x, np.random.default_rng(7), 50), exact, rtol=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
def test_importance_weighting_is_the_log_of_the_mean(kind):
    model, x = build(kind), data()
    log_w = model.log_weights(x, np.random.default_rng(8), 30).numpy()
    expected = analytic.importance_bound(log_w, axis=0)
    np.testing.assert_allclose(
        model.log_likelihood(x, np.random.default_rng(8), 30), expected, rtol=1e-12
    )
    np.testing.assert_allclose(
        model.iwae(x, np.random.default_rng(8), 30).numpy(), expected, rtol=1e-12
    )
    one = model.log_weights(x, np.random.default_rng(8), 1).numpy()[0]
    assert (model.iwae(x, np.random.default_rng(8), 1).numpy() == one).all()


def test_the_likelihood_does_not_depend_on_how_the_draws_are_parted(monkeypatch):
    model, x = build(), data()
    whole = model.log_likelihood(x, np.random.default_rng(8), 30)
    monkeypatch.setattr(base, "AT_ONCE", 7 * N * D)
    np.testing.assert_allclose(
        model.log_likelihood(x, np.random.default_rng(8), 30), whole, rtol=1e-13
    )


def test_the_decoder_makes_no_more_numbers_at_once_than_it_may(monkeypatch):
    model, x, sizes = build(), data(), []
    log_prob = model._log_prob

    def watched(x, z):
        sizes.append(z.shape[0] * x.size)
        return log_prob(x, z)

    monkeypatch.setattr(model, "_log_prob", watched)
    monkeypatch.setattr(base, "AT_ONCE", 7 * N * D)
    model.log_likelihood(x, np.random.default_rng(8), 30)
    assert sizes == [7 * N * D] * 4 + [2 * N * D]


@pytest.mark.parametrize("kind", KINDS)
def test_log_likelihood_agrees_with_a_grid(kind):
    model, x = build(kind), data()
    exact = analytic.grid_log_prob(
        lambda Z: densities(model, model.decoder(Z).numpy()[:, None, :], x),
        M,
        limit=8.0,
        points=161,
    )
    k = 4000
    log_w = model.log_weights(x, np.random.default_rng(1), k).numpy()
    error = np.exp(log_w - exact).std(axis=0) / np.sqrt(k)
    assert (
        np.abs(model.log_likelihood(x, np.random.default_rng(9), k) - exact) < 4 * error + error**2
    ).all()


# --- the log-variance is kept finite --------------------------------------------------------------


def test_inside_the_bound_nothing_is_done_and_outside_it_is_clipped():
    inside = mg.tensor([[-20.0, 3.0, 20.0]], requires_grad=True)
    assert variational.bounded(inside) is inside
    for values, slope in (
        ([[-20.0, 20.0, 25.0]], [[1, 1, 0]]),
        ([[-1e30, np.inf, 0.0]], [[0, 0, 1]]),
    ):
        wide = mg.tensor(values, requires_grad=True)
        y = variational.bounded(wide)
        assert (y.numpy() == np.clip(values, -20, 20)).all()
        assert (mg.grad(y.sum(), [wide])[0] == slope).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bias", [-1e5, 1e5])
def test_a_log_variance_far_out_leaves_the_loss_and_its_gradient_finite(bias, dtype):
    model = build(dtype=dtype)
    model.encoder[-1].bias.data[M:] = bias
    loss = model.loss(data(dtype=dtype), np.random.default_rng(0))
    loss.backward()
    assert np.isfinite(loss.item())
    assert all(np.isfinite(p.grad).all() for p in model.parameters())
    assert (model.encoder[-1].bias.grad[M:] == 0).all()
    assert np.abs(model.encoder[-1].bias.grad[:M]).min() > 0


def test_a_nan_stays_a_nan():
    assert np.isnan(variational.bounded(mg.tensor([[np.nan, 30.0]])).numpy()[0, 0])


# --- what it is made of ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_dtype_throughout(kind, dtype):
    model, x = build(kind, dtype=dtype), data(dtype=dtype)
    rng = np.random.default_rng(0)
    loss = model.loss(x, rng)
    loss.backward()
    assert loss.dtype == dtype
    assert all(
        p.dtype == dtype and (p.grad is None or p.grad.dtype == dtype) for p in model.parameters()
    )
    for made in (
        model.sample(3, rng),
        model.sample(3, rng, pixels=True),
        model.reconstruct(x),
        model.reconstruct(x, rng),
    ):
        assert made.dtype == dtype and made.shape[1] == D
    assert model.log_weights(x, rng, 2).dtype == dtype
    assert model.loss(x.astype(np.float64), rng).dtype == dtype  # the data follow the model


def test_bernoulli_samples_are_pixels():
    model, rng = build(), np.random.default_rng(0)
    assert set(np.unique(model.sample(50, rng, pixels=True))) == {0.0, 1.0}
    means, pixels = (
        model.sample(20_000, np.random.default_rng(1), pixels=on) for on in (False, True)
    )
    assert means.min() > 0 and means.max() < 1
    assert np.abs((pixels - means).mean(axis=0)).max() < 4 * 0.5 / np.sqrt(20_000)


@pytest.mark.parametrize("low, high", [(-0.5, 0.25), (0.25, 1.5)])
def test_data_outside_0_and_1_are_refused_with_their_extent(low, high):
    x = np.full((2, D), low)
    x[0, 0] = high
    with pytest.raises(DataError, match=f"run from {low} to {high}"):
        build().loss(x, np.random.default_rng(0))


def test_gaussian_samples_scatter_around_their_mean_by_sigma():
    model = build("gaussian")
    means, pixels = (
        model.sample(20_000, np.random.default_rng(0), pixels=on) for on in (False, True)
    )
    assert (pixels - means).std() == pytest.approx(0.7, rel=4 / np.sqrt(2 * means.size))


def test_the_decoder_mirrors_the_encoder():
    model = VariationalAutoencoder(D, M, hidden=(8, 5), rng=np.random.default_rng(0))
    assert [p.shape for p in model.parameters() if p.ndim == 2] == [
        (6, 8),
        (8, 5),
        (5, 4),
        (2, 5),
        (5, 8),
        (8, 6),
    ]


def test_reconstructions_go_through_the_mean_unless_a_generator_is_given():
    model, x = build(), data()
    assert (model.reconstruct(x) == model(x).numpy()).all()
    assert (model.reconstruct(x, np.random.default_rng(0)) != model.reconstruct(x)).all()


def covariance_misses(X, mean, C):
    """By how many standard errors mean and covariance of normal rows are off, at most."""
    n = len(X)
    spread = np.sqrt((np.outer(np.diag(C), np.diag(C)) + C**2) / n)
    off = np.abs(np.cov(X.T, ddof=0) - C) / spread
    return max(off.max(), (np.abs(X.mean(axis=0) - mean) / np.sqrt(np.diag(C) / n)).max())


def linear_vae():
    return VariationalAutoencoder(
        3, 2, hidden=(), likelihood="gaussian", sigma=0.7, rng=np.random.default_rng(4)
    )


def test_samples_of_a_linear_decoder_have_its_covariance():
    model = linear_vae()
    model.decoder[0].bias.data = np.array([1.0, -2.0, 0.5])
    W, b = (p.numpy() for p in model.decoder.parameters())
    x = model.sample(100_000, np.random.default_rng(0), pixels=True)
    assert covariance_misses(x, b, W.T @ W + 0.49 * np.eye(3)) < 5
    means, rng = model.sample(5, np.random.default_rng(1)), np.random.default_rng(1)
    np.testing.assert_allclose(means, rng.standard_normal((5, 2)) @ W + b, rtol=1e-12)


def test_a_linear_reconstruction_goes_through_mu_or_a_draw_around_it():
    model, x = linear_vae(), np.random.default_rng(5).standard_normal((4, 3))
    model.encoder[0].bias.data = np.array([0.3, -0.2, -1.0, 0.6])  # of mu, and of ln sigma^2
    V, c = (p.numpy() for p in model.encoder.parameters())
    W, b = (p.numpy() for p in model.decoder.parameters())
    mu, log_var = np.split(x @ V + c, 2, axis=1)
    np.testing.assert_allclose(model.reconstruct(x), mu @ W + b, rtol=1e-12)
    drawn = model.reconstruct(np.repeat(x[:1], 100_000, axis=0), np.random.default_rng(0))
    C = (W.T * np.exp(log_var[0])) @ W
    assert covariance_misses(drawn, mu[0] @ W + b, C) < 5


def test_a_checkpoint_holds_all_that_is_needed_to_build_it_again(tmp_path):
    for kind in KINDS:
        model, x = build(kind, beta=0.5, n_samples=2), data()
        again = mg.checkpoint.load(mg.checkpoint.save(tmp_path / "m.npz", model)).model
        assert (
            again.loss(x, np.random.default_rng(0)).item()
            == model.loss(x, np.random.default_rng(0)).item()
        )
        assert again.sigma == model.sigma and again.learn_sigma == model.learn_sigma


@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_states(kind):
    model, x = build(kind), data()
    twin = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    other = VariationalAutoencoder(D, M, hidden=(8,), rng=np.random.default_rng(77), **KINDS[kind])
    other.load_state_dict(model.state_dict())
    values = [m.loss(x, np.random.default_rng(0)).item() for m in (model, twin, other)]
    assert values[0] == values[1] == values[2]
    assert ("conditional.log_var" in model.state_dict()) == (kind != "bernoulli")


def test_a_fixed_variance_is_not_trained_and_a_learnt_one_is():
    for kind, moves in (("gaussian", False), ("learnt", True)):
        model = build(kind)
        optimiser = SGD(model.parameters(), lr=1e-3)
        model.loss(data(), np.random.default_rng(0)).backward()
        optimiser.step()
        assert (model.sigma != pytest.approx(0.7, rel=1e-12)) == moves


def test_without_hidden_layers_both_networks_are_linear():
    model = VariationalAutoencoder(D, M, hidden=(), rng=np.random.default_rng(0))
    assert [p.shape for p in model.parameters()] == [(D, 2 * M), (2 * M,), (M, D), (D,)]


def test_training_on_digits_beats_independent_pixels():
    X, rng = mg.data.digits("train")[0].astype(np.float32), np.random.default_rng(0)
    model = VariationalAutoencoder(
        64,
        2,
        hidden=(64,),
        likelihood="gaussian",
        sigma=0.3,
        learn_sigma=True,
        rng=rng,
        dtype=np.float32,
    )
    optimiser = Adam(model.parameters(), lr=3e-3)
    for _ in range(15):
        for x in mg.data.batches(X, 64, rng):
            optimiser.zero_grad()
            (model.loss(x, rng) / len(x)).backward()
            optimiser.step()
    test = mg.data.digits("test")[0].astype(np.float32)
    bound = model.elbo(test, rng).item() / len(test)
    collapsed = analytic.log_likelihood_at_best_variance(
        float(((test - X.mean(axis=0)) ** 2).mean()), 64
    )
    assert bound > collapsed + 3  # nats


def test_kl_warm_up_goes_from_0_to_beta_in_so_many_epochs():
    model = build(beta=2.0)
    warm_up = KLWarmUp(model, 4)
    seen = [model.beta]
    for epoch in range(1, 7):
        warm_up(type("State", (), {"model": model, "epoch": epoch}))
        seen.append(model.beta)
    assert seen == [0.0, 0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
    assert KLWarmUp(model, 4, done=1).at(1) == model.beta == 0.5


def test_the_loop_of_the_library_warms_up_too():
    model, betas = build(beta=1.5), []
    callbacks = [KLWarmUp(model, 2), lambda state: betas.append(state.model.beta)]
    mg.train.fit(
        model,
        data(),
        optimizer=SGD(model.parameters(), lr=0.01),
        epochs=3,
        rng=np.random.default_rng(0),
        batch_size=2,
        noise=np.random.default_rng(1),
        progress=False,
        callbacks=callbacks,
    )
    assert betas == [0.75, 1.5, 1.5]


# --- wrong use ------------------------------------------------------------------------------------

RNG = np.random.default_rng(0)
WRONG = [
    (
        lambda: build().loss(data() + 1, RNG),
        DataError,
        r"needs data in \[0, 1\]\n  the entries of x, of shape .*, run from",
    ),
    (lambda: build().loss(-data(), RNG), DataError, "divide by the largest grey level"),
    (lambda: build().loss(np.full((2, D), np.nan), RNG), DataError, "run from nan to nan"),
    (
        lambda: build().loss(data()),
        DtypeError,
        "a random generator is needed to draw the noise eps",
    ),
    (lambda: build().elbo(data(), 0), DtypeError, "pass rng=np.random.default_rng"),
    (
        lambda: build().elbo(data(), RNG, n_samples=0),
        DataError,
        "n_samples must be a whole number, at least 1\n  got 0",
    ),
    (
        lambda: build().elbo(data(), RNG, n_samples=1.5),
        DtypeError,
        "n_samples must be a whole number",
    ),
    (
        lambda: build().elbo(data(), RNG, beta=-1.0),
        DataError,
        "beta must be >= 0 and finite\n  got -1.0",
    ),
    (
        lambda: build().log_likelihood(data(), RNG, 0),
        DataError,
        "n_samples must be a whole number, at least 1",
    ),
    (
        lambda: build().log_weights(data(), RNG, -3),
        DataError,
        "n_samples must be a whole number, at least 1",
    ),
    (lambda: build().sample(0, RNG), DataError, "n must be a whole number, at least 1"),
    (
        lambda: build().loss(data()[:, :3], RNG),
        ShapeError,
        r"got shape \(5, 3\), expected \(n, 6\)",
    ),
    (lambda: build().loss(data()[0], RNG), ShapeError, r"one data point x goes in as x\[None, :\]"),
    (lambda: build().loss(3.0, RNG), ShapeError, r"got shape \(\), expected"),
    (lambda: build().loss(data()[:0], RNG), ShapeError, r"got shape \(0, 6\)"),
    (lambda: build().loss(data().astype(object), RNG), DtypeError, "object data cannot be used"),
    (lambda: setattr(build(), "beta", float("nan")), DataError, "beta must be >= 0 and finite"),
    (lambda: build(beta="1"), DtypeError, "beta must be a real number"),
    (lambda: build(n_samples=0), DataError, "L, the samples of z for each datum"),
    (
        lambda: VariationalAutoencoder(D, 0, rng=RNG),
        DataError,
        "n_latent must be a whole number, at least 1",
    ),
    (
        lambda: VariationalAutoencoder(D, M, hidden=(0,), rng=RNG),
        DataError,
        "each number in hidden must be a whole number, at least 1",
    ),
    (
        lambda: VariationalAutoencoder(D, M, activation="relu6", rng=RNG),
        DataError,
        "unknown activation 'relu6'",
    ),
    (
        lambda: VariationalAutoencoder(D, M, likelihood="poisson", rng=RNG),
        DataError,
        "unknown likelihood 'poisson'",
    ),
    (
        lambda: VariationalAutoencoder(D, M, sigma=0.1, rng=RNG),
        DataError,
        "a Bernoulli likelihood has no sigma",
    ),
    (lambda: variational.Gaussian(sigma=0), DataError, "sigma must be a positive number"),
    (
        lambda: VariationalAutoencoder(D, M, likelihood="gaussian", sigma=-1.0, rng=RNG),
        DataError,
        "sigma must be a positive number",
    ),
    (lambda: VariationalAutoencoder(D, M, rng=None), DtypeError, "a random generator is needed"),
    (
        lambda: VariationalAutoencoder(D, M, dtype=np.float16, rng=RNG),
        DtypeError,
        "must be float32 or float64",
    ),
    (lambda: KLWarmUp(build(), 0), DataError, "epochs must be a whole number, at least 1"),
]


@pytest.mark.parametrize(("call", "error", "words"), WRONG)
def test_wrong_use_says_what_is_wrong_and_how_to_mend_it(call, error, words):
    with pytest.raises(error, match=words) as raised:
        call()
    assert len(str(raised.value).splitlines()) == 3
