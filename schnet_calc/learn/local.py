"""Processes of this machine as an executor: Pebble's, which ends late labels and replaces dead processes."""

import os
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from loky.backend.context import LokyContext
from loky.backend.process import LokyProcess
from pebble import ProcessPool

from schnet_calc.learn.remote import begin

NO_STATUS = 255
"""In place of 0: a calculator whose program ends itself "in order" has left its label undone all the same."""


class _Process(LokyProcess):
    """Begins anew and doesn't import the main script, which therefore needs no ``if __name__ == "__main__"``."""

    @property
    def exitcode(self) -> int | None:
        status: int | None = super().exitcode
        return NO_STATUS if status == 0 else status


class _Context(LokyContext):
    """Starts processes with a share of the machine's threads."""

    def __init__(self, n_workers: int) -> None:
        super().__init__()
        threads = max(1, (os.cpu_count() or 1) // n_workers)
        self.env = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}

    def Process(self, *args: Any, **options: Any) -> LokyProcess:
        return _Process(*args, env=self.env, **options)


class LocalProcesses(Executor):
    """Processes that label, with a calculator each.

    Parameters
    ----------
    source : bytes
        The pickled source of the calculator.
    n_workers : int
        Number of processes; they start with the first structure.
    timeout : float
        Seconds that a task may take; its process is ended then, and the future has a ``TimeoutError``.
    """

    def __init__(self, source: bytes, n_workers: int, timeout: float) -> None:
        self.timeout = timeout
        self._pool = ProcessPool(
            n_workers, initializer=begin, initargs=(source, os.getpid()), context=_Context(n_workers)
        )

    def submit(self, function: Callable[..., Any], /, *args: Any, **options: Any) -> "Future[Any]":
        """Have a function called by one of the processes."""
        return self._pool.schedule(function, args=args, kwargs=options, timeout=self.timeout)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes at once, whatever they are at."""
        self._pool.stop()
        self._pool.join()
