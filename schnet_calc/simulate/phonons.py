"""Phonons of a crystal along the standard path of its lattice, from differences of forces in a supercell.

Frequencies are exactly the model's at wave vectors that fit into the supercell. Between them force constants are
interpolated: those of two atoms belong to the shortest of the vectors that the supercell's period allows between
them, in equal shares where several are as short (K. Parlinski et al., Phys. Rev. Lett. 78, 4063 (1997)).
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import ase
import numpy as np
from ase.phonons import Phonons
from ase.units import invcm
from numpy.typing import NDArray

from schnet_calc.simulate.modes import MODE_UNIT, Told

FloatArray = NDArray[np.float64]
SHORTEST_SUPERCELL, MULTIPLE = 20.0, 4
"""Å that a supercell for phonons measures at least along each lattice vector, and what its repetitions are
multiples of, if nothing else is asked for: most special points then fit into it."""
DISPLACEMENT = 0.01
"""Å, of the differences."""
UNSTABLE = -1.0
"""cm⁻¹; frequencies below it are more than noise around zero, and imaginary."""
BETWEEN = 24
"""Points along each stretch of the path, beside those that fit into the supercell."""
SAME = 1e-4
"""Å within which vectors are equally short."""


@dataclass(frozen=True)
class Dispersion:
    """Phonon frequencies along a path through the Brillouin zone."""

    distances: FloatArray
    """(points,) along the path, 1/Å"""
    frequencies: FloatArray
    """(points, 3N) cm⁻¹; negative for imaginary ones"""
    corners: list[tuple[str, int]]
    """Names of special points, and which of the points they are"""
    exact: NDArray[np.bool_]
    """(points,) whether a wave vector fits into the supercell; at others frequencies are interpolated"""
    supercell: tuple[int, int, int]

    @property
    def lowest(self) -> float:
        """Lowest frequency at a wave vector that fits into the supercell, cm⁻¹."""
        return float(self.frequencies[self.exact].min())

    @property
    def stable(self) -> bool:
        """Whether no frequency is imaginary, where they are exact."""
        return self.lowest > UNSTABLE

    def special_points(self) -> Iterator[tuple[str, FloatArray, bool]]:
        """Yield each special point once: its name, frequencies (3N,), cm⁻¹, and whether they are exact."""
        first: dict[str, int] = {}
        for name, k in self.corners:
            first.setdefault(name, k)
        for name, k in first.items():
            yield name, self.frequencies[k], bool(self.exact[k])

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        points = list(self.special_points())
        return {
            "supercell": list(self.supercell),
            "corners": {name: frequencies.tolist() for name, frequencies, _ in points},
            "interpolated_corners": [name for name, _, exact in points if not exact],
            "lowest_cm1": self.lowest,
        }


def phonon_dispersion(
    crystal: ase.Atoms, calculator: Any, supercell: tuple[int, int, int] | None = None
) -> Dispersion:
    """Compute phonons along the standard path of the lattice.

    Parameters
    ----------
    crystal : Atoms
        Relaxed.
    calculator : Calculator
        Any ASE calculator.
    supercell : three int, optional
        Repetitions; by default :data:`SHORTEST_SUPERCELL` and a multiple of :data:`MULTIPLE`.
    """
    if supercell is None:
        repeats = np.ceil(SHORTEST_SUPERCELL / crystal.cell.lengths() / MULTIPLE).astype(int) * MULTIPLE
        supercell = (int(repeats[0]), int(repeats[1]), int(repeats[2]))
    q, corners, jumps = _path(crystal, np.array(supercell))
    lengths = np.linalg.norm(np.diff(q, axis=0) @ crystal.cell.reciprocal(), axis=1)
    lengths[jumps] = 0.0
    frequencies = phonon_frequencies(crystal, calculator, supercell, q)
    distances = np.concatenate([[0.0], np.cumsum(lengths)])
    return Dispersion(distances, frequencies, corners, _fits(q, np.array(supercell)), supercell)


def phonon_frequencies(
    crystal: ase.Atoms, calculator: Any, supercell: tuple[int, int, int], q: FloatArray
) -> FloatArray:
    """Return frequencies (points, 3N), cm⁻¹, ascending, at wave vectors; imaginary ones are negative.

    Parameters
    ----------
    crystal, calculator, supercell
        As for :func:`phonon_dispersion`.
    q : array
        (points, 3) in terms of the reciprocal lattice vectors.
    """
    with tempfile.TemporaryDirectory() as folder:
        name = f"{folder}/p"
        phonons = _ToldPhonons(crystal, calculator, supercell=supercell, delta=DISPLACEMENT, name=name)
        phonons.run()
        phonons.read(acoustic=True)
        cells = phonons.compute_lattice_vectors().T
        n = len(crystal)
        constants = np.asarray(phonons.get_force_constant()).reshape(len(cells), n, 3, n, 3)
    roots = np.sqrt(crystal.get_masses())
    constants = constants / (roots[:, None, None, None] * roots[:, None])
    which, images, weights = _shortest(crystal, cells, np.array(supercell))
    found = []
    for point in q:
        phases = np.zeros((len(cells), n, n), dtype=complex)
        np.add.at(phases, which, weights * np.exp(2j * np.pi * images @ point))
        dynamical = np.einsum("cab,caibj->aibj", phases, constants).reshape(3 * n, 3 * n)
        values = np.linalg.eigvalsh(0.5 * (dynamical + dynamical.conj().T))
        found.append(np.sign(values) * np.sqrt(np.abs(values)))
    return np.array(found) * MODE_UNIT / invcm


class _ToldPhonons(Told, Phonons):
    stage, each = "phonons", 6


def _shortest(
    crystal: ase.Atoms, cells: NDArray[np.int64], supercell: NDArray[np.int64]
) -> tuple[tuple[Any, ...], FloatArray, FloatArray]:
    """For each cell and pair of atoms the cells of the nearest images of the second.

    Returns the indices (cell, first, second) of each image, its cell (images, 3) and its share (images,).
    """
    shifts = (
        np.stack(np.meshgrid(*3 * [np.arange(-2, 3)], indexing="ij"), axis=-1).reshape(-1, 3) * supercell
    )
    images = cells[:, None] + shifts
    between = crystal.positions[None, :] - crystal.positions[:, None]
    vectors = (images @ crystal.cell.array)[:, :, None, None] + between
    lengths = np.linalg.norm(vectors, axis=-1)
    nearest = lengths < lengths.min(axis=1, keepdims=True) + SAME
    shares = nearest / nearest.sum(axis=1, keepdims=True)
    c, s, a, b = np.nonzero(nearest)
    return (c, a, b), images[c, s].astype(float), shares[c, s, a, b]


def _fits(q: FloatArray, supercell: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which wave vectors (points, 3) have a whole number of periods in the supercell."""
    periods = q * supercell
    return np.asarray(np.abs(periods - np.round(periods)).max(axis=1) < 1e-6)


def _path(
    crystal: ase.Atoms, supercell: NDArray[np.int64]
) -> tuple[FloatArray, list[tuple[str, int]], list[int]]:
    """Wave vectors (points, 3) along the lattice's standard path, its corners, and the points before its jumps.

    Between corners there are those that fit into the supercell, and others for a smooth line.
    """
    path = crystal.cell.bandpath(npoints=0)
    points: list[FloatArray] = []
    corners: list[tuple[str, int]] = []
    jumps: list[int] = []
    fine = np.arange(1, BETWEEN * supercell.max()) / (BETWEEN * supercell.max())
    regular = np.arange(len(fine)) % supercell.max() == supercell.max() - 1
    for line in path.path.split(","):
        names = _names(line, path.special_points)
        jumps += [len(points) - 1] if points else []
        points.append(path.special_points[names[0]])
        corners.append((names[0], len(points) - 1))
        for first, last in pairwise(names):
            a, b = path.special_points[first], path.special_points[last]
            between = a + (b - a) * fine[:, None]
            points += [*between[_fits(between, supercell) | regular], b]
            corners.append((last, len(points) - 1))
    return np.array(points), corners, jumps


def _names(line: str, known: dict[str, Any]) -> list[str]:
    """The special points of a stretch of a path such as ``"GXW1K"``."""
    names: list[str] = []
    while line:
        name = next(n for n in sorted(known, key=len, reverse=True) if line.startswith(n))
        names.append(name)
        line = line[len(name) :]
    return names
