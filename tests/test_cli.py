"""The command line: exit codes, three-line errors, and nothing half-written."""

import json
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
from helpers import run, wrong_use

from minigrad_ae.teaching import lesson


@pytest.fixture
def matrix(tmp_path):
    path = tmp_path / "X.npy"
    np.save(path, np.random.default_rng(0).standard_normal((50, 6)) * [3, 2, 1.5, 1, 0.5, 0.2] + 4)
    return path


def test_certificate_of_a_matrix(capsys, matrix, tmp_path):
    code, out, _ = run(
        capsys, "verify", "--data", matrix, "--latent", 2, "--json", tmp_path / "c.json"
    )
    assert code == 0
    assert "columns centred" in out
    assert "this linear autoencoder IS PCA" in out
    rows = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
    X = np.load(matrix)
    s = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) ** 2
    assert any(abs(r["expected"] - 0.5 * s[2:].sum()) <= 1e-12 * s.sum() for r in rows)
    assert all(r["passed"] for r in rows)
    assert {"id", "topic", "statement", "expected", "measured", "tolerance", "passed"} == set(
        rows[0]
    )


@pytest.mark.parametrize("M", [3, 4, 6])
def test_rank_and_beyond_pass_with_an_expected_loss_of_zero(capsys, tmp_path, M):
    rng = np.random.default_rng(1)
    np.save(tmp_path / "X.npy", rng.standard_normal((40, 3)) @ rng.standard_normal((3, 6)) + 1)
    code, _, _ = run(
        capsys, "verify", "--data", tmp_path / "X.npy", "--latent", M, "--json", tmp_path / "c.json"
    )
    assert code == 0
    assert (
        next(
            r
            for r in json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))
            if r["id"] == "loss"
        )["expected"]
        == 0
    )


def test_integers_become_float64(capsys, tmp_path):
    np.save(tmp_path / "X.npy", np.random.default_rng(0).integers(0, 255, (40, 5), dtype=np.uint8))
    assert run(capsys, "verify", "--data", tmp_path / "X.npy", "--latent", 2)[0] == 0


def test_missing_and_unreadable_files(capsys, tmp_path):
    assert "there is no such file" in wrong_use(
        capsys, "verify", "--data", tmp_path / "no.npy", "--latent", 2
    )
    assert "directory" in wrong_use(capsys, "verify", "--data", tmp_path, "--latent", 2)
    (tmp_path / "text.npy").write_text("a,b\n1,2\n", encoding="utf-8")
    wrong_use(capsys, "verify", "--data", tmp_path / "text.npy", "--latent", 2)
    (tmp_path / "empty.npy").write_bytes(b"")
    wrong_use(capsys, "verify", "--data", tmp_path / "empty.npy", "--latent", 2)


def test_truncated_and_pickled_files(capsys, matrix, tmp_path):
    (tmp_path / "cut.npy").write_bytes(matrix.read_bytes()[:-100])
    wrong_use(capsys, "verify", "--data", tmp_path / "cut.npy", "--latent", 2)
    np.save(tmp_path / "objects.npy", np.array([[{}, 1]], dtype=object), allow_pickle=True)
    wrong_use(capsys, "verify", "--data", tmp_path / "objects.npy", "--latent", 2)


@pytest.mark.parametrize(
    ("X", "word"),
    [
        (np.ones((2, 3, 4)), "dimensions"),
        (np.ones(5), "dimension"),
        (np.empty((0, 3)), "is empty"),
        (np.array([[1.0, np.nan], [2.0, 3.0]]), "row 0, column 1"),
        (np.array([[1.0, 2.0], [np.inf, 3.0]]), "row 1, column 0"),
        (np.array([["a", "b"]]), "U1"),
        (np.ones((3, 3), complex), "complex"),
        (np.ones((3, 3), "M8[s]"), "holds no numbers"),
    ],
)
def test_matrices_that_are_no_data(capsys, tmp_path, X, word):
    np.save(tmp_path / "X.npy", X)
    assert word in wrong_use(capsys, "verify", "--data", tmp_path / "X.npy", "--latent", 1)


@pytest.mark.parametrize("M", [0, -3, 7])
def test_impossible_latent_units(capsys, matrix, M):
    text = wrong_use(capsys, "verify", "--data", matrix, "--latent", M)
    assert f"--latent {M} is not possible" in text
    assert "50 rows and 6 columns" in text


def test_wrong_use_of_options(capsys, matrix):
    assert "--data needs --latent" in wrong_use(capsys, "verify", "--data", matrix)
    assert "--latent without --data" in wrong_use(capsys, "verify", "--latent", 2)
    assert "invalid choice" in wrong_use(capsys, "verfy")
    assert "unknown argument" in wrong_use(capsys, "verify", "--quick")
    assert "invalid int value" in wrong_use(capsys, "verify", "--data", matrix, "--latent", "two")
    wrong_use(capsys, "verify", "--fast", "--full")
    assert "there is no lesson '99'" in wrong_use(capsys, "lesson", "99")
    wrong_use(capsys, "lesson", "1", "--quick")
    wrong_use(capsys)


def test_an_output_that_cannot_be_written_is_refused_before_the_work(capsys, matrix, tmp_path):
    text = wrong_use(
        capsys, "verify", "--data", matrix, "--latent", 2, "--json", tmp_path / "no" / "c.json"
    )
    assert "cannot be written" in text
    assert "cannot be written" in wrong_use(capsys, "verify", "--json", tmp_path)


def test_doctor_and_list(capsys):
    code, out, _ = run(capsys, "doctor")
    assert code == 0
    assert "numba" in out
    code, out, _ = run(capsys, "lesson", "list")
    assert code == 0
    assert "linear autoencoder" in out


def test_python_m_is_the_same_command_and_never_shows_a_traceback(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "minigrad_ae", "verify", "--data", "no.npy", "--latent", "2"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 3


def test_a_claim_that_fails_ends_with_1(capsys, monkeypatch, tmp_path):
    from minigrad_ae.claims import ledger
    from minigrad_ae.claims.definition import Result

    bad = [Result("a", "t", "s", 0.0, 1.0, 0.1, False)]
    monkeypatch.setattr(ledger, "verify", lambda run: bad)
    assert run(capsys, "verify", "--json", tmp_path / "v.json")[0] == 1
    assert json.loads((tmp_path / "v.json").read_text(encoding="utf-8"))[0]["passed"] is False
    monkeypatch.setattr(ledger, "sabotage", lambda run: [{"id": "a", "caught": False}])
    assert run(capsys, "verify", "--sabotage")[0] == 1


@pytest.mark.parametrize(
    "argv",
    [
        ["verify"],
        ["verify", "--sabotage"],
        ["lesson", 1],
        ["lesson", "all"],
        ["train", "linear", "--latent", 2],
    ],
)
@pytest.mark.parametrize("seed", [-1, "x"])
def test_a_seed_below_0_is_refused(capsys, argv, seed):
    assert "a seed is a whole number, at least 0" in wrong_use(capsys, *argv, "--seed", seed)


def test_the_ledger_s_options_mean_nothing_to_a_matrix(capsys, matrix):
    assert "--sabotage with --data" in wrong_use(
        capsys, "verify", "--data", matrix, "--latent", 2, "--sabotage"
    )
    assert "--full with --data" in wrong_use(
        capsys, "verify", "--data", matrix, "--latent", 2, "--full"
    )


@pytest.mark.parametrize("size", [1e-165, 1e-310])
def test_data_whose_squares_underflow_are_refused(capsys, tmp_path, size):
    np.save(tmp_path / "X.npy", np.random.default_rng(0).standard_normal((50, 6)) * size)
    err = wrong_use(capsys, "verify", "--data", tmp_path / "X.npy", "--latent", 2)
    assert "their squares are lost in float64" in err


def test_too_little_memory_is_said_in_three_lines(capsys, monkeypatch):
    def too_large():
        raise MemoryError("Unable to allocate 4.66 TiB")

    monkeypatch.setattr(lesson, "lesson_files", too_large)
    assert "4.66 TiB" in wrong_use(capsys, "lesson", "list")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_is_written_through_and_a_link_followed(capsys, matrix, tmp_path):
    """As root, a replaced device would be gone for everybody: a pipe stands for it here."""
    pipe, link, real = tmp_path / "pipe", tmp_path / "link.json", tmp_path / "real.json"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert run(capsys, "verify", "--data", matrix, "--latent", 2, "--json", pipe)[0] == 0
    assert len(json.loads(os.read(reader, 1 << 16))) == 5 and stat.S_ISFIFO(os.stat(pipe).st_mode)
    os.close(reader)
    real.write_text("old", encoding="utf-8")
    real.chmod(0o600)
    link.symlink_to(real)
    assert run(capsys, "verify", "--data", matrix, "--latent", 2, "--json", link)[0] == 0
    assert link.is_symlink() and real.stat().st_mode & 0o777 == 0o600
    assert len(json.loads(real.read_text(encoding="utf-8"))) == 5


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_a_full_device_stays_a_device_and_is_named(capsys, matrix, tmp_path):
    (tmp_path / "full").symlink_to("/dev/full")
    code, _, err = run(
        capsys, "verify", "--data", matrix, "--latent", 2, "--json", tmp_path / "full"
    )
    assert code == 2 and "No space left on device" in err and str(tmp_path / "full") in err
    assert (tmp_path / "full").is_symlink() and stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/stdout"), reason="this system has no /dev/stdout")
def test_standard_output_is_written_through_where_it_goes_to_a_file(matrix, tmp_path):
    """Through a link of the test's own: whoever breaks this, as root, must not replace the
    system's.
    """
    link = tmp_path / "stdout"
    link.symlink_to("/dev/stdout")
    argv = [
        sys.executable,
        "-m",
        "minigrad_ae",
        "verify",
        "--data",
        str(matrix),
        "--latent",
        "2",
        "--json",
        str(link),
    ]
    with open(tmp_path / "out.txt", "wb") as out:
        assert subprocess.run(argv, stdout=out, timeout=120).returncode == 0
    text = (tmp_path / "out.txt").read_text(encoding="utf-8")
    assert (
        text.startswith(str(matrix))
        and "this linear autoencoder IS PCA" in text
        and text.endswith("]\n")
    )
    assert link.is_symlink()


@pytest.mark.parametrize(
    "argv",
    [
        ["-m", "minigrad_ae", "lesson", "list"],
        ["-m", "minigrad_ae", "doctor"],
        ["-m", "minigrad_ae", "--help"],
        ["-m", "minigrad_ae", "lesson", "1", "--fast"],
        [str(lesson.lesson_files()[0]), "--fast"],
    ],
)
def test_a_closed_pipe_ends_it_in_silence(argv, tmp_path):
    read, write = os.pipe()
    os.close(read)
    argv = [sys.executable, *argv]
    program = subprocess.run(
        argv, stdout=write, stderr=subprocess.PIPE, cwd=tmp_path, text=True, timeout=120
    )
    os.close(write)
    assert program.returncode in (0, 141, -13)
    assert "Traceback" not in program.stderr and "BrokenPipe" not in program.stderr
