"""The two-layer and the deep autoencoder: the slides' networks, their gradients, and what is said
about wrong settings.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from helpers import message_of

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.errors import DataError, DtypeError, ShapeError
from minigrad_ae.models import DeepAutoencoder, TwoLayerAutoencoder

FUNCTIONS = {
    "tanh": np.tanh,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "relu": lambda a: np.maximum(a, 0),
}
X = np.random.default_rng(2).standard_normal((9, 5))


def two_layer(activation="tanh", seed=0, **options):
    return TwoLayerAutoencoder(
        5, 2, activation=activation, rng=np.random.default_rng(seed), **options
    )


def deep(activation="sigmoid", seed=0, **options):
    return DeepAutoencoder(
        5, 2, 7, activation=activation, rng=np.random.default_rng(seed), **options
    )


def moved(model):
    """The same model with biases that are not 0."""
    rng = np.random.default_rng(8)
    for p in model.parameters():
        p.data = p.data + 0.3 * rng.standard_normal(p.shape)
    return model


def affine(layer, x):
    return x @ layer.weight.numpy() + layer.bias.numpy()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_two_layers_as_on_the_slide(name):
    model, h = moved(two_layer(name)), FUNCTIONS[name]
    z = h(affine(model.encoder, X))
    y = affine(model.decoder, z)
    np.testing.assert_allclose(model.encode(X).numpy(), z, rtol=1e-13)
    np.testing.assert_allclose(model(X).numpy(), y, rtol=1e-12, atol=1e-14)
    assert model.loss(X).item() == pytest.approx(0.5 * np.sum((y - X) ** 2), rel=1e-13)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_four_layers_as_on_the_slide(name):
    """Layers 1 and 3 are non-linear, code and output linear."""
    model, s = moved(deep(name)), FUNCTIONS[name]
    z = affine(model.layer2, s(affine(model.layer1, X)))
    y = affine(model.layer4, s(affine(model.layer3, z)))
    assert z.shape == (9, 2) and [p.shape for p in model.parameters()][::2] == [
        (5, 7),
        (7, 2),
        (2, 7),
        (7, 5),
    ]
    np.testing.assert_allclose(model.encode(X).numpy(), z, rtol=1e-12)
    np.testing.assert_allclose(model.decode(z).numpy(), y, rtol=1e-12)
    assert model.loss(X).item() == pytest.approx(0.5 * np.sum((y - X) ** 2), rel=1e-13)


@pytest.mark.parametrize("make", [two_layer, deep])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_rule_of_the_loss_is_right(make, name):
    report = mg.check_graph(moved(make(name)).loss(X))
    assert report.ok, report


@pytest.mark.parametrize("kind", [TwoLayerAutoencoder, DeepAutoencoder])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_single_latent_unit_can_be_checked_and_traced(kind, name):
    """A weight with one row: its kinks, one for each column, must not be taken for a stretched
    axis.
    """
    model = moved(kind(3, 1, activation=name, rng=np.random.default_rng(0)))
    report = mg.check_graph(model.loss(X[:, :3]))
    assert report.ok, report
    assert mg.trace(model.loss(X[:, :3])).ok


@pytest.mark.parametrize("make", [two_layer, deep])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(make, dtype):
    model = make(dtype=dtype)
    loss = model.loss(X)
    loss.backward()
    assert loss.dtype == dtype and {p.grad.dtype for p in model.parameters()} == {np.dtype(dtype)}


@pytest.mark.parametrize("make", [two_layer, deep])
def test_copies_compute_the_same(make):
    model = moved(make())
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert other.loss(X).item() == model.loss(X).item() and other is not model


@pytest.mark.parametrize("make", [two_layer, deep])
def test_a_seed_is_a_seed(make):
    assert make(seed=1).loss(X).item() == make(seed=1).loss(X).item() != make(seed=2).loss(X).item()


def test_a_tree_of_modules_is_readable():
    assert repr(two_layer()).startswith("TwoLayerAutoencoder(5 -> 2 -> 5, tanh)  = 27 parameters")
    assert repr(deep()).startswith(
        "DeepAutoencoder(5 -> 7 -> 2 -> 7 -> 5, sigmoid)  = 119 parameters"
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_two_layers_are_never_below_pca(name):
    """At random weights of every size, also with the best output layer for them (least squares)."""
    data = np.random.default_rng(1).standard_normal((30, 5)) * [4, 2, 1, 0.5, 0.2] + 3
    bound = analytic.two_layer_bound(analytic.pca(data).eigenvalues, 2)
    rng = np.random.default_rng(0)
    for size in (0.01, 0.1, 1.0, 10.0):
        model = two_layer(name)
        for p in model.parameters():
            p.data = size * rng.standard_normal(p.shape)
        z = np.column_stack([model.encode(data).numpy(), np.ones(30)])
        best = np.linalg.lstsq(z, data, rcond=None)[0]
        model.decoder.weight.data, model.decoder.bias.data = best[:-1].copy(), best[-1].copy()
        assert model.loss(data).item() >= bound * (1 - 1e-12)


def test_the_output_bias_may_start_at_the_mean():
    model = deep(dtype=np.float32)
    model.start_at(X.mean(axis=0))
    np.testing.assert_allclose(model.layer4.bias.numpy(), X.mean(axis=0), rtol=1e-6)
    assert model.layer4.bias.dtype == np.float32


# --- wrong use ---
@pytest.mark.parametrize("M", [5, 6])
def test_no_bottleneck(M):
    text = message_of(DataError, TwoLayerAutoencoder, 5, M, rng=np.random.default_rng(0))
    assert (
        f"{M} hidden units are no bottleneck for 5 features" in text
        and "choose n_latent < n_features" in text
    )


@pytest.mark.parametrize("kind", [TwoLayerAutoencoder, DeepAutoencoder])
@pytest.mark.parametrize(
    ("sizes", "options", "error", "what"),
    [
        ((5, 0), {}, DataError, "n_latent must be a whole number, at least 1"),
        ((5, 2.0), {}, DtypeError, "n_latent must be a whole number, at least 1"),
        ((-1, 2), {}, DataError, "n_features must be a whole number, at least 1"),
        ((5, 2), {"activation": "relU"}, DataError, "unknown activation 'relU'"),
        ((5, 2), {"rng": 3}, DtypeError, "a random generator is needed"),
        ((5, 2), {"dtype": int}, DtypeError, "parameters must be float32 or float64"),
    ],
)
def test_settings_that_are_not_possible(kind, sizes, options, error, what):
    assert what in message_of(error, kind, *sizes, **({"rng": np.random.default_rng(0)} | options))


def test_hidden_units_are_counted():
    text = message_of(DataError, DeepAutoencoder, 5, 2, 0, rng=np.random.default_rng(0))
    assert "n_hidden must be a whole number, at least 1" in text and "got 0" in text


@pytest.mark.parametrize("make", [two_layer, deep])
@pytest.mark.parametrize("shape", [(5,), (9, 4), (2, 9, 5)])
def test_data_of_another_shape(make, shape):
    for call in (make().loss, make().encode, make()):
        assert f"got shape {shape}, expected (n, 5)" in message_of(
            ShapeError, call, np.zeros(shape)
        )


@pytest.mark.parametrize("make", [two_layer, deep])
def test_constant_data_are_no_data(make):
    model = make()
    optimizer = mg.optim.Adam(model.parameters())
    text = message_of(
        DataError,
        mg.train.fit,
        model,
        np.full((9, 5), 2.5),
        optimizer=optimizer,
        epochs=1,
        rng=np.random.default_rng(0),
    )
    assert "there is nothing to learn: all rows of X are the same" in text
