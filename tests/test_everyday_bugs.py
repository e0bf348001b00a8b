"""Programs with an everyday bug, as learners write them: the tools name it, and the line; of the
same program without the bug, and of healthy graphs of all kinds, they suspect nothing.

Each file of everyday_bugs/ begins with what is suspected.  The line that is to be named ends in
``# named``; a comment ``# right:`` is what should stand in place of the line above it.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from random_graphs import random_graph

import minigrad_ae as mg
from minigrad_ae.cli import main

FOLDER = Path(__file__).parent / "everyday_bugs"
BUGS = sorted(FOLDER.glob("*.py"))
RIGHT = re.compile(r"^( *).*\n *# right: (.*)$", re.MULTILINE)


def suspicions(script: Path, capsys) -> list[str]:
    """What ``minigrad-ae inspect SCRIPT`` suspects: one command, and no change of the script."""
    code = main(["inspect", str(script), "--width", "120"])
    assert code in (0, 1)  # 1: a check of numbers failed
    said = capsys.readouterr().out.replace("\n    ", " ")
    return re.findall(r"^suspicion: (.*)$", said, re.MULTILINE)


def repaired(text: str) -> str:
    """A program without its bug, with as many lines."""
    return RIGHT.sub(r"\1\2\n", text)


@pytest.mark.parametrize("script", BUGS, ids=lambda path: path.stem)
def test_a_bug_is_named_with_its_line(script, capsys):
    lines = script.read_text(encoding="utf-8").splitlines()
    (number,) = [k for k, line in enumerate(lines, start=1) if line.endswith("# named")]
    what = lines[0].strip('"')
    found = suspicions(script, capsys)
    assert any(each.startswith(f"{what} ({script.name}:{number}): ") for each in found), found


@pytest.mark.parametrize("script", BUGS, ids=lambda path: path.stem)
def test_nothing_is_suspected_without_the_bug(script, tmp_path, capsys):
    text = repaired(script.read_text(encoding="utf-8"))
    assert "# right:" not in text
    path = tmp_path / script.name
    path.write_text(text, encoding="utf-8")
    assert suspicions(path, capsys) == []


# --- healthy graphs -------------------------------------------------------------------------------


def trained(name: str, rng: np.random.Generator):
    """(a model, its optimiser, its loss), a few epochs on, as a user has them."""
    X = mg.data.digits("train")[0][:96]
    model = MODELS[name](rng)
    adam = mg.optim.Adam(model.parameters(), lr=1e-3)
    noise = np.random.default_rng(2)
    with mg.watch():
        mg.train.fit(
            model, X, optimizer=adam, epochs=3, rng=rng, batch_size=32, noise=noise, progress=False
        )
    return model, adam, model.loss(X[:32], rng=noise) / 32


MODELS = {
    "linear": lambda rng: mg.models.LinearAutoencoder(64, 8, rng=rng),
    "two-layer": lambda rng: mg.models.TwoLayerAutoencoder(64, 8, rng=rng),
    "deep": lambda rng: mg.models.DeepAutoencoder(64, 4, 16, rng=rng),
    "sparse": lambda rng: mg.models.SparseAutoencoder(64, 100, rng=rng),
    "denoising": lambda rng: mg.models.DenoisingAutoencoder(
        mg.models.DeepAutoencoder(64, 8, 16, rng=rng), drop=0.2
    ),
    "masked": lambda rng: mg.models.MaskedAutoencoder((8, 8), 2, rng=rng),
    "linear VAE": lambda rng: mg.models.LinearVAE(64, 4, rng=rng),
    "VAE": lambda rng: mg.models.VariationalAutoencoder(64, 4, hidden=(32,), rng=rng),
}


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_suspected_of_the_models(name):
    model, optimizer, loss = trained(name, np.random.default_rng(1))
    found = mg.suspect(loss, model=model, optimizer=optimizer)
    assert [str(each) for each in found] == []


def test_nothing_is_suspected_of_sums_of_few_terms():
    """Two traces, over 16 rows: no average of an average."""
    W = mg.tensor(np.random.default_rng(0).standard_normal((4, 2)), requires_grad=True)
    X = np.random.default_rng(1).standard_normal((16, 4))
    parts = mg.stack([((X @ W) ** 2).sum(), (W**2).sum()])
    assert list(mg.suspect(parts.sum() / 16)) == []


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_suspected_of_random_graphs(seed):
    loss = random_graph(seed)
    assert [str(each) for each in mg.suspect(loss)] == []


class Untouchable:
    """Something that lies in a variable, and does things when it is looked at."""

    @property
    def step(self):
        raise RuntimeError("touched")

    named_parameters = params = step

    def __getattr__(self, name):
        raise RuntimeError("touched")


def test_other_objects_in_the_callers_variables_are_not_touched():
    thing = Untouchable()
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    loss = (x * x).sum()
    assert list(mg.suspect(loss)) == []
    assert mg.trace(loss).suspicions == []
    assert mg.why(x, loss) == ""
    del thing


def test_the_page_shows_what_is_suspected_above_its_panes(tmp_path):
    w = mg.tensor(np.ones((2, 1)), requires_grad=True, name="w")
    t = mg.trace(((np.arange(8.0).reshape(4, 2) @ w - np.zeros(4)) ** 2).mean())
    t.html(tmp_path / "page.html")
    (found,) = t.suspicions
    assert found.startswith("both operands stretched")
    head, _, _ = (tmp_path / "page.html").read_text(encoding="utf-8").partition("<nav")
    assert found in head


def test_a_second_training_that_leaves_a_part_alone_is_no_suspicion():
    """As in lesson 9: the decoder was trained, and then only what it decodes is; its gradient piles
    up, and nobody uses it.
    """
    rng = np.random.default_rng(0)
    W = mg.nn.Parameter(rng.normal(size=(2, 3)), name="W")
    X, z = rng.normal(size=(5, 3)), mg.nn.Parameter(rng.normal(size=(5, 2)), name="z")
    with mg.watch():
        for p in (W, z):
            optimizer = mg.optim.SGD([p], lr=0.01)
            for _ in range(6):
                optimizer.zero_grad()
                loss = ((z @ W - X) ** 2).sum()
                loss.backward()
                optimizer.step()
        del optimizer
        assert W.grad is not None
    assert "gradient accumulated over steps" not in [each.what for each in mg.suspect(loss)]


def test_a_few_passes_over_single_rows_are_no_suspicion():
    """As in the algorithm of the slides, whose inner loop takes one row after the other."""
    rng = np.random.default_rng(0)
    X, W = rng.normal(size=(40, 3)), mg.tensor(rng.normal(size=(3, 2)), requires_grad=True)
    found = {}
    for passes in (31, 32):
        with mg.watch():
            for x in X[:passes, None]:
                loss = ((x @ W) ** 2).sum()
                W.zero_grad()
                loss.backward()
                W.data -= 0.01 * W.grad
        found[passes] = [each.what for each in mg.suspect(loss)]
    assert found == {31: [], 32: ["batches of one row"]}
