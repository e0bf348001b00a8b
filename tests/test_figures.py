"""Sheets of images, and the grid of codes that a manifold is drawn from."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from minigrad_ae.teaching import figures as pictures


def test_a_sheet_keeps_the_order_of_its_images():
    # six images of 2 x 2 pixels, each of one grey
    images = np.arange(6.0)[:, None] * np.ones((6, 4))
    made = pictures.sheet(images, columns=3)
    assert made.shape == (2 * 4, 3 * 4)
    assert made[1::4, 1::4].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert made[0].max() == 0  # the frame


def test_mosaic_puts_pictures_in_rows():
    images = np.arange(1.0, 33).reshape(8, 4)
    made = pictures.sheet(images, columns=3)
    np.testing.assert_array_equal(made, pictures.sheet(images[:6], columns=3))
    np.testing.assert_array_equal(made[1:3, 5:7], [[5, 6], [7, 8]])


def test_the_grid_of_codes_has_equal_steps_of_probability():
    codes = pictures.prior_grid(4)
    across = codes[:4, 0]
    share = [np.mean(np.random.default_rng(0).standard_normal(200_000) < c) for c in across]
    np.testing.assert_allclose(
        share, [1 / 8, 3 / 8, 5 / 8, 7 / 8], atol=4 * np.sqrt(0.25 / 200_000)
    )
    assert (codes[:4, 1] == codes[0, 1]).all() and codes[0, 1] > codes[4, 1]  # from the top down


def test_a_gradient_that_is_zero_gets_no_arrow():
    counts = []
    for size in (0.0, 1.0):
        ax = Figure().subplots()
        norms = dict.fromkeys(("mu", "log_var", "encoder"), size) | {"z": 1.0, "decoder": 1.0}
        pictures.show_gradient_flow(ax, norms, reparameterised=True)
        counts.append(
            sum(
                t.arrow_patch is not None and t.arrow_patch.get_linewidth() > 2
                for t in ax.texts
                if hasattr(t, "arrow_patch")
            )
        )
    assert counts == [2, 6]


def test_the_machine_shows_datum_and_output_in_the_same_shades_and_all_its_words():
    ax, x = Figure().subplots(), np.linspace(0, 1, 25)
    words = {name: f"{name}!" for name in ("mu", "sigma", "eps", "z", "kl", "log_p", "bound")}
    pictures.show_autoencoder(ax, words, {"x": x, "y": 0.5 * x})
    assert set(words.values()) <= {text.get_text() for text in ax.texts}
    shades = [child.images[0].get_array().max() for child in ax.child_axes]
    assert shades == [1.0, 0.5]


@pytest.mark.parametrize(("labels", "drawn"), [(np.array([3, 3, 7]), [2, 1]), (None, [3])])
def test_codes_are_drawn_by_class_or_as_points(labels, drawn):
    ax = Figure().subplots()
    pictures.show_codes(ax, np.arange(6.0).reshape(3, 2), labels)
    assert [len(points.get_offsets()) for points in ax.collections] == drawn


def test_a_manifold_of_standardised_pictures_keeps_its_shades():
    ax = Figure().subplots()
    pictures.show_manifold(ax, lambda codes: np.outer(codes[:, 0], np.ones(25)), 3, (-2.0, 2.0))
    shades = ax.images[0].get_array()[3]  # the middle of the first row of pictures
    np.testing.assert_allclose(
        shades[[3, 10, 17]], (pictures.prior_grid(3)[:3, 0] + 2) / 4, rtol=1e-12
    )


def test_rows_that_are_no_pictures_become_a_table_of_shades():
    rows = np.arange(12.0).reshape(3, 4)  # 4 is a square, but nobody sees a picture in 2 x 2
    ax = Figure().subplots()
    pictures.show_rows(ax, rows, "x")
    (image,) = ax.get_images()
    np.testing.assert_array_equal(image.get_array(), rows.T)
    assert image.get_clim() == (0, 11)
    assert [pictures.is_picture(n) for n in (4, 16, 24, 25, 64)] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_pictures_in_any_unit_go_from_white_to_black():
    rows = -3 + 10 * np.eye(25)
    ax = Figure().subplots()
    pictures.show_rows(ax, rows)
    (image,) = ax.get_images()
    drawn = np.asarray(image.get_array())
    assert drawn.min() == 0 and drawn.max() == 1 and drawn.sum() == len(rows)


def test_rows_that_are_all_alike_are_drawn():
    ax = Figure().subplots()
    pictures.show_rows(ax, np.full((3, 4), 7.0))
    low, high = ax.get_images()[0].get_clim()
    assert low == 7 and high > low


def test_a_direction_is_drawn_as_bars_or_as_a_picture():
    flat, square = Figure().subplots(), Figure().subplots()
    pictures.show_vector(flat, np.array([1.0, -2.0, 0.5]), "u")
    assert [bar.get_height() for bar in flat.patches] == [1.0, -2.0, 0.5]
    pictures.show_vector(square, np.linspace(-1, 2, 25))
    assert square.get_images()[0].get_clim() == (-2, 2)
