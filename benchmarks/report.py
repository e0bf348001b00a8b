"""The report of ``minigrad-ae bench``: run the scripts of this folder, print our times beside those
of other libraries, draw two figures.

Every script measures in processes of its own and writes JSON; this file turns that into rows

    {what, threads, peer, ours (seconds or None), ratio (their time / ours), goal (or None), met (or
    None), busy}

A missed goal is reported but is not an error, since it also depends on the machine.  A loss or a
product that does not agree with its reference is an error: exit code 1.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from minigrad_ae.files import write_png, write_text
from minigrad_ae.teaching.lesson import BLUE, ORANGE, STYLE, plain

Row = dict[str, Any]
FOLDER = Path(__file__).resolve().parent
QUICK = [
    ("steps", "bench_steps.py", ["--threads", "1", "--rounds", "15"]),
    ("scaling", "bench_scaling.py", ["--rounds", "5", "--budget", "1.5"]),
]
FULL = [
    ("steps", "bench_steps.py", ["--rounds", "21"]),
    ("scaling", "bench_scaling.py", ["--rounds", "15", "--budget", "4"]),
    ("gemm", "bench_gemm.py", []),
    ("kernels", "bench_kernels.py", []),
    ("deep", "bench_mnist_deep.py", []),
    ("vae", "bench_mnist_vae.py", []),
    ("masked", "bench_mnist_masked.py", []),
]
PRODUCT_GOALS = {"NN": 0.95, "TN": 0.95, "NT": 1.0}  # geometric means over the shapes; batched: 1.0
KERNEL_GOALS = {  # against NumPy, against torch
    "linear": (1.0, 1.1),
    "softmax": (3.0, 1.5),
    "layer norm": (3.0, 1.5),
    "gelu": (3.0, 1.5),
    "Adam": (None, 1.0),
}


def make_report(full: bool, destination: Path | None) -> int:
    """Run the scripts, print the table, draw the figures; 1 if a script failed.

    full : all the scripts, not the quick ones alone.
    destination : a file for everything measured, as JSON.
    """
    found: dict[str, Any] = {}
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, script, options in FULL if full else QUICK:
            print(f"\n== {script} {' '.join(options)}", flush=True)
            report = Path(folder) / f"{name}.json"
            command = [sys.executable, str(FOLDER / script), *options, "--json", str(report)]
            if subprocess.run(command, check=False).returncode:
                failed.append(script)
            else:
                found[name] = json.loads(report.read_text(encoding="utf-8"))
    rows = table_rows(found)
    print("\n" + table(rows))
    for script in failed:
        print(f"{script} failed: see its message above; its rows are missing")
    if destination:
        line = f"minigrad-ae bench{' --full' if full else ''}"
        everything = {"command": line, "rows": rows, "measured": found}
        write_text(destination, json.dumps(everything, indent=1) + "\n")
    for path in draw(found, rows, FOLDER.parent / "figures"):
        print(f"figure: {path}")
    return int(bool(failed))


# --- rows -----------------------------------------------------------------------------------------


def row(
    what: str,
    peer: str,
    ratio: float,
    goal: float | None,
    threads: int = 1,
    ours: float | None = None,
    busy: bool = False,
) -> Row:
    """One comparison.

    busy : measured while others used the cores, so that the ratio neither meets its goal nor misses
    it.
    """
    met = None if goal is None or busy else bool(ratio >= goal)
    return {
        "what": what,
        "threads": threads,
        "peer": peer,
        "ours": ours,
        "ratio": ratio,
        "goal": goal,
        "met": met,
        "busy": busy,
    }


def table_rows(found: dict[str, Any]) -> list[Row]:
    """One row per comparison, from what the scripts wrote."""
    rows = []
    for r in found.get("steps", {}).get("rows", []):
        for peer, ratio in r["ratio"].items():
            what, goal = f"{r['model']}, batch {r['batch']}", r["goal"].get(peer)
            ours, busy = r["microseconds"]["ours"] * 1e-6, r.get("busy", False)
            rows.append(row(what, peer, ratio, goal, r["threads"], ours, busy))
    scaling = found.get("scaling", {})
    for r in scaling.get("rows", []):
        if r["series"] == "large":
            for name, fraction in r["fraction_of_peak"].items():
                part = "whole step" if name == "step" else "its products"
                what = f"{part}, width {r['width']}, batch {r['batch']}"
                goal = scaling["goals"][name]
                rows.append(row(what, "FMA peak", fraction, goal, ours=r["seconds"]))
    rows += _products(found.get("gemm", {}).get("rows", []))
    for r in found.get("kernels", {}).get("rows", []):
        rows += _kernel(r)
    for r in found.get("deep", {}).get("rows", []):
        rows += _deep(r)
    for name, r in found.get("vae", {}).get("runs", {}).items():
        rows += _vae(name, r, found["vae"])
    if "masked" in found:
        rows += _masked(found["masked"])
    return rows


def _products(measured: list[Row]) -> Iterable[Row]:
    keys = dict.fromkeys((r["kernel"], r["dtype"], r["kind"]) for r in measured)
    for kernel, dtype, kind in keys:
        ratios = [
            r["ratio"]
            for r in measured
            if (r["kernel"], r["dtype"], r["kind"]) == (kernel, dtype, kind)
        ]
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        letters = {"NN": "A B", "TN": "A^T B", "NT": "A B^T"}[kind]
        goal = 1.0 if kernel == "batched" else PRODUCT_GOALS[kind]
        stack = "stack of " if kernel == "batched" else ""
        yield row(f"{stack}{letters}, {dtype}", "OpenBLAS", mean, goal)


def _kernel(measured: Row) -> Iterable[Row]:
    what = measured["kernel"]
    goals = next((g for name, g in KERNEL_GOALS.items() if what.startswith(name)), (None, None))
    for peer in (p for p in ("numpy", "torch", "torch fused") if p in measured):
        goal = goals[0] if peer == "numpy" else goals[1]
        yield row(what, peer, measured[peer]["ratio"], goal, ours=measured["ours"]["us"] * 1e-6)


def _deep(measured: Row) -> Iterable[Row]:
    """A deep autoencoder on MNIST: PCA's test error over ours, and torch's time for the same
    training over ours.
    """
    ours = measured["ours"]
    yield row(
        f"{measured['name']}, test error",
        "PCA",
        measured["pca"] / ours["median"],
        measured["pca"] / measured["goal"],
    )
    if "torch" in measured:
        what = f"{measured['name']}, training"
        ratio = sum(measured["torch"]["cpu"]) / sum(ours["cpu"])
        yield row(what, "torch fused", ratio, None, ours=sum(ours["cpu"]) / len(ours["cpu"]))


def _vae(name: str, measured: Row, report: Row) -> Iterable[Row]:
    """A VAE on MNIST: the nats of independent pixels over ours, and the seconds of a plain NumPy
    program over ours.
    """
    goals, pixels, threads = measured["setting"], report["baseline"], report["threads"]
    for key, what in (("elbo", "-ELBO"), ("log_p", "-log p")):
        if goals[key] is not None:
            yield row(
                f"{name} on MNIST, {what}",
                "pixels",
                pixels / measured[key],
                pixels / goals[key],
                threads,
            )
    if goals["seconds"] is not None:
        seconds = measured["seconds_with_log_p"]
        yield row(
            f"{name} on MNIST, training",
            "plain NumPy",
            goals["seconds"] / seconds,
            1.0,
            threads,
            ours=seconds,
        )


def _masked(measured: Row) -> Iterable[Row]:
    """The masked autoencoder on MNIST: the Gaussian conditional's error over ours, with the same
    masks; and its seconds.
    """
    targets, threads = measured["targets"], measured["threads"]
    what = "masked AE on MNIST, error in hidden pixels"
    yield row(
        what,
        "conditional",
        measured["gaussian"] / measured["masked_error"],
        1 / targets["ratio"],
        threads,
    )
    yield row(what, "target", targets["masked_error"] / measured["masked_error"], 1.0, threads)
    yield row(
        "masked AE on MNIST, training",
        "10 minutes",
        targets["seconds"] / measured["seconds"],
        1.0,
        threads,
        ours=measured["seconds"],
    )


def table(rows: Sequence[Row]) -> str:
    """what | threads | ours | peer | ratio | goal | met, at most 100 columns."""
    lines = [f"{'what':<46} {'threads':>7} {'ours':>9} {'peer':>12} {'ratio':>6} {'goal':>5}  met"]
    for r in rows:
        ours = "" if r["ours"] is None else duration(r["ours"])
        goal = "" if r["goal"] is None else f"{r['goal']:.2f}"
        met = "busy" if r["busy"] else {True: "yes", False: "NO", None: ""}[r["met"]]
        line = (
            f"{r['what'][:46]:<46} {r['threads']:>7} {ours:>9} {r['peer']:>12} "
            f"{r['ratio']:>6.2f} {goal:>5}  {met}"
        )
        lines.append(line.rstrip())
    goals = [r["met"] for r in rows if r["met"] is not None]
    return "\n".join(
        [*lines, f"{sum(goals)} of {len(goals)} goals met; a ratio is their time / our time"]
    )


def duration(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"


# --- figures --------------------------------------------------------------------------------------


def draw(found: dict[str, Any], rows: Sequence[Row], folder: Path) -> list[Path]:
    """bench_ratios and bench_scaling, PNG and the numbers as JSON; those for which there are
    data.
    """
    folder.mkdir(exist_ok=True)
    drawn = []
    with matplotlib.rc_context({**STYLE, "backend": "Agg"}):
        steps = [r for r in rows if r["peer"] in PEERS and "batch" in r["what"] and not r["busy"]]
        if steps:
            numbers = {
                "rows": steps,
                "machine": found["steps"].get("machine"),
                "pinned": found["steps"].get("pinned"),
            }
            drawn.append(save(folder / "bench_ratios.png", ratios_figure(steps), numbers))
        if "scaling" in found:
            drawn.append(
                save(
                    folder / "bench_scaling.png", scaling_figure(found["scaling"]), found["scaling"]
                )
            )
    return drawn


def save(path: Path, figure: Any, numbers: Any) -> Path:
    write_png(path, figure, dpi=150)
    write_text(path.with_suffix(".json"), json.dumps(plain(numbers), indent=1) + "\n")
    return path


# Okabe and Ito
PEERS = {"torch": "#0072B2", "torch fused": "#56B4E9", "autograd": "#E69F00", "jax": "#009E73"}


def ratios_figure(rows: Sequence[Row]) -> Any:
    """A bar per peer: how many times as long it takes; a line across the bar marks the goal."""
    shown = [name for name in PEERS if any(r["peer"] == name for r in rows)]
    groups = list(dict.fromkeys((r["what"], r["threads"]) for r in rows))
    figure = Figure(figsize=(9, 1.2 + 0.85 * len(groups)))
    ax = figure.subplots()
    for k, group in enumerate(groups):
        own = [r for r in rows if (r["what"], r["threads"]) == group]
        for j, r in enumerate(own):
            y = k + (j - (len(own) - 1) / 2) * 0.2
            ax.barh(y, r["ratio"], height=0.18, color=PEERS[r["peer"]])
            ax.text(0.03, y, f"{r['ratio']:.2f}", va="center", fontsize=8)
            if r["goal"] is not None:
                ax.plot([r["goal"]] * 2, [y - 0.1, y + 0.1], color="black", lw=2.5, zorder=3)
    goals = [r["met"] for r in rows if r["met"] is not None]
    versus = [r for r in rows if r["peer"] == "torch"]
    title = f"{sum(goals)} of {len(goals)} goals (black marks) are met"
    if versus:
        faster = sum(r["ratio"] > 1 for r in versus)
        title = f"{faster} of {len(versus)} steps are faster than torch's;\n{title}"
    labels = [f"{what}\n{threads} thread{'s' * (threads > 1)}" for what, threads in groups]
    ax.set_yticks(range(len(groups)), labels)
    ax.set(
        xlabel="time of a training step: theirs / ours   (right of the dashed line ours is faster)",
        title=title,
    )
    ax.invert_yaxis()
    ax.axvline(1, color="black", lw=1, ls="--")
    figure.legend(
        [Patch(color=PEERS[name]) for name in shown],
        shown,
        loc="outside lower center",
        ncols=len(shown),
    )
    return figure


def scaling_figure(scaling: dict[str, Any]) -> Any:
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
        title="A small step costs its overhead,\na large one follows the multipliers",
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
