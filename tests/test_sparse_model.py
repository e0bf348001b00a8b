"""SparseAutoencoder: the slide's formula, what each constraint does, exact gradients, and bad
settings.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from helpers import check_that_a_checkpoint_rebuilds

import minigrad_ae as mg
from minigrad_ae.autodiff.engine import topological
from minigrad_ae.errors import DataError, ShapeError
from minigrad_ae.experiments import sparse as ex
from minigrad_ae.models import SparseAutoencoder

CONSTRAINTS = ("unit", "decay", "none")


def make(constraint="unit", dtype=np.float64, **settings):
    """A model with 5 features and 7 units, biases not zero, and 9 data."""
    rng = np.random.default_rng(3)
    model = SparseAutoencoder(
        5, 7, lam=0.3, constraint=constraint, decay=0.8, rng=rng, dtype=dtype, **settings
    )
    for p in model.parameters():
        p.data = p.data + 0.1 * rng.standard_normal(p.shape)
    return model, rng.standard_normal((9, 5)).astype(dtype)


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("activation", ["relu", "tanh", None])
def test_the_loss_is_the_formula(constraint, activation):
    model, X = make(constraint, activation=activation)
    W_enc, b_enc, W, b_dec = (p.numpy() for p in model.parameters())
    f = {"relu": lambda a: np.maximum(a, 0), "tanh": np.tanh, None: lambda a: a}[activation]
    z = f(X @ W_enc + b_enc)
    used = W / np.linalg.norm(W, axis=1, keepdims=True) if constraint == "unit" else W
    expected = 0.5 * np.sum((z @ used + b_dec - X) ** 2) + 0.3 * np.abs(z).sum()
    expected += 0.4 * np.sum(W**2) if constraint == "decay" else 0
    assert model.loss(X).item() == pytest.approx(expected, rel=1e-13)
    np.testing.assert_allclose(model.encode(X).numpy(), z, atol=1e-14)
    np.testing.assert_allclose(model(X).numpy(), z @ used + b_dec, atol=1e-13)
    np.testing.assert_allclose(model.decoding_weight().numpy(), used, atol=1e-15)


def test_parameters_are_called_as_on_the_slides():
    assert [p.name for p in make()[0].parameters()] == ["W1", "b1", "W2", "b2"]


def test_without_a_decay_twice_the_data_is_twice_the_loss():
    model, X = make()
    assert model.loss(np.vstack([X, X])).item() == pytest.approx(
        2 * model.loss(X).item(), rel=1e-13
    )


@pytest.mark.parametrize("constraint", CONSTRAINTS)
@pytest.mark.parametrize("activation", ["relu", "sigmoid", None])
def test_gradients_prove_themselves(constraint, activation):
    model, X = make(constraint, activation=activation)
    report = mg.check_graph(model.loss(X))
    assert report.ok, report


@pytest.mark.parametrize("constraint", CONSTRAINTS)
def test_every_parameter_is_trained(constraint):
    model, X = make(constraint)
    model.loss(X).backward()
    assert all(np.abs(p.grad).max() > 0 for p in model.parameters())


def test_unit_rows_ignore_the_length_of_the_weights_and_the_bare_objective_does_not():
    factors = np.array([[0.1], [1], [2], [5], [10], [1e3], [1e-3]])
    for constraint in ("unit", "none"):
        model, X = make(constraint)
        before = model.loss(X).item()
        model.decoder_weight.data = model.decoder_weight.data * factors
        same = model.loss(X).item() == pytest.approx(before, rel=1e-12)
        assert same == (constraint == "unit")


@pytest.mark.parametrize(
    ("constraint", "steps"),
    [
        ("unit", ["linear", "unit_rows", "linear", "half_squared_error", "l1_norm", "mul", "add"]),
        ("none", ["linear", "linear", "half_squared_error", "l1_norm", "mul", "add"]),
    ],
)
def test_the_steps_of_the_loss(constraint, steps):
    model, X = make(constraint)
    assert [v.op.name for v in topological(model.loss(X)) if v.op] == steps


def test_a_row_of_zeros_is_named():
    model, X = make()
    W = model.decoder_weight.numpy().copy()
    W[4] = 0
    model.decoder_weight.data = W
    with np.errstate(invalid="ignore"):
        loss = model.loss(X)
        assert np.isnan(loss.item()) and "a row has length 0" in mg.why(model.decoder_weight, loss)
    with (
        pytest.raises(mg.inspect.AnomalyError, match=r"unit_rows made NaN .* a row has length 0"),
        mg.detect_anomaly(),
    ):
        model.loss(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept_and_the_seed_decides(dtype):
    model, X = make(dtype=dtype)
    loss = model.loss(X)
    loss.backward()
    assert loss.dtype == dtype and all(p.grad.dtype == dtype for p in model.parameters())
    again, _ = make(dtype=dtype)
    assert again.loss(X).item() == loss.item()


def test_a_checkpoint_rebuilds_it(tmp_path):
    model, X = make("decay", activation="tanh")
    check_that_a_checkpoint_rebuilds(model, X, tmp_path)


def test_pickle_and_deepcopy():
    model, X = make("decay")
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert twin.loss(X).item() == model.loss(X).item()
    assert "SparseAutoencoder(5 -> 7, lam=0.3, decay)" in repr(model)


@pytest.mark.parametrize("lam", [-0.1, np.nan, np.inf])
def test_an_impossible_penalty(lam):
    with pytest.raises(DataError) as caught:
        SparseAutoencoder(4, 3, lam=lam, rng=np.random.default_rng(0))
    what, _, fix = str(caught.value).splitlines()
    assert what == f"SparseAutoencoder: lam = {lam} is not possible" and "choose lam >= 0" in fix


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"constraint": "norm"}, "unknown constraint 'norm'"),
        ({"constraint": "decay", "decay": 0.0}, "decay = 0.0 is not possible"),
        ({"constraint": "decay", "decay": -1.0}, "decay = -1.0 is not possible"),
        ({"activation": "swish"}, "unknown activation 'swish'"),
    ],
)
def test_impossible_settings(settings, words):
    with pytest.raises(DataError, match=words) as caught:
        SparseAutoencoder(4, 3, rng=np.random.default_rng(0), **settings)
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize("sizes", [(0, 3), (4, 0)])
def test_impossible_sizes(sizes):
    with pytest.raises(DataError, match=r"SparseAutoencoder: n_.* must be a whole number"):
        SparseAutoencoder(*sizes, rng=np.random.default_rng(0))


def test_data_of_another_width():
    model, X = make()
    with pytest.raises(ShapeError, match=r"got shape \(9, 4\), expected \(n, 5\)"):
        model.loss(X[:, :4])


# --- what the lesson measures on pictures ---------------------------------------------------------


def test_localised_is_a_quarter_for_even_pictures_and_one_for_points():
    even, points = np.ones((3, 64)), np.eye(64)
    assert ex.localised(even) == 0.25 and ex.localised(points) == 1


def test_oriented_is_one_for_stripes_and_nothing_for_a_point():
    wave = np.cos(2 * np.pi * np.arange(8) * 2 / 8)
    slanted = np.cos(np.pi / 2 * np.add.outer(np.arange(8), np.arange(8)))
    stripes = np.array([np.tile(wave, 8), np.repeat(wave, 8), slanted.ravel()])
    assert all(ex.oriented(s[None]) == pytest.approx(1, abs=1e-12) for s in stripes)
    assert ex.oriented(np.eye(64)[:1]) < 0.2


def test_rescaled_is_the_same_network_with_other_codes():
    model, X = make("none")
    twin = ex.rescaled(model, 0.1)
    np.testing.assert_allclose(twin(X).numpy(), model(X).numpy(), atol=1e-13)
    np.testing.assert_allclose(twin.encode(X).numpy(), 0.1 * model.encode(X).numpy(), atol=1e-14)
    assert twin.loss(X).item() < model.loss(X).item()
