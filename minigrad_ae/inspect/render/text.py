"""The trace on a terminal: a table of steps, one step in full, or all that flowed into one value.

No control codes; with ``ascii=True`` nothing but ASCII.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from ...arguments import counted, flag, instance, span, whole_number
from ...display import brief, cut, is_finite, many
from ...errors import DataError, DtypeError
from ..record.notation import bar_notation
from ..record.steps import Contribution, Recording, Step

NARROW = 60  # columns; narrower screens are not served
SQUEEZED = 12  # columns that a formula of the table keeps on a narrow screen
# of the table, with the width that they have at the most
COLUMNS = {"k": 5, "op": 18, "computes": 44, "in-grad": 14, "sends to": 44, "check": 10}
LABEL = 9  # columns of the words on the left of a step
HOOKED = "hook     a hook has changed it: this is no longer the sum of the contributions"
_ASCII = str.maketrans({"→": "->", "·": "*", "ᵀ": "^T", "²": "^2", "…": "..."})


class Screen:
    """A trace, and how it is to be written: `ascii`, and at most `width` columns."""

    def __init__(self, trace: Recording, ascii: bool = False, width: int = 88) -> None:
        fix, narrow = f"take {NARROW} columns or more", "the screen is too narrow"
        self.width = whole_number(width, "width", fix, NARROW, what=narrow)
        self.trace, self.ascii = trace, flag(ascii, "ascii")
        self.contributions = [c for step in trace.steps for c in step.contributions]

    def render(self, step: int | None = None, param: str | None = None) -> str:
        """The table of steps, one step in full, or all that flowed into the value `param`; see
        `Trace.text`.
        """
        if step is not None:
            lines = self.step(self.find(step))
        elif param is not None:
            lines = self.param(param)
        else:
            lines = self.table()
        text = "\n".join(cut(line.rstrip(), self.width, " ...") for line in lines)
        if not self.ascii:
            return text
        return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()

    def wrap(self, text: str, indent: int = LABEL) -> list[str]:
        """Long text on several lines, the later ones indented."""
        return textwrap.wrap(text, self.width, subsequent_indent=" " * indent)

    def find(self, k: int) -> Step:
        """Step number `k`; DataError if there is none, or it was not kept."""
        t = self.trace
        number = isinstance(k, int | np.integer)
        step = next((step for step in t.steps if number and step.k == k), None)
        if step is not None:
            return step
        if not number:
            fix = "text(step=3) shows step 3, text() the table of all"
            raise DtypeError("step must be a whole number", f"got {k!r}", fix)
        numbers = f" (1..{t.total})" if t.total > 1 else ""
        known = f"this trace has {counted(t.total, 'step')}{numbers}, recorded from {t.loss}"
        if 1 <= k <= t.total:
            kept = f"{known}; {len(t.steps)} of them were kept"
            raise DataError(f"step {k} was not kept", kept, "trace again with a larger max_steps")
        fix = f"choose step {span(1, t.total)}; text() lists them"
        raise DataError(f"step {k} does not exist", known, fix)

    # --- the table ---
    def heading(self) -> list[str]:
        t = self.trace
        params = sum(n.kind == "param" for n in t.nodes)
        lines = [
            f"{t.loss} = {t.value:.6g}   {many(t.total, 'step')}, {many(params, 'parameter')}, "
            f"{t.dtype}"
        ]
        asked = [c.check for c in self.contributions if c.check.judged]
        wrong = sum(not check.ok for check in asked)
        worst = max((check.error or 0.0 for check in asked if check.ok), default=0.0)
        rules = (
            f"{many(len(asked), 'rule')} checked, {wrong or 'none'} wrong, max. rel. error "
            f"{worst:.1e}"
        )
        lines += self.wrap(rules if asked else "rules not checked", 2) + self.end_to_end()
        s = t.origin
        if s is not None:
            made = f"NaN/Inf is made at step {s.k}, {s.op}, on the way {_way(s)}"
            lines += self.wrap(f"{made}: {s.trouble}", 2)
        for found in t.suspicions:
            lines += self.wrap(f"suspicion: {found}", 4)
        if t.truncated:
            lines += self.wrap(
                f"showing {len(t.steps):,} of {t.total:,} steps ({t.truncated['reason']})", 0
            )
        return lines

    def end_to_end(self) -> list[str]:
        """What the gradients of the leaves are, as seen from the loss."""
        leaves = self.trace.leaves
        asked = [leaf for leaf in leaves if leaf.judged]
        good = [leaf for leaf in asked if leaf.ok]
        lines = []
        if asked:
            worst = max((leaf.error or 0.0 for leaf in good), default=0.0)
            rest = f" ({len(leaves) - len(asked)} not checked)" if len(asked) < len(leaves) else ""
            all_of = f"{len(good)} of {len(asked)} agree with the loss as a whole{rest}"
            lines = self.wrap(f"gradients of leaves: {all_of}, max. rel. error {worst:.1e}", 2)
        for leaf in (leaf for leaf in asked if not leaf.ok):
            both = f"gradient {leaf.analytic:.6g}, loss {leaf.numeric:.6g}"
            lines += self.wrap(f"end to end: {leaf.name} differs: {both}", 2)
        return lines

    def table(self) -> list[str]:
        rows: list[tuple[str, ...]] = []
        for step in self.trace.steps:
            made = f"{step.name} = {step.node.computes}"
            left = (str(step.k), str(step.op), made, str(step.incoming.shape))
            for c in step.contributions:
                rows.append((*left, _destination(c), _verdict(c)))
                left = ("", "", "", "")
        return [*self.heading(), "", *self.columns(rows)]

    def columns(self, rows: list[tuple[str, ...]]) -> list[str]:
        """A table whose columns are as wide as they must be, and not wider than `COLUMNS` says."""
        cells = [
            [cut(cell, w) for cell, w in zip(row, COLUMNS.values(), strict=True)]
            for row in [tuple(COLUMNS), *rows]
        ]
        sizes = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for _ in range(max(0, sum(sizes) + 2 * (len(sizes) - 1) - self.width)):
            # of the two columns that may be long, the longer gives way
            k = max(2, 4, key=sizes.__getitem__)
            sizes[k] = max(sizes[k] - 1, SQUEEZED)
        return [
            "  ".join(cut(cell, w).ljust(w) for cell, w in zip(row, sizes, strict=True))
            for row in cells
        ]

    # --- one step ---
    def step(self, step: Step) -> list[str]:
        node = step.node
        lines = self.wrap(
            f"Step {step.k} of {self.trace.total}   {str(step.op).upper()}   {step.name} = "
            f"{node.computes}"
        )
        lines += [f"at       {Path(node.file).name}:{node.line}   {node.code}"] if node.file else []
        lines.append(f"law      {step.law}")
        made = f"{step.name} {node.shape} {node.dtype}"
        lines.append(f"forward  {made:<24}  {_range(node.value)}")
        size = f"|g| max {np.max(np.abs(step.incoming), initial=0):.4g}"
        lines += self.numbers("in", step.name, size, step.incoming)
        if step.hooked:
            lines.append(HOOKED)
        if step.trouble:
            lines += self.wrap(f"NaN/Inf  is made here, on the way {_way(step)}: {step.trouble}")
        for c in step.contributions:
            lines += ["", *self.contribution(c)]
        lines += ["", *self.wrap(f"why      {step.why}")]
        lines.append(f"saved    {node.bytes_saved:,} bytes for the backward pass")
        at, steps = self.trace.steps.index(step), self.trace.steps
        around = [f"next: {s.k} {s.op}" for s in steps[at + 1 : at + 2]]
        around += [f"previous: {s.k} {s.op}" for s in steps[max(0, at - 1) : at]]
        return [*lines, "   ".join(around)]

    def numbers(self, title: str, name: str, note: str, array: np.ndarray) -> list[str]:
        """'in       dL/dA (6, 2)      |g| max 12.2         [[1.29 5.62] ...'."""
        what = f"d{self.trace.loss}/d{name} {array.shape}"
        line = f"{title:<{LABEL}}{what:<24}  {note}"
        room, whole = self.width - len(line) - 3, brief(array, self.width - LABEL)
        if len(whole) <= room or room >= 24:
            return [f"{line}   {brief(array, room)}"]
        return [line, f"{'':<{LABEL}}{whole}"]

    def contribution(self, c: Contribution) -> list[str]:
        lines = self.wrap(f"rule     {bar_notation(c.argument, c.rule, self.ascii)}")
        if not self.ascii:
            lines += self.wrap(f"         as code: {c.rule}", 18)
        if c.axes:
            stretched = f"{c.to} was stretched {c.shape} → {c.raw_shape}"
            lines += self.wrap(f"         {stretched}: summed over {_axes(c)}, back to {c.shape}")
        order = "the only contribution" if c.of == 1 else f"contribution {c.nth} of {c.of}"
        lines += self.numbers("out", c.to, order, c.added)
        if c.before is not None:
            sums = {"before  ": c.before, "+ added ": c.added, "= after ": c.after}
            for words, array in sums.items():
                lines.append(f"{'':<{LABEL}}{words}{brief(array, self.width - LABEL - 8)}")
        return [*lines, *self.check(c)]

    def check(self, c: Contribution) -> list[str]:
        k = c.check
        if not k.judged:
            return self.wrap(f"check    {k.status}: {k.reason}")
        lines = []
        if k.index is not None:
            at = f"{c.to}{list(k.index)}" if k.index else c.to
            verdict = "OK" if k.ok else "WRONG"
            numbers = f"rule {k.analytic:.10g}   forward {k.numeric:.10g}   rel. {k.error:.1e}"
            lines += self.wrap(f"check    {at}: {numbers}   {verdict}")
        return lines if k.ok else [*lines, *self.wrap(f"check    WRONG: {k.reason}")]

    # --- one value ---
    def param(self, name: str) -> list[str]:
        """All that flowed into the value called `name`."""
        instance(name, str, "param", 'pass the name of a value, such as param="W"')
        flows = [c for c in self.contributions if c.to == name]
        if not flows:
            names = ", ".join(dict.fromkeys(c.to for c in self.contributions))
            known = f"gradients were sent to: {cut(names, 200)}"
            raise DataError(f"nothing flowed into {name!r}", known, "use one of these")
        first, last = flows[0], flows[-1]
        lines = [f"d{self.trace.loss}/d{name} {first.shape}: {many(first.of, 'contribution')}"]
        for c in flows:
            rule = bar_notation(c.argument, c.rule, ascii=True)
            lines.append(f"step {c.k}, {c.op}: {rule}   {_verdict(c)}")
            lines += [f"  + {brief(c.added, self.width - 8)}"] if c.of > 1 else []
        lines.append(f"  = {brief(last.after, self.width - 8)}")
        for leaf in self.trace.leaves:
            if leaf.node == first.node and leaf.error is not None:
                verdict = "agrees with" if leaf.ok else "differs from"
                found = f"along a random direction it {verdict} the loss as a whole"
                lines += self.wrap(f"{found}: rel. {leaf.error:.1e}", 2)
        return lines


def _way(step: Step) -> str:
    return "forward" if step.node.trouble else "back"


def _destination(c: Contribution) -> str:
    marks = {f"sum over {_axes(c)}": c.axes, f"{c.nth} of {c.of}": c.of > 1}
    marks["NaN/Inf"] = not is_finite(c.added)
    return ", ".join([f"{c.to} {c.shape}", *(mark for mark, holds in marks.items() if holds)])


def _axes(c: Contribution) -> str:
    return f"axis {c.axes[0]}" if len(c.axes) == 1 else f"axes {', '.join(map(str, c.axes))}"


def _verdict(c: Contribution) -> str:
    check = c.check
    right = f"ok {check.error:.0e}" if check.error else "ok exact"
    return {"ok": right, "failed": "WRONG"}.get(check.status, check.status)


def _range(value: dict[str, Any]) -> str:
    bad = "".join(f"   {value[k]} {k.upper()}" for k in ("nan", "inf") if value[k])
    if value["min"] is None or isinstance(value["min"], str):
        return bad.strip()
    if not value["shape"]:
        return f"{value['min']:.6g}{bad}"
    return f"min {value['min']:.4g}  max {value['max']:.4g}  mean {value['mean']:.4g}{bad}"
