"""What a call should take on a card, by launches, bytes and operations: an estimate, not a measurement.

    python benchmarks/on_gpu/estimate.py

Each kernel takes the longest of three times: a floor for anything that is started in a graph, its bytes through the
second cache, where tables and features lie, and its operations. Kernels come one after the other. T = 6, F = 128,
float32.
"""

from typing import NamedTuple

from schnet_calc.structures.neighbors import half_pairs
from schnet_calc.studies.bench.cases import NETWORK, cage, diamond

FLOOR = 4e-6
"""Seconds from the start of a small kernel in a graph to the start of the next."""
ATTENTION = 60e-6
"""Seconds for everything around the graph: Python, two copies, waiting."""


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


def main() -> None:
    """Print the table."""
    print("| | atoms | directed pairs | launches | estimate, ms |\n|---|---|---|---|---|")
    cases = [(f"C20 × {n}", cage(), n) for n in (1, 8, 128)] + [("diamond", diamond(20000), 1)]
    for name, atoms, count in cases:
        pairs = half_pairs(atoms.positions, atoms.cell.array, atoms.pbc, NETWORK.cutoff)
        n_pairs, n_atoms = 2 * count * len(pairs.i), count * len(atoms)
        took = 1e3 * seconds(H100, n_atoms, n_pairs)
        print(f"| {name} | {n_atoms:,} | {n_pairs:,} | {len(kernels(n_atoms, n_pairs))} | {took:.2g} |")


if __name__ == "__main__":
    main()
