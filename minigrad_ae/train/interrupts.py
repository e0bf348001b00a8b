"""Ctrl-C and its like, answered between two steps."""

from __future__ import annotations

import signal
import threading
from signal import SIGINT, SIGTERM
from typing import Any


class Postponed:
    """Signals that a program answers, Ctrl-C above all: the first waits for `now`, a second one is
    answered at once, as usual.
    """

    def __init__(self) -> None:
        self.came: int | None = None
        self.usual: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            handlers = {number: signal.getsignal(number) for number in (SIGINT, SIGTERM)}
            self.usual = {number: usual for number, usual in handlers.items() if callable(usual)}

    @property
    def asked(self) -> bool:
        """Whether one is waiting."""
        return self.came is not None

    def __enter__(self) -> Postponed:
        for number in self.usual:
            signal.signal(number, self._first)
        return self

    def __exit__(self, *_: object) -> None:
        for number, usual in self.usual.items():
            signal.signal(number, usual)

    def _first(self, number: int, frame: Any) -> None:
        self.came = number
        self.__exit__()

    def now(self) -> None:
        """Let the program answer the one that is waiting; where that raises nothing, go on."""
        if self.came is None:
            return
        came, self.came = self.came, None
        self.usual[came](came, None)
        self.__enter__()
