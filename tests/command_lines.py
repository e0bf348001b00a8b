"""Random command lines, drawn from the parsers of ``minigrad-ae`` themselves: every command, every
option, with values that are right, wrong, missing, given twice, huge, empty, of other alphabets, or
paths.

    python tests/command_lines.py        20,000 lines in one process, 200 processes; some minutes

Line number k is always the same: ``words_of(k)``.  What must hold of it is in `faults`.  What was
found is written to tests/command_lines.json.

Bounded, so that a line ends in a moment: `epochs` are at most 2, and there are always some; sizes
are small or impossible; the tables have at most 30 rows, or are the digits.  Four things that run
for minutes are stand-ins in one process (`stand_ins`), and not drawn for processes of their own: a
lesson, the ledger, the benchmarks, and the network.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import minigrad_ae as mg
from minigrad_ae import checkpoint, files
from minigrad_ae.cli import bench, build_parser, lesson, main, verify
from minigrad_ae.teaching.lesson import options as lesson_options

ROOT = Path(__file__).parent.parent
CODES = {0, 1, 2, 130, 143}
LONGEST = 60  # seconds of a process
LINES, PROCESSES = 20_000, 200

# --- what a line is made of -----------------------------------------------------------------------

TABLES = ["X.npy", "X.npz", "X.csv", "labelled.csv", "digits"]
SCRIPTS = ["ok.py", "named.py", "no_loss.py", "wrong.py", "stops.py", "syntax.py", "prints.py"]
TRACES = ["a.json", "b.json", "cut.json", "list.json"]
FILES = [*TABLES, *SCRIPTS, *TRACES, "run", "model.npz", "empty", "binary", "text.csv", "lone.csv"]
# where something is written
OUTPUTS = ["out", "out.json", "new/deep/out", "run", "X.npy/x", "häßlich", "a b", "/dev/null", "."]
STRANGE = [
    *("", " ", "-", "--", "-1", "0", "1", "2", "3", "5", "1e3", "1e400", "-1e308", "nan", "inf"),
    *("0x10", "1_0", "1.5", "½", "١", "２", "٣", "+2", " 2 ", "True", "None", "[]", "1,2", "1;2"),
    *("9" * 12, "9" * 30, "9" * 5000, "-" + "9" * 30, "a" * 5000, "é", "日本語", "🙂", "\u202e"),
    *("a\nb", "a\tb", "\x1b[31m", "\udcff", "%s", "%(prog)s", "{}", "{0}", "$HOME", "~", "*"),
    *("..", ".", "/", "//", "/dev/null", "/dev/full", "X.npy/", "X.npy", "run"),
    *("file:X.npy", "http://", "http://[", "http://a b/", "http://h:99999/", "@X.npy"),
]
NUMBERS = ["0", "1", "2", "3", "4", "5", "7", "16", "100"]
REALS = ["0", "0.1", "0.5", "1", "1e-3", "2", "-1", "1e-300", "1e300"]
MORE = ["train", "train", "train", "inspect", "inspect", "verify"]  # beside one of each command
NEEDED = {"--latent", "--epochs", "--data"}  # in most lines, though the parser does not ask for all
# right values of those whose parser does not say: by the option, for every command that has it
RIGHT: dict[str, list[str]] = {
    "--data": TABLES,
    "data": [*TABLES, "mnist", "kmnist"],
    "--epochs": ["1", "2"],
    "--latent": ["1", "2", "3", "4", "64"],
    "--hidden": ["1", "3", "16"],
    "--batch-size": ["1000", "64", "10", "1"],
    "--checkpoint": ["run", "new", "new/deep", "out"],
    "--every": ["1", "2", "1s", "500"],
    "--drop-columns": ["a", "0", "1", "label"],
    "--labels": ["label", "a", "2", "X.csv"],
    "--key": ["X", "Y", "Z"],
    "--diff": TRACES,
    "--param": ["w", "b", "x", "W1"],
    "--width": ["40", "88", "20"],
    "--json": ["out.json", "-"],
    "--html": ["out.html"],
    "--png": ["out.png", "out.svg"],
    "--trace": ["1", "2"],
    "--root": ["run", "new", "empty-folder"],
    "--mirror": ["http://127.0.0.1:9/"],
    "--folder": ["empty-folder", "new"],
    "script": [*SCRIPTS, *["ok.py", "named.py"] * 5, "a.json", "b.json"],
    "which": ["list", "1", "2", "11", "all", "01_backpropagation"],
}
# would begin something that lasts: a number of epochs or threads that is a number
TOO_LONG = {"--epochs": 3, "--hidden": 2000, "--latent": 2000}


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """{name: parser} of the subcommands."""
    (found,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return dict(found.choices)


COMMANDS = commands_of(build_parser())


@dataclass
class Lines:
    """Draws the words of a line; `light`: nothing that needs a stand-in."""

    rng: random.Random
    light: bool = False

    def words(self) -> list[str]:
        """One command line."""
        commands = COMMANDS
        if self.rng.random() < 0.03:
            return [self.rng.choice([*STRANGE, "--help", "--version", "-h", *commands])]
        name = self.rng.choice([*commands, *MORE])
        actions = [a for a in commands[name]._actions if "--help" not in a.option_strings]
        if name == "lesson":
            actions += lesson_options()._actions
        some = 2 / len(actions) if actions else 0.0
        chosen = [a for a in actions if self.takes(a, some)]
        words = [word for a in chosen for word in self.of(a)]
        words = [name, *self.spoilt(words)]
        return self.bounded(words)

    def takes(self, action: argparse.Action, some: float) -> bool:
        """Whether the line has this argument: what is needed, nearly always; `some` of the rest."""
        needed = action.required or not action.option_strings
        own = NEEDED & set(action.option_strings)
        return self.rng.random() < (0.95 if needed or own else some)

    def of(self, action: argparse.Action) -> list[str]:
        """The words of an option or argument: its name if it has one, and what it takes."""
        name = self.rng.choice(action.option_strings) if action.option_strings else ""
        if name.startswith("--") and self.rng.random() < 0.05:
            name = name[: self.rng.randint(3, len(name))]  # argparse takes a part, if it is clear
        values = [self.value(action) for _ in range(self.count(action))]
        if name.startswith("--") and len(values) == 1 and self.rng.random() < 0.2:
            return [f"{name}={values[0]}"]
        return [name, *values] if name else values

    def count(self, action: argparse.Action) -> int:
        if action.nargs == 0:
            return 0
        if action.nargs == "?":
            return self.rng.choice([0, 1, 1])
        return self.rng.choice([1, 2]) if action.nargs == "+" else 1

    def value(self, action: argparse.Action) -> str:
        """A right one most times, so that much of a line is gone through before what is wrong."""
        name = action.option_strings[0] if action.option_strings else action.dest
        if self.rng.random() < 0.08:
            return self.rng.choice([*STRANGE, *FILES, *OUTPUTS])
        if action.choices is not None:
            return self.rng.choice(list(map(str, action.choices)))
        if name == "which" and self.light:
            return "list"
        if name in RIGHT:
            return self.rng.choice(RIGHT[name])
        if name == "model":
            from minigrad_ae.cli.model_options import MODELS

            return self.rng.choice(list(MODELS))
        if action.type is float:
            return self.rng.choice(REALS)
        return self.rng.choice(OUTPUTS if action.type is Path else NUMBERS)

    def spoilt(self, words: list[str]) -> list[str]:
        """With one word left out, given twice, in another place, or one that nobody knows."""
        how = self.rng.choice(["no"] * 15 + ["lose", "twice", "move", "strange", "unknown"])
        k = self.rng.randrange(len(words) + 1)
        if how in ("lose", "twice", "move") and words:
            k = min(k, len(words) - 1)
            word = words[k]
            words = words[:k] + words[k + 1 :] if how != "twice" else words
            return words if how == "lose" else self.put(words, word)
        if how == "strange":
            return self.put(words, self.rng.choice(STRANGE))
        return self.put(words, "--unknown") if how == "unknown" else words

    def put(self, words: list[str], word: str) -> list[str]:
        k = self.rng.randrange(len(words) + 1)
        return [*words[:k], word, *words[k:]]

    def bounded(self, words: list[str]) -> list[str]:
        """The line, but short of work."""
        for k, word in enumerate(words):
            name, equals, value = word.partition("=")
            option = name if equals else words[k - 1]
            value = value if equals else word
            # argparse takes the beginning of an option for the option
            wholes = [o for o in TOO_LONG if len(option) > 2 and o.startswith(option)]
            if wholes and is_large(value, TOO_LONG[wholes[0]]):
                words[k] = f"{name}=2" if equals else "2"
        if words[0] == "train" and not any(w.startswith("--ep") for w in words):
            words.append("--epochs=1")
        if words[0] == "verify" and self.light and not any(w.startswith("--da") for w in words):
            words.append("--data=X.npy")
        if self.light and words[0] in ("bench", "exercise"):
            words[1:2] = ["list"] if words[0] == "exercise" else ["--unknown"]
        return words


def is_large(text: str, most: int) -> bool:
    """Whether it is a number that a machine may begin with, and not one that it refuses."""
    with contextlib.suppress(ValueError):
        return most < int(text) < 10**11
    return False


def words_of(k: int, light: bool = False) -> list[str]:
    """Line number k."""
    return Lines(random.Random(k), light).words()


# --- the folder in which they run -----------------------------------------------------------------

PROGRAMS = {
    "ok.py": "import minigrad_ae as mg\nw = mg.tensor([1.0, 2.0], requires_grad=True, name='w')\n"
    "loss = (w * w).sum()\n",
    "named.py": "import minigrad_ae as mg\nx = mg.tensor([[1.0]], requires_grad=True, name='x')\n"
    "mg.trace((x * 2).sum())\nloss = mg.tanh(x @ x).sum()\nloss.backward()\nx.data = x.data * 2\n",
    "no_loss.py": "loss = 3\n",
    "wrong.py": "1 / 0\n",
    "stops.py": "raise SystemExit('enough')\n",
    "syntax.py": "def (\n",
    "prints.py": "import sys\nprint('é', sys.argv)\nprint(1, file=sys.stderr)\n",
}


def fill(folder: Path) -> None:
    """Make the files that the lines name."""
    X = np.random.default_rng(0).random((30, 4))
    np.save(folder / "X.npy", X)
    np.savez(folder / "X.npz", X=X, Y=X[:, :2], names=np.array(["a", "b"]))
    rows = "\n".join(",".join(f"{x:.4f}" for x in row) for row in X)
    (folder / "X.csv").write_text(rows, encoding="utf-8")
    named = "\n".join(f"{a:.3f},{b:.3f},{'uv'[k % 2]}" for k, (a, b, *_) in enumerate(X))
    (folder / "labelled.csv").write_text(f"a,b,label\n{named}\n", encoding="utf-8")
    (folder / "text.csv").write_text("one,two\nx,y\n", encoding="utf-8")
    (folder / "lone.csv").write_text("1\n", encoding="utf-8")
    (folder / "empty").touch()
    (folder / "binary").write_bytes(bytes(range(256)) * 4)
    (folder / "empty-folder").mkdir()
    (folder / "run").mkdir()
    for name, text in PROGRAMS.items():
        (folder / name).write_text(text, encoding="utf-8")
    model = mg.models.LinearAutoencoder(4, 2, rng=np.random.default_rng(0))
    checkpoint.save(folder / "model.npz", model)
    x = mg.tensor([1.0, 2.0], requires_grad=True, name="x")
    for name, loss in (("a.json", (x * x).sum()), ("b.json", mg.tanh(x).sum())):
        mg.trace(loss).json(folder / name)
    whole = (folder / "a.json").read_text(encoding="utf-8")
    (folder / "cut.json").write_text(whole[: len(whole) // 2], encoding="utf-8")
    (folder / "list.json").write_text("[1, {}]", encoding="utf-8")


# --- running them ---------------------------------------------------------------------------------


@dataclass
class Ended:
    """How a line ended."""

    code: Any
    out: str
    err: str
    seconds: float = 0.0


@contextlib.contextmanager
def stand_ins() -> Iterator[None]:
    """In here nothing lasts for minutes, and nothing leaves this machine."""
    nobody = mock.Mock(side_effect=urllib.error.URLError("no network in here"))
    with (
        mock.patch.object(lesson, "_run", lambda path, argv: 0),
        mock.patch.object(verify.ledger, "verify", lambda run: []),
        mock.patch.object(verify.ledger, "sabotage", lambda run: []),
        mock.patch.object(verify.ledger, "matrix", lambda run: []),
        mock.patch.object(bench, "FOLDER", Path("nowhere")),
        mock.patch("urllib.request.OpenerDirector.open", nobody),
        mock.patch.dict(os.environ, {"MINIGRAD_AE_DATA": "nowhere", "XDG_CACHE_HOME": "cache"}),
        mock.patch.object(sys, "stdin", io.StringIO("n\nq\n")),
    ):
        yield


def run_here(words: Sequence[str]) -> Ended:
    """Run a line in this process; an exception that gets out is in `err`, as a traceback."""
    out, err, start = io.StringIO(), io.StringIO(), time.perf_counter()
    code: Any = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as stop:
            code = stop.code or 0
        except BaseException:
            traceback.print_exc()
    return Ended(code, out.getvalue(), err.getvalue(), time.perf_counter() - start)


def run_there(words: Sequence[str], folder: Path) -> Ended:
    """Run a line as a process of its own; -SIGKILL if it hung."""
    away = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    data = {"MINIGRAD_AE_DATA": "nowhere", "XDG_CACHE_HOME": "cache", "PYTHONUTF8": "1"}
    start = time.perf_counter()
    try:
        found = subprocess.run(
            [sys.executable, "-m", "minigrad_ae", *words],
            cwd=folder,
            env={**os.environ, **away, **data, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Ended(-signal.SIGKILL, "", "", LONGEST)
    out, err = (b.decode("utf-8", "replace") for b in (found.stdout, found.stderr))
    return Ended(found.returncode, out, err, time.perf_counter() - start)


def faults(ended: Ended) -> list[str]:
    """What is wrong with how a line ended: its exit code is not one that is documented, a traceback
    or a warning of Python is shown, or wrong use is not told in three lines, last.
    """
    found = [] if ended.code in CODES else [f"exit code {ended.code}"]
    if "Traceback (most recent" in ended.err:
        found.append("a traceback")
    if "Warning:" in ended.err:
        found.append("a warning of Python's")
    if ended.code == 2:
        lines = ended.err.rstrip("\n").split("\n")[-3:]
        begins = ["minigrad-ae", "  ", "  fix: "]
        told = [line.startswith(b) for line, b in zip(lines, begins, strict=False)]
        if told != [True] * 3 or not lines[1].strip():
            found.append("not told in three lines")
    return found


def swept(lines: range, folder: Path) -> tuple[Counter[Any], dict[int, list[str]], float]:
    """(how many ended with which code, {line: faults}, the seconds of the slowest line)."""
    codes: Counter[Any] = Counter()
    wrong: dict[int, list[str]] = {}
    slowest = 0.0
    before = Path.cwd()
    os.chdir(folder)
    try:
        with stand_ins():
            for k in lines:
                ended = run_here(words_of(k))
                codes[ended.code] += 1
                slowest = max(slowest, ended.seconds)
                if found := faults(ended):
                    wrong[k] = found
    finally:
        os.chdir(before)
    return codes, wrong, slowest


def report() -> int:
    """Run many, write what was found, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lines", type=int, default=LINES)
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "command_lines.json")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "in", "here")  # some lines read the folder above
        folder.mkdir(parents=True)
        fill(folder)
        codes, wrong, slowest = swept(range(args.lines), folder)
        real = {k: run_there(words_of(k, light=True), folder) for k in range(args.processes)}
    broken = {k: found for k, ended in real.items() if (found := faults(ended))}
    for k, found in [*wrong.items(), *broken.items()]:
        print(k, found)
    machine = f"{platform.system()}, Python {platform.python_version()}, NumPy {np.__version__}"
    found_all = {
        "machine": machine,
        "lines": args.lines,
        "codes": {str(c): n for c, n in sorted(codes.items(), key=str)},
        "with a fault": len(wrong),
        "seconds of the slowest": round(slowest, 1),
        "processes": args.processes,
        "processes with a fault": len(broken),
        "seconds of the slowest process": round(max(e.seconds for e in real.values()), 1),
    }
    files.write_json(args.out, found_all)
    print(found_all)
    return int(bool(wrong or broken))


if __name__ == "__main__":
    raise SystemExit(report())
