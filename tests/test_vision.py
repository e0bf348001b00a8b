"""Patches, positions, attention and the vision transformer."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import refused, rng

import minigrad_ae as mg
from minigrad_ae.errors import DataError, ShapeError
from minigrad_ae.nn import (
    MultiHeadAttention,
    PatchEmbedding,
    TransformerBlock,
    VisionTransformer,
    patchify,
    unpatchify,
)
from minigrad_ae.nn.positions import SPREAD, position_codes, sincos

SHAPES = [((8, 8), 2), ((28, 28), 4), ((4, 6), 2), ((6, 4, 3), 2), ((3, 3, 1), 3), ((2, 2), 1)]


def attention(width=8, heads=2, dtype=np.float64):
    layer = MultiHeadAttention(width, heads, rng=rng(1), dtype=dtype)
    for p in layer.parameters():  # biases too
        p.data = rng(p.size).normal(size=p.shape)
    return layer


# --- patches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape, patch", SHAPES)
def test_patches_are_an_exact_rearrangement(shape, patch):
    x = rng().random((5, np.prod(shape)))
    patches = patchify(x, shape, patch)
    assert np.array_equal(unpatchify(patches, shape, patch), x)
    assert np.array_equal(patchify(unpatchify(patches, shape, patch), shape, patch), patches)
    assert np.array_equal(patchify(x.reshape(5, *shape), shape, patch), patches)


def test_patches_come_row_by_row():
    x = np.arange(16.0).reshape(1, 4, 4)
    assert np.array_equal(
        patchify(x, (4, 4), 2)[0], [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]
    )


def test_channels_stay_with_their_pixel():
    x = rng().random((2, 4, 4, 3))
    assert np.array_equal(patchify(x, (4, 4, 3), 2)[1, 3].reshape(2, 2, 3), x[1, 2:, 2:])


# --- attention ------------------------------------------------------------------------------------


def test_weights_are_probabilities():
    w = attention().weights(rng().normal(size=(3, 7, 8))).numpy()
    assert w.shape == (3, 2, 7, 7) and np.all(w > 0)
    np.testing.assert_allclose(w.sum(axis=-1), 1, rtol=0, atol=1e-12)


def test_the_layer_is_its_formula():
    layer, x = attention(), rng().normal(size=(2, 5, 8))
    q, k, v = (
        x @ part.weight.data + part.bias.data for part in (layer.query, layer.key, layer.value)
    )
    heads = []
    for h in (slice(0, 4), slice(4, 8)):
        scores = np.exp(q[..., h] @ k[..., h].swapaxes(1, 2) / 2)  # sqrt(d) = 2
        heads.append(scores / scores.sum(axis=-1, keepdims=True) @ v[..., h])
    expected = np.concatenate(heads, axis=-1) @ layer.output.weight.data + layer.output.bias.data
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("make", [attention, lambda: TransformerBlock(8, 2, rng=rng(2))])
def test_order_of_tokens_does_not_matter_without_positions(make):
    layer, x, order = make(), rng().normal(size=(2, 7, 8)), rng(3).permutation(7)
    reordered, result = layer(mg.tensor(x[:, order])).numpy(), layer(mg.tensor(x)).numpy()
    np.testing.assert_allclose(reordered, result[:, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("positions, moves", [(None, False), ("learnt", True), ("sincos", True)])
def test_positions_tell_where_a_patch_is(positions, moves):
    net = VisionTransformer((8, 8), 2, 8, 2, 2, positions=positions, readout="mean", rng=rng(4))
    x, order = rng().random((3, 64)), rng(5).permutation(16)
    moved = unpatchify(patchify(x, (8, 8), 2)[:, order], (8, 8), 2)
    difference = np.abs(net(x).numpy() - net(moved).numpy()).max()
    assert difference > 1e-3 if moves else difference < 1e-12


def test_tokens_that_no_one_may_see_are_as_good_as_gone():
    block, x = TransformerBlock(8, 2, rng=rng(6)), rng().normal(size=(3, 7, 8))
    keep = np.array([0, 2, 3, 6])
    mask = np.zeros((7, 7), bool)
    mask[:, keep] = True
    hidden = block(mg.tensor(x), mask).numpy()[:, keep]
    np.testing.assert_allclose(hidden, block(mg.tensor(x[:, keep])).numpy(), rtol=0, atol=1e-12)


def test_weights_are_the_softmax_of_queries_on_keys():
    layer, x = attention(), mg.tensor(rng().normal(size=(3, 5, 8)))
    layer.key.weight.data = rng(5).normal(size=(8, 8))  # not those of the queries
    q, k = (part(x).numpy().reshape(3, 5, 2, 4).swapaxes(1, 2) for part in (layer.query, layer.key))
    scores = np.exp(q @ k.swapaxes(2, 3) / np.sqrt(4))
    expected = scores / scores.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(layer.weights(x).numpy(), expected, rtol=1e-12)


def test_equal_tokens_pass_through_the_values():
    layer = attention()
    x = np.repeat(rng().normal(size=(2, 1, 8)), 5, axis=1)
    through = layer.output(layer.value(mg.tensor(x)))
    np.testing.assert_allclose(layer(mg.tensor(x)).numpy(), through.numpy(), rtol=0, atol=1e-12)


def test_heads_in_one_step_are_heads_one_by_one():
    q, k, v = (rng(s).normal(size=(2, 5, 12)) for s in (1, 2, 3))
    parts = [mg.attention(*(a[..., h : h + 4] for a in (q, k, v))) for h in (0, 4, 8)]
    np.testing.assert_allclose(
        mg.attention(q, k, v, heads=3), np.concatenate(parts, axis=-1), rtol=0, atol=1e-13
    )


def test_dropout_drops_in_training_only():
    block = TransformerBlock(8, 2, dropout=0.5, dropout_rng=rng(1), rng=rng(6))
    x = mg.tensor(rng().normal(size=(3, 7, 8)))
    a, b = block(x).numpy(), block(x).numpy()
    assert not np.array_equal(a, b)
    kept = block.drop(x).numpy()
    assert set(np.unique(kept / x.numpy())) == {0.0, 2.0}  # 1 / (1 - rate), so that the mean stays
    block.eval()
    assert np.array_equal(block(x).numpy(), block(x).numpy())
    assert np.array_equal(block.drop(x).numpy(), x.numpy())


# --- position codes -------------------------------------------------------------------------------


def test_sines_and_cosines():
    codes = sincos(4, 5, 16)
    assert codes.shape == (20, 16) and len(np.unique(codes.round(9), axis=0)) == 20
    row, column = codes.reshape(4, 5, 16)[..., :8], codes.reshape(4, 5, 16)[..., 8:]
    assert np.array_equal(row[2, 0], row[2, 4]) and np.array_equal(column[0, 3], column[3, 3])
    expected = [*np.sin(3 * 10.0 ** -np.arange(4)), *np.cos(3 * 10.0 ** -np.arange(4))]
    np.testing.assert_allclose(row[3, 0], expected, atol=1e-15)
    np.testing.assert_allclose(column[0, 3], expected, atol=1e-15)


def test_learnt_positions_start_with_their_spread():
    """Within five standard errors of a standard deviation, 1 / sqrt(2 n) of it."""
    codes = position_codes("learnt", (40, 50), 20, rng(2), np.float64).data
    n = 40 * 50 * 20
    assert codes.size == n and abs(codes.mean()) < 5 * SPREAD / np.sqrt(n)
    assert abs(codes.std() / SPREAD - 1) < 5 / np.sqrt(2 * n)


def test_an_embedding_adds_its_position_codes():
    fixed = PatchEmbedding((4, 6), 2, 8, positions="sincos", rng=rng(9))
    assert np.array_equal(fixed.positions.data, sincos(2, 3, 8))
    without = PatchEmbedding((4, 6), 2, 8, positions=None, rng=rng(9))
    x = rng().random((2, 24))
    np.testing.assert_allclose(
        fixed(x).numpy() - without(x).numpy(), np.tile(sincos(2, 3, 8), (2, 1, 1)), atol=1e-14
    )


def test_an_embedding_is_linear_in_the_pixels_of_a_patch():
    embedding = PatchEmbedding((4, 6), 2, 8, positions=None, rng=rng(9))
    x = rng().random((2, 24))
    last = x.reshape(2, 4, 6)[:, 2:, 4:].reshape(2, 4)  # the patch at the lower right
    expected = last @ embedding.project.weight.data + embedding.project.bias.data
    np.testing.assert_allclose(embedding(x).numpy()[:, 5], expected, rtol=0, atol=1e-14)


# --- the vision transformer -----------------------------------------------------------------------


@pytest.mark.parametrize("readout, features", [("concatenate", 16 * 8), ("mean", 8), ("class", 8)])
def test_readouts(readout, features):
    net = VisionTransformer((8, 8), 2, 8, 2, 2, readout=readout, n_classes=3, rng=rng(7))
    x = rng().random((5, 64))
    tokens = net.tokens(net.standardised(x)).numpy()
    assert tokens.shape == (5, 17 if readout == "class" else 16, 8)
    expected = {
        "concatenate": tokens.reshape(5, -1),
        "mean": tokens.mean(axis=1),
        "class": tokens[:, 0],
    }[readout]
    np.testing.assert_allclose(net.features(x).numpy(), expected, rtol=0, atol=1e-14)
    assert net.n_features == features and net(x).shape == (5, 3) and np.all(net(x).numpy() == 0)
    assert [m.shape for m in net.attention_maps(x)] == [
        (5, 2, tokens.shape[1], tokens.shape[1])
    ] * 2


def test_attention_maps_are_the_weights_of_the_blocks_on_standardised_pictures():
    net = VisionTransformer((4, 4), 2, 8, 2, 2, n_classes=3, rng=rng(7))
    net.mean.data, net.scale.data = np.full(16, 0.4), np.array(0.25)
    x = rng().random((3, 16))
    tokens, maps = net.start((x - 0.4) / 0.25), net.attention_maps(x)
    for block, weights in zip(net.blocks, maps, strict=True):
        expected = block.attention.weights(block.attention_norm(tokens)).numpy()
        np.testing.assert_allclose(weights.numpy(), expected, rtol=1e-12)
        tokens = block(tokens)


def test_codes_are_the_blocks_one_after_the_other_and_a_layer_norm():
    net = VisionTransformer((4, 4), 2, 8, 2, 2, n_classes=3, rng=rng(7))
    x = rng().random((3, 16))
    first, second = net.blocks
    found = net.tokens(x).numpy()
    expected = second(first(net.start(x))).numpy()
    spread = expected - expected.mean(axis=-1, keepdims=True)
    spread /= np.sqrt(expected.var(axis=-1, keepdims=True) + net.norm.eps)
    np.testing.assert_allclose(found, spread, rtol=0, atol=1e-12)


@pytest.mark.parametrize("wants", [False, True])
def test_standardised_is_x_minus_mean_over_scale_with_and_without_a_graph(wants):
    net, x = VisionTransformer((2, 2), 2, 8, 1, 2, rng=rng(7)), rng().random((3, 4))
    net.mean.data, net.scale.data = np.array([0.1, 0.2, 0.3, 0.4]), np.array(0.25)
    seen = net.standardised(mg.tensor(x, requires_grad=wants))
    assert isinstance(seen, mg.Tensor) == wants
    np.testing.assert_allclose(
        seen.numpy() if wants else seen, (x - [0.1, 0.2, 0.3, 0.4]) / 0.25, rtol=1e-14
    )


def test_logits_are_linear_in_the_read_out():
    net = VisionTransformer((4, 4), 2, 8, 1, 2, n_classes=3, rng=rng(7))
    net.head.weight.data = rng(8).normal(size=net.head.weight.shape)
    x = rng().random((5, 16))
    expected = net.features(x).numpy() @ net.head.weight.data + net.head.bias.data
    np.testing.assert_allclose(net(x).numpy(), expected, rtol=1e-12)


def test_pictures_are_as_they_are_until_a_mean_and_a_scale_are_learned():
    net, x = VisionTransformer((4, 4), 2, 8, 1, 2, n_classes=3, rng=rng(7)), rng().random((5, 16))
    assert np.array_equal(net.standardised(x), x)


def test_a_class_token_starts_at_normal_numbers_of_a_fiftieth():
    one = {"readout": "class", "n_classes": 2}
    nets = [VisionTransformer((2, 2), 1, 64, 1, 1, **one, rng=rng(seed)) for seed in range(300)]
    drawn = np.array([net.class_token.data for net in nets])
    assert abs(drawn.std() / 0.02 - 1) < 5 / np.sqrt(2 * drawn.size)


def test_a_class_token_stands_before_the_embedded_patches():
    net = VisionTransformer((4, 4), 2, 8, 2, 2, readout="class", n_classes=3, rng=rng(7))
    x = rng().random((3, 16))
    tokens = net.start(x).numpy()
    assert np.array_equal(tokens[:, 1:], net.embedding(x).numpy())
    assert np.array_equal(tokens[:, 0], np.tile(net.class_token.data.reshape(8), (3, 1)))


def test_the_class_loss_is_cross_entropy():
    net = VisionTransformer((8, 8), 2, 8, 1, 2, n_classes=3, rng=rng(7))
    x, y = rng().random((5, 64)), np.array([0, 2, 1, 1, 0])
    assert float(net.loss(x, y)) == pytest.approx(5 * np.log(3), abs=1e-12)
    net.head.weight.data = rng(8).normal(size=net.head.weight.shape)
    p = np.exp(net(x).numpy())
    assert float(net.loss(x, y)) == pytest.approx(
        -np.log((p / p.sum(1, keepdims=True))[np.arange(5), y]).sum(), abs=1e-12
    )
    assert mg.check_graph(net.loss(x, y)).ok


def test_the_embedding_of_visible_patches_is_a_part_of_the_whole():
    embedding = PatchEmbedding((8, 8), 2, 6, rng=rng(9))
    x, visible = mg.tensor(rng().random((2, 64))), np.array([[3, 1], [0, 15]])
    some, all_of_them = embedding(x, visible).numpy(), embedding(x).numpy()
    np.testing.assert_allclose(
        some, np.take_along_axis(all_of_them, visible[:, :, None], axis=1), rtol=0, atol=1e-15
    )


def test_standardised_pictures_have_mean_0_and_mean_square_1():
    X = mg.data.digits("train")[0]
    Z = VisionTransformer((8, 8), 2, 8, 1, 2, rng=rng()).standardise(X).standardised(X)
    np.testing.assert_allclose(Z.mean(axis=0), 0, atol=1e-12)
    assert np.mean(Z**2) == pytest.approx(1, abs=1e-12)


# --- bad input ------------------------------------------------------------------------------------


def test_what_does_not_fit_is_refused():
    net = VisionTransformer((8, 8), 2, 8, 1, 2, rng=rng())
    refused(DataError, "choose heads from 1, 2, 3, 6", MultiHeadAttention, 6, 4, rng=rng())
    refused(
        DataError, "unknown readout 'sum'", VisionTransformer, (8, 8), 2, readout="sum", rng=rng()
    )
    refused(ShapeError, "another size", net, np.zeros((3, 49)))
    refused(ShapeError, "another size", net.standardise, np.zeros((3, 49)))
    refused(DataError, "n_classes=", net.loss, np.zeros((3, 64)), [0, 1, 2])
    refused(
        ShapeError, "the patches of such a picture", unpatchify, np.zeros((2, 15, 4)), (8, 8), 2
    )
    refused(
        ShapeError,
        "must have 6 elements",
        MultiHeadAttention(6, 2, rng=rng()),
        mg.tensor(np.zeros((2, 3, 5))),
    )
    refused(DataError, "that 4 divides", sincos, 2, 2, 6)
