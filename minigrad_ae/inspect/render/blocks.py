"""A large graph made small enough to look at: what one layer, or one line of code, computed becomes
one block.

A model's parameters have paths (encoder.blocks.0.norm.weight): the ops of one layer become one
block, of a layer of layers if need be.  Without such names: the ops of one line that ran in a row;
if there are still too many, all runs of a line or of the lines of a loop ("× 12"); if there are
still too many, neighbours in time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
        shape = "×".join(map(str, self.shape)) or "scalar"
        rows = [(fitted(self.name, 22), "name"), (fitted(self.note or shape, 26), "plain")]
        rows.append(
            (f"|v| {_short(self.value)}", "bad" if isinstance(self.value, str) else "plain")
        )
        if self.gradient is not None:
            rows.append(
                (
                    f"|g| {_short(self.gradient)}",
                    "bad" if isinstance(self.gradient, str) else "plain",
                )
            )
        return rows


def fold(record: dict[str, Any], most: int) -> tuple[dict[int, Block], str]:
    """({number: block}, what was folded, in words or '')."""
    blocks = _single(record)
    if len(blocks) <= most:
        return blocks, ""
    nodes = record["nodes"]
    ops = [b.id for b in blocks.values() if b.op]
    runs: list[tuple[Any, list[int]]] = []
    for n in ops:
        if not runs or runs[-1][0] != nodes[n]["src"]:
            runs.append((nodes[n]["src"], []))
        runs[-1][1].append(n)
    words = "each box is what one line of code computed"
    groups = [(1, members) for _, members in runs]
    # they come one after the other, and a wide picture is hard to read
    layers = _layers(nodes, ops, most // 2)
    if layers:
        groups, words = (
            [(1, members) for _, members in layers],
            "each box is what one layer computed",
        )
    if len(groups) > most:
        groups, words = (
            _repeated(runs),
            "each box is a line, or the lines of a loop, with all their repetitions",
        )
    if len(groups) > most:
        size = -(-len(groups) // most)
        neighbours = [groups[k : k + size] for k in range(0, len(groups), size)]
        groups = [
            (max(count for count, _ in few), [n for _, members in few for n in members])
            for few in neighbours
        ]
        words = "neighbouring lines are folded together"
    folded = _merged(record, blocks, groups, {members[-1]: layer for layer, members in layers})
    return folded, f"{len(blocks)} nodes are more than {most}: {words}"


def _layers(nodes: Any, ops: Sequence[int], most: int) -> list[tuple[str, list[int]]]:
    """(layer, its ops) in order, at most `most` and as fine as that allows; [] where parameters
    have no paths to tell by.

    An op belongs to the layer of its parameters, one without any to that of the op before it.
    """
    own: dict[int, list[str]] = {}
    for n in ops:
        paths = [
            nodes[p]["name"].split(".")[:-1]
            for p in nodes[n]["parents"]
            if nodes[p]["kind"] == "param"
        ]
        own[n] = max(paths, key=len, default=[])
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
                blocks[step["node"]].bad, blocks[step["node"]].note = (
                    True,
                    f"rule for {out['argument']} is WRONG",
                )
    return blocks


def _gradients(record: dict[str, Any]) -> dict[int, Any]:
    found: dict[int, Any] = {}
    for step in record["steps"]:
        found[step["node"]] = _largest(step["gin"])
        for out in step["out"]:
            found[out["to"]] = _largest(out["accum"]["after"])
    return found


def _largest(summary: dict[str, Any]) -> Any:
    """max |x|, or 'NaN' or 'Inf'."""
    if summary["nan"] or summary["inf"]:
        return "NaN" if summary["nan"] else "Inf"
    ends = [x for x in (summary["min"], summary["max"]) if x is not None]
    return (
        "Inf" if any(isinstance(x, str) for x in ends) else max((abs(x) for x in ends), default=0.0)
    )


def _repeated(runs: Sequence[tuple[Any, list[int]]]) -> list[tuple[int, list[int]]]:
    """All runs of one line together; lines whose runs interleave (a loop) become one group."""
    first: dict[Any, int] = {}
    last: dict[Any, int] = {}
    for k, (line, _) in enumerate(runs):
        first.setdefault(line, k)
        last[line] = k
    spans: list[list[int]] = []
    for line in sorted(first, key=first.__getitem__):
        if spans and first[line] <= spans[-1][1]:
            spans[-1][1] = max(spans[-1][1], last[line])
        else:
            spans.append([first[line], last[line]])
    groups = []
    for start, end in spans:
        part = runs[start : end + 1]
        groups.append(
            (
                max(Counter(line for line, _ in part).values()),
                [n for _, members in part for n in members],
            )
        )
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
    users: dict[int, set[int]] = {}
    for b in blocks.values():
        for x in b.inputs:
            users.setdefault(x, set()).add(home.get(b.id, b.id))
    inside = {
        b.id: next(iter(users[b.id]))
        for b in blocks.values()
        if not b.op and len(users.get(b.id, ())) == 1
    }
    result: dict[int, Block] = {}
    for repeats, members in groups:
        last = blocks[members[-1]]
        own = [b for b in blocks.values() if inside.get(b.id) == last.id]
        params = sum(b.kind == "param" for b in own)
        lines = _lines([nodes[n]["src"] for n in members if nodes[n]["src"]])
        counted = _many(len(members), "op") + (f", {_many(params, 'param')}" if params else "")
        bad = any(blocks[n].bad for n in members) or any(b.bad for b in own)
        wrong = next((blocks[n].note for n in members if blocks[n].note), "")
        name = layers.get(last.id) or (lines or last.name) + (
            f"  × {repeats}" if repeats > 1 else ""
        )
        inputs = [
            home.get(x, x) for n in members for x in blocks[n].inputs if inside.get(x) != last.id
        ]
        outside = [x for x in dict.fromkeys(inputs) if x != last.id]
        result[last.id] = Block(
            last.id,
            name,
            last.kind,
            "…",
            last.shape,
            last.value,
            last.gradient,
            outside,
            bad=bad,
            note=wrong or counted,
        )
    for b in blocks.values():
        if not b.op and b.id not in inside:
            result[b.id] = b
    return result


def _lines(sources: list[str]) -> str:
    """'model.py:6-7' of ['/a/model.py:7', '/a/model.py:6']."""
    if not sources:
        return ""
    numbers = sorted({int(s.rpartition(":")[2]) for s in sources})
    span = f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"
    return f"{Path(sources[0].rpartition(':')[0]).name}:{span}"


def _many(n: int, what: str) -> str:
    return f"{n} {what}" + ("" if n == 1 else "s")


def _short(x: Any) -> str:
    return x if isinstance(x, str) else f"{x:.3g}"
