"""Bonds and angles of the training data: what says in words why an atom has a high grade."""

import math

import numpy as np
from ase.data import atomic_numbers, chemical_symbols

from schnet_calc.guard.bonds import RADII, SIZE
from schnet_calc.kernels.cpu.compiling import exact
from schnet_calc.structures.neighbors import HalfPairs
from schnet_calc.structures.structure import Structure

BOND = 1.3
"""Atoms closer than this multiple of the sum of their covalent radii are bonded here."""
MOST_ELEMENTS = 10
"""Of data with more, angles are not listed: there would be thousands of kinds."""
MOST_BONDS = 16
"""Of one atom."""


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


class Shapes:
    """Ranges of bond lengths and angles, by symbols: ``"C-H"`` in Å and ``"C-C-O"`` in degrees."""

    def __init__(self, ranges: dict[str, tuple[float, float]]) -> None:
        self.ranges = ranges

    def odd(self, structure: Structure, pairs: HalfPairs, atoms: list[int]) -> str:
        """Say which bond or angle of some atoms lies farthest outside of the ranges; empty if none does."""
        if not self.ranges:
            return ""
        bonds, angles = bonds_and_angles(structure.numbers, structure.positions, *pairs, RADII)
        symbols = {k: chemical_symbols[z] for k, z in enumerate(structure.numbers.tolist())}
        near = [rows[np.isin(rows[:, :-1], atoms).any(axis=1)].tolist() for rows in (bonds, angles)]
        worst, text = 0.0, ""
        for row, unit, scale in [*((b, " Å", 1.0) for b in near[0]), *((a, "°", 60.0) for a in near[1])]:
            members, value = [int(k) for k in row[:-1]], row[-1]
            if len(members) == 3:
                members = [members[1], members[0], members[2]]
            low, high = self.ranges.get(_name([symbols[k] for k in members]), (value, value))
            beyond = max(low - value, value - high) / scale
            if beyond > worst + 1e-3:
                names = "-".join(f"{symbols[k]}{k}" for k in members)
                kind = "bond" if len(members) == 2 else "angle"
                known = f"in the training data {low:.4g} to {high:.4g}{unit}"
                worst, text = beyond, f"the {kind} {names} is {value:.4g}{unit}, {known}"
        return text


class ShapeSurvey:
    """Collects the ranges from structures."""

    def __init__(self) -> None:
        self._low = self._high = np.zeros((0, 0, 0))

    def add(self, structure: Structure, pairs: HalfPairs) -> None:
        """Look at a structure whose pairs reach as far as bonds do, at least."""
        if not self._low.size:
            self._low, self._high = np.full((SIZE,) * 3, np.inf), np.full((SIZE,) * 3, -np.inf)
        numbers = structure.numbers
        bonds, angles = bonds_and_angles(numbers, structure.positions, *pairs, RADII)
        for rows, width in ((bonds, 2), (angles, 3)):
            z = numbers[rows[:, :width].astype(np.int64)].reshape(-1, width)
            if width == 2:  # no element has the number zero
                key = (
                    np.minimum(z[:, 0], z[:, 1]),
                    np.maximum(z[:, 0], z[:, 1]),
                    np.zeros(len(z), np.int64),
                )
            else:
                key = (np.minimum(z[:, 1], z[:, 2]), z[:, 0], np.maximum(z[:, 1], z[:, 2]))
            np.minimum.at(self._low, key, rows[:, -1])
            np.maximum.at(self._high, key, rows[:, -1])

    def ranges(self) -> dict[str, tuple[float, float]]:
        """Return what was found; nothing of data with many elements."""
        found = np.argwhere(np.isfinite(self._low))
        if len(np.unique(found[found > 0])) > MOST_ELEMENTS:
            return {}
        return {
            _name([chemical_symbols[z] for z in key if z]): (
                round(float(self._low[tuple(key)]), 4),
                round(float(self._high[tuple(key)]), 4),
            )
            for key in found
        }


def checked_ranges(values: dict[str, list[float]]) -> dict[str, tuple[float, float]]:
    """Return ranges as they stand in a model file; anything else raises KeyError, TypeError or ValueError."""
    found = {}
    for name, (low, high) in values.items():
        symbols = name.split("-")
        if len(symbols) not in (2, 3) or any(s not in atomic_numbers for s in symbols):
            raise ValueError(f"{name!r:.50} is no bond and no angle")
        found[name] = float(low), float(high)
    return found


def _name(symbols: list[str]) -> str:
    """Bonds and angles read the same from both ends."""
    first, last = symbols[0], symbols[-1]
    return "-".join(symbols if atomic_numbers[first] <= atomic_numbers[last] else symbols[::-1])
