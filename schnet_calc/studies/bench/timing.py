"""Times of several calls that take turns, so that a machine that is slower for a while is so for all."""

import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch
from numpy.typing import NDArray

from schnet_calc.calculator import SchNetCalculator
from schnet_calc.studies.bench.cases import diamond, md_step

ROUNDS = 7
MATRIX = 1024
"""Rows of the product that tells the rate of the machine's arithmetic."""

Call = Callable[[], object]


def check_asked(against: str | None, seconds: float) -> None:
    """Raise ``ValueError`` for another peer than SchNetPack, or no time."""
    if against not in (None, "schnetpack"):
        raise ValueError(f"against is 'schnetpack' or nothing, got {against!r}")
    if not seconds > 0:
        raise ValueError(f"seconds must be positive, got {seconds}")


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


def peak_memory(model: Path, n_atoms: int) -> float:
    """MiB of a process of its own that evaluates so many atoms of diamond, with this one's threads.

    Raises
    ------
    RuntimeError
        It failed; the end of what it said is in the message.
    """
    code = f"from {__name__} import evaluate_alone; evaluate_alone({str(model)!r}, {n_atoms}, "
    code += f"{torch.get_num_threads()})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the process that measures memory failed: {done.stderr[-500:]}")
    return float(done.stdout.split()[-1])


def evaluate_alone(model: str, n_atoms: int, threads: int) -> None:
    """What that process does: two steps, and a line with its peak memory in MiB.

    Parameters
    ----------
    model : str
        A file, or a shipped name.
    n_atoms, threads : int
        Size of the crystal; of torch.
    """
    torch.set_num_threads(threads)
    step = md_step(diamond(n_atoms), SchNetCalculator(model, device="cpu", on_doubt="ignore"))
    step()
    step()
    sys.stdout.write(f"{held_at_most():.1f}\n")


def held_at_most() -> float:
    """Return the most MiB that this process ever held."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the parent had when it made this process
        line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform != "darwin" else 1024**2)
