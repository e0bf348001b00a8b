"""The form of a recorded trace, as far as two of them are compared: a file may have been written
by anyone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

WORDS = {"nan", "inf", "-inf"}  # JSON has no numbers for them


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _is_number(value: Any) -> bool:
    """A number that is a float, too, or a word for one; None where there is nothing to sum up."""
    if value is None or (isinstance(value, str) and value in WORDS):
        return True
    if type(value) is int:
        return abs(value) < 2**1023
    return type(value) in (float, bool) and math.isfinite(value)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _is_anything(value: Any) -> bool:
    return True


# what is asked of a value -> what a message calls it
NAMES: dict[Callable[[Any], bool], str] = {
    _is_count: "a whole number, at least 0",
    _is_number: "a number",
    _is_text: "text",
    _is_text_or_none: "text or null",
    _is_anything: "anything",
}
SUMMARY: dict[str, Any] = {
    "shape": [_is_count],
    "head": [_is_number],
    "head_shape": [_is_count],
    **dict.fromkeys(("nan", "inf", "min", "max", "mean"), _is_number),
}
NODE = {
    "name": _is_text,
    "kind": _is_text,
    "op": _is_text_or_none,
    "src": _is_text_or_none,
    "code": _is_text_or_none,
    "value": SUMMARY,
}
CONTRIBUTION = {
    "argument": _is_text,
    "rule": _is_text,
    "raw_shape": [_is_count],
    "unbroadcast": _is_anything,
    "to": _is_count,
    "grad": SUMMARY,
    "accum": {"after": SUMMARY},
}
STEP = {"k": _is_count, "node": _is_count, "op": _is_text, "gin": SUMMARY, "out": [CONTRIBUTION]}
RECORD = {"loss": _is_text, "value": _is_number, "nodes": [NODE], "steps": [STEP]}


def faults(record: Any) -> Iterator[str]:
    """What is missing in a record or of another type, each with its place; nothing where two such
    records can be compared.
    """
    found = list(_faults(record, RECORD, ""))
    yield from found
    if found:
        return
    nodes = len(record["nodes"])
    for k, step in enumerate(record["steps"]):
        named = [("node", step["node"])]
        named += [(f"out[{i}].to", out["to"]) for i, out in enumerate(step["out"])]
        for where, number in named:
            if number >= nodes:
                yield f"steps[{k}].{where} is {number}, and there are {nodes} nodes"


def _faults(value: Any, form: Any, where: str) -> Iterator[str]:
    if isinstance(form, dict):
        if not isinstance(value, dict):
            yield f"{where or 'the record'} is not an object"
            return
        for key, part in form.items():
            place = f"{where}.{key}" if where else key
            if key in value:
                yield from _faults(value[key], part, place)
            else:
                yield f"{place} is missing"
    elif isinstance(form, list):
        if not isinstance(value, list):
            yield f"{where} is not a list"
            return
        for k, part in enumerate(value):
            yield from _faults(part, form[0], f"{where}[{k}]")
    elif not form(value):
        yield f"{where} is {value!r:.40}, not {NAMES[form]}"
