"""What the tests and claims would notice: one generic fault in every computing line.

    nox -s mutants                                                  all of them (an hour or two)
    nox -s mutants -- --sample 200 --module models/linear.py        of these, at most so many
    nox -s mutants -- --again                                       the survivors of the last time
    nox -s mutants -- --rest --minutes 8                            modules that the table lacks

The table of results is written by the whole, by `--rest` (of each module that was done to the end)
and by `--again`, or where `--out` says.

A computing line is one on which an expression of a function in `models/`, `nn/`, `optim/` or
`data/corruptions.py` begins that adds, multiplies, negates, or calls a function with values.  Its
fault is chosen by the text of the line, so that it is the same at every run: a sign flipped, a
factor 1.05, a term or factor dropped, two arguments swapped.

Which tests (`ASKED`) and claims run which line is measured once (coverage.py).  Then one process
forks for each fault: the child gives the functions that are alive the code with the fault, and runs
what reaches the line, tests before claims and the quickest first, until one fails.  What hangs is
stopped, and counts as noticed; what is not noticed within `--budget` seconds has survived.  No file
of the checkout is changed but the table of results.  There, `equivalent` is written by hand: the
survivors that no test can notice, as {module, function, line, fault, reason}.
"""

from __future__ import annotations

import argparse
import ast
import copy
import functools
import gc
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
import types
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "benchmarks"))
from machine import machine  # noqa: E402

PACKAGE = ROOT / "minigrad_ae"
SUBJECTS = ("models", "nn", "optim", "data/corruptions.py")
RESULTS = Path(__file__).parent / "mutants.json"
# The tests of these subjects, which read no digest, text or page that a fault changes by itself.
ASKED = """checkpoint components data_more deep_experiments denoising_model image_patches lbfgs
line_search linear_vae_model masked_arrays masked_model module_state nn nonlinear_models optim
optim_errors optim_rows slide_algorithm sparse_model subspace train transfer
variational_diagnostics variational_model vision""".split()
FACTOR = 1.05

# Methods of an array that compute without arguments.
METHODS = {"sum", "mean", "std", "var", "max", "min", "prod", "argmax", "argmin", "transpose"}
# They make, view or ask, and compute nothing.
PLAIN = set(
    """array asarray ascontiguousarray atleast_1d atleast_2d broadcast_shapes broadcast_to copy
    default_rng dtype empty empty_like errstate expand_dims finfo full integer isfinite isinstance
    isnan isscalar issubdtype ndim real result_type shape size zeros zeros_like all any
    array_equal may_share_memory shares_memory can_cast isdtype iscomplexobj copyto getbufsize
    getattr setattr hasattr zip map range len print format join get append pop reshape astype
    super type load save update setdefault index endswith startswith replace split""".split()
)


# --- faults ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutant:
    """A fault: which expression of a module, and what becomes of it."""

    module: str  # models/linear.py
    function: str  # LinearAutoencoder.loss
    span: tuple[int, int]  # the lines of its statement
    text: str  # the line
    fault: str  # "sign flipped: a + b"
    place: int  # of the expression, as `ast.walk` counts
    kind: str


def times_factor(node: ast.expr) -> ast.expr:
    return ast.BinOp(node, ast.Mult(), ast.Constant(FACTOR))


def first_of_both(node: Any) -> ast.expr:
    """Both sides are computed, so that the same names are used and the same numbers drawn."""
    both = ast.Tuple([node.left, node.right], ast.Load())
    return ast.Subscript(both, ast.Constant(0), ast.Load())


def sign_flipped(node: Any) -> ast.expr:
    if isinstance(node, ast.UnaryOp):
        return node.operand
    other = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
    return ast.BinOp(node.left, other, node.right)


def arguments_swapped(node: Any) -> ast.expr:
    first, second, *others = node.args
    return ast.Call(node.func, [second, first, *others], node.keywords)


FAULTS: dict[str, Callable[[Any], ast.expr]] = {
    "sign flipped": sign_flipped,
    "term dropped": first_of_both,
    "factor dropped": first_of_both,
    "factor 1.05": times_factor,
    "arguments swapped": arguments_swapped,
}


def kinds(node: ast.AST) -> list[str]:
    """The faults that an expression can have; none for one that computes nothing."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return [] if isinstance(node.operand, ast.Constant) else ["sign flipped"]
    if isinstance(node, ast.BinOp):
        if any(isinstance(part, NOT_NUMBERS) or text(part) for part in (node.left, node.right)):
            return []
        if isinstance(node.op, ast.Add | ast.Sub):
            return ["sign flipped", "term dropped"]
        known = ast.Mult | ast.Div | ast.MatMult | ast.Pow | ast.FloorDiv | ast.Mod
        return ["factor 1.05", "factor dropped"] if isinstance(node.op, known) else []
    if isinstance(node, ast.Call):
        return kinds_of_call(node)
    return []


NOT_NUMBERS = (ast.JoinedStr, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp)


def text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def kinds_of_call(node: ast.Call) -> list[str]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    words = any(text(a) or isinstance(a, ast.JoinedStr) for a in node.args)
    if name in PLAIN or name[:1].isupper() or words or not (node.args or name in METHODS):
        return []
    first = node.args[:2]
    fixed = any(isinstance(a, (ast.Starred, ast.Constant, *NOT_NUMBERS)) for a in first)
    return ["factor 1.05"] if fixed or len(first) < 2 else ["factor 1.05", "arguments swapped"]


def statements(tree: ast.Module) -> Iterator[tuple[str, tuple[int, int], list[ast.AST]]]:
    """(function, lines, expressions) of every statement in a function that may compute."""

    def within(body: Iterable[ast.stmt], name: str, inside: bool) -> Iterator[Any]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                function = isinstance(node, ast.FunctionDef)
                if node.name not in ("__repr__", "__str__"):
                    yield from within(node.body, f"{name}.{node.name}".strip("."), function)
                continue
            parts = [v for _, v in ast.iter_fields(node)]
            blocks = [v for v in parts if isinstance(v, list) and v and isinstance(v[0], ast.stmt)]
            heads = [
                n for v in parts if v not in blocks for n in (v if isinstance(v, list) else [v])
            ]
            heads = [n for n in heads if isinstance(n, ast.expr | ast.withitem)]
            if inside and heads and not isinstance(node, ast.Raise | ast.Assert | ast.AnnAssign):
                yield name, (node.lineno, max(last(n) for n in heads)), heads
            if inside and isinstance(node, ast.AnnAssign) and node.value is not None:
                yield name, (node.lineno, last(node.value)), [node.value]
            for block in blocks:
                yield from within(block, name, inside)

    yield from within(tree.body, "", False)


def without_factor(tree: ast.Module) -> Iterator[ast.expr]:
    """What nobody takes, or takes apart, or asks only for its truth or its sign: there a factor is
    a type error or nothing.
    """
    for node in ast.walk(tree):
        taken_apart = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple)
        if taken_apart or isinstance(node, ast.Expr):
            yield node.value
        elif isinstance(node, ast.If | ast.While | ast.IfExp):
            yield node.test
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield node.operand
        elif isinstance(node, ast.BoolOp):
            yield from node.values
        elif isinstance(node, ast.Compare) and ast.unparse(node.comparators[0]) in ("0", "0.0"):
            yield node.left


def last(node: ast.AST) -> int:
    return max(getattr(n, "end_lineno", None) or 0 for n in ast.walk(node))


def mutants_of(source: str, module: str) -> list[Mutant]:
    """One for each computing line of a module, from its first line to its last."""
    tree, lines = ast.parse(source), source.splitlines()
    places = {id(node): place for place, node in enumerate(ast.walk(tree))}
    not_scaled = {id(node) for node in without_factor(tree)}
    found: dict[int, list[tuple[str, tuple[int, int], Any, list[str]]]] = {}
    for function, span, heads in statements(tree):
        for node in (n for head in heads for n in ast.walk(head)):
            possible = [k for k in kinds(node) if k != "factor 1.05" or id(node) not in not_scaled]
            if possible:
                found.setdefault(node.lineno, []).append((function, span, node, possible))
    mutants = []
    for number in sorted(found):
        line = lines[number - 1].strip()
        arithmetic = [c for c in found[number] if not isinstance(c[2], ast.Call)]
        choice = zlib.crc32(f"{module} {found[number][0][0]} {line}".encode())
        candidates = arithmetic or found[number]
        function, span, node, possible = candidates[choice % len(candidates)]
        kind = possible[choice // len(candidates) % len(possible)]
        fault = f"{kind}: {ast.unparse(node)}"
        mutants.append(Mutant(module, function, span, line, fault, places[id(node)], kind))
    return mutants


def mutated(source: str, mutant: Mutant, filename: str) -> types.CodeType:
    """The code of the module with the fault in it."""
    tree = ast.parse(source)
    wrong = list(ast.walk(tree))[mutant.place]

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            if node is not wrong:
                return self.generic_visit(node)
            return ast.copy_location(FAULTS[mutant.kind](copy.deepcopy(node)), node)

    return compile(ast.fix_missing_locations(Replace().visit(tree)), filename, "exec")


def codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes(constant)


def alive(kind: type) -> list[Any]:
    return [found for found in gc.get_objects() if isinstance(found, kind)]


def plant(code: types.CodeType, functions: Iterable[types.FunctionType]) -> None:
    """Give every function that was made from this file the code of the same name and line."""
    new = {(c.co_name, c.co_firstlineno): c for c in codes(code)}
    for function in functions:
        old = function.__code__
        if old.co_filename == code.co_filename and (old.co_name, old.co_firstlineno) in new:
            function.__code__ = new[old.co_name, old.co_firstlineno]


# --- what notices them ----------------------------------------------------------------------------


@dataclass
class Check:
    """A test or a claim."""

    name: str
    run: Callable[[Any], bool]  # whether it passes; its argument is the next check
    item: Any = None
    seconds: float = 0.0
    lines: dict[str, set[int]] = field(default_factory=dict)  # by module

    def reaches(self, mutant: Mutant) -> bool:
        first, after = mutant.span[0], mutant.span[1] + 1
        return not self.lines.get(mutant.module, set()).isdisjoint(range(first, after))


def check_of_item(item: pytest.Item) -> Check:
    from _pytest.runner import runtestprotocol

    def passes(following: Any) -> bool:
        reports = runtestprotocol(item, nextitem=following and following.item, log=False)
        return not any(report.failed for report in reports)

    return Check(item.nodeid, passes, item)


def check_of_claim(claim: Any) -> Check:
    from minigrad_ae.claims import Run

    def passes(_: Any) -> bool:
        try:
            with warnings.catch_warnings():
                return bool(claim.check(Run(fast=True)).passed)
        except Exception:
            return False

    return Check(f"claim {claim.id}", passes)


def caches() -> list[Any]:
    """Those of the functions that may compute by way of a subject."""
    where = tuple(
        f"minigrad_ae.{part}" for part in ("models", "nn", "optim", "experiments", "claims")
    )
    found = alive(functools._lru_cache_wrapper)
    return [c for c in found if str(getattr(c, "__module__", "")).startswith((*where, "test_"))]


def forget(caches: Iterable[Any]) -> None:
    """What was computed without the fault is not used with it."""
    for cache in caches:
        cache.cache_clear()


class Session:
    """A plugin of pytest: the tests are collected as ever, and then run as often as needed."""

    def __init__(self, options: argparse.Namespace, before: dict[str, Any]) -> None:
        self.options, self.before = options, before
        self.package = options.package.resolve()
        self.results: dict[str, Any] = {}
        self.noticed_now: set[tuple[str, ...]] = set()
        self.functions: list[Any] = []
        self.caches: list[Any] = []
        self.contexts: Callable[[str], None] = lambda name: None
        self.now = ""

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Any:
        """What a shared fixture runs belongs to every test that uses it."""
        before, self.now = self.now, fixture_name(fixturedef)
        self.contexts(self.now)
        try:
            return (yield)
        finally:
            self.now = before
            self.contexts(before)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        from minigrad_ae.claims import claims

        checks = [check_of_item(item) for item in session.items]
        if not self.options.without_claims:
            checks += [check_of_claim(claim) for claim in claims()]
        sources = {m: (self.package / m).read_text("utf-8") for m in modules(self.package)}
        checks = self.measured(checks, sources)
        self.functions, self.caches = alive(types.FunctionType), caches()
        self.results = self.judge(checks, sources)
        return True

    # --- which lines a check runs ---

    def measured(self, checks: list[Check], sources: dict[str, str]) -> list[Check]:
        """The checks that pass, with their time and lines: from the file of `--map` where the
        sources are the same, and measured otherwise.
        """
        digest = hashlib.sha256("".join(sources.values()).encode()).hexdigest()
        path, known = self.options.map, {}
        if path and path.exists():
            kept = json.loads(path.read_text("utf-8"))
            known = kept["checks"] if kept["sources"] == digest else {}
        fresh = [c for c in checks if c.name not in known]
        if fresh:
            self.measure(fresh)
        for c in fresh:
            known[c.name] = [c.seconds, {m: sorted(lines) for m, lines in c.lines.items()}]
        if path:
            path.write_text(json.dumps({"sources": digest, "checks": known}), "utf-8")
        for c in checks:
            c.seconds, c.lines = known[c.name][0], {m: set(v) for m, v in known[c.name][1].items()}
        good = sorted((c for c in checks if c.lines), key=lambda c: (c.item is None, c.seconds))
        for c in good[:: len(good) // 50 + 1]:  # kernels are loaded here, not in every child
            c.run(None)
        return good

    def measure(self, checks: list[Check]) -> None:
        """A check that fails without a fault, or takes too long, is left with no lines."""
        import coverage

        files = {module: str(self.package / module) for module in modules(self.package)}
        watch = coverage.Coverage(data_file=None, include=list(files.values()), config_file=False)
        watch.start()
        watch.switch_context("nothing")
        self.contexts = watch.switch_context
        good, kept = [], caches()
        for check, following in zip(checks, [*checks[1:], None], strict=True):
            forget(kept)
            self.now = check.name
            watch.switch_context(check.name)
            start = time.process_time()
            passed = check.run(following)
            check.seconds = time.process_time() - start
            if not passed:
                print(f"fails without a fault, not asked: {check.name}", flush=True)
            elif check.seconds > self.options.slowest:
                print(f"{check.seconds:.1f} s, not asked: {check.name}", flush=True)
            else:
                good.append(check)
        watch.stop()
        self.contexts = lambda name: None
        ran: dict[str, dict[str, set[int]]] = {}
        data = watch.get_data()
        for module, path in files.items():
            for line, names in data.contexts_by_lineno(path).items():
                for name in names:
                    ran.setdefault(name, {}).setdefault(module, set()).add(line)
        for check in good:
            for name in [check.name, *fixtures_of(check.item)]:
                for module, lines in ran.get(name, {}).items():
                    check.lines.setdefault(module, set()).update(lines)

    # --- the faults ---

    def judge(self, checks: list[Check], sources: dict[str, str]) -> dict[str, Any]:
        """Plant every fault that is chosen, one after the other."""
        everything = [m for name, text in sources.items() for m in mutants_of(text, name)]
        reached = [m for m in everything if any(c.reaches(m) for c in checks)]
        chosen = self.chosen(reached)
        print(f"{len(everything)} computing lines, {len(reached)} of them run by", end=" ")
        print(f"{len(checks)} tests and claims; {len(chosen)} faults", flush=True)
        verdicts, begun = {}, time.perf_counter()
        for number, mutant in enumerate(chosen, 1):
            start = time.perf_counter()
            asked = [c for c in checks if c.reaches(mutant)]
            noticed = self.noticed(mutant, sources[mutant.module], asked)
            verdicts[mutant] = noticed
            if self.options.minutes and time.perf_counter() - begun > 60 * self.options.minutes:
                print(f"stopped after {len(verdicts)}: no time is left", flush=True)
                break
            if self.options.verbose or not noticed:
                took = f"{time.perf_counter() - start:.1f} s of {len(asked)} checks"
                verdict = f"noticed by {noticed}" if noticed else "SURVIVED"
                where = f"{mutant.module} {mutant.function}"
                print(f"{number}/{len(chosen)} {where}: {mutant.fault}: {verdict} ({took})")
            sys.stdout.flush()
        self.noticed_now = {key(m) for m, name in verdicts.items() if name}
        return summary(everything, reached, verdicts)

    def chosen(self, reached: list[Mutant]) -> list[Mutant]:
        """A sample of 200 contains that of 100."""
        found = [m for m in reached if self.options.module in (None, m.module)]
        if self.options.rest:
            lines = Counter(m.module for m in reached)
            found = [m for m in found if faults_of(self.before, m.module) != lines[m.module]]
            return sorted(found, key=lambda m: m.module)
        if self.options.again:
            survived = {tuple(s) for s in survivors(self.before)} - equivalent(self.before)
            found = [m for m in found if key(m) in survived]
        order = sorted(found, key=lambda m: zlib.crc32(" ".join(key(m)).encode()))
        return order[self.options.skip :][: self.options.sample]

    def noticed(self, mutant: Mutant, source: str, asked: list[Check]) -> str:
        """The name of the first check that fails in a child with the fault, or nothing."""
        code = mutated(source, mutant, str(self.package / mutant.module))
        reader, writer = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # fork beside sleeping threads
            child = os.fork()
        if child:
            os.close(writer)
            with open(reader, encoding="utf-8") as said:
                names = said.read().split("\n")
            status = os.waitpid(child, 0)[1]
            # stopped by a signal: it hung (or crashed) in the last check that it began
            return "" if status == 0 else names[-2] if len(names) > 1 else "the start"
        try:
            os.close(reader)
            os._exit(self.run_child(code, asked, writer))
        finally:
            os._exit(3)

    def run_child(self, code: types.CodeType, asked: list[Check], writer: int) -> int:
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        plant(code, self.functions)
        forget(self.caches)
        begun = time.process_time()
        for check, following in zip(asked, [*asked[1:], None], strict=True):
            if time.process_time() - begun > self.options.budget:
                return 0
            os.write(writer, f"{check.name}\n".encode())
            with stopped_after(10 * check.seconds + 5):
                if not check.run(following):
                    return 1
        return 0


@contextmanager
def stopped_after(seconds: float) -> Iterator[None]:
    """The process is stopped by a signal where this takes longer, in seconds of the processor."""
    signal.setitimer(signal.ITIMER_PROF, seconds)
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)


def fixture_name(fixturedef: Any) -> str:
    return f"fixture {fixturedef.baseid}:{fixturedef.argname}"


def fixtures_of(item: Any) -> list[str]:
    found = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {})
    return [fixture_name(definition) for several in found.values() for definition in several]


# --- the table of results -------------------------------------------------------------------------


def modules(package: Path = PACKAGE) -> list[str]:
    """The files of the subjects, such as models/linear.py; of another package all its files."""
    folders = [package / s for s in SUBJECTS] if package == PACKAGE else [package]
    found = [p for f in folders for p in (f.glob("*.py") if f.is_dir() else [f])]
    return sorted(p.relative_to(package).as_posix() for p in found)


def key(mutant: Mutant) -> tuple[str, str, str, str]:
    return mutant.module, mutant.function, mutant.text, mutant.fault


def read_results(path: Path) -> dict[str, Any]:
    empty: dict[str, Any] = {"modules": {}, "equivalent": []}
    return json.loads(path.read_text("utf-8")) if path.exists() else empty


def survivors(results: dict[str, Any]) -> list[list[str]]:
    """[module, function, line, fault] of all that survived, equivalent ones among them."""
    return [[m, *s] for m, row in results["modules"].items() for s in row["survivors"]]


def summary(
    everything: list[Mutant], reached: list[Mutant], verdicts: dict[Mutant, str]
) -> dict[str, Any]:
    """Of each module: its computing lines, those that are run, the faults planted, and what
    survived, as [function, line, fault].
    """
    lines, run = Counter(m.module for m in everything), Counter(m.module for m in reached)
    rows = {}
    for module in sorted(lines):
        planted = [m for m in verdicts if m.module == module]
        rows[module] = {
            "computing lines": lines[module],
            "run by a check": run[module],
            "faults": len(planted),
            "noticed": sum(bool(verdicts[m]) for m in planted),
            "survivors": sorted(list(key(m)[1:]) for m in planted if not verdicts[m]),
        }
    return {"modules": rows}


def merged(old: dict[str, Any], noticed: set[tuple[str, ...]]) -> dict[str, Any]:
    """The table after `--again`: the old one, with what is noticed by now."""
    for module, row in old["modules"].items():
        kept = [s for s in row["survivors"] if (module, *s) not in noticed]
        row["noticed"] += len(row["survivors"]) - len(kept)
        row["survivors"] = kept
    return old


def faults_of(results: dict[str, Any], module: str) -> int:
    """How many faults of this module the table knows."""
    return results["modules"].get(module, {"faults": 0})["faults"]


def with_rest(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The table after `--rest`: the old one, with the modules that were done to the end."""
    for module, row in new["modules"].items():
        if row["faults"] == row["run by a check"]:
            old["modules"][module] = row
    return old


def equivalent(results: dict[str, Any]) -> set[tuple[str, ...]]:
    """The faults that no test can notice, as whoever looked at them wrote down."""
    return {
        tuple(e[k] for k in ("module", "function", "line", "fault")) for e in results["equivalent"]
    }


def score(results: dict[str, Any]) -> tuple[int, int]:
    """(noticed, of how many that can be noticed)."""
    rows = results["modules"].values()
    planted = sum(row["faults"] for row in rows)
    without = sum(tuple(s) in equivalent(results) for s in survivors(results))
    return sum(row["noticed"] for row in rows), planted - without


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    made.add_argument("--sample", type=int, metavar="N", help="plant at most N faults")
    made.add_argument("--skip", type=int, default=0, metavar="N", help="after the first N of them")
    made.add_argument("--module", metavar="FILE", help="of one module, such as models/linear.py")
    made.add_argument("--again", action="store_true", help="only the survivors of the last time")
    made.add_argument(
        "--rest",
        action="store_true",
        help="only modules of which the table has more or fewer lines",
    )
    made.add_argument("--package", type=Path, default=PACKAGE, help=argparse.SUPPRESS)
    made.add_argument("--out", type=Path, metavar="FILE", help="the table")
    made.add_argument("--map", type=Path, metavar="FILE", help="keep which check runs which line")
    made.add_argument("--budget", type=float, default=60.0, help="seconds for one fault")
    made.add_argument("--minutes", type=float, help="plant no more faults after these")
    made.add_argument("--slowest", type=float, default=10.0, help="seconds of the slowest check")
    made.add_argument("--without-claims", action="store_true", help="tests only")
    made.add_argument("--verbose", action="store_true", help="say what noticed each fault")
    made.add_argument(
        "tests", nargs="*", type=Path, help="files of tests instead of all of these subjects"
    )
    return made


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    files = options.tests or [Path(__file__).parent / f"test_{name}.py" for name in ASKED]
    table = options.out or RESULTS
    session = Session(options, read_results(table))
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        settings = ["-q", "-s", "-p", "no:cacheprovider", f"--basetemp={folder}/tests"]
        pytest.main([*settings, *map(str, files)], plugins=[session])
    if not session.results:
        return 1
    old = session.before
    results = session.results
    if options.again:
        results = merged(old, session.noticed_now)
    elif options.rest:
        results = with_rest(old, results)
    results["equivalent"] = old["equivalent"]
    noticed, planted = score(results)
    results["score"] = round(noticed / planted, 4) if planted else None
    results["faults"], results["noticed"] = planted, noticed
    only_tests = options.without_claims or (options.rest and old.get("asked") == "tests")
    results["asked"] = "tests" if only_tests else "tests and claims"
    here = machine()
    results["machine"] = f"{here['processor']['name']}, Python {here['python']}"
    if options.out or options.again or options.rest or not (options.sample or options.module):
        table.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", "utf-8")
    used = sum(os.times()[:4])  # of this process and its children
    print(f"{noticed} of {planted} faults noticed ({used:.0f} s of {results['machine']})")
    print(f"{time.perf_counter() - start:.0f} s")
    return 0 if noticed >= 0.95 * planted else 1


if __name__ == "__main__":
    sys.exit(main())
