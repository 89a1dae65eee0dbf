"""Signals that end a loop between two steps instead of within one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruptions:
    """Notes signals while a loop runs; a second one interrupts at once.

    Threads other than the main one get no signals: there it does nothing.
    """

    def __init__(self) -> None:
        self.asked = False
        """Whether a signal came."""
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interruptions":
        if threading.current_thread() is threading.main_thread():
            self._before = {s: signal.signal(s, self._note) for s in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def act(self) -> None:
        """Raise ``KeyboardInterrupt`` if a signal came."""
        if self.asked:
            raise KeyboardInterrupt


@contextmanager
def whole() -> Iterator[None]:
    """What is done within is done to its end: a signal interrupts after it, a second one at once."""
    with Interruptions() as interruptions:
        yield
    interruptions.act()
