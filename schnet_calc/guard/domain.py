"""What a model has seen: how close atoms came in its training data, and how many neighbours they had.

A cheap guard against silent extrapolation, in the sense of an applicability domain: leaving it is a reason
for doubt, staying within it is no proof of accuracy.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols, covalent_radii
from numpy.typing import NDArray

from schnet_calc.kernels.cpu.compiling import exact
from schnet_calc.structures.neighbors import HalfPairs, SkinList
from schnet_calc.structures.structure import Structure

FULL_BOND, NO_BOND = 1.15, 1.5
"""Neighbours count fully up to, and no more from, these multiples of the sum of the covalent radii."""
SLACK_ANG, SLACK_COORDINATION = 0.05, 0.25
"""How far beyond the training data is still no reason for doubt."""
SIZE = len(covalent_radii)
RADII = np.nan_to_num(covalent_radii, nan=1.5)


@dataclass(frozen=True)
class Domain:
    """The extent of training data, in arrays over atomic numbers."""

    shortest: NDArray[np.float64]
    """(Z, Z) Å: how close two elements came, at most :data:`NO_BOND` times their covalent radii."""
    fewest: NDArray[np.float64]
    """(Z,) lowest coordination number; infinite for elements that don't occur."""
    most: NDArray[np.float64]
    """(Z,) highest coordination number."""

    @classmethod
    def of(cls, structures: Iterable[Structure]) -> "Domain":
        """The extent of structures."""
        shortest = NO_BOND * (RADII[:, None] + RADII[None, :])
        fewest, most = np.full(SIZE, np.inf), np.full(SIZE, -np.inf)
        for s in structures:
            pairs = SkinList(reach(s.numbers)).pairs(s.positions, s.cell, s.pbc)
            coordination, distances = survey(s.numbers, s.positions, pairs.i, pairs.j, pairs.shifts, RADII)
            first, second = s.numbers[pairs.i], s.numbers[pairs.j]
            np.minimum.at(shortest, (first, second), distances)
            np.minimum.at(shortest, (second, first), distances)
            np.minimum.at(fewest, s.numbers, coordination)
            np.maximum.at(most, s.numbers, coordination)
        return cls(shortest, fewest, most)

    @classmethod
    def joined(cls, domains: Iterable["Domain"]) -> "Domain":
        """What any of several domains holds."""
        parts = list(domains)
        return cls(
            np.min([d.shortest for d in parts], axis=0),
            np.min([d.fewest for d in parts], axis=0),
            np.max([d.most for d in parts], axis=0),
        )

    def to_dict(self) -> dict[str, Any]:
        """Shortest distances by pair of elements, coordination numbers by element; for the model file."""
        known = np.flatnonzero(np.isfinite(self.fewest))
        symbols = {z: chemical_symbols[z] for z in known}
        return {
            "shortest_ang": {
                f"{symbols[a]}-{symbols[b]}": round(float(self.shortest[a, b]), 4)
                for a in known
                for b in known
                if a <= b
            },
            "coordination": {
                symbols[z]: [round(float(self.fewest[z]), 3), round(float(self.most[z]), 3)] for z in known
            },
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Domain":
        """What :meth:`to_dict` gave.

        Raises
        ------
        ValueError
            It is something else.
        """
        domain = cls.of(())
        try:
            for pair, distance in values["shortest_ang"].items():
                a, b = (atomic_numbers[symbol] for symbol in pair.split("-"))
                domain.shortest[a, b] = domain.shortest[b, a] = float(distance)
            for symbol, (low, high) in values["coordination"].items():
                z = atomic_numbers[symbol]
                domain.fewest[z], domain.most[z] = float(low), float(high)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"the domain in the model file is none ({error!r})") from error
        return domain


class DomainCheck:
    """Holds structures against a domain.

    Parameters
    ----------
    domain : Domain
        Of the training data.
    """

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self._reach = (b"", 0.0)

    def reasons(self, structure: Structure, pairs: HalfPairs) -> list[str]:
        """Say why a structure lies outside, in words; empty if it doesn't.

        Parameters
        ----------
        structure : Structure
            Any.
        pairs : HalfPairs
            Of it, as far as :meth:`reach` at least.
        """
        numbers, positions = structure.numbers, structure.positions
        i, j, shifts = pairs
        d = self.domain
        pair, distance, atom, coordination = judge(
            numbers, positions, i, j, shifts, RADII, d.shortest, d.fewest, d.most
        )
        found = []
        if pair >= 0:
            a, b = int(i[pair]), int(j[pair])
            known = d.shortest[numbers[a], numbers[b]]
            found.append(
                f"atoms {a} ({chemical_symbols[numbers[a]]}) and {b} ({chemical_symbols[numbers[b]]}) are "
                f"{distance:.2f} Å apart, the training data go down to {known:.2f} Å"
            )
        if atom >= 0:
            z = numbers[atom]
            found.append(
                f"atom {atom} ({chemical_symbols[z]}) has {coordination:.1f} neighbours, "
                f"in the training data {d.fewest[z]:.1f} to {d.most[z]:.1f}"
            )
        return found

    def reach(self, structure: Structure) -> float:
        """Return how far neighbours are looked for, Å; the last one is kept: the same atoms come again."""
        species = structure.numbers.tobytes()
        if species != self._reach[0]:
            self._reach = (species, reach(structure.numbers))
        return self._reach[1]


def reach(numbers: NDArray[np.int64]) -> float:
    """Å, beyond which no two of these atoms count as neighbours."""
    return 2.0 * NO_BOND * float(RADII[numbers].max())


@exact
def survey(numbers, positions, i, j, shifts, radii):  # type: ignore[no-untyped-def]
    """Coordination numbers (N,), and distances (P,) of the pairs, infinite for those that don't count."""
    coordination = np.zeros(numbers.shape[0])
    distances = np.full(i.shape[0], np.inf)
    for p in range(i.shape[0]):
        a, b = i[p], j[p]
        bond = radii[numbers[a]] + radii[numbers[b]]
        square = 0.0
        for m in range(3):
            square += (positions[b, m] + shifts[p, m] - positions[a, m]) ** 2
        if square >= (NO_BOND * bond) ** 2:
            continue
        distances[p] = math.sqrt(square)
        t = (distances[p] / bond - FULL_BOND) / (NO_BOND - FULL_BOND)
        share = 1.0 if t <= 0.0 else 0.5 * (1.0 + math.cos(math.pi * t))
        coordination[a] += share
        coordination[b] += share
    return coordination, distances


@exact
def judge(numbers, positions, i, j, shifts, radii, shortest, fewest, most):  # type: ignore[no-untyped-def]
    """The pair that is too close by most, and the atom whose coordination is off by most; -1 for none."""
    coordination, distances = survey(numbers, positions, i, j, shifts, radii)
    pair, atom, distance, worst = -1, -1, 0.0, 0.0
    for p in range(i.shape[0]):
        gap = shortest[numbers[i[p]], numbers[j[p]]] - SLACK_ANG - distances[p]
        if gap > worst:
            pair, distance, worst = p, distances[p], gap
    worst = 0.0
    for n in range(numbers.shape[0]):
        z, c = numbers[n], coordination[n]
        gap = max(fewest[z] - c, c - most[z]) - SLACK_COORDINATION
        if gap > worst and math.isfinite(gap):
            atom, worst = n, gap
    return pair, distance, atom, coordination[atom]
