"""Rows of atoms between MPI ranks, found by the atoms' IDs.

Owners are looked up where every rank keeps a part of all IDs (ID modulo number of ranks), so no rank ever holds a
list of all atoms. Messages then go between neighbours only. Small sums and texts go to all.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


class RankExchange:
    """Own rows to where they are guests, and guests' rows back.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        All of its ranks make this together.
    own : array
        (n,) IDs of own atoms.
    ghosts : array
        (M - n,) IDs of images and others' atoms, maybe several times.

    Raises
    ------
    RuntimeError
        A ghost belongs to no rank.
    """

    def __init__(self, comm: Any, own: Integers, ghosts: Integers) -> None:
        from mpi4py import MPI

        self._comm, self._wait = comm, MPI.Request.Waitall
        n_own, order = len(own), np.argsort(own, kind="stable")

        # Images of own atoms have their rows; everybody else's atoms get one each, by owner.
        place = np.searchsorted(own[order], ghosts)
        mine = np.zeros(len(ghosts), bool)
        inside = place < n_own
        mine[inside] = own[order[place[inside]]] == ghosts[inside]
        guests, which = np.unique(ghosts[~mine], return_inverse=True)
        owner, index = find_owners(comm, own, guests)
        by_owner = np.argsort(owner, kind="stable")
        row = np.empty_like(by_owner)
        row[by_owner] = np.arange(len(by_owner))
        self.home = np.empty(n_own + len(ghosts), np.int64)
        """(M,) the row of each atom or image."""
        self.home[:n_own] = np.arange(n_own)
        self.home[n_own:][mine] = order[place[mine]]
        self.home[n_own:][~mine] = n_own + row[which]
        self.where = np.empty(n_own + len(guests), np.int64)
        """(N,) an atom of each row."""
        self.where[self.home[::-1]] = np.arange(len(self.home))[::-1]

        # Tell the owners which of their rows are wanted here.
        asked, given = scatter(comm, owner[by_owner], index[by_owner, None])
        ends = n_own + np.cumsum(np.bincount(owner, minlength=comm.size))
        begins = np.concatenate([[n_own], ends[:-1]])
        self._wanted = [
            (r, slice(a, b)) for r, (a, b) in enumerate(zip(begins, ends, strict=True)) if b > a
        ]
        parts = np.split(asked[:, 0], np.cumsum(given)[:-1])
        self._given = [(r, part) for r, part in enumerate(parts) if len(part)]
        self.bytes = 0
        """Sent so far, by this rank."""

    def forward(self, rows: NDArray) -> None:
        """Fill the guests' rows (N, K)."""
        requests = [self._comm.Irecv(rows[here], r) for r, here in self._wanted]
        parts = [rows[index] for _, index in self._given]
        requests += [self._comm.Isend(p, r) for (r, _), p in zip(self._given, parts, strict=True)]
        self._wait(requests)
        self.bytes += sum(p.nbytes for p in parts)

    def reverse(self, rows: NDArray) -> None:
        """Add to own rows (M, C), in their unit, what other ranks have for them; in the order of the ranks."""
        parts = [np.empty((len(index), rows.shape[1]), rows.dtype) for _, index in self._given]
        requests = [self._comm.Irecv(p, r) for (r, _), p in zip(self._given, parts, strict=True)]
        requests += [self._comm.Isend(rows[here], r) for r, here in self._wanted]
        self._wait(requests)
        for (_, index), part in zip(self._given, parts, strict=True):
            rows[index] += part  # a rank asks once for each atom
        self.bytes += sum(rows[here].nbytes for _, here in self._wanted)


def scatter(comm: Any, target: Integers, rows: Integers) -> tuple[Integers, Integers]:
    """Send rows (W, C) to their target ranks; what arrives, by sender, and how many rows from each.

    Parameters
    ----------
    comm : MPI communicator
        Of all ranks.
    target : array
        (W,) rank of each row.
    rows : array
        (W, C) integers.
    """
    order, width = np.argsort(target, kind="stable"), rows.shape[1]
    sent = np.bincount(target, minlength=comm.size)
    received = np.empty_like(sent)
    comm.Alltoall(sent, received)
    arrived = np.empty((received.sum(), width), np.int64)
    outgoing = np.ascontiguousarray(rows[order], np.int64)
    comm.Alltoallv([outgoing, sent * width], [arrived, received * width])
    return arrived, received


def find_owners(comm: Any, own: Integers, wanted: Integers) -> tuple[Integers, Integers]:
    """Return the ranks (W,) that own the wanted IDs, and the atoms' indices (W,) there.

    Parameters
    ----------
    comm
        As for :func:`scatter`.
    own : array
        (M,) IDs of own atoms.
    wanted : array
        (W,) IDs that are looked for.

    Raises
    ------
    RuntimeError
        Nobody has one of them.
    """
    # Every ID has a keeper, who is told its owner.
    mine = np.column_stack([own, np.full(len(own), comm.rank), np.arange(len(own))])
    table, _ = scatter(comm, own % comm.size, mine)
    table = table[np.argsort(table[:, 0], kind="stable")]

    # The keepers answer in the order of the questions, which they send back to where these came from.
    keeper = wanted % comm.size
    questions, counts = scatter(comm, keeper, wanted[:, None])
    place = np.minimum(np.searchsorted(table[:, 0], questions[:, 0]), max(len(table) - 1, 0))
    answers = np.full((len(questions), 2), -1)
    if len(table):
        found = table[place, 0] == questions[:, 0]
        answers[found] = table[place[found], 1:]
    arrived, _ = scatter(comm, np.repeat(np.arange(comm.size), counts), answers)
    owners = np.empty((len(wanted), 2), np.int64)
    owners[np.argsort(keeper, kind="stable")] = arrived
    if (owners < 0).any():
        lost = int(wanted[owners[:, 0] < 0][0])
        raise RuntimeError(f"atom {lost} is near rank {comm.rank}, but belongs to none")
    return owners[:, 0], owners[:, 1]


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
