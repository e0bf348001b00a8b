"""A real headless Chromium for the tests of the page (Debian: chromium, chromium-driver), driven by
Selenium.

Where it is missing the tests are skipped, and say so; under continuous integration (the variable
CI) that is a failure. axe-core comes from the variable AXE_CORE, the path of axe.min.js (``npm
install axe-core``).
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import tied_autoencoder

import minigrad_ae as mg
from minigrad_ae.inspect.render.html_page import page

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
DRIVER = shutil.which("chromedriver")
AXE = os.environ.get("AXE_CORE", "")


def lacking() -> list[str]:
    """What is missing for these tests."""
    found = {
        "chromium": CHROMIUM,
        "chromedriver": DRIVER,
        "selenium": importlib.util.find_spec("selenium"),
    }
    return [name for name, thing in found.items() if not thing]


def demand(missing: list[str]) -> None:
    """Skip loudly, except under continuous integration."""
    if missing:
        words = (
            f"NOT TESTED: the HTML page, for {', '.join(missing)} is missing (apt-get install "
            "chromium chromium-driver)"
        )
        assert not os.environ.get("CI"), words
        pytest.skip(words)


@contextmanager
def chromium():
    """A driver; it is offline, so whatever a page asks of the network fails and is seen."""
    demand(lacking())
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--force-device-scale-factor=1",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        driver.execute_cdp_cmd("Network.enable", {})
        conditions = {
            "offline": True,
            "latency": 0,
            "downloadThroughput": -1,
            "uploadThroughput": -1,
        }
        driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)
        yield Browser(driver)
    finally:
        driver.quit()


class Browser:
    """What the tests ask of a page."""

    def __init__(self, driver) -> None:
        self.driver, self.run = driver, driver.execute_script

    def open(
        self,
        path: Path,
        fragment: str = "",
        width: int = 1300,
        height: int = 900,
        dark: bool = False,
        script: bool = True,
    ) -> None:
        """Load a page, afresh."""
        cdp = self.driver.execute_cdp_cmd
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        cdp("Emulation.setDeviceMetricsOverride", size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        cdp("Emulation.setEmulatedMedia", {"media": "", "features": [scheme]})
        cdp("Emulation.setScriptExecutionDisabled", {"value": not script})
        self.driver.get("about:blank")
        self.driver.get_log("browser"), self.driver.get_log("performance")
        self.driver.get(path.as_uri() + fragment)

    def keys(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        from selenium.webdriver.common.action_chains import ActionChains

        chain = ActionChains(self.driver, duration=0)
        for key in keys:
            chain.send_keys(key)
        chain.perform()

    def text(self, selector: str) -> str:
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def texts(self, selector: str) -> list[str]:
        return self.run(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", selector
        )

    @property
    def step(self) -> int:
        return int(self.text("#step-title").split()[1])

    def complaints(self) -> list[str]:
        """What the console says."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Everything that was asked for, apart from the file itself."""
        import json

        events = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        urls = [
            e["params"]["request"]["url"]
            for e in events
            if e["method"] == "Network.requestWillBeSent"
        ]
        return [u for u in urls if not u.startswith(("file:", "about:", "data:"))]

    def violations(self) -> list[str]:
        """What axe-core finds."""
        demand([] if Path(AXE).is_file() else ["axe-core (AXE_CORE=.../axe.min.js)"])
        self.run(Path(AXE).read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(
            "axe.run(document).then(arguments[arguments.length - 1])"
        )
        first = [(v["id"], v["nodes"][0]) for v in found["violations"]]
        return [
            f"{name}: {node['html'][:120]} {node['failureSummary'][:200]}" for name, node in first
        ]


# --- pages to open --------------------------------------------------------------------------------


def autoencoder():
    loss, names = tied_autoencoder()
    return mg.trace(loss, scope=names)


def chain(n, **kwargs):
    x = mg.tensor([0.5, 0.25], requires_grad=True, name="x")
    y = x
    for _ in range(n - 2):
        y = mg.tanh(y)
    return mg.trace((y * x).sum(), numeric=False, **kwargs)


def write(tmp_path, trace, **kwargs):
    path = tmp_path / "page.html"
    path.write_text(page(trace, **kwargs), encoding="utf-8")
    return path


def clean(browser):
    assert browser.complaints() == []
    assert browser.requests() == []
