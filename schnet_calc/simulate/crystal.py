"""What a model says of a crystal: lattice, equation of state, elastic constants, phonons."""

import tempfile
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.eos import EquationOfState
from ase.phonons import Phonons
from ase.units import GPa, invcm
from numpy.typing import NDArray

from schnet_calc.analysis.elasticity import ElasticAverages, elastic_averages, elastic_constants
from schnet_calc.simulate.records import describe
from schnet_calc.simulate.relax import relax, relax_many

FloatArray = NDArray[np.float64]
SCALES = np.linspace(0.97, 1.03, 9)
"""Of the lattice vectors, for the equation of state."""
SHORTEST_SUPERCELL, MULTIPLE = 20.0, 4
"""Å that a supercell for phonons measures at least along each lattice vector, and what its repetitions are
multiples of, if nothing else is asked for: most special points then fit into it."""
DISPLACEMENT = 0.01
"""Å, of the phonons' differences."""
UNSTABLE = -1.0
"""cm⁻¹; frequencies below it are more than noise around zero, and imaginary."""


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
    """(points,) whether a wave vector fits into the supercell; corners that don't are interpolated"""
    supercell: tuple[int, int, int]

    @property
    def lowest(self) -> float:
        """Lowest frequency at a wave vector that fits into the supercell, cm⁻¹."""
        return float(self.frequencies[self.exact].min())

    @property
    def stable(self) -> bool:
        """Whether no frequency is imaginary, where they are exact."""
        return self.lowest > UNSTABLE


@dataclass(frozen=True)
class Crystal:
    """Outcome of :func:`crystal_properties`."""

    atoms: ase.Atoms
    """Relaxed, with its cell"""
    volumes: FloatArray
    """(points,) Å³, of the equation of state"""
    energies: FloatArray
    """(points,) eV"""
    bulk_modulus: float
    """GPa, of the equation of state (Birch-Murnaghan)"""
    elastic: FloatArray
    """(6, 6) GPa, in Voigt order"""
    averages: ElasticAverages
    """Of a polycrystal, GPa"""
    phonons: Dispersion | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        phonons = self.phonons
        return {
            "atoms": describe(self.atoms),
            "cell": self.atoms.cell.cellpar().tolist(),
            "volumes_ang3": self.volumes.tolist(),
            "energies_ev": self.energies.tolist(),
            "bulk_modulus_gpa": self.bulk_modulus,
            "elastic_gpa": self.elastic.tolist(),
            "averages": self.averages._asdict(),
            "phonons": None
            if phonons is None
            else {
                "supercell": list(phonons.supercell),
                "corners": {name: phonons.frequencies[k].tolist() for name, k in phonons.corners},
                "lowest_cm1": phonons.lowest,
            },
        }


def crystal_properties(
    atoms: ase.Atoms,
    calculator: Any,
    supercell: tuple[int, int, int] | None = None,
    phonons: bool = True,
    fmax: float = 1e-4,
) -> Crystal:
    """Relax a crystal and its cell, then strain it, and move its atoms.

    Parameters
    ----------
    atoms : Atoms
        A primitive cell, best; not changed.
    calculator : SchNetCalculator
        In float64.
    supercell : three int, optional
        Repetitions for the phonons; see :data:`SHORTEST_SUPERCELL`.
    phonons : bool
        Whether to compute them.
    fmax : float
        Largest force and stress that relaxations leave, eV/Å and in terms of the cell.

    Raises
    ------
    ValueError
        The structure isn't periodic along all directions.
    RuntimeError
        It doesn't relax.
    """
    if not atoms.pbc.all():
        raise ValueError(f"a crystal is periodic along all directions, pbc is {atoms.pbc.tolist()}")
    found = relax(atoms, calculator, fmax, cell=True)
    if not found.converged:
        raise RuntimeError(f"the crystal did not relax: largest force {found.fmax:.1e} eV/Å")
    crystal = found.atoms.copy()
    results = {
        name: found.atoms.calc.get_property(name, found.atoms) for name in ("energy", "forces", "stress")
    }
    crystal.calc = SinglePointCalculator(crystal, **results)  # the calculator goes on to other structures
    volumes, energies, modulus = equation_of_state(crystal, calculator, fmax)
    elastic = elastic_constants(crystal, calculator, fmax=fmax) / GPa
    dispersion = phonon_dispersion(crystal, calculator, supercell) if phonons else None
    return Crystal(crystal, volumes, energies, modulus, elastic, elastic_averages(elastic), dispersion)


def equation_of_state(
    crystal: ase.Atoms, calculator: Any, fmax: float = 1e-4
) -> tuple[FloatArray, FloatArray, float]:
    """Return volumes, Å³, energies, eV, and the bulk modulus, GPa, of a crystal scaled by :data:`SCALES`.

    Parameters
    ----------
    crystal : Atoms
        Relaxed.
    calculator : SchNetCalculator
        Takes all volumes in one batch.
    fmax : float
        Largest force on the atoms in each cell, eV/Å.
    """
    scaled = []
    for scale in SCALES:
        atoms = crystal.copy()
        atoms.set_cell(scale * crystal.cell.array, scale_atoms=True)
        scaled.append(atoms)
    found = relax_many(scaled, calculator, fmax)
    volumes = np.array([r.atoms.get_volume() for r in found])
    energies = np.array([r.energies[-1] for r in found])
    _, _, modulus = EquationOfState(volumes, energies, eos="birchmurnaghan").fit()
    return volumes, energies, float(modulus / GPa)


def phonon_dispersion(
    crystal: ase.Atoms, calculator: Any, supercell: tuple[int, int, int] | None = None
) -> Dispersion:
    """Compute phonons by ASE's differences of forces in a supercell, along the standard path of the lattice.

    Frequencies are exactly the model's at wave vectors that fit into the supercell; the path here has only these.

    Parameters
    ----------
    crystal : Atoms
        Relaxed.
    calculator : Calculator
        Any ASE calculator.
    supercell : three int, optional
        Repetitions; see :func:`crystal_properties`.
    """
    if supercell is None:
        repeats = np.ceil(SHORTEST_SUPERCELL / crystal.cell.lengths() / MULTIPLE).astype(int) * MULTIPLE
        supercell = (int(repeats[0]), int(repeats[1]), int(repeats[2]))
    with tempfile.TemporaryDirectory() as folder:
        phonons = Phonons(crystal, calculator, supercell=supercell, delta=DISPLACEMENT, name=f"{folder}/p")
        phonons.run()
        phonons.read(acoustic=True)
    q, corners, jumps = _path(crystal, np.array(supercell))
    lengths = np.linalg.norm(np.diff(q, axis=0) @ crystal.cell.reciprocal(), axis=1)
    lengths[jumps] = 0.0
    frequencies = phonons.band_structure(q, verbose=False) / invcm
    distances = np.concatenate([[0.0], np.cumsum(lengths)])
    return Dispersion(distances, frequencies, corners, _fits(q, np.array(supercell)), supercell)


def _fits(q: FloatArray, supercell: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which wave vectors (points, 3) have a whole number of periods in the supercell."""
    periods = q * supercell
    return np.asarray(np.abs(periods - np.round(periods)).max(axis=1) < 1e-6)


def _path(
    crystal: ase.Atoms, supercell: NDArray[np.int64]
) -> tuple[FloatArray, list[tuple[str, int]], list[int]]:
    """Wave vectors (points, 3) along the lattice's standard path, its corners, and the points before its jumps.

    Between corners there are those that fit into the supercell.
    """
    path = crystal.cell.bandpath(npoints=0)
    points: list[FloatArray] = []
    corners: list[tuple[str, int]] = []
    jumps: list[int] = []
    shares = np.arange(1, 24 * supercell.max()) / (24 * supercell.max())
    for line in path.path.split(","):
        names = _names(line, path.special_points)
        jumps += [len(points) - 1] if points else []
        points.append(path.special_points[names[0]])
        corners.append((names[0], len(points) - 1))
        for first, last in pairwise(names):
            a, b = path.special_points[first], path.special_points[last]
            between = a + (b - a) * shares[:, None]
            points += [*between[_fits(between, supercell)], b]
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
