"""One structure as it stands, as a user types it."""

import json

import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule

from schnet_calc import SchNetCalculator


@pytest.mark.parametrize("model", ["h2co", "silicon", "ethanol+ethanol"])
def test_what_the_calculator_says(run, tmp_path, model):
    atoms = {"h2co": molecule("H2CO"), "silicon": bulk("Si", a=5.5)}.get(model, molecule("CH3CH2OH"))
    atoms.rattle(0.01, seed=1)
    ase.io.write(tmp_path / "start.extxyz", atoms)
    code, out, err = run("energy", "start.extxyz", "--model", model, "--json", "e.json")
    assert (code, err) == (0, "")
    atoms = ase.io.read(tmp_path / "start.extxyz")
    atoms.calc = SchNetCalculator(model.split("+"), dtype="float64")
    numbers = json.loads((tmp_path / "e.json").read_text())
    assert numbers["energy_ev"] == atoms.get_potential_energy()
    assert np.array_equal(numbers["forces_ev_ang"], atoms.get_forces())
    assert np.array_equal(numbers["grades"], atoms.calc.results["grades"])
    largest = np.linalg.norm(atoms.get_forces(), axis=1).max()
    assert f"{atoms.get_potential_energy():.6f} ± {atoms.calc.results['energy_std']:.4f} eV" in out
    assert f"{largest:.2e} eV/Å" in out
    if model == "silicon":
        assert np.array_equal(numbers["stress_ev_ang3"], atoms.get_stress())
    if model == "h2co":
        assert f"{atoms.get_dipole_moment()[2]:.4f} e" in out


def test_a_model_without_energies_has_none(run, tmp_path):
    ase.io.write(tmp_path / "start.xyz", molecule("CH3CH2OH"))
    code, out, _ = run(
        "energy", "start.xyz", "--model", "qm9_gap", "--json", "e.json", "--on-doubt", "ignore"
    )
    numbers = json.loads((tmp_path / "e.json").read_text())
    assert code == 0
    assert "energy_ev" not in numbers
    assert f"{numbers['gap']:.4f} eV" in out


def test_no_steps_of_a_relaxation_are_no_error(run, cage, figures, tmp_path):
    code, out, _ = run("relax", cage, "--model", "c20", "--steps", "0")
    assert code == 0
    assert np.array_equal(ase.io.read(tmp_path / "relaxed.xyz").positions, ase.io.read(cage).positions)
    assert "False" in out
