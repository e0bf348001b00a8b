"""Transfer: the encoder without its decoder, fine-tuned with few labels, and what it is compared
with.
"""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae.errors import DataError, ShapeError
from minigrad_ae.experiments import masked_ratio
from minigrad_ae.experiments.masked_transfer import few_labels, nearest, regression
from minigrad_ae.models import MaskedAutoencoder, transfer
from minigrad_ae.models.transfer import (
    LogisticRegression,
    accuracy,
    classifier,
    fine_tune,
    layer_factors,
)


def autoencoder(**settings):
    model = MaskedAutoencoder(
        (8, 8), 2, width=8, depth=2, heads=2, rng=np.random.default_rng(0), **settings
    )
    return model.standardise(mg.data.digits("train")[0])


def labelled(n=60):
    X, y = mg.data.digits("train")
    return X[:n], y[:n]


def test_the_classifier_is_the_encoder_on_whole_pictures():
    model, (X, _) = autoencoder(), labelled(5)
    network = classifier(model, 10)
    codes = model.encode(X).numpy()
    assert codes.shape == (5, 16, 8)
    np.testing.assert_array_equal(network.features(X).numpy(), codes.reshape(5, -1))
    assert np.all(network(X).numpy() == 0)  # the head is fresh
    network.blocks[0].expand.weight.data[:] = 0
    assert np.any(model.encoder.blocks[0].expand.weight.data != 0), "a copy, not the encoder itself"


@pytest.mark.parametrize(
    "readout, settings, features", [("mean", {}, 8), ("class", {"class_token": True}, 8)]
)
def test_other_readouts(readout, settings, features):
    network = classifier(autoencoder(**settings), 10, readout)
    assert network.head.weight.shape == (features, 10) and network(labelled(3)[0]).shape == (3, 10)


def test_layers_near_the_input_learn_more_slowly():
    network = classifier(autoencoder(), 10)
    factors = layer_factors(network, 0.5)
    assert set(factors) == set(network.parameters())
    assert factors[network.head.weight] == factors[network.norm.bias] == 1
    assert (
        factors[network.blocks[1].attention.key.weight] == 0.5
        and factors[network.blocks[0].mlp_norm.weight] == 0.25
    )
    assert (
        factors[network.embedding.project.weight] == factors[network.embedding.positions] == 0.125
    )


def test_fine_tuning_learns_the_labels():
    X, y = labelled()
    network = classifier(autoencoder(), 10)
    losses = fine_tune(network, X, y, steps=60, rng=np.random.default_rng(1), lr=1e-2)
    assert len(losses) == 60 and losses[0] == pytest.approx(np.log(10)) and losses[-1] < 0.2
    assert accuracy(network, X, y) > 0.95


def test_the_rate_rises_in_the_given_share_of_the_steps_and_falls_in_the_rest(monkeypatch):
    rates = []

    class Watched(transfer.AdamW):
        def step(self):
            rates.append(self.lr)
            super().step()

    monkeypatch.setattr(transfer, "AdamW", Watched)
    X, y = labelled(20)
    network, rng = classifier(autoencoder(), 10), np.random.default_rng(1)
    fine_tune(network, X, y, steps=40, rng=rng, lr=1e-3, batch_size=5, warmup=0.5)
    np.testing.assert_allclose(rates[:20], 1e-3 * np.arange(1, 21) / 20, rtol=1e-12)
    assert len(rates) == 40 and (np.diff(rates[20:]) < 0).all()


def test_logistic_regression_is_at_its_minimum():
    X, y = labelled()
    model = LogisticRegression(64, 10, l2=0.5).fit(X, y)
    p = np.exp(model(X).numpy())
    rest = p / p.sum(axis=1, keepdims=True) - np.eye(10)[y]
    assert (
        np.abs(X.T @ rest + 0.5 * model.weight.data).max() < 1e-2
        and np.abs(rest.sum(axis=0)).max() < 1e-2
    )
    assert regression(mg.data.digits("train")[0], mg.data.digits("test")[0], np.arange(60)) > 0.5


def test_few_labels_are_spread_over_the_classes():
    y = mg.data.digits("train")[1]
    for share, n in ((0.01, 14), (0.05, 72), (1.0, 1437)):
        rows = few_labels(y, share, 3)
        counts = np.bincount(y[rows], minlength=10)
        assert len(np.unique(rows)) == n and (n == 1437 or np.ptp(counts) <= 1)
    assert not np.array_equal(few_labels(y, 0.05, 0), few_labels(y, 0.05, 1))


def test_the_nearest_neighbour():
    X, y = mg.data.digits("train")
    T, labels = mg.data.digits("test")
    rows = np.arange(300)
    by_hand = [y[((X[rows] - t) ** 2).sum(axis=1).argmin()] for t in T]
    assert nearest(X, T, rows) == pytest.approx(np.mean(by_hand == labels))


def test_the_wrong_readout_labels_or_decay_are_refused():
    for error, words, function, args in [
        (DataError, "without a class token", classifier, (autoencoder(), 10, "class")),
        (DataError, "with a class token", classifier, (autoencoder(class_token=True), 10)),
        (DataError, "(0, 1]", layer_factors, (classifier(autoencoder(), 10), 0.0)),
    ]:
        with pytest.raises(error) as info:
            function(*args)
        assert words in str(info.value) and len(str(info.value).splitlines()) == 3
    with pytest.raises(ShapeError, match="each picture needs a label"):
        fine_tune(
            classifier(autoencoder(), 10),
            labelled(5)[0],
            [1, 2],
            steps=1,
            rng=np.random.default_rng(0),
        )


# --- what ships -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["07_digits.npz", "07_digits_750_0.npz", "07_mnist.npz"])
def test_shipped_networks_say_where_they_come_from(name):
    path = mg.data.shipped(name)
    found = mg.checkpoint.load(path)  # compares the SHA-256
    assert path.stat().st_size < 800_000 and all(
        p.dtype == np.float32 for p in found.model.parameters()
    )
    assert found.meta["command"].startswith("python ") and found.meta["seed"] == 0
    shape = (2, *found.model.image_shape)
    assert found.model.forward(
        np.zeros(shape), np.eye(found.model.n_patches, dtype=bool)[0]
    ).shape == (2, np.prod(shape[1:]))


def test_shipped_numbers_are_whole_and_say_what_the_lesson_says():
    study = json.loads(mg.data.shipped("07_study.json").read_text(encoding="utf-8"))
    digest = study.pop("sha256")
    assert digest == hashlib.sha256(json.dumps(study, sort_keys=True).encode()).hexdigest()
    assert study["transfer ratio"] == 0.75
    # with 1 % of the labels ahead of all of these, with 5 % only of the same network from scratch
    others = {
        "0.01": ("from scratch", "PCA + logistic regression", "pixels + logistic regression"),
        "0.05": ("from scratch",),
    }
    for share, methods in others.items():
        runs = {method: np.array(values) for method, values in study["transfer"][share].items()}
        for method in methods:
            gain = runs["fine-tuned"] - runs[method]
            error = gain.std(ddof=1) / len(gain) ** 0.5
            assert len(gain) >= 8 and gain.mean() > 2 * error, (share, method)
    mnist = json.loads(mg.data.shipped("07_mnist.json").read_text(encoding="utf-8"))
    assert mnist["masked_error"] < 0.033 and mnist["ratio"] < 0.85 and mnist["masks"] >= 24


def test_the_shipped_study_of_ratios_has_several_networks_for_each():
    study = json.loads(mg.data.shipped("07_ratios.json").read_text(encoding="utf-8"))
    assert study["command"] == masked_ratio.COMMAND
    assert masked_ratio.table(study).count("(3 networks)") == 8
    for source in masked_ratio.SOURCES:
        rows = study[source]["ratios"]
        assert [float(ratio) for ratio in rows] == list(masked_ratio.RATIOS)
        assert all(len({net["error"] for net in nets}) == 3 for nets in rows.values())
    # nine tenths hidden are too many for MNIST; 75 % and 50 % cannot be told apart
    found = masked_ratio.means(study)["MNIST"]
    assert found["0.9"][0] < min(found[ratio][0] for ratio in ("0.25", "0.5", "0.75")) - 0.03
    assert abs(found["0.75"][0] - found["0.5"][0]) < 2 * np.hypot(found["0.75"][1], found["0.5"][1])
