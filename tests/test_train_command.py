"""``minigrad-ae train``: every model of the table learns, goes on exactly, and says what is wrong
with its arguments.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import run, same_state, wrong_use

from minigrad_ae import analytic, checkpoint, room
from minigrad_ae.cli import model_options
from minigrad_ae.cli import train as train_command
from minigrad_ae.data import digits
from minigrad_ae.experiments.masked import gaussian_errors, mean_picture_errors, ridge_of
from minigrad_ae.models import DeepAutoencoder, DenoisingAutoencoder, LinearAutoencoder
from minigrad_ae.models.masked import random_masks
from minigrad_ae.optim import Adam
from minigrad_ae.train import fit

MODELS = sorted(model_options.MODELS)
# 20 men: chin-ups, sit-ups, jumps, and weight, waist, pulse (linnerud)
MEN = np.array(
    [
        [5, 162, 60, 191, 36, 50],
        [2, 110, 60, 189, 37, 52],
        [12, 101, 101, 193, 38, 58],
        [12, 105, 37, 162, 35, 62],
        [13, 155, 58, 189, 35, 46],
        [4, 101, 42, 182, 36, 56],
        [8, 101, 38, 211, 38, 56],
        [6, 125, 40, 167, 34, 60],
        [15, 200, 40, 176, 31, 74],
        [17, 251, 250, 154, 33, 56],
        [17, 120, 38, 169, 34, 50],
        [13, 210, 115, 166, 33, 52],
        [14, 215, 105, 154, 34, 64],
        [1, 50, 50, 247, 46, 50],
        [6, 70, 31, 193, 36, 46],
        [12, 210, 120, 202, 37, 62],
        [4, 60, 25, 176, 37, 54],
        [11, 230, 80, 157, 32, 52],
        [15, 225, 73, 156, 33, 54],
        [2, 110, 43, 138, 33, 68],
    ],
    dtype=float,
)


def flowers():
    """150 rows with the mean and covariance of iris, in cm to one decimal."""
    S = [
        [0.686, -0.042, 1.274, 0.516],
        [-0.042, 0.19, -0.33, -0.122],
        [1.274, -0.33, 3.116, 1.296],
        [0.516, -0.122, 1.296, 0.581],
    ]
    rng = np.random.default_rng(0)
    return np.round(rng.multivariate_normal([5.84, 3.06, 3.76, 1.2], S, 150), 1)


def epochs_of(out):
    """What was printed about the epochs, a line for each."""
    return [line for line in out.splitlines() if line.startswith("epoch ")]


def errors_of(out):
    """(squared error, that of PCA) on the data held out."""
    line = next(line for line in out.splitlines() if line.startswith("held out"))
    return float(line.split("squared error ")[1].split()[0]), float(line.split()[-1])


@pytest.fixture
def matrix(tmp_path):
    path = tmp_path / "X.npy"
    rng = np.random.default_rng(0)
    np.save(
        path, np.clip(0.5 + 0.2 * rng.standard_normal((60, 3)) @ rng.standard_normal((3, 16)), 0, 1)
    )
    return path


@pytest.mark.parametrize("model", MODELS)
def test_every_model_learns_and_goes_on_bit_for_bit(capsys, tmp_path, matrix, model):
    common = ["train", model, "--data", matrix, "--latent", 2, "--lr", 0.01, "--batch-size", 16]
    common += ["--hidden", 8] if model in model_options.USED_BY["hidden"][1] else []
    code, whole, _ = run(capsys, *common, "--epochs", 4, "--checkpoint", tmp_path / "whole")
    assert code == 0
    losses = [float(line.split()[-1]) for line in whole.splitlines() if line.startswith("epoch ")]
    assert len(losses) == 4 and losses[-1] < losses[0]
    run(capsys, *common, "--epochs", 2, "--checkpoint", tmp_path / "parts")
    code, rest, _ = run(
        capsys, *common, "--epochs", 4, "--checkpoint", tmp_path / "parts", "--resume"
    )
    assert code == 0 and "continuing after epoch 2" in rest
    assert epochs_of(rest) == epochs_of(whole)[2:]
    files = [(tmp_path / name / checkpoint.FILE).read_bytes() for name in ("whole", "parts")]
    assert files[0] == files[1]


def test_the_error_stands_beside_that_of_pca(capsys, tmp_path):
    code, out, _ = run(
        capsys, "train", "linear", "--latent", 8, "--epochs", 1, "--checkpoint", tmp_path
    )
    assert code == 0
    X, X_test = digits("train")[0], digits("test")[0]
    best = float(np.mean(np.sum((analytic.pca(X).reconstruct(X_test, 8) - X_test) ** 2, axis=1)))
    found = checkpoint.load(tmp_path / checkpoint.FILE)
    assert isinstance(found.model, LinearAutoencoder)
    error = float(np.mean(np.sum((found.reconstruct(X_test) - X_test) ** 2, axis=1)))
    line = next(line for line in out.splitlines() if line.startswith("held out"))
    assert f"squared error {error:.6g} " in line and line.endswith(f"PCA with M = 8: {best:.6g}")


def test_a_matrix_is_split_one_in_five(matrix):
    options = train_command.Namespace(data=str(matrix), dtype="float64")
    X, X_test = train_command.data_of(options)
    whole = np.load(matrix)
    assert (
        X.shape == (48, 16)
        and np.array_equal(X_test, whole[4::5])
        and np.array_equal(X[:5], whole[[0, 1, 2, 3, 5]])
    )


def test_other_options_on_resume_are_refused(capsys, tmp_path):
    run(capsys, "train", "linear", "--latent", 2, "--epochs", 1, "--checkpoint", tmp_path)
    err = wrong_use(
        capsys,
        "train",
        "linear",
        "--latent",
        2,
        "--lr",
        0.1,
        "--seed",
        3,
        "--checkpoint",
        tmp_path,
        "--resume",
    )
    assert "--lr was 0.01, is 0.1; --seed was 0, is 3" in err
    err = wrong_use(capsys, "train", "linear", "--latent", 3, "--checkpoint", tmp_path, "--resume")
    assert "--latent was 2, is 3" in err


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        (["--latent", 65], "n_latent = 65 is not possible"),
        (["--latent", 2, "--resume"], "--resume without --checkpoint"),
        (["--latent", 2, "--epochs", 0], "at least one epoch"),
        (["--latent", 2, "--lr", -1], "lr must be >= 0"),
        (["--latent", 2, "--batch-size", 0], "batch size of 0"),
        (["--latent", 2, "--data", "none.npy"], "there is no such file"),
        (["--latent", 2, "--resume", "--checkpoint", "nowhere"], "there is no such checkpoint"),
        ([], "the following arguments are required: --latent"),
    ],
)
def test_wrong_use_is_said_in_three_lines(capsys, argv, what):
    assert what in wrong_use(capsys, "train", "linear", *argv)


@pytest.mark.parametrize(
    ("argv", "what"),
    [
        (["--beta", -1], "beta = -1.0 is not possible"),
        (["--sigma", 0], "sigma2 = 0.0 is not possible"),
        (["--sigma", -2], "sigma2 = -4.0 is not possible"),
    ],
)
def test_wrong_use_of_the_linear_vae(capsys, argv, what):
    assert what in wrong_use(capsys, "train", "linear-vae", "--latent", 2, *argv)


@pytest.mark.parametrize(
    ("model", "argv", "what"),
    [
        ("sparse", ["--lam", -1], "lam = -1.0 is not possible"),
        ("sparse", ["--constraint", "norm"], "invalid choice: 'norm'"),
        ("denoising", ["--noise", -0.1], "sigma must be >= 0 and finite"),
        ("denoising", ["--drop", 1], "drop must lie in [0, 1)"),
    ],
)
def test_wrong_use_of_sparse_and_denoising(capsys, model, argv, what):
    assert what in wrong_use(capsys, "train", model, "--latent", 2, *argv)


def test_a_denoiser_is_told_from_noisy_data_and_comes_back_whole(capsys, tmp_path):
    code, out, _ = run(
        capsys,
        "train",
        "denoising",
        "--latent",
        8,
        "--epochs",
        1,
        "--hidden",
        16,
        "--drop",
        0.5,
        "--noise",
        0.2,
        "--dtype",
        "float32",
        "--checkpoint",
        tmp_path,
    )
    assert code == 0
    model = checkpoint.load(tmp_path / checkpoint.FILE).model
    assert isinstance(model, DenoisingAutoencoder) and isinstance(
        model.autoencoder, DeepAutoencoder
    )
    assert model.drop == 0.5 and model.sigma == 0.2 and model.autoencoder.n_hidden == 16
    assert all(p.dtype == np.float32 for p in model.parameters())
    X_test = digits("test")[0]
    noisy = model.corrupt(X_test, np.random.default_rng(0))
    error = float(np.mean(np.sum((model(noisy).numpy().astype(np.float64) - X_test) ** 2, axis=1)))
    assert f"held out, with noise: squared error {error:.6g} " in out


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.full((20, 4), 0.5), "there is nothing to learn: all rows of X are the same"),
        (np.ones((3, 4)), "too few rows: 3, at least 5 are needed"),
        (np.ones(7), "must hold a matrix"),
        (np.array([{}], dtype=object), "pickled Python objects"),
    ],
)
def test_data_that_cannot_be_learned_from(capsys, tmp_path, array, what):
    np.save(tmp_path / "X.npy", array)
    assert what in wrong_use(capsys, "train", "linear", "--latent", 2, "--data", tmp_path / "X.npy")


def test_a_checkpoint_folder_that_cannot_be_made(capsys, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    err = wrong_use(capsys, "train", "linear", "--latent", 2, "--checkpoint", tmp_path / "file")
    assert "the folder for the checkpoint cannot be made" in err


def test_ctrl_c_keeps_the_last_epoch_and_says_how_to_go_on(capsys, tmp_path, monkeypatch):
    calls = []
    right = LinearAutoencoder.loss

    def interrupted(self, x, rng=None):
        calls.append(1)
        if len(calls) == 30:  # in the second epoch: 23 steps each
            raise KeyboardInterrupt
        return right(self, x)

    monkeypatch.setattr(LinearAutoencoder, "loss", interrupted)
    code, _, err = run(
        capsys, "train", "linear", "--latent", 2, "--epochs", 3, "--checkpoint", tmp_path
    )
    assert code == 130 and "interrupted; step 23 is in" in err and "--resume" in err
    assert checkpoint.load(tmp_path / checkpoint.FILE).meta["history"]["steps"] == 23


def test_a_masked_autoencoder_stands_beside_the_gaussian_conditional(capsys, tmp_path):
    code, out, _ = run(
        capsys, "train", "masked", "--latent", 8, "--epochs", 1, "--checkpoint", tmp_path
    )
    assert code == 0
    model = checkpoint.load(tmp_path / checkpoint.FILE).model
    X, X_test = digits("train")[0], digits("test")[0]
    masks = random_masks(20, 16, 0.75, np.random.default_rng(0))
    ours = np.mean([model.masked_error(X_test, mask) for mask in masks])
    best = gaussian_errors(X, X_test, masks, ridge=ridge_of(X)).mean()
    mean = mean_picture_errors(X, X_test, masks).mean()
    line = next(line for line in out.splitlines() if line.startswith("held out"))
    assert f"{ours:.6g} per hidden pixel" in line and f"conditional: {best:.6g}" in line
    assert f"mean picture: {mean:.6g}" in line


def test_pictures_that_are_no_squares_or_have_no_such_patches_are_refused(capsys, tmp_path):
    np.save(tmp_path / "X.npy", np.random.default_rng(0).random((20, 15)))
    err = wrong_use(capsys, "train", "masked", "--data", tmp_path / "X.npy", "--latent", 8)
    assert "15 features, which is not a square number" in err
    assert "a patch of 3 does not divide" in wrong_use(
        capsys, "train", "masked", "--latent", 8, "--patch", 3
    )
    assert "no patch would stay visible" in wrong_use(
        capsys, "train", "masked", "--latent", 8, "--mask-ratio", 0.99
    )


@pytest.mark.parametrize("model", MODELS)
def test_every_option_that_a_model_does_not_use_is_refused(capsys, model):
    values = {"scale": "one", "activation": "tanh", "constraint": "none", "likelihood": "gaussian"}
    for name, (_, users) in model_options.USED_BY.items():
        if model not in users:
            flag = "--" + name.replace("_", "-")
            err = wrong_use(capsys, "train", model, "--latent", 2, flag, values.get(name, 1))
            assert f"{flag} means nothing to the model '{model}'" in err and ", ".join(users) in err


def test_every_option_of_single_models_says_whose_it_is():
    own = {
        flag[2:].replace("-", "_")
        for flag, settings in train_command.OPTIONS.items()
        if settings.get("default") == model_options.SUPPRESS
    }
    assert set(model_options.USED_BY) == own


def test_an_older_run_is_overwritten_only_when_asked_and_stays_as_prev(capsys, tmp_path):
    argv = ["train", "linear", "--latent", 2, "--epochs", 1, "--checkpoint", tmp_path]
    assert run(capsys, *argv)[0] == 0
    path = tmp_path / checkpoint.FILE
    before = path.read_bytes()
    assert "there is a checkpoint of an older run" in wrong_use(capsys, *argv, "--seed", 1)
    assert path.read_bytes() == before
    wrong_use(capsys, *argv, "--resume", "--overwrite")
    assert run(capsys, *argv, "--seed", 1, "--overwrite")[0] == 0
    assert (
        path.read_bytes() != before and path.with_name(f"{path.name}.prev").read_bytes() == before
    )


def test_a_model_that_was_saved_without_its_training_cannot_be_gone_on_with(capsys, tmp_path):
    checkpoint.save(
        tmp_path / checkpoint.FILE, LinearAutoencoder(64, 2, rng=np.random.default_rng(0))
    )
    err = wrong_use(capsys, "train", "linear", "--latent", 2, "--checkpoint", tmp_path, "--resume")
    assert "the checkpoint has no training to continue" in err


@pytest.mark.parametrize(
    "argv",
    [
        ["deep", "--latent", 2, "--hidden", 10**13],
        ["masked", "--latent", 10**7],
        ["vae", "--latent", 10**13],
    ],
)
def test_absurd_sizes_are_refused_with_an_estimate(capsys, argv):
    assert "are needed, " in wrong_use(capsys, "train", *argv)


def test_training_that_would_not_fit_is_refused_before_the_first_step(capsys, monkeypatch):
    monkeypatch.setattr(room, "SMALL", 0)
    # two weights of 64 x 2 numbers take 2048 bytes to draw each
    monkeypatch.setattr(room, "available", lambda: 6000)
    err = wrong_use(capsys, "train", "linear", "--latent", 2)
    assert (
        "training this model would not fit" in err
        and "7,728 bytes are needed, 6,000 bytes are free" in err
    )


def test_nothing_to_hide_is_refused(capsys):
    assert "no patch would be hidden" in wrong_use(
        capsys, "train", "masked", "--latent", 8, "--mask-ratio", 0
    )


@pytest.mark.parametrize(
    ("dtype", "size"), [("float64", 1e-165), ("float32", 1e-25), ("float32", 1e-60)]
)
def test_data_whose_squares_underflow_are_refused(capsys, tmp_path, dtype, size):
    np.save(tmp_path / "X.npy", np.random.default_rng(0).standard_normal((50, 6)) * size)
    argv = ["train", "linear", "--data", tmp_path / "X.npy", "--latent", 2, "--dtype", dtype]
    assert f"their squares are lost in {dtype}" in wrong_use(capsys, *argv, "--scale", "none")


def test_small_data_that_are_scaled_need_squares_in_float64_only(capsys, tmp_path):
    X = np.random.default_rng(0).standard_normal((50, 6))
    argv = ["train", "linear", "--data", tmp_path / "X.npy", "--latent", 2, "--epochs", 2]
    np.save(tmp_path / "X.npy", X * 1e-60)
    code, out, _ = run(capsys, *argv, "--dtype", "float32")
    assert code == 0 and 0 < errors_of(out)[1] < errors_of(out)[0] < 1e-117
    np.save(tmp_path / "X.npy", X * 1e-165)
    assert "their squares are lost in float64" in wrong_use(capsys, *argv)


# --- raw tables -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "M"), [("flowers", 2), ("men", 1), ("men", 3), ("digits", 8)], ids=str
)
def test_a_table_as_it_is_ends_at_pca_with_default_options(capsys, tmp_path, table, M):
    np.save(tmp_path / "X.npy", flowers() if table == "flowers" else MEN)
    data = "digits" if table == "digits" else tmp_path / "X.npy"
    code, out, _ = run(capsys, "train", "linear", "--data", data, "--latent", M)
    error, best = errors_of(out)
    assert code == 0 and error == pytest.approx(best, rel=0.05)
    assert "far above" not in out


@pytest.mark.parametrize(
    "argv",
    [["linear"], ["sparse"], ["linear-vae"], ["vae", "--likelihood", "gaussian", "--hidden", 8]],
    ids=lambda argv: argv[0],
)
def test_units_and_offsets_of_the_table_change_no_step(capsys, tmp_path, argv):
    """The same run in millimetres: errors x 100; -log of a density + D log 10."""
    X = flowers()
    said = []
    for unit in (1.0, 10.0):
        np.save(tmp_path / "X.npy", unit * X + (unit - 1) * 50)
        argv = [*argv, "--data", tmp_path / "X.npy", "--latent", 2, "--epochs", 3]
        code, out, _ = run(capsys, "train", *argv)
        assert code == 0
        said.append((float(epochs_of(out)[-1].split()[-1]), *errors_of(out)))
    (loss, *errors), (new_loss, *new_errors) = said
    assert new_errors == pytest.approx([100 * error for error in errors], rel=1e-5)
    shifted = loss + 4 * np.log(10) if "vae" in argv[0] else 100 * loss
    assert new_loss == pytest.approx(shifted, rel=1e-8)


@pytest.mark.parametrize("how", ["one", "column"])
def test_the_checkpoint_goes_from_table_to_codes_and_back(capsys, tmp_path, how):
    np.save(tmp_path / "X.npy", MEN)
    argv = ["--data", tmp_path / "X.npy", "--latent", 2, "--epochs", 30, "--scale", how]
    assert run(capsys, "train", "linear", *argv, "--checkpoint", tmp_path)[0] == 0
    found = checkpoint.load(tmp_path / checkpoint.FILE)
    rows = MEN[np.arange(20) % 5 != 4]
    centred = rows - rows.mean(axis=0)
    factor = centred.std(axis=0) if how == "column" else np.sqrt(np.mean(centred**2))
    S = (MEN - rows.mean(axis=0)) / factor
    codes = found.model.encode(S).numpy()
    assert np.allclose(found.encode(MEN), codes, rtol=1e-12, atol=1e-12)
    Y = found.model(S).numpy() * factor + rows.mean(axis=0)
    assert np.allclose(found.reconstruct(MEN), Y, rtol=1e-12)
    assert np.allclose(found.decode(codes), Y, rtol=1e-12)
    assert np.abs(Y - MEN).max() < 150  # of numbers from 1 to 251: not those of scaled rows


def test_scaled_columns_stand_beside_their_own_pca(capsys, tmp_path):
    np.save(tmp_path / "X.npy", MEN)
    argv = ["--data", tmp_path / "X.npy", "--latent", 2, "--scale", "column"]
    code, out, _ = run(capsys, "train", "linear", *argv)
    assert code == 0 and "this changes the principal components" in out
    held_out = np.arange(20) % 5 == 4
    mean, factor = MEN[~held_out].mean(axis=0), MEN[~held_out].std(axis=0)
    S, T = (MEN[~held_out] - mean) / factor, (MEN[held_out] - mean) / factor
    rest = analytic.pca(S).reconstruct(T, 2) - T
    error, best = errors_of(out)
    assert best == pytest.approx(np.mean(np.sum((rest * factor) ** 2, axis=1)), rel=1e-5)
    assert error == pytest.approx(best, rel=0.05)
    line = next(line for line in out.splitlines() if line.startswith("of scaled columns"))
    assert line.endswith(f"PCA: {np.mean(np.sum(rest**2, axis=1)):.6g}")


def test_far_above_pca_a_line_says_what_to_try(capsys, tmp_path):
    np.save(tmp_path / "X.npy", flowers())
    argv = ["linear", "--data", tmp_path / "X.npy", "--latent", 2, "--scale", "none"]
    _, out, _ = run(capsys, "train", *argv, "--epochs", 10)
    error, best = errors_of(out)
    assert error > 10 * best
    assert out.splitlines()[-1] == (
        "this is far above PCA with M = 2: try --scale one, or --epochs 40"
    )
    argv = ["sparse", "--data", tmp_path / "X.npy", "--latent", 2, "--lam", 1]
    _, out, _ = run(capsys, "train", *argv, "--epochs", 200, "--lr", 0.03)
    assert out.splitlines()[-1].startswith(
        "this is far above PCA with M = 2: try a smaller --lam, or --lr "
    )


def test_a_model_that_knows_its_few_rows_by_heart_needs_more_of_them(capsys, tmp_path):
    np.save(tmp_path / "X.npy", np.random.default_rng(0).standard_normal((15, 12)))
    argv = ["deep", "--data", tmp_path / "X.npy", "--latent", 8, "--lr", 0.01]
    code, out, _ = run(capsys, "train", *argv, "--epochs", 1500)
    assert code == 0 and "far above PCA with M = 8: try more data, or fewer units" in out


@pytest.mark.parametrize(
    ("argv", "scaled"),
    [
        (["sparse"], False),
        (["denoising", "--hidden", 8], False),
        (["vae", "--hidden", 8], False),
        (["vae", "--hidden", 8, "--likelihood", "gaussian"], True),
        (["sparse", "--scale", "one"], True),
        (["linear"], True),
        (["linear", "--scale", "none"], False),
    ],
)
def test_pixels_stay_pixels_where_options_are_in_their_units(
    capsys, tmp_path, matrix, argv, scaled
):
    argv = [*argv, "--data", matrix, "--latent", 2, "--epochs", 1, "--checkpoint", tmp_path]
    code, out, _ = run(capsys, "train", *argv)
    assert code == 0 and ("scaling: none, the data as they are" in out) is not scaled
    found = checkpoint.load(tmp_path / checkpoint.FILE)
    assert (found.scaling is not None) is scaled


def test_a_bernoulli_likelihood_is_not_for_scaled_data(capsys):
    err = wrong_use(capsys, "train", "vae", "--latent", 2, "--scale", "column")
    assert "--scale column and a Bernoulli likelihood do not go together" in err


def test_pictures_in_0_to_255_have_the_same_gaussian_reference(capsys, tmp_path):
    X = digits("train")[0][:200]
    said = []
    for unit in (1, 255):
        np.save(tmp_path / "X.npy", X * unit)
        argv = ["masked", "--latent", 8, "--epochs", 1, "--data", tmp_path / "X.npy"]
        code, out, _ = run(capsys, "train", *argv)
        assert code == 0
        assert "this is nearer to the mean picture: try --epochs 4" in out.splitlines()[-1]
        line = next(line for line in out.splitlines() if line.startswith("held out"))
        numbers = [part.split(",")[0] for part in line.split(": ")[2:]]
        said.append([float(number) / unit**2 for number in numbers])
    assert said[1] == pytest.approx(said[0], rel=1e-5)
    gaussian, mean = said[0]
    assert gaussian < mean


def test_an_older_run_goes_on_as_it_was(capsys, tmp_path, matrix):
    """Before data were scaled and rates fell: bit for bit what that version would have done."""
    rows = np.load(matrix)
    X = rows[np.arange(len(rows)) % 5 != 4]
    seeds = np.random.SeedSequence(0).spawn(3)
    init, shuffle, noise = map(np.random.default_rng, seeds)
    model = LinearAutoencoder(16, 2, rng=init, dtype="float64")
    adam = Adam(model.parameters(), lr=1e-3)
    given = {"optimizer": adam, "rng": shuffle, "noise": noise, "progress": False}
    history = fit(model, X, epochs=2, **given)
    settings = {"model": "linear", "data": str(matrix), "latent": 2, "seed": 0, "lr": 1e-3}
    settings |= {"batch_size": 64, "dtype": "float64"}
    checkpoint.save(
        tmp_path / checkpoint.FILE,
        model,
        optimizer=adam,
        generators={"shuffle": shuffle, "noise": noise},
        meta={"settings": settings, "history": history.as_dict()},
    )
    fit(model, X, epochs=4, history=history, **given)
    argv = ["linear", "--data", matrix, "--latent", 2, "--epochs", 4, "--checkpoint", tmp_path]
    assert "--scale was none, is one" in wrong_use(
        capsys, "train", *argv, "--resume", "--scale", "one"
    )
    code, out, _ = run(capsys, "train", *argv, "--resume")
    assert code == 0 and "scaling: none" in out
    found = checkpoint.load(tmp_path / checkpoint.FILE)
    assert found.scaling is None and found.meta["history"]["loss"] == history.loss
    assert same_state(found.model, model)


def test_of_many_short_epochs_some_are_said_and_the_last_is_kept(capsys, tmp_path):
    np.save(tmp_path / "X.npy", MEN)
    argv = ["linear", "--data", tmp_path / "X.npy", "--latent", 2, "--checkpoint", tmp_path]
    code, out, _ = run(capsys, "train", *argv, "--epochs", 400)
    numbers = [int(line.split()[1]) for line in epochs_of(out)]
    assert code == 0 and len(numbers) < 100 and numbers[0] == 1 and numbers[-1] == 400
    found = checkpoint.load(tmp_path / checkpoint.FILE)
    assert len(found.meta["history"]["loss"]) == 400
    # 16 rows are one step an epoch
    _, out, _ = run(capsys, "train", *argv, "--resume", "--epochs", 410)
    assert epochs_of(out)[-1].startswith("epoch  410 ")
