"""A model as an ASE calculator: caching, properties, and what ASE does with calculators."""

import copy
import pickle
import subprocess
import sysconfig
from pathlib import Path

import ase
import ase.db
import ase.io
import numpy as np
import pytest
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError, get_calculator_class
from ase.calculators.lj import LennardJones
from ase.calculators.mixing import SumCalculator
from ase.constraints import FixAtoms, FixInternals
from ase.io.trajectory import Trajectory
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from dftd3.ase import DFTD3

from helpers import ethanol
from schnet_calc import SchNetCalculator


def test_no_work_when_nothing_changed(counted):
    calculator, calls = counted
    atoms = ethanol()
    atoms.calc = calculator
    atoms.get_potential_energy()
    atoms.get_forces()
    atoms.get_potential_energies()
    atoms.info["note"] = "something else"
    atoms.set_initial_charges(np.ones(len(atoms)))
    atoms.get_forces()
    assert len(calls) == 1


def test_work_when_something_changed(counted):
    calculator, calls = counted
    atoms = ethanol()
    atoms.calc = calculator
    energy = atoms.get_potential_energy()
    atoms.positions[0, 0] += 1e-3
    assert atoms.get_potential_energy() != energy
    atoms.numbers[0] = 14
    atoms.get_potential_energy()
    atoms.set_cell([9, 9, 9])
    atoms.pbc = True
    atoms.get_stress()
    assert len(calls) == 4


def test_properties(models):
    atoms = ethanol()
    atoms.calc = SchNetCalculator(models["float32"])
    assert atoms.get_potential_energy() == pytest.approx(atoms.get_potential_energies().sum())
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    assert atoms.get_forces().dtype == np.float64
    np.testing.assert_allclose(atoms.get_forces().sum(axis=0), 0, atol=1e-5)


def test_subclass_of_atoms(models):
    class Molecule(ase.Atoms):
        pass

    atoms = Molecule(ethanol())
    atoms.calc = SchNetCalculator(models["float32"])
    assert np.isfinite(atoms.get_potential_energy())


def test_stress_of_a_molecule(models):
    atoms = ethanol()
    atoms.calc = SchNetCalculator(models["float32"])
    with pytest.raises(PropertyNotImplementedError, match="periodic along all three"):
        atoms.get_stress()


def test_integer_and_strided_positions(models):
    positions = np.array([[0, 0, 0, 9], [0, 0, 2, 9]])[:, :3]
    assert not positions.flags.c_contiguous
    atoms = ase.Atoms("CO", positions=positions)
    atoms.calc = SchNetCalculator(models["float64"])
    assert np.isfinite(atoms.get_potential_energy())


SCRIPTS = Path(sysconfig.get_path("scripts"))


def test_ase_finds_the_class_by_name(models):
    cls = get_calculator_class("schnet")
    assert cls is SchNetCalculator
    assert cls(models["float32"]).name == "schnet"


def test_the_entry_point_for_plugins():
    from ase._4.plugins import plugins

    (plugin,) = (p for p in plugins.calculators if p.name == "schnet")
    assert plugin.implementation is SchNetCalculator
    assert "schnet_calc" in plugin.display()


def test_ase_info_lists_it():
    listed = subprocess.run(
        [SCRIPTS / "ase", "info", "--plugins"], capture_output=True, text=True, check=True, timeout=120
    )
    assert "schnet" in listed.stdout


def test_ase_run(models, tmp_path):
    """The command that the README shows."""
    ase.io.write(tmp_path / "ethanol.xyz", ethanol())
    done = subprocess.run(
        [
            *(SCRIPTS / "ase", "run", "schnet", "ethanol.xyz", "--modify", "import schnet_calc.calculator"),
            *("-p", f"model={models['float64']}", "--properties", "ef", "-o", "result.extxyz"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    result = ase.io.read(tmp_path / "result.extxyz")
    expected = SchNetCalculator(models["float64"]).evaluate([ethanol()])[0]
    assert result.get_potential_energy() == pytest.approx(expected.energy, abs=1e-5)


class Annotated(SchNetCalculator):
    """A user's own, with an attribute."""

    def __init__(self, model, note):
        super().__init__(model)
        self.note = note


def test_a_subclass_keeps_what_is_its_own(models):
    again = pickle.loads(pickle.dumps(Annotated(models["float32"], note="mine")))
    assert (type(again), again.note) == (Annotated, "mine")


@pytest.mark.parametrize("clone", [copy.deepcopy, copy.copy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_keep_results(models, clone):
    atoms = ethanol()
    atoms.calc = SchNetCalculator(models["float64"])
    energy = atoms.get_potential_energy()
    twin = clone(atoms.calc)
    assert twin.results["energy"] == energy
    assert not twin.calculation_required(atoms, ["energy"])
    moved = atoms.copy()
    moved.rattle(0.1, seed=3)
    moved.calc = twin
    assert moved.get_potential_energy() != energy


def test_trajectories_and_databases_hold_the_results(models, tmp_path):
    atoms = bulk("Si")
    atoms.rattle(0.05, seed=0)
    atoms.info["note"] = {"kept": [1, 2]}
    atoms.calc = SchNetCalculator([models["float64"], models["float32"]])
    expected = {"energy": atoms.get_potential_energy(), "forces": atoms.get_forces()}
    expected["stress"] = atoms.get_stress()
    with Trajectory(tmp_path / "a.traj", "w") as trajectory:
        trajectory.write(atoms)
    with ase.db.connect(tmp_path / "a.db") as database:
        database.write(atoms, data={"committee": atoms.calc.results["forces_std"]})
        row = database.get(calculator="schnet")
    for found in (ase.io.read(tmp_path / "a.traj"), row.toatoms()):
        assert found.get_potential_energy() == pytest.approx(expected["energy"], abs=1e-12)
        np.testing.assert_allclose(found.get_forces(), expected["forces"], atol=1e-12)
        np.testing.assert_allclose(found.get_stress(), expected["stress"], atol=1e-12)
    again = SchNetCalculator.fromdict(row.calculator_parameters)
    assert again.evaluate([atoms])[0].energy == pytest.approx(expected["energy"], abs=1e-10)
    assert atoms.info == {"note": {"kept": [1, 2]}}


@pytest.mark.parametrize("name", ["a.extxyz", "a.json", "a.cif"])
def test_other_formats(models, tmp_path, name):
    atoms = bulk("Si")
    atoms.calc = SchNetCalculator(models["float64"])
    energy = atoms.get_potential_energy()
    ase.io.write(tmp_path / name, atoms)
    found = ase.io.read(tmp_path / name)
    assert len(found) == 2
    if name != "a.cif":
        assert found.get_potential_energy() == pytest.approx(energy, abs=1e-6)


def test_sums_of_calculators(models):
    """Dispersion on top, or any other correction."""
    schnet, other = SchNetCalculator(models["float64"]), LennardJones(sigma=2.0, epsilon=0.01)
    atoms = bulk("Si", cubic=True)
    atoms.rattle(0.05, seed=0)
    parts = []
    for calculator in (schnet, other):
        atoms.calc = calculator
        parts.append((atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()))
    atoms.calc = SumCalculator([schnet, other])
    assert atoms.get_potential_energy() == pytest.approx(parts[0][0] + parts[1][0])
    np.testing.assert_allclose(atoms.get_forces(), parts[0][1] + parts[1][1])
    np.testing.assert_allclose(atoms.get_stress(), parts[0][2] + parts[1][2])


def test_dispersion_from_dftd3(models):
    atoms = ethanol()
    atoms.calc = SumCalculator([SchNetCalculator(models["float64"]), DFTD3(method="pbe", damping="d3bj")])
    alone = SchNetCalculator(models["float64"]).evaluate([atoms])[0]
    assert -1.0 < atoms.get_potential_energy() - alone.energy < 0.0


def test_constraints(models):
    atoms = ethanol()
    atoms.calc = SchNetCalculator(models["float64"])
    raw = atoms.get_forces()
    atoms.set_constraint(FixAtoms([0, 3]))
    np.testing.assert_array_equal(atoms.get_forces()[[0, 3]], 0)
    np.testing.assert_array_equal(atoms.get_forces(apply_constraint=False), raw)
    before = atoms.positions[[0, 3]].copy()
    BFGS(atoms, logfile=None).run(fmax=0.1, steps=5)
    np.testing.assert_array_equal(atoms.positions[[0, 3]], before)
    atoms = molecule("CH3CH2OH")
    atoms.calc = SchNetCalculator(models["float64"])
    length = atoms.get_distance(0, 1)
    atoms.set_constraint(FixInternals(bonds=[[length, [0, 1]]]))
    VelocityVerlet(atoms, timestep=0.1).run(5)
    assert atoms.get_distance(0, 1) == pytest.approx(length, abs=1e-6)


def test_a_calculator_says_what_it_was_made_with(models):
    calculator = SchNetCalculator("c20", device="cpu", on_doubt="ignore")
    assert repr(calculator) == "SchNetCalculator('c20', device='cpu', on_doubt='ignore')"
    assert calculator.parameters["model"] == "c20"
    assert calculator.parameters["engine"] == "auto"
    path = str(models["float64"])
    assert repr(SchNetCalculator([path, path])).startswith(f"SchNetCalculator([{path!r}, {path!r}]")
