"""What a call should take on a card, by launches, bytes and operations: an estimate, not a measurement.

    python benchmarks/on_gpu/estimate.py

Each kernel takes the longest of three times: a floor for anything that is started in a graph, its bytes through the
second cache, where tables and features lie, and its operations. Kernels come one after the other. T = 6, F = 128,
float32.
"""

import time
from typing import Any, NamedTuple

import torch
from ase import Atoms
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from schnet_calc.engine.device_lists import DeviceSearch
from schnet_calc.structures.neighbors import SKIN, half_pairs
from schnet_calc.studies.bench.cases import NETWORK, cage, diamond

FLOOR = 4e-6
"""Seconds from the start of a small kernel in a graph to the start of the next."""
ATTENTION = 60e-6
"""Seconds for everything around the graph: Python, two copies, waiting."""

EAGER = 8e-6
"""Seconds of an operation that is no part of a graph."""
BUS = 6e9
"""Bytes/s from the card to memory that is not pinned."""


class Card(NamedTuple):
    """Rates of a card that programs reach, about."""

    cache: float
    """Bytes/s"""
    memory: float
    """Bytes/s"""
    operations: float
    """float32 operations/s"""


H100 = Card(cache=5.5e12, memory=2.6e12, operations=30e12)


def kernels(n_atoms: int, n_pairs: int) -> list[tuple[float, float]]:
    """Bytes and operations of each of the 40 launches, for so many atoms and directed pairs."""
    t, f, size = NETWORK.n_interactions, NETWORK.n_features, 4
    row = f * size
    found = [(n_pairs * 110.0 + 2 * n_atoms * row, n_pairs * 200.0)]  # locate
    for _ in range(t):
        found.append((n_pairs * 7 * row + n_atoms * row, n_pairs * f * 14.0))  # convolve
        found.append((n_atoms * 3 * row + f * row, 2.0 * n_atoms * f * f))  # dense
        found.append((n_atoms * 4 * row + 4 * f * row, 8.0 * n_atoms * f * f))  # product
        found.append((n_atoms * 4 * row + 4 * f * row, 8.0 * n_atoms * f * f))
        found.append((n_atoms * 3 * row + f * row, 2.0 * n_atoms * f * f))  # dense_adjoint
        found.append((n_pairs * 8 * row + n_atoms * 3 * row, n_pairs * f * 34.0))  # convolve_adjoint
    found += [
        (n_atoms * 2 * row, 20.0 * n_atoms * f),
        (n_pairs * 36.0, n_pairs * 40.0),
        (n_atoms * 48.0, 0.0),
    ]
    return found


def seconds(card: Card, n_atoms: int, n_pairs: int) -> float:
    """Of a call, ASE apart."""
    kept = 4 * NETWORK.n_features * 4 * n_atoms  # of one block
    rate = card.cache if kept < 3e7 else 0.5 * (card.cache + card.memory)
    times = [max(FLOOR, n / rate, o / card.operations) for n, o in kernels(n_atoms, n_pairs)]
    return ATTENTION + sum(times)


class Counted(TorchDispatchMode):
    """Counts what would start a kernel, and the bytes of what it reads and writes."""

    def __init__(self) -> None:
        super().__init__()
        self.launches, self.bytes = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call an operation of torch; views are free."""
        found = func(*args, **(kwargs or {}))
        if not func.is_view:
            several = tree_leaves((args, found))
            self.launches, self.bytes = (
                self.launches + 1,
                self.bytes + sum(x.nbytes for x in several if isinstance(x, torch.Tensor)),
            )
        return found


def list_seconds(card: Card, atoms: Atoms, cutoff: float) -> tuple[int, float]:
    """Launches of a list of neighbours on the device, and how long it takes with its copy for the host."""
    search = DeviceSearch(torch.device("cpu"), from_atoms=0)
    with Counted() as counted:
        pairs = half_pairs(atoms.positions, atoms.cell.array, atoms.pbc, cutoff, search)
    return counted.launches, counted.launches * EAGER + counted.bytes / card.memory + 32 * len(
        pairs.i
    ) / BUS


def main() -> None:
    """Print the tables."""
    print("| | atoms | directed pairs | launches | estimate, ms |\n|---|---|---|---|---|")
    cases = [(f"C20 × {n}", cage(), n) for n in (1, 8, 128)] + [("diamond", diamond(20000), 1)]
    for name, atoms, count in cases:
        pairs = half_pairs(atoms.positions, atoms.cell.array, atoms.pbc, NETWORK.cutoff)
        n_pairs, n_atoms = 2 * count * len(pairs.i), count * len(atoms)
        took = 1e3 * seconds(H100, n_atoms, n_pairs)
        print(f"| {name} | {n_atoms:,} | {n_pairs:,} | {len(kernels(n_atoms, n_pairs))} | {took:.2g} |")
    print("\n| list with a skin, diamond | launches | estimate, ms | the CPU here, ms |\n|---|---|---|---|")
    for n in (1000, 4000, 20000):
        atoms, reach = diamond(n), NETWORK.cutoff + SKIN
        launches, took = list_seconds(H100, atoms, reach)
        started = time.perf_counter()
        half_pairs(atoms.positions, atoms.cell.array, atoms.pbc, reach)
        here = time.perf_counter() - started
        print(f"| {n:,} | {launches} | {1e3 * took:.2g} | {1e3 * here:.0f} |")


if __name__ == "__main__":
    main()
