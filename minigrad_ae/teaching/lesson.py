"""What every lesson shares: its options, where figures go, questions to predict, the recap.

    lesson = Lesson("02_linear_autoencoder", "about 12 s; --fast 4 s")
    ...
    lesson.figure("loss", fig, {"loss": losses})
    lesson.result("loss above PCA's, relative", excess, exact=0.0, tolerance=1e-10)
    lesson.finish()  # prints the recap; a script exits with 1 if something does not hold

The lessons are plain scripts in cells, so they also open as notebooks; there the options are those
that the first cell gives to `Lesson`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise, product
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from ..arguments import Parser, end_with_the_reader, seed, spell_out
from ..claims import Run
from ..errors import DataError, MinigradError
from ..files import write_png, write_text
from . import recap
from .glossary import WORDS
from .questions import WIDTH, Questions, wrapped

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
    out = parser.add_mutually_exclusive_group()
    out.add_argument("--out", type=Path, help="folder for figures (default ./minigrad_ae_figures)")
    out.add_argument(
        "--update-figures",
        action="store_true",
        help="write to the figures/ that a checkout keeps (default data, seed and size only)",
    )
    parser.add_argument("--show", action="store_true", help="show each figure in a window")
    parser.add_argument(
        "--quiz", action="store_true", help="ask the questions and wait for answers (in a terminal)"
    )
    return parser


INSPECTED = False  # whether `minigrad-ae inspect` runs the lesson for its loss alone


@contextmanager
def inspected() -> Iterator[None]:
    """In here a lesson runs in its short form, prints and writes nothing, and has no recap."""
    global INSPECTED
    before, stdout, INSPECTED = INSPECTED, sys.stdout, True
    try:
        yield
    finally:
        INSPECTED, sys.stdout = before, stdout


def in_notebook() -> bool:
    """Whether the lesson runs in the cells of a notebook: in a shell of IPython with a kernel."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


class Lesson:
    """One run of a lesson: the settings ``fast``, ``full``, ``seed`` and ``out``, and the methods
    below.

    ``run.shared(make, *key)`` is what the recap's claims use too: what the lesson has computed for
    one of them is not computed again.

    Parameters
    ----------
    name : str
        The lesson's file, without its ending.
    duration : str
        How long it takes, as printed first.
    seed : int, optional
        Where ``--seed`` does not say otherwise (a notebook has no command line).
    fast : bool, optional
        The short form, as ``--fast``.
    out : str, optional
        Folder for figures, where ``--out`` does not say otherwise.
    """

    def __init__(
        self,
        name: str,
        duration: str,
        *,
        seed: int = 0,
        fast: bool = False,
        out: str = "minigrad_ae_figures",
    ) -> None:
        import matplotlib

        spell_out()
        notebook = in_notebook()
        if not notebook:
            end_with_the_reader(name)
        parser = options(f"minigrad-ae lesson {int(name[:2])}")
        parser.set_defaults(seed=seed, fast=fast or INSPECTED)
        args = parser.parse_args([] if notebook or INSPECTED else None)
        self.name, self.fast, self.full, self.seed = name, args.fast, args.full, args.seed
        self.out: Path = _tracked(args) if args.update_figures else args.out or Path(out)
        ask = args.quiz and sys.stdin is not None and sys.stdin.isatty()
        self.questions = Questions(lessons_folder() / "sealed" / f"{name}.json", ask)
        self.results: list[recap.Measured] = []
        self.settings(seed=self.seed)
        if not (args.show or notebook):
            matplotlib.use("Agg")
        matplotlib.rcParams.update(STYLE)
        # it takes longer than the drawing
        matplotlib.rcParams["figure.constrained_layout.use"] = not args.fast
        self.show, self.start = args.show, time.perf_counter()
        if INSPECTED:
            sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
        print(f"Lesson {name.replace('_', ' ')}  ({duration})")
        if not notebook:
            source = lessons_folder() / f"{name}.py"
            print(
                f"The text and the code: {source}; as a notebook: minigrad-ae notebook {name[:2]}"
            )

    def settings(self, **values: Any) -> None:
        """Take note of what the first cell sets; the recap tells it.

        Parameters
        ----------
        **values
            Arrays of data by their names, sizes, and ``seed``, from which every later random number
            comes.
        """
        self.run = Run(self.fast, self.full, values["seed"], starts=2 if self.fast else 3)
        self.described = ", ".join(f"{name} = {_short(value)}" for name, value in values.items())
        if len(values) > 1:
            print(_folded(self.described))

    def cell(self, title: str) -> None:
        """The heading of a cell; a notebook has its own."""
        if not in_notebook():
            print(f"\n== {title} " + "=" * max(3, 84 - len(title)), flush=True)

    def words(self, *words: str) -> None:
        """Explain words that the lesson's outputs use."""
        for word in words:
            print(wrapped(f"{word}: ", WORDS[word]))

    def predict(self, key: str, guess: str = "") -> None:
        """A question to answer before the run.

        Parameters
        ----------
        key : str
            Which of the questions in the lesson's sealed file.
        guess : str, optional
            What you expect; it is shown beside the answer.  ``--quiz`` asks for it in a terminal.
        """
        self.questions.predict(key, guess)

    def answers(self, *keys: str, **numbers: Any) -> None:
        """The answers to the questions so far, beside what the reader said.

        Parameters
        ----------
        *keys : str
            Of the questions to answer now; by default all that are open.
        **numbers
            What this run found, for answers that name it as ``{name}``.
        """
        self.questions.reveal(numbers, *keys)

    def figure(self, name: str, fig: Any, numbers: dict[str, Any], alt: str = "") -> None:
        """Save a figure as PNG, and the numbers behind it beside it as JSON; show it in a notebook,
        or if asked to.

        Parameters
        ----------
        name : str
            Of the file, behind the lesson's number.
        fig : matplotlib Figure
            Closed afterwards.
        numbers : dict
            What was drawn.
        alt : str, optional
            What there is to see, for those who do not see it; by default the figure's titles,
            axes and legends.
        """
        import matplotlib.pyplot as plt

        path = self.out / f"{self.name[:2]}_{name}.png"
        if INSPECTED:
            plt.close(fig)
            return
        self.out.mkdir(parents=True, exist_ok=True)
        write_png(path, fig, dpi=75 if self.fast else 150)
        text = json.dumps(plain(numbers), indent=1, allow_nan=False)
        write_text(path.with_suffix(".json"), text + "\n")
        if in_notebook():
            _display(path, alt or seen(fig), round(75 * fig.get_size_inches()[0]))
        else:
            print(f"  figure: {path}")
        if self.show:
            plt.show()
        plt.close(fig)

    def page(self, name: str, trace: Any) -> None:
        """Write the page of a trace (shown at once in a notebook), and say how to open it.  Where
        the lesson is inspected it ends here: its loss is there.
        """
        path = self.out / f"{self.name[:2]}_{name}.html"
        if INSPECTED:
            raise SystemExit
        self.out.mkdir(parents=True, exist_ok=True)
        trace.html(path)
        print(
            f"  page: {path}   open it in a browser: the arrow keys walk, p asks you first, ? "
            "lists the keys"
        )
        if in_notebook():
            from IPython.display import display

            display(trace)

    def result(
        self,
        what: str,
        value: float,
        *,
        exact: float | None = None,
        tolerance: float = 0.0,
        at_most: float | None = None,
        at_least: float | None = None,
    ) -> None:
        """A number of this run for the recap.

        Parameters
        ----------
        what : str
            What was measured, with its unit: at most 50 characters.
        value : float
            The number.
        exact : float, optional
            What theory says of any data; then the recap says whether it holds.
        tolerance : float, optional
            How far from `exact` it may be.
        at_most, at_least : float, optional
            In place of `exact`: a bound that theory gives.
        """
        row = recap.Measured(what, float(value), exact, float(tolerance), at_most, at_least)
        self.results.append(row)

    def finish(self) -> None:
        """The recap: what this run measured, and this lesson's part of the ledger.  A script exits
        with 1 if something does not hold; a notebook stops.
        """
        if INSPECTED:
            return
        if self.questions.said:
            self.cell("Answers to what you predicted")
            self.answers()
        self.cell("Recap")
        print(_folded(f"This run: {self.described}") + "\n")
        here = recap.this_run(self.results) if self.results else True
        print("\nThe ledger, on the shipped data (whatever the first cell says):\n")
        there = recap.the_ledger(self.name, self.run)
        print(recap.contradiction(here, there))
        print(f"{time.perf_counter() - self.start:.1f} s; figures in {self.out}")
        if not (here and there):
            raise DoesNotHold(self.name) if in_notebook() else SystemExit(1)


class DoesNotHold(MinigradError):
    """What ends a notebook whose recap has a row that theory or the ledger contradicts."""

    def __init__(self, name: str) -> None:
        super().__init__(
            "a row of the recap does not hold",
            f"lesson {name}: it says NOT or FAIL above",
            "undo the last change of the settings cell, and run all cells again",
        )

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows: the sentence, since the lines that raised it say nothing."""
        return [str(self)]


def _display(path: Path, alt: str, width: int) -> None:
    """A picture in a notebook, with its description where screen readers look: nbconvert finds that
    of a PNG in its metadata, JupyterLab in HTML alone.
    """
    from base64 import b64encode
    from html import escape

    from IPython.display import display

    data = b64encode(path.read_bytes()).decode("ascii")
    source = f'src="data:image/png;base64,{data}"'
    picture = f'<img {source} alt="{escape(alt)}" width="{width}">'
    bundle = {"text/html": picture, "image/png": data, "text/plain": alt}
    display(bundle, raw=True, metadata={"image/png": {"alt": alt, "width": width}})


def _folded(text: str) -> str:
    """Settings in lines of the page's width, none broken at its equals sign."""
    return fill(text.replace(" = ", "\xa0=\xa0"), WIDTH).replace("\xa0", " ")


def _short(value: Any) -> str:
    """A setting in a few words: of an array its shape and range."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"{value.shape} from {np.min(value):.4g} to {np.max(value):.4g}"
    return str(value)


def _tracked(args: argparse.Namespace) -> Path:
    """The folder of figures that a checkout keeps."""
    root = lessons_folder().parent
    if args.fast or args.seed or not (root / "setup.cfg").is_file():
        raise DataError(
            "--update-figures is for the figures that a checkout keeps",
            f"fast = {args.fast}, seed = {args.seed}, lessons in {lessons_folder()}",
            "use --out DIR; or run from a checkout, without --fast and --seed",
        )
    return root / "figures"


def seen(fig: Any) -> str:
    """What a figure shows, in words: its title, and of each of its axes title, labels, legend."""
    parts = [fig.get_suptitle()]
    for ax in fig.axes:
        words = [ax.get_title(), ax.get_ylabel(), ax.get_xlabel()]
        legend = ax.get_legend()
        words += [text.get_text() for text in legend.get_texts()] if legend else []
        parts.append("; ".join(word for word in words if word))
    return ".  ".join(part.replace("\n", " ").replace("$", "") for part in parts if part)


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
