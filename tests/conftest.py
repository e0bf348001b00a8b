"""Fixtures: compiled kernels; and for the tests of the HTML page one browser, and two pages, for
all of them.
"""

from __future__ import annotations

import signal

import pytest
from browser import autoencoder, chain, chromium

from minigrad_ae import kernels

NAMES = "SIGINT", "SIGTERM", "SIGPIPE"
SIGNALS = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]


@pytest.fixture(autouse=True)
def signals():
    """What a signal does is left as it was found: a process whose SIGPIPE ends it dies of the next
    connection that is closed, many tests later and without a word.
    """
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.fixture
def compiled():
    """Kernels run compiled, whatever MINIGRAD_AE_KERNELS says: for tests of what the kernels do
    beyond their definitions.
    """
    with kernels.use("numba"):
        yield


@pytest.fixture
def definitions():
    """Ops run by their definitions: for tests to the last bit, for a kernel adds up in another
    order (tests/test_bindings.py says how far off that is).
    """
    with kernels.use("numpy"):
        yield


@pytest.fixture(scope="session")
def browser():
    with chromium() as found:
        yield found


@pytest.fixture(scope="session")
def traced():
    return autoencoder()


@pytest.fixture(scope="session")
def small(tmp_path_factory, traced):
    path = tmp_path_factory.mktemp("page") / "page.html"
    traced.html(path)
    return path


@pytest.fixture(scope="session")
def long(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "long.html"
    chain(2000).html(path)
    return path
