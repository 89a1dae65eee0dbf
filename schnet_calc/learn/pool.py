"""Labels in parallel processes that may fail, hang or die without harm to the run."""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pickle import PicklingError
from typing import Any, Self

import ase

from schnet_calc.learn.worker import Answer
from schnet_calc.references.sources import name_of, portable

LOOK = 0.5
"""Seconds between looks at the time that labels take."""
PROGRAM = "from schnet_calc.learn.worker import main; main()"
"""Not -m: a module that is run has its classes under another name than one that is imported."""
Task = tuple[str, ase.Atoms]


class _Worker:
    """One process and what it is at."""

    def __init__(self, source: Any, threads: int) -> None:
        self.connection, theirs = Pipe()
        environment = {**os.environ, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}
        with theirs:
            # Its own session: Ctrl-C reaches the run, which ends its workers in order.
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=environment,
            )
        self.ready = False
        self.task: Task | None = None
        self.since = time.monotonic()
        try:
            self.connection.send(source)
        except (PicklingError, AttributeError, TypeError) as error:
            self.kill()
            raise ValueError(
                f"{name_of(source)} can't be sent to other processes ({error}): give its name, or a Python "
                "file that defines calculator()"
            ) from error

    def give(self, task: Task) -> None:
        """Send a structure."""
        self.task, self.since = task, time.monotonic()
        self.connection.send(task)

    def kill(self) -> int:
        """End it at once; its exit status."""
        self.connection.close()
        self.process.kill()
        return self.process.wait()


class Labeller:
    """Processes with a calculator each; to be used as a context.

    Parameters
    ----------
    source : str, Path, callable or Calculator
        As for :func:`~schnet_calc.references.sources.make_calculator`.
    workers : int
        Number of processes; they start with the first structures.
    timeout : float
        Seconds that a structure may take; its worker is killed then.

    Raises
    ------
    FileNotFoundError
        The source is a file that isn't there.
    """

    def __init__(self, source: Any, workers: int = 1, timeout: float = 3600.0) -> None:
        self.source = portable(source)
        self.n_workers, self.timeout = workers, timeout
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._workers:
            self._workers.pop().kill()

    def label(self, tasks: Iterable[Task]) -> Iterator[Answer]:
        """Evaluate structures, in any order; each gives one answer, a result or the reason why there is none.

        Raises
        ------
        RuntimeError
            The calculator can't be made.
        ValueError
            It can't be sent to another process.
        """
        waiting = list(tasks)[::-1]
        try:
            while waiting or any(w.task for w in self._workers):
                missing = min(self.n_workers, len(waiting)) - len(self._workers)
                self._workers += [self._start() for _ in range(missing)]
                for worker in self._workers:
                    if waiting and worker.ready and worker.task is None:
                        _give_or_keep(worker, waiting)
                yield from self._answers()
        finally:
            # Whoever stops listening half-way gets no answers of this call in the next one.
            for worker in [w for w in self._workers if w.task is not None]:
                self._drop(worker)

    def _start(self) -> _Worker:
        threads = max(1, (os.cpu_count() or 1) // self.n_workers)
        return _Worker(self.source, threads)

    def _answers(self) -> Iterator[Answer]:
        heard = wait([w.connection for w in self._workers], LOOK)
        for worker in list(self._workers):
            if worker.connection in heard:
                yield from self._hear(worker)
            elif worker.task and time.monotonic() - worker.since > self.timeout:
                key, _ = worker.task
                self._drop(worker)
                yield Answer(key, {}, f"no result within {self.timeout:g} s", self.timeout)

    def _hear(self, worker: _Worker) -> Iterator[Answer]:
        try:
            answer: Answer = worker.connection.recv()
        except (EOFError, OSError):
            task, seconds = worker.task, time.monotonic() - worker.since
            status = self._drop(worker, patience=1.0)
            if task is None and not worker.ready:
                raise RuntimeError(
                    f"the process for {name_of(self.source)} ended before it could begin (status {status})"
                ) from None
            if task is not None:
                yield Answer(task[0], {}, f"its process ended with status {status}", seconds)
            return
        if answer.key:
            worker.task = None
            yield answer
        elif answer.reason:
            self._drop(worker)
            raise RuntimeError(f"the reference {name_of(self.source)} can't be made: {answer.reason}")
        else:
            worker.ready = True

    def _drop(self, worker: _Worker, patience: float = 0.0) -> int:
        """Remove a worker; the status that it ended with by itself, if it did within a moment."""
        self._workers.remove(worker)
        if patience:
            try:
                status = worker.process.wait(patience)
            except subprocess.TimeoutExpired:
                return worker.kill()
            worker.connection.close()
            return status
        return worker.kill()


def _give_or_keep(worker: _Worker, waiting: list[Task]) -> None:
    """Send the next structure; one that a dead worker didn't take stays for the next."""
    try:
        worker.give(waiting[-1])
    except OSError:
        worker.task = None
        worker.ready = True  # its end will be heard, and replaced
        return
    waiting.pop()
