"""What a model says of a crystal: lattice, equation of state, elastic constants, phonons."""

from dataclasses import dataclass
from typing import Any

import ase
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.eos import EquationOfState
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.units import GPa
from numpy.typing import NDArray

from schnet_calc.analysis.elasticity import STEPS, ElasticAverages, elastic_averages, elastic_constants
from schnet_calc.simulate.phonons import Dispersion, phonon_dispersion
from schnet_calc.simulate.records import describe
from schnet_calc.simulate.relax import check_converged, relax
from schnet_calc.stages import in_turn

FloatArray = NDArray[np.float64]
SCALES = np.linspace(0.995, 1.005, 9)
"""Of the lattice vectors, for the equation of state: so near the minimum that the curvature there is found."""
DIFFERENT = 0.01
"""Share by which the two bulk moduli may differ before it is said."""


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
    """GPa, of the equation of state (Birch-Murnaghan); the cell's shape is relaxed at each volume"""
    elastic: FloatArray
    """(6, 6) GPa, in Voigt order"""
    averages: ElasticAverages
    """Of a polycrystal, GPa"""
    phonons: Dispersion | None

    @property
    def moduli_differ(self) -> float | None:
        """Share by which the bulk moduli of volumes and of elastic constants differ, if it is above one percent."""
        share = self.bulk_modulus / self.averages.hydrostatic - 1.0
        return share if abs(share) > DIFFERENT else None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        phonons = self.phonons
        return {
            "atoms": describe(self.atoms),
            "cell": self.atoms.cell.cellpar().tolist(),
            "volumes_ang3": self.volumes.tolist(),
            "energies_ev": self.energies.tolist(),
            "bulk_modulus_gpa": self.bulk_modulus,
            "bulk_modulus_elastic_gpa": self.averages.hydrostatic,
            "elastic_gpa": self.elastic.tolist(),
            "averages": self.averages._asdict(),
            "phonons": None if phonons is None else phonons.to_dict(),
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
        Repetitions for the phonons; see :func:`~schnet_calc.simulate.phonons.phonon_dispersion`.
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
    check_converged(found, "the crystal")
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
    """Return volumes (points,), Å³, energies (points,), eV, and the bulk modulus, GPa, at :data:`SCALES`.

    At each volume the atoms and the shape of the cell are relaxed, as under hydrostatic pressure.

    Parameters
    ----------
    crystal : Atoms
        Relaxed.
    calculator : Calculator
        Any ASE calculator with stress.
    fmax : float
        Largest force that relaxations leave, eV/Å and in terms of the cell.

    Raises
    ------
    RuntimeError
        A cell doesn't relax.
    """
    volumes, energies = [], []
    for scale in in_turn("equation of state", SCALES.tolist()):
        atoms = crystal.copy()
        atoms.set_cell(scale * crystal.cell.array, scale_atoms=True)
        atoms.calc = calculator
        with BFGS(FrechetCellFilter(atoms, constant_volume=True), logfile=None) as dynamics:
            if not dynamics.run(fmax=fmax, steps=STEPS):
                raise RuntimeError(
                    f"a cell scaled by {scale:.4f} did not relax below {fmax} in {STEPS} steps"
                )
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
    _, _, modulus = EquationOfState(volumes, energies, eos="birchmurnaghan").fit()
    return np.array(volumes), np.array(energies), float(modulus / GPa)
