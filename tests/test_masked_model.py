"""The masked autoencoder: what must be zero exactly, what holds to rounding, and what is
refused.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from helpers import refused

import minigrad_ae as mg
from minigrad_ae import analytic, checkpoint
from minigrad_ae.errors import DataError, DtypeError, ShapeError
from minigrad_ae.models import MaskedAutoencoder
from minigrad_ae.models.masked import MaskedDecoder, places, random_masks, visible_patches
from minigrad_ae.nn import unpatchify
from minigrad_ae.nn.vision import pick

SMALL = {
    "width": 8,
    "depth": 2,
    "heads": 2,
    "decoder_width": 12,
    "decoder_depth": 1,
    "decoder_heads": 3,
}


def made(dtype=np.float64, shape=(8, 8), **settings):
    """A small network with a head that is not zero, so that everything reaches the output."""
    rng = np.random.default_rng(1)
    model = MaskedAutoencoder(shape, 2, **{**SMALL, **settings}, rng=rng, dtype=dtype)
    model.head.weight.data = rng.normal(size=model.head.weight.shape)
    return model.standardise(
        mg.data.digits("train")[0] if shape == (8, 8) else rng.random((9, np.prod(shape)))
    )


def data(n=5):
    return mg.data.digits("test")[0][:n]


def hidden_pixels(model, mask):
    wide = np.repeat(mask[:, :, None], model.head.weight.shape[1], axis=2)
    return unpatchify(wide, model.image_shape, model.patch)


# --- exact zeros ----------------------------------------------------------------------------------


@pytest.mark.parametrize("class_token", [False, True])
def test_no_prediction_depends_on_hidden_pixels(class_token):
    model, x = made(class_token=class_token), mg.tensor(data(), requires_grad=True)
    mask = random_masks(5, 16, 0.75, np.random.default_rng(0))
    upstream = np.random.default_rng(2).normal(size=(5, 64))
    (g,) = mg.grad(model.forward(x, mask), x, gradient=upstream)
    hidden = hidden_pixels(model, mask)
    assert np.all(g[hidden] == 0) and np.all(g[~hidden] != 0)


def test_the_loss_does_not_depend_on_visible_targets():
    """Visible patches enter through the encoder only: with the codes held fixed, their pixels do
    not count.
    """
    model, x = made(), mg.tensor(data(), requires_grad=True)
    mask = random_masks(5, 16, 0.75, np.random.default_rng(0))
    z = model.encode(data(), mask).detach()
    hidden = np.nonzero(mask)[1].reshape(5, -1)
    target = pick(model.targets(model.encoder.standardised(x)), hidden)
    error = mg.sum((pick(model.predict(z, mask), hidden) - target) ** 2)
    (g,) = mg.grad(error, x)
    assert np.all(g[~hidden_pixels(model, mask)] == 0) and np.all(
        g[hidden_pixels(model, mask)] != 0
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_loss_is_half_the_squared_error_of_hidden_pixels(dtype):
    model, x = made(dtype), data()
    mask = random_masks(5, 16, 0.5, np.random.default_rng(3))
    y = model.forward(x, mask).numpy().astype(np.float64)
    by_hand = 0.5 * np.sum((y - x)[hidden_pixels(model, mask)] ** 2)
    assert float(model.loss(x, mask=mask)) == pytest.approx(
        by_hand, rel=64 * float(np.finfo(dtype).eps)
    )
    assert model.masked_error(x, mask) == pytest.approx(
        2 * by_hand / (5 * 8 * 4), rel=64 * float(np.finfo(dtype).eps)
    )


def test_where_codes_go_back_to():
    """Un-shuffle undoes the picking of visible patches: codes that are patch numbers return to
    their own places.
    """
    mask = random_masks(7, 16, 0.75, np.random.default_rng(4))
    numbers = np.nonzero(~mask)[1]
    restored = np.append(numbers, -1)[places(mask)]
    assert np.all(restored[mask] == -1) and np.array_equal(np.nonzero(~mask)[1], restored[~mask])


def test_the_decoder_is_its_blocks_one_after_the_other():
    """Two of them: a factor on the last block's output is undone by the norm behind it."""
    model = made(decoder_depth=2)
    decoder, z = model.decoder, np.random.default_rng(6).normal(size=(3, 16, 8))
    tokens = z @ decoder.bridge.weight.data + decoder.bridge.bias.data + decoder.positions.data
    for block in decoder.blocks:
        tokens = block(mg.tensor(tokens)).numpy()
    expected = decoder.head(decoder.norm(mg.tensor(tokens))).numpy()
    np.testing.assert_allclose(decoder(mg.tensor(z)).numpy(), expected, rtol=0, atol=1e-12)


def test_pasted_pictures_keep_what_is_visible():
    model, x = made(), data()
    mask = random_masks(5, 16, 0.75, np.random.default_rng(5))
    hidden = hidden_pixels(model, mask)
    pasted, raw = model.reconstruct(x, mask), model.reconstruct(x, mask, paste=False)
    assert np.array_equal(raw, model.forward(x, mask).numpy())
    assert np.array_equal(pasted[~hidden], x[~hidden]) and np.array_equal(
        pasted[hidden], raw[hidden]
    )
    assert not np.any(raw[~hidden] == x[~hidden])


def test_the_mask_token_starts_at_random_numbers_of_a_fiftieth():
    """Within five standard errors of a standard deviation, 1 / sqrt(2 n) of it."""
    n, rng = 20_000, np.random.default_rng(0)
    decoder = MaskedDecoder(1, 1, (1, 1), n, 0, 1, 1.0, None, rng, np.float64)
    token = decoder.mask_token.data
    assert token.shape == (1, n) and abs(token.mean()) < 5 * 0.02 / np.sqrt(n)
    assert abs(token.std() / 0.02 - 1) < 5 / np.sqrt(2 * n)


# --- masks ----------------------------------------------------------------------------------------


def test_masks_are_uniform_over_subsets():
    """Pearson's chi-squared over the 28 subsets of 2 of 8: mean 27, standard deviation sqrt(54);
    four of them above.
    """
    masks = random_masks(28_000, 8, 0.75, np.random.default_rng(6))
    _, counts = np.unique(masks @ (1 << np.arange(8)), return_counts=True)
    assert len(counts) == 28
    assert np.sum((counts - 1000.0) ** 2) / 1000 < 27 + 4 * np.sqrt(54)


def test_each_picture_has_its_own_mask():
    masks = random_masks(64, 16, 0.75, np.random.default_rng(7))
    # 1,820 subsets; 64 draws repeat rarely
    assert np.all(masks.sum(axis=1) == 12) and len(np.unique(masks, axis=0)) > 60


def test_the_mean_loss_of_hidden_patches_varies_as_without_replacement():
    """Unbiased, variance (s^2 / K)(1 - K / L); 4 standard errors."""
    losses = np.random.default_rng(8).random(16) ** 2
    masks = random_masks(40_000, 16, 0.75, np.random.default_rng(9))
    means = (masks * losses).sum(axis=1) / 12
    expected = analytic.masked_mean_variance(losses, 12)
    assert abs(means.mean() - losses.mean()) < 4 * np.sqrt(expected / 40_000)
    assert abs(means.var() / expected - 1) < 4 * np.sqrt(2 / 40_000)


@pytest.mark.parametrize(
    "L, ratio, kept", [(49, 0.75, 12), (16, 0.75, 4), (16, 0.875, 2), (16, 0.0, 16), (10, 0.9, 1)]
)
def test_how_many_patches_stay_visible(L, ratio, kept):
    assert visible_patches(L, ratio) == kept


# --- where training starts ------------------------------------------------------------------------


def test_an_untrained_network_predicts_the_mean_picture():
    model = MaskedAutoencoder(rng=np.random.default_rng(0)).standardise(mg.data.digits("train")[0])
    mask = random_masks(5, 16, 0.75, np.random.default_rng(0))
    np.testing.assert_allclose(
        model.forward(data(), mask).numpy(),
        np.tile(mg.data.digits("train")[0].mean(0), (5, 1)),
        rtol=0,
        atol=1e-15,
    )


def test_norm_pix_starts_at_the_cost_of_a_zero_prediction():
    """(P - 1) / P times the share of the variance that eps leaves: exactly
    `analytic.zero_prediction_loss`.
    """
    model = MaskedAutoencoder(norm_pix=True, rng=np.random.default_rng(0)).standardise(
        mg.data.digits("train")[0]
    )
    x, mask = data(40), random_masks(40, 16, 0.75, np.random.default_rng(0))
    patches = mg.nn.patchify(model.encoder.standardised(x), (8, 8), 2)[mask]
    assert model.masked_error(x, mask) == pytest.approx(
        analytic.zero_prediction_loss(patches), abs=1e-12
    )


def test_training_in_float32_leaves_the_mean_picture_behind():
    model = MaskedAutoencoder(rng=np.random.default_rng(0), dtype=np.float32, width=32, depth=1)
    X = mg.data.digits("train")[0]
    optimizer = mg.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], 5e-3, (0.9, 0.95)
    )
    history = mg.train.fit(
        model.standardise(X),
        X,
        optimizer=optimizer,
        epochs=5,
        rng=np.random.default_rng(1),
        noise=np.random.default_rng(2),
        progress=False,
    )
    assert all(p.dtype == np.float32 for p in model.parameters())
    assert model.loss(X[:3], np.random.default_rng(0)).dtype == np.float32
    assert history.loss[-1] < 0.97 * history.loss[0]


# --- as any other model ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"class_token": True},
        {"norm_pix": True},
        {"positions": "sincos"},
        {"positions": None},
        {"shape": (4, 6, 3), "mask_ratio": 0.5},
    ],
)
def test_every_gradient_is_that_of_complex_steps(settings):
    model = made(**settings)
    x = np.random.default_rng(3).random((3, *model.image_shape))
    loss = model.loss(x, np.random.default_rng(4))
    report = mg.check_graph(loss)
    assert report.ok, report
    loss.backward()
    silent = [
        name for name, p in model.named_parameters() if p.requires_grad and not np.any(p.grad)
    ]
    assert not silent, f"no gradient reaches {silent}"


def test_copies_and_files_are_the_same_network(tmp_path):
    model = made(np.float32, class_token=True, positions="sincos", mask_ratio=0.5)
    mask = random_masks(5, 16, 0.5, np.random.default_rng(0))
    y = model.forward(data(), mask).numpy()
    path = checkpoint.save(tmp_path / "m.npz", model)
    for other in (
        copy.deepcopy(model),
        pickle.loads(pickle.dumps(model)),
        checkpoint.load(path).model,
    ):
        assert np.array_equal(other.forward(data(), mask).numpy(), y) and other.mask_ratio == 0.5


def test_one_mask_serves_all_pictures():
    model, mask = made(), random_masks(1, 16, 0.75, np.random.default_rng(0))[0]
    assert float(model.loss(data(), mask=mask)) == float(
        model.loss(data(), mask=np.tile(mask, (5, 1)))
    )
    assert np.array_equal(
        model.forward(data(), mask).numpy(), model.forward(data(), np.tile(mask, (5, 1))).numpy()
    )


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, error, words",
    [
        ({"patch": 3}, DataError, "choose patch from 1, 2, 4, 8"),
        ({"image_shape": (8, 6), "patch": 4}, DataError, "height 8, width 6"),
        ({"image_shape": (3, 8, 8)}, ShapeError, "the channels of a picture come last"),
        ({"image_shape": 8}, DtypeError, "(height, width)"),
        ({"mask_ratio": 1.0}, DataError, "must lie in [0, 1)"),
        ({"mask_ratio": -0.1}, DataError, "must lie in [0, 1)"),
        ({"mask_ratio": float("nan")}, DataError, "must lie in [0, 1)"),
        ({"mask_ratio": 0.95}, DataError, "no patch would stay visible"),
        ({"heads": 3}, DataError, "3 heads do not divide the width"),
        ({"decoder_heads": 5}, DataError, "5 heads do not divide the width"),
        ({"positions": "rotary"}, DataError, "unknown position code 'rotary'"),
        ({"width": 10, "positions": "sincos"}, DataError, "that 4 divides"),
    ],
)
def test_impossible_networks_are_refused(settings, error, words):
    refused(
        error,
        words,
        MaskedAutoencoder,
        **{"image_shape": (8, 8), **settings},
        rng=np.random.default_rng(0),
    )


def test_pictures_and_masks_that_do_not_fit_are_refused():
    model, x = made(), data()
    refused(ShapeError, "another size", model.loss, x[:, :60], np.random.default_rng(0))
    refused(
        ShapeError, "one picture x goes in as x[None]", model.loss, x[0], np.random.default_rng(0)
    )
    refused(DtypeError, "which patches to hide", model.loss, x)
    refused(DtypeError, "boolean", model.loss, x, mask=np.zeros((5, 16)))
    refused(ShapeError, "expected (5, 16)", model.loss, x, mask=np.zeros((4, 16), bool))
    refused(DataError, "a visible one", model.loss, x, mask=np.ones((5, 16), bool))
    refused(
        DataError,
        "0 to 1 of 16",
        model.loss,
        x,
        mask=np.eye(5, 16, dtype=bool) & (np.arange(5) < 2)[:, None],
    )
    colour = made(shape=(8, 6, 3))
    refused(
        ShapeError,
        "np.moveaxis(x, 1, -1)",
        colour.loss,
        np.zeros((2, 3, 8, 6)),
        np.random.default_rng(0),
    )


def test_norm_pix_draws_no_picture():
    refused(DataError, "borrow", made(norm_pix=True).reconstruct, data(), np.eye(16, dtype=bool)[0])


def test_a_model_that_would_hide_nothing_is_refused():
    with pytest.raises(DataError, match="no patch would be hidden"):
        MaskedAutoencoder(
            (4, 4),
            2,
            width=4,
            heads=2,
            decoder_width=4,
            mask_ratio=0.0,
            rng=np.random.default_rng(0),
        )


def test_rows_picked_by_an_empty_index_get_zeros():
    x = mg.tensor(np.ones((100, 8)), requires_grad=True)
    mg.take(x, np.zeros((3, 0), np.int64), axis=0).sum().backward()
    assert np.array_equal(x.grad, np.zeros((100, 8)))
