"""Living with ASE: caching, copies, errors that name the thing."""

import copy
import pickle

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.calculator import PropertyNotImplementedError
from conftest import REFERENCES, ethanol, random_network

from schnet_calc import SchNetCalculator
from schnet_calc.modelfile import load_potential, save_model


@pytest.fixture
def counted(models, monkeypatch):
    """A calculator and the list of its evaluations."""
    calculator = SchNetCalculator(models["float64"])
    calls = []
    evaluate = calculator.engine.evaluate
    monkeypatch.setattr(
        calculator.engine, "evaluate", lambda structures: (calls.append(1), evaluate(structures))[1]
    )
    return calculator, calls


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


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_copies_give_the_same(models, clone):
    original = SchNetCalculator(models["float32"], engine="script", dtype="float64")
    atoms = ethanol()
    atoms.calc = original
    energy = atoms.get_potential_energy()
    twin = clone(original)
    atoms.calc = twin
    assert atoms.get_potential_energy() == energy
    assert twin.engine.dtype == torch.float64


def test_a_loaded_potential_is_not_changed_by_a_calculator(models):
    potential = load_potential(models["float32"])
    SchNetCalculator(potential, dtype="float64", engine="script")
    assert next(potential.module.parameters()).dtype == torch.float32


@pytest.mark.parametrize("offset", [0.0, -1e6])
def test_float32_resolves_small_differences_of_huge_energies(tmp_path, offset, engine):
    network = random_network(torch.float32)
    for name, shift in (("plain", 0.0), ("offset", offset)):
        save_model(tmp_path / f"{name}.pt", network, dict.fromkeys(REFERENCES, shift))
    atoms = ethanol()
    energies = []
    for name in ("plain", "offset"):
        atoms.calc = SchNetCalculator(tmp_path / f"{name}.pt", engine=engine)
        energies.append(atoms.get_potential_energy())
    assert energies[1] - len(atoms) * offset == pytest.approx(energies[0], abs=1e-5)


def test_stress_of_a_molecule(models):
    atoms = ethanol()
    atoms.calc = SchNetCalculator(models["float32"])
    with pytest.raises(PropertyNotImplementedError, match="periodic along all three"):
        atoms.get_stress()


def broken(change):
    atoms = ethanol()
    change(atoms)
    return atoms


@pytest.mark.parametrize(
    ("atoms", "message"),
    [
        (ase.Atoms(), "no atoms"),
        (ase.Atoms("OFe", positions=[(0, 0, 0), (0, 0, 2)]), "atom 1 is Fe, but this model knows H, C, O"),
        (broken(lambda a: a.positions.__setitem__((3, 1), np.nan)), "position of atom 3 .* y = nan"),
        (broken(lambda a: a.positions.__setitem__((0, 0), np.inf)), "position of atom 0 .* x = inf"),
        (
            broken(lambda a: a.positions.__setitem__(2, a.positions[1])),
            "atoms 1 and 2 are at the same place",
        ),
        (ase.Atoms("C", pbc=True), "periodic along axis 0, but that cell vector is zero"),
        (ase.Atoms("C", cell=[(1, 0, 0), (2, 0, 0), (0, 0, 1)], pbc=True), "do not span a volume"),
        (ase.Atoms("C", cell=[np.nan, 1, 1], pbc=True), "cell is not finite"),
    ],
)
def test_bad_structures_are_named(calculator, atoms, message):
    with pytest.raises(ValueError, match=message):
        calculator.evaluate([atoms])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda:97"}, "not there"),
        ({"device": "abacus"}, "device is 'auto'"),
        ({"dtype": "float16"}, "dtype is"),
        ({"engine": "warp"}, "engine is"),
    ],
)
def test_bad_options_are_named(models, options, message):
    with pytest.raises(ValueError, match=message):
        SchNetCalculator(models["float32"], **options)


def test_all_pairs_model_refuses_crystals(tmp_path):
    save_model(tmp_path / "all.pt", random_network(cutoff_function="none"), REFERENCES)
    atoms = bulk("Si")
    atoms.calc = SchNetCalculator(tmp_path / "all.pt")
    assert atoms.calc.engine.name == "script"
    with pytest.raises(ValueError, match="needs a cutoff"):
        atoms.get_potential_energy()


def test_integer_and_strided_positions(models):
    positions = np.array([[0, 0, 0, 9], [0, 0, 2, 9]])[:, :3]
    assert not positions.flags.c_contiguous
    atoms = ase.Atoms("CO", positions=positions)
    atoms.calc = SchNetCalculator(models["float64"])
    assert np.isfinite(atoms.get_potential_energy())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_cpu(models, dtype, engine, atoms):
    cpu, gpu = (
        SchNetCalculator(models[dtype], device=device, engine=engine).evaluate([atoms, atoms])[1]
        for device in ("cpu", "cuda")
    )
    tolerance = {"float32": 3e-4, "float64": 1e-9}[dtype]
    np.testing.assert_allclose(gpu.forces, cpu.forces, atol=tolerance)
    np.testing.assert_allclose(gpu.energies, cpu.energies, atol=tolerance)
