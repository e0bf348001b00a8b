"""The closed forms on the 60,000 images of MNIST, against frozen reference numbers (pixels / 255).

Needs the four IDX.gz files: in $MINIGRAD_AE_DATA, or in shared/data/mnist beside the checkout;
skipped without them.
Tolerance: half a unit of the last digit printed.
"""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from minigrad_ae import analytic

FOLDERS = [
    Path(os.environ.get("MINIGRAD_AE_DATA", "mnist")),
    Path(__file__).parents[2] / "shared/data/mnist",
]
FOLDER = next(
    (folder for folder in FOLDERS if (folder / "train-images-idx3-ubyte.gz").is_file()), None
)
pytestmark = pytest.mark.skipif(
    FOLDER is None, reason="MNIST is not here: set MINIGRAD_AE_DATA to its folder"
)


def images(name):
    """(N, 784) in [0, 1]; the header of an image file has 16 bytes."""
    raw = gzip.decompress((FOLDER / f"{name}-images-idx3-ubyte.gz").read_bytes())
    return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784) / 255.0


@pytest.fixture(scope="module")
def train():
    return images("train")


@pytest.fixture(scope="module")
def test():
    return images("t10k")


@pytest.fixture(scope="module")
def moments(train):
    """Mean of the training images, eigenvalues and eigenvectors of their covariance, largest
    first.
    """
    mean = train.mean(axis=0)
    S = train.T @ train / len(train) - np.outer(mean, mean)
    l, U = np.linalg.eigh(S)
    return mean, np.maximum(l[::-1], 0.0), U[:, ::-1]


def test_principal_components(moments, test):
    mean, l, U = moments
    assert l.sum() == pytest.approx(52.7250, abs=6e-5)
    np.testing.assert_allclose(l[:5], [5.1168, 3.7413, 3.2527, 2.8416, 2.5671], atol=6e-5)
    seen = [2 * analytic.two_layer_bound(l, M) for M in (2, 10, 30, 100)]
    np.testing.assert_allclose(seen, [43.8669, 26.9873, 14.2071, 4.5012], atol=6e-5)
    for M, error in ((2, 43.6449), (30, 13.8663), (100, 4.4028)):
        residual = test - mean - (test - mean) @ U[:, :M] @ U[:, :M].T
        assert (residual**2).sum(axis=1).mean() == pytest.approx(error, abs=6e-5)


def test_probabilistic_pca(moments):
    table = {
        2: (12.4277, 0.056096),
        10: (182.1547, 0.034867),
        30: (385.6530, 0.018842),
        50: (507.9054, 0.012596),
    }
    for M, (value, sigma2) in table.items():
        reached, noise = analytic.ppca_optimum(moments[1], M)
        assert reached == pytest.approx(value, abs=6e-5) and noise == pytest.approx(
            sigma2, abs=6e-7
        )


def test_units_that_survive_each_way_of_writing_the_loss(moments):
    l = moments[1]
    losses = {
        (1, 1): 23,
        (0.5, 1): 12,
        (1, 4): 6,
        (1, 10): 1,
        (1 / 784, 1 / 20): 0,
        (1 / 784, 1): 0,
    }
    for weights, active in losses.items():
        assert analytic.active_units(l, 784, analytic.effective_noise(*weights)) == active
    assert [analytic.active_units(l, 784, sigma2) for sigma2 in (0.1, 0.05, 0.01)] == [69, 102, 251]


def test_independent_pixels(train, test):
    """205.82 belongs to probabilities clipped to [1e-4, 1 - 1e-4]; the rarest pixels move it by
    0.01.
    """
    mean, N = train.mean(axis=0), len(train)
    assert analytic.bernoulli_baseline(test, np.clip(mean, 1e-4, 1 - 1e-4)) == pytest.approx(
        205.82, abs=0.006
    )
    assert analytic.bernoulli_baseline(test, np.clip(mean, 0.5 / N, 1 - 0.5 / N)) == pytest.approx(
        205.81, abs=0.006
    )
    binary = np.clip((train > 0.5).mean(axis=0), 1e-4, 1 - 1e-4)
    assert analytic.bernoulli_baseline(np.where(test > 0.5, 1.0, 0.0), binary) == pytest.approx(
        205.86, abs=0.006
    )
    assert analytic.pixel_entropy(test) == pytest.approx(45.53, abs=0.006)
