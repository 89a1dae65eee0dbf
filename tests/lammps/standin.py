"""Ranks without MPI: threads that share out a structure and exchange rows through common memory."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import Any

import ase
import numpy as np

from schnet_calc.lammps.evaluator import DistributedEvaluator, RankResults, Surroundings
from schnet_calc.lammps.pairs import find_pairs


class World:
    """What all stand-in ranks see."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size, timeout=60)
        self.board: list[Any] = [None] * size

    def gather(self, rank: int, value: Any) -> list[Any]:
        """What every rank says, on every rank."""
        self.board[rank] = value
        self.barrier.wait()
        said = list(self.board)
        self.barrier.wait()
        return said


class StandInRanks:
    """As :class:`schnet_calc.lammps.exchange.MPIRanks`."""

    def __init__(self, world: World, rank: int) -> None:
        self._world, self.rank, self.size = world, rank, world.size

    def total(self, values: np.ndarray) -> np.ndarray:
        """Sums."""
        return np.sum(self._world.gather(self.rank, values), axis=0)

    def least(self, value: int) -> int:
        """Minimum."""
        return min(self._world.gather(self.rank, value))

    def share(self, text: str, root: int) -> str:
        """Broadcast."""
        return self._world.gather(self.rank, text)[root]


class StandInExchange:
    """Rows by the IDs of the atoms."""

    def __init__(self, world: World, rank: int, tags: np.ndarray, n_own: int) -> None:
        self._world, self._rank, self._tags, self._n = world, rank, tags, n_own

    def forward(self, rows: np.ndarray) -> None:
        """Guests get their owners' rows."""
        n = self._n
        known: dict[int, np.ndarray] = {}
        for tags, values in self._world.gather(self._rank, (self._tags[:n], rows[:n].copy())):
            known |= dict(zip(tags.tolist(), values, strict=True))
        for k in range(n, len(rows)):
            rows[k] = known[int(self._tags[k])]

    def reverse(self, rows: np.ndarray) -> None:
        """Owners get what their guests' rows hold."""
        n = self._n
        place = {int(tag): k for k, tag in enumerate(self._tags[:n])}
        said = self._world.gather(self._rank, (self._tags[n:], rows[n:].copy()))
        for tags, values in said:
            for tag, row in zip(tags.tolist(), values, strict=True):
                if tag in place:
                    rows[place[tag]] += row


def surroundings(atoms: ase.Atoms, own: np.ndarray, reach: float) -> Surroundings:
    """Own atoms (their indices), and all atoms and images near them."""
    places, ids = [atoms.positions[own]], [own]
    inverse_heights = np.linalg.norm(atoms.cell.reciprocal(), axis=1)
    counts = np.where(atoms.pbc, np.ceil(reach * inverse_heights) + 1, 0).astype(int)
    for image in product(*(range(-c, c + 1) for c in counts)):
        moved = atoms.positions + np.array(image) @ atoms.cell.array
        for k, r in enumerate(moved):
            if not any(image) and k in own:
                continue
            if len(own) and np.linalg.norm(atoms.positions[own] - r, axis=1).min() < reach:
                places.append(r[None])
                ids.append(np.array([k]))
    positions, who = np.concatenate(places), np.concatenate(ids)
    rows = {int(k): n for n, k in enumerate(own)}
    for k in who[len(own) :]:
        rows.setdefault(int(k), len(rows))
    home = np.array([rows[int(k)] for k in who], np.int64)
    where = np.empty(len(rows), np.int64)
    where[home[::-1]] = np.arange(len(home))[::-1]
    i, j = find_pairs(positions, home, len(own), reach)
    numbers = atoms.numbers.astype(np.int64)[who[where]]
    return Surroundings(positions, home, where, numbers, who, len(own), i, j)


def on_ranks(size: int, call: Callable[[World, int], Any]) -> list[Any]:
    """What a call returns on each of so many ranks."""
    world = World(size)
    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(lambda rank: call(world, rank), range(size)))


def evaluate(
    evaluator: Callable[[], DistributedEvaluator], atoms: ase.Atoms, owner: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[RankResults]]:
    """Energies, forces and virial of atoms that ranks (N,) share."""
    size = int(owner.max()) + 1

    def call(world: World, rank: int) -> RankResults:
        around = surroundings(atoms, np.flatnonzero(owner == rank), reach)
        tags = around.tags[around.where]
        return evaluator().evaluate(around, StandInExchange(world, rank, tags, around.n_own))

    shares = on_ranks(size, call)
    energies, forces = np.zeros(len(atoms)), np.zeros((len(atoms), 3))
    for rank, share in enumerate(shares):
        energies[owner == rank], forces[owner == rank] = share.energies, share.forces
    return energies, forces, sum(s.virial for s in shares), shares
