"""What a model has seen: which molecules, how close atoms came, and which neighbours they had.

A cheap guard against silent extrapolation, in the sense of an applicability domain: leaving it is a reason
for doubt, staying within it is no proof of accuracy.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from ase.formula import Formula
from numpy.typing import NDArray

from schnet_calc.guard.bonds import NO_BOND, RADII, SIZE, fragments, reach, survey
from schnet_calc.guard.environments import MOST_ENVIRONMENTS, checked, environments
from schnet_calc.guard.joining import any_of, joined_ranges, largest, smallest, union, without_numbers
from schnet_calc.guard.shapes import ShapeSurvey, checked_ranges
from schnet_calc.structures.neighbors import SkinList
from schnet_calc.structures.structure import Structure

MOST_FORMULAS = 20
"""Data of more compositions are taken for data of any."""


@dataclass(frozen=True)
class Domain:
    """The extent of training data; arrays over atomic numbers."""

    shortest: NDArray[np.float64]
    """(Z, Z) Å: how close two elements came, at most 1.5 times their covalent radii."""
    fewest: NDArray[np.float64]
    """(Z,) lowest coordination number; infinite for elements that don't occur."""
    most: NDArray[np.float64]
    """(Z,) highest coordination number."""
    kinds: dict[tuple[int, int], tuple[float, float]] = field(default_factory=dict)
    """Lowest and highest number of neighbours of an element (second) around an atom of an element (first);
    empty where nothing is known."""
    formulas: frozenset[str] | None = None
    """Compositions, see :func:`composition`; None where there were many or nothing is known."""
    fragments: int | None = None
    """Most separate molecules in a structure that isn't periodic; None where nothing is known."""
    most_atoms: int | None = None
    """Of a structure that isn't periodic; None where nothing is known."""
    odd_electrons: bool | None = None
    """Whether a structure that isn't periodic has an odd number of electrons; None where nothing is known."""
    charge: int = 0
    """Of every structure, in e."""
    multiplicity: int = 1
    """Of every structure: one for singlets."""
    shapes: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Ranges of bond lengths and angles, see :class:`~schnet_calc.guard.shapes.Shapes`."""
    fewest_atoms: int | None = None
    """Of a structure that isn't periodic; None where nothing is known."""
    environments: frozenset[str] | None = None
    """What atoms bind to, see :mod:`~schnet_calc.guard.environments`; of molecules of many compositions alone."""
    energies: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Lowest and highest energy by composition, eV/atom; empty of many compositions, or without energies."""
    grades: dict[str, float] = field(default_factory=dict)
    """Largest root mean square of a molecule's grades by composition, see
    :func:`~schnet_calc.guard.statistics.statistics_of_data`; empty of many compositions and of committees."""

    @classmethod
    def of(
        cls,
        structures: Iterable[Structure],
        energies: NDArray[np.float64] | None = None,
        others: Iterable[Structure] = (),
    ) -> "Domain":
        """Return the extent of structures.

        Parameters
        ----------
        structures : iterable of Structure
            M training frames.
        energies : array, optional
            (M,) eV; those that are no numbers don't count.
        others : iterable of Structure
            Such as validation frames, whose bonds and angles count as well.
        """
        shortest = NO_BOND * (RADII[:, None] + RADII[None, :])
        low, high = np.full((SIZE, SIZE), np.inf), np.full((SIZE, SIZE), -np.inf)
        fewest, most = np.full(SIZE, np.inf), np.full(SIZE, -np.inf)
        whole, shapes = _Wholes(), ShapeSurvey()
        for m, s in enumerate(structures):
            pairs = SkinList(reach(s.numbers)).pairs(s.positions, s.cell, s.pbc)
            elements, index = np.unique(s.numbers, return_inverse=True)
            counts, distances = survey(s.numbers, index, len(elements), s.positions, *pairs)
            first, second = s.numbers[pairs.i], s.numbers[pairs.j]
            np.minimum.at(shortest, (first, second), distances)
            np.minimum.at(shortest, (second, first), distances)
            coordination = counts.sum(axis=1)
            np.minimum.at(fewest, s.numbers, coordination)
            np.maximum.at(most, s.numbers, coordination)
            everyone = np.ones(SIZE, dtype=bool)
            everyone[elements] = False
            for k, z in enumerate(elements):
                np.minimum.at(low[:, z], s.numbers, counts[:, k])
                np.maximum.at(high[:, z], s.numbers, counts[:, k])
            low[np.ix_(elements, everyone)] = np.minimum(low[np.ix_(elements, everyone)], 0.0)
            shapes.add(s, pairs)
            whole.add(s, fragments(len(s.numbers), pairs.i, pairs.j, distances), elements, counts)
            if energies is not None and np.isfinite(energies[m]):
                whole.add_energy(s, float(energies[m]) / max(len(s.numbers), 1))
        for s in others:
            shapes.add(s, SkinList(reach(s.numbers)).pairs(s.positions, s.cell, s.pbc))
        known = np.flatnonzero(np.isfinite(fewest))
        kinds = {
            (int(a), int(b)): (float(low[a, b]), float(max(high[a, b], 0.0))) for a in known for b in known
        }
        ranges = without_numbers(shapes.ranges()) if whole.periodic else shapes.ranges()
        return cls(shortest, fewest, most, kinds, **whole.found(), shapes=ranges)

    @classmethod
    def joined(cls, domains: Iterable["Domain"]) -> "Domain":
        """Return what any of several domains holds."""
        parts = list(domains)
        formulas, kinds = [d.formulas for d in parts], [d.kinds for d in parts]
        return cls(
            np.min([d.shortest for d in parts], axis=0),
            np.min([d.fewest for d in parts], axis=0),
            np.max([d.most for d in parts], axis=0),
            joined_ranges(list(kinds)) if all(kinds) else {},
            union(formulas),
            largest([d.fragments for d in parts]),
            largest([d.most_atoms for d in parts]),
            any_of([d.odd_electrons for d in parts]),
            parts[0].charge,
            parts[0].multiplicity,
            joined_ranges([d.shapes for d in parts]),
            smallest([d.fewest_atoms for d in parts]),
            union([d.environments for d in parts]),
            joined_ranges([d.energies for d in parts]) if all(d.energies for d in parts) else {},
            parts[0].grades if len(parts) == 1 else {},  # a member's say nothing of the largest of several
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for the model file, by symbols of the elements."""
        known = np.flatnonzero(np.isfinite(self.fewest))
        symbols = {z: chemical_symbols[z] for z in known}
        values: dict[str, Any] = {
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
        if self.kinds:
            values["neighbors"] = {
                symbols[z]: {symbols[b]: [round(x, 3) for x in self.kinds[int(z), int(b)]] for b in known}
                for z in known
            }
        if self.formulas is not None:
            values["formulas"] = sorted(self.formulas)
        if self.fragments is not None:
            values["fragments"] = self.fragments
        if self.most_atoms is not None:
            values["most_atoms"] = self.most_atoms
        if self.odd_electrons is not None:
            values["odd_electrons"] = self.odd_electrons
        values |= {"charge": self.charge, "multiplicity": self.multiplicity}
        if self.fewest_atoms is not None:
            values["fewest_atoms"] = self.fewest_atoms
        if self.environments is not None:
            values["environments"] = sorted(self.environments)
        if self.energies:
            values["energies_ev"] = {name: list(x) for name, x in self.energies.items()}
        if self.grades:
            values["grades"] = self.grades
        if self.shapes:
            values["shapes"] = {name: list(x) for name, x in self.shapes.items()}
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Domain":
        """Return what :meth:`to_dict` gave; files of the first version have the first two entries.

        Raises
        ------
        ValueError
            It is something else.
        """
        domain = cls.of(())
        kinds: dict[tuple[int, int], tuple[float, float]] = {}
        try:
            for pair, distance in values["shortest_ang"].items():
                a, b = (atomic_numbers[symbol] for symbol in pair.split("-"))
                domain.shortest[a, b] = domain.shortest[b, a] = float(distance)
            for symbol, (low, high) in values["coordination"].items():
                z = atomic_numbers[symbol]
                domain.fewest[z], domain.most[z] = float(low), float(high)
            for symbol, others in values.get("neighbors", {}).items():
                for other, (low, high) in others.items():
                    kinds[atomic_numbers[symbol], atomic_numbers[other]] = float(low), float(high)
            formulas, parts = values.get("formulas"), values.get("fragments")
            size, odd = values.get("most_atoms"), values.get("odd_electrons")
            fewest, bound = values.get("fewest_atoms"), values.get("environments")
            energies = values.get("energies_ev", {})
            formulas = None if formulas is None else frozenset(map(str, formulas))
            return cls(
                domain.shortest,
                domain.fewest,
                domain.most,
                kinds,
                formulas,
                None if parts is None else int(parts),
                None if size is None else int(size),
                None if odd is None else bool(odd),
                int(values.get("charge", 0)),
                int(values.get("multiplicity", 1)),
                checked_ranges(values.get("shapes", {})),
                None if fewest is None else int(fewest),
                None if bound is None else checked(bound),
                {str(n): (float(low), float(high)) for n, (low, high) in energies.items()},
                {str(n): float(x) for n, x in values.get("grades", {}).items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ValueError(f"the domain in the model file is none ({error!r})") from error


class _Wholes:
    """Collects compositions, and of molecules their sizes, fragments, electrons and what atoms bind to."""

    def __init__(self) -> None:
        self.formulas: set[str] = set()
        self.parts, self.odd, self.periodic = 0, False, False
        self.sizes: set[int] = set()
        self.environments: set[str | None] = set()
        self.energies: dict[str, tuple[float, float]] = {}

    def add_energy(self, structure: Structure, energy: float) -> None:
        """Look at an energy, eV/atom."""
        if len(self.formulas) <= MOST_FORMULAS:
            name = composition(structure.numbers, bool(structure.pbc.any()))
            low, high = self.energies.get(name, (energy, energy))
            self.energies[name] = min(low, energy), max(high, energy)

    def add(
        self,
        structure: Structure,
        n_fragments: int,
        elements: NDArray[np.int64],
        counts: NDArray[np.float64],
    ) -> None:
        """Look at a structure with so many molecules; numbers of neighbours (N, K) of its elements (K,)."""
        if len(self.formulas) <= MOST_FORMULAS:
            self.formulas.add(composition(structure.numbers, bool(structure.pbc.any())))
        self.periodic = self.periodic or bool(structure.pbc.any())
        if structure.pbc.any():
            return
        self.parts = max(self.parts, n_fragments)
        self.sizes.add(len(structure.numbers))
        self.odd = self.odd or bool(structure.numbers.sum() % 2)
        if len(self.environments) <= MOST_ENVIRONMENTS:
            self.environments.update(environments(structure.numbers, elements, counts))

    def found(self) -> dict[str, Any]:
        """Return the values of a :class:`Domain` by name."""
        few = 0 < len(self.formulas) <= MOST_FORMULAS
        known = self.environments - {None}
        bound = not (few or self.periodic) and 0 < len(known) <= MOST_ENVIRONMENTS
        return {
            "formulas": frozenset(self.formulas) if few else None,
            "fragments": self.parts or None,
            "most_atoms": max(self.sizes, default=None),
            "fewest_atoms": min(self.sizes, default=None),
            "odd_electrons": self.odd if self.sizes else None,
            "environments": frozenset(name for name in known if name) if bound else None,
            "energies": self.energies if few else {},
        }


def composition(numbers: NDArray[np.int64], periodic: bool = False) -> str:
    """Return ``"C2H6O"`` for atomic numbers; of a periodic structure the reduced formula, ``"Si, periodic"``."""
    formula = Formula("".join(chemical_symbols[z] for z in numbers)).convert("hill")
    return f"{formula.reduce()[0]}, periodic" if periodic else str(formula)
