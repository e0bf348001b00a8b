"""How many functions of our own Python runs for a small program, forward and back."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import minigrad_ae as mg

PROGRAMS = {
    "tanh(w @ w).sum()": lambda w: mg.tanh(w @ w).sum(),
    "(w * 2 + 1).mean()": lambda w: (w * 2 + 1).mean(),
    "softmax(w - w.max()).sum()": lambda w: mg.softmax(w - w.max()).sum(),
    "linear(w, w, w[0], tanh)": lambda w: mg.linear(w, w, w[0], activation="tanh").sum(),
    "layer_norm(w, w[0], w[1])": lambda w: mg.layer_norm(w, w[0], w[1]).sum(),
    "concatenate([w, w]).reshape(-1)": lambda w: mg.concatenate([w, w]).reshape(-1).sum(),
}


def calls() -> dict[str, dict[str, int]]:
    """How many functions of our own Python runs for a small program: of our files, and of
    expressions compiled by us.
    """
    found = {}
    with mg.kernels.use("numpy"):
        for name, program in PROGRAMS.items():
            w = mg.tensor([[0.1, 0.2], [0.3, 0.4]], requires_grad=True)
            program(w).backward()  # what happens only once is done
            w.zero_grad()
            with counting() as forward:
                loss = program(w)
            with counting() as back:
                loss.backward()
            each = {"forward": forward, "back": back}
            found[name] = {
                f"{way}, {key}": n for way, count in each.items() for key, n in count.items()
            }
    return found


@contextlib.contextmanager
def counting() -> Iterator[dict[str, int]]:
    count = {"our files": 0, "rules and forwards": 0}
    home = str(Path(mg.__file__).parent)

    def seen(frame: Any, event: str, arg: Any) -> None:
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(home):
            count["our files"] += 1
        elif event == "call" and file.startswith(("<rule.", "<forward.")):
            count["rules and forwards"] += 1

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        yield count
    finally:
        sys.setprofile(before)
