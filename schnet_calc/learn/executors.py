"""Labels by any ``concurrent.futures`` executor: processes of this machine, or a cluster's under dask."""

import logging
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import ase

from schnet_calc.learn.remote import Answer, label_there
from schnet_calc.references.sources import name_of, portable

logger = logging.getLogger(__name__)
ATTEMPTS = 3
"""Times that a structure is sent out whose worker is lost."""
KILLER = "KilledWorker"
"""What dask calls a task that has cost more than three workers: it sends lost ones elsewhere by itself."""
LOOK = 0.5
"""Seconds between looks at the time that labels take."""
Task = tuple[str, ase.Atoms]
"""A structure and its key."""


class Source(NamedTuple):
    """What makes a calculator, as other processes, which may work in other folders, can unpickle it."""

    name: str
    pickled: bytes

    @classmethod
    def pack(cls, source: Any) -> "Source":
        """Pack what :func:`~schnet_calc.references.sources.make_calculator` takes.

        Raises
        ------
        FileNotFoundError
            It is a file that isn't there.
        ValueError
            It can't be pickled.
        """
        import cloudpickle  # which knows functions of scripts and notebooks, too

        try:
            return cls(name_of(source), cloudpickle.dumps(portable(source)))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"{name_of(source)} can't be sent to other processes ({error}): give its name, or a Python "
                "file that defines calculator()"
            ) from error


@dataclass(frozen=True)
class _Out:
    """A structure that is being labelled."""

    task: Task
    attempt: int
    since: float


class Labeller:
    """Has structures labelled by an executor.

    Parameters
    ----------
    source : Source
        Of the calculator, which the workers make once each.
    executor : Executor
        Left open.
    slots : callable
        How many structures may be out at once.
    timeout : float
        Seconds that a structure may be out. Its worker is not stopped: that is up to the executor, and so is a
        ``TimeoutError`` of its own.
    """

    def __init__(
        self, source: Source, executor: Executor, slots: Callable[[], int], timeout: float = 3600.0
    ) -> None:
        self.source = source
        self.executor, self.slots, self.timeout = executor, slots, timeout

    def label(self, tasks: Iterable[Task]) -> Iterator[Answer]:
        """Evaluate structures, in any order; each gives one answer, a result or the reason why there is none.

        A structure whose worker is lost goes to another one, three times in all.

        Raises
        ------
        RuntimeError
            The calculator can't be made, or the executor takes no more work.
        """
        waiting = [(task, 1) for task in tasks][::-1]
        out: dict[Future[Answer], _Out] = {}
        try:
            while waiting or out:
                while waiting and len(out) < max(self.slots(), 1):
                    task, attempt = waiting.pop()
                    future = self.executor.submit(label_there, self.source.pickled, *task)
                    out[future] = _Out(task, attempt, time.monotonic())
                done, _ = wait(out, LOOK, FIRST_COMPLETED)
                for future in done:
                    one = out.pop(future)
                    answer = self._answer(future, one)
                    if answer is None:
                        waiting.append((one.task, one.attempt + 1))
                    else:
                        yield answer
                yield from self._late(out)
        finally:
            # Whoever stops listening half-way gets no answers of this call in the next one.
            for future in out:
                future.cancel()

    def _answer(self, future: "Future[Answer]", one: _Out) -> Answer | None:
        """What came back; None if the structure should be sent out again."""
        key, seconds = one.task[0], time.monotonic() - one.since
        try:
            answer = future.result()
        except TimeoutError:
            limit = getattr(self.executor, "timeout", seconds)
            return Answer(key, {}, f"no result within {limit:g} s", seconds)
        except BrokenExecutor as error:
            raise RuntimeError(f"the workers for {self.source.name} are gone: {error}") from error
        except (Exception, CancelledError) as error:  # of the executor: a lost worker, a closed scheduler
            status = getattr(error, "exitcode", None)  # where the executor knows it
            why = f"{error!r:.200}" if status is None else f"it ended with status {status}"
            logger.warning("a worker was lost with structure %s, attempt %d: %s", key, one.attempt, why)
            killed = type(error).__name__ == KILLER
            if one.attempt < ATTEMPTS and not killed:
                return None
            often = "again and again" if killed else f"{ATTEMPTS} times"
            return Answer(key, {}, f"lost {often} with its worker: {why}", seconds)
        if not answer.key:
            raise RuntimeError(f"the reference {self.source.name} can't be made: {answer.reason}")
        return answer

    def _late(self, out: dict["Future[Answer]", _Out]) -> Iterator[Answer]:
        now = time.monotonic()
        for future, one in list(out.items()):
            if now - one.since > self.timeout:
                del out[future]
                future.cancel()
                yield Answer(one.task[0], {}, f"no result within {self.timeout:g} s", self.timeout)


@contextmanager
def local_labeller(source: Any, workers: int = 1, timeout: float = 3600.0) -> Iterator[Labeller]:
    """Give a labeller with processes of this machine, which end with the context.

    Parameters
    ----------
    source : str, Path, callable or Calculator
        As for :func:`~schnet_calc.references.sources.make_calculator`.
    workers : int
        Number of processes; they start with the first structures.
    timeout : float
        Seconds that a structure may take; its process is ended then.

    Raises
    ------
    FileNotFoundError, ValueError
        As for :meth:`Source.pack`.
    """
    from schnet_calc.learn.local import LocalProcesses

    packed = Source.pack(source)
    with LocalProcesses(packed.pickled, workers, timeout) as executor:
        yield Labeller(packed, executor, lambda: workers, float("inf"))


@contextmanager
def open_dask(scheduler: str) -> Iterator[tuple[Executor, Callable[[], int]]]:
    """Give the executor of a dask cluster, and how many threads its workers have.

    Parameters
    ----------
    scheduler : str
        Its address, such as ``"tcp://login1:8786"``, or the file that it wrote.

    Raises
    ------
    ModuleNotFoundError
        dask is not installed.
    """
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error}: pip install 'schnet-calc[cluster]'") from error
    where = {"scheduler_file": scheduler} if scheduler.endswith(".json") else {"address": scheduler}
    with Client(**where) as client:
        yield client.get_executor(pure=False), lambda: sum(client.nthreads().values())
