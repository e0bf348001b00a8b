"""The trace on a terminal: a table of steps, one step in full, or all that flowed into one value.

No control codes; with ``ascii=True`` nothing but ASCII.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from ...display import brief, is_finite
from ...errors import DataError, DtypeError
from ..record.notation import bar_notation
from ..record.steps import Contribution, Recording, Step

NARROW = 60  # columns; narrower screens are not served
SQUEEZED = 12  # columns that a formula of the table keeps on a narrow screen
LABEL = 9  # columns of the words on the left of a step
_ASCII = str.maketrans({"→": "->", "·": "*", "ᵀ": "^T", "²": "^2", "…": "..."})


def rendered(
    recording: Recording,
    step: int | None = None,
    param: str | None = None,
    ascii: bool = False,
    width: int = 88,
) -> str:
    """The table of steps, one step in full, or all that flowed into the value `param`; see
    `Trace.text`.
    """
    return Screen(recording, ascii, width).render(step, param)


class Screen:
    """A trace, and how it is to be written: `ascii`, and at most `width` columns."""

    def __init__(self, trace: Recording, ascii: bool, width: int) -> None:
        if width < NARROW:
            raise DataError(
                "the screen is too narrow", f"got width={width}", f"take {NARROW} columns or more"
            )
        self.trace, self.ascii, self.width = trace, ascii, width

    def render(self, step: int | None, param: str | None) -> str:
        """What `Trace.text` returns."""
        if step is not None:
            lines = self.step(self.find(step))
        elif param is not None:
            lines = self.param(param)
        else:
            lines = self.table()
        text = "\n".join(self.cut(line) for line in lines)
        return (
            text.translate(_ASCII).encode("ascii", "backslashreplace").decode()
            if self.ascii
            else text
        )

    def cut(self, line: str) -> str:
        line = line.rstrip()
        return line if len(line) <= self.width else line[: self.width - 4].rstrip() + " ..."

    def wrap(self, text: str, indent: int = LABEL) -> list[str]:
        """Long text on several lines, the later ones indented."""
        return textwrap.wrap(text, self.width, subsequent_indent=" " * indent)

    def find(self, k: int) -> Step:
        """Step number `k`; DataError if there is none, or it was not kept."""
        t = self.trace
        for step in t.steps:
            if step.k == k:
                return step
        if not isinstance(k, int):
            raise DtypeError(
                "step must be a whole number",
                f"got {k!r}",
                "text(step=3) shows step 3, text() the table of all",
            )
        known = f"this trace has {t.total} steps (1..{t.total}), recorded from {t.loss}"
        if 1 <= k <= t.total:
            kept = f"{known}; {len(t.steps)} of them were kept"
            raise DataError(f"step {k} was not kept", kept, "trace again with a larger max_steps")
        raise DataError(
            f"step {k} does not exist",
            known,
            f"choose a step from 1 to {t.total}; text() lists them",
        )

    # --- the table ---
    def heading(self) -> list[str]:
        t = self.trace
        params = sum(n.kind == "param" for n in t.nodes)
        lines = [
            f"{t.loss} = {t.value:.6g}   {_many(t.total, 'step')}, {_many(params, 'parameter')}, "
            f"{t.dtype}"
        ]
        checks = [c.check for step in t.steps for c in step.contributions]
        asked = [c for c in checks if c.status in ("ok", "failed")]
        wrong = sum(c.status == "failed" for c in asked)
        worst = max((c.error or 0.0 for c in asked if c.status == "ok"), default=0.0)
        rules = (
            f"{_many(len(asked), 'rule')} checked, {wrong or 'none'} wrong, max. rel. error "
            f"{worst:.1e}"
        )
        lines += self.wrap(rules if asked else "rules not checked", 2) + self.end_to_end()
        if t.origin is not None:
            s = t.origin
            lines += self.wrap(
                f"NaN/Inf is made at step {s.k}, {s.op}, on the way {_way(s)}: {s.trouble}", 2
            )
        if t.truncated:
            shown = f"showing {len(t.steps):,} of {t.total:,} steps"
            lines += self.wrap(f"{shown} ({t.truncated['reason']})", 0)
        return lines

    def end_to_end(self) -> list[str]:
        """What the gradients of the leaves are, as seen from the loss."""
        leaves = self.trace.leaves
        asked = [leaf for leaf in leaves if leaf.status in ("ok", "failed")]
        good = [leaf for leaf in asked if leaf.ok]
        lines = []
        if asked:
            worst = max((leaf.error or 0.0 for leaf in good), default=0.0)
            rest = f" ({len(leaves) - len(asked)} not checked)" if len(asked) < len(leaves) else ""
            all_of = f"{len(good)} of {len(asked)} agree with the loss as a whole{rest}"
            lines = self.wrap(f"gradients of leaves: {all_of}, max. rel. error {worst:.1e}", 2)
        for leaf in (leaf for leaf in asked if not leaf.ok):
            lines += self.wrap(
                f"end to end: {leaf.name} differs: gradient {leaf.analytic:.6g}, loss "
                f"{leaf.numeric:.6g}",
                2,
            )
        return lines

    def table(self) -> list[str]:
        rows: list[tuple[str, ...]] = []
        for step in self.trace.steps:
            left = (
                str(step.k),
                str(step.op),
                f"{step.name} = {step.node.computes}",
                str(step.incoming.shape),
            )
            for c in step.contributions:
                rows.append((*left, _destination(c), _verdict(c)))
                left = ("", "", "", "")
        titles = ("k", "op", "computes", "in-grad", "sends to", "check")
        return [*self.heading(), "", *self.columns(titles, rows, (5, 18, 44, 14, 44, 10))]

    def columns(
        self, titles: tuple[str, ...], rows: list[tuple[str, ...]], widest: tuple[int, ...]
    ) -> list[str]:
        """A table whose columns are as wide as they must be, and not wider than `widest`."""
        cells = [
            tuple(_shorten(cell, w) for cell, w in zip(row, widest, strict=True))
            for row in [titles, *rows]
        ]
        sizes = [max(len(row[k]) for row in cells) for k in range(len(titles))]
        for _ in range(max(0, sum(sizes) + 2 * (len(sizes) - 1) - self.width)):
            # of the two columns that may be long, the longer gives way
            k = max(2, 4, key=sizes.__getitem__)
            sizes[k] = max(sizes[k] - 1, SQUEEZED)
        lines = [
            "  ".join(_shorten(cell, w).ljust(w) for cell, w in zip(row, sizes, strict=True))
            for row in cells
        ]
        return [line.rstrip() for line in lines]

    # --- one step ---
    def step(self, step: Step) -> list[str]:
        node, loss = step.node, self.trace.loss
        lines = self.wrap(
            f"Step {step.k} of {self.trace.total}   {str(step.op).upper()}   {step.name} = "
            f"{node.computes}"
        )
        lines += [f"at       {Path(node.file).name}:{node.line}   {node.code}"] if node.file else []
        lines.append(f"law      {step.law}")
        lines += self.numbers(
            "forward", f"{step.name} {node.shape} {node.dtype}", _range(node.value)
        )
        size = f"|g| max {np.max(np.abs(step.incoming), initial=0):.4g}"
        lines += self.numbers(
            "in", f"d{loss}/d{step.name} {step.incoming.shape}", size, step.incoming
        )
        lines += (
            ["hook     a hook has changed it: this is no longer the sum of the contributions"]
            if step.hooked
            else []
        )
        if step.trouble:
            lines += self.wrap(f"NaN/Inf  is made here, on the way {_way(step)}: {step.trouble}")
        for c in step.contributions:
            lines += ["", *self.contribution(c)]
        lines += [
            "",
            *self.wrap(f"why      {step.why}"),
            f"saved    {node.bytes_saved:,} bytes for the backward pass",
        ]
        at = self.trace.steps.index(step)
        around = [
            ("next", self.trace.steps[at + 1 : at + 2]),
            ("previous", self.trace.steps[max(0, at - 1) : at]),
        ]
        return [
            *lines,
            "   ".join(f"{word}: {s.k} {s.op}" for word, steps in around for s in steps),
        ]

    def numbers(self, title: str, what: str, note: str, array: Any = None) -> list[str]:
        """'in       dL/dA (6, 2)      |g| max 12.2         [[1.29 5.62] ...'."""
        line = f"{title:<{LABEL}}{what:<24}  {note}"
        if array is None:
            return [line]
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
        lines += self.numbers("out", f"d{self.trace.loss}/d{c.to} {c.shape}", order, c.added)
        if c.before is not None:
            for words, array in (
                ("before  ", c.before),
                ("+ added ", c.added),
                ("= after ", c.after),
            ):
                lines.append(f"{'':<{LABEL}}{words}{brief(array, self.width - LABEL - 8)}")
        return [*lines, *self.check(c)]

    def check(self, c: Contribution) -> list[str]:
        k = c.check
        if k.status in ("kink", "skipped"):
            return self.wrap(f"check    {k.status}: {k.reason}")
        lines = []
        if k.index is not None:
            at = f"{c.to}{list(k.index)}" if k.index else c.to
            verdict = "OK" if k.status == "ok" else "WRONG"
            numbers = f"rule {k.analytic:.10g}   forward {k.numeric:.10g}   rel. {k.error:.1e}"
            lines += self.wrap(f"check    {at}: {numbers}   {verdict}")
        return lines + (self.wrap(f"check    WRONG: {k.reason}") if k.status == "failed" else [])

    # --- one value ---
    def param(self, name: str) -> list[str]:
        """All that flowed into the value called `name`."""
        flows = [c for step in self.trace.steps for c in step.contributions if c.to == name]
        if not flows:
            names = ", ".join(
                dict.fromkeys(c.to for step in self.trace.steps for c in step.contributions)
            )
            known = f"gradients were sent to: {_shorten(names, 200)}"
            raise DataError(f"nothing flowed into {name!r}", known, "use one of these")
        lines = [
            f"d{self.trace.loss}/d{name} {flows[0].shape}: {_many(flows[0].of, 'contribution')}"
        ]
        for c in flows:
            lines += [
                f"step {c.k}, {c.op}: {bar_notation(c.argument, c.rule, ascii=True)}   "
                f"{_verdict(c)}"
            ]
            lines += [f"  + {brief(c.added, self.width - 8)}"] if c.of > 1 else []
        lines.append(f"  = {brief(flows[-1].after, self.width - 8)}")
        for leaf in (
            leaf
            for leaf in self.trace.leaves
            if leaf.node == flows[0].node and leaf.error is not None
        ):
            verdict = "agrees with" if leaf.ok else "differs from"
            lines += self.wrap(
                f"along a random direction it {verdict} the loss as a whole: rel. {leaf.error:.1e}",
                2,
            )
        return lines


def _way(step: Step) -> str:
    return "forward" if step.node.trouble else "back"


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}" + ("" if n == 1 else "s")


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


def _range(value: dict[str, Any]) -> str:
    bad = "".join(f"   {value[k]} {k.upper()}" for k in ("nan", "inf") if value[k])
    if value["min"] is None or isinstance(value["min"], str):
        return bad.strip()
    if not value["shape"]:
        return f"{value['min']:.6g}{bad}"
    return f"min {value['min']:.4g}  max {value['max']:.4g}  mean {value['mean']:.4g}{bad}"
