"""Every program of examples/ runs as a reader runs it, draws its picture, and beats its reference.

Longer ones run with fewer epochs: their line ``EPOCHS = ...`` is replaced in a copy.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import pytest

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
LINES = {"autoencoder.py": 40, "masked.py": 90, "pca.py": 40, "vae.py": 90}  # at most
EPOCHS = {"masked.py": 10, "vae.py": 40}
NUMBER = r"(-?\d+\.\d+)"


def text_of(name):
    return (EXAMPLES / name).read_text(encoding="utf-8")


def printed(name, folder):
    """What the program prints; its picture is there afterwards, and it is not blank."""
    text = text_of(name)
    if name in EPOCHS:
        text, replaced = re.subn(r"^EPOCHS = \d+$", f"EPOCHS = {EPOCHS[name]}", text, flags=re.M)
        assert replaced == 1
    page = folder / name
    page.write_text(text, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, str(page)], capture_output=True, text=True, cwd=folder, env=environment
    )
    assert done.returncode == 0, done.stderr
    made = {path.name for path in folder.iterdir() if path.is_file()}
    picture = page.with_suffix(".png")
    assert made == {name, picture.name}
    pixels = matplotlib.image.imread(picture)[..., :3]
    assert min(pixels.shape[:2]) > 200 and pixels.std() > 0.1
    return done.stdout


def found(pattern, text):
    (numbers,) = re.findall(pattern, text, re.M)
    return [float(number) for number in numbers]


def test_each_program_is_known_here():
    assert {path.name for path in EXAMPLES.iterdir() if path.is_file()} == set(LINES)


@pytest.mark.parametrize("name", LINES)
def test_a_program_is_a_page_and_imports_only_what_is_installed(name):
    text = text_of(name)
    assert len(text.splitlines()) <= LINES[name]
    imported = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    extra = {"sklearn"} if name == "pca.py" else set()  # which it does without
    assert imported == {"matplotlib", "minigrad_ae", "numpy"} | extra


def test_autoencoder(tmp_path):
    pattern = f"^test error of autoencoder: {NUMBER}, of PCA: {NUMBER}$"
    error, pca = found(pattern, printed("autoencoder.py", tmp_path))
    assert pca == pytest.approx(2.448, abs=1e-3)
    assert error < 0.8 * pca


def test_vae(tmp_path):
    pattern = f"^test ELBO {NUMBER} nats a digit; log p of probabilistic PCA {NUMBER}$"
    bound, linear = found(pattern, printed("vae.py", tmp_path))
    assert linear == pytest.approx(0.14, abs=0.01)
    assert bound > linear + 1


def test_masked(tmp_path):
    pattern = f"filled in: {NUMBER}, Gaussian: {NUMBER}, mean picture: {NUMBER}$"
    error, gaussian, mean = found(pattern, printed("masked.py", tmp_path))
    assert error < 0.9 * mean
    assert gaussian < 0.8 * mean


def test_the_example_is_a_page_and_runs(tmp_path):
    text = printed("pca.py", tmp_path)
    assert "this linear autoencoder IS PCA" in text
    ours, *theirs = re.split(r"^\w+\n", text.split("PCA certificate")[0], flags=re.M)[1:]
    assert "explained variance ratio" in ours
    assert theirs in ([], [ours])


def test_the_readme_shows_the_file_after_its_two_commands():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    fences = re.findall(r"^```(\w*)\n(.*?)^```", readme, re.S | re.M)
    assert [language for language, _ in fences[:3]] == ["sh", "sh", "python"]
    assert fences[2][1] == text_of("autoencoder.py")
    assert all(f"`examples/{name}`" in readme for name in LINES)
