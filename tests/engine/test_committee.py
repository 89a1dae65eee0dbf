"""Several models at once: their mean and their spread."""

import numpy as np
import pytest
from ase.build import bulk

from helpers import ethanol
from schnet_calc import SchNetCalculator


@pytest.mark.parametrize("structures", [[ethanol()], [ethanol(), bulk("Si"), ethanol()[:3]]], ids=len)
def test_a_committee_is_the_mean_of_its_members(members, engine, structures):
    committee = SchNetCalculator(members, engine=engine)
    alone = [SchNetCalculator(m, engine=engine).evaluate(structures) for m in members]
    for k, found in enumerate(committee.evaluate(structures)):
        energies = [a[k].energy for a in alone]
        assert found.energy == pytest.approx(np.mean(energies), abs=1e-9)
        assert found.energy_std == pytest.approx(np.std(energies, ddof=1))
        forces = [a[k].forces for a in alone]
        np.testing.assert_allclose(found.forces, np.mean(forces, axis=0), atol=1e-10)
        np.testing.assert_allclose(found.forces_std, np.std(forces, axis=0, ddof=1), atol=1e-10)
        np.testing.assert_allclose(found.virial, np.mean([a[k].virial for a in alone], axis=0), atol=1e-9)


def test_results_of_a_committee(members):
    atoms = ethanol()
    atoms.calc = SchNetCalculator(members)
    assert atoms.get_properties(["energy", "forces"])["forces_std"].shape == (len(atoms), 3)
    assert atoms.calc.export_properties()["energy_std"] > 0
    assert atoms.calc.results["energy_std"] > 0
    assert atoms.calc.results["forces_std"].shape == (len(atoms), 3)


def test_a_committee_averages_its_members(members):
    together = SchNetCalculator(members, device="cpu")
    alone = [SchNetCalculator(m, device="cpu") for m in members]
    atoms = ethanol()
    atoms.calc = together
    forces = []
    for calculator in alone:
        copy = atoms.copy()
        copy.calc = calculator
        forces.append(copy.get_forces())
    np.testing.assert_allclose(atoms.get_forces(), np.mean(forces, axis=0), atol=1e-12)
    np.testing.assert_allclose(together.results["forces_std"], np.std(forces, axis=0, ddof=1), atol=1e-12)
    assert together.results["energy_std"] > 0
    np.testing.assert_allclose(
        together.hessian(atoms), np.mean([c.hessian(atoms) for c in alone], axis=0), atol=1e-10
    )


def test_a_committee_hands_the_bound_on(models):
    calculator = SchNetCalculator([models["float64"]] * 2, device="cpu", engine="script")
    calculator.engine.memory = 123.0
    assert [m.memory for m in calculator.engine.members] == [123.0, 123.0]
