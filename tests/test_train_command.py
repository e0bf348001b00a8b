"""``minigrad-ae train``: every model of the table learns, goes on exactly, and says what is wrong
with its arguments.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers import run, wrong_use

from minigrad_ae import analytic, arguments, checkpoint
from minigrad_ae.cli import train as train_command
from minigrad_ae.data import digits
from minigrad_ae.experiments.masked import gaussian_errors
from minigrad_ae.models import DeepAutoencoder, DenoisingAutoencoder, LinearAutoencoder
from minigrad_ae.models.masked import random_masks

MODELS = sorted(train_command.MODELS)


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
    common += ["--hidden", 8] if model in train_command.USED_BY["hidden"][1] else []
    code, whole, _ = run(capsys, *common, "--epochs", 4, "--checkpoint", tmp_path / "whole")
    assert code == 0
    losses = [float(line.split()[-1]) for line in whole.splitlines() if line.startswith("epoch ")]
    assert len(losses) == 4 and losses[-1] < losses[0]
    run(capsys, *common, "--epochs", 2, "--checkpoint", tmp_path / "parts")
    code, rest, _ = run(
        capsys, *common, "--epochs", 4, "--checkpoint", tmp_path / "parts", "--resume"
    )
    assert code == 0 and "continuing after epoch 2" in rest
    assert [line for line in rest.splitlines() if line.startswith("epoch ")] == whole.splitlines()[
        4:6
    ]
    files = [(tmp_path / name / train_command.FILE).read_bytes() for name in ("whole", "parts")]
    assert files[0] == files[1]


def test_the_error_stands_beside_that_of_pca(capsys, tmp_path):
    code, out, _ = run(
        capsys, "train", "linear", "--latent", 8, "--epochs", 1, "--checkpoint", tmp_path
    )
    assert code == 0
    X, X_test = digits("train")[0], digits("test")[0]
    best = float(np.mean(np.sum((analytic.pca(X).reconstruct(X_test, 8) - X_test) ** 2, axis=1)))
    model = checkpoint.load(tmp_path / train_command.FILE).model
    assert isinstance(model, LinearAutoencoder)
    error = float(np.mean(np.sum((model(X_test).numpy() - X_test) ** 2, axis=1)))
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
    assert "--lr was 0.001, is 0.1; --seed was 0, is 3" in err
    err = wrong_use(capsys, "train", "linear", "--latent", 3, "--checkpoint", tmp_path, "--resume")
    assert "wrong shape of 'encoder.weight': got (64, 2), expected (64, 3)" in err


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
    model = checkpoint.load(tmp_path / train_command.FILE).model
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
    assert code == 130 and "interrupted; epoch 1 is in" in err and "--resume" in err
    assert checkpoint.load(tmp_path / train_command.FILE).meta["history"]["steps"] == 23


def test_a_masked_autoencoder_stands_beside_the_gaussian_conditional(capsys, tmp_path):
    code, out, _ = run(
        capsys, "train", "masked", "--latent", 8, "--epochs", 1, "--checkpoint", tmp_path
    )
    assert code == 0
    model = checkpoint.load(tmp_path / train_command.FILE).model
    X, X_test = digits("train")[0], digits("test")[0]
    masks = random_masks(20, 16, 0.75, np.random.default_rng(0))
    ours = np.mean([model.masked_error(X_test, mask) for mask in masks])
    best = gaussian_errors(X, X_test, masks).mean()
    line = next(line for line in out.splitlines() if line.startswith("held out"))
    assert f"{ours:.6g} per hidden pixel" in line and f"conditional: {best:.6g}" in line


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
    values = {"activation": "tanh", "constraint": "none", "likelihood": "gaussian"}
    for name, (_, users) in train_command.USED_BY.items():
        if model not in users:
            flag = "--" + name.replace("_", "-")
            err = wrong_use(capsys, "train", model, "--latent", 2, flag, values.get(name, 1))
            assert f"{flag} means nothing to the model '{model}'" in err and ", ".join(users) in err


def test_every_option_of_single_models_says_whose_it_is():
    own = {
        flag[2:].replace("-", "_")
        for flag, settings in train_command.OPTIONS.items()
        if settings.get("default") == train_command.SUPPRESS
    }
    assert set(train_command.USED_BY) == own


def test_an_older_run_is_overwritten_only_when_asked_and_stays_as_prev(capsys, tmp_path):
    argv = ["train", "linear", "--latent", 2, "--epochs", 1, "--checkpoint", tmp_path]
    assert run(capsys, *argv)[0] == 0
    path = tmp_path / train_command.FILE
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
        tmp_path / train_command.FILE, LinearAutoencoder(64, 2, rng=np.random.default_rng(0))
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
    monkeypatch.setattr(arguments, "SMALL", 0)
    # two weights of 64 x 2 numbers take 2048 bytes to draw each
    monkeypatch.setattr(arguments, "available", lambda: 6000)
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
    assert f"their squares are lost in {dtype}" in wrong_use(capsys, *argv)
