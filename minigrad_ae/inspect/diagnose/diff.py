"""Two traces side by side: the first step where they part (my solution against the reference)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import FileError

RELATIVE = 1e-12  # two programs that do the same in another order differ by rounding
Finding = tuple[str, str, str]  # what differs; in A; in B


def compare_files(a: Path, b: Path) -> tuple[str, bool]:
    """(report, whether nothing differs) for two traces written by ``trace.json(path)``."""
    return compare(load(a), load(b), str(a), str(b))


def load(path: Path) -> dict[str, Any]:
    """The record in a file; FileError if it holds none."""
    fix = "write one with: minigrad-ae inspect SCRIPT --json FILE, or trace.json(path)"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError("the trace cannot be read", f"{path}: {error.strerror}", fix) from None
    except (ValueError, RecursionError) as error:
        raise FileError("this file is not JSON", f"{path}: {error}", fix) from None
    if not isinstance(record, dict) or record.get("schema") != 1:
        raise FileError("this file holds no trace of schema 1", f"{path}", fix)
    try:
        for _ in _facts(record):
            pass
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise FileError(
            "this trace is damaged", f"{path}: {type(error).__name__} {error}", fix
        ) from None
    return record


def compare(
    a: dict[str, Any], b: dict[str, Any], name_a: str = "A", name_b: str = "B"
) -> tuple[str, bool]:
    """The report on two records, and whether they agree in every step, up to rounding."""
    head = [_headline("A", name_a, a), _headline("B", name_b, b)]
    forward = _first_forward(a, b)
    if forward:
        head += ["", *forward]
    for ours, theirs in zip(_facts(a), _facts(b), strict=False):
        finding = _differ(ours, theirs)
        if finding:
            return "\n".join([*head, "", *_report(ours, theirs, finding)]), False
    n, m = len(a["steps"]), len(b["steps"])
    if n != m:
        longer, first = ("A", a["steps"][m]) if n > m else ("B", b["steps"][n])
        text = (
            f"the first {min(n, m)} steps agree; then {longer} goes on with step {first['k']}, "
            f"{first['op']}"
        )
        return "\n".join([*head, "", text]), False
    if forward:
        return "\n".join([*head, "every step of the backward pass agrees"]), False
    return "\n".join(
        [
            *head,
            "",
            f"the traces agree in all {n} steps (to {RELATIVE:g}, in the elements they keep)",
        ]
    ), True


def _headline(letter: str, name: str, record: dict[str, Any]) -> str:
    value = _show(record["value"])
    return f"{letter}  {name}: {record['loss']} = {value}, {len(record['steps'])} steps"


def _facts(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each contribution as comparable facts, in order."""
    nodes = record["nodes"]
    for step in record["steps"]:
        made = nodes[step["node"]]
        common = {key: step[key] for key in ("k", "op", "gin")}
        common |= {key: made[key] for key in ("name", "src", "code", "value")}
        for out in step["out"]:
            sent = {key: out[key] for key in ("argument", "rule", "raw_shape", "unbroadcast")}
            to, after = nodes[out["to"]]["name"], out["accum"]["after"]
            yield {**common, **sent, "to": to, "added": out["grad"], "after": after}


def _differ(a: dict[str, Any], b: dict[str, Any]) -> Finding | None:
    """What differs first between two contributions: in order of cause."""
    for key, words in (("op", "the op"), ("argument", "the argument that the gradient goes to")):
        if a[key] != b[key]:
            return words, str(a[key]), str(b[key])
    for key, words in (("value", "the forward value"), ("gin", "the incoming gradient")):
        if found := _arrays(a[key], b[key], words):
            return found
    if a["rule"] != b["rule"] and _arrays(a["added"], b["added"], ""):
        return "the rule", a["rule"], b["rule"]
    for key, words in (
        ("raw_shape", "the shape that the rule returned"),
        ("unbroadcast", "un-broadcasting"),
    ):
        if a[key] != b[key]:
            return words, str(a[key]), str(b[key])
    return _arrays(a["added"], b["added"], "what is sent") or _arrays(
        a["after"], b["after"], "the gradient after it"
    )


def _arrays(a: dict[str, Any], b: dict[str, Any], words: str) -> Finding | None:
    if a["shape"] != b["shape"]:
        return f"the shape of {words}", str(tuple(a["shape"])), str(tuple(b["shape"]))
    for k, (x, y) in enumerate(zip(a["head"], b["head"], strict=False)):
        if not _close(x, y):
            place = f", element {_index(k, a['head_shape'])}" if a["head_shape"] else ""
            return f"{words}{place}", _show(x), _show(y)
    for key in ("nan", "inf", "min", "max", "mean"):
        if not _close(a[key], b[key]):
            return f"{words}, its {key}", _show(a[key]), _show(b[key])
    return None


def _close(x: Any, y: Any) -> bool:
    if isinstance(x, float | int) and isinstance(y, float | int):
        return abs(x - y) <= RELATIVE * max(abs(x), abs(y)) + 1e-15
    return bool(x == y)


def _index(k: int, shape: list[int]) -> str:
    index: list[int] = []
    for n in reversed(shape):
        index.insert(0, k % n)
        k //= n
    return str(index)


def _show(x: Any) -> str:
    return f"{x:.10g}" if isinstance(x, float | int) else str(x)


def _report(a: dict[str, Any], b: dict[str, Any], finding: Finding) -> list[str]:
    words, in_a, in_b = finding
    lines = [
        f"the traces part at step {a['k']}"
        + ("" if a["k"] == b["k"] else f" (B: {b['k']})")
        + f": {words} differs"
    ]
    for label, side, value in (("A", a, in_a), ("B", b, in_b)):
        place = (
            f"   {Path(side['src']).name if side['src'] else '?'}  {side['code'] or ''}".rstrip()
        )
        lines += [
            f"  {label}  {value}",
            f"     {side['op']} made {side['name']}, sends to {side['to']}{place}",
        ]
    return lines


def _first_forward(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """The first value of the forward pass that differs: often the cause of everything after it."""
    made = [[n for n in r["nodes"] if n["op"] or n["kind"] in ("param", "input")] for r in (a, b)]
    for x, y in zip(*made, strict=False):
        told = ""
        if x["op"] != y["op"]:
            told = f"the forward passes part: {_made(x)}, {_made(y)}"
        elif found := _arrays(x["value"], y["value"], "value"):
            words, in_a, in_b = found
            told = (
                f"the forward passes part at {x['name']} ({x['op'] or x['kind']}): {words}: "
                f"{in_a} against {in_b}"
            )
        if told:
            sides = (("A", x), ("B", y))
            return [
                told,
                *(
                    f"  {label}  {Path(n['src']).name}  {n['code'] or ''}"
                    for label, n in sides
                    if n["src"]
                ),
            ]
    return []


def _made(node: dict[str, Any]) -> str:
    return (
        f"{node['name']} is made by {node['op']}"
        if node["op"]
        else f"{node['name']} is a {node['kind']}"
    )
