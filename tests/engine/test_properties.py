"""What physics asks of an energy surface, for every network, engine, dtype and kind of structure."""

import ase
import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.stress import full_3x3_to_voigt_6_stress
from scipy.spatial.transform import Rotation

from helpers import REFERENCES, ethanol, random_network, skewed_silicon
from schnet_calc import SchNetCalculator
from schnet_calc.modelfile import save_model

TOLERANCE = {"float32": 3e-4, "float64": 1e-9}
"""eV and eV/Å; energies are near -1e4 eV, their network part near 1 eV."""


@pytest.fixture(params=["SchNet-script", "SchNet-compiled", "DTNN-script"])
def way(request):
    """Every network with every engine that takes it."""
    return request.param.split("-")


@pytest.fixture
def engine(way):
    return way[1]


@pytest.fixture
def models(networks, way):
    return networks[way[0]]


def evaluate(calculator, atoms):
    (prediction,) = calculator.evaluate([atoms])
    return prediction


def test_translation(calculator, atoms, dtype):
    before = evaluate(calculator, atoms)
    atoms.positions += (1234.5, -777.1, 50.3)
    after = evaluate(calculator, atoms)
    assert after.energy == pytest.approx(before.energy, abs=TOLERANCE[dtype])
    np.testing.assert_allclose(after.forces, before.forces, atol=TOLERANCE[dtype])


def test_rotation(calculator, atoms, dtype):
    before = evaluate(calculator, atoms)
    rotation = Rotation.from_rotvec([0.3, -1.1, 0.7]).as_matrix()
    atoms.positions = atoms.positions @ rotation.T
    atoms.cell[:] = atoms.cell.array @ rotation.T
    after = evaluate(calculator, atoms)
    assert after.energy == pytest.approx(before.energy, abs=TOLERANCE[dtype])
    np.testing.assert_allclose(after.forces, before.forces @ rotation.T, atol=TOLERANCE[dtype])
    np.testing.assert_allclose(
        after.virial, rotation @ before.virial @ rotation.T, atol=3 * TOLERANCE[dtype]
    )


def test_permutation(calculator, atoms, dtype):
    before = evaluate(calculator, atoms)
    order = np.random.default_rng(0).permutation(len(atoms))
    after = evaluate(calculator, atoms[order])
    np.testing.assert_allclose(after.energies, before.energies[order], atol=TOLERANCE[dtype])
    np.testing.assert_allclose(after.forces, before.forces[order], atol=TOLERANCE[dtype])


def test_lattice_shift(calculator, dtype):
    atoms = skewed_silicon()
    before = evaluate(calculator, atoms)
    atoms.positions[1] += np.array([3, -2, 1]) @ atoms.cell.array
    after = evaluate(calculator, atoms)
    np.testing.assert_allclose(after.forces, before.forces, atol=TOLERANCE[dtype])


def test_supercell(models, engine):
    calculator = SchNetCalculator(models["float64"], engine=engine)
    atoms = skewed_silicon()
    single = evaluate(calculator, atoms)
    several = evaluate(calculator, atoms * (2, 1, 3))
    assert several.energy == pytest.approx(6 * single.energy, abs=1e-8)
    np.testing.assert_allclose(several.stress, single.stress, atol=1e-10)


def test_forces_are_the_derivative_of_the_energy(models, engine, atoms):
    atoms.calc = SchNetCalculator(models["float64"], engine=engine)
    forces = atoms.get_forces()
    numerical = calculate_numerical_forces(atoms, eps=1e-4)
    np.testing.assert_allclose(forces, numerical, atol=1e-6 * np.abs(forces).max() + 2e-8)


@pytest.mark.parametrize("seed", range(3))
def test_stress_is_the_strain_derivative(models, engine, seed):
    rng = np.random.default_rng(seed)
    atoms = bulk("Si")
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.uniform(-0.1, 0.1, (3, 3))), scale_atoms=True)
    atoms.rattle(0.1, seed=seed)
    if seed == 2:
        atoms.set_cell(atoms.cell.array[[1, 0, 2]])  # left-handed
    atoms.calc = SchNetCalculator(models["float64"], engine=engine)
    numerical = calculate_numerical_stress(atoms, eps=1e-5)
    np.testing.assert_allclose(atoms.get_stress(), numerical, atol=1e-8)
    full = full_3x3_to_voigt_6_stress(atoms.get_stress(voigt=False))
    np.testing.assert_allclose(full, atoms.get_stress())


@pytest.mark.parametrize("shape", [ethanol, skewed_silicon])
def test_hessians_of_both_engines_agree(networks, shape):
    models = networks["SchNet"]
    engines = [SchNetCalculator(models["float64"], engine=e) for e in ("script", "compiled")]
    script, compiled = (calculator.hessian(shape()) for calculator in engines)
    np.testing.assert_allclose(compiled, script, atol=2e-5 * np.abs(script).max())
    near = ase.Atoms("CO", [(0, 0, 0), (0, 0, 3.998)])  # almost at the cutoff, where forces have a kink
    script, compiled = (calculator.hessian(near) for calculator in engines)
    np.testing.assert_allclose(compiled, script, atol=1e-4)
    committee = SchNetCalculator([models["float64"]] * 2, engine="compiled").hessian(shape())
    np.testing.assert_allclose(committee, engines[1].hessian(shape()), atol=1e-10)


def test_hessian_equals_differences_of_forces(models, engine):
    calculator = SchNetCalculator(models["float64"], engine=engine)
    atoms = ethanol()
    hessian = calculator.hessian(atoms)
    step = 1e-4
    for column in (0, 7, 20):
        displaced = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions.flat[column] += sign * step
            displaced.append(evaluate(calculator, moved).forces.ravel())
        numerical = (displaced[1] - displaced[0]) / (2 * step)
        np.testing.assert_allclose(hessian[column], numerical, atol=1e-6 * np.abs(hessian).max())


def test_hessian_of_a_float32_model_is_float64(models, engine):
    hessian = SchNetCalculator(models["float32"], engine=engine).hessian(ethanol())
    exact = SchNetCalculator(models["float32"], engine="script", dtype="float64").hessian(ethanol())
    np.testing.assert_allclose(hessian, exact, atol=2e-5 * np.abs(exact).max())
    assert np.abs(hessian - hessian.T).max() < 1e-6


def test_batch_equals_single_calls(calculator, dtype):
    images = [ethanol(), ase.Atoms("H"), ethanol()[:4], skewed_silicon()]
    for together, atoms in zip(calculator.evaluate(images), images, strict=True):
        alone = evaluate(calculator, atoms)
        np.testing.assert_allclose(together.energies, alone.energies, atol=TOLERANCE[dtype])
        np.testing.assert_allclose(together.forces, alone.forces, atol=TOLERANCE[dtype])
        np.testing.assert_allclose(together.virial, alone.virial, atol=3 * TOLERANCE[dtype])


def test_far_fragments_add_up(calculator, dtype):
    one = ethanol()
    other = ethanol()
    other.positions += (500.0, 0.0, 0.0)
    both = evaluate(calculator, one + other)
    assert both.energy == pytest.approx(2 * evaluate(calculator, one).energy, abs=TOLERANCE[dtype])


def test_single_atom(calculator):
    prediction = evaluate(calculator, ase.Atoms("C", positions=[(5, 5, 5)]))
    assert prediction.forces.tolist() == [[0.0, 0.0, 0.0]]


@pytest.mark.parametrize("quantity", ["energy", "forces"])
def test_smooth_at_the_cutoff(models, engine, quantity):
    calculator = SchNetCalculator(models["float64"], engine=engine)

    def at(distance: float) -> np.ndarray:
        pair = ase.Atoms("CO", positions=[(0, 0, 0), (distance, 0, 0)])
        return np.asarray(getattr(evaluate(calculator, pair), quantity))

    cutoff = calculator.potential.cutoff
    np.testing.assert_allclose(at(cutoff - 1e-6), at(cutoff + 1e-6), atol=1e-5)
    np.testing.assert_allclose(at(cutoff - 1e-9), at(cutoff), atol=1e-8)


def test_input_is_not_changed(calculator, atoms):
    before = atoms.copy()
    atoms.calc = calculator
    atoms.get_forces()
    assert atoms == before


def test_engines_agree(networks, dtype, atoms):
    models = networks["SchNet"]
    script, compiled = (
        evaluate(SchNetCalculator(models[dtype], engine=name), atoms) for name in ("script", "compiled")
    )
    tolerance = {"float32": 2e-4, "float64": 1e-6}[dtype]
    np.testing.assert_allclose(compiled.energies, script.energies, atol=tolerance)
    np.testing.assert_allclose(compiled.forces, script.forces, atol=tolerance)
    np.testing.assert_allclose(compiled.virial, script.virial, atol=5 * tolerance)


def test_mixed_periodicity_equals_a_wide_cell(models, engine):
    calculator = SchNetCalculator(models["float64"], engine=engine)
    slab = ase.Atoms("Si2", [(0, 0, 0), (1.3, 1.2, 1.9)], cell=[(3, 0, 0), (1, 3, 0), (0, 0, 0)])
    slab.pbc = (True, True, False)
    wide = slab.copy()
    wide.cell[2] = (0, 0, 60)
    wide.pbc = True
    np.testing.assert_allclose(
        evaluate(calculator, slab).forces, evaluate(calculator, wide).forces, atol=1e-9
    )


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
