"""What every lesson shares: its options, where figures go, questions to predict, the recap table.

    lesson = Lesson("02_linear_autoencoder", "about 12 s; --fast 3 s")
    ...
    lesson.figure("loss", fig, {"loss": losses})
    lesson.finish()          # prints the recap; as a script, exits with 1 if a claim fails

The lessons are plain scripts in cells, so they also open as notebooks; there the options keep their
defaults.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np

from ..arguments import Parser, end_with_the_reader, seed, spell_out
from ..claims import Run, ledger
from ..files import write_png, write_text

# Okabe & Ito's colours, which people with any kind of colour vision can tell apart.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW, BLACK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#000000",
)
STYLE: dict[Any, Any] = {
    "figure.dpi": 100,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


def lessons_folder() -> Path:
    """Where the lesson scripts are: inside the installed package, or beside it in a checkout."""
    here = Path(__file__).resolve().parent.parent
    return next(
        (p for p in (here / "lessons", here.parent / "lessons") if p.is_dir()), here / "lessons"
    )


def lesson_files() -> list[Path]:
    """The numbered lessons, in order."""
    return sorted(lessons_folder().glob("[0-9][0-9]_*.py"))


def options(prog: str | None = None) -> argparse.ArgumentParser:
    """The options that every lesson takes."""
    parser = Parser(prog=prog)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--fast", action="store_true", help="smaller runs, a few seconds")
    size.add_argument("--full", action="store_true", help="also remake what takes minutes")
    parser.add_argument("--seed", type=seed, default=0, help="of every random number (default 0)")
    parser.add_argument("--out", type=Path, help="folder for figures")
    parser.add_argument("--show", action="store_true", help="show each figure in a window")
    parser.add_argument(
        "--quiz", action="store_true", help="ask the questions and wait for answers (in a terminal)"
    )
    return parser


class Lesson:
    """One run of a lesson: the settings ``fast``, ``full``, ``seed``, ``rng`` and ``out``, and the
    methods below.

    ``run.shared(make, *key)`` is what the recap's claims use too: a model that the lesson trains is
    not trained again.
    """

    def __init__(self, name: str, duration: str) -> None:
        import matplotlib

        spell_out()
        notebook = "ipykernel" in sys.modules
        if not notebook:
            end_with_the_reader()
        args = options(f"minigrad-ae lesson {int(name[:2])}").parse_args([] if notebook else None)
        self.name, self.fast, self.full, self.seed = name, args.fast, args.full, args.seed
        self.rng = np.random.default_rng(args.seed)
        self.run = Run(fast=self.fast, full=self.full, seed=self.seed, starts=2 if self.fast else 3)
        root = lessons_folder().parent
        checkout = (root / "setup.cfg").is_file() and not args.fast
        self.out: Path = args.out or (root / "figures" if checkout else Path("minigrad_ae_figures"))
        self.quiz = args.quiz and sys.stdin is not None and sys.stdin.isatty()
        if not (args.show or notebook):
            matplotlib.use("Agg")
        matplotlib.rcParams.update(STYLE)
        # it takes longer than the drawing
        matplotlib.rcParams["figure.constrained_layout.use"] = not args.fast
        self.show, self.start = args.show or notebook, time.perf_counter()
        self.answers: list[tuple[str, str]] = []
        print(f"Lesson {name.replace('_', ' ')}  ({duration})")

    def cell(self, title: str) -> None:
        """The heading of a cell."""
        print(f"\n== {title} " + "=" * max(3, 84 - len(title)), flush=True)

    def predict(self, question: str, answer: str) -> None:
        """A question to answer before the run; the answer is printed at the end."""
        print(f"  ? {question}")
        if self.quiz:
            given = input("    your answer: ")
            print(f"    noted: {given}")
        self.answers.append((question, answer))

    def figure(self, name: str, fig: Any, numbers: dict[str, Any]) -> Path:
        """Save a figure as PNG, and the numbers behind it beside it as JSON; show it if asked
        to.
        """
        import matplotlib.pyplot as plt

        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / f"{self.name[:2]}_{name}.png"
        write_png(path, fig, dpi=75 if self.fast else 150)
        text = json.dumps(plain(numbers), indent=1, allow_nan=False)
        write_text(path.with_suffix(".json"), text + "\n")
        print(f"  figure: {path}")
        if self.show:
            plt.show()
        plt.close(fig)
        return path

    def page(self, name: str, trace: Any) -> Path:
        """Write the page of a trace (shown at once in a notebook), and say how to open it."""
        self.out.mkdir(parents=True, exist_ok=True)
        path = self.out / f"{self.name[:2]}_{name}.html"
        trace.html(path)
        print(
            f"  page: {path}   open it in a browser: the arrow keys walk, p asks you first, ? "
            "lists the keys"
        )
        if "ipykernel" in sys.modules:
            from IPython.display import display

            display(trace)
        return path

    def finish(self) -> None:
        """The answers, and this lesson's part of the ledger as the recap; a script exits with 1 if
        a claim fails.
        """
        if self.answers:
            self.cell("Answers to what you predicted")
            for question, answer in self.answers:
                print(f"  ? {question}\n    {answer}")
        self.cell("Recap")
        claims = ledger.claims(self.name)
        short = [c for c in claims if not (self.fast and c.thorough)]
        results = ledger.read(short, self.run, sys.stdout)
        print(ledger.table(results))
        if len(short) < len(claims):
            print(
                f"{len(claims) - len(short)} more claims take longer: `minigrad-ae verify` reads "
                "them too"
            )
        print(f"\n{time.perf_counter() - self.start:.1f} s; figures in {self.out}")
        if not all(r.passed for r in results):
            raise SystemExit(1)


def plain(value: Any) -> Any:
    """Arrays and NumPy numbers as lists and floats of 6 digits, for JSON."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [plain(v) for v in value]
    if isinstance(value, float | np.floating):
        return float(f"{value:.6g}") if np.isfinite(value) else str(value)
    return value.item() if isinstance(value, np.generic) else value


def draw_network(ax: Any, layers: list[int], labels: list[str], weights: list[str]) -> None:
    """The picture of a network on the slides: columns of units, every unit joined to the next
    column.
    """
    places = [[(float(k), (n - 1) / 2 - i) for i in range(n)] for k, n in enumerate(layers)]
    for left, right in pairwise(places):
        for ends in product(left, right):
            ax.plot(*zip(*ends, strict=True), color="#888888", lw=0.7, zorder=1)
    bottom = -max(layers) / 2
    for column, label in zip(places, labels, strict=True):
        units = {"s": 420, "color": "white", "edgecolor": BLUE, "linewidth": 1.8}
        ax.scatter(*zip(*column, strict=True), **units, zorder=2)
        ax.text(column[0][0], bottom - 0.25, label, ha="center", va="top")
    for k, label in enumerate(weights):
        ax.text(k + 0.5, max(layers) / 2 - 0.2, label, ha="center", color=ORANGE, weight="bold")
    ax.set(xlim=(-0.5, len(layers) - 0.5), ylim=(bottom - 0.9, max(layers) / 2 + 0.2))
    ax.axis("off")
