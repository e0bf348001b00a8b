"""What a drag of the graph costs a browser, and whether 10,000 steps can be walked.

    python tests/drag.py            a minute; writes tests/drag.json

A graph of 500 nodes is dragged by 200 mouse moves.  From Chromium's trace events: the time in
script, style and layout that belongs to each move (up to the next one), and the longest task.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from browser import Browser, chain, chromium
from helpers import rng

import minigrad_ae as mg
from minigrad_ae.inspect.render.html_page import page
from minigrad_ae.inspect.render.placing import shown_nodes

RESULT = Path(__file__).with_suffix(".json")
MOVES, KEYS = 200, 50
EVENT, TASK, KEY = 4.0, 50.0, 100.0  # ms: per move (median), the longest task, per key (median)
COUNTED = {"EventDispatch", "UpdateLayoutTree", "Layout", "FireAnimationFrame"}


def network(layers: int) -> mg.inspect.Trace:
    """Of six nodes a layer: product, sum, tanh, skip, and two parameters; and eight more."""
    generator = rng()
    h = x = generator.normal(size=(4, 3))
    for k in range(layers):
        W = mg.tensor(generator.normal(size=(3, 3)), requires_grad=True, name=f"W{k}")
        b = mg.tensor(np.zeros(3), requires_grad=True, name=f"b{k}")
        h = h + mg.tanh(h @ W + b)
    for _ in range(5):
        h = h * 1.0
    return mg.trace((h * x).sum(), numeric=False)


def dragged(browser: Browser, moves: int) -> None:
    """Press in the middle of the pane, move there and back in small steps, release."""
    send = browser.driver.execute_cdp_cmd
    left, top, width, height = browser.run(
        "const r = document.getElementById('graph').getBoundingClientRect(); "
        "return [r.left, r.top, r.width, r.height]"
    )
    x, y = left + width / 2, top + height / 2

    def mouse(kind: str, k: int) -> None:
        at = {"x": x + 60 * np.sin(k / 9), "y": y - 80 * np.sin(k / 7)}
        told = {"type": kind, **at, "button": "left", "buttons": 1, "clickCount": 1}
        send("Input.dispatchMouseEvent", told)

    mouse("mousePressed", 0)
    for k in range(1, moves + 1):
        mouse("mouseMoved", k)
        time.sleep(0.02)
    mouse("mouseReleased", moves)


def events(browser: Browser, act: Callable[[], None]) -> list[dict[str, Any]]:
    """The complete events of the page's main thread while `act` runs, in order."""
    import websocket  # comes with selenium

    address = browser.driver.capabilities["goog:chromeOptions"]["debuggerAddress"]
    with urllib.request.urlopen(f"http://{address}/json/version") as answer:
        url = json.load(answer)["webSocketDebuggerUrl"]
    socket = websocket.create_connection(url, suppress_origin=True)
    categories = {"includedCategories": ["devtools.timeline", "toplevel"]}
    socket.send(
        json.dumps({"id": 1, "method": "Tracing.start", "params": {"traceConfig": categories}})
    )
    act()
    socket.send(json.dumps({"id": 2, "method": "Tracing.end"}))
    found: list[dict[str, Any]] = []
    message: dict[str, Any] = {}
    while message.get("method") != "Tracing.tracingComplete":
        message = json.loads(socket.recv())
        if message.get("method") == "Tracing.dataCollected":
            found += message["params"]["value"]
    socket.close()
    threads = {(e["pid"], e["tid"]) for e in found if kind(e) == "pointermove"}
    inside = [e for e in found if e.get("ph") == "X" and (e["pid"], e["tid"]) in threads]
    return sorted(inside, key=lambda e: (e["ts"], -e["dur"]))


def kind(e: dict[str, Any]) -> str:
    """Of a dispatched event, which."""
    return str(e["args"]["data"]["type"]) if e["name"] == "EventDispatch" else ""


def costs(found: list[dict[str, Any]]) -> list[float]:
    """Milliseconds of script, style and layout for each move.

    The events of one moment are dispatched one inside another or in turn; what lies inside another
    event that counts is not counted twice.
    """
    spent: list[float] = []
    end = 0.0
    for e in found:
        if e["name"] not in COUNTED or e["ts"] < end:
            continue
        end = e["ts"] + e["dur"]
        if kind(e) == "pointermove":
            spent.append(0.0)
        if spent:
            spent[-1] += e["dur"] / 1000
    return spent


def measure(folder: Path) -> dict[str, Any]:
    trace = network(82)
    path = folder / "page.html"
    path.write_text(page(trace), encoding="utf-8")
    with chromium() as browser:
        browser.open(path, "#s=100")
        found = events(browser, lambda: dragged(browser, MOVES))
        spent = costs(found)
        tasks = [
            e["dur"] / 1000
            for e in found
            if e["name"] in ("RunTask", "ThreadControllerImpl::RunTask")
        ]
        told = {
            "browser": browser.driver.capabilities["browserVersion"],
            "nodes": len(shown_nodes(trace.nodes)),
            "moves": len(spent),
            "ms_a_move": {
                "median": round(statistics.median(spent), 3),
                "largest": round(max(spent), 3),
            },
            "longest_task_ms": round(max(tasks), 1),
        }
    path.write_text(page(chain(10_000, max_steps=10_000), cap=50_000_000), encoding="utf-8")
    with chromium() as browser:
        browser.open(path)
        press = (
            "const start = performance.now(); document.dispatchEvent(new KeyboardEvent('keydown', "
            "{key: arguments[0]})); document.body.getBoundingClientRect(); "
            "return performance.now() - start"
        )
        keys = [browser.run(press, "PageDown") for _ in range(KEYS)]
        browser.keys("\ue010")
        told["steps_10000"] = {
            "step": browser.step,
            "megabytes": round(path.stat().st_size / 1e6, 1),
            "ready_ms": browser.run("return Number(document.documentElement.dataset.ready)"),
            "ms_a_key": round(statistics.median(keys), 1),
        }
    return told


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        told = measure(Path(folder))
    RESULT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(told, indent=1))
    long = told["steps_10000"]
    good = told["ms_a_move"]["median"] <= EVENT and told["longest_task_ms"] <= TASK
    return int(not (good and long["step"] == 10_000 and long["ms_a_key"] <= KEY))


if __name__ == "__main__":
    sys.exit(main())
