"""A large graph made small enough to look at: what one layer, or one line of code, computed becomes
one block.

A model's parameters have paths (encoder.blocks.0.norm.weight): the ops of one layer become one
block, of a layer of layers if need be.  Without such names: the ops of one line that ran in a row;
if there are still too many, all runs of a line or of the lines of a loop ("× 12"); if there are
still too many, neighbours in time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from math import isfinite
from pathlib import Path
from typing import Any

from ...display import many, shape_text
from ..record.names import fitted


@dataclass
class Block:
    """A box of the picture: one value, or many ops folded into one."""

    id: int
    name: str
    kind: str
    op: str | None
    shape: list[int]
    value: Any  # max |value|; a word where it is not finite
    gradient: Any  # max |gradient|; None where none came
    inputs: list[int]
    fanout: int = 1
    stretched: set[int] = field(default_factory=set)
    bad: bool = False
    note: str = ""

    def lines(self) -> list[tuple[str, str]]:
        """(text, 'name' | 'plain' | 'bad') of the rows in the box."""
        below = self.note or shape_text(self.shape)
        rows = [(fitted(self.name, 22), "name"), (fitted(below, 26), "plain")]
        for letter, size in (("v", self.value), ("g", self.gradient)):
            if isinstance(size, str):
                rows.append((f"|{letter}| {size}", "bad"))
            elif size is not None:
                rows.append((f"|{letter}| {size:.3g}", "plain"))
        return rows


def fold(record: dict[str, Any], most: int) -> tuple[dict[int, Block], str]:
    """({number: block}, what was folded, in words or '')."""
    blocks = _single(record)
    if len(blocks) <= most:
        return blocks, ""
    nodes = record["nodes"]
    ops = [b.id for b in blocks.values() if b.op]
    runs = [(line, list(run)) for line, run in groupby(ops, key=lambda n: nodes[n]["src"])]
    # they come one after the other, and a wide picture is hard to read
    layers = layers_of(nodes, ops, most // 2)
    groups = [(1, members) for _, members in layers or runs]
    words = f"each box is what one {'layer' if layers else 'line of code'} computed"
    if len(groups) > most:
        groups = _repeated(runs)
        words = "each box is a line, or the lines of a loop, with all their repetitions"
    if len(groups) > most:
        size = -(-len(groups) // most)
        neighbours = [groups[k : k + size] for k in range(0, len(groups), size)]
        groups = [(max(count for count, _ in few), _all_of(few)) for few in neighbours]
        words = "neighbouring lines are folded together"
    names = {members[-1]: layer for layer, members in layers}
    told = f"{len(blocks)} nodes are more than {most}: {words}"
    return _merged(record, blocks, groups, names), told


def layers_of(nodes: Any, ops: Sequence[int], most: int) -> list[tuple[str, list[int]]]:
    """(layer, its ops) in order, at most `most` and as fine as that allows; [] where parameters
    have no paths to tell by.

    An op belongs to the layer of its parameters, one without any to that of the op before it.
    """
    own: dict[int, list[str]] = {}
    for n in ops:
        params = [nodes[p]["name"] for p in nodes[n]["parents"] if nodes[p]["kind"] == "param"]
        own[n] = max((name.split(".")[:-1] for name in params), key=len, default=[])
    for depth in range(max(map(len, own.values()), default=0), 0, -1):
        runs: list[tuple[str, list[int]]] = []
        for n in ops:
            layer = ".".join(own[n][:depth])
            if not runs or (layer and layer != runs[-1][0]):
                runs.append((layer, []))
            runs[-1][1].append(n)
        if 1 < len(runs) <= most:
            return runs
    return []


def _single(record: dict[str, Any]) -> dict[int, Block]:
    """One block per value; numbers without axes stand in the formulas and get none."""
    gradients = _gradients(record)
    shown = [n for n in record["nodes"] if n["op"] or n["kind"] == "param" or n["shape"]]
    ids = {n["id"] for n in shown}
    blocks = {}
    for n in shown:
        value, gradient = _largest(n["value"]), gradients.get(n["id"])
        told = {key: n[key] for key in ("id", "name", "kind", "op", "shape", "fanout")}
        inputs = [p for p in dict.fromkeys(n["parents"]) if p in ids]
        bad = isinstance(value, str) or isinstance(gradient, str)
        blocks[n["id"]] = Block(**told, value=value, gradient=gradient, inputs=inputs, bad=bad)
    for step in record["steps"]:
        for out in step["out"]:
            if out["unbroadcast"]:
                blocks[step["node"]].stretched.add(out["to"])
            if not out["check"]["ok"]:
                blocks[step["node"]].bad = True
                blocks[step["node"]].note = f"rule for {out['argument']} is WRONG"
    return blocks


def _gradients(record: dict[str, Any]) -> dict[int, Any]:
    """The largest element of each value's gradient: what an op passed on, what a leaf got last."""
    steps = record["steps"]
    got = {out["to"]: _largest(out["accum"]["after"]) for step in steps for out in step["out"]}
    return got | {step["node"]: _largest(step["gin"]) for step in steps}


def _largest(summary: dict[str, Any]) -> Any:
    """max |x|, or 'NaN' or 'Inf'."""
    if summary["nan"] or summary["inf"]:
        return "NaN" if summary["nan"] else "Inf"
    ends = [float(x) for x in (summary["min"], summary["max"]) if x is not None]
    largest = max(map(abs, ends), default=0.0)
    return largest if isfinite(largest) else "Inf"


def _all_of(groups: Sequence[tuple[Any, list[int]]]) -> list[int]:
    """The members of all groups."""
    return [n for _, members in groups for n in members]


def _repeated(runs: Sequence[tuple[Any, list[int]]]) -> list[tuple[int, list[int]]]:
    """All runs of one line together; lines whose runs interleave (a loop) become one group."""
    last = {line: k for k, (line, _) in enumerate(runs)}
    groups, part, end = [], [], 0
    for k, (line, members) in enumerate(runs):
        part.append((line, members))
        end = max(end, last[line])
        if k == end:  # no line of this part comes again
            repeats = max(Counter(line for line, _ in part).values())
            groups.append((repeats, _all_of(part)))
            part = []
    return groups


def _merged(
    record: dict[str, Any],
    blocks: dict[int, Block],
    groups: Sequence[tuple[int, list[int]]],
    layers: dict[int, str],
) -> dict[int, Block]:
    """One block for each of the `groups` (repetitions, ops); `layers` names some of them, by their
    last op.
    """
    nodes = record["nodes"]
    home = {n: members[-1] for _, members in groups for n in members}
    users: dict[int, set[int]] = defaultdict(set)
    for b in blocks.values():
        for x in b.inputs:
            users[x].add(home.get(b.id, b.id))
    inside = {
        b.id: next(iter(users[b.id])) for b in blocks.values() if not b.op and len(users[b.id]) == 1
    }
    result: dict[int, Block] = {}
    for repeats, members in groups:
        last = blocks[members[-1]]
        own = [b for b in blocks.values() if inside.get(b.id) == last.id]
        params = sum(b.kind == "param" for b in own)
        lines = _lines([nodes[n]["src"] for n in members if nodes[n]["src"]])
        counted = many(len(members), "op") + (f", {many(params, 'param')}" if params else "")
        whole = [*(blocks[n] for n in members), *own]
        wrong = next((b.note for b in whole if b.note), "")
        times = f"  × {repeats}" if repeats > 1 else ""
        inputs = [home.get(x, x) for b in whole for x in b.inputs if inside.get(x) != last.id]
        outside = [x for x in dict.fromkeys(inputs) if x != last.id]
        name = layers.get(last.id) or (lines or last.name) + times
        look: dict[str, Any] = {"op": "…", "fanout": 1, "stretched": set()}
        look |= {"bad": any(b.bad for b in whole), "note": wrong or counted}
        result[last.id] = replace(last, name=name, inputs=outside, **look)
    alone = {b.id: b for b in blocks.values() if not b.op and b.id not in inside}
    return result | alone


def _lines(sources: list[str]) -> str:
    """'model.py:6-7' of ['/a/model.py:7', '/a/model.py:6']."""
    if not sources:
        return ""
    numbers = sorted({int(s.rpartition(":")[2]) for s in sources})
    span = f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"
    return f"{Path(sources[0].rpartition(':')[0]).name}:{span}"
