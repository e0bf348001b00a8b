"""The page: a trace as one HTML file that needs no network.

Everything that a reader may see is in the file: the steps and the places of the graph as JSON, the
whole story as text (for print, and where there is no JavaScript).  Its policy (CSP) allows this
script and this style sheet, by their hashes, and nothing else; text from the traced program reaches
the page only as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import math
from collections.abc import Iterator
from importlib import resources
from typing import Any

import numpy as np

from ...display import corner, number, numbers, summary
from ..record.names import short_path, told_apart
from ..record.steps import Contribution, Node, Recording, Step, reaches_parameter, sound
from . import whatif
from .listing_pane import pane
from .listing_pane import report as told
from .mathml import equation
from .placing import LETTERS, drawing, shown_nodes
from .predict import HINTS, question
from .text import Screen

CAP = 5_000_000  # bytes of a page
TOLD = 200  # steps; the text report has each of a shorter trace in full
SCRIPTS = "base nd laws cards predict view draw graph program whatif walk".split()
AT = 987_654_321  # in place of a step's number
HEADS = (64, 16, 4)  # elements of an array on the page: as many as the cap allows


def page(trace: Recording, cap: int = CAP, program: Any = None) -> str:
    """The page as text, at most `cap` bytes; what had to be left out is said in a banner.

    `program` is what `Trace.html` takes.
    """
    steps = list(trace.steps)
    extra = None if program is None else (pane(trace, program), told(program))
    sizes = [math.prod(n.shape) for n in trace.nodes] + [a.size for a in _arrays(steps)]
    # of small arrays all of them show the same
    by_what_is_shown = {min(h, max(sizes, default=0)): min(h, trace.arrays) for h in HEADS[::-1]}
    heads = sorted(by_what_is_shown.values(), reverse=True)
    while True:
        hopeful = [h for h in heads if _least(steps, h) < cap]
        for head in hopeful or heads[-1:]:
            text = _assembled(trace, steps, head, extra)
            if len(text.encode()) <= cap or (len(steps) <= 2 and head == heads[-1]):
                return text
        ratio = cap / len(text.encode())
        steps = _fewer(trace, steps, max(2, int(0.9 * ratio * len(steps))))


def _least(steps: list[Step], head: int) -> int:
    """Bytes that the numbers take at the very least: three characters each, every array once."""
    return 3 * sum({id(a): min(a.size, head) for a in _arrays(steps)}.values())


def _arrays(steps: list[Step]) -> Iterator[np.ndarray]:
    """What the steps sent, and what it made of the gradients."""
    return (a for s in steps for c in s.contributions for a in (c.added, c.after))


def _fewer(trace: Recording, steps: list[Step], most: int) -> list[Step]:
    """First and last steps, and between them those that tell most: failures, NaN, parameters."""
    edge = max(1, most // 3)
    middle = steps[edge:-edge]
    telling = [s for s in middle if not sound(s) or reaches_parameter(s, trace.nodes)]
    telling.sort(key=sound)
    kept = {s.k for s in [*steps[:edge], *steps[-edge:], *telling[: max(0, most - 2 * edge)]]}
    return [s for s in steps if s.k in kept]


def _assembled(
    trace: Recording, steps: list[Step], head: int, program: tuple[dict[str, Any], str] | None
) -> str:
    data = _Data(trace, steps, head)
    screen = Screen(trace)
    report = [screen.render()]
    if len(steps) <= TOLD:
        report += [screen.render(step=s.k) for s in steps]
    report += [program[1]] if program else []
    style = _file("page.css")
    scripts = "".join(_scripts(trace, bool(program), "off" not in data.live))
    script = f'"use strict";\n(() => {{\n{scripts}}})();\n'
    bare = ".app{display:none}.report{display:block}"
    nothing_else = "default-src 'none'; base-uri 'none'; form-action 'none'"
    styles = f"style-src {_hash(style)} {_hash(bare)}"
    record = json.dumps(
        data.record() | ({"program": program[0]} if program else {}),
        separators=(",", ":"),
        allow_nan=False,
    )
    parts = {
        "STYLE": style,
        "SCRIPT": script,
        "BARE": bare,
        "CSP": f"{nothing_else}; {styles}; script-src {_hash(script)}",
        "DATA": record.replace("<", "\\u003c"),
    }
    texts = {"TITLE": f"Backward pass of {trace.loss}", "BANNER": data.banner}
    texts["REPORT"] = "\n\n".join(report)
    parts |= {name: html.escape(text) for name, text in texts.items()}
    parts["SUSPICIONS"] = "".join(_suspicions(trace))
    pieces = _file("page.html").split("%%")
    return "".join(parts[piece] if k % 2 else piece for k, piece in enumerate(pieces))


def _suspicions(trace: Recording) -> Iterator[str]:
    """What is suspected, as a part of the page; nothing where nothing is."""
    if trace.suspicions:
        yield '<details class="app banner" id="suspicions" open><summary>Suspicions</summary><ul>'
        yield from (f"<li>{html.escape(found)}</li>" for found in trace.suspicions)
        yield "</ul></details>"


def _scripts(trace: Recording, program: bool, live: bool) -> Iterator[str]:
    """The parts of the script that this page needs."""
    wanted = {"nd": live, "laws": live, "whatif": live, "program": program}
    for part in SCRIPTS:
        if wanted.get(part, True):
            yield whatif.program(trace) if part == "laws" else _file(f"{part}.js")


def _file(name: str) -> str:
    return resources.files(__package__).joinpath("web").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


class _Data:
    """The trace as small JSON: each array and each phrase once, referred to by number."""

    def __init__(self, trace: Recording, steps: list[Step], head: int) -> None:
        self.trace, self.kept, self.head = trace, steps, head
        self.known: dict[Any, int] = {}
        self.arrays: dict[str, tuple[int, dict[str, Any]]] = {}
        self.phrases: dict[str, int] = {}
        self.formulas: dict[str, tuple[int, Any]] = {}
        self.short = told_apart([n.name for n in shown_nodes(trace.nodes)], LETTERS)
        self.values = [self.array(n.value) for n in trace.nodes]
        self.steps = [self.step(s) for s in steps]
        self.banner = self.warning()
        self.live = whatif.numbers(trace, steps)

    def array(self, s: Any) -> int:
        """The number of an array, or of the summary of one."""
        key = id(s) if isinstance(s, dict) else (s.shape, s.dtype.char, s.tobytes())
        if key not in self.known:
            self.known[key] = self.shown(s if isinstance(s, dict) else summary(s, self.head))
        return self.known[key]

    def shown(self, s: dict[str, Any]) -> int:
        """The number of a summary, as the page has it."""
        head = corner(np.array(s["head"], dtype=object).reshape(s["head_shape"]), self.head)
        short = {"s": s["shape"], "v": [_digits(x) for x in head.ravel()], "h": head.shape}
        short |= {k: _digits(s[k]) for k in ("min", "max", "mean") if s[k] is not None}
        short |= {k: s[k] for k in ("nan", "inf") if s[k]}
        return self.arrays.setdefault(json.dumps(short), (len(self.arrays), short))[0]

    def phrase(self, text: str) -> int:
        """The number of a text."""
        return self.phrases.setdefault(text, len(self.phrases))

    def formula(self, c: Contribution) -> int:
        """The number of a rule as mathematics; of an input of many, by the name of all of them."""
        parts = equation(c.argument.partition("[")[0], c.rule)
        return self.formulas.setdefault(json.dumps(parts), (len(self.formulas), parts))[0]

    def step(self, s: Step) -> dict[str, Any]:
        short: dict[str, Any] = {
            "k": s.k,
            "n": s.node.id,
            "law": self.phrase(s.law),
            "why": self.phrase(s.why),
        }
        short |= {"g": self.array(s.incoming), "ok": int(s.ok), "fin": int(s.finite)}
        short["o"] = [self.contribution(s, c) for c in s.contributions]
        short |= {"hook": 1} if s.hooked else {}
        return short | ({"made": self.phrase(s.trouble)} if s.trouble else {})

    def contribution(self, s: Step, c: Contribution) -> dict[str, Any]:
        k = c.check
        check = {"st": k.status, "n": k.n, "tol": k.tolerance, "why": k.reason, "i": k.index}
        check |= numbers({"a": k.analytic, "b": k.numeric, "e": k.error})
        out = {
            "to": c.node,
            "arg": c.argument,
            "rule": self.phrase(c.rule),
            "bar": self.formula(c),
            "add": self.array(c.added),
            "nth": c.nth,
            "of": c.of,
            "ck": check,
        }
        if c.axes:
            out |= {"raw": c.raw_shape, "axes": c.axes}
        if c.before is not None:
            out |= {"bef": self.array(c.before), "aft": self.array(c.after)}
        asked = question(s, c, self.trace.nodes[c.node].value, self.head)
        return out | ({"q": asked} if asked else {})

    def warning(self) -> str:
        """What had to be left out."""
        t, parts, shown = self.trace, [], len(self.kept)
        cap = f"to keep the page below {CAP / 1e6:g} MB"
        if shown < t.total:
            reasons = [t.truncated["reason"]] if t.truncated else []
            if shown < len(t.steps):
                reasons.append(f"first and last steps, failures, NaN and parameters, {cap}")
            parts.append(f"showing {shown:,} of {t.total:,} steps: {'; '.join(reasons)}")
        if self.head < min(HEADS[0], t.arrays):
            parts.append(f"arrays show at most their first {self.head} elements, {cap}")
        return ". ".join(parts)

    def record(self) -> dict[str, Any]:
        t = self.trace
        head = {
            "schema": 1,
            "loss": t.loss,
            "value": number(t.value),
            "dtype": t.dtype,
            "seed": t.seed,
            "script": short_path(t.script),
            "total": t.total,
            "hints": HINTS,
        }
        tables = {
            "nodes": [self.node(n) for n in t.nodes],
            "arrays": [short for _, short in self.arrays.values()],
            "phrases": list(self.phrases),
            "formulas": [parts for _, parts in self.formulas.values()],
            "steps": self.steps,
        }
        tables |= {"drawing": drawing(t.nodes), "live": self.live}
        leaves = {f.node: {"st": f.status, "e": f.error, "why": f.reason} for f in t.leaves}
        tables["again"] = t.command(AT).split(str(AT))
        return {**head, **tables, "origin": t.origin.k if t.origin else None, "leaves": leaves}

    def node(self, n: Node) -> dict[str, Any]:
        short: dict[str, Any] = {"name": n.name, "kind": n.kind, "v": self.values[n.id]}
        short |= {"dt": n.dtype} if n.dtype != self.trace.dtype else {}
        label = self.short.get(n.name, n.name)
        short |= {"label": label} if label != n.name else {}
        if n.op:
            short |= {
                "op": n.op,
                "is": n.computes,
                "par": n.parents,
                "mem": n.bytes_saved,
            }
        short |= {k: self.phrase(text) for k, text in (("src", n.src), ("code", n.code)) if text}
        return short | ({"fan": n.fanout} if n.fanout > 1 else {})


def _digits(x: float | str) -> float | str:
    """Six digits are enough to look at."""
    return x if isinstance(x, str) else float(f"{x:.6g}")


class Framed:
    """The page for a notebook: in a frame of its own that may run its script, nothing else."""

    def __init__(self, trace: Recording, program: Any = None) -> None:
        self.title, self.page = f"Backward pass of {trace.loss}", page(trace, program=program)

    def __repr__(self) -> str:
        return f"<{self.title}: a page of {len(self.page):,} characters, shown by a notebook>"

    def _repr_html_(self) -> str:
        name, inner = html.escape(self.title), html.escape(self.page)
        look = 'sandbox="allow-scripts" style="width:100%;height:720px;border:1px solid #8884"'
        return f'<iframe title="{name}" {look} srcdoc="{inner}"></iframe>'
