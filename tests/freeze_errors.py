"""Wrong uses, one a line, and what they are told: every text says what, where and how to fix it, in
three lines.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, suppress
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from freeze_surface import told

import minigrad_ae as mg

RNG = np.random.default_rng(0)
x = mg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True, name="x")
w = mg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="w")
numbers = np.ones((4, 6))
linear = mg.models.LinearAutoencoder(6, 2, rng=RNG)
adam = mg.optim.Adam([w], lr=0.1)


def saved(folder: Path) -> Path:
    return mg.checkpoint.save(folder / "model.npz", linear)


# fmt: off  (a table; `folder` is an empty folder)
WRONG: dict[str, Callable[[Path], Any]] = {
    "tensor: of text": lambda folder: mg.tensor("a"),
    "tensor: ragged": lambda folder: mg.tensor([[1.0, 2.0], [3.0]]),
    "tensor: integer dtype": lambda folder: mg.tensor([1, 2], dtype=np.int64),
    "tensor: item of many": lambda folder: x.item(),
    "tensor: assigned to": lambda folder: x.__setitem__(0, 1.0),
    "tensor: data of another shape": lambda folder: setattr(x, "data", np.ones(3)),
    "tensor: a NumPy function that is not ours": lambda folder: np.sinc(x),
    "ops: matmul of shapes that do not fit": lambda folder: x @ x,
    "ops: add of shapes that do not fit": lambda folder: x + w,
    "ops: reshape to another size": lambda folder: x.reshape(4, 2),
    "ops: sum over an axis that is not there": lambda folder: x.sum(axis=5),
    "ops: concatenate of other widths": lambda folder: mg.concatenate([x, w], axis=0),
    "ops: too many arguments": lambda folder: mg.exp(x, 1, 2),
    "ops: index out of range": lambda folder: x[7],
    "ops: split into unequal parts": lambda folder: mg.split(x, 2, axis=1),
    "engine: backward from a matrix": lambda folder: (x * 2).backward(),
    "engine: nothing requires a gradient": lambda folder: mg.tensor(1.0).backward(),
    "engine: a gradient of another shape": lambda folder: (x * 2).backward(np.ones(2)),
    "engine: grad with respect to an array": lambda folder: mg.grad(x.sum(), [numbers]),
    "inspect: trace of a leaf": lambda folder: mg.trace(w),
    "nn: a layer without generator": lambda folder: mg.nn.Linear(3, 2),
    "nn: an unknown activation": lambda folder: mg.nn.Linear(3, 2, activation="tan", rng=RNG),
    "nn: a state that does not fit": lambda folder: mg.nn.Linear(3, 2, rng=RNG).load_state_dict(
        {"weight": np.ones((2, 2))}
    ),
    "optim: a negative learning rate": lambda folder: mg.optim.Adam([w], lr=-1.0),
    "optim: no parameters": lambda folder: mg.optim.SGD([], lr=0.1),
    "optim: a step without gradients": lambda folder: mg.optim.SGD(
        [mg.tensor([1.0], requires_grad=True)], lr=0.1
    ).step(),
    "data: an unknown split": lambda folder: mg.data.digits("valid"),
    "data: NaN in a matrix": lambda folder: mg.data.check_matrix(np.full((3, 2), np.nan)),
    "data: a file that is not there": lambda folder: mg.data.load_matrix(folder / "absent.npy"),
    "train: no epochs": lambda folder: mg.train.fit(
        linear, numbers, optimizer=adam, epochs=0, rng=RNG
    ),
    "checkpoint: not there": lambda folder: mg.checkpoint.load(folder / "absent.npz"),
    "checkpoint: another model": lambda folder: mg.checkpoint.load(
        saved(folder), mg.models.LinearAutoencoder(5, 2, rng=RNG)
    ),
    "checkpoint: meta that is no JSON": lambda folder: mg.checkpoint.save(
        folder / "m.npz", linear, meta={"a": {1, 2}}
    ),
    "models: no bottleneck": lambda folder: mg.models.TwoLayerAutoencoder(4, 4, rng=RNG),
    "models: data of another width": lambda folder: linear.loss(np.ones((3, 5))),
    "models: a penalty below 0": lambda folder: mg.models.SparseAutoencoder(
        6, 8, lam=-1.0, rng=RNG
    ),
    "models: noise without generator": lambda folder: mg.models.DenoisingAutoencoder(
        linear, sigma=0.1
    ).loss(numbers),
    "kernels: an unknown backend": lambda folder: mg.kernels.use("cuda"),
    "kernels: integers": lambda folder: mg.kernels.matmul(
        np.ones((2, 2), int), np.ones((2, 2), int)
    ),
    "cli: latent without data": lambda folder: command("verify", "--latent", "2"),
    "cli: an unknown lesson": lambda folder: command("lesson", "77"),
    "cli: an unknown option": lambda folder: command("doctor", "--nonsense"),
    "cli: a script that is not there": lambda folder: command("inspect", str(folder / "absent.py")),
}


class Told(Exception):
    """What the command line printed."""


def command(*argv: str) -> None:
    err = StringIO()
    with redirect_stderr(err), suppress(SystemExit):
        told(list(argv))
    raise Told(err.getvalue().strip())


def texts(folder: Path) -> dict[str, list[str]]:
    """{use: [type of the exception, line, line, line]}, without the places of this machine."""
    return {name: _text(call, folder) for name, call in WRONG.items()}


def _text(call: Callable[[Path], Any], folder: Path) -> list[str]:
    try:
        call(folder)
    except Exception as error:
        text = str(error).replace(str(folder), "FOLDER").replace(sys.prefix, "PREFIX")
        text = re.sub(r"[^\s,;:()]*[\w-]+\.py:\d+", "FILE:LINE", text)
        return [type(error).__name__, *text.splitlines()]
    return ["no error"]
