"""Wrong use of the variational autoencoder: what, what was got, how to mend it."""

import numpy as np
import pytest
from test_variational import D, M, build, data

from minigrad_ae.errors import DataError, DtypeError, ShapeError
from minigrad_ae.models import KLWarmUp, VariationalAutoencoder, variational

RNG = np.random.default_rng(0)
WRONG = [
    (
        lambda: build().loss(data() + 1, RNG),
        DataError,
        r"needs data in \[0, 1\]\n  x of shape .* runs from",
    ),
    (lambda: build().loss(-data(), RNG), DataError, "divide by the largest grey level"),
    (lambda: build().loss(np.full((2, D), np.nan), RNG), DataError, "runs from nan to nan"),
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
