"""What MPI ranks agree on."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Result = TypeVar("Result")


class MPIRanks:
    """Small sums and texts over all ranks.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        All of its ranks call the same methods in the same order.
    """

    def __init__(self, comm: Any) -> None:
        from mpi4py import MPI

        self._comm, self._min = comm, MPI.MIN
        self.rank: int = comm.rank
        self.size: int = comm.size

    def total(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the sums (n,) over all ranks, in the unit of the values."""
        result = np.empty_like(values)
        self._comm.Allreduce(values, result)
        return result

    def least(self, value: int) -> int:
        """Return the smallest value of any rank."""
        return int(self._comm.allreduce(value, self._min))

    def share(self, text: str, root: int) -> str:
        """Return the text that rank ``root`` has."""
        return str(self._comm.bcast(text, root))


def agreed(comm: Any, call: Callable[[], Result]) -> Result:
    """Return what a call returns; what it raises on any rank is raised on all.

    Ranks that have no error of their own get that of the first that has one, so that none goes on alone.
    """
    error: Exception | None = None
    try:
        result = call()
    except Exception as raised:
        error = raised
    errors = [e for e in comm.allgather(error) if e is not None]
    if errors:
        raise error or errors[0]
    return result
