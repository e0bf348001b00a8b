"""The guard: arrays that a backward pass still needs do not change behind its back.

What an op computed is read-only (`Tensor.data` sees to it; kernels get arrays without that flag,
for which Numba would compile again).  A leaf changes through its ``data`` setter, which notes when;
a backward pass that would read the old data says so instead of giving a wrong gradient.  A pass
asks once, before it starts.  In a training loop, where each loss is computed from new data, the
question costs one comparison; where leaves of other graphs were changed in the meantime, a look at
the inputs of each op (``python benchmarks/bench_overhead.py`` measures both).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import GradientError
from .graph import Value, changes, next_serial
from .origin import caller, source_line, where


def touch(leaves: Iterable[Value]) -> None:
    """Note that the arrays of these leaves have been written to, now, and by which line."""
    now, line = stamp()
    for leaf in leaves:
        leaf.changed, leaf.origin = now, line


def stamp() -> tuple[int, Any]:
    """What a leaf notes whose array is written to: when, and by which line."""
    changes.latest = now = next_serial()
    return now, caller(2)


def refuse_changed(order: list[Value], path: set[Value] | None = None) -> None:
    """GradientError if a leaf was given new data after an op used it, and a rule that is to run
    reads the old.
    """
    oldest = next((value.serial for value in order if value.op is not None), changes.latest)
    if changes.latest <= oldest:  # as always in a training loop: new data, new graph
        return
    # it belongs to other graphs
    if not any(_suspect(a, value, oldest) for value in order for a in value.inputs):
        return
    for value in (v for v in order if v.op is not None and (path is None or v in path)):
        op: Any = value.op
        for i in (i for i, x in value.edges if path is None or x in path):
            for k in op.reads(i, len(value.inputs)):
                leaf = _changed_leaf(value if k == -1 else value.inputs[k], value.serial)
                if leaf is not None:
                    raise _too_late(value, i, k, leaf)


def _suspect(a: Any, value: Any, since: int) -> bool:
    """Whether input `a` is a changed leaf, or may look into one that is not in the walk (a
    condition, without an edge).
    """
    return isinstance(a, Value) and (a.changed > since if a.op is None else value.op.passive)


def _changed_leaf(x: Any, since: int) -> Value | None:
    """The leaf whose memory `x` is (or looks into: a transposed matrix), if it was given new data
    after `since`.
    """
    while isinstance(x, Value):
        if x.op is None:
            return x if x.changed > since else None
        owner = x._data if x._data.base is None else x._data.base
        seen = (
            a
            for a, b in zip(x.inputs, x.arrays, strict=True)
            if b is owner or getattr(b, "base", None) is owner
        )
        x = next(seen, None)
    return None


def _too_late(value: Value, i: int, k: int, leaf: Value) -> GradientError:
    op: Any = value.op
    if k == -1:
        what = "its result, which looks into"
    elif leaf is value.inputs[k]:
        what = f"{op.argument(k)} ="
    else:
        what = f"{op.argument(k)}, a view of"
    name = where(leaf).removeprefix("leaf ")
    rule = f"d{op.argument(i)} = {list(op.rules.values())[0 if op.variadic else i]}"
    changed, line = "", source_line(leaf)
    if line:
        changed = f"; it got new data at {line[0].rpartition('/')[2]}:{line[1]}: {line[2]}"
    return GradientError(
        f"backward() comes too late: {name} was changed after {op.name} had used it",
        f"{where(value)} reads {what} {where(leaf)} in its rule {rule}{changed}",
        "compute the loss again with the new data, or change the data after the last backward()",
    )
