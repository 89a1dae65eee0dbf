"""Living with ASE: its registries, databases, trajectories, copies, processes and threads."""

import copy
import json
import multiprocessing
import pickle
import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import ase.db
import ase.io
import numpy as np
import pytest
import torch
from ase.build import bulk, molecule
from ase.calculators.calculator import get_calculator_class
from ase.calculators.lj import LennardJones
from ase.calculators.mixing import SumCalculator
from ase.constraints import FixAtoms, FixInternals
from ase.io.trajectory import Trajectory
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from conftest import REFERENCES, ethanol, random_network, write_model
from dftd3.ase import DFTD3
from test_model_file import FOREIGN, write_foreign

from schnet_calc import SchNetCalculator
from schnet_calc.modelfile import save_model

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


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dtype": "float64", "engine": "script", "device": "cpu"},
        {"on_doubt": "ignore"},
    ],
)
def test_a_dictionary_makes_the_same_calculator(models, settings):
    original = SchNetCalculator(models["float32"], **settings)
    values = json.loads(json.dumps(original.todict()))
    assert set(values) == {"model", *settings}
    again = SchNetCalculator.fromdict(values)
    assert again.todict(skip_default=False) == original.todict(skip_default=False)
    assert again.evaluate([ethanol()])[0].energy == original.evaluate([ethanol()])[0].energy


def test_a_committee_as_a_dictionary(models):
    original = SchNetCalculator([models["float32"], models["float64"]], max_forces_std=0.5)
    again = SchNetCalculator.fromdict(original.todict())
    assert len(again.potentials) == 2
    assert again.guard.max_forces_std == 0.5


def test_shipped_models_go_by_name():
    assert SchNetCalculator("ethanol").todict()["model"][0]["name"] == "ethanol"


def test_other_weights_are_noticed(tmp_path):
    path = write_model(tmp_path / "m.pt")
    values = SchNetCalculator(path).todict()
    pickled = pickle.dumps(SchNetCalculator(path))
    network = random_network()
    network.output.bias.data += 1.0
    save_model(path, network, REFERENCES)
    with pytest.raises(ValueError, match=r"has the weights .* but .* had"):
        SchNetCalculator.fromdict(values)
    with pytest.raises(ValueError, match="has the weights"):
        pickle.loads(pickled)
    path.unlink()
    with pytest.raises(FileNotFoundError, match="no model file"):
        SchNetCalculator.fromdict(values)


def test_other_foreign_weights_are_noticed(tmp_path):
    """Files without plain weights go by the hash of the whole."""
    values = SchNetCalculator(write_foreign(tmp_path / "f.pt", FOREIGN)).todict()
    SchNetCalculator.fromdict(values)
    write_foreign(tmp_path / "f.pt", {**FOREIGN, "note": "other"})
    with pytest.raises(ValueError, match="has the weights"):
        SchNetCalculator.fromdict(values)


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


def test_a_relative_path_survives_a_change_of_folder(tmp_path, monkeypatch):
    write_model(tmp_path / "m.pt")
    monkeypatch.chdir(tmp_path)
    calculator = SchNetCalculator("m.pt")
    monkeypatch.chdir("/")
    pickled = pickle.dumps(calculator)
    assert np.isfinite(pickle.loads(pickled).evaluate([ethanol()])[0].energy)


def energy_of(calculator, atoms):
    return calculator.evaluate([atoms])[0].energy


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_other_processes(models, method):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.exp(torch.ones(10**6))  # on OpenMP's threads, which a forked child would wait for
    torch.set_num_threads(threads)
    calculator = SchNetCalculator(models["float64"], device="cpu")
    images = [ethanol(), bulk("Si"), ethanol()]
    expected = [energy_of(calculator, a) for a in images]
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        found = list(pool.map(energy_of, [calculator] * 3, images, timeout=120))
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_several_calculators_in_threads(models):
    images = [ethanol() for _ in range(8)]
    for k, atoms in enumerate(images):
        atoms.rattle(0.05, seed=k)
    expected = [energy_of(SchNetCalculator(models["float64"]), a) for a in images]

    def work(atoms):
        atoms.calc = SchNetCalculator(models["float64"])
        return [atoms.get_potential_energy() for _ in range(3)][-1]

    with ThreadPoolExecutor(4) as pool:
        np.testing.assert_allclose(list(pool.map(work, images)), expected, atol=1e-10)


@pytest.mark.parametrize("crystal", [False, True], ids=["molecules", "crystals"])
def test_one_calculator_evaluates_in_many_threads(models, crystal):
    """``evaluate`` keeps no state that threads could spoil, its neighbour lists included."""
    rng = np.random.default_rng(0)
    images = [(bulk("Si", cubic=True) if crystal else ethanol()) for _ in range(16)]
    for atoms in images:
        atoms.positions += rng.normal(scale=0.1, size=atoms.positions.shape)
    calculator = SchNetCalculator(models["float64"])
    expected = [energy_of(SchNetCalculator(models["float64"]), a) for a in images]
    start = threading.Barrier(4)

    def work(part):
        start.wait()
        return [energy_of(calculator, a) for a in images[part::4]]

    with ThreadPoolExecutor(4) as pool:
        for part, found in enumerate(pool.map(work, range(4))):
            np.testing.assert_allclose(found, expected[part::4], atol=1e-9)


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


def test_import_is_quiet_and_changes_no_defaults(models):
    code = (
        "import torch; before = torch.get_default_dtype(), torch.get_num_threads()\n"
        "from schnet_calc import SchNetCalculator\n"
        f"SchNetCalculator({str(models['float64'])!r})\n"
        "assert (torch.get_default_dtype(), torch.get_num_threads()) == before"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""
