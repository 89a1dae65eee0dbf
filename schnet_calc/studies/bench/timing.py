"""Times of several calls that take turns, so that a machine that is slower for a while is so for all."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

ROUNDS = 7
MATRIX = 1024
"""Rows of the product that tells the rate of the machine's arithmetic."""

Call = Callable[[], object]


def take_turns(calls: Mapping[str, Call], seconds: float = 1.0, rounds: int = ROUNDS) -> dict[str, NDArray]:
    """Return milliseconds of each call, numbers (rounds,), for every round.

    Parameters
    ----------
    calls : dict
        What to time, by name; each is called three times before.
    seconds : float
        For each of them, about; every round has one call of each at least.
    rounds : int
        How often they take turns.

    Returns
    -------
    dict
        (rounds,) means over the calls of a round, ms.
    """
    repeats = {}
    for name, call in calls.items():
        call()
        call()
        repeats[name] = max(1, int(seconds / rounds / max(_seconds(call, 1), 1e-6)))
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            times[name].append(1e3 * _seconds(call, repeats[name]))
    return {name: np.array(values) for name, values in times.items()}


def _seconds(call: Call, repeats: int) -> float:
    started = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - started) / repeats


def matrix_product() -> Call:
    """A float32 product of :data:`MATRIX` rows and columns, on all of torch's threads."""
    a = torch.randn(MATRIX, MATRIX)
    return lambda: a @ a


def gflops(milliseconds: Any) -> Any:
    """10⁹ operations per second of :func:`matrix_product`, if it takes so long; numbers or arrays."""
    return 2e-6 * MATRIX**3 / milliseconds


def gigahertz(steps: int = 10_000_000) -> float:
    """Clock of one core, 10⁹ per second: each step of xorshift is six operations that wait for one another.

    Parameters
    ----------
    steps : int
        How many are timed; the best of five.
    """
    _shift(1)
    return 6e-9 * steps / min(_seconds(lambda: _shift(steps), 1) for _ in range(5))


@numba.njit()
def _shift(steps: int) -> np.uint64:
    x = np.uint64(88172645463325252)
    for _ in range(steps):
        x ^= x << np.uint64(13)
        x ^= x >> np.uint64(7)
        x ^= x << np.uint64(17)
    return x


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use so many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
