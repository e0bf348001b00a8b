"""The trace on a terminal: a table of steps, one step in full, or all that flowed into one value.

At most 88 columns, no control codes; with ``ascii=True`` nothing but ASCII.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .notation import bar_notation
from .summary import brief, is_finite

if TYPE_CHECKING:
    from .steps import Contribution, Step, Trace

WIDTH = 88


def render(trace: Trace, step: int | None, param: str | None, ascii: bool) -> str:
    """What `Trace.text` returns."""
    if step is not None:
        lines = _step(trace, _find(trace, step), ascii)
    elif param is not None:
        lines = _param(trace, param)
    else:
        lines = _table(trace)
    text = "\n".join(_cut(line) for line in lines)
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode() if ascii else text


_ASCII = str.maketrans({"→": "->", "·": "*", "ᵀ": "^T", "²": "^2", "…": "..."})


def _cut(line: str) -> str:
    line = line.rstrip()
    return line if len(line) <= WIDTH else line[: WIDTH - 4].rstrip() + " ..."


def _find(trace: Trace, k: int) -> Step:
    for step in trace.steps:
        if step.k == k:
            return step
    known = f"this trace has {trace.total} steps (1..{trace.total}), recorded from {trace.loss}"
    if 1 <= k <= trace.total:
        kept = f"{known}; {len(trace.steps)} of them were kept"
        raise DataError(f"step {k} was not kept", kept, "trace again with a larger max_steps")
    raise DataError(f"step {k} does not exist", known, f"choose a step from 1 to {trace.total}; text() lists them")


# --- the table -------------------------------------------------------------------------------------------------------


def _heading(trace: Trace) -> list[str]:
    checks = [c.check for step in trace.steps for c in step.contributions]
    asked = [c for c in checks if c.status in ("ok", "failed")]
    wrong = sum(c.status == "failed" for c in asked)
    worst = max((c.error or 0.0 for c in asked if c.status == "ok"), default=0.0)
    verdict = f"{len(asked)} rules checked, {wrong or 'none'} wrong, max. rel. error {worst:.1e}" if asked else "not checked"
    params = sum(n.kind == "param" for n in trace.nodes)
    head = f"{trace.loss} = {trace.value:.6g}   {_many(trace.total, 'step')}, {_many(params, 'parameter')}, {trace.dtype}"
    lines = [head, verdict]
    if trace.truncated:
        shown = f"showing {len(trace.steps):,} of {trace.total:,} steps"
        lines += textwrap.wrap(f"{shown} ({trace.truncated['reason']})", WIDTH)
    return lines


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")


def _table(trace: Trace) -> list[str]:
    rows: list[tuple[str, ...]] = []
    for step in trace.steps:
        left = (str(step.k), str(step.op), f"{step.name} = {step.node.computes}", str(step.incoming.shape))
        for c in step.contributions:
            rows.append((*left, _destination(c), _verdict(c)))
            left = ("", "", "", "")
    titles = ("k", "op", "computes", "in-grad", "sends to", "check")
    return [*_heading(trace), *_columns(titles, rows, (5, 12, 44, 14, 44, 10))]


def _columns(titles: tuple[str, ...], rows: list[tuple[str, ...]], widest: tuple[int, ...]) -> list[str]:
    """A table whose columns are as wide as they must be, and not wider than `widest`."""
    cells = [tuple(_shorten(cell, w) for cell, w in zip(row, widest, strict=True)) for row in [titles, *rows]]
    sizes = [max(len(row[k]) for row in cells) for k in range(len(titles))]
    excess = sum(sizes) + 2 * (len(sizes) - 1) - WIDTH
    for k in (2, 4):  # the two columns that may be long give way
        give = max(0, min(excess, sizes[k] - 16))
        sizes[k], excess = sizes[k] - give, excess - give
    lines = ["  ".join(_shorten(cell, w).ljust(w) for cell, w in zip(row, sizes, strict=True)) for row in cells]
    return [f"{line}".rstrip() for line in lines]


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(0, width - 3)].rstrip() + "..."


def _destination(c: Contribution) -> str:
    parts = [f"{c.to} {c.shape}"]
    if c.axes:
        parts.append(f"sum over {_axes(c)}")
    if c.of > 1:
        parts.append(f"{c.nth} of {c.of}")
    if not is_finite(c.added):
        parts.append("NaN/Inf")
    return ", ".join(parts)


def _axes(c: Contribution) -> str:
    return f"axis {c.axes[0]}" if len(c.axes) == 1 else f"axes {', '.join(map(str, c.axes))}"


def _verdict(c: Contribution) -> str:
    if c.check.status == "ok":
        return f"ok {c.check.error:.0e}" if c.check.error else "ok exact"
    return "WRONG" if c.check.status == "failed" else c.check.status


# --- one step --------------------------------------------------------------------------------------------------------


def _step(trace: Trace, step: Step, ascii: bool) -> list[str]:
    node = step.node
    place = f"{Path(node.file).name}:{node.line}   {node.code}" if node.file else ""
    lines = [f"Step {step.k} of {trace.total}   {str(step.op).upper()}   {step.name} = {node.computes}"]
    lines += [f"at       {place}"] if place else []
    lines += [f"law      {step.law}", *_numbers("forward", f"{step.name} {node.shape} {node.dtype}", _range(node.value), None)]
    size = f"|g| max {np.max(np.abs(step.incoming), initial=0):.4g}"
    lines += _numbers("in", f"d{trace.loss}/d{step.name} {step.incoming.shape}", size, step.incoming)
    for c in step.contributions:
        lines += ["", *_contribution(trace, c, ascii)]
    lines += ["", *textwrap.wrap(f"why      {step.why}", WIDTH, subsequent_indent=" " * 9)]
    saved = f"saved    {node.bytes_saved:,} bytes for the way back"
    around = [f"{word}: {s.k} {s.op}" for word, s in _neighbours(trace, step)]
    return [*lines, saved, "   ".join(around)]


def _neighbours(trace: Trace, step: Step) -> list[tuple[str, Any]]:
    at = trace.steps.index(step)
    after, before = trace.steps[at + 1 : at + 2], trace.steps[max(0, at - 1) : at]
    return [("next", s) for s in after] + [("previous", s) for s in before]


def _range(value: dict[str, Any]) -> str:
    bad = "".join(f"   {value[k]} {k.upper()}" for k in ("nan", "inf") if value[k])
    if value["min"] is None or isinstance(value["min"], str):
        return bad.strip()
    return f"min {value['min']:.4g}  max {value['max']:.4g}  mean {value['mean']:.4g}{bad}"


def _numbers(title: str, what: str, note: str, array: Any) -> list[str]:
    """'in       dL/dA (6, 2)      |g| max 12.2         [[1.29 5.62] ...'."""
    line = f"{title:<9}{what:<24}  {note}"
    if array is None:
        return [line]
    room = WIDTH - len(line) - 3
    return [f"{line}   {brief(array, room)}"] if room >= 24 else [line, f"{'':<9}{brief(array, WIDTH - 9)}"]


def _contribution(trace: Trace, c: Contribution, ascii: bool) -> list[str]:
    rule = bar_notation(c.argument, c.rule, ascii)
    lines = textwrap.wrap(f"rule     {rule}", WIDTH, subsequent_indent=" " * 9)
    if not ascii:
        lines += textwrap.wrap(f"         as code: {c.rule}", WIDTH, subsequent_indent=" " * 18)
    if c.axes:
        lines.append(f"         {c.to} was stretched {c.shape} → {c.raw_shape}: summed over {_axes(c)}, back to {c.shape}")
    lines += _numbers("out", f"d{trace.loss}/d{c.to} {c.shape}", _order(c), c.added)
    if c.before is not None:
        lines += [f"{'':<9}before  {brief(c.before, 60)}", f"{'':<9}+ added {brief(c.added, 60)}",
                  f"{'':<9}= after {brief(c.after, 60)}"]  # fmt: skip
    return [*lines, *_check(c)]


def _order(c: Contribution) -> str:
    return "the only contribution" if c.of == 1 else f"contribution {c.nth} of {c.of}"


def _check(c: Contribution) -> list[str]:
    k = c.check
    if k.status in ("kink", "skipped"):
        return textwrap.wrap(f"check    {k.status}: {k.reason}", WIDTH, subsequent_indent=" " * 9)
    verdict = "OK" if k.status == "ok" else "WRONG"
    lines = []
    if k.index is not None:
        at = f"{c.to}{list(k.index)}" if k.index else c.to
        lines.append(f"check    {at}: rule {k.analytic:.10g}   forward {k.numeric:.10g}   rel. {k.error:.1e}   {verdict}")
    if k.status == "failed":
        lines += textwrap.wrap(f"check    WRONG: {k.reason}", WIDTH, subsequent_indent=" " * 9)
    return lines


# --- one value -------------------------------------------------------------------------------------------------------


def _param(trace: Trace, name: str) -> list[str]:
    """All that flowed into the value called `name`."""
    flows = [c for step in trace.steps for c in step.contributions if c.to == name]
    if not flows:
        names = ", ".join(dict.fromkeys(c.to for step in trace.steps for c in step.contributions))
        raise DataError(f"nothing flowed into {name!r}", f"gradients were sent to: {_shorten(names, 200)}", "use one of these")
    shape = flows[0].shape
    lines = [f"d{trace.loss}/d{name} {shape}: {_many(flows[0].of, 'contribution')}"]
    for c in flows:
        lines += [f"step {c.k}, {c.op}: {bar_notation(c.argument, c.rule, ascii=True)}   {_verdict(c)}"]
        lines += [f"  + {brief(c.added, 80)}"] if c.of > 1 else []
    return [*lines, f"  = {brief(flows[-1].after, 80)}"]
