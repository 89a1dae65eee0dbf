"""Bonds and angles of the training data, by the numbers of bonds that their atoms have.

An atom can be bent out of all that the data hold while its grade is below one: a limit is as wide as the rarest
training frame. So a bond or angle outside of its range counts beside the grades of its atoms: how far outside it
is, in units of :data:`SCALES`, is added to the largest of these grades, and a sum above one is a reason for doubt.
"""

import math
import re
from collections.abc import Iterable

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

from schnet_calc.guard.bonds import RADII
from schnet_calc.kernels.cpu.compiling import exact
from schnet_calc.structures.neighbors import HalfPairs
from schnet_calc.structures.structure import Structure

BOND = 1.3
"""Atoms closer than this multiple of the sum of their covalent radii are bonded here."""
MOST_ELEMENTS = 10
"""Of data with more, angles are not listed: there would be thousands of kinds."""
MOST_BONDS = 16
"""Of one atom."""
MOST_COUNTED = 8
"""Atoms with more bonds are of one kind."""
STATES = MOST_COUNTED + 1
SCALES = np.array([0.3, 12.0])
"""Å and degrees outside of the data that count as a grade of one. Of 1,500 and more frames that the shipped models
of molecules have not seen, the largest sum of this and a grade is 0.6 to 1.03."""
Ranges = dict[str, tuple[float, float]]
"""By name: bonds ``"H1-C4"`` in Å, a hydrogen with one bond and a carbon with four, angles ``"H-C4-C"`` in degrees.
Names of earlier versions have no numbers; these ranges say what is odd, and are no reason for doubt."""


@exact
def bonds_and_angles(numbers, positions, i, j, shifts, radii):  # type: ignore[no-untyped-def]
    """Bonds (B, 3): two atoms and Å; and angles (A, 4): middle, two ends, degrees."""
    n_atoms = numbers.shape[0]
    count = np.zeros(n_atoms, np.int64)
    to = np.zeros((n_atoms, MOST_BONDS), np.int64)
    unit = np.zeros((n_atoms, MOST_BONDS, 3))
    bonds = np.empty((i.shape[0], 3))
    n_bonds = 0
    for p in range(i.shape[0]):
        a, b = i[p], j[p]
        vector = positions[b] + shifts[p] - positions[a]
        length = math.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
        if length > BOND * (radii[numbers[a]] + radii[numbers[b]]) or length <= 0.0:
            continue
        bonds[n_bonds, 0], bonds[n_bonds, 1], bonds[n_bonds, 2] = a, b, length
        n_bonds += 1
        for here, there, sign in ((a, b, 1.0), (b, a, -1.0)):
            if count[here] < MOST_BONDS:
                to[here, count[here]] = there
                unit[here, count[here]] = sign / length * vector
                count[here] += 1
    n_angles = 0
    angles = np.empty((((count * (count - 1)) // 2).sum(), 4))
    for a in range(n_atoms):
        for p in range(count[a]):
            for q in range(p):
                cosine = 0.0
                for m in range(3):
                    cosine += unit[a, p, m] * unit[a, q, m]
                angles[n_angles, 0], angles[n_angles, 1], angles[n_angles, 2] = a, to[a, p], to[a, q]
                angles[n_angles, 3] = math.degrees(math.acos(min(1.0, max(-1.0, cosine))))
                n_angles += 1
    return bonds[:n_bonds], angles


@exact
def _bonded(numbers, positions, i, j, shifts, radii):  # type: ignore[no-untyped-def]
    """Numbers of bonds (N,), to whom (N, most), and unit vectors and lengths (N, most, 4)."""
    n_atoms = numbers.shape[0]
    count = np.zeros(n_atoms, np.int64)
    to = np.empty((n_atoms, MOST_BONDS), np.int64)
    away = np.empty((n_atoms, MOST_BONDS, 4))
    for p in range(i.shape[0]):
        a, b = i[p], j[p]
        x = positions[b, 0] + shifts[p, 0] - positions[a, 0]
        y = positions[b, 1] + shifts[p, 1] - positions[a, 1]
        z = positions[b, 2] + shifts[p, 2] - positions[a, 2]
        square = x * x + y * y + z * z
        if square > (BOND * (radii[numbers[a]] + radii[numbers[b]])) ** 2 or square <= 0.0:
            continue
        length = math.sqrt(square)
        for here, there, sign in ((a, b, 1.0), (b, a, -1.0)):
            n = count[here]
            if n < MOST_BONDS:
                to[here, n] = there
                away[here, n, 0], away[here, n, 1] = sign * x / length, sign * y / length
                away[here, n, 2], away[here, n, 3] = sign * z / length, length
                count[here] += 1
    return count, to, away


@exact
def oddest(numbers, positions, i, j, shifts, radii, index, grades, bond_ranges, angle_ranges, scales):  # type: ignore[no-untyped-def]
    """Largest sum of a grade and of how far a bond or angle lies outside; its middle, ends and value.

    Bonds have no middle, -1; where nothing lies outside the sum is zero. The kinds of atoms are their index (N,).
    Numbers alone come back, as of :func:`~schnet_calc.guard.bonds.judge`.
    """
    n_atoms, kinds = numbers.shape[0], bond_ranges.shape[0] // STATES
    count, to, away = _bonded(numbers, positions, i, j, shifts, radii)
    worst, middle, first, second, value = 0.0, -1, -1, -1, 0.0
    for a in range(n_atoms):
        own = index[a] * STATES + min(count[a], MOST_COUNTED)
        for p in range(count[a]):
            b, length = to[a, p], away[a, p, 3]
            limits = bond_ranges[own, index[b] * STATES + min(count[b], MOST_COUNTED)]
            beyond = max(limits[0] - length, length - limits[1])
            if a < b and beyond > 0.0:
                total = beyond / scales[0] + max(grades[a], grades[b])
                if total > worst:
                    worst, middle, first, second, value = total, -1, a, b, length
            for q in range(p):
                c = to[a, q]
                limits = angle_ranges[own, index[b] * kinds + index[c]]
                cosine = away[a, p, 0] * away[a, q, 0] + away[a, p, 1] * away[a, q, 1]
                cosine += away[a, p, 2] * away[a, q, 2]
                angle = math.degrees(math.acos(min(1.0, max(-1.0, cosine))))
                beyond = max(limits[0] - angle, angle - limits[1])
                if beyond > 0.0:
                    total = beyond / scales[1] + max(grades[a], grades[b], grades[c])
                    if total > worst:
                        worst, middle, first, second, value = total, a, b, c, angle
    return worst, middle, first, second, value


@exact
def none_odd(numbers, positions, i, j, shifts, radii, index, grades, bonds, angles, scales):  # type: ignore[no-untyped-def]
    """Whether no sum of :func:`oddest` is above one in several geometries (B, N, 3) with grades (B, N)."""
    for k in range(positions.shape[0]):
        found = oddest(numbers, positions[k], i, j, shifts, radii, index, grades[k], bonds, angles, scales)
        if found[0] > 1.0:
            return False
    return True


class Shapes:
    """Ranges of bond lengths and angles, see :data:`Ranges`."""

    def __init__(self, ranges: Ranges) -> None:
        self.ranges = ranges
        self.counted = any(character.isdigit() for name in ranges for character in name)
        """Whether they are a reason for doubt."""

    def tables(self, elements: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what :func:`oddest` looks up, for atoms of these elements (K,): bonds and angles."""
        kinds = len(elements)
        place = {chemical_symbols[z]: k for k, z in enumerate(elements.tolist())}
        bonds = np.empty((kinds * STATES, kinds * STATES, 2))
        angles = np.empty((kinds * STATES, kinds * kinds, 2))
        for table in (bonds, angles):
            table[..., 0], table[..., 1] = -np.inf, np.inf
        for name, limits in self.ranges.items():
            parts = [_parted(part) for part in name.split("-")]
            if any(symbol not in place for symbol, _ in parts):
                continue
            which, rows = [place[s] for s, _ in parts], [place[s] * STATES + n for s, n in parts]
            if len(parts) == 2:
                bonds[rows[0], rows[1]] = bonds[rows[1], rows[0]] = limits
            else:
                ends = [which[0] * kinds + which[2], which[2] * kinds + which[0]]
                angles[rows[1], ends] = limits
        return bonds, angles

    def odd(self, structure: Structure, pairs: HalfPairs, atoms: Iterable[int]) -> str:
        """Say which bond or angle of some atoms lies farthest outside of the ranges; empty if none does."""
        if not self.ranges:
            return ""
        bonds, angles = bonds_and_angles(structure.numbers, structure.positions, *pairs, RADII)
        counts, near, worst, text = bonds_of_atoms(bonds, len(structure.numbers)), set(atoms), 0.0, ""
        for *members, value in [*bonds.tolist(), *angles.tolist()]:
            which = [int(k) for k in members]
            if len(which) == 3:
                which = [which[1], which[0], which[2]]
            if near.isdisjoint(which):
                continue
            low, high = self._range(structure.numbers, counts, which) or (value, value)
            beyond = max(low - value, value - high) / SCALES[len(which) - 2]
            if beyond > worst + 0.01:
                worst, text = beyond, self.in_words(structure, counts, which, value)
        return text

    def in_words(
        self, structure: Structure, counts: NDArray[np.int64], atoms: list[int], value: float
    ) -> str:
        """Say how far outside a bond of two atoms is, or an angle of three."""
        low, high = self._range(structure.numbers, counts, atoms) or (value, value)
        kind, unit = ("bond", " Å") if len(atoms) == 2 else ("angle", "°")
        names = "-".join(f"{chemical_symbols[structure.numbers[k]]}{k}" for k in atoms)
        return (
            f"the {kind} {names} is {value:.4g}{unit}, in the training data {low:.4g} to {high:.4g}{unit}"
        )

    def _range(
        self, numbers: NDArray[np.int64], counts: NDArray[np.int64], atoms: list[int]
    ) -> tuple[float, float] | None:
        kinds = [(int(numbers[k]), int(counts[k])) for k in atoms]
        if len(kinds) == 3:
            kinds = [(kinds[0][0], -1), kinds[1], (kinds[2][0], -1)]
        return self.ranges.get(_name(kinds)) or self.ranges.get(_name([(z, -1) for z, _ in kinds]))


def bonds_of_atoms(bonds: NDArray[np.float64], n_atoms: int) -> NDArray[np.int64]:
    """Return how many bonds each atom has (N,), as far as that is counted."""
    ends = bonds[:, :2].astype(np.int64).ravel()
    return np.minimum(np.bincount(ends, minlength=n_atoms), MOST_COUNTED)


class ShapeSurvey:
    """Collects the ranges from structures."""

    def __init__(self) -> None:
        self._ranges: dict[int, tuple[float, float]] = {}

    def add(self, structure: Structure, pairs: HalfPairs) -> None:
        """Look at a structure whose pairs reach as far as bonds do, at least."""
        numbers = structure.numbers
        bonds, angles = bonds_and_angles(numbers, structure.positions, *pairs, RADII)
        kinds = numbers * 10 + bonds_of_atoms(bonds, len(numbers))
        ends = np.sort(kinds[bonds[:, :2].astype(np.int64)], axis=1)
        self._add((ends[:, 0] * 10_000 + ends[:, 1]) * 1000, bonds[:, 2])
        middle, others = angles[:, 0].astype(np.int64), np.sort(numbers[angles[:, 1:3].astype(np.int64)], 1)
        self._add((kinds[middle] * 10_000 + others[:, 0]) * 1000 + others[:, 1], angles[:, 3])

    def _add(self, keys: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Of bonds both kinds of ends and zero, of angles the kind of the middle and the elements of the ends."""
        order = np.argsort(keys)
        keys, values = keys[order], values[order]
        starts = np.flatnonzero(np.diff(keys, prepend=-1))
        if not len(starts):
            return
        lows, highs = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        for key, low, high in zip(keys[starts].tolist(), lows.tolist(), highs.tolist(), strict=True):
            before = self._ranges.get(key, (low, high))
            self._ranges[key] = min(low, before[0]), max(high, before[1])

    def ranges(self) -> Ranges:
        """Return what was found; nothing of data with many elements."""
        found: Ranges = {}
        elements: set[int] = set()
        for key, (low, high) in sorted(self._ranges.items()):
            (first, second), last = divmod(key // 1000, 10_000), key % 1000
            if last:
                kinds = [(second, -1), divmod(first, 10), (last, -1)]
            else:
                kinds = [divmod(first, 10), divmod(second, 10)]
            elements |= {z for z, _ in kinds}
            found[_name(kinds)] = round(low, 4), round(high, 4)
        return found if len(elements) <= MOST_ELEMENTS else {}


def checked_ranges(values: dict[str, list[float]]) -> Ranges:
    """Return ranges as they stand in a model file; anything else raises KeyError, TypeError or ValueError."""
    found = {}
    for name, (low, high) in values.items():
        parts = name.split("-")
        if len(parts) not in (2, 3) or any(_parted(part)[0] not in atomic_numbers for part in parts):
            raise ValueError(f"{name!r:.50} is no bond and no angle")
        found[name] = float(low), float(high)
    return found


def _parted(part: str) -> tuple[str, int]:
    """``"C4"`` -> ``"C"`` and 4; zero where there is no number."""
    match = re.fullmatch(f"([A-Z][a-z]?)([0-{MOST_COUNTED}]?)", part)
    return ("", 0) if match is None else (match[1], int(match[2] or 0))


def _name(kinds: list[tuple[int, int]]) -> str:
    """Of atomic numbers with their numbers of bonds, or -1; bonds and angles read the same from both ends."""
    ordered = kinds if kinds[0] <= kinds[-1] else kinds[::-1]
    return "-".join(chemical_symbols[z] + (str(n) if n >= 0 else "") for z, n in ordered)
