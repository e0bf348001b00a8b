"""Goals: what the scripts of this folder measured, a row for each comparison, beside what was aimed
at.

    {what, threads, peer, ours (seconds or None), ratio (their time / ours), goal (or None), met (or
    None), busy}

A missed goal is reported but is not an error, since it also depends on the machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.step_models import MODELS

Row = dict[str, Any]
PRODUCT_GOALS = {"NN": 0.95, "TN": 0.95, "NT": 1.0}  # geometric means over the shapes; batched: 1.0
KERNEL_GOALS = {  # against NumPy, against torch
    "linear": (1.0, 1.1),
    "softmax": (3.0, 1.5),
    "layer norm": (3.0, 1.5),
    "gelu": (3.0, 1.5),
    "Adam": (None, 1.0),
}


def goal_of(model: str, ours: str, threads: int, peer: str) -> float | None:
    """What their time over ours should be at least; None where nothing was aimed at."""
    goals = {m.name: m.goals for m in MODELS}
    return goals.get(model, {}).get((ours, threads), {}).get(peer)


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
        for ours, ratios in r["ratio"].items():
            rows += _step(r, ours, ratios)
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


def _step(measured: Row, ours: str, ratios: dict[str, float]) -> Iterable[Row]:
    """One of our two ways of making a step, against each peer."""
    threads, busy = measured["threads"], measured.get("busy", False)
    seconds = measured["microseconds"][ours] * 1e-6
    for peer, ratio in ratios.items():
        if peer != "compiled":  # the compiled rows have it the other way round
            goal = goal_of(measured["model"], ours, threads, peer)
            yield row(f"{ours}: {measured['model']}", peer, ratio, goal, threads, seconds, busy)


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
    lines = [f"{'what':<45} {'threads':>7} {'ours':>9} {'peer':>13} {'ratio':>6} {'goal':>5}  met"]
    for r in rows:
        ours = "" if r["ours"] is None else duration(r["ours"])
        goal = "" if r["goal"] is None else f"{r['goal']:.2f}"
        met = "busy" if r["busy"] else {True: "yes", False: "NO", None: ""}[r["met"]]
        line = (
            f"{r['what'][:45]:<45} {r['threads']:>7} {ours:>9} {r['peer']:>13} "
            f"{r['ratio']:>6.2f} {goal:>5}  {met}"
        )
        lines.append(line.rstrip())
    goals = [r["met"] for r in rows if r["met"] is not None]
    return "\n".join(
        [*lines, f"{sum(goals)} of {len(goals)} goals met; a ratio is their time / our time"]
    )


def duration(seconds: float) -> str:
    return f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"
