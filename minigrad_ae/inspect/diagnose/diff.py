"""Two traces side by side: the first step where they part (my solution against the reference)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import FileError
from ...files import read_at_most
from .form import faults

LARGEST = 500_000_000  # bytes of a trace
RELATIVE = 1e-12  # two programs that do the same in another order differ by rounding
Finding = tuple[str, str, str]  # what differs; in A; in B


def compare_files(a: Path, b: Path) -> tuple[str, bool]:
    """(report, whether nothing differs) for two traces written by ``trace.json(path)``."""
    return compare(load(a), load(b), str(a), str(b))


def load(path: Path) -> dict[str, Any]:
    """The record in a file; FileError if it holds none."""
    fix = "write one with: minigrad-ae inspect SCRIPT --json FILE, or trace.json(path)"
    try:
        text = read_at_most(path, LARGEST, "the trace", fix).decode("utf-8")
        record = json.loads(text, parse_constant=_refused)
    except FileError:
        raise
    except OSError as error:
        raise FileError("the trace cannot be read", f"{path}: {error.strerror}", fix) from None
    except (ValueError, RecursionError) as error:
        raise FileError("this file is not JSON", f"{path}: {error}", fix) from None
    if not isinstance(record, dict) or record.get("schema") != 1:
        raise FileError("this file holds no trace of schema 1", f"{path}", fix)
    if fault := next(faults(record), ""):
        raise FileError("this trace is damaged", f"{path}: {fault}", fix)
    return record


def _refused(word: str) -> float:
    """Of NaN and Infinity, which JSON does not have."""
    raise ValueError(f"{word} is not JSON")


def compare(
    a: dict[str, Any], b: dict[str, Any], name_a: str = "A", name_b: str = "B"
) -> tuple[str, bool]:
    """The report on two records, and whether they agree in every step, up to rounding."""
    head = [_head("A", name_a, a), _head("B", name_b, b)]
    forward = _first_forward(a, b)
    if forward:
        head += ["", *forward]
    verdict, agree = _verdict(a, b)
    if forward and agree:
        return "\n".join([*head, "every step of the backward pass agrees"]), False
    return "\n".join([*head, "", *verdict]), agree


def _head(side: str, name: str, record: dict[str, Any]) -> str:
    loss, value, steps = record["loss"], _show(record["value"]), len(record["steps"])
    return f"{side}  {name}: {loss} = {value}, {steps} steps"


def _verdict(a: dict[str, Any], b: dict[str, Any]) -> tuple[list[str], bool]:
    """What is said of the steps of two records, and whether they agree."""
    for ours, theirs in zip(_facts(a), _facts(b), strict=False):
        finding = _differ(ours, theirs)
        if finding:
            return _report(ours, theirs, finding), False
    n, m = len(a["steps"]), len(b["steps"])
    if n == m:
        precision = f"(to {RELATIVE:g}, in the elements they keep)"
        return [f"the traces agree in all {n} steps {precision}"], True
    longer, step = ("A", a["steps"][m]) if n > m else ("B", b["steps"][n])
    more = f"{longer} goes on with step {step['k']}, {step['op']}"
    return [f"the first {min(n, m)} steps agree; then {more}"], False


def _facts(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each contribution as comparable facts, in order."""
    nodes = record["nodes"]
    for step in record["steps"]:
        made = nodes[step["node"]]
        common = {key: made[key] for key in ("name", "src", "code", "value")}
        common |= {key: step[key] for key in ("k", "op", "gin")}
        for out in step["out"]:
            sent = {key: out[key] for key in ("argument", "rule", "raw_shape", "unbroadcast")}
            received = {"to": nodes[out["to"]]["name"], "after": out["accum"]["after"]}
            yield {**common, **sent, **received, "added": out["grad"]}


# What is compared of two contributions, in order of cause.
_COMPARED = {
    "op": "the op",
    "argument": "the argument that the gradient goes to",
    "value": "the forward value",
    "gin": "the incoming gradient",
    "rule": "the rule",
    "raw_shape": "the shape that the rule returned",
    "unbroadcast": "un-broadcasting",
    "added": "what is sent",
    "after": "the gradient after it",
}
_ARRAYS = {"value", "gin", "added", "after"}


def _differ(a: dict[str, Any], b: dict[str, Any]) -> Finding | None:
    """What differs first between two contributions."""
    for key, words in _COMPARED.items():
        if key in _ARRAYS:
            if found := _arrays(a[key], b[key], words):
                return found
        elif a[key] != b[key] and (key != "rule" or _arrays(a["added"], b["added"], "")):
            return words, str(a[key]), str(b[key])
    return None


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
    in_b_it_is = "" if a["k"] == b["k"] else f" (B: {b['k']})"
    return [
        f"the traces part at step {a['k']}{in_b_it_is}: {words} differs",
        *_side("A", a, in_a),
        *_side("B", b, in_b),
    ]


def _side(label: str, step: dict[str, Any], value: str) -> list[str]:
    file = Path(step["src"]).name if step["src"] else "?"
    place = f"   {file}  {step['code'] or ''}".rstrip()
    made = f"{step['op']} made {step['name']}, sends to {step['to']}"
    return [f"  {label}  {value}", f"     {made}{place}"]


def _first_forward(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """The first value of the forward pass that differs: often the cause of everything after it."""
    made = [[n for n in r["nodes"] if n["op"] or n["kind"] in ("param", "input")] for r in (a, b)]
    for x, y in zip(*made, strict=False):
        found = None
        if x["op"] != y["op"]:
            found = f"the forward passes part: {_made(x)}, {_made(y)}"
        elif differs := _arrays(x["value"], y["value"], "value"):
            words, in_a, in_b = differs
            place = f"{x['name']} ({x['op'] or x['kind']})"
            found = f"the forward passes part at {place}: {words}: {in_a} against {in_b}"
        if found:
            sides = [(label, n) for label, n in (("A", x), ("B", y)) if n["src"]]
            return [found, *(f"  {s}  {Path(n['src']).name}  {n['code'] or ''}" for s, n in sides)]
    return []


def _made(node: dict[str, Any]) -> str:
    if node["op"]:
        return f"{node['name']} is made by {node['op']}"
    return f"{node['name']} is a {node['kind']}"
