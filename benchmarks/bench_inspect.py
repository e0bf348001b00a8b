"""What it costs to look: time of a trace, size of a page, and how soon a browser has it ready.

    python benchmarks/bench_inspect.py [--json FILE] [--rounds N]

The page is opened in headless Chromium (Debian: chromium, chromium-driver; ``pip install
selenium``), from a file, offline.  "ready" is the browser's own clock (performance.now) when the
first step is on the screen; "key" is the time from a key press to the next step drawn, seen by the
script in the page.  Medians over the rounds.
Goal: 2,000 steps ready in less than 1 s, in less than 5 MB.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import minigrad_ae as mg
from minigrad_ae.inspect.render.html_page import page

READY, SIZE = 1.0, 5_000_000  # seconds, bytes
KEY = """
const start = performance.now();
document.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight"}));
document.body.getBoundingClientRect();
return performance.now() - start;
"""


def network(steps: int) -> Any:
    """The loss of a chain of layers with about so many ops (four a layer: product, sum, tanh,
    scaling).
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 8))
    h = x
    for k in range((steps - 2) // 4):
        W = mg.tensor(rng.normal(size=(8, 8)) / 3, requires_grad=True, name=f"W{k}")
        h = mg.tanh(h @ W + mg.tensor(np.zeros(8), requires_grad=True, name=f"b{k}")) * 1.5
    while steps > 2 + (steps - 2) // 4 * 4:
        h, steps = h * 1.0, steps - 1
    return (h * x).sum()


def seconds(run: Any, *args: Any, **kwargs: Any) -> tuple[float, Any]:
    start = time.perf_counter()
    result = run(*args, **kwargs)
    return time.perf_counter() - start, result


def in_browser(path: Path, rounds: int) -> dict[str, float] | None:
    """Median milliseconds until ready, and per key; None without a browser."""
    try:
        from selenium import webdriver
    except ImportError:
        return None
    if not shutil.which("chromedriver") or not shutil.which("chromium"):
        return None
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--window-size=1300,900",
    ):
        options.add_argument(flag)
    driver = webdriver.Chrome(
        options=options, service=webdriver.ChromeService(shutil.which("chromedriver"))
    )
    try:
        ready, key = [], []
        for _ in range(rounds):
            driver.get("about:blank")
            driver.get(path.as_uri())
            ready.append(
                float(
                    driver.execute_script("return Number(document.documentElement.dataset.ready)")
                )
            )
            key += [float(driver.execute_script(KEY)) for _ in range(10)]
        return {
            "ready_ms": statistics.median(ready),
            "key_ms": statistics.median(key),
            "ready_worst_ms": max(ready),
        }
    finally:
        driver.quit()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="also write the numbers here")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    print(
        f"{'steps':>7} {'backward':>9} {'trace':>8} {'checked':>8} {'page':>8} {'file':>9} "
        f"{'ready':>8} {'key':>7}"
    )
    for steps in (10, 200, 2_000):
        backward, _ = seconds(network(steps).backward)
        plain, _ = seconds(mg.trace, network(steps), numeric=False)
        checked, trace = seconds(mg.trace, network(steps))
        made, text = seconds(page, trace)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "page.html"
            path.write_text(text, encoding="utf-8")
            seen = in_browser(path, options.rounds) or {
                "ready_ms": float("nan"),
                "key_ms": float("nan"),
            }
        row = {
            "steps": trace.total,
            "backward_s": backward,
            "trace_s": plain,
            "checked_trace_s": checked,
            "page_s": made,
            "bytes": len(text.encode()),
            **seen,
        }
        rows.append(row)
        print(
            f"{trace.total:>7,} {backward * 1e3:>6.0f} ms {plain:>6.2f} s {checked:>6.2f} s "
            f"{made:>6.2f} s "
            f"{row['bytes'] / 1e3:>6.0f} kB {row['ready_ms']:>5.0f} ms {row['key_ms']:>4.1f} ms",
            flush=True,
        )
    last = rows[-1]
    good = last["bytes"] <= SIZE and not last["ready_ms"] > READY * 1e3
    print(f"2,000 steps ready in < {READY:g} s and < {SIZE / 1e6:g} MB: {'yes' if good else 'NO'}")
    if options.json:
        result = {"goal": {"ready_s": READY, "bytes": SIZE}, "rows": rows}
        Path(options.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return int(not good)


if __name__ == "__main__":
    raise SystemExit(main())
