"""PySCF as a reference."""

import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.calculator import CalculatorSetupError

from schnet_calc.references import reference_calculator

pytest.importorskip("pyscf")


@pytest.mark.parametrize("method", ["PBE/sto-3g", "MP2/sto-3g"])
def test_forces_are_the_slope_of_the_energy(method):
    atoms = molecule("H2O")
    atoms.rattle(0.05, seed=0)
    atoms.calc = reference_calculator(method)
    if method.startswith("PBE"):
        atoms.calc.parameters["grid"] = 5  # the gradient leaves out how the grid moves with the atoms
    force, step = atoms.get_forces()[1, 2], 1e-3
    energies = []
    for sign in (1.0, -1.0):
        moved = atoms.copy()
        moved.positions[1, 2] += sign * step
        moved.calc = atoms.calc
        energies.append(moved.get_potential_energy())
    assert -(energies[0] - energies[1]) / (2 * step) == pytest.approx(force, abs=2e-3)


def test_water_has_its_dipole():
    """1.85 D by experiment, along the axis; e Å in ASE."""
    atoms = molecule("H2O")
    atoms.calc = reference_calculator("PBE/def2-svp")
    dipole = atoms.get_dipole_moment()
    assert np.linalg.norm(dipole) == pytest.approx(1.85 * 0.2082, rel=0.15)
    hydrogens = atoms.positions[1:].mean(axis=0) - atoms.positions[0]
    assert dipole @ hydrogens > 0


@pytest.mark.parametrize(
    ("method", "atoms", "message"),
    [
        ("PBEE/def2-svp", molecule("H2O"), "no functional 'PBEE'"),
        ("PBE/", molecule("H2O"), "FUNCTIONAL/BASIS"),
        ("PBE/def3", molecule("H2O"), "PBE/def3"),
        ("PBE/def2-svp", bulk("Si"), "for molecules"),
        ("PBE/sto-3g", molecule("OH"), "Electron number 9"),
    ],
)
def test_bad_input_is_named(method, atoms, message):
    with pytest.raises(CalculatorSetupError, match=message):
        reference_calculator(method).get_potential_energy(atoms)
