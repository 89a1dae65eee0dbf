"""Neighbours in the sense of chemistry, counted smoothly."""

import math

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray

from schnet_calc.kernels.cpu.compiling import exact

FULL_BOND, NO_BOND = 1.15, 1.5
"""Neighbours count fully up to, and no more from, these multiples of the sum of the covalent radii."""
SIZE = len(covalent_radii)
RADII = np.nan_to_num(covalent_radii, nan=1.5)


def reach(numbers: NDArray[np.int64]) -> float:
    """Return the distance, Å, beyond which no two of these atoms count as neighbours."""
    return 2.0 * NO_BOND * float(RADII[numbers].max())


@exact
def survey(numbers, index, n_kinds, positions, i, j, shifts):  # type: ignore[no-untyped-def]
    """Numbers of neighbours of each kind (N, kinds), and distances (P,), infinite for pairs that don't count.

    The kind of an atom is its index (N,).
    """
    counts = np.zeros((numbers.shape[0], n_kinds))
    distances = np.full(i.shape[0], np.inf)
    for p in range(i.shape[0]):
        a, b = i[p], j[p]
        bond = RADII[numbers[a]] + RADII[numbers[b]]
        square = 0.0
        for m in range(3):
            square += (positions[b, m] + shifts[p, m] - positions[a, m]) ** 2
        if square >= (NO_BOND * bond) ** 2:
            continue
        distances[p] = math.sqrt(square)

        # One up to a bond's length, then half a cosine down to zero: nothing jumps as atoms move.
        t = (distances[p] / bond - FULL_BOND) / (NO_BOND - FULL_BOND)
        share = 1.0 if t <= 0.0 else 0.5 * (1.0 + math.cos(math.pi * t))
        counts[a, index[b]] += share
        counts[b, index[a]] += share
    return counts, distances


@exact
def fragments(n_atoms, i, j, distances):  # type: ignore[no-untyped-def]
    """Number of separate molecules; distances (P,) are infinite where there is no bond."""
    root = np.arange(n_atoms)
    count = n_atoms
    for p in range(i.shape[0]):
        if not math.isfinite(distances[p]):
            continue
        a, b = i[p], j[p]
        while root[a] != a:
            root[a] = root[root[a]]
            a = root[a]
        while root[b] != b:
            root[b] = root[root[b]]
            b = root[b]
        if a != b:
            root[a] = b
            count -= 1
    return count


@exact
def judge(numbers, index, positions, i, j, shifts, shortest, slack, fewest, most, low, high):  # type: ignore[no-untyped-def]
    """What lies farthest outside: a pair, an atom's neighbours, its neighbours of a kind; and molecules.

    Ranges of all neighbours are (N,), those of kinds (N, kinds); slack is that of distances, then that of
    numbers of neighbours. Indices are -1 where nothing lies outside. Numbers alone come back: arrays would take as
    long as all this for twenty atoms.
    """
    counts, distances = survey(numbers, index, low.shape[1], positions, i, j, shifts)
    pair, worst = -1, 0.0
    for p in range(i.shape[0]):
        gap = shortest[numbers[i[p]], numbers[j[p]]] - slack[0] - distances[p]
        if gap > worst:
            pair, worst = p, gap
    atom, worst = -1, 0.0
    odd, kind, oddest = -1, -1, 0.0
    for n in range(numbers.shape[0]):
        total = 0.0
        for k in range(low.shape[1]):
            total += counts[n, k]
            gap = max(low[n, k] - counts[n, k], counts[n, k] - high[n, k]) - slack[1]
            if gap > oddest:
                odd, kind, oddest = n, k, gap
        gap = max(fewest[n] - total, total - most[n]) - slack[1]
        if gap > worst and math.isfinite(gap):
            atom, worst = n, gap
    return pair, atom, odd, kind, fragments(numbers.shape[0], i, j, distances)


@exact
def none_outside(most_parts, numbers, index, positions, *others):  # type: ignore[no-untyped-def]
    """Whether :func:`judge` finds nothing in several geometries (B, N, 3), and no more molecules than so many."""
    for k in range(positions.shape[0]):
        pair, atom, odd, _, parts = judge(numbers, index, positions[k], *others)
        if max(pair, atom, odd) >= 0 or parts > most_parts:
            return False
    return True
