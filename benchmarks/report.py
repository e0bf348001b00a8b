"""README's tables of speed, a column for each processor that was measured, and the figure.

    python benchmarks/report.py [--check]

writes what the files results/<processor>.json say into README.md, between the lines
``<!-- benchmarks: NAME -->`` and ``<!-- end -->``; `--check` only says whether it is there already.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import matplotlib
from matplotlib.figure import Figure

from benchmarks.goals import PRODUCT_GOALS, goal_of
from benchmarks.step_models import MODELS
from minigrad_ae.files import write_png, write_text
from minigrad_ae.teaching.lesson import BLUE, ORANGE, STYLE, plain

ROOT = Path(__file__).resolve().parents[1]
RESULTS, README, FIGURES = ROOT / "benchmarks" / "results", ROOT / "README.md", ROOT / "figures"
BLOCK = re.compile(r"(<!-- benchmarks: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
ON_TAPE = ("torch", "torch fused", "autograd", "jax")
COMPILED = ("tape", "torch", "torch.compile", "jax", "pytensor")
COMPILERS = ("compiled", "torch.compile", "jax", "pytensor")
NOTHING = "-"
Found = dict[str, Any]  # what is known of a processor: see run_all.py
Cell = Callable[[Found], str]


def processors(folder: Path = RESULTS) -> dict[str, Found]:
    """{name: what was measured there}, by name."""
    read = {
        p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.json"))
    }
    return {name: found for name, found in read.items() if "parts" in found}


# --- tables ---------------------------------------------------------------------------------------


def blocks(measured: dict[str, Found]) -> dict[str, str]:
    """{name: Markdown} of the tables."""
    steps = [model.name for model in MODELS]
    tables: dict[str, tuple[str, Iterable[tuple[str, Cell]]]] = {
        "processors": ("", PROCESSOR.items()),
        "tape": ("on the tape", [(name, ratios(name, "tape", ON_TAPE)) for name in steps]),
        "compiled": ("compiled", [(name, ratios(name, "compiled", COMPILED)) for name in steps]),
        "memory": ("one training step", [(name, footprint(name)) for name in steps]),
        "products": (
            "products",
            [(what, products(*key)) for key, what in PRODUCTS.items()]
            + [(what, grid(*key)) for key, what in GRID.items()],
        ),
        "whole": ("", WHOLE.items()),
    }
    return {name: markdown(head, rows, measured) for name, (head, rows) in tables.items()}


def markdown(head: str, rows: Iterable[tuple[str, Cell]], measured: dict[str, Found]) -> str:
    """A table, without the columns and rows that say nothing."""
    cells = {what: {name: cell(found) for name, found in measured.items()} for what, cell in rows}
    told = [n for n in measured if any(row[n] != NOTHING for row in cells.values())]
    lines = [[head, *told], ["---"] * (1 + len(told))]
    for what, row in cells.items():
        own = [row[name] for name in told]
        lines += [[what, *own]] if set(own) != {NOTHING} else []
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def measured_part(found: Found, part: str) -> Found:
    return dict(found["parts"].get(part, {}).get("measured", {}))


def row_of(found: Found, model: str, threads: int = 1) -> Found:
    """What was measured of a model's steps; empty where nothing was."""
    rows = measured_part(found, "steps").get("rows", [])
    return next((r for r in rows if (r["model"], r["threads"]) == (model, threads)), {})


def ratios(model: str, ours: str, peers: Sequence[str]) -> Cell:
    """Our time, and the peers' over it; in italics what misses its goal."""

    def cell(found: Found) -> str:
        row = row_of(found, model)
        own = row.get("ratio", {}).get(ours)
        if own is None:
            return NOTHING
        seconds = row.get("microseconds", {}).get(ours)
        shown = [beside_goal(own.get(p), goal_of(model, ours, 1, p)) for p in peers]
        return f"{duration(seconds * 1e-6) if seconds else NOTHING}: {', '.join(shown)}"

    return cell


def beside_goal(ratio: float | None, goal: float | None) -> str:
    """'1.23', in italics below the goal."""
    if ratio is None:
        return NOTHING
    text = f"{ratio:.2f}"
    return f"*{text}*" if goal is not None and ratio < goal else text


def duration(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1e3:.1f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} µs"


def footprint(model: str) -> Cell:
    """Page faults, and the peak over the arrays that are alive; the tape's, then compiled."""

    def cell(found: Found) -> str:
        ways = row_of(found, model).get("footprint", {})
        live = ways.get("tape", {}).get("live")
        shown = []
        for own in ways.values():
            faults = NOTHING if own["faults"] is None else f"{own['faults']:.0f}"
            peak = "" if "peak" not in own else f", {own['peak'] / 1e6:.2f} MB"
            over = f" ({own['peak'] / live:.2f})" if live else ""
            shown.append(faults + peak + over)
        return "; ".join(shown) or NOTHING

    return cell


LETTERS = {"NN": "A·B", "TN": "Aᵀ·B", "NT": "A·Bᵀ"}
GRID = {
    (kind, way): f"grid of shapes, {text}, {what}"
    for way, what in (("call", "called from Python"), ("kernel", "as a compiled step makes it"))
    for kind, text in LETTERS.items()
}
PRODUCTS = {(d, k): f"{text}, {d}" for d in ("float32", "float64") for k, text in LETTERS.items()}


def products(dtype: str, kind: str) -> Cell:
    """The geometric mean over shapes of OpenBLAS's time over ours, and the smallest."""

    def cell(found: Found) -> str:
        part = measured_part(found, "gemm")
        rows = part.get("rows", [])
        key = ("matmul", dtype, kind)
        own = [r["ratio"] for r in rows if (r["kernel"], r["dtype"], r["kind"]) == key]
        if own:
            mean = beside_goal(statistics.geometric_mean(own), PRODUCT_GOALS[kind])
            return f"{mean} ({min(own):.2f})"
        return beside_goal(part.get("means", {}).get(dtype, {}).get(kind), PRODUCT_GOALS[kind])

    return cell


def grid(kind: str, way: str) -> Cell:
    """The geometric mean and the 5th percentile of the same over all shapes with some work."""

    def cell(found: Found) -> str:
        told = measured_part(found, "grid").get("summary", {}).get(f"{kind} {way} large")
        return f"{told['mean']:.2f} ({told['p5']:.2f})" if told else NOTHING

    return cell


def to_first_loss(peer: str) -> Cell:
    """Least and most seconds until the first loss of a model."""

    def cell(found: Found) -> str:
        rows = measured_part(found, "steps").get("rows", [])
        told = [r["seconds_to_first_loss"] for r in rows if "seconds_to_first_loss" in r]
        own = sorted(t[peer] for t in told if peer in t)
        return f"{own[0]:.1f} to {own[-1]:.1f} s" if own else NOTHING

    return cell


def said(part: str, *keys: str, form: str = "{}") -> Cell:
    """One value of a part."""

    def cell(found: Found) -> str:
        value: Any = measured_part(found, part)
        for key in keys:
            value = value.get(key) if value else None
        return NOTHING if value is None else form.format(value)

    return cell


def versions(found: Found) -> str:
    told = found["parts"]["steps"]["versions"]
    return ", ".join(f"{name} {version}" for name, version in told.items() if version)


def caches(found: Found) -> str:
    return ", ".join(f"{k} {v}" for k, v in found["processor"]["caches"].items()) or NOTHING


def when(found: Found) -> str:
    part = found["parts"]["steps"]
    return f"{part['date']}, version {part['minigrad_ae']}"


def others(found: Found) -> str:
    """How much of the cores others took while steps were measured."""
    part = found["parts"]["steps"]
    if "others" not in part:
        return part.get("company", NOTHING)
    return "quiet" if part["quiet"] else f"others took {part['others']:.2f} cores"


def named(found: Found) -> str:
    told = found["processor"]
    family = f", family {told['family']}, model {told['model']}" if told["family"] else ""
    return f"{told['name']}{family}; {told['cores']} cores"


def notes(found: Found) -> str:
    told = measured_part(found, "scaling").get("roofs", {}).get("notes")
    return NOTHING if told is None else "; ".join(told) or "it fits"


PROCESSOR: dict[str, Cell] = {
    "processor": named,
    "vectors": lambda found: f"{found['processor']['vector_bits']} bits",
    "caches": caches,
    "steps measured": when,
    "machine": others,
    "versions": versions,
    "multiply-adds of one core, at most": said(
        "scaling", "roofs", "peak_gflops", form="{:.0f} GFLOP/s"
    ),
    "a product of OpenBLAS, 1024³": said(
        "scaling", "roofs", "openblas_gflops", form="{:.0f} GFLOP/s"
    ),
    "clock, from a chain of multiply-adds": said(
        "scaling", "roofs", "clock_ghz", form="{:.2f} GHz"
    ),
    "the three beside each other": notes,
    "memory, one core": said("scaling", "roofs", "bandwidth_gbytes", form="{:.0f} GB/s"),
}


def of_peak(what: str) -> Cell:
    """The fraction of the peak at width and batch 1024."""

    def cell(found: Found) -> str:
        rows = measured_part(found, "scaling").get("rows", [])
        large = next((r for r in rows if r["series"] == "large"), None)
        return f"{large['fraction_of_peak'][what]:.0%}" if large else NOTHING

    return cell


WHOLE: dict[str, Cell] = {
    **{f"until the first loss: {peer}": to_first_loss(peer) for peer in COMPILERS},
    "a step at width and batch 1024, of the peak (goal 75 %)": of_peak("step"),
    "its products alone (goal 80 %)": of_peak("product"),
    "`import minigrad_ae`": said("whole", "import", "minigrad_ae", form="{:.2f} s"),
    "`import torch`": said("whole", "import", "torch", form="{:.2f} s"),
    "`import jax`": said("whole", "import", "jax", form="{:.2f} s"),
    "lesson 2 in its short form": said("whole", "lesson", form="{:.1f} s"),
    "an epoch of a VAE 784-400-20 on MNIST, on the tape": said(
        "whole", "mnist", "tape", form="{:.1f} s"
    ),
    'the same by `fit(compile="auto")`, of that time': said(
        "whole", "mnist", "ratio", form="{:.2f}"
    ),
}


def filled(text: str, tables: dict[str, str]) -> str:
    """A text with the tables between its marks."""
    return BLOCK.sub(lambda m: f"{m[1]}{tables[m[2]]}{m[3]}", text)


# --- figure ---------------------------------------------------------------------------------------


def draw(measured: dict[str, Found], folder: Path = FIGURES) -> Path | None:
    """bench_scaling, PNG and the numbers as JSON, of the processor where it was measured last."""
    dated = [
        (found["parts"]["scaling"]["date"], name)
        for name, found in measured.items()
        if "scaling" in found["parts"]
    ]
    if not dated:
        return None
    name = max(dated)[1]
    scaling = measured_part(measured[name], "scaling")
    with matplotlib.rc_context({**STYLE, "backend": "Agg"}):
        path = folder / "bench_scaling.png"
        write_png(path, scaling_figure(scaling, name), dpi=150)
    numbers = json.dumps(plain({"processor": name, **scaling}), indent=1) + "\n"
    write_text(path.with_suffix(".json"), numbers)
    return path


def scaling_figure(scaling: dict[str, Any], processor: str) -> Any:
    """Time per step against operations, the two roofs beneath it; and the fraction of the peak."""
    figure = Figure(figsize=(10, 4.4))
    left, right = figure.subplots(1, 2)
    peak = scaling["roofs"]["peak_gflops"] * 1e9
    bandwidth = scaling["roofs"]["bandwidth_gbytes"] * 1e9
    styles = {
        "width": (BLUE, "o", "width 32 ... 2048, batch 128"),
        "batch": (ORANGE, "s", "width 512, batch 16 ... 4096"),
    }
    for series, (color, marker, label) in styles.items():
        rows = [r for r in scaling["rows"] if r["series"] == series]
        x = [r["flops"] for r in rows]
        left.loglog(x, [r["seconds"] for r in rows], color=color, marker=marker, label=label)
        left.loglog(
            x,
            [r["bytes"] / bandwidth for r in rows],
            color=color,
            ls=":",
            label=f"memory: {bandwidth / 1e9:.0f} GB/s",
        )
        right.semilogx(
            x,
            [r["fraction_of_peak"]["step"] for r in rows],
            color=color,
            marker=marker,
            label=label,
        )
        products = [r["fraction_of_peak"]["product"] for r in rows]
        right.semilogx(
            x, products, color=color, marker=marker, ls="--", alpha=0.6, label="its products alone"
        )
    everything = sorted(r["flops"] for r in scaling["rows"])
    left.loglog(
        everything,
        [f / peak for f in everything],
        color="black",
        label=f"peak: {peak / 1e9:.0f} GFLOP/s",
    )
    best = max(r["fraction_of_peak"]["step"] for r in scaling["rows"])
    left.set(
        xlabel="floating-point operations in a step",
        ylabel="time of a step (s)",
        title=f"{processor}: a small step costs its\noverhead, a large one follows the multipliers",
    )
    right.set(
        xlabel="floating-point operations in a step",
        ylabel="fraction of the FMA peak",
        ylim=(0, 1.05),
        title=f"The whole step reaches {best:.0%} of what\none core can multiply and add",
    )
    right.axhline(scaling["goals"]["step"], color="black", lw=1, ls="--")
    right.text(everything[0], scaling["goals"]["step"] + 0.01, "goal of the whole step", fontsize=8)
    for ax in (left, right):
        ax.legend(fontsize=7)
    return figure


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if README is behind")
    options = parser.parse_args(argv)
    measured = processors()
    text = README.read_text(encoding="utf-8")
    wanted = filled(text, blocks(measured))
    if options.check:
        print("README.md is up to date" if text == wanted else "README.md is behind the results")
        return int(text != wanted)
    write_text(README, wanted)
    print(f"README.md, {draw(measured)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
