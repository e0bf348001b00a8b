"""Patches of a photograph: what whitening does, what is random, and what is said when something is
missing.
"""

from __future__ import annotations

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae.data import patches, photograph, whiten
from minigrad_ae.errors import DataError, DtypeError, FileError

ours = __import__("minigrad_ae.data.image_patches", fromlist=["_path"])


def test_the_photograph_is_grey_and_a_fresh_copy():
    image = photograph()
    assert image.shape == (600, 512) and image.dtype == np.float64
    assert 0 <= image.min() < 0.1 and 0.9 < image.max() <= 1
    image[:] = 0
    assert photograph().max() > 0.9


def amplitude(image, f):
    """Of the wave across the image, along its rows, with frequency f in cycles per pixel."""
    return 2 / image.size * abs(np.sum(image * np.exp(-2j * np.pi * f * np.arange(image.shape[1]))))


def test_whitening_multiplies_each_wave_by_f_and_cuts_the_finest():
    f, phase = np.array([2, 8, 16, 30]) / 64, np.array([0.3, 1.0, 2.0, 0.5])
    one_over_f = sum(
        np.cos(2 * np.pi * k * np.arange(64) + p) / k for k, p in zip(f, phase, strict=True)
    )
    flat = whiten(np.tile(one_over_f, (40, 1)))
    found = np.array([amplitude(flat, k) for k in f])
    np.testing.assert_allclose(
        found / found[0], np.exp(-((f / 0.4) ** 4) + (f[0] / 0.4) ** 4), rtol=1e-10
    )


def test_the_spectrum_of_the_photograph_becomes_flat():
    def energy(image, low, high):
        """Mean power of the waves with frequencies from low to high."""
        f = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, image.shape), indexing="ij"))
        return np.mean(np.abs(np.fft.fft2(image)[(f >= low) & (f < high)]) ** 2)

    coarse, fine = (0.01, 0.02), (0.1, 0.2)
    assert energy(photograph(), *coarse) / energy(photograph(), *fine) > 100
    assert 0.1 < energy(whiten(photograph()), *coarse) / energy(whiten(photograph()), *fine) < 10


def test_a_whitened_image_has_mean_0_and_variance_1_and_ignores_units():
    image = photograph()
    flat = whiten(image)
    assert flat.shape == image.shape
    assert abs(flat.mean()) < 1e-12 and flat.var() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(whiten(7 * image + 3), flat, atol=1e-9)


def test_patches_are_rows_without_mean_in_one_unit():
    X = patches(500, 8, rng=np.random.default_rng(0))
    assert X.shape == (500, 64) and X.dtype == np.float64
    np.testing.assert_allclose(X.mean(axis=1), 0, atol=1e-12)
    assert np.mean(X**2) == pytest.approx(1, abs=1e-12)
    assert np.array_equal(X, patches(500, 8, rng=np.random.default_rng(0)))
    assert not np.array_equal(X, patches(500, 8, rng=np.random.default_rng(1)))


def test_patches_are_pieces_of_the_image():
    image = np.random.default_rng(0).standard_normal((20, 21))
    (found,) = patches(1, 4, rng=np.random.default_rng(1), image=image)
    inside = whiten(image)[8:-8, 8:-8]  # (4, 5): two places
    pieces = [inside[:, k : k + 4].ravel() for k in range(2)]
    pieces = [(p - p.mean()) / (p - p.mean()).std() for p in pieces]
    assert min(np.abs(found - p).max() for p in pieces) < 1e-12


@pytest.mark.parametrize("image", [np.ones((30, 30)), np.zeros((40, 20))])
def test_a_constant_image_cannot_be_whitened(image):
    with pytest.raises(
        DataError, match="the image is constant: there is nothing to whiten"
    ) as caught:
        whiten(image)
    assert len(str(caught.value).splitlines()) == 3


@pytest.mark.parametrize(("n", "size"), [(0, 8), (10, 1), (10, 585)])
def test_impossible_patches(n, size):
    with pytest.raises(DataError, match="there are no such patches") as caught:
        patches(n, size, rng=np.random.default_rng(0))
    assert f"n = {n}, size = {size}" in str(caught.value) and "from 2 to 496" in str(caught.value)


def test_an_image_too_small_for_its_margin():
    with pytest.raises(DataError, match="give a larger image"):
        patches(
            1,
            2,
            rng=np.random.default_rng(0),
            image=np.random.default_rng(0).standard_normal((17, 40)),
        )


def test_a_missing_generator():
    with pytest.raises(DtypeError, match=r"pass rng=np\.random\.default_rng\(seed\)"):
        patches(5, rng=None)


def test_a_missing_photograph_is_said_in_three_lines(monkeypatch, tmp_path):
    import matplotlib

    monkeypatch.setattr(matplotlib, "get_data_path", lambda: str(tmp_path))
    with pytest.raises(
        FileError, match=r"matplotlib's sample data do not hold grace_hopper\.jpg"
    ) as caught:
        photograph()
    _, where, fix = str(caught.value).splitlines()
    assert str(tmp_path) in where and "image=" in fix


def test_a_damaged_photograph_is_said_in_three_lines(monkeypatch, tmp_path):
    broken = tmp_path / "grace_hopper.jpg"
    broken.write_bytes(b"no picture")
    monkeypatch.setattr(ours, "_path", lambda: broken)
    with pytest.raises(FileError, match="the photograph cannot be read") as caught:
        mg.data.photograph()
    assert len(str(caught.value).splitlines()) == 3
