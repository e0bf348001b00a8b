"""What lies at an address, from a server that may say anything, or never end.

Three limits: seconds without a byte, seconds until the answer begins, and seconds and bytes of the
whole.  Imported when something is fetched: who only computes gradients loads no network code.
"""

from __future__ import annotations

import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Timer
from typing import Any

TIMEOUT = 30.0  # seconds without a byte
BEGINNING = 120.0  # seconds until the answer begins, through all redirections
PATIENCE = 3600.0  # seconds for one file
PART = 1 << 16  # bytes that are read at a time
ERRORS = HTTPException, OSError, ValueError, OverflowError


def fetched(url: str, largest: int) -> bytes:
    """What a server sends, at most `largest` bytes; one of `ERRORS` where there is no such answer,
    and where it has no end.
    """
    with _opened(url) as answer:
        content, start = bytearray(), time.monotonic()
        while part := answer.read1(PART):
            content += part
            if len(content) > largest:
                raise ValueError(f"more than {largest:,} bytes: none of these files is so large")
            if time.monotonic() - start > PATIENCE:
                raise ValueError(f"{len(content):,} bytes in {PATIENCE / 60:.0f} minutes: too slow")
        return bytes(content)


class _Deadline:
    """Ends whatever is read from the sockets that it was told of, and from those to come."""

    def __init__(self) -> None:
        self.passed = False
        self.sockets: list[socket.socket] = []

    def add(self, connected: socket.socket) -> None:
        self.sockets.append(connected)  # noted first, asked then: no time lies between the two
        if self.passed:
            raise TimeoutError

    def end(self) -> None:
        self.passed = True
        for each in self.sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # whoever reads from it reads its end


@contextmanager
def _opened(url: str) -> Iterator[Any]:
    """The answer, when its header was read."""
    deadline = _Deadline()
    timer = Timer(BEGINNING, deadline.end)
    timer.daemon = True
    timer.start()
    try:
        answer = _opener(deadline).open(url, timeout=TIMEOUT)
        if deadline.passed:
            raise TimeoutError
    except ERRORS as error:
        if deadline.passed:
            raise ValueError(f"no answer within {BEGINNING:.0f} seconds") from error
        raise
    finally:
        timer.cancel()
    with answer:
        yield answer


def _opener(deadline: _Deadline) -> urllib.request.OpenerDirector:
    """As `urllib.request.urlopen` has one, with proxies and redirections; the deadline is told of
    its sockets.
    """

    class Plain(HTTPConnection):
        def connect(self) -> None:
            super().connect()
            deadline.add(self.sock)

    class Secret(HTTPSConnection):
        def connect(self) -> None:
            super().connect()
            deadline.add(self.sock)

    class ByHTTP(urllib.request.HTTPHandler):
        def http_open(self, request: Any) -> Any:
            return self.do_open(Plain, request)

    class ByHTTPS(urllib.request.HTTPSHandler):
        def https_open(self, request: Any) -> Any:
            return self.do_open(Secret, request)

    return urllib.request.build_opener(ByHTTP, ByHTTPS)
