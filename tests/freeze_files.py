"""Files as an earlier version wrote them: a checkpoint of each model, and a trace.  They must load
for good.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from freeze_surface import small_loss

import minigrad_ae as mg

KINDS = mg.models


def _start(dtype: str = "float64") -> dict[str, Any]:
    return {"rng": np.random.default_rng(1), "dtype": np.dtype(dtype)}


# What parameters are called since encoder and decoder are modules in every model.
RENAMED = [
    (r"^(encoder|decoder)_(weight|bias)$", r"\1.\2"),
    (r"^mean$", "decoder.bias"),
    (r"\blayer1\.", "encoder.0."),
    (r"\blayer2\.", "encoder.1."),
    (r"\blayer3\.", "decoder.0."),
    (r"\blayer4\.", "decoder.1."),
    (r"^decoder_positions$", "decoder.positions"),
    (r"^(bridge|mask_token|blocks|norm|head)\b", r"decoder.\1"),
]


def name_of_today(name: str) -> str:
    for old, new in RENAMED:
        name = re.sub(old, new, name)
    return name


MODELS: dict[str, Callable[[], Any]] = {
    "variational": lambda: KINDS.VariationalAutoencoder(6, 2, hidden=(5,), **_start("float32")),
    "gaussian": lambda: KINDS.VariationalAutoencoder(
        6, 2, hidden=(5,), likelihood="gaussian", learn_sigma=True, **_start()
    ),
    "linear": lambda: KINDS.LinearAutoencoder(6, 2, l2=0.1, **_start()),
    "two_layer": lambda: KINDS.TwoLayerAutoencoder(6, 2, **_start()),
    "deep": lambda: KINDS.DeepAutoencoder(6, 2, 4, **_start("float32")),
    "sparse": lambda: KINDS.SparseAutoencoder(6, 8, **_start()),
    "denoising": lambda: KINDS.DenoisingAutoencoder(
        KINDS.DeepAutoencoder(6, 2, 4, **_start()), drop=0.2, sigma=np.arange(1.0, 7.0)
    ),
    "masked": lambda: KINDS.MaskedAutoencoder(
        (4, 4),
        2,
        width=4,
        depth=1,
        heads=2,
        decoder_width=4,
        decoder_depth=1,
        decoder_heads=1,
        **_start(),
    ),
    "linear_vae": lambda: KINDS.LinearVAE(6, 2, learn_sigma2=True, **_start()),
}


def rows(name: str) -> np.ndarray:
    """Data in [0, 1] for a model of MODELS."""
    return np.random.default_rng(2).random((5, 16 if name == "masked" else 6))


def step(model: Any, optimizer: Any, noise: np.random.Generator, X: np.ndarray) -> float:
    """One step of training; the loss before it."""
    optimizer.zero_grad()
    loss = model.loss(X, rng=noise)
    loss.backward()
    optimizer.step()
    return loss.item()


def write_all(folder: Path) -> None:
    """Train each model for a step, save it with all that belongs to it, and note the losses of the
    two steps after it.
    """
    folder.mkdir(exist_ok=True)
    losses = {}
    for name, make in MODELS.items():
        model, noise, X = make(), np.random.default_rng(3), rows(name)
        adam = mg.optim.Adam(model.parameters(), lr=1e-2)
        step(model, adam, noise, X)
        mg.checkpoint.save(
            folder / f"{name}.npz",
            model,
            optimizer=adam,
            meta={"name": name, "step": 1},
            generators={"noise": noise},
        )
        losses[name] = {
            "class": type(model).__name__,
            "losses": [step(model, adam, noise, X) for _ in range(2)],
        }
    text = json.dumps(losses, indent=1) + "\n"
    (folder / "losses.json").write_text(text, encoding="utf-8", newline="\n")
    mg.trace(small_loss()).json(folder / "trace.json")
