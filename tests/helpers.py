"""What several test files share: numbers and leaves, small models, errors caught, the command
line.

Input sets of the ops are in cases.py, graphs and models to walk in zoo.py, the browser in
browser.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minigrad_ae as mg
from minigrad_ae import checkpoint, nn
from minigrad_ae.cli import main
from minigrad_ae.models import LinearAutoencoder

# For graphs in which infinities and NaN are meant.
nonfinite_numbers = pytest.mark.filterwarnings(
    "ignore:(divide by zero|invalid value|overflow):RuntimeWarning"
)

# --- numbers --------------------------------------------------------------------------------------


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def random(shape: Any, dtype: Any = np.float64, seed: int = 0) -> Any:
    return rng(seed).standard_normal(shape).astype(dtype)


def same(a: Any, b: Any) -> bool:
    """Equal to the last bit, in dtype and shape too (a NaN equals itself)."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def with_eigenvalues(s: Any, N: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Centred X (N x D) whose XᵀX has the eigenvalues s, and its eigenvectors."""
    generator = rng()
    scores = generator.normal(size=(N, len(s)))
    scores = np.linalg.qr(scores - scores.mean(axis=0))[0]
    U = np.linalg.qr(generator.normal(size=(len(s), len(s))))[0]
    return scores * np.sqrt(s) @ U.T, U


def with_variances(l: Any, N: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(X, S, U): centred data whose covariance S = XᵀX/N has eigenvalues l and eigenvectors U."""
    X, U = with_eigenvalues(N * l, N)
    return X, X.T @ X / N, U


# --- leaves and small models ----------------------------------------------------------------------


def leaf(*values: Any, **options: Any) -> mg.Tensor:
    """A leaf that holds these values."""
    return mg.tensor(np.array(values), requires_grad=True, **options)


def leaf_of_shape(*shape: int, value: Any = None, name: str | None = None, seed: Any = 0) -> Any:
    """A leaf of random numbers, or of one value throughout; `seed` may be a generator."""
    random_numbers = np.random.default_rng(seed).normal(size=shape)
    data = random_numbers if value is None else np.full(shape, value)
    return mg.tensor(data, requires_grad=True, name=name)


def parameter(values: Any, gradient: Any = None, dtype: Any = None) -> nn.Parameter:
    """A parameter whose gradient is given."""
    p = nn.Parameter(values, dtype=dtype)
    p.grad = None if gradient is None else np.asarray(gradient, dtype=dtype)
    return p


def tied_autoencoder() -> tuple[Any, dict[str, Any]]:
    """Its loss, and what its script calls its values.

    6 points, 4 features, 2 hidden units; W is used twice, b is broadcast.
    """
    generator = rng()
    x = generator.normal(size=(6, 4))
    W = mg.tensor(generator.normal(size=(4, 2)), requires_grad=True, name="W")
    b = mg.tensor(generator.normal(size=2), requires_grad=True)
    h = mg.tanh(x @ W + b)
    loss = 0.5 * ((h @ W.T - x) ** 2).sum()
    return loss, {"x": x, "W": W, "b": b, "h": h, "loss": loss}


def linear(seed: int = 0, **options: Any) -> LinearAutoencoder:
    """Of 5 features and 2 hidden units."""
    return LinearAutoencoder(5, 2, rng=rng(seed), **options)


def same_state(a: nn.Module, b: nn.Module) -> bool:
    """Two modules with the same parameters, to the last bit."""
    first, second = a.state_dict(), b.state_dict()
    return first.keys() == second.keys() and all(same(first[k], second[k]) for k in first)


def forged(path: Path, drop: Any = (), header: Any = None, **changes: Any) -> Path:
    """A checkpoint that someone has changed, and whose sum is right all the same.

    `drop` names arrays to leave out, `header` the text in place of the JSON; `changes` are parts of
    the JSON (... for none) and, with a "/" in their names, arrays.
    """
    with np.load(path) as old:
        arrays = {name: old[name] for name in old.files if name not in drop}
    del arrays[checkpoint.SUM]
    parts = json.loads(str(arrays[checkpoint.META]))
    parts |= {key: value for key, value in changes.items() if "/" not in key}
    parts = {key: value for key, value in parts.items() if value is not ...}
    arrays |= {key: value for key, value in changes.items() if "/" in key}
    arrays[checkpoint.META] = np.array(json.dumps(parts) if header is None else header)
    arrays[checkpoint.SUM] = np.array(checkpoint.digest(arrays))
    with path.open("wb") as file:
        np.savez(file, **arrays)
    return path


def check_that_a_checkpoint_rebuilds(model: Any, X: np.ndarray, folder: Path) -> None:
    """A model that draws while it computes its loss comes back from its file alone."""
    checkpoint.save(folder / "model.npz", model)
    twin = checkpoint.load(folder / "model.npz").model
    assert type(twin) is type(model) and repr(twin) == repr(model)
    assert twin.loss(X, rng=rng(1)).item() == model.loss(X, rng=rng(1)).item()


# --- errors ---------------------------------------------------------------------------------------


def message_of(kind: type[Exception], call: Callable[..., Any], *args: Any, **options: Any) -> str:
    """The text of the error that the call must raise: three lines."""
    with pytest.raises(kind) as caught:
        call(*args, **options)
    text = str(caught.value)
    assert len(text.splitlines()) == 3, text
    return text


def refused(
    kind: type[Exception], words: str, call: Callable[..., Any], *args: Any, **options: Any
) -> None:
    """The call must raise this error, and these words must be in its three lines."""
    text = message_of(kind, call, *args, **options)
    assert words in text, text


# --- the command line -----------------------------------------------------------------------------


def run(capsys: pytest.CaptureFixture[str], *argv: Any) -> tuple[Any, str, str]:
    """(exit code, standard output, standard error) of the command line."""
    code: Any
    try:
        code = main([str(a) for a in argv])
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    return code, out, err


def wrong_use(capsys: pytest.CaptureFixture[str], *argv: Any) -> str:
    """The error text of a call that must end with 2, in three lines."""
    code, _, err = run(capsys, *argv)
    assert code == 2, err
    lines = [line for line in err.strip().splitlines() if not line.startswith("compiling kernels")]
    assert len(lines) == 3, err
    assert lines[0].startswith("minigrad-ae")
    assert lines[2].startswith("  fix: ")
    return err
