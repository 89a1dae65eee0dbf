"""Labels and trainings on any ``concurrent.futures`` executor, such as a cluster's under dask."""

import logging
import pickle
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from contextlib import contextmanager
from typing import Any, Self

from schnet_calc.learn.pool import Task
from schnet_calc.learn.remote import label_there
from schnet_calc.learn.worker import Answer
from schnet_calc.references.sources import name_of, portable

logger = logging.getLogger(__name__)
ATTEMPTS = 3
"""Times that a structure is sent out again whose worker was lost."""
LOOK = 0.5
"""Seconds between looks at the time that labels take."""


class ExecutorLabeller:
    """Has structures labelled by an executor; takes the place of :class:`~schnet_calc.learn.pool.Labeller`.

    Parameters
    ----------
    source : str, Path, callable or Calculator
        As for :func:`~schnet_calc.references.sources.make_calculator`; its workers make it once each.
    executor : Executor
        Left open.
    slots : callable
        How many structures may be out at once.
    timeout : float
        Seconds that a structure may be out. Its worker is not stopped: that is up to the executor.

    Raises
    ------
    ValueError
        The source can't be sent to other processes.
    """

    def __init__(
        self, source: Any, executor: Executor, slots: Callable[[], int], timeout: float = 3600.0
    ) -> None:
        self.source = portable(source)
        self.executor, self.slots, self.timeout = executor, slots, timeout
        try:
            self._sent = pickle.dumps(self.source)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ValueError(
                f"{name_of(source)} can't be sent to other processes ({error}): give its name, or a Python "
                "file that defines calculator()"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the executor as it is."""

    def label(self, tasks: Iterable[Task]) -> Iterator[Answer]:
        """Evaluate structures, in any order; each gives one answer, a result or the reason why there is none.

        A structure whose worker is lost goes to another one, three times in all.

        Raises
        ------
        RuntimeError
            The calculator can't be made, or the executor takes no more work.
        """
        waiting = [(task, 1) for task in tasks][::-1]
        out: dict[Future[Answer], tuple[Task, int, float]] = {}
        try:
            while waiting or out:
                while waiting and len(out) < max(self.slots(), 1):
                    task, attempt = waiting.pop()
                    future = self.executor.submit(label_there, self._sent, *task)
                    out[future] = (task, attempt, time.monotonic())
                done, _ = wait(out, LOOK, FIRST_COMPLETED)
                for future in done:
                    task, attempt, since = out.pop(future)
                    answer = self._answer(future, task, attempt, time.monotonic() - since)
                    if answer is None:
                        waiting.append((task, attempt + 1))
                    else:
                        yield answer
                yield from self._late(out)
        finally:
            for future in out:
                future.cancel()

    def _answer(self, future: "Future[Answer]", task: Task, attempt: int, seconds: float) -> Answer | None:
        """What came back; None if the structure should be sent out again."""
        try:
            answer = future.result()
        except (Exception, CancelledError) as error:  # of the executor: a lost worker, a closed scheduler
            logger.warning(
                "a worker was lost with structure %s, attempt %d: %r", task[0][:12], attempt, error
            )
            if attempt < ATTEMPTS:
                return None
            return Answer(task[0], {}, f"lost {ATTEMPTS} times with its worker: {error!r:.200}", seconds)
        if not answer.key:
            raise RuntimeError(f"the reference {name_of(self.source)} can't be made: {answer.reason}")
        return answer

    def _late(self, out: dict["Future[Answer]", tuple[Task, int, float]]) -> Iterator[Answer]:
        now = time.monotonic()
        for future, (task, _, since) in list(out.items()):
            if now - since > self.timeout:
                del out[future]
                future.cancel()
                yield Answer(task[0], {}, f"no result within {self.timeout:g} s", self.timeout)


@contextmanager
def open_executor(kind: str, scheduler: str = "") -> Iterator[tuple[Executor, Callable[[], int]] | None]:
    """Give the executor of a name, and how many of its workers there are; None for this machine's own processes.

    Parameters
    ----------
    kind : str
        ``"local"`` or ``"dask"``.
    scheduler : str
        Address of dask's scheduler, such as ``"tcp://login1:8786"``, or the file that it wrote.

    Raises
    ------
    ValueError
        Another kind, no address for dask, or one without dask.
    ModuleNotFoundError
        dask is not installed.
    """
    if kind not in ("local", "dask"):
        raise ValueError(f"executor is local or dask, got {kind!r}")
    if (kind == "dask") != bool(scheduler):
        raise ValueError(
            f"executor dask and the address of its scheduler go together, got {kind} {scheduler!r}"
        )
    if kind == "local":
        yield None
        return
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error}: pip install 'schnet-calc[cluster]'") from error
    where = {"scheduler_file": scheduler} if scheduler.endswith(".json") else {"address": scheduler}
    with Client(**where) as client:
        yield client.get_executor(pure=False), lambda: sum(client.nthreads().values())
