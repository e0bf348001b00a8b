"""Masked arrays: what a mask hides is no number.  It is refused at every door, and never trained on
in silence.
"""

import numpy as np
import pytest
from helpers import rng

import minigrad_ae as mg
from minigrad_ae import analytic, kernels, optim
from minigrad_ae.arguments import unmasked
from minigrad_ae.data import (
    additive_gaussian,
    batches,
    centre,
    check_matrix,
    scale,
    zero_random_subset,
)
from minigrad_ae.errors import DataError
from minigrad_ae.models import LinearAutoencoder
from minigrad_ae.models.estimators import reparameterised_gradients
from minigrad_ae.models.slide_algorithm import algorithm_1
from minigrad_ae.models.transfer import LogisticRegression, accuracy, fine_tune
from minigrad_ae.nn import Linear, VisionTransformer


def compiled(kernel, *arrays):
    """The kernel, whatever the environment says; its NumPy definition takes what NumPy takes."""
    with kernels.use("numba"):
        return kernel(*arrays)


def masked(*shape):
    """Numbers of which one is hidden, and stands for something absurd."""
    hidden = np.ma.masked_array(rng(5).standard_normal(shape), mask=False)
    hidden[(0,) * len(shape)] = 1e12
    hidden[(0,) * len(shape)] = np.ma.masked
    return hidden


X = masked(6, 4)
V = masked(4)
INDEX = np.ma.masked_array([0, 1, 2], mask=[True, False, False])
SELECT = np.ma.masked_array([True, False, True, True], mask=[True, False, False, False])
LABELS = np.ma.masked_array([0, 1, 0, 1, 0, 1], mask=[1, 0, 0, 0, 0, 0])
PLAIN = np.asarray(rng(5).standard_normal((6, 4)))


def t(*shape):
    return mg.tensor(rng(5).standard_normal(shape), requires_grad=True)


def autoencoder():
    return LinearAutoencoder(4, 2, rng=rng(5))


def transformer():
    return VisionTransformer((2, 2), 1, 4, 1, heads=1, n_classes=2, rng=rng(5))


def set_data(value):
    t(6, 4).data = value


def load(module, value):
    module.load_state_dict({**module.state_dict(), "weight": value})


def load_optimizer(value):
    p = mg.nn.Parameter(np.ones((6, 4)))
    optim.SGD([p], 0.1, momentum=0.9).load_state_dict({"lr": 0.1, "0.velocity": value})


def load_lbfgs(value):
    optimizer = optim.LBFGS([mg.nn.Parameter(np.ones(4))])
    optimizer.load_state_dict({**optimizer.state_dict(), "s": value, "y": np.ones((6, 4))})


def step(make, value):
    p = mg.nn.Parameter(np.ones((6, 4)))
    p.grad = value
    make([p]).step()


def hooked(value):
    y = t(6, 4)
    y.register_hook(lambda g: value)
    y.sum().backward()


VAE = mg.models.VariationalAutoencoder
DOORS = {
    # tensors and the engine
    "tensor": lambda: mg.tensor(X),
    "tensor of rows": lambda: mg.tensor([V, V]),
    "tensor of the constant": lambda: mg.tensor(np.ma.masked),
    "data": lambda: set_data(X),
    "backward": lambda: t(6, 4).exp().backward(gradient=X),
    "grad": lambda: mg.grad((y := t(6, 4)).exp(), y, gradient=X),
    "grad, create_graph": lambda: mg.grad((y := t(6, 4)).exp(), y, gradient=X, create_graph=True),
    "hook": lambda: hooked(X),
    "gradcheck": lambda: mg.gradcheck(mg.exp, X),
    # ops with a tensor
    "add": lambda: t(6, 4) + X,
    "matmul from the left": lambda: X.T @ t(6, 4),
    "times a list": lambda: t(2, 4) * [V, V],
    "np.multiply": lambda: np.multiply(t(6, 4), X),
    "matmul": lambda: t(3, 6) @ X,
    "matmul with a vector": lambda: t(3, 4) @ V,
    "maximum": lambda: mg.maximum(t(6, 4), X),
    "clip": lambda: mg.clip(t(6, 4), X, 10.0),
    "where, condition": lambda: mg.where(SELECT, t(4), 0.0),
    "where, value": lambda: mg.where(PLAIN > 0, t(6, 4), X),
    "concatenate": lambda: mg.concatenate([t(6, 4), X]),
    "stack": lambda: mg.stack([t(6, 4), X]),
    "einsum": lambda: mg.einsum("ij,ij->i", t(6, 4), X),
    "linear, weight": lambda: mg.linear(t(3, 6), X),
    "linear, bias": lambda: mg.linear(t(3, 6), PLAIN, V),
    "layer_norm": lambda: mg.layer_norm(t(6, 4), V),
    "attention, mask": lambda: mg.attention(
        t(4, 3), t(4, 3), t(4, 3), np.ma.masked_array(np.eye(4) > 0, np.eye(4))
    ),
    "attention, values": lambda: mg.attention(t(6, 4), t(6, 4), X),
    "dropout": lambda: mg.dropout(t(6, 4), X, 0.5),
    # ops on arrays
    "bare exp": lambda: mg.exp(X),
    "bare sum": lambda: mg.sum(X),
    "bare mean": lambda: mg.mean(X),
    "bare softmax": lambda: mg.softmax(X),
    "bare matmul": lambda: mg.matmul(PLAIN.T, X),
    "bare maximum": lambda: mg.maximum(PLAIN, X),
    "bare where": lambda: mg.where(SELECT, V.data, 0.0),
    "bare exp of rows": lambda: mg.exp([V, V]),
    "bare dropout": lambda: mg.dropout(X, PLAIN, 0.5),
    # indices
    "index by numbers": lambda: t(4)[INDEX],
    "index by truth": lambda: t(4)[SELECT],
    "index in two axes": lambda: t(6, 4)[:, INDEX],
    "take": lambda: mg.take(t(4), INDEX),
    "take along an axis": lambda: t(6, 4).take(INDEX, axis=1),
    # kernels
    "kernel matmul": lambda: compiled(kernels.matmul, PLAIN.T.copy(), X),
    # parameters and optimisers
    "load_state_dict": lambda: load(Linear(6, 4, rng=rng(5)), X),
    "SGD.load_state_dict": lambda: load_optimizer(X),
    "LBFGS.load_state_dict": lambda: load_lbfgs(X),
    "SGD.step": lambda: step(lambda p: optim.SGD(p, 0.1), X),
    "Adam.step": lambda: step(lambda p: optim.Adam(p, 0.1), X),
    # models
    "fit": lambda: autoencoder().fit(X),
    "loss": lambda: autoencoder().loss(X),
    "forward": lambda: autoencoder()(X),
    "encode": lambda: autoencoder().encode(X),
    "decode": lambda: autoencoder().decode(masked(6, 2)),
    "certify_pca": lambda: mg.certify_pca(autoencoder(), X),
    "VAE": lambda: VAE(4, 2, likelihood="gaussian", rng=rng(5)).loss(X, rng(5)),
    "algorithm_1": lambda: algorithm_1(
        VAE(4, 2, likelihood="gaussian", rng=rng(5)), X, 0.1, rng(5)
    ),
    "reparameterised": lambda: reparameterised_gradients(
        lambda z: (z**2).sum(axis=-1), V, np.zeros(4), rng(5), 3
    ),
    "train.fit": lambda: mg.train.fit(
        m := autoencoder(), X, optimizer=optim.Adam(m.parameters()), epochs=1, rng=rng(5)
    ),
    "train.fit, pictures": lambda: mg.train.fit(
        m := autoencoder(),
        masked(6, 2, 2),
        optimizer=optim.Adam(m.parameters()),
        epochs=1,
        rng=rng(5),
    ),
    "pictures": lambda: transformer()(X),
    "standardise": lambda: transformer().standardise(X),
    "labels": lambda: transformer().loss(PLAIN, LABELS),
    "fine_tune": lambda: fine_tune(transformer(), X, LABELS.data, steps=1, rng=rng(5)),
    "fine_tune, labels": lambda: fine_tune(transformer(), PLAIN, LABELS, steps=1, rng=rng(5)),
    "accuracy": lambda: accuracy(transformer(), PLAIN, LABELS),
    "LogisticRegression": lambda: LogisticRegression(4, 2).fit(PLAIN, LABELS),
    "hidden patches": lambda: mg.models.MaskedAutoencoder((2, 2), 1, rng=rng(5)).checked(SELECT, 1),
    # data
    "check_matrix": lambda: check_matrix(X),
    "centre": lambda: centre(X),
    "scale": lambda: scale(X),
    "batches": lambda: batches(X, 2, rng(5)),
    "batches, labels": lambda: batches(PLAIN, 2, rng(5), LABELS),
    "zero_random_subset": lambda: zero_random_subset(X, 0.3, rng(5)),
    "additive_gaussian": lambda: additive_gaussian(X, 0.3, rng(5)),
    "additive_gaussian, sigma": lambda: additive_gaussian(PLAIN, abs(V), rng(5)),
    # closed forms
    "pca": lambda: analytic.pca(X),
    "principal_angles": lambda: analytic.principal_angles(X, PLAIN),
    "log_normal": lambda: analytic.log_normal(X),
    "soft_threshold": lambda: analytic.soft_threshold(V, 0.1),
    "soft_threshold, penalty": lambda: analytic.soft_threshold(np.ones(4), np.ma.masked),
    "sharpness": lambda: analytic.sharpness(abs(V)),
    "mode_strength": lambda: analytic.mode_strength(abs(V), 1.0, 0.1),
    "gaussian_conditional": lambda: analytic.gaussian_conditional(np.eye(4), SELECT),
    "rate_distortion": lambda: analytic.rate_distortion(np.arange(4.0)[::-1], 2, abs(V)),
    "ridge_dropout": lambda: analytic.ridge_dropout(
        np.eye(4), np.eye(4), np.ma.masked_array([0.5] * 4, [1, 0, 0, 0])
    ),
    "optimal_loss_regularised": lambda: analytic.optimal_loss_regularised(
        np.arange(4.0)[::-1], 2, abs(V)[:2]
    ),
}


@pytest.mark.parametrize("door", DOORS)
def test_hidden_entries_are_refused(door):
    with pytest.raises(DataError) as error:
        DOORS[door]()
    what, where, fix = str(error.value).splitlines()
    if door.endswith(".load_state_dict"):  # of an optimiser: one fault of perhaps several
        assert what.endswith("the state does not fit, nothing was loaded")
        assert "has masked entries: 1 of 24 entries, shape (6, 4)" in where
        return
    assert what.endswith(" has masked entries")
    assert " of " in where and " entries, shape (" in where
    assert fix.startswith("  fix: fill them, X.filled(value)")


def test_a_mask_that_hides_nothing_is_taken_off():
    open_ = np.ma.masked_array(PLAIN, mask=False)
    for result in (mg.exp(open_), mg.softmax(open_), unmasked(open_, "X"), check_matrix(open_)):
        assert type(result) is np.ndarray
    assert np.array_equal(mg.exp(open_), np.exp(PLAIN))
    assert np.array_equal((t(6, 4) * open_).data, t(6, 4).data * PLAIN)
    assert np.array_equal(mg.tensor(open_).data, PLAIN)
    y = t(4)
    assert np.array_equal(y[np.ma.masked_array([1, 2])].data, y.data[1:3])
    assert np.array_equal(analytic.pca(open_).eigenvalues, analytic.pca(PLAIN).eigenvalues)


def test_rows_are_not_spoken_of_where_there_are_none():
    with pytest.raises(DataError) as error:
        unmasked(V, "v")
    assert (
        str(error.value)
        == "v has masked entries\n  1 of 4 entries, shape (4,)\n  fix: fill them, X.filled(value)"
    )


@pytest.mark.parametrize("mask", [False, X.mask])
def test_numpys_masked_arithmetic_does_not_swallow_a_tensor(mask):
    """NumPy's masked arrays compute with a tensor on their right by themselves: the gradient would
    be lost.
    """
    left = np.ma.masked_array(PLAIN, mask=mask)
    for operate in (
        np.ma.MaskedArray.__add__,
        np.ma.MaskedArray.__sub__,
        np.ma.MaskedArray.__mul__,
        np.ma.MaskedArray.__truediv__,
        np.ma.MaskedArray.__pow__,
    ):
        with pytest.raises(
            DataError, match="a masked array on the left of a tensor loses the gradient"
        ):
            operate(left, t(6, 4))
