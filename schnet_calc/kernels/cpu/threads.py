"""Threads for compiled loops, which run beside each other because they let go of Python's lock."""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from queue import SimpleQueue
from typing import Any, TypeVar

import torch

from schnet_calc.kernels.cpu.barrier import ALONE, Member, abandon, barrier

Part = Callable[..., None]
Item = TypeVar("Item")
Result = TypeVar("Result")


@cache
def thread_pool(n_threads: int) -> ThreadPoolExecutor:
    """The pool of so many threads, made once."""
    return ThreadPoolExecutor(n_threads, thread_name_prefix="schnet")


def map_on_threads(call: Callable[[Item], Result], items: Sequence[Item], n_threads: int) -> list[Result]:
    """What a call returns for each item, all of them on threads.

    Parameters
    ----------
    call : callable
        Called with one item; others run beside it while it lets go of Python's lock.
    items : sequence
        What it is called with.
    n_threads : int
        Most that run at a time.
    """
    try:
        return list(thread_pool(n_threads).map(call, items))
    except KeyboardInterrupt:
        thread_pool.cache_clear()  # its locks may have been left locked
        raise


class Team:
    """Threads that take parts of one compiled call and meet at its barriers.

    A pool would do, but takes a tenth of a millisecond to begin and to end: as long as twenty atoms.
    """

    def __init__(self) -> None:
        self._busy = threading.Lock()
        self._queues: list[SimpleQueue[Any]] = []

    def run(self, part: Part, n_parts: int, *arguments: Any) -> bool:
        """Call ``part(member, *arguments)`` for all parts at once; false if the team is busy.

        The calls have to end with a barrier. The first part is this thread's.
        """
        arrivals = barrier()
        errors: list[BaseException] = []
        if not self._busy.acquire(blocking=False):
            return False
        try:
            while len(self._queues) < n_parts - 1:
                self._enlist()
            for k in range(1, n_parts):
                self._queues[k - 1].put((part, Member(k, n_parts, arrivals), arguments, errors))
            part(Member(0, n_parts, arrivals), *arguments)
        except BaseException:
            abandon(arrivals)
            raise
        finally:
            self._busy.release()
        if errors:
            raise errors[0]
        return True

    def _enlist(self) -> None:
        queue: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=_serve, args=(queue,), daemon=True, name="schnet-part").start()
        self._queues.append(queue)


def _serve(queue: "SimpleQueue[Any]") -> None:
    while True:
        part, member, arguments, errors = queue.get()
        try:
            part(member, *arguments)
        except BaseException as error:
            errors.append(error)
            abandon(member.arrivals)
        del arguments  # of large structures; the next call may be long in coming


@cache
def team() -> Team:
    """The team of this process."""
    return Team()


def n_parts(most: int) -> int:
    """As many parts as torch has threads, and not more than there is work for."""
    return max(min(torch.get_num_threads(), most), 1)


def run_parts(part: Part, n: int, *arguments: Any) -> None:
    """Call ``part(member, *arguments)`` for n parts, on this process's team where it is free."""
    if n == 1 or not team().run(part, n, *arguments):
        part(ALONE, *arguments)


def _after_fork() -> None:
    """A child makes threads of its own, and leaves OpenMP alone, which would wait for its parent's."""
    thread_pool.cache_clear()
    team.cache_clear()
    torch.set_num_threads(1)


os.register_at_fork(after_in_child=_after_fork)
