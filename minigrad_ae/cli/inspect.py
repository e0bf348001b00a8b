"""``minigrad-ae inspect SCRIPT``: run a script, then walk the backward pass of its loss."""

from __future__ import annotations

import argparse
import shutil
import sys
import traceback
import types
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, redirect_stdout, suppress
from pathlib import Path
from typing import Any

from ..arguments import span
from ..autodiff import engine
from ..autodiff.graph import Value, Watcher, watchers
from ..autodiff.staleness import refuse_changed
from ..errors import DataError, FileError, GradientError, MinigradError
from ..files import read_at_most
from ..inspect.diagnose.diff import compare_files
from ..inspect.record.asked import Asked
from ..inspect.render.stepper import only_ascii, say, typed, walk_by_lines
from ..inspect.render.text import NARROW
from ..inspect.suspicions.watching import watch
from ..inspect.tracing import Trace, listeners, trace
from .output import writable

STDOUT = Path("-")
NEXT = "next: {}   (or -i: walk by typing; --html page.html: write the page)"
AGAIN = (
    "the parameters were changed after the loss was computed: it is computed again here, from the "
    "same ops"
)
LEAVE = "leave a scalar tensor in a variable called loss"
WIDEST = 120  # columns; longer lines are hard to read
LONGEST = 16_000_000  # bytes of a script
HELP = "walk the backward pass of a script's loss, step by step"
OPTIONS = {
    "script": {
        "metavar": "SCRIPT",
        "type": Path,
        "help": "a script with a variable `loss`; or a trace, with --diff",
    },
    "--step": {"type": int, "metavar": "K", "help": "one step in full"},
    "--from": {"type": int, "metavar": "A", "dest": "first", "help": "steps from A on in full"},
    "--to": {"type": int, "metavar": "B", "dest": "last", "help": "steps up to B in full"},
    "--all": {"action": "store_true", "help": "every step in full"},
    "--trace": {
        "type": int,
        "metavar": "N",
        "dest": "number",
        "help": "the N-th trace that the script makes itself, in place of that of `loss`",
    },
    "--param": {"metavar": "NAME", "help": "all that flowed into NAME"},
    "--html": {"type": Path, "metavar": "F", "help": "write the page: one file, no network"},
    "--png": {
        "type": Path,
        "metavar": "F",
        "help": "write the picture of the graph (.png or .svg)",
    },
    "--json": {
        "type": Path,
        "metavar": "F",
        "nargs": "?",
        "const": STDOUT,
        "help": "write the trace to F, or print it",
    },
    "--diff": {"type": Path, "metavar": "B.json", "help": "the first step where two traces part"},
    "--max-steps": {
        "type": int,
        "default": 2000,
        "metavar": "N",
        "help": "keep at most so many steps (2000)",
    },
    "--ascii": {"action": "store_true", "help": "nothing but ASCII"},
    "--width": {
        "type": int,
        "metavar": "N",
        "help": "at most N columns (those of the terminal; 88 in a pipe)",
    },
    "-i --interactive": {"action": "store_true", "help": "walk by typing: n, p, g 5, w NAME, q"},
}


def inspect(args: argparse.Namespace, rest: list[str]) -> int:
    """Trace the script's loss, write what is asked for, print the rest; 1 if a check failed (or two
    traces differ).
    """
    if args.diff is not None:
        text, same = compare_files(args.script, args.diff)
        say(text, sys.stdout)
        return int(not same)
    if args.max_steps < 1:
        raise DataError(
            "--max-steps must be at least 1", f"got {args.max_steps}", "leave it out for 2000"
        )
    for option, path in (("--html", args.html), ("--png", args.png), ("--json", args.json)):
        if path != STDOUT:
            writable(path, option)
    args.ascii = args.ascii or only_ascii(sys.stdout)
    t, note = _traced(args, rest)
    text = _shown(t, args)
    if note:
        print(f"note: {note}", file=sys.stderr)
    _write(t, args)
    if args.interactive:
        walk_by_lines(t, typed(), sys.stdout, args.ascii, _width(args))
    else:
        say(text, sys.stdout)
        views = (args.step, args.param, args.first, args.last, args.html, args.png, args.json)
        asked = args.all or any(option is not None for option in views)
        if sys.stderr.isatty() and not asked:
            print(f"\n{NEXT.format(t.command(t.steps[0].k))}", file=sys.stderr)
    return int(not t.ok)


def _traced(args: argparse.Namespace, arguments: Sequence[str]) -> tuple[Trace, str]:
    """(the trace that is asked for, a note or '')."""
    if args.number is not None:
        return made_by(args.script, args.number, arguments), ""
    loss, scope, note = loss_of(args.script, arguments)
    t = trace(loss, max_steps=args.max_steps, scope=scope, script=str(args.script))
    t.asked = Asked(str(args.script), None, tuple(arguments))
    return t, note


def _shown(t: Trace, args: argparse.Namespace) -> str:
    """What goes to the screen: the table, steps in full, one value, or the record."""
    look = {"ascii": args.ascii, "width": _width(args)}
    if args.json == STDOUT:
        return t.json()
    if args.all or args.first is not None or args.last is not None:
        first, last = args.first or 1, args.last or t.total
        for k in (first, last):
            t.text(step=k, **look)  # refuses what does not exist
        return "\n\n".join(t.text(step=s.k, **look) for s in t.steps if first <= s.k <= last)
    return t.text(step=args.step, param=args.param, **look)


def _width(args: argparse.Namespace) -> int:
    """As asked for; as wide as the terminal, within reason; 88 in a pipe."""
    if args.width is not None:
        return int(args.width)
    if not sys.stdout.isatty():
        return 88
    return min(max(shutil.get_terminal_size((88, 24)).columns, NARROW), WIDEST)


def _write(t: Trace, args: argparse.Namespace) -> None:
    for path, method in ((args.html, t.html), (args.png, t.png), (args.json, t.json)):
        if path is not None and path != STDOUT:
            method(path)
            print(f"wrote {path} ({path.stat().st_size:,} bytes)", file=sys.stderr)


# --- the script's loss ----------------------------------------------------------------------------


class _LastRoot(Watcher):
    """Remembers from which value the last backward pass started."""

    root: Value | None = None

    def begins(self, order: list[Value]) -> None:
        self.root = order[-1]


def made_by(script: Path, number: int, arguments: Sequence[str] = ()) -> Trace:
    """The trace number `number` of those that a script makes when it is run."""
    traces: list[Trace] = []
    listeners.append(traces)
    try:
        run(script, arguments)
    finally:
        listeners.remove(traces)
    own = [t for t in traces if t.asked and t.asked.number == number]
    if not own:
        made = sum(t.asked is not None for t in traces)
        raise DataError(
            f"{script.name} has no trace number {number}",
            f"it called mg.trace {made} times" if made else "it never called mg.trace",
            f"choose {span(1, made)}" if made else "leave --trace out: its `loss` is traced",
        )
    return own[0]


def loss_of(script: Path, arguments: Sequence[str] = ()) -> tuple[Value, dict[str, Any], str]:
    """(loss, the script's variables, a note or '') of a script, which is run: `loss`, or where
    the last backward pass started.
    """
    last = _LastRoot()
    watchers.append(last)
    try:
        with watch():
            scope = run(script, arguments)
    finally:
        watchers.remove(last)
    newest = sorted(filter(_is_loss, scope.values()), key=lambda v: -v.serial)
    candidates = [scope.get("loss"), last.root, *newest]
    loss = next(filter(_is_loss, candidates), None)
    if loss is None:
        raise DataError(f"{script.name} has no loss to inspect", *_no_loss(scope.get("loss")))
    order = engine.topological(loss)
    try:
        refuse_changed(order)
        moved = any(value.op is None and value.changed > loss.serial for value in order)
    except GradientError:
        moved = True
    if moved:
        fresh = recomputed(loss)
        scope = {k: fresh.get(v, v) if isinstance(v, Value) else v for k, v in scope.items()}
        return fresh[loss], scope, AGAIN
    return loss, scope, ""


def _no_loss(found: Any) -> tuple[str, str]:
    """(what the script left instead of a loss, how to fix it)."""
    if found is None:
        return "it ran to its end and left no scalar tensor with a gradient", LEAVE
    if not isinstance(found, Value):
        return f"its `loss` is not a tensor but a {type(found).__name__}", LEAVE
    story = f"its `loss` has shape {found._data.shape}"
    if not found.requires_grad:
        fix = (
            "make a parameter with mg.tensor(..., requires_grad=True), and compute the loss from "
            "it outside no_grad()"
        )
        return f"{story} and requires no gradient", fix
    if found.op is None:
        return (
            "its `loss` is a leaf: nothing was computed",
            "compute it: loss = (prediction - target).square().sum()",
        )
    return story, "reduce it to a scalar: loss = loss.sum()"


def _is_loss(found: Any) -> bool:
    if not isinstance(found, Value) or found.op is None:
        return False
    return found.requires_grad and found._data.size == 1


def recomputed(loss: Value) -> dict[Value, Value]:
    """{old: new} of every computed value of a graph, from the current data of its leaves."""
    new: dict[Value, Value] = {}
    for value in engine.topological(loss):
        if value.op is not None:  # a leaf stays itself
            inputs = (new.get(a, a) if isinstance(a, Value) else a for a in value.inputs)
            new[value] = value.op.record(tuple(inputs), dict(value.params))
            new[value].origin, new[value].name = value.origin, value.name
    return new


def run(script: Path, arguments: Sequence[str] = ()) -> dict[str, Any]:
    """The variables of a script after it ran as ``python script *arguments`` would; what it prints
    goes to stderr, what a lesson prints nowhere.
    """
    if script.suffix == ".json":
        fix = (
            f"compare it with another: minigrad-ae inspect {script} --diff OTHER.json; or name "
            "the Python script"
        )
        raise DataError("a recorded trace cannot be run", str(script), fix)
    try:
        text = read_at_most(script, LONGEST, "the script", "name a Python script")
        code = compile(text, str(script), "exec")
    except FileError:
        raise
    except OSError as error:
        raise FileError(
            "the script cannot be read", f"{script}: {error.strerror}", "name a Python script"
        ) from None
    except (SyntaxError, ValueError) as error:
        raise DataError(
            "the script is not a Python program", f"{script}: {error}", "does `python` run it?"
        ) from None
    module = types.ModuleType("__main__")
    module.__dict__.update(__file__=str(script), __builtins__=__builtins__)
    before = sys.argv, sys.modules["__main__"], list(sys.path)
    sys.argv, sys.modules["__main__"] = [str(script), *arguments], module
    sys.path.insert(0, str(script.resolve().parent))
    try:
        # a script that ends by sys.exit still leaves its variables
        with redirect_stdout(sys.stderr), _short_form(text), suppress(SystemExit):
            exec(code, module.__dict__)
    except MinigradError:
        raise
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(script)]
        line = lines[-1] if lines else "?"
        what = f"{script.name} stopped with {type(error).__name__} in line {line}"
        raise DataError(
            what,
            " ".join(str(error).split()) or "no message",
            f"correct the script: python {script} shows more",
        ) from None
    finally:
        sys.argv, sys.modules["__main__"], sys.path[:] = before
    return dict(module.__dict__)


def _short_form(text: bytes) -> AbstractContextManager[None]:
    """In here a lesson runs in its short form, and prints and writes nothing."""
    if b"teaching.lesson" not in text:
        return nullcontext()
    from ..teaching.lesson import inspected

    return inspected()
