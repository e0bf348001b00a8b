"""DenoisingAutoencoder: clean target, fresh noise of both kinds, any autoencoder inside, and bad
settings.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from helpers import check_that_a_checkpoint_rebuilds

import minigrad_ae as mg
from minigrad_ae.errors import DataError, DtypeError, ShapeError
from minigrad_ae.experiments import denoising as ex
from minigrad_ae.models import (
    DeepAutoencoder,
    DenoisingAutoencoder,
    LinearAutoencoder,
    SparseAutoencoder,
    TwoLayerAutoencoder,
)

INSIDE = {
    "linear": lambda rng, dtype: LinearAutoencoder(5, 3, l2=0.7, rng=rng, dtype=dtype),
    "two-layer": lambda rng, dtype: TwoLayerAutoencoder(5, 3, rng=rng, dtype=dtype),
    "deep": lambda rng, dtype: DeepAutoencoder(5, 3, 6, rng=rng, dtype=dtype),
    "sparse": lambda rng, dtype: SparseAutoencoder(5, 7, rng=rng, dtype=dtype),
}
NOISE = [
    {"sigma": 0.4},
    {"drop": 0.3},
    {"sigma": np.array([0.1, 0.2, 0.0, 0.5, 2.0])},
    {"sigma": 0.4, "drop": 0.3},
]


def make(inside="deep", dtype=np.float64, **noise):
    model = DenoisingAutoencoder(INSIDE[inside](np.random.default_rng(1), dtype), **noise)
    return model, np.random.default_rng(2).standard_normal((8, 5)).astype(dtype)


@pytest.mark.parametrize("inside", INSIDE)
@pytest.mark.parametrize("noise", NOISE, ids=str)
def test_the_loss_is_the_slides_formula(inside, noise):
    """sum ||y(x~) - x||^2, no factor 1/2, clean target, nothing of the inner model's penalty."""
    model, X = make(inside, **noise)
    noisy = model.corrupt(X, np.random.default_rng(3))
    assert not np.array_equal(noisy, X)
    y = model.autoencoder(noisy).numpy()
    assert model.loss(X, rng=np.random.default_rng(3)).item() == pytest.approx(
        np.sum((y - X) ** 2), rel=1e-13
    )
    assert np.array_equal(model(X).numpy(), model.autoencoder(X).numpy())  # using it adds no noise
    assert np.array_equal(model.decode(model.encode(X)).numpy(), model(X).numpy())


@pytest.mark.parametrize("noise", NOISE, ids=str)
def test_noise_is_drawn_anew_at_each_visit_and_the_seed_decides(noise):
    model, X = make(**noise)
    rng = np.random.default_rng(4)
    first, second = model.loss(X, rng=rng).item(), model.loss(X, rng=rng).item()
    assert first != second
    again = np.random.default_rng(4)
    assert [model.loss(X, rng=again).item() for _ in range(2)] == [first, second]


def test_the_data_are_not_changed():
    model, X = make(sigma=0.5, drop=0.5)
    before = X.copy()
    model.loss(X, rng=np.random.default_rng(0)).backward()
    assert np.array_equal(X, before)


def test_the_moments_of_the_noise_are_those_of_the_closed_forms():
    """cov(x, x~) and cov(x~) of one datum set corrupted 4,000 times, each entry within 5 standard
    errors.
    """
    X = np.random.default_rng(5).standard_normal((10, 3)) * [1, 2, 3]
    X = X - X.mean(axis=0)
    S = X.T @ X / len(X)
    sigma = np.array([0.5, 1.0, 2.0])
    for noise, exact in [
        ({"sigma": sigma}, mg.analytic.gaussian_moments(S, sigma)),
        ({"drop": 0.3}, mg.analytic.dropout_moments(S, 0.7)),
    ]:
        model = DenoisingAutoencoder(LinearAutoencoder(3, 2, rng=np.random.default_rng(0)), **noise)
        rng = np.random.default_rng(6)
        draws = np.array([model.corrupt(X, rng) for _ in range(4000)])
        for found, expected in (
            (np.einsum("ri,srj->sij", X, draws) / 10, exact.P),
            (np.einsum("sri,srj->sij", draws, draws) / 10, exact.Q),
        ):
            error = found.std(axis=0) / np.sqrt(len(found)) + 1e-15
            assert (np.abs(found.mean(axis=0) - expected) < 5 * error).all()


@pytest.mark.parametrize("inside", INSIDE)
def test_gradients_prove_themselves_and_reach_every_parameter(inside):
    model, X = make(inside, sigma=0.4, drop=0.2)
    loss = model.loss(X, rng=np.random.default_rng(3))
    report = mg.check_graph(loss)
    assert report.ok, report
    model.zero_grad()
    model.loss(X, rng=np.random.default_rng(3)).backward()
    assert all(np.abs(p.grad).max() > 0 for p in model.parameters())
    assert model.parameters() == model.autoencoder.parameters()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    model, X = make(dtype=dtype, sigma=np.full(5, 0.3), drop=0.3)
    assert model.corrupt(X, np.random.default_rng(0)).dtype == dtype
    assert model.loss(X, rng=np.random.default_rng(0)).dtype == dtype


def test_a_checkpoint_rebuilds_it(tmp_path):
    model, X = make("two-layer", sigma=np.array([0.1, 0.2, 0.0, 0.5, 2.0]), drop=0.2)
    check_that_a_checkpoint_rebuilds(model, X, tmp_path)


def test_pickle_and_deepcopy():
    model, X = make(sigma=0.4)
    expected = model.loss(X, rng=np.random.default_rng(1)).item()
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert twin.loss(X, rng=np.random.default_rng(1)).item() == expected
    assert "DenoisingAutoencoder(sigma 0.4)" in repr(
        model
    ) and "DeepAutoencoder(5 -> 6 -> 3" in repr(model)


def test_without_noise_it_is_twice_the_plain_loss():
    model, X = make()
    plain = model.autoencoder.loss(X).item()
    assert model.loss(X, rng=np.random.default_rng(0)).item() == pytest.approx(2 * plain, rel=1e-13)


def test_the_frozen_bug_is_what_it_says_and_goes_away():
    model, X = make(sigma=0.4)
    rng = np.random.default_rng(0)
    with ex.frozen():
        first = model.corrupt(X, rng)
        assert np.array_equal(model.corrupt(X[::-1], rng), first[::-1])
    assert not np.array_equal(model.corrupt(X, rng), model.corrupt(X, rng))


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        ({"sigma": -0.1}, "sigma must be >= 0 and finite"),
        ({"sigma": np.nan}, "sigma must be >= 0 and finite"),
        ({"sigma": np.array([0.1, 0.2, -0.3, 0.1, 0.1])}, "sigma must be >= 0 and finite"),
        ({"drop": -0.1}, r"drop must lie in \[0, 1\)"),
        ({"drop": 1.0}, r"drop must lie in \[0, 1\)"),
        ({"drop": np.nan}, r"drop must lie in \[0, 1\)"),
    ],
)
def test_impossible_noise(noise, words):
    with pytest.raises(DataError, match=words) as caught:
        make(**noise)
    assert len(str(caught.value).splitlines()) == 3


def test_a_sigma_for_other_features():
    with pytest.raises(ShapeError, match="one number, or one for each feature") as caught:
        make(sigma=np.ones(4))
    assert "sigma has shape (4,), the autoencoder 5 features" in str(caught.value)


@pytest.mark.parametrize(
    "thing", [5, mg.nn.Linear(3, 2, rng=np.random.default_rng(0)), LinearAutoencoder]
)
def test_something_that_is_no_autoencoder(thing):
    with pytest.raises(DtypeError, match="trains an autoencoder, and this is none") as caught:
        DenoisingAutoencoder(thing, sigma=0.1)
    assert len(str(caught.value).splitlines()) == 3


def test_a_loss_without_generator():
    model, X = make(sigma=0.1)
    with pytest.raises(DtypeError, match="a random generator is needed to draw the noise"):
        model.loss(X)


def test_data_of_another_width():
    model, X = make(sigma=0.1)
    with pytest.raises(ShapeError, match=r"got shape \(8, 4\), expected \(n, 5\)"):
        model.loss(X[:, :4], rng=np.random.default_rng(0))


def test_additive_gaussian_takes_one_sigma_per_feature():
    x = np.zeros((20_000, 2))
    noisy = mg.data.additive_gaussian(x, np.array([0.0, 3.0]), np.random.default_rng(0))
    assert (noisy[:, 0] == 0).all() and noisy[:, 1].std() == pytest.approx(3, rel=0.03)
    with pytest.raises(DataError, match="sigma must be >= 0 and finite"):
        mg.data.additive_gaussian(x, np.array([0.0, -3.0]), np.random.default_rng(0))
