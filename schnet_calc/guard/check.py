"""Holding structures against the extent of training data."""

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from schnet_calc.guard.bonds import RADII, judge, none_outside, reach, survey
from schnet_calc.guard.domain import Domain, composition
from schnet_calc.guard.environments import environments, in_words
from schnet_calc.guard.shapes import SCALES, Shapes, bonds_and_angles, bonds_of_atoms, none_odd, oddest
from schnet_calc.structures.geometries import Geometries
from schnet_calc.structures.neighbors import HalfPairs, all_pairs, takes_all_pairs
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
        self.domain, self.all_pairs, self._shapes = domain, all_pairs, Shapes(domain.shapes)
        self._species = _Species(b"", domain, np.zeros(0, np.int64), all_pairs, self._shapes)

    def reach(self, structure: Structure) -> float:
        """Return how far neighbours are looked for, Å."""
        return self._of(structure).reach

    def reasons(
        self,
        structure: Structure,
        pairs: HalfPairs,
        energy: float | None = None,
        grades: NDArray[np.float64] | None = None,
    ) -> list[str]:
        """Say why a structure lies outside, in words; empty if it doesn't.

        Parameters
        ----------
        structure : Structure
            Any.
        pairs : HalfPairs
            Of it, as far as :meth:`reach` at least.
        energy : float, optional
            eV, which the model has for it.
        grades : array, optional
            (N,) which count beside bonds and angles outside of the data.
        """
        species, numbers = self._of(structure), structure.numbers
        periodic = True in structure.pbc.tolist()
        i, j, shifts = pairs
        geometry = (structure.positions, i, j, shifts)
        pair, atom, odd, kind, parts = judge(
            numbers, species.index, *geometry, self.domain.shortest, SLACK, *species.ranges
        )
        found = list(species.whole(periodic))
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
        if most is not None and parts > most and not periodic:
            found.append(f"{parts} separate molecules, in the training data at most {most}")
        limits = species.energies(periodic)
        if energy is not None and limits is not None and not limits[0] <= energy <= limits[1]:
            found.append(
                energy_in_words(self.domain, composition(numbers, periodic), energy / len(numbers))
            )
        if grades is not None and _beyond(grades, species.grade(periodic)):
            found.append(
                f"all atoms together have a grade of {_whole(grades):.3g} (root mean square), molecules of the "
                f"training data at most {species.grade(periodic):.3g}"
            )
        return found + self._bent(structure, pairs, species, grades)

    def odd_shape(self, structure: Structure, pairs: HalfPairs, atoms: list[int]) -> str:
        """Say which bond or angle of some atoms lies outside of the training data; empty if none does."""
        return self._shapes.odd(structure, pairs, atoms)

    def _bent(
        self,
        structure: Structure,
        pairs: HalfPairs,
        species: "_Species",
        grades: NDArray[np.float64] | None,
    ) -> list[str]:
        """Say which bond or angle is too far outside for the grades of its atoms."""
        numbers, positions = structure.numbers, structure.positions
        if not self._shapes.counted:
            return []
        known = np.zeros(len(numbers)) if grades is None else grades
        ranges = (RADII, species.index, known, *species.shapes, SCALES)
        total, middle, first, second, value = oddest(numbers, positions, *pairs, *ranges)
        if not total > 1.0:
            return []
        bonds, _ = bonds_and_angles(numbers, positions, *pairs, RADII)
        atoms = [first, second] if middle < 0 else [first, middle, second]
        return [self._shapes.in_words(structure, bonds_of_atoms(bonds, len(numbers)), atoms, value)]

    def holds(
        self,
        geometries: Geometries,
        energies: NDArray[np.float64],
        grades: NDArray[np.float64] | None = None,
    ) -> bool:
        """Whether it is certain, from all their pairs, that no molecule of several has a reason for doubt."""
        numbers, positions, cells, pbc = geometries
        if not takes_all_pairs(len(numbers), pbc):
            return False
        first = Structure(numbers, positions[0], cells[0], pbc)
        species, most = self._of(first), self.domain.fragments
        pairs, limits = all_pairs(len(numbers)), species.energies(False)
        rest = (*pairs, self.domain.shortest, SLACK, *species.ranges)
        if limits is not None and not (limits[0] <= energies.min() and energies.max() <= limits[1]):
            return False
        if grades is not None and _beyond(grades, species.grade(False)):
            return False
        if species.whole(False) or not none_outside(
            len(numbers) if most is None else most, numbers, species.index, positions, *rest
        ):
            return False
        if self._shapes.counted:
            known = np.zeros(positions.shape[:2]) if grades is None else grades
            ranges = (RADII, species.index, known, *species.shapes, SCALES)
            if not none_odd(numbers, positions, *pairs, *ranges):
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
        counts, _ = survey(numbers, species.index, species.count, structure.positions, *pairs)
        for atom, name in enumerate(environments(numbers, species.elements, counts)):
            if name is not None and name not in known:
                return name, atom
        return None

    def _of(self, structure: Structure) -> "_Species":
        """What follows from the atomic numbers; the last is kept, since the same atoms come again."""
        key = structure.numbers.tobytes()
        if key != self._species.key:
            self._species = _Species(key, self.domain, structure.numbers, self.all_pairs, self._shapes)
        return self._species

    def _too_close(self, numbers: NDArray[np.int64], a: int, b: int, distance: float) -> str:
        known = self.domain.shortest[numbers[a], numbers[b]]
        return (
            f"atoms {a} ({chemical_symbols[numbers[a]]}) and {b} ({chemical_symbols[numbers[b]]}) are "
            f"{distance:.2f} Å apart, the training data go down to {known:.2f} Å"
        )


def _whole(grades: NDArray[np.float64]) -> float:
    """Root mean square of grades (N,)."""
    return float(np.sqrt(np.mean(grades**2)))


def _beyond(grades: NDArray[np.float64], limit: float) -> bool:
    """Whether the root mean square over atoms of any grades (..., N) is larger."""
    most = limit * limit * grades.shape[-1]
    if grades.ndim == 1:  # of a single structure at each step: einsum takes five times as long
        return float(grades.dot(grades)) > most
    return bool((np.einsum("bi,bi->b", grades, grades) > most).any())


def _neighbors(
    numbers: NDArray[np.int64], atom: int, count: float, low: float, high: float, what: str
) -> str:
    symbol = chemical_symbols[numbers[atom]]
    return f"atom {atom} ({symbol}) has {count:.1f} {what}, in the training data {low:.1f} to {high:.1f}"


def energy_limits(domain: Domain, name: str, count: int) -> tuple[float, float] | None:
    """Return the lowest and the highest energy, eV, without doubt: no farther beyond the data than their range.

    Parameters
    ----------
    domain : Domain
        Of the training data.
    name : str
        Composition.
    count : int
        Atoms.

    Returns
    -------
    (float, float) or None
        None where nothing is known of the composition.
    """
    if name not in domain.energies:
        return None
    low, high = domain.energies[name]
    width = max(high - low, LEAST_RANGE)
    return count * (low - width), count * (high + width)


def energy_in_words(domain: Domain, name: str, energy: float) -> str:
    """Say how far outside an energy is, eV/atom, of a composition that is known."""
    low, high = domain.energies[name]
    return f"the energy is {energy:.4g} eV/atom, in the training data {low:.4g} to {high:.4g}"


class _Species:
    """What a domain says about atoms of these elements."""

    def __init__(
        self, key: bytes, domain: Domain, numbers: NDArray[np.int64], all_pairs: bool, shapes: Shapes
    ) -> None:
        self.key, self.numbers, self._domain, self._all_pairs = key, numbers, domain, all_pairs
        self.elements, self.index = np.unique(numbers, return_inverse=True)
        self.count = len(self.elements)
        self.reach = reach(numbers) if len(numbers) else 0.0
        self.fewest, self.most = domain.fewest[numbers], domain.most[numbers]
        self.low = np.full((len(numbers), self.count), -np.inf)
        self.high = np.full((len(numbers), self.count), np.inf)
        if domain.kinds:
            for k, z in enumerate(self.elements):
                ranges = [domain.kinds.get((int(a), int(z)), (0.0, 0.0)) for a in numbers]
                self.low[:, k], self.high[:, k] = np.array(ranges).reshape(-1, 2).T
        self.ranges = self.fewest, self.most, self.low, self.high
        self.shapes = shapes.tables(self.elements)
        self._grade: float | None = None
        self._whole: dict[bool, list[str]] = {}
        self._energies: dict[bool, tuple[float, float] | None] = {}

    def whole(self, periodic: bool) -> list[str]:
        """What is odd about all atoms together: composition, size, number of electrons; found once."""
        if periodic not in self._whole:
            self._whole[periodic] = self._as_composition(periodic) + (
                [] if periodic else self._as_molecule()
            )
        return self._whole[periodic]

    def energies(self, periodic: bool) -> tuple[float, float] | None:
        """Lowest and highest energy, eV, without doubt, see :func:`energy_limits`; found once."""
        if periodic not in self._energies:
            name = composition(self.numbers, periodic)
            self._energies[periodic] = energy_limits(self._domain, name, len(self.numbers))
        return self._energies[periodic]

    def grade(self, periodic: bool) -> float:
        """Largest root mean square of the grades of all atoms without doubt; infinite where nothing is known."""
        if periodic or not self._domain.grades:
            return np.inf
        if self._grade is None:
            self._grade = self._domain.grades.get(composition(self.numbers), np.inf)
        return self._grade

    def _as_composition(self, periodic: bool) -> list[str]:
        known = self._domain.formulas
        if known is None or (name := composition(self.numbers, periodic)) in known:
            return []
        return [f"{name}, but the model was trained on {', '.join(sorted(known))} only"]

    def _as_molecule(self) -> list[str]:
        domain, size, found = self._domain, len(self.numbers), []
        if domain.odd_electrons is False and self.numbers.sum() % 2 != domain.charge % 2:
            found.append("an odd number of electrons: a radical or an ion, and the training data have none")
        most, fewest = domain.most_atoms, domain.fewest_atoms
        if self._all_pairs and most is not None and size > most:
            found.append(f"{size} atoms, in the training data at most {most}")
        if domain.formulas is None and fewest is not None and size < fewest:
            found.append(f"{size} atoms, in the training data at least {fewest}")
        return found
