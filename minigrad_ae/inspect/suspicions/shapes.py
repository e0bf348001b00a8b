"""Shapes that fit, and mean something else than was meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...autodiff.graph import Value
from .question import Answers, suspicion
from .scene import Scene, array_of

PAIRED = {"add", "sub", "mul", "div", "maximum", "power", "half_squared_error", "bernoulli_loss"}
NORMALISED = {"softmax", "log_softmax", "logsumexp"}
MANY = 32  # passes, after which it is not a beginning, or an example, any more


@suspicion(
    "both operands stretched",
    "one of them has an axis too many: y[:, 0] or target[:, None] before the difference",
)
def both_stretched(scene: Scene) -> Answers:
    """(n,) against (n, 1): broadcasting pairs every row with every other."""
    for v in scene.made:
        if v.op.name not in PAIRED:
            continue
        (a, b), (x, y) = v.inputs[:2], v.arrays[:2]
        n = max(np.size(x), np.size(y))
        if n > 1 and {np.shape(x), np.shape(y)} == {(n,), (n, 1)} and source(a) is not source(b):
            pair = f"{scene.named(a)} against {scene.named(b)}"
            yield f"{pair} makes {n} x {n} differences, of each row with each other", scene.at(v)


def source(x: Any) -> Any:
    """What a value or array has its elements from, where only its shape was changed."""
    while isinstance(x, Value) and x.op is not None:
        if x.op.name not in ("reshape", "expand_dims", "getitem", "transpose"):
            return x
        x = x.inputs[0]
    array = array_of(x)
    while isinstance(array, np.ndarray) and isinstance(array.base, np.ndarray):
        array = array.base
    return array


@suspicion(
    "softmax over the rows",
    "the rows of a batch do not share a probability: use axis=-1 (with keepdims=True in a sum)",
)
def softmax_over_rows(scene: Scene) -> Answers:
    """A softmax whose probabilities add up to 1 over the batch."""
    for v in scene.made:
        x = v.inputs[0]
        rows = id(x) in scene.by_rows and x._data.ndim > 1 and len(x._data) > 1
        if rows and v.op.name in NORMALISED and over_rows(v.params.get("axis", -1), x):
            axis = v.params.get("axis", -1)
            yield f"{v.op.name}(axis={axis}) of {scene.named(x)}, {len(x._data)} rows", scene.at(v)
        if rows and v.op.name == "div" and by_total(v):
            total = v.inputs[1]
            yield f"{scene.named(x)} is divided by its sum over the rows", scene.at(total)


def over_rows(axis: Any, x: Value) -> bool:
    """Whether `axis` means the first one, or all."""
    axes = range(x._data.ndim) if axis is None else np.atleast_1d(axis) % x._data.ndim
    return 0 in axes


def by_total(v: Value) -> bool:
    """Whether a quotient is e^x / sum e^x, with a sum over the rows."""
    e, total = v.inputs[:2]
    if not all(isinstance(x, Value) and x.op is not None for x in (e, total)):
        return False
    summed = total.op.name == "sum" and total.inputs[0] is e
    return summed and e.op.name == "exp" and over_rows(total.params.get("axis"), e)


@suspicion(
    "reshape in place of transpose",
    "reshape keeps the order of the elements and so mixes the rows: x.T, or mg.transpose(x, axes)",
)
def reshape_for_transpose(scene: Scene) -> Answers:
    """A reshape whose new shape is the old one with its axes in another order, in a
    graph that reads data.
    """
    for v in scene.made if scene.batch is not None else ():
        x = v.inputs[0]
        if v.op.name != "reshape" or moved_before(x):
            continue
        if exchanged(x._data.shape, v._data.shape):
            yield f"{scene.named(x)} became {v._data.shape}", scene.at(v)
    for array, v in scene.constants():
        base = array.base
        if not isinstance(base, np.ndarray) or not exchanged(base.shape, array.shape):
            continue
        if array.flags.c_contiguous and base.flags.c_contiguous:
            yield f"an array {base.shape} was reshaped to {array.shape}", scene.at(v)


def exchanged(old: tuple[int, ...], new: tuple[int, ...]) -> bool:
    """Whether two shapes differ in the order of their axes (those of length 1 aside)."""
    a, b = ([n for n in shape if n != 1] for shape in (old, new))
    return len(old) == len(new) and a != b and sorted(a) == sorted(b)


def moved_before(x: Any) -> bool:
    """Whether the axes were moved before, so that a reshape may be meant."""
    return isinstance(x, Value) and x.op is not None and x.op.name == "transpose"


@suspicion(
    "batches of one row",
    "the gradient of one row is mostly noise; take several: mg.data.batches(X, 64, rng)",
)
def one_row(scene: Scene) -> Answers:
    """Steps that see a single row of the data."""
    line = next(rows_read(scene), None)
    history, data = scene.history, np.shape(scene.data)
    single = scene.batch is not None and (scene.batch.ndim < 2 or len(scene.batch) == 1)
    if history and single and history.one_row >= MANY and not history.more_rows:
        yield f"each of {history.one_row} backward passes read one row", line
    elif single and data[:1] > (1,) and not (history and history.more_rows):
        yield f"this pass read one row, of data with {data[0]:,}", line


def rows_read(scene: Scene) -> Iterator[Any]:
    """The lines of the products that read the batch."""
    for v in scene.made:
        if v.op.name in ("matmul", "linear") and scene.is_batch(v.inputs[0]):
            yield scene.at(v)
