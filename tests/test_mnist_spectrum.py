"""Lesson 10's shipped spectrum of MNIST: where it comes from, and that it is the one in the
literature and in the files.
"""

import json

import numpy as np
import pytest

from minigrad_ae import analytic
from minigrad_ae.claims import Run
from minigrad_ae.data import mnist, shipped
from minigrad_ae.data.mnist_files import SHA256
from minigrad_ae.errors import FileError
from minigrad_ae.experiments.collapse import CONVENTIONS, SPECTRUM, mnist_spectrum


def test_the_shipped_spectrum_says_where_it_comes_from():
    record = json.loads(shipped(SPECTRUM).read_text(encoding="utf-8"))
    assert set(record) == {"command", "what", "sha256", "eigenvalues"}
    assert record["sha256"] == SHA256["train-images-idx3-ubyte.gz"]
    assert "--full" in record["command"]


def test_the_shipped_spectrum_is_that_of_mnist():
    l = mnist_spectrum(Run())
    assert l.shape == (784,) and (np.diff(l) <= 0).all()
    # The test error of PCA with 30 components, 13.87, is published (Hinton & Salakhutdinov 2006);
    # on training images:
    assert l[30:].sum() == pytest.approx(14.2071, abs=1e-3)
    assert l.sum() == pytest.approx(52.7250, abs=1e-3)


def test_the_shipped_spectrum_is_what_the_code_computes():
    try:
        images = mnist()[0]
    except FileError:
        pytest.skip("MNIST is not here: set MINIGRAD_AE_DATA to its folder")
    values = np.linalg.eigvalsh(
        images.T @ images / len(images) - np.outer(images.mean(axis=0), images.mean(axis=0))
    )[::-1]
    assert mnist_spectrum(Run()) == pytest.approx(np.maximum(values, 0), rel=1e-5, abs=1e-9)


def test_weights_of_a_convention_are_those_of_its_loss():
    """error_weight and kl_weight, which the prediction uses, against the loss that is trained."""
    D, M = 16, 10
    e, kl = (
        np.random.default_rng(0).uniform(size=(3, D)),
        np.random.default_rng(1).uniform(size=(3, M)),
    )
    for name, c in CONVENTIONS.items():
        expected = c.error_weight(D) * e.sum(axis=1) + c.kl_weight(M) * kl.sum(axis=1)
        assert np.asarray(c.loss(e, kl)) == pytest.approx(expected, rel=1e-12), name
        assert analytic.effective_noise(c.error_weight(D), c.kl_weight(M)) > 0
