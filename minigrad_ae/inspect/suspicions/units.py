"""Hidden units: copies of each other, and dead ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from ...autodiff.graph import Value
from .question import Answers, suspicion
from .scene import Scene
from .watching import dead_units, is_relu

MANY = 0.5  # of the units of a layer, of which there are at least
FEW = 4
ROWS = 8  # a unit that is 0 for fewer rows may well be alive


@suspicion(
    "equal start weights",
    "units that start alike stay alike: draw the weights, as nn.Linear(..., rng=rng) does",
)
def equal_weights(scene: Scene) -> Answers:
    """Columns of a weight matrix that are equal, and whose gradients are equal, too."""
    for leaf in scene.leaves:
        if leaf._data.ndim != 2 or min(leaf._data.shape) < 2 or not multiplies(scene, leaf):
            continue
        if same_columns(leaf._data):
            g = scene.gradients.get(id(leaf))
            if g is not None and same_columns(g):
                n = leaf._data.shape[1]
                reason = f"all {n} columns of {scene.named(leaf)} are equal"
                yield f"{reason}, and so are their gradients", scene.at(leaf)


def same_columns(array: np.ndarray) -> bool:
    """Whether all columns are the same, up to a few roundings."""
    spread = np.abs(array - array[:, :1]).max()
    return bool(spread <= 1e3 * np.finfo(array.dtype).eps * np.abs(array).max())


def multiplies(scene: Scene, leaf: Value) -> bool:
    """Whether a leaf is W of a product x @ W."""
    users = scene.users.get(id(leaf), [])
    return any(v.op.name in ("matmul", "linear") and v.inputs[1] is leaf for v in users)


@suspicion(
    "dead units",
    "a unit that is 0 for all rows gets no gradient any more: take smaller steps, other start "
    "weights, nn.Tanh, or mg.leaky_relu",
)
def dead(scene: Scene) -> Answers:
    """ReLU units that are 0 for every row, and the step that killed them."""
    for v, number in relus(scene):
        if v._data.ndim < 2 or len(v._data) < ROWS:
            continue
        mask = dead_units(v)
        if mask.mean() < MANY or mask.size < FEW or wanted_sparse(scene, v):
            continue
        reason = f"{int(mask.sum())} of {mask.size} units are 0 for all {len(v._data)} rows"
        yield f"{reason}{killed(scene, v, number, mask)}", scene.at(v)


def relus(scene: Scene) -> Iterator[tuple[Value, int]]:
    """(value, its number among those of the same line) of every ReLU."""
    seen: Counter[object] = Counter()
    for v in scene.made:
        if is_relu(v):
            yield v, seen[v.origin]
            seen[v.origin] += 1


def wanted_sparse(scene: Scene, v: Value) -> bool:
    """Whether the loss has a penalty on the size of a value, which is there to make it 0."""
    return any(u.op.name in ("l1_norm", "abs") for u in scene.users.get(id(v), ()))


def killed(scene: Scene, v: Value, number: int, mask: np.ndarray) -> str:
    """Which step killed most of them, as far as it was seen."""
    layer = scene.history.layers.get((v.origin, number)) if scene.history else None
    if layer is None or layer.since.shape != mask.shape:
        return ""
    deaths = Counter(int(k) for k in layer.since[mask] if k > 0)
    if not deaths:
        return ""
    pass_, count = deaths.most_common(1)[0]
    if pass_ == 1:
        return f"; {count} were so from the first backward pass on"
    return f"; {count} died in step {pass_ - 1}, before backward pass {pass_}"
