"""The PCA certificate: right where PCA is, honest where PCA is not unique, and not to be fooled
elsewhere.
"""

import copy
import json

import matplotlib
import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.claims.certificate import claims_of
from minigrad_ae.errors import DataError, DtypeError, ShapeError
from minigrad_ae.experiments.linear import five_features, linear_model
from minigrad_ae.models import LinearAutoencoder


def fitted(X, M, **settings):
    model = LinearAutoencoder(X.shape[1], M, rng=np.random.default_rng(1), **settings)
    model.fit(X)
    return model


def random(*shape):
    return np.random.default_rng(7).standard_normal(shape)


def tied_spectrum():
    axes = np.diag([3.0, 2.0, 2.0, 2.0, 1.0, 0.5])
    return np.vstack([axes, -axes])  # eigenvalues 18, 8, 8, 8, 2, 0.5


AWKWARD = {
    "plain": (random(60, 7), 3),
    "wide": (random(5, 20), 2),
    "one latent unit": (random(30, 4), 1),
    "M = D": (random(50, 6), 6),
    "M = rank": (random(30, 3) @ random(3, 8), 3),
    "M > rank": (random(30, 3) @ random(3, 8), 5),
    "constant columns": (np.hstack([random(30, 3), np.full((30, 2), 7.0)]), 2),
    "all rows equal": (np.ones((5, 4)), 2),
    "one row": (random(1, 4), 2),
    "scales 1 to 100": (random(200, 8) * np.logspace(0, 2, 8), 5),
    "scales 1e-3 to 100": (random(100, 6) * np.logspace(-3, 2, 6), 3),
    "far from the origin": (random(200, 6) + 1e6, 2),
    "tiny": (random(50, 6) * 1e-100, 2),
    "huge": (random(50, 6) * 1e100, 2),
    "not contiguous": (random(60, 14)[::2, ::2], 3),
    "Fortran order": (np.asfortranarray(random(60, 7)), 3),
}


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("tied", [False, True])
def test_a_trained_model_is_certified(name, tied):
    X, M = AWKWARD[name]
    certificate = mg.certify_pca(fitted(X, M, tied=tied), X)
    assert certificate.passed, str(certificate)
    assert abs(certificate.loss - analytic.pca(X).optimal_loss(M)) <= certificate.loss_tolerance
    assert certificate.evaluations > 0
    assert certificate.start_loss >= certificate.loss


def test_training_data_are_not_changed():
    X = random(30, 5)
    before = X.copy()
    mg.certify_pca(fitted(X, 2), X)
    assert np.array_equal(X, before)


def test_equal_eigenvalues_at_the_cut_are_named():
    X = tied_spectrum()
    certificate = mg.certify_pca(fitted(X, 2), X)
    assert certificate.passed
    assert certificate.determined == 1
    assert certificate.free == (2, 4)
    assert "s_2 ... s_4 are equal: 1 of the 2 directions are free within these components" in str(
        certificate
    )


def test_equal_eigenvalues_away_from_the_cut_leave_nothing_free():
    X = tied_spectrum()
    certificate = mg.certify_pca(fitted(X, 4), X)
    assert certificate.passed
    assert certificate.determined == 4
    assert certificate.free is None


def test_a_free_direction_outside_the_tied_components_is_not_accepted():
    _, components = np.linalg.eigh(tied_spectrum().T @ tied_spectrum())
    wrong = components[:, [-1, 0]]  # the first component and the weakest one
    assert not mg.certify_pca(linear_model(wrong.T, wrong), tied_spectrum()).passed


def test_a_saddle_is_recognised_by_its_negative_curvature():
    X, found = five_features()
    certificate = mg.certify_pca(linear_model(*analytic.saddle(found.components, (1, 3), 2)), X)
    assert not certificate.passed
    assert certificate.gradient_norm < 1e-12
    # turning u_3 into u_2 moves both layers: [[s2, -s2], [-s2, s3]] is its Hessian
    s1, s2, s3 = found.eigenvalues[:3]
    lowest = (s2 + s3 - np.sqrt((s2 - s3) ** 2 + 4 * s2**2)) / 2
    assert certificate.lowest_curvature == pytest.approx(lowest / (2 * s1), rel=1e-9)


def test_an_untrained_model_is_not_certified_and_has_no_record():
    X = random(30, 5)
    certificate = mg.certify_pca(LinearAutoencoder(5, 2, rng=np.random.default_rng(0)), X)
    assert not certificate.passed
    assert certificate.start_loss is None
    assert certificate.evaluations is None
    assert "not recorded" in str(certificate)


@pytest.mark.parametrize(
    "parameter", ["encoder_weight", "decoder_weight", "encoder_bias", "decoder_bias"]
)
def test_a_small_change_of_any_parameter_is_seen(parameter):
    X = random(60, 7)
    model = fitted(X, 3)
    weight = getattr(model, parameter)
    weight.data = weight.data + 1e-3
    assert not mg.certify_pca(model, X).passed


def test_a_dead_decoder_is_said_to_be_one():
    X = random(30, 5)
    model = fitted(X, 2)
    model.decoder_weight.data[1] = 0
    certificate = mg.certify_pca(model, X)
    assert not certificate.passed
    assert "the decoder spans 1 directions only, PCA needs 2" in certificate.notes


def test_without_bias_the_data_must_be_centred():
    X = random(30, 5) + 3
    certificate = mg.certify_pca(fitted(X, 2, bias=False), X)
    assert not certificate.passed
    assert not certificate.centred
    assert any("centre them" in note for note in certificate.notes)
    centred = X - X.mean(axis=0)
    assert mg.certify_pca(fitted(centred, 2, bias=False), centred).passed


def test_a_penalised_model_is_compared_with_the_penalised_optimum():
    X = random(60, 7)
    s = analytic.pca(X).eigenvalues
    certificate = mg.certify_pca(fitted(X, 3, l2=0.5 * s[2]), X)
    assert certificate.passed, str(certificate)
    assert certificate.optimal_loss == pytest.approx(
        analytic.optimal_loss_regularised(s, 3, 0.5 * s[2]), rel=1e-14
    )


def test_the_angle_is_bounded_by_the_loss():
    X = random(60, 7)
    c = mg.certify_pca(fitted(X, 3), X)
    gap = analytic.pca(X).gap(3)
    assert c.sine_tolerance == pytest.approx(np.sqrt(2 * c.loss_tolerance / gap), rel=1e-12)
    assert c.largest_sine <= c.sine_tolerance


def test_page_json_and_figure(tmp_path):
    X = random(60, 7)
    certificate = mg.certify_pca(fitted(X, 3), X)
    page = str(certificate)
    assert "this linear autoencoder IS PCA" in page
    assert max(len(line) for line in page.splitlines()) <= 100
    certificate.json(tmp_path / "c.json")
    read = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    assert read["loss"] == certificate.loss
    assert read["principal_angles"] == certificate.principal_angles
    # a warning would be an error here
    with matplotlib.rc_context({"figure.constrained_layout.use": True}):
        certificate.png(tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("M", "kind", "what", "where"),
    [
        (0, DataError, "n_latent = 0 is not possible", "n_features = 5"),
        (-1, DataError, "n_latent = -1 is not possible", "n_features = 5"),
        (6, DataError, "n_latent = 6 is not possible", "n_features = 5"),
        (2.5, DtypeError, "n_latent must be a whole number, from 1 to 5", "got 2.5"),
    ],
)
def test_impossible_numbers_of_latent_units(M, kind, what, where):
    with pytest.raises(kind) as error:
        LinearAutoencoder(5, M, rng=np.random.default_rng(0))
    first, second, fix = str(error.value).splitlines()
    assert first == f"LinearAutoencoder: {what}"
    assert second == f"  {where}"
    assert fix.startswith("  fix: choose 1 <= n_latent <= n_features")


def test_only_a_linear_autoencoder_is_certified():
    with pytest.raises(DtypeError) as error:
        mg.certify_pca("model", random(5, 3))
    what, where, fix = str(error.value).splitlines()
    assert (what, where) == ("certify_pca: no linear autoencoder", "  got a str")
    assert fix == "  fix: certify_pca(model, X)"


@pytest.mark.parametrize("l2", [-1.0, np.nan, np.inf])
def test_impossible_penalties(l2):
    with pytest.raises(DataError, match=r"l2 = .* is not possible"):
        LinearAutoencoder(5, 2, l2=l2, rng=np.random.default_rng(0))


def test_data_that_do_not_fit():
    model = LinearAutoencoder(5, 2, rng=np.random.default_rng(0))
    with pytest.raises(ShapeError, match=r"got shape \(3, 4\), expected \(n, 5\)"):
        model.loss(np.ones((3, 4)))
    with pytest.raises(ShapeError, match=r"X \(3, 4\), model of 5 features"):
        mg.certify_pca(model, np.ones((3, 4)))
    with pytest.raises(ShapeError):
        model.fit(np.ones(5))
    bad = np.ones((4, 5))
    bad[2, 3] = np.nan
    with pytest.raises(DataError, match="row 2, column 3"):
        model.fit(bad)
    with pytest.raises(DtypeError):
        model.fit(np.array([["a"] * 5]))
    with pytest.raises(DataError):
        model.fit(np.empty((0, 5)))


def test_same_seed_same_weights_bit_for_bit():
    X = random(40, 6)
    first, second = (fitted(X, 2) for _ in range(2))
    assert all(
        np.array_equal(a.data, b.data)
        for a, b in zip(first.parameters(), second.parameters(), strict=True)
    )


def test_float32_models_train_in_float32():
    X = random(40, 6).astype(np.float32)
    model = fitted(X, 2, dtype=np.float32)
    assert all(p.dtype == np.float32 for p in model.parameters())
    eps = float(np.finfo(np.float32).eps)
    assert model.loss(X).item() == pytest.approx(analytic.pca(X).optimal_loss(2), rel=40 * 6 * eps)


# --- offsets, precision, and what a failed page says ---


def rotated(model: mg.models.LinearAutoencoder, angle: float) -> mg.models.LinearAutoencoder:
    """The same model, its subspace turned by `angle` out of the principal components."""
    other = copy.deepcopy(model)
    decoder = other.decoder_weight.data
    first = decoder[0] / np.linalg.norm(decoder[0])
    e = np.eye(len(first))[0]
    aside = e - decoder.T @ np.linalg.lstsq(decoder.T, e)[0]
    aside /= np.linalg.norm(aside)
    turn = np.eye(len(first)) + (np.cos(angle) - 1) * (
        np.outer(first, first) + np.outer(aside, aside)
    )
    turn += np.sin(angle) * (np.outer(first, aside) - np.outer(aside, first))
    other.encoder_weight.data = turn.T @ other.encoder_weight.data
    other.decoder_weight.data = decoder @ turn
    mean = OFFSET_DATA.mean(axis=0) + other.shift
    other.encoder_bias.data = np.zeros(other.n_latent)
    other.decoder_bias.data = mean - mean @ other.encoder_weight.data @ other.decoder_weight.data
    return other


OFFSET_DATA = np.random.default_rng(5).standard_normal((200, 6)) * [5.0, 4.0, 3.0, 1.0, 0.8, 0.6]


@pytest.mark.parametrize("shift", [0.0, 1e2, 1e4, 1e6, 1e8])
def test_an_offset_of_the_data_makes_the_certificate_no_softer(shift):
    """Means cancel: a model with biases is judged on what is left, however large they are."""
    X = OFFSET_DATA + shift
    model = mg.models.LinearAutoencoder(6, 2, rng=np.random.default_rng(0))
    model.fit(X)
    model.shift = shift
    right = mg.certify_pca(model, X)
    assert right.passed and right.free is None, str(right)
    assert right.loss_tolerance < 1e-6 * right.optimal_loss
    wrong = mg.certify_pca(rotated(model, 1e-3), X)
    assert not wrong.passed and any("loss" in reason for reason in wrong.failures), str(wrong)
    assert mg.certify_pca(rotated(model, 0.0), X).passed


def test_the_gradient_is_tested():
    """A decoder a thousandth too long spans the right subspace: the gradient tells."""
    model = mg.models.LinearAutoencoder(6, 2, rng=np.random.default_rng(0))
    model.fit(OFFSET_DATA)
    right = mg.certify_pca(model, OFFSET_DATA)
    assert right.gradient_norm <= right.gradient_tolerance
    stretched = copy.deepcopy(model)
    stretched.decoder_weight.data = 1.001 * stretched.decoder_weight.data
    stretched.decoder_bias.data = model.decoder_bias.data - 0.001 * (
        OFFSET_DATA.mean(axis=0) @ model.encoder_weight.data @ model.decoder_weight.data
    )
    wrong = mg.certify_pca(stretched, OFFSET_DATA)
    assert wrong.gradient_norm > wrong.gradient_tolerance
    assert any("gradient" in reason for reason in wrong.failures)
    row = {r.id: r for r in claims_of(wrong)}["gradient"]
    assert not row.passed and {r.id: r for r in claims_of(right)}["gradient"].passed


def test_a_float32_model_is_judged_as_one_and_told_so():
    model = mg.models.LinearAutoencoder(6, 2, rng=np.random.default_rng(0), dtype=np.float32)
    model.fit(OFFSET_DATA.astype(np.float32))
    certificate = mg.certify_pca(model, OFFSET_DATA)
    assert certificate.passed, str(certificate)
    assert any("float32" in note for note in certificate.notes)
    double = mg.models.LinearAutoencoder(6, 2, rng=np.random.default_rng(0))
    double.fit(OFFSET_DATA)
    exact = mg.certify_pca(double, OFFSET_DATA)
    assert not any("float32" in note for note in exact.notes)
    assert certificate.loss_tolerance > 100 * exact.loss_tolerance


def test_a_failed_page_names_the_line_and_says_why():
    model = mg.models.LinearAutoencoder(6, 2, rng=np.random.default_rng(0))
    page = str(mg.certify_pca(model, OFFSET_DATA))
    assert "not passed: the loss is" in page and "not passed: the gradient does not vanish" in page
    model.fit(OFFSET_DATA)
    assert "not passed" not in str(mg.certify_pca(model, OFFSET_DATA))


def test_a_run_that_was_cut_short_says_nothing_about_pca():
    model = mg.models.LinearAutoencoder(6, 2, rng=np.random.default_rng(0))
    model.fit(OFFSET_DATA, max_evaluations=5)
    certificate = mg.certify_pca(model, OFFSET_DATA)
    assert not certificate.passed and not certificate.finished
    assert "evaluation limit" in str(certificate) and "says nothing about PCA" in str(certificate)
    model.fit(OFFSET_DATA)
    assert mg.certify_pca(model, OFFSET_DATA).finished
