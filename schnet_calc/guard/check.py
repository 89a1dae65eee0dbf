"""Holding structures against the extent of training data."""

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from schnet_calc.guard.bonds import RADII, judge, none_outside, reach, survey
from schnet_calc.guard.domain import Domain, composition
from schnet_calc.guard.environments import environments, in_words
from schnet_calc.guard.shapes import Shapes
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.neighbors import ALL_PAIRS_LIMIT, HalfPairs, all_pairs
from schnet_calc.structures.structure import Structure

SLACK = np.array([0.05, 0.25])
"""How far beyond the training data is still no reason for doubt: Å, and numbers of neighbours."""

LEAST_RANGE = 0.05
"""eV/atom; data at one temperature span less, and other temperatures are no reason for doubt."""


class DomainCheck:
    """Holds structures against a domain.

    Parameters
    ----------
    domain : Domain
        Of the training data.
    all_pairs : bool
        Whether the model sees the whole structure from every atom, so that its size counts.
    """

    def __init__(self, domain: Domain, all_pairs: bool = False) -> None:
        self.domain, self.all_pairs = domain, all_pairs
        self._species = _Species(b"", domain, np.zeros(0, np.int64))

    def reach(self, structure: Structure) -> float:
        """Return how far neighbours are looked for, Å."""
        return self._of(structure).reach

    def reasons(self, structure: Structure, pairs: HalfPairs) -> list[str]:
        """Say why a structure lies outside, in words; empty if it doesn't.

        Parameters
        ----------
        structure : Structure
            Any.
        pairs : HalfPairs
            Of it, as far as :meth:`reach` at least.
        """
        species, numbers = self._of(structure), structure.numbers
        i, j, shifts = pairs
        geometry = (structure.positions, i, j, shifts, RADII)
        pair, atom, odd, kind, parts = judge(
            numbers, species.index, *geometry, self.domain.shortest, SLACK, *species.ranges
        )
        found = self._whole(structure)
        if max(pair, atom, odd) >= 0:
            counts, distances = survey(numbers, species.index, species.count, *geometry)
        if pair >= 0:
            found.append(self._too_close(numbers, int(i[pair]), int(j[pair]), float(distances[pair])))
        if atom >= 0:
            total, low, high = counts[atom].sum(), species.fewest[atom], species.most[atom]
            found.append(_neighbors(numbers, atom, total, low, high, "neighbours"))
        elif odd >= 0:
            what = f"neighbours of {chemical_symbols[species.elements[kind]]}"
            low, high = species.low[odd, kind], species.high[odd, kind]
            found.append(_neighbors(numbers, odd, counts[odd, kind], low, high, what))
        elif (strange := self._strange(structure, pairs)) is not None:
            found.append(in_words(*strange))
        most = self.domain.fragments
        if most is not None and parts > most and not structure.pbc.any():
            found.append(f"{parts} separate molecules, in the training data at most {most}")
        return found

    def odd_energies(self, structure: Structure, energies: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which energies (B,), eV, of the same atoms are outside of the data by more than their range."""
        known = self.domain.energies
        if not known or (name := self._of(structure).composition(structure)) not in known:
            return np.zeros(len(energies), dtype=bool)
        low, high = known[name]
        each, width = energies / max(len(structure.numbers), 1), max(high - low, LEAST_RANGE)
        return np.asarray(~((each >= low - width) & (each <= high + width)))

    def energy_in_words(self, structure: Structure, energy: float) -> str:
        """Say how far outside an energy is, eV, of a composition that is known."""
        low, high = self.domain.energies[self._of(structure).composition(structure)]
        each = energy / len(structure.numbers)
        return f"the energy is {each:.4g} eV/atom, in the training data {low:.4g} to {high:.4g}"

    def odd_shape(self, structure: Structure, pairs: HalfPairs, atoms: list[int]) -> str:
        """Say which bond or angle of some atoms lies outside of the training data; empty if none does."""
        return Shapes(self.domain.shapes).odd(structure, pairs, atoms)

    def holds(self, geometries: Geometries, energies: NDArray[np.float64]) -> bool:
        """Whether it is certain, from all their pairs, that no molecule of several has a reason for doubt."""
        numbers, positions, cells, pbc = geometries
        if pbc.any() or len(numbers) > ALL_PAIRS_LIMIT:
            return False
        first = Structure(numbers, positions[0], cells[0], pbc)
        species, most = self._of(first), self.domain.fragments
        pairs = all_pairs(len(numbers))
        rest = (*pairs, RADII, self.domain.shortest, SLACK, *species.ranges)
        if self.odd_energies(first, energies).any():
            return False
        if self._whole(first) or not none_outside(
            len(numbers) if most is None else most, numbers, species.index, positions, *rest
        ):
            return False
        if self.domain.environments is None:
            return True  # nothing to ask of each molecule: most models, at each step of their dynamics
        return all(self._strange(first._replace(positions=p), pairs) is None for p in positions)

    def _strange(self, structure: Structure, pairs: HalfPairs) -> tuple[str, int] | None:
        """An atom that binds to what no atom of its element does in the training data, and which it is."""
        known = self.domain.environments
        if known is None or structure.pbc.any():
            return None
        species, numbers = self._of(structure), structure.numbers
        counts, _ = survey(numbers, species.index, species.count, structure.positions, *pairs, RADII)
        for atom, name in enumerate(environments(numbers, species.elements, counts)):
            if name is not None and name not in known:
                return name, atom
        return None

    def _of(self, structure: Structure) -> "_Species":
        """What follows from the atomic numbers; the last is kept, since the same atoms come again."""
        key = structure.numbers.tobytes()
        if key != self._species.key:
            self._species = _Species(key, self.domain, structure.numbers)
        return self._species

    def _whole(self, structure: Structure) -> list[str]:
        """What is odd about all atoms together: composition, size, number of electrons."""
        known, species = self.domain.formulas, self._of(structure)
        found = []
        if known is not None and species.composition(structure) not in known:
            name = species.composition(structure)
            found.append(f"{name}, but the model was trained on {', '.join(sorted(known))} only")
        if structure.pbc.any():
            return found
        if self.domain.odd_electrons is False and species.odd != bool(self.domain.charge % 2):
            found.append("an odd number of electrons: a radical or an ion, and the training data have none")
        most = self.domain.most_atoms
        if self.all_pairs and most is not None and len(species.index) > most:
            found.append(f"{len(species.index)} atoms, in the training data at most {most}")
        fewest = self.domain.fewest_atoms
        if known is None and fewest is not None and len(species.index) < fewest:
            found.append(f"{len(species.index)} atoms, in the training data at least {fewest}")
        return found

    def _too_close(self, numbers: NDArray[np.int64], a: int, b: int, distance: float) -> str:
        known = self.domain.shortest[numbers[a], numbers[b]]
        return (
            f"atoms {a} ({chemical_symbols[numbers[a]]}) and {b} ({chemical_symbols[numbers[b]]}) are "
            f"{distance:.2f} Å apart, the training data go down to {known:.2f} Å"
        )


def _neighbors(
    numbers: NDArray[np.int64], atom: int, count: float, low: float, high: float, what: str
) -> str:
    symbol = chemical_symbols[numbers[atom]]
    return f"atom {atom} ({symbol}) has {count:.1f} {what}, in the training data {low:.1f} to {high:.1f}"


class _Species:
    """What a domain says about atoms of these elements."""

    def __init__(self, key: bytes, domain: Domain, numbers: NDArray[np.int64]) -> None:
        self.key = key
        self.elements, self.index = np.unique(numbers, return_inverse=True)
        self.count, self.odd = len(self.elements), bool(numbers.sum() % 2)
        self.reach = reach(numbers) if len(numbers) else 0.0
        self.fewest, self.most = domain.fewest[numbers], domain.most[numbers]
        self.low = np.full((len(numbers), self.count), -np.inf)
        self.high = np.full((len(numbers), self.count), np.inf)
        if domain.kinds:
            for k, z in enumerate(self.elements):
                ranges = [domain.kinds.get((int(a), int(z)), (0.0, 0.0)) for a in numbers]
                self.low[:, k], self.high[:, k] = np.array(ranges).reshape(-1, 2).T
        self.ranges = self.fewest, self.most, self.low, self.high
        self._names: dict[bool, str] = {}

    def composition(self, structure: Structure) -> str:
        """The structure's composition, found once."""
        periodic = bool(structure.pbc.any())
        if periodic not in self._names:
            self._names[periodic] = composition(structure)
        return self._names[periodic]
