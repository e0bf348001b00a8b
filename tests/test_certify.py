"""The PCA certificate: right where PCA is, honest where PCA is not unique, and not to be fooled
elsewhere.
"""

import copy
import json
from dataclasses import replace
from fractions import Fraction

import matplotlib
import numpy as np
import pytest
from numpy.testing import assert_allclose

import minigrad_ae as mg
from minigrad_ae import analytic
from minigrad_ae.claims.certificate import claims_of, judged
from minigrad_ae.claims.certify import _bias_at_the_mean
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
    assert "the decoder spans fewer than the 2 directions that PCA needs" in certificate.notes


def test_without_bias_the_data_must_be_centred():
    X = random(30, 5) + 3
    certificate = mg.certify_pca(fitted(X, 2, bias=False), X)
    assert not certificate.passed
    assert not certificate.centred
    assert certificate.failures[0].startswith("data: they are not centred")
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
    assert (what, where) == ("certify_pca: this is not a linear autoencoder", "  got a str")
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


# --- what is allowed, and why ---
OFFSETS = [0.0, 1e2, 1e4, 1e6, 1e8]
SPREAD = random(200, 6) * [3, 2.5, 2, 1.5, 1, 0.5]


def principal_model(X, angle=0.0, **settings):
    """The optimum with M = 2, its second direction turned by `angle` towards the third component;
    offsets to match.
    """
    found = analytic.pca(X, 2)
    u1, u2, u3 = found.components[:, :3].T
    U = np.column_stack([u1, np.cos(angle) * u2 + np.sin(angle) * u3])
    model = LinearAutoencoder(X.shape[1], 2, rng=np.random.default_rng(0), **settings)
    model.encoder_weight.data, model.decoder_weight.data = U, U.T.copy()
    model.decoder_bias.data = (
        found.mean - found.mean @ model.encoder_weight.data @ model.decoder_weight.data
    )
    return model


@pytest.mark.parametrize("offset", OFFSETS)
def test_an_offset_of_the_data_hides_nothing(offset):
    X = SPREAD + offset
    assert mg.certify_pca(fitted(X, 2), X).passed
    right, turned = (mg.certify_pca(principal_model(X, angle), X) for angle in (0.0, 1e-3))
    assert right.passed, str(right)
    assert not turned.passed
    assert turned.largest_sine == pytest.approx(np.sin(1e-3), rel=1e-6)
    s2, s3 = analytic.pca(X).eigenvalues[1:3]
    assert turned.loss - turned.optimal_loss == pytest.approx(
        0.5 * (s2 - s3) * np.sin(1e-3) ** 2, rel=1e-6
    )
    at_home = mg.certify_pca(principal_model(SPREAD), SPREAD)
    assert right.loss_tolerance == pytest.approx(at_home.loss_tolerance, rel=0.01)
    assert right.free is None
    assert any("stored to 2e-08" in note for note in right.notes) == (offset == 1e8)


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_wrong_bias_is_seen_at_any_offset(offset):
    X = SPREAD + offset
    model = principal_model(X)
    model.decoder_bias.data = model.decoder_bias.data + 1e-4
    certificate = mg.certify_pca(model, X)
    assert [f.split(":")[0] for f in certificate.failures] == ["loss"]
    assert certificate.loss - certificate.optimal_loss == pytest.approx(
        0.5 * X.size * 1e-8, rel=1e-3
    )


def test_the_bias_at_the_mean_is_rounded_once():
    rng = np.random.default_rng(2)
    model = LinearAutoencoder(5, 2, rng=rng)
    for p in model.parameters():
        p.data = rng.standard_normal(p.shape)
    mean, rest = 1e8 * rng.standard_normal(5), 1e-8 * rng.standard_normal(5)
    exact = np.vectorize(Fraction, otypes=[object])
    W1, W2, b1 = (
        exact(p.numpy()) for p in (model.encoder_weight, model.decoder_weight, model.encoder_bias)
    )
    m = exact(mean) + exact(rest)
    model.decoder_bias.data = b2 = (m - (m @ W1 + b1) @ W2).astype(np.float64)
    expected = ((m @ W1 + b1) @ W2 + exact(b2) - m).astype(np.float64)
    assert 0 < np.abs(expected).max() < 1e-6
    assert_allclose(_bias_at_the_mean(model, mean, rest), expected, rtol=1e-6, atol=0)


def test_equal_rows_that_are_not_exact_are_their_mean():
    X = np.full((5, 4), 0.1)
    model = LinearAutoencoder(4, 2, rng=np.random.default_rng(0))
    model.decoder_bias.data = X[0] - X[0] @ model.encoder_weight.data @ model.decoder_weight.data
    certificate = mg.certify_pca(model, X)
    assert certificate.passed, str(certificate)
    model.decoder_bias.data = model.decoder_bias.data + 1e-12
    assert not mg.certify_pca(model, X).passed


def test_the_gradient_is_bounded_by_the_loss_and_the_bound_is_tight():
    X = SPREAD
    at_rest = mg.certify_pca(principal_model(X), X)
    u1 = analytic.pca(X).components[:, 0]
    steepest = (
        2 * at_rest.eigenvalues[0]
    )  # along u_1 in both layers: E = 1/2 s_1 (1 - (1 + t)^2)^2, t = a/sqrt(2)
    step = np.sqrt(2 * at_rest.loss_tolerance / steepest) / np.sqrt(2)
    for part, passes in ((0.99, True), (1.01, False)):
        moved = principal_model(X)
        moved.encoder_weight.data[:, 0] += part * step * u1
        moved.decoder_weight.data[0] += part * step * u1
        c = mg.certify_pca(moved, X)
        assert c.gradient_norm == pytest.approx(part * c.gradient_tolerance, rel=2e-3)
        assert c.passed is passes
        assert any(f.startswith("gradient: ") for f in c.failures) is not passes


def test_the_gradient_is_tested():
    """A decoder a thousandth too long spans the right subspace: the gradient tells."""
    model = LinearAutoencoder(6, 2, rng=np.random.default_rng(0))
    model.fit(SPREAD)
    right = mg.certify_pca(model, SPREAD)
    assert right.gradient_norm <= right.gradient_tolerance
    stretched = copy.deepcopy(model)
    stretched.decoder_weight.data = 1.001 * stretched.decoder_weight.data
    stretched.decoder_bias.data = model.decoder_bias.data - 0.001 * (
        SPREAD.mean(axis=0) @ model.encoder_weight.data @ model.decoder_weight.data
    )
    wrong = mg.certify_pca(stretched, SPREAD)
    assert wrong.gradient_norm > wrong.gradient_tolerance
    assert any("gradient" in reason for reason in wrong.failures)
    row = {r.id: r for r in claims_of(wrong)}["gradient"]
    assert not row.passed and {r.id: r for r in claims_of(right)}["gradient"].passed


def test_a_gradient_that_is_too_large_fails_alone():
    certificate = mg.certify_pca(principal_model(SPREAD), SPREAD)
    sloping = replace(certificate, gradient_norm=1.01 * certificate.gradient_tolerance)
    verdict = judged(sloping, lost=False)
    assert not verdict.passed
    assert [f.split(":")[0] for f in verdict.failures] == ["gradient"]
    assert {r.id: r.passed for r in claims_of(verdict)} == {
        "loss": True, "angle": True, "gradient": False, "curvature": True, "balance": True,
    }  # fmt: skip
    assert f"(allowed {verdict.gradient_tolerance:.2e})" in str(verdict)


def test_a_float32_model_is_judged_as_one_and_told_so():
    model = fitted(SPREAD, 2, dtype=np.float32)
    certificate = mg.certify_pca(model, SPREAD)
    assert certificate.passed, str(certificate)
    assert certificate.dtype == "float32"
    assert "the model's parameters are float32" in str(certificate)
    assert all(r.passed for r in claims_of(certificate))
    eps = float(np.finfo(np.float32).eps)
    squares = float(np.sum((SPREAD - SPREAD.mean(axis=0)) ** 2))
    assert certificate.loss_tolerance == pytest.approx(32 * eps * squares, rel=1e-4)
    assert not mg.certify_pca(principal_model(SPREAD, 0.03, dtype=np.float32), SPREAD).passed
    assert all(p.dtype == np.float32 for p in model.parameters())


def test_biases_that_cannot_hold_the_offset_are_refused():
    X = SPREAD + 1e8
    certificate = mg.certify_pca(fitted(X, 2, dtype=np.float32), X)
    assert not certificate.passed
    assert certificate.failures[0].startswith("data: they lie so far out that biases in float32")


def test_float32_data_do_not_spoil_the_offsets_of_a_float64_model():
    X = (SPREAD + 1e4).astype(np.float32)
    certificate = mg.certify_pca(fitted(X, 2), X)
    assert certificate.passed, str(certificate)


def test_a_failed_page_names_the_lines_that_failed():
    X, found = five_features()
    page = str(mg.certify_pca(linear_model(*analytic.saddle(found.components, (1, 3), 2)), X))
    assert "failed: loss: it is" in page
    assert "failed: angle: the decoder does not span the first 2 principal components" in page
    assert "failed: curvature: the loss curves downwards" in page
    assert "failed: gradient" not in page
    assert max(len(line) for line in page.splitlines()) <= 100
    assert "failed" not in str(mg.certify_pca(fitted(X, 2), X))


def test_a_dead_decoder_fails_the_angle_in_the_ledger_too():
    model = fitted(SPREAD, 2)
    model.decoder_weight.data[1] = 0
    certificate = mg.certify_pca(model, SPREAD)
    assert certificate.largest_sine == 1.0
    assert not next(r for r in claims_of(certificate) if r.id == "angle").passed


def test_a_run_that_was_cut_off_says_nothing_about_pca():
    model = LinearAutoencoder(6, 2, rng=np.random.default_rng(1))
    needed = model.fit(SPREAD).evaluations
    assert model.record.finished
    for limit in range(1, needed):
        report = LinearAutoencoder(6, 2, rng=np.random.default_rng(1)).fit(
            SPREAD, max_evaluations=limit
        )
        assert (report.reason, report.finished) == ("evaluation limit", False), limit
    model.fit(SPREAD, np.random.default_rng(1), max_evaluations=20)
    certificate = mg.certify_pca(model, SPREAD)
    assert not certificate.passed
    assert certificate.finished is False
    page = " ".join(str(certificate).split())
    assert "is NOT at the PCA optimum, as its training was not finished" in page
    assert (
        "ended at its limit, after 20 evaluations: this says nothing about PCA, the run was just "
        "not finished" in page
    )


def test_weights_that_are_not_finite_are_refused():
    model = principal_model(SPREAD)
    model.encoder_weight.data[0, 1] = np.inf
    with pytest.raises(DataError, match=r"encoder\.weight has 1 of 12"):
        mg.certify_pca(model, SPREAD)
