"""Waiting for several sockets and pipes, over and over."""

import selectors
from collections.abc import Iterable
from typing import Any


class Watch:
    """Waits for files, and keeps what it knows of them: a new selector for each wait costs more than the wait."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._known: dict[int, tuple[Any, int]] = {}

    def wait(self, wanted: Iterable[tuple[Any, int]], timeout: float) -> list[tuple[Any, int]]:
        """Return what is ready, and for what.

        Parameters
        ----------
        wanted : iterable of (file, int)
            Anything with a ``fileno``, and ``selectors.EVENT_READ``, ``EVENT_WRITE`` or both.
        timeout : float
            Seconds.
        """
        self._update({file.fileno(): (file, events) for file, events in wanted})
        return [(key.data, events) for key, events in self._selector.select(timeout)]

    def close(self) -> None:
        """Forget all files."""
        self._selector.close()

    def _update(self, wanted: dict[int, tuple[Any, int]]) -> None:
        """A number may by now be that of another file."""
        for number, (file, _) in list(self._known.items()):
            if number not in wanted or wanted[number][0] is not file:
                self._selector.unregister(number)
                del self._known[number]
        for number, (file, events) in wanted.items():
            if number not in self._known:
                self._selector.register(number, events, file)
            elif self._known[number][1] != events:
                self._selector.modify(number, events, file)
        self._known = wanted
